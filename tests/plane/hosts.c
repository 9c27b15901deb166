// SPDX-License-Identifier: GPL-2.0-or-later
#include "hosts.h"

#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plane/kernel/netns.h"
#include "util/macro.h"

void hosts_run(const struct server *where, const char *template, ...)
{
	char command[2048], whole[2304];
	va_list args;

	va_start(args, template);
	vsnprintf(command, sizeof(command), template, args);
	va_end(args);
	if (where)
		snprintf(whole, sizeof(whole), "nsenter -n -t %d sh -ec '%s'", (int)where->pid,
			 command);
	else
		snprintf(whole, sizeof(whole), "sh -ec '%s'", command);
	if (system(whole))
		rig_fail(__FILE__, __LINE__, "failed: %s", whole);
}

/* ---- addresses ---- */

static void parse(const char *text, uint8_t ret_ip[16])
{
	char mapped[64];

	snprintf(mapped, sizeof(mapped), "%s%s", strchr(text, ':') ? "" : "::ffff:", text);
	rig_check(inet_pton(AF_INET6, mapped, ret_ip) == 1);
}

void hosts_service(bool ipv6, uint8_t ret_ip[16])
{
	parse(ipv6 ? HOSTS_SERVICE6 : HOSTS_SERVICE, ret_ip);
}

void hosts_front(bool ipv6, uint8_t ret_ip[16])
{
	parse(ipv6 ? "fd09::1" : "10.9.0.1", ret_ip);
}

void hosts_host(unsigned number, bool ipv6, uint8_t ret_ip[16])
{
	char text[32];

	snprintf(text, sizeof(text), ipv6 ? "fd09::1%u" : "10.9.0.1%u", number + 1);
	parse(text, ret_ip);
}

struct address hosts_address(const uint8_t ip[16], uint16_t port, bool udp)
{
	bool ipv4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)ip);
	struct address address = {.family = ipv4 ? AF_INET : AF_INET6, .port = port, .udp = udp};

	memcpy(address.ip, ipv4 ? ip + 12 : ip, ipv4 ? 4 : 16);
	return address;
}

/* ---- devices ---- */

static void set_offload(const char *device, uint32_t feature)
{
	_cleanup_(close_fdp) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_value value = {.cmd = feature};
	struct ifreq request = {.ifr_data = (char *)&value};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	rig_check(fd >= 0 && ioctl(fd, SIOCETHTOOL, &request) == 0);
}

/* Made here, and moved with that. */
static void turn_off(const char *device)
{
	set_offload(device, ETHTOOL_STXCSUM);
	set_offload(device, ETHTOOL_STSO);
	set_offload(device, ETHTOOL_SGSO);
}

static void plug(const struct hosts *hosts, const char *device, const char *port, bool offload)
{
	hosts_run(NULL, "ip link add %s type veth peer name %s", device, port);
	if (!offload) {
		turn_off(device);
		turn_off(port);
	}
	hosts_run(NULL, "ip link set %s netns %d", port, (int)hosts->wire->pid);
	hosts_run(hosts->wire, "ip link set %s master wire up", port);
}

static void set_up(const struct server *where, const char *device, const char *ends)
{
	hosts_run(where,
		  "ip addr add 10.9.0.%s/24 dev %s; ip -6 addr add fd09::%s/64 dev %s nodad; "
		  "ip link set %s up",
		  ends, device, ends, device, device);
}

static void make_host(const struct hosts *hosts, const struct server *host, bool offload)
{
	char port[IFNAMSIZ], ends[4];

	snprintf(port, sizeof(port), "port%u", host->slot);
	snprintf(ends, sizeof(ends), "1%u", host->slot + 1);
	plug(hosts, HOST_DEVICE, port, offload);
	hosts_run(NULL, "ip link set " HOST_DEVICE " netns %d", (int)host->pid);
	hosts_run(host,
		  "cd /proc/sys/net/ipv4/conf; echo 1 >all/arp_ignore; echo 2 >all/arp_announce; "
		  "ip addr add " HOSTS_SERVICE "/32 dev lo; "
		  "ip -6 addr add " HOSTS_SERVICE6 "/128 dev lo nodad");
	set_up(host, HOST_DEVICE, ends);
}

static struct server *start_apart(struct rig *rig, unsigned slot)
{
	struct server *server = server_start(rig, slot);

	server_isolate(server, NULL);
	return server;
}

struct hosts hosts_begin(struct rig *rig, bool offload)
{
	struct hosts hosts = {
		.a = start_apart(rig, 0), .b = start_apart(rig, 1), .wire = start_apart(rig, 2)};

	hosts_run(hosts.wire, "ip link add wire type bridge mcast_snooping 0; ip link set wire up");
	plug(&hosts, HOSTS_DEVICE, "port", offload);
	make_host(&hosts, hosts.a, offload);
	make_host(&hosts, hosts.b, offload);
	set_up(NULL, HOSTS_DEVICE, "1");
	hosts.ifindex = if_nametoindex(HOSTS_DEVICE);
	rig_check(hosts.ifindex);
	return hosts;
}

/* ---- unpacking ---- */

struct unpacking {
	uint32_t service_id;
	const struct address *addresses;
	size_t n;
	struct decap_terms terms;
};

static int unpack(void *userdata)
{
	const struct unpacking *unpacking = userdata;
	const struct address *all[unpacking->n ?: 1];
	struct problem problem = {0};

	for (size_t i = 0; i < unpacking->n; i++)
		all[i] = &unpacking->addresses[i];
	if (decap_apply(unpacking->service_id, all, unpacking->n, &unpacking->terms, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "%s", problem.text);
	return 0;
}

void hosts_unpack_by(const struct server *host, uint32_t service_id,
		     const struct address *addresses, size_t n, const struct decap_terms *terms)
{
	struct netns netns;

	rig_check(netns_of_process(host->pid, &netns) == 0);
	netns_run(&netns, unpack, &(struct unpacking) {service_id, addresses, n, *terms});
	close_fd(netns.fd);
}

void hosts_unpack(const struct server *host, const struct address *addresses, size_t n)
{
	hosts_unpack_of(host, addresses, n, NULL, 0);
}

void hosts_unpack_of(const struct server *host, const struct address *addresses, size_t n,
		     const struct hs_prefix *from, size_t n_from)
{
	hosts_unpack_by(host, HOSTS_SERVICE_ID, addresses, n,
			&(struct decap_terms) {"", from, n_from});
}
