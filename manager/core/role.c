// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/role.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "hs_abi.h"
#include "util/parse.h"

const char *role_change_to_string(enum role_change role)
{
	return role == ROLE_DEMOTE ? "demote" : "promote";
}

const char *role_key(enum role_change role)
{
	return role == ROLE_DEMOTE ? "OnDemote" : "OnPromote";
}

/* ---- signals ---- */

const char *role_signal_name(int signal, char text[ROLE_SIGNAL_MAX])
{
	const char *name = sigabbrev_np(signal);

	if (name)
		snprintf(text, ROLE_SIGNAL_MAX, "SIG%s", name);
	else if (signal == SIGRTMIN)
		snprintf(text, ROLE_SIGNAL_MAX, "SIGRTMIN");
	else
		snprintf(text, ROLE_SIGNAL_MAX, "SIGRTMIN+%d", signal - SIGRTMIN);
	return text;
}

/* "RTMIN", "RTMIN+3", "RTMAX", "RTMAX-2". 0 = it is none. */
static int realtime_signal(const char *name)
{
	bool up = !strncmp(name, "RTMIN", 5);
	uint64_t offset = 0;

	if (!up && strncmp(name, "RTMAX", 5))
		return 0;
	if (name[5] && (name[5] != (up ? '+' : '-') ||
			parse_unsigned(name + 6, 0, SIGRTMAX - SIGRTMIN, &offset) < 0))
		return 0;
	return up ? SIGRTMIN + (int)offset : SIGRTMAX - (int)offset;
}

static int signal_from_name(const char *name)
{
	if (!strncmp(name, "SIG", 3))
		name += 3;
	for (int i = 1; i < SIGSYS + 1; i++)
		if (sigabbrev_np(i) && !strcmp(name, sigabbrev_np(i)))
			return i;
	return realtime_signal(name);
}

/* ---- units ---- */

/* What can be started. */
static bool has_type(const char *unit)
{
	static const char *const types[] = {".service", ".target", ".timer", ".path",
					    ".socket",	".mount",  ".swap"};
	const char *dot = strrchr(unit, '.');

	for (size_t i = 0; dot && i < ARRAY_SIZE(types); i++)
		if (!strcmp(dot, types[i]))
			return dot > unit && unit[0] != '@';
	return false;
}

static bool is_unit_character(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr(":-_.\\@", c));
}

/* One specifier, or one character as it is. Returns how much of `p` it was; 0 = no unit has it. */
static size_t expand_one(const char *p, const char *service, const char *slot, char *ret_part)
{
	ret_part[0] = '\0';
	if (p[0] != '%') {
		snprintf(ret_part, 2, "%c", p[0]);
		return is_unit_character(p[0]);
	}
	if (p[1] == 'i' || p[1] == 'p')
		snprintf(ret_part, SERVICE_NAME_MAX, "%s", p[1] == 'i' ? slot : service);
	return *ret_part ? 2 : 0;
}

static int expand(const char *value, const char *service, const char *slot,
		  char ret_unit[UNIT_NAME_MAX])
{
	char part[SERVICE_NAME_MAX], unit[UNIT_NAME_MAX] = "";
	size_t n = 0, step;

	for (const char *p = value; *p; p += step) {
		bool instance = p[0] == '@' && p[1] == '.' && !strchr(p + 2, '.');

		step = expand_one(p, service, slot, part);
		if (!step)
			return -EINVAL;
		/* a template */
		n += (size_t)snprintf(unit + n, sizeof(unit) - n, "%s%s", part,
				      instance ? slot : "");
		if (n >= sizeof(unit))
			return -EINVAL;
	}
	if (!has_type(unit))
		return -EINVAL;
	memcpy(ret_unit, unit, sizeof(unit));
	return 0;
}

int role_unit(const struct role_action *action, const char *service, unsigned slot,
	      char ret_unit[UNIT_NAME_MAX])
{
	char number[8];

	snprintf(number, sizeof(number), "%u", slot);
	return expand(action->unit, service, number, ret_unit);
}

/* ---- the value ---- */

int role_parse(const struct setting_text *text, struct role_action *ret_action)
{
	struct role_action action = {.means = ROLE_UNTOLD};
	char expanded[UNIT_NAME_MAX];

	if (*text->value) {
		action.signal = signal_from_name(text->value);
		action.means = action.signal ? ROLE_BY_SIGNAL : ROLE_BY_UNIT;
	}
	if (action.signal == SIGKILL || action.signal == SIGSTOP)
		return setting_refuse(text, "cannot be received by any server; allowed is a signal "
					    "that it handles, such as SIGUSR1, or a unit.");
	if (action.means == ROLE_BY_UNIT && (strlen(text->value) >= sizeof(action.unit) ||
					     expand(text->value, "s", "0", expanded) < 0))
		return setting_refuse(
			text, "is neither a signal nor a unit; allowed is a signal such as SIGUSR1 "
			      "or SIGRTMIN+1, a unit such as leader.service, or a template such as "
			      "leader@.service, which is started with the number of the slot.");
	if (action.means == ROLE_BY_UNIT)
		strcpy(action.unit, text->value);
	*ret_action = action;
	return 0;
}

/* ---- what was told ---- */

/* bits 0-7 slot, bit 8 known, bit 9 told, bits 16-63 the run */
#define KNOWN	  (UINT64_C(1) << 8)
#define TOLD	  (UINT64_C(1) << 9)
#define RUN_SHIFT 16
#define RUN_HEX	  12

uint64_t role_told_pack(const struct role_told *told)
{
	if (!told->known)
		return 0;
	return told->run << RUN_SHIFT | KNOWN | (told->told ? TOLD : 0) | (told->slot & 0xff);
}

void role_told_unpack(uint64_t word, struct role_told *ret_told)
{
	*ret_told = (struct role_told) {
		.known = word & KNOWN,
		.told = word & TOLD,
		.slot = word & 0xff,
		.run = word >> RUN_SHIFT,
	};
}

uint64_t role_run(const char *invocation)
{
	uint64_t run = 0;

	for (size_t i = 0; i < RUN_HEX; i++) {
		const char *digits = "0123456789abcdef";
		const char *digit = invocation[i] ? strchr(digits, invocation[i]) : NULL;

		if (!digit)
			return 0;
		run = run << 4 | (uint64_t)(digit - digits);
	}
	return run;
}

void role_decide(const struct role_told *told, const struct role_now *now,
		 struct role_order *ret_order)
{
	const struct role_slot *active = &now->active, *before = &now->before;
	bool same = told->known && told->slot == active->slot && told->run == active->run;
	struct role_order order = {
		.slots = {HS_SLOT_NONE, HS_SLOT_NONE},
		.told = *told,
	};

	*ret_order = order;
	/* while nobody can be the active one, nobody is told; a run without a name cannot be
	 * remembered */
	if (active->slot >= HS_SLOTS_MAX || !active->lives || !active->run)
		return;
	if (same && (told->told || !now->wanted[ROLE_PROMOTE]))
		return;
	order.record = true;
	order.told = (struct role_told) {
		.known = true,
		.told = now->wanted[ROLE_PROMOTE],
		.slot = active->slot,
		.run = active->run,
	};
	order.departs = !same && told->known && before->lives && before->run == told->run;
	if (order.departs && now->wanted[ROLE_DEMOTE])
		order.slots[ROLE_DEMOTE] = told->slot;
	if (now->wanted[ROLE_PROMOTE])
		order.slots[ROLE_PROMOTE] = active->slot;
	*ret_order = order;
}
