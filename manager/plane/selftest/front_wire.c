// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/selftest/front_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "hs_forward.h"
#include "util/clock.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct mnl_socket, mnl_socket_close)

#define DEVICE	     "front"
#define END	     "wire"
#define REQUEST_SIZE 8192

/* ---- the pair ---- */

static void put_pair(struct nlmsghdr *request)
{
	struct nlattr *info = mnl_attr_nest_start(request, IFLA_LINKINFO), *data, *peer;

	mnl_attr_put_str(request, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(request, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(request, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(request, IFLA_IFNAME, END);
	mnl_attr_nest_end(request, peer);
	mnl_attr_nest_end(request, data);
	mnl_attr_nest_end(request, info);
}

static int make_pair(void)
{
	_cleanup_(mnl_socket_closep) struct mnl_socket *socket =
		mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	char buffer[REQUEST_SIZE];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	uint8_t mac[6];
	ssize_t n;

	request->nlmsg_type = RTM_NEWLINK;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
	mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
	hs_put_mac(mac, FRONT_WIRE_MAC);
	mnl_attr_put_strz(request, IFLA_IFNAME, DEVICE);
	mnl_attr_put(request, IFLA_ADDRESS, sizeof(mac), mac);
	put_pair(request);
	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
	return n < 0 || mnl_cb_run(buffer, (size_t)n, 0, mnl_socket_get_portid(socket), NULL,
				   NULL) < 0
		       ? -errno
		       : 0;
}

static int bring_up(const char *name)
{
	_cleanup_(close_fdp) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_flags = IFF_UP};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

/* ---- packets ---- */

/* With what is said beside each: whether its checksum is left to a card. */
static int open_socket(uint32_t ifindex)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)ifindex};
	_cleanup_(close_fdp) int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	return steal_fd(&fd);
}

/* Ours last: then it sends at once, and the other one when the kernel has seen that it may. */
int front_wire_open(struct front_wire *ret_wire, struct problem *problem)
{
	struct front_wire wire = {.socket = -1};
	int r = make_pair();

	if (r < 0)
		return problem_set(problem, r, "no pair of veth devices can be made: %s",
				   strerror(-r));
	r = bring_up(DEVICE) ?: bring_up(END);
	wire.device = if_nametoindex(DEVICE);
	wire.end = if_nametoindex(END);
	if (!r)
		r = wire.socket = open_socket(wire.end);
	if (r < 0)
		return problem_set(problem, r, "no packets can be sent by hand: %s", strerror(-r));
	*ret_wire = wire;
	return 0;
}

void front_wire_close(struct front_wire *wire)
{
	wire->socket = close_fd(wire->socket);
}

int front_wire_send(const struct front_wire *wire, const struct front_frame *frame)
{
	struct virtio_net_hdr head = {0};
	struct iovec parts[] = {{&head, sizeof(head)}, {(void *)frame->bytes, frame->n}};
	ssize_t n;

	if (frame->half) {
		head.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		head.csum_start = frame->start;
		head.csum_offset = frame->at;
	}
	n = writev(wire->socket, parts, ARRAY_SIZE(parts));
	return n < 0 ? -errno : 0;
}

static bool receive(const struct front_wire *wire, struct front_frame *frame)
{
	struct virtio_net_hdr head = {0};
	struct iovec parts[] = {{&head, sizeof(head)}, {frame->bytes, sizeof(frame->bytes)}};
	ssize_t n = readv(wire->socket, parts, ARRAY_SIZE(parts));

	if (n < (ssize_t)sizeof(head) + HS_ETHERNET)
		return false;
	frame->n = (size_t)n - sizeof(head);
	frame->half = head.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	frame->start = head.csum_start;
	frame->at = head.csum_offset;
	return true;
}

/* What the kernel has to say on a new device comes as well. */
bool front_wire_receive(const struct front_wire *wire, uint64_t mac, int ms,
			struct front_frame *ret_frame)
{
	uint64_t end = now_usec() + (uint64_t)ms * USEC_PER_MSEC, now;
	struct pollfd wait = {.fd = wire->socket, .events = POLLIN};

	while ((now = now_usec()) < end &&
	       poll(&wait, 1, (int)((end - now) / USEC_PER_MSEC) + 1) > 0)
		if (receive(wire, ret_frame) && hs_get_mac(ret_frame->bytes) == mac)
			return true;
	return false;
}
