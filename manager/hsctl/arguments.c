// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/arguments.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/change/slot.h"
#include "core/near.h"
#include "hsctl/verbs.h"
#include "util/macro.h"
#include "util/parse.h"

#define LINES_MAX 1000000

/* Long options without a letter. */
enum {
	LONG_JSON = 256,
	LONG_TIMEOUT,
	LONG_NO_BLOCK,
	LONG_DIRECT,
	LONG_NO_COLOR,
	LONG_NO_ASK_PASSWORD,
	LONG_VERSION,
	LONG_LIST_VERBS,
	LONG_TO,
	LONG_SETTLE,
	LONG_DRAIN,
	LONG_THEN,
	LONG_WATCH,
	LONG_LIST,
	LONG_ALL,
	LONG_YES,
	LONG_PUT_BACK,
	LONG_OUTDATED,
	LONG_SMOKE_MAY_BE_SILENT,
	LONG_ALIAS,
	LONG_NO_ALIAS,
	LONG_MUST_CONNECT,
	LONG_CAT,
	LONG_SCHEMA,
	LONG_WITH_ADDRESSES,
	LONG_WITH_ENVIRONMENT,
	LONG_OPENMETRICS,
	LONG_DRY_RUN,
	LONG_HASH,
	LONG_HTTP,
	LONG_EXIT,
	LONG_SERVE,
	LONG_FASTPATH,
	LONG_TEXT /* + enum text_option */
};

/* In order (the '-'), whatever POSIXLY_CORRECT says; a missing value is told apart (the ':'). */
#define LETTERS "-:hH:M:fn:"

static const struct option long_options[] = {
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, LONG_VERSION},
	{"list-verbs", no_argument, NULL, LONG_LIST_VERBS},
	{"json", no_argument, NULL, LONG_JSON},
	{"timeout", required_argument, NULL, LONG_TIMEOUT},
	{"no-block", no_argument, NULL, LONG_NO_BLOCK},
	{"direct", no_argument, NULL, LONG_DIRECT},
	{"no-color", no_argument, NULL, LONG_NO_COLOR},
	{"no-ask-password", no_argument, NULL, LONG_NO_ASK_PASSWORD},
	{"host", required_argument, NULL, 'H'},
	{"machine", required_argument, NULL, 'M'},
	{"to", required_argument, NULL, LONG_TO},
	{"settle", required_argument, NULL, LONG_SETTLE},
	{"drain", required_argument, NULL, LONG_DRAIN},
	{"then", required_argument, NULL, LONG_THEN},
	{"watch", no_argument, NULL, LONG_WATCH},
	{"list", no_argument, NULL, LONG_LIST},
	{"follow", no_argument, NULL, 'f'},
	{"lines", required_argument, NULL, 'n'},
	{"all", no_argument, NULL, LONG_ALL},
	{"yes", no_argument, NULL, LONG_YES},
	{"put-back", no_argument, NULL, LONG_PUT_BACK},
	{"outdated", no_argument, NULL, LONG_OUTDATED},
	{"smoke-may-be-silent", no_argument, NULL, LONG_SMOKE_MAY_BE_SILENT},
	{"alias", optional_argument, NULL, LONG_ALIAS},
	{"no-alias", no_argument, NULL, LONG_NO_ALIAS},
	{"must-connect", no_argument, NULL, LONG_MUST_CONNECT},
	{"cat", no_argument, NULL, LONG_CAT},
	{"schema", no_argument, NULL, LONG_SCHEMA},
	{"with-addresses", no_argument, NULL, LONG_WITH_ADDRESSES},
	{"with-environment", no_argument, NULL, LONG_WITH_ENVIRONMENT},
	{"openmetrics", no_argument, NULL, LONG_OPENMETRICS},
	{"dry-run", no_argument, NULL, LONG_DRY_RUN},
	{"hash", no_argument, NULL, LONG_HASH},
	{"http", no_argument, NULL, LONG_HTTP},
	{"exit", no_argument, NULL, LONG_EXIT},
	{"serve", no_argument, NULL, LONG_SERVE},
	{"fastpath", no_argument, NULL, LONG_FASTPATH},
	{"scenario", required_argument, NULL, LONG_TEXT + TEXT_SCENARIO},
	{"repeat", required_argument, NULL, LONG_TEXT + TEXT_REPEAT},
	{"rate", required_argument, NULL, LONG_TEXT + TEXT_RATE},
	{"max-gap", required_argument, NULL, LONG_TEXT + TEXT_MAX_GAP},
	{"max-lost", required_argument, NULL, LONG_TEXT + TEXT_MAX_LOST},
	{"report", required_argument, NULL, LONG_TEXT + TEXT_REPORT},
	{"probe", required_argument, NULL, LONG_TEXT + TEXT_PROBE},
	{"smoke", required_argument, NULL, LONG_TEXT + TEXT_SMOKE},
	{"smoke-timeout", required_argument, NULL, LONG_TEXT + TEXT_SMOKE_TIMEOUT},
	{"canary", required_argument, NULL, LONG_TEXT + TEXT_CANARY},
	{"hold", required_argument, NULL, LONG_TEXT + TEXT_HOLD},
	{"probation", required_argument, NULL, LONG_TEXT + TEXT_PROBATION},
	{"ready", required_argument, NULL, LONG_TEXT + TEXT_READY},
	{"deadline", required_argument, NULL, LONG_TEXT + TEXT_DEADLINE},
	{"from", required_argument, NULL, LONG_TEXT + TEXT_FROM},
	{"by", required_argument, NULL, LONG_TEXT + TEXT_BY},
	{"slot", required_argument, NULL, LONG_TEXT + TEXT_SLOT},
	{"idle", required_argument, NULL, LONG_TEXT + TEXT_IDLE},
	{"path", required_argument, NULL, LONG_TEXT + TEXT_PATH},
	{"since", required_argument, NULL, LONG_TEXT + TEXT_SINCE},
	{"output", required_argument, NULL, LONG_TEXT + TEXT_OUTPUT},
	{"peer", required_argument, NULL, LONG_TEXT + TEXT_PEER},
	{},
};

/* Which verb's options they are. */
static const unsigned text_options[TEXT_COUNT] = {
	[TEXT_SCENARIO... TEXT_PROBE] = OPTION_DRILL,
	[TEXT_SMOKE... TEXT_READY] = OPTION_UPGRADE,
	[TEXT_DEADLINE] = OPTION_DEADLINE,
	[TEXT_FROM] = OPTION_FROM,
	[TEXT_BY] = OPTION_BY,
	[TEXT_SLOT... TEXT_IDLE] = OPTION_CONNECTIONS,
	[TEXT_PATH] = OPTION_PATH,
	[TEXT_SINCE] = OPTION_SINCE,
	[TEXT_OUTPUT] = OPTION_REPORT,
	[TEXT_PEER] = OPTION_PEER,
};

/* Text that was typed goes into our sentences cut short, and without what a terminal would obey. */
struct shown {
	char text[64];
};

static struct shown show(const char *typed)
{
	struct shown shown = {0};
	size_t i = 0;

	for (; typed[i] && i < sizeof(shown.text) - 1; i++)
		shown.text[i] = typed[i] >= ' ' && typed[i] != 0x7f ? typed[i] : '?';
	if (typed[i])
		memcpy(shown.text + sizeof(shown.text) - 4, "...", 3);
	return shown;
}

static int wrong_value(const char *option, const char *value, const char *wanted,
		       struct problem *problem)
{
	return problem_set(problem, -EINVAL, "\"%s\" is no value for %s; it takes %s",
			   show(value).text, option, wanted);
}

static int set_span(const char *option, const char *value, uint64_t max, uint64_t *usec,
		    struct problem *problem)
{
	uint64_t span;

	if (parse_span(value, &span) < 0)
		return wrong_value(option, value, "a time, such as 50ms, 30s or 2min", problem);
	if (span > max)
		return wrong_value(option, value,
				   max == CONFIG_SETTLE_MAX ? "at most 10min" : "at most 7d",
				   problem);
	*usec = span;
	return 0;
}

static int set_timeout(struct arguments *a, const char *value, struct problem *problem)
{
	int r = set_span("--timeout", value, CONFIG_DRAIN_MAX, &a->timeout_usec, problem);

	if (!r && !a->timeout_usec)
		return wrong_value("--timeout", value, "a time above 0", problem);
	return r;
}

static int set_to(struct arguments *a, const char *value, struct problem *problem)
{
	uint64_t slot;

	if (parse_unsigned(value, 0, HS_SLOTS_MAX - 1, &slot) < 0)
		return wrong_value("--to", value, "the number of a slot, 0 to 15", problem);
	a->to = slot;
	return 0;
}

static int set_lines(struct arguments *a, const char *value, struct problem *problem)
{
	uint64_t lines;

	if (parse_unsigned(value, 0, LINES_MAX, &lines) < 0)
		return wrong_value("-n", value, "a number, 0 for all", problem);
	a->lines = lines;
	return 0;
}

static int set_then(struct arguments *a, const char *value, struct problem *problem)
{
	a->then = switchover_then_from_string(value);
	if (a->then == THEN_COUNT)
		return wrong_value("--then", value, "keep, stop or restart", problem);
	return 0;
}

static int set_text(const char *option, const char *value, const char **text,
		    struct problem *problem)
{
	if (!value[0])
		return wrong_value(option, value, "a name", problem);
	*text = value;
	return 0;
}

/* Options that all verbs take. -ENOENT: it is none of them. */
static int set_common(struct arguments *a, int option, const char *value, struct problem *problem)
{
	switch (option) {
	case 'h':
		a->help = true;
		return 0;
	case LONG_VERSION:
		a->version = true;
		return 0;
	case LONG_LIST_VERBS:
		a->list_verbs = true;
		return 0;
	case LONG_JSON:
		a->json = true;
		return 0;
	case LONG_NO_BLOCK:
		a->no_block = true;
		return 0;
	case LONG_DIRECT:
		a->direct = true;
		return 0;
	case LONG_NO_COLOR:
		a->color = false;
		return 0;
	case LONG_NO_ASK_PASSWORD:
		a->no_ask_password = true;
		return 0;
	case LONG_TIMEOUT:
		return set_timeout(a, value, problem);
	case 'H':
		return set_text("-H", value, &a->host, problem);
	case 'M':
		return set_text("-M", value, &a->machine, problem);
	default:
		return -ENOENT;
	}
}

/* Of options without a place in texts[]. */
static const struct {
	int option;
	unsigned bit;
} special_bits[] = {
	{LONG_TO, OPTION_TO},
	{LONG_SETTLE, OPTION_SETTLE},
	{LONG_DRAIN, OPTION_DRAIN},
	{LONG_THEN, OPTION_THEN},
	{LONG_WATCH, OPTION_WATCH},
	{LONG_LIST, OPTION_LIST},
	{'f', OPTION_FOLLOW},
	{'n', OPTION_LINES},
	{LONG_ALL, OPTION_DRILL},
	{LONG_YES, OPTION_DRILL},
	{LONG_PUT_BACK, OPTION_DRILL},
	{LONG_OUTDATED, OPTION_OUTDATED},
	{LONG_SMOKE_MAY_BE_SILENT, OPTION_UPGRADE},
	{LONG_ALIAS, OPTION_ALIAS},
	{LONG_NO_ALIAS, OPTION_ALIAS},
	{LONG_MUST_CONNECT, OPTION_EXEC},
	{LONG_CAT, OPTION_CONFIG},
	{LONG_SCHEMA, OPTION_CONFIG},
	{LONG_WITH_ADDRESSES, OPTION_REPORT},
	{LONG_WITH_ENVIRONMENT, OPTION_REPORT},
	{LONG_OPENMETRICS, OPTION_OPENMETRICS},
	{LONG_DRY_RUN, OPTION_DRY_RUN},
	{LONG_HASH, OPTION_HASH},
	{LONG_HTTP, OPTION_AGENT},
	{LONG_EXIT, OPTION_AGENT},
	{LONG_SERVE, OPTION_AGENT},
	{LONG_FASTPATH, OPTION_FASTPATH},
};

/* Which verbs take it; 0: all. */
static unsigned bits_of(int option)
{
	for (size_t i = 0; i < ARRAY_SIZE(special_bits); i++)
		if (special_bits[i].option == option)
			return special_bits[i].bit;
	return option >= LONG_TEXT ? text_options[option - LONG_TEXT] : 0;
}

bool arguments_option(unsigned index, struct argument_option *ret_option)
{
	static const enum argument_value values[] = {
		[no_argument] = ARGUMENT_SWITCH,
		[optional_argument] = ARGUMENT_MAY_HAVE_VALUE,
		[required_argument] = ARGUMENT_VALUE,
	};
	const struct option *option = &long_options[index];

	if (index + 1 >= ARRAY_SIZE(long_options))
		return false;
	*ret_option = (struct argument_option) {
		.name = option->name,
		.letter = option->val < 256 ? (char)option->val : '\0',
		.value = values[option->has_arg],
		.bits = bits_of(option->val),
		.alone = option->val == LONG_VERSION || option->val == LONG_LIST_VERBS,
	};
	return true;
}

/* NULL: it has a value, or is told by its bit alone. */
static bool *special_switch(struct arguments *a, int option)
{
	switch (option) {
	case LONG_ALL:
		return &a->all;
	case LONG_YES:
		return &a->yes;
	case LONG_PUT_BACK:
		return &a->put_back;
	case LONG_SMOKE_MAY_BE_SILENT:
		return &a->smoke_may_be_silent;
	case LONG_ALIAS:
		return &a->alias;
	case LONG_NO_ALIAS:
		return &a->no_alias;
	case LONG_MUST_CONNECT:
		return &a->must_connect;
	case LONG_CAT:
		return &a->cat;
	case LONG_SCHEMA:
		return &a->schema;
	case LONG_WITH_ADDRESSES:
		return &a->with_addresses;
	case LONG_WITH_ENVIRONMENT:
		return &a->with_environment;
	case LONG_OPENMETRICS:
		return &a->openmetrics;
	case LONG_DRY_RUN:
		return &a->dry_run;
	case LONG_HASH:
		return &a->hash;
	case LONG_HTTP:
		return &a->http;
	case LONG_EXIT:
		return &a->by_exit;
	case LONG_SERVE:
		return &a->serve;
	default:
		return NULL;
	}
}

/* Options that some verbs take; which, is checked when the verb is known. */
static int set_special(struct arguments *a, int option, const char *value, struct problem *problem)
{
	bool *on = special_switch(a, option);

	if (option >= LONG_TEXT) {
		a->texts[option - LONG_TEXT] = value;
		a->options |= bits_of(option);
		return 0;
	}
	a->options |= bits_of(option);
	if (on)
		*on = true;
	switch (option) {
	case LONG_TO:
		return set_to(a, value, problem);
	case LONG_SETTLE:
		return set_span("--settle", value, CONFIG_SETTLE_MAX, &a->settle_usec, problem);
	case LONG_DRAIN:
		return set_span("--drain", value, CONFIG_DRAIN_MAX, &a->drain_usec, problem);
	case LONG_THEN:
		return set_then(a, value, problem);
	case 'n':
		return set_lines(a, value, problem);
	case LONG_ALIAS:
		a->alias_name = value;
		return 0;
	default:
		return 0;
	}
}

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
				   show(name).text, hint);
	near = verb_nearest(name);
	if (near)
		return problem_set(problem, -EINVAL, "there is no verb \"%s\"; did you mean %s?",
				   show(name).text, near->name);
	return problem_set(problem, -EINVAL, "there is no verb \"%s\"; see hsctl --help",
			   show(name).text);
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
				   show(text).text, a->verb->name, a->verb->arguments);
	a->given[a->n++] = text;
	return 0;
}

/* The option that was perhaps meant by "--timout=3s"; NULL when none is near. */
static const char *nearest_option(const char *typed)
{
	char name[NEAR_LENGTH_MAX + 1];
	const char *nearest = NULL;
	int best = INT_MAX, d;

	typed += strspn(typed, "-");
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(typed, "="), typed);
	for (const struct option *option = long_options; option->name; option++) {
		d = near_distance(name, option->name);
		if (d < 0 || d >= best)
			continue;
		best = d;
		nearest = option->name;
	}
	return nearest;
}

static int unknown_option(const char *typed, struct problem *problem)
{
	const char *near = nearest_option(typed);

	if (near)
		return problem_set(problem, -EINVAL, "\"%s\" is not an option; did you mean --%s?",
				   show(typed).text, near);
	return problem_set(problem, -EINVAL, "\"%s\" is not an option; see hsctl --help",
			   show(typed).text);
}

static int on_option(struct arguments *a, int option, char **argv, struct problem *problem)
{
	const char *typed = argv[optind - 1];
	int r;

	if (option == 1)
		return add_argument(a, &argv[optind - 1], problem);
	if (option == ':')
		return problem_set(problem, -EINVAL, "%s needs a value", show(typed).text);
	if (option == '?' && optopt && optopt < 256)
		return problem_set(problem, -EINVAL, "there is no option -%c; see hsctl --help",
				   optopt >= ' ' && optopt < 0x7f ? optopt : '?');
	if (option == '?')
		return unknown_option(typed, problem);
	r = set_common(a, option, optarg, problem);
	return r == -ENOENT ? set_special(a, option, optarg, problem) : r;
}

static const char *option_name(unsigned bits)
{
	if (bits & OPTION_DRILL)
		return "option of drill";
	if (bits & OPTION_UPGRADE)
		return "option of upgrade";
	if (bits & OPTION_DEADLINE)
		return "--deadline";
	if (bits & OPTION_BY)
		return "--by";
	if (bits & OPTION_DRY_RUN)
		return "--dry-run";
	if (bits & OPTION_AGENT)
		return "option of agent";
	if (bits & OPTION_HASH)
		return "--hash";
	if (bits & OPTION_CONNECTIONS)
		return "option of connections";
	if (bits & OPTION_OUTDATED)
		return "--outdated";
	if (bits & OPTION_PATH)
		return "--path";
	if (bits & OPTION_FROM)
		return "--from";
	if (bits & OPTION_ALIAS)
		return "--alias";
	if (bits & OPTION_EXEC)
		return "--must-connect";
	if (bits & OPTION_CONFIG)
		return "option of config";
	if (bits & OPTION_SINCE)
		return "--since";
	if (bits & OPTION_REPORT)
		return "option of report";
	if (bits & OPTION_OPENMETRICS)
		return "--openmetrics";
	static const char *const names[] = {"--to",    "--settle", "--drain", "--then",
					    "--watch", "--list",   "-f",      "-n"};

	return names[__builtin_ctz(bits)];
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
				   a->verb->name, a->verb->stays, show(a->host).text,
				   a->verb->name);
	if (a->verb->stays)
		return problem_set(problem, -EINVAL,
				   "%s works on the machine itself: %s; run it there: "
				   "systemd-run --machine=%.64s --pty hsctl %s",
				   a->verb->name, a->verb->stays, show(a->machine).text,
				   a->verb->name);
	return 0;
}

static int check(struct arguments *a, struct problem *problem)
{
	unsigned wrong;

	if (a->help || a->version || a->list_verbs)
		return 0;
	if (!a->verb)
		return problem_set(problem, -EINVAL, "what is to be done? See hsctl --help");
	wrong = a->options & ~a->verb->options;
	if (wrong)
		return problem_set(problem, -EINVAL, "%s takes no %s; see hsctl %s --help",
				   a->verb->name, option_name(wrong), a->verb->name);
	a->outdated = a->options & OPTION_OUTDATED;
	if ((a->n < a->verb->min && !a->outdated) || (a->verb->command && !a->command))
		return problem_set(problem, -EINVAL, "too few arguments: hsctl %s %s",
				   a->verb->name, a->verb->arguments);
	if (a->n > a->verb->min && a->verb->options & OPTION_OUTDATED && !a->outdated)
		return problem_set(problem, -EINVAL, "\"%s\" is too much: hsctl %s %s",
				   show(a->given[a->verb->min]).text, a->verb->name,
				   a->verb->arguments);
	return check_places(a, problem);
}

/* For the hsctl of another machine. */
static void keep_words(struct arguments *a, char **argv, int from, int to)
{
	for (; from < to && a->n_words < ARGUMENTS_WORDS_MAX; from++)
		a->words[a->n_words++] = argv[from];
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
	int option, from = 1, r = 0;

	opterr = 0;
	optind = 0; /* begin anew, whatever was read before */
	while (!r && !a.command && (from = MAX(optind, 1)) &&
	       (option = getopt_long(argc, argv, LETTERS, long_options, NULL)) != -1) {
		r = on_option(&a, option, argv, problem);
		if (option != 'H' && option != 'M')
			keep_words(&a, argv, from, optind);
	}
	keep_words(&a, argv, from, argc);
	for (; !r && !a.command && optind < argc; optind++) /* behind "--" */
		r = add_argument(&a, &argv[optind], problem);
	if (!r)
		r = check(&a, problem);
	if (r < 0)
		return r;
	a.watch = a.options & OPTION_WATCH;
	a.list = a.options & OPTION_LIST;
	a.follow = a.options & OPTION_FOLLOW;
	*ret_arguments = a;
	return 0;
}

int arguments_service(const struct arguments *arguments, char ret_service[SERVICE_NAME_MAX],
		      struct problem *problem)
{
	const char *text = arguments->given[0];
	char guess[SERVICE_NAME_MAX];

	if (!name_from_template(text, ret_service))
		return 0;
	if (!name_guess(text, guess))
		return problem_set(problem, -EINVAL,
				   "\"%s\" is not a service; the service is meant: hsctl %s %s",
				   show(text).text, arguments->verb->name, guess);
	return problem_set(problem, -EINVAL, "\"%s\" is not the name of a service; see hsctl list",
			   show(text).text);
}
