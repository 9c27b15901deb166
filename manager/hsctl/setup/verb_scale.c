// SPDX-License-Identifier: GPL-2.0-or-later
/* scale: how many slots are at work under policy hash. Each step leaves all as it should be,
 * whatever becomes of us behind it; the same command again goes on. */
#include <string.h>
#include <unistd.h>

#include "core/name.h"
#include "hsctl/json.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "system/configfile.h"
#include "system/unit/unitask.h"
#include "system/unit/units.h"
#include "util/clock.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/parse.h"
#include "util/strings.h"

/* Behind those that people write. */
#define DROP_IN		 "zz-scale.conf"
#define START_TIMEOUT	 (5 * 60 * USEC_PER_SEC)
#define READY_TIMEOUT	 (60 * USEC_PER_SEC)
#define DEADLINE_DEFAULT (5 * 60 * USEC_PER_SEC)
#define FINISH_TIMEOUT	 (15 * 60 * USEC_PER_SEC)
#define LOOK_AGAIN	 (20 * USEC_PER_MSEC)
/* Where connections are waited for: that may take long. */
#define LOOK_AT_DRAIN (100 * USEC_PER_MSEC)

struct scale {
	const struct arguments *arguments;
	char service[SERVICE_NAME_MAX];
	unsigned wanted;
	uint64_t deadline_usec;
	sd_bus *systemd;
	struct config config; /* as it was */
	bool at_boot;	      /* slot 0's unit is enabled */
	struct reply reply;
};

static int fail(struct scale *scale, const struct problem *problem)
{
	reply_fail(&scale->reply, EXIT_FAILED, "%s: %.400s", scale->service, problem->text);
	return EXIT_FAILED;
}

static void tell(const struct scale *scale, const char *what, unsigned slot)
{
	if (!scale->arguments->json && isatty(STDERR_FILENO))
		fprintf(stderr, "%s slot %u...\n", what, slot);
}

/* ---- asking hsd ---- */

/* EXIT_DONE, or what the reply says. Without hsd nobody would see to the rest. */
static int ask(struct scale *scale, const struct client_call *call, const char *types, uint32_t a,
	       uint64_t b)
{
	enum client_answer answer;

	reply_done(&scale->reply);
	scale->reply = (struct reply) {0};
	answer = !strcmp(types, "ut")
			 ? client_ask(scale->arguments, call, &scale->reply, "ut", a, b)
		 : types[0] ? client_ask(scale->arguments, call, &scale->reply, "u", a)
			    : client_ask(scale->arguments, call, &scale->reply, "");
	if (answer == CLIENT_ABSENT)
		reply_fail(&scale->reply, EXIT_FAILED,
			   "%s: hsd does not run, and without it nobody adopts what is started; "
			   "systemctl start hsd, then once more",
			   scale->service);
	return scale->reply.exit;
}

static struct client_call call_of(const struct scale *scale, const char *method, uint64_t usec)
{
	return (struct client_call) {
		.service = scale->service,
		.method = method,
		.timeout_usec = verb_timeout(scale->arguments, usec),
	};
}

static int set_slots(struct scale *scale)
{
	struct client_call call = call_of(scale, "SetSlots", VERB_TIMEOUT);

	return ask(scale, &call, "u", scale->wanted, 0);
}

static int drain(struct scale *scale, unsigned slot, uint64_t patience_usec)
{
	struct client_call call = call_of(scale, "Drain", patience_usec + FINISH_TIMEOUT);

	return ask(scale, &call, "ut", slot, patience_usec);
}

static int describe(struct scale *scale, json_object **ret_status)
{
	struct client_call call = call_of(scale, "Describe", VERB_TIMEOUT);
	int exit = ask(scale, &call, "", 0, 0);

	*ret_status = exit == EXIT_DONE && scale->reply.text ? json_parse(scale->reply.text) : NULL;
	if (exit == EXIT_DONE && !*ret_status)
		reply_fail(&scale->reply, EXIT_FAILED, "%s: hsd's answer makes no sense",
			   scale->service);
	return scale->reply.exit;
}

/* ---- settings ---- */

/* As many as are wanted, at least as many as there may be. */
static unsigned slots_setting(const struct scale *scale)
{
	return MAX(scale->wanted, (unsigned)CONFIG_SLOTS_MIN);
}

static int write_drop_in(struct scale *scale, struct problem *problem)
{
	_cleanup_(freep) char *folder = configfile_path(scale->service, ".d");
	_cleanup_(freep) char *path = format("%s/" DROP_IN, folder ?: "");
	_cleanup_(freep) char *text =
		format("# Written by hsctl scale.\n[" CONFIG_SECTION "]\nSlots=%u\n",
		       slots_setting(scale));
	int r = folder && path && text ? make_folders(folder, 0755) : -ENOMEM;

	if (r >= 0)
		r = file_write(path, text, 0644);
	return r < 0 ? problem_set(problem, r, "%s cannot be written: %s", path ?: "its drop-in",
				   strerror(-r))
		     : 0;
}

/* A drop-in of another name may come behind ours. */
static int check_setting(struct scale *scale, struct problem *problem)
{
	struct config config;
	int r = configfile_load(scale->service, &config, problem);

	if (r < 0)
		return r;
	return config.slots == slots_setting(scale)
		       ? 0
		       : problem_set(problem, -EINVAL,
				     "Slots=%u stands in a file that counts after " DROP_IN
				     "; see hsctl config %s, and take it out there",
				     config.slots, scale->service);
}

static int set_setting(struct scale *scale)
{
	struct problem problem = {0};

	if (scale->config.slots == slots_setting(scale))
		return EXIT_DONE;
	if (write_drop_in(scale, &problem) < 0 || check_setting(scale, &problem) < 0)
		return fail(scale, &problem);
	(void)verb_tell_manager(scale->arguments);
	scale->config.slots = slots_setting(scale);
	return EXIT_DONE;
}

/* ---- units ---- */

/* Slots from `first` up to below `end`. That they are not started at boot harms nobody now. */
static void set_boot(const struct scale *scale, unsigned first, unsigned end, bool on)
{
	_cleanup_(strings_freep) char **units = NULL;
	char unit[UNIT_NAME_MAX];

	for (unsigned slot = first; slot < end; slot++) {
		(void)name_unit(scale->service, slot, unit, sizeof(unit));
		if (strings_add(&units, unit) < 0)
			return;
	}
	if (units)
		(void)unitask_enable(scale->systemd, units, on);
}

static bool is_at_boot(const struct scale *scale)
{
	char unit[UNIT_NAME_MAX];

	(void)name_unit(scale->service, 0, unit, sizeof(unit));
	return unitask_is_enabled(scale->systemd, unit);
}

static int run_job(struct scale *scale, enum unit_action action, unsigned slot)
{
	struct problem problem = {0};
	char unit[UNIT_NAME_MAX];

	(void)name_unit(scale->service, slot, unit, sizeof(unit));
	if (units_run_job(scale->systemd, action, unit, START_TIMEOUT, &problem) >= 0)
		return EXIT_DONE;
	reply_fail(&scale->reply, EXIT_FAILED,
		   "%s: %.200s; the others serve all clients; see journalctl -u %s, mend it, and "
		   "say the same again",
		   scale->service, problem.text, unit);
	return EXIT_FAILED;
}

/* ---- upwards ---- */

static const char *state_of(json_object *status, unsigned slot)
{
	json_object *slots = json_array(status, "slots");

	return slot < json_count(slots) ? json_text(json_object_array_get_idx(slots, slot), "state")
					: "";
}

/* -1: not all slots that are wanted are ready; their first one. */
static bool are_ready(json_object *status, unsigned wanted, unsigned *ret_missing)
{
	for (unsigned slot = 0; slot < wanted; slot++)
		if (strcmp(state_of(status, slot), "ready")) {
			*ret_missing = slot;
			return false;
		}
	return true;
}

static bool is_running(const char *state)
{
	/* of a slot that has just come to be hsd may not have heard yet */
	return state[0] && strcmp(state, "down") && strcmp(state, "failed") &&
	       strcmp(state, "unknown");
}

/* One that was drained is in service again, as by `hsctl adopt`. */
static int take_back(struct scale *scale, unsigned slot)
{
	struct client_call call = {.method = "Adopt",
				   .timeout_usec = verb_timeout(scale->arguments, VERB_TIMEOUT)};
	char unit[UNIT_NAME_MAX];

	(void)name_unit(scale->service, slot, unit, sizeof(unit));
	reply_done(&scale->reply);
	scale->reply = (struct reply) {0};
	(void)client_ask(scale->arguments, &call, &scale->reply, "s", unit);
	return scale->reply.exit;
}

static int start_missing(struct scale *scale)
{
	_cleanup_(json_object_putp) json_object *status = NULL;
	int exit = describe(scale, &status);

	if (exit == EXIT_DONE && scale->at_boot)
		set_boot(scale, 0, scale->wanted, true);
	for (unsigned slot = 0; exit == EXIT_DONE && slot < scale->wanted; slot++) {
		if (!strcmp(state_of(status, slot), "leaving"))
			exit = take_back(scale, slot);
		if (is_running(state_of(status, slot)))
			continue;
		tell(scale, "starting", slot);
		exit = run_job(scale, UNIT_START, slot);
	}
	return exit;
}

static int await_ready(struct scale *scale)
{
	uint64_t until = now_usec() + verb_timeout(scale->arguments, READY_TIMEOUT);
	unsigned missing = 0;
	int exit;

	for (;;) {
		_cleanup_(json_object_putp) json_object *status = NULL;

		exit = describe(scale, &status);
		if (exit != EXIT_DONE || are_ready(status, scale->wanted, &missing))
			return exit;
		if (now_usec() >= until)
			break;
		usleep(LOOK_AGAIN);
	}
	reply_fail(&scale->reply, EXIT_FAILED,
		   "%s: slot %u is not ready yet, and gets its clients as soon as it is; see hsctl "
		   "status %s",
		   scale->service, missing, scale->service);
	return EXIT_FAILED;
}

/* ---- downwards ---- */

/* What a slot is doing now: to wait for the one before it may have taken minutes. */
struct look {
	bool ready, leaving;
	bool runs;
	bool drains; /* hsd drains a slot, whoever has asked for it; one at a time */
};

static int look_at(struct scale *scale, unsigned slot, struct look *ret_look)
{
	_cleanup_(json_object_putp) json_object *status = NULL;
	int exit = describe(scale, &status);
	const char *state = state_of(status, slot);

	*ret_look = (struct look) {
		.ready = !strcmp(state, "ready"),
		.leaving = !strcmp(state, "leaving"),
		.runs = is_running(state),
		.drains = !strcmp(json_text(status, "change"), "drain"),
	};
	return exit;
}

/* Its clients have gone to the others by now, and their connections have not: also where a drain
 * has begun before. What hsd waits for already is waited for, and not begun anew. */
static int end_slot(struct scale *scale, unsigned slot)
{
	uint64_t until = now_usec() + scale->deadline_usec, now;
	struct look look;
	int exit = look_at(scale, slot, &look);

	if (exit == EXIT_DONE && (look.ready || look.leaving))
		tell(scale, "waiting for the connections of", slot);
	while (exit == EXIT_DONE && (look.ready || look.leaving) && look.drains &&
	       now_usec() < until) {
		usleep(LOOK_AT_DRAIN);
		exit = look_at(scale, slot, &look);
	}
	now = MIN(now_usec(), until);
	if (exit == EXIT_DONE && (look.ready || (look.leaving && now < until)))
		exit = drain(scale, slot, until - now);
	if (exit == EXIT_DONE && look.runs)
		exit = run_job(scale, UNIT_STOP, slot);
	return exit;
}

static int end_surplus(struct scale *scale)
{
	int exit = EXIT_DONE;

	if (scale->wanted < scale->config.slots)
		set_boot(scale, scale->wanted, scale->config.slots, false);
	for (unsigned slot = scale->wanted; exit == EXIT_DONE && slot < scale->config.slots; slot++)
		exit = end_slot(scale, slot);
	return exit;
}

/* ---- the verb ---- */

static int check_policy(struct scale *scale)
{
	_cleanup_(json_object_putp) json_object *status = NULL;
	int exit = describe(scale, &status);

	/* without a table, or with one that cannot be worked with: hsd says so */
	if (exit == EXIT_DONE && !json_text(status, "by")[0] &&
	    !strcmp(json_text(status, "policy"), "hash"))
		return set_slots(scale);
	if (exit == EXIT_DONE && !json_text(status, "by")[0])
		reply_fail(&scale->reply, EXIT_REFUSED,
			   "%s: the policy is %s, and only under policy hash is more than one slot "
			   "at work; hsctl policy %s hash --by=client",
			   scale->service, json_text(status, "policy"), scale->service);
	return scale->reply.exit;
}

/* Where the first one is refused nothing has changed. */
static int run(struct scale *scale)
{
	bool grows = slots_setting(scale) > scale->config.slots;
	int exit = check_policy(scale);

	if (exit == EXIT_DONE && !grows)
		exit = set_slots(scale);
	if (exit == EXIT_DONE && grows)
		exit = set_setting(scale);
	if (exit == EXIT_DONE)
		exit = start_missing(scale);
	if (exit == EXIT_DONE)
		exit = await_ready(scale);
	if (exit == EXIT_DONE)
		exit = end_surplus(scale);
	if (exit == EXIT_DONE)
		exit = set_setting(scale);
	/* the last answer is what is shown */
	return exit == EXIT_DONE ? set_slots(scale) : exit;
}

static int read_order(const struct arguments *arguments, struct scale *scale)
{
	const char *deadline = arguments->texts[TEXT_DEADLINE];
	uint64_t wanted;

	if (parse_unsigned(arguments->given[1], 1, HS_SLOTS_MAX, &wanted) < 0) {
		complain("\"%.40s\" is no number of slots; a service has 1 to %u at work, such as: "
			 "hsctl scale %s 4",
			 arguments->given[1], HS_SLOTS_MAX, scale->service);
		return EXIT_USAGE;
	}
	scale->wanted = (unsigned)wanted;
	scale->deadline_usec = DEADLINE_DEFAULT;
	if (deadline && (parse_span(deadline, &scale->deadline_usec) < 0 ||
			 scale->deadline_usec > CONFIG_DRAIN_MAX)) {
		complain("\"%.40s\" is no value for --deadline; it takes a time of at most 7d, "
			 "such as 30s or 5min",
			 deadline);
		return EXIT_USAGE;
	}
	return EXIT_DONE;
}

int verb_scale(const struct arguments *arguments)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *systemd = NULL;
	struct scale scale = {.arguments = arguments};
	struct problem problem = {0};
	char range[24] = " is";

	if (verb_service(arguments, scale.service) || read_order(arguments, &scale))
		return EXIT_USAGE;
	if (configfile_load(scale.service, &scale.config, &problem) < 0) {
		complain("%s: %s", scale.service,
			 problem.text[0] ? problem.text
					 : "it is not under hotstandby; see hsctl list");
		return EXIT_FAILED;
	}
	if (config_is_front(&scale.config.front)) {
		complain("%s: its slots are hosts, which are named in its settings: hsctl edit %s; "
			 "what a host gets says hsctl weight",
			 scale.service, scale.service);
		return EXIT_REFUSED;
	}
	if (client_open(arguments, &systemd, &problem) < 0) {
		complain("%s: %s", scale.service, problem.text);
		return EXIT_FAILED;
	}
	scale.systemd = systemd;
	if (scale.wanted > 1)
		snprintf(range, sizeof(range), " to %u are", scale.wanted - 1);
	scale.at_boot = is_at_boot(&scale);
	if (run(&scale) != EXIT_DONE || arguments->json)
		return verb_end(arguments, &scale.reply);
	/* who asks again has it said, too */
	printf("%s: slot%s 0%s at work, and ha%s all clients.\n", scale.service,
	       scale.wanted > 1 ? "s" : "", range, scale.wanted > 1 ? "ve" : "s");
	reply_done(&scale.reply);
	return EXIT_DONE;
}
