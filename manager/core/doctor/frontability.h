/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of packets that a front sends on, and how that came out when it was tried with the
 * programs that are used, between two devices of a network namespace made for it
 * (plane/selftest/selftest_front.h); and what of it counts at the front's own device.
 */
#pragma once

#include "core/config/config_front.h"
#include "core/doctor/ability.h"

enum front_ability {
	FRONT_SENDS,	 /* behind the driver (generic) each comes out as it has to be */
	FRONT_CHECKSUMS, /* also one whose checksum was left to a card that there is not */
	FRONT_IN_DRIVER, /* in the driver, too */
	FRONT_ABILITY_COUNT
};

/* Where the program is. */
struct front_place {
	unsigned mode; /* enum front_mode */
	char device[IFNAMSIZ];
	bool native;
	bool is_pair; /* a veth: what comes in by it may be of this machine itself */
};

/* "front.sends", as hsctl doctor has it. */
const char *front_ability_to_string(enum front_ability ability);
const char *front_ability_what(enum front_ability ability);
const char *front_ability_why(enum front_ability ability);
/* Returns `text`. */
const char *front_ability_remedy(enum front_ability ability, const struct front_place *place,
				 char text[PROBLEM_TEXT_MAX]);
/* Whether it is of any matter there. */
bool front_ability_counts(enum front_ability ability, const struct front_place *place);
/* Whether clients' packets come out wrong: then the sentence says which, why, and what to do. What
 * could not be tried is not held against it, nor what depends on who sends. */
bool front_ability_is_wrong(const struct ability_result *results, const struct front_place *place,
			    struct problem *ret_sentence);
