// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/setup/intakefind.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "core/name.h"
#include "plane/act/force.h"
#include "plane/borrow/scan.h"
#include "plane/kernel/ephemeral.h"
#include "system/unit/units.h"
#include "util/macro.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static bool is_served(const struct config *config, const struct address *address)
{
	return config_has_port(config, address->port, address->udp);
}

static bool is_udp_service(const struct config *config, const struct address *address)
{
	return address->udp &&
	       config_serves(config, address, ephemeral_has(ephemeral_range(), address->port));
}

static void look_at(const struct held_socket *held, struct intake_facts *facts)
{
	_cleanup_(close_fdp) int fd = -1;
	socklen_t size = sizeof(int);
	int value = 0;

	if (scan_borrow(held, &fd))
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &size) == 0)
		facts->mptcp_seen |= value == IPPROTO_MPTCP;
	if (getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, &size) < 0)
		return;
	if (value)
		facts->own_seen = true;
	else
		facts->bare_seen = true;
}

/* What has been given the option shows it like one that set it. */
static void look_at_counts(const char *service, struct intake_facts *facts)
{
	_cleanup_(force_freep) struct force *force = NULL;
	struct force_counts counts;

	if (force_open(service, &force) < 0)
		return;
	counts = force_counts(force);
	facts->bare_seen |= counts.forced || counts.refused;
}

void intakefind_slot(sd_bus *bus, const char *service, unsigned slot, const struct config *config,
		     struct intake_facts *facts)
{
	_cleanup_(unit_facts_done) struct unit_facts unit = {0};
	_cleanup_(freep) struct held_socket *held = NULL;
	char name[UNIT_NAME_MAX], cgroup[CONFIG_CGROUP_MAX];
	size_t n = 0;

	if (name_unit(service, slot, name, sizeof(name)) || units_query(bus, name, &unit, NULL) < 0)
		return;
	if (config_cgroup(config, slot, cgroup))
		unit_facts_set_cgroup(&unit, cgroup);
	if (scan_cgroup(unit.control_group, &held, &n) < 0)
		return;
	look_at_counts(service, facts);
	for (size_t i = 0; i < n; i++)
		if (is_served(config, &held[i].socket.address)) {
			look_at(&held[i], facts);
			facts->udp_seen |= is_udp_service(config, &held[i].socket.address);
		}
}
