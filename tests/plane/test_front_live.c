// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A front between a client and two hosts, each in a network namespace of its own, on one bridge:
 * real connections, of which none may be lost when the word changes, the program is replaced, and
 * whoever has put it there is gone. The client's way to the service's address is by the front; the
 * hosts have it on their loopback devices, or in front of a tunnel, or not at all (nat).
 */
#include "cases.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "core/config/config_front.h"
#include "hs_front.h"
#include "plane/front/front.h"
#include "plane/parts/plane_state.h"
#include "stand.h"

#define FRONT	 "192.0.2.1"
#define PORT	 443
#define BIG_PORT 80
#define BIG_SIZE (8U << 20)
#define HOSTS	 2
#define LOADERS	 2

struct place {
	pid_t pid;
};

struct field {
	struct rig *rig;
	struct place client, hosts[HOSTS];
	struct config_front config;
	struct front *front;
};

/* ---- places ---- */

static _Noreturn void stay(int ready)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) || write(ready, "1", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static struct place make_place(void)
{
	struct place place;
	int ready[2];
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	place.pid = fork();
	assert_true(place.pid >= 0);
	if (!place.pid)
		stay(ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return place;
}

static void enter(const struct place *place)
{
	_cleanup_(close_fdp) int fd =
		open(pin_path("/proc/%d/ns/net", place->pid).text, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		_exit(120);
}

/* A process there. */
static pid_t begin_in(const struct place *place, int (*run)(const void *userdata),
		      const void *userdata)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	enter(place);
	_exit(run(userdata));
}

static int wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int run_command(const void *userdata)
{
	return system(userdata) ? 1 : 0;
}

static void in_place(const struct place *place, const char *template, ...)
{
	char text[512];
	va_list args;

	va_start(args, template);
	vsnprintf(text, sizeof(text), template, args);
	va_end(args);
	if (wait_for(begin_in(place, run_command, text)))
		fail_msg("this has failed: %s", text);
}

/* As `ethtool -K DEVICE tx off`: else checksums are left to a card that there is not. */
static int without_offload(const void *userdata)
{
	struct ethtool_value value = {.cmd = ETHTOOL_STXCSUM};
	struct ifreq request = {.ifr_data = (char *)&value};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(request.ifr_name, userdata, strlen(userdata));
	return ioctl(fd, SIOCETHTOOL, &request) ? 1 : 0;
}

/* With "eth0" on the bridge. */
static void connect_place(const struct place *place, unsigned number, const char *address)
{
	stand_command("ip link add name port%u type veth peer name eth0 netns %d", number,
		      place->pid);
	stand_command("ip link set port%u master bridge up", number);
	in_place(place, "ip link set lo up && ip link set eth0 up && ip addr add %s/24 dev eth0",
		 address);
	assert_int_equal(wait_for(begin_in(place, without_offload, "eth0")), 0);
}

/* ---- servers ---- */

static int listen_at(uint16_t port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 1024) ? -1 : fd;
}

static void send_big(int fd)
{
	static char chunk[65536];

	for (unsigned sent = 0; sent < BIG_SIZE; sent += sizeof(chunk)) {
		rig_breathe();
		if (send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL) != sizeof(chunk))
			break;
	}
	close(fd);
}

/* A process for each that comes to the large port; to the other, its letter. */
static int serve(const void *userdata)
{
	struct pollfd fds[2] = {{listen_at(PORT), POLLIN, 0}, {listen_at(BIG_PORT), POLLIN, 0}};
	int fd;

	signal(SIGCHLD, SIG_IGN);
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents) {
			fd = accept4(fds[0].fd, NULL, NULL, SOCK_CLOEXEC);
			if (send(fd, userdata, 1, MSG_NOSIGNAL) < 0)
				return 1;
			close(fd);
		}
		if (fds[1].revents) {
			fd = accept4(fds[1].fd, NULL, NULL, SOCK_CLOEXEC);
			if (!fork()) {
				send_big(fd);
				_exit(0);
			}
			close(fd);
		}
	}
	return 1;
}

/* ---- clients ---- */

static int connect_to(uint16_t port)
{
	struct sockaddr_in service = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct timeval patience = {.tv_sec = 5};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, SERVICE, &service.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&service, sizeof(service))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The letter of who answers; 0: nobody does. */
static int ask_service(const void *userdata)
{
	int fd = connect_to(PORT);
	char letter = 0;

	(void)userdata;
	if (fd < 0 || recv(fd, &letter, 1, 0) != 1)
		letter = 0;
	close_fd(fd);
	return letter;
}

static int asked(const struct field *field)
{
	return wait_for(begin_in(&field->client, ask_service, NULL));
}

/* Asks until it is told to end; what it counts is in shared memory. */
struct load {
	volatile uint64_t answered, lost;
	volatile bool ends;
};

static int ask_on(const void *userdata)
{
	struct load *load = (struct load *)userdata;

	while (!load->ends) {
		int letter = ask_service(NULL);

		if (letter == 'A' || letter == 'B')
			__atomic_add_fetch(&load->answered, 1, __ATOMIC_SEQ_CST);
		else
			__atomic_add_fetch(&load->lost, 1, __ATOMIC_SEQ_CST);
	}
	return 0;
}

static int load_big(const void *userdata)
{
	static char chunk[65536];
	int fd = connect_to(BIG_PORT);
	unsigned got = 0;
	ssize_t n;

	(void)userdata;
	while (fd >= 0 && (n = recv(fd, chunk, sizeof(chunk), 0)) > 0)
		got += (unsigned)n;
	return got == BIG_SIZE ? 0 : 1;
}

/* ---- the field ---- */

static void make_hosts(struct field *field, unsigned mode)
{
	static const char letters[] = "AB";

	for (unsigned i = 0; i < HOSTS; i++) {
		const struct place *host = &field->hosts[i];

		connect_place(host, i, stand_hosts[i]);
		if (mode == FRONT_NAT)
			in_place(host, "ip route add 192.0.2.100 via " FRONT);
		else
			in_place(host,
				 "sysctl -qw net.ipv4.conf.all.arp_ignore=1 && ip addr add " SERVICE
				 "/32 dev lo");
		begin_in(host, serve, &letters[i]);
	}
}

static void make_front(void)
{
	stand_command("ip link add name " DEVICE " type veth peer name frontport");
	stand_command("ip link set frontport master bridge up");
	stand_command("ip link set " DEVICE " up && ip addr add " FRONT "/24 dev " DEVICE);
}

static int try_apply(struct field *field, struct problem *problem)
{
	struct plane *plane = field->rig->plane;
	struct front_maps maps = stand_maps(plane);

	return front_apply(plane->folder.text, plane->control->service_id, &maps, &field->config,
			   &field->front, problem);
}

static void apply(struct field *field)
{
	struct problem problem = {0};

	if (try_apply(field, &problem))
		fail_msg("%s", problem.text);
}

static void until_reached(struct field *field)
{
	uint64_t end = now_usec() + RIG_DEADLINE_USEC;
	struct front_host_view view;

	for (unsigned i = 0; i < HOSTS; i++)
		while (front_follow_routes(field->front) < 0 ||
		       !front_host(field->front, i, &view) || !view.reached) {
			assert_true(now_usec() < end);
			rig_breathe();
		}
}

static struct field begin(struct rig *rig, unsigned mode)
{
	struct field field = {.rig = rig, .config = {.mode = mode, .flows = 8192}};

	field.config.new_flows = 100000;
	memcpy(field.config.device, DEVICE, sizeof(DEVICE));
	field.config.ports[0] = (struct config_port) {.port = PORT, .tcp = true};
	field.config.ports[1] = (struct config_port) {.port = BIG_PORT, .tcp = true};
	field.config.n_ports = 2;
	field.config.n_addresses = 1;
	front_address_parse(SERVICE, field.config.addresses[0].ip);
	/* the bridge is of the same machine and would answer for the front's address */
	rig_sysctl("net/ipv4/conf/all/arp_ignore", "1");
	stand_command("ip link add name bridge type bridge && ip link set bridge up");
	field.client = make_place();
	for (unsigned i = 0; i < HOSTS; i++) {
		stand_set_host(&field.config, i, stand_hosts[i]);
		field.hosts[i] = make_place();
	}
	connect_place(&field.client, 9, "192.0.2.100");
	in_place(&field.client, "ip route add " SERVICE " via " FRONT);
	make_hosts(&field, mode);
	make_front();
	rig_flip(rig, 0);
	apply(&field);
	until_reached(&field);
	for (unsigned i = 0; i < HOSTS; i++)
		front_set_taking(field.front, i, true);
	return field;
}

static void end(struct field *field)
{
	kill(field->client.pid, SIGKILL);
	for (unsigned i = 0; i < HOSTS; i++)
		kill(field->hosts[i].pid, SIGKILL);
	front_free(field->front);
}

/* ---- what is tried ---- */

static void check_words(struct field *field)
{
	for (unsigned i = 0; i < 10; i++) {
		rig_flip(field->rig, i % 2);
		for (unsigned n = 0; n < 5; n++)
			assert_int_equal(asked(field), i % 2 ? 'B' : 'A');
	}
}

static void connections_go_where_the_word_says(void **state)
{
	struct field field = begin(*state, FRONT_DSR);

	check_words(&field);
	assert_false(front_is_native(field.front));
	assert_string_equal(front_device(field.front), DEVICE);
	end(&field);
}

static void connections_go_by_nat_and_back(void **state)
{
	struct field field = begin(*state, FRONT_NAT);
	struct front_totals totals;

	check_words(&field);
	assert_int_equal(front_totals(field.front, &totals), 0);
	assert_true(totals.hosts[0].flows == 25 && totals.hosts[1].flows == 25);
	end(&field);
}

/* A program of another build takes its place: as if this one were not it. */
static void replace_program(struct field *field)
{
	struct stand stand = {.rig = field->rig};
	struct hs_front *shared = stand_shared(&stand);

	shared->build = 1;
	munmap(shared, sizeof(*shared));
	apply(field);
}

static struct load *begin_load(const struct field *field, pid_t pids[LOADERS])
{
	struct load *load = mmap(NULL, sizeof(*load), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(load, MAP_FAILED);
	for (unsigned i = 0; i < LOADERS; i++)
		pids[i] = begin_in(&field->client, ask_on, load);
	return load;
}

static void until_answered(const struct load *load, uint64_t n)
{
	uint64_t end = now_usec() + RIG_DEADLINE_USEC, wanted = load->answered + n;

	while (load->answered < wanted) {
		assert_true(now_usec() < end);
		rig_breathe();
	}
}

static void nothing_is_lost_while_words_and_programs_change(void **state)
{
	struct field field = begin(*state, FRONT_DSR);
	pid_t big[HOSTS], pids[LOADERS];
	struct load *load = begin_load(&field, pids);

	for (unsigned i = 0; i < HOSTS; i++) {
		rig_flip(field.rig, i);
		big[i] = begin_in(&field.client, load_big, NULL);
		until_answered(load, 50);
	}
	for (unsigned i = 0; i < 10; i++) {
		replace_program(&field);
		until_answered(load, 20);
		for (unsigned n = 0; n < 20; n++) {
			rig_flip(field.rig, n % 2);
			until_answered(load, 2);
		}
	}
	for (unsigned i = 0; i < HOSTS; i++)
		assert_int_equal(wait_for(big[i]), 0);
	load->ends = true;
	for (unsigned i = 0; i < LOADERS; i++)
		wait_for(pids[i]);
	print_message("# %lu answered, %lu lost\n", load->answered, load->lost);
	assert_int_equal(load->lost, 0);
	end(&field);
}

/* It goes on without whoever has put it there: another process does it here. */
static void it_goes_on_when_its_maker_is_gone(void **state)
{
	struct field field = begin(*state, FRONT_DSR);
	const char *folder = field.rig->plane->folder.text;
	pid_t maker;

	assert_int_equal(front_remove(folder, field.rig->plane->control->service_id), 0);
	assert_int_equal(asked(&field), 0);
	field.front = front_free(field.front);
	maker = fork();
	if (!maker) {
		apply(&field);
		until_reached(&field);
		front_set_taking(field.front, 1, true);
		_exit(0);
	}
	assert_int_equal(wait_for(maker), 0);
	rig_flip(field.rig, 1);
	assert_int_equal(asked(&field), 'B');
	assert_int_equal(front_open(folder, &field.front), 0);
	assert_int_equal(front_taking(field.front), 2);
	end(&field);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(connections_go_where_the_word_says),
		CASE(connections_go_by_nat_and_back),
		CASE(nothing_is_lost_while_words_and_programs_change),
		CASE(it_goes_on_when_its_maker_is_gone),
	};

	return cases_run("front, live", tests);
}
