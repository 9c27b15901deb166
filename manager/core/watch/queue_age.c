// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/watch/queue_age.h"

#include <string.h>

#include "util/macro.h"

static void drop_first(struct queue_age *age)
{
	memmove(age->looks, age->looks + 1, --age->n * sizeof(*age->looks));
}

void queue_age_look(struct queue_age *age, uint64_t now, unsigned waiting, uint64_t grain)
{
	struct queue_look *last;

	/* shorter than can be: somebody else took some out, from the head */
	if (age->left + waiting < age->arrived)
		queue_age_take(age, age->arrived - age->left - waiting);
	if (age->left + waiting == age->arrived)
		return;
	age->arrived = age->left + waiting;
	last = age->n ? &age->looks[age->n - 1] : NULL;
	if (last && (now - last->first <= grain || age->n == QUEUE_LOOKS_MAX)) {
		/* later rather than too early for some */
		last->last = now;
		last->arrived = age->arrived;
		return;
	}
	age->looks[age->n++] = (struct queue_look) {now, now, age->arrived};
}

void queue_age_take(struct queue_age *age, unsigned n)
{
	age->left = MIN(age->left + n, age->arrived);
	while (age->n && age->looks[0].arrived <= age->left)
		drop_first(age);
}

unsigned queue_age_due(const struct queue_age *age, uint64_t now, uint64_t timeout)
{
	uint64_t due = age->left;

	for (unsigned i = 0; i < age->n && age->looks[i].last + timeout <= now; i++)
		due = age->looks[i].arrived;
	return due - age->left;
}

uint64_t queue_age_wake(const struct queue_age *age, uint64_t timeout)
{
	return age->n ? age->looks[0].last + timeout : USEC_INFINITY;
}
