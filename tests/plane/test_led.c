// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Led connections: what the front's own machine begins comes to the host that was chosen, by the
 * path of clients' packets. The servers listen on the service's address alone (in nat on the
 * host's), so that who answers has got the packet as clients' are.
 */
#include "cases.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "command.h"
#include "hosts.h"
#include "plane/bpf/tc.h"
#include "plane/front/decap.h"
#include "plane/front/led_exec.h"
#include "plane/kernel/owner.h"
#include "plane/preview/exec.h"

#define PORT 8080

/* What a test is about. */
struct scene {
	struct hosts hosts;
	struct led *led;
	struct hs_preview_owner_id owner;
	enum front_mode mode;
	bool ipv6, udp;
};

static void listen_on(const struct scene *scene, struct server *server)
{
	uint8_t ip[16];
	struct address address;

	if (scene->mode == FRONT_NAT)
		hosts_host(server->slot, scene->ipv6, ip);
	else
		hosts_service(scene->ipv6, ip);
	address = hosts_address(ip, PORT, scene->udp);
	assert_int_equal(server_listen(server, &address, 0), 0);
	server_serve(server, true);
	if (scene->mode == FRONT_IPIP)
		hosts_unpack(server, &address, 1);
}

static void begin(struct rig *rig, struct scene *scene, bool offload)
{
	struct problem problem = {0};

	scene->hosts = hosts_begin(rig, offload);
	listen_on(scene, scene->hosts.a);
	listen_on(scene, scene->hosts.b);
	if (led_open(&scene->led, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "%s", problem.text);
	if (led_device(scene->led, scene->hosts.ifindex, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "%s", problem.text);
	assert_int_equal(owner_of_process(0, &scene->owner), 0);
	assert_int_equal(led_begin(scene->led, &scene->owner), 0);
}

static void end(struct scene *scene)
{
	assert_int_equal(led_count(scene->led), 0);
	assert_int_equal(led_end(scene->led, &scene->owner), 0);
	scene->led = led_free(scene->led);
	assert_int_equal(led_remove(), 0);
	assert_int_equal(decap_remove(HOSTS_SERVICE_ID), 0);
}

static struct hs_led_path path_to(const struct scene *scene, unsigned number)
{
	struct led_host host = {.slot = number, .mode = scene->mode, .service_id = 7};
	struct hs_led_path path;
	uint8_t ip[16];

	hosts_host(number, scene->ipv6, host.ip);
	hosts_service(scene->ipv6, ip);
	assert_int_equal(led_path(&host, ip, PORT, scene->udp ? IPPROTO_UDP : IPPROTO_TCP, &path),
			 0);
	return path;
}

/* A connection to a host; sends and receives within the deadline. */
static int connect_led(const struct scene *scene, unsigned number)
{
	struct timeval deadline = {.tv_sec = 2};
	struct hs_led_path path = path_to(scene, number);
	struct sockaddr_storage to;
	int fd = socket(scene->ipv6 ? AF_INET6 : AF_INET,
			(scene->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof(deadline));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
	assert_int_equal(led_direct(scene->led, &scene->owner, &path, fd, &to), 0);
	/* whether it is there shows at the answer */
	(void)!connect(fd, (struct sockaddr *)&to, sizeof(to));
	return fd;
}

static struct led_landing landing_of(const struct scene *scene, int fd)
{
	struct led_landing landing = {0};

	assert_int_equal(led_landed(scene->led, fd, &landing), 0);
	return landing;
}

static char ask_led(const struct scene *scene, unsigned number)
{
	int fd = connect_led(scene, number);
	char answer = client_ask(fd);
	struct led_landing landing = landing_of(scene, fd);

	assert_true(landing.led && landing.answered && !landing.held);
	led_forget(scene->led, fd);
	close(fd);
	return answer;
}

/* Both hosts, in turn; and the host hears of the end of each connection. */
static void goes_to_each(struct rig *rig, struct scene *scene, bool offload)
{
	begin(rig, scene, offload);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(ask_led(scene, i % 2), 'A' + i % 2);
	rig_until(!server_state(scene->hosts.a).open && !server_state(scene->hosts.b).open);
	end(scene);
}

static void dsr(void **state)
{
	goes_to_each(*state, &(struct scene) {.mode = FRONT_DSR}, false);
}

static void dsr_ipv6(void **state)
{
	goes_to_each(*state, &(struct scene) {.mode = FRONT_DSR, .ipv6 = true}, false);
}

static void dsr_datagrams(void **state)
{
	goes_to_each(*state, &(struct scene) {.mode = FRONT_DSR, .udp = true}, false);
}

static void dsr_datagrams_ipv6(void **state)
{
	goes_to_each(*state, &(struct scene) {.mode = FRONT_DSR, .udp = true, .ipv6 = true}, false);
}

static void checksums_that_the_device_makes(void **state)
{
	goes_to_each(*state, &(struct scene) {.mode = FRONT_DSR}, true);
}

static void checksums_that_the_device_makes_ipv6(void **state)
{
	goes_to_each(*state, &(struct scene) {.mode = FRONT_DSR, .ipv6 = true}, true);
}

/* A program of XDP in generic mode, as a front's own on some devices: the kernel hands on a copy of
 * each packet, in which it finds the network header elsewhere. */
static void behind_xdp(struct rig *rig, struct scene *scene)
{
	static const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = BPF_F_XDP_HAS_FRAGS);
	int ifindex, fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "hs_pass", "GPL", pass, ARRAY_SIZE(pass),
					&options);

	assert_true(fd >= 0);
	begin(rig, scene, false);
	ifindex = (int)scene->hosts.ifindex;
	assert_int_equal(bpf_xdp_attach(ifindex, fd, XDP_FLAGS_SKB_MODE, NULL), 0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(ask_led(scene, i % 2), 'A' + i % 2);
	assert_int_equal(bpf_xdp_detach(ifindex, XDP_FLAGS_SKB_MODE, NULL), 0);
	close(fd);
	end(scene);
}

static void behind_xdp_in_generic_mode(void **state)
{
	behind_xdp(*state, &(struct scene) {.mode = FRONT_DSR});
}

static void behind_xdp_in_generic_mode_ipv6(void **state)
{
	behind_xdp(*state, &(struct scene) {.mode = FRONT_DSR, .ipv6 = true});
}

static void nat(void **state)
{
	goes_to_each(*state, &(struct scene) {.mode = FRONT_NAT}, false);
}

static void nat_ipv6(void **state)
{
	goes_to_each(*state, &(struct scene) {.mode = FRONT_NAT, .ipv6 = true}, false);
}

static void ipip(void **state)
{
	goes_to_each(*state, &(struct scene) {.mode = FRONT_IPIP}, false);
}

static void ipip_ipv6(void **state)
{
	goes_to_each(*state, &(struct scene) {.mode = FRONT_IPIP, .ipv6 = true}, true);
}

static void ipip_datagrams(void **state)
{
	goes_to_each(*state, &(struct scene) {.mode = FRONT_IPIP, .udp = true}, true);
}

/* As with keepalived: a packet to it would go over loopback, one from it would be a forgery. */
static void the_front_has_the_address_itself(void **state)
{
	hosts_run(NULL, "ip addr add " HOSTS_SERVICE "/32 dev lo; "
			"echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter");
	goes_to_each(*state, &(struct scene) {.mode = FRONT_DSR}, false);
}

static void the_front_has_the_address_itself_ipv6(void **state)
{
	hosts_run(NULL, "ip -6 addr add " HOSTS_SERVICE6 "/128 dev lo nodad");
	goes_to_each(*state, &(struct scene) {.mode = FRONT_DSR, .ipv6 = true}, false);
}

/* All that is sent is acknowledged: large packets that the device, or the kernel before it, cuts.
 */
static void much(struct rig *rig, struct scene *scene, bool offload)
{
	static char bytes[4 * 1024 * 1024];
	int fd, left;

	begin(rig, scene, offload);
	fd = connect_led(scene, 1);
	for (size_t sent = 0; sent < sizeof(bytes);) {
		ssize_t n = send(fd, bytes + sent, sizeof(bytes) - sent, MSG_NOSIGNAL);

		assert_true(n > 0);
		sent += n;
	}
	rig_until(!ioctl(fd, SIOCOUTQ, &left) && !left);
	assert_int_equal(landing_of(scene, fd).held, 0);
	led_forget(scene->led, fd);
	close(fd);
	end(scene);
}

static void large_packets(void **state)
{
	much(*state, &(struct scene) {.mode = FRONT_DSR}, true);
}

static void large_packets_cut(void **state)
{
	much(*state, &(struct scene) {.mode = FRONT_DSR, .ipv6 = true}, false);
}

static void large_packets_in_others(void **state)
{
	much(*state, &(struct scene) {.mode = FRONT_IPIP}, true);
}

static void large_packets_in_others_cut(void **state)
{
	much(*state, &(struct scene) {.mode = FRONT_IPIP, .ipv6 = true}, false);
}

/* One that is not ours, and what it has to say is long. */
static void nginx(struct rig *rig, struct scene *scene, bool offload)
{
	static char bytes[65536];
	static const char request[] = "GET /zeros HTTP/1.0\r\n\r\n";
	size_t n = 0;
	ssize_t got;
	int fd;

	if (system("command -v nginx >/dev/null")) {
		print_message("# needs nginx\n");
		skip();
	}
	begin(rig, scene, offload);
	server_close(scene->hosts.b, 0);
	hosts_run(scene->hosts.b,
		  "mount -t tmpfs tmpfs /mnt; truncate -s 20000000 /mnt/zeros; "
		  "echo \"daemon on; pid /mnt/pid; error_log /dev/null; events {} http { "
		  /* the machine may be read-only */
		  "client_body_temp_path /mnt/a; proxy_temp_path /mnt/b; "
		  "fastcgi_temp_path /mnt/c; uwsgi_temp_path /mnt/d; scgi_temp_path /mnt/e; "
		  "access_log off; server { listen " HOSTS_SERVICE ":%u; root /mnt; } }\" "
		  ">/mnt/conf; nginx -e /dev/null -c /mnt/conf",
		  PORT);
	fd = connect_led(scene, 1);
	assert_int_equal(send(fd, request, sizeof(request) - 1, 0), sizeof(request) - 1);
	while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		n += got;
	hosts_run(scene->hosts.b, "kill $(cat /mnt/pid)");
	assert_int_equal(got, 0);
	assert_true(n > 20000000 && n < 20001000);
	assert_int_equal(landing_of(scene, fd).held, 0);
	led_forget(scene->led, fd);
	close(fd);
	end(scene);
}

static void nginx_answers(void **state)
{
	nginx(*state, &(struct scene) {.mode = FRONT_DSR}, false);
}

static void nginx_answers_through_ipip(void **state)
{
	nginx(*state, &(struct scene) {.mode = FRONT_IPIP}, true);
}

/* Nobody listens: the host's answer is one, too. */
static void a_refusal_is_an_answer(void **state)
{
	struct scene scene = {.mode = FRONT_DSR};
	struct led_landing landing;
	int fd;

	begin(*state, &scene, false);
	server_close(scene.hosts.a, 0);
	fd = connect_led(&scene, 0);
	assert_int_equal(client_ask(fd), ANSWER_RESET);
	landing = landing_of(&scene, fd);
	assert_int_equal(landing.led, 1);
	assert_int_equal(landing.answered, 1);
	led_forget(scene.led, fd);
	close(fd);
	end(&scene);
}

/* That it left by another way is seen, whoever answers. */
/* That nobody is at a port is told by ICMP, about the service's address and from there. */
static void a_port_without_a_server(struct rig *rig, struct scene *scene)
{
	char byte = 'x';
	int fd;

	begin(rig, scene, false);
	server_close(scene->hosts.b, 0);
	fd = connect_led(scene, 1);
	assert_int_equal(send(fd, &byte, 1, 0), 1);
	assert_int_equal(recv(fd, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNREFUSED);
	led_forget(scene->led, fd);
	close(fd);
	/* the other one answers as ever */
	assert_int_equal(ask_led(scene, 0), 'A');
	end(scene);
}

static void errors_are_led_back(void **state)
{
	hosts_run(NULL, "ip addr add " HOSTS_SERVICE "/32 dev lo");
	a_port_without_a_server(*state, &(struct scene) {.mode = FRONT_DSR, .udp = true});
}

static void errors_are_led_back_ipv6(void **state)
{
	hosts_run(NULL, "ip -6 addr add " HOSTS_SERVICE6 "/128 dev lo nodad");
	a_port_without_a_server(*state,
				&(struct scene) {.mode = FRONT_DSR, .udp = true, .ipv6 = true});
}

static void errors_are_led_back_through_ipip(void **state)
{
	a_port_without_a_server(*state, &(struct scene) {.mode = FRONT_IPIP, .udp = true});
}

static void another_way_is_noticed(void **state)
{
	struct scene scene = {.mode = FRONT_NAT};
	int fd;

	begin(*state, &scene, false);
	assert_int_equal(tc_detach(scene.hosts.ifindex, TC_EGRESS, TC_PLACE_LED), 0);
	fd = connect_led(&scene, 0);
	assert_int_equal(client_ask(fd), 'A');
	assert_int_equal(landing_of(&scene, fd).led, 0);
	led_forget(scene.led, fd);
	close(fd);
	/* it is put back, a second after it was there */
	led_free(scene.led);
	assert_int_equal(led_attach(&scene.led), 0);
	assert_int_equal(led_device(scene.led, scene.hosts.ifindex, NULL), 0);
	assert_int_equal(ask_led(&scene, 0), 'A');
	end(&scene);
}

/* A datagram that would have to be cut into fragments. */
static void fragments_are_held_back(void **state)
{
	struct scene scene = {.mode = FRONT_DSR, .udp = true};
	static char bytes[4000];
	int fd;

	begin(*state, &scene, false);
	fd = connect_led(&scene, 0);
	(void)!send(fd, bytes, sizeof(bytes), 0);
	assert_true(landing_of(&scene, fd).held >= 1);
	assert_int_equal(client_ask(fd), 'A');
	led_forget(scene.led, fd);
	close(fd);
	end(&scene);
}

static void families_are_not_mixed(void **state)
{
	struct led_host host = {.mode = FRONT_DSR};
	struct hs_led_path path;
	uint8_t ip[16];

	hosts_begin(*state, false);
	hosts_host(0, false, host.ip);
	hosts_service(true, ip);
	assert_int_equal(led_path(&host, ip, PORT, IPPROTO_TCP, &path), -EAFNOSUPPORT);
}

/* ---- owners ---- */

static void what_the_dead_leave_is_taken_away(void **state)
{
	struct scene scene = {.mode = FRONT_DSR};
	pid_t child;
	int status;

	begin(*state, &scene, false);
	child = fork();
	if (!child) {
		struct hs_led_path path = path_to(&scene, 0);
		struct sockaddr_storage to;
		struct hs_preview_owner_id owner;
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		_exit(owner_of_process(0, &owner) || led_begin(scene.led, &owner) ||
		      led_direct(scene.led, &owner, &path, fd, &to));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(led_count(scene.led), 1);
	assert_int_equal(led_sweep(scene.led), 1);
	assert_int_equal(led_count(scene.led), 0);
	assert_int_equal(ask_led(&scene, 1), 'B');
	end(&scene);
}

/* ---- devices ---- */

static int count_lines(const char *command)
{
	FILE *out = popen(command, "re");
	int n = 0, c;

	assert_non_null(out);
	while ((c = fgetc(out)) != EOF)
		n += c == '\n';
	pclose(out);
	return n;
}

static void nothing_is_left_on_the_device(void **state)
{
	struct scene scene = {.mode = FRONT_DSR};

	begin(*state, &scene, false);
	assert_int_equal(count_lines("tc qdisc show dev " HOSTS_DEVICE " | grep clsact"), 1);
	end(&scene);
	assert_int_equal(count_lines("tc qdisc show dev " HOSTS_DEVICE " | grep clsact"), 0);
}

static void what_others_have_on_the_device_stays(void **state)
{
	struct scene scene = {.mode = FRONT_DSR};

	begin(*state, &scene, false);
	hosts_run(NULL, "tc filter add dev " HOSTS_DEVICE " ingress protocol ip prio 77 u32 match "
			"u32 0 0 classid 1:1");
	assert_int_equal(ask_led(&scene, 1), 'B');
	end(&scene);
	assert_int_equal(count_lines("tc filter show dev " HOSTS_DEVICE
				     " ingress | grep \"pref 77\" | head -n 1"),
			 1);
}

/* Who comes next has another build. */
static void another_build_takes_its_place(void **state)
{
	struct scene scene = {.mode = FRONT_DSR};
	uint32_t before, zero = 0;
	uint64_t build = 1;
	int fd;

	begin(*state, &scene, false);
	before = tc_program(scene.hosts.ifindex, TC_EGRESS, TC_PLACE_LED);
	assert_int_equal(pin_open(HS_PIN_ROOT "/" HS_PIN_LED "/build", &fd), 0);
	assert_int_equal(bpf_map_update_elem(fd, &zero, &build, BPF_ANY), 0);
	close(fd);
	led_free(scene.led);
	assert_int_equal(led_attach(&scene.led), -ENOENT);
	fd = -1;
	assert_int_equal(led_open(&scene.led, NULL), 0);
	assert_int_not_equal(tc_program(scene.hosts.ifindex, TC_EGRESS, TC_PLACE_LED), before);
	assert_int_equal(ask_led(&scene, 1), 'B');
	end(&scene);
}

/* ---- commands ---- */

static struct config_front settings(const struct scene *scene)
{
	struct config_front front = {.n_addresses = 2,
				     .n_ports = 1,
				     .ports = {{PORT, true, true}},
				     .n_hosts = 2,
				     .mode = scene->mode};

	hosts_service(false, front.addresses[0].ip);
	hosts_service(true, front.addresses[1].ip);
	for (unsigned i = 0; i < 2; i++) {
		front.hosts[i].given = true;
		hosts_host(i, scene->ipv6, front.hosts[i].address.ip);
	}
	return front;
}

/* Has the command run, and returns what it does. */
static int run_led(struct rig *rig, const struct scene *scene, command_fn run, const void *data,
		   struct hs_exec_counts *ret_counts)
{
	struct config_front front = settings(scene);
	struct command command = command_start(rig, run, data);
	struct led_order order = {.cgroup = command.cgroup.text,
				  .service = "web",
				  .front = &front,
				  .service_id = 7,
				  .slot = 1};
	struct problem problem = {0};
	int found;

	if (led_exec_attach(scene->led, &order, &command.counts, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "%s", problem.text);
	command_go(&command);
	found = command_wait(&command);
	assert_int_equal(exec_counts(command.counts, ret_counts), 0);
	command_done(&command);
	assert_int_equal(led_sweep(scene->led), 1);
	return found;
}

static void commands(struct rig *rig, struct scene *scene)
{
	struct hs_exec_counts counts;
	struct address address;
	uint8_t ip[16];

	begin(rig, scene, false);
	hosts_service(scene->ipv6, ip);
	address = hosts_address(ip, PORT, scene->udp);
	assert_int_equal(run_led(rig, scene, command_ask_50, &address, &counts), 50);
	assert_int_equal(counts.begun, 50);
	assert_int_equal(counts.arrived, 50);
	assert_int_equal(counts.missed + counts.unseen + counts.blocked, 0);
	assert_true(exec_has_reached(&counts));
	end(scene);
}

static void a_command(void **state)
{
	commands(*state, &(struct scene) {.mode = FRONT_DSR});
}

static void a_command_ipv6(void **state)
{
	commands(*state, &(struct scene) {.mode = FRONT_DSR, .ipv6 = true});
}

static void a_command_with_datagrams(void **state)
{
	commands(*state, &(struct scene) {.mode = FRONT_DSR, .udp = true});
}

static void a_command_with_datagrams_ipv6(void **state)
{
	commands(*state, &(struct scene) {.mode = FRONT_DSR, .udp = true, .ipv6 = true});
}

static void a_command_in_nat(void **state)
{
	commands(*state, &(struct scene) {.mode = FRONT_NAT});
}

/* getpeername(2), and where a datagram is from. */
static int see_the_address(const void *userdata)
{
	const struct address *address = userdata;
	struct sockaddr_storage to, seen = {0};
	socklen_t size = address_to_sockaddr(address, &to), seen_size = sizeof(seen);
	int fd = client_connect(address), udp = socket(address->family, SOCK_DGRAM, 0);
	struct timeval deadline = {.tv_sec = 2};
	char byte;

	if (fd < 0 || getpeername(fd, (struct sockaddr *)&seen, &seen_size) < 0 ||
	    memcmp(&seen, &to, size))
		return 1;
	setsockopt(udp, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
	memset(&seen, 0, sizeof(seen));
	seen_size = sizeof(seen);
	if (sendto(udp, "?", 1, 0, (struct sockaddr *)&to, size) != 1 ||
	    recvfrom(udp, &byte, 1, 0, (struct sockaddr *)&seen, &seen_size) != 1)
		return 2;
	return byte == 'B' && !memcmp(&seen, &to, size) ? 0 : 3;
}

static void sees_the_address(struct rig *rig, struct scene *scene)
{
	struct hs_exec_counts counts;
	struct address address;
	uint8_t ip[16];

	begin(rig, scene, false);
	hosts_service(scene->ipv6, ip);
	address = hosts_address(ip, PORT, true);
	assert_int_equal(server_listen(scene->hosts.b, &address, 0), 1);
	address.udp = false;
	assert_int_equal(run_led(rig, scene, see_the_address, &address, &counts), 0);
	assert_int_equal(counts.arrived, 2);
	end(scene);
}

static void a_command_sees_the_address(void **state)
{
	sees_the_address(*state, &(struct scene) {.mode = FRONT_DSR});
}

static void a_command_sees_the_address_ipv6(void **state)
{
	sees_the_address(*state, &(struct scene) {.mode = FRONT_DSR, .ipv6 = true});
}

static int connect_errno(const void *userdata)
{
	int fd = client_connect(userdata);

	return fd < 0 ? -fd : 0;
}

/* The hosts' addresses are of the other family: the first host that clients get would answer. */
static void set_value(const char *pin, const void *value)
{
	uint32_t zero = 0;
	int fd;

	assert_int_equal(pin_open(pin_path("%s/%s/%s", HS_PIN_ROOT, HS_PIN_LED, pin).text, &fd), 0);
	assert_int_equal(bpf_map_update_elem(fd, &zero, value, BPF_ANY), 0);
	close(fd);
}

/* What another version has pinned and put on devices goes, and ours is there. */
static void another_layout_takes_its_place(void **state)
{
	const struct hs_led_state other = {.layout = HS_LED_LAYOUT + 1};
	struct scene scene = {.mode = FRONT_DSR};
	struct problem problem = {0};
	uint64_t build = 1;

	begin(*state, &scene, false);
	set_value("state", &other);
	set_value("build", &build);
	led_free(scene.led);
	assert_int_equal(led_open(&scene.led, &problem), 0);
	assert_int_equal(tc_program(scene.hosts.ifindex, TC_EGRESS, TC_PLACE_LED), 0);
	assert_int_equal(led_device(scene.led, scene.hosts.ifindex, &problem), 0);
	assert_int_equal(led_begin(scene.led, &scene.owner), 0);
	assert_int_equal(ask_led(&scene, 1), 'B');
	end(&scene);
}

/* A command: opens sockets and keeps them until it is refused one more. 0: that was EPERM, behind
 * as many as a command may have. */
static int hold_too_many(const void *userdata)
{
	const struct address *to = userdata;
	struct rlimit files = {2 * HS_LED_COMMAND_MAX, 2 * HS_LED_COMMAND_MAX};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(to->port)};

	memcpy(&address.sin_addr, to->ip, 4);
	if (setrlimit(RLIMIT_NOFILE, &files))
		return 1;
	for (unsigned n = 0;; n++) {
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			return 2;
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
			return errno == EPERM && n == HS_LED_COMMAND_MAX ? 0 : 3;
	}
}

/* Probes find room beside it; see HS_LED_COMMAND_MAX. */
static void a_command_has_its_share_and_no_more(void **state)
{
	struct scene scene = {.mode = FRONT_DSR, .udp = true};
	struct hs_exec_counts counts;
	struct address address;
	uint8_t ip[16];

	begin(*state, &scene, false);
	hosts_service(false, ip);
	address = hosts_address(ip, PORT, true);
	assert_int_equal(run_led(*state, &scene, hold_too_many, &address, &counts), 0);
	assert_int_equal(counts.begun, HS_LED_COMMAND_MAX);
	assert_int_equal(counts.blocked, 1);
	assert_true(HS_LED_SOCKETS_MAX >= 32 * HS_LED_COMMAND_MAX);
	end(&scene);
}

static void what_cannot_be_led_is_refused(void **state)
{
	struct scene scene = {.mode = FRONT_DSR};
	struct hs_exec_counts counts;
	struct address address;
	struct problem sentence;
	uint8_t ip[16];

	begin(*state, &scene, false);
	hosts_service(true, ip);
	address = hosts_address(ip, PORT, false);
	assert_int_equal(run_led(*state, &scene, connect_errno, &address, &counts), EPERM);
	assert_int_equal(counts.blocked, 1);
	assert_false(exec_has_reached(&counts));
	exec_describe("web", 1, &counts, &sentence);
	assert_non_null(strstr(sentence.text, "no address of that family"));
	end(&scene);
}

static int connect_from_elsewhere(const void *userdata)
{
	if (unshare(CLONE_NEWNET) < 0)
		return 255;
	return connect_errno(userdata);
}

static void another_network_is_refused(void **state)
{
	struct scene scene = {.mode = FRONT_DSR};
	struct hs_exec_counts counts;
	struct address address;
	uint8_t ip[16];

	begin(*state, &scene, false);
	hosts_service(false, ip);
	address = hosts_address(ip, PORT, false);
	assert_int_equal(run_led(*state, &scene, connect_from_elsewhere, &address, &counts), EPERM);
	assert_int_equal(counts.blocked, 1);
	end(&scene);
}

/* Whom it asks, and from which port of ours. */
struct shared_end {
	struct address to;
	uint16_t port;
};

/* 0: nobody answers. */
static int ask_from_shared(const void *userdata)
{
	const struct shared_end *end = userdata;
	struct timeval deadline = {.tv_usec = 100000};
	int fd = client_connect_from(&end->to, end->port);

	if (fd < 0)
		return 255;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
	return client_ask(fd) == ANSWER_LATE ? 0 : 254;
}

/* Two hosts by one address and one port of ours: which one answered could not be told. */
static void an_end_has_one_host(void **state)
{
	struct scene scene = {.mode = FRONT_DSR, .udp = true};
	struct sockaddr_in own;
	socklen_t size = sizeof(own);
	struct hs_exec_counts counts;
	struct shared_end shared;
	int one = 1, fd;
	uint8_t ip[16];

	begin(*state, &scene, false);
	fd = connect_led(&scene, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(client_ask(fd), 'A');
	assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
	hosts_service(false, ip);
	shared = (struct shared_end) {hosts_address(ip, PORT, true), ntohs(own.sin_port)};
	assert_int_equal(run_led(*state, &scene, ask_from_shared, &shared, &counts), 0);
	assert_int_equal(counts.blocked, 1);
	assert_int_equal(client_ask(fd), 'A');
	/* when it has ended the other may */
	led_forget(scene.led, fd);
	close(fd);
	assert_int_equal(run_led(*state, &scene, ask_from_shared, &shared, &counts), 254);
	assert_int_equal(counts.arrived, 1);
	end(&scene);
}

/* What is none of the service's is as ever. */
static void others_are_left_alone(void **state)
{
	struct scene scene = {.mode = FRONT_DSR};
	struct hs_exec_counts counts;
	struct address address;
	struct problem sentence;
	uint8_t ip[16];

	begin(*state, &scene, false);
	hosts_host(0, false, ip);
	address = hosts_address(ip, PORT + 1, false);
	assert_int_equal(server_listen(scene.hosts.a, &address, 0), 1);
	assert_int_equal(run_led(*state, &scene, command_ask_once, &address, &counts), 'A');
	assert_int_equal(counts.begun + counts.blocked, 0);
	exec_describe("web", 1, &counts, &sentence);
	assert_non_null(strstr(sentence.text, "no connection"));
	end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(dsr),
		BARE_CASE(dsr_ipv6),
		BARE_CASE(dsr_datagrams),
		BARE_CASE(dsr_datagrams_ipv6),
		BARE_CASE(checksums_that_the_device_makes),
		BARE_CASE(checksums_that_the_device_makes_ipv6),
		BARE_CASE(behind_xdp_in_generic_mode),
		BARE_CASE(behind_xdp_in_generic_mode_ipv6),
		BARE_CASE(nat),
		BARE_CASE(nat_ipv6),
		BARE_CASE(ipip),
		BARE_CASE(ipip_ipv6),
		BARE_CASE(ipip_datagrams),
		BARE_CASE(the_front_has_the_address_itself),
		BARE_CASE(the_front_has_the_address_itself_ipv6),
		BARE_CASE(large_packets),
		BARE_CASE(large_packets_cut),
		BARE_CASE(large_packets_in_others),
		BARE_CASE(large_packets_in_others_cut),
		BARE_CASE(nginx_answers),
		BARE_CASE(nginx_answers_through_ipip),
		BARE_CASE(a_refusal_is_an_answer),
		BARE_CASE(errors_are_led_back),
		BARE_CASE(errors_are_led_back_ipv6),
		BARE_CASE(errors_are_led_back_through_ipip),
		BARE_CASE(another_way_is_noticed),
		BARE_CASE(fragments_are_held_back),
		BARE_CASE(families_are_not_mixed),
		BARE_CASE(what_the_dead_leave_is_taken_away),
		BARE_CASE(nothing_is_left_on_the_device),
		BARE_CASE(what_others_have_on_the_device_stays),
		BARE_CASE(another_build_takes_its_place),
		BARE_CASE(another_layout_takes_its_place),
		BARE_CASE(a_command),
		BARE_CASE(a_command_ipv6),
		BARE_CASE(a_command_with_datagrams),
		BARE_CASE(a_command_with_datagrams_ipv6),
		BARE_CASE(a_command_in_nat),
		BARE_CASE(a_command_sees_the_address),
		BARE_CASE(a_command_sees_the_address_ipv6),
		BARE_CASE(a_command_has_its_share_and_no_more),
		BARE_CASE(what_cannot_be_led_is_refused),
		BARE_CASE(another_network_is_refused),
		BARE_CASE(an_end_has_one_host),
		BARE_CASE(others_are_left_alone),
	};

	return cases_run("led", tests);
}
