// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/watch/selection.h"

#include <string.h>
#include <syslog.h>

#include "service/slot/adoption.h"
#include "service/slot/instance.h"
#include "util/clock.h"
#include "util/macro.h"

/* Connections are compared with look-ups over this time, and twice in a row: a handshake is begun
 * in one and finished in the other, and so may many be at once after a pause of the network. */
#define WINDOW (500 * USEC_PER_MSEC)
/* So many connections of a window that nobody was asked about mean something. */
#define UNASKED_MIN 4
/* Between two times that it is attached again: at first, and at most. */
#define AGAIN_MIN (1 * USEC_PER_SEC)
#define AGAIN_MAX (60 * USEC_PER_SEC)
/* One burst: after so much longer without, it is told again. */
#define BURST_FACTOR 10
/* It is told so much later: a process that listens there, too, may have come with it, and is found
 * a moment after that. */
#define TELL_AFTER (300 * USEC_PER_MSEC)
/* So long it is shown. */
#define SHOWN_USEC (600 * USEC_PER_SEC)

struct counts {
	uint64_t opened, asked;
	uint64_t unasked[HS_PLACES_MAX]; /* of each; modulo 2^64 */
};

struct selection {
	struct service *service;
	uint64_t read; /* when `last` was; 0 = not lately */
	struct counts last;
	bool strange;	       /* so was the window before */
	uint64_t again, delay; /* it is not attached again before */
	uint64_t shown_until;
	struct problem problem;
	sd_event_source *telling; /* about what follows */
	struct problem how;
	unsigned gained; /* a slot, HS_SLOT_PARK or HS_SLOT_NONE */
};

/* ---- counts ---- */

static int add_place(const struct plane *plane, unsigned place, struct counts *counts)
{
	struct slot_totals totals;
	uint64_t asked;
	int r = plane_slot_counted(plane, place, &totals);

	if (r < 0)
		return r;
	/* what moves was asked about when it came */
	asked = totals.chosen + totals.fell_through;
	counts->opened += totals.opened;
	counts->asked += asked;
	counts->unasked[place] = totals.opened - asked;
	return 0;
}

static int read_counts(const struct service *service, struct counts *ret_counts)
{
	int r;

	*ret_counts = (struct counts) {0};
	r = plane_asked_otherwise(service->plane, &ret_counts->asked);
	for (unsigned i = 0; !r && i < service->n_slots; i++)
		r = add_place(service->plane, i, ret_counts);
	return r ? r : add_place(service->plane, HS_SLOT_PARK, ret_counts);
}

/* Who clearly got most of those that the selector was not asked about: a slot, or HS_SLOT_PARK;
 * else HS_SLOT_NONE. What a preview rule sent, such as probes, is among them, for all slots alike.
 */
static unsigned gainer(const struct selection *selection, const struct counts *now)
{
	int64_t most = 0, second = 0;
	unsigned found = HS_SLOT_NONE;

	for (unsigned i = 0; i < HS_PLACES_MAX; i++) {
		int64_t gain = (int64_t)(now->unasked[i] - selection->last.unasked[i]);

		if (gain > most) {
			second = most;
			most = gain;
			found = i;
		} else {
			second = MAX(second, gain);
		}
	}
	return most - second >= UNASKED_MIN ? found : HS_SLOT_NONE;
}

/* ---- what is done ---- */

static void describe_gainer(const struct selection *selection, unsigned slot, struct problem *text)
{
	const struct service *service = selection->service;
	const struct instance *instance;

	problem_set(text, 0, "%s", slot == HS_SLOT_PARK ? "; most came to the park" : "");
	if (slot >= service->n_slots)
		return;
	instance = service->instances[slot];
	problem_set(text, 0, "; most came to slot %u (%s, process %d)", slot, instance->unit,
		    (int)instance_facts(instance)->main_pid);
}

/* Instances are known; of others, those that are in the way. */
static void describe_others(const struct service *service, struct problem *text)
{
	const struct foreign *first = service->foreign.found;

	text->text[0] = '\0';
	if (service->foreign.n)
		problem_set(text, 0, ", and so can process %d (%s%s%s), which listens there too",
			    (int)first->holder.pid, first->holder.comm,
			    first->holder.unit[0] ? ", " : "", first->holder.unit);
}

/* Then a probe may come to them without anybody's having touched the selector; and they are told of
 * by themselves. */
static bool somebody_is_in_front(const struct service *service)
{
	for (unsigned i = 0; i < service->foreign.n; i++)
		if (service->foreign.found[i].in_front)
			return true;
	return false;
}

static void tell(struct selection *selection)
{
	struct service *service = selection->service;
	unsigned slot = selection->gained;
	struct journal_scope scope = {service->name, slot < service->n_slots ? (int)slot : -1,
				      LOG_WARNING};
	struct problem gained, others;

	if (somebody_is_in_front(service))
		return;
	describe_gainer(selection, slot, &gained);
	describe_others(service, &others);
	problem_set(&selection->problem, 0,
		    "the selector was replaced or taken off: %s%s. It is attached again; each "
		    "instance can do that%s",
		    selection->how.text, gained.text, others.text);
	selection->shown_until = now_usec() + SHOWN_USEC;
	journal_log(JOURNAL_REPLACED, &scope, "%s: %s", service->name, selection->problem.text);
}

static int on_telling(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct selection *selection = userdata;

	(void)usec;
	selection->telling = sd_event_source_disable_unref(source);
	tell(selection);
	return 0;
}

static void tell_soon(struct selection *selection, const char *how, unsigned gained)
{
	problem_set(&selection->how, 0, "%s", how);
	selection->gained = gained;
	if (!selection->telling &&
	    sd_event_add_time_relative(selection->service->host->event, &selection->telling,
				       CLOCK_MONOTONIC, TELL_AFTER, USEC_PER_MSEC, on_telling,
				       selection) < 0)
		tell(selection);
}

/* False: that was tried a moment ago. */
static bool attach_again(struct selection *selection, const char *how, unsigned gained)
{
	struct service *service = selection->service;
	uint64_t now = now_usec();

	if (now < selection->again)
		return false;
	if (now < selection->again + BURST_FACTOR * selection->delay) {
		selection->delay = MIN(2 * selection->delay, AGAIN_MAX);
	} else {
		selection->delay = AGAIN_MIN;
		selection->problem.text[0] = '\0';
		tell_soon(selection, how, gained);
	}
	selection->again = now + selection->delay;
	selection->shown_until = now + SHOWN_USEC;
	/* what is counted until it is done says nothing new */
	selection->read = 0;
	selection->strange = false;
	/* adopted, one that was taken out of service would be back in it */
	for (unsigned i = 0; i < service->n_slots; i++)
		if (!plane_is_retired(service->plane, i))
			adoption_retry(service->instances[i]);
	return true;
}

/* Without traffic nobody looks, and a window has no end. */
static bool is_recent(const struct selection *selection, uint64_t now)
{
	return selection->read && now < selection->read + 2 * WINDOW;
}

void selection_look(struct selection *selection, uint64_t now)
{
	struct counts counts;
	bool strange, known;
	uint64_t opened, asked;

	if (!selection || now < selection->read + WINDOW)
		return;
	known = is_recent(selection, now);
	if (read_counts(selection->service, &counts) < 0)
		return;
	opened = counts.opened - selection->last.opened;
	asked = counts.asked - selection->last.asked;
	strange = known && opened >= asked + UNASKED_MIN;
	selection->read = now;
	if (strange && selection->strange)
		attach_again(selection, "connections come that it was not asked about",
			     gainer(selection, &counts));
	else
		selection->strange = strange;
	selection->last = counts;
}

bool selection_on_stray(struct selection *selection, unsigned slot)
{
	unsigned gained = HS_SLOT_NONE;
	struct counts counts;
	char how[96];

	if (!selection)
		return false;
	if (is_recent(selection, now_usec()) && !read_counts(selection->service, &counts))
		gained = gainer(selection, &counts);
	snprintf(how, sizeof(how), "a probe of slot %u was answered, and not by way of it", slot);
	return attach_again(selection, how, gained);
}

const struct problem *selection_problem(const struct selection *selection)
{
	if (!selection || !selection->problem.text[0] || now_usec() >= selection->shown_until)
		return NULL;
	return &selection->problem;
}

int selection_new(struct service *service, struct selection **ret_selection)
{
	struct selection *selection = calloc(1, sizeof(*selection));

	if (!selection)
		return -ENOMEM;
	selection->service = service;
	*ret_selection = selection;
	return 0;
}

struct selection *selection_free(struct selection *selection)
{
	if (!selection)
		return NULL;
	sd_event_source_disable_unref(selection->telling);
	free(selection);
	return NULL;
}
