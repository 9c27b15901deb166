/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/config/config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/near.h"
#include "core/path.h"
#include "hs_abi.h"
#include "util/clock.h"
#include "util/macro.h"
#include "util/parse.h"

/* A key, and words around it. */
#define GUESS_MAX 64
#define BLANKS	  " \t\r\n"
#define SERVICE	  CONFIG_SECTION

static const char *const intake_words[] = {
	[INTAKE_AUTO] = "auto",
	[INTAKE_SOCKET] = "socket",
	[INTAKE_OWN] = "own",
	[INTAKE_FORCED] = "forced",
};
_Static_assert(ARRAY_SIZE(intake_words) == INTAKE_COUNT, "a word for each intake");
static const char *const mptcp_words[] = {
	[MPTCP_NO] = "no",
	[MPTCP_KEEP] = "keep",
};
_Static_assert(ARRAY_SIZE(mptcp_words) == MPTCP_COUNT, "a word for each");
static const char *const self_words[] = {
	[SELF_OWN] = "own",
	[SELF_ACTIVE] = "active",
};
_Static_assert(ARRAY_SIZE(self_words) == SELF_COUNT, "a word for each");
static const char *const config_policy_words[] = {
	[CONFIG_POLICY_KEEP] = "keep",
	[CONFIG_POLICY_STANDBY] = "standby",
	[CONFIG_POLICY_PARITY] = "parity",
	[CONFIG_POLICY_HASH] = "hash",
};
_Static_assert(ARRAY_SIZE(config_policy_words) == CONFIG_POLICY_COUNT, "a word for each");
static const char *const config_by_words[] = {
	[CONFIG_BY_CONNECTION] = "connection",
	[CONFIG_BY_CLIENT] = "client",
};
_Static_assert(ARRAY_SIZE(config_by_words) == CONFIG_BY_COUNT, "a word for each");
static const char *const config_replay_words[] = {
	[CONFIG_REPLAY_NO] = "no",
	[CONFIG_REPLAY_TEMPLATES] = "templates",
};
_Static_assert(ARRAY_SIZE(config_replay_words) == CONFIG_REPLAY_COUNT, "a word for each");
static const char *const failover_words[] = {
	[FAILOVER_AUTO] = "auto",
	[FAILOVER_MANUAL] = "manual",
};
_Static_assert(ARRAY_SIZE(failover_words) == FAILOVER_COUNT, "a word for each");
static const char *const drain_end_words[] = {
	[DRAIN_END_STOP] = "stop",
	[DRAIN_END_RESET] = "reset",
	[DRAIN_END_KEEP] = "keep",
};
_Static_assert(ARRAY_SIZE(drain_end_words) == DRAIN_END_COUNT, "a word for each");
static const char *const on_hang_words[] = {
	[ON_HANG_RESTART] = "restart",
	[ON_HANG_KEEP] = "keep",
};
_Static_assert(ARRAY_SIZE(on_hang_words) == ON_HANG_COUNT, "a word for each");
/* set_park() knows them, and the other spellings of the first two. */
static const char *const park_words[] = {"no", "yes", "always"};
static const char *const flow_words[] = {
	[HS_FLOW_CONNECTION] = "connection",
	[HS_FLOW_NONE] = "none",
	[HS_FLOW_QUIC] = "quic",
};
_Static_assert(ARRAY_SIZE(flow_words) == HS_FLOW_COUNT, "a word for each mode");

const char *config_intake_to_string(enum config_intake intake)
{
	return intake < INTAKE_COUNT ? intake_words[intake] : "unknown";
}

const char *config_mptcp_to_string(enum config_mptcp mptcp)
{
	return mptcp < MPTCP_COUNT ? mptcp_words[mptcp] : "unknown";
}

const char *config_failover_to_string(enum config_failover failover)
{
	return failover < FAILOVER_COUNT ? failover_words[failover] : "unknown";
}

bool config_has_port(const struct config *config, uint16_t port, bool udp)
{
	for (unsigned i = 0; i < config->n_ports; i++)
		if (config->ports[i].port == port)
			return udp ? config->ports[i].udp : config->ports[i].tcp;
	return config->n_ports == 0;
}

bool config_serves(const struct config *config, const struct address *address, bool is_ephemeral)
{
	if (!config_has_port(config, address->port, address->udp))
		return false;
	return !address->udp ||
	       (!address_is_for_many(address) && (config->n_ports || !is_ephemeral));
}

static int set_ports(void *object, const struct setting_text *text)
{
	struct config *config = object;

	return ports_set(text, "nothing for all ports", config->ports, &config->n_ports);
}

static bool has_path(const struct config *config, const char *path)
{
	for (unsigned i = 0; i < config->n_paths; i++)
		if (!strcmp(config->paths[i], path))
			return true;
	return false;
}

static int add_path(struct config *config, const struct setting_text *text, const char *path)
{
	struct problem problem;

	if (path_check(path, &problem) < 0)
		return setting_refuse(text,
				      "has a path that %s; allowed are paths of sockets like "
				      "/run/app/app.sock, with blanks between.",
				      problem.text);
	if (has_path(config, path))
		return 0;
	if (config->n_paths == HS_PATHS_MAX)
		return setting_refuse(text, "has too many paths; allowed are up to %u.",
				      HS_PATHS_MAX);
	strcpy(config->paths[config->n_paths++], path);
	return 0;
}

static int set_paths(void *object, const struct setting_text *text)
{
	struct config *config = object;
	struct config parsed = {};
	int r = 0;

	for (const char *p = text->value; !r && *p; p += strspn(p, BLANKS)) {
		size_t length = strcspn(p, BLANKS);
		char word[HS_PATH_MAX + 1];

		/* what is cut is too long as it is */
		snprintf(word, sizeof(word), "%.*s", (int)MIN(length, (size_t)HS_PATH_MAX), p);
		path_shorten(word);
		if (length)
			r = add_path(&parsed, text, word);
		p += length;
	}
	if (r < 0)
		return r;
	memcpy(config->paths, parsed.paths, sizeof(parsed.paths));
	config->n_paths = parsed.n_paths;
	return 0;
}

static int set_park(void *object, const struct setting_text *text)
{
	struct config *config = object;
	bool on = true, always = !strcmp(text->value, "always");

	if (!always && parse_bool(text->value, &on) < 0)
		return setting_refuse(text, "is not known; allowed is yes, no or always.");
	config->park = on;
	config->park_always = always;
	return 0;
}

static int set_demote(void *object, const struct setting_text *text)
{
	return role_parse(text, &((struct config *)object)->roles[ROLE_DEMOTE]);
}

static int set_promote(void *object, const struct setting_text *text)
{
	return role_parse(text, &((struct config *)object)->roles[ROLE_PROMOTE]);
}

/* A path in the tree of control groups, of one slot: nothing is looked for elsewhere. */
static int set_cgroup(void *object, const struct setting_text *text)
{
	struct config *config = object;
	const char *value = text->value, *slot = strstr(value, "%i");
	size_t length = strlen(value);

	if (length && (*value != '/' || strstr(value, "//") || value[length - 1] == '/' ||
		       strstr(value, "/.")))
		return setting_refuse(text, "is no control group; it takes a path as systemd shows "
					    "it, like /system.slice/app-%%i.scope");
	if (length && (!slot || strchr(slot + 1, '%') || strchr(value, '%') != slot))
		return setting_refuse(text,
				      "is the same for all slots; it takes a path in which %%i "
				      "stands for the slot, like /system.slice/app-%%i.scope");
	if (length + 1 >= sizeof(config->cgroup))
		return setting_refuse(text, "is too long");
	memset(config->cgroup, 0, sizeof(config->cgroup));
	memcpy(config->cgroup, value, length + 1);
	return 0;
}

static int set_hash_key(void *object, const struct setting_text *text)
{
	struct config *config = object;
	size_t length = strlen(text->value);

	if (length && *text->value != '/')
		return setting_refuse(text, "is no path; it takes the file with the key, such as "
					    "/etc/hotstandby/app.key, or nothing.");
	if (length >= sizeof(config->hash_key))
		return setting_refuse(text, "is too long");
	memset(config->hash_key, 0, sizeof(config->hash_key));
	memcpy(config->hash_key, text->value, length);
	return 0;
}

enum hs_policy config_policy(const struct config *config)
{
	return config->policy == CONFIG_POLICY_PARITY ? HS_POLICY_PARITY
	       : config->policy == CONFIG_POLICY_HASH ? HS_POLICY_HASH
						      : HS_POLICY_STANDBY;
}

enum hs_by config_by(const struct config *config)
{
	return config->by == CONFIG_BY_CLIENT ? HS_BY_CLIENT : HS_BY_CONNECTION;
}

bool config_cgroup(const struct config *config, unsigned slot, char ret_cgroup[CONFIG_CGROUP_MAX])
{
	const char *place = strstr(config->cgroup, "%i");

	if (!place)
		return false;
	snprintf(ret_cgroup, CONFIG_CGROUP_MAX, "%.*s%u%s", (int)(place - config->cgroup),
		 config->cgroup, slot, place + 2);
	return true;
}

bool config_is_cgroup(const struct config *config, const char *cgroup)
{
	char own[CONFIG_CGROUP_MAX];

	for (unsigned slot = 0; slot < config->slots; slot++) {
		size_t length;

		if (!config_cgroup(config, slot, own))
			return false;
		length = strlen(own);
		if (!strncmp(cgroup, own, length) && (!cgroup[length] || cgroup[length] == '/'))
			return true;
	}
	return false;
}

#define FIELD(type, member)	.kind = SETTING_##type, .offset = offsetof(struct config, member)
#define SPAN(field, from, to)	FIELD(SPAN, field), .min = from, .max = to
#define NUMBER(field, from, to) FIELD(NUMBER, field), .min = from, .max = to
#define WORD(field, list)	FIELD(WORD, field), .words = list, .n_words = ARRAY_SIZE(list)
#define OTHER(function, what)	.kind = SETTING_OTHER, .parse = function, .form = what

/* The keys in the order of the manual. */
static const struct setting settings[] = {
	{SERVICE, "Slots", "2", "How many instances the service may have, 2 to 16.",
	 NUMBER(slots, CONFIG_SLOTS_MIN, HS_SLOTS_MAX)},
	{SERVICE, "Policy", "keep",
	 "How new connections are spread from the start: standby, parity, hash, or keep.",
	 WORD(policy, config_policy_words)},
	{SERVICE, "By", "connection",
	 "What stays together with policy hash: connection (address and port) or client (address).",
	 WORD(by, config_by_words)},
	{SERVICE, "HashKey", "",
	 "File with the key of policy hash, for machines that must agree. Empty: a random one.",
	 OTHER(set_hash_key, "path")},
	{SERVICE, "Replay", "no",
	 "What a slot is sent once more before clients move to it by policy hash: templates or no.",
	 WORD(replay, config_replay_words)},
	{SERVICE, "Ports", "",
	 "Ports to switch, like \"80 443/tcp 53/udp\". Empty: all that the instances listen on.",
	 OTHER(set_ports, "ports")},
	{SERVICE, "Paths", "",
	 "Paths of AF_UNIX sockets to switch, like /run/app/app.sock; see hsctl enable --path=.",
	 OTHER(set_paths, "paths")},
	{SERVICE, "Cgroup", "",
	 "Control group of a slot's processes where it is not the unit's: "
	 "/system.slice/app-%i.scope.",
	 OTHER(set_cgroup, "control group")},
	{SERVICE, "Intake", "auto",
	 "Where SO_REUSEPORT comes from: auto, socket (unit), own (the server sets it) or forced.",
	 WORD(intake, intake_words)},
	{SERVICE, "MPTCP", "no",
	 "Sockets of MPTCP: no (refused, so that servers take plain TCP) or keep (one slot at a "
	 "time).",
	 WORD(mptcp, mptcp_words)},
	{SERVICE, "Self", "own",
	 "What an instance reaches at its own service's ports over loopback: own (itself) or "
	 "active.",
	 WORD(self, self_words)},
	{SERVICE, "Settle", "50ms", "Pause behind each flip, for handshakes that are under way.",
	 SPAN(settle_usec, 0, CONFIG_SETTLE_MAX)},
	{SERVICE, "Drain", "30s", "How long the old instance may finish its connections.",
	 SPAN(drain_usec, 0, CONFIG_DRAIN_MAX)},
	{SERVICE, "DrainEnd", "stop",
	 "What hsctl drain does at its deadline: stop the instance, reset its connections or keep.",
	 WORD(drain_end, drain_end_words)},
	{SERVICE, "Then", "keep", "What happens to the old instance then: keep, stop or restart.",
	 WORD(then, switchover_then_names)},
	{SERVICE, "RestartOnCrash", "yes", "Start an instance that died again, as the new standby.",
	 FIELD(SWITCH, restart_on_crash)},
	{SERVICE, "Exclusive", "no",
	 "Two instances must never run at the same time: switch through park.",
	 FIELD(SWITCH, exclusive)},
	{SERVICE, "Park", "yes",
	 "New connections wait while no instance is ready: yes, no, or always (stopped on "
	 "purpose).",
	 .kind = SETTING_OTHER, .parse = set_park, .words = park_words,
	 .n_words = ARRAY_SIZE(park_words)},
	{SERVICE, "ParkMax", "0",
	 "How many may wait on each address. 0: as many as the server's own backlog.",
	 NUMBER(park_max, 0, CONFIG_PARK_MAX)},
	{SERVICE, "ParkTimeout", "60s", "How long each may wait before it is closed.",
	 SPAN(park_timeout_usec, USEC_PER_SEC, CONFIG_PARK_TIMEOUT_MAX)},
	{SERVICE, "Flow", "connection",
	 "What UDP datagrams follow: connection (their 4-tuple), none (the active slot) or quic.",
	 WORD(flow, flow_words)},
	{SERVICE, "FlowTimeout", "60s", "How long a UDP flow may be idle and still be remembered.",
	 SPAN(flow_timeout_usec, CONFIG_FLOW_TIMEOUT_MIN, CONFIG_FLOW_TIMEOUT_MAX)},
	{SERVICE, "FlowMax", "65536",
	 "How many UDP flows are remembered; rounded up to a power of 2.",
	 NUMBER(flow_max, HS_FLOW_BUCKETS_MIN *HS_FLOW_WAYS, HS_FLOW_BUCKETS_MAX *HS_FLOW_WAYS)},
	{SERVICE, "QuicSlotByte", "0",
	 "Which byte of its connection ids the server sets to its slot's number.",
	 NUMBER(quic_slot_byte, 0, CONFIG_QUIC_SLOT_BYTE_MAX)},
	{SERVICE, "Failover", "auto",
	 "Leave a hanging instance by itself (auto) or only report it (manual).",
	 WORD(failover, failover_words)},
	{SERVICE, "Stall", "1s",
	 "Connections wait and none is accepted for this long: it is left. 0: never.",
	 SPAN(stall_usec, CONFIG_STALL_MIN, CONFIG_STALL_MAX), .or_zero = true},
	{SERVICE, "OnHang", "restart",
	 "What happens to an instance that stands still: restart or keep.",
	 WORD(on_hang, on_hang_words)},
	{SERVICE, "FailoverHold", "10s",
	 "No second automatic fail-over within this time of the last.",
	 SPAN(failover_hold_usec, 0, CONFIG_HOLD_MAX)},
	{SERVICE, "OnDemote", "",
	 "Tells an instance that it is not the active one any more: a signal, or a unit to start.",
	 OTHER(set_demote, "signal or unit")},
	{SERVICE, "OnPromote", "",
	 "Tells an instance that it is the active one now: a signal, or a unit to start.",
	 OTHER(set_promote, "signal or unit")},
};

const struct setting *config_key(size_t index)
{
	const struct setting *key;

	if (index < ARRAY_SIZE(settings))
		return &settings[index];
	index -= ARRAY_SIZE(settings);
	key = config_health_key(index);
	if (key)
		return key;
	for (size_t i = 0; config_health_key(i); i++)
		index--;
	key = config_front_key(index);
	if (key)
		return key;
	for (size_t i = 0; config_front_key(i); i++)
		index--;
	return config_fastpath_key(index);
}

/* The part that a section's keys are set in. */
static const struct part {
	const char *section;
	size_t offset;
} parts[] = {
	{CONFIG_SECTION, 0},
	{CONFIG_HEALTH_SECTION, offsetof(struct config, health)},
	{CONFIG_FRONT_SECTION, offsetof(struct config, front)},
	{CONFIG_FASTPATH_SECTION, offsetof(struct config, fastpath)},
};

static const struct part *find_part(const char *section)
{
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (!strcmp(parts[i].section, section))
			return &parts[i];
	return NULL;
}

/* Reads a value into the part that the key belongs to. */
static int set_key(struct config *config, const struct setting *key, const char *value,
		   struct problem *problem)
{
	return setting_set(key, (char *)config + find_part(key->section)->offset, value, problem);
}

void config_init(struct config *config)
{
	const struct setting *key;

	*config = (struct config) {};
	for (size_t i = 0; (key = config_key(i)); i++)
		(void)set_key(config, key, "", NULL);
}

/* "perhaps Drain= is meant; ", or nothing. */
static const char *guess_key(const char *section, const char *name, char text[GUESS_MAX])
{
	const struct setting *key, *nearest = NULL;
	int best = INT_MAX;

	for (size_t i = 0; (key = config_key(i)); i++) {
		int d = strcmp(key->section, section) ? -1 : near_distance(name, key->name);

		if (d < 0 || d >= best)
			continue;
		best = d;
		nearest = key;
	}
	snprintf(text, GUESS_MAX, nearest ? "perhaps %s= is meant; " : "%s",
		 nearest ? nearest->name : "");
	return text;
}

/* Names the keys that there are. */
static int refuse_key(const char *section, const char *name, struct problem *problem)
{
	char quoted[SETTING_QUOTED_MAX], guess[GUESS_MAX], known[384] = "";
	const struct setting *key;
	size_t n = 0;

	for (size_t i = 0; (key = config_key(i)) && n < sizeof(known); i++)
		if (!strcmp(key->section, section))
			n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s=", n ? ", " : "",
					      key->name);
	return problem_set(
		problem, -EINVAL, "%s= is not a setting of section [%s]; %sallowed are %s.",
		setting_quote(name, quoted), section, guess_key(section, name, guess), known);
}

int config_check_section(const char *section, struct problem *problem)
{
	char quoted[SETTING_QUOTED_MAX];

	if (!section || !*section)
		return problem_set(
			problem, -EINVAL,
			"A setting stands before the first section; write [%s] above it.",
			CONFIG_SECTION);
	if (!find_part(section))
		return problem_set(
			problem, -EINVAL,
			"[%s] is not a section of this file; there are [%s], [%s], [%s] and "
			"[%s].",
			setting_quote(section, quoted), CONFIG_SECTION, CONFIG_HEALTH_SECTION,
			CONFIG_FRONT_SECTION, CONFIG_FASTPATH_SECTION);
	return 0;
}

int config_set(struct config *config, const char *section, const char *key, const char *value,
	       struct problem *problem)
{
	const struct setting *setting;
	int r;

	r = config_check_section(section, problem);
	if (r < 0)
		return r;
	for (size_t i = 0; (setting = config_key(i)); i++)
		if (!strcmp(section, setting->section) && !strcmp(key, setting->name))
			return set_key(config, setting, value, problem);
	return refuse_key(section, key, problem);
}

const void *config_field(const struct config *config, const struct setting *key)
{
	return (const char *)config + find_part(key->section)->offset + key->offset;
}

const char *config_implied_by(const struct config *config, const struct setting *key)
{
	bool implied = !strcmp(key->name, "Exclusive") && config->mptcp == MPTCP_KEEP;

	return implied ? "MPTCP" : NULL;
}

/* A host that nobody asks could only be taken for well. */
static void settle_front(struct config *config)
{
	struct config_health *health = &config->health;
	bool tcp = false;

	config->slots = config_front_slots(&config->front);
	for (unsigned i = 0; i < config->front.n_ports; i++)
		tcp |= config->front.ports[i].tcp;
	if (tcp && !health->n_probes)
		health->probes[health->n_probes++] = (struct probe_spec) {.kind = PROBE_TCP};
}

int config_settle(struct config *config, const char *service, struct problem *problem)
{
	bool front = config_is_front(&config->front);
	int r;

	config->exclusive |= config->mptcp == MPTCP_KEEP;
	if (front)
		settle_front(config);
	r = config_front_check(&config->front, problem);
	if (!r && front && config->health.interval_usec < HEALTH_FRONT_MIN)
		r = problem_set(problem, -EINVAL,
				"Interval=%ums: a host gets %ums to answer before it counts as "
				"gone; a front takes %ums or more.",
				(unsigned)(config->health.interval_usec / USEC_PER_MSEC),
				(unsigned)(HEALTH_CONNECT_MIN / USEC_PER_MSEC),
				(unsigned)(HEALTH_FRONT_MIN / USEC_PER_MSEC));
	if (!r && front && config->fastpath.n_units)
		r = problem_set(problem, -EINVAL,
				"From= in [FastPath] is for connections to instances of this "
				"machine, and the slots of a front are hosts.");
	return r ? r : config_fastpath_check(&config->fastpath, service, problem);
}
