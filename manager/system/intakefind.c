// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/intakefind.h"

#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#include "core/name.h"
#include "plane/cgroup.h"
#include "plane/scan.h"
#include "system/units.h"
#include "util/macro.h"

#define ATTACHES_SINCE 249

static bool is_served(const struct config *config, const struct address *address)
{
	return config_has_port(config, address->port, address->udp);
}

static void look_at(const struct held_socket *held, struct intake_facts *facts)
{
	_cleanup_(close_fdp) int fd = -1;
	socklen_t size = sizeof(int);
	int value = 0;

	if (scan_borrow(held, &fd) || getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, &size) < 0)
		return;
	if (value)
		facts->own_seen = true;
	else
		facts->bare_seen = true;
}

void intakefind_slot(sd_bus *bus, const char *service, unsigned slot, const struct config *config,
		     struct intake_facts *facts)
{
	_cleanup_(unit_facts_done) struct unit_facts unit = {0};
	_cleanup_(freep) struct held_socket *held = NULL;
	char name[UNIT_NAME_MAX];
	size_t n = 0;

	if (name_unit(service, slot, name, sizeof(name)) || units_query(bus, name, &unit, NULL) < 0)
		return;
	if (scan_cgroup(unit.control_group, &held, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (is_served(config, &held[i].socket.address))
			look_at(&held[i], facts);
}

bool intakefind_attaches(sd_bus *bus)
{
	_cleanup_(freep) char *version = NULL;
	char mount[PATH_MAX];
	unsigned number = 0;

	if (cgroup_mount(mount, sizeof(mount)) < 0 || strcmp(mount, "/sys/fs/cgroup"))
		return false;
	if (sd_bus_get_property_string(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
				       "org.freedesktop.systemd1.Manager", "Version", NULL,
				       &version) < 0)
		return false;
	/* "252.39-1~deb12u2", "v252-rc1" */
	return sscanf(version, "%*[^0-9]%u", &number) == 1 || sscanf(version, "%u", &number) == 1
		       ? number >= ATTACHES_SINCE
		       : false;
}
