// SPDX-License-Identifier: GPL-2.0-or-later
#include "stand.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "plane/parts/plane_state.h"
#include "util/macro.h"

#define SYN 0x02

const char *const stand_hosts[3] = {"192.0.2.11", "192.0.2.12", "192.0.2.13"};
const char *const stand_hosts6[3] = {"2001:db8::11", "2001:db8::12", "2001:db8::13"};
const char *const stand_macs[3] = {"02:00:00:00:00:11", "02:00:00:00:00:12", "02:00:00:00:00:13"};

void stand_command(const char *template, ...)
{
	char text[256];
	va_list args;

	va_start(args, template);
	vsnprintf(text, sizeof(text), template, args);
	va_end(args);
	if (system(text))
		rig_fail(__FILE__, __LINE__, "this has failed: %s", text);
}

static int open_tap(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	memcpy(request.ifr_name, name, strlen(name));
	rig_check(fd >= 0);
	rig_check(ioctl(fd, TUNSETIFF, &request) == 0);
	return fd;
}

static void make_device(struct stand *stand)
{
	stand->tap = open_tap(DEVICE);
	stand_command("ip link set " DEVICE " address " OWN_MAC " up");
	stand_command("ip addr add 192.0.2.1/24 dev " DEVICE);
	stand_command("ip -6 addr add 2001:db8::1/64 dev " DEVICE " nodad");
	for (unsigned i = 0; i < ARRAY_SIZE(stand_hosts); i++) {
		stand_command("ip neigh add %s lladdr %s dev " DEVICE " nud permanent",
			      stand_hosts[i], stand_macs[i]);
		stand_command("ip neigh add %s lladdr %s dev " DEVICE " nud permanent",
			      stand_hosts6[i], stand_macs[i]);
	}
	stand->ifindex = if_nametoindex(DEVICE);
}

static void add_address(struct config_front *config, const char *text)
{
	rig_check(front_address_parse(text, config->addresses[config->n_addresses++].ip) == 0);
}

void stand_set_host(struct config_front *config, unsigned host, const char *text)
{
	config->n_hosts += !config->hosts[host].given;
	config->hosts[host].given = true;
	config->hosts[host].weight = 100;
	rig_check(front_address_parse(text, config->hosts[host].address.ip) == 0);
}

static struct config_front config_of(unsigned mode, const char *const given[])
{
	struct config_front config = {.mode = mode, .flows = 65536, .new_flows = 100000};

	memcpy(config.device, DEVICE, sizeof(DEVICE));
	config.ports[0] = (struct config_port) {.port = 443, .tcp = true, .udp = true};
	config.ports[1] = (struct config_port) {.port = 80, .tcp = true};
	config.n_ports = 2;
	for (unsigned i = 0; i < 3; i++)
		stand_set_host(&config, i, given[i]);
	return config;
}

struct front_maps stand_maps(const struct plane *plane)
{
	return (struct front_maps) {
		.control = plane->control_fd,
		.counters = plane->counters_fd,
		.events = plane->events_fd,
		.preview = plane->preview_fd,
		.prefixes = plane->prefixes_fd,
		.tables = plane->tables_fd,
		.pinned = plane->pinned_fd,
		.trace_rings = plane->trace_rings_fd,
		.trace_terms = plane->trace_terms_fd,
	};
}

int stand_try_apply(struct stand *stand, struct problem *problem)
{
	struct plane *plane = stand->rig->plane;
	struct front_maps maps = stand_maps(plane);

	return front_apply(plane->folder.text, plane->control->service_id, &maps, &stand->config,
			   &stand->front, problem);
}

/* Of what is linked to the device now. */
static int device_program(void)
{
	_cleanup_(close_fdp) int link = -1;
	struct bpf_link_info info = {0};
	uint32_t size = sizeof(info);
	int fd;

	rig_check(pin_open(HS_PIN_ROOT "/" HS_PIN_FRONTS "/" DEVICE "/link", &link) == 0);
	rig_check(bpf_obj_get_info_by_fd(link, &info, &size) == 0);
	fd = bpf_prog_get_fd_by_id(info.prog_id);
	rig_check(fd >= 0);
	return fd;
}

void stand_apply(struct stand *stand)
{
	struct problem problem = {0};

	if (stand_try_apply(stand, &problem))
		rig_fail(__FILE__, __LINE__, "not applied: %s", problem.text);
	close_fd(stand->program);
	stand->program = device_program();
}

void stand_take_all(struct stand *stand)
{
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		if (stand->config.hosts[i].given)
			front_set_taking(stand->front, i, true);
}

struct stand stand_begin(struct rig *rig, unsigned mode, const char *const given[])
{
	struct stand stand = {.rig = rig, .tap = -1, .program = -1};

	make_device(&stand);
	stand.config = config_of(mode, given);
	if (mode != FRONT_NAT || given == stand_hosts)
		add_address(&stand.config, SERVICE);
	if (mode != FRONT_NAT || given == stand_hosts6)
		add_address(&stand.config, SERVICE6);
	__atomic_store_n(&stand.rig->plane->control->flow_idle, 100, __ATOMIC_SEQ_CST);
	rig_flip(stand.rig, 0);
	stand_apply(&stand);
	stand_take_all(&stand);
	return stand;
}

void stand_end(struct stand *stand)
{
	front_free(stand->front);
	close_fd(stand->program);
	close_fd(stand->tap);
}

unsigned stand_run(const struct stand *stand, struct frame *frame)
{
	struct xdp_md context = {.data_end = (uint32_t)frame->n, .ingress_ifindex = stand->ifindex};
	struct frame out;
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->bytes,
		    .data_size_in = (uint32_t)frame->n, .data_out = out.bytes,
		    .data_size_out = sizeof(out.bytes), .ctx_in = &context,
		    .ctx_size_in = sizeof(context));

	rig_check(bpf_prog_test_run_opts(stand->program, &options) == 0);
	memcpy(frame->bytes, out.bytes, options.data_size_out);
	frame->n = options.data_size_out;
	return options.retval;
}

struct frame_spec frame_from_client(const char *client, const char *service)
{
	return (struct frame_spec) {.to_mac = OWN_MAC,
				    .from_mac = CLIENT_MAC,
				    .source = client,
				    .dest = service,
				    .source_port = 40000,
				    .dest_port = 443,
				    .flags = SYN,
				    .payload = 10};
}

struct hs_front *stand_shared(const struct stand *stand)
{
	_cleanup_(close_fdp) int fd = -1;
	struct hs_front *shared;

	rig_check(
		pin_open(pin_path("%s/" HS_PIN_FRONT "/front", stand->rig->plane->folder.text).text,
			 &fd) == 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	rig_check(shared != MAP_FAILED);
	return shared;
}

void stand_same_address(const struct stand *stand, const char *address)
{
	struct hs_front *shared = stand_shared(stand);

	for (unsigned i = 0; i < 3; i++)
		rig_check(front_address_parse(address, shared->hosts[i].ip) == 0);
	munmap(shared, sizeof(*shared));
}
