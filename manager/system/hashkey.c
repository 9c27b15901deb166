// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/hashkey.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/spread/spread.h"
#include "util/macro.h"

#define KEY_SIZE_MAX 4096

static int check(const char *path, const struct stat *st, struct problem *problem)
{
	if (!S_ISREG(st->st_mode))
		return problem_set(problem, -EINVAL, "HashKey=%s is no file", path);
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return problem_set(problem, -EPERM,
				   "HashKey=%s belongs to user %u, who could aim at slots; chown "
				   "root %s",
				   path, st->st_uid, path);
	if (st->st_mode & 077)
		return problem_set(problem, -EPERM,
				   "HashKey=%s can be read by others (mode %04o), who could aim at "
				   "slots; chmod 0600 %s",
				   path, st->st_mode & 07777, path);
	return 0;
}

/* A longer file is none. */
static int read_text(int fd, char text[KEY_SIZE_MAX])
{
	ssize_t n = read(fd, text, KEY_SIZE_MAX);

	if (n < 0)
		return -errno;
	if (n == KEY_SIZE_MAX || memchr(text, '\0', (size_t)n))
		return -EINVAL;
	text[n] = '\0';
	return 0;
}

/* hsd's sandbox (units/hsd.service) hides what is there. */
static bool is_hidden(const char *path)
{
	static const char *const folders[] = {"/root/", "/home/", "/run/user/", "/tmp/",
					      "/var/tmp/"};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (!strncmp(path, folders[i], strlen(folders[i])))
			return true;
	return false;
}

/* How to write one is told where there is none alone: over one that is there it would put a key
 * that other machines do not know. */
static int refuse_unread(const char *path, int error, struct problem *problem)
{
	if (is_hidden(path))
		return problem_set(problem, -error,
				   "HashKey=%s cannot be read: %s; hsd does not see /root, /home, "
				   "/run/user, /tmp and /var/tmp; put the file in /etc/hotstandby",
				   path, strerror(error));
	if (error == ENOENT)
		return problem_set(problem, -error,
				   "HashKey=%s cannot be read: %s; write it with: head -c 16 "
				   "/dev/urandom | base64 | install -m 0600 /dev/stdin %s; or copy "
				   "that of the machines that are to agree",
				   path, strerror(error), path);
	return problem_set(problem, -error, "HashKey=%s cannot be read: %s", path, strerror(error));
}

int hashkey_read(const char *path, uint64_t *ret_key, struct problem *problem)
{
	_cleanup_(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char text[KEY_SIZE_MAX];
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return refuse_unread(path, errno, problem);
	r = check(path, &st, problem);
	if (r < 0)
		return r;
	r = read_text(fd, text);
	if (!r)
		r = spread_key_of(text, ret_key);
	return r ? problem_set(problem, r,
			       "HashKey=%s has no key in it: it takes text of %u to %u characters, "
			       "the same on all machines that are to agree",
			       path, SPREAD_KEY_MIN, KEY_SIZE_MAX - 1)
		 : 0;
}
