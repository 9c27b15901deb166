// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A front in `ipip` and hosts that unpack, together: clients' connections come to the active host;
 * and old ones stay where they are though the front has lost all that it knew of them, as another
 * front has that takes its place.
 */
#include "cases.h"

#include "core/config/config_front.h"
#include "hosts.h"
#include "plane/front/decap.h"
#include "plane/kernel/netns.h"
#include "plane/plane_front.h"

#define PORT   8080
#define CLIENT "10.9.0.99"

struct scene {
	struct rig *rig;
	struct hosts hosts;
	struct netns clients;
	struct address service;
};

static bool is_reached(struct front *front, unsigned host)
{
	struct front_host_view view;

	front_follow_routes(front);
	return front_host(front, host, &view) && view.reached;
}

static void make_front(const struct scene *scene, unsigned n_hosts)
{
	struct config_front config = {
		.n_addresses = 1,
		.n_ports = 1,
		.ports = {{PORT, true, false}},
		.n_hosts = n_hosts,
		.mode = FRONT_IPIP,
		.device = HOSTS_DEVICE,
		.flows = CONFIG_FRONT_FLOWS_MIN,
		.new_flows = CONFIG_FRONT_NEW_MAX,
	};
	struct problem problem = {0};

	hosts_service(false, config.addresses[0].ip);
	for (unsigned i = 0; i < n_hosts; i++) {
		config.hosts[i].given = true;
		config.hosts[i].weight = 100;
		hosts_host(i, false, config.hosts[i].address.ip);
	}
	if (plane_front_apply(scene->rig->plane, &config, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "%s", problem.text);
	for (unsigned i = 0; i < n_hosts; i++) {
		rig_until(is_reached(plane_front(scene->rig->plane), i));
		front_set_taking(plane_front(scene->rig->plane), i, true);
	}
}

/* Clients are where the switch is. */
static struct scene begin(struct rig *rig)
{
	struct scene scene = {.rig = rig, .hosts = hosts_begin(rig, false)};
	uint8_t ip[16];

	hosts_service(false, ip);
	scene.service = hosts_address(ip, PORT, false);
	for (unsigned i = 0; i < 2; i++) {
		struct server *host = i ? scene.hosts.b : scene.hosts.a;

		assert_int_equal(server_listen(host, &scene.service, 0), 0);
		server_serve(host, true);
		hosts_unpack(host, &scene.service, 1);
	}
	hosts_run(scene.hosts.wire, "ip addr add " CLIENT "/24 dev wire; "
				    "ip route add " HOSTS_SERVICE " via 10.9.0.1");
	/* it has to be routed to the front, or to be the front's */
	hosts_run(NULL, "ip addr add " HOSTS_SERVICE "/32 dev lo");
	make_front(&scene, 2);
	assert_int_equal(netns_of_process(scene.hosts.wire->pid, &scene.clients), 0);
	rig_flip(rig, 1);
	return scene;
}

static void end(struct scene *scene)
{
	close_fd(scene->clients.fd);
	assert_int_equal(decap_remove(HOSTS_SERVICE_ID), 0);
}

static int connect_there(void *userdata)
{
	return client_connect(userdata);
}

static int connect_client(struct scene *scene)
{
	int fd = netns_run(&scene->clients, connect_there, &scene->service);

	if (fd < 0)
		fail_msg("no connection: %s", strerror(-fd));
	return fd;
}

static void forget_all(const char *map)
{
	struct hs_front_flow_key key;
	int fd;

	assert_int_equal(
		pin_open(pin_path("%s/" HS_PIN_FRONT "/%s", pin_service_path("web").text, map).text,
			 &fd),
		0);
	while (!bpf_map_get_next_key(fd, NULL, &key))
		assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
	close(fd);
}

/* As switchover does: what held before is remembered, for rollback. */
static void switch_over(struct scene *scene, unsigned to)
{
	uint64_t before = plane_word(scene->rig->plane);

	rig_flip(scene->rig, to);
	plane_remember(scene->rig->plane, before, 1);
}

static struct decap_totals totals(void)
{
	struct decap_totals counts;

	assert_int_equal(decap_totals(HOSTS_SERVICE_ID, &counts), 0);
	return counts;
}

static void old_connections_survive_another_front(void **state)
{
	struct scene scene = begin(*state);
	int old[20], fd;

	for (unsigned i = 0; i < ARRAY_SIZE(old); i++) {
		old[i] = connect_client(&scene);
		assert_int_equal(client_ask(old[i]), 'B');
	}
	assert_true(totals().packets > ARRAY_SIZE(old));
	assert_int_equal(totals().passed_on, 0);
	/* they are known, and stay */
	switch_over(&scene, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(old); i++)
		assert_int_equal(client_ask(old[i]), 'B');
	assert_int_equal(totals().passed_on, 0);
	/* they are not: they come to A, which has never heard of them, and of B in the same packet
	 */
	forget_all("flows");
	forget_all("young");
	forget_all("fresh");
	for (unsigned i = 0; i < ARRAY_SIZE(old); i++)
		assert_int_equal(client_ask(old[i]), 'B');
	assert_true(totals().passed_on >= ARRAY_SIZE(old));
	fd = connect_client(&scene);
	assert_int_equal(client_ask(fd), 'A');
	close(fd);
	for (unsigned i = 0; i < ARRAY_SIZE(old); i++)
		close(old[i]);
	rig_until(!server_state(scene.hosts.b).open);
	end(&scene);
}

/* Also when nobody has said who was active before. */
static void any_other_host_is_a_second_one(void **state)
{
	struct scene scene = begin(*state);
	int fd = connect_client(&scene);

	assert_int_equal(client_ask(fd), 'B');
	rig_flip(scene.rig, 0);
	forget_all("flows");
	forget_all("young");
	forget_all("fresh");
	assert_int_equal(client_ask(fd), 'B');
	assert_int_equal(totals().passed_on > 0, 1);
	close(fd);
	end(&scene);
}

/* Without that they are lost: the host that does not know them ends them. */
static void without_a_second_host_they_are_lost(void **state)
{
	struct scene scene = begin(*state);
	int fd = connect_client(&scene);

	assert_int_equal(client_ask(fd), 'B');
	rig_flip(scene.rig, 0);
	make_front(&scene, 1);
	assert_int_equal(client_ask(fd), ANSWER_RESET);
	assert_int_equal(totals().passed_on, 0);
	close(fd);
	end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(old_connections_survive_another_front),
		CASE(any_other_host_is_a_second_one),
		CASE(without_a_second_host_they_are_lost),
	};

	return cases_run("second", tests);
}
