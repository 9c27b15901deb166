/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hsctl/settings: what holds and where it stands, what is wrong, the table of all keys, and the
 * copy that an editor is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hsctl/json.h"
#include "hsctl/settings/check.h"
#include "hsctl/settings/draft.h"
#include "hsctl/settings/effective.h"
#include "hsctl/settings/schema.h"
#include "util/files.h"

#define ETC HS_SYSCONFDIR "/hotstandby/"
#define LIB HS_PREFIX "/lib/hotstandby/"

static int make_root(void **state)
{
	char template[] = "/tmp/hotstandby-test-XXXXXX";

	*state = mkdtemp(template) ? strdup(template) : NULL;
	configfile_set_root(*state);
	return *state ? 0 : -1;
}

static int remove_root(void **state)
{
	_cleanup_(freep) char *command = format("rm -rf '%s'", (char *)*state);
	int r = system(command);

	configfile_set_root("");
	free(*state);
	return r;
}

/* Writes a file below the root, with the folders that it needs. */
static void put(void **state, const char *path, const char *text)
{
	_cleanup_(freep) char *full = format("%s%s", (char *)*state, path);
	_cleanup_(freep) char *folder = strdup(full);

	*strrchr(folder, '/') = 0;
	assert_int_equal(make_folders(folder, 0755), 0);
	assert_int_equal(file_write(full, text, 0644), 0);
}

static json_object *read_good(void)
{
	json_object *object = NULL;
	struct problem problem = {};

	if (effective_read("app", &object, &problem) < 0)
		fail_msg("%s", problem.text);
	return object;
}

static json_object *setting_of(json_object *object, const char *key)
{
	json_object *settings = json_array(object, "settings");

	for (size_t i = 0; i < json_count(settings); i++)
		if (!strcmp(json_text(json_object_array_get_idx(settings, i), "key"), key))
			return json_object_array_get_idx(settings, i);
	fail_msg("no %s=", key);
	return NULL;
}

/* One setting as "VALUE TEXT FILE:LINE...", with the end of each path. */
static const char *shown(json_object *object, const char *key)
{
	static char text[512];
	json_object *setting = setting_of(object, key), *value, *from = json_array(setting, "from");
	size_t n;

	assert_true(json_object_object_get_ex(setting, "value", &value));
	n = (size_t)snprintf(text, sizeof(text), "%s \"%s\"", json_line(value),
			     json_text(setting, "text"));
	for (size_t i = 0; i < json_count(from); i++) {
		json_object *place = json_object_array_get_idx(from, i);
		const char *file = json_text(place, "file");
		bool vendor = strstr(file, LIB);

		n += (size_t)snprintf(text + n, sizeof(text) - n, " %s%s:%d", vendor ? "lib/" : "",
				      strrchr(file, '/') + 1, (int)json_number(place, "line", 0));
	}
	return text;
}

static void test_defaults(void **state)
{
	_cleanup_(json_object_putp) json_object *object = NULL;
	const struct setting *key;
	size_t n = 0;

	put(state, ETC "app.conf", "# nothing\n");
	object = read_good();
	for (; (key = config_key(n)); n++)
		assert_int_equal(json_count(json_array(setting_of(object, key->name), "from")), 0);
	assert_int_equal(json_count(json_array(object, "settings")), n);
	assert_string_equal(shown(object, "Slots"), "2 \"2\"");
	assert_string_equal(shown(object, "Settle"), "50000 \"50ms\"");
	assert_string_equal(shown(object, "RestartOnCrash"), "true \"yes\"");
	assert_string_equal(shown(object, "Probe"), "[] \"\"");
	assert_string_equal(shown(object, "Then"), "\"keep\" \"keep\"");
}

static void test_places(void **state)
{
	_cleanup_(json_object_putp) json_object *object = NULL;

	put(state, LIB "app.conf", "[Service]\nSlots=3\nDrain=1min\n[Health]\nProbe=tcp\n");
	put(state, ETC "app.conf", "[Service]\nSlots=4\n\nDrain=\n");
	put(state, ETC "app.conf.d/10.conf", "[Service]\nSlots=\\\n5\n[Health]\nProbe=http:/\n");
	put(state, LIB "app.conf.d/20.conf", "[Service]\nSettle=1\n");
	object = read_good();
	assert_string_equal(shown(object, "Slots"), "5 \"5\" 10.conf:2");
	/* an empty assignment is the default again, and who says so is told */
	assert_string_equal(shown(object, "Drain"), "30000000 \"30s\" app.conf:4");
	assert_string_equal(shown(object, "Settle"), "1000000 \"1\" lib/20.conf:2");
	assert_string_equal(shown(object, "Probe"),
			    "[\"tcp\",\"http:/\"] \"http:/\" lib/app.conf:5 10.conf:5");
	assert_int_equal(json_count(json_array(object, "files")), 4);
}

static void test_list_taken_back(void **state)
{
	_cleanup_(json_object_putp) json_object *object = NULL;

	put(state, ETC "app.conf", "[Health]\nProbe=tcp\nProbe=\nProbe=http:/\n");
	object = read_good();
	assert_string_equal(shown(object, "Probe"),
			    "[\"http:/\"] \"http:/\" app.conf:3 app.conf:4");
}

static void test_implied(void **state)
{
	_cleanup_(json_object_putp) json_object *object = NULL;

	put(state, ETC "app.conf", "[Service]\nMPTCP=keep\nExclusive=no\n");
	object = read_good();
	assert_string_equal(shown(object, "Exclusive"), "true \"yes\" app.conf:3");
	assert_string_equal(json_text(setting_of(object, "Exclusive"), "implied_by"), "MPTCP");
	assert_string_equal(json_text(setting_of(object, "Slots"), "implied_by"), "");
}

static void test_masked_is_told(void **state)
{
	_cleanup_(json_object_putp) json_object *object = NULL;
	_cleanup_(freep) char *path = format("%s" ETC "app.conf.d/10.conf", (char *)*state);
	json_object *file;

	put(state, ETC "app.conf", "");
	put(state, LIB "app.conf.d/10.conf", "[Service]\nSlots=3\n");
	put(state, ETC "app.conf.d/20.conf", "");
	assert_int_equal(symlink("/dev/null", path), 0);
	object = read_good();
	assert_string_equal(shown(object, "Slots"), "2 \"2\"");
	file = json_object_array_get_idx(json_array(object, "files"), 1);
	assert_string_equal(json_text(file, "path"), path);
	assert_true(json_is_true(file, "masked"));
}

/* Every line that is wrong is told once; what follows from another one is not. */
static void test_check(void **state)
{
	_cleanup_(json_object_putp) json_object *faults = NULL, *all = NULL;
	_cleanup_(freep) char *path = format("%s" ETC "app.conf", (char *)*state);
	const char *paths[] = {path, "/does/not/exist"};
	static const int64_t lines[] = {1, 3, 5, 8, 0};
	unsigned services;

	put(state, ETC "app.conf",
	    "Slots=2\n[Service]\nSlots=99\nDrain=1s\n[Bad]\nSlots=1\n[Health]\nProbe=x\n");
	put(state, ETC "web.conf", "");
	faults = check_files(paths, 2);
	assert_int_equal(json_count(faults), ARRAY_SIZE(lines));
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_int_equal(json_number(json_object_array_get_idx(faults, i), "line", 0),
				 lines[i]);
	assert_int_equal(check_all(&all, &services), 0);
	assert_int_equal(services, 2);
	assert_int_equal(json_count(all), ARRAY_SIZE(lines) - 1);
}

/* A drop-in that is only tried counts in its place, also when it is new. */
static void test_trial(void **state)
{
	_cleanup_(freep) char *path = format("%s" ETC "app.conf.d/20.conf", (char *)*state);
	struct configfile_visitor visitor = {.trial_path = path};
	struct config config;

	put(state, ETC "app.conf", "[Service]\nSlots=3\n");
	put(state, ETC "app.conf.d/30.conf", "[Service]\nDrain=3s\n");
	visitor.trial_text = "[Service]\nSlots=4\nDrain=4s\n";
	assert_int_equal(configfile_read("app", &visitor, &config, NULL), 0);
	assert_int_equal(config.slots, 4);
	assert_int_equal(config.drain_usec, 3000000);
	visitor.trial_text = "[Service]\nSlots=none\n";
	assert_int_equal(configfile_read("app", &visitor, &config, NULL), -EINVAL);
	put(state, ETC "app.conf.d/20.conf", "[Service]\nSlots=5\n");
	visitor.trial_text = "";
	assert_int_equal(configfile_read("app", &visitor, &config, NULL), 0);
	assert_int_equal(config.slots, 3);
}

static void test_schema(void **state)
{
	_cleanup_(json_object_putp) json_object *schema = schema_json();
	const struct setting *key;

	(void)state;
	for (size_t i = 0; (key = config_key(i)); i++) {
		json_object *row = json_object_array_get_idx(schema, i);

		assert_string_equal(json_text(row, "key"), key->name);
		assert_true(json_text(row, "type")[0]);
		assert_true(json_text(row, "help")[0]);
		/* "word" is of those that are named */
		assert_int_equal(!strcmp(json_text(row, "type"), "word"),
				 json_count(json_array(row, "values")) > 0);
	}
}

/* What is handed to the editor and comes back untouched is what there was. */
static void test_draft(void **state)
{
	static const char *const texts[] = {"", "[Service]\nSlots=3\n",
					    "### mine\n[Service]\n\n### and mine\nSlots=3\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_(freep) char *draft = draft_compose("/x", texts[i], NULL, "why");
		_cleanup_(freep) char *text = draft_extract(draft);

		assert_string_equal(text, texts[i]);
		assert_non_null(strstr(draft, "why"));
	}
}

static void test_draft_edited(void **state)
{
	static const struct {
		const char *edited, *text;
	} cases[] = {
		{"", ""},
		{"\n\n", ""},
		{"[Service]", "[Service]\n"},
		{"\n\n[Service]\nSlots=3\n\n\n", "[Service]\nSlots=3\n"},
	};
	_cleanup_(freep) char *draft = draft_compose("/x", "[Service]\nSlots=3", NULL, "");
	_cleanup_(freep) char *cut = draft_cut(draft), *below = format("%sSlots=4\n", draft);
	_cleanup_(freep) char *text = draft_extract(below);

	(void)state;
	/* lines keep their numbers, and what is below does not count */
	assert_non_null(strstr(cut, "\n\n[Service]\nSlots=3\n"));
	assert_null(strstr(cut, "not known"));
	assert_memory_equal(cut, draft, strlen(cut));
	assert_string_equal(text, "[Service]\nSlots=3\n");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *got = draft_extract(cases[i].edited);

		assert_string_equal(got, cases[i].text);
	}
}

#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_ROOT(test_defaults),	 WITH_ROOT(test_places),
		WITH_ROOT(test_list_taken_back), WITH_ROOT(test_implied),
		WITH_ROOT(test_masked_is_told),	 WITH_ROOT(test_check),
		WITH_ROOT(test_trial),		 cmocka_unit_test(test_schema),
		cmocka_unit_test(test_draft),	 cmocka_unit_test(test_draft_edited),
	};

	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
