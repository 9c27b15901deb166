// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/path/activelink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/word.h"
#include "util/macro.h"
#include "util/parse.h"

/* Others may be at it at the same time; each of them leaves it right, or sees that it is not. */
#define TRIES 100

/* The service's folder is root's, and so is what leads there: nobody else can have put a link in
 * its way. */
static int open_folder(const char *service)
{
	char folder[PATH_FILE_MAX];
	int fd;

	snprintf(folder, sizeof(folder), PATH_ROOT "/%s", service);
	fd = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int read_at(int folder, unsigned *ret_slot)
{
	char text[16];
	ssize_t n = readlinkat(folder, PATH_ACTIVE, text, sizeof(text) - 1);
	uint64_t slot;

	if (n < 0)
		return -errno;
	text[n] = '\0';
	if (parse_unsigned(text, 0, HS_SLOTS_MAX - 1, &slot) < 0)
		return -EINVAL;
	*ret_slot = slot;
	return 0;
}

int activelink_read(const char *service, unsigned *ret_slot)
{
	_cleanup_(close_fdp) int folder = open_folder(service);

	return folder < 0 ? folder : read_at(folder, ret_slot);
}

static int point(int folder, unsigned slot)
{
	char target[12], temporary[40];

	snprintf(target, sizeof(target), "%u", slot);
	/* one for each thread of whoever does this */
	snprintf(temporary, sizeof(temporary), "." PATH_ACTIVE ".%d", (int)gettid());
	if (symlinkat(target, folder, temporary) < 0) {
		/* left by one that was killed */
		if (errno != EEXIST || unlinkat(folder, temporary, 0) < 0 ||
		    symlinkat(target, folder, temporary) < 0)
			return -errno;
	}
	if (renameat(folder, temporary, folder, PATH_ACTIVE) < 0) {
		int r = -errno;

		unlinkat(folder, temporary, 0);
		return r;
	}
	return 0;
}

int activelink_point(const char *service, unsigned slot)
{
	_cleanup_(close_fdp) int folder = open_folder(service);

	return folder < 0 ? folder : point(folder, slot);
}

static unsigned active_of(const __u64 *word)
{
	return hs_word_active(__atomic_load_n(word, __ATOMIC_SEQ_CST));
}

int activelink_follow(const char *service, const __u64 *word)
{
	_cleanup_(close_fdp) int folder = -1;
	unsigned slot, active;
	int r = 0;

	if (active_of(word) >= HS_SLOTS_MAX)
		return 0;
	folder = open_folder(service);
	if (folder < 0)
		return folder;
	/* the word is read after the link was written: the last one to write has seen the last
	 * word */
	for (unsigned i = 0; !r && i < TRIES; i++) {
		active = active_of(word);
		if (active >= HS_SLOTS_MAX || (!read_at(folder, &slot) && slot == active))
			return 0;
		r = point(folder, active);
	}
	return r ? r : -EAGAIN;
}
