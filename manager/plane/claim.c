// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/claim.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <string.h>

#include "plane/bpf/handover.h"
#include "plane/bpf/pins.h"
#include "util/macro.h"

/* ---- whose id it is ---- */

struct name_search {
	uint32_t service_id;
	char service[SERVICE_NAME_MAX];
};

static int compare_id(const char *pin, void *userdata)
{
	struct name_search *search = userdata;

	return !name_from_pin(pin, search->service) &&
	       handover_service_id(pin) == search->service_id;
}

int claim_find_service(uint32_t service_id, char ret_service[SERVICE_NAME_MAX])
{
	struct name_search search = {.service_id = service_id};
	int r = service_id ? pins_each_folder(HS_PIN_ROOT, compare_id, &search) : 0;

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	memcpy(ret_service, search.service, sizeof(search.service));
	return 0;
}

/* ---- tags ---- */

/* Zeroes when it has none. */
static struct hs_tag tag_of(const struct plane *plane, int fd)
{
	struct hs_tag tag = {0};

	if (plane_accounting(plane) &&
	    bpf_map_lookup_elem(accounting_tags_fd(plane_accounting(plane)), &fd, &tag))
		memset(&tag, 0, sizeof(tag));
	return tag;
}

bool claim_is_of_another(const struct plane *plane, int socket_fd)
{
	struct hs_tag tag = tag_of(plane, socket_fd);
	char service[SERVICE_NAME_MAX];

	return tag.service_id && tag.service_id != plane_id(plane) &&
	       claim_find_service(tag.service_id, service) != -ENOENT;
}

bool claim_is_ours(const struct plane *plane, int socket_fd)
{
	struct hs_tag tag = tag_of(plane, socket_fd);

	return !plane_accounting(plane) ||
	       (tag.service_id == plane_id(plane) && tag.slot < HS_SLOTS_MAX);
}

void claim_drop(const struct plane *plane, int socket_fd)
{
	if (plane_accounting(plane))
		bpf_map_delete_elem(accounting_tags_fd(plane_accounting(plane)), &socket_fd);
}

/* ---- claiming ---- */

/* sock_diag shows tags of TCP sockets only. Of UDP it is asked whose map has any of those on an
 * address: once for each address, for how many sockets there are is the instance's choice. */
#define ADDRESSES_MAX 8

struct datagram_search {
	const struct listening_socket *sockets;
	size_t n;
	char listener[ADDRESS_PIN_MAX];
	uint32_t own_id, id; /* `id`: found; our own before others */
};

static bool has(const struct datagram_search *search, uint64_t cookie)
{
	for (size_t i = 0; i < search->n; i++)
		if (search->sockets[i].cookie == cookie)
			return true;
	return false;
}

static int look_in_map(const char *pin, void *userdata)
{
	struct datagram_search *search = userdata;
	_cleanup_(close_fdp) int fd = -1;
	char service[SERVICE_NAME_MAX];
	uint64_t cookie;

	if (name_from_pin(pin, service) ||
	    pin_open(pin_path(HS_PIN_ROOT "/%s/%s/sockets", pin, search->listener).text, &fd) < 0)
		return 0;
	for (uint32_t i = 0; i < HS_SOCKETS_MAX; i++)
		if (!bpf_map_lookup_elem(fd, &i, &cookie) && has(search, cookie)) {
			search->id = handover_service_id(pin);
			break;
		}
	return search->id == search->own_id;
}

static bool meets(const struct address *mine, const struct address *other)
{
	return address_equal(mine, other) || address_beats(mine, other);
}

static bool is_again(const struct address *const looked[], unsigned n,
		     const struct address *address)
{
	for (unsigned i = 0; i < n; i++)
		if (address_equal(looked[i], address))
			return true;
	return false;
}

/* Gives each address's first socket the tag that its owner would have set. */
static void tag_datagrams(struct listening_socket *all, size_t n, const struct address *mine,
			  uint32_t own_id)
{
	const struct address *looked[ADDRESSES_MAX];
	unsigned n_looked = 0;

	for (size_t i = 0; i < n && n_looked < ADDRESSES_MAX; i++) {
		struct datagram_search search = {.sockets = all, .n = n, .own_id = own_id};

		if (!meets(mine, &all[i].address) || is_again(looked, n_looked, &all[i].address))
			continue;
		looked[n_looked++] = &all[i].address;
		address_to_pin(&all[i].address, search.listener);
		pins_each_folder(HS_PIN_ROOT, look_in_map, &search);
		all[i].tag.service_id = search.id;
	}
}

/* 1 = another service has it. What is on the very address decides before who stands behind it: a
 * service that has a socket or a park there has had it before. */
static int find_owner(const struct plane *plane, const struct listening_socket *socket,
		      const struct netns *netns, struct claim_owner *ret_owner)
{
	const struct address *mine = &socket->address;
	_cleanup_(freep) struct listening_socket *all = NULL;
	struct claim_owner owner = {0};
	int r, found = 0;
	size_t n = 0;

	r = diag_listening_at(netns, mine->udp, mine->port,
			      accounting_tags_fd(plane_accounting(plane)), &all, &n);
	if (!r && mine->udp)
		tag_datagrams(all, n, mine, plane_id(plane));
	for (size_t i = 0; !r && i < n; i++) {
		uint32_t id = meets(mine, &all[i].address) ? all[i].tag.service_id : 0;

		if (id == plane_id(plane) && address_equal(mine, &all[i].address))
			return 0;
		if (!id || id == plane_id(plane) || found)
			continue;
		owner.address = all[i].address;
		r = claim_find_service(id, owner.service);
		found = !r;
		r = r == -ENOENT ? 0 : r;
	}
	*ret_owner = owner;
	return r ? r : found;
}

void claim_keep(struct claim_hold *hold, const struct address *address, int socket_fd)
{
	if (hold->fd >= 0 && address_equal(&hold->address, address))
		return;
	claim_release(hold);
	hold->fd = fcntl(socket_fd, F_DUPFD_CLOEXEC, 3);
	hold->address = *address;
}

void claim_release(struct claim_hold *hold)
{
	hold->fd = close_fd(hold->fd);
}

static int mark(const struct plane *plane, unsigned slot, int fd)
{
	struct hs_tag tag = {.service_id = plane_id(plane), .slot = slot};
	int r = accounting_tag(plane_accounting(plane), fd, &tag);

	return r ? r : CLAIM_TAKEN;
}

int claim_again(const struct plane *plane, unsigned slot, int socket_fd)
{
	return mark(plane, slot, socket_fd);
}

int claim_ask(const struct plane *plane, const struct listening_socket *socket, int socket_fd,
	      struct claim_owner *ret_owner)
{
	struct netns netns = NETNS_OWN;
	_cleanup_(close_fdp) int netns_fd = -1;
	int r = 0;

	if (!plane_accounting(plane))
		return 0;
	if (socket->address.netns)
		r = netns_of_socket(socket_fd, &netns);
	netns_fd = netns.fd;
	return r ? r : find_owner(plane, socket, &netns, ret_owner);
}

void claim_describe(const struct address *address, const struct claim_owner *owner,
		    struct problem *ret_sentence)
{
	char mine[ADDRESS_TEXT_MAX], theirs[ADDRESS_TEXT_MAX], more[ADDRESS_TEXT_MAX + 32] = "";

	if (!address_equal(address, &owner->address))
		snprintf(more, sizeof(more), ", which serves %s",
			 address_describe(&owner->address, theirs));
	problem_set(ret_sentence, 0,
		    "%s belongs to %s%s, and is not switched here; let this server listen "
		    "elsewhere, or take the address from %s",
		    address_describe(address, mine), owner->service, more, owner->service);
}

static int claim_free(const struct plane *plane, unsigned slot,
		      const struct listening_socket *socket, int fd, struct claim_owner *ret_owner)
{
	_cleanup_(close_fdp) int lock = -1;
	int r = pins_lock(HS_PIN_ROOT, 1, &lock);

	if (!r)
		r = claim_ask(plane, socket, fd, ret_owner);
	if (r)
		return r < 0 ? r : CLAIM_BELONGS;
	return mark(plane, slot, fd);
}

int claim_take(const struct plane *plane, unsigned slot, const struct listening_socket *socket,
	       int socket_fd, const struct claim_hold *hold, struct claim_owner *ret_owner)
{
	struct hs_tag tag = tag_of(plane, socket_fd);
	char service[SERVICE_NAME_MAX];
	int r;

	if (!plane_accounting(plane))
		return CLAIM_TAKEN;
	if (tag.service_id == plane_id(plane))
		return tag.slot == HS_SLOT_PARK	  ? CLAIM_PARK
		       : tag.slot == HS_SLOT_NONE ? CLAIM_LEFT
						  : CLAIM_TAKEN;
	r = claim_find_service(tag.service_id, service);
	if (r != -ENOENT)
		return r ? r : CLAIM_ALIEN;
	if (hold && hold->fd >= 0 && address_equal(&hold->address, &socket->address))
		return mark(plane, slot, socket_fd);
	return claim_free(plane, slot, socket, socket_fd, ret_owner);
}
