/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/setup/dropin.h"

#include <string.h>

#include "core/config/config.h"
#include "core/name.h"
#include "core/path.h"
#include "core/setup/alias.h"
#include "core/setup/commands.h"
#include "core/setup/pathfind.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/strings.h"

/* Not hsctl itself: a hook is given the environment of the unit. */
#define HOOK HS_PREFIX "/lib/hotstandby/hs-hook"

/* Joins the pieces into one text. Frees them. */
static char *join(char **pieces)
{
	_cleanup_(strings_freep) char **list = pieces;
	size_t size = 1;
	char *text, *end;

	for (char **p = list; p && *p; p++)
		size += strlen(*p);
	text = end = malloc(size);
	if (!text)
		return NULL;
	for (char **p = list; p && *p; p++)
		end = stpcpy(end, *p);
	*end = 0;
	return text;
}

/* "app@.socket" -> "app@%i.socket": the socket unit of the same slot. Free it. */
static char *same_slot(const char *template)
{
	const char *at = strchr(template, '@');

	return at ? format("%.*s@%%i%s", (int)(at - template), template, at + 1) : NULL;
}

char *dropin_path(const char *template)
{
	return format(HS_SYSCONFDIR "/systemd/system/%s.d/" DROPIN_NAME, template);
}

char *dropin_config_text(const char *service)
{
	_cleanup_(strings_freep) char **pieces = NULL;
	const struct setting *key;
	const char *section = "";
	int r;

	r = strings_take(
		&pieces,
		format("# Settings of the service %s, see hotstandby.conf(5).\n"
		       "# Written by \"hsctl enable\" with every key at its default. Remove "
		       "the '#' in front of\n"
		       "# a key to change it, then run: systemctl reload hsd\n",
		       service));
	for (size_t i = 0; r >= 0 && (key = config_key(i)); i++) {
		if (strcmp(section, key->section))
			r = strings_take(&pieces, format("\n[%s]\n", key->section));
		section = key->section;
		if (r >= 0)
			r = strings_take(&pieces, format("\n# %s\n#%s=%s\n", key->help, key->name,
							 key->value));
	}
	return r < 0 ? NULL : join(steal_ptr(&pieces));
}

/* What both drop-ins begin with. */
static int add_head(char ***pieces, const char *service)
{
	return strings_take(
		pieces, format("# Written by \"hsctl enable %s@.service\". Do not edit: \"hsctl "
			       "enable\" writes it anew,\n"
			       "# \"hsctl disable %s@.service\" removes it.\n"
			       "\n"
			       "[Unit]\n",
			       service, service));
}

/* Who starts while another one runs joins that one's namespaces. */
static int add_joined(char ***pieces, const struct dropin *dropin)
{
	int r = strings_add(pieces, "# PrivateNetwork=: one network for all slots, as long as one "
				    "of them runs\n"
				    "JoinsNamespaceOf=");

	for (unsigned slot = 0; r >= 0 && slot < dropin->joined; slot++)
		r = strings_take(pieces,
				 format("%s%s@%u.service", slot ? " " : "", dropin->service, slot));
	return r < 0 ? r : strings_add(pieces, "\n");
}

/* What a template is short of that was a plain unit. */
static int add_shared(char ***pieces, const struct dropin *dropin)
{
	int r = 0;

	if (dropin->shares_pid_file)
		r = strings_add(pieces, "# one file cannot name the main process of every slot\n"
					"PIDFile=\n");
	if (r >= 0 && dropin->shares_runtime)
		r = strings_add(pieces, "# the others use it, too, while one stops\n"
					"RuntimeDirectoryPreserve=yes\n");
	return r;
}

static bool is_same_folder(const char *a, const char *b)
{
	char one[HS_PATH_MAX], other[HS_PATH_MAX];

	path_folder(a, one);
	path_folder(b, other);
	return !strcmp(one, other);
}

static bool is_told(const struct pathlist *paths, unsigned index)
{
	for (unsigned i = 0; i < index; i++)
		if (is_same_folder(paths->paths[i], paths->paths[index]))
			return true;
	return false;
}

/* Where it is missing the server goes without; so its first start, before it is made, does not
 * fail, and the server's own command sees it. */
static int add_paths(char ***pieces, const struct pathlist *paths)
{
	int r = 0;

	for (unsigned i = 0; r >= 0 && paths && i < paths->n; i++) {
		char folder[HS_PATH_MAX], key[PATH_KEY_MAX];

		if (is_told(paths, i))
			continue;
		path_folder(paths->paths[i], folder);
		path_key(paths->paths[i], key);
		r = strings_take(pieces, format("# each slot has a folder of its own for %s\n"
						"BindPaths=-" PATH_ROOT "/%%p/%%i/%s:%s\n",
						paths->paths[i], key, folder));
	}
	return r;
}

/* The unit's own lines of one list again. */
static int add_lines(char ***pieces, enum command_list list, const struct commands *commands)
{
	int r = 0;

	for (char **p = commands ? commands->lines[list] : NULL; r >= 0 && p && *p; p++)
		r = strings_take(pieces, format("%s=%s\n", command_list_to_string(list), *p));
	return r;
}

/* A list that had a line which reaches whichever slot it finds first. */
static int add_replaced(char ***pieces, enum command_list list, const struct commands *commands)
{
	int r;

	if (!commands || !commands->replaced[list])
		return 0;
	r = strings_take(pieces,
			 format("# without what may reach another slot than the one that is meant\n"
				"%s=\n",
				command_list_to_string(list)));
	return r < 0 ? r : add_lines(pieces, list, commands);
}

/* systemd itself stops the slot's processes, by the signal that the line has sent. */
static int add_stops(char ***pieces, const struct commands *commands)
{
	int r = strings_add(pieces, "# new connections leave the instance first, then it is "
				    "stopped as before\n"
				    "ExecStop=\n"
				    "ExecStop=-+" HOOK " retire %n\n");

	if (r >= 0 && commands && commands->replaced[COMMANDS_STOP])
		r = strings_add(pieces, "# without what may reach another slot than the one that "
					"is meant: systemd knows which it is\n");
	if (r >= 0)
		r = add_lines(pieces, COMMANDS_STOP, commands);
	if (r >= 0 && commands && commands->kill_signal[0])
		r = strings_take(pieces, format("KillSignal=%s\n", commands->kill_signal));
	return r;
}

/* A hook before the unit's own commands of the list, which may ask whether the server answers. */
static int add_first(char ***pieces, enum command_list list, const char *hook,
		     const struct commands *commands)
{
	bool replaced = commands && commands->replaced[list];
	const char *name = command_list_to_string(list);
	int r = 0;

	if (replaced || (commands && commands->lines[list]))
		r = strings_take(pieces, format("# first of all: the unit's own commands may ask "
						"for the server\n%s=\n",
						name));
	if (r >= 0)
		r = strings_take(pieces, format("%s=-+" HOOK " %s %%n\n", name, hook));
	if (r >= 0 && replaced)
		r = strings_add(pieces, "# without what may reach another slot than the one that "
					"is meant\n");
	return r < 0 ? r : add_lines(pieces, list, commands);
}

/* Right before the server, and before what the unit itself runs before that. */
static int add_prepare(char ***pieces, const struct commands *commands)
{
	bool early = commands &&
		     (commands->lines[COMMANDS_CONDITION] || commands->lines[COMMANDS_START_PRE]);
	int r;

	if (early)
		r = add_first(pieces, COMMANDS_CONDITION, "prepare", commands);
	else
		r = add_replaced(pieces, COMMANDS_CONDITION, commands);
	if (r >= 0)
		r = add_replaced(pieces, COMMANDS_START_PRE, commands);
	return r < 0 ? r : strings_add(pieces, "ExecStartPre=-+" HOOK " prepare %n\n");
}

static int add_commands(char ***pieces, const struct commands *commands)
{
	int r = add_prepare(pieces, commands);

	if (r >= 0)
		r = add_first(pieces, COMMANDS_START_POST, "adopt", commands);
	if (r >= 0)
		r = add_replaced(pieces, COMMANDS_RELOAD, commands);
	if (r >= 0)
		r = add_stops(pieces, commands);
	return r < 0 ? r : add_replaced(pieces, COMMANDS_STOP_POST, commands);
}

/* Behind whatever the unit has: of those that listen at paths, by themselves or by a socket unit.
 */
static int add_leave(char ***pieces, bool has_paths)
{
	return has_paths ? strings_add(pieces, "# also after a crash, and without hsd\n"
					       "ExecStopPost=-+" HOOK " leave %n\n")
			 : 0;
}

char *dropin_service_text(const struct dropin *dropin)
{
	_cleanup_(strings_freep) char **pieces = NULL;
	char *const *sockets = dropin->sockets;
	int r;

	r = add_head(&pieces, dropin->service);
	if (r >= 0)
		r = strings_add(&pieces, "After=hsd.service\n");
	for (; r >= 0 && sockets && *sockets; sockets++) {
		_cleanup_(freep) char *socket = same_slot(*sockets);

		r = socket ? strings_take(&pieces, format("# every start fetches a fresh listener\n"
							  "Wants=%s\nAfter=%s\n",
							  socket, socket))
			   : -ENOMEM;
	}
	if (r >= 0 && dropin->joined)
		r = add_joined(&pieces, dropin);
	if (r >= 0 && dropin->alias)
		r = strings_take(&pieces, format(ALIAS_KEY "=%s\n", dropin->alias));
	if (r >= 0)
		r = strings_add(&pieces, "StartLimitIntervalSec=0\n"
					 "\n"
					 "[Service]\n"
					 "Environment=HOTSTANDBY_SLOT=%i\n"
					 "# hs-hook is the machine's, not one in a RootDirectory=\n"
					 "RootDirectoryStartOnly=yes\n");
	if (r >= 0)
		r = add_shared(&pieces, dropin);
	if (r >= 0)
		r = add_paths(&pieces, dropin->paths);
	if (r >= 0)
		r = add_commands(&pieces, dropin->commands);
	if (r >= 0)
		r = add_leave(&pieces, dropin->has_paths);
	return r < 0 ? NULL : join(steal_ptr(&pieces));
}

static bool is_listen(const struct assignment *a)
{
	return !strcmp(a->section, "Socket") && !strncmp(a->key, "Listen", strlen("Listen")) &&
	       !dropin_is_ours(a->file) && !dropin_is_later(a->file);
}

/* All kinds are one list, and an empty one of any kind resets it. */
static size_t first_listen(const struct assignments *settings)
{
	size_t first = 0;

	for (size_t i = 0; i < settings->n; i++)
		if (is_listen(&settings->items[i]) && !*settings->items[i].value)
			first = i + 1;
	return first;
}

static bool is_path(const struct assignment *a, char path[HS_PATH_MAX])
{
	return !strcmp(a->key, "ListenStream") && path_from_listen(a->value, path);
}

void dropin_socket_paths(const struct assignments *settings, struct pathlist *list)
{
	char path[HS_PATH_MAX];

	for (size_t i = first_listen(settings); i < settings->n; i++)
		if (is_listen(&settings->items[i]) && is_path(&settings->items[i], path))
			pathlist_add(list, path);
}

/* In the order in which they are, for servers that know their listeners by it. */
static int add_listens(char ***pieces, const char *service, const struct assignments *settings)
{
	int r = strings_add(pieces, "# a path of its own for each slot; the public one is a link\n"
				    "RemoveOnStop=no\n"
				    "ListenStream=\n");

	for (size_t i = first_listen(settings); r >= 0 && i < settings->n; i++) {
		const struct assignment *a = &settings->items[i];
		char path[HS_PATH_MAX], key[PATH_KEY_MAX];

		if (!is_listen(a))
			continue;
		if (!is_path(a, path)) {
			r = strings_take(pieces, format("%s=%s\n", a->key, a->value));
			continue;
		}
		path_key(path, key);
		r = strings_take(pieces, format("ListenStream=" PATH_ROOT "/%s/%%i/%s/%s\n",
						service, key, path_base(path)));
	}
	return r;
}

char *dropin_socket_text(const char *service, const struct assignments *settings)
{
	_cleanup_(strings_freep) char **pieces = NULL;
	struct pathlist paths = {0};
	int r;

	dropin_socket_paths(settings, &paths);
	r = add_head(&pieces, service);
	if (r >= 0)
		r = strings_add(&pieces, "StartLimitIntervalSec=0\n"
					 "\n"
					 "[Socket]\n"
					 "# the slots listen side by side\n"
					 "ReusePort=yes\n"
					 "# what waits goes to another slot when one stops\n"
					 "FlushPending=no\n");
	if (r >= 0 && paths.n)
		r = add_listens(&pieces, service, settings);
	return r < 0 ? NULL : join(steal_ptr(&pieces));
}

char *dropin_paths_text(const char *service, const struct pathlist *paths)
{
	_cleanup_(strings_freep) char **pieces = NULL;
	int r;

	r = strings_take(
		&pieces,
		format("# Written by \"hsctl enable %s@.service\", which writes it anew, with the\n"
		       "# paths of --path= or with those that it finds; \"hsctl disable\" removes "
		       "it.\n"
		       "\n"
		       "[" CONFIG_SECTION "]\n"
		       "Paths=",
		       service));
	for (unsigned i = 0; r >= 0 && i < paths->n; i++)
		r = strings_take(&pieces, format("%s%s", i ? " " : "", paths->paths[i]));
	if (r >= 0)
		r = strings_add(&pieces, "\n");
	return r < 0 ? NULL : join(steal_ptr(&pieces));
}

int dropin_sockets(char *text, char ***ret_sockets)
{
	_cleanup_(strings_freep) char **sockets = NULL;
	enum ini_kind kind;
	struct ini ini;
	int r = 0;

	ini_init(&ini, text);
	while (r >= 0 && (kind = ini_next(&ini)) != INI_END) {
		char service[SERVICE_NAME_MAX];

		if (kind != INI_ASSIGNMENT || strcmp(ini.section, "Unit") != 0 ||
		    strcmp(ini.key, "Wants") != 0 || !strstr(ini.value, "@%i.socket"))
			continue;
		/* it becomes part of a path: only what can be a name */
		if (snprintf(service, sizeof(service), "%.*s", (int)strcspn(ini.value, "@"),
			     ini.value) >= (int)sizeof(service) ||
		    !name_is_valid(service))
			continue;
		r = strings_take(&sockets, format("%s@.socket", service));
	}
	if (r < 0)
		return r;
	*ret_sockets = steal_ptr(&sockets);
	return 0;
}

char *dropin_alias(char *text)
{
	enum ini_kind kind;
	struct ini ini;

	ini_init(&ini, text);
	while ((kind = ini_next(&ini)) != INI_END)
		/* it becomes part of a path: only what can be a name */
		if (kind == INI_ASSIGNMENT && !strcmp(ini.section, "Unit") &&
		    !strcmp(ini.key, ALIAS_KEY) && alias_is_possible(ini.value))
			return strdup(ini.value);
	return NULL;
}
