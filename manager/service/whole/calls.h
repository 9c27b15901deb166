/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What can be asked of a service: one function for each method of its object on the bus. What is
 * asked for may be anything: it is checked here. The request is taken, and answered, now or when
 * what was asked for has ended.
 */
#pragma once

#include "service/report/connections.h"
#include "service/request.h"
#include "service/service.h"
#include "service/upgrade/upgrade_run.h"

/* `withheld` is found out here. */
void call_connections(struct service *service, const struct connections_query *query,
		      struct request *request);

struct switchover_call {
	int to;				  /* a slot, or GATE_STANDBY */
	uint64_t settle_usec, drain_usec; /* USEC_INFINITY: the service's own */
	const char *then;		  /* "keep", "stop", "restart"; "": likewise */
};
void call_switchover(struct service *service, const struct switchover_call *call,
		     struct request *request);
/* In the middle of an upgrade it is that which is undone. */
void call_rollback(struct service *service, struct request *request);
void call_failover(struct service *service, int to, struct request *request);

void call_upgrade(struct service *service, const struct upgrade_order *order,
		  struct request *request);
void call_cancel_upgrade(struct service *service, struct request *request);

void call_drain(struct service *service, unsigned slot, uint64_t patience_usec,
		struct request *request);
void call_cancel_drain(struct service *service, struct request *request);

void call_set_policy(struct service *service, const char *policy, struct request *request);

struct canary_call {
	uint32_t share;	  /* in 1/65536 */
	int to;		  /* a slot, or GATE_STANDBY */
	const char *by;	  /* "connection", "client" */
	const char *from; /* prefixes with commas between them, "" = any client */
};
void call_set_canary(struct service *service, const struct canary_call *call,
		     struct request *request);

/* Holds new connections in the park, or lets them go. */
void call_hold(struct service *service, bool held, struct request *request);
/* What the process that asks starts from then on lands on the slot. */
void call_exec(struct service *service, unsigned slot, struct request *request);
