// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/listens.h"

#include <string.h>
#include <sys/epoll.h>

#include "hsd/state.h"
#include "plane/bpf/accounting.h"
#include "service/failover/lost.h"
#include "service/slot/instance.h"
#include "service/slot/netns_stock.h"
#include "service/slot/reaching.h"
#include "service/watch/foreign_watch.h"
#include "service/watch/hang.h"
#include "util/clock.h"
#include "util/macro.h"

/* A server opens its listeners one after the other: look once for all of them. */
#define LOOK_MIN (2 * USEC_PER_MSEC)
/* Doubles up to this as long as what is told is nobody's. */
#define LOOK_MAX (512 * USEC_PER_MSEC)
/* What the kernel has not told, because of too many, shows after its tick; a look at all units is
 * dear, so it comes ever more seldom, too. */
#define LOST_MIN (1 * USEC_PER_SEC)
#define LOST_MAX (32 * USEC_PER_SEC)

/* Behind hang detection, the bus and the watchdog. */
#define PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10)

struct listens {
	struct manager *manager;
	sd_event_source *readable, *look, *lost_look;
	uint64_t cookies[WORK_COOKIES_MAX]; /* that began to listen since the last look */
	size_t n;
	bool overflow;	   /* there was no room for one of them */
	struct work *work; /* it is being found out who made those of the last look */
	uint64_t delay;
	uint64_t lost, lost_delay;
};

DEFINE_CLEANUP(struct listens, listens_free)

/* ---- whose they are ---- */

/* Whether an instance has it. */
static bool adopt_owner(struct manager *manager, uint64_t cgroup_id)
{
	bool owned = false;

	for (size_t i = 0; i < manager->n_services; i++)
		for (unsigned slot = 0; slot < manager->services[i]->n_slots; slot++) {
			struct instance *instance = manager->services[i]->instances[slot];

			if (instance_owns(instance, cgroup_id))
				instance_adopt(instance, NULL);
			else if (!reaching_heard(instance, cgroup_id))
				continue;
			if (cgroup_id)
				return true;
			owned = true;
		}
	return owned;
}

static bool is_among(const uint32_t *inodes, size_t n, uint32_t inode)
{
	for (size_t i = 0; i < n; i++)
		if (inodes[i] == inode)
			return true;
	return false;
}

/* The namespaces that listeners are in, beside our own; as many as go along with one order. The
 * first socket of an instance in a namespace of its own is found with its adoption, or by the looks
 * that follow. */
static size_t private_namespaces(const struct manager *manager, int fds[PLANE_LISTENERS_MAX])
{
	uint32_t seen[PLANE_LISTENERS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < manager->n_services; i++) {
		size_t n_listeners = 0;
		struct listener **listeners = NULL;

		if (manager->services[i]->plane)
			listeners = plane_listeners(manager->services[i]->plane, &n_listeners);
		for (size_t k = 0; k < n_listeners && n < PLANE_LISTENERS_MAX; k++) {
			const struct netns *netns = &listeners[k]->netns;

			if (netns->fd < 0 || is_among(seen, n, netns->inode))
				continue;
			seen[n] = netns->inode;
			fds[n++] = netns->fd;
		}
	}
	return n;
}

/* ---- looking ---- */

/* Whether a service has a listener there. */
static bool is_used_netns(uint32_t inode, void *userdata)
{
	const struct manager *manager = userdata;

	for (size_t i = 0; i < manager->n_services; i++) {
		size_t n = 0;
		struct listener **listeners = NULL;

		if (manager->services[i]->plane)
			listeners = plane_listeners(manager->services[i]->plane, &n);
		for (size_t k = 0; k < n; k++)
			if (listeners[k]->netns.fd >= 0 && listeners[k]->netns.inode == inode)
				return true;
	}
	return false;
}

/* Not put off by what is told meanwhile. */
static void arm(sd_event_source *source, uint64_t delay)
{
	int enabled = SD_EVENT_OFF;

	sd_event_source_get_enabled(source, &enabled);
	if (enabled != SD_EVENT_OFF)
		return;
	sd_event_source_set_time_relative(source, delay);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* The rest has closed since, or is in a namespace of others. */
static void on_makers(struct work_answer *answer, void *userdata)
{
	struct listens *listens = userdata;
	const struct work_maker *makers = answer->data;
	unsigned owned = 0;

	listens->work = NULL;
	for (size_t i = 0; answer->result >= 0 && i < answer->size / sizeof(*makers); i++)
		owned += adopt_owner(listens->manager, makers[i].cgroup_id);
	/* then all units are looked at */
	if (answer->result < 0) {
		listens->overflow = true;
		arm(listens->lost_look, listens->lost_delay);
	}
	listens->delay = owned ? LOOK_MIN : MIN(2 * listens->delay, LOOK_MAX);
	if (listens->n)
		arm(listens->look, listens->delay);
}

/* Not in the event loop: before Linux 6.9 who asks sock_diag about sockets waits for whoever asks
 * for more, and that may be somebody who is held up. */
static void find_makers(struct listens *listens)
{
	struct manager *manager = listens->manager;
	struct work_order order = {.kind = WORK_MAKERS, .service = "%", .slot = HS_SLOT_NONE};
	int fds[PLANE_LISTENERS_MAX];
	size_t n_fds = private_namespaces(manager, fds);

	order.n_cookies = listens->n;
	memcpy(order.cookies, listens->cookies, listens->n * sizeof(*order.cookies));
	listens->n = 0;
	if (host_order(&manager->host, &order, fds, n_fds, on_makers, listens, &listens->work) < 0)
		listens->overflow = true;
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct listens *listens = userdata;
	struct manager *manager = listens->manager;

	(void)source;
	(void)usec;
	if (listens->n && !listens->work)
		find_makers(listens);
	for (size_t i = 0; i < manager->n_services; i++) {
		lost_check_active(manager->services[i]);
		foreign_watch_look_due(manager->services[i]);
	}
	netns_stock_sweep(is_used_netns, manager);
	return 0;
}

static void adopt_all(struct manager *manager)
{
	for (size_t i = 0; i < manager->n_services; i++)
		for (unsigned slot = 0; slot < manager->services[i]->n_slots; slot++)
			if (instance_owns(manager->services[i]->instances[slot], 0))
				instance_adopt(manager->services[i]->instances[slot], NULL);
			else
				reaching_heard(manager->services[i]->instances[slot], 0);
}

/* Once after the last that was told: quiet again, the delays begin anew. */
static int on_lost_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct listens *listens = userdata;
	uint64_t lost = listens->lost;

	(void)source;
	(void)usec;
	accounting_listens_lost(listens->manager->host.accounting, &lost);
	if (lost == listens->lost && !listens->overflow) {
		listens->lost_delay = LOST_MIN;
		listens->delay = LOOK_MIN;
		return 0;
	}
	listens->lost = lost;
	listens->overflow = false;
	adopt_all(listens->manager);
	listens->lost_delay = MIN(2 * listens->lost_delay, LOST_MAX);
	arm(listens->lost_look, listens->lost_delay);
	return 0;
}

/* ---- being told ---- */

static void on_listen(const struct hs_listen *listen, void *userdata)
{
	struct listens *listens = userdata;
	struct manager *manager = listens->manager;

	if (listen->service_id) {
		hang_watch_heard(manager->host.hangs, listen->service_id);
		return;
	}
	if (!listen->closed && listens->n < WORK_COOKIES_MAX)
		listens->cookies[listens->n++] = listen->cookie;
	else if (!listen->closed)
		listens->overflow = true;
	for (size_t i = 0; i < manager->n_services; i++)
		foreign_watch_note(manager->services[i], listen->port);
	arm(listens->look, listens->delay);
	arm(listens->lost_look, listens->lost_delay);
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct listens *listens = userdata;

	(void)source;
	(void)fd;
	(void)events;
	accounting_listens_consume(listens->manager->host.accounting);
	return 0;
}

static int add_timer(struct listens *listens, sd_event_source **source,
		     sd_event_time_handler_t handler)
{
	int r = sd_event_add_time_relative(listens->manager->host.event, source, CLOCK_MONOTONIC,
					   LOOK_MIN, USEC_PER_MSEC, handler, listens);

	return r < 0 ? r : sd_event_source_set_priority(*source, PRIORITY);
}

int listens_new(struct manager *manager, struct listens **ret_listens)
{
	_cleanup_(listens_freep) struct listens *listens = calloc(1, sizeof(*listens));
	int fd, r;

	if (!manager->host.accounting)
		return 0;
	if (!listens)
		return -ENOMEM;
	*listens = (struct listens) {.manager = manager, .delay = LOOK_MIN, .lost_delay = LOST_MIN};
	accounting_listens_lost(manager->host.accounting, &listens->lost);
	r = accounting_listens_watch(manager->host.accounting, on_listen, listens, &fd);
	if (r >= 0)
		r = add_timer(listens, &listens->look, on_look);
	if (r >= 0)
		r = add_timer(listens, &listens->lost_look, on_lost_look);
	if (r >= 0)
		r = sd_event_add_io(manager->host.event, &listens->readable, fd, EPOLLIN,
				    on_readable, listens);
	if (r >= 0)
		r = sd_event_source_set_priority(listens->readable, PRIORITY);
	if (r < 0)
		return r;
	*ret_listens = steal_ptr(&listens);
	return 0;
}

struct listens *listens_free(struct listens *listens)
{
	if (!listens)
		return NULL;
	work_forget(listens->work);
	sd_event_source_disable_unref(listens->readable);
	sd_event_source_disable_unref(listens->look);
	sd_event_source_disable_unref(listens->lost_look);
	free(listens);
	return NULL;
}
