// SPDX-License-Identifier: GPL-2.0-or-later
/* What is asked for a report, and of whom. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "hsctl/bundle/bundle.h"
#include "system/configfile.h"
#include "util/files.h"
#include "util/strings.h"

#define SELF	    BUNDLE_SELF
#define WORDS_MAX   12
#define LINES	    "20000" /* of a journal, its last */
#define PINS	    "/sys/fs/bpf/hotstandby"
#define SYSCTLS	    "net.ipv4.tcp_migrate_req", "net.ipv4.tcp_syncookies", "net.core.somaxconn"
#define SYSCTLS_BPF "kernel.unprivileged_bpf_disabled", "net.core.bpf_jit_enable"

struct part {
	const char *name;
	/* "%s" is the service, "%t" since when, "%u" each unit of the service */
	const char *command[WORDS_MAX];
	bool answers, versions; /* see struct bundle_part */
};

static const struct part of_machine[] = {
	{.name = "version.txt", .command = {SELF, "version", "--json"}, .versions = true},
	{.name = "kernel.txt", .command = {"uname", "-srvmo"}, .versions = true},
	{.name = "release.txt", .command = {"cat", "/etc/os-release"}, .versions = true},
	{.name = "systemd.txt", .command = {"systemctl", "--version"}, .versions = true},
	{.name = "packages.txt",
	 .command = {"dpkg-query", "--show", "hotstandby*", "libbpf*", "libsystemd0", "systemd",
		     "dbus*", "linux-image-*"},
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
	{.name = "history.json", .command = {SELF, "history", "%s", "--json", "-n", "1000"}},
	{.name = "events.txt", .command = {SELF, "events", "%s", "-n", "1000"}},
	{.name = "units.txt", .command = {"systemctl", "cat", "--no-pager", "%u"}},
	{.name = "units-state.txt", .command = {"systemctl", "show", "--no-pager", "%u"}},
	{.name = "units-journal.txt",
	 .command = {"journalctl", "--no-pager", "-o", "short-precise", "-u", "%s@*", "-n", LINES,
		     "%t"}},
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
	struct config config;
	int r = 0;

	config_init(&config);
	/* where they are wrong, those that every service has */
	(void)configfile_load(service, &config, NULL);
	for (unsigned i = 0; r >= 0 && i < config.slots; i++)
		r = strings_take(words, format("%s@%u.service", service, i));
	return r;
}

static int add_word(struct bundle *bundle, char ***words, const char *word, const char *service)
{
	if (!strcmp(word, "%u"))
		return add_units(words, service);
	if (!strcmp(word, "%t"))
		return strings_take(words, format("--since=@%" PRIu64, bundle->since_sec));
	if (!strncmp(word, "%s", 2) && service)
		return strings_take(words, format("%s%s", service, word + 2));
	return strings_add(words, word);
}

static int add_part(struct bundle *bundle, const struct part *part, const char *service)
{
	_cleanup_(strings_freep) char **words = NULL;
	_cleanup_(freep) char *name =
		service ? format("%s/%s", service, part->name) : strdup(part->name);
	int r = name ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < WORDS_MAX && part->command[i]; i++)
		r = add_word(bundle, &words, part->command[i], service);
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
