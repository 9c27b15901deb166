// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/preview/preview.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#include "plane/bpf/own.h"
#include "util/macro.h"

/* The entry that stands for the owner itself. */
static struct hs_preview_key owner_key(const struct hs_preview_owner_id *owner)
{
	struct hs_preview_key key = {0};

	_Static_assert(sizeof(*owner) <= sizeof(key.source), "an owner's entry");
	memcpy(key.source, owner, sizeof(*owner));
	return key;
}

static int put(const struct plane *plane, const struct hs_preview_key *key,
	       const struct hs_preview_rule *rule)
{
	return bpf_map_update_elem(plane_preview_fd(plane), key, rule, BPF_ANY) ? -errno : 0;
}

static int get(const struct plane *plane, const struct hs_preview_key *key,
	       struct hs_preview_rule *ret_rule)
{
	return bpf_map_lookup_elem(plane_preview_fd(plane), key, ret_rule) ? -errno : 0;
}

/* False: somebody else has removed it. */
static bool take_away(const struct plane *plane, const struct hs_preview_key *key)
{
	struct own *own = key->netns == HS_PREVIEW_OWN ? plane_own(plane) : NULL;

	if (bpf_map_delete_elem(plane_preview_fd(plane), key))
		return false;
	if (own)
		own_unmark(own, plane_id(plane), key->source_port);
	return true;
}

void preview_remove(struct plane *plane, const struct hs_preview_key *key)
{
	(void)take_away(plane, key);
}

bool preview_has_begun(const struct plane *plane, const struct hs_preview_owner_id *owner)
{
	struct hs_preview_key key = owner_key(owner);
	struct hs_preview_rule rule;

	return !bpf_map_lookup_elem(plane_preview_fd(plane), &key, &rule);
}

/* Calls `each` for all entries until it returns true; it may remove the one it gets. What programs
 * add or remove meanwhile may be missed, or met twice; the bound is for a scan that they throw back
 * to the start again and again. */
static void each_entry(const struct plane *plane,
		       bool (*each)(const struct hs_preview_key *key,
				    const struct hs_preview_rule *rule, void *userdata),
		       void *userdata)
{
	struct hs_preview_key key, next, *previous = NULL;
	struct hs_preview_rule rule;
	int fd = plane_preview_fd(plane);
	bool more = !bpf_map_get_next_key(fd, NULL, &next);

	for (unsigned i = 0; more && i < 4 * HS_PREVIEW_MAX; i++) {
		key = next;
		previous = &key;
		more = !bpf_map_get_next_key(fd, previous, &next);
		if (!bpf_map_lookup_elem(fd, &key, &rule) && each(&key, &rule, userdata))
			return;
	}
}

/* ---- room ---- */

#define ROOM_TRIES 8
#define ROOM_MADE  32

struct room {
	const struct plane *plane;
	bool any; /* also those that no look-up has met yet */
	unsigned made;
};

/* A connection that was looked up is where it should be and needs its rule no more, as long as it
 * does not migrate. One whose first packet has yet to come is made a rule again when that is sent
 * again. */
static bool take_room(const struct hs_preview_key *key, const struct hs_preview_rule *rule,
		      void *userdata)
{
	struct room *room = userdata;

	if (!key->protocol || rule->misses || rule->owner.kind != HS_PREVIEW_CGROUP ||
	    (!rule->hits && !room->any))
		return false;
	room->made += take_away(room->plane, key);
	return room->made == ROOM_MADE;
}

/* What commands have may fill the map; a process, which is the manager with its probes, has its
 * room nevertheless, and it is they who lose a rule. */
static int put_in_any_case(const struct plane *plane, const struct hs_preview_key *key,
			   const struct hs_preview_rule *rule)
{
	int r = put(plane, key, rule);

	if (rule->owner.kind != HS_PREVIEW_PROCESS)
		return r;
	for (unsigned i = 0; r == -E2BIG && i < ROOM_TRIES; i++) {
		struct room room = {.plane = plane, .any = i > 0};

		each_entry(plane, take_room, &room);
		r = put(plane, key, rule);
	}
	return r;
}

int preview_begin(struct plane *plane, const struct hs_preview_owner_id *owner)
{
	struct hs_preview_rule entry = {.owner = *owner, .slot = HS_SLOT_NONE};
	struct hs_preview_key key = owner_key(owner);
	_cleanup_(close_fdp) int lock = -1;
	int r = plane_preview_lock(plane, true, &lock);

	if (!r)
		r = put_in_any_case(plane, &key, &entry);
	if (!r)
		plane_set_preview(plane, true);
	return r;
}

struct removal {
	struct plane *plane;
	const struct hs_preview_owner_id *owner; /* NULL: all that are dead */
	struct hs_preview_owner_id asked;	 /* the last one that was looked for */
	bool lives;
	int owners;
};

/* Most rules have the same owner as the one before, and looking for a cgroup is dear. */
static bool is_dead(struct removal *removal, const struct hs_preview_owner_id *owner)
{
	if (!owner_equal(owner, &removal->asked)) {
		removal->asked = *owner;
		removal->lives = owner_lives(owner);
	}
	return !removal->lives;
}

static bool remove_entry(const struct hs_preview_key *key, const struct hs_preview_rule *rule,
			 void *userdata)
{
	struct removal *removal = userdata;

	if (removal->owner ? !owner_equal(&rule->owner, removal->owner)
			   : !is_dead(removal, &rule->owner))
		return false;
	preview_remove(removal->plane, key);
	removal->owners += !key->protocol;
	return false;
}

/* The rules of the own way are found by their marks. */
static bool is_looked_for(const struct hs_preview_key *key, const struct hs_preview_rule *rule,
			  void *userdata)
{
	(void)rule;
	*(bool *)userdata = key->netns != HS_PREVIEW_OWN;
	return *(bool *)userdata;
}

static int remove_all(struct plane *plane, struct removal *removal)
{
	_cleanup_(close_fdp) int lock = -1;
	bool more = false;
	/* what is left by others can be left a little longer */
	int r = plane_preview_lock(plane, removal->owner, &lock);

	if (r < 0)
		return r;
	each_entry(plane, remove_entry, removal);
	each_entry(plane, is_looked_for, &more);
	if (!more)
		plane_set_preview(plane, false);
	return 0;
}

int preview_end(struct plane *plane, const struct hs_preview_owner_id *owner)
{
	struct removal removal = {.plane = plane, .owner = owner};

	return remove_all(plane, &removal);
}

int preview_sweep(struct plane *plane)
{
	struct removal removal = {.plane = plane};
	int r = remove_all(plane, &removal);

	return r ? r : removal.owners;
}

/* Writes an address as the key has it, and its port in network byte order. */
static int take_end(const struct sockaddr *end, uint8_t ip[16], uint16_t *ret_port)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)end;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)end;

	if (end->sa_family == AF_INET6) {
		memcpy(ip, &v6->sin6_addr, 16);
		*ret_port = v6->sin6_port;
		return 0;
	}
	if (end->sa_family != AF_INET)
		return -EAFNOSUPPORT;
	memset(ip, 0, 10);
	memset(ip + 10, 0xff, 2);
	memcpy(ip + 12, &v4->sin_addr, 4);
	*ret_port = v4->sin_port;
	return 0;
}

static bool is_mapped(const struct in6_addr *ip)
{
	return IN6_IS_ADDR_V4MAPPED(ip);
}

static bool is_any(const uint8_t ip[16])
{
	const struct in6_addr *address = (const struct in6_addr *)ip;

	return IN6_IS_ADDR_UNSPECIFIED(address) ||
	       (is_mapped(address) && !(ip[12] | ip[13] | ip[14] | ip[15]));
}

static bool is_loopback(const uint8_t ip[16])
{
	const struct in6_addr *address = (const struct in6_addr *)ip;

	return IN6_IS_ADDR_LOOPBACK(address) || (is_mapped(address) && ip[12] == 127);
}

int preview_key(const struct preview_ends *ends, struct hs_preview_key *ret_key)
{
	struct hs_preview_key key = {.protocol = ends->protocol};
	int r = take_end(ends->source, key.source, &key.source_port);

	if (!r)
		r = take_end(ends->dest, key.dest, &key.dest_port);
	if (r < 0)
		return r;
	if (is_any(key.source) || is_any(key.dest) || !key.source_port || !key.dest_port)
		return -EINVAL;
	if (is_loopback(key.dest))
		key.netns = ends->netns;
	*ret_key = key;
	return 0;
}

static int add(struct plane *plane, const struct hs_preview_key *key,
	       const struct preview_wish *wish)
{
	struct hs_preview_rule rule = {.owner = *wish->owner,
				       .slot = wish->slot,
				       .aside = wish->aside},
			       other;

	if (!get(plane, key, &other) && !owner_equal(&other.owner, wish->owner) &&
	    owner_lives(&other.owner))
		return -EEXIST;
	return put_in_any_case(plane, key, &rule);
}

int preview_add(struct plane *plane, const struct hs_preview_key *key, unsigned slot,
		const struct hs_preview_owner_id *owner)
{
	return add(plane, key, &(struct preview_wish) {.owner = owner, .slot = slot});
}

static socklen_t size_of(const struct sockaddr *address)
{
	return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					      : sizeof(struct sockaddr_in);
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
	if (address->ss_family == AF_INET6)
		((struct sockaddr_in6 *)address)->sin6_port = port;
	else
		((struct sockaddr_in *)address)->sin_port = port;
}

/* What an unbound socket would send from, and where to: a wildcard means this host. Nothing is
 * sent. */
static int route(const struct netns *netns, const struct sockaddr *to,
		 struct sockaddr_storage *ret_source, struct sockaddr_storage *ret_dest)
{
	_cleanup_(close_fdp) int fd =
		netns_socket(netns, to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t source_size = sizeof(*ret_source), dest_size = sizeof(*ret_dest);

	if (fd < 0)
		return fd;
	if (connect(fd, to, size_of(to)) < 0 ||
	    getsockname(fd, (struct sockaddr *)ret_source, &source_size) < 0 ||
	    getpeername(fd, (struct sockaddr *)ret_dest, &dest_size) < 0)
		return -errno;
	return 0;
}

/* With port 0: the kernel chooses one that no other socket has, or gets. */
static int bind_free(int socket_fd, struct sockaddr_storage *source)
{
	socklen_t size = sizeof(*source);

	set_port(source, 0);
	if (bind(socket_fd, (struct sockaddr *)source, size_of((struct sockaddr *)source)) < 0 ||
	    getsockname(socket_fd, (struct sockaddr *)source, &size) < 0)
		return -errno;
	return 0;
}

int preview_direct(struct plane *plane, const struct preview_wish *wish, int socket_fd,
		   const struct sockaddr *dest, struct hs_preview_key *ret_key)
{
	struct sockaddr_storage source, end;
	struct preview_ends ends = {.source = (struct sockaddr *)&source,
				    .dest = (struct sockaddr *)&end,
				    .netns = wish->netns ? wish->netns->inode : 0};
	struct hs_preview_key key;
	int protocol, r;
	socklen_t size = sizeof(protocol);

	if (dest->sa_family != AF_INET && dest->sa_family != AF_INET6)
		return -EAFNOSUPPORT;
	if (getsockopt(socket_fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0)
		return -errno;
	r = route(wish->netns, dest, &source, &end);
	if (!r)
		r = bind_free(socket_fd, &source);
	ends.protocol = protocol;
	if (!r)
		r = preview_key(&ends, &key);
	if (!r)
		r = add(plane, &key, wish);
	if (r < 0)
		return r;
	*ret_key = key;
	return 0;
}

int preview_landed(const struct plane *plane, const struct hs_preview_key *key,
		   struct preview_landing *ret_landing)
{
	struct hs_preview_rule rule;
	int r = get(plane, key, &rule);

	if (r < 0)
		return r;
	*ret_landing = (struct preview_landing) {.hits = rule.hits, .misses = rule.misses};
	return 0;
}

static bool count_rule(const struct hs_preview_key *key, const struct hs_preview_rule *rule,
		       void *userdata)
{
	(void)rule;
	*(unsigned *)userdata += key->protocol != 0;
	return false;
}

unsigned preview_count(const struct plane *plane)
{
	unsigned n = 0;

	each_entry(plane, count_rule, &n);
	return n;
}
