/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/files.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "util/macro.h"

/* Reads until the end or until `size` bytes are there. Returns their number. */
static ssize_t read_all(int fd, char *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, buffer + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int file_read(const char *path, size_t max, char **ret_text)
{
	_cleanup_(close_fdp) int fd = -1;
	_cleanup_(freep) char *text = NULL;
	size_t size = 0, room = 4096;

	if (max >= SSIZE_MAX / 2)
		return -EINVAL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;

	/* grown by reading: files of the kernel have no size that stat() knows */
	for (;;) {
		size_t want = MIN(room, max + 1);
		char *larger = realloc(text, want + 1);
		ssize_t n;

		if (!larger)
			return -ENOMEM;
		text = larger;
		n = read_all(fd, text + size, want - size);
		if (n < 0)
			return (int)n;
		size += (size_t)n;
		if (size < want)
			break;
		if (size > max)
			return -EFBIG;
		room *= 2;
	}

	if (memchr(text, 0, size))
		return -EBADMSG;
	text[size] = 0;
	*ret_text = steal_ptr(&text);
	return 0;
}

static int write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		size -= (size_t)n;
	}
	return 0;
}

static int fill_file(int fd, const char *text, mode_t mode)
{
	int r;

	if (fchmod(fd, mode) < 0)
		return -errno;
	r = write_all(fd, text, strlen(text));
	if (r < 0)
		return r;
	return fsync(fd) < 0 ? -errno : 0;
}

/* Makes a rename or removal in this folder last. Not every file system can; the change itself
 * stands. */
static void sync_folder(const char *folder)
{
	_cleanup_(close_fdp) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		(void)fsync(fd);
}

int file_write(const char *path, const char *text, mode_t mode)
{
	_cleanup_(freep) char *folder = NULL, *temporary = NULL;
	_cleanup_(close_fdp) int fd = -1;
	const char *slash = strrchr(path, '/');
	int r;

	if (!slash)
		folder = strdup(".");
	else
		folder = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (!folder)
		return -ENOMEM;
	/* short and hidden: the name has room left, and no reader of *.conf takes it up */
	temporary = format("%s/.hotstandby-XXXXXX", folder);
	if (!temporary)
		return -ENOMEM;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;

	r = fill_file(fd, text, mode);
	if (r >= 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(temporary);
		return r;
	}
	sync_folder(folder);
	return 0;
}

/* One step of mkdir -p. */
static int make_folder(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return chmod(path, mode) < 0 ? -errno : 0;
	/* whatever the reason (EEXIST, but also EROFS or EACCES): a folder that is there will do */
	if (errno == EEXIST || errno == EROFS || errno == EACCES) {
		int saved = errno;

		if (stat(path, &st) < 0)
			return -saved;
		return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	}
	return -errno;
}

int make_folders(const char *path, mode_t mode)
{
	_cleanup_(freep) char *copy = NULL;
	int r;

	if (!*path)
		return -EINVAL;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;

	for (char *p = copy + 1; *p; p++) {
		if (*p != '/' || p[-1] == '/')
			continue;
		*p = 0;
		r = make_folder(copy, mode);
		*p = '/';
		if (r < 0)
			return r;
	}
	return make_folder(copy, mode);
}

char *format(const char *template, ...)
{
	char *text = NULL;
	va_list list;
	int n;

	va_start(list, template);
	n = vasprintf(&text, template, list);
	va_end(list);
	return n < 0 ? NULL : text;
}

bool program_is_installed(const char *program)
{
	const char *folders = getenv("PATH") ?: "/usr/bin:/bin";
	char path[PATH_MAX];

	for (size_t length; *folders; folders += length + (folders[length] == ':')) {
		length = strcspn(folders, ":");
		snprintf(path, sizeof(path), "%.*s/%s", (int)length, folders, program);
		if (!access(path, X_OK))
			return true;
	}
	return false;
}
