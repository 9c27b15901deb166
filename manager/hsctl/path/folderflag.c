// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/path/folderflag.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/macro.h"

/* It may be taken off by another while we wait for nothing. */
#define TRIES 3
/* Another changes a name or two: for the time of 1 s it is looked again. */
#define LOOKS	   100
#define LOOK_EVERY 10000000 /* ns */

static bool has_flag(int folder)
{
	int flags;

	return !ioctl(folder, FS_IOC_GETFLAGS, &flags) && flags & FS_APPEND_FL;
}

static int set_flag(int folder, bool on)
{
	int flags, wanted;

	if (ioctl(folder, FS_IOC_GETFLAGS, &flags) < 0)
		return -errno;
	wanted = on ? flags | FS_APPEND_FL : flags & ~FS_APPEND_FL;
	if (wanted == flags)
		return -EALREADY;
	return ioctl(folder, FS_IOC_SETFLAGS, &wanted) < 0 ? -errno : 0;
}

/* ---- the mark ---- */

/* The folder may be the service's own user's, who can put there what he likes. */
static bool is_ours(int mark)
{
	struct stat st;

	return !fstat(mark, &st) && S_ISREG(st.st_mode) && !st.st_uid && st.st_nlink == 1 &&
	       !(st.st_mode & (S_IRWXG | S_IRWXO));
}

static bool is_named(int folder, int mark)
{
	struct stat there, open;

	return !fstatat(folder, FOLDERFLAG_MARK, &there, AT_SYMLINK_NOFOLLOW) &&
	       !fstat(mark, &open) && there.st_dev == open.st_dev && there.st_ino == open.st_ino;
}

/* One that is there, locked. -ENOENT: there is none; -EBUSY: its holder lives; -EPERM: it is not
 * ours; -EAGAIN: it has just gone. */
static int lock_mark(int folder, int *ret_mark)
{
	_cleanup_(close_fdp) int mark =
		openat(folder, FOLDERFLAG_MARK, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (mark < 0)
		return errno == ENOENT ? -ENOENT : -EPERM;
	if (!is_ours(mark))
		return -EPERM;
	if (flock(mark, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (!is_named(folder, mark))
		return -EAGAIN;
	*ret_mark = steal_fd(&mark);
	return 0;
}

static int make_mark(int folder)
{
	_cleanup_(close_fdp) int mark =
		openat(folder, FOLDERFLAG_MARK, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return mark < 0 && errno != EEXIST ? -errno : 0;
}

static int take_mark(int folder, int *ret_mark)
{
	int r = -EAGAIN;

	for (unsigned i = 0; r && r != -EBUSY && i < TRIES; i++) {
		/* another's is in the way, which is no mark */
		if (r == -EPERM && unlinkat(folder, FOLDERFLAG_MARK, 0) < 0)
			return -errno;
		r = make_mark(folder);
		if (r < 0)
			return r;
		r = lock_mark(folder, ret_mark);
	}
	return r;
}

/* ---- the turn ---- */

static int try_to_take(int folder, int *ret_mark)
{
	folderflag_settle(folder);
	/* what was so before stays so */
	return has_flag(folder) ? -EALREADY : take_mark(folder, ret_mark);
}

int folderflag_take(int folder, struct folderlock *ret_lock)
{
	static const struct timespec pause = {.tv_nsec = LOOK_EVERY};
	_cleanup_(close_fdp) int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int mark, r = fd < 0 ? -errno : try_to_take(fd, &mark);

	for (unsigned i = 0; r == -EBUSY && i < LOOKS; i++) {
		nanosleep(&pause, NULL);
		r = try_to_take(fd, &mark);
	}
	if (r < 0)
		return r;
	*ret_lock = (struct folderlock) {steal_fd(&fd), mark};
	return 0;
}

int folderflag_set(const struct folderlock *lock)
{
	return set_flag(lock->folder, true);
}

static void give_up(int folder, int mark)
{
	set_flag(folder, false);
	unlinkat(folder, FOLDERFLAG_MARK, 0);
	close_fd(mark);
}

void folderflag_release(struct folderlock *lock)
{
	if (lock->folder < 0)
		return;
	give_up(lock->folder, lock->mark);
	close_fd(lock->folder);
	*lock = FOLDERLOCK_NONE;
}

bool folderflag_is_left(int folder)
{
	_cleanup_(close_fdp) int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(close_fdp) int mark = -1;

	return fd >= 0 && has_flag(fd) && !lock_mark(fd, &mark);
}

bool folderflag_settle(int folder)
{
	_cleanup_(close_fdp) int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int mark;

	if (fd >= 0 && !lock_mark(fd, &mark))
		give_up(fd, mark);
	return fd >= 0 && has_flag(fd);
}
