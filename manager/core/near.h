/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a word was perhaps meant by one that was typed. */
#pragma once

#define NEAR_LENGTH_MAX 24

/* How many letters must be changed, added, left out or exchanged with their neighbour; 1 for the
 * beginning of it. -1 = that is too many for the same word to be meant: more than one in four. */
int near_distance(const char *typed, const char *word);
