// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/client.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/right.h"
#include "hsctl/agent.h"
#include "util/clock.h"
#include "util/files.h"
#include "util/macro.h"

#define LOOK_EVERY (200 * USEC_PER_MSEC)
/* For who is asked for a password, in which hsd waits for polkit. */
#define PASSWORD_TIME (125 * USEC_PER_SEC)
#define HSD_ABSENT    "hsd is not running; start it: systemctl start hsd"

/* What answers may mean, by the name of the error. */
static const struct {
	const char *name;
	enum client_answer answer;
	int exit;
	const char *sentence; /* NULL: the message that came with it */
} errors[] = {
	{BUS_ERROR_REFUSED, CLIENT_REFUSED, EXIT_REFUSED, NULL},
	{BUS_ERROR_UNDONE, CLIENT_REFUSED, EXIT_UNDONE, NULL},
	{SD_BUS_ERROR_SERVICE_UNKNOWN, CLIENT_ABSENT, EXIT_FAILED, HSD_ABSENT},
	{SD_BUS_ERROR_NAME_HAS_NO_OWNER, CLIENT_ABSENT, EXIT_FAILED, HSD_ABSENT},
	{SD_BUS_ERROR_NO_REPLY, CLIENT_LOST, EXIT_FAILED, "hsd went away before it answered"},
	{SD_BUS_ERROR_DISCONNECTED, CLIENT_LOST, EXIT_FAILED, "the bus went away"},
};

/* What a call waits for. */
struct wait {
	const struct client_call *call;
	struct reply *reply;
	enum client_answer answer;
	bool ended, cancelled;
	char hsd[32]; /* its unique name on the bus; "" = not known yet */
};

static bool is_far(const struct arguments *arguments)
{
	return arguments->host || arguments->machine;
}

static int explain_machine(const char *machine, int error, struct problem *problem)
{
	if (error == -EHOSTDOWN || error == -ENXIO)
		return problem_set(problem, error,
				   "there is no container %s on this machine; see machinectl list",
				   machine);
	if (error == -EPERM || error == -EACCES)
		return problem_set(problem, error,
				   "only root may go into container %s; run it with sudo", machine);
	return problem_set(problem, error, "cannot reach the system bus of container %s: %s",
			   machine, strerror(-error));
}

int client_open(const struct arguments *arguments, sd_bus **ret_bus, struct problem *problem)
{
	int r;

	if (arguments->host && !getenv("SYSTEMD_SSH") && !program_is_installed("ssh"))
		/* libsystemd runs ssh, and would only say that the connection was lost */
		return problem_set(problem, -ENOENT, CLIENT_NO_SSH, arguments->host);
	if (arguments->host)
		r = sd_bus_open_system_remote(ret_bus, arguments->host);
	else if (arguments->machine)
		r = sd_bus_open_system_machine(ret_bus, arguments->machine);
	else
		r = sd_bus_open_system(ret_bus);
	if (r < 0 && arguments->machine)
		return explain_machine(arguments->machine, r, problem);
	if (r < 0)
		return problem_set(problem, r, "cannot reach the system bus%s%s: %s",
				   arguments->host ? " of " : "", arguments->host ?: "",
				   strerror(-r));
	return 0;
}

static enum client_answer answer_with(struct reply *reply, enum client_answer answer, int exit,
				      const char *sentence)
{
	reply_fail(reply, exit, "%s", sentence);
	return answer;
}

static enum client_answer answer_no_service(const struct client_call *call, struct reply *reply)
{
	reply_fail(reply, EXIT_FAILED,
		   "%s is not managed by hotstandby; enable it: hsctl enable %s@.service",
		   call->service, call->service);
	return CLIENT_REFUSED;
}

static enum client_answer read_error(const struct client_call *call, const sd_bus_error *error,
				     struct reply *reply)
{
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (!strcmp(errors[i].name, error->name))
			return answer_with(reply, errors[i].answer, errors[i].exit,
					   errors[i].sentence ?: error->message);
	if (call->service && !strcmp(error->name, SD_BUS_ERROR_UNKNOWN_OBJECT))
		return answer_no_service(call, reply);
	return answer_with(reply, CLIENT_REFUSED, EXIT_FAILED, error->message ?: error->name);
}

/* hsd says why; the bus, which lets no call through that is for root alone, speaks of its rules. */
static enum client_answer read_refusal(sd_bus_message *m, const struct client_call *call,
				       struct reply *reply)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);
	const char *sender = sd_bus_message_get_sender(m);

	if (sender && !strcmp(sender, "org.freedesktop.DBus") &&
	    !strcmp(error->name, SD_BUS_ERROR_ACCESS_DENIED))
		return answer_with(reply, CLIENT_REFUSED, EXIT_FAILED,
				   "only root may do this; run it with sudo");
	return read_error(call, error, reply);
}

static const char not_understood[] = "hsd's answer is not understood; is it of another version?";

/* The message owns its own. */
static int read_descriptor(sd_bus_message *m, int *ret_fd)
{
	int fd, r = sd_bus_message_read(m, "h", &fd);

	if (r < 0)
		return r;
	*ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return *ret_fd < 0 ? -errno : 0;
}

static enum client_answer read_answer(const struct client_call *call, sd_bus_message *m,
				      struct reply *reply)
{
	const char *text;

	if (sd_bus_message_is_method_error(m, NULL))
		return read_refusal(m, call, reply);
	if (sd_bus_message_is_empty(m) > 0)
		return CLIENT_ANSWERED;
	if (sd_bus_message_read(m, "s", &text) < 0)
		return answer_with(reply, CLIENT_REFUSED, EXIT_FAILED, not_understood);
	if (call->ret_fd && read_descriptor(m, call->ret_fd) < 0)
		return answer_with(reply, CLIENT_REFUSED, EXIT_FAILED, not_understood);
	reply->text = strdup(text);
	return CLIENT_ANSWERED;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct wait *wait = userdata;

	(void)error;
	wait->answer = read_answer(wait->call, m, wait->reply);
	wait->ended = true;
	return 1;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct wait *wait = userdata;
	const char *name;

	(void)error;
	if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "s", &name) >= 0)
		snprintf(wait->hsd, sizeof(wait->hsd), "%s", name);
	return 0;
}

/* Anybody may send a signal to us alone, whatever the match says. Behind the door there is nobody
 * but hsd. */
static bool is_of_hsd(const struct wait *wait, sd_bus_message *m)
{
	const char *sender = sd_bus_message_get_sender(m);

	return sd_bus_is_bus_client(sd_bus_message_get_bus(m)) <= 0 ||
	       (sender && wait->hsd[0] && !strcmp(sender, wait->hsd));
}

static int on_progress(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct wait *wait = userdata;
	const char *text;

	(void)error;
	if (!wait->ended && is_of_hsd(wait, m) && sd_bus_message_read(m, "s", &text) >= 0 &&
	    wait->call->on_progress(text, wait->call->userdata))
		wait->ended = true;
	return 0;
}

/* One step of the bus, or of the waiting for it. */
static int process(sd_bus *bus, uint64_t deadline)
{
	int r = sd_bus_process(bus, NULL);
	uint64_t now;

	if (r)
		return r;
	now = now_usec();
	if (now >= deadline)
		return -ETIMEDOUT;
	r = sd_bus_wait(bus, deadline - now);
	return r == -EINTR ? 0 : r;
}

static int on_cancelled(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const struct client_call *call = ((const struct wait *)userdata)->call;
	const sd_bus_error *refusal = sd_bus_message_get_error(m);

	(void)error;
	if (refusal && call->on_refusal)
		call->on_refusal(refusal->message ?: refusal->name, call->userdata);
	return 0;
}

static void cancel(sd_bus *bus, struct wait *wait, const char *path)
{
	const struct client_call *call = wait->call;

	if (wait->cancelled)
		return;
	wait->cancelled = true;
	(void)sd_bus_call_method_async(bus, NULL, BUS_NAME, path, BUS_SERVICE_INTERFACE,
				       call->cancel_method, on_cancelled, wait, "");
}

/* A signal that comes just before the wait is not seen by it: look again before long. */
static int process_and_look(sd_bus *bus, const struct client_call *call, uint64_t deadline)
{
	uint64_t look = now_usec() + LOOK_EVERY;
	int r = process(bus, call->interrupted ? MIN(deadline, look) : deadline);

	return r == -ETIMEDOUT && look < deadline && call->interrupted ? 0 : r;
}

static bool is_interrupted(const struct client_call *call)
{
	return call->interrupted && *call->interrupted;
}

/* Who cannot even greet the bus has lost nobody: there was nobody. -EINTR: interrupted, and nothing
 * was asked. */
static int get_ready(sd_bus *bus, const struct client_call *call, uint64_t deadline)
{
	int r = 0;

	while (r >= 0 && !sd_bus_is_ready(bus))
		r = is_interrupted(call) ? -EINTR : process_and_look(bus, call, deadline);
	return r < 0 ? r : 0;
}

static int process_until(sd_bus *bus, struct wait *wait, const char *path, uint64_t deadline)
{
	int r = 0;

	while (r >= 0 && !wait->ended) {
		if (is_interrupted(wait->call) && !wait->call->cancel_method)
			return -ECANCELED;
		if (is_interrupted(wait->call))
			cancel(bus, wait, path);
		r = process_and_look(bus, wait->call, deadline);
	}
	return r < 0 ? r : 0;
}

static int make_message(sd_bus *bus, const struct client_call *call, const char *types,
			va_list args, sd_bus_message **ret_message)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	_cleanup_(freep) char *path = NULL;
	int r = 0;

	if (call->service)
		r = sd_bus_path_encode(BUS_SERVICE_PATH, call->service, &path);
	if (r >= 0)
		r = sd_bus_message_new_method_call(bus, &m, BUS_NAME, path ?: BUS_PATH,
						   call->service ? BUS_SERVICE_INTERFACE
								 : BUS_MANAGER_INTERFACE,
						   call->method);
	/* hsd is not to be started by a look at it */
	if (r >= 0)
		r = sd_bus_message_set_auto_start(m, false);
	if (r >= 0)
		r = sd_bus_message_set_allow_interactive_authorization(m, call->may_ask_people);
	if (r >= 0)
		r = sd_bus_message_appendv(m, types, args);
	if (r < 0)
		return r;
	*ret_message = steal_ptr(&m);
	return 0;
}

/* No need to wait for what the bus says: it takes messages in order, and answers so. */
static int watch_progress(sd_bus *bus, const char *path, struct wait *wait, sd_bus_slot **ret_slot,
			  sd_bus_slot **ret_owner)
{
	bool by_bus = sd_bus_is_bus_client(bus) > 0;
	int r = 0;

	if (!wait->call->on_progress)
		return 0;
	if (by_bus)
		r = sd_bus_call_method_async(bus, ret_owner, "org.freedesktop.DBus",
					     "/org/freedesktop/DBus", "org.freedesktop.DBus",
					     "GetNameOwner", on_owner, wait, "s", BUS_NAME);
	if (r < 0)
		return r;
	return sd_bus_match_signal_async(bus, ret_slot, by_bus ? BUS_NAME : NULL, path,
					 BUS_SERVICE_INTERFACE, "Progress", on_progress, NULL,
					 wait);
}

/* The deadline is kept here, for all steps together. */
static int send_and_wait(sd_bus *bus, sd_bus_message *m, struct wait *wait)
{
	_cleanup_(sd_bus_slot_unrefp) sd_bus_slot *match = NULL, *owner = NULL, *call = NULL;
	uint64_t now = now_usec(), timeout = wait->call->timeout_usec;
	uint64_t deadline = timeout < USEC_INFINITY - now ? now + timeout : USEC_INFINITY;
	int r = get_ready(bus, wait->call, deadline);

	if (r >= 0)
		r = watch_progress(bus, sd_bus_message_get_path(m), wait, &match, &owner);
	if (r >= 0)
		r = sd_bus_call_async(bus, &call, m, on_answer, wait, USEC_INFINITY);
	return r < 0 ? r : process_until(bus, wait, sd_bus_message_get_path(m), deadline);
}

static enum client_answer call_with(sd_bus *bus, const struct client_call *call,
				    struct reply *ret_reply, const char *types, va_list args)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	struct wait wait = {.call = call, .reply = ret_reply};
	uint64_t began = now_usec(), waited;
	char span[SPAN_TEXT_MAX];
	int r = make_message(bus, call, types, args, &m);

	if (r >= 0)
		r = send_and_wait(bus, m, &wait);
	if (r >= 0)
		return wait.answer;
	if (r == -ECANCELED) {
		reply_fail(ret_reply, EXIT_FAILED, "interrupted; hsd goes on with it");
		return CLIENT_INTERRUPTED;
	}
	if (r == -EINTR) {
		reply_fail(ret_reply, EXIT_FAILED,
			   "interrupted before hsd could be asked; nothing has changed");
		return CLIENT_REFUSED;
	}
	if (r == -ETIMEDOUT) {
		/* libsystemd has limits of its own, where the other side does not even greet */
		waited = MIN(now_usec() - began, call->timeout_usec);
		reply_fail(ret_reply, EXIT_FAILED,
			   "no answer from hsd after %s; --direct does without it",
			   span_format(waited - waited % USEC_PER_MSEC, span, sizeof(span)));
		return CLIENT_TIMEOUT;
	}
	reply_fail(ret_reply, EXIT_FAILED, "the connection to the bus failed: %s", strerror(-r));
	return CLIENT_ABSENT;
}

enum client_answer client_call(sd_bus *bus, const struct client_call *call, struct reply *ret_reply,
			       const char *types, ...)
{
	enum client_answer answer;
	va_list args;

	va_start(args, types);
	answer = call_with(bus, call, ret_reply, types, args);
	va_end(args);
	return answer;
}

/* Whose hsd it is that cannot be reached; `lost`: nothing was heard of its bus. */
static void name_place(const struct arguments *arguments, bool lost, struct reply *reply)
{
	struct problem problem = reply->problem;

	if (lost && arguments->host)
		reply_fail(reply, reply->exit,
			   "%.100s cannot be reached by ssh, or has no systemd-stdio-bridge; what "
			   "ssh says of it stands above",
			   arguments->host);
	else
		reply_fail(reply, reply->exit, "%.100s: %.400s",
			   arguments->host ?: arguments->machine, problem.text);
}

/* Root's own way: no bus is needed, and nobody else's calls are in front. Only the bus knows which
 * process it is that asks for exec. */
static int open_door(const struct arguments *arguments, const struct client_call *call,
		     sd_bus **ret_bus)
{
	_cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
	int r;

	if (geteuid() != 0 || is_far(arguments) || call->ret_fd)
		return -EPERM;
	r = sd_bus_new(&bus);
	if (r >= 0)
		r = sd_bus_set_address(bus, "unix:path=" DOOR_PATH);
	if (r >= 0)
		r = sd_bus_negotiate_fds(bus, true);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0)
		return r;
	*ret_bus = steal_ptr(&bus);
	return 0;
}

/* All that is asked of another machine goes by one connection: each would be an ssh. */
static int open_far(const struct arguments *arguments, sd_bus **ret_bus, struct problem *problem)
{
	static sd_bus *far;
	int r = far ? 0 : client_open(arguments, &far, problem);

	if (r >= 0)
		*ret_bus = sd_bus_ref(far);
	return r;
}

static int open_any(const struct arguments *arguments, const struct client_call *call,
		    sd_bus **ret_bus, struct problem *problem)
{
	if (is_far(arguments))
		return open_far(arguments, ret_bus, problem);
	return open_door(arguments, call, ret_bus) < 0 ? client_open(arguments, ret_bus, problem)
						       : 0;
}

/* Over the bus polkit may have to be asked, and then people. The other machine's ask by themselves,
 * if they can. */
static bool open_agent(const struct arguments *arguments, struct client_call *call)
{
	if (!geteuid() || !right_of_method(call->method) || arguments->no_ask_password)
		return false;
	call->may_ask_people = true;
	if (call->timeout_usec < USEC_INFINITY - PASSWORD_TIME)
		call->timeout_usec += PASSWORD_TIME;
	return !is_far(arguments) && agent_open();
}

enum client_answer client_ask(const struct arguments *arguments, const struct client_call *asked,
			      struct reply *ret_reply, const char *types, ...)
{
	/* closed without a flush, which would wait for a bus that hangs */
	_cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
	struct client_call call = *asked;
	enum client_answer answer;
	bool asks_people;
	va_list args;

	if (arguments->direct)
		return CLIENT_ABSENT;
	if (open_any(arguments, &call, &bus, &ret_reply->problem) < 0) {
		ret_reply->exit = EXIT_FAILED;
		return CLIENT_ABSENT;
	}
	asks_people = open_agent(arguments, &call);
	va_start(args, types);
	answer = call_with(bus, &call, ret_reply, types, args);
	va_end(args);
	if (asks_people)
		agent_close();
	if (answer == CLIENT_ABSENT && is_far(arguments))
		name_place(arguments, !sd_bus_is_ready(bus), ret_reply);
	if (!is_far(arguments))
		sd_bus_close(bus);
	return answer;
}
