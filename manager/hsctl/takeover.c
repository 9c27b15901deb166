// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/takeover.h"

#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>

#include "core/alias.h"
#include "core/commands.h"
#include "core/dropin.h"
#include "hsctl/direct.h"
#include "hsctl/filelist.h"
#include "hsctl/json.h"
#include "hsctl/room.h"
#include "hsctl/verb.h"
#include "hsctl/verbs.h"
#include "plane/borrow.h"
#include "plane/scan.h"
#include "system/disable.h"
#include "system/journal.h"
#include "system/machine.h"
#include "system/mentions.h"
#include "system/plainunit.h"
#include "system/unitfile.h"
#include "system/unitload.h"
#include "util/clock.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/strings.h"

#define JOB_TIME    (10 * 60 * USEC_PER_SEC)
#define READY_TIME  (30 * USEC_PER_SEC)
#define LOOK_EVERY  (200 * USEC_PER_MSEC)
#define SYSTEMD	    "org.freedesktop.systemd1"
#define HELD_MAX    64
#define RUNTIME_DIR "/run/systemd/system/"

struct takeover {
	const struct arguments *arguments;
	sd_bus *systemd;
	const struct enable_plan *plan;
	struct plainunit plain;
	char **sockets;	  /* socket units that start it */
	unsigned started; /* bit N: slot N was started here */
	struct problem problem;
};

static void takeover_done(struct takeover *t)
{
	strings_free(t->sockets);
}

static void step(const struct takeover *t, const char *name, const char *text)
{
	if (t->arguments->json)
		return;
	printf("%s: %s\n", name, text);
	fflush(stdout);
}

static void pause_for(uint64_t usec)
{
	struct timespec pause = {.tv_sec = usec / USEC_PER_SEC,
				 .tv_nsec = usec % USEC_PER_SEC * NSEC_PER_USEC};

	nanosleep(&pause, NULL);
}

/* ---- may it be done ---- */

static int refuse(const char *from, const char *why)
{
	complain("--from=%s: %s; nothing was written", from, why);
	return EXIT_REFUSED;
}

int takeover_check(const struct arguments *arguments, sd_bus *systemd,
		   const struct enable_plan *plan)
{
	const char *from = arguments->texts[TEXT_FROM];
	struct plainunit plain;

	if (!alias_is_possible(from)) {
		complain("\"%.100s\" is no value for --from; it takes a service that is no "
			 "template, such as app.service",
			 from);
		return EXIT_USAGE;
	}
	if (!machine_hsd_runs(systemd))
		return refuse(from, "hsd is not running; start it: systemctl enable --now hsd");
	if (plan->config.exclusive)
		return refuse(from, "with Exclusive=yes only one instance may run at a time, and "
				    "this begins with a slot beside the plain unit; stop that one "
				    "and start a slot instead");
	if (!plainunit_look(systemd, from, &plan->config, &plain))
		return refuse(from, "there is no such unit, or it runs no server");
	if (strcmp(plain.name, from))
		return refuse(from, "this is only another name of a unit; give that one's");
	return EXIT_DONE;
}

/* ---- beside it ---- */

static int make_room(struct takeover *t)
{
	char unit[UNIT_NAME_MAX], text[128];
	int n;

	(void)name_unit(t->plan->service, 0, unit, sizeof(unit));
	n = room_in_unit(t->systemd, t->plain.name, unit, &t->plan->config, &t->problem);
	if (n < 0)
		return n;
	snprintf(text, sizeof(text), "%d socket%s of it can be joined now", n, n == 1 ? "" : "s");
	if (t->plain.running)
		step(t, "share", text);
	return 0;
}

static json_object *describe(const struct takeover *t)
{
	json_object *status = NULL;
	struct reply reply = {0};
	bool direct;

	if (!verb_describe(t->arguments, t->plan->service, &reply, &direct))
		status = json_parse(reply.text);
	reply_done(&reply);
	return status;
}

/* `ret_why` empty = it is ready. False: it will not be. */
static bool read_slot(const struct takeover *t, unsigned slot, struct problem *ret_why)
{
	_cleanup_(json_object_putp) json_object *status = describe(t), *one = NULL;
	const char *state, *problem;

	one = json_object_get(json_object_array_get_idx(json_array(status, "slots"), slot));
	state = json_text(one, "state");
	problem = json_text(one, "problem");
	problem_set(ret_why, 0, "%s", "");
	if (strcmp(state, "ready"))
		problem_set(ret_why, 0, "slot %u is %s%s%.400s", slot, state[0] ? state : "unknown",
			    problem[0] ? ": " : "", problem);
	if (!strcmp(state, "down"))
		problem_set(ret_why, 0,
			    "slot %u has ended by itself, as servers do that find the PID file of "
			    "another",
			    slot);
	return strcmp(state, "down") && strcmp(state, "failed");
}

static int wait_until_ready(struct takeover *t, unsigned slot)
{
	uint64_t deadline = now_usec() + READY_TIME;

	while (read_slot(t, slot, &t->problem) && t->problem.text[0] && now_usec() < deadline)
		pause_for(LOOK_EVERY);
	return t->problem.text[0] ? -ETIMEDOUT : 0;
}

static int start_slot(struct takeover *t, unsigned slot)
{
	char unit[UNIT_NAME_MAX];
	int r;

	(void)name_unit(t->plan->service, slot, unit, sizeof(unit));
	step(t, "start", unit);
	if (!(t->plan->running & (1U << slot)))
		t->started |= 1U << slot;
	r = units_run_job(t->systemd, UNIT_START, unit, JOB_TIME, &t->problem);
	return r < 0 ? r : wait_until_ready(t, slot);
}

static int start_slots(struct takeover *t)
{
	int r = 0;

	for (unsigned slot = 0; r >= 0 && slot < t->plan->config.slots; slot++)
		r = start_slot(t, slot);
	return r;
}

/* ---- do they serve what it serves ---- */

static bool has_listener(json_object *status, const struct address *address)
{
	json_object *listeners = json_array(status, "listeners");
	char text[ADDRESS_TEXT_MAX];

	address_format(address, text);
	for (size_t i = 0; i < json_count(listeners); i++) {
		json_object *one = json_object_array_get_idx(listeners, i);

		if (!strcmp(json_text(one, "address"), text) &&
		    !strcmp(json_text(one, "protocol"), address->udp ? "udp" : "tcp"))
			return true;
	}
	return false;
}

static int check_addresses(struct takeover *t)
{
	_cleanup_(unit_facts_done) struct unit_facts facts = {0};
	_cleanup_(json_object_putp) json_object *status = describe(t);
	_cleanup_(freep) struct held_socket *held = NULL;
	char text[ADDRESS_TEXT_MAX];
	size_t n = 0;

	if (!t->plain.running || units_query(t->systemd, t->plain.name, &facts, NULL) < 0 ||
	    scan_cgroup(facts.control_group, &held, &n) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		const struct address *address = &held[i].socket.address;

		if (config_has_port(&t->plan->config, address->port, address->udp) &&
		    !has_listener(status, address))
			return problem_set(
				&t->problem, -EADDRNOTAVAIL,
				"the slots do not serve %s, which %s does; give them the "
				"same address, or say with Ports= in %s.conf what is meant",
				address_describe(address, text), t->plain.name, t->plan->service);
	}
	return 0;
}

/* ---- what it still has ---- */

struct tally {
	uint32_t *inodes;
	size_t n;
};

static int keep_inode(const struct connection *connection, void *userdata)
{
	struct tally *tally = userdata;
	uint32_t *more;

	if (!connection->inode)
		return 0;
	more = reallocarray(tally->inodes, tally->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	tally->inodes = more;
	tally->inodes[tally->n++] = connection->inode;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

/* Connections on its ports that its processes have: those that the slots have are on the same. */
static size_t count_connections(const struct takeover *t, const char *cgroup)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	_cleanup_(freep) struct lent_place *places = NULL;
	struct tally tally = {0};
	size_t n = 0, left = 0;

	if (scan_cgroup(cgroup, &held, &n) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		bool again = held[i].socket.address.udp;

		for (size_t k = 0; k < i; k++)
			again |= held[k].socket.address.port == held[i].socket.address.port;
		if (!again && config_has_port(&t->plan->config, held[i].socket.address.port, false))
			diag_connections(NULL, held[i].socket.address.port, -1, keep_inode, &tally);
	}
	if (tally.n)
		qsort(tally.inodes, tally.n, sizeof(*tally.inodes), by_number);
	if (tally.n && borrow_find(cgroup, tally.inodes, tally.n, &places, &n) >= 0)
		left = n;
	free(tally.inodes);
	return left;
}

static void drain(struct takeover *t)
{
	_cleanup_(unit_facts_done) struct unit_facts facts = {0};
	uint64_t span = t->plan->config.drain_usec, deadline;
	char text[160], span_text[SPAN_TEXT_MAX];
	size_t left;

	if (t->arguments->drain_usec != USEC_INFINITY)
		span = t->arguments->drain_usec;
	deadline = now_usec() + span;
	if (!t->plain.running || units_query(t->systemd, t->plain.name, &facts, NULL) < 0)
		return;
	/* handshakes that began with it end with it */
	pause_for(t->plan->config.settle_usec);
	left = count_connections(t, facts.control_group);
	snprintf(text, sizeof(text),
		 "new connections go to the slots; %zu connections left on %.60s, %s at most", left,
		 t->plain.name, span_format(span, span_text, sizeof(span_text)));
	step(t, "drain", text);
	while (left && now_usec() < deadline) {
		pause_for(LOOK_EVERY);
		left = count_connections(t, facts.control_group);
	}
}

/* ---- its end ---- */

/* Its own commands, as far as they do not reach the slots by a file that it shares with them. */
static int write_stop(struct takeover *t, const struct unitload *load)
{
	_cleanup_(strings_freep) char **paths = NULL;
	_cleanup_(unitfile_done) struct unitfile file = {0};
	_cleanup_(commands_done) struct commands commands = {0};
	_cleanup_(freep) char *text = NULL, *folder = NULL, *path = NULL;
	struct lint_unit unit = {.name = t->plain.name, .fragment = load->fragment};
	const struct assignment *pid_file;
	int r = strings_add(&paths, load->fragment);

	for (char **p = load->drop_ins; r >= 0 && p && *p; p++)
		r = strings_add(&paths, *p);
	if (r >= 0)
		r = unitfile_read(paths, &file, &t->problem);
	if (r < 0)
		return r;
	unit.settings = unitfile_settings(&file);
	pid_file = assignments_last(&unit.settings, "Service", "PIDFile");
	r = commands_read(&commands, &unit, pid_file && *pid_file->value ? pid_file->value : NULL);
	text = r < 0 ? NULL : alias_stop_text(t->plan->service, &commands);
	folder = format(RUNTIME_DIR "%s.d", t->plain.name);
	path = format("%s/" DROPIN_NAME, folder ?: "");
	if (!text || !folder || !path)
		return problem_set(&t->problem, -ENOMEM, "out of memory");
	r = make_folders(folder, 0755);
	if (r >= 0)
		r = file_write(path, text, 0644);
	return r < 0 ? problem_set(&t->problem, r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

static void remove_stop(const struct takeover *t)
{
	_cleanup_(freep) char *folder = format(RUNTIME_DIR "%s.d", t->plain.name);
	_cleanup_(freep) char *path = format("%s/" DROPIN_NAME, folder ?: "");

	if (!folder || !path)
		return;
	unlink(path);
	(void)rmdir(folder);
}

static int reload_systemd(struct takeover *t)
{
	struct filechanges none = {0};

	return unitload_apply(t->systemd, &none, &t->problem);
}

static int stop_plain(struct takeover *t)
{
	_cleanup_(unitload_done) struct unitload load = {0};
	int r = unitload(t->systemd, t->plain.name, &load, &t->problem);

	for (char **p = load.triggered_by; r >= 0 && p && *p; p++)
		if (unit_is_socket(*p))
			r = strings_add(&t->sockets, *p);
	if (r >= 0)
		r = write_stop(t, &load);
	if (r >= 0)
		r = reload_systemd(t);
	step(t, "stop", t->plain.name);
	/* first what would start it again */
	for (char **p = t->sockets; r >= 0 && p && *p; p++)
		r = units_run_job(t->systemd, UNIT_STOP, *p, JOB_TIME, &t->problem);
	if (r >= 0)
		r = units_run_job(t->systemd, UNIT_STOP, t->plain.name, JOB_TIME, &t->problem);
	remove_stop(t);
	if (r >= 0)
		r = reload_systemd(t);
	return r;
}

/* ---- at boot, and by its name ---- */

static int switch_boot(sd_bus *systemd, bool on, const char *unit)
{
	int force = false, runtime = false;

	return on ? sd_bus_call_method(systemd, SYSTEMD, "/org/freedesktop/systemd1",
				       SYSTEMD ".Manager", "EnableUnitFiles", NULL, NULL, "asbb", 1,
				       unit, runtime, force)
		  : sd_bus_call_method(systemd, SYSTEMD, "/org/freedesktop/systemd1",
				       SYSTEMD ".Manager", "DisableUnitFiles", NULL, NULL, "asb", 1,
				       unit, runtime);
}

static int disable_plain(struct takeover *t)
{
	char unit[UNIT_NAME_MAX];
	int r = switch_boot(t->systemd, false, t->plain.name);

	for (unsigned slot = 0; r >= 0 && t->plain.at_boot && slot < t->plan->config.slots;
	     slot++) {
		(void)name_unit(t->plan->service, slot, unit, sizeof(unit));
		r = switch_boot(t->systemd, true, unit);
	}
	if (r < 0)
		return problem_set(&t->problem, r,
				   "what starts at boot could not be changed: %s; see systemctl "
				   "disable and enable",
				   strerror(-r));
	return reload_systemd(t);
}

/* The name goes on to be said; what starts at boot is what has it. */
static int write_alias(struct takeover *t)
{
	_cleanup_(enable_plan_freep) struct enable_plan *plan = NULL;
	struct enable_wish wish = {.alias = t->plain.name};
	int r = enable_plan_new(t->systemd, t->plan->service, &wish, &plan, &t->problem);

	if (r < 0)
		return r;
	if (plan->report.refused)
		return problem_set(&t->problem, -EINVAL, "%s cannot stand for the slots: %s",
				   t->plain.name, plan->report.items[0].why);
	r = enable_apply(t->systemd, plan, &t->problem);
	if (r < 0)
		return r;
	if (!t->arguments->json)
		filelist_print(&plan->changes);
	return units_run_job(t->systemd, UNIT_START, t->plain.name, JOB_TIME, &t->problem);
}

static int settle_name(struct takeover *t)
{
	int r = 0;

	for (char **p = t->sockets; r >= 0 && p && *p; p++)
		r = switch_boot(t->systemd, false, *p);
	if (r < 0)
		return problem_set(&t->problem, r, "its socket unit could not be disabled: %s",
				   strerror(-r));
	return t->arguments->no_alias ? disable_plain(t) : write_alias(t);
}

/* ---- the whole ---- */

/* The plain unit serves still: as it was before, if it was not under hotstandby. */
static int undo(struct takeover *t, bool fresh)
{
	struct problem why = t->problem, ignored;
	char unit[UNIT_NAME_MAX];

	for (unsigned slot = 0; slot < t->plan->config.slots; slot++) {
		(void)name_unit(t->plan->service, slot, unit, sizeof(unit));
		if (t->started & (1U << slot))
			units_run_job(t->systemd, UNIT_STOP, unit, JOB_TIME, &ignored);
		units_reset_failed(t->systemd, unit);
	}
	if (fresh)
		disable_service(t->arguments, t->plan->service);
	complain("%s: the move was undone: %.400s. %s serves as before; see journalctl -u "
		 "'%s@*'",
		 t->plan->service, why.text, t->plain.name, t->plan->service);
	return EXIT_UNDONE;
}

/* What the name that it had does not reach. */
static void tell_mentions(const struct takeover *t)
{
	_cleanup_(mentions_done) struct mentions mentions = {0};
	char text[LINT_TEXT_MAX];

	if (mentions_find(t->plain.name, t->plan->service, t->plan->shared.pid_file,
			  !t->arguments->no_alias, &mentions) < 0)
		return;
	for (size_t i = 0; i < mentions.n; i++)
		complain("note: %s", lint_format(&mentions.items[i], text));
}

static int finish(const struct takeover *t, int r)
{
	_cleanup_(json_object_putp) json_object *object = json_object_new_object();
	struct journal_scope scope = {t->plan->service, -1, LOG_NOTICE};
	struct problem message;

	if (r < 0) {
		complain("%s: the slots serve and %s is stopped, but %.400s", t->plan->service,
			 t->plain.name, t->problem.text);
		return EXIT_FAILED;
	}
	problem_set(&message, 0, "%s has taken over from %s%s%s.", t->plan->service, t->plain.name,
		    t->arguments->no_alias ? ", which is disabled"
					   : "; start, stop, reload and restart of that name go "
					     "to all slots",
		    t->arguments->no_alias || !t->plain.at_boot ? "" : ", also at boot");
	journal_log(JOURNAL_ENABLE, &scope, "%s", message.text);
	tell_mentions(t);
	json_object_object_add(object, "service", json_object_new_string(t->plan->service));
	json_object_object_add(object, "from", json_object_new_string(t->plain.name));
	json_object_object_add(object, "message", json_object_new_string(message.text));
	puts(t->arguments->json ? json_line(object) : message.text);
	return EXIT_DONE;
}

int takeover_run(const struct arguments *arguments, sd_bus *systemd, const struct enable_plan *plan,
		 bool fresh)
{
	_cleanup_(takeover_done) struct takeover t = {
		.arguments = arguments, .systemd = systemd, .plan = plan};
	int r;

	plainunit_look(systemd, arguments->texts[TEXT_FROM], &plan->config, &t.plain);
	r = make_room(&t);
	if (r >= 0)
		r = start_slots(&t);
	if (r >= 0)
		r = check_addresses(&t);
	if (r < 0)
		return undo(&t, fresh);
	drain(&t);
	r = stop_plain(&t);
	if (r >= 0)
		r = settle_name(&t);
	return finish(&t, r);
}
