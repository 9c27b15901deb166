// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Forced intake: servers that never set SO_REUSEPORT get it as they bind, on the ports of the
 * service and no others.
 */
#include "cases.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <bpf/bpf.h>

#include "plane/act/force.h"
#include "plane/kernel/cgroup.h"

#define PORT 8080

static struct force *make(void)
{
	struct force *force;
	struct problem problem = {0};

	if (force_create("web", &force, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "no bind programs: %s", problem.text);
	return force;
}

static void attach(const struct force *force, const struct server *server)
{
	struct problem problem = {0};

	if (force_attach(force, server->cgroup, &problem) != 1)
		rig_fail(__FILE__, __LINE__, "not attached: %s", problem.text);
}

static void assert_counts(const struct force *force, uint64_t had, uint64_t forced)
{
	struct force_counts counts = force_counts(force);

	assert_int_equal(counts.had, had);
	assert_int_equal(counts.forced, forced);
	assert_int_equal(counts.refused, 0);
}

/* ---- one bind in the cgroup of a server, and whether the socket has the option then ---- */

static int option_after_bind(const struct address *address)
{
	struct sockaddr_storage to;
	socklen_t size = address_to_sockaddr(address, &to), length = sizeof(int);
	int fd = socket(address->family, address->udp ? SOCK_DGRAM : SOCK_STREAM, 0), value = -1;

	if (fd < 0 || bind(fd, (struct sockaddr *)&to, size) < 0)
		return 2;
	getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, &length);
	close(fd);
	return value;
}

static void enter(const char *cgroup)
{
	char mount[PATH_MAX];
	FILE *procs;

	if (cgroup_mount(mount, sizeof(mount)) < 0)
		_exit(3);
	procs = fopen(pin_path("%s%s/cgroup.procs", mount, cgroup).text, "we");
	if (!procs || fprintf(procs, "%d", getpid()) <= 0 || fclose(procs))
		_exit(3);
}

/* 1: it has the option, 0: it has not, 2: it could not be bound. With `text` by a program that the
 * child executes. */
static int bind_in(const struct server *server, const struct address *address, char *text)
{
	char *arguments[] = {"test_force", text, NULL};
	int status;
	pid_t pid = fork();

	if (!pid) {
		enter(server->cgroup);
		if (text)
			execv("/proc/self/exe", arguments);
		_exit(text ? 4 : option_after_bind(address));
	}
	rig_check(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static struct address udp(struct address address)
{
	address.udp = true;
	return address;
}

static int bind_to(const struct server *server, struct address address)
{
	return bind_in(server, &address, NULL);
}

/* ---- the tests ---- */

static void servers_that_do_not_know_are_switched(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), client = rig_local(PORT);
	_cleanup_(force_freep) struct force *force = make();
	struct server *a = server_start(rig, 0), *b = server_start(rig, 1);

	attach(force, a);
	attach(force, b);
	assert_int_equal(server_listen(a, &at, SERVER_NO_REUSEPORT), 0);
	assert_int_equal(server_listen(b, &at, SERVER_NO_REUSEPORT), 0);
	assert_int_equal(rig_adopt(rig, a), 1);
	assert_int_equal(rig_adopt(rig, b), 1);
	server_serve(a, true);
	server_serve(b, true);
	for (unsigned slot = 0; slot < 2; slot++) {
		rig_flip(rig, slot);
		assert_int_equal(ask_often(&client, 50).of['A' + slot], 50);
	}
	server_kill(b);
	assert_int_equal(ask(&client), 'A');
	assert_counts(force, 0, 2);
}

/* What the above would be without. */
static void without_the_second_cannot_bind(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	_cleanup_(force_freep) struct force *force = make();
	struct server *a = server_start(rig, 0), *b = server_start(rig, 1);

	assert_int_equal(server_listen(a, &at, SERVER_NO_REUSEPORT), 0);
	assert_int_equal(server_listen(b, &at, SERVER_NO_REUSEPORT), -EADDRINUSE);
	assert_counts(force, 0, 0);
}

static void every_family_and_protocol(void **state)
{
	struct server *a = server_start(*state, 0);
	_cleanup_(force_freep) struct force *force = make();
	const struct address at[] = {rig_any(PORT), rig_local(PORT), rig_dual(PORT),
				     rig_only6(PORT), rig_local6(PORT)};

	attach(force, a);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		assert_int_equal(bind_to(a, at[i]), 1);
		assert_int_equal(bind_to(a, udp(at[i])), 1);
	}
	assert_counts(force, 0, 2 * ARRAY_SIZE(at));
}

static void only_ports_of_the_set(void **state)
{
	static const struct config_port ports[] = {
		{53, true, true}, {80, true, false}, {443, false, true}, {65535, true, true}};
	struct server *a = server_start(*state, 0);
	_cleanup_(force_freep) struct force *force = make();

	attach(force, a);
	force_set_ports(force, ports, ARRAY_SIZE(ports));
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		assert_int_equal(bind_to(a, rig_any(ports[i].port)), ports[i].tcp);
		assert_int_equal(bind_to(a, rig_dual(ports[i].port)), ports[i].tcp);
		assert_int_equal(bind_to(a, udp(rig_any(ports[i].port))), ports[i].udp);
		assert_int_equal(bind_to(a, udp(rig_dual(ports[i].port))), ports[i].udp);
	}
	assert_int_equal(bind_to(a, rig_any(52)), 0);
	assert_int_equal(bind_to(a, rig_any(54)), 0);
	assert_int_equal(bind_to(a, rig_any(117)), 0); /* 53 + 64 */
	force_set_ports(force, NULL, 0);
	assert_int_equal(bind_to(a, rig_any(54)), 1);
	assert_counts(force, 0, 13);
}

/* What only one of them serves so far, another may bind later. */
static void ports_that_are_named_stay_when_all_have_settled(void **state)
{
	static const struct config_port ports[] = {{PORT, true, false}, {PORT + 1, true, true}};
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);
	_cleanup_(force_freep) struct force *force = make();

	attach(force, a);
	assert_int_equal(server_listen(a, &at, SERVER_NO_REUSEPORT), 0);
	assert_int_equal(rig_adopt(rig, a), 1);
	force_set_ports(force, ports, ARRAY_SIZE(ports));
	force_keep_addresses(force, rig->plane, ports, ARRAY_SIZE(ports));
	assert_int_equal(bind_to(a, rig_any(PORT + 1)), 1);
	assert_int_equal(bind_to(a, udp(rig_any(PORT + 1))), 1);
	assert_int_equal(bind_to(a, udp(rig_any(PORT))), 0);
	assert_int_equal(bind_to(a, rig_any(PORT + 2)), 0);
	/* where none are named, those that it has */
	force_set_ports(force, NULL, 0);
	force_keep_addresses(force, rig->plane, NULL, 0);
	assert_int_equal(bind_to(a, rig_any(PORT)), 1);
	assert_int_equal(bind_to(a, rig_any(PORT + 1)), 0);
}

static void a_port_of_the_kernels_choice_is_left_alone(void **state)
{
	struct server *a = server_start(*state, 0);
	_cleanup_(force_freep) struct force *force = make();

	attach(force, a);
	assert_int_equal(bind_to(a, rig_any(0)), 0);
	assert_int_equal(bind_to(a, rig_dual(0)), 0);
	assert_int_equal(bind_to(a, udp(rig_any(0))), 0);
	assert_counts(force, 0, 0);
}

static void those_that_have_it_are_counted_as_such(void **state)
{
	struct rig *rig = *state;
	struct server *a = server_start(rig, 0);
	struct address at = rig_any(PORT), at6 = rig_only6(PORT);
	_cleanup_(force_freep) struct force *force = make();

	attach(force, a);
	assert_int_equal(server_listen(a, &at, 0), 0);
	assert_int_equal(server_listen(a, &at6, 0), 1);
	assert_counts(force, 2, 0);
}

static void what_a_server_executes_is_in_its_cgroup(void **state)
{
	struct server *a = server_start(*state, 0), *b = server_start(*state, 1);
	struct address at = rig_any(PORT);
	_cleanup_(force_freep) struct force *force = make();

	attach(force, a);
	assert_int_equal(bind_in(a, &at, "bind"), 1);
	/* and another's is not */
	assert_int_equal(bind_in(b, &at, "bind"), 0);
	assert_counts(force, 0, 1);
}

static void attached_again_is_no_harm(void **state)
{
	struct server *a = server_start(*state, 0);
	_cleanup_(force_freep) struct force *force = make(), *other = make();

	attach(force, a);
	assert_int_equal(force_attach(force, a->cgroup, NULL), 0);
	assert_int_equal(force_attach(other, a->cgroup, NULL), 0);
	assert_int_equal(bind_to(a, rig_any(PORT)), 1);
	assert_counts(force, 0, 1);
	assert_int_equal(force_detach(other, a->cgroup), 0);
	assert_int_equal(force_detach(other, a->cgroup), 0);
	assert_int_equal(bind_to(a, rig_any(PORT)), 0);
	assert_counts(force, 0, 1);
}

/* systemd may have attached one of the two only, when the other's pin was missing. */
static void what_is_missing_is_attached(void **state)
{
	struct server *a = server_start(*state, 0);
	_cleanup_(force_freep) struct force *force = make();
	_cleanup_(close_fdp) int program = -1, cgroup = -1;
	char mount[PATH_MAX];

	rig_check(cgroup_mount(mount, sizeof(mount)) == 0);
	cgroup = open(pin_path("%s%s", mount, a->cgroup).text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rig_check(!pin_open(HS_PIN_ROOT "/web/bind4", &program));
	rig_check(!bpf_prog_attach(program, cgroup, BPF_CGROUP_INET4_BIND, BPF_F_ALLOW_MULTI));
	attach(force, a);
	assert_int_equal(bind_to(a, rig_any(PORT)), 1);
	assert_int_equal(bind_to(a, rig_dual(PORT)), 1);
	assert_counts(force, 0, 2);
}

static void attached_programs_outlive_us_and_the_pins(void **state)
{
	struct rig *rig = *state;
	struct server *a = server_start(rig, 0);
	struct force *force = make();

	attach(force, a);
	force_free(force);
	assert_int_equal(bind_to(a, rig_any(PORT)), 1);
	assert_int_equal(plane_destroy(rig->plane), 0);
	assert_int_equal(force_open("web", &force), -ENOENT);
	assert_int_equal(bind_to(a, rig_any(PORT)), 1);
}

static void the_next_manager_finds_the_set_and_the_counts(void **state)
{
	static const struct config_port ports[] = {{PORT, true, false}};
	struct server *a = server_start(*state, 0);
	struct force *force = make();

	attach(force, a);
	force_set_ports(force, ports, 1);
	assert_int_equal(bind_to(a, rig_any(PORT)), 1);
	force_free(force);
	force = make();
	assert_counts(force, 0, 1);
	assert_int_equal(bind_to(a, rig_any(PORT + 1)), 0);
	assert_int_equal(force_attach(force, a->cgroup, NULL), 0);
	force_free(force);
}

/* Programs of another build, or half of a set: made anew around the same set of ports. */
static void programs_are_replaced_and_the_set_stays(void **state)
{
	static const struct config_port ports[] = {{PORT, true, false}};
	struct server *a = server_start(*state, 0), *b = server_start(*state, 1);
	struct force *force = make();

	attach(force, a);
	force_free(force);
	rig_check(!unlink(HS_PIN_ROOT "/web/bind6"));
	assert_int_equal(force_open("web", &force), -ENOENT);
	force = make();
	force_set_ports(force, ports, 1);
	/* what was attached obeys as well */
	assert_int_equal(bind_to(a, rig_any(PORT + 1)), 0);
	assert_int_equal(bind_to(a, rig_any(PORT)), 1);
	attach(force, b);
	assert_int_equal(bind_to(b, rig_any(PORT)), 1);
	assert_counts(force, 0, 2);
	force_free(force);
}

static void a_cgroup_that_is_gone_is_told(void **state)
{
	_cleanup_(force_freep) struct force *force = make();
	struct problem problem = {0};

	(void)state;
	assert_int_equal(force_attach(force, "/no/such/cgroup", &problem), -ENOENT);
	assert_non_null(strstr(problem.text, "/no/such/cgroup"));
	assert_int_equal(force_attach(force, "", &problem), -ENOENT);
	assert_int_equal(force_detach(force, "/no/such/cgroup"), 0);
}

static struct adoption *adopt_late(struct rig *rig, const struct server *server)
{
	struct adopt_scope scope = {.cgroup = server->cgroup, .slot = server->slot, .late = true};
	struct problem problem = {0};
	struct adoption *adoption;

	if (adoption_begin(rig->plane, &scope, &adoption, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "no adoption: %s", problem.text);
	rig_check(adoption_commit(rig->plane, server->slot, adoption) == 0);
	return adoption;
}

/* A server that ran before: its socket is given the option as it serves, and the next one, of the
 * other slot, can be bound beside it. Connections stay, waiting ones too. */
static void one_that_serves_already_joins_late(void **state)
{
	struct rig *rig = *state;
	const struct address all[] = {rig_any(PORT), rig_dual(PORT + 1), rig_only6(PORT + 2),
				      rig_local6(PORT + 3)};
	const struct address clients[] = {rig_local(PORT), rig_local6(PORT + 1),
					  rig_local6(PORT + 2), rig_local6(PORT + 3)};
	_cleanup_(force_freep) struct force *force = make();
	struct server *a = server_start(rig, 0), *b = server_start(rig, 1);
	struct adoption *adoption;
	int waiting[ARRAY_SIZE(all)];

	attach(force, b);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_int_equal(server_listen(a, &all[i], SERVER_NO_REUSEPORT), i);
		assert_int_equal(server_listen(b, &all[i], SERVER_NO_REUSEPORT), -EADDRINUSE);
		waiting[i] = client_connect(&clients[i]);
	}
	adoption = adopt_late(rig, a);
	assert_int_equal(adoption->adopted, ARRAY_SIZE(all));
	assert_int_equal(adoption->n_helpers, ARRAY_SIZE(all));
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		/* the helper is in the group, and gets nothing */
		assert_int_equal(server_listen(b, &all[i], SERVER_NO_REUSEPORT), i);
		assert_true(waiting[i] >= 0);
	}
	server_serve(a, true);
	server_serve(b, true);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		assert_int_equal(ask_often(&clients[i], 20).of['A'], 20);
	adoption_free(adoption);
	assert_int_equal(rig_adopt(rig, b), ARRAY_SIZE(all));
	rig_flip(rig, 1);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_int_equal(client_ask(waiting[i]), 'A');
		assert_int_equal(ask_often(&clients[i], 20).of['B'], 20);
		client_reset(waiting[i]);
	}
	server_kill(b);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		assert_int_equal(ask_often(&clients[i], 20).of['A'], 20);
}

/* The other slot binds beside connections of the first that were accepted before. */
static void connections_from_before_do_not_keep_the_other_out(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), client = rig_local(PORT);
	_cleanup_(force_freep) struct force *force = make();
	struct server *a = server_start(rig, 0), *b = server_start(rig, 1);
	int fd;

	attach(force, b);
	assert_int_equal(server_listen(a, &at, SERVER_NO_REUSEPORT), 0);
	server_serve(a, true);
	fd = client_connect(&client);
	assert_int_equal(client_ask(fd), 'A');
	adoption_free(adopt_late(rig, a));
	assert_int_equal(server_listen(b, &at, SERVER_NO_REUSEPORT), 0);
	assert_int_equal(client_ask(fd), 'A');
	client_reset(fd);
}

static void another_owner_stays_the_owner(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);
	_cleanup_(close_fdp) int fd = -1;
	_cleanup_(freep) struct held_socket *held = NULL;
	size_t n;
	struct stat st;

	assert_int_equal(server_listen(a, &at, SERVER_NO_REUSEPORT), 0);
	assert_int_equal(scan_cgroup(a->cgroup, &held, &n), 0);
	assert_int_equal(scan_borrow(&held[0], &fd), 0);
	rig_check(!fchown(fd, 1234, -1));
	adoption_free(adopt_late(rig, a));
	rig_check(!fstat(fd, &st));
	assert_int_equal(st.st_uid, 1234);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 1);
}

/* A port that the kernel chose is the instance's own affair. */
static void ports_of_the_kernels_choice_do_not_join(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), any = rig_any(0);
	struct server *a = server_start(rig, 0);
	struct adoption *adoption;

	assert_int_equal(server_listen(a, &any, SERVER_NO_REUSEPORT), 0);
	assert_int_equal(server_listen(a, &at, SERVER_NO_REUSEPORT), 1);
	adoption = adopt_late(rig, a);
	assert_int_equal(adoption->adopted, 1);
	assert_int_equal(adoption->refused, 0);
	adoption_free(adoption);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(servers_that_do_not_know_are_switched),
		CASE(without_the_second_cannot_bind),
		CASE(every_family_and_protocol),
		CASE(only_ports_of_the_set),
		CASE(ports_that_are_named_stay_when_all_have_settled),
		CASE(a_port_of_the_kernels_choice_is_left_alone),
		CASE(those_that_have_it_are_counted_as_such),
		CASE(what_a_server_executes_is_in_its_cgroup),
		CASE(attached_again_is_no_harm),
		CASE(what_is_missing_is_attached),
		CASE(attached_programs_outlive_us_and_the_pins),
		CASE(the_next_manager_finds_the_set_and_the_counts),
		CASE(programs_are_replaced_and_the_set_stays),
		CASE(a_cgroup_that_is_gone_is_told),
		CASE(one_that_serves_already_joins_late),
		CASE(connections_from_before_do_not_keep_the_other_out),
		CASE(another_owner_stays_the_owner),
		CASE(ports_of_the_kernels_choice_do_not_join),
	};

	if (argc == 2 && !strcmp(argv[1], "bind"))
		return option_after_bind(&(struct address) {.family = AF_INET, .port = PORT});
	return cases_run("force", tests);
}
