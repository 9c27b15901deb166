// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/front/decap.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "decap.skel.h"
#include "hs_decap.h"
#include "plane/bpf/load.h"
#include "plane/bpf/pins.h"
#include "plane/bpf/pinset.h"
#include "plane/bpf/tc_devices.h"
#include "plane/front/decap_peers.h"
#include "util/clock.h"
#include "util/macro.h"

#define FOLDER	  HS_PIN_ROOT "/" HS_PIN_DECAP
#define PIN(name) FOLDER "/" name

#define PROGRAM(fd) (&(const struct tc_program) {TC_INGRESS, TC_PLACE_DECAP, fd}), 1

/* One look at devices, of which there may be many, does for all services that ask meanwhile. */
#define MARK_LASTS (1 * USEC_PER_SEC)

struct decap {
	int program_fd, ports_fd, counts_fd, devices_fd, peers_fd, only_fd;
};

DEFINE_CLEANUP(struct decap_bpf, decap_bpf__destroy)

static void decap_close(struct decap *decap)
{
	close_fd(decap->program_fd);
	close_fd(decap->ports_fd);
	close_fd(decap->counts_fd);
	close_fd(decap->devices_fd);
	close_fd(decap->peers_fd);
	close_fd(decap->only_fd);
}

/* ---- pins ---- */

static int open_maps(struct decap *decap)
{
	int r = pin_open(PIN("ports"), &decap->ports_fd);

	if (!r)
		r = pin_open(PIN("counts"), &decap->counts_fd);
	if (!r)
		r = pin_open(PIN("devices"), &decap->devices_fd);
	if (!r)
		r = pin_open(PIN("peers"), &decap->peers_fd);
	if (!r)
		r = pin_open(PIN("only"), &decap->only_fd);
	return r ?: pin_open(PIN("program"), &decap->program_fd);
}

static uint64_t own_build(void)
{
	const void *bytes;
	size_t n;

	bytes = decap_bpf__elf_bytes(&n);
	return load_build(bytes, n);
}

static int open_pins(void *ret)
{
	return pinset_is_made(PIN("build"), own_build()) ? open_maps(ret) : -ENOENT;
}

static int pin_programs(const void *userdata)
{
	const struct decap_bpf *skel = userdata;
	int program = bpf_program__fd(skel->progs.hs_decap);
	int r = pin_object(program, PIN("program"));

	if (!r)
		tc_devices_renew(bpf_map__fd(skel->maps.hs_decap_devs), PROGRAM(program));
	return r;
}

static void take_off_all(void)
{
	_cleanup_(close_fdp) int devices = -1;

	if (!pin_open(PIN("devices"), &devices))
		tc_devices_clear(devices, PROGRAM(-1));
}

static int make_pins(struct problem *problem)
{
	_cleanup_(decap_bpf__destroyp) struct decap_bpf *skel = decap_bpf__open();
	const struct hs_decap_state state = {.layout = HS_DECAP_LAYOUT};
	int r = skel ? pinset_folder(FOLDER, HS_DECAP_LAYOUT, take_off_all) : -errno;
	uint32_t zero = 0;

	if (r)
		return problem_set(problem, r, "cannot make the program that unpacks: %s",
				   strerror(-r));
	const struct pinset_map maps[] = {
		{PIN("state"), skel->maps.hs_decap_state},
		{PIN("ports"), skel->maps.hs_decap_ports},
		{PIN("counts"), skel->maps.hs_decap_counts},
		{PIN("devices"), skel->maps.hs_decap_devs},
		{PIN("peers"), skel->maps.hs_decap_peers},
		{PIN("only"), skel->maps.hs_decap_only},
		{PIN("build"), skel->maps.hs_decap_build},
	};
	struct pinset set = {"the program that unpacks",
			     skel->obj,
			     maps,
			     ARRAY_SIZE(maps),
			     own_build(),
			     pin_programs,
			     skel};

	r = pinset_make(&set, problem);
	if (!r &&
	    bpf_map_update_elem(bpf_map__fd(skel->maps.hs_decap_state), &zero, &state, BPF_ANY))
		r = problem_set(problem, -errno, "cannot note what the program is like: %m");
	return r;
}

/* ---- ports ---- */

/* IPv4 as everywhere; a wildcard for both families is two. */
static void set_ip(struct hs_decap_port *port, const struct address *address)
{
	memset(port->ip, 0, sizeof(port->ip));
	if (address->family == AF_INET6) {
		memcpy(port->ip, address->ip, sizeof(port->ip));
		return;
	}
	memset(port->ip + 10, 0xff, 2);
	memcpy(port->ip + 12, address->ip, 4);
}

static int put(int fd, const struct hs_decap_port *port, uint32_t service_id)
{
	return bpf_map_update_elem(fd, port, &service_id, BPF_ANY) ? -errno : 0;
}

/* Entry `place` of those that an address has without ports. */
static struct hs_decap_port whole_of(const struct hs_decap_port *port, unsigned place)
{
	struct hs_decap_port whole = {.port = htons((uint16_t)place)};

	memcpy(whole.ip, port->ip, sizeof(whole.ip));
	return whole;
}

/* The place that the service has at the address, or the first free one; beyond the last: none. */
static unsigned place_of(int fd, const struct hs_decap_port *port, uint32_t service_id)
{
	unsigned place = 0;

	for (; place < HS_DECAP_SHARING_MAX; place++) {
		struct hs_decap_port whole = whole_of(port, place);
		uint32_t owner;

		if (bpf_map_lookup_elem(fd, &whole, &owner) || owner == service_id)
			break;
	}
	return place;
}

static int put_whole(int fd, const struct hs_decap_port *port, uint32_t service_id)
{
	unsigned place = place_of(fd, port, service_id);
	struct hs_decap_port whole = whole_of(port, place);

	return place < HS_DECAP_SHARING_MAX ? put(fd, &whole, service_id) : 0;
}

/* The last one comes to its place, so that there is no gap. */
static void forget_whole(int fd, const struct hs_decap_port *port)
{
	unsigned place = ntohs(port->port), last = place;
	struct hs_decap_port whole;
	uint32_t owner, moved = 0;

	while (last + 1 < HS_DECAP_SHARING_MAX) {
		whole = whole_of(port, last + 1);
		if (bpf_map_lookup_elem(fd, &whole, &owner))
			break;
		moved = owner;
		last++;
	}
	if (last > place)
		put(fd, port, moved);
	whole = whole_of(port, last);
	bpf_map_delete_elem(fd, &whole);
}

static void forget_one(int fd, const struct hs_decap_port *port)
{
	if (port->protocol)
		bpf_map_delete_elem(fd, port);
	else
		forget_whole(fd, port);
}

/* With its ports, and without any. */
static int put_both(int fd, const struct hs_decap_port *port, uint32_t service_id)
{
	int r = put(fd, port, service_id);

	return r ?: put_whole(fd, port, service_id);
}

static int add_address(int fd, const struct address *address, uint32_t service_id)
{
	static const uint8_t any[16];
	struct hs_decap_port port = {.port = htons(address->port),
				     .protocol = address->udp ? IPPROTO_UDP : IPPROTO_TCP};
	bool dual = address->family == AF_INET6 && !address->v6only &&
		    !memcmp(address->ip, any, sizeof(any));
	int r;

	set_ip(&port, address);
	r = put_both(fd, &port, service_id);
	if (r || !dual)
		return r;
	set_ip(&port, &(struct address) {.family = AF_INET});
	return put_both(fd, &port, service_id);
}

static bool is_of(const struct hs_decap_port *port, const struct address *address)
{
	struct hs_decap_port its;

	set_ip(&its, address);
	if (address->family == AF_INET6 && !address->v6only &&
	    IN6_IS_ADDR_UNSPECIFIED((const struct in6_addr *)address->ip) &&
	    IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)port->ip))
		set_ip(&its, &(struct address) {.family = AF_INET});
	return !memcmp(its.ip, port->ip, sizeof(its.ip)) &&
	       (!port->protocol || (port->port == htons(address->port) &&
				    (port->protocol == IPPROTO_UDP) == address->udp));
}

/* The addresses that a service has. */
struct having {
	uint32_t service_id;
	const struct address *const *addresses;
	size_t n;
};

static bool is_left(int fd, const struct hs_decap_port *port, const struct having *having)
{
	uint32_t owner;

	if (bpf_map_lookup_elem(fd, port, &owner) || owner != having->service_id)
		return false;
	for (size_t i = 0; i < having->n; i++)
		if (!having->addresses[i]->netns && is_of(port, having->addresses[i]))
			return false;
	return true;
}

/* Those that had no place at their address may have one now. */
static void restore_addresses(int fd)
{
	struct hs_decap_port port, *previous = NULL;
	uint32_t owner;

	while (!bpf_map_get_next_key(fd, previous, &port)) {
		if (port.protocol && !bpf_map_lookup_elem(fd, &port, &owner))
			put_whole(fd, &port, owner);
		previous = &port;
	}
}

/* What the service has no more. One that it goes on having is there all the time. */
static void forget_others(int fd, const struct having *having)
{
	struct hs_decap_port port, next, *previous = NULL;
	bool goes = false, gone = false;

	while (!bpf_map_get_next_key(fd, previous, &next)) {
		if (goes)
			forget_one(fd, &port);
		port = next;
		previous = &port;
		goes = is_left(fd, &port, having);
		gone |= goes;
	}
	if (goes)
		forget_one(fd, &port);
	if (gone)
		restore_addresses(fd);
}

static int set_ports(int fd, const struct having *having)
{
	int r = 0;

	for (size_t i = 0; !r && i < having->n; i++)
		if (!having->addresses[i]->netns)
			r = add_address(fd, having->addresses[i], having->service_id);
	if (!r)
		forget_others(fd, having);
	return r;
}

/* ---- counts ---- */

static int add_counts(int fd, uint32_t service_id)
{
	int n = libbpf_num_possible_cpus();
	_cleanup_(freep) struct hs_decap_counts *counts = n > 0 ? calloc(n, sizeof(*counts)) : NULL;

	if (!counts)
		return -ENOMEM;
	return bpf_map_update_elem(fd, &service_id, counts, BPF_NOEXIST) && errno != EEXIST ? -errno
											    : 0;
}

int decap_totals(uint32_t service_id, struct decap_totals *ret_totals)
{
	int n = libbpf_num_possible_cpus();
	_cleanup_(freep) struct hs_decap_counts *counts = n > 0 ? calloc(n, sizeof(*counts)) : NULL;
	_cleanup_(close_fdp) int fd = -1;
	struct decap_totals totals = {0};
	int r = counts ? pin_open(PIN("counts"), &fd) : -ENOMEM;

	if (!r && bpf_map_lookup_elem(fd, &service_id, counts))
		r = -errno;
	for (int i = 0; !r && i < n; i++) {
		totals.packets += counts[i].packets;
		totals.bytes += counts[i].bytes;
		totals.passed_on += counts[i].passed_on;
	}
	if (!r)
		*ret_totals = totals;
	return r;
}

/* ---- devices ---- */

/* Else there is no header before that of IP, and the program would look for one. */
static bool is_ethernet(const char *device)
{
	_cleanup_(close_fdp) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {0};

	strncpy(request.ifr_name, device, IFNAMSIZ - 1);
	return fd >= 0 && !ioctl(fd, SIOCGIFHWADDR, &request) &&
	       request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
}

static int put_on(const struct decap *decap, const char *device)
{
	uint32_t ifindex = if_nametoindex(device);

	return ifindex ? tc_devices_put(decap->devices_fd, ifindex, PROGRAM(decap->program_fd))
		       : -ENODEV;
}

/* One that it cannot be put on is no reason to leave out those behind it. */
static int put_on_all(const struct decap *decap)
{
	struct ifaddrs *all;
	int r = 0, error;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (const struct ifaddrs *one = all; one; one = one->ifa_next)
		if (decap_peers_is_there(one) && is_ethernet(one->ifa_name)) {
			error = put_on(decap, one->ifa_name);
			r = r ?: error;
		}
	freeifaddrs(all);
	return r;
}

/* Whether the service has packets come by this device. */
static bool wants(int only_fd, uint32_t service_id, uint32_t ifindex)
{
	uint32_t only;

	return bpf_map_lookup_elem(only_fd, &service_id, &only) || only == ifindex;
}

struct wanted {
	int counts_fd, only_fd;
};

static void take_off_unwanted(int devices_fd, uint32_t ifindex, void *data)
{
	const struct wanted *wanted = data;
	uint32_t id, *previous = NULL;

	while (!bpf_map_get_next_key(wanted->counts_fd, previous, &id)) {
		if (wants(wanted->only_fd, id, ifindex))
			return;
		previous = &id;
	}
	tc_devices_take_off(devices_fd, ifindex, PROGRAM(-1));
}

/* Without device: by all. */
static int set_only(int fd, uint32_t service_id, const char *device)
{
	uint32_t ifindex = if_nametoindex(device) ?: HS_DECAP_NO_DEVICE;

	if (*device)
		return bpf_map_update_elem(fd, &service_id, &ifindex, BPF_ANY) ? -errno : 0;
	return bpf_map_delete_elem(fd, &service_id) && errno != ENOENT ? -errno : 0;
}

/* The program comes to the devices that it is wanted on, and goes from those that nobody wants. */
static int follow_devices(const struct decap *decap, const struct decap_terms *terms)
{
	struct wanted wanted = {decap->counts_fd, decap->only_fd};
	int r = *terms->device ? put_on(decap, terms->device) : put_on_all(decap);

	tc_devices_each(decap->devices_fd, take_off_unwanted, &wanted);
	return r;
}

/* ---- from outside ---- */

static uint64_t add_to_mark(uint64_t mark, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		mark = (mark ^ bytes[i]) * UINT64_C(0x100000001b3);
	return mark;
}

static uint64_t mark_of(const struct ifaddrs *one)
{
	bool ipv4 = one->ifa_addr->sa_family == AF_INET;
	size_t size = ipv4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	uint32_t ifindex = if_nametoindex(one->ifa_name);
	uint64_t mark = UINT64_C(0xcbf29ce484222325);

	mark = add_to_mark(mark, one->ifa_name, strlen(one->ifa_name));
	mark = add_to_mark(mark, &ifindex, sizeof(ifindex));
	mark = add_to_mark(mark, one->ifa_addr, size);
	return one->ifa_netmask ? add_to_mark(mark, one->ifa_netmask, size) : mark;
}

/* In whatever order they are listed. */
static uint64_t mark_devices(void)
{
	struct ifaddrs *all;
	uint64_t mark = 1;

	if (getifaddrs(&all) < 0)
		return 0;
	for (const struct ifaddrs *one = all; one; one = one->ifa_next)
		if (decap_peers_is_there(one))
			mark += mark_of(one);
	freeifaddrs(all);
	return mark ?: 1;
}

uint64_t decap_devices_mark(void)
{
	static uint64_t mark, marked;
	uint64_t now = now_usec();

	if (!marked || now - marked >= MARK_LASTS) {
		mark = mark_devices();
		marked = now;
	}
	return mark;
}

static int apply(const struct decap *decap, uint32_t service_id,
		 const struct address *const *addresses, size_t n, const struct decap_terms *terms)
{
	int r = add_counts(decap->counts_fd, service_id);

	if (!r)
		r = decap_peers_set(decap->peers_fd, service_id, terms->from, terms->n_from);
	if (!r)
		r = set_ports(decap->ports_fd, &(struct having) {service_id, addresses, n});
	if (!r)
		r = set_only(decap->only_fd, service_id, terms->device);
	return r ?: follow_devices(decap, terms);
}

int decap_apply(uint32_t service_id, const struct address *const *addresses, size_t n,
		const struct decap_terms *terms, struct problem *problem)
{
	_cleanup_(decap_close) struct decap decap = {-1, -1, -1, -1, -1, -1};
	_cleanup_(close_fdp) int lock = -1;
	int r = pinset_open(open_pins, make_pins, &decap, problem);

	if (r < 0)
		return r;
	r = pins_lock(FOLDER, 1, &lock);
	if (!r)
		r = apply(&decap, service_id, addresses, n, terms);
	return r ? problem_set(
			   problem, r,
			   "what a front has put its packets into cannot be taken off them%s%s: "
			   "%s",
			   *terms->device ? " on device " : "", terms->device, strerror(-r))
		 : 0;
}

static bool has_services(int counts_fd)
{
	uint32_t id;

	return !bpf_map_get_next_key(counts_fd, NULL, &id);
}

int decap_remove(uint32_t service_id)
{
	_cleanup_(close_fdp) int lock = -1, ports = -1, counts = -1, peers = -1;
	_cleanup_(close_fdp) int only = -1, devices = -1;
	int r;

	if (access(FOLDER, F_OK))
		return 0;
	r = pins_lock(HS_PIN_ROOT, 1, &lock);
	if (r)
		return r == -ENOENT ? 0 : r;
	if (!pin_open(PIN("ports"), &ports))
		forget_others(ports, &(struct having) {.service_id = service_id});
	if (!pin_open(PIN("peers"), &peers))
		decap_peers_forget(peers, service_id);
	if (!pin_open(PIN("only"), &only))
		bpf_map_delete_elem(only, &service_id);
	if (!pin_open(PIN("counts"), &counts)) {
		bpf_map_delete_elem(counts, &service_id);
		if (has_services(counts)) {
			if (only >= 0 && !pin_open(PIN("devices"), &devices))
				tc_devices_each(devices, take_off_unwanted,
						&(struct wanted) {counts, only});
			return 0;
		}
	}
	take_off_all();
	return pins_remove(FOLDER);
}
