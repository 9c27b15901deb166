// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/park.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "plane/borrow/borrow.h"
#include "plane/plane_census.h"
#include "util/macro.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif
#ifndef IPV6_TRANSPARENT
#define IPV6_TRANSPARENT 75
#endif
#ifndef IPV6_MINHOPCOUNT
#define IPV6_MINHOPCOUNT 73
#endif

#define SNDBUF_LOCK 1
#define RCVBUF_LOCK 2

/* The longest value among the options below. */
#define OPTION_MAX 64

/* Options that accepted connections inherit, and those without which bind(2) would fail. */
static const struct option {
	int level, name;
} options[] = {
	{SOL_SOCKET, SO_KEEPALIVE},
	{SOL_SOCKET, SO_OOBINLINE},
	{SOL_SOCKET, SO_LINGER},
	{SOL_SOCKET, SO_PRIORITY},
	{SOL_SOCKET, SO_MARK},
	{SOL_SOCKET, SO_RCVLOWAT},
	{SOL_SOCKET, SO_RCVTIMEO},
	{SOL_SOCKET, SO_SNDTIMEO},
	{SOL_SOCKET, SO_BUSY_POLL},
	{SOL_SOCKET, SO_MAX_PACING_RATE},
	{SOL_SOCKET, SO_DONTROUTE},
	{SOL_SOCKET, SO_TIMESTAMP},
	{SOL_SOCKET, SO_ZEROCOPY},
	{IPPROTO_TCP, TCP_NODELAY},
	{IPPROTO_TCP, TCP_CORK},
	{IPPROTO_TCP, TCP_KEEPIDLE},
	{IPPROTO_TCP, TCP_KEEPINTVL},
	{IPPROTO_TCP, TCP_KEEPCNT},
	{IPPROTO_TCP, TCP_USER_TIMEOUT},
	{IPPROTO_TCP, TCP_SYNCNT},
	{IPPROTO_TCP, TCP_LINGER2},
	{IPPROTO_TCP, TCP_CONGESTION},
	{IPPROTO_TCP, TCP_DEFER_ACCEPT},
	{IPPROTO_TCP, TCP_FASTOPEN},
	{IPPROTO_TCP, TCP_MAXSEG},
	{IPPROTO_TCP, TCP_SAVE_SYN},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT},
	{IPPROTO_IP, IP_TOS},
	{IPPROTO_IP, IP_TTL},
	{IPPROTO_IP, IP_MTU_DISCOVER},
	{IPPROTO_IP, IP_MINTTL},
	{IPPROTO_IP, IP_PKTINFO},
	{IPPROTO_IP, IP_RECVTOS},
	{IPPROTO_IP, IP_RECVTTL},
	{IPPROTO_IP, IP_FREEBIND},
	{IPPROTO_IP, IP_TRANSPARENT},
};

static const struct option options6[] = {
	{IPPROTO_IPV6, IPV6_TCLASS},	   {IPPROTO_IPV6, IPV6_UNICAST_HOPS},
	{IPPROTO_IPV6, IPV6_MTU_DISCOVER}, {IPPROTO_IPV6, IPV6_RECVPKTINFO},
	{IPPROTO_IPV6, IPV6_RECVTCLASS},   {IPPROTO_IPV6, IPV6_MINHOPCOUNT},
	{IPPROTO_IPV6, IPV6_FREEBIND},	   {IPPROTO_IPV6, IPV6_TRANSPARENT},
};

static int get_int(int fd, int level, int name)
{
	int value = 0;
	socklen_t size = sizeof(value);

	return getsockopt(fd, level, name, &value, &size) < 0 ? 0 : value;
}

static void set_int(int fd, int level, int name, int value)
{
	(void)!setsockopt(fd, level, name, &value, sizeof(value));
}

/* Only what differs: to set an option to its default is not always the same as not to set it. */
static void copy_option(int fd, int model, const struct option *option)
{
	char theirs[OPTION_MAX] = {0}, ours[OPTION_MAX] = {0};
	socklen_t size = sizeof(theirs), own_size = sizeof(ours);

	if (getsockopt(model, option->level, option->name, theirs, &size) < 0)
		return;
	if (!getsockopt(fd, option->level, option->name, ours, &own_size) && size == own_size &&
	    !memcmp(theirs, ours, size))
		return;
	(void)!setsockopt(fd, option->level, option->name, theirs, size);
}

/* Sizes that nobody has set grow with the connection: they must not be fixed by a copy. The kernel
 * tells twice what was asked for. */
static void copy_buffers(int fd, int model)
{
	int locked = get_int(model, SOL_SOCKET, SO_BUF_LOCK);

	if (locked & RCVBUF_LOCK)
		set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, get_int(model, SOL_SOCKET, SO_RCVBUF) / 2);
	if (locked & SNDBUF_LOCK)
		set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, get_int(model, SOL_SOCKET, SO_SNDBUF) / 2);
}

void park_copy_options(int fd, int model)
{
	int clamp = get_int(model, IPPROTO_TCP, TCP_WINDOW_CLAMP);

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		copy_option(fd, model, &options[i]);
	if (get_int(model, SOL_SOCKET, SO_DOMAIN) == AF_INET6)
		for (size_t i = 0; i < ARRAY_SIZE(options6); i++)
			copy_option(fd, model, &options6[i]);
	copy_buffers(fd, model);
	if (clamp)
		set_int(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, clamp);
}

static int read_info(int fd, struct tcp_info *ret_info)
{
	socklen_t size = sizeof(*ret_info);

	memset(ret_info, 0, sizeof(*ret_info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret_info, &size) < 0)
		return -errno;
	return ret_info->tcpi_state == TCP_LISTEN ? 0 : -EBADFD;
}

/* Of a listening socket these two fields are the accept queue's length and limit. Kernel:
 * tcp_get_info(). */
int park_waiting(int fd)
{
	struct tcp_info info;
	int r = read_info(fd, &info);

	return r ? r : (int)info.tcpi_unacked;
}

unsigned park_max(int fd)
{
	struct tcp_info info;

	return read_info(fd, &info) ? SOMAXCONN : info.tcpi_sacked;
}

int park_set_max(int fd, int model, unsigned max)
{
	if (!max)
		max = park_max(model);
	return listen(fd, (int)MAX(max, 1U)) < 0 ? -errno : 0;
}

static socklen_t to_sockaddr(const struct address *address, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = address->family;
	if (address->family == AF_INET) {
		v4->sin_port = htons(address->port);
		memcpy(&v4->sin_addr, address->ip, sizeof(v4->sin_addr));
		return sizeof(*v4);
	}
	v6->sin6_port = htons(address->port);
	memcpy(&v6->sin6_addr, address->ip, sizeof(v6->sin6_addr));
	if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
		v6->sin6_scope_id = address->ifindex;
	return sizeof(*v6);
}

/* The rules of a reuseport group: the option before bind(2), one owner, one device, one kind of
 * IPv6. Kernel: inet_csk_get_port(). */
static int liken(int fd, const struct address *address, int model)
{
	struct stat st;

	set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	/* connections that are born here have no owner until they are accepted, and must not stand
	 * in the way of a server that binds meanwhile */
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (address->family == AF_INET6)
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, address->v6only);
	if (address->ifindex)
		set_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX, (int)address->ifindex);
	park_copy_options(fd, model);
	return fstat(model, &st) < 0 ? -errno : borrow_give(fd, st.st_uid);
}

int park_bind(const struct address *address, int fd)
{
	struct sockaddr_storage name;
	socklen_t size = to_sockaddr(address, &name);

	return bind(fd, (struct sockaddr *)&name, size) < 0 ? -errno : 0;
}

int park_put(const struct plane *plane, struct listener *listener, int fd)
{
	struct hs_tag tag = {.service_id = plane_id(plane), .slot = HS_SLOT_PARK};
	socklen_t size = sizeof(uint64_t);
	uint64_t cookie;
	int r = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) < 0)
		return -errno;
	/* before it gets anything, so that all of it is counted */
	if (plane_accounting(plane))
		r = accounting_tag(plane_accounting(plane), fd, &tag);
	return r ? r : listener_put(listener, HS_SLOT_PARK, fd, cookie);
}

int park_spare(struct listener *listener, int model, int *ret_fd)
{
	struct lent_kind kind = {listener->address.family, SOCK_STREAM | SOCK_NONBLOCK, 0};
	_cleanup_(close_fdp) int fd = -1;
	int r;

	if (listener->address.udp)
		return -EPROTOTYPE;
	if (listener->address.netns && listener->netns.fd < 0)
		return -ENODATA;
	/* a socket belongs to the namespace it was made in; all else can be done from outside */
	r = borrow_open(&listener->netns, &kind, &fd);
	if (!r)
		r = liken(fd, &listener->address, model);
	if (r < 0)
		return r;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int park_twin(struct listener *listener, int model, int *ret_fd)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = park_spare(listener, model, &fd);

	if (!r)
		r = park_bind(&listener->address, fd);
	if (r < 0)
		return r;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int park_start(const struct plane *plane, struct listener *listener, int fd, unsigned max)
{
	int r = park_set_max(fd, -1, max);

	return r ? r : park_put(plane, listener, fd);
}

int park_open(const struct plane *plane, struct listener *listener, int model, unsigned max,
	      int *ret_fd)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = park_twin(listener, model, &fd);

	if (!r)
		r = park_start(plane, listener, fd, max ? max : park_max(model));
	if (r < 0)
		return r;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int park_close(struct listener *listener, int fd)
{
	int waiting = park_waiting(fd);

	/* not close(): the store has a copy, and only the last close would move anything */
	if (waiting >= 0 && shutdown(fd, SHUT_RD) < 0)
		waiting = -errno;
	listener_tidy(listener, HS_SLOT_PARK);
	listener_tidy_owners(listener, HS_SLOT_PARK);
	return waiting;
}

struct ages {
	const struct plane *plane;
	const struct address *address;
	uint32_t *ages;
	size_t n, room;
};

/* Waits for accept(), in the park of this listener and of no other on the same port. */
static bool waits(const struct ages *ages, const struct connection *connection)
{
	static const uint8_t any[16];
	const struct address *address = ages->address;

	return !connection->held && connection->local.family == address->family &&
	       connection->local.port == address->port &&
	       connection->local.netns == address->netns &&
	       (!memcmp(address->ip, any, sizeof(any)) ||
		!memcmp(address->ip, connection->local.ip, sizeof(any))) &&
	       accounting_slot_of(plane_accounting(ages->plane), connection->cookie,
				  &connection->tag) == HS_SLOT_PARK;
}

static int add_age(const struct connection *connection, void *userdata)
{
	struct ages *ages = userdata;
	size_t room = ages->room ? 2 * ages->room : 256;
	uint32_t *more;

	if (!waits(ages, connection))
		return 0;
	if (ages->n == ages->room) {
		more = realloc(ages->ages, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		ages->ages = more;
		ages->room = room;
	}
	ages->ages[ages->n++] = connection_age(connection) / USEC_PER_MSEC;
	return 0;
}

static int by_age(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left > right ? -1 : left < right;
}

int park_ages(const struct plane *plane, const struct listener *listener, uint32_t **ret_ages,
	      size_t *ret_n)
{
	struct ages ages = {.plane = plane, .address = &listener->address};
	int r = plane_each_connection(plane, add_age, &ages);

	if (r < 0) {
		free(ages.ages);
		return r;
	}
	if (ages.n)
		qsort(ages.ages, ages.n, sizeof(*ages.ages), by_age);
	*ret_ages = ages.ages;
	*ret_n = ages.n;
	return 0;
}

/* What was sent and not read would make close(2) send a reset, and the client might lose the end
 * over it. MSG_TRUNC throws it away without a copy. SO_LINGER, which it may have from its model, is
 * for whom it would be given to: close(2) would wait for the client, or send a reset. */
static void end_connection(int fd)
{
	static const struct linger none;

	(void)!setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	shutdown(fd, SHUT_WR);
	while (recv(fd, NULL, 1 << 20, MSG_TRUNC | MSG_DONTWAIT) > 0)
		;
	close(fd);
}

unsigned park_turn_away(int fd, unsigned n)
{
	unsigned done = 0;

	while (done < n) {
		int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		/* one that its client has ended already counts, too */
		if (connection >= 0)
			end_connection(connection);
		else if (errno != ECONNABORTED && errno != EINTR)
			break;
		done++;
	}
	return done;
}
