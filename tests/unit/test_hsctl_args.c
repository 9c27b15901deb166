/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hsctl: what a command line means, and text from JSON that may have odd or missing fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/change/slot.h"
#include "hsctl/commandline.h"
#include "hsctl/json.h"
#include "hsctl/options.h"
#include "hsctl/show/progress.h"
#include "hsctl/show/render.h"
#include "hsctl/verb_table.h"
#include "hsctl/verbs.h"
#include "util/files.h"
#include "util/macro.h"

#define WORDS_MAX 16

/* Cuts a line at blanks; "_" stands for an empty word. */
static int parse(const char *line, struct arguments *arguments, struct problem *problem)
{
	static char text[1024], *argv[WORDS_MAX + 1];
	char *saved = NULL;
	int argc = 1;

	memset(argv, 0, sizeof(argv));
	argv[0] = "hsctl";
	assert_true(strlen(line) < sizeof(text));
	strcpy(text, line);
	for (char *word = strtok_r(text, " ", &saved); word; word = strtok_r(NULL, " ", &saved)) {
		assert_true(argc < WORDS_MAX);
		argv[argc++] = strcmp(word, "_") ? word : "";
	}
	problem->text[0] = '\0';
	return arguments_parse(argc, argv, arguments, problem);
}

static struct arguments parse_good(const char *line)
{
	struct arguments arguments;
	struct problem problem;

	if (parse(line, &arguments, &problem))
		fail_msg("\"%s\": %s", line, problem.text);
	return arguments;
}

static void test_defaults(void **state)
{
	struct arguments a = parse_good("switchover app");

	(void)state;
	assert_string_equal(a.verb->name, "switchover");
	assert_int_equal(a.n, 1);
	assert_string_equal(a.given[0], "app");
	assert_int_equal(a.to, GATE_STANDBY);
	assert_true(a.settle_usec == USEC_INFINITY && a.drain_usec == USEC_INFINITY);
	assert_true(a.timeout_usec == USEC_INFINITY);
	assert_int_equal(a.then, THEN_COUNT);
	assert_false(a.json || a.direct || a.no_block || a.no_ask_password || a.watch || a.list ||
		     a.follow);
	assert_true(a.color);
	assert_null(a.host);
	assert_null(a.machine);
}

static void test_values(void **state)
{
	struct arguments a =
		parse_good("switchover app --to=15 --settle=50ms --drain 1min --then "
			   "restart --timeout=2s --json --no-block --no-color --no-ask-password");

	(void)state;
	assert_int_equal(a.to, 15);
	assert_int_equal(a.settle_usec, 50 * USEC_PER_MSEC);
	assert_int_equal(a.drain_usec, 60 * USEC_PER_SEC);
	assert_int_equal(a.then, THEN_RESTART);
	assert_int_equal(a.timeout_usec, 2 * USEC_PER_SEC);
	assert_true(a.json && a.no_block && !a.color && a.no_ask_password);

	a = parse_good("switchover app --settle=0 --drain=0");
	assert_int_equal(a.settle_usec, 0);
	assert_int_equal(a.drain_usec, 0);
	a = parse_good("switchover app --settle=10min --drain=7d --to 0");
	assert_int_equal(a.settle_usec, CONFIG_SETTLE_MAX);
	assert_int_equal(a.drain_usec, CONFIG_DRAIN_MAX);
	assert_int_equal(a.to, 0);
	a = parse_good("events -n 0 -f");
	assert_true(a.follow && (a.options & OPTION_LINES) && a.lines == 0);
	a = parse_good("events -n1000000 app");
	assert_int_equal(a.lines, 1000000);
	a = parse_good("status -H root@host");
	assert_string_equal(a.host, "root@host");
	a = parse_good("status -Mcontainer --watch");
	assert_string_equal(a.machine, "container");
	assert_true(a.watch);
}

/* Options stand anywhere, whatever the environment says. */
static void test_order(void **state)
{
	static const char *const lines[] = {
		"--to=1 failover app",		"failover --to=1 app",
		"failover app --to=1",		"failover --to 1 -- app",
		"--json failover app --to 1",	"failover app --to=0 --to=1",
		"failover --direct app --to=1",
	};

	(void)state;
	for (int posix = 0; posix < 2; posix++) {
		if (posix)
			setenv("POSIXLY_CORRECT", "1", 1);
		for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
			struct arguments a = parse_good(lines[i]);

			assert_string_equal(a.verb->name, "failover");
			assert_string_equal(a.given[0], "app");
			assert_int_equal(a.n, 1);
			assert_int_equal(a.to, 1);
		}
	}
	unsetenv("POSIXLY_CORRECT");
}

static void test_help(void **state)
{
	static const char *const lines[] = {"--help",	 "-h",	      "switchover --help",
					    "--version", "policy -h", "enable --help --to=3",
					    "help",	 "help drill"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct arguments a = parse_good(lines[i]);

		assert_true(a.help || a.version);
	}
	assert_string_equal(parse_good("help drill").verb->name, "drill");
}

/* Each with a part of the sentence that it must be answered with. */
static void test_bad(void **state)
{
	static const struct {
		const char *line, *says;
	} cases[] = {
		{"", "what is to be done"},
		{"--json", "what is to be done"},
		{"_", "there is no verb"},
		{"help help", "there is no verb"},
		{"swichover app", "did you mean switchover"},
		{"switch app", "did you mean switchover"},
		{"fail-over app", "did you mean failover"},
		{"stauts", "did you mean status"},
		/* words of other programs, of which "retire" is none */
		{"restart app", "systemctl restart SERVICE@N"},
		{"reload app", "systemctl reload hsd"},
		{"stop app", "systemctl stop SERVICE@N"},
		{"logs app", "hsctl events"},
		{"restore app", "there is no verb \"restore\"; see hsctl --help"},
		{"startup app", "there is no verb \"startup\"; see hsctl --help"},
		{"list --jsno", "did you mean --json?"},
		{"switchover app --timout=3s", "did you mean --timeout?"},
		{"switchover app --setle=3s", "did you mean --settle?"},
		{"switchover app --verbose", "is not an option; see hsctl --help"},
		{"list app", "is too much"},
		{"dr4in app", "there is no verb \"dr4in\""},
		{"xyzzy app", "there is no verb \"xyzzy\"; see hsctl --help"},
		{"SWITCHOVER app", "there is no verb"},
		{"switchover", "too few arguments: hsctl switchover SERVICE"},
		{"switchover app web", "\"web\" is too much"},
		{"policy app", "too few"},
		{"policy app hash now", "is too much"},
		{"canary app", "too few"},
		{"switchover app --to=16", "0 to 15"},
		{"switchover app --to=-1", "0 to 15"},
		{"switchover app --to=1x", "0 to 15"},
		{"switchover app --to=", "0 to 15"},
		{"switchover app --to=99999999999999999999", "0 to 15"},
		{"switchover app --settle=-5ms", "--settle"},
		{"switchover app --settle=11min", "at most 10min"},
		{"switchover app --settle=infinity", "--settle"},
		{"switchover app --drain=8d", "at most 7d"},
		{"switchover app --drain=99999999999999999999s", "--drain"},
		{"switchover app --drain=soon", "such as 50ms"},
		{"switchover app --then=kill", "keep, stop or restart"},
		{"switchover app --then=", "keep, stop or restart"},
		{"switchover app --timeout=0", "above 0"},
		{"switchover app --timeout", "needs a value"},
		{"switchover app -H", "needs a value"},
		{"switchover app -H _", "a name"},
		{"switchover app --frobnicate", "\"--frobnicate\" is not an option"},
		{"switchover app --json=1", "\"--json=1\" is not an option"},
		{"switchover app -x", "no option -x"},
		{"switchover app --watch", "switchover takes no --watch"},
		{"status --to=1", "status takes no --to"},
		{"list -n 5", "list takes no -n"},
		{"status --follow", "status takes no -f"},
		{"failover app --drain=1s", "failover takes no --drain"},
		{"status --peer=a", "status takes no --peer"},
		{"switchover app --fastpath", "switchover takes no --fastpath"},
		{"switchover app --json --cat --to=1", "switchover takes no --cat"},
		{"events -n -1", "a number"},
		{"events -n 1000001", "a number"},
		{"events -n many", "a number"},
		{"status -H a -M b", "exclude each other"},
		{"status -H a --direct", "this machine only"},
		{"enable app@ -H a", "on the machine itself"},
		{"retire app@0.service -M a", "on the machine itself"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arguments a;
		struct problem problem;

		if (parse(cases[i].line, &a, &problem) != -EINVAL)
			fail_msg("\"%s\" was taken", cases[i].line);
		if (!strstr(problem.text, cases[i].says))
			fail_msg("\"%s\": %s", cases[i].line, problem.text);
	}
}

/* Whatever was typed, a terminal gets printable text of bounded length. */
static void test_bad_text(void **state)
{
	char huge[700] = "status --to=", escape[] = "\033[2J\a";
	struct arguments a;
	struct problem problem;

	(void)state;
	memset(huge + 12, '9', sizeof(huge) - 13);
	huge[sizeof(huge) - 1] = '\0';
	assert_int_equal(parse(huge, &a, &problem), -EINVAL);
	assert_true(strlen(problem.text) < 200);
	memset(huge, 'v', sizeof(huge) - 1);
	assert_int_equal(parse(huge, &a, &problem), -EINVAL);
	assert_true(strlen(problem.text) < 200);
	assert_int_equal(parse(escape, &a, &problem), -EINVAL);
	assert_null(strchr(problem.text, '\033'));
	assert_null(strchr(problem.text, '\a'));
}

static void test_service(void **state)
{
	static const struct {
		const char *line, *service, *says;
	} cases[] = {
		{"switchover app", "app", NULL},
		{"switchover app@", "app", NULL},
		{"switchover app@.service", "app", NULL},
		{"switchover a.b-c_d:e", "a.b-c_d:e", NULL},
		{"switchover app@0", NULL, "hsctl switchover app"},
		{"switchover app@0.service", NULL, "hsctl switchover app"},
		{"switchover app@.socket", NULL, "hsctl switchover app"},
		{"switchover ../etc", NULL, "is not the name of a service"},
		{"switchover _", NULL, "is not the name of a service"},
		{"switchover nginx.service", NULL, "is not the name of a service"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arguments a = parse_good(cases[i].line);
		char service[SERVICE_NAME_MAX] = "";
		struct problem problem = {0};
		int r = arguments_service(&a, service, &problem);

		assert_int_equal(r, cases[i].service ? 0 : -EINVAL);
		if (cases[i].service)
			assert_string_equal(service, cases[i].service);
		else if (!strstr(problem.text, cases[i].says))
			fail_msg("\"%s\": %s", cases[i].line, problem.text);
	}
}

static char *help_of(const struct verb *verb)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	verb_help(verb, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static bool tells_of(const char *help, const struct option_row *option)
{
	_cleanup_(freep) char *name = format("--%s", option->name);
	const char *found = help;

	while ((found = strstr(found, name))) {
		found += strlen(name);
		if (!strchr("abcdefghijklmnopqrstuvwxyz-", *found))
			return true;
	}
	return false;
}

/* Each option has its line of help, in its row and with each verb that takes it. */
static void test_every_option(void **state)
{
	const struct option_row *option;
	const struct verb *verb;

	(void)state;
	for (unsigned i = 0; (option = option_at(i)); i++) {
		_cleanup_(freep) char *all = help_of(NULL);

		assert_ptr_equal(option_find(option->name), option);
		assert_true(option->text && option->text[0]);
		if (!option->bits && !tells_of(all, option))
			fail_msg("hsctl --help does not tell of --%s", option->name);
		assert_true(!option->words || option->value != OPTION_SWITCH);
		for (unsigned j = 0; (verb = verb_at(j)); j++) {
			_cleanup_(freep) char *help = help_of(verb);

			if (verb->options & option->bits && !tells_of(help, option))
				fail_msg("hsctl %s --help does not tell of --%s", verb->name,
					 option->name);
		}
	}
}

/* By its own name, whatever else there is of the kind. */
static void test_options_of_others(void **state)
{
	static const char *const values[] = {"1", "1s", "keep"};
	const struct option_row *option;

	(void)state;
	for (unsigned i = 0; (option = option_at(i)); i++) {
		_cleanup_(freep) char *wanted = NULL;
		char name[OPTION_TEXT_MAX];
		struct problem problem = {0};
		struct arguments a;
		bool told = !option->bits;

		wanted = format("version takes no %s;", option_describe(option, name));
		for (size_t j = 0; j < ARRAY_SIZE(values) && !told; j++) {
			_cleanup_(freep) char *line =
				format("version --%s%s%s", option->name,
				       option->value == OPTION_VALUE ? "=" : "",
				       option->value == OPTION_VALUE ? values[j] : "");

			assert_int_equal(parse(line, &a, &problem), -EINVAL);
			told = strstr(problem.text, wanted);
		}
		if (!told)
			fail_msg("--%s: %s", option->name, problem.text);
	}
}

/* Every verb has what --help and the dispatch need, and no two are near each other by name. */
static void test_verbs(void **state)
{
	const struct verb *verb;

	(void)state;
	for (unsigned i = 0; (verb = verb_at(i)); i++) {
		_cleanup_(freep) char *text = NULL;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		assert_non_null(verb->run);
		assert_true(verb->min <= verb->max && verb->max <= ARGUMENTS_MAX);
		assert_ptr_equal(verb_find(verb->name), verb);
		assert_ptr_equal(verb_nearest(verb->name), verb->hidden ? NULL : verb);
		verb_help(verb, out);
		fclose(out);
		assert_non_null(strstr(text, verb->summary));
	}
	assert_null(verb_nearest(""));
	assert_null(verb_nearest("q"));
}

/* ---- text from JSON ---- */

typedef void (*render_fn)(const struct render *render, json_object *object);

/* The caller frees it. */
static char *render_text(render_fn fn, const char *json)
{
	_cleanup_(json_object_putp) json_object *object = json_parse(json);
	char *text = NULL;
	size_t size;
	struct render render = {
		.out = open_memstream(&text, &size),
		/* 2026-01-01T00:02:05Z */
		.now_usec = UINT64_C(1767225725) * USEC_PER_SEC,
	};

	assert_non_null(object);
	fn(&render, object);
	fclose(render.out);
	return text;
}

static void assert_shows(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is missing in:\n%s", part, text);
}

static const char good_status[] =
	"{\"service\":\"app\",\"policy\":\"standby\",\"generation\":7,\"active\":0,\"canary\":1,"
	"\"canary_share\":0.05,\"manager\":true,\"change\":\"switchover\","
	"\"listeners\":[{\"protocol\":\"tcp\",\"address\":\"0.0.0.0:8080\"},{\"protocol\":\"tcp\","
	"\"address\":\"[::]:8080\"}],\"slots\":[{\"slot\":0,\"unit\":\"app@0.service\",\"role\":"
	"\"active\",\"state\":\"ready\",\"main_pid\":123,\"sockets\":1,\"connections\":12,"
	"\"queued\":3,\"chosen\":1234,\"migrated_in\":5,\"since\":\"2026-01-01T00:00:00.000Z\"},"
	"{\"slot\":1,\"unit\":\"app@1.service\",\"role\":\"canary\",\"state\":\"not-adopted\","
	"\"main_pid\":null,\"connections\":null,\"since\":null,\"problem\":\"it is MPTCP.\"}],"
	"\"problem\":\"Settings are wrong.\"}";

static void test_status(void **state)
{
	_cleanup_(freep) char *text = render_text(render_status, good_status);

	(void)state;
	assert_shows(text, "app: policy standby, generation 7, canary slot 1 gets 5%, switchover "
			   "under way, hsd runs, 0.0.0.0:8080, [::]:8080\n");
	assert_shows(text, "active ready       123    12      3   1234        5 2min 5s ago");
	assert_shows(text, "canary not-adopted   -     -");
	assert_shows(text, "! Settings are wrong.\n");
	assert_shows(text, "! slot 1: it is MPTCP.\n");
	assert_null(strchr(text, '\033'));
}

/* What could not be asked is not shown as none. */
static void test_unknown_queue(void **state)
{
	static const char slot[] =
		"{\"slots\":[{\"slot\":0,\"connections\":8,\"queued\":null,\"half_open\":5,"
		"\"chosen\":9}]}";
	_cleanup_(freep) char *status = render_text(render_status, slot);
	_cleanup_(freep) char *connections = render_text(render_connections, slot);

	(void)state;
	assert_shows(status, "    8      ?      9 ");
	assert_shows(connections, "    8      ?         5 ");
}

/* Whatever another version sends: no crash, and what is there is shown. */
static void test_odd_status(void **state)
{
	static const struct {
		const char *json, *shows;
	} cases[] = {
		{"{}", ": policy , generation 0, seen without hsd, no listener"},
		{"[]", "no service is under hotstandby"},
		{"[{}]", "no listener"},
		{"[null,1,\"x\",[]]", "no listener"},
		{"{\"service\":\"app\",\"slots\":null}", "app: "},
		{"{\"service\":\"app\",\"slots\":{}}", "app: "},
		{"{\"service\":\"app\",\"slots\":[{}]}", "-"},
		{"{\"service\":\"app\",\"slots\":[null,7,[]]}", "SLOT"},
		{"{\"service\":7,\"generation\":\"x\",\"manager\":1}", "seen without hsd"},
		{"{\"slots\":[{\"slot\":\"0\",\"connections\":1.5,\"since\":\"yesterday\"}]}", "-"},
		{"{\"slots\":[{\"slot\":0,\"since\":\"2126-01-01T00:00:00Z\"}]}", "now"},
		{"{\"slots\":[{\"slot\":0,\"chosen\":18446744073709551615}]}", "SLOT"},
		{"{\"listeners\":[null,{}],\"canary\":1,\"canary_share\":\"much\"}", "gets 0%"},
		{"{\"service\":\"app\",\"parked\":null}", "park: ? wait\n"},
		{"{\"service\":\"app\",\"new\":{\"deep\":[1,2]},\"problem\":[]}", "app: "},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *text = render_text(render_status, cases[i].json);

		assert_shows(text, cases[i].shows);
	}
}

static void test_list(void **state)
{
	static const struct {
		const char *json, *shows;
	} cases[] = {
		{"[{\"service\":\"app\",\"policy\":\"standby\",\"active\":0,\"ready\":1,\"slots\":"
		 "2,"
		 "\"connections\":12,\"parked\":null,\"listeners\":[{\"protocol\":\"tcp\","
		 "\"address\":\"0.0.0.0:8080\"},{\"protocol\":\"tcp\",\"address\":\"[::]:8080\"}]}"
		 "]",
		 "app     standby      0   1/2    12      - 0.0.0.0:8080 [::]:8080"},
		{"[{\"service\":\"dim\",\"ready\":1,\"unknown\":1,\"slots\":2}]", "1?/2"},
		/* one that is left, and one that could not be */
		{"[{\"service\":\"app\",\"ready\":1,\"full\":2,\"slots\":2}]", "1/2, 2 full"},
		{"[{}, null]", "0/0"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *text = render_text(render_list, cases[i].json);

		assert_shows(text, cases[i].shows);
	}
}

static void test_connections(void **state)
{
	_cleanup_(freep) char *brief = render_text(
		render_connections,
		"{\"idle_after_ms\":60000,\"slots\":[{\"slot\":0,\"role\":\"active\","
		"\"connections\":12,\"queued\":3,\"half_open\":1,\"opened_per_s\":2.8,"
		"\"oldest_ms\":7265999,\"idle\":4,\"longest_idle_ms\":61500},{\"slot\":1,"
		"\"role\":\"canary\",\"connections\":null,\"half_open\":null}],"
		"\"park\":{\"connections\":5,\"queued\":5},\"problem\":\"It does not tell.\"}");
	_cleanup_(freep) char *full = render_text(
		render_connections,
		"{\"slots\":[{\"slot\":0}],\"connections\":[{\"slot\":0,\"peer\":\"10.0.0.1:999\","
		"\"local\":\"10.0.0.2:80\",\"state\":\"established\",\"idle_ms\":1500},{},null]}");
	_cleanup_(freep) char *none =
		render_text(render_connections, "{\"slots\":[],\"connections\":[]}");

	(void)state;
	assert_shows(brief, "IDLE>=1min");
	assert_shows(brief, "   0 active    12      3         1 2.8/s 2h 1min          4 1min 1s");
	assert_shows(brief, "   1 canary     -      -         -     -");
	assert_shows(brief, "park -          5      5         -");
	assert_shows(brief, "! It does not tell.");
	assert_null(strstr(brief, "FLOWS"));
	assert_null(strstr(brief, "PEER"));
	assert_shows(full, "   0 10.0.0.1:999 10.0.0.2:80 established   -   1s");
	assert_shows(none, "no connection");
}

static void test_progress(void **state)
{
	static const char *const steps[] = {
		"{\"step\":\"flip\",\"from\":0,\"to\":1,\"text\":\"flip: slot 1 is ready\"}",
		"{\"step\":\"drain\",\"from\":0,\"to\":1,\"text\":\"drain: 2 left\"}",
		"{\"step\":\"drain\",\"from\":0,\"to\":1,\"text\":\"drain: 1 left\"}",
		"{\"step\":\"done\",\"from\":0,\"to\":1,\"text\":\"done\"}",
		"{}",
		"not JSON",
		"",
	};
	_cleanup_(freep) char *text = NULL;
	struct progress progress;
	size_t size;

	(void)state;
	progress_init(&progress, open_memstream(&text, &size));
	assert_int_equal(progress_on_step(steps[0], &progress), 0);
	assert_false(progress.flipped);
	for (size_t i = 1; i < ARRAY_SIZE(steps); i++)
		assert_int_equal(progress_on_step(steps[i], &progress), 0);
	progress_end(&progress);
	fclose(progress.out);
	assert_string_equal(text, "flip: slot 1 is ready\ndrain: 2 left\n");
	assert_true(progress.flipped);
	assert_int_equal(progress.from, 0);
	assert_int_equal(progress.to, 1);

	progress_init(&progress, NULL);
	progress.until_flip = true;
	assert_int_equal(progress_on_step(steps[0], &progress), 0);
	assert_int_equal(progress_on_step(steps[1], &progress), 1);
}

/* The command begins behind the arguments, with "--" or without; nothing of it is ours. */
static void test_command(void **state)
{
	static const char *const lines[] = {
		"exec app 1 -- curl --json -v x",
		"exec app 1 curl --json -v x",
		"--direct exec app --timeout=2s 1 curl --json -v x",
		"exec -- app 1 curl --json -v x",
	};
	struct arguments a;
	struct problem problem;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		a = parse_good(lines[i]);
		assert_int_equal(a.n, 2);
		assert_string_equal(a.given[1], "1");
		assert_non_null(a.command);
		assert_string_equal(a.command[0], "curl");
		assert_string_equal(a.command[1], "--json");
		assert_string_equal(a.command[3], "x");
		assert_null(a.command[4]);
		assert_false(a.json);
	}
	a = parse_good("exec app 1 -- --version");
	assert_string_equal(a.command[0], "--version");
	assert_false(a.version);
	assert_int_equal(parse("exec app 1", &a, &problem), -EINVAL);
	assert_int_equal(parse("exec app 1 --", &a, &problem), -EINVAL);
	assert_int_equal(parse("exec app 1 --nosuch true", &a, &problem), -EINVAL);
	assert_int_equal(parse("-H host exec app 1 true", &a, &problem), -EINVAL);
	assert_null(parse_good("exec --help").command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bad_text),
		cmocka_unit_test(test_service),
		cmocka_unit_test(test_every_option),
		cmocka_unit_test(test_options_of_others),
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_unknown_queue),
		cmocka_unit_test(test_odd_status),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_command),
	};

	verb_table_use();
	return cmocka_run_group_tests_name("hsctl_args", tests, NULL, NULL);
}
