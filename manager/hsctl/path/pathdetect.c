// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/path/pathdetect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "core/name.h"
#include "core/path.h"
#include "core/setup/dropin.h"
#include "hsctl/path/folderflag.h"
#include "plane/borrow/borrow.h"
#include "plane/path/unixdiag.h"
#include "system/unit/units.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/strings.h"

#define CONFIG_SIZE_MAX (256 * 1024)
#define INCLUDED_MAX	64

/* ---- what it will be started with ---- */

struct reading {
	struct pathlist *list;
	bool included; /* what is included includes nothing more */
};

static void read_config(const char *path, void *userdata);

static void read_included(const char *pattern, void *userdata)
{
	struct reading reading = {((struct reading *)userdata)->list, true};
	glob_t found = {0};

	if (!glob(pattern, 0, NULL, &found))
		for (size_t i = 0; i < MIN(found.gl_pathc, (size_t)INCLUDED_MAX); i++)
			read_config(found.gl_pathv[i], &reading);
	globfree(&found);
}

/* A program is no text, and so not read. */
static void read_config(const char *path, void *userdata)
{
	_cleanup_(freep) char *text = NULL;
	struct reading *reading = userdata;

	if (file_read(path, CONFIG_SIZE_MAX, &text) < 0)
		return;
	pathfind_config(reading->list, text);
	if (!reading->included)
		pathfind_includes(text, read_included, reading);
}

void pathdetect_unit(const struct lint_unit *unit, const char *service, struct pathlist *list)
{
	_cleanup_(strings_freep) char **lines = NULL;
	struct reading reading = {list, false};

	if (dropin_effective(&unit->settings, "Service", "ExecStart", &lines) < 0)
		return;
	for (char **line = lines; line && *line; line++) {
		pathfind_command(list, *line, service);
		pathfind_files(*line, read_config, &reading);
	}
}

/* ---- what runs ---- */

static int by_number(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

static bool is_among(const struct lent_place *places, size_t n, uint32_t inode)
{
	for (size_t i = 0; i < n; i++)
		if (places[i].inode == inode)
			return true;
	return false;
}

int pathdetect_held(const char *cgroup, struct unix_listener **ret_listeners, size_t *ret_n)
{
	_cleanup_(freep) struct unix_listener *listeners = NULL;
	_cleanup_(freep) struct lent_place *places = NULL;
	_cleanup_(freep) uint32_t *inodes = NULL;
	size_t n, n_places = 0, held = 0;
	int r = unixdiag_listening(&listeners, &n);

	if (r < 0)
		return r;
	inodes = calloc(n + 1, sizeof(*inodes));
	if (!inodes)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		inodes[i] = listeners[i].inode;
	if (n) {
		qsort(inodes, n, sizeof(*inodes), by_number);
		r = borrow_find(cgroup, inodes, n, &places, &n_places);
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (is_among(places, n_places, listeners[i].inode))
			listeners[held++] = listeners[i];
	*ret_listeners = steal_ptr(&listeners);
	*ret_n = held;
	return 0;
}

bool pathdetect_leads_to(int root, const char *name, const struct unix_listener *listener)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	_cleanup_(close_fdp) int fd = (int)syscall(SYS_openat2, root, name, &how, sizeof(how));

	return fd >= 0 && unixdiag_is_bound_to(&listener->file, fd);
}

/* What a unit has. */
struct place {
	const char *service;
	unsigned slot; /* HS_SLOT_NONE: the plain unit */
	int root;      /* of the machine, O_PATH */
};

static bool is_at(const struct place *place, const struct unix_listener *listener)
{
	char file[PATH_FILE_MAX];
	struct problem problem;

	if (path_check(listener->name, &problem) < 0)
		return false;
	if (pathdetect_leads_to(place->root, listener->name, listener))
		return true;
	if (place->slot == HS_SLOT_NONE)
		return false;
	path_of_slot(place->service, place->slot, listener->name, file);
	return pathdetect_leads_to(place->root, file, listener);
}

static void find_held(const char *cgroup, const struct place *place, struct pathlist *list)
{
	_cleanup_(freep) struct unix_listener *held = NULL;
	size_t n = 0;

	if (!cgroup[0] || pathdetect_held(cgroup, &held, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		path_shorten(held[i].name);
		if (is_at(place, &held[i]))
			pathlist_add(list, held[i].name);
	}
}

static void find_unit(sd_bus *bus, const char *unit, const struct place *place,
		      struct pathlist *list)
{
	_cleanup_(unit_facts_done) struct unit_facts facts = {0};

	if (units_query(bus, unit, &facts, NULL) >= 0)
		find_held(facts.control_group, place, list);
}

void pathdetect_running(sd_bus *bus, const char *service, unsigned n_slots, struct pathlist *list)
{
	_cleanup_(freep) char *plain = format("%s.service", service);
	_cleanup_(close_fdp) int root = open("/proc/1/root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct place place = {.service = service, .root = root};
	char unit[UNIT_NAME_MAX];

	for (; place.slot < n_slots; place.slot++)
		if (!name_unit(service, place.slot, unit, sizeof(unit)))
			find_unit(bus, unit, &place, list);
	place.slot = HS_SLOT_NONE;
	if (plain)
		find_unit(bus, plain, &place, list);
}

/* ---- what is beside it ---- */

static bool ends_with(const char *name, const char *end)
{
	size_t length = strlen(name), n = strlen(end);

	return length >= n && !strcmp(name + length - n, end);
}

static bool is_about_process(int folder, const char *name)
{
	struct stat st;

	if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, FOLDERFLAG_MARK) ||
	    ends_with(name, ".pid") || ends_with(name, ".lock"))
		return true;
	return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISSOCK(st.st_mode) ||
	       S_ISLNK(st.st_mode) || S_ISFIFO(st.st_mode);
}

static bool is_other_file(int folder, const char *name, const char *path)
{
	(void)path;
	return !is_about_process(folder, name);
}

static bool is_other_name(int folder, const char *name, const char *path)
{
	char target[PATH_FILE_MAX];
	ssize_t n = readlinkat(folder, name, target, sizeof(target) - 1);
	struct stat socket, st;

	if (n < 0 || !strcmp(strrchr(path, '/') + 1, name))
		return false;
	target[n] = '\0';
	if (!strncmp(target, PATH_ROOT "/", strlen(PATH_ROOT "/")))
		return false;
	if (fstatat(folder, name, &st, 0) < 0)
		return errno == ENOENT;
	return !stat(path, &socket) && st.st_dev == socket.st_dev && st.st_ino == socket.st_ino;
}

static bool find_beside(const char *path,
			bool (*is_wanted)(int folder, const char *name, const char *path),
			char ret_name[NAME_MAX + 1])
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char folder[HS_PATH_MAX];
	struct dirent *entry;

	path_folder(path, folder);
	dir = opendir(folder);
	while (dir && (entry = readdir(dir)))
		if (is_wanted(dirfd(dir), entry->d_name, path)) {
			snprintf(ret_name, NAME_MAX + 1, "%s", entry->d_name);
			return true;
		}
	return false;
}

bool pathdetect_other_file(const char *path, char ret_name[NAME_MAX + 1])
{
	return find_beside(path, is_other_file, ret_name);
}

bool pathdetect_other_name(const char *path, char ret_name[NAME_MAX + 1])
{
	return find_beside(path, is_other_name, ret_name);
}
