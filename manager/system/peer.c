// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/peer.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "util/macro.h"

#define SYSTEMD		"org.freedesktop.systemd1"
#define SYSTEMD_PATH	"/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"
#define BUS		"org.freedesktop.DBus"

struct peer_question {
	sd_bus *bus;
	struct peer peer;
	bool has_uid, has_pid;
	peer_fn on_answer;
	void *userdata;
	sd_bus_slot *call;
};

DEFINE_CLEANUP(struct peer_question, peer_question_free)

struct peer_question *peer_question_free(struct peer_question *question)
{
	if (!question)
		return NULL;
	sd_bus_slot_unref(question->call);
	close_fd(question->peer.pidfd);
	free(question);
	return NULL;
}

bool peer_lives(int pidfd)
{
	struct pollfd end = {.fd = pidfd, .events = POLLIN};

	return pidfd >= 0 && !poll(&end, 1, 0);
}

/* What was asked about the number was about it only if it still runs. */
static void answer(struct peer_question *question, const struct problem *problem)
{
	_cleanup_(peer_question_freep) struct peer_question *owned = question;
	static const struct problem ended = {"the process that asks has ended"};

	if (!problem && !peer_lives(owned->peer.pidfd))
		problem = &ended;
	owned->on_answer(problem ? NULL : &owned->peer, problem, owned->userdata);
}

static int fail(struct peer_question *question, sd_bus_message *m, const char *what)
{
	const sd_bus_error *error = m ? sd_bus_message_get_error(m) : NULL;
	struct problem problem;

	problem_set(&problem, 0, "%s%s%s", what, error ? ": " : "",
		    error && error->message ? error->message : "");
	answer(question, &problem);
	return 0;
}

/* ---- where it is ---- */

static int on_slice(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct peer_question *question = userdata;
	const char *slice = NULL;

	(void)error;
	if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "v", "s", &slice) < 0)
		return fail(question, m, "systemd does not say in which slice you are");
	snprintf(question->peer.slice, sizeof(question->peer.slice), "%s", slice);
	answer(question, NULL);
	return 0;
}

static int ask_slice(struct peer_question *question, const char *path, const char *unit)
{
	const char *dot = strrchr(unit, '.');
	const char *interface = !dot			   ? NULL
				: !strcmp(dot, ".scope")   ? SYSTEMD ".Scope"
				: !strcmp(dot, ".service") ? SYSTEMD ".Service"
							   : NULL;

	if (!interface)
		return -EINVAL;
	question->call = sd_bus_slot_unref(question->call);
	return sd_bus_call_method_async(question->bus, &question->call, SYSTEMD, path,
					BUS ".Properties", "Get", on_slice, question, "ss",
					interface, "Slice");
}

static int on_unit(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct peer_question *question = userdata;
	_cleanup_(freep) char *unit = NULL;
	const char *path;

	(void)error;
	/* of none, as what was entered from outside of a container */
	if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "o", &path) < 0 ||
	    sd_bus_path_decode(path, SYSTEMD_PATH "/unit", &unit) <= 0) {
		answer(question, NULL);
		return 0;
	}
	snprintf(question->peer.unit, sizeof(question->peer.unit), "%s", unit);
	/* of no unit that could have a slice, such as the control group of PID 1 itself */
	if (ask_slice(question, path, unit) < 0)
		answer(question, NULL);
	return 0;
}

/* ---- who it is ---- */

static int read_pidfd(struct peer_question *question, sd_bus_message *m)
{
	int fd, r = sd_bus_message_read(m, "v", "h", &fd);

	if (r >= 0)
		question->peer.pidfd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return r;
}

static int read_credential(struct peer_question *question, sd_bus_message *m, const char *name)
{
	uint32_t number;
	int r;

	if (!strcmp(name, "ProcessFD") && question->peer.pidfd < 0)
		return read_pidfd(question, m);
	if (strcmp(name, "UnixUserID") && strcmp(name, "ProcessID"))
		return sd_bus_message_skip(m, "v");
	r = sd_bus_message_read(m, "v", "u", &number);
	if (r >= 0 && name[0] == 'U') {
		question->peer.uid = number;
		question->has_uid = true;
	} else if (r >= 0) {
		question->peer.pid = (pid_t)number;
		question->has_pid = true;
	}
	return r;
}

static int read_credentials(struct peer_question *question, sd_bus_message *m)
{
	const char *name;
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = sd_bus_message_read(m, "s", &name);
		if (r >= 0)
			r = read_credential(question, m, name);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r < 0 ? r : question->has_uid && question->has_pid ? 0 : -ENODATA;
}

/* Only newer buses tell more than the number. Where it is another's by now, that one is asked about
 * from here on. */
static int hold_process(struct peer *peer)
{
	if (peer->pidfd < 0)
		peer->pidfd = (int)syscall(SYS_pidfd_open, peer->pid, 0);
	return peer->pidfd < 0 ? -errno : 0;
}

static int on_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct peer_question *question = userdata;

	(void)error;
	if (sd_bus_message_is_method_error(m, NULL) || read_credentials(question, m) < 0)
		return fail(question, m, "the bus does not say who asks");
	if (hold_process(&question->peer) < 0)
		return fail(question, NULL, "the process that asks has ended");
	question->call = sd_bus_slot_unref(question->call);
	if (sd_bus_call_method_async(question->bus, &question->call, SYSTEMD, SYSTEMD_PATH,
				     SYSTEMD_MANAGER, "GetUnitByPID", on_unit, question, "u",
				     (uint32_t)question->peer.pid) < 0)
		return fail(question, NULL, "out of memory");
	return 0;
}

int peer_question_new(sd_bus *bus, sd_bus_message *message, peer_fn on_answer, void *userdata,
		      struct peer_question **ret_question)
{
	struct peer_question *question = calloc(1, sizeof(*question));
	int r;

	if (!question)
		return -ENOMEM;
	question->bus = bus;
	question->peer.pidfd = -1;
	question->on_answer = on_answer;
	question->userdata = userdata;
	r = sd_bus_call_method_async(bus, &question->call, BUS, "/org/freedesktop/DBus", BUS,
				     "GetConnectionCredentials", on_credentials, question, "s",
				     sd_bus_message_get_sender(message));
	if (r < 0) {
		free(question);
		return r;
	}
	*ret_question = question;
	return 0;
}

bool peer_is_in_session(const struct peer *peer)
{
	char own[32];

	snprintf(own, sizeof(own), "user-%u.slice", (unsigned)peer->uid);
	return !strcmp(peer->slice, own);
}
