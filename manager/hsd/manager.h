/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The composition root: event loop, bus, accounting, services. */
#pragma once

#include "hsd/turns.h"
#include "service/keep/nudging.h"
#include "service/service.h"
#include "util/macro.h"

struct callers;
struct door;
struct listens;
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

struct manager_options {
	enum nudging_mode nudging;
	bool debug;    /* what services hear of is written to stderr */
	int work_host; /* see work_host_new(); the manager's from then on */
};

/* `event` must outlive it. On failure `problem` says why. */
int manager_new(sd_event *event, const struct manager_options *options,
		struct manager **ret_manager, struct problem *problem);
struct manager *manager_free(struct manager *manager);

/* Systemd has been asked about the slots of all services. */
bool manager_is_known(const struct manager *manager);
/* Takes up services that were enabled and forgets those that were disabled. */
int manager_reload(struct manager *manager);
/* Of a service: the one it belongs to. */
static inline const struct manager *manager_of(const struct service *service)
{
	return container_of(service->host, struct manager, host);
}

struct service *manager_find(const struct manager *manager, const char *name);
