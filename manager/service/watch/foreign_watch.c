// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/watch/foreign_watch.h"

#include <syslog.h>

#include "service/slot/instance.h"
#include "service/slot/orders.h"
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

static void compare(struct service *service, const struct foreign_list *now)
{
	struct foreign_list *before = &service->foreign;

	for (unsigned i = 0; i < now->n; i++)
		if (!knows(before->found, before->n, now->found[i].cookie))
			tell_new(service, &now->found[i]);
	for (unsigned i = 0; i < before->n; i++)
		if (!knows(now->found, now->n, before->found[i].cookie))
			tell_gone(service, &before->found[i]);
	*before = *now;
}

static void on_looked(struct work_answer *answer, void *userdata)
{
	struct service *service = userdata;

	service->foreign_work = NULL;
	if (answer->result >= 0 && answer->size == sizeof(struct foreign_list))
		compare(service, answer->data);
	if (service->foreign_again)
		foreign_watch_look(service);
}

void foreign_watch_look(struct service *service)
{
	struct order_scope all = {.keep_places = true};
	struct work_order order = {.kind = WORK_FOREIGN, .slot = HS_SLOT_NONE};

	service->foreign_due = false;
	/* one that is under way may have looked past what there is now */
	service->foreign_again = service->foreign_work;
	if (!service->plane || service->foreign_work)
		return;
	for (unsigned i = 0; i < service->n_slots; i++)
		order.activated |= unit_has_socket(instance_facts(service->instances[i]));
	service_order(service, &all, &order, on_looked, service, &service->foreign_work);
}

void foreign_watch_confirm(struct service *service)
{
	if (service->foreign.n)
		foreign_watch_look(service);
}

void foreign_watch_note(struct service *service, uint16_t port)
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

void foreign_watch_heard(struct service *service, const struct event *event)
{
	(void)event;
	foreign_watch_look(service);
}
