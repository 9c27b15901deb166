// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/units.h"

#include <signal.h>
#include <string.h>

#include "util/clock.h"
#include "util/macro.h"
#include "util/strings.h"

#define SYSTEMD		"org.freedesktop.systemd1"
#define SYSTEMD_PATH	"/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"
#define PROPERTIES	"org.freedesktop.DBus.Properties"

/* What a set of properties says, before it is put together. */
struct raw {
	char active[32], sub[32];
	uint64_t started, ready; /* CLOCK_MONOTONIC, of the last run; 0 = never */
};

struct unit_watch {
	sd_bus *bus;
	char *path;
	struct unit_facts facts;
	unit_changed_fn on_changed;
	void *userdata;
	sd_bus_slot *match, *call;
	bool again; /* a change came in while an answer was awaited */
};

struct unit_job {
	sd_bus *bus;
	char *path; /* of systemd's job object, once known */
	unit_job_fn on_end;
	void *userdata;
	sd_bus_slot *match, *call;
};

DEFINE_CLEANUP(struct unit_watch, unit_watch_free)
DEFINE_CLEANUP(struct unit_job, unit_job_free)

void unit_facts_done(struct unit_facts *facts)
{
	strings_free(facts->triggered_by);
	strings_free(facts->required);
	facts->triggered_by = facts->required = NULL;
}

static int read_text(sd_bus_message *m, char *text, size_t size)
{
	const char *value;
	int r = sd_bus_message_read(m, "v", "s", &value);

	if (r >= 0)
		snprintf(text, size, "%s", value);
	return r;
}

static int read_list(sd_bus_message *m, char ***list)
{
	_cleanup_(strings_freep) char **more = NULL;
	int r = sd_bus_message_enter_container(m, 'v', "as");

	if (r >= 0)
		r = sd_bus_message_read_strv(m, &more);
	for (size_t i = 0; r >= 0 && more && more[i]; i++)
		r = strings_add(list, more[i]);
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_invocation(sd_bus_message *m, char text[33])
{
	const void *bytes;
	size_t n;
	int r = sd_bus_message_enter_container(m, 'v', "ay");

	if (r >= 0)
		r = sd_bus_message_read_array(m, 'y', &bytes, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n && i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x", ((const uint8_t *)bytes)[i]);
	return sd_bus_message_exit_container(m);
}

static int read_job(sd_bus_message *m, bool *pending)
{
	const char *path;
	uint32_t id = 0;
	int r = sd_bus_message_read(m, "v", "(uo)", &id, &path);

	*pending = id != 0;
	return r;
}

static int read_switch(sd_bus_message *m, bool *on)
{
	int value = 0;
	int r = sd_bus_message_read(m, "v", "b", &value);

	*on = value;
	return r;
}

/* How many elements an array has: adds to it. */
static int read_length(sd_bus_message *m, const char *type, unsigned *length)
{
	int r = sd_bus_message_enter_container(m, 'v', type);

	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', type + 1);
	while (r >= 0 && (r = sd_bus_message_at_end(m, false)) == 0) {
		++*length;
		r = sd_bus_message_skip(m, type + 1);
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* An array that is not empty. */
static int read_any(sd_bus_message *m, const char *type, bool *any)
{
	unsigned n = 0;
	int r = read_length(m, type, &n);

	*any |= n > 0;
	return r;
}

static int read_commands(sd_bus_message *m, bool *others)
{
	unsigned n = 0;
	int r = read_length(m, "a(sasbttttuii)", &n);

	*others = n > 1;
	return r;
}

static int read_property(sd_bus_message *m, const char *name, struct unit_facts *facts,
			 struct raw *raw)
{
	uint32_t pid;
	int r;

	if (!strcmp(name, "ActiveState"))
		return read_text(m, raw->active, sizeof(raw->active));
	if (!strcmp(name, "SubState"))
		return read_text(m, raw->sub, sizeof(raw->sub));
	if (!strcmp(name, "ControlGroup"))
		return read_text(m, facts->control_group, sizeof(facts->control_group));
	if (!strcmp(name, "StateChangeTimestamp"))
		return sd_bus_message_read(m, "v", "t", &facts->since_usec);
	if (!strcmp(name, "TriggeredBy"))
		return read_list(m, &facts->triggered_by);
	if (!strcmp(name, "Requires") || !strcmp(name, "BindsTo") || !strcmp(name, "Requisite"))
		return read_list(m, &facts->required);
	if (!strcmp(name, "InactiveExitTimestampMonotonic"))
		return sd_bus_message_read(m, "v", "t", &raw->started);
	if (!strcmp(name, "ActiveEnterTimestampMonotonic"))
		return sd_bus_message_read(m, "v", "t", &raw->ready);
	if (!strcmp(name, "Job"))
		return read_job(m, &facts->job_pending);
	if (!strcmp(name, "User"))
		return read_text(m, facts->user, sizeof(facts->user));
	if (!strcmp(name, "DynamicUser"))
		return read_switch(m, &facts->dynamic_user);
	if (!strcmp(name, "IPAddressDeny"))
		return read_any(m, "a(iayu)", &facts->filtered);
	if (!strcmp(name, "IPIngressFilterPath") || !strcmp(name, "IPEgressFilterPath"))
		return read_any(m, "as", &facts->filtered);
	if (!strcmp(name, "ExecStop"))
		return read_commands(m, &facts->has_stop_commands);
	if (!strcmp(name, "Result"))
		return read_text(m, facts->ending.result, sizeof(facts->ending.result));
	if (!strcmp(name, "ExecMainCode"))
		return sd_bus_message_read(m, "v", "i", &facts->ending.code);
	if (!strcmp(name, "ExecMainStatus"))
		return sd_bus_message_read(m, "v", "i", &facts->ending.status);
	if (!strcmp(name, "InvocationID"))
		return read_invocation(m, facts->invocation);
	if (strcmp(name, "MainPID"))
		return sd_bus_message_skip(m, "v");
	r = sd_bus_message_read(m, "v", "u", &pid);
	facts->main_pid = r < 0 ? 0 : pid;
	return r;
}

/* Reads the answer to Properties.GetAll with an empty interface name, which is all of a unit's. */
static int read_facts(sd_bus_message *m, struct unit_facts *ret_facts)
{
	struct unit_facts facts = {0};
	struct raw raw = {0};
	const char *name;
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = sd_bus_message_read(m, "s", &name);
		if (r >= 0)
			r = read_property(m, name, &facts, &raw);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	if (r < 0) {
		unit_facts_done(&facts);
		return r;
	}
	facts.state = unit_state_from_strings(raw.active, raw.sub);
	facts.was_active = raw.ready && raw.ready >= raw.started;
	*ret_facts = facts;
	return 0;
}

static int unit_path(const char *unit, char **ret_path)
{
	return sd_bus_path_encode(SYSTEMD_PATH "/unit", unit, ret_path);
}

bool unit_is_socket(const char *unit)
{
	const char *dot = strrchr(unit, '.');

	return dot && !strcmp(dot, ".socket");
}

bool unit_lives(const struct unit_facts *facts)
{
	return facts->state == UNIT_RUNNING || facts->state == UNIT_START_POST ||
	       (facts->state == UNIT_STOPPING && facts->main_pid > 0);
}

bool unit_has_socket(const struct unit_facts *facts)
{
	for (char **unit = facts->triggered_by; unit && *unit; unit++)
		if (unit_is_socket(*unit))
			return true;
	return false;
}

int units_query(sd_bus *bus, const char *unit, struct unit_facts *ret_facts,
		struct problem *problem)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(freep) char *path = NULL;
	int r = unit_path(unit, &path);

	if (r >= 0)
		r = sd_bus_call_method(bus, SYSTEMD, path, PROPERTIES, "GetAll", &error, &reply,
				       "s", "");
	if (r >= 0)
		r = read_facts(reply, ret_facts);
	if (r < 0)
		problem_set(problem, r, "cannot ask systemd about %s: %s", unit,
			    error.message ?: strerror(-r));
	sd_bus_error_free(&error);
	return r < 0 ? r : 0;
}

int units_subscribe(sd_bus *bus)
{
	return sd_bus_call_method_async(bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					"Subscribe", NULL, NULL, "");
}

/* ---- watch ---- */

struct unit_watch *unit_watch_free(struct unit_watch *watch)
{
	if (!watch)
		return NULL;
	sd_bus_slot_unref(watch->match);
	sd_bus_slot_unref(watch->call);
	sd_bus_unref(watch->bus);
	unit_facts_done(&watch->facts);
	free(watch->path);
	free(watch);
	return NULL;
}

static int on_facts(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct unit_watch *watch = userdata;
	struct unit_facts facts;
	int r;

	(void)error;
	watch->call = sd_bus_slot_unref(watch->call);
	r = -sd_bus_message_get_errno(m);
	if (!r)
		r = read_facts(m, &facts);
	if (!r) {
		unit_facts_done(&watch->facts);
		watch->facts = facts;
	}
	if (watch->again) {
		/* this answer may be older than what was asked about: wait for the next */
		watch->again = false;
		if (!unit_watch_refresh(watch))
			return 0;
	}
	watch->on_changed(&watch->facts, r, watch->userdata);
	return 0;
}

int unit_watch_refresh(struct unit_watch *watch)
{
	int r;

	if (watch->call) {
		watch->again = true;
		return 0;
	}
	r = sd_bus_call_method_async(watch->bus, &watch->call, SYSTEMD, watch->path, PROPERTIES,
				     "GetAll", on_facts, watch, "s", "");
	return r < 0 ? r : 0;
}

static int on_properties_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)m;
	(void)error;
	unit_watch_refresh(userdata);
	return 0;
}

int unit_watch_new(sd_bus *bus, const char *unit, unit_changed_fn on_changed, void *userdata,
		   struct unit_watch **ret_watch)
{
	_cleanup_(unit_watch_freep) struct unit_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return -ENOMEM;
	watch->bus = sd_bus_ref(bus);
	watch->on_changed = on_changed;
	watch->userdata = userdata;
	r = unit_path(unit, &watch->path);
	if (r >= 0)
		r = sd_bus_match_signal_async(bus, &watch->match, SYSTEMD, watch->path, PROPERTIES,
					      "PropertiesChanged", on_properties_changed, NULL,
					      watch);
	if (r >= 0)
		r = unit_watch_refresh(watch);
	if (r < 0)
		return r;
	*ret_watch = steal_ptr(&watch);
	return 0;
}

const struct unit_facts *unit_watch_facts(const struct unit_watch *watch)
{
	return &watch->facts;
}

/* ---- jobs ---- */

static const struct {
	const char *method, *mode;
} orders[] = {
	[UNIT_START] = {"StartUnit", "replace"},
	[UNIT_STOP] = {"StopUnit", "replace"},
	[UNIT_RESTART] = {"RestartUnit", "replace"},
	[UNIT_LET_GO] = {"StopUnit", "fail"},
};

struct unit_job *unit_job_free(struct unit_job *job)
{
	if (!job)
		return NULL;
	sd_bus_slot_unref(job->match);
	sd_bus_slot_unref(job->call);
	sd_bus_unref(job->bus);
	free(job->path);
	free(job);
	return NULL;
}

bool unit_job_is_made(const struct unit_job *job)
{
	return job->path;
}

static void end_job(struct unit_job *job, const char *result, const struct problem *problem)
{
	unit_job_fn on_end = job->on_end;
	void *userdata = job->userdata;
	_cleanup_(freep) char *copy = strdup(result);

	unit_job_free(job);
	if (on_end)
		on_end(copy ?: "failed", problem, userdata);
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct unit_job *job = userdata;
	const char *path, *unit, *result;
	uint32_t id;

	(void)error;
	if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0)
		return 0;
	/* systemd answers with our job's path before any signal about it: an unknown path is no
	 * reason to wait */
	if (job->path && !strcmp(path, job->path))
		end_job(job, result, NULL);
	return 0;
}

static int on_job_made(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct unit_job *job = userdata;
	const sd_bus_error *error = sd_bus_message_get_error(m);
	struct problem problem = {0};
	const char *path;

	(void)ret_error;
	job->call = sd_bus_slot_unref(job->call);
	if (error || sd_bus_message_read(m, "o", &path) < 0) {
		problem_set(&problem, 0, "systemd refused: %s",
			    error && error->message ? error->message : "no answer");
		end_job(job, "failed", &problem);
		return 0;
	}
	job->path = strdup(path);
	return 0;
}

int unit_job_send(sd_bus *bus, sd_bus_message *order, unit_job_fn on_end, void *userdata,
		  struct unit_job **ret_job)
{
	_cleanup_(unit_job_freep) struct unit_job *job = calloc(1, sizeof(*job));
	int r;

	if (!job)
		return -ENOMEM;
	job->bus = sd_bus_ref(bus);
	job->on_end = on_end;
	job->userdata = userdata;
	r = sd_bus_match_signal_async(bus, &job->match, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
				      "JobRemoved", on_job_removed, NULL, job);
	if (r >= 0)
		r = sd_bus_call_async(bus, &job->call, order, on_job_made, job, 0);
	if (r < 0)
		return r;
	*ret_job = steal_ptr(&job);
	return 0;
}

static int make_order(sd_bus *bus, enum unit_action action, const char *unit,
		      sd_bus_message **ret_order)
{
	int r = sd_bus_message_new_method_call(bus, ret_order, SYSTEMD, SYSTEMD_PATH,
					       SYSTEMD_MANAGER, orders[action].method);

	return r < 0 ? r : sd_bus_message_append(*ret_order, "ss", unit, orders[action].mode);
}

int unit_job_new(sd_bus *bus, enum unit_action action, const char *unit, unit_job_fn on_end,
		 void *userdata, struct unit_job **ret_job)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *order = NULL;
	int r = make_order(bus, action, unit, &order);

	return r < 0 ? r : unit_job_send(bus, order, on_end, userdata, ret_job);
}

int units_signal_main(sd_bus *bus, const char *unit, int signal, sd_bus_message_handler_t on_answer,
		      void *userdata, sd_bus_slot **ret_call)
{
	return sd_bus_call_method_async(bus, ret_call, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					"KillUnit", on_answer, userdata, "ssi", unit, "main",
					signal);
}

void units_continue(sd_bus *bus, const char *unit)
{
	sd_bus_call_method_async(bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "KillUnit",
				 NULL, NULL, "ssi", unit, "all", SIGCONT);
}

struct job_wait {
	bool ended;
	char result[32];
	struct problem problem;
};

static void on_waited(const char *result, const struct problem *problem, void *userdata)
{
	struct job_wait *wait = userdata;

	wait->ended = true;
	snprintf(wait->result, sizeof(wait->result), "%s", result);
	if (problem)
		wait->problem = *problem;
}

static int process_until(sd_bus *bus, const struct job_wait *wait, uint64_t deadline)
{
	uint64_t now;
	int r;

	while (!wait->ended) {
		r = sd_bus_process(bus, NULL);
		if (r < 0)
			return r;
		if (r > 0)
			continue;
		now = now_usec();
		if (now >= deadline)
			return -ETIMEDOUT;
		r = sd_bus_wait(bus, deadline - now);
		if (r < 0 && r != -EINTR)
			return r;
	}
	return 0;
}

int units_run_order(sd_bus *bus, sd_bus_message *order, const char *unit, uint64_t timeout_usec,
		    struct problem *problem)
{
	const char *method = sd_bus_message_get_member(order);
	struct job_wait wait = {0};
	struct unit_job *job = NULL;
	int r = units_subscribe(bus);

	if (r >= 0)
		r = unit_job_send(bus, order, on_waited, &wait, &job);
	if (r >= 0)
		r = process_until(bus, &wait, now_usec() + timeout_usec);
	if (r < 0 && !wait.ended)
		unit_job_free(job);
	if (r < 0 && !wait.ended)
		return problem_set(problem, r, "%s %s: %s", method, unit, strerror(-r));
	if (strcmp(wait.result, "done"))
		return problem_set(problem, -EIO, "%s %s ended as \"%s\"%s%s", method, unit,
				   wait.result, wait.problem.text[0] ? ": " : "",
				   wait.problem.text);
	return 0;
}

int units_run_job(sd_bus *bus, enum unit_action action, const char *unit, uint64_t timeout_usec,
		  struct problem *problem)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *order = NULL;
	int r = make_order(bus, action, unit, &order);

	if (r < 0)
		return problem_set(problem, r, "%s %s: %s", orders[action].method, unit,
				   strerror(-r));
	return units_run_order(bus, order, unit, timeout_usec, problem);
}

int units_kill(sd_bus *bus, const char *unit, int signal, struct problem *problem)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "KillUnit", &error,
				   NULL, "ssi", unit, "all", signal);

	return r < 0 ? problem_set(problem, r, "cannot send a signal to %s: %s", unit,
				   error.message ?: strerror(-r))
		     : 0;
}

void units_reset_failed(sd_bus *bus, const char *unit)
{
	(void)sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "ResetFailedUnit",
				 NULL, NULL, "s", unit);
}
