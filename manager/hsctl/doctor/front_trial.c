// SPDX-License-Identifier: GPL-2.0-or-later
/* __front-trial: what hsd has done by hotstandby-front@SERVICE.service, as it may make no network
 * namespace itself. */
#include "hsctl/doctor/front_trial.h"

#include <string.h>
#include <syslog.h>

#include "hsctl/direct.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "plane/plane_front.h"
#include "plane/selftest/selftest_front.h"
#include "system/journal.h"
#include "util/macro.h"

/* A hundredth of it is taken where nothing is slow. */
#define TRIAL_MS 10000

DEFINE_CLEANUP(struct selftest, selftest_free)

void front_trial(const struct front *front, unsigned mode, struct front_place *ret_place,
		 struct ability_result ret_results[FRONT_ABILITY_COUNT])
{
	_cleanup_(selftest_freep) struct selftest *selftest = NULL;
	int r = selftest_front_start(mode, &selftest);

	*ret_place = (struct front_place) {
		.mode = mode, .native = front_is_native(front), .is_pair = front_is_pair(front)};
	snprintf(ret_place->device, sizeof(ret_place->device), "%s", front_device(front));
	if (r >= 0) {
		memcpy(ret_results, selftest_finish(selftest, TRIAL_MS),
		       FRONT_ABILITY_COUNT * sizeof(*ret_results));
		return;
	}
	for (unsigned i = 0; i < FRONT_ABILITY_COUNT; i++) {
		ret_results[i].verdict = ABILITY_UNKNOWN;
		snprintf(ret_results[i].detail, sizeof(ret_results[i].detail),
			 "no process for it: %s", strerror(-r));
	}
}

/* For who reads the journal of the unit: also what could not be tried. */
static void tell(const struct ability_result results[FRONT_ABILITY_COUNT])
{
	static const char *const words[] = {[ABILITY_UNKNOWN] = "not tried",
					    [ABILITY_WORKS] = "works",
					    [ABILITY_FAILS] = "fails"};

	for (unsigned i = 0; i < FRONT_ABILITY_COUNT; i++)
		printf("%s: %s%s%s\n", front_ability_to_string(i), words[results[i].verdict],
		       results[i].detail[0] ? ": " : "", results[i].detail);
}

int verb_front_trial(const struct arguments *arguments)
{
	struct journal_scope scope = {.slot = -1, .priority = LOG_WARNING};
	struct ability_result results[FRONT_ABILITY_COUNT];
	struct problem problem = {0};
	char service[SERVICE_NAME_MAX];
	struct front_place place;
	struct direct direct;
	bool wrong = false;

	if (arguments_service(arguments, service, &problem) < 0 ||
	    direct_open(service, &direct, &problem) < 0) {
		complain("%s", problem.text);
		return EXIT_FAILED;
	}
	if (plane_is_front(direct.plane)) {
		front_trial(plane_front(direct.plane), direct.config.front.mode, &place, results);
		tell(results);
		wrong = front_ability_is_wrong(results, &place, &problem);
	}
	scope.service = service;
	if (wrong)
		journal_log(JOURNAL_PROBLEM, &scope, "%s: %s", service, problem.text);
	direct_close(&direct);
	return wrong ? EXIT_FAILED : EXIT_DONE;
}
