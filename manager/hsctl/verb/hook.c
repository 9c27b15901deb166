// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/verb/hook.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>

#include "hsctl/client.h"
#include "hsctl/json.h"
#include "hsctl/path/pathsetup.h"
#include "hsctl/standin.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "hsctl/verbs.h"
#include "system/configfile.h"
#include "util/clock.h"
#include "util/macro.h"

/* All that is done here has to be so by then, counted from the start: a little before the alarm. */
#define WHOLE_TIME (HOOK_TIME - 200 * USEC_PER_MSEC)
/* How long systemd may take to tell of the slots. */
#define FACTS_TIME (1500 * USEC_PER_MSEC)

static const char too_long[] = "it takes too long and is given up; the unit goes on, and hsd does "
			       "the rest when it can";

static void on_alarm(int number)
{
	ssize_t n = write(STDERR_FILENO, "hsctl: ", 7) +
		    write(STDERR_FILENO, too_long, sizeof(too_long) - 1) +
		    write(STDERR_FILENO, "\n", 1);

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

/* CLIENT_ANSWERED: it is settled, and the sentence told. CLIENT_ABSENT: nobody was asked. With the
 * others hsd may have begun and not come to the end. */
static enum client_answer ask(struct hook *hook, const char *method, uint64_t timeout_usec)
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

/* ---- without hsd ---- */

/* Nothing is made for one that is not. */
static bool is_enabled(struct hook *hook)
{
	struct problem problem = {0};
	struct config config;

	if (configfile_load(hook->service, &config, NULL) != -ENOENT)
		return true;
	problem_set(&problem, 0, "%s is not enabled; nothing to do", hook->service);
	refuse(hook, EXIT_FAILED, &problem);
	return false;
}

static struct standin *open_standin(struct hook *hook, bool resumes)
{
	_cleanup_(standin_freep) struct standin *standin = NULL;
	uint64_t until = hook->begun + WHOLE_TIME, now;
	struct problem problem = {0};
	struct service *service;
	int r = standin_open_hook(until, resumes, &standin, &problem);

	if (r >= 0)
		r = standin_add(standin, hook->service, &service);
	if (r < 0) {
		problem_set(&problem, r, "%s cannot be taken up: %s", hook->service, strerror(-r));
		refuse(hook, EXIT_FAILED, &problem);
		return NULL;
	}
	now = now_usec();
	standin_await_facts(standin, MIN(FACTS_TIME, (until - MIN(now, until)) / 2));
	return steal_ptr(&standin);
}

static void tell(struct hook *hook, const struct reply *reply)
{
	_cleanup_(json_object_putp) json_object *object = json_parse(reply->text);
	const char *sentence = json_text(object, "message");
	struct journal_scope scope = {hook->service, hook->slot, LOG_ERR};

	if (reply->exit)
		sentence = reply->problem.text;
	if (reply->exit && !journal_said_last(sentence))
		journal_log(JOURNAL_PROBLEM, &scope, "%s", sentence);
	/* once is enough */
	if (journal_said_last(sentence) && prints_to_journal())
		hook->exit = reply->exit;
	else if (reply->exit)
		refuse(hook, reply->exit, &reply->problem);
	else
		print(hook, sentence);
}

static void do_here(struct hook *hook, hook_fn deed, bool resumes)
{
	_cleanup_(standin_freep) struct standin *standin = NULL;
	_cleanup_(reply_done) struct reply reply = {0};

	if (!is_enabled(hook))
		return;
	journal_sign(" (done by hsctl, without hsd)");
	standin = open_standin(hook, resumes);
	if (!standin)
		return;
	deed(standin_service(standin), hook->slot, standin_ask(standin, &reply));
	if (!standin_wait(standin, NULL, hook->begun + WHOLE_TIME))
		reply_fail(&reply, EXIT_FAILED, "%s: slot %u: %s", hook->service, hook->slot,
			   too_long);
	tell(hook, &reply);
	standin_settle(standin);
}

void hook_do(struct hook *hook, const char *method, uint64_t timeout_usec, hook_fn deed)
{
	enum client_answer answer = ask(hook, method, timeout_usec);

	if (answer != CLIENT_ANSWERED)
		do_here(hook, deed, answer != CLIENT_ABSENT);
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

void hook_note(const struct hook *hook, enum journal_kind kind, int priority,
	       const struct problem *sentence)
{
	struct journal_scope scope = {hook->service, hook->slot, priority};

	journal_log(kind, &scope, "%s", sentence->text);
	if (!prints_to_journal())
		print(hook, sentence->text);
}
