/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forced intake: the bind programs of a service (bpf/cgroup/force.bpf.c) and the set of ports that
 * they act on. Pinned as NAME/{bind4,bind6,ports}, and attached to the cgroup of an instance by the
 * hook `prepare`, before the server runs: without a link, so that they stay as long as the cgroup,
 * whatever becomes of us.
 *
 * systemd could attach them, too (BPFProgram=), but does so to the first cgroup of a unit only:
 * when the unit is restarted it has a new one, and systemd takes them for attached still, and warns
 * (seen with version 252; later ones read alike).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config/config.h"
#include "plane/plane.h"
#include "util/macro.h"
#include "util/problem.h"

struct force;

/* Sockets that were bound to a port of the set, since the pins were made. */
struct force_counts {
	uint64_t had;	  /* SO_REUSEPORT by themselves */
	uint64_t forced;  /* were given it */
	uint64_t refused; /* could not be given it */
};

/* Opens what is pinned. -ENOENT when it is not, or is half made. */
int force_open(const char *service, struct force **ret_force);
/* Opens, or makes and pins; the folder of the service's pins is there already. Programs of another
 * build are replaced, also where they are attached. */
int force_create(const char *service, struct force **ret_force, struct problem *problem);
/* The same for all services whose programs are of another build, of which there may be hundreds
 * after an upgrade: the control groups are gone through once. Accounting is open. What is not done
 * here force_create() does, and tells. */
void force_renew(void);
/* Loads the programs as it would for a service, and lets go of them: whether this kernel can. */
int force_try(struct problem *problem);
struct force *force_free(struct force *force);
DEFINE_CLEANUP(struct force, force_free)

/* Whose the sockets will be (hs_control.service_id): one that binds where another service's socket
 * serves is left as it is, and fails as it would without us. */
void force_set_service(struct force *force, uint32_t service_id);
/* Takes over Ports=; none (n 0) is all, but for UDP on ephemeral ports. */
void force_set_ports(struct force *force, const struct config_port *ports, size_t n);
/* All instances have served for a while: of the set only the addresses that the service has are
 * left, and what Ports= names, whether anybody has bound it yet or not. What an instance binds
 * elsewhere is for one client as a rule, and with the option two of those could have one port; what
 * is its server's all the same is given the option when it is adopted. */
void force_keep_addresses(struct force *force, struct plane *plane, const struct config_port *ports,
			  size_t n);
struct force_counts force_counts(const struct force *force);

/* Attaches both programs to a cgroup, as systemd names it. 1: done; 0: they were attached there;
 * -ENOENT: there is no such cgroup. */
int force_attach(const struct force *force, const char *cgroup, struct problem *problem);
/* Takes them off again; 0 also where they were not. */
int force_detach(const struct force *force, const char *cgroup);
