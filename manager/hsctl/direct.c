// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/direct.h"

#include <string.h>

#include "plane/bpf/pins.h"
#include "system/configfile.h"
#include "util/macro.h"

#define SYSTEMD_SOCKET "unix:path=/run/systemd/private"

/* systemd answers at once, or something is wrong with it. */
#define SYSTEMD_TIMEOUT (5 * USEC_PER_SEC)

int direct_need_root(struct problem *problem, int error)
{
	return problem_set(problem, error,
			   "without hsd this needs root; run it with sudo, or start hsd: "
			   "systemctl start hsd");
}

/* Its own socket, for root only. No bus has to run for it. */
static int open_private(sd_bus **ret_bus)
{
	_cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = sd_bus_set_address(bus, SYSTEMD_SOCKET);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0)
		return r;
	*ret_bus = steal_ptr(&bus);
	return 0;
}

/* It did not answer once: it is not waited for again, about hundreds of units. */
static bool systemd_is_silent;

void direct_give_systemd_up(void)
{
	systemd_is_silent = true;
}

sd_bus *direct_systemd(void)
{
	sd_bus *bus = NULL;

	if (systemd_is_silent || (open_private(&bus) < 0 && sd_bus_open_system(&bus) < 0))
		return NULL;
	sd_bus_set_method_call_timeout(bus, SYSTEMD_TIMEOUT);
	return bus;
}

/* Counts are there if they were there before. */
static int open_accounting(struct accounting **ret_accounting, struct problem *problem)
{
	int r = accounting_look(ret_accounting);

	if (r < 0)
		*ret_accounting = NULL;
	return r == -EACCES || r == -EPERM ? direct_need_root(problem, r) : 0;
}

int direct_enter(struct accounting **ret_accounting, struct problem *problem)
{
	int r = netns_join_init();

	if (!r)
		r = open_accounting(ret_accounting, problem);
	if (r == -EACCES || r == -EPERM)
		return direct_need_root(problem, r);
	return r;
}

static int open_plane(struct direct *direct, struct problem *problem)
{
	int r = direct_enter(&direct->accounting, problem);

	if (r < 0)
		return r;
	problem_set(problem, 0, "cannot open what is pinned for %s", direct->service);
	r = plane_open(direct->service, direct->accounting, &direct->plane, problem);
	if (r == -EACCES || r == -EPERM)
		return direct_need_root(problem, r);
	if (r == -ENOENT)
		return problem_set(problem, r,
				   "nothing is pinned in the kernel for %s; see hsctl list, or put "
				   "it under hotstandby: hsctl enable %s@.service",
				   direct->service, direct->service);
	return r;
}

/* Without good settings the defaults hold: what is asked for here works with any. */
static void load_config(struct direct *direct)
{
	if (configfile_load(direct->service, &direct->config, NULL) < 0)
		config_init(&direct->config);
}

int direct_open_pins(const char *service, struct direct *ret_direct, struct problem *problem)
{
	struct direct direct = {0};
	int r;

	snprintf(direct.service, sizeof(direct.service), "%s", service);
	load_config(&direct);
	r = open_plane(&direct, problem);
	if (r < 0) {
		direct_close(&direct);
		return r;
	}
	*ret_direct = direct;
	return 0;
}

int direct_open(const char *service, struct direct *ret_direct, struct problem *problem)
{
	int r = direct_open_pins(service, ret_direct, problem);

	if (r >= 0)
		ret_direct->systemd = direct_systemd();
	return r;
}

void direct_close(struct direct *direct)
{
	plane_free(direct->plane);
	accounting_free(direct->accounting);
	sd_bus_close_unref(direct->systemd);
	*direct = (struct direct) {0};
}

void direct_unit(const struct direct *direct, unsigned slot, struct unit_facts *ret_facts)
{
	char unit[UNIT_NAME_MAX], cgroup[CONFIG_CGROUP_MAX];
	bool live = direct->plane && plane_slot_sockets(direct->plane, slot);
	int r = -ENOTCONN;

	if (direct->systemd && !name_unit(direct->service, slot, unit, sizeof(unit)))
		r = units_query(direct->systemd, unit, ret_facts, NULL);
	if (!r && config_cgroup(&direct->config, slot, cgroup))
		unit_facts_set_cgroup(ret_facts, cgroup);
	if (!r && direct->plane)
		plane_set_cgroup(direct->plane, slot, ret_facts->control_group);
	if (!r)
		return;
	if (r == -ETIMEDOUT) {
		direct_give_systemd_up();
		sd_bus_close(direct->systemd);
	}
	*ret_facts = (struct unit_facts) {.state = live ? UNIT_RUNNING : UNIT_UNKNOWN};
}

/* Where listeners in other network namespaces are, the units' processes tell. */
void direct_locate(const struct direct *direct)
{
	for (unsigned i = 0; i < direct->config.slots; i++) {
		struct unit_facts facts = {0};

		direct_unit(direct, i, &facts);
		plane_locate(direct->plane, facts.control_group);
		unit_facts_done(&facts);
	}
}
