// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/commandline.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "core/change/slot.h"
#include "hsctl/options.h"
#include "hsctl/typed.h"
#include "hsctl/verbs.h"
#include "util/macro.h"

/* getopt_long() names an option by its letter, or by its row and this. */
#define ROW_BASE 256

static int set_verb(struct arguments *a, const char *name, struct problem *problem)
{
	const char *hint = verb_hint(name);
	const struct verb *near;

	/* "hsctl help switchover" is what many type first; a word more and it is --help */
	if (!a->help && !strcmp(name, "help")) {
		a->help = true;
		return 0;
	}
	a->verb = verb_find(name);
	if (a->verb)
		return 0;
	if (hint)
		return problem_set(problem, -EINVAL,
				   "there is no verb \"%s\"; what you want may be "
				   "%s",
				   typed_show(name).text, hint);
	near = verb_nearest(name);
	if (near)
		return problem_set(problem, -EINVAL, "there is no verb \"%s\"; did you mean %s?",
				   typed_show(name).text, near->name);
	return problem_set(problem, -EINVAL, "there is no verb \"%s\"; see hsctl --help",
			   typed_show(name).text);
}

/* `place`: where it is on the command line. */
static int add_argument(struct arguments *a, char **place, struct problem *problem)
{
	const char *text = *place;

	if (!a->verb)
		return set_verb(a, text, problem);
	if (a->n == a->verb->max && a->verb->command) {
		a->command = place;
		return 0;
	}
	if (a->n == a->verb->max)
		return problem_set(problem, -EINVAL, "\"%s\" is too much: hsctl %s %s",
				   typed_show(text).text, a->verb->name, a->verb->arguments);
	a->given[a->n++] = text;
	return 0;
}

static int unknown_option(const char *typed, struct problem *problem)
{
	const struct option_row *near = option_nearest(typed);

	if (near)
		return problem_set(problem, -EINVAL, "\"%s\" is not an option; did you mean --%s?",
				   typed_show(typed).text, near->name);
	return problem_set(problem, -EINVAL, "\"%s\" is not an option; see hsctl --help",
			   typed_show(typed).text);
}

static const struct option_row *row_of(int option)
{
	return option < ROW_BASE ? option_of_letter((char)option)
				 : option_at((unsigned)(option - ROW_BASE));
}

static int on_option(struct arguments *a, int option, char **argv, struct problem *problem)
{
	const char *typed = argv[optind - 1];

	if (option == 1)
		return add_argument(a, &argv[optind - 1], problem);
	if (option == ':')
		return problem_set(problem, -EINVAL, "%s needs a value", typed_show(typed).text);
	if (option == '?' && optopt && optopt < ROW_BASE)
		return problem_set(problem, -EINVAL, "there is no option -%c; see hsctl --help",
				   optopt >= ' ' && optopt < 0x7f ? optopt : '?');
	if (option == '?')
		return unknown_option(typed, problem);
	return option_apply(row_of(option), a, optarg, problem);
}

/* The first that the verb does not take. NULL: it takes all. */
static const struct option_row *wrong_option(const struct arguments *a)
{
	const struct option_row *row;

	for (unsigned i = 0; (row = option_at(i)); i++)
		if (a->seen[i] && row->bits & ~a->verb->options)
			return row;
	return NULL;
}

static int check_places(const struct arguments *a, struct problem *problem)
{
	if (a->host && a->machine)
		return problem_set(problem, -EINVAL, "-H and -M exclude each other");
	if (!a->host && !a->machine)
		return 0;
	if (a->direct)
		return problem_set(problem, -EINVAL,
				   "--direct works on this machine only; run it there: "
				   "ssh HOST hsctl --direct %s",
				   a->verb->name);
	if (a->verb->stays && a->host)
		return problem_set(problem, -EINVAL,
				   "%s works on the machine itself: %s; run it there: "
				   "ssh %.64s hsctl %s",
				   a->verb->name, a->verb->stays, typed_show(a->host).text,
				   a->verb->name);
	if (a->verb->stays)
		return problem_set(problem, -EINVAL,
				   "%s works on the machine itself: %s; run it there: "
				   "systemd-run --machine=%.64s --pty hsctl %s",
				   a->verb->name, a->verb->stays, typed_show(a->machine).text,
				   a->verb->name);
	return 0;
}

static int check(struct arguments *a, struct problem *problem)
{
	const struct option_row *wrong;
	char name[OPTION_TEXT_MAX];

	if (a->help || a->version || a->list_verbs)
		return 0;
	if (!a->verb)
		return problem_set(problem, -EINVAL, "what is to be done? See hsctl --help");
	wrong = wrong_option(a);
	if (wrong)
		return problem_set(problem, -EINVAL, "%s takes no %s; see hsctl %s --help",
				   a->verb->name, option_describe(wrong, name), a->verb->name);
	if ((a->n < a->verb->min && !a->outdated) || (a->verb->command && !a->command))
		return problem_set(problem, -EINVAL, "too few arguments: hsctl %s %s",
				   a->verb->name, a->verb->arguments);
	if (a->n > a->verb->min && a->verb->options & OPTION_OUTDATED && !a->outdated)
		return problem_set(problem, -EINVAL, "\"%s\" is too much: hsctl %s %s",
				   typed_show(a->given[a->verb->min]).text, a->verb->name,
				   a->verb->arguments);
	return check_places(a, problem);
}

/* For the hsctl of another machine. */
static void keep_words(struct arguments *a, char **argv, int from, int to)
{
	for (; from < to && a->n_words < ARGUMENTS_WORDS_MAX; from++)
		a->words[a->n_words++] = argv[from];
}

static bool is_elsewhere(int option)
{
	const struct option_row *row = row_of(option);

	return row && row->elsewhere;
}

/* For getopt_long(3). In order (the '-'), whatever POSIXLY_CORRECT says; a missing value is told
 * apart (the ':'). */
static void make_options(struct option options[OPTIONS_MAX + 1], char letters[OPTIONS_MAX + 8])
{
	static const int values[] = {
		[OPTION_SWITCH] = no_argument,
		[OPTION_MAY_HAVE_VALUE] = optional_argument,
		[OPTION_VALUE] = required_argument,
	};
	const struct option_row *row;
	unsigned i;

	letters = stpcpy(letters, "-:");
	for (i = 0; (row = option_at(i)); i++) {
		options[i] =
			(struct option) {row->name, values[row->value], NULL, ROW_BASE + (int)i};
		if (row->letter)
			letters += sprintf(letters, "%c%s", row->letter,
					   row->value == OPTION_VALUE ? ":" : "");
	}
	options[i] = (struct option) {0};
}

int arguments_parse(int argc, char **argv, struct arguments *ret_arguments, struct problem *problem)
{
	struct arguments a = {
		.by_unit = argc && !strcmp(argv[0], "hs-hook"),
		.color = true,
		.timeout_usec = USEC_INFINITY,
		.to = GATE_STANDBY,
		.settle_usec = USEC_INFINITY,
		.drain_usec = USEC_INFINITY,
		.then = THEN_COUNT,
	};
	struct option options[OPTIONS_MAX + 1];
	char letters[OPTIONS_MAX + 8];
	int option, from = 1, r = 0;

	make_options(options, letters);
	opterr = 0;
	optind = 0; /* begin anew, whatever was read before */
	while (!r && !a.command && (from = MAX(optind, 1)) &&
	       (option = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		r = on_option(&a, option, argv, problem);
		if (!is_elsewhere(option))
			keep_words(&a, argv, from, optind);
	}
	keep_words(&a, argv, from, argc);
	for (; !r && !a.command && optind < argc; optind++) /* behind "--" */
		r = add_argument(&a, &argv[optind], problem);
	if (!r)
		r = check(&a, problem);
	if (r < 0)
		return r;
	*ret_arguments = a;
	return 0;
}
