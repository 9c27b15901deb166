/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hsctl/unit/filechanges.h"

#include <string.h>
#include <sys/stat.h>

#include "util/files.h"

#define FILE_SIZE_MAX (4 * 1024 * 1024)
#define FILE_MODE     0644
#define FOLDER_MODE   0755

void filechanges_done(struct filechanges *changes)
{
	for (size_t i = 0; i < changes->n; i++) {
		struct filechange *change = &changes->items[i];

		free(change->path);
		free(change->text);
		free(change->rename);
		free(change->before);
		free(change->folder);
	}
	*changes = (struct filechanges) {};
}

/* The next free place, which then owns the strings. NULL = too many; the strings are freed. */
static struct filechange *add(struct filechanges *changes, char *path, char *text, char *rename_to)
{
	struct filechange *change = &changes->items[changes->n];

	if (changes->n == FILECHANGES_MAX) {
		free(path);
		free(text);
		free(rename_to);
		return NULL;
	}
	*change = (struct filechange) {.path = path, .text = text, .rename = rename_to};
	changes->n++;
	return change;
}

static int too_many(struct problem *problem)
{
	return problem_set(problem, -EFBIG, "There are more than %u files to change.",
			   FILECHANGES_MAX);
}

static int no_memory(struct problem *problem)
{
	return problem_set(problem, -ENOMEM, "Out of memory.");
}

/* Remembers what the file holds now. */
static int read_before(struct filechange *change, struct problem *problem)
{
	int r = file_read(change->path, FILE_SIZE_MAX, &change->before);

	if (r >= 0 || r == -ENOENT || r == -ENOTDIR)
		return 0;
	return problem_set(problem, r, "Cannot read %s: %s.", change->path,
			   r == -EBADMSG ? "It is not a text file" : strerror(-r));
}

int filechanges_write(struct filechanges *changes, char *path, char *text, struct problem *problem)
{
	bool memory = path && text;
	struct filechange *change = add(changes, path, text, NULL);
	int r;

	if (!change)
		return too_many(problem);
	if (!memory)
		return no_memory(problem);
	r = read_before(change, problem);
	change->needed = r >= 0 && (!change->before || strcmp(change->before, text) != 0);
	return r;
}

int filechanges_remove(struct filechanges *changes, char *path, struct problem *problem)
{
	bool memory = path;
	struct filechange *change = add(changes, path, NULL, NULL);
	int r;

	if (!change)
		return too_many(problem);
	if (!memory)
		return no_memory(problem);
	r = read_before(change, problem);
	change->needed = r >= 0 && change->before;
	return r;
}

int filechanges_rename(struct filechanges *changes, char *path, char *to, struct problem *problem)
{
	bool memory = path && to;
	struct filechange *change = add(changes, path, NULL, to);
	struct stat st;

	if (!change)
		return too_many(problem);
	if (!memory)
		return no_memory(problem);
	change->needed = lstat(path, &st) == 0;
	return 0;
}

size_t filechanges_pending(const struct filechanges *changes)
{
	size_t n = 0;

	for (size_t i = 0; i < changes->n; i++)
		n += changes->items[i].needed && !changes->items[i].done;
	return n;
}

size_t filechanges_made(const struct filechanges *changes)
{
	size_t n = 0;

	for (size_t i = 0; i < changes->n; i++)
		n += changes->items[i].done;
	return n;
}

/* The folder that a file stands in. Free it. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
}

/* Writes the file, and its folder where that is missing. */
static int write_text(struct filechange *change, const char *text)
{
	_cleanup_(freep) char *folder = folder_of(change->path);
	struct stat st;
	int r;

	if (!folder)
		return -ENOMEM;
	if (lstat(folder, &st) < 0) {
		r = make_folders(folder, FOLDER_MODE);
		if (r < 0)
			return r;
		free(change->folder);
		change->folder = steal_ptr(&folder);
	}
	r = file_write(change->path, text, FILE_MODE);
	if (r < 0 && change->folder)
		(void)rmdir(change->folder);
	return r;
}

/* Removes the file, and its folder where nothing else is in it; but not where settings go. */
static int remove_file(const char *path)
{
	_cleanup_(freep) char *folder = folder_of(path);

	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	if (folder && strcmp(folder, HS_SYSCONFDIR "/hotstandby") != 0)
		(void)rmdir(folder);
	return 0;
}

static int do_one(struct filechange *change)
{
	if (change->rename)
		return rename(change->path, change->rename) < 0 ? -errno : 0;
	return change->text ? write_text(change, change->text) : remove_file(change->path);
}

/* A folder that this change did not make stays, even if nothing is left in it. */
static int undo_one(struct filechange *change)
{
	if (change->rename)
		return rename(change->rename, change->path) < 0 ? -errno : 0;
	if (change->before)
		return write_text(change, change->before);
	if (unlink(change->path) < 0 && errno != ENOENT)
		return -errno;
	if (change->folder)
		(void)rmdir(change->folder);
	return 0;
}

int filechanges_undo(struct filechanges *changes, struct problem *problem)
{
	int result = 0;

	for (size_t i = changes->n; i > 0; i--) {
		struct filechange *change = &changes->items[i - 1];
		int r;

		if (!change->done)
			continue;
		r = undo_one(change);
		if (r < 0)
			result = problem_set(problem, r, "Could not undo the change of %s: %s.",
					     change->path, strerror(-r));
		change->done = false;
	}
	return result;
}

int filechanges_apply(struct filechanges *changes, struct problem *problem)
{
	for (size_t i = 0; i < changes->n; i++) {
		struct filechange *change = &changes->items[i];
		struct problem undo = {};
		int r;

		if (!change->needed || change->done)
			continue;
		r = do_one(change);
		if (r >= 0) {
			change->done = true;
			continue;
		}
		(void)filechanges_undo(changes, &undo);
		return problem_set(problem, r, "Cannot %s %s: %s. %s%s",
				   change->text ? "write" : "remove", change->path, strerror(-r),
				   *undo.text ? undo.text : "Nothing was changed.",
				   r == -EACCES || r == -EPERM ? " Run it as root." : "");
	}
	return 0;
}
