// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/startlog.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/watch/starts.h"
#include "util/clock.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/parse.h"

#define FILE_SIZE_MAX 4096

/* False without a runtime folder. */
static bool path_of(const char *name, char path[PATH_MAX])
{
	const char *folder = getenv("RUNTIME_DIRECTORY");

	return folder && folder[0] == '/' &&
	       snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

static bool log_path(char path[PATH_MAX])
{
	return path_of("starts", path);
}

/* A file that is not understood counts as none. */
static uint64_t read_log(const char *path, struct startlog *ret_log)
{
	_cleanup_(freep) char *text = NULL;
	uint64_t begun = 0;
	int n = 0;

	*ret_log = (struct startlog) {0};
	if (file_read(path, FILE_SIZE_MAX, &text) < 0 ||
	    sscanf(text, "%u %" SCNu64 " %n", &ret_log->ends, &begun, &n) < 2)
		return 0;
	problem_set(&ret_log->last_words, 0, "%.*s", (int)strcspn(text + n, "\n"), text + n);
	return begun;
}

/* The time is that of the boot's clock, as the folder is of this boot. Where it cannot be written,
 * there is no delay. */
static void write_log(const char *path, const struct startlog *log, uint64_t begun)
{
	_cleanup_(freep) char *text =
		format("%u %" PRIu64 " %s\n", log->ends, begun, log->last_words.text);

	if (text)
		(void)file_write(path, text, 0600);
}

uint64_t startlog_begin(struct startlog *ret_log)
{
	uint64_t now = now_usec(), begun, delay;
	struct startlog next = {0};
	char path[PATH_MAX];

	*ret_log = (struct startlog) {0};
	if (!log_path(path))
		return 0;
	begun = read_log(path, ret_log);
	/* it lies ahead if the one before ended while it waited */
	if (begun <= now && now - begun >= STARTS_FORGET)
		*ret_log = (struct startlog) {0};
	delay = starts_delay(ret_log->ends);
	/* if it ends well, the file goes */
	next.ends = ret_log->ends + 1;
	write_log(path, &next, now + delay);
	return delay;
}

uint64_t startlog_count(void)
{
	_cleanup_(freep) char *before = NULL, *text = NULL;
	char path[PATH_MAX];
	uint64_t n = 0;

	if (!path_of("started", path))
		return 1;
	if (!file_read(path, FILE_SIZE_MAX, &before))
		before[strcspn(before, "\n")] = '\0';
	/* one that is not understood counts as none */
	(void)parse_unsigned(before, 0, UINT64_MAX - 1, &n);
	text = format("%" PRIu64 "\n", ++n);
	if (text)
		(void)file_write(path, text, 0600);
	return n;
}

void startlog_fail(const char *last_words)
{
	struct startlog log;
	char path[PATH_MAX];
	uint64_t begun;

	if (!log_path(path))
		return;
	begun = read_log(path, &log);
	problem_set(&log.last_words, 0, "%s", last_words);
	write_log(path, &log, begun);
}

void startlog_end(void)
{
	char path[PATH_MAX];

	if (log_path(path))
		unlink(path);
}
