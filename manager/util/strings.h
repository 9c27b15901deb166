/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists of strings that own their strings and end with a NULL, as sd-bus returns them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/macro.h"

/* Frees strings and list. NULL is an empty list, here and below. */
void strings_free(char **list);
DEFINE_CLEANUP(char *, strings_free)

size_t strings_count(char *const *list);
bool strings_contain(char *const *list, const char *text);
/* The same strings in the same order. */
bool strings_equal(char *const *a, char *const *b);

/* Appends a copy; -ENOMEM leaves the list as it was. */
int strings_add(char ***list, const char *text);
/* Appends the string itself, which must come from malloc(); frees it on failure. NULL is -ENOMEM,
 * so that the result of format() can be given directly. */
int strings_take(char ***list, char *text);

/* By strcmp(). */
void strings_sort(char **list);
