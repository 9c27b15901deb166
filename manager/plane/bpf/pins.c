// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/pins.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "core/name.h"
#include "hs_abi.h"
#include "util/clock.h"
#include "util/macro.h"

/* Whoever makes pins holds their lock for milliseconds; one that was stopped meanwhile must not
 * stop others for good. */
#define LOCK_RETRY_MS 2
#define LOCK_PATIENCE (1 * USEC_PER_SEC)

/* Whoever finds the root folder removed makes it again; nobody removes it twice in this time. */
#define ENTER_TRIES 3

struct pin_path pin_path(const char *template, ...)
{
	struct pin_path path;
	va_list args;

	va_start(args, template);
	vsnprintf(path.text, sizeof(path.text), template, args);
	va_end(args);
	return path;
}

struct pin_path pin_service_path(const char *service)
{
	char name[PIN_NAME_MAX];

	name_to_pin(service, name, sizeof(name));
	return pin_path("%s/%s", HS_PIN_ROOT, name);
}

int pins_prepare(struct problem *problem)
{
	struct statfs fs;

	if (statfs("/sys/fs/bpf", &fs) < 0 || fs.f_type != BPF_FS_MAGIC)
		return problem_set(
			problem, -ENODEV,
			"/sys/fs/bpf is not a BPF file system, so nothing could be kept "
			"in the kernel; mount it%s: mount -t bpf -o mode=0700 bpf /sys/fs/bpf",
			access("/sys/fs/bpf", F_OK)
				? ", when there is a /sys (mount -t sysfs sysfs /sys)"
				: "");
	if (mkdir(HS_PIN_ROOT, 0750) < 0 && errno != EEXIST)
		return problem_set(problem, -errno, "cannot make %s: %m; %s", HS_PIN_ROOT,
				   errno == EROFS ? "if it was removed while hsd ran, restart "
						    "hsd, which has it made: systemctl restart hsd"
						  : "this needs root and a writable bpffs");
	return pins_check(problem);
}

/* A new BPF file system is everybody's, as /tmp is: who comes first may have made the folder. */
int pins_check(struct problem *problem)
{
	_cleanup_(close_fdp) int fd =
		open(HS_PIN_ROOT, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return problem_set(problem, -errno, "cannot look at %s: %m", HS_PIN_ROOT);
	if (status.st_uid || status.st_mode & (S_IWGRP | S_IWOTH))
		return problem_set(problem, -EPERM,
				   "%s is of user %u with mode %04o: not only root could move away "
				   "what is pinned below it; remove it, and keep others out: chmod "
				   "0700 /sys/fs/bpf",
				   HS_PIN_ROOT, status.st_uid, status.st_mode & 07777);
	return 0;
}

static bool may_wait = true;

void pins_set_waiting(bool waiting)
{
	may_wait = waiting;
}

int pins_lock(const char *folder, int wait, int *ret_fd)
{
	_cleanup_(close_fdp) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t end = now_usec() + LOCK_PATIENCE;
	struct stat status;

	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (!wait || !may_wait || now_usec() >= end)
			return -EBUSY;
		poll(NULL, 0, LOCK_RETRY_MS);
	}
	/* what was removed while we waited is nobody's any more */
	if (fstat(fd, &status) < 0)
		return -errno;
	if (!status.st_nlink)
		return -ENOENT;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int pins_explain_lock(int error, struct problem *problem)
{
	return problem_set(problem, error,
			   error == -EBUSY ? "cannot lock %s: %s; another process makes pins, or "
					     "was stopped while it did: see fuser -v %s"
					   : "cannot lock %s: %s; this needs root",
			   HS_PIN_ROOT, strerror(-error), HS_PIN_ROOT);
}

int pins_enter(int *ret_lock, struct problem *problem)
{
	int r = -ENOENT;

	for (unsigned i = 0; r == -ENOENT && i < ENTER_TRIES; i++) {
		r = pins_prepare(problem);
		if (r < 0)
			return r;
		r = pins_lock(HS_PIN_ROOT, 1, ret_lock);
	}
	return r < 0 ? pins_explain_lock(r, problem) : 0;
}

int pin_open(const char *path, int *ret_fd)
{
	int fd = bpf_obj_get(path);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int pin_object(int fd, const char *path)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	return bpf_obj_pin(fd, path) < 0 ? -errno : 0;
}

static bool is_dot(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

int pins_remove(const char *folder)
{
	_cleanup_(closedirp) DIR *dir = opendir(folder);
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		struct pin_path path = pin_path("%s/%s", folder, entry->d_name);

		if (is_dot(entry->d_name))
			continue;
		if (entry->d_type == DT_DIR)
			r = pins_remove(path.text) ?: r;
		else if (unlink(path.text) < 0 && errno != ENOENT)
			r = -errno;
	}
	if (rmdir(folder) < 0 && errno != ENOENT)
		r = r ?: -errno;
	return r;
}

int pins_each_folder(const char *folder, int (*each)(const char *name, void *userdata),
		     void *userdata)
{
	_cleanup_(closedirp) DIR *dir = opendir(folder);
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return -errno;
	while (!r && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && !is_dot(entry->d_name))
			r = each(entry->d_name, userdata);
	return r;
}
