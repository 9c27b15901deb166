// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/unit/unitfacts.h"

#include <string.h>

#include "system/unit/unitlink.h"
#include "util/strings.h"

/* What a set of properties says, before it is put together. */
struct raw {
	char active[32], sub[32];
	uint64_t started, ready; /* CLOCK_MONOTONIC, of the last run; 0 = never */
};

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

/* Those that are allowed, or that are not. */
static int read_interfaces(sd_bus_message *m, bool *any)
{
	_cleanup_(strings_freep) char **names = NULL;
	int allow = 0, r = sd_bus_message_enter_container(m, 'v', "(bas)");

	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'r', "bas");
	if (r >= 0)
		r = sd_bus_message_read(m, "b", &allow);
	if (r >= 0)
		r = sd_bus_message_read_strv(m, &names);
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	*any |= allow || (names && *names);
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_commands(sd_bus_message *m, bool *others)
{
	unsigned n = 0;
	int r = read_length(m, "a(sasbttttuii)", &n);

	*others = n > 1;
	return r;
}

static int read_main_pid(sd_bus_message *m, pid_t *pid)
{
	uint32_t value = 0;
	int r = sd_bus_message_read(m, "v", "u", &value);

	*pid = r < 0 ? 0 : (pid_t)value;
	return r;
}

/* What state it is in, since when, and how it last ended. -ENOENT: it says nothing of these. */
static int read_state(sd_bus_message *m, const char *name, struct unit_facts *facts,
		      struct raw *raw)
{
	if (!strcmp(name, "ActiveState"))
		return read_text(m, raw->active, sizeof(raw->active));
	if (!strcmp(name, "SubState"))
		return read_text(m, raw->sub, sizeof(raw->sub));
	if (!strcmp(name, "StateChangeTimestamp"))
		return sd_bus_message_read(m, "v", "t", &facts->since_usec);
	if (!strcmp(name, "InactiveExitTimestampMonotonic"))
		return sd_bus_message_read(m, "v", "t", &raw->started);
	if (!strcmp(name, "ActiveEnterTimestampMonotonic"))
		return sd_bus_message_read(m, "v", "t", &raw->ready);
	if (!strcmp(name, "Job"))
		return read_job(m, &facts->job_pending);
	if (!strcmp(name, "MainPID"))
		return read_main_pid(m, &facts->main_pid);
	if (!strcmp(name, "InvocationID"))
		return read_invocation(m, facts->invocation);
	if (!strcmp(name, "Result"))
		return read_text(m, facts->ending.result, sizeof(facts->ending.result));
	if (!strcmp(name, "ExecMainCode"))
		return sd_bus_message_read(m, "v", "i", &facts->ending.code);
	if (!strcmp(name, "ExecMainStatus"))
		return sd_bus_message_read(m, "v", "i", &facts->ending.status);
	return -ENOENT;
}

/* How it is set up. -ENOENT as above. */
static int read_setting(sd_bus_message *m, const char *name, struct unit_facts *facts)
{
	if (!strcmp(name, "ControlGroup"))
		return read_text(m, facts->control_group, sizeof(facts->control_group));
	if (!strcmp(name, "TriggeredBy"))
		return read_list(m, &facts->triggered_by);
	if (!strcmp(name, "Requires") || !strcmp(name, "BindsTo") || !strcmp(name, "Requisite"))
		return read_list(m, &facts->required);
	if (!strcmp(name, "User"))
		return read_text(m, facts->user, sizeof(facts->user));
	if (!strcmp(name, "DynamicUser"))
		return read_switch(m, &facts->dynamic_user);
	if (!strcmp(name, "IPAddressDeny"))
		return read_any(m, "a(iayu)", &facts->filtered);
	if (!strcmp(name, "IPIngressFilterPath") || !strcmp(name, "IPEgressFilterPath"))
		return read_any(m, "as", &facts->filtered);
	if (!strcmp(name, "RestrictNetworkInterfaces"))
		return read_interfaces(m, &facts->filtered);
	if (!strcmp(name, "ExecStop"))
		return read_commands(m, &facts->has_stop_commands);
	if (!strcmp(name, "ExecStartPost"))
		return read_commands(m, &facts->has_post_commands);
	return -ENOENT;
}

static int read_property(sd_bus_message *m, const char *name, struct unit_facts *facts,
			 struct raw *raw)
{
	int r = read_state(m, name, facts, raw);

	if (r == -ENOENT)
		r = read_setting(m, name, facts);
	return r == -ENOENT ? sd_bus_message_skip(m, "v") : r;
}

int unit_facts_read(sd_bus_message *m, struct unit_facts *ret_facts)
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
	/* a reload may begin with refreshing */
	facts.reloading = !strcmp(raw.active, "reloading") || !strcmp(raw.active, "refreshing");
	facts.conditions = !strcmp(raw.sub, "condition");
	facts.ready_usec = raw.ready;
	facts.was_active = raw.ready && raw.ready >= raw.started;
	*ret_facts = facts;
	return 0;
}

int unit_path(const char *unit, char **ret_path)
{
	return sd_bus_path_encode(SYSTEMD_PATH "/unit", unit, ret_path);
}

void unit_facts_set_cgroup(struct unit_facts *facts, const char *cgroup)
{
	if (cgroup && cgroup[0] && facts->state != UNIT_DOWN && facts->state != UNIT_FAILED)
		snprintf(facts->control_group, sizeof(facts->control_group), "%s", cgroup);
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
