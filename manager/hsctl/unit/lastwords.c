// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/unit/lastwords.h"

#include <dirent.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <systemd/sd-journal.h>

#include "core/name.h"
#include "util/macro.h"
#include "util/text.h"

#define LINE_TEXT_MAX 500
#define RUN_FOLDER    "/run/systemd"
#define SOCKET_NAME   "io.systemd.journal"

/* journald's own "Synchronize". */
static void synchronize(const char *folder)
{
	static const char order[] = "{\"method\":\"io.systemd.Journal.Synchronize\"}";
	static const struct timeval patience = {.tv_sec = 1};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_(close_fdp) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[256];

	if (fd < 0 ||
	    snprintf(address.sun_path, sizeof(address.sun_path), RUN_FOLDER "/%s/" SOCKET_NAME,
		     folder) >= (int)sizeof(address.sun_path))
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	/* with the zero at its end */
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    send(fd, order, sizeof(order), MSG_NOSIGNAL) == sizeof(order) &&
	    recv(fd, answer, sizeof(answer), 0) < 0)
		errno = 0;
}

/* What was said a moment ago is to be there, also in journals of their own (LogNamespace=). Where
 * that does not come about, what is there will do. */
static void synchronize_all(void)
{
	_cleanup_(closedirp) DIR *run = opendir(RUN_FOLDER);
	struct dirent *entry;

	synchronize("journal");
	while (run && (entry = readdir(run)))
		if (!strncmp(entry->d_name, "journal.", strlen("journal.")))
			synchronize(entry->d_name);
}

static int open_journal(sd_journal **ret_journal)
{
	int r = sd_journal_open_namespace(ret_journal, NULL,
					  SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_ALL_NAMESPACES);

	return r < 0 ? sd_journal_open(ret_journal, SD_JOURNAL_LOCAL_ONLY) : r;
}

static int add_match(sd_journal *journal, const char *field, const char *value)
{
	char match[UNIT_NAME_MAX + 32];

	snprintf(match, sizeof(match), "%s=%s", field, value);
	return sd_journal_add_match(journal, match, 0);
}

static int add_matches(sd_journal *journal, const struct lastwords *wanted)
{
	int r;

	if (!wanted->unit) {
		/* anybody may call himself so; what we start is root's */
		r = add_match(journal, "_UID", "0");
		return r < 0 ? r : add_match(journal, "SYSLOG_IDENTIFIER", wanted->identifier);
	}
	r = add_match(journal, "_SYSTEMD_UNIT", wanted->unit);
	if (r >= 0)
		r = sd_journal_add_disjunction(journal);
	if (r >= 0)
		r = add_match(journal, "_PID", "1");
	return r < 0 ? r : add_match(journal, "UNIT", wanted->unit);
}

static bool is_older(sd_journal *journal, uint64_t since_usec)
{
	uint64_t usec;

	return sd_journal_get_realtime_usec(journal, &usec) < 0 || usec < since_usec;
}

/* Stands at the first one then. Returns how many there are. */
static int seek(sd_journal *journal, const struct lastwords *wanted)
{
	unsigned n = 0;
	int r = sd_journal_seek_tail(journal);

	while (r >= 0 && n <= wanted->lines && (r = sd_journal_previous(journal)) > 0) {
		n++;
		if (n > wanted->lines || is_older(journal, wanted->since_usec)) {
			r = sd_journal_next(journal);
			return r < 0 ? r : (int)n - 1;
		}
	}
	return r < 0 ? r : (int)n;
}

static void read_line(sd_journal *journal, char line[LINE_TEXT_MAX])
{
	static const size_t skip = sizeof("MESSAGE=") - 1;
	const char *data;
	size_t length, n = 0;

	if (sd_journal_get_data(journal, "MESSAGE", (const void **)&data, &length) >= 0)
		for (; n + skip < length && n < LINE_TEXT_MAX - 1; n++) {
			unsigned char c = data[n + skip];

			line[n] = c < ' ' || c == 0x7f ? ' ' : (char)c;
		}
	line[n] = '\0';
	text_tame(line);
}

int lastwords_read(const struct lastwords *wanted, void (*each)(const char *line, void *userdata),
		   void *userdata)
{
	char line[LINE_TEXT_MAX];
	sd_journal *journal = NULL;
	int r, n;

	synchronize_all();
	r = open_journal(&journal);
	if (r < 0)
		return r;
	r = add_matches(journal, wanted);
	n = r < 0 ? r : seek(journal, wanted);
	for (int i = 0; i < n; i++) {
		read_line(journal, line);
		each(line, userdata);
		if (sd_journal_next(journal) <= 0)
			break;
	}
	sd_journal_close(journal);
	return n;
}
