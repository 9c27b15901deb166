// SPDX-License-Identifier: GPL-2.0-or-later
/* What is asked for a report, and of whom. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "hsctl/bundle/bundle.h"
#include "hsctl/bundle/bundle_units.h"
#include "system/configfile.h"
#include "util/files.h"
#include "util/strings.h"

#define SELF	    BUNDLE_SELF
#define WORDS_MAX   14
#define LINES	    "20000" /* of a journal, its last */
#define PINS	    "/sys/fs/bpf/hotstandby"
#define SYSCTLS	    "net.ipv4.tcp_migrate_req", "net.ipv4.tcp_syncookies", "net.core.somaxconn"
#define SYSCTLS_BPF "kernel.unprivileged_bpf_disabled", "net.core.bpf_jit_enable"

struct part {
	const char *name;
	/* "%s" is the service, "%t" since when, "%n" how many lines of what hsctl reads itself, and
	 * since when, "%u" each unit of the service, "%j" those that are none of its template's */
	const char *command[WORDS_MAX];
	const char *otherwise[WORDS_MAX]; /* where the program of that is not installed */
	bool answers, versions;		  /* see struct bundle_part */
};

static const struct part of_machine[] = {
	{.name = "version.txt", .command = {SELF, "version", "--json"}, .versions = true},
	{.name = "kernel.txt", .command = {"uname", "-srvmo"}, .versions = true},
	{.name = "release.txt", .command = {"cat", "/etc/os-release"}, .versions = true},
	{.name = "systemd.txt", .command = {"systemctl", "--version"}, .versions = true},
	{.name = "packages.txt",
	 .command = {"dpkg-query", "--show", "hotstandby*", "libbpf*", "libsystemd0", "systemd",
		     "dbus*", "linux-image-*"},
	 .otherwise = {"rpm", "--query", "--all", "hotstandby*", "libbpf*", "systemd*", "dbus*",
		       "kernel*"},
	 .answers = true,
	 .versions = true},
	{.name = "sysctl.txt", .command = {"sysctl", SYSCTLS, SYSCTLS_BPF}},
	{.name = "pins.txt", .command = {"find", PINS, "-printf", "%M %U %G %6s %P\\n"}},
	{.name = "files.txt",
	 .command = {"find", HS_SYSCONFDIR "/hotstandby", HS_PREFIX "/lib/hotstandby",
		     "/run/hotstandby", "-printf", "%M %U %G %6s %TF %TT %p %l\\n"},
	 .answers = true},
	{.name = "config-check.json",
	 .command = {SELF, "config", "check", "--json"},
	 .answers = true},
	{.name = "list.json", .command = {SELF, "list", "--json", "--timeout=5s"}},
	{.name = "doctor.txt", .command = {SELF, "doctor"}, .answers = true},
	{.name = "hsd-unit.txt",
	 .command = {"systemctl", "cat", "--no-pager", "hsd.service", "hs-borrow.service"}},
	{.name = "hsd-state.txt",
	 .command = {"systemctl", "show", "--no-pager", "hsd.service", "hs-borrow.service"}},
	{.name = "hsd-journal.txt",
	 .command = {"journalctl", "--no-pager", "-o", "short-precise", "-u", "hsd.service", "-u",
		     "hs-borrow.service", "-n", LINES, "%t"}},
};

static const struct part of_service[] = {
	{.name = "status.json", .command = {SELF, "status", "%s", "--json", "--timeout=5s"}},
	{.name = "status.txt", .command = {SELF, "status", "%s", "--timeout=5s"}},
	{.name = "connections.json",
	 .command = {SELF, "connections", "%s", "--json", "--timeout=5s"}},
	{.name = "config.json", .command = {SELF, "config", "%s", "--json"}},
	{.name = "config.txt", .command = {SELF, "config", "%s", "--cat"}},
	{.name = "doctor.txt", .command = {SELF, "doctor", "%s"}, .answers = true},
	{.name = "history.json", .command = {SELF, "history", "%s", "--json", "%n"}},
	{.name = "events.txt", .command = {SELF, "events", "%s", "%n"}},
	{.name = "units.txt", .command = {"systemctl", "cat", "--no-pager", "%u"}},
	{.name = "units-state.txt", .command = {"systemctl", "show", "--no-pager", "%u"}},
	{.name = "units-journal.txt",
	 .command = {"journalctl", "--no-pager", "-o", "short-precise", "-u", "%s@*", "%j", "-n",
		     LINES, "%t"}},
};

/* A front has none. */
static bool is_of_units(const struct part *part)
{
	for (size_t i = 0; i < WORDS_MAX && part->command[i]; i++)
		if (!strcmp(part->command[i], "%u") || !strcmp(part->command[i], "%s@*"))
			return true;
	return false;
}

static bool is_front(const char *service)
{
	struct config config;

	config_init(&config);
	return !configfile_load(service, &config, NULL) && config_is_front(&config.front);
}

static int add_units(char ***words, const char *service)
{
	_cleanup_(strings_freep) char **units = NULL;
	int r = bundle_units(service, &units);

	for (char **unit = units; r >= 0 && unit && *unit; unit++)
		r = strings_add(words, *unit);
	return r;
}

/* Those that "app@*" does not have. */
static int add_others(char ***words, const char *service)
{
	_cleanup_(strings_freep) char **units = NULL;
	size_t n = strlen(service);
	int r = bundle_units(service, &units);

	for (char **unit = units; r >= 0 && unit && *unit; unit++) {
		if (!strncmp(*unit, service, n) && (*unit)[n] == '@')
			continue;
		r = strings_add(words, "-u");
		if (r >= 0)
			r = strings_add(words, *unit);
	}
	return r;
}

/* What was done and what happened is told beyond the last day, unless it is said since when. */
static int add_lines(const struct bundle *bundle, char ***words)
{
	int r = strings_add(words, bundle->since_given ? "--lines=" LINES : "--lines=1000");

	if (r >= 0 && bundle->since_given)
		r = strings_take(words, format("--since=@%" PRIu64, bundle->since_sec));
	return r;
}

static int add_word(struct bundle *bundle, char ***words, const char *word, const char *service)
{
	if (!strcmp(word, "%u"))
		return add_units(words, service);
	if (!strcmp(word, "%j"))
		return add_others(words, service);
	if (!strcmp(word, "%n"))
		return add_lines(bundle, words);
	if (!strcmp(word, "%t"))
		return strings_take(words, format("--since=@%" PRIu64, bundle->since_sec));
	if (!strncmp(word, "%s", 2) && service)
		return strings_take(words, format("%s%s", service, word + 2));
	return strings_add(words, word);
}

static const char *const *command_of(const struct part *part)
{
	if (part->otherwise[0] && !program_is_installed(part->command[0]) &&
	    program_is_installed(part->otherwise[0]))
		return part->otherwise;
	return part->command;
}

static int add_part(struct bundle *bundle, const struct part *part, const char *service)
{
	_cleanup_(strings_freep) char **words = NULL;
	_cleanup_(freep) char *name =
		service ? format("%s/%s", service, part->name) : strdup(part->name);
	const char *const *command = command_of(part);
	int r = name ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < WORDS_MAX && command[i]; i++)
		r = add_word(bundle, &words, command[i], service);
	if (r < 0)
		return r;
	return bundle_add(bundle, &(struct bundle_part) {.name = name,
							 .command = (const char *const *)words,
							 .answers = part->answers,
							 .versions = part->versions});
}

static int add_service(struct bundle *bundle, const char *service)
{
	_cleanup_(freep) char *folder = format("%s/%s", bundle->folder, service);
	bool front = is_front(service);
	int r = 0;

	if (!folder || mkdir(folder, 0700) < 0)
		return -errno;
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(of_service); i++)
		if (!front || !is_of_units(&of_service[i]))
			r = add_part(bundle, &of_service[i], service);
	return r;
}

int bundle_add_all(struct bundle *bundle)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(of_machine); i++)
		r = add_part(bundle, &of_machine[i], NULL);
	for (size_t i = 0; r >= 0 && bundle->services && bundle->services[i]; i++)
		r = add_service(bundle, bundle->services[i]);
	return r;
}
