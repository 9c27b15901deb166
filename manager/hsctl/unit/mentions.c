// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/unit/mentions.h"

#include <glob.h>
#include <string.h>

#include "core/setup/mention.h"
#include "util/files.h"
#include "util/strings.h"

#define FILE_SIZE_MAX (256 * 1024)

static const char *const places[] = {
	"/etc/logrotate.conf",
	"/etc/logrotate.d/*",
	"/etc/letsencrypt/cli.ini",
	"/etc/letsencrypt/renewal/*.conf",
	"/etc/letsencrypt/renewal-hooks/*/*",
	"/etc/crontab",
	"/etc/cron.d/*",
	"/etc/cron.hourly/*",
	"/etc/cron.daily/*",
	"/etc/cron.weekly/*",
	"/etc/cron.monthly/*",
	"/var/spool/cron/crontabs/*",
	"/etc/monit/conf.d/*",
	"/etc/monit/conf-enabled/*",
	"/etc/network/if-up.d/*",
	"/etc/ppp/ip-up.d/*",
	"/etc/needrestart/restart.d/*",
};

struct search {
	const char *unit, *service, *pid_file;
	bool alias;
	struct mentions *found;
};

void mentions_done(struct mentions *mentions)
{
	free(mentions->items);
	strings_free(mentions->texts);
	*mentions = (struct mentions) {0};
}

static void set_remedy(const struct search *search, enum mention mention,
		       struct lint_finding *finding)
{
	if (mention == MENTION_OTHER)
		snprintf(finding->remedy, sizeof(finding->remedy),
			 "Give the slots their signal there: systemctl kill --kill-whom=main -s "
			 "SIGNAL "
			 "'%.80s@*.service'",
			 search->service);
	else
		snprintf(finding->remedy, sizeof(finding->remedy),
			 "Let that name stand for all slots: hsctl enable %.80s@.service "
			 "--alias=%.80s",
			 search->service, search->unit);
}

static int add(const struct search *search, const char *path, unsigned line, const char *text,
	       enum mention mention)
{
	struct mentions *found = search->found;
	struct lint_finding finding = {
		.line = line,
		.why = mention == MENTION_OTHER
			       ? "It means one process, and there are the slots'"
			       : "It means the plain unit, and the slots do not hear of it",
	};

	if (found->n == MENTIONS_MAX || strings_add(&found->texts, path) < 0)
		return 0;
	finding.file = found->texts[strings_count(found->texts) - 1];
	snprintf(finding.what, sizeof(finding.what), "%.200s", text + strspn(text, " \t"));
	set_remedy(search, mention, &finding);
	found->items[found->n++] = finding;
	return 0;
}

static void look_at(const struct search *search, const char *path)
{
	_cleanup_(freep) char *text = NULL;
	unsigned number = 0;
	char *rest, *line;

	if (file_read(path, FILE_SIZE_MAX, &text) < 0)
		return;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		enum mention mention = mention_in(line, search->unit, search->pid_file);

		number++;
		if (mention == MENTION_OTHER || (mention == MENTION_UNIT && !search->alias))
			add(search, path, number, line, mention);
	}
}

int mentions_find(const char *unit, const char *service, const char *pid_file, bool alias,
		  struct mentions *ret_mentions)
{
	struct mentions found = {.items = calloc(MENTIONS_MAX, sizeof(*found.items))};
	struct search search = {unit, service, pid_file, alias, &found};

	if (!found.items)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		glob_t files;

		if (glob(places[i], 0, NULL, &files))
			continue;
		for (size_t k = 0; k < files.gl_pathc; k++)
			look_at(&search, files.gl_pathv[k]);
		globfree(&files);
	}
	*ret_mentions = found;
	return 0;
}
