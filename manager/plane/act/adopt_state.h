/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an adoption is made of, for adopt.h and for the files that it is spread over. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/config/config.h"
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
	pid_t main_pid; /* of the present run; 0 = not known */
};
