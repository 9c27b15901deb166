// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/parts/listener.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "plane/bpf/guard.h"
#include "plane/bpf/load.h"
#include "plane/bpf/pins.h"
#include "plane/bpf/selector.h"
#include "util/macro.h"

#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68
#endif

DEFINE_CLEANUP(struct listener, listener_free)

static struct listener *listener_new(const struct address *address)
{
	struct listener *listener = calloc(1, sizeof(*listener));

	if (!listener)
		return NULL;
	listener->address = *address;
	listener->netns = NETNS_OWN;
	listener->selector_fd = listener->sockets_fd = listener->owners_fd = -1;
	return listener;
}

struct listener *listener_free(struct listener *listener)
{
	if (!listener)
		return NULL;
	if (listener->shards)
		munmap(listener->shards, sizeof(*listener->shards));
	close_fd(listener->netns.fd);
	close_fd(listener->selector_fd);
	close_fd(listener->sockets_fd);
	close_fd(listener->owners_fd);
	free(listener);
	return NULL;
}

static int map_shards(struct listener *listener, int fd)
{
	listener->shards = load_memory(fd, sizeof(*listener->shards));
	return listener->shards ? 0 : -errno;
}

static uint64_t build_of(const struct listener *listener)
{
	return __atomic_load_n(&listener->shards->build, __ATOMIC_SEQ_CST);
}

/* Whoever renews a selector pins it, and then notes its build: so the build is asked for first. */
static int open_selector(struct listener *listener, const char *folder)
{
	uint64_t build = build_of(listener);
	int fd, r = pin_open(pin_path("%s/selector", folder).text, &fd);

	if (r)
		return r;
	close_fd(listener->selector_fd);
	listener->selector_fd = fd;
	listener->build = build;
	return 0;
}

int listener_open(const char *folder, const struct address *address, struct listener **ret_listener)
{
	_cleanup_(listener_freep) struct listener *listener = listener_new(address);
	_cleanup_(close_fdp) int shards = -1;
	int r;

	if (!listener)
		return -ENOMEM;
	r = pin_open(pin_path("%s/sockets", folder).text, &listener->sockets_fd);
	/* a UDP socket never hands over what it has */
	if (!r && !address->udp)
		r = pin_open(pin_path("%s/owners", folder).text, &listener->owners_fd);
	if (!r)
		r = pin_open(pin_path("%s/shards", folder).text, &shards);
	if (!r)
		r = map_shards(listener, shards);
	/* the selector is pinned last: without it the set is half made */
	if (!r)
		r = open_selector(listener, folder);
	if (r < 0)
		return r;
	*ret_listener = steal_ptr(&listener);
	return 0;
}

bool listener_is_outdated(const struct listener *listener)
{
	return build_of(listener) != selector_build(listener->address.udp);
}

void listener_follow(struct listener *listener, const char *folder)
{
	if (build_of(listener) != listener->build)
		(void)open_selector(listener, folder);
}

int listener_create(const char *folder, const struct address *address,
		    const struct selector_shared *shared, struct listener **ret_listener,
		    struct problem *problem)
{
	int r = selector_create(folder, address->udp, shared, problem);

	if (r < 0)
		return r;
	r = listener_open(folder, address, ret_listener);
	if (r < 0)
		return problem_set(problem, r, "cannot open the pins below %s: %s", folder,
				   strerror(-r));
	(*ret_listener)->build = selector_build(address->udp);
	(*ret_listener)->shards->build = selector_build(address->udp);
	return 0;
}

int listener_load_copy(const struct listener *listener, const char *folder,
		       const struct selector_shared *shared, int *ret_fd)
{
	return selector_copy(folder, listener->address.udp, shared, ret_fd, NULL);
}

int listener_renew(struct listener *listener, const char *folder,
		   const struct selector_shared *shared, struct problem *problem)
{
	bool udp = listener->address.udp;
	int fd, r = selector_replace(folder, udp, shared, &fd, problem);

	if (r < 0)
		return r;
	close_fd(listener->selector_fd);
	listener->selector_fd = fd;
	listener->build = selector_build(udp);
	__atomic_store_n(&listener->shards->build, listener->build, __ATOMIC_SEQ_CST);
	return 0;
}

int listener_learn_netns(struct listener *listener, int socket_fd)
{
	if (!listener->address.netns || listener->netns.fd >= 0)
		return 0;
	return netns_of_socket(socket_fd, &listener->netns);
}

int listener_attach(const struct listener *listener, int socket_fd)
{
	return guard_pass(socket_fd, SO_ATTACH_REUSEPORT_EBPF, listener->selector_fd);
}

int listener_detach(int socket_fd)
{
	int r = guard_pass(socket_fd, SO_DETACH_REUSEPORT_BPF, 0);

	return r == -ENOENT ? 0 : r;
}

static int entry_cookie(const struct listener *listener, uint32_t index, uint64_t *ret_cookie)
{
	return bpf_map_lookup_elem(listener->sockets_fd, &index, ret_cookie) ? -errno : 0;
}

static bool has_cookie(const struct listener *listener, unsigned slot, uint64_t cookie)
{
	uint64_t cookies[HS_SHARDS_MAX];
	unsigned n = listener_sockets(listener, slot, cookies);

	for (unsigned i = 0; i < n; i++)
		if (cookies[i] == cookie)
			return true;
	return false;
}

static void set_hint(struct listener *listener, unsigned slot, unsigned shard)
{
	__atomic_fetch_or(&listener->shards->live[slot], UINT64_C(1) << shard, __ATOMIC_SEQ_CST);
}

/* -EEXIST when the place is taken, whoever has it; -EBUSY when it is free and the socket has
 * another one, in this slot, another, or another map. Kernel: reuseport_array_update_check(). */
static int put_at(struct listener *listener, uint32_t index, int socket_fd)
{
	uint64_t value = socket_fd;

	return bpf_map_update_elem(listener->sockets_fd, &index, &value, BPF_NOEXIST) ? -errno : 0;
}

/* Whether the socket has a place in this slot already, and now has its hint, too: it was set aside,
 * or another process has put it there just now and may not have come as far as that. */
static bool confirm_put(struct listener *listener, unsigned slot, uint64_t cookie)
{
	uint64_t other;

	for (unsigned shard = 0; shard < HS_SHARDS_MAX; shard++) {
		if (entry_cookie(listener, slot * HS_SHARDS_MAX + shard, &other) || other != cookie)
			continue;
		set_hint(listener, slot, shard);
		return true;
	}
	return false;
}

/* In a free place. Returns which, or as put_at(). */
static int put_somewhere(struct listener *listener, unsigned slot, int socket_fd)
{
	int r = -EEXIST;

	for (unsigned shard = 0; shard < HS_SHARDS_MAX && r == -EEXIST; shard++) {
		r = put_at(listener, slot * HS_SHARDS_MAX + shard, socket_fd);
		if (!r)
			return (int)shard;
	}
	return r;
}

int listener_put_aside(struct listener *listener, unsigned slot, int socket_fd)
{
	int r = put_somewhere(listener, slot, socket_fd);

	return MIN(r, 0);
}

int listener_put(struct listener *listener, unsigned slot, int socket_fd, uint64_t cookie)
{
	uint32_t owner = slot;
	int r;

	if (has_cookie(listener, slot, cookie))
		return 0;
	r = put_somewhere(listener, slot, socket_fd);
	if (r >= 0) {
		set_hint(listener, slot, (unsigned)r);
		r = 0;
	}
	/* -EEXIST tells of the places alone: where all are taken, the kernel does not come as far
	 * as to ask whether the socket has one of them */
	if ((r == -EBUSY || r == -EEXIST) && confirm_put(listener, slot, cookie))
		r = 0;
	/* a full map is no reason not to serve: then a move from this socket is told without its
	 * origin */
	if (!r && listener->owners_fd >= 0)
		bpf_map_update_elem(listener->owners_fd, &cookie, &owner, BPF_ANY);
	if (r == -EEXIST)
		return -ENOSPC;
	return r == -ENOTSUP || r == -524 /* the kernel's own ENOTSUPP */ ? -EOPNOTSUPP : r;
}

void listener_withdraw(struct listener *listener, unsigned slot)
{
	listener_set_aside(listener, slot);
	for (uint32_t shard = 0; shard < HS_SHARDS_MAX; shard++) {
		uint32_t index = slot * HS_SHARDS_MAX + shard;

		bpf_map_delete_elem(listener->sockets_fd, &index);
	}
}

void listener_take_out(struct listener *listener, unsigned slot, uint64_t cookie)
{
	uint64_t other;

	for (uint32_t shard = 0; shard < HS_SHARDS_MAX; shard++) {
		uint32_t index = slot * HS_SHARDS_MAX + shard;

		if (entry_cookie(listener, index, &other) || other != cookie)
			continue;
		__atomic_fetch_and(&listener->shards->live[slot], ~(UINT64_C(1) << shard),
				   __ATOMIC_SEQ_CST);
		bpf_map_delete_elem(listener->sockets_fd, &index);
	}
}

void listener_disown(struct listener *listener, uint64_t cookie)
{
	if (listener->owners_fd >= 0)
		bpf_map_delete_elem(listener->owners_fd, &cookie);
}

void listener_set_aside(struct listener *listener, unsigned slot)
{
	__atomic_store_n(&listener->shards->live[slot], 0, __ATOMIC_SEQ_CST);
}

unsigned listener_sockets(const struct listener *listener, unsigned slot,
			  uint64_t cookies[HS_SHARDS_MAX])
{
	uint64_t live = __atomic_load_n(&listener->shards->live[slot], __ATOMIC_SEQ_CST);
	unsigned n = 0;

	for (uint32_t shard = 0; shard < HS_SHARDS_MAX; shard++)
		if (live & (UINT64_C(1) << shard) &&
		    !entry_cookie(listener, slot * HS_SHARDS_MAX + shard, &cookies[n]))
			n++;
	return n;
}

uint32_t listener_live_slots(const struct listener *listener)
{
	uint64_t cookies[HS_SHARDS_MAX];
	uint32_t live = 0;

	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		if (listener_sockets(listener, slot, cookies))
			live |= 1U << slot;
	return live;
}

unsigned listener_owner(const struct listener *listener, uint64_t cookie)
{
	uint32_t owner;

	return bpf_map_lookup_elem(listener->owners_fd, &cookie, &owner) ? HS_SLOT_NONE : owner;
}

bool listener_had(const struct listener *listener, unsigned slot, uint64_t cookie)
{
	uint32_t owner;

	return listener->owners_fd >= 0 &&
	       !bpf_map_lookup_elem(listener->owners_fd, &cookie, &owner) && owner == slot;
}

void listener_tidy_owners(struct listener *listener, unsigned slot)
{
	uint64_t key, next, *previous = NULL;
	uint32_t owner;

	if (listener->owners_fd < 0)
		return;
	while (!bpf_map_get_next_key(listener->owners_fd, previous, &next)) {
		if (previous && owner == slot && !has_cookie(listener, slot, key))
			bpf_map_delete_elem(listener->owners_fd, &key);
		key = next;
		previous = &key;
		if (bpf_map_lookup_elem(listener->owners_fd, &key, &owner))
			owner = HS_SLOT_NONE;
	}
	if (previous && owner == slot && !has_cookie(listener, slot, key))
		bpf_map_delete_elem(listener->owners_fd, &key);
}

void listener_tidy(struct listener *listener, unsigned slot)
{
	__u64 *live = &listener->shards->live[slot];
	uint64_t cookie;

	for (uint32_t shard = 0; shard < HS_SHARDS_MAX; shard++) {
		uint64_t bit = UINT64_C(1) << shard;

		if (!(__atomic_load_n(live, __ATOMIC_SEQ_CST) & bit))
			continue;
		if (!entry_cookie(listener, slot * HS_SHARDS_MAX + shard, &cookie))
			continue;
		/* clear, look again: someone may have put a socket there just now */
		__atomic_fetch_and(live, ~bit, __ATOMIC_SEQ_CST);
		if (!entry_cookie(listener, slot * HS_SHARDS_MAX + shard, &cookie))
			__atomic_fetch_or(live, bit, __ATOMIC_SEQ_CST);
	}
}

bool listener_is_first(struct listener *const *listeners, size_t index)
{
	const struct address *address = &listeners[index]->address;

	for (size_t i = 0; i < index; i++)
		if (listeners[i]->address.udp && listeners[i]->address.port == address->port &&
		    listeners[i]->address.netns == address->netns)
			return false;
	return true;
}

bool listener_is_first_there(struct listener *const *listeners, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (listeners[i]->netns.inode == listeners[index]->netns.inode)
			return false;
	return true;
}
