/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "system/configfile.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "core/ini.h"
#include "core/name.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/strings.h"

#define FILE_SIZE_MAX 65536
#define VENDOR_FOLDER HS_PREFIX "/lib/hotstandby"
#define ADMIN_FOLDER  HS_SYSCONFDIR "/hotstandby"
#define SUFFIX	      ".conf"
/* Later changes have another time stamp for certain. */
#define SETTLED_SEC 2

static const char *root = "";

void configfile_set_root(const char *new_root)
{
	root = new_root;
}

char *configfile_path(const char *service, const char *suffix)
{
	return format("%s" ADMIN_FOLDER "/%s" SUFFIX "%s", root, service, suffix);
}

char *configfile_vendor_path(const char *service)
{
	return format("%s" VENDOR_FOLDER "/%s" SUFFIX, root, service);
}

bool configfile_is_masked(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* What cannot be told is an error: settings that are not read would not hold. */
static int is_there(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0)
		return !configfile_is_masked(path);
	return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
}

static int explain_read(const char *path, int error, struct problem *problem)
{
	return problem_set(problem, error, "Cannot read %s: %s.", path, strerror(-error));
}

/* Applies the text of one file. */
static int apply_text(struct config *config, const char *path, char *text, struct problem *problem)
{
	struct problem reason = {};
	enum ini_kind kind;
	struct ini ini;
	int r = 0;

	ini_init(&ini, text);
	while (r >= 0 && (kind = ini_next(&ini)) != INI_END) {
		if (kind == INI_SECTION)
			r = config_check_section(ini.section, &reason);
		else if (kind == INI_ASSIGNMENT)
			r = config_set(config, ini.section, ini.key, ini.value, &reason);
		else
			r = problem_set(&reason, -EINVAL,
					"This line is neither a [section], nor KEY=VALUE, nor a "
					"comment with # in front.");
	}
	return r < 0 ? problem_set(problem, r, "%s:%u: %s", path, ini.line, reason.text) : 0;
}

/* Applies one file. One that is not there, or no longer, is fine. */
static int apply_file(struct config *config, const char *path, struct problem *problem)
{
	_cleanup_(freep) char *text = NULL;
	int r = is_there(path);

	if (r <= 0)
		return r ? explain_read(path, r, problem) : 0;
	r = file_read(path, FILE_SIZE_MAX, &text);
	if (r == -ENOENT)
		return 0;
	if (r == -EFBIG)
		return problem_set(problem, -EINVAL, "%s: The file is larger than %u bytes.", path,
				   FILE_SIZE_MAX);
	if (r == -EBADMSG)
		return problem_set(problem, -EINVAL, "%s: The file is not text.", path);
	if (r < 0)
		return explain_read(path, r, problem);
	return apply_text(config, path, text, problem);
}

/* Adds the names of the folder's *.conf to the list, each once. No folder, no names. */
static int list_folder(const char *folder, char ***names, struct problem *problem)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0
				       : problem_set(problem, -errno, "Cannot read %s: %s.", folder,
						     strerror(errno));
	while (r >= 0 && (entry = readdir(dir))) {
		const char *suffix = strrchr(entry->d_name, '.');

		/* one without a name before the suffix is hidden, not ours */
		if (!suffix || suffix == entry->d_name || strcmp(suffix, SUFFIX) != 0)
			continue;
		if (!strings_contain(*names, entry->d_name))
			r = strings_add(names, entry->d_name);
	}
	closedir(dir);
	return r;
}

/* Applies the drop-ins of both folders, in the order of their names. */
static int apply_drop_ins(struct config *config, const char *service, struct problem *problem)
{
	_cleanup_(freep) char *admin = format("%s" ADMIN_FOLDER "/%s" SUFFIX ".d", root, service);
	_cleanup_(freep) char *vendor = format("%s" VENDOR_FOLDER "/%s" SUFFIX ".d", root, service);
	_cleanup_(strings_freep) char **names = NULL;
	int r;

	if (!admin || !vendor)
		return -ENOMEM;
	r = list_folder(admin, &names, problem);
	if (r >= 0)
		r = list_folder(vendor, &names, problem);
	strings_sort(names);

	for (size_t i = 0; r >= 0 && names && names[i]; i++) {
		_cleanup_(freep) char *path = format("%s/%s", admin, names[i]);
		struct stat st;

		if (path && lstat(path, &st) < 0) {
			free(path);
			path = format("%s/%s", vendor, names[i]);
		}
		r = path ? apply_file(config, path, problem) : -ENOMEM;
	}
	return r;
}

int configfile_load(const char *service, struct config *ret, struct problem *problem)
{
	_cleanup_(freep) char *vendor = NULL, *admin = NULL;
	struct config config;
	int r;

	if (!name_is_valid(service))
		return problem_set(
			problem, -EINVAL,
			"This is not the name of a service; allowed are letters, digits and "
			": - _ . \\.");
	vendor = configfile_vendor_path(service);
	admin = configfile_path(service, "");
	if (!vendor || !admin)
		return problem_set(problem, -ENOMEM, "Out of memory.");
	if (configfile_is_masked(admin) || (!is_there(admin) && !is_there(vendor)))
		return -ENOENT;

	config_init(&config);
	r = apply_file(&config, vendor, problem);
	if (r >= 0)
		r = apply_file(&config, admin, problem);
	if (r >= 0)
		r = apply_drop_ins(&config, service, problem);
	if (r == -ENOMEM)
		return problem_set(problem, r, "Out of memory.");
	if (r < 0)
		return r;
	config_settle(&config);
	*ret = config;
	return 0;
}

struct stamp {
	uint64_t hash;
	bool recent; /* one of them was changed a moment ago */
};

static void stamp_number(struct stamp *stamp, uint64_t number)
{
	stamp->hash = (stamp->hash ^ number) * 0x100000001b3ULL;
}

static void stamp_stat(struct stamp *stamp, const struct stat *st)
{
	stamp_number(stamp, st->st_dev);
	stamp_number(stamp, st->st_ino);
	stamp_number(stamp, st->st_size);
	stamp_number(stamp, st->st_mtim.tv_sec);
	stamp_number(stamp, st->st_mtim.tv_nsec);
	stamp_number(stamp, st->st_ctim.tv_sec);
	stamp_number(stamp, st->st_ctim.tv_nsec);
	stamp->recent |= st->st_ctim.tv_sec + SETTLED_SEC >= time(NULL);
}

/* A link as well as what it leads to. */
static void stamp_path(struct stamp *stamp, const char *path)
{
	struct stat st;

	stamp_number(stamp, 1);
	if (!path || lstat(path, &st) < 0)
		return;
	stamp_stat(stamp, &st);
	if (S_ISLNK(st.st_mode) && stat(path, &st) == 0)
		stamp_stat(stamp, &st);
}

static void stamp_drop_ins(struct stamp *stamp, const char *folder)
{
	_cleanup_(strings_freep) char **names = NULL;

	if (!folder || list_folder(folder, &names, NULL) < 0) {
		stamp->recent = true;
		return;
	}
	strings_sort(names);
	for (size_t i = 0; names && names[i]; i++) {
		_cleanup_(freep) char *path = format("%s/%s", folder, names[i]);

		stamp_path(stamp, path);
	}
}

uint64_t configfile_stamp(const char *service)
{
	_cleanup_(freep) char *vendor = configfile_vendor_path(service);
	_cleanup_(freep) char *admin = configfile_path(service, "");
	_cleanup_(freep) char *more = configfile_path(service, ".d");
	_cleanup_(freep) char *vendor_more = format("%s.d", vendor ?: "");
	struct stamp stamp = {.hash = 0xcbf29ce484222325ULL};

	stamp_path(&stamp, vendor);
	stamp_path(&stamp, admin);
	stamp_drop_ins(&stamp, vendor_more);
	stamp_drop_ins(&stamp, more);
	return stamp.recent ? 0 : stamp.hash | 1;
}

/* From file names to the services that they configure. */
static int services_of(char *const *names, char ***ret_services)
{
	_cleanup_(strings_freep) char **services = NULL;

	for (; names && *names; names++) {
		_cleanup_(freep) char *service = NULL, *admin = NULL;
		int r;

		service = strndup(*names, strlen(*names) - strlen(SUFFIX));
		if (!service)
			return -ENOMEM;
		if (!name_is_valid(service))
			continue;
		admin = configfile_path(service, "");
		if (!admin)
			return -ENOMEM;
		if (configfile_is_masked(admin))
			continue;
		r = strings_take(&services, steal_ptr(&service));
		if (r < 0)
			return r;
	}
	strings_sort(services);
	*ret_services = steal_ptr(&services);
	return 0;
}

int configfile_list(char ***ret_services)
{
	_cleanup_(freep) char *admin = format("%s" ADMIN_FOLDER, root);
	_cleanup_(freep) char *vendor = format("%s" VENDOR_FOLDER, root);
	_cleanup_(strings_freep) char **names = NULL;
	int r;

	if (!admin || !vendor)
		return -ENOMEM;
	r = list_folder(admin, &names, NULL);
	if (r >= 0)
		r = list_folder(vendor, &names, NULL);
	return r < 0 ? r : services_of(names, ret_services);
}
