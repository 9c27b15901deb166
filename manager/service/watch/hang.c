// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/watch/hang.h"

#include <string.h>

#include "core/watch/stall.h"
#include "plane/act/waiting.h"
#include "plane/kernel/alive.h"
#include "plane/parts/trace.h"
#include "service/slot/instance.h"
#include "service/watch/look.h"
#include "service/watch/selection.h"
#include "util/clock.h"
#include "util/macro.h"

/* How often it is looked while there is traffic: what a verdict may come late. Cheap as long as the
 * kernel tells of our own queues; each look costs others something where all sockets of a namespace
 * are to be listed, so that a verdict comes later there, by this part of Stall=. */
#define LOOK_OFTEN  (30 * USEC_PER_MSEC)
#define LISTED_PART 8
/* There is traffic until this long after its last sign: by then the accounting program takes what
 * comes for a beginning, and tells. */
#define TRAFFIC_LASTS (3 * (UINT64_C(1) << HS_TRAFFIC_TICK_SHIFT) / NSEC_PER_USEC)
/* How often without traffic, where nobody would tell of it: this part of Stall=, and this at least.
 */
#define SELDOM_PART 2
#define SELDOM	    (1 * USEC_PER_SEC)
/* How often the counts are read for the last accept alone, where queues prove what they prove. */
#define COUNT_OFTEN (200 * USEC_PER_MSEC)
/* After this part of Stall= without an accept it is noted what the instance does. */
#define NOTED_PART 16
/* Looks that are due within this time are done together. */
#define TOGETHER (2 * USEC_PER_MSEC)
/* What was accepted at a path and has ended is not counted. One that has run for so long, in units
 * of Stall=, is taken to have accepted. */
#define BEGINNER_PART 10
/* Who waits takes longer to find out than how many: at the most this part of our time goes into it.
 */
#define NAMES_SHARE 50

/* One socket of a slot. */
struct place {
	const struct listener *listener;
	uint64_t cookie;
};

struct slot_watch {
	struct stall stall;
	struct stall_sample sample;
	struct stall_evidence evidence; /* of the last look */
	bool looked;			/* `sample` is of this look */
	uint64_t stalled_since;		/* 0 = it serves */
	bool counted;			/* when counts were read last: they are */
	uint64_t given, migrated_in;
	uint64_t given_at_start; /* when this run of the unit was adopted */
	/* until then this run may not have accepted anything at its paths; 0 = it has */
	uint64_t path_beginner_until;
};

struct hang {
	const struct hang_told *told;
	struct hang_watch *watch;
	struct service *service;
	struct hang *next;
	bool on; /* hangs are looked for */
	uint64_t due, busy_until, last, counted;
	uint64_t promised;    /* the look that comes was to come then; 0 = at any time */
	uint64_t names_after; /* who waits is not asked for before this time */
	bool was_seldom;      /* the look before was long ago */
	struct slot_watch slots[HS_SLOTS_MAX];
};

struct hang_watch {
	sd_event *event;
	sd_event_source *timer;
	struct hang *first;
	struct look *look;
};

/* ---- asking the kernel ---- */

static size_t own_queues(const struct hang *hang, unsigned slot, const struct hs_queue **ret_first)
{
	return look_own(hang->watch->look, plane_id(hang->service->plane), slot, ret_first);
}

/* TCP listeners that the kernel can be asked about. */
static bool is_watchable(const struct listener *listener)
{
	return !listener->address.udp && (!listener->address.netns || listener->netns.fd >= 0);
}

/* Calls `each` for each of the slot's sockets, at most HS_SHARDS_MAX for each listener. */
static void each_place(const struct hang *hang, unsigned slot,
		       void (*each)(const struct place *place, void *userdata), void *userdata)
{
	uint64_t cookies[HS_SHARDS_MAX];
	size_t n;
	struct listener **listeners = plane_listeners(hang->service->plane, &n);

	for (size_t i = 0; i < n; i++) {
		struct place place = {.listener = listeners[i]};

		if (!is_watchable(listeners[i]))
			continue;
		for (unsigned k = listener_sockets(listeners[i], slot, cookies); k > 0; k--) {
			place.cookie = cookies[k - 1];
			each(&place, userdata);
		}
	}
}

static bool has_paths(const struct hang *hang)
{
	return plane_paths(hang->service->plane)->entries;
}

/* All that it has is at paths. */
static bool has_paths_only(const struct hang *hang)
{
	size_t n;

	plane_listeners(hang->service->plane, &n);
	return has_paths(hang) && !n;
}

/* Whether the kernel tells who is the first in each queue. */
static bool knows_heads(const struct hang *hang)
{
	return look_is_own(hang->watch->look) || has_paths_only(hang);
}

static bool given(const struct hang *hang, unsigned slot, uint64_t *ret_given,
		  uint64_t *ret_migrated, bool *ret_at_paths)
{
	struct slot_totals totals;

	if (!plane_accounting(hang->service->plane) ||
	    plane_slot_counted(hang->service->plane, slot, &totals) < 0)
		return false;
	*ret_given = totals.opened + totals.moved_in - totals.moved_out;
	if (ret_at_paths)
		*ret_at_paths = has_paths(hang) && totals.connections;
	if (ret_migrated)
		*ret_migrated = totals.migrated_in;
	return true;
}

/* ---- one look ---- */

static void count(struct hang *hang, unsigned slot, uint64_t now)
{
	struct slot_watch *watch = &hang->slots[slot];
	uint64_t before = watch->given;
	bool at_paths = false;

	watch->counted = given(hang, slot, &watch->given, &watch->migrated_in, &at_paths);
	if (watch->counted && watch->given != before)
		hang->busy_until = now + TRAFFIC_LASTS;
	if (at_paths)
		watch->path_beginner_until = 0;
}

/* Before the queues are asked for: so what is thought to be accepted is never too much. What was
 * counted some looks ago is less, and does as well. */
static void begin_look(struct hang *hang, uint64_t now)
{
	struct plane *plane = hang->service->plane;
	bool due = !look_is_own(hang->watch->look) || now >= hang->counted + COUNT_OFTEN;

	if (due) {
		hang->counted = now;
		selection_look(hang->service->selection, now);
		trace_sweep(plane);
	}
	for (unsigned slot = 0; slot < hang->service->n_slots; slot++) {
		struct slot_watch *watch = &hang->slots[slot];

		watch->looked = !plane_is_retired(plane, slot) && !plane_is_suspect(plane, slot);
		if (watch->looked && due)
			count(hang, slot, now);
		watch->sample = (struct stall_sample) {
			.now = now,
			.due = hang->promised,
			.counted = watch->counted,
			.given_before = watch->given,
			.migrated_in = watch->migrated_in,
		};
	}
}

struct sum {
	struct hang_watch *watch;
	struct stall_sample *sample;
	uint64_t watched;
	unsigned sockets, nonempty;
	struct place sole;
};

static void add_place(const struct place *place, void *userdata)
{
	struct sum *sum = userdata;
	uint32_t queued = look_listed(sum->watch->look, &place->listener->netns, place->cookie);

	sum->sockets++;
	sum->sample->sockets_mark += place->cookie * UINT64_C(0x9e3779b97f4a7c15) + 1;
	sum->sample->queued += queued;
	if (place->cookie == sum->watched)
		sum->sample->watched_queued = queued;
	if (queued && !sum->nonempty++)
		sum->sole = *place;
}

static struct sum sum_up(struct hang *hang, unsigned slot, struct stall_sample *sample)
{
	struct sum sum = {
		.watch = hang->watch,
		.sample = sample,
		.watched = stall_watched(&hang->slots[slot].stall),
	};

	each_place(hang, slot, add_place, &sum);
	/* with one socket the count tells all */
	if (sum.nonempty == 1 && (sum.sockets > 1 || !sample->counted))
		sample->sole = sum.sole.cookie;
	return sum;
}

/* Who waits on the socket now. What has come while this was found out may be on others: then it is
 * not known. */
static int ask_names(struct hang *hang, unsigned slot, const struct place *place,
		     struct stall_names *ret_names)
{
	uint64_t begun = now_usec(), age;
	int r;

	if (begun < hang->names_after)
		return -EAGAIN;
	r = waiting_names(hang->service->plane, place->listener, slot, ret_names, &age);
	hang->names_after = begun + NAMES_SHARE * (now_usec() - begun);
	return r;
}

static void name(struct hang *hang, unsigned slot, const struct sum *sum)
{
	struct stall *stall = &hang->slots[slot].stall;
	struct stall_names names = {0};
	struct stall_sample again = {.counted = true};
	struct sum sum_again;

	if (ask_names(hang, slot, &sum->sole, &names) < 0)
		return;
	look_forget_listed(hang->watch->look);
	sum_again = sum_up(hang, slot, &again);
	/* one that was reset waits, too, and has no name any more */
	if (sum_again.nonempty == 1 && sum_again.sole.cookie == sum->sole.cookie &&
	    names.n >= again.queued)
		stall_name(stall, sum->sole.cookie, now_usec(), &names);
	free(names.cookies);
}

struct search {
	uint64_t cookie;
	struct place found;
};

static void match(const struct place *place, void *userdata)
{
	struct search *search = userdata;

	if (place->cookie == search->cookie)
		search->found = *place;
}

static bool check(struct hang *hang, unsigned slot)
{
	struct slot_watch *watch = &hang->slots[slot];
	struct search search = {.cookie = stall_watched(&watch->stall)};
	struct stall_names names = {0};
	bool stalled = false;

	each_place(hang, slot, match, &search);
	hang->names_after = 0;
	if (search.found.listener && ask_names(hang, slot, &search.found, &names) >= 0)
		stalled = stall_check(&watch->stall, now_usec(), &names,
				      hang->service->config.stall_usec);
	free(names.cookies);
	return stalled;
}

/* How long the oldest has waited: where the queue was not seen to grow. */
static uint64_t ask_age(struct hang *hang, unsigned slot, const struct sum *sum)
{
	struct stall_names names = {0};
	uint64_t age = 0;

	if (waiting_names(hang->service->plane, sum->sole.listener, slot, &names, &age) < 0)
		return 0;
	free(names.cookies);
	return age;
}

/* Also a verdict that could not be proven this time is no sign of life. */
static bool has_served(const struct hang *hang, const struct slot_watch *watch,
		       enum stall_verdict verdict)
{
	return verdict == STALL_FINE || (!watch->evidence.unproven &&
					 watch->evidence.waited < hang->service->config.stall_usec);
}

static void on_served(struct hang *hang, unsigned slot)
{
	hang->slots[slot].stalled_since = 0;
	hang->told->served(hang->service, slot);
}

/* After the queues were asked for: see begin_look(). */
static void count_again(struct hang *hang, unsigned slot)
{
	struct slot_watch *watch = &hang->slots[slot];
	struct stall_sample *sample = &watch->sample;

	sample->given_after = sample->given_before;
	if (!sample->queued || !sample->counted)
		return;
	sample->counted = given(hang, slot, &sample->given_after, NULL, NULL);
	if (sample->counted)
		watch->given = sample->given_after;
}

static void note_waiting(struct hang *hang, unsigned slot, enum stall_verdict verdict)
{
	struct service *service = hang->service;
	uint64_t waited = hang->slots[slot].evidence.waited;

	if (verdict == STALL_FINE || waited < service->config.stall_usec / NOTED_PART)
		hang->told->accepting(service, slot);
	else
		hang->told->waiting(service, slot);
}

static void judge(struct hang *hang, unsigned slot, const struct stall_answer *answer)
{
	struct slot_watch *watch = &hang->slots[slot];
	bool stalled = answer->verdict == STALL_STALLED;

	if (answer->ask == STALL_ASK_CHECK && !stalled)
		stalled = check(hang, slot);
	watch->evidence = watch->stall.evidence;
	if (stalled && !watch->stalled_since)
		watch->stalled_since = watch->sample.now - watch->evidence.waited;
	note_waiting(hang, slot, answer->verdict);
	if (stalled)
		hang->told->stalled(hang->service, slot, &watch->evidence);
	else if (watch->stalled_since && has_served(hang, watch, answer->verdict))
		on_served(hang, slot);
}

/* By a list of the sockets on the addresses of services. */
static struct stall_answer look_at_listed(struct hang *hang, unsigned slot)
{
	struct slot_watch *watch = &hang->slots[slot];
	struct stall_sample *sample = &watch->sample;
	struct stall_answer answer;
	struct sum sum = sum_up(hang, slot, sample);

	count_again(hang, slot);
	if (sample->queued && hang->was_seldom && !watch->stall.nonempty_since)
		sample->oldest_age = MIN(ask_age(hang, slot, &sum), sample->now - hang->last);
	answer = stall_step(&watch->stall, sample, hang->service->config.stall_usec);
	if (answer.ask == STALL_ASK_NAMES)
		name(hang, slot, &sum);
	return answer;
}

static void add_own(struct stall_sample *sample, const struct hs_queue *first, size_t n,
		    struct stall_queue *queues)
{
	for (size_t i = 0; i < n; i++) {
		sample->queued += first[i].queued;
		if (queues)
			queues[i] = (struct stall_queue) {first[i].cookie, first[i].head,
							  first[i].queued, NULL};
	}
}

static void add_paths(struct stall_sample *sample, const struct path_queue *found, size_t n,
		      struct stall_queue *queues)
{
	for (size_t i = 0; i < n; i++) {
		const struct unix_waiting *waiting = &found[i].waiting;

		sample->queued += waiting->queued;
		if (queues)
			queues[i] = (struct stall_queue) {found[i].cookie, 0, waiting->queued,
							  &waiting->line};
	}
}

/* By what the kernel tells of our own. */
static struct stall_answer look_at_own(struct hang *hang, unsigned slot)
{
	struct stall_sample *sample = &hang->slots[slot].sample;
	const struct hs_queue *first = NULL;
	struct path_queue found[HS_PATHS_MAX];
	size_t n = look_is_own(hang->watch->look) ? own_queues(hang, slot, &first) : 0;
	size_t n_paths = paths_waiting(plane_paths(hang->service->plane), slot, found);
	_cleanup_(freep) struct stall_queue *queues = calloc(n + n_paths + 1, sizeof(*queues));
	struct stall_answer answer;

	add_own(sample, first, n, queues);
	add_paths(sample, found, n_paths, queues ? queues + n : NULL);
	count_again(hang, slot);
	sample->heads_known = queues;
	sample->queues = queues;
	sample->n_queues = queues ? n + n_paths : 0;
	answer = stall_step(&hang->slots[slot].stall, sample, hang->service->config.stall_usec);
	sample->queues = NULL;
	for (size_t i = 0; i < n_paths; i++)
		line_done(&found[i].waiting.line);
	return answer;
}

static void look_at_slot(struct hang *hang, unsigned slot, uint64_t now)
{
	struct slot_watch *watch = &hang->slots[slot];
	struct stall_answer answer;

	answer = knows_heads(hang) ? look_at_own(hang, slot) : look_at_listed(hang, slot);
	if (watch->sample.queued)
		hang->busy_until = now + TRAFFIC_LASTS;
	judge(hang, slot, &answer);
	hang->due = MIN(hang->due, MAX(answer.wake, now + USEC_PER_MSEC));
}

/* When the next look is due as a rule. Those of all services fall on the same moments. */
static uint64_t next_look(const struct hang *hang, uint64_t now)
{
	const struct service *service = hang->service;
	uint64_t stall = service->config.stall_usec, every;

	if (hang->busy_until > now)
		every = MIN(stall / 4, knows_heads(hang) ? LOOK_OFTEN : stall / LISTED_PART);
	else if (plane_accounting(service->plane) && !has_paths(hang))
		return USEC_INFINITY; /* until it is told of traffic */
	else
		every = MIN(stall / SELDOM_PART, SELDOM);
	return (now / every + 1) * every;
}

static void end_look(struct hang *hang, uint64_t now)
{
	struct service *service = hang->service;

	hang->due = USEC_INFINITY;
	for (unsigned slot = 0; slot < service->n_slots; slot++) {
		if (hang->slots[slot].looked)
			look_at_slot(hang, slot, now);
		else if (plane_is_suspect(service->plane, slot))
			hang->told->suspect(service, slot);
	}
	hang->due = MIN(hang->due, next_look(hang, now));
	hang->promised = hang->due == USEC_INFINITY ? 0 : hang->due;
	hang->was_seldom = hang->busy_until <= now;
	hang->last = now;
}

/* ---- when ---- */

static int set_timer(struct hang_watch *watch)
{
	uint64_t due = USEC_INFINITY;

	for (struct hang *hang = watch->first; hang; hang = hang->next)
		due = MIN(due, hang->due);
	if (due == USEC_INFINITY)
		return sd_event_source_set_enabled(watch->timer, SD_EVENT_OFF);
	sd_event_source_set_time(watch->timer, due);
	return sd_event_source_set_enabled(watch->timer, SD_EVENT_ONESHOT);
}

static bool is_due(const struct hang *hang, uint64_t now)
{
	return hang->due <= now + TOGETHER;
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct hang_watch *watch = userdata;
	uint64_t now = now_usec();

	(void)source;
	(void)usec;
	for (struct hang *hang = watch->first; hang; hang = hang->next)
		if (is_due(hang, now))
			begin_look(hang, now);
	if (watch->first)
		look_begin(watch->look, plane_accounting(watch->first->service->plane));
	for (struct hang *hang = watch->first; hang; hang = hang->next)
		if (is_due(hang, now))
			look_want(watch->look, hang->service->plane);
	for (struct hang *hang = watch->first; hang; hang = hang->next)
		if (is_due(hang, now))
			end_look(hang, now);
	look_end(watch->look);
	return set_timer(watch);
}

static void look_soon(struct hang *hang)
{
	hang->due = now_usec();
	set_timer(hang->watch);
}

void hang_on_traffic(struct hang *hang)
{
	uint64_t now = now_usec();

	if (!hang || !hang->on)
		return;
	/* else it is looked often as it is */
	if (hang->due == USEC_INFINITY || hang->busy_until <= now)
		look_soon(hang);
	hang->busy_until = now + TRAFFIC_LASTS;
}

static void on_new_run(struct hang *hang, unsigned slot)
{
	uint64_t now;

	if (!hang)
		return;
	hang->slots[slot].given_at_start = 0;
	hang->slots[slot].path_beginner_until = 0;
	/* one that an earlier hsd has adopted is no beginner */
	if (plane_slot_sockets(hang->service->plane, slot) || !given(hang, slot, &now, NULL, NULL))
		return;
	hang->slots[slot].given_at_start = now;
	hang->slots[slot].path_beginner_until =
		now_usec() + BEGINNER_PART * hang->service->config.stall_usec;
	hang->slots[slot].stall.last_accept = 0;
}

/* Whether it may be that nobody has accepted anything from its paths. */
static bool begins_at_paths(const struct hang *hang, unsigned slot)
{
	return !has_paths(hang) ||
	       (now_usec() < hang->slots[slot].path_beginner_until &&
		alive_any_halted(instance_facts(hang->service->instances[slot])->control_group) ==
			HALT_NONE);
}

/* During a look. */
static uint32_t count_queued(struct hang *hang, unsigned slot)
{
	struct stall_sample sample = {0};
	const struct hs_queue *first;

	if (!look_is_own(hang->watch->look)) {
		look_want(hang->watch->look, hang->service->plane);
		sum_up(hang, slot, &sample);
		return sample.queued;
	}
	for (size_t n = own_queues(hang, slot, &first); n > 0; n--)
		sample.queued += first[n - 1].queued;
	return sample.queued;
}

uint64_t hang_given(const struct hang *hang, unsigned slot)
{
	uint64_t now;

	return hang && given(hang, slot, &now, NULL, NULL) ? now : 0;
}

uint32_t hang_queued(struct hang *hang, unsigned slot, uint64_t among)
{
	struct look *look = hang ? hang->watch->look : NULL;
	uint32_t queued;
	uint64_t now;

	if (!look)
		return 0;
	look_begin(look, plane_accounting(hang->service->plane));
	queued = count_queued(hang, slot);
	look_end(look);
	now = hang_given(hang, slot);
	/* queues are served in order: those that came last are the last in it */
	return among && now > among ? queued - MIN(queued, now - among) : queued;
}

bool hang_is_starting(struct hang *hang, unsigned slot)
{
	uint64_t now;

	if (!given(hang, slot, &now, NULL, NULL))
		return false;
	return now <= hang->slots[slot].given_at_start + count_queued(hang, slot) &&
	       begins_at_paths(hang, slot) &&
	       !alive_is_halted(instance_facts(hang->service->instances[slot])->main_pid);
}

void hang_poke(struct hang *hang)
{
	if (!hang)
		return;
	/* it may have other sockets */
	look_forget_sockets(hang->watch->look);
	hang->on = hang->service->config.stall_usec;
	hang->due = USEC_INFINITY;
	hang_on_traffic(hang);
}

static void on_adopted(struct hang *hang, unsigned slot)
{
	if (!hang)
		return;
	hang->slots[slot].stalled_since = 0;
	hang_poke(hang);
}

void hang_heard(struct service *service, const struct event *event)
{
	if (event->kind == EVENT_NEW_RUN)
		on_new_run(service->hang, event->slot);
	else if (event->kind == EVENT_ADOPTED && event->anew)
		on_adopted(service->hang, event->slot);
	/* who found it hanging may have ended in the middle of leaving it */
	else if (event->kind == EVENT_UNIT_CHANGED && service->plane &&
		 plane_is_suspect(service->plane, event->slot))
		hang_poke(service->hang);
}

void hang_watch_heard(struct hang_watch *watch, uint32_t service_id)
{
	for (struct hang *hang = watch->first; hang; hang = hang->next)
		if (plane_id(hang->service->plane) == service_id)
			hang_on_traffic(hang);
}

uint64_t hang_stalled(const struct hang *hang, unsigned slot)
{
	uint64_t since = hang ? hang->slots[slot].stalled_since : 0;

	return since ? now_usec() - since : 0;
}

/* ---- the objects ---- */

DEFINE_CLEANUP(struct hang_watch, hang_watch_free)

int hang_watch_new(sd_event *event, struct hang_watch **ret_watch)
{
	_cleanup_(hang_watch_freep) struct hang_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return -ENOMEM;
	watch->event = event;
	watch->look = look_new();
	if (!watch->look)
		return -ENOMEM;
	r = sd_event_add_time(event, &watch->timer, CLOCK_MONOTONIC, 0, 1, on_due, watch);
	if (r < 0)
		return r;
	sd_event_source_set_enabled(watch->timer, SD_EVENT_OFF);
	*ret_watch = steal_ptr(&watch);
	return 0;
}

struct hang_watch *hang_watch_free(struct hang_watch *watch)
{
	if (!watch)
		return NULL;
	sd_event_source_disable_unref(watch->timer);
	look_free(watch->look);
	free(watch);
	return NULL;
}

int hang_new(struct service *service, struct hang_watch *watch, const struct hang_told *told,
	     struct hang **ret_hang)
{
	struct hang *hang = calloc(1, sizeof(*hang));

	if (!hang)
		return -ENOMEM;
	hang->service = service;
	hang->watch = watch;
	hang->told = told;
	hang->next = watch->first;
	hang->due = USEC_INFINITY;
	watch->first = hang;
	*ret_hang = hang;
	return 0;
}

struct hang *hang_free(struct hang *hang)
{
	struct hang **link;

	if (!hang)
		return NULL;
	for (link = &hang->watch->first; *link != hang; link = &(*link)->next)
		;
	*link = hang->next;
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		stall_done(&hang->slots[slot].stall);
	free(hang);
	return NULL;
}
