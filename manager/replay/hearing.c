// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/hearing.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "replay/filter.h"
#include "util/macro.h"

#define LOOPBACK_INTERFACE 1

/* Templates come in bursts, when all exporters hear that their collector is back. */
#define RECEIVE_BUFFER (1024 * 1024)

static bool is_wanted(const struct replay_watch *watch, bool ipv6)
{
	for (unsigned i = 0; i < watch->n; i++)
		if (ipv6 ? watch->listeners[i].ipv6 : watch->listeners[i].ipv4)
			return true;
	return false;
}

/* Before the first datagram: the filter. */
static int set_up(int fd, const struct replay_watch *watch, bool ipv6)
{
	struct sock_filter code[FILTER_MAX];
	struct sock_fprog filter = {.len = (unsigned short)filter_make(watch, ipv6, code),
				    .filter = code};
	int on = 1, size = RECEIVE_BUFFER, r;

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
		return -errno;
	/* as large as it may be */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	r = ipv6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) ||
			    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof(on))
		 : setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	return r ? -errno : 0;
}

/* What came between its making and the filter is thrown away. */
static void drop_early(int fd)
{
	char byte;

	while (recv(fd, &byte, 1, MSG_DONTWAIT) >= 0)
		;
}

int hearing_open(const struct replay_watch *watch, bool ipv6)
{
	_cleanup_(close_fdp) int fd = -1;
	int r;

	if (!is_wanted(watch, ipv6))
		return -ENOENT;
	fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    IPPROTO_UDP);
	if (fd < 0)
		return -errno;
	r = set_up(fd, watch, ipv6);
	if (r < 0)
		return r;
	drop_early(fd);
	return steal_fd(&fd);
}

/* What the kernel says beside a datagram. */
struct beside {
	unsigned interface;
	int hops;
	const uint8_t *dest; /* IPv6 */
};

static struct beside read_beside(struct msghdr *message)
{
	struct beside beside = {.hops = -1};

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			beside.interface =
				(unsigned)((struct in_pktinfo *)CMSG_DATA(c))->ipi_ifindex;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo *info = (struct in6_pktinfo *)CMSG_DATA(c);

			beside.interface = info->ipi6_ifindex;
			beside.dest = info->ipi6_addr.s6_addr;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT) {
			memcpy(&beside.hops, CMSG_DATA(c), sizeof(beside.hops));
		}
	}
	return beside;
}

static bool is_ours(const struct beside *beside)
{
	return beside->interface == LOOPBACK_INTERFACE && beside->hops == REPLAY_HOPS;
}

static void map_ipv4(uint8_t ip[16], const void *ipv4)
{
	memset(ip, 0, 10);
	memset(ip + 10, 0xff, 2);
	memcpy(ip + 12, ipv4, 4);
}

/* The header of IPv4, which is in the datagram. Returns its length, 0: none. */
static size_t take_ipv4(const uint8_t *data, size_t size, struct beside *beside,
			struct exporter_ends *ends)
{
	const struct iphdr *ip = (const struct iphdr *)data;

	if (size < sizeof(*ip) || size < ip->ihl * 4U)
		return 0;
	beside->hops = ip->ttl;
	map_ipv4(ends->source, &ip->saddr);
	map_ipv4(ends->dest, &ip->daddr);
	return ip->ihl * 4U;
}

static ssize_t take_udp(const uint8_t *data, size_t size, struct exporter_ends *ends)
{
	const struct udphdr *udp = (const struct udphdr *)data;

	if (size < sizeof(*udp) || ntohs(udp->len) < sizeof(*udp) || !udp->source)
		return 0;
	ends->source_port = ntohs(udp->source);
	ends->dest_port = ntohs(udp->dest);
	return (ssize_t)(MIN(size, ntohs(udp->len)) - sizeof(*udp));
}

ssize_t hearing_read(int fd, bool ipv6, uint8_t buffer[HEARING_SIZE],
		     struct exporter_ends *ret_ends, const uint8_t **ret_data)
{
	_Alignas(struct cmsghdr) char control[256];
	struct iovec part = {.iov_base = buffer, .iov_len = HEARING_SIZE};
	struct sockaddr_in6 from = {0};
	struct msghdr message = {.msg_name = &from,
				 .msg_namelen = sizeof(from),
				 .msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);
	struct beside beside;
	size_t skip = 0;

	if (n < 0)
		return -errno;
	beside = read_beside(&message);
	if (ipv6 && beside.dest) {
		memcpy(ret_ends->source, &from.sin6_addr, 16);
		memcpy(ret_ends->dest, beside.dest, 16);
	} else if (ipv6 || !(skip = take_ipv4(buffer, (size_t)n, &beside, ret_ends))) {
		return 0;
	}
	if (is_ours(&beside))
		return 0;
	*ret_data = buffer + skip + sizeof(struct udphdr);
	return take_udp(buffer + skip, (size_t)n - skip, ret_ends);
}
