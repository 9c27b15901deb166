// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/sending.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "replay/hearing.h"
#include "util/macro.h"

/* A server's buffer takes some hundreds at once, and it has to read them beside its flows. */
#define BURST	   32
#define BURST_NSEC 1000000

void sending_init(struct sending *sending)
{
	*sending = (struct sending) {.fds = {-1, -1}};
}

/* One datagram as it is made up. */
struct parcel {
	union {
		struct iphdr ipv4;
		struct ip6_hdr ipv6;
	} ip;
	size_t ip_size;
	struct udphdr udp;
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} to;
	socklen_t to_size;
};

static bool is_ipv4(const struct exporter_ends *ends)
{
	return IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)ends->dest);
}

static uint32_t add_up(uint32_t sum, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		sum += (uint32_t)bytes[i] << (i % 2 ? 0 : 8);
	return sum;
}

/* Of UDP; both addresses are mapped ones or none is, and a sum does not mind where words stand. */
static uint16_t checksum(const struct exporter_ends *ends, const struct udphdr *udp,
			 const struct template_datagram *datagram)
{
	size_t skip = is_ipv4(ends) ? 12 : 0;
	uint32_t sum = IPPROTO_UDP + ntohs(udp->len);

	sum = add_up(sum, ends->source + skip, 16 - skip);
	sum = add_up(sum, ends->dest + skip, 16 - skip);
	sum = add_up(sum, udp, sizeof(*udp));
	sum = add_up(sum, datagram->data, datagram->size);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum) ?: 0xffff;
}

static void address_ipv4(struct parcel *parcel, const struct exporter_ends *ends)
{
	parcel->ip_size = sizeof(parcel->ip.ipv4);
	/* the kernel fills in its length and its checksum */
	parcel->ip.ipv4 = (struct iphdr) {
		.version = 4, .ihl = 5, .ttl = REPLAY_HOPS, .protocol = IPPROTO_UDP};
	memcpy(&parcel->ip.ipv4.saddr, ends->source + 12, 4);
	memcpy(&parcel->ip.ipv4.daddr, ends->dest + 12, 4);
	parcel->to.ipv4 = (struct sockaddr_in) {.sin_family = AF_INET};
	parcel->to.ipv4.sin_addr.s_addr = parcel->ip.ipv4.daddr;
	parcel->to_size = sizeof(parcel->to.ipv4);
}

static void address_ipv6(struct parcel *parcel, const struct exporter_ends *ends)
{
	parcel->ip_size = sizeof(parcel->ip.ipv6);
	parcel->ip.ipv6 = (struct ip6_hdr) {0};
	parcel->ip.ipv6.ip6_flow = htonl(6U << 28);
	parcel->ip.ipv6.ip6_plen = parcel->udp.len;
	parcel->ip.ipv6.ip6_nxt = IPPROTO_UDP;
	parcel->ip.ipv6.ip6_hlim = REPLAY_HOPS;
	memcpy(&parcel->ip.ipv6.ip6_src, ends->source, 16);
	memcpy(&parcel->ip.ipv6.ip6_dst, ends->dest, 16);
	parcel->to.ipv6 = (struct sockaddr_in6) {.sin6_family = AF_INET6};
	memcpy(&parcel->to.ipv6.sin6_addr, ends->dest, 16);
	parcel->to_size = sizeof(parcel->to.ipv6);
}

static void address(struct parcel *parcel, const struct exporter_ends *ends,
		    const struct template_datagram *datagram)
{
	parcel->udp = (struct udphdr) {
		.source = htons(ends->source_port),
		.dest = htons(ends->dest_port),
		.len = htons((uint16_t)(sizeof(parcel->udp) + datagram->size)),
	};
	parcel->udp.check = checksum(ends, &parcel->udp, datagram);
	if (is_ipv4(ends))
		address_ipv4(parcel, ends);
	else
		address_ipv6(parcel, ends);
}

/* Nothing is to leave this machine in another's name: only an address of its own can be bound to.
 */
static int check_here(const struct parcel *parcel)
{
	_cleanup_(close_fdp) int fd =
		socket(parcel->to.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || bind(fd, &parcel->to.any, parcel->to_size) < 0 ? -errno : 0;
}

static int get_socket(struct sending *sending, sa_family_t family)
{
	int *fd = &sending->fds[family == AF_INET6];

	/* takes datagrams with their own header of IP, and hears nothing */
	if (*fd < 0)
		*fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	return *fd < 0 ? -errno : *fd;
}

static int send_parcel(struct sending *sending, struct parcel *parcel,
		       const struct template_datagram *datagram)
{
	struct iovec parts[] = {
		{&parcel->ip, parcel->ip_size},
		{&parcel->udp, sizeof(parcel->udp)},
		{(void *)datagram->data, datagram->size},
	};
	struct msghdr message = {.msg_name = &parcel->to,
				 .msg_namelen = parcel->to_size,
				 .msg_iov = parts,
				 .msg_iovlen = ARRAY_SIZE(parts)};
	int r = check_here(parcel), fd;

	if (r < 0)
		return r;
	fd = get_socket(sending, parcel->to.any.sa_family);
	if (fd < 0)
		return fd;
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

struct errand_to {
	struct sending *sending;
	const struct exporter_ends *ends;
};

static void on_datagram(const struct template_datagram *datagram, void *userdata)
{
	static const struct timespec pause = {.tv_nsec = BURST_NSEC};
	const struct errand_to *to = userdata;
	struct parcel parcel;
	int r;

	address(&parcel, to->ends, datagram);
	r = send_parcel(to->sending, &parcel, datagram);
	if (r < 0)
		to->sending->error = r;
	else if (++to->sending->datagrams % BURST == 0)
		nanosleep(&pause, NULL);
}

void sending_send(struct sending *sending, const struct exporter *exporter,
		  const struct exporter_ends *ends)
{
	struct errand_to to = {sending, ends};

	exporter_tell(exporter, on_datagram, &to);
}
