// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcp, http, https: the connection is begun here, with a rule that sends it to the slot, and goes
 * to hs-probe then. We keep a descriptor of it: should hs-probe not end in time, we end the
 * connection before the rule goes, or a packet that is sent again would reach another slot.
 */
#include "system/probe/prober_net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "plane/preview/reach.h"
#include "util/macro.h"

/* A process of hs-probe, and what it has to do. */
struct net_group {
	struct net_group *next;
	struct prober *prober;
	const struct plane *plane; /* whose probes by https they are; NULL: all others, of all */
	struct asker *asker;	   /* NULL: see `retry` */
	struct retry retry;
	struct probe_run *runs;
};

static int open_socket(struct probe_run *run, const struct listener *listener)
{
	struct preview_wish wish = {.owner = &run->prober->owner, .slot = run->target.slot};
	struct reach reach;
	int r = reach_open(run->target.plane, listener, &wish, &reach);

	run->has_rule = r >= 0;
	if (r < 0)
		return r;
	run->fd = reach.fd;
	run->dest = reach.dest;
	run->key = reach.key;
	return 0;
}

/* It was made already, by somebody who may: there is nothing that could go elsewhere. */
static int take_connection(struct probe_run *run)
{
	run->fd = run->target.fd;
	run->dest.ss_family = run->asked.ss_family = AF_UNIX;
	run->target.is_connected = false;
	return 0;
}

/* To a slot. With an error the run has ended. */
static int reach_slot(struct probe_run *run)
{
	const struct listener *listener = probe_find_listener(run, false);
	char text[ADDRESS_TEXT_MAX];
	int r;

	if (!listener)
		return -ENOENT;
	r = open_socket(run, listener);
	if (r < 0)
		probe_end(run, PROBE_VOID, "%s cannot be probed from here: %s",
			  address_describe(&listener->address, text), strerror(-r));
	run->asked = run->dest;
	return r;
}

static int open_led(struct probe_run *run, uint16_t port)
{
	const struct probe_target *target = &run->target;
	_cleanup_(close_fdp) int fd = -1;
	struct hs_led_path path;
	int r = leading_path(target->plane, target->front, target->slot, port, &path);

	if (r < 0)
		return r;
	led_to(path.asked, path.port, &run->asked);
	fd = socket(run->asked.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = led_direct(run->prober->led, &run->prober->owner, &path, fd, &run->dest);
	if (r < 0)
		return r;
	run->fd = steal_fd(&fd);
	run->is_led = true;
	return 0;
}

/* To a host of a front, by the path of clients' packets. Likewise. */
static int reach_host(struct probe_run *run)
{
	uint16_t port = probe_find_port(run, false);
	int r = -ENOENT;

	if (!port || !probe_can_lead(run))
		return r;
	r = open_led(run, port);
	if (r < 0)
		probe_end(
			run, PROBE_VOID, "host %u cannot be probed from here: %s", run->target.slot,
			r == -EAFNOSUPPORT ? "its address is of another family than all of Address="
					   : strerror(-r));
	return r;
}

static int begin_connection(struct probe_run *run)
{
	int r = run->target.front ? reach_host(run) : reach_slot(run);

	if (r < 0)
		return r;
	if (connect(run->fd, (struct sockaddr *)&run->dest, reach_size(&run->dest)) < 0 &&
	    errno != EINPROGRESS) {
		r = -errno;
		probe_end(run, PROBE_BAD, "%s", strerror(errno));
	}
	return r;
}

static void leave_group(struct probe_run *run)
{
	if (!run->group)
		return;
	if (run->next)
		run->next->previous = run->previous;
	if (run->previous)
		run->previous->next = run->next;
	else
		run->group->runs = run->next;
	run->group = NULL;
}

static void join_group(struct probe_run *run, struct net_group *group)
{
	run->next = group->runs;
	if (run->next)
		run->next->previous = run;
	group->runs = run;
	run->group = group;
}

static void take_back(struct probe_run *run)
{
	struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	leave_group(run);
	/* ends it, whoever else has a descriptor of it; at a path by the latter */
	if (run->fd >= 0 && !run->answered && connect(run->fd, &nowhere, sizeof(nowhere)) < 0)
		shutdown(run->fd, SHUT_RDWR);
	if (run->is_led && run->prober->led)
		led_forget(run->prober->led, run->fd);
	run->fd = close_fd(run->fd);
}

/* ---- hs-probe ---- */

static void fill(struct errand *errand, const struct probe_run *run)
{
	const struct config_health *health = run->target.health;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&run->asked;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&run->asked;
	bool is_v6 = run->asked.ss_family == AF_INET6;
	bool at_path = run->asked.ss_family == AF_UNIX;
	uint64_t connect_usec = run->target.connect_usec ?: health->timeout_usec;
	/* an agent says its line at once, or holds up what is known by the others */
	bool at_once = run->target.spec->kind == PROBE_AGENT;
	char ip[INET6_ADDRSTRLEN] = "";

	inet_ntop(run->asked.ss_family, is_v6 ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr, ip,
		  sizeof(ip));
	*errand = (struct errand) {
		.id = run->id,
		.timeout_usec = at_once ? connect_usec : health->timeout_usec,
		.connect_usec = connect_usec,
		.kind = run->target.spec->kind,
		.n_status = health->n_status,
		.proxy = health->proxy,
		.port = at_path ? 0 : ntohs(v4->sin_port),
	};
	memcpy(errand->status, health->status, sizeof(errand->status));
	snprintf(errand->address, sizeof(errand->address), is_v6 ? "[%s]" : "%s", ip);
	strcpy(errand->path, run->target.spec->text);
	strcpy(errand->host, health->host);
	strcpy(errand->text, health->text);
}

static void send_run(struct probe_run *run)
{
	struct errand errand;
	int r;

	if ((run->target.is_connected ? take_connection(run) : begin_connection(run)) < 0)
		return;
	run->id = ++run->prober->last_id;
	fill(&errand, run);
	r = asker_send(run->group->asker, &errand, sizeof(errand), run->fd);
	if (r < 0)
		probe_end(run, PROBE_VOID, "hs-probe takes nothing: %s", strerror(-r));
	else
		probe_sent(run);
}

static void on_ready(void *userdata)
{
	struct net_group *group = userdata;

	for (struct probe_run *run = group->runs; run; run = run->next)
		if (!run->id && !run->ended)
			send_run(run);
}

static void on_packet(const void *packet, size_t size, void *userdata)
{
	struct net_group *group = userdata;
	struct probe_run *run = group->runs;
	struct errand_end end;
	struct problem words;

	memcpy(&end, packet, MIN(size, sizeof(end)));
	if (!errand_check_end(&end, size)) {
		asker_give_up(group->asker, "it sent what is no answer");
		return;
	}
	retry_reset(&group->retry);
	while (run && run->id != end.id)
		run = run->next;
	/* it may have been taken back meanwhile */
	if (!run || run->ended)
		return;
	run->answered = true;
	errand_first_line(end.words, sizeof(end.words), &words);
	probe_end(run, end.verdict, "%s", words.text);
}

static void on_gone(const char *why, void *userdata)
{
	struct net_group *group = userdata;

	retry_later(&group->retry, why);
	group->asker = asker_free(group->asker);
	for (struct probe_run *run = group->runs; run; run = run->next)
		probe_end(run, PROBE_VOID, "hs-probe: %s", group->retry.why.text);
}

static const struct asker_calls calls = {on_ready, on_packet, on_gone};

static void need_asker(struct net_group *group)
{
	const struct confined_order order = {
		.prefix = CONFINED_PROBE_PREFIX,
		.description = CONFINED_PROBES,
		.program = "hs-probe",
		.service = group->plane ? plane_service(group->plane) : NULL,
		.user = "",
	};
	int r;

	if (group->asker || !retry_is_due(&group->retry))
		return;
	r = asker_new(group->prober->event, group->prober->bus, &order, &calls, group,
		      &group->asker);
	if (r < 0)
		retry_later(&group->retry, strerror(-r));
}

/* ---- groups ---- */

static void group_free(struct net_group *group)
{
	struct probe_run *run;

	while ((run = group->runs)) {
		leave_group(run);
		probe_end(run, PROBE_VOID, "it is not asked any more");
	}
	asker_free(group->asker);
	free(group);
}

void net_groups_free(struct prober *prober, const struct plane *plane)
{
	struct net_group **link = &prober->net_groups, *group;

	while ((group = *link)) {
		if (plane && group->plane != plane) {
			link = &group->next;
			continue;
		}
		*link = group->next;
		group_free(group);
	}
}

/* That of the probe, made if it is new. NULL: no memory. */
static struct net_group *get_group(const struct probe_run *run)
{
	const struct plane *plane =
		run->target.spec->kind == PROBE_HTTPS ? run->target.plane : NULL;
	struct net_group *group = run->prober->net_groups;

	while (group && group->plane != plane)
		group = group->next;
	if (group)
		return group;
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	*group = (struct net_group) {
		.next = run->prober->net_groups, .prober = run->prober, .plane = plane};
	return run->prober->net_groups = group;
}

/* ---- runs ---- */

static void on_late(struct probe_run *run)
{
	probe_end(run, PROBE_VOID, "hs-probe does not answer");
	if (run->group && run->group->asker)
		asker_give_up(run->group->asker, "it did not answer in time");
}

static void start(struct probe_run *run)
{
	struct net_group *group = get_group(run);

	if (!group) {
		probe_end(run, PROBE_VOID, "hs-probe: out of memory");
		return;
	}
	need_asker(group);
	join_group(run, group);
	if (!group->asker)
		probe_end(run, PROBE_VOID, "hs-probe: %s", group->retry.why.text);
	else if (asker_is_ready(group->asker))
		send_run(run);
}

const struct probe_way net_probe = {start, on_late, take_back};
