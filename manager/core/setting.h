/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One key of a configuration file: its kind and bounds, in a table; and the sentence when a value
 * is none. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/macro.h"
#include "util/problem.h"

/* An assignment, as it stands in the file. */
struct setting_text {
	const char *key, *value;
	struct problem *problem; /* may be NULL */
};

enum setting_kind {
	SETTING_SPAN,	/* uint64_t: microseconds */
	SETTING_NUMBER, /* unsigned */
	SETTING_SWITCH, /* bool */
	SETTING_WORD,	/* an enum of the size of unsigned: index in `words` */
	SETTING_OTHER,	/* `parse` knows */
	SETTING_KINDS
};

struct setting {
	const char *section, *name;
	const char *value; /* the default, as text: an empty assignment is read as that */
	const char *help;  /* one line */
	enum setting_kind kind;
	size_t offset; /* of the field in the object */
	uint64_t min, max;
	bool or_zero; /* a span of 0 is fine whatever `min` says */
	const char *const *words;
	unsigned n_words;
	int (*parse)(void *object, const struct setting_text *text);
	/* what SETTING_OTHER takes, in a word; NULL: one of `words` */
	const char *form;
	bool list; /* may stand several times; an empty one takes back those before it */
};

/* "span", "number", "switch", "word", or its form. */
const char *setting_type(const struct setting *setting);

/* Reads the value into the object's field. -EINVAL: the field is as it was, and `problem` says the
 * assignment, the reason and what is allowed, in printable ASCII whatever stood in the file. */
int setting_set(const struct setting *setting, void *object, const char *value,
		struct problem *problem);

/* The sentence "KEY=VALUE is ..."; returns -EINVAL. */
_printf_(2, 3) int setting_refuse(const struct setting_text *text, const char *template, ...);

#define SETTING_QUOTED_MAX 64
/* What a message quotes from a file: printable ASCII and not endless. Returns `quoted`. */
const char *setting_quote(const char *text, char quoted[SETTING_QUOTED_MAX]);
