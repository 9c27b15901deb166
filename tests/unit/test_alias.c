// SPDX-License-Identifier: GPL-2.0-or-later
/* The unit of the plain name, and who else says it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/setup/alias.h"
#include "core/setup/commands.h"
#include "core/setup/dropin.h"
#include "core/setup/mention.h"
#include "util/macro.h"
#include "util/strings.h"

static void test_names(void **state)
{
	(void)state;
	assert_true(alias_is_possible("app.service"));
	assert_false(alias_is_possible("app"));
	assert_false(alias_is_possible("app@.service"));
	assert_false(alias_is_possible("app@0.service"));
	assert_false(alias_is_possible("app.socket"));
	assert_false(alias_is_possible("../app.service"));
}

static void test_generated(void **state)
{
	(void)state;
	assert_true(alias_is_generated("/run/systemd/generator.late/app.service"));
	assert_true(alias_is_generated("/run/systemd/generator/app.service"));
	assert_false(alias_is_generated("/etc/systemd/system/app.service"));
	assert_false(alias_is_generated("/run/systemd/system/app.service"));
	assert_false(alias_is_generated(""));
}

static void test_text(void **state)
{
	_cleanup_(freep) char *with = alias_text("app", true), *without = alias_text("app", false);

	(void)state;
	assert_non_null(strstr(with, "\nType=oneshot\nRemainAfterExit=yes\n"));
	assert_non_null(strstr(with, "bin/hsctl alias app start\n"));
	assert_non_null(strstr(with, "\nExecReload="));
	assert_null(strstr(without, "ExecReload"));
	assert_true(alias_is_ours(with, "app"));
	assert_true(alias_is_ours(with, NULL));
	assert_false(alias_is_ours(with, "ap"));
	assert_false(alias_is_ours("[Service]\nExecStart=/bin/true\n", NULL));
}

/* What somebody has set for the server must not hold for the alias. */
static void test_dropin_undoes(void **state)
{
	static const char *const resets[] = {
		"EnvironmentFile=",   "User=",
		"ExecSearchPath=",    "RootDirectory=",
		"RootImage=",	      "BindPaths=",
		"BindReadOnlyPaths=", "TemporaryFileSystem=",
		"MountImages=",	      "StateDirectory=",
		"ExtensionImages=",   "ExtensionDirectories=",
	};
	_cleanup_(freep) char *text = alias_dropin_text("app", true);
	const char *reset = strstr(text, "\nExecStart=\n"), *own = strstr(text, "\nExecStart=/");

	(void)state;
	assert_non_null(reset);
	assert_non_null(own);
	assert_true(reset < own);
	for (size_t i = 0; i < ARRAY_SIZE(resets); i++) {
		char line[64];

		snprintf(line, sizeof(line), "\n%s\n", resets[i]);
		if (!strstr(text, line))
			fail_msg("%s", resets[i]);
	}
	/* what is its own comes behind */
	assert_true(strstr(text, "\nRuntimeDirectory=\n") < strstr(text, "\nRuntimeDirectory=h"));
}

/* The template's drop-in knows it, for disable and for the next enable. */
static void test_remembered(void **state)
{
	struct dropin dropin = {.service = "app", .alias = "web.service"};
	_cleanup_(freep) char *text = dropin_service_text(&dropin), *alias = dropin_alias(text);
	char none[] = "[Unit]\nWants=x\n", wrong[] = "[Unit]\nX-HotstandbyAlias=../x.service\n";

	(void)state;
	assert_string_equal(alias, "web.service");
	assert_null(dropin_alias(none));
	assert_null(dropin_alias(wrong));
}

/* Its own stop would reach a slot by the file that it shares with it. */
static void test_stop(void **state)
{
	struct commands commands = {.kill_signal = "SIGQUIT"};
	_cleanup_(freep) char *text = NULL;

	(void)state;
	commands.replaced[COMMANDS_STOP] = true;
	strings_add(&commands.lines[COMMANDS_STOP], "/bin/own");
	text = alias_stop_text("app", &commands);
	assert_non_null(strstr(text, "\nExecStop=\nExecStop=/bin/own\nKillSignal=SIGQUIT\n"));
	assert_non_null(strstr(text, "\nRuntimeDirectoryPreserve=yes\n"));
	assert_null(strstr(text, "ExecStopPost"));
	commands_done(&commands);
}

static void test_mentions(void **state)
{
	static const struct {
		const char *line;
		enum mention mention;
	} cases[] = {
		{"\tsystemctl reload nginx", MENTION_UNIT},
		{"systemctl try-reload-or-restart nginx.service >/dev/null", MENTION_UNIT},
		{"/usr/sbin/service nginx restart", MENTION_UNIT},
		{"renew_hook = systemctl reload nginx", MENTION_UNIT},
		{"[ ! -x /etc/init.d/nginx ] || /etc/init.d/nginx reload", MENTION_UNIT},
		{"\t\tinvoke-rc.d nginx rotate >/dev/null 2>&1", MENTION_OTHER},
		{"systemctl kill -s USR1 nginx", MENTION_OTHER},
		{"[ ! -f /var/run/nginx.pid ] || kill -USR1 `cat /var/run/nginx.pid`",
		 MENTION_OTHER},
		{"kill -HUP $(cat /srv/own.pid)", MENTION_OTHER},
		{"# systemctl reload nginx", MENTION_NONE},
		{"/var/log/nginx/*.log {", MENTION_NONE},
		{"systemctl reload nginx-extra", MENTION_NONE},
		{"systemctl reload nginx@0", MENTION_NONE},
		{"systemctl reload my-nginx.service", MENTION_NONE},
		{"", MENTION_NONE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (mention_in(cases[i].line, "nginx.service", "/srv/own.pid") != cases[i].mention)
			fail_msg("%s", cases[i].line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	      cmocka_unit_test(test_text),
		cmocka_unit_test(test_dropin_undoes), cmocka_unit_test(test_remembered),
		cmocka_unit_test(test_stop),	      cmocka_unit_test(test_mentions),
		cmocka_unit_test(test_generated),
	};

	return cmocka_run_group_tests_name("alias", tests, NULL, NULL);
}
