// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/front/led.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>

#include "led.skel.h"
#include "plane/bpf/load.h"
#include "plane/bpf/pins.h"
#include "plane/bpf/pinset.h"
#include "plane/bpf/tc_devices.h"
#include "plane/kernel/owner.h"
#include "util/clock.h"
#include "util/macro.h"

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

#define FOLDER	  HS_PIN_ROOT "/" HS_PIN_LED
#define PIN(name) FOLDER "/" name

/* The kernel may have something to say for closed sockets for so long. */
#define REST_NSEC (60 * NSEC_PER_SEC)

#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define TCP_HEADER  20

/* Devices that were looked at a moment ago. */
#define LOOKED_MAX  8
#define LOOKED_NSEC NSEC_PER_SEC

struct led {
	int egress_fd, ingress_fd, sockets_fd, state_fd, owners_fd, devices_fd;
	struct {
		uint32_t ifindex;
		uint64_t at;
	} looked[LOOKED_MAX];
	uint64_t found; /* when the pins were last seen to be these */
};

/* What is pinned, and where its descriptor belongs. */
static const struct pinned {
	const char *name;
	size_t offset;
} pins[] = {
	{"egress", offsetof(struct led, egress_fd)},
	{"ingress", offsetof(struct led, ingress_fd)},
	{"sockets", offsetof(struct led, sockets_fd)},
	{"state", offsetof(struct led, state_fd)},
	{"owners", offsetof(struct led, owners_fd)},
	{"devices", offsetof(struct led, devices_fd)},
};

DEFINE_CLEANUP(struct led, led_free)
DEFINE_CLEANUP(struct led_bpf, led_bpf__destroy)

static int *fd_of(struct led *led, const struct pinned *pin)
{
	return (int *)((char *)led + pin->offset);
}

struct led *led_free(struct led *led)
{
	if (!led)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(pins); i++)
		close_fd(*fd_of(led, &pins[i]));
	free(led);
	return NULL;
}

static uint64_t own_build(void)
{
	const void *bytes;
	size_t n;

	bytes = led_bpf__elf_bytes(&n);
	return load_build(bytes, n);
}

static int open_pins(void *ret)
{
	_cleanup_(led_freep) struct led *led = NULL;
	int r = 0;

	if (!pinset_is_made(PIN("build"), own_build()))
		return -ENOENT;
	led = calloc(1, sizeof(*led));
	if (!led)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(pins); i++)
		*fd_of(led, &pins[i]) = -1;
	for (size_t i = 0; !r && i < ARRAY_SIZE(pins); i++)
		r = pin_open(pin_path("%s/%s", FOLDER, pins[i].name).text, fd_of(led, &pins[i]));
	if (!r)
		*(struct led **)ret = steal_ptr(&led);
	return r;
}

int led_attach(struct led **ret_led)
{
	return open_pins(ret_led);
}

static uint32_t map_id(int fd)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) ? 0 : info.id;
}

bool led_is_stale(struct led *led)
{
	_cleanup_(close_fdp) int fd = -1;
	uint64_t now = now_nsec();

	if (now - led->found < LOOKED_NSEC)
		return false;
	if (pin_open(PIN("sockets"), &fd) || map_id(fd) != map_id(led->sockets_fd))
		return true;
	led->found = now;
	return false;
}

/* ---- devices ---- */

/* The one that looks for answers comes first. */
#define PROGRAMS(ingress, egress)                                          \
	((const struct tc_program[]) {{TC_INGRESS, TC_PLACE_LED, ingress}, \
				      {TC_EGRESS, TC_PLACE_LED, egress}}), \
		2

/* Whoever probes asks for each probe. */
static bool was_looked_at(struct led *led, uint32_t ifindex)
{
	uint64_t now = now_nsec();
	unsigned oldest = 0;

	for (unsigned i = 0; i < LOOKED_MAX; i++) {
		if (led->looked[i].ifindex == ifindex && now - led->looked[i].at < LOOKED_NSEC)
			return true;
		if (led->looked[i].at < led->looked[oldest].at)
			oldest = i;
	}
	led->looked[oldest].ifindex = ifindex;
	led->looked[oldest].at = now;
	return false;
}

static int put_programs(struct led *led, uint32_t ifindex, struct problem *problem)
{
	int r = tc_devices_put(led->devices_fd, ifindex, PROGRAMS(led->ingress_fd, led->egress_fd));

	return r ? problem_set(problem, r,
			       "cannot put the programs for probes on device %u: %s; they need "
			       "a kernel with clsact (modules sch_ingress and cls_bpf)",
			       ifindex, strerror(-r))
		 : 0;
}

int led_device(struct led *led, uint32_t ifindex, struct problem *problem)
{
	int r = was_looked_at(led, ifindex) ? 0 : put_programs(led, ifindex, problem);

	if (r)
		memset(led->looked, 0, sizeof(led->looked));
	return r;
}

static void take_off_all(void)
{
	_cleanup_(close_fdp) int devices = -1;

	if (!pin_open(PIN("devices"), &devices))
		tc_devices_clear(devices, PROGRAMS(-1, -1));
}

int led_remove(void)
{
	_cleanup_(close_fdp) int lock = -1;
	int r;

	if (access(FOLDER, F_OK))
		return 0;
	r = pins_lock(HS_PIN_ROOT, 1, &lock);
	if (r)
		return r == -ENOENT ? 0 : r;
	take_off_all();
	return pins_remove(FOLDER);
}

/* ---- making ---- */

static int pin_programs(const void *userdata)
{
	const struct led_bpf *skel = userdata;
	int ingress = bpf_program__fd(skel->progs.hs_led_ingress),
	    egress = bpf_program__fd(skel->progs.hs_led_egress);
	int r = pin_object(ingress, PIN("ingress"));

	if (!r)
		r = pin_object(egress, PIN("egress"));
	if (!r)
		tc_devices_renew(bpf_map__fd(skel->maps.hs_led_devices), PROGRAMS(ingress, egress));
	return r;
}

static int make_pins(struct problem *problem)
{
	_cleanup_(led_bpf__destroyp) struct led_bpf *skel = led_bpf__open();
	int r = skel ? pinset_folder(FOLDER, HS_LED_LAYOUT, take_off_all) : -errno;

	if (r)
		return problem_set(problem, r, "cannot make the programs for probes of hosts: %s",
				   strerror(-r));
	const struct pinset_map maps[] = {
		{PIN("state"), skel->maps.hs_led_state},
		{PIN("sockets"), skel->maps.hs_led_sockets},
		{PIN("flows"), skel->maps.hs_led_flows},
		{PIN("owners"), skel->maps.hs_led_owners},
		{PIN("devices"), skel->maps.hs_led_devices},
		{PIN("build"), skel->maps.hs_led_build},
	};
	struct pinset set = {"the programs for probes of hosts",
			     skel->obj,
			     maps,
			     ARRAY_SIZE(maps),
			     own_build(),
			     pin_programs,
			     skel};

	return pinset_make(&set, problem);
}

int led_open(struct led **ret_led, struct problem *problem)
{
	return pinset_open(open_pins, make_pins, ret_led, problem);
}

/* ---- paths ---- */

static bool is_ipv4(const uint8_t ip[16])
{
	return IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)ip);
}

socklen_t led_to(const uint8_t ip[16], uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	if (is_ipv4(ip)) {
		*v4 = (struct sockaddr_in) {.sin_family = AF_INET, .sin_port = port};
		memcpy(&v4->sin_addr, ip + 12, 4);
		return sizeof(*v4);
	}
	*v6 = (struct sockaddr_in6) {.sin6_family = AF_INET6, .sin6_port = port};
	memcpy(&v6->sin6_addr, ip, 16);
	return sizeof(*v6);
}

static void from_sockaddr(const struct sockaddr_storage *address, uint8_t ret_ip[16])
{
	if (address->ss_family == AF_INET6) {
		memcpy(ret_ip, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
		return;
	}
	memset(ret_ip, 0, 10);
	memset(ret_ip + 10, 0xff, 2);
	memcpy(ret_ip + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
}

/* A socket that would reach it; nothing is sent. */
static int open_way(const uint8_t ip[16], uint16_t port)
{
	_cleanup_(close_fdp) int fd = -1;
	struct sockaddr_storage to;
	socklen_t size = led_to(ip, port, &to);

	fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, size) < 0)
		return -errno;
	return steal_fd(&fd);
}

static int own_address(const uint8_t ip[16], uint8_t ret_ip[16])
{
	_cleanup_(close_fdp) int fd = open_way(ip, htons(9));
	struct sockaddr_storage own;
	socklen_t size = sizeof(own);

	if (fd < 0)
		return fd;
	if (getsockname(fd, (struct sockaddr *)&own, &size) < 0)
		return -errno;
	from_sockaddr(&own, ret_ip);
	return 0;
}

int led_path(const struct led_host *host, const uint8_t address[16], uint16_t port,
	     uint8_t protocol, struct hs_led_path *ret_path)
{
	struct hs_led_path path = {
		.port = htons(port),
		.protocol = protocol,
		.encapsulate = host->mode == FRONT_IPIP,
		.service_id = host->service_id,
		.slot = (uint8_t)host->slot,
	};
	int r;

	if (is_ipv4(host->ip) != is_ipv4(address))
		return -EAFNOSUPPORT;
	memcpy(path.asked, address, 16);
	memcpy(path.host, host->ip, 16);
	memcpy(path.carried, host->mode == FRONT_NAT ? host->ip : address, 16);
	r = own_address(host->ip, path.outer);
	if (!r)
		*ret_path = path;
	return r;
}

unsigned led_mss(const struct hs_led_path *path)
{
	_cleanup_(close_fdp) int fd = path->encapsulate ? open_way(path->host, path->port) : -1;
	bool ipv4 = is_ipv4(path->host);
	int mtu = 0, headers = TCP_HEADER + 2 * (ipv4 ? IPV4_HEADER : IPV6_HEADER);
	socklen_t size = sizeof(mtu);

	if (fd < 0 || getsockopt(fd, ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_MTU : IPV6_MTU,
				 &mtu, &size) < 0)
		return 0;
	return mtu > headers ? (unsigned)(mtu - headers) : 0;
}

/* ---- owners ---- */

static int read_state(const struct led *led, struct hs_led_state *ret_state)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(led->state_fd, &zero, ret_state) ? -errno : 0;
}

static int write_state(const struct led *led, const struct hs_led_state *state)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(led->state_fd, &zero, state, BPF_ANY) ? -errno : 0;
}

int led_begin(struct led *led, const struct hs_preview_owner_id *owner)
{
	struct hs_led_state state = {.layout = HS_LED_LAYOUT, .on = 1};
	_cleanup_(close_fdp) int lock = -1;
	uint8_t one = 1;
	int r = pins_lock(FOLDER, 1, &lock);

	if (!r && bpf_map_update_elem(led->owners_fd, owner, &one, BPF_ANY))
		r = -errno;
	return r ?: write_state(led, &state);
}

/* Those of this owner; NULL: of all that are dead. */
static void forget_sockets(const struct led *led, const struct hs_preview_owner_id *owner)
{
	uint64_t cookie, next, *previous = NULL;
	struct hs_led_socket socket;
	bool goes = false;

	while (!bpf_map_get_next_key(led->sockets_fd, previous, &next)) {
		if (goes)
			bpf_map_delete_elem(led->sockets_fd, &cookie);
		cookie = next;
		previous = &cookie;
		goes = !bpf_map_lookup_elem(led->sockets_fd, &cookie, &socket) &&
		       (owner ? owner_equal(&socket.owner, owner) : !owner_lives(&socket.owner));
	}
	if (goes)
		bpf_map_delete_elem(led->sockets_fd, &cookie);
}

int led_end(struct led *led, const struct hs_preview_owner_id *owner)
{
	forget_sockets(led, owner);
	return bpf_map_delete_elem(led->owners_fd, owner) && errno != ENOENT ? -errno : 0;
}

/* Returns how many are alive; `ret_dead`: how many were not. */
static int sweep_owners(const struct led *led, int *ret_dead)
{
	struct hs_preview_owner_id owner, next, *previous = NULL;
	bool goes = false;
	int alive = 0;

	*ret_dead = 0;
	while (!bpf_map_get_next_key(led->owners_fd, previous, &next)) {
		if (goes)
			bpf_map_delete_elem(led->owners_fd, &owner);
		owner = next;
		previous = &owner;
		goes = !owner_lives(&owner);
		*ret_dead += goes;
		alive += !goes;
	}
	if (goes)
		bpf_map_delete_elem(led->owners_fd, &owner);
	return alive;
}

int led_sweep(struct led *led)
{
	_cleanup_(close_fdp) int lock = -1;
	struct hs_led_state state;
	int dead, alive, r = pins_lock(FOLDER, 0, &lock);

	if (r)
		return r;
	alive = sweep_owners(led, &dead);
	if (dead)
		forget_sockets(led, NULL);
	r = read_state(led, &state);
	if (r || alive || !state.on)
		return r ?: dead;
	if (!state.idle_ns)
		state.idle_ns = now_nsec();
	else if (now_nsec() - state.idle_ns > REST_NSEC)
		state.on = 0;
	return write_state(led, &state) ?: dead;
}

/* ---- sockets ---- */

static int cookie_of(int socket_fd, uint64_t *ret_cookie)
{
	socklen_t size = sizeof(*ret_cookie);

	return getsockopt(socket_fd, SOL_SOCKET, SO_COOKIE, ret_cookie, &size) < 0 ? -errno : 0;
}

/* With port 0: the kernel chooses one that no other socket has, or gets; so it has this one host
 * alone. */
static int bind_free(int socket_fd, const uint8_t ip[16])
{
	struct sockaddr_storage own;
	socklen_t size = led_to(ip, 0, &own);

	return bind(socket_fd, (struct sockaddr *)&own, size) < 0 ? -errno : 0;
}

static int limit(const struct hs_led_path *path, int socket_fd)
{
	int mss = path->protocol == IPPROTO_TCP ? (int)led_mss(path) : 0;

	if (!mss)
		return 0;
	return setsockopt(socket_fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss)) < 0 ? -errno : 0;
}

int led_direct(struct led *led, const struct hs_preview_owner_id *owner,
	       const struct hs_led_path *path, int socket_fd, struct sockaddr_storage *ret_to)
{
	struct hs_led_socket noted = {.owner = *owner, .path = *path};
	uint64_t cookie;
	int r = bind_free(socket_fd, path->outer);

	if (!r)
		r = limit(path, socket_fd);
	if (!r)
		r = cookie_of(socket_fd, &cookie);
	if (!r && bpf_map_update_elem(led->sockets_fd, &cookie, &noted, BPF_ANY))
		r = -errno;
	if (!r)
		led_to(path->host, path->port, ret_to);
	return r;
}

int led_landed(const struct led *led, int socket_fd, struct led_landing *ret_landing)
{
	struct hs_led_socket noted;
	uint64_t cookie;
	int r = cookie_of(socket_fd, &cookie);

	if (!r && bpf_map_lookup_elem(led->sockets_fd, &cookie, &noted))
		r = -errno;
	if (!r)
		*ret_landing = (struct led_landing) {noted.led, noted.held, noted.answered};
	return r;
}

void led_forget(const struct led *led, int socket_fd)
{
	uint64_t cookie;

	if (!cookie_of(socket_fd, &cookie))
		bpf_map_delete_elem(led->sockets_fd, &cookie);
}

unsigned led_count(const struct led *led)
{
	uint64_t cookie, *previous = NULL;
	unsigned n = 0;

	while (!bpf_map_get_next_key(led->sockets_fd, previous, &cookie)) {
		previous = &cookie;
		n++;
	}
	return n;
}

int led_sockets_fd(const struct led *led)
{
	return led->sockets_fd;
}
