// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/path/pathsetup.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "core/path.h"
#include "hsctl/path/folderflag.h"
#include "plane/path/unixdiag.h"
#include "util/macro.h"

#define LABEL	    "security.selinux"
#define LABEL_MAX   256
#define FOLDER_MODE 0755

struct task {
	const char *service;
	unsigned slot;
	const struct config *config;
	int (*work)(struct task *task);
	/* the answer, shared with the child */
	int result;
	struct problem problem;
};

/* ---- in the machine's mount namespace ---- */

int pathsetup_enter_machine(struct problem *problem)
{
	_cleanup_(close_fdp) int fd = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNS) < 0)
		return problem_set(problem, -errno,
				   "the mount namespace of PID 1 cannot be entered: %m; this needs "
				   "root with CAP_SYS_ADMIN");
	return 0;
}

/* By a child: the caller stays where it is. */
static int run(struct task *task, struct problem *problem)
{
	struct task *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int r, status;

	if (shared == MAP_FAILED)
		return problem_set(problem, -ENOMEM, "no memory");
	*shared = *task;
	shared->result = -ECHILD;
	pid = fork();
	if (!pid) {
		/* what is made has its mode from the beginning: to give it one later would need its
		 * name, which may be another's by then */
		umask(0);
		shared->result = pathsetup_enter_machine(&shared->problem);
		if (!shared->result)
			shared->result = shared->work(shared);
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	r = shared->result;
	*problem = shared->problem;
	munmap(shared, sizeof(*shared));
	if (r < 0 && !problem->text[0])
		problem_set(problem, r, "%s", strerror(-r));
	return r;
}

/* ---- folders ---- */

/* Root's, and only root's to change. */
static int enter_folder(int parent, const char *name)
{
	struct stat st;
	int fd;

	if (mkdirat(parent, name, FOLDER_MODE) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || st.st_uid || st.st_mode & (S_IWGRP | S_IWOTH)) {
		close_fd(fd);
		return -EPERM;
	}
	return fd;
}

static int open_slot(const struct task *task)
{
	char slot[12];
	_cleanup_(close_fdp) int root = enter_folder(AT_FDCWD, PATH_ROOT);
	_cleanup_(close_fdp) int service = root < 0 ? root : enter_folder(root, task->service);

	snprintf(slot, sizeof(slot), "%u", task->slot);
	return service < 0 ? service : enter_folder(service, slot);
}

static void copy_label(int from, int to)
{
	char label[LABEL_MAX];
	ssize_t n = fgetxattr(from, LABEL, label, sizeof(label));

	/* without SELinux there is none */
	if (n > 0)
		(void)!fsetxattr(to, LABEL, label, n, 0);
}

/* Who may come to the public folder may come to this one, and nobody else. */
static int dress(int folder, const char *public)
{
	_cleanup_(close_fdp) int model =
		open(public, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st = {.st_mode = FOLDER_MODE};

	if (model >= 0) {
		if (fstat(model, &st) < 0)
			return -errno;
		copy_label(model, folder);
	}
	if (fchown(folder, st.st_uid, st.st_gid) < 0 || fchmod(folder, st.st_mode & 07777) < 0)
		return -errno;
	return 0;
}

static int make_folder(int slot, const char *path)
{
	_cleanup_(close_fdp) int fd = -1;
	char key[PATH_KEY_MAX], public[HS_PATH_MAX];

	path_key(path, key);
	path_folder(path, public);
	if (mkdirat(slot, key, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	fd = openat(slot, key, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : dress(fd, public);
}

static int make_folders_of_slot(struct task *task)
{
	_cleanup_(close_fdp) int slot = open_slot(task);
	int r = slot < 0 ? slot : 0;

	for (unsigned i = 0; !r && i < task->config->n_paths; i++)
		r = make_folder(slot, task->config->paths[i]);
	if (r < 0)
		problem_set(&task->problem, r,
			    "the folders of slot %u below " PATH_ROOT "/%s cannot be made: %s%s",
			    task->slot, task->service, strerror(-r),
			    r == -EPERM ? "; they have to be root's, and no others' to change"
					: "");
	return r;
}

int pathsetup_folders(const char *service, unsigned slot, const struct config *config,
		      struct problem *problem)
{
	struct task task = {service, slot, config, make_folders_of_slot, 0, {{0}}};

	return config->n_paths ? run(&task, problem) : 0;
}

/* ---- links ---- */

/* Whoever owns a folder on the way could lead us elsewhere by a link. */
static int open_below(int parent, const char *name)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, parent, name, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

int pathsetup_open_public(const char *folder)
{
	return open_below(AT_FDCWD, folder);
}

static int make_step(int parent, const char *name)
{
	int fd = open_below(parent, name);

	if (fd != -ENOENT)
		return fd;
	if (mkdirat(parent, name, FOLDER_MODE) < 0 && errno != EEXIST)
		return -errno;
	return open_below(parent, name);
}

/* What is missing of it is made. */
static int make_public(const char *folder)
{
	int fd = open_below(AT_FDCWD, "/");

	while (fd >= 0 && *folder) {
		_cleanup_(close_fdp) int parent = fd;
		char name[HS_PATH_MAX];
		size_t length = strcspn(++folder, "/");

		snprintf(name, sizeof(name), "%.*s", (int)length, folder);
		folder += length;
		fd = make_step(parent, name);
	}
	return fd;
}

static bool is_link_to(int folder, const char *name, const char *target)
{
	char text[PATH_FILE_MAX];
	ssize_t n = readlinkat(folder, name, text, sizeof(text));

	return n == (ssize_t)strlen(target) && !memcmp(text, target, n);
}

static int replace(int folder, const char *name, const char *target)
{
	char temporary[NAME_MAX];

	snprintf(temporary, sizeof(temporary), ".hotstandby.%d", getpid());
	unlinkat(folder, temporary, 0);
	if (symlinkat(target, folder, temporary) < 0)
		return -errno;
	if (renameat(folder, temporary, folder, name) < 0) {
		int r = -errno;

		unlinkat(folder, temporary, 0);
		return r;
	}
	return 1;
}

/* The link may lead to what others have put there, a release or a file, say. */
static int may_replace_link(int folder, const char *name, const char *own)
{
	char text[PATH_FILE_MAX];
	ssize_t n = readlinkat(folder, name, text, sizeof(text));
	struct stat st;

	if (n < 0)
		return -errno;
	if (n > (ssize_t)strlen(own) && !memcmp(text, own, strlen(own)))
		return 1;
	if (!fstatat(folder, name, &st, 0))
		return S_ISSOCK(st.st_mode) ? 1 : -ENOTSOCK;
	return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 1 : -errno;
}

static bool is_served(int folder, const char *name)
{
	_cleanup_(close_fdp) int fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && unixdiag_is_listened_at(fd);
}

/* 1: the link may be put there; 0: it is another's as yet. */
static int may_replace(int folder, const char *name, const char *own, const char *target)
{
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 1 : -errno;
	if (S_ISLNK(st.st_mode))
		return may_replace_link(folder, name, own);
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	return !is_served(folder, name) || (!stat(target, &st) && S_ISSOCK(st.st_mode));
}

/* Not while somebody holds the folder: what would be left behind could not be removed either. */
static int put_link(int folder, const char *service, const char *name, const char *target)
{
	struct folderlock lock;
	char own[PATH_FILE_MAX];
	int r = folderflag_take(folder, &lock);

	if (r < 0)
		return r == -EALREADY ? -EPERM : r;
	snprintf(own, sizeof(own), PATH_ROOT "/%s/", service);
	r = may_replace(folder, name, own, target);
	if (r > 0)
		r = replace(folder, name, target);
	folderflag_release(&lock);
	return r;
}

static int make_link(const char *service, const char *path)
{
	_cleanup_(close_fdp) int fd = -1;
	char folder[HS_PATH_MAX], target[PATH_FILE_MAX];

	path_folder(path, folder);
	path_of_active(service, path, target);
	fd = make_public(folder);
	if (fd < 0)
		return fd;
	if (is_link_to(fd, path_base(path), target)) {
		folderflag_settle(fd);
		return 0;
	}
	return put_link(fd, service, path_base(path), target);
}

static int make_links(struct task *task)
{
	int made = 0;

	for (unsigned i = 0; i < task->config->n_paths; i++) {
		const char *path = task->config->paths[i];
		int r = make_link(task->service, path);

		if (r == -ELOOP)
			return problem_set(&task->problem, r,
					   "%s is reached through a symbolic link; name the real "
					   "path in Paths=",
					   path);
		if (r == -ENOTSOCK)
			return problem_set(&task->problem, r,
					   "%s is something else than a socket, or a symbolic link "
					   "to that, and is left as it is; move it away, or take "
					   "it out of Paths=",
					   path);
		if (r < 0)
			return problem_set(&task->problem, r,
					   "%s cannot be made a link to the active slot: %s", path,
					   strerror(-r));
		made += r;
	}
	return made;
}

int pathsetup_links(const char *service, const struct config *config, struct problem *problem)
{
	struct task task = {service, 0, config, make_links, 0, {{0}}};

	return config->n_paths ? run(&task, problem) : 0;
}

/* ---- what was there before ---- */

static const char *kept_name(const char *path, char name[NAME_MAX])
{
	snprintf(name, NAME_MAX, ".hotstandby.%s", path_base(path));
	return name;
}

static int keep(int folder, const char *name, const char *kept)
{
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return 0;
	unlinkat(folder, kept, 0);
	return linkat(folder, name, folder, kept, 0) < 0 ? -errno : 0;
}

static int drop(int folder, const char *name, const char *kept)
{
	(void)name;
	return unlinkat(folder, kept, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int back(int folder, const char *name, const char *kept)
{
	if (renameat(folder, kept, folder, name) < 0)
		return errno == ENOENT ? 0 : -errno;
	/* two names of the same file are left as they are */
	return drop(folder, name, kept);
}

static int each_kept(struct task *task, int (*each)(int folder, const char *name, const char *kept))
{
	char folder[HS_PATH_MAX], kept[NAME_MAX];
	int r = 0;

	for (unsigned i = 0; i < task->config->n_paths; i++) {
		const char *path = task->config->paths[i];
		_cleanup_(close_fdp) int fd = -1;
		int one;

		path_folder(path, folder);
		fd = pathsetup_open_public(folder);
		if (fd >= 0)
			folderflag_settle(fd);
		one = fd < 0 ? fd : each(fd, path_base(path), kept_name(path, kept));
		if (one == -ENOENT || one >= 0 || r < 0)
			continue;
		r = problem_set(&task->problem, one, "the socket at %s cannot be kept: %s", path,
				strerror(-one));
	}
	return r;
}

static int leave(int folder, const char *name, const char *kept)
{
	(void)folder;
	(void)name;
	(void)kept;
	return 0;
}

static int settle_all(struct task *task)
{
	return each_kept(task, leave);
}

static int keep_all(struct task *task)
{
	return each_kept(task, keep);
}

static int drop_all(struct task *task)
{
	return each_kept(task, drop);
}

int pathsetup_keep(const struct config *config, struct problem *problem)
{
	struct task task = {"", 0, config, keep_all, 0, {{0}}};

	return config->n_paths ? run(&task, problem) : 0;
}

int pathsetup_back(const struct config *config, struct problem *problem)
{
	struct task task = {.config = config};
	int r = each_kept(&task, back);

	*problem = task.problem;
	return r;
}

int pathsetup_drop(const struct config *config, struct problem *problem)
{
	struct task task = {"", 0, config, drop_all, 0, {{0}}};

	return config->n_paths ? run(&task, problem) : 0;
}

int pathsetup_settle(const struct config *config, struct problem *problem)
{
	struct task task = {"", 0, config, settle_all, 0, {{0}}};

	return config->n_paths ? run(&task, problem) : 0;
}
