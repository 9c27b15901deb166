/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/setup/alias.h"

#include <string.h>

#include "core/name.h"
#include "core/setup/commands.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/strings.h"

#define HSCTL HS_PREFIX "/bin/hsctl"
#define HEAD  "# Written by \"hsctl enable %s@.service\": "

bool alias_is_possible(const char *unit)
{
	return name_kind(unit) == NAME_PLAIN && !strchr(unit, '/');
}

bool alias_is_generated(const char *fragment)
{
	static const char *const folders[] = {"/run/systemd/generator/",
					      "/run/systemd/generator.early/",
					      "/run/systemd/generator.late/"};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (!strncmp(fragment, folders[i], strlen(folders[i])))
			return true;
	return false;
}

char *alias_path(const char *unit, const char *suffix)
{
	return format(HS_SYSCONFDIR "/systemd/system/%s%s", unit, suffix);
}

char *alias_marker(const char *service, const char *marker)
{
	return format(ALIAS_FOLDER "%s/%s", service, marker);
}

static char *head(const char *service)
{
	return format(HEAD "for those who say the plain name.\n"
			   "# Do not edit: \"hsctl disable %s@.service\" removes it.\n",
		      service, service);
}

/* Restart= brings it back after a restart whose new version was undone: the slots serve then. */
static char *service_section(const char *service, bool reloads)
{
	_cleanup_(freep) char *reload =
		reloads ? format("ExecReload=" HSCTL " alias %s reload\n", service) : strdup("");

	if (!reload)
		return NULL;
	return format("[Service]\n"
		      "Type=oneshot\n"
		      "RemainAfterExit=yes\n"
		      "ExecStart=" HSCTL " alias %s start\n"
		      "%s"
		      "ExecStop=" HSCTL " alias %s stop\n"
		      "Restart=on-failure\n"
		      "RestartSec=1s\n"
		      "TimeoutStartSec=infinity\n"
		      "TimeoutStopSec=15min\n"
		      "# a restart is told from a stop by what is left in it\n"
		      "RuntimeDirectory=hotstandby-alias-%s\n"
		      "RuntimeDirectoryPreserve=restart\n",
		      service, reload, service, service);
}

char *alias_text(const char *service, bool reloads)
{
	_cleanup_(freep) char *first = head(service), *section = service_section(service, reloads);

	if (!first || !section)
		return NULL;
	return format("%s\n"
		      "[Unit]\n"
		      "Description=%s: all its slots\n"
		      "Documentation=man:hsctl(1)\n"
		      "After=hsd.service network-online.target\n"
		      "\n"
		      "%s"
		      "\n"
		      "[Install]\n"
		      "WantedBy=multi-user.target\n",
		      first, service, section);
}

/* What other drop-ins may have said of the server. Commands run as root here: none may come out of
 * a root, a mount or a folder of commands that is perhaps the server's user's, nor believe what is
 * in there, and no folder of the server's may be given to root. systemd passes over, with a line
 * in the journal, what is newer than itself. */
static const char *const undone[] = {
	"ExecCondition=",
	"ExecStartPre=",
	"ExecStart=",
	"ExecStartPost=",
	"ExecReload=",
	"ExecStop=",
	"ExecStopPost=",
	"ExecSearchPath=",
	"Environment=",
	"EnvironmentFile=",
	"PassEnvironment=",
	"PIDFile=",
	"User=",
	"Group=",
	"DynamicUser=no",
	"RootDirectory=",
	"RootImage=",
	"BindPaths=",
	"BindReadOnlyPaths=",
	"TemporaryFileSystem=",
	"MountImages=",
	"ExtensionImages=",
	"ExtensionDirectories=",
	"WatchdogSec=0",
	"PrivateNetwork=no",
	"NetworkNamespacePath=",
	"RuntimeDirectory=",
	"StateDirectory=",
	"CacheDirectory=",
	"LogsDirectory=",
	"ConfigurationDirectory=",
};

char *alias_dropin_text(const char *service, bool reloads)
{
	_cleanup_(freep) char *first = head(service), *section = service_section(service, reloads);
	_cleanup_(freep) char *resets = strdup("");

	for (size_t i = 0; resets && i < ARRAY_SIZE(undone); i++) {
		_cleanup_(freep) char *before = resets;

		resets = format("%s%s\n", before, undone[i]);
	}
	if (!first || !section || !resets)
		return NULL;
	return format("%s# What other drop-ins set was meant for a server.\n"
		      "\n"
		      "[Service]\n"
		      "%s\n"
		      "%s",
		      first, resets, section);
}

bool alias_is_ours(const char *text, const char *service)
{
	_cleanup_(freep) char *first = service ? format(HEAD, service) : strdup("# Written by");

	return first && !strncmp(text, first, strlen(first)) && strstr(text, HSCTL " alias ");
}

static int add_safe(char ***pieces, enum command_list list, const struct commands *commands)
{
	int r = 0;

	if (!commands->replaced[list])
		return 0;
	r = strings_take(pieces, format("%s=\n", command_list_to_string(list)));
	for (char **p = commands->lines[list]; r >= 0 && p && *p; p++)
		r = strings_take(pieces, format("%s=%s\n", command_list_to_string(list), *p));
	return r;
}

char *alias_stop_text(const char *service, const struct commands *commands)
{
	_cleanup_(strings_freep) char **pieces = NULL;
	_cleanup_(freep) char *text = NULL;
	int r = strings_take(&pieces, format("# While %s@.service takes over.\n"
					     "[Service]\n"
					     "# the slots use it, too\n"
					     "RuntimeDirectoryPreserve=yes\n"
					     "PIDFile=\n"
					     "Restart=no\n",
					     service));

	if (r >= 0)
		r = add_safe(&pieces, COMMANDS_STOP, commands);
	if (r >= 0)
		r = add_safe(&pieces, COMMANDS_STOP_POST, commands);
	if (r >= 0 && commands->kill_signal[0])
		r = strings_take(&pieces, format("KillSignal=%s\n", commands->kill_signal));
	text = r >= 0 ? strdup("") : NULL;
	for (char **p = pieces; text && *p; p++) {
		_cleanup_(freep) char *before = text;

		text = format("%s%s", before, *p);
	}
	return steal_ptr(&text);
}
