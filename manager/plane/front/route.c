// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/front/route.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/config/config_front.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct mnl_socket, mnl_socket_close)

#define BUFFER_SIZE 8192

/* ---- asking ---- */

/* One question, one answer, by `on_answer`. */
static int ask(struct nlmsghdr *request, char buffer[BUFFER_SIZE], mnl_cb_t on_answer,
	       void *userdata)
{
	_cleanup_(mnl_socket_closep) struct mnl_socket *socket =
		mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	ssize_t n;

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(socket, buffer, BUFFER_SIZE);
	if (n < 0)
		return -errno;
	return mnl_cb_run(buffer, (size_t)n, 0, mnl_socket_get_portid(socket), on_answer,
			  userdata) < 0
		       ? -errno
		       : 0;
}

static void put_address(struct nlmsghdr *request, uint16_t type, const uint8_t ip[16])
{
	if (front_address_is_ipv4(ip))
		mnl_attr_put(request, type, 4, ip + 12);
	else
		mnl_attr_put(request, type, 16, ip);
}

static void get_address(const struct nlattr *attr, uint8_t ret_ip[16])
{
	memset(ret_ip, 0, 16);
	if (mnl_attr_get_payload_len(attr) == 16) {
		memcpy(ret_ip, mnl_attr_get_payload(attr), 16);
	} else if (mnl_attr_get_payload_len(attr) == 4) {
		memset(ret_ip + 10, 0xff, 2);
		memcpy(ret_ip + 12, mnl_attr_get_payload(attr), 4);
	}
}

/* ---- routes ---- */

static void read_metrics(const struct nlattr *metrics, struct route *route)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr,
				 metrics) if (mnl_attr_get_type(attr) == RTAX_MTU &&
					      mnl_attr_get_payload_len(attr) == sizeof(uint32_t))
		route->mtu = mnl_attr_get_u32(attr);
}

/* RTA_VIA: a router of the other family. */
static void read_via(const struct nlattr *attr, struct route *route)
{
	const struct rtvia *via = mnl_attr_get_payload(attr);

	route->has_router = true;
	if (via->rtvia_family == AF_INET6 && mnl_attr_get_payload_len(attr) >= sizeof(*via) + 16)
		memcpy(route->next, via->rtvia_addr, 16);
}

static void read_route_attr(const struct nlattr *attr, struct route *route)
{
	switch (mnl_attr_get_type(attr)) {
	case RTA_OIF:
		route->ifindex = mnl_attr_get_u32(attr);
		break;
	case RTA_GATEWAY:
		route->has_router = true;
		get_address(attr, route->next);
		break;
	case RTA_VIA:
		read_via(attr, route);
		break;
	case RTA_PREFSRC:
		get_address(attr, route->source);
		break;
	case RTA_METRICS:
		read_metrics(attr, route);
		break;
	}
}

static int on_route(const struct nlmsghdr *header, void *userdata)
{
	const struct rtmsg *message = mnl_nlmsg_get_payload(header);
	struct route *route = userdata;
	const struct nlattr *attr;

	if (header->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	route->local = message->rtm_type == RTN_LOCAL;
	mnl_attr_for_each(attr, header, sizeof(*message)) read_route_attr(attr, route);
	return MNL_CB_OK;
}

static uint32_t mtu_of(uint32_t ifindex)
{
	char name[IFNAMSIZ];
	struct device_facts facts;

	return if_indextoname(ifindex, name) && !device_ask(name, &facts) ? facts.mtu : 0;
}

int route_ask(const uint8_t ip[16], struct route *ret_route)
{
	char buffer[BUFFER_SIZE];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct route route = {0};
	struct rtmsg *message;
	bool ipv4 = front_address_is_ipv4(ip);
	int r;

	request->nlmsg_type = RTM_GETROUTE;
	request->nlmsg_flags = NLM_F_REQUEST;
	message = mnl_nlmsg_put_extra_header(request, sizeof(*message));
	message->rtm_family = ipv4 ? AF_INET : AF_INET6;
	message->rtm_dst_len = ipv4 ? 32 : 128;
	put_address(request, RTA_DST, ip);
	memcpy(route.next, ip, 16);
	r = ask(request, buffer, on_route, &route);
	if (r < 0)
		return r;
	if (!route.ifindex)
		return -ENETUNREACH;
	if (!route.mtu)
		route.mtu = mtu_of(route.ifindex);
	*ret_route = route;
	return 0;
}

bool route_is_lacking(int error)
{
	/* the last two: prohibit, blackhole */
	return error == -ENETUNREACH || error == -EHOSTUNREACH || error == -EACCES ||
	       error == -EINVAL;
}

bool route_is_known(const uint8_t ip[16])
{
	struct route route;
	int r = route_ask(ip, &route);

	return !route_is_lacking(r) || r == -EINVAL;
}

/* ---- neighbours ---- */

static struct nlmsghdr *about_neighbour(char buffer[BUFFER_SIZE], uint32_t ifindex,
					const uint8_t ip[16], uint16_t type, uint16_t flags)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct ndmsg *message;

	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_REQUEST | flags;
	message = mnl_nlmsg_put_extra_header(request, sizeof(*message));
	message->ndm_family = front_address_is_ipv4(ip) ? AF_INET : AF_INET6;
	message->ndm_ifindex = (int)ifindex;
	if (type == RTM_NEWNEIGH) {
		message->ndm_flags = NTF_USE;
		message->ndm_state = NUD_NONE;
	}
	put_address(request, NDA_DST, ip);
	return request;
}

static int on_neighbour(const struct nlmsghdr *header, void *userdata)
{
	const struct ndmsg *message = mnl_nlmsg_get_payload(header);
	struct neighbour *neighbour = userdata;
	const struct nlattr *attr;

	if (header->nlmsg_type != RTM_NEWNEIGH)
		return MNL_CB_OK;
	neighbour->fresh = message->ndm_state & (NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP);
	mnl_attr_for_each(
		attr, header,
		sizeof(*message)) if (mnl_attr_get_type(attr) == NDA_LLADDR &&
				      mnl_attr_get_payload_len(attr) == 6 &&
				      !(message->ndm_state & (NUD_FAILED | NUD_INCOMPLETE)))
	{
		neighbour->known = true;
		memcpy(neighbour->mac, mnl_attr_get_payload(attr), 6);
	}
	return MNL_CB_OK;
}

int neighbour_ask(uint32_t ifindex, const uint8_t ip[16], struct neighbour *ret_neighbour)
{
	char buffer[BUFFER_SIZE];
	struct neighbour neighbour = {0};
	int r = ask(about_neighbour(buffer, ifindex, ip, RTM_GETNEIGH, 0), buffer, on_neighbour,
		    &neighbour);

	if (r < 0 && r != -ENOENT)
		return r;
	*ret_neighbour = neighbour;
	return 0;
}

static int on_nothing(const struct nlmsghdr *header, void *userdata)
{
	(void)header, (void)userdata;
	return MNL_CB_OK;
}

int neighbour_probe(uint32_t ifindex, const uint8_t ip[16])
{
	char buffer[BUFFER_SIZE];

	return ask(about_neighbour(buffer, ifindex, ip, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_ACK),
		   buffer, on_nothing, NULL);
}

/* ---- devices ---- */

static bool has_feature(int fd, const char *name, uint32_t command, uint32_t bit)
{
	struct ethtool_value value = {.cmd = command};
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	request.ifr_data = (void *)&value;
	return !ioctl(fd, SIOCETHTOOL, &request) && value.data & bit;
}

static void ask_driver(int fd, const char *name, struct device_facts *facts)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq request = {0};

	memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	request.ifr_data = (char *)&info;
	if (!ioctl(fd, SIOCETHTOOL, &request))
		memcpy(facts->driver, info.driver, strnlen(info.driver, sizeof(facts->driver) - 1));
}

static void ask_vlan(int fd, const char *name, struct device_facts *facts)
{
	struct vlan_ioctl_args args = {.cmd = GET_VLAN_REALDEV_NAME_CMD};

	memcpy(args.device1, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(fd, SIOCGIFVLAN, &args))
		return;
	memcpy(facts->lower, args.u.device2, strnlen(args.u.device2, IFNAMSIZ - 1));
	args.cmd = GET_VLAN_VID_CMD;
	if (ioctl(fd, SIOCGIFVLAN, &args))
		facts->lower[0] = '\0';
	else
		facts->vlan = (uint16_t)args.u.VID;
}

int device_ask(const char *name, struct device_facts *ret_facts)
{
	_cleanup_(close_fdp) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct device_facts facts = {.ifindex = if_nametoindex(name)};
	struct ifreq request = {0};

	if (fd < 0)
		return -errno;
	if (!facts.ifindex)
		return -ENODEV;
	memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(fd, SIOCGIFMTU, &request) < 0)
		return -errno;
	facts.mtu = (uint32_t)request.ifr_mtu;
	if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		return -errno;
	memcpy(facts.mac, request.ifr_hwaddr.sa_data, sizeof(facts.mac));
	ask_vlan(fd, name, &facts);
	ask_driver(fd, name, &facts);
	facts.merges = has_feature(fd, name, ETHTOOL_GGRO, 1) ||
		       has_feature(fd, name, ETHTOOL_GFLAGS, ETH_FLAG_LRO);
	facts.strips = has_feature(fd, name, ETHTOOL_GFLAGS, ETH_FLAG_RXVLAN);
	*ret_facts = facts;
	return 0;
}

bool device_find_vlan(const char *name, char ret_vlan[IFNAMSIZ])
{
	struct if_nameindex *all = if_nameindex();
	struct device_facts facts;
	bool found = false;

	for (const struct if_nameindex *one = all; one && one->if_name && !found; one++) {
		found = !device_ask(one->if_name, &facts) && !strcmp(facts.lower, name);
		if (found)
			snprintf(ret_vlan, IFNAMSIZ, "%s", one->if_name);
	}
	if (all)
		if_freenameindex(all);
	return found;
}
