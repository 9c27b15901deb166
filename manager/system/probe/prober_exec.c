// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * exec: a plugin as Nagios has them. Each plugin of each slot has a process of hs-plugin that runs
 * it, in a unit of its own: a program on its control group sends its connections to the slot
 * (plane/preview/exec.h), and what the plugin does wrong stays inside.
 */
#include "system/probe/prober_exec.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#include "plane/kernel/netns.h"
#include "plane/preview/exec.h"
#include "util/clock.h"
#include "util/files.h"
#include "util/macro.h"

/* of plugins */
enum { EXIT_OK, EXIT_WARNING };

struct plugin_group {
	struct plugin_group *next;
	struct prober *prober;
	struct plane *plane;
	unsigned slot;
	const struct probe_spec *spec; /* which of the service's probes; not looked at */
	char user[CONFIG_USER_MAX];
	uint64_t mark;			  /* of the listeners that the program knows */
	struct netns netns;		  /* theirs; the descriptor is ours */
	const struct config_front *front; /* as in struct probe_target */
	struct asker *asker;		  /* NULL: see `retry` */
	struct retry retry;
	bool attached;
	struct hs_preview_owner_id owner;
	int counts_fd;
	struct exec_probe *current; /* what runs, or waits for the asker */
};

struct exec_probe {
	struct probe_run *run;
	struct plugin_group *group; /* NULL: it is no more */
	uint64_t missed_before;
};

/* ---- groups ---- */

static void end_asker(struct plugin_group *group)
{
	group->asker = asker_free(group->asker);
	if (group->attached)
		exec_end(group->plane, &group->owner);
	group->attached = false;
	group->counts_fd = close_fd(group->counts_fd);
}

static void group_free(struct plugin_group *group)
{
	end_asker(group);
	if (group->current)
		group->current->group = NULL;
	close_fd(group->netns.fd);
	free(group);
}

void plugin_groups_free(struct prober *prober, const struct plane *plane)
{
	struct plugin_group **link = &prober->groups, *group;

	while ((group = *link)) {
		if (plane && group->plane != plane) {
			link = &group->next;
			continue;
		}
		*link = group->next;
		group_free(group);
	}
}

static uint64_t mix(uint64_t mark, uint64_t value)
{
	return (mark ^ value) * UINT64_C(0x100000001b3);
}

static uint64_t mark_of_front(const struct config_front *front)
{
	const uint8_t *bytes = (const uint8_t *)front;
	uint64_t mark = 0;

	for (size_t i = 0; i < sizeof(*front); i++)
		mark = mix(mark, bytes[i]);
	return mark;
}

/* Changes when the ports of the service do; of a front when anything does. */
static uint64_t mark_of(const struct probe_run *run, const struct netns *netns)
{
	size_t n;
	struct listener **listeners = plane_listeners(run->target.plane, &n);
	uint64_t mark = netns->inode;

	if (run->target.front)
		return mark_of_front(run->target.front);
	for (size_t i = 0; i < n; i++)
		mark = mix(mark, listeners[i]->address.port | listeners[i]->address.udp << 16);
	return mark;
}

static struct plugin_group *group_new(const struct probe_run *run, const struct netns *netns)
{
	struct plugin_group *group = calloc(1, sizeof(*group));

	if (!group)
		return NULL;
	*group = (struct plugin_group) {
		.prober = run->prober,
		.plane = run->target.plane,
		.slot = run->target.slot,
		.spec = run->target.spec,
		.mark = mark_of(run, netns),
		.front = run->target.front,
		.netns = *netns,
		.counts_fd = -1,
	};
	strcpy(group->user, run->target.health->user);
	if (netns->fd >= 0)
		group->netns.fd = fcntl(netns->fd, F_DUPFD_CLOEXEC, 3);
	return group;
}

static bool fits(const struct plugin_group *group, const struct probe_run *run,
		 const struct netns *netns)
{
	return group->mark == mark_of(run, netns) && !strcmp(group->user, run->target.health->user);
}

/* That of the probe and the slot, made if it is new. NULL: no memory. */
static struct plugin_group *get_group(const struct probe_run *run, const struct netns *netns)
{
	struct plugin_group **link = &run->prober->groups, *group;

	for (; (group = *link); link = &group->next)
		if (group->plane == run->target.plane && group->slot == run->target.slot &&
		    group->spec == run->target.spec)
			break;
	if (group && fits(group, run, netns))
		return group;
	if (group) {
		*link = group->next;
		group_free(group);
	}
	group = group_new(run, netns);
	if (!group)
		return NULL;
	group->next = run->prober->groups;
	return run->prober->groups = group;
}

/* ---- the verdict ---- */

static uint64_t missed(const struct plugin_group *group)
{
	struct hs_exec_counts counts = {0};

	exec_counts(group->counts_fd, &counts);
	/* a host that does not answer is for the plugin to judge */
	return counts.front ? counts.unseen + counts.blocked : counts.missed;
}

static void judge(struct exec_probe *exec, const struct errand_plugin_end *end)
{
	struct probe_run *run = exec->run;
	int status = end->status, code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	char span[SPAN_TEXT_MAX];
	/* behind the bar are figures for graphs */
	const char *bar = memchr(end->output, '|', end->size);
	struct problem line;

	errand_first_line(end->output, bar ? (size_t)(bar - end->output) : end->size, &line);
	if (end->timed_out)
		probe_end(run, PROBE_BAD, "no answer in %s",
			  span_format(run->target.health->timeout_usec, span, sizeof(span)));
	else if (missed(exec->group) != exec->missed_before)
		probe_end(run, PROBE_BAD, "the plugin's connections did not reach slot %u",
			  run->target.slot);
	else if (code == EXIT_OK || code == EXIT_WARNING)
		probe_end(run, PROBE_GOOD, "%s", code == EXIT_WARNING ? line.text : "");
	else if (line.text[0])
		probe_end(run, PROBE_BAD, "%s", line.text);
	else if (code < 0)
		probe_end(run, PROBE_BAD, "the plugin was killed by signal %d", WTERMSIG(status));
	else
		probe_end(run, PROBE_BAD, "the plugin said nothing and its exit status was %d",
			  code);
}

/* ---- hs-plugin ---- */

static int append(struct errand_plugin *errand, size_t *size, const char *text)
{
	size_t more = strlen(text) + 1;

	if (*size + more > sizeof(errand->text))
		return -E2BIG;
	memcpy(errand->text + *size, text, more);
	*size += more;
	return 0;
}

static int fill(struct errand_plugin *errand, const struct probe_run *run)
{
	const struct probe_target *target = &run->target;
	char storage[PROBE_TEXT_MAX], *words[PROBE_WORDS_MAX];
	_cleanup_(freep) char *service =
		format("HOTSTANDBY_SERVICE=%s", plane_service(target->plane));
	_cleanup_(freep) char *slot = format("HOTSTANDBY_SLOT=%u", target->slot);
	const char *environment[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
		service, slot};
	size_t size = 0;
	int r = service && slot ? probe_split(target->spec->text, storage, words) : -ENOMEM;

	*errand = (struct errand_plugin) {.id = run->id,
					  .timeout_usec = target->health->timeout_usec,
					  .alone = !target->health->user[0],
					  .n_environment = ARRAY_SIZE(environment)};
	while (!r && words[errand->n_words])
		r = append(errand, &size, words[errand->n_words++]);
	for (size_t i = 0; !r && i < ARRAY_SIZE(environment); i++)
		r = append(errand, &size, environment[i]);
	return r;
}

static void send_run(struct plugin_group *group)
{
	struct exec_probe *exec = group->current;
	struct probe_run *run = exec->run;
	struct errand_plugin errand;
	int r;

	run->id = ++group->prober->last_id;
	exec->missed_before = missed(group);
	r = fill(&errand, run);
	if (!r)
		r = asker_send(group->asker, &errand, sizeof(errand), -1);
	if (r < 0)
		probe_end(run, PROBE_VOID, "the plugin cannot be run: %s", strerror(-r));
	else
		probe_sent(run);
}

static void on_ready(void *userdata)
{
	struct plugin_group *group = userdata;
	struct exec_order order = {.cgroup = asker_cgroup(group->asker),
				   .slot = group->slot,
				   .netns = &group->netns,
				   .front = group->front};
	struct problem problem = {0};
	int r = owner_of_cgroup(order.cgroup, &group->owner);

	if (!r)
		r = exec_attach(group->plane, &order, &group->counts_fd, &problem);
	if (r < 0) {
		asker_give_up(group->asker, problem.text[0] ? problem.text : strerror(-r));
		return;
	}
	group->attached = true;
	if (group->current && !group->current->run->ended)
		send_run(group);
}

static void on_packet(const void *packet, size_t size, void *userdata)
{
	struct plugin_group *group = userdata;
	const struct errand_plugin_end *end = packet;

	if (!errand_check_plugin_end(end, size)) {
		asker_give_up(group->asker, "it sent what is no answer");
		return;
	}
	retry_reset(&group->retry);
	if (!group->current || group->current->run->id != end->id || group->current->run->ended)
		return;
	group->current->run->answered = true;
	judge(group->current, end);
}

static void on_gone(const char *why, void *userdata)
{
	struct plugin_group *group = userdata;

	retry_later(&group->retry, why);
	end_asker(group);
	if (group->current)
		probe_end(group->current->run, PROBE_VOID, "the plugin cannot be run: %s",
			  group->retry.why.text);
}

static const struct asker_calls calls = {on_ready, on_packet, on_gone};

static void need_asker(struct plugin_group *group)
{
	_cleanup_(freep) char *network = NULL;
	struct confined_order order = {
		.prefix = CONFINED_PLUGIN_PREFIX,
		.description = CONFINED_PROBES,
		.program = "hs-plugin",
		.service = plane_service(group->plane),
		.user = group->user,
		.runs_others = true,
	};
	int r = 0;

	if (group->asker || !retry_is_due(&group->retry))
		return;
	if (group->netns.fd >= 0) {
		network = format("/proc/%d/fd/%d", (int)getpid(), group->netns.fd);
		order.network = network;
		r = network ? 0 : -ENOMEM;
	}
	if (!r)
		r = asker_new(group->prober->event, group->prober->bus, &order, &calls, group,
			      &group->asker);
	if (r < 0)
		retry_later(&group->retry, strerror(-r));
}

/* ---- runs ---- */

/* One that has not come to its end takes the process that runs it along, and all that that has
 * started. */
static void take_back(struct probe_run *run)
{
	struct exec_probe *exec = run->exec;
	struct plugin_group *group = exec ? exec->group : NULL;

	if (group) {
		group->current = NULL;
		if (run->id && !run->answered)
			end_asker(group);
	}
	free(exec);
	run->exec = NULL;
}

static void on_late(struct probe_run *run)
{
	probe_end(run, PROBE_VOID, "hs-plugin does not answer");
}

/* Where the plugin has to be. False: the run has ended. */
static bool find_network(struct probe_run *run, struct netns *ret_netns)
{
	const struct listener *listener;

	*ret_netns = NETNS_OWN;
	if (run->target.front)
		return probe_find_port(run, true);
	listener = probe_find_listener(run, true);
	if (listener)
		*ret_netns = listener->netns;
	return listener;
}

static void start(struct probe_run *run)
{
	struct exec_probe *exec;
	struct plugin_group *group;
	struct netns netns;

	if (!find_network(run, &netns))
		return;
	exec = calloc(1, sizeof(*exec));
	group = exec ? get_group(run, &netns) : NULL;
	run->exec = exec;
	if (!group) {
		probe_end(run, PROBE_VOID, "the plugin cannot be run: out of memory");
		return;
	}
	*exec = (struct exec_probe) {.run = run, .group = group};
	group->current = exec;
	need_asker(group);
	if (!group->asker)
		probe_end(run, PROBE_VOID, "the plugin cannot be run: %s", group->retry.why.text);
	else if (asker_is_ready(group->asker) && group->attached)
		send_run(group);
}

const struct probe_way exec_probe = {start, on_late, take_back};
