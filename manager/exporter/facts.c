// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporter/facts.h"

#include <errno.h>
#include <stdio.h>

#include "hsctl/client.h"
#include "hsctl/json.h"
#include "util/clock.h"
#include "util/macro.h"

/* Who scrapes waits for ten seconds, as a rule. */
#define ASK_USEC  (4 * USEC_PER_SEC)
#define KEEP_USEC (1 * USEC_PER_SEC)

/* One of these is asked after the other, by one thread. */
static struct {
	struct metrics_facts facts;
	uint64_t until;
} kept;

static enum client_answer ask(const char *method, json_object **ret_object, struct problem *problem)
{
	static const struct arguments anybody = {.timeout_usec = USEC_INFINITY};
	const struct client_call call = {.method = method, .timeout_usec = ASK_USEC};
	struct reply reply = {0};
	enum client_answer answer = client_ask(&anybody, &call, &reply, "");

	*ret_object = answer == CLIENT_ANSWERED ? json_parse(reply.text) : NULL;
	*problem = reply.problem;
	reply_done(&reply);
	return answer;
}

static void forget(void)
{
	json_object_put(kept.facts.manager);
	json_object_put(kept.facts.services);
	kept.facts = (struct metrics_facts) {0};
	kept.until = 0;
}

/* Once, each time that it goes away: in the journal is why. */
static void tell_away(const struct problem *problem)
{
	static bool told;

	if (!kept.facts.up && !told)
		fprintf(stderr, "hotstandby-exporter: hsd does not answer: %s\n", problem->text);
	told = !kept.facts.up;
}

static int get(struct problem *problem)
{
	enum client_answer answer = ask("Describe", &kept.facts.services, problem);
	struct problem ignored;

	if (answer == CLIENT_REFUSED)
		return -EBUSY;
	kept.facts.up = answer == CLIENT_ANSWERED;
	tell_away(problem);
	/* an older hsd does not know this one: then there is less to tell */
	if (kept.facts.up)
		(void)ask("DescribeManager", &kept.facts.manager, &ignored);
	return 0;
}

int facts_get(struct metrics_facts *ret_facts, struct problem *problem)
{
	int r = 0;

	if (now_usec() >= kept.until) {
		forget();
		r = get(problem);
		/* a refusal is told to who gets it, and not kept */
		kept.until = r < 0 ? 0 : now_usec() + KEEP_USEC;
	}
	if (r < 0)
		return r;
	*ret_facts = kept.facts;
	return 0;
}
