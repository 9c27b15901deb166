// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/adopt.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "plane/borrow.h"
#include "plane/ephemeral.h"
#include "plane/guard.h"
#include "plane/holder.h"
#include "plane/latejoin.h"
#include "plane/owners.h"
#include "plane/park.h"
#include "plane/pathlink.h"
#include "util/macro.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static const struct {
	const char *name, *remedy;
} verdicts[] = {
	[ADOPT_OK] = {"ok", NULL},
	[ADOPT_PORT_LEFT_OUT] = {"not in Ports=", NULL},
	[ADOPT_NO_REUSEPORT] =
		{"no SO_REUSEPORT",
		 "let the server set it (nginx: listen … reuseport) or use a socket unit "
		 "with ReusePort=yes"},
	[ADOPT_MPTCP] =
		{"MPTCP",
		 "the kernel lets no program choose between listeners of MPTCP; restart the "
		 "instance: unless MPTCP=keep it is refused MPTCP then, and takes plain "
		 "TCP"},
	[ADOPT_NOT_OURS] = {"not of this slot", NULL},
	[ADOPT_BELONGS] = {"it belongs to another service", NULL},
	[ADOPT_OTHER_UID] = {"it belongs to another user than the other slots' sockets there did",
			     "restart its unit, whose ExecStartPre=hs-hook prepare gives them one "
			     "owner"},
	[ADOPT_RESERVED] =
		{"conmon keeps the published port to itself and never accepts there, and the "
		 "server is in another network namespace",
		 "publish no port: give the container the host's network (--network=host "
		 "--cgroups=split), or all slots' containers one network namespace "
		 "(--network=ns:PATH)"},
	[ADOPT_FULL] = {"no room",
			"a slot may have 64 sockets on each of 64 addresses; use fewer workers, or "
			"name the ports that matter in Ports="},
	[ADOPT_ERROR] = {"refused by the kernel", "see the kernel's reason"},
};
_Static_assert(ARRAY_SIZE(verdicts) == ADOPT_VERDICT_COUNT, "a name for each verdict");

DEFINE_CLEANUP(struct adoption, adoption_free)

const char *adopt_verdict_to_string(enum adopt_verdict verdict)
{
	return verdict < ADOPT_VERDICT_COUNT ? verdicts[verdict].name : "unknown";
}

static bool is_no_matter(enum adopt_verdict verdict)
{
	return verdict == ADOPT_OK || verdict == ADOPT_PORT_LEFT_OUT || verdict == ADOPT_NOT_OURS;
}

static void describe_owner(const struct adopted_socket *socket, struct problem *ret_sentence)
{
	char mine[ADDRESS_TEXT_MAX], theirs[ADDRESS_TEXT_MAX], more[ADDRESS_TEXT_MAX + 32] = "";

	if (!address_equal(&socket->held.socket.address, &socket->owner.address))
		snprintf(more, sizeof(more), ", which serves %s",
			 address_describe(&socket->owner.address, theirs));
	problem_set(ret_sentence, 0,
		    "%s belongs to %s%s, and is not switched here; let this server listen "
		    "elsewhere, or take the address from %s",
		    address_describe(&socket->held.socket.address, mine), socket->owner.service,
		    more, socket->owner.service);
}

void adopt_describe(const struct adopted_socket *socket, struct problem *ret_sentence)
{
	char address[ADDRESS_TEXT_MAX];

	ret_sentence->text[0] = '\0';
	if (is_no_matter(socket->verdict))
		return;
	if (socket->verdict == ADOPT_BELONGS) {
		describe_owner(socket, ret_sentence);
		return;
	}
	if (socket->reason.text[0]) {
		problem_set(ret_sentence, 0, "%s is not switched: %s",
			    address_describe(&socket->held.socket.address, address),
			    socket->reason.text);
		return;
	}
	problem_set(ret_sentence, 0, "%s is not switched: %s%s%s; %s",
		    address_describe(&socket->held.socket.address, address),
		    adopt_verdict_to_string(socket->verdict), socket->error ? ": " : "",
		    socket->error ? strerror(-socket->error) : "",
		    verdicts[socket->verdict].remedy);
}

/* What it listens on, and no reason that is anybody's fault. */
static void explain_left_out(const struct adopted_socket *socket, struct problem *ret_reason)
{
	char address[ADDRESS_TEXT_MAX];

	address_describe(&socket->held.socket.address, address);
	if (socket->verdict == ADOPT_NOT_OURS)
		problem_set(ret_reason, 0,
			    "what it listens on (%s) belongs to another slot: one instance has "
			    "been given the socket of another",
			    address);
	else
		problem_set(ret_reason, 0,
			    "none of what it listens on is an address of the service, as %s is "
			    "not: it is not in Ports=, or is a UDP port that the kernel chose, or "
			    "for many (multicast)",
			    address);
}

bool adoption_path_matters(const struct adoption *adoption)
{
	return adoption->adopted <= adoption->n_paths;
}

void adoption_explain(const struct adoption *adoption, struct problem *ret_reason)
{
	*ret_reason = adoption->blind;
	if (adoption->adopted) {
		ret_reason->text[0] = '\0';
		return;
	}
	for (size_t i = 0; i < adoption->n && !ret_reason->text[0]; i++)
		adopt_describe(&adoption->sockets[i], ret_reason);
	if (!ret_reason->text[0])
		*ret_reason = adoption->path_problem;
	if (!ret_reason->text[0] && adoption->n)
		explain_left_out(&adoption->sockets[0], ret_reason);
	if (!ret_reason->text[0])
		problem_set(ret_reason, 0,
			    "no process of its unit listens anywhere yet; if one does, it is in "
			    "another control group (docker, systemd-run): see ss -lptn");
}

void adoption_describe(const char *service, unsigned slot, const struct adoption *adoption,
		       struct problem *ret_sentence)
{
	struct problem why = adoption->blind;

	for (size_t i = 0; i < adoption->n && !why.text[0]; i++)
		adopt_describe(&adoption->sockets[i], &why);
	if (!why.text[0])
		why = adoption->path_problem;
	if (adoption->suspect)
		problem_set(ret_sentence, 0,
			    "%s: slot %u hangs: its sockets stay out until it serves again.",
			    service, slot);
	else if (adoption->adopted)
		problem_set(ret_sentence, 0, "%s: slot %u has %u socket%s adopted, %u of them new.",
			    service, slot, adoption->adopted, adoption->adopted == 1 ? "" : "s",
			    adoption->fresh);
	else if (why.text[0])
		problem_set(ret_sentence, 0, "%s: no socket of slot %u can be switched: %.400s.",
			    service, slot, why.text);
	else
		problem_set(ret_sentence, 0,
			    "%s: slot %u does not listen yet; hsd adopts its sockets as soon as it "
			    "does.",
			    service, slot);
}

struct adoption *adoption_free(struct adoption *adoption)
{
	if (!adoption)
		return NULL;
	for (size_t i = 0; i < adoption->n_helpers; i++)
		close_fd(adoption->helpers[i]);
	for (size_t i = 0; adoption->twins && i < adoption->n; i++)
		close_fd(adoption->twins[i]);
	free(adoption->twins);
	for (size_t i = 0; i < adoption->n_namespaces; i++)
		close_fd(adoption->namespaces[i]);
	free(adoption->helpers);
	free(adoption->sockets);
	free(adoption);
	return NULL;
}

static int get_option(int fd, int level, int name)
{
	int value = 0;
	socklen_t size = sizeof(value);

	return getsockopt(fd, level, name, &value, &size) < 0 ? -errno : value;
}

static bool in_scope(const struct adopt_scope *scope, const struct address *address)
{
	for (size_t i = 0; i < scope->n_ports; i++)
		if (scope->ports[i].port == address->port)
			return address->udp ? scope->ports[i].udp : scope->ports[i].tcp;
	return !scope->n_ports;
}

static enum adopt_verdict judge(int fd)
{
	if (get_option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_MPTCP)
		return ADOPT_MPTCP;
	return get_option(fd, SOL_SOCKET, SO_REUSEPORT) == 1 ? ADOPT_OK : ADOPT_NO_REUSEPORT;
}

static void set_error(struct adopted_socket *socket, int error)
{
	socket->error = 0;
	if (error == -EOPNOTSUPP) {
		socket->verdict = ADOPT_MPTCP;
	} else if (error == -ENOSPC) {
		socket->verdict = ADOPT_FULL;
	} else {
		socket->verdict = ADOPT_ERROR;
		socket->error = error;
	}
	/* one socket, one place in one map: until it closes */
	if (error == -EBUSY)
		problem_set(&socket->reason, 0,
			    "the kernel has it in a map of another service, or in one whose pins "
			    "below " HS_PIN_ROOT " are gone; restart its unit, for a new socket");
}

/* On a port as the kernel gives to those who name none, and not in Ports=. */
static bool is_own_question(const struct adopt_scope *scope, const struct address *address)
{
	return !scope->n_ports && ephemeral_has(ephemeral_range(), address->port);
}

/*
 * Whether a socket that came without the option, or in no group, is brought into one. What a socket
 * unit passed in: always, it stems from before the unit was told to set it. What the server bound
 * itself: where the intake is forced, when it is from before the bind programs were there; those
 * whose port the kernel chose never have the option.
 */
static bool joins_late(const struct adopt_scope *scope, const struct listening_socket *socket)
{
	if (scan_is_passed_in(socket, scope->cgroup))
		return true;
	return scope->late && !is_own_question(scope, &socket->address);
}

static enum adopt_verdict judge_bare(const struct adopt_scope *scope,
				     const struct listening_socket *socket)
{
	if (joins_late(scope, socket))
		return ADOPT_OK;
	/* of UDP there are such in many servers: nothing to tell the user about */
	if (scope->late || (socket->address.udp && is_own_question(scope, &socket->address)))
		return ADOPT_PORT_LEFT_OUT;
	return ADOPT_NO_REUSEPORT;
}

static int attach_late(const struct listener *listener, int fd, struct adoption *adoption,
		       struct problem *problem)
{
	int helper, r = late_join(fd, &helper);

	if (r < 0)
		return problem_set(problem, r,
				   "it was bound without SO_REUSEPORT and cannot be given it while "
				   "it serves: %s; restart the instance",
				   strerror(-r));
	adoption->helpers[adoption->n_helpers++] = helper;
	return listener_attach(listener, fd);
}

/* Before anything is done to the socket or its group. */
static void claim(const struct plane *plane, unsigned slot, struct adopted_socket *socket, int fd)
{
	int r = claim_take(plane, slot, &socket->held.socket, fd, &socket->owner);

	if (r < 0)
		set_error(socket, r);
	else if (r == CLAIM_BELONGS)
		socket->verdict = ADOPT_BELONGS;
	else if (r != CLAIM_TAKEN)
		socket->verdict = ADOPT_NOT_OURS;
}

void adopt_guard(const struct plane *plane, const char *cgroup, bool everywhere)
{
	struct accounting *accounting = plane_accounting(plane);
	struct guard *guard = accounting ? accounting_guard(accounting) : NULL;

	if (!guard)
		return;
	guard_cgroup(guard, cgroup);
	if (everywhere)
		guard_everywhere(guard);
}

/* Before the selector is attached: then there is no moment in which it could be taken off. */
static void guard_socket(const struct plane *plane, const struct adopt_scope *scope,
			 const struct listening_socket *socket, int fd)
{
	struct accounting *accounting = plane_accounting(plane);
	struct guard *guard = accounting ? accounting_guard(accounting) : NULL;

	if (!guard)
		return;
	guard_port(guard, &socket->address, fd, plane_id(plane));
	/* it belongs to the cgroup of who made it, which is systemd's */
	if (scan_is_passed_in(socket, scope->cgroup))
		guard_everywhere(guard);
}

/* Sees to it that the socket's group has the selector. */
static int attach(struct plane *plane, const struct adopt_scope *scope, struct adoption *adoption,
		  struct adopted_socket *socket, int fd)
{
	struct listener *listener;
	int r = plane_listener_get(plane, &socket->held.socket.address, &listener, &socket->reason);

	if (!r)
		r = listener_learn_netns(listener, fd);
	if (!r) {
		guard_socket(plane, scope, &socket->held.socket, fd);
		r = listener_attach(listener, fd);
	}
	if (r == -EINVAL && joins_late(scope, &socket->held.socket))
		r = attach_late(listener, fd, adoption, &socket->reason);
	return r;
}

/* podman's watcher of a container holds a socket on each published port, so that nobody else takes
 * it; connections are sent past it. */
static bool is_reserved(const struct held_socket *held)
{
	struct holder holder = {.pid = held->pid};

	holder_read_comm(&holder);
	return !strcmp(holder.comm, "conmon");
}

/* On an address that the service has. */
static bool is_of_service(const struct plane *plane, const struct adopt_scope *scope,
			  const struct address *address)
{
	return plane_find(plane, address) || (scope->n_ports && in_scope(scope, address));
}

/* Of a process that has none of the service's own sockets. */
static bool is_of_session(const struct plane *plane, const struct adopt_scope *scope,
			  const struct adoption *adoption, const struct held_socket *held)
{
	if (!scope->settled || is_of_service(plane, scope, &held->socket.address))
		return false;
	for (size_t i = 0; i < adoption->n; i++) {
		const struct held_socket *other = &adoption->sockets[i].held;

		if (other->pid == held->pid && is_of_service(plane, scope, &other->socket.address))
			return false;
	}
	return true;
}

/* Judges one socket and makes sure that its group has the selector. -ESTALE: it is gone, forget it.
 */
static int prepare(struct plane *plane, const struct adopt_scope *scope, struct adoption *adoption,
		   struct adopted_socket *socket)
{
	const struct address *address = &socket->held.socket.address;
	_cleanup_(close_fdp) int fd = -1;
	int r;

	if (!in_scope(scope, address) || (address->udp && address_is_for_many(address)) ||
	    is_of_session(plane, scope, adoption, &socket->held)) {
		socket->verdict = ADOPT_PORT_LEFT_OUT;
		return 0;
	}
	if (is_reserved(&socket->held)) {
		socket->verdict = ADOPT_RESERVED;
		return 0;
	}
	r = scan_borrow(&socket->held, &fd);
	if (r < 0)
		return r;
	socket->verdict = judge(fd);
	if (socket->verdict == ADOPT_NO_REUSEPORT)
		socket->verdict = judge_bare(scope, &socket->held.socket);
	if (socket->verdict == ADOPT_OK)
		claim(plane, scope->slot, socket, fd);
	if (socket->verdict != ADOPT_OK)
		return 0;
	r = attach(plane, scope, adoption, socket, fd);
	if (r == -EINVAL) /* the option is there, but came too late: it is in no group */
		socket->verdict = ADOPT_NO_REUSEPORT;
	else if (r < 0)
		set_error(socket, r);
	if (r < 0)
		claim_drop(plane, fd);
	return 0;
}

/* What cannot be found out is no reason to refuse: at worst the selector cannot choose it. */
static bool shares_group(struct plane *plane, const struct held_socket *mine,
			 const struct listening_socket *other)
{
	_cleanup_(close_fdp) int mine_fd = -1, other_fd = -1;
	struct listener *listener;

	if (scan_borrow(mine, &mine_fd) < 0 || scan_borrow_unknown(other, &other_fd) < 0 ||
	    plane_listener_get(plane, &other->address, &listener, NULL) < 0)
		return true;
	if (owners_same_group(plane, listener, mine_fd, other_fd))
		return true;
	/* its group is nothing of ours */
	listener_detach(mine_fd);
	claim_drop(plane, mine_fd);
	return false;
}

static bool is_of_another(const struct plane *plane, unsigned slot, uint64_t cookie)
{
	for (unsigned place = 0; place < HS_PLACES_MAX; place++)
		if (place != slot && plane_slot_has(plane, place, cookie))
			return true;
	return false;
}

static void judge_owner(struct plane *plane, unsigned slot, struct adopted_socket *socket)
{
	const struct listening_socket *mine = &socket->held.socket;
	_cleanup_(freep) struct listening_socket *all = NULL;
	struct listener *listener;
	size_t n = 0;

	if (socket->verdict != ADOPT_OK ||
	    plane_listener_get(plane, &mine->address, &listener, NULL) < 0 ||
	    diag_listening_at(&listener->netns, mine->address.udp, mine->address.port, -1, &all,
			      &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (!address_equal(&mine->address, &all[i].address) || mine->uid == all[i].uid ||
		    !is_of_another(plane, slot, all[i].cookie))
			continue;
		if (!shares_group(plane, &socket->held, &all[i]))
			socket->verdict = ADOPT_OTHER_UID;
		return;
	}
}

/* All sockets of a group had one owner when they joined it (see plane/owners.h). Where owners
 * differ now, it may have been changed since, or there are two groups: of these only one can be
 * switched, that which the other slots are in. */
static void judge_owners(struct plane *plane, unsigned slot, struct adoption *adoption)
{
	for (size_t i = 0; i < adoption->n; i++)
		judge_owner(plane, slot, &adoption->sockets[i]);
}

static void count(struct adoption *adoption)
{
	adoption->adopted = adoption->n_paths;
	adoption->refused = adoption->contested = 0;
	for (size_t i = 0; i < adoption->n; i++) {
		enum adopt_verdict verdict = adoption->sockets[i].verdict;

		adoption->adopted += verdict == ADOPT_OK;
		adoption->refused += !is_no_matter(verdict);
		adoption->contested += verdict == ADOPT_BELONGS;
	}
}

static int prepare_all(struct plane *plane, const struct adopt_scope *scope,
		       struct adoption *adoption, struct problem *problem)
{
	size_t kept = 0;
	int r;

	for (size_t i = 0; i < adoption->n; i++) {
		r = prepare(plane, scope, adoption, &adoption->sockets[i]);
		if (r == -EPERM || r == -EACCES)
			return problem_set(problem, r,
					   "no permission to borrow a socket of process %d; this "
					   "needs root with CAP_SYS_PTRACE",
					   adoption->sockets[i].held.pid);
		if (!r)
			adoption->sockets[kept++] = adoption->sockets[i];
	}
	adoption->n = kept;
	return 0;
}

static bool is_known(const struct plane *plane, unsigned slot, const struct held_socket *held)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < n; i++)
		if (address_equal(&listeners[i]->address, &held->socket.address) &&
		    listener_had(listeners[i], slot, held->socket.cookie))
			return true;
	return false;
}

/* At a path that the slot has been adopted at. */
static bool has_known_path(const struct plane *plane, unsigned slot, const char *cgroup)
{
	struct found_path found[HS_PATHS_MAX];
	char paths[HS_PATHS_MAX][HS_PATH_MAX];
	const char *live[HS_PATHS_MAX];
	struct pathscan scan = {plane_service(plane), cgroup, slot,
				(const char(*)[HS_PATH_MAX])paths,
				paths_live(plane_paths(plane), live)};
	struct problem problem;
	unsigned n = 0;

	for (unsigned i = 0; i < scan.n_paths; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s", live[i]);
	if (!scan.n_paths || pathscan_find(&scan, found, &n, &problem) < 0)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (paths_had(plane_paths(plane), slot, found[i].listener.cookie))
			return true;
	return false;
}

bool adopt_is_occupied(const struct plane *plane, unsigned slot, const char *cgroup)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	size_t n;

	if (scan_cgroup(cgroup, &held, &n) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (is_known(plane, slot, &held[i]))
			return true;
	return has_known_path(plane, slot, cgroup);
}

/* Whether the slot is suspect and still occupied by the instance that made it so. */
static bool still_suspect(struct plane *plane, unsigned slot, const struct adoption *adoption)
{
	if (!plane_is_suspect(plane, slot))
		return false;
	for (size_t i = 0; i < adoption->n; i++)
		if (is_known(plane, slot, &adoption->sockets[i].held))
			return true;
	for (unsigned i = 0; i < adoption->n_paths; i++)
		if (paths_had(plane_paths(plane), slot, adoption->paths[i].listener.cookie))
			return true;
	/* it may have no sockets yet; then the next adoption tells */
	if (adoption->n || adoption->n_paths)
		plane_set_suspect(plane, slot, false);
	return false;
}

static int by_address(const void *a, const void *b)
{
	const struct listening_socket *left = &((const struct adopted_socket *)a)->held.socket;
	const struct listening_socket *right = &((const struct adopted_socket *)b)->held.socket;

	if (left->address.port != right->address.port)
		return left->address.port < right->address.port ? -1 : 1;
	return left->cookie < right->cookie ? -1 : left->cookie > right->cookie;
}

uint64_t adopt_path_mark(const struct found_path *found)
{
	struct held_socket held = {.socket.cookie = found->listener.cookie};

	return scan_mark(&held);
}

static int find_paths(const struct plane *plane, const struct adopt_scope *scope,
		      struct adoption *adoption)
{
	struct pathscan scan = {
		.service = plane_service(plane),
		.cgroup = scope->cgroup,
		.slot = scope->slot,
		.paths = scope->paths,
		.n_paths = scope->n_paths,
	};

	return pathscan_find(&scan, adoption->paths, &adoption->n_paths, &adoption->path_problem);
}

int adoption_begin(struct plane *plane, const struct adopt_scope *scope,
		   struct adoption **ret_adoption, struct problem *problem)
{
	_cleanup_(adoption_freep) struct adoption *adoption = calloc(1, sizeof(*adoption));
	_cleanup_(freep) struct held_socket *held = NULL;
	int blind, r;

	if (!adoption)
		return -ENOMEM;
	r = scan_cgroup_blind(scope->cgroup, &held, &adoption->n, &blind);
	if (r == -E2BIG)
		return problem_set(
			problem, r,
			"its processes have too many descriptors to be looked through "
			"for sockets: more than %d of them, %d processes or %d s of CPU; "
			"lower LimitNOFILE= or TasksMax= of its unit",
			LEND_DESCRIPTORS_MAX, LEND_PROCESSES_MAX,
			(int)(LEND_CPU_USEC_MAX / USEC_PER_SEC));
	if (r == -ENOTCONN)
		return problem_set(problem, r,
				   "hs-borrow, which looks for its sockets, does not answer on %s; "
				   "see systemctl status hs-borrow.socket",
				   BORROW_SOCKET);
	if (r < 0)
		return problem_set(problem, r, "cannot look for sockets in cgroup %s: %s",
				   scope->cgroup, strerror(-r));
	r = find_paths(plane, scope, adoption);
	if (r < 0)
		return problem_set(problem, r, "cannot look for its AF_UNIX sockets: %s",
				   strerror(-r));
	if (blind)
		problem_set(&adoption->blind, 0,
			    "the network namespace of its processes cannot be looked into: %s; "
			    "that needs CAP_SYS_ADMIN and CAP_SYS_PTRACE there",
			    strerror(-blind));
	adoption->sockets = calloc(adoption->n + 1, sizeof(*adoption->sockets));
	adoption->helpers = calloc(adoption->n + 1, sizeof(*adoption->helpers));
	if (!adoption->sockets || !adoption->helpers)
		return -ENOMEM;
	plane_set_retired(plane, scope->slot, false);
	adopt_guard(plane, scope->cgroup, scope->late);
	for (size_t i = 0; i < adoption->n; i++)
		adoption->sockets[i].held = held[i];
	adoption->suspect = still_suspect(plane, scope->slot, adoption);
	r = prepare_all(plane, scope, adoption, problem);
	if (r < 0)
		return r;
	/* in the order in which the server opened them: its worker N keeps its place */
	qsort(adoption->sockets, adoption->n, sizeof(*adoption->sockets), by_address);
	judge_owners(plane, scope->slot, adoption);
	count(adoption);
	*ret_adoption = steal_ptr(&adoption);
	return 0;
}

/* The namespace of earlier instances ended with the last of them. */
static void forget_old_namespaces(struct plane *plane, const struct adoption *adoption)
{
	for (size_t i = 0; i < adoption->n; i++)
		if (adoption->sockets[i].verdict == ADOPT_OK &&
		    adoption->sockets[i].held.socket.address.netns)
			plane_forget_elsewhere(plane, &adoption->sockets[i].held.socket.address);
}

static bool is_noted(const struct adoption *adoption, uint32_t inode)
{
	struct stat st;

	for (size_t i = 0; i < adoption->n_namespaces; i++)
		if (!fstat(adoption->namespaces[i], &st) && st.st_ino == inode)
			return true;
	return false;
}

void adoption_note_namespaces(const struct plane *plane, struct adoption *adoption)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < n && adoption->n_namespaces < LEND_NAMESPACES_MAX; i++) {
		int fd = listeners[i]->netns.fd;

		if (fd < 0 || is_noted(adoption, listeners[i]->netns.inode))
			continue;
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (fd >= 0)
			adoption->namespaces[adoption->n_namespaces++] = fd;
	}
}

void adoption_follow(struct plane *plane, const struct adoption *adoption)
{
	plane_refresh(plane);
	plane_place(plane, adoption->namespaces, adoption->n_namespaces);
	forget_old_namespaces(plane, adoption);
}

/* A server with several sockets on one address: the first one counts. */
static bool is_first(const struct adoption *adoption, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (adoption->sockets[i].verdict == ADOPT_OK &&
		    address_equal(&adoption->sockets[i].held.socket.address,
				  &adoption->sockets[index].held.socket.address))
			return false;
	return true;
}

static int make_twin(struct plane *plane, const struct held_socket *held)
{
	struct listener *listener = plane_find(plane, &held->socket.address);
	_cleanup_(close_fdp) int model = -1;
	int twin;

	if (!listener || scan_borrow(held, &model) < 0)
		return -1;
	return park_twin(listener, model, &twin) < 0 ? -1 : twin;
}

int adoption_make_twins(struct plane *plane, struct adoption *adoption)
{
	adoption->twins = calloc(adoption->n + 1, sizeof(*adoption->twins));
	if (!adoption->twins)
		return -ENOMEM;
	for (size_t i = 0; i < adoption->n; i++) {
		const struct adopted_socket *socket = &adoption->sockets[i];

		adoption->twins[i] = -1;
		if (socket->verdict == ADOPT_OK && !socket->held.socket.address.udp &&
		    is_first(adoption, i))
			adoption->twins[i] = make_twin(plane, &socket->held);
	}
	return 0;
}

static int put_one(struct plane *plane, unsigned slot, const struct adopted_socket *socket)
{
	struct hs_tag tag = {.service_id = plane_id(plane), .slot = slot};
	_cleanup_(close_fdp) int fd = -1;
	struct listener *listener;
	int r = scan_borrow(&socket->held, &fd);

	if (!r)
		r = plane_listener_get(plane, &socket->held.socket.address, &listener, NULL);
	/* once more: where listeners were short, the one from before may have been made anew */
	if (!r)
		r = listener_attach(listener, fd);
	if (!r && plane_accounting(plane))
		r = accounting_tag(plane_accounting(plane), fd, &tag);
	return r ? r : listener_put(listener, slot, fd, socket->held.socket.cookie);
}

/* Also what is in the map already: it may lack a tag, when accounting has come later. -ESTALE: the
 * socket has ended since, there is nothing to tell of it. */
static int commit_one(struct plane *plane, unsigned slot, struct adoption *adoption,
		      struct adopted_socket *socket)
{
	bool had = plane_slot_has(plane, slot, socket->held.socket.cookie);
	int r;

	if (socket->verdict != ADOPT_OK)
		return 0;
	r = put_one(plane, slot, socket);
	if (!r)
		adoption->fresh += !had;
	else if (r != -ESTALE)
		set_error(socket, r);
	return r;
}

/* A table that is not there is made with the first path only. */
static int commit_paths(struct plane *plane, unsigned slot, struct adoption *adoption)
{
	char kept[HS_PATHS_MAX][HS_PATH_MAX];
	struct paths *paths;
	int r;

	if (!adoption->n_paths && !plane_paths(plane)->entries)
		return 0;
	r = plane_paths_get(plane, &paths);
	for (unsigned i = 0; !r && i < adoption->n_paths; i++) {
		const struct found_path *found = &adoption->paths[i];

		memcpy(kept[i], found->path, sizeof(kept[i]));
		adoption->fresh += !plane_slot_has(plane, slot, found->listener.cookie);
		r = paths_put(paths, slot, found->path, &found->listener);
	}
	if (!r)
		paths_keep(paths, slot, kept, adoption->n_paths);
	return r;
}

int adoption_commit(struct plane *plane, unsigned slot, struct adoption *adoption)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);
	size_t kept = 0;
	int r;

	adoption->fresh = 0;
	if (adoption->suspect)
		return 0;
	for (size_t i = 0; i < n; i++) {
		listener_tidy(listeners[i], slot);
		listener_tidy_owners(listeners[i], slot);
	}
	if (adoption->adopted && !plane_slot_sockets(plane, slot))
		plane_advance_epoch(plane, slot);
	for (size_t i = 0; i < adoption->n; i++)
		if (commit_one(plane, slot, adoption, &adoption->sockets[i]) != -ESTALE)
			adoption->sockets[kept++] = adoption->sockets[i];
	adoption->n = kept;
	r = commit_paths(plane, slot, adoption);
	if (r < 0) {
		adoption->n_paths = 0;
		problem_set(&adoption->path_problem, r,
			    "what listens at its paths cannot be noted: %s", strerror(-r));
	}
	count(adoption);
	forget_old_namespaces(plane, adoption);
	if (adoption->adopted)
		adopt_ensure_active(plane, slot);
	/* the folder of the link may be new */
	if (pathlink_follow(plane) < 0 && !adoption->path_problem.text[0])
		pathlink_describe(plane, &adoption->path_problem);
	return 0;
}

void adopt_ensure_active(struct plane *plane, unsigned slot)
{
	uint64_t word;

	do {
		word = plane_word(plane);
		if (hs_word_flags(word) & HS_FLAG_EXCLUSIVE ||
		    (hs_word_active(word) < HS_SLOTS_MAX &&
		     plane_slot_sockets(plane, hs_word_active(word))))
			return;
	} while (plane_swap_word(plane, word, word_with_active(word, slot)));
}
