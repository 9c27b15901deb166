/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/config/ini: the grammar, as systemd reads it. hsctl/unit/unitfile: a unit's files in order.
 * core/setup/dropin: the files that enable writes. hsctl/unit/filechanges: all or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>

#include "core/config/ini.h"
#include "core/setup/commands.h"
#include "core/setup/dropin.h"
#include "core/setup/pathfind.h"
#include "hsctl/unit/filechanges.h"
#include "hsctl/unit/unitfile.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/strings.h"

/* Everything that the reader hands out, one a line: "LINE [section]", "LINE key|value", "LINE
 * !garbage". */
static char *read_all(const char *text)
{
	_cleanup_(freep) char *copy = strdup(text);
	char *all = strdup("");
	enum ini_kind kind;
	struct ini ini;

	ini_init(&ini, copy);
	while ((kind = ini_next(&ini)) != INI_END) {
		char *more;

		if (kind == INI_SECTION)
			more = format("%s%u [%s]\n", all, ini.line, ini.section);
		else if (kind == INI_ASSIGNMENT)
			more = format("%s%u %s|%s\n", all, ini.line, ini.key, ini.value);
		else
			more = format("%s%u !%s\n", all, ini.line, ini.value);
		free(all);
		all = more;
	}
	return all;
}

static void test_grammar(void **state)
{
	static const char *const cases[][2] = {
		{"", ""},
		{"\n\n \t\n", ""},
		{"# a\n; b\n  # c\n", ""},
		{"[A]\nk=v\n", "1 [A]\n2 k|v\n"},
		{"[A]\nk=v", "1 [A]\n2 k|v\n"},
		{"\xef\xbb\xbf[A]\n", "1 [A]\n"},
		{"[A]\r\nk=v\r\n", "1 [A]\n2 k|v\n"},
		{"[A]\rk=v\r", "1 [A]\n2 k|v\n"},
		{"  [A]  \n\tk \t= \t v \t\n", "1 [A]\n2 k|v\n"},
		{"[A]\nk=\n", "1 [A]\n2 k|\n"},
		{"[A]\nk=a=b\n", "1 [A]\n2 k|a=b\n"},
		{"[A]\nk=a # b\n", "1 [A]\n2 k|a # b\n"},
		{"[A B]\n", "1 [A B]\n"},
		/* continued */
		{"[A]\nk=a \\\n  b\\\nc\nx=y\n", "1 [A]\n2 k|a    b c\n5 x|y\n"},
		{"[A]\nk=a\\\n# not this\n;nor this\nb\n", "1 [A]\n2 k|a b\n"},
		{"[A]\nk=a\\\n\nb=c\n", "1 [A]\n2 k|a\n4 b|c\n"},
		{"[A]\nk=a\\\n  \nb=c\n", "1 [A]\n2 k|a\n4 b|c\n"},
		{"[A]\nk=a\\", "1 [A]\n2 k|a\n"},
		{"[A]\nk=a\\\n", "1 [A]\n2 k|a\n"},
		{"k=a\\\\\nx=y\n", "1 k|a\\\\\n2 x|y\n"},
		{"k=a\\\\\\\nx=y\n", "1 k|a\\\\ x=y\n"},
		{"k=a\\ \nx=y\n", "1 k|a\\\n2 x|y\n"},
		{"\\\nk=v\n", "1 k|v\n"},
		{"\\\n\\\n\\\n", ""},
		{"[A\\\n]\n", "1 [A ]\n"},
		/* neither */
		{"k\n", "1 !k\n"},
		{"=v\n", "1 !=v\n"},
		{" = v\n", "1 != v\n"},
		{"[A\nk=v\n", "1 ![A\n2 k|v\n"},
		{"[]\n", "1 ![]\n"},
		{"[A] x\n", "1 ![A] x\n"},
		{"[\n", "1 ![\n"},
		{"\x01\xff\n", "1 !\x01\xff\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *all = read_all(cases[i][0]);

		if (strcmp(all, cases[i][1]) != 0)
			fail_msg("row %zu: %s", i, all);
	}
}

/* A broken header leaves the section as it was; a long run of continued lines is one assignment. */
static void test_grammar_section(void **state)
{
	char text[] = "k=v\n[A]\n[B\nk=v\n";
	struct ini ini;

	(void)state;
	ini_init(&ini, text);
	assert_int_equal(ini_next(&ini), INI_ASSIGNMENT);
	assert_string_equal(ini.section, "");
	assert_int_equal(ini_next(&ini), INI_SECTION);
	assert_int_equal(ini_next(&ini), INI_GARBAGE);
	assert_int_equal(ini_next(&ini), INI_ASSIGNMENT);
	assert_string_equal(ini.section, "A");
	assert_int_equal(ini_next(&ini), INI_END);
	assert_int_equal(ini_next(&ini), INI_END);
}

static void test_grammar_huge(void **state)
{
	enum { LINES = 20000 };
	_cleanup_(freep) char *text = malloc(LINES * 3 + 8);
	char *end = stpcpy(text, "k=");
	struct ini ini;

	(void)state;
	for (size_t i = 0; i < LINES; i++)
		end = stpcpy(end, "x\\\n");
	ini_init(&ini, text);
	assert_int_equal(ini_next(&ini), INI_ASSIGNMENT);
	assert_int_equal(strlen(ini.value), LINES * 2 - 1);
	assert_int_equal(ini_next(&ini), INI_END);
}

static void test_last(void **state)
{
	static const struct assignment items[] = {
		{"f", 1, "A", "k", "1"},
		{"f", 2, "B", "k", "2"},
		{"f", 3, "A", "k", "3"},
		{"f", 4, "A", "x", "4"},
	};
	static const struct assignments list = {items, ARRAY_SIZE(items)};

	(void)state;
	assert_ptr_equal(assignments_last(&list, "A", "k"), &items[2]);
	assert_ptr_equal(assignments_last(&list, "B", "k"), &items[1]);
	assert_null(assignments_last(&list, "B", "x"));
	assert_null(assignments_last(&(struct assignments) {}, "A", "k"));
}

/* ---- files ---- */

static int make_folder(void **state)
{
	char template[] = "/tmp/hotstandby-test-XXXXXX";

	*state = mkdtemp(template) ? strdup(template) : NULL;
	return *state ? 0 : -1;
}

static int remove_folder(void **state)
{
	_cleanup_(freep) char *command = format("rm -rf '%s'", (char *)*state);
	int r = system(command);

	free(*state);
	return r;
}

static char *put(void **state, const char *name, const char *text)
{
	char *path = format("%s/%s", (char *)*state, name);
	_cleanup_(freep) char *folder = strdup(path);

	*strrchr(folder, '/') = 0;
	assert_int_equal(make_folders(folder, 0755), 0);
	assert_int_equal(file_write(path, text, 0644), 0);
	return path;
}

static bool exists(void **state, const char *name)
{
	_cleanup_(freep) char *path = format("%s/%s", (char *)*state, name);
	struct stat st;

	return lstat(path, &st) == 0;
}

static void test_read(void **state)
{
	_cleanup_(strings_freep) char **paths = NULL;
	_cleanup_(unitfile_done) struct unitfile unit = {};
	struct problem problem = {};
	struct assignments settings;

	strings_take(&paths, put(state, "app@.service",
				 "[Unit]\nAfter=x\ngarbage\n[Service]\nExecStart=/a\n"));
	strings_take(&paths, format("%s/gone.conf", (char *)*state));
	strings_take(&paths,
		     put(state, "app@.service.d/a.conf", "[Service]\nExecStop=/b \\\n c\n"));
	strings_take(&paths, put(state, "app@.service.d/empty.conf", ""));

	assert_int_equal(unitfile_read(paths, &unit, &problem), 0);
	settings = unitfile_settings(&unit);
	assert_int_equal(settings.n, 3);
	assert_string_equal(settings.items[0].section, "Unit");
	assert_int_equal(settings.items[1].line, 5);
	assert_string_equal(settings.items[1].file, paths[0]);
	assert_string_equal(settings.items[2].file, paths[2]);
	assert_string_equal(settings.items[2].value, "/b   c");
	assert_int_equal(settings.items[2].line, 2);
}

static void test_read_fails(void **state)
{
	_cleanup_(freep) char *file = put(state, "file", "");
	_cleanup_(freep) char *missing = format("%s/missing", (char *)*state);
	char *no_fragment[] = {missing, NULL}, *folder[] = {file, *state, NULL};
	struct problem problem = {};
	struct unitfile unit;

	assert_int_equal(unitfile_read(no_fragment, &unit, &problem), -ENOENT);
	assert_non_null(strstr(problem.text, missing));
	assert_int_equal(unitfile_read(folder, &unit, &problem), -EISDIR);
	assert_non_null(strstr(problem.text, (char *)*state));
}

/* ---- what enable writes ---- */

#define ETC "/etc/systemd/system/app@.service.d/"

static void test_effective(void **state)
{
	static const struct {
		struct assignment items[6];
		const char *expected;
	} cases[] = {
		{{}, ""},
		{{{"/lib/app@.service", 3, "Service", "ExecStop", "/a"},
		  {"/lib/app@.service", 4, "Service", "ExecStop", "/b"},
		  {"/lib/app@.service", 5, "Service", "ExecStopPost", "/no"},
		  {"/lib/app@.service", 6, "Unit", "ExecStop", "/no"}},
		 "/a;/b;"},
		{{{"/lib/app@.service", 3, "Service", "ExecStop", "/a"},
		  {ETC "o.conf", 2, "Service", "ExecStop", ""},
		  {ETC "o.conf", 3, "Service", "ExecStop", "-/c %n $MAINPID"}},
		 "-/c %n $MAINPID;"},
		/* ours, and what is read after ours, does not count */
		{{{"/lib/app@.service", 3, "Service", "ExecStop", "/a"},
		  {ETC DROPIN_NAME, 2, "Service", "ExecStop", ""},
		  {ETC DROPIN_NAME, 3, "Service", "ExecStop", "/hsctl"},
		  {ETC DROPIN_NAME, 4, "Service", "ExecStop", "/a"},
		  {ETC "zzz.conf", 2, "Service", "ExecStop", ""},
		  {ETC "zzz.conf", 3, "Service", "ExecStop", "/late"}},
		 "/a;"},
		{{{"/lib/zzz@.service", 3, "Service", "ExecStop", "/a"}}, "/a;"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct assignments list = {cases[i].items, 0};
		_cleanup_(strings_freep) char **values = NULL;
		char joined[256] = "";

		while (list.n < 6 && cases[i].items[list.n].key)
			list.n++;
		assert_int_equal(dropin_effective(&list, "Service", "ExecStop", &values), 0);
		for (char **p = values; p && *p; p++) {
			strcat(joined, *p);
			strcat(joined, ";");
		}
		assert_string_equal(joined, cases[i].expected);
	}
}

static void test_dropin_place(void **state)
{
	_cleanup_(freep) char *path = dropin_path("app@.socket");

	(void)state;
	assert_string_equal(path, HS_SYSCONFDIR "/systemd/system/app@.socket.d/zz-hotstandby.conf");
	assert_true(dropin_is_ours(path));
	assert_false(dropin_is_ours("/x/other.conf"));
	assert_false(dropin_is_later(path));
	assert_true(dropin_is_later("/x/app@.service.d/zzz.conf"));
	assert_true(dropin_is_later("/x/app@.service.d/zz-i.conf"));
	assert_false(dropin_is_later("/x/app@.service.d/zz-hotstandby.con"));
	assert_false(dropin_is_later("/x/app@.service.d/50.conf"));
	assert_false(dropin_is_later("/x/zzz@.service"));
	assert_false(dropin_is_later("zzz"));
}

static void test_service_text(void **state)
{
	char *sockets[] = {"app@.socket", "app-tls@.socket", NULL};
	char *stops[] = {"/bin/kill -QUIT $MAINPID", "-/bin/sh -c 'echo \"%n\"'", NULL};
	struct commands commands = {.lines[COMMANDS_STOP] = stops};
	_cleanup_(freep) char *text = dropin_service_text(
		&(struct dropin) {.service = "app", .sockets = sockets, .commands = &commands});
	_cleanup_(freep) char *plain = dropin_service_text(&(struct dropin) {.service = "app"});
	_cleanup_(freep) char *lines = read_all(text), *plain_lines = read_all(plain);

	(void)state;
	assert_string_equal(lines,
			    "4 [Unit]\n5 After|hsd.service\n"
			    "7 Wants|app@%i.socket\n8 After|app@%i.socket\n"
			    "10 Wants|app-tls@%i.socket\n11 After|app-tls@%i.socket\n"
			    "12 StartLimitIntervalSec|0\n14 [Service]\n"
			    "15 Environment|HOTSTANDBY_SLOT=%i\n17 RootDirectoryStartOnly|yes\n"
			    "18 ExecStartPre|-+" HS_PREFIX "/lib/hotstandby/hs-hook prepare %n\n"
			    "19 ExecStartPost|-+" HS_PREFIX "/lib/hotstandby/hs-hook adopt %n\n"
			    "21 ExecStop|\n22 ExecStop|-+" HS_PREFIX
			    "/lib/hotstandby/hs-hook retire %n\n"
			    "23 ExecStop|/bin/kill -QUIT $MAINPID\n"
			    "24 ExecStop|-/bin/sh -c 'echo \"%n\"'\n");
	assert_string_equal(plain_lines,
			    "4 [Unit]\n5 After|hsd.service\n"
			    "6 StartLimitIntervalSec|0\n8 [Service]\n"
			    "9 Environment|HOTSTANDBY_SLOT=%i\n11 RootDirectoryStartOnly|yes\n"
			    "12 ExecStartPre|-+" HS_PREFIX "/lib/hotstandby/hs-hook prepare %n\n"
			    "13 ExecStartPost|-+" HS_PREFIX "/lib/hotstandby/hs-hook adopt %n\n"
			    "15 ExecStop|\n"
			    "16 ExecStop|-+" HS_PREFIX "/lib/hotstandby/hs-hook retire %n\n");
}

static void test_joined(void **state)
{
	struct dropin dropin = {.service = "app", .joined = 3};
	_cleanup_(freep) char *text = dropin_service_text(&dropin);
	_cleanup_(freep) char *lines = read_all(text);

	(void)state;
	assert_non_null(strstr(lines, "7 JoinsNamespaceOf|app@0.service app@1.service "
				      "app@2.service\n8 StartLimitIntervalSec|0\n"));
}

static void test_shared(void **state)
{
	struct dropin dropin = {.service = "app", .shares_pid_file = true, .shares_runtime = true};
	_cleanup_(freep) char *text = dropin_service_text(&dropin);
	_cleanup_(freep) char *lines = read_all(text);

	(void)state;
	assert_non_null(strstr(lines, "|yes\n13 PIDFile|\n"
				      "15 RuntimeDirectoryPreserve|yes\n16 ExecStartPre|"));
}

/* Lists that are written anew begin with an empty line; ours stand where they stood. */
static void test_replaced(void **state)
{
	char *pres[] = {"/x -t", NULL}, *reloads[] = {"kill -s HUP $MAINPID", NULL};
	struct commands commands = {
		.lines[COMMANDS_START_PRE] = pres,
		.lines[COMMANDS_RELOAD] = reloads,
		.replaced[COMMANDS_START_PRE] = true,
		.replaced[COMMANDS_RELOAD] = true,
		.replaced[COMMANDS_STOP] = true,
		.replaced[COMMANDS_STOP_POST] = true,
		.kill_signal = "SIGQUIT",
	};
	struct dropin dropin = {.service = "app", .commands = &commands};
	_cleanup_(freep) char *text = dropin_service_text(&dropin);
	_cleanup_(freep) char *lines = read_all(text);

	(void)state;
	assert_string_equal(strstr(lines, "9 Environment"),
			    "9 Environment|HOTSTANDBY_SLOT=%i\n11 RootDirectoryStartOnly|yes\n"
			    "12 ExecCondition|-+" HS_PREFIX "/lib/hotstandby/hs-hook prepare %n\n"
			    "14 ExecStartPre|\n15 ExecStartPre|/x -t\n"
			    "16 ExecStartPre|-+" HS_PREFIX "/lib/hotstandby/hs-hook prepare %n\n"
			    "17 ExecStartPost|-+" HS_PREFIX "/lib/hotstandby/hs-hook adopt %n\n"
			    "19 ExecReload|\n20 ExecReload|kill -s HUP $MAINPID\n"
			    "22 ExecStop|\n23 ExecStop|-+" HS_PREFIX
			    "/lib/hotstandby/hs-hook retire %n\n"
			    "25 KillSignal|SIGQUIT\n27 ExecStopPost|\n");
}

/* One folder for the paths in it, that of the slot. */
static void test_paths(void **state)
{
	static const struct pathlist paths = {
		3, {"/run/app/app.sock", "/run/app/admin.sock", "/srv/my-app/s"}};
	struct dropin dropin = {.service = "app", .has_paths = true, .paths = &paths};
	_cleanup_(freep) char *text = dropin_service_text(&dropin);
	_cleanup_(freep) char *lines = read_all(text);
	_cleanup_(freep) char *settings = dropin_paths_text("app", &paths);
	_cleanup_(freep) char *read = read_all(settings);

	(void)state;
	assert_non_null(strstr(lines,
			       "|yes\n"
			       "13 BindPaths|-/run/hotstandby/%p/%i/run-app:/run/app\n"
			       "15 BindPaths|-/run/hotstandby/%p/%i/srv-my_-app:/srv/my-app\n"
			       "16 ExecStartPre|"));
	assert_string_equal(read, "4 [Service]\n"
				  "5 Paths|/run/app/app.sock /run/app/admin.sock /srv/my-app/s\n");
}

/* In the same order; what is no path stays as it is. */
static void test_socket_paths(void **state)
{
	static const struct assignment items[] = {
		{"f", 1, "Socket", "ListenStream", "/run/old.sock"},
		{"f", 2, "Socket", "ListenDatagram", ""},
		{"f", 3, "Socket", "ListenStream", "8080"},
		{"f", 4, "Socket", "ListenStream", "%t/app/app.sock"},
		{"f", 5, "Socket", "ListenStream", "/run/app-%i.sock"},
		{"f", 6, "Service", "ListenStream", "/run/none.sock"},
		{"d/" DROPIN_NAME, 7, "Socket", "ListenStream", "/run/ours.sock"},
	};
	static const struct assignments settings = {items, ARRAY_SIZE(items)};
	_cleanup_(freep) char *text = dropin_socket_text("app", &settings);
	_cleanup_(freep) char *lines = read_all(text);
	struct pathlist paths = {0};

	(void)state;
	assert_string_equal(strstr(lines, "11 Flush"),
			    "11 FlushPending|no\n13 RemoveOnStop|no\n14 ListenStream|\n"
			    "15 ListenStream|8080\n"
			    "16 ListenStream|/run/hotstandby/app/%i/run-app/app.sock\n"
			    "17 ListenStream|/run/app-%i.sock\n");
	dropin_socket_paths(&settings, &paths);
	assert_int_equal(paths.n, 1);
	assert_string_equal(paths.paths[0], "/run/app/app.sock");
}

/* Who asks the server something does so when it is adopted. */
static void test_adopted_first(void **state)
{
	char *posts[] = {"/bin/ask", "-/bin/tell", NULL};
	struct commands commands = {.lines[COMMANDS_START_POST] = posts};
	struct dropin dropin = {.service = "app", .commands = &commands};
	_cleanup_(freep) char *text = dropin_service_text(&dropin);
	_cleanup_(freep) char *lines = read_all(text);

	(void)state;
	assert_non_null(strstr(lines,
			       "14 ExecStartPost|\n"
			       "15 ExecStartPost|-+" HS_PREFIX "/lib/hotstandby/hs-hook adopt %n\n"
			       "16 ExecStartPost|/bin/ask\n17 ExecStartPost|-/bin/tell\n"));
}

static void test_socket_text(void **state)
{
	static const struct assignment item = {"f", 1, "Socket", "ListenStream", "8080"};
	static const struct assignments settings = {&item, 1};
	_cleanup_(freep) char *text = dropin_socket_text("app", &settings);
	_cleanup_(freep) char *lines = read_all(text);

	(void)state;
	assert_string_equal(lines, "4 [Unit]\n5 StartLimitIntervalSec|0\n7 [Socket]\n"
				   "9 ReusePort|yes\n11 FlushPending|no\n");
}

/* The configuration that is written is valid and changes nothing. */
static void test_config_text(void **state)
{
	_cleanup_(freep) char *text = dropin_config_text("php8.2-fpm");
	_cleanup_(freep) char *lines = read_all(text);

	(void)state;
	assert_non_null(strstr(text, "\n#Drain=30s\n"));
	assert_non_null(strstr(text, "php8.2-fpm"));
	assert_non_null(strstr(lines, "[Service]\n"));
	assert_null(strchr(lines, '|'));
	assert_null(strchr(lines, '!'));
}

static void test_sockets_back(void **state)
{
	char *sockets[] = {"app@.socket", "php8.2-fpm@.socket", NULL};
	_cleanup_(freep) char *text =
		dropin_service_text(&(struct dropin) {.service = "app", .sockets = sockets});
	_cleanup_(strings_freep) char **back = NULL, **none = NULL;
	char bad[] = "[Unit]\nWants=../../x@%i.socket\nWants=@%i.socket\nAfter=a@%i.socket\n"
		     "Wants=b.socket\n[Service]\nWants=c@%i.socket\n";

	(void)state;
	assert_int_equal(dropin_sockets(text, &back), 0);
	assert_true(strings_equal(back, sockets));
	assert_int_equal(dropin_sockets(bad, &none), 0);
	assert_null(none);
}

/* ---- all or nothing ---- */

static char *path_of(void **state, const char *name)
{
	return format("%s/%s", (char *)*state, name);
}

static void expect(void **state, const char *name, const char *text)
{
	_cleanup_(freep) char *path = path_of(state, name), *now = NULL;

	assert_int_equal(file_read(path, 1000, &now), 0);
	assert_string_equal(now, text);
}

static void test_changes(void **state)
{
	_cleanup_(filechanges_done) struct filechanges changes = {};
	struct problem problem = {};

	free(put(state, "same", "same"));
	free(put(state, "old", "old"));
	free(put(state, "d/gone", "gone"));
	free(put(state, "edited", "edited"));
	assert_int_equal(
		filechanges_write(&changes, path_of(state, "same"), strdup("same"), &problem), 0);
	assert_int_equal(
		filechanges_write(&changes, path_of(state, "old"), strdup("new"), &problem), 0);
	assert_int_equal(
		filechanges_write(&changes, path_of(state, "new.d/f"), strdup("f"), &problem), 0);
	assert_int_equal(filechanges_remove(&changes, path_of(state, "d/gone"), &problem), 0);
	assert_int_equal(filechanges_remove(&changes, path_of(state, "never"), &problem), 0);
	assert_int_equal(filechanges_rename(&changes, path_of(state, "edited"),
					    path_of(state, "kept"), &problem),
			 0);
	assert_int_equal(filechanges_pending(&changes), 4);

	assert_int_equal(filechanges_apply(&changes, &problem), 0);
	assert_int_equal(filechanges_pending(&changes), 0);
	assert_int_equal(filechanges_made(&changes), 4);
	expect(state, "old", "new");
	expect(state, "new.d/f", "f");
	expect(state, "kept", "edited");
	assert_false(exists(state, "d"));
	assert_false(exists(state, "edited"));

	assert_int_equal(filechanges_undo(&changes, &problem), 0);
	expect(state, "old", "old");
	expect(state, "d/gone", "gone");
	expect(state, "edited", "edited");
	assert_false(exists(state, "new.d"));
	assert_false(exists(state, "kept"));
}

/* The second change fails: the first is undone, with the folder that it made. */
static void test_changes_fail(void **state)
{
	_cleanup_(filechanges_done) struct filechanges changes = {};
	struct problem problem = {};

	free(put(state, "file", "file"));
	assert_int_equal(filechanges_write(&changes, path_of(state, "new.d/f"), strdup("f"), NULL),
			 0);
	assert_int_equal(filechanges_remove(&changes, path_of(state, "file"), NULL), 0);
	assert_int_equal(
		filechanges_write(&changes, path_of(state, "new.d/f/below"), strdup("x"), &problem),
		0);
	assert_int_equal(filechanges_apply(&changes, &problem), -ENOTDIR);
	assert_non_null(
		strstr(problem.text, "new.d/f/below: Not a directory. Nothing was changed."));
	assert_false(exists(state, "new.d"));
	expect(state, "file", "file");
	assert_int_equal(filechanges_made(&changes), 0);
}

static void test_changes_limits(void **state)
{
	_cleanup_(filechanges_done) struct filechanges changes = {};
	struct problem problem = {};

	assert_int_equal(filechanges_write(&changes, NULL, strdup("x"), &problem), -ENOMEM);
	assert_int_equal(filechanges_write(&changes, path_of(state, "x"), NULL, &problem), -ENOMEM);
	assert_int_equal(filechanges_remove(&changes, strdup(*state), &problem), -EISDIR);
	assert_int_equal(filechanges_pending(&changes), 0);
	while (changes.n < FILECHANGES_MAX)
		assert_int_equal(filechanges_remove(&changes, path_of(state, "x"), &problem), 0);
	assert_int_equal(filechanges_remove(&changes, path_of(state, "x"), &problem), -EFBIG);
	assert_true(*problem.text);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grammar),
		cmocka_unit_test(test_grammar_section),
		cmocka_unit_test(test_grammar_huge),
		cmocka_unit_test(test_last),
		WITH_FOLDER(test_read),
		WITH_FOLDER(test_read_fails),
		cmocka_unit_test(test_effective),
		cmocka_unit_test(test_dropin_place),
		cmocka_unit_test(test_service_text),
		cmocka_unit_test(test_joined),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_socket_paths),
		cmocka_unit_test(test_adopted_first),
		cmocka_unit_test(test_socket_text),
		cmocka_unit_test(test_config_text),
		cmocka_unit_test(test_sockets_back),
		WITH_FOLDER(test_changes),
		WITH_FOLDER(test_changes_fail),
		WITH_FOLDER(test_changes_limits),
	};

	return cmocka_run_group_tests_name("unitfile", tests, NULL, NULL);
}
