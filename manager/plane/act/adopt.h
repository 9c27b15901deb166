/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Adoption: from the listening sockets that a unit's processes hold to entries in the selector's
 * map.
 *
 * In two halves, because the socket unit must be stopped between them: once a socket is in the map
 * it gets traffic, and PID 1 must not poll a socket that gets traffic.
 *
 * - adoption_begin(): find the sockets, tell those that can be switched from those that cannot,
 *   claim their addresses, attach the selector to each group. Then the caller stops the socket
 * unit.
 * - adoption_commit(): tag each socket for accounting, put it in the map. A service without a live
 *   active slot gets this one. A slot that had no live socket has a new instance: UDP flows of the
 *   one before are forgotten.
 *
 * An instance that was found hanging stays out of the map until plane_set_suspect() says otherwise;
 * its sockets tell whether it is still that one.
 *
 * Both may be repeated at will.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/config.h"
#include "plane/borrow/scan.h"
#include "plane/claim.h"
#include "plane/path/pathscan.h"
#include "plane/plane.h"

enum adopt_verdict {
	ADOPT_OK,
	ADOPT_PORT_LEFT_OUT, /* Ports= does not name it, or UDP that is no server's: of an ephemeral
			      * port without SO_REUSEPORT, or bound to a multicast address */
	ADOPT_NO_REUSEPORT,  /* SO_REUSEPORT was not set before bind(2) */
	ADOPT_MPTCP,	     /* the kernel takes no MPTCP socket in the map */
	ADOPT_NOT_OURS,	     /* a park, or another service's: seen in passing, nothing to tell */
	ADOPT_BELONGS,	     /* the address belongs to another service, see plane/claim.h */
	ADOPT_OTHER_UID,     /* another slot's socket on this address is in another group */
	ADOPT_RESERVED,	     /* who has it never accepts: conmon, for a published port */
	ADOPT_FULL,	     /* more sockets or listeners than there is room for */
	ADOPT_ERROR,	     /* the kernel refused: see `error` */
	ADOPT_VERDICT_COUNT
};

struct adopted_socket {
	struct held_socket held;
	enum adopt_verdict verdict;
	int error;		  /* -errno when the verdict is ADOPT_ERROR */
	struct problem reason;	  /* with ADOPT_ERROR, where more is known than the errno */
	struct claim_owner owner; /* with ADOPT_BELONGS */
};

struct adoption {
	struct adopted_socket *sockets;
	size_t n;
	unsigned adopted;     /* with verdict ADOPT_OK */
	unsigned fresh;	      /* of these, put in the map by this adoption */
	unsigned refused;     /* neither adopted nor left out on purpose, */
	unsigned contested;   /* of these, because the address belongs to another service */
	bool suspect;	      /* it is the instance that was found hanging: it stays out */
	struct problem blind; /* where sockets may be that could not be looked for; "" = nowhere */
	struct claim_hold claimed; /* while its sockets are judged */
	int *helpers; /* sockets that others came into a group by; closed with the adoption */
	size_t n_helpers;
	/* of the listeners in other network namespaces: see adoption_follow() */
	int namespaces[LEND_NAMESPACES_MAX];
	size_t n_namespaces;
	struct found_path paths[HS_PATHS_MAX]; /* its AF_UNIX sockets; counted in `adopted` */
	unsigned n_paths;
	struct problem path_problem; /* what it listens at besides; "" = nothing */
	int *twins; /* NULL, or for each socket a park to be (see park_twin()), or -1 */
};

/* Whether clients may miss a path that is not switched. One beside listeners in the network is for
 * control, as a rule. */
bool adoption_path_matters(const struct adoption *adoption);

/* Short, for logs and status: "no SO_REUSEPORT", "MPTCP", ... */
const char *adopt_verdict_to_string(enum adopt_verdict verdict);
/* One sentence for people: which socket, why not, what to do. Empty for ADOPT_OK,
 * ADOPT_PORT_LEFT_OUT and ADOPT_NOT_OURS. */
void adopt_describe(const struct adopted_socket *socket, struct problem *ret_sentence);

/* Why it has adopted nothing, without an end; empty when it has. */
void adoption_explain(const struct adoption *adoption, struct problem *ret_reason);
/* The sentence at the end of an adoption. */
void adoption_describe(const char *service, unsigned slot, const struct adoption *adoption,
		       struct problem *ret_sentence);

/* `ports` (n_ports of them) limits adoption to these; none = all. -ENOENT: no such
 * cgroup. */
struct adopt_scope {
	const char *cgroup;
	unsigned slot;
	const struct config_port *ports;
	size_t n_ports;
	const char (*paths)[HS_PATH_MAX]; /* Paths= */
	unsigned n_paths;
	bool late; /* sockets without SO_REUSEPORT are given it: the intake is forced */
	/* it has served for a while: what another process of it than those with its addresses opens
	 * now, it opens for one client (passive FTP), and is no address of the service */
	bool settled;
};
int adoption_begin(struct plane *plane, const struct adopt_scope *scope,
		   struct adoption **ret_adoption, struct problem *problem);
int adoption_commit(struct plane *plane, unsigned slot, struct adoption *adoption);
/* Makes the twins for the first adopted TCP socket of each address; where none can be made there is
 * none. */
int adoption_make_twins(struct plane *plane, struct adoption *adoption);
/* This process's view of the plane, when another one has made the adoption: knows its listeners,
 * and forgets those that it has replaced. That one has called adoption_note_namespaces(). */
void adoption_follow(struct plane *plane, const struct adoption *adoption);
void adoption_note_namespaces(const struct plane *plane, struct adoption *adoption);
struct adoption *adoption_free(struct adoption *adoption);

/* As scan_mark(). */
uint64_t adopt_path_mark(const struct found_path *found);

/* Whether a process in the cgroup holds a TCP socket that was put into the slot: the instance is
 * not merely about to listen. */
bool adopt_is_occupied(const struct plane *plane, unsigned slot, const char *cgroup);

/* Nobody but us attaches or detaches programs from now on, of groups on the ports that are guarded,
 * through sockets that are made in this cgroup, or `everywhere` (see plane/bpf/guard.h). Where the
 * kernel cannot do that, all goes on without. */
void adopt_guard(const struct plane *plane, const char *cgroup, bool everywhere);

/* Makes `slot` the active one if the word names none with a live socket; not during an exclusive
 * change, which does so when the new instance is proven. */
void adopt_ensure_active(struct plane *plane, unsigned slot);
