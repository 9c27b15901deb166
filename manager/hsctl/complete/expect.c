// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/complete/expect.h"

#include <stdio.h>
#include <string.h>

#include "util/macro.h"

#define TOKENS_MAX 8
#define TOKEN_MAX  64

static void offer(struct expect *expect, enum offer_kind kind, const char *words)
{
	if (expect->n == EXPECT_MAX || kind == OFFER_NONE)
		return;
	expect->offers[expect->n].kind = kind;
	expect->offers[expect->n++].words = words;
}

/* ---- options and their values ---- */

static void offer_value(struct expect *expect, const char *option)
{
	const struct option_row *row = option_find(option);

	if (!row)
		return;
	/* what is of others there is a prefix of addresses */
	if (row->offer == OFFER_UNITS && expect->verb && strcmp(expect->verb->name, "enable"))
		return;
	if (row->offer != OFFER_WORDS)
		offer(expect, row->offer, NULL);
	if (row->words)
		offer(expect, OFFER_WORDS, row->words);
	expect->command = -1;
}

/* The option whose value is the next word: "--to", "-n"; NULL when it has none, or has it. */
static const char *waits_for_value(const char *word)
{
	const struct option_row *option = NULL;

	if (!strncmp(word, "--", 2))
		option = option_find(word + 2);
	else if (word[0] == '-' && word[1] && !word[2])
		option = option_of_letter(word[1]);
	return option && option->value == OPTION_VALUE ? option->name : NULL;
}

/* "--to=" and what stands behind: 'to', and the prefix. */
static bool is_assigned(const char *word, char ret_name[TOKEN_MAX])
{
	const char *equals = strchr(word, '=');

	if (strncmp(word, "--", 2) || !equals || equals - word - 2 >= TOKEN_MAX)
		return false;
	snprintf(ret_name, TOKEN_MAX, "%.*s", (int)(equals - word - 2), word + 2);
	return true;
}

static bool was_given(const struct expect *expect, const struct option_row *option)
{
	for (int i = 0; i < expect->n_words; i++) {
		const char *word = expect->words[i];
		size_t length = strlen(option->name);

		if (!strncmp(word, "--", 2) && !strncmp(word + 2, option->name, length) &&
		    (!word[2 + length] || word[2 + length] == '='))
			return true;
		if (option->letter && word[0] == '-' && word[1] == option->letter)
			return true;
	}
	return false;
}

bool expect_takes(const struct expect *expect, const struct option_row *option)
{
	const struct verb *verb = expect->verb;

	if (was_given(expect, option) || (option->elsewhere && verb && verb->stays))
		return false;
	if (!option->bits)
		return !verb || !option->alone;
	return verb && verb->options & option->bits;
}

/* ---- arguments, by the line that says how the verb is used ---- */

/* Cuts "[SERVICE...]" to "SERVICE"; *ret_more: it may stand several times. */
static void strip(const char *token, char ret_text[TOKEN_MAX], bool *ret_more)
{
	size_t length;

	token += *token == '[';
	snprintf(ret_text, TOKEN_MAX, "%s", token);
	length = strcspn(ret_text, "]");
	ret_text[length] = '\0';
	*ret_more = length > 3 && !strcmp(ret_text + length - 3, "...");
	if (*ret_more)
		ret_text[length - 3] = '\0';
}

static void offer_argument(struct expect *expect, const char *token)
{
	static const struct {
		const char *token;
		enum offer_kind kind;
		const char *words;
	} known[] = {
		{"SERVICE", OFFER_SERVICES, NULL},
		{"TEMPLATE", OFFER_TEMPLATES, NULL},
		{"SLOT", OFFER_SLOTS, NULL},
		{"FILE", OFFER_FILES, NULL},
		{"SLOT|none", OFFER_SLOTS, NULL},
		{"SLOT|none", OFFER_WORDS, "none"},
		{"SHARE%|off", OFFER_WORDS, "off|1%|5%|10%|50%"},
		{"PERCENT%", OFFER_WORDS, "0%|25%|50%|100%|200%"},
		{"check", OFFER_WORDS, "check"},
	};
	static const char *const choices[] = {"standby|parity|hash", "start|stop|reload"};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(token, known[i].token))
			offer(expect, known[i].kind, known[i].words);
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++)
		if (!strcmp(token, choices[i]))
			offer(expect, OFFER_WORDS, choices[i]);
}

static bool has_word(const struct expect *expect, const char *word)
{
	for (int i = 0; i < expect->n_words; i++)
		if (!strcmp(expect->words[i], word))
			return true;
	return false;
}

/* One way to use the verb: "check [FILE...]". `given`: the arguments so far. */
static void offer_by(struct expect *expect, char *usage, const char *const *given, unsigned n_given)
{
	char *saved = NULL, token[TOKEN_MAX];
	unsigned place = 0;
	bool more = false;

	for (char *word = strtok_r(usage, " ", &saved); word; word = strtok_r(NULL, " ", &saved)) {
		if (word[0] == '-') {
			if (!has_word(expect, word))
				return;
			continue;
		}
		strip(word, token, &more);
		if (place == n_given || more) {
			offer_argument(expect, token);
			return;
		}
		/* a word of our own has to be that word */
		if (token[0] >= 'a' && !strchr(token, '|') && strcmp(token, given[place]))
			return;
		place++;
	}
}

static void offer_arguments(struct expect *expect, const char *const *given, unsigned n_given)
{
	char usage[256], *way = usage, *end;

	snprintf(usage, sizeof(usage), "%s", expect->verb->arguments);
	for (; way; way = end) {
		end = strstr(way, " | ");
		if (end) {
			*end = '\0';
			end += 3;
		}
		offer_by(expect, way, given, n_given);
	}
}

/* ---- the line ---- */

struct line {
	const char *given[TOKENS_MAX];
	unsigned n;
	const char *option;	  /* that waits for its value; NULL: none */
	bool helps, named, ended; /* "help" was said; a verb was; "--" was */
};

static void take_word(struct expect *expect, struct line *line, const char *word)
{
	if (!line->ended && word[0] == '-' && word[1]) {
		line->ended = !strcmp(word, "--");
		line->option = waits_for_value(word);
		expect->elsewhere |= !strncmp(word, "-H", 2) || !strncmp(word, "-M", 2) ||
				     !strncmp(word, "--host", 6) || !strncmp(word, "--machine", 9);
	} else if (!line->named && !line->helps && !strcmp(word, "help")) {
		line->helps = true;
	} else if (!line->named) {
		expect->verb = verb_find(word);
		line->named = true;
	} else if (line->n < TOKENS_MAX) {
		line->given[line->n++] = word;
	}
}

/* The command of exec has a completion of its own, wherever it begins. */
static bool is_command(const struct expect *expect, const struct line *line)
{
	return expect->verb && expect->verb->command && line->n >= expect->verb->max;
}

static int read_words(struct expect *expect, struct line *line)
{
	for (int i = 0; i < expect->n_words; i++) {
		if (line->option) {
			line->option = NULL;
			continue;
		}
		if (is_command(expect, line) && (line->ended || expect->words[i][0] != '-'))
			return i;
		take_word(expect, line, expect->words[i]);
	}
	if (line->option || !is_command(expect, line) || (!line->ended && expect->word[0] == '-'))
		return -1;
	return expect->n_words;
}

static void split_prefix(struct expect *expect, size_t length)
{
	/* what is longer is not ours */
	length = MIN(length, sizeof(expect->prefix) - 1);
	memcpy(expect->prefix, expect->word, length);
	expect->prefix[length] = '\0';
	expect->word += length;
}

static void offer_next(struct expect *expect, const struct line *line)
{
	char name[TOKEN_MAX];

	if (line->option) {
		offer_value(expect, line->option);
	} else if (!line->ended && is_assigned(expect->word, name)) {
		split_prefix(expect, strlen(name) + strlen("--="));
		offer_value(expect, name);
	} else if (!line->ended && expect->word[0] == '-') {
		offer(expect, OFFER_OPTIONS, NULL);
	} else if (!line->named) {
		offer(expect, OFFER_VERBS, NULL);
		if (!line->helps)
			offer(expect, OFFER_WORDS, "help");
	} else if (expect->verb && !line->helps) {
		offer_arguments(expect, line->given, line->n);
	}
}

void expect_next(struct expect *expect, int n, char *const *words)
{
	struct line line = {0};
	const char *comma;

	*expect = (struct expect) {.words = words, .n_words = n - 1, .word = words[n - 1]};
	expect->command = read_words(expect, &line);
	expect->service = line.n ? line.given[0] : NULL;
	if (expect->command >= 0) {
		offer(expect, OFFER_COMMAND, NULL);
		return;
	}
	offer_next(expect, &line);
	comma = strrchr(expect->word, ',');
	if (expect->n && expect->offers[0].kind == OFFER_SCENARIOS && comma) {
		size_t before = strlen(expect->prefix);

		expect->word -= before;
		split_prefix(expect, (size_t)(comma + 1 - expect->word));
	}
}
