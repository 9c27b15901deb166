// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/doctor/ability.h"

#include <stddef.h>

#include "util/macro.h"

static const char *const names[] = {
	[ABILITY_SELECT] = "kernel.select",
	[ABILITY_MIGRATION] = "kernel.migration",
	[ABILITY_WAKEUP] = "kernel.migration-wakeup",
	[ABILITY_HANDSHAKES] = "kernel.migration-handshakes",
	[ABILITY_UDP] = "kernel.udp",
	[ABILITY_COOKIES] = "kernel.syncookies",
	[ABILITY_MMAP] = "kernel.mmap",
	[ABILITY_RING] = "kernel.ringbuf",
	[ABILITY_COUNTS] = "kernel.counts",
	[ABILITY_BIND] = "kernel.bind",
	[ABILITY_GETFD] = "kernel.pidfd-getfd",
	[ABILITY_FCHOWN] = "kernel.fchown",
	[ABILITY_SETNS] = "kernel.setns",
	[ABILITY_CENSUS] = "kernel.census",
	[ABILITY_LOADS_SELECTOR] = "program.selector",
	[ABILITY_LOADS_UDP] = "program.selector-udp",
	[ABILITY_LOADS_ACCOUNTING] = "program.accounting",
	[ABILITY_LOADS_CENSUS] = "program.census",
	[ABILITY_LOADS_QUEUES] = "program.queues",
	[ABILITY_LOADS_MOTION] = "program.motion",
	[ABILITY_LOADS_FORCE] = "program.force",
	[ABILITY_LOADS_GUARD] = "program.guard",
	[ABILITY_LOADS_OWN] = "program.own",
	[ABILITY_LOADS_EXEC] = "program.exec",
	[ABILITY_LOADS_MPTCP] = "program.mptcp",
	[ABILITY_LOADS_FRONT_DEVICE] = "program.front-device",
	[ABILITY_LOADS_FRONT] = "program.front",
	[ABILITY_LOADS_LED] = "program.led",
	[ABILITY_LOADS_LED_EXEC] = "program.led-exec",
	[ABILITY_LOADS_DECAP] = "program.decap",
	[ABILITY_LOADS_FAST] = "program.fast",
};
_Static_assert(ARRAY_SIZE(names) == ABILITY_COUNT, "a name for each ability");

const char *ability_to_string(enum ability ability)
{
	return names[ability];
}

/* The newest first: of a kernel that lacks several, the version that has all of them is told. */
static const struct {
	enum ability ability;
	const char *lack, *since;
} needed[] = {
	{ABILITY_MIGRATION, "cannot move waiting connections when their listener closes", "5.14"},
	{ABILITY_RING, "has no ring buffers of BPF programs", "5.8"},
	{ABILITY_MMAP, "cannot share BPF maps with user space by mmap", "5.5"},
	{ABILITY_SELECT, "cannot let a BPF program choose the listener of a connection", "4.19"},
};

uint32_t ability_needed(void)
{
	uint32_t mask = 1U << ABILITY_LOADS_SELECTOR;

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		mask |= 1U << needed[i].ability;
	return mask;
}

bool ability_refuses(const struct ability_result *results, const char *release,
		     struct problem *ret_sentence)
{
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (results[needed[i].ability].verdict != ABILITY_FAILS)
			continue;
		problem_set(
			ret_sentence, 0,
			"hotstandby cannot work with this kernel (%s): it %s, which takes Linux "
			"%s or later",
			release, needed[i].lack, needed[i].since);
		return true;
	}
	if (results[ABILITY_LOADS_SELECTOR].verdict != ABILITY_FAILS)
		return false;
	problem_set(
		ret_sentence, 0,
		"hotstandby cannot work with this kernel (%s), as it takes Linux 5.14 or later: %s",
		release, results[ABILITY_LOADS_SELECTOR].detail);
	return true;
}
