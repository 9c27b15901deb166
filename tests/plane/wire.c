// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "rig.h"
#include "util/macro.h"

#define DEVICE "hs0"

/* A packet without options, of either family. */
struct packet {
	union {
		struct iphdr v4;
		struct ipv6hdr v6;
	} ip;
	struct tcphdr tcp;
	char data[16];
};

static const uint8_t ours6[16] = {0x20, 1, 0x0d, 0xb8, [15] = 1};
static const uint8_t client6[16] = {0x20, 1, 0x0d, 0xb8, [15] = 2};

static void set_address(void)
{
	_cleanup_(close_fdp) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_name = DEVICE};
	struct sockaddr_in *address = (struct sockaddr_in *)&request.ifr_addr;

	address->sin_family = AF_INET;
	address->sin_addr.s_addr = inet_addr("192.0.2.1");
	rig_check(ioctl(fd, SIOCSIFADDR, &request) == 0);
	address->sin_addr.s_addr = inet_addr("255.255.255.0");
	rig_check(ioctl(fd, SIOCSIFNETMASK, &request) == 0);
	request.ifr_flags = IFF_UP;
	rig_check(ioctl(fd, SIOCSIFFLAGS, &request) == 0);
}

static void set_address6(void)
{
	_cleanup_(close_fdp) int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct in6_ifreq request = {
		.ifr6_prefixlen = 64,
		.ifr6_ifindex = if_nametoindex(DEVICE),
	};

	memcpy(&request.ifr6_addr, ours6, sizeof(ours6));
	rig_check(ioctl(fd, SIOCSIFADDR, &request) == 0);
}

int wire_open(void)
{
	_cleanup_(close_fdp) int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct ifreq request = {.ifr_name = DEVICE, .ifr_flags = IFF_TUN | IFF_NO_PI};

	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		return -errno;
	set_address();
	set_address6();
	return steal_fd(&fd);
}

static uint32_t sum(const void *data, size_t size, uint32_t total)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i < size; i++)
		total += i & 1 ? byte[i] : byte[i] << 8;
	return total;
}

static uint16_t fold(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return htons(~total);
}

static size_t put_ip4(struct packet *packet, size_t size)
{
	packet->ip.v4 = (struct iphdr) {
		.version = 4,
		.ihl = 5,
		.ttl = 64,
		.protocol = IPPROTO_TCP,
		.tot_len = htons(sizeof(packet->ip.v4) + size),
		.saddr = inet_addr("192.0.2.2"),
		.daddr = inet_addr("192.0.2.1"),
	};
	packet->ip.v4.check = fold(sum(&packet->ip.v4, sizeof(packet->ip.v4), 0));
	return sizeof(packet->ip.v4);
}

static size_t put_ip6(struct packet *packet, size_t size)
{
	packet->ip.v6 = (struct ipv6hdr) {
		.version = 6,
		.hop_limit = 64,
		.nexthdr = IPPROTO_TCP,
		.payload_len = htons(size),
	};
	memcpy(&packet->ip.v6.saddr, client6, sizeof(client6));
	memcpy(&packet->ip.v6.daddr, ours6, sizeof(ours6));
	return sizeof(packet->ip.v6);
}

/* The pseudo header is the addresses, the protocol and the size. */
static uint32_t sum_pseudo(const struct packet *packet, int family, size_t size)
{
	uint32_t total = family == AF_INET ? sum(&packet->ip.v4.saddr, 8, 0)
					   : sum(&packet->ip.v6.saddr, 32, 0);

	return total + IPPROTO_TCP + size;
}

void wire_send(int wire, struct wire_flow *flow, unsigned flags, const char *text)
{
	size_t data = text ? strlen(text) : 0, size = sizeof(struct tcphdr) + data, header;
	struct packet packet = {0};
	uint8_t bytes[sizeof(packet)];

	header = flow->family == AF_INET ? put_ip4(&packet, size) : put_ip6(&packet, size);
	packet.tcp = (struct tcphdr) {
		.th_sport = htons(flow->from),
		.th_dport = htons(flow->to),
		.th_seq = htonl(flow->sequence),
		.th_ack = htonl(flags & WIRE_ACK ? flow->expected : 0),
		.th_off = 5,
		.th_flags = flags,
		.th_win = htons(65000),
	};
	memcpy(packet.data, text ?: "", data);
	packet.tcp.th_sum = fold(sum(&packet.tcp, size, sum_pseudo(&packet, flow->family, size)));
	memcpy(bytes, &packet.ip, header);
	memcpy(bytes + header, &packet.tcp, size);
	rig_check(write(wire, bytes, header + size) == (ssize_t)(header + size));
	flow->sequence += data + !!(flags & (WIRE_SYN | WIRE_FIN));
}

/* Takes a packet apart: false when it is none of this flow. */
static bool is_of_flow(const uint8_t *bytes, ssize_t size, const struct wire_flow *flow,
		       struct tcphdr *ret_tcp, ssize_t *ret_data)
{
	ssize_t header = flow->family == AF_INET ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	int version = flow->family == AF_INET ? 4 : 6;

	if (size < header + (ssize_t)sizeof(*ret_tcp) || bytes[0] >> 4 != version)
		return false;
	if (bytes[version == 4 ? 9 : 6] != IPPROTO_TCP)
		return false;
	memcpy(ret_tcp, bytes + header, sizeof(*ret_tcp));
	*ret_data = header + ret_tcp->th_off * 4;
	return ntohs(ret_tcp->th_dport) == flow->from && ntohs(ret_tcp->th_sport) == flow->to;
}

char wire_expect(int wire, struct wire_flow *flow, unsigned flags)
{
	uint64_t end = now_usec() + RIG_DEADLINE_USEC;
	struct pollfd fd = {.fd = wire, .events = POLLIN};
	uint8_t bytes[2048];
	struct tcphdr tcp;
	ssize_t size, data;

	while (now_usec() < end) {
		if (poll(&fd, 1, 100) < 1)
			continue;
		size = read(wire, bytes, sizeof(bytes));
		if (!is_of_flow(bytes, size, flow, &tcp, &data) || (tcp.th_flags & flags) != flags)
			continue;
		flow->expected = ntohl(tcp.th_seq) + (size - data) +
				 !!(tcp.th_flags & (WIRE_SYN | WIRE_FIN));
		return size > data ? bytes[data] : '\0';
	}
	rig_fail(__FILE__, __LINE__, "no packet with flags %#x to port %u", flags, flow->from);
}

void wire_begin(int wire, struct wire_flow *flow)
{
	wire_send(wire, flow, WIRE_SYN, NULL);
	wire_expect(wire, flow, WIRE_SYN | WIRE_ACK);
}

void wire_finish(int wire, struct wire_flow *flow)
{
	wire_send(wire, flow, WIRE_ACK, NULL);
}

char wire_ask(int wire, struct wire_flow *flow)
{
	wire_send(wire, flow, WIRE_ACK | WIRE_PSH, "?");
	return wire_expect(wire, flow, WIRE_PSH);
}

void wire_reset(int wire, struct wire_flow *flow)
{
	wire_send(wire, flow, WIRE_RST | WIRE_ACK, NULL);
}
