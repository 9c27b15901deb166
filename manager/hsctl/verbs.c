// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/verbs.h"

#include <limits.h>
#include <string.h>

#include "core/near.h"
#include "util/macro.h"

static const struct verb *verbs;
static size_t n_verbs;

void verbs_use(const struct verb *table, size_t n)
{
	verbs = table;
	n_verbs = n;
}

const struct verb *verb_at(unsigned index)
{
	return index < n_verbs ? &verbs[index] : NULL;
}

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < n_verbs; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

const struct verb *verb_nearest(const char *name)
{
	const struct verb *nearest = NULL;
	int best = INT_MAX;

	for (size_t i = 0; i < n_verbs; i++) {
		int d = near_distance(name, verbs[i].name);

		if (d < 0 || d >= best || verbs[i].hidden)
			continue;
		best = d;
		nearest = &verbs[i];
	}
	return nearest;
}

/* Words of other programs, and what does it here. */
static const struct {
	const char *word, *hint;
} hints[] = {
	{"restart", "one instance, without loss: systemctl restart SERVICE@N; all of them, with a "
		    "new version: hsctl upgrade SERVICE"},
	{"reload", "the server's settings: systemctl reload SERVICE@N; those of hotstandby: "
		   "systemctl reload hsd"},
	{"start", "systemctl start SERVICE@N"},
	{"stop", "systemctl stop SERVICE@N, which moves its clients first; all of them, with "
		 "clients that wait: hsctl park SERVICE first"},
	{"kill", "systemctl kill SERVICE@N; another slot takes over"},
	{"add", "hsctl enable SERVICE@.service"},
	{"create", "hsctl enable SERVICE@.service"},
	{"remove", "hsctl disable SERVICE"},
	{"delete", "hsctl disable SERVICE"},
	{"show", "hsctl status SERVICE"},
	{"info", "hsctl status SERVICE"},
	{"describe", "hsctl status SERVICE"},
	{"ps", "hsctl status"},
	{"ls", "hsctl list"},
	{"top", "hsctl status --watch"},
	{"watch", "hsctl status --watch"},
	{"stats", "hsctl status, or hsctl metrics"},
	{"prometheus", "hsctl metrics"},
	{"log", "hsctl events SERVICE"},
	{"logs", "hsctl events SERVICE"},
	{"journal", "hsctl events SERVICE"},
	{"flip", "hsctl switchover SERVICE"},
	{"swap", "hsctl switchover SERVICE"},
	{"activate", "hsctl switchover SERVICE --to=N"},
	{"promote", "hsctl switchover SERVICE --to=N"},
	{"undo", "hsctl rollback SERVICE"},
	{"revert", "hsctl rollback SERVICE"},
	{"deploy", "hsctl upgrade SERVICE"},
	{"update", "hsctl upgrade SERVICE"},
	{"check", "hsctl doctor"},
	{"test", "hsctl doctor, or hsctl drill SERVICE"},
	{"pause", "hsctl park SERVICE"},
	{"resume", "hsctl release SERVICE"},
	{"cat", "hsctl config SERVICE --cat"},
	{"settings", "hsctl config SERVICE"},
};

const char *verb_hint(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(hints); i++)
		if (!strcmp(hints[i].word, name))
			return hints[i].hint;
	return NULL;
}

static const char common_options[] =
	"Options everywhere:\n"
	"      --json           for programs\n"
	"      --timeout=SPAN   wait no longer than this\n"
	"      --no-block       do not wait for the end of a change\n"
	"      --direct         without hsd, through what is pinned in the kernel\n"
	"      --no-color       also by NO_COLOR in the environment\n"
	"      --no-ask-password  of who is not root: what takes a password is refused\n"
	"  -H, --host=[USER@]HOST   over ssh\n"
	"  -M, --machine=CONTAINER  in a container of this machine\n"
	"  -h, --help           this, or about one verb\n"
	"      --version\n"
	"      --list-verbs     the names of all verbs\n";

void verb_list_names(FILE *out)
{
	for (size_t i = 0; i < n_verbs; i++)
		if (!verbs[i].hidden)
			fprintf(out, "%s\n", verbs[i].name);
}

static void help_all(FILE *out)
{
	fputs("hsctl [OPTION...] VERB [ARGUMENT...]\n\n"
	      "Two instances of a server on one address; which of them gets new connections.\n\n",
	      out);
	for (size_t i = 0; i < n_verbs; i++)
		if (!verbs[i].hidden)
			fprintf(out, "  %-12s %s\n", verbs[i].name, verbs[i].summary);
	fprintf(out,
		"\n%s\nExit codes: 0 done, 1 failed, 2 usage, 3 refused and nothing changed,\n"
		"            4 undone, traffic is back where it was.\n"
		"See hsctl(1).\n",
		common_options);
}

void verb_help(const struct verb *verb, FILE *out)
{
	if (!verb) {
		help_all(out);
		return;
	}
	fprintf(out, "hsctl %s %s%s[OPTION...]\n\n%s.\n\n", verb->name, verb->arguments,
		verb->arguments[0] ? " " : "", verb->summary);
	if (verb->details)
		fprintf(out, "%s\n", verb->details);
	fputs(common_options, out);
}
