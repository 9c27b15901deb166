// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/setup/takeover_steps.h"

#include <string.h>

#include "core/setup/alias.h"
#include "core/setup/commands.h"
#include "core/setup/dropin.h"
#include "hsctl/setup/filelist.h"
#include "hsctl/unit/unitfile.h"
#include "hsctl/verb/verb.h"
#include "plane/borrow/borrow.h"
#include "plane/borrow/scan.h"
#include "system/unit/unitask.h"
#include "system/unit/unitload.h"
#include "util/clock.h"
#include "util/files.h"
#include "util/strings.h"

#define RUNTIME_DIR "/run/systemd/system/"

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
	size_t n = 0, left = 0, at_paths = plainpaths_left(&t->paths);

	if (scan_cgroup(cgroup, &held, &n) < 0)
		return at_paths;
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
	return left + at_paths;
}

void takeover_drain(struct takeover *t)
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
	takeover_pause(t->plan->config.settle_usec);
	left = count_connections(t, facts.control_group);
	snprintf(text, sizeof(text),
		 "new connections go to the slots; %zu connections left on %.60s, %s at most", left,
		 t->plain.name, span_format(span, span_text, sizeof(span_text)));
	takeover_step(t, "drain", text);
	while (left && now_usec() < deadline) {
		takeover_pause(TAKEOVER_LOOK_USEC);
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

int takeover_stop_plain(struct takeover *t)
{
	_cleanup_(unitload_done) struct unitload load = {0};
	int r = unitload(t->systemd, t->plain.name, &load, &t->problem);

	for (char **p = load.triggered_by; r >= 0 && p && *p; p++)
		if (unit_is_socket(*p))
			r = strings_add(&t->sockets, *p);
	if (r >= 0)
		r = write_stop(t, &load);
	if (r >= 0)
		r = unitload_anew(t->systemd, &t->problem);
	takeover_step(t, "stop", t->plain.name);
	/* first what would start it again */
	for (char **p = t->sockets; r >= 0 && p && *p; p++)
		r = units_run_job(t->systemd, UNIT_STOP, *p, TAKEOVER_JOB_USEC, &t->problem);
	if (r >= 0)
		r = units_run_job(t->systemd, UNIT_STOP, t->plain.name, TAKEOVER_JOB_USEC,
				  &t->problem);
	remove_stop(t);
	if (r >= 0)
		r = unitload_anew(t->systemd, &t->problem);
	return r;
}

/* ---- at boot, and by its name ---- */

/* It is not systemd's to turn off. */
static void tell_generated(const struct takeover *t)
{
	if (alias_is_generated(t->plain.fragment))
		complain("note: %s is made from another file at each boot, and is started then as "
			 "before; of a script in /etc/init.d that is turned off by: systemctl "
			 "disable %s",
			 t->plain.name, t->plain.name);
}

static int disable_plain(struct takeover *t)
{
	char unit[UNIT_NAME_MAX];
	int r = unitask_enable_one(t->systemd, t->plain.name, false);

	for (unsigned slot = 0; r >= 0 && t->plain.at_boot && slot < t->plan->config.slots;
	     slot++) {
		(void)name_unit(t->plan->service, slot, unit, sizeof(unit));
		r = unitask_enable_one(t->systemd, unit, true);
	}
	if (r < 0)
		return problem_set(&t->problem, r,
				   "what starts at boot could not be changed: %s; see systemctl "
				   "disable and enable",
				   strerror(-r));
	tell_generated(t);
	return unitload_anew(t->systemd, &t->problem);
}

/* What a generator has made hides behind the alias's file, and does not come at the next boot; a
 * socket unit is disabled. */
static int enable_alias_at_boot(struct takeover *t)
{
	int r;

	if (!t->plain.at_boot || unitask_is_enabled(t->systemd, t->plain.name))
		return 0;
	r = unitask_enable_one(t->systemd, t->plain.name, true);
	if (r < 0)
		return problem_set(&t->problem, r, "%s could not be enabled: %s", t->plain.name,
				   strerror(-r));
	return unitload_anew(t->systemd, &t->problem);
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
	r = enable_alias_at_boot(t);
	if (r < 0)
		return r;
	return units_run_job(t->systemd, UNIT_START, t->plain.name, TAKEOVER_JOB_USEC, &t->problem);
}

int takeover_settle_name(struct takeover *t)
{
	int r = 0;

	for (char **p = t->sockets; r >= 0 && p && *p; p++)
		r = unitask_enable_one(t->systemd, *p, false);
	if (r < 0)
		return problem_set(&t->problem, r, "its socket unit could not be disabled: %s",
				   strerror(-r));
	return t->arguments->no_alias ? disable_plain(t) : write_alias(t);
}
