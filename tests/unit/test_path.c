/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/path: names of paths, and what becomes of them for each slot. core/setup/pathfind: where a
 * server will listen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "core/config/config.h"
#include "core/path.h"
#include "core/setup/pathfind.h"
#include "util/macro.h"

#define FIFTY "01234567890123456789012345678901234567890123456789"

static void test_check(void **state)
{
	static const char *const good[] = {"/run/app/app.sock", "/run/s",
					   "/srv/my-app/run/x_1.sock", "/run/user.d/a@b=c+d.sock"};
	static const struct {
		const char *path, *why;
	} bad[] = {
		{"", "is not an absolute path"},
		{"app.sock", "is not an absolute path"},
		{"@app", "is not an absolute path"},
		{"/", "is not an absolute path"},
		{"/app.sock", "is in no folder but /"},
		{"/run/app/", "has empty parts"},
		{"/run//app", "has empty parts"},
		{"/run/./app", "has empty parts"},
		{"/run/../etc/app", "has empty parts"},
		{"/run/app/..", "has empty parts"},
		{"/run/a b", "has characters other than"},
		{"/run/%i/a", "has characters other than"},
		{"/run/a:b", "has characters other than"},
		{"/run/a\\x20b", "has characters other than"},
		{"/run/a\nb", "has characters other than"},
		{"/run/hotstandby/app/0/x", "is hotstandby's own"},
		{"/run/" FIFTY "/" FIFTY "/x", "is longer than the 107 bytes"},
	};
	struct problem problem;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(path_check(good[i], &problem), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(path_check(bad[i].path, &problem) < 0);
		assert_non_null(strstr(problem.text, bad[i].why));
	}
}

static void test_files(void **state)
{
	char file[PATH_FILE_MAX], folder[HS_PATH_MAX];

	(void)state;
	path_of_slot("app", 11, "/run/app/app.sock", file);
	assert_string_equal(file, "/run/hotstandby/app/11/run-app/app.sock");
	path_of_active("php8.2-fpm", "/run/php/fpm.sock", file);
	assert_string_equal(file, "/run/hotstandby/php8.2-fpm/active/run-php/fpm.sock");
	path_folder("/run/app/app.sock", folder);
	assert_string_equal(folder, "/run/app");
	assert_string_equal(path_base("/run/app/app.sock"), "app.sock");
}

/* Two folders never share a name. */
static void test_keys(void **state)
{
	static const char *const paths[] = {"/run/a/s",	 "/run-a/s",   "/run_a/s",   "/run/-a/s",
					    "/run-/a/s", "/run_/a/s",  "/run/_a/s",  "/run_-a/s",
					    "/run-_a/s", "/run/a/b/s", "/run-a/b/s", "/run/a-b/s"};
	char keys[ARRAY_SIZE(paths)][PATH_KEY_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		path_key(paths[i], keys[i]);
		assert_null(strchr(keys[i], '/'));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(keys[i], keys[k]);
	}
	path_key("/run/app/one", keys[0]);
	path_key("/run/app/other", keys[1]);
	assert_string_equal(keys[0], keys[1]);
}

static void test_shared_folders(void **state)
{
	(void)state;
	assert_non_null(path_shared_folder("/run/app.sock"));
	assert_non_null(path_shared_folder("/tmp/app.sock"));
	assert_non_null(path_shared_folder("/usr/lib/hotstandby/app.sock"));
	assert_non_null(path_shared_folder("/run/systemd/journal/x.sock"));
	assert_non_null(path_shared_folder("/etc/app/x.sock"));
	assert_null(path_shared_folder("/run/app/app.sock"));
	assert_null(path_shared_folder("/runs/app.sock"));
	assert_null(path_shared_folder("/srv/app/app.sock"));
	assert_null(path_shared_folder("/run/systemd-app/app.sock"));
}

static void test_listen(void **state)
{
	char path[HS_PATH_MAX];

	(void)state;
	assert_true(path_from_listen("/run/app.sock", path));
	assert_string_equal(path, "/run/app.sock");
	assert_true(path_from_listen("%t/app/app.sock", path));
	assert_string_equal(path, "/run/app/app.sock");
	assert_true(path_from_listen("/var/run/app/app.sock", path));
	assert_string_equal(path, "/run/app/app.sock");
	assert_false(path_from_listen("/run/app-%i.sock", path));
	assert_false(path_from_listen("8080", path));
	assert_false(path_from_listen("@app", path));
	assert_false(path_from_listen("", path));
}

/* ---- what is found ---- */

static void expect_command(const char *line, const char *expected)
{
	struct pathlist list = {0};

	pathfind_command(&list, line, "app");
	assert_int_equal(list.n, expected ? 1 : 0);
	if (expected)
		assert_string_equal(list.paths[0], expected);
}

static void test_commands(void **state)
{
	static const struct {
		const char *line, *path;
	} cases[] = {
		{"/usr/bin/gunicorn --bind unix:/run/app/app.sock app:app", "/run/app/app.sock"},
		{"/usr/bin/gunicorn --bind=unix:/run/app/app.sock app:app", "/run/app/app.sock"},
		{"gunicorn -b unix:///run/app/here app:app", "/run/app/here"},
		{"gunicorn -b unix://run/app/here app:app", "/run/app/here"},
		{"puma -b 'unix:///run/puma/my.sock?umask=0111'", "/run/puma/my.sock"},
		{"uvicorn --uds /run/app/app.sock", "/run/app/app.sock"},
		{"memcached -s /run/memcached/m.sock -a 0770", "/run/memcached/m.sock"},
		{"uwsgi --socket=%t/%p/%p.sock", "/run/app/app.sock"},
		{"app --listen=/var/run/app/app.socket", "/run/app/app.socket"},
		/* of the slot, of a variable, or none */
		{"gunicorn --bind unix:/run/app-%i/app.sock", NULL},
		{"gunicorn --bind unix:/run/app/%i.sock", NULL},
		{"gunicorn --bind unix:${RUNTIME_DIRECTORY}/app.sock", NULL},
		{"gunicorn --bind unix:app.sock app:app", NULL},
		{"nginx -g 'daemon off;' -c /etc/nginx/nginx.conf", NULL},
		{"app --url=http://host/path/x.sock", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_command(cases[i].line, cases[i].path);
}

static void test_configurations(void **state)
{
	static const char text[] = "; listen = /run/php/not.sock\n"
				   "[www]\n"
				   "listen = /run/php/php8.2-fpm.sock\n"
				   "listen.owner = www-data\n"
				   "  bind = \"unix:/run/app/app\"\n"
				   "bind 'unix:///run/puma/puma.sock'\n"
				   "listen = 127.0.0.1:9000\n"
				   "socket = /run/uwsgi/u ; here\n"
				   "mysqli.default_socket = /run/mysqld/mysqld.sock\n"
				   "database = unix:/run/postgresql/x.sock\n"
				   "listening = /run/no.sock";
	static const char *const expected[] = {"/run/php/php8.2-fpm.sock", "/run/app/app",
					       "/run/puma/puma.sock", "/run/uwsgi/u"};
	struct pathlist list = {0};

	(void)state;
	pathfind_config(&list, text);
	assert_int_equal(list.n, ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_string_equal(list.paths[i], expected[i]);
}

static void append(const char *text, void *userdata)
{
	char *all = userdata;

	strcat(strcat(all, text), "|");
}

static void test_files_named(void **state)
{
	char all[512] = "";

	(void)state;
	pathfind_files("/usr/sbin/php-fpm8.2 --nodaemonize --fpm-config /etc/php/fpm.conf "
		       "--ini=/etc/a.ini $X /srv/${Y}/c",
		       append, all);
	assert_string_equal(all, "/usr/sbin/php-fpm8.2|/etc/php/fpm.conf|/etc/a.ini|");
	all[0] = '\0';
	pathfind_includes("a=b\ninclude=/etc/php/pool.d/*.conf\ninclude=relative.conf\n"
			  "include \"/etc/x.conf\"\n",
			  append, all);
	assert_string_equal(all, "/etc/php/pool.d/*.conf|/etc/x.conf|");
}

/* ---- Paths= ---- */

static void test_setting(void **state)
{
	struct problem problem;
	struct config config;

	(void)state;
	config_init(&config);
	assert_int_equal(config.n_paths, 0);
	assert_int_equal(config_set(&config, "Service", "Paths",
				    "/run/b/b.sock  /var/run/a/a.sock /run/b/b.sock", NULL),
			 0);
	assert_int_equal(config.n_paths, 2);
	assert_string_equal(config.paths[0], "/run/b/b.sock");
	assert_string_equal(config.paths[1], "/run/a/a.sock");
	assert_true(config_set(&config, "Service", "Paths", "/run/a:b", &problem) < 0);
	assert_non_null(
		strstr(problem.text, "Paths=/run/a:b has a path that has characters other"));
	assert_true(config_set(&config, "Service", "Paths",
			       "/r/1 /r/2 /r/3 /r/4 /r/5 /r/6 /r/7 /r/8 /r/9", &problem) < 0);
	assert_non_null(strstr(problem.text, "has too many paths"));
	/* as it was */
	assert_int_equal(config.n_paths, 2);
	assert_int_equal(config_set(&config, "Service", "Paths", "", NULL), 0);
	assert_int_equal(config.n_paths, 0);
}

static void test_split(void **state)
{
	struct pathlist list = {};
	struct problem problem = {};

	(void)state;
	assert_int_equal(pathlist_split("/run/a/s,/var/run/b/s,/run/a/s", &list, &problem), 0);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.paths[0], "/run/a/s");
	assert_string_equal(list.paths[1], "/run/b/s");
	assert_int_equal(pathlist_split("/run/c/s,app", &list, &problem), -EINVAL);
	assert_string_equal(problem.text, "--path=app is not an absolute path");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),	       cmocka_unit_test(test_files),
		cmocka_unit_test(test_keys),	       cmocka_unit_test(test_shared_folders),
		cmocka_unit_test(test_listen),	       cmocka_unit_test(test_commands),
		cmocka_unit_test(test_configurations), cmocka_unit_test(test_files_named),
		cmocka_unit_test(test_setting),	       cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
