// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/foreign_watch.h"

#include <syslog.h>

#include "hsd/instance.h"
#include "system/journal.h"
#include "util/macro.h"

static bool knows(const struct foreign *list, unsigned n, uint64_t cookie)
{
	for (unsigned i = 0; i < n; i++)
		if (list[i].cookie == cookie)
			return true;
	return false;
}

static void tell_new(const struct service *service, const struct foreign *foreign)
{
	struct journal_scope scope = {service->name, -1, LOG_WARNING};
	char text[FOREIGN_TEXT_MAX];

	journal_log(JOURNAL_FOREIGN, &scope, "%s: %s and is no slot of it; %s", service->name,
		    foreign_describe(foreign, text), foreign_effect(foreign->in_front));
}

static void tell_gone(const struct service *service, const struct foreign *foreign)
{
	struct journal_scope scope = {service->name, -1, LOG_INFO};
	char address[ADDRESS_TEXT_MAX];

	journal_log(JOURNAL_FOREIGN, &scope, "%s: process %d (%s) does not listen on %s any more",
		    service->name, foreign->holder.pid, foreign->holder.comm,
		    address_describe(&foreign->address, address));
}

static struct foreign_scope scope_of(const struct service *service)
{
	struct foreign_scope scope = {.n_slots = service->n_slots};

	for (unsigned i = 0; i < service->n_slots; i++) {
		const struct unit_facts *facts = instance_facts(service->instances[i]);

		scope.cgroups[i] = facts->control_group;
		scope.activated |= unit_has_socket(facts);
	}
	return scope;
}

void foreign_watch_look(struct service *service)
{
	struct foreign_scope scope = scope_of(service);
	struct foreign_list now = {0}, *before = &service->foreign;

	service->foreign_due = false;
	if (!service->plane || foreign_find(service->plane, &scope, &now) < 0)
		return;
	for (unsigned i = 0; i < now.n; i++)
		if (!knows(before->found, before->n, now.found[i].cookie))
			tell_new(service, &now.found[i]);
	for (unsigned i = 0; i < before->n; i++)
		if (!knows(now.found, now.n, before->found[i].cookie))
			tell_gone(service, &before->found[i]);
	*before = now;
}

void foreign_watch_confirm(struct service *service)
{
	if (service->foreign.n)
		foreign_watch_look(service);
}

void foreign_watch_heard(struct service *service, uint16_t port)
{
	struct listener **listeners;
	size_t n;

	if (!service->plane)
		return;
	listeners = plane_listeners(service->plane, &n);
	for (size_t i = 0; i < n; i++)
		service->foreign_due |= listeners[i]->address.port == port;
}

void foreign_watch_look_due(struct service *service)
{
	if (service->foreign_due)
		foreign_watch_look(service);
}
