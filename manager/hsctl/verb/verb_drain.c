// SPDX-License-Identifier: GPL-2.0-or-later
/* drain: takes a slot out of service and waits until its connections have ended, bounded. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "hsctl/apart.h"
#include "hsctl/direct.h"
#include "hsctl/json.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verbs.h"
#include "hsctl/wrap.h"
#include "plane/act/retire.h"
#include "system/configfile.h"
#include "util/clock.h"
#include "util/macro.h"
#include "util/parse.h"

#define LOOK_EVERY_MS	 100
#define SPEAK_EVERY	 (5 * USEC_PER_SEC) /* where there is no terminal */
#define DEADLINE_DEFAULT (5 * 60 * USEC_PER_SEC)
#define STOP_TIMEOUT	 (15 * 60 * USEC_PER_SEC)
#define RETIRE_TIMEOUT	 (30 * USEC_PER_SEC)

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

struct drain {
	const struct arguments *arguments;
	char service[SERVICE_NAME_MAX], unit[UNIT_NAME_MAX];
	unsigned slot;
	uint64_t begun, deadline, spoken; /* microseconds, monotonic */
	int64_t at_first, left;		  /* connections, and clients of UDP */
	int64_t clients;		  /* of UDP, of those */
	bool blind;			  /* they could not be counted */
	json_object *last; /* what those left at the deadline are doing; NULL: none */
	struct config config;
};

static int read_order(const struct arguments *a, struct drain *drain)
{
	const char *deadline = a->texts[TEXT_DEADLINE];
	uint64_t slot, span = DEADLINE_DEFAULT;

	if (verb_service(a, drain->service))
		return EXIT_USAGE;
	if (parse_unsigned(a->given[1], 0, HS_SLOTS_MAX - 1, &slot) < 0) {
		complain("\"%.40s\" is not the number of a slot", a->given[1]);
		return EXIT_USAGE;
	}
	if (deadline && (parse_span(deadline, &span) < 0 || span > CONFIG_DRAIN_MAX)) {
		complain(
			"\"%.40s\" is no value for --deadline; it takes a time of at most 7d, such "
			"as 30s or 5min",
			deadline);
		return EXIT_USAGE;
	}
	drain->slot = slot;
	drain->begun = now_usec();
	drain->deadline = drain->begun + span;
	name_unit(drain->service, drain->slot, drain->unit, sizeof(drain->unit));
	return 0;
}

/* ---- looking ---- */

static json_object *look(const struct drain *drain)
{
	_cleanup_(reply_done) struct reply reply = {0};
	bool direct;

	if (verb_describe(drain->arguments, drain->service, &reply, &direct)) {
		complain("%s", reply.problem.text);
		return NULL;
	}
	return json_parse(reply.text);
}

/* At the deadline: who holds on, and are they doing anything? Too late to look afterwards. Not
 * while it goes on, for that would be dear with very many. */
static json_object *look_closer(const struct drain *drain)
{
	struct connections_query query = {.idle_usec = CONNECTIONS_IDLE_USEC};
	_cleanup_(reply_done) struct reply reply = {0};
	bool direct;

	if (verb_inspect(drain->arguments, drain->service, &query, &reply, &direct))
		return NULL;
	return json_parse(reply.text);
}

static json_object *slot_of(json_object *status, unsigned slot)
{
	json_object *slots = json_array(status, "slots");

	return slot < json_count(slots) ? json_object_array_get_idx(slots, slot) : NULL;
}

static bool is_state(json_object *slot, const char *state)
{
	return !strcmp(json_text(slot, "state"), state);
}

/* Connections, and clients of UDP that the server has a socket for: those stay with it. */
static int64_t left_on(json_object *slot)
{
	return json_number(slot, "connections", 0) + json_number(slot, "udp_clients", 0);
}

/* It serves UDP, and who is connected there could not be listed. */
static bool is_blind(json_object *status, unsigned slot)
{
	json_object *listeners = json_array(status, "listeners");
	bool udp = false;

	for (size_t i = 0; i < json_count(listeners); i++)
		udp |= !strcmp(json_text(json_object_array_get_idx(listeners, i), "protocol"),
			       "udp");
	return udp && json_number(slot_of(status, slot), "udp_clients", -1) < 0;
}

/* Refused where nobody would take over: a drain must not take the service away. */
static int gate(struct drain *drain)
{
	_cleanup_(json_object_putp) json_object *status = look(drain);
	json_object *slot = slot_of(status, drain->slot);
	bool other = false;

	if (!status)
		return EXIT_FAILED;
	if (!slot) {
		complain("%s has no slot %u; see hsctl status %s", drain->service, drain->slot,
			 drain->service);
		return EXIT_REFUSED;
	}
	for (unsigned i = 0; slot_of(status, i); i++)
		other |= i != drain->slot && is_state(slot_of(status, i), "ready");
	if (!is_state(slot, "ready") && !is_state(slot, "leaving")) {
		complain("%s: slot %u is %s, there is nothing to drain", drain->service,
			 drain->slot, json_text(slot, "state"));
		return EXIT_REFUSED;
	}
	if (!other) {
		complain("%s: no other slot is ready to take over from slot %u; start one: "
			 "systemctl "
			 "start %s@N",
			 drain->service, drain->slot, drain->service);
		return EXIT_REFUSED;
	}
	drain->at_first = drain->left = left_on(slot);
	return 0;
}

static int retire(const struct drain *drain)
{
	_cleanup_(reply_done) struct reply reply = {0};
	struct client_call call = {.method = "Retire", .timeout_usec = RETIRE_TIMEOUT};

	if (client_ask(drain->arguments, &call, &reply, "s", drain->unit) == CLIENT_ANSWERED)
		return 0;
	complain("slot %u of %s could not be taken out of service: %s", drain->slot, drain->service,
		 reply.problem.text);
	return EXIT_FAILED;
}

/* ---- telling ---- */

/* How long it will go on at the pace so far. */
static void estimate(const struct drain *drain, uint64_t now, char text[SPAN_TEXT_MAX])
{
	int64_t gone = MAX(drain->at_first - drain->left, 0);
	uint64_t span = USEC_INFINITY;

	if (gone > 0)
		span = (now - drain->begun) / gone * drain->left / USEC_PER_SEC * USEC_PER_SEC;
	if (gone <= 0)
		snprintf(text, SPAN_TEXT_MAX, "?");
	else
		span_format(MAX(span, USEC_PER_SEC), text, SPAN_TEXT_MAX);
}

static void speak(struct drain *drain, bool terminal)
{
	char pace[SPAN_TEXT_MAX], limit[SPAN_TEXT_MAX], line[192];
	uint64_t now = now_usec();

	if (drain->arguments->json || (!terminal && now < drain->spoken + SPEAK_EVERY))
		return;
	drain->spoken = now;
	estimate(drain, now, pace);
	span_format((drain->deadline > now ? drain->deadline - now : 0) / USEC_PER_SEC *
			    USEC_PER_SEC,
		    limit, sizeof(limit));
	snprintf(line, sizeof(line),
		 "drain: %" PRId64 " connections left on slot %u, about %s at this pace, deadline "
		 "in %s",
		 drain->left, drain->slot, pace, limit);
	if (terminal)
		printf("\r\033[K%.*s", wrap_fits(line, wrap_width(STDOUT_FILENO)), line);
	else
		puts(line);
	fflush(stdout);
}

static int wait_for_end(struct drain *drain)
{
	bool terminal = isatty(STDOUT_FILENO);

	for (; !interrupted; poll(NULL, 0, LOOK_EVERY_MS)) {
		_cleanup_(json_object_putp) json_object *status = look(drain);

		if (!status)
			return EXIT_FAILED;
		drain->left = left_on(slot_of(status, drain->slot));
		drain->clients = json_number(slot_of(status, drain->slot), "udp_clients", 0);
		drain->blind = is_blind(status, drain->slot);
		if (!drain->left || now_usec() >= drain->deadline)
			break;
		speak(drain, terminal);
	}
	if (terminal && !drain->arguments->json)
		fputs("\r\033[K", stdout);
	if (drain->left && !interrupted)
		drain->last = look_closer(drain);
	return 0;
}

/* " The oldest: 2h 5min. Idle for 1min or longer: 2, the idlest for 12min." */
static void add_last(const struct drain *drain, struct problem *message)
{
	json_object *slot = slot_of(drain->last, drain->slot);
	int64_t oldest = json_number(slot, "oldest_ms", -1), idle = json_number(slot, "idle", -1);
	uint64_t idlest = MAX(json_number(slot, "longest_idle_ms", 0), 0) * USEC_PER_MSEC;
	char age[SPAN_TEXT_MAX], after[SPAN_TEXT_MAX], span[SPAN_TEXT_MAX];
	size_t length = strlen(message->text);

	if (oldest < 0 || idle < 0)
		return;
	snprintf(message->text + length, sizeof(message->text) - length,
		 " The oldest: %s. Idle for %s or longer: %" PRId64 ", the idlest for %s.",
		 span_format(oldest * USEC_PER_MSEC, age, sizeof(age)),
		 span_format(CONNECTIONS_IDLE_USEC, after, sizeof(after)), idle,
		 span_format(idlest, span, sizeof(span)));
}

static void add_last_json(const struct drain *drain, json_object *object)
{
	static const char *const keys[] = {"oldest_ms", "idle", "longest_idle_ms"};
	json_object *slot = slot_of(drain->last, drain->slot);

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		json_object *value = NULL;

		if (slot)
			json_object_object_get_ex(slot, keys[i], &value);
		json_object_object_add(object, keys[i], json_object_get(value));
	}
}

static int end(const struct drain *drain, const char *outcome, const char *template, ...)
	__attribute__((format(printf, 3, 4)));
static int end(const struct drain *drain, const char *outcome, const char *template, ...)
{
	json_object *object = json_object_new_object();
	struct problem message;
	va_list args;

	va_start(args, template);
	vsnprintf(message.text, sizeof(message.text), template, args);
	va_end(args);
	add_last(drain, &message);
	json_object_object_add(object, "service", json_object_new_string(drain->service));
	json_object_object_add(object, "slot", json_object_new_int(drain->slot));
	json_object_object_add(object, "outcome", json_object_new_string(outcome));
	json_object_object_add(object, "finished",
			       json_object_new_int64(MAX(drain->at_first - drain->left, 0)));
	json_object_object_add(object, "remaining", json_object_new_int64(drain->left));
	json_object_object_add(object, "duration_us",
			       json_object_new_uint64(now_usec() - drain->begun));
	add_last_json(drain, object);
	json_object_object_add(object, "message", json_object_new_string(message.text));
	puts(drain->arguments->json ? json_line(object) : message.text);
	json_object_put(object);
	return EXIT_DONE;
}

/* ---- the deadline ---- */

static int stop_it(const struct drain *drain)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *systemd = direct_systemd();
	struct problem problem = {0};

	if (!systemd ||
	    units_run_job(systemd, UNIT_STOP, drain->unit, STOP_TIMEOUT, &problem) < 0) {
		complain("%s could not be stopped: %s", drain->unit,
			 systemd ? problem.text : "systemd cannot be asked");
		return EXIT_FAILED;
	}
	return end(drain, "stopped",
		   "%s: at the deadline %" PRId64
		   " connections were left on slot %u; it was stopped.",
		   drain->service, drain->left, drain->slot);
}

static void tell_reset(const struct connection *connection)
{
	char text[CONNECTION_TEXT_MAX];

	apart_step(connection_describe(connection, text));
}

struct resetting {
	struct plane *plane;
	unsigned slot;
};

/* To end a connection takes its lock, which the instance may hold. */
static int do_reset(void *data)
{
	const struct resetting *resetting = data;

	return reset_connections(resetting->plane, resetting->slot, tell_reset);
}

static int reset_them(const struct drain *drain)
{
	_cleanup_(direct_close) struct direct direct = {0};
	struct resetting resetting = {.slot = drain->slot};
	struct problem problem = {0};
	int n;

	if (direct_open(drain->service, &direct, &problem) < 0) {
		complain("%s", problem.text);
		return EXIT_FAILED;
	}
	resetting.plane = direct.plane;
	n = apart_run(do_reset, &resetting, sizeof(resetting), &problem);
	if (n < 0) {
		complain("the connections of slot %u could not be reset: %s", drain->slot,
			 problem.text[0] ? problem.text : strerror(-n));
		return EXIT_FAILED;
	}
	return end(drain, "reset", "%s: at the deadline %d connections of slot %u were reset%s.",
		   drain->service, n, drain->slot,
		   drain->clients ? "; clients of UDP cannot be, and go on" : "");
}

static int finish(const struct drain *drain)
{
	if (interrupted) {
		complain("interrupted; slot %u of %s stays out of service with %" PRId64
			 " connections; back with: hsctl adopt %s",
			 drain->slot, drain->service, drain->left, drain->unit);
		return EXIT_FAILED;
	}
	if (!drain->left)
		return end(drain, "drained",
			   "%s: slot %u has no connection left (%" PRId64
			   " finished)%s. Stop it with systemctl stop %s, or take it back with "
			   "hsctl adopt %s.",
			   drain->service, drain->slot, drain->at_first,
			   drain->blind ? "; clients of UDP that it has a socket for could not be "
					  "listed, and may be there"
					: "",
			   drain->unit, drain->unit);
	if (drain->config.drain_end == DRAIN_END_STOP)
		return stop_it(drain);
	if (drain->config.drain_end == DRAIN_END_RESET)
		return reset_them(drain);
	return end(drain, "kept",
		   "%s: at the deadline %" PRId64
		   " connections are left on slot %u; they go on (DrainEnd=keep).",
		   drain->service, drain->left, drain->slot);
}

int verb_drain(const struct arguments *arguments)
{
	struct drain drain = {.arguments = arguments};
	struct sigaction action = {.sa_handler = on_signal};
	int r = read_order(arguments, &drain);

	if (r)
		return r;
	if (configfile_load(drain.service, &drain.config, NULL) < 0)
		config_init(&drain.config);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	r = gate(&drain);
	if (!r)
		r = retire(&drain);
	if (r)
		return r;
	r = wait_for_end(&drain);
	if (!r)
		r = finish(&drain);
	json_object_put(drain.last);
	return r;
}
