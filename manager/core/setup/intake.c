// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/setup/intake.h"

#include "util/macro.h"

static const char *const names[] = {
	[INTAKE_AUTO] = "not known",
	[INTAKE_SOCKET] = "socket unit",
	[INTAKE_OWN] = "own reuseport",
	[INTAKE_FORCED] = "forced",
};
_Static_assert(ARRAY_SIZE(names) == INTAKE_COUNT, "a name for each intake");

const char *intake_name(enum config_intake intake)
{
	return intake < INTAKE_COUNT ? names[intake] : "unknown";
}

enum config_intake intake_of(const struct intake_facts *facts)
{
	if (facts->wanted == INTAKE_SOCKET || facts->wanted == INTAKE_OWN)
		return facts->wanted;
	if (facts->wanted == INTAKE_AUTO && facts->socket_units)
		return INTAKE_SOCKET;
	return facts->own_seen && !facts->bare_seen ? INTAKE_OWN : INTAKE_FORCED;
}

bool intake_needs_force(const struct intake_facts *facts)
{
	return facts->wanted == INTAKE_FORCED ||
	       (facts->wanted == INTAKE_AUTO && !facts->socket_units);
}

const char *intake_reason(const struct intake_facts *facts)
{
	enum config_intake intake = intake_of(facts);

	if (facts->wanted == intake)
		return "Intake= says so";
	if (intake == INTAKE_SOCKET)
		return "a socket unit passes the listeners in";
	if (intake == INTAKE_OWN)
		return "all its sockets had SO_REUSEPORT by themselves; on one without, it is set "
		       "as the server binds";
	if (facts->bare_seen)
		return "its server does not set SO_REUSEPORT, so it is set as the server binds";
	return "whether its server sets SO_REUSEPORT is not known before it runs; where it does "
	       "not, it is set as the server binds";
}

const char *intake_mptcp(const struct intake_facts *facts, enum config_mptcp mptcp)
{
	if (mptcp == MPTCP_KEEP)
		return "keep; one slot may run at a time, and what listens by it is not switched";
	if (facts->mptcp_seen)
		return "no; an instance listens by it now, and cannot be switched until it is "
		       "restarted: it takes plain TCP then";
	return "no; a server that would listen by it takes plain TCP";
}
