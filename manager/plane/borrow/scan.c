// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/borrow/scan.h"

#include <string.h>

#include "plane/borrow/borrow.h"
#include "plane/kernel/cgroup.h"
#include "util/macro.h"

/* Control groups of a unit, where it is asked by them. */
#define CGROUPS_MAX 256

struct scan {
	const struct scan_among *among;
	struct listening_socket *listening; /* by inode, when all are there */
	size_t n_listening;
	uint32_t *inodes; /* likewise */
	struct lent_place *places;
	size_t n_places;
	int blind; /* 0, or why there may be others that were not seen */
};

static void (*on_borrow)(const struct held_socket *held);

void scan_on_borrow(void (*tell)(const struct held_socket *held))
{
	on_borrow = tell;
}

void scan_tell(const struct held_socket *held)
{
	if (on_borrow)
		on_borrow(held);
}

static void scan_done(struct scan *scan)
{
	free(scan->listening);
	free(scan->inodes);
	free(scan->places);
}

/* Who makes what is passed in to a unit, by id: PID 1, and "app@0.socket" for "app@0.service". */
static void add_givers(const char *cgroup, uint64_t *ids, size_t *n)
{
	static const char service[] = ".service";
	size_t length = strlen(cgroup), stem = length - MIN(length, sizeof(service) - 1);
	char unit[PATH_MAX];

	if (!cgroup_id("/init.scope", &ids[*n]))
		++*n;
	if (strcmp(cgroup + stem, service) ||
	    snprintf(unit, sizeof(unit), "%.*s.socket", (int)stem, cgroup) >= (int)sizeof(unit))
		return;
	if (!cgroup_id(unit, &ids[*n]))
		++*n;
}

/* Of so many sockets on the machine those that are the unit's by their making, or are on known
 * addresses. */
static int list_likely(const struct scan_among *among, const char *cgroup,
		       const struct netns *netns, struct listening_socket **ret_sockets,
		       size_t *ret_n)
{
	uint64_t ids[CGROUPS_MAX + 2];
	struct diag_wanted wanted = {
		.addresses = among->addresses, .n_addresses = among->n_addresses, .cgroups = ids};
	int r = cgroup_ids(cgroup, ids, CGROUPS_MAX, &wanted.n_cgroups);

	/* with more of them: those that are there, and that it may not be all is told anyway */
	if (r < 0 && r != -E2BIG)
		return r;
	add_givers(cgroup, ids, &wanted.n_cgroups);
	r = diag_listening_wanted(netns, true, &wanted, ret_sockets, ret_n);
	return r == -EOVERFLOW ? -E2BIG : r;
}

static int list(struct scan *scan, const char *cgroup, const struct netns *netns,
		struct listening_socket **ret_sockets, size_t *ret_n)
{
	const struct scan_among *among = scan->among;
	struct diag_wanted wanted = {.addresses = among->addresses,
				     .n_addresses = among->n_addresses};
	int r;

	if (among->known_only)
		return diag_listening_wanted(netns, true, &wanted, ret_sockets, ret_n);
	r = diag_listening(netns, true, ret_sockets, ret_n);
	if (r != -EOVERFLOW)
		return r;
	scan->blind = r;
	return list_likely(among, cgroup, netns, ret_sockets, ret_n);
}

static int add_sockets(struct scan *scan, const char *cgroup, const struct netns *netns)
{
	_cleanup_(freep) struct listening_socket *more = NULL;
	struct listening_socket *all;
	size_t n;
	int r = list(scan, cgroup, netns, &more, &n);

	if (r < 0 || !n)
		return r;
	all = realloc(scan->listening, (scan->n_listening + n) * sizeof(*all));
	if (!all)
		return -ENOMEM;
	memcpy(all + scan->n_listening, more, n * sizeof(*all));
	scan->listening = all;
	scan->n_listening += n;
	return 0;
}

/* Whether there can be any in another namespace than ours. */
static bool goes_elsewhere(const struct scan_among *among)
{
	for (size_t i = 0; i < among->n_addresses; i++)
		if (among->addresses[i].netns)
			return true;
	return !among->known_only;
}

static int add_namespaces(struct scan *scan, const char *cgroup)
{
	struct netns namespaces[LEND_NAMESPACES_MAX];
	size_t n;
	int blind = 0, r;

	if (!goes_elsewhere(scan->among))
		return 0;
	r = borrow_namespaces(cgroup, namespaces, &n, &blind);
	scan->blind = blind ?: scan->blind;
	for (size_t i = 0; !r && i < n; i++) {
		int error = add_sockets(scan, cgroup, &namespaces[i]);

		scan->blind = error < 0 ? error : scan->blind;
		close_fd(namespaces[i].fd);
	}
	return r;
}

static int by_inode(const void *a, const void *b)
{
	const struct listening_socket *left = a, *right = b;

	return left->inode < right->inode ? -1 : left->inode > right->inode;
}

static int find(struct scan *scan, const char *cgroup)
{
	if (scan->n_listening)
		qsort(scan->listening, scan->n_listening, sizeof(*scan->listening), by_inode);
	scan->inodes = calloc(scan->n_listening + 1, sizeof(*scan->inodes));
	if (!scan->inodes)
		return -ENOMEM;
	for (size_t i = 0; i < scan->n_listening; i++)
		scan->inodes[i] = scan->listening[i].inode;
	return borrow_find(cgroup, scan->inodes, scan->n_listening, &scan->places, &scan->n_places);
}

static struct held_socket held_at(const struct scan *scan, const struct lent_place *place)
{
	struct listening_socket key = {.inode = place->inode}, *found;

	found = bsearch(&key, scan->listening, scan->n_listening, sizeof(key), by_inode);
	return (struct held_socket) {
		.socket = found ? *found : key, .pid = place->pid, .fd = place->fd};
}

int scan_cgroup_among(const char *cgroup, const struct scan_among *among,
		      struct held_socket **ret_held, size_t *ret_n, int *ret_blind)
{
	_cleanup_(scan_done) struct scan scan = {.among = among};
	struct held_socket *held;
	int r = add_sockets(&scan, cgroup, NULL);

	if (!r)
		r = add_namespaces(&scan, cgroup);
	if (!r)
		r = find(&scan, cgroup);
	if (r < 0)
		return r;
	held = calloc(scan.n_places + 1, sizeof(*held));
	if (!held)
		return -ENOMEM;
	for (size_t i = 0; i < scan.n_places; i++)
		held[i] = held_at(&scan, &scan.places[i]);
	*ret_n = scan.n_places;
	*ret_held = held;
	*ret_blind = scan.blind;
	return 0;
}

int scan_cgroup(const char *cgroup, struct held_socket **ret_held, size_t *ret_n)
{
	static const struct scan_among all;
	int blind;

	return scan_cgroup_among(cgroup, &all, ret_held, ret_n, &blind);
}

int scan_borrow(const struct held_socket *held, int *ret_fd)
{
	struct lent_socket socket = {
		.place = {held->socket.inode, held->pid, held->fd},
		.cookie = held->socket.cookie,
	};

	scan_tell(held);
	return borrow_socket(&socket, ret_fd);
}

uint64_t scan_mark(const struct held_socket *held)
{
	return held->socket.cookie * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

bool scan_is_passed_in(const struct listening_socket *socket, const char *cgroup)
{
	return !socket->uid && socket->cgroup_id && !cgroup_contains(cgroup, socket->cgroup_id);
}

int scan_borrow_unknown(const struct listening_socket *socket, int *ret_fd)
{
	_cleanup_(freep) struct holder *holders = NULL;
	struct held_socket held = {.socket = *socket};
	size_t n;
	int r = borrow_holders(&socket->inode, 1, &holders, &n);

	if (r < 0 || !n)
		return r < 0 ? r : -ESTALE;
	held.pid = holders[0].pid;
	held.fd = holders[0].fd;
	return scan_borrow(&held, ret_fd);
}
