// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/unit/plainunit.h"

#include <stdlib.h>
#include <string.h>

#include "core/path.h"
#include "hsctl/path/pathdetect.h"
#include "plane/kernel/ephemeral.h"
#include "plane/kernel/holder.h"
#include "system/machine.h"
#include "system/unit/unitask.h"
#include "system/unit/unitfacts.h"
#include "system/unit/unitload.h"
#include "util/files.h"
#include "util/macro.h"

/* ---- one unit ---- */

/* It does something once, or groups others: nothing of it serves. */
static bool is_server(sd_bus *bus, const char *name)
{
	_cleanup_(freep) char *type = NULL;

	return unitask_type(bus, name, &type) >= 0 && strcmp(type, "oneshot");
}

static void look_at_sockets(const char *cgroup, const struct config *config, struct plainunit *unit)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	struct ephemeral range = ephemeral_range();
	size_t n = 0;

	if (!cgroup[0] || scan_cgroup(cgroup, &held, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct address *address = &held[i].socket.address;

		if (!config_serves(config, address, ephemeral_has(range, address->port)))
			continue;
		if (!unit->n_addresses++)
			unit->address = *address;
	}
}

/* By the names that it has given its sockets. */
static void look_at_paths(const char *cgroup, const struct pathlist *paths, struct plainunit *unit)
{
	_cleanup_(freep) struct unix_listener *held = NULL;
	size_t n = 0;

	if (!cgroup[0] || !paths->n || pathdetect_held(cgroup, &held, &n) < 0)
		return;
	for (size_t i = 0; i < n && !unit->path[0]; i++) {
		path_shorten(held[i].name);
		if (pathlist_has(paths, held[i].name))
			memcpy(unit->path, held[i].name, sizeof(unit->path));
	}
}

static bool is_at_boot(sd_bus *bus, const char *unit)
{
	struct doctor_slot boot = {.boot = BOOT_UNKNOWN};

	snprintf(boot.unit, sizeof(boot.unit), "%s", unit);
	machine_read_slot(bus, &boot);
	return boot.boot == BOOT_YES;
}

/* By itself, or by a socket unit, which has the port from then on. */
static bool is_started_at_boot(sd_bus *bus, const struct unitload *load)
{
	bool at_boot = is_at_boot(bus, load->id);

	for (char **p = load->triggered_by; !at_boot && p && *p; p++)
		at_boot = unit_is_socket(*p) && is_at_boot(bus, *p);
	return at_boot;
}

int plainunit_look(sd_bus *bus, const char *name, const struct plainunit_scope *scope,
		   struct plainunit *ret_unit)
{
	_cleanup_(unitload_done) struct unitload load = {0};
	_cleanup_(unit_facts_done) struct unit_facts facts = {0};
	struct plainunit unit = {0};

	*ret_unit = unit;
	if (unitload(bus, name, &load, NULL) < 0 || strcmp(load.load_state, "loaded") ||
	    units_query(bus, name, &facts, NULL) < 0 || !is_server(bus, name))
		return 0;
	snprintf(unit.name, sizeof(unit.name), "%s", load.id);
	snprintf(unit.fragment, sizeof(unit.fragment), "%s", load.fragment);
	unit.at_boot = is_started_at_boot(bus, &load);
	unit.running = unit_lives(&facts);
	look_at_sockets(facts.control_group, scope->config, &unit);
	look_at_paths(facts.control_group, scope->paths, &unit);
	*ret_unit = unit;
	return 1;
}

static bool serves(const struct plainunit *unit)
{
	return unit->n_addresses || unit->path[0];
}

static bool is_in_the_way(const struct plainunit *unit)
{
	return serves(unit) || unit->at_boot;
}

/* ---- which unit ---- */

static bool is_of_service(const char *unit, const char *service)
{
	char name[SERVICE_NAME_MAX];
	unsigned slot;

	return !name_from_unit(unit, name, &slot) && !strcmp(name, service);
}

static bool runs_command(sd_bus *bus, const char *unit, const char *command)
{
	_cleanup_(freep) char *own = NULL;

	return unitask_command(bus, unit, &own) >= 0 && !strcmp(own, command);
}

struct namesake {
	sd_bus *bus;
	const char *command;
	const struct plainunit_scope *scope;
	struct plainunit *unit;
};

static int keep_namesake(const char *name, const char *what, void *userdata)
{
	struct namesake *namesake = userdata;

	(void)what;
	if (strchr(name, '@') || !runs_command(namesake->bus, name, namesake->command))
		return 0;
	plainunit_look(namesake->bus, name, namesake->scope, namesake->unit);
	if (!serves(namesake->unit))
		namesake->unit->name[0] = '\0';
	return namesake->unit->name[0];
}

/* A unit that runs the very command of slot 0. */
static void find_by_command(sd_bus *bus, const char *service, const struct plainunit_scope *scope,
			    struct plainunit *ret_unit)
{
	struct namesake namesake = {.bus = bus, .scope = scope, .unit = ret_unit};
	_cleanup_(freep) char *command = NULL;
	char slot[UNIT_NAME_MAX];

	if (name_unit(service, 0, slot, sizeof(slot)) || unitask_command(bus, slot, &command) < 0)
		return;
	namesake.command = command;
	(void)unitask_services(bus, keep_namesake, &namesake);
}

struct search {
	const char *service;
	char unit[UNIT_NAME_MAX];
};

static int keep_holder(const struct holder *holder, void *userdata)
{
	struct search *search = userdata;
	size_t length = strlen(holder->unit), tail = strlen(".service");

	if (length <= tail || strcmp(holder->unit + length - tail, ".service") ||
	    is_of_service(holder->unit, search->service) || !strcmp(holder->unit, "hsd.service"))
		return 0;
	memcpy(search->unit, holder->unit, sizeof(search->unit));
	return 1;
}

/* What is on the ports that the settings name. */
static int list_served(const struct config *config, struct listening_socket **ret_sockets,
		       size_t *ret_n)
{
	struct address ports[2 * CONFIG_PORTS_MAX];
	struct diag_wanted wanted = {.addresses = ports, .by_port = true};

	for (size_t i = 0; i < config->n_ports; i++)
		for (unsigned udp = 0; udp <= 1; udp++)
			ports[wanted.n_addresses++] =
				(struct address) {.udp = udp, .port = config->ports[i].port};
	return diag_listening_wanted(NULL, true, &wanted, ret_sockets, ret_n);
}

/* Who serves what Ports= says. */
static void find_by_port(sd_bus *bus, const char *service, const struct plainunit_scope *scope,
			 struct plainunit *ret_unit)
{
	_cleanup_(freep) struct listening_socket *sockets = NULL;
	_cleanup_(freep) uint32_t *inodes = NULL;
	struct search search = {.service = service};
	const struct config *config = scope->config;
	size_t n = 0, wanted = 0;

	if (!config->n_ports || list_served(config, &sockets, &n) < 0)
		return;
	inodes = calloc(n + 1, sizeof(*inodes));
	for (size_t i = 0; inodes && i < n; i++)
		if (config_has_port(config, sockets[i].address.port, sockets[i].address.udp))
			inodes[wanted++] = sockets[i].inode;
	if (wanted && holder_each(inodes, wanted, keep_holder, &search) > 0)
		plainunit_look(bus, search.unit, scope, ret_unit);
}

void plainunit_find(sd_bus *bus, const char *service, const struct plainunit_scope *scope,
		    bool ask_all, struct plainunit *ret_unit)
{
	_cleanup_(freep) char *name = format("%s.service", service);

	*ret_unit = (struct plainunit) {0};
	if (name)
		plainunit_look(bus, name, scope, ret_unit);
	if (ret_unit->name[0] && is_in_the_way(ret_unit))
		return;
	ret_unit->name[0] = '\0';
	if (ask_all)
		find_by_command(bus, service, scope, ret_unit);
	if (ask_all && !ret_unit->name[0])
		find_by_port(bus, service, scope, ret_unit);
}

/* ---- telling ---- */

const char *plainunit_describe(const struct plainunit *unit, char text[PLAINUNIT_TEXT_MAX])
{
	char address[ADDRESS_TEXT_MAX], what[ADDRESS_TEXT_MAX + HS_PATH_MAX] = "";

	if (serves(unit))
		snprintf(what, sizeof(what), " and serves %s",
			 unit->n_addresses ? address_describe(&unit->address, address)
					   : unit->path);
	snprintf(text, PLAINUNIT_TEXT_MAX, "%s %s%s%s%s", unit->name, unit->running ? "runs" : "",
		 what, unit->running && unit->at_boot ? ", and it " : "",
		 unit->at_boot ? "is started at boot" : "");
	return text;
}

const char *plainunit_why(const struct plainunit *unit)
{
	bool path = unit->path[0] && !unit->n_addresses;

	if (unit->at_boot)
		return path ? "It is the server as it was before, and has the path first at a boot"
			    : "It is the server as it was before, and has the port first at a boot";
	return path ? "It is the server as it was before, and has the path"
		    : "It is the server as it was before, and has the port";
}
