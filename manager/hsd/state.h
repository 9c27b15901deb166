/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What there is of hsd: manager.h makes it, services.h takes up the services in it, and who hosts
 * them, publishes them or listens for them finds the rest there. It calls none of these.
 */
#pragma once

#include <string.h>

#include "hsd/turns.h"
#include "service/service.h"
#include "util/macro.h"

struct callers;
struct door;
struct listens;
struct nudging_test;
struct polkit;
struct scope_watch;
struct workers;

struct manager {
	struct host host;	 /* what its services stand on */
	sd_bus *api;		 /* where others ask, and are told */
	struct callers *callers; /* who they are */
	struct polkit *polkit;	 /* what they may, if they are not root */
	struct problem accounting_problem;
	struct service **services; /* sorted by name */
	size_t n_services;
	size_t n_missing; /* configured, and could not be taken up */
	sd_event_source *roles_source, *settle_source, *missing_source;
	struct listens *listens; /* NULL without accounting */
	sd_bus_slot *bus_object;
	struct scope_watch *scopes;
	struct door *door; /* NULL: there is the bus alone */
	struct workers *workers;
	/* for monitoring */
	uint64_t starts;       /* how often hsd was started, this time among them */
	uint64_t started_usec; /* CLOCK_REALTIME */
	struct turns turns;
	bool nudge; /* see service/keep/nudging.h */
	uint64_t next_revisit;
	struct nudging_test *nudging_test;
};

/* Of a service: the one it belongs to. */
static inline const struct manager *manager_of(const struct service *service)
{
	return container_of(service->host, struct manager, host);
}

/* NULL: there is none of that name. */
static inline struct service *manager_find(const struct manager *manager, const char *name)
{
	for (size_t i = 0; i < manager->n_services; i++)
		if (!strcmp(manager->services[i]->name, name))
			return manager->services[i];
	return NULL;
}
