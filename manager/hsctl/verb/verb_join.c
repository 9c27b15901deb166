// SPDX-License-Identifier: GPL-2.0-or-later
/* leave, join: this host says that it takes no new clients of its services, and waits until those
 * it has are gone; or that it does again. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "hsctl/direct.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb/verb_join.h"
#include "hsctl/verb_functions.h"
#include "plane/leaving.h"
#include "system/configfile.h"
#include "util/clock.h"
#include "util/macro.h"
#include "util/parse.h"
#include "util/strings.h"

/* Balancers ask every one or two seconds, and some want to hear it twice. */
#define NOTICE_DEFAULT	 (5 * USEC_PER_SEC)
#define DEADLINE_DEFAULT (30 * USEC_PER_SEC)
#define LOOK_EVERY	 (200 * USEC_PER_MSEC)

/* All that are named, or all that there are; those without pins, which nobody can come to, apart.
 */
struct party {
	struct direct *services;
	size_t n;
};

static void party_done(struct party *party)
{
	for (size_t i = 0; i < party->n; i++)
		direct_close(&party->services[i]);
	free(party->services);
}

static int add(struct party *party, const char *name, bool named)
{
	struct direct *grown, *direct;
	struct problem problem = {0};
	int r;

	grown = reallocarray(party->services, party->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	party->services = grown;
	direct = &grown[party->n];
	memset(direct, 0, sizeof(*direct));
	r = direct_open(name, direct, &problem);
	if (!r) {
		party->n++;
		return 0;
	}
	if (r == -ENOENT && !named)
		return 0;
	complain("%s", problem.text);
	return r;
}

/* Returns the exit code. */
static int gather(const struct arguments *arguments, struct party *ret_party)
{
	_cleanup_(strings_freep) char **names = NULL;
	struct arguments one = *arguments;
	char name[SERVICE_NAME_MAX];
	int r = arguments->n ? 0 : configfile_list(&names);

	for (unsigned i = 0; r >= 0 && i < arguments->n; i++) {
		one.given[0] = arguments->given[i];
		if (verb_service(&one, name))
			return EXIT_USAGE;
		r = add(ret_party, name, true);
	}
	for (size_t i = 0; r >= 0 && names && names[i]; i++)
		r = add(ret_party, names[i], false);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

static int set_all(struct party *party, bool left)
{
	int exit = EXIT_DONE;

	for (size_t i = 0; i < party->n; i++) {
		int r = plane_set_left(party->services[i].plane, left);

		if (r < 0) {
			complain("%s: that cannot be noted: %s; it is of a release before, which "
				 "the next hsd takes over: systemctl restart hsd",
				 party->services[i].service, strerror(-r));
			exit = EXIT_FAILED;
		}
	}
	return exit;
}

static uint64_t count_left(const struct party *party)
{
	uint64_t left = 0;

	for (size_t i = 0; i < party->n; i++)
		for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++) {
			struct slot_totals totals = {0};

			plane_slot_totals(party->services[i].plane, slot, &totals);
			left += totals.connections;
		}
	return left;
}

/* Until balancers have noticed, and the connections have ended; at most the deadline. */
static uint64_t wait_for_end(const struct party *party, uint64_t notice_usec,
			     uint64_t deadline_usec)
{
	uint64_t begun = now_usec(), left, now;

	for (;;) {
		left = count_left(party);
		now = now_usec();
		if ((!left && now >= begun + notice_usec) || now >= begun + deadline_usec)
			return left;
		usleep(LOOK_EVERY);
	}
}

static int read_deadline(const struct arguments *arguments, uint64_t *ret_usec)
{
	const char *text = arguments->texts[TEXT_DEADLINE];

	*ret_usec = DEADLINE_DEFAULT;
	if (!text || (parse_span(text, ret_usec) >= 0 && *ret_usec <= CONFIG_DRAIN_MAX))
		return 0;
	complain("\"%.40s\" is no value for --deadline; it takes a time of at most 7d, such as "
		 "30s or 5min",
		 text);
	return EXIT_USAGE;
}

static const char *names_of(const struct party *party, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < party->n && n < size; i++)
		n += (size_t)snprintf(text + n, size - n, "%s%s", i ? ", " : "",
				      party->services[i].service);
	return party->n ? text : "no service";
}

int leave_host(const struct arguments *arguments)
{
	_cleanup_(party_done) struct party party = {0};
	uint64_t notice, deadline, left;
	char names[256];
	int exit;

	if (read_deadline(arguments, &deadline))
		return EXIT_USAGE;
	notice = arguments->settle_usec != USEC_INFINITY ? arguments->settle_usec : NOTICE_DEFAULT;
	exit = gather(arguments, &party);
	if (exit != EXIT_DONE)
		return exit;
	exit = set_all(&party, true);
	if (exit != EXIT_DONE || !party.n)
		return exit;
	printf("%s: this host leaves; balancers that ask hsctl agent send it nothing new.\n",
	       names_of(&party, names, sizeof(names)));
	fflush(stdout);
	left = wait_for_end(&party, notice, deadline);
	if (left)
		printf("%" PRIu64 " connection%s left at the deadline.\n", left,
		       left == 1 ? " is" : "s are");
	else
		puts("No connection is left.");
	return EXIT_DONE;
}

int verb_join(const struct arguments *arguments)
{
	_cleanup_(party_done) struct party party = {0};
	char names[256];
	int exit;

	exit = gather(arguments, &party);
	if (exit != EXIT_DONE)
		return exit;
	exit = set_all(&party, false);
	if (exit == EXIT_DONE)
		printf("%s: this host takes new clients.\n",
		       names_of(&party, names, sizeof(names)));
	return exit;
}
