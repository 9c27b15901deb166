// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/verb/hook.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>

#include "hsctl/json.h"
#include "hsctl/path/pathsetup.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verbs.h"
#include "system/configfile.h"
#include "util/clock.h"
#include "util/macro.h"

static void on_alarm(int number)
{
	static const char text[] =
		"hsctl: it takes too long and is given up; the unit goes on, and "
		"hsd does the rest when it can\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)number;
	(void)n;
	_exit(EXIT_DONE);
}

/* Of somebody at a terminal; systemd ends commands by another signal. */
static void on_interrupt(int number)
{
	static const char text[] = "hsctl: interrupted; hsd goes on with it, see hsctl status\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)number;
	(void)n;
	_exit(EXIT_FAILED);
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_alarm};
	struct sigaction interrupt = {.sa_handler = on_interrupt};
	struct itimerval timer = {
		.it_value = {.tv_sec = HOOK_TIME / USEC_PER_SEC,
			     .tv_usec = HOOK_TIME % USEC_PER_SEC},
	};

	sigaction(SIGINT, &interrupt, NULL);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

int hook_begin(struct hook *hook, const struct arguments *arguments)
{
	*hook = (struct hook) {
		.arguments = arguments,
		.unit = arguments->given[0],
		.begun = now_usec(),
	};
	if (name_from_unit(hook->unit, hook->service, &hook->slot)) {
		complain("that is not the unit of a slot; hsctl %s takes a name such as "
			 "app@0.service, the number 0 to 15",
			 arguments->verb->name);
		return EXIT_USAGE;
	}
	catch_signals();
	return EXIT_DONE;
}

uint64_t hook_left(const struct hook *hook, uint64_t usec)
{
	uint64_t used = now_usec() - hook->begun;

	return used < usec ? usec - used : 0;
}

/* As systemd runs us, what is printed becomes an entry of the unit's journal. Not by
 * JOURNAL_STREAM: what a unit's environment says is its user's. */
static bool prints_to_journal(void)
{
	static const char journal[] = "/run/systemd/journal/stdout";
	struct sockaddr_un peer = {0};
	socklen_t size = sizeof(peer);

	return !getpeername(STDOUT_FILENO, (struct sockaddr *)&peer, &size) &&
	       peer.sun_family == AF_UNIX && !strcmp(peer.sun_path, journal);
}

static void print(const struct hook *hook, const char *sentence)
{
	_cleanup_(json_object_putp) json_object *object = NULL;

	if (!hook->arguments->json) {
		puts(sentence);
		return;
	}
	object = json_object_new_object();
	json_object_object_add(object, "service", json_object_new_string(hook->service));
	json_object_object_add(object, "slot", json_object_new_int(hook->slot));
	json_object_object_add(object, "message", json_object_new_string(sentence));
	puts(json_line(object));
}

int hook_end(const struct hook *hook)
{
	return hook->arguments->by_unit ? EXIT_DONE : hook->exit;
}

/* It is not done, for a reason. A unit's journal has what is printed. */
static void refuse(struct hook *hook, int exit, const struct problem *problem)
{
	hook->exit = exit;
	if (hook->arguments->by_unit)
		print(hook, problem->text);
	else
		complain("%s", problem->text);
}

enum client_answer hook_ask(struct hook *hook, const char *method, uint64_t timeout_usec)
{
	_cleanup_(reply_done) struct reply reply = {0};
	_cleanup_(json_object_putp) json_object *object = NULL;
	struct client_call call = {
		.method = method,
		.timeout_usec = verb_timeout(hook->arguments, timeout_usec),
	};
	enum client_answer answer = client_ask(hook->arguments, &call, &reply, "s", hook->unit);

	if (answer == CLIENT_REFUSED) {
		/* what hsd has a reason against is not done behind its back */
		refuse(hook, reply.exit, &reply.problem);
		return CLIENT_ANSWERED;
	}
	object = json_parse(reply.text);
	if (answer == CLIENT_ANSWERED)
		print(hook, json_text(object, "message"));
	return answer;
}

bool hook_open(struct hook *hook, struct direct *ret_direct)
{
	struct direct direct = {0};
	struct problem problem = {0};
	int r, config;

	snprintf(direct.service, sizeof(direct.service), "%s", hook->service);
	config = configfile_load(hook->service, &direct.config, NULL);
	if (config == -ENOENT) {
		problem_set(&problem, config, "%s is not enabled; nothing to do", hook->service);
		refuse(hook, EXIT_FAILED, &problem);
		return false;
	}
	if (config < 0) /* better a service with the defaults than none */
		config_init(&direct.config);
	else if (hook->slot >= direct.config.slots) {
		problem_set(&problem, 0, "%s has %u slots and no slot %u; raise Slots= in %s.conf",
			    hook->service, direct.config.slots, hook->slot, hook->service);
		refuse(hook, EXIT_REFUSED, &problem);
		return false;
	}
	if (netns_join_init() < 0)
		complain("the network namespace of PID 1 cannot be entered: %m");
	if (accounting_open(&direct.accounting, &problem) < 0)
		complain("connections are not counted: %s", problem.text);
	problem_set(&problem, 0, "%s: its kernel side could not be made", hook->service);
	r = plane_create(hook->service, direct.accounting, &direct.plane, &problem);
	if (r < 0) {
		direct_close(&direct);
		hook->exit = EXIT_FAILED;
		hook_tell(hook, JOURNAL_PROBLEM, LOG_ERR, &problem);
		return false;
	}
	if (!config)
		plane_set_flow(direct.plane, &direct.config);
	direct.systemd = direct_systemd();
	*ret_direct = direct;
	return true;
}

void hook_make_paths(const struct hook *hook, bool folders)
{
	struct journal_scope scope = {hook->service, hook->slot, LOG_WARNING};
	struct problem problem = {0};
	struct config config;
	int r = 0;

	if (configfile_load(hook->service, &config, NULL) < 0 || hook->slot >= config.slots)
		return;
	if (folders)
		r = pathsetup_folders(hook->service, hook->slot, &config, &problem);
	if (r >= 0)
		r = pathsetup_links(hook->service, &config, &problem);
	if (r >= 0)
		return;
	journal_log(JOURNAL_PROBLEM, &scope, "%s: slot %u: %s", hook->service, hook->slot,
		    problem.text);
	complain("%s", problem.text);
}

void hook_note(const struct hook *hook, int priority, const struct problem *sentence)
{
	struct journal_scope scope = {hook->service, hook->slot, priority};

	journal_log(JOURNAL_PREPARE, &scope, "%s", sentence->text);
	if (!prints_to_journal())
		print(hook, sentence->text);
}

void hook_tell(const struct hook *hook, enum journal_kind kind, int priority,
	       const struct problem *sentence)
{
	struct journal_scope scope = {hook->service, hook->slot, priority};

	journal_log(kind, &scope, "%s (done by hsctl, without hsd)", sentence->text);
	if (!prints_to_journal()) /* once is enough */
		print(hook, sentence->text);
}
