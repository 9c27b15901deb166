/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "system/configfile.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "core/config/ini.h"
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

static const struct configfile_visitor nobody = {};

/* What comes of the files while they are read. */
struct reader {
	struct config config;
	const struct configfile_visitor *visitor;
	struct problem *problem; /* of the first fault */
	int fault;
};

/* Tells of a fault; what is returned ends the reading, unless all faults are asked for. */
static int fault_at(struct reader *reader, const char *path, unsigned line, int error,
		    const char *sentence)
{
	const struct configfile_visitor *visitor = reader->visitor;

	if (!reader->fault && line)
		problem_set(reader->problem, error, "%s:%u: %s", path, line, sentence);
	else if (!reader->fault)
		problem_set(reader->problem, error, "%s", sentence);
	reader->fault = reader->fault ?: error;
	if (!visitor->on_fault)
		return error;
	visitor->on_fault(path, line, sentence, visitor->userdata);
	return 0;
}

static int cannot_read(struct reader *reader, const char *path, int error)
{
	struct problem reason;

	problem_set(&reason, error, "Cannot read %s: %s.", path, strerror(-error));
	return fault_at(reader, path, 0, error, reason.text);
}

static int apply_line(struct reader *reader, const char *path, enum ini_kind kind,
		      const struct ini *ini)
{
	const struct configfile_visitor *visitor = reader->visitor;
	struct assignment assignment = {path, ini->line, ini->section, ini->key, ini->value};
	struct problem reason = {};
	int r;

	if (kind == INI_SECTION)
		r = config_check_section(ini->section, &reason);
	else if (kind == INI_ASSIGNMENT && *ini->section &&
		 config_check_section(ini->section, NULL) < 0)
		return 0; /* its section has been told */
	else if (kind == INI_ASSIGNMENT)
		r = config_set(&reader->config, ini->section, ini->key, ini->value, &reason);
	else
		r = problem_set(&reason, -EINVAL,
				"This line is neither a [section], nor KEY=VALUE, nor a comment "
				"with # in front.");
	if (r < 0)
		return fault_at(reader, path, ini->line, r, reason.text);
	if (kind == INI_ASSIGNMENT && visitor->on_assignment)
		visitor->on_assignment(&assignment, visitor->userdata);
	return 0;
}

/* Applies the text of one file. */
static int apply_text(struct reader *reader, const char *path, char *text)
{
	enum ini_kind kind;
	struct ini ini;
	int r = 0;

	if (reader->visitor->on_file)
		reader->visitor->on_file(path, false, reader->visitor->userdata);
	ini_init(&ini, text);
	while (r >= 0 && (kind = ini_next(&ini)) != INI_END)
		r = apply_line(reader, path, kind, &ini);
	return r;
}

static int apply_trial(struct reader *reader)
{
	_cleanup_(freep) char *text = strdup(reader->visitor->trial_text);

	return text ? apply_text(reader, reader->visitor->trial_path, text) : -ENOMEM;
}

static int apply_read(struct reader *reader, const char *path)
{
	_cleanup_(freep) char *text = NULL;
	struct problem reason;
	int r = file_read(path, FILE_SIZE_MAX, &text);

	if (r == -ENOENT)
		return 0;
	if (r == -EFBIG || r == -EBADMSG) {
		problem_set(&reason, r,
			    r == -EFBIG ? "%s: The file is larger than %u bytes."
					: "%s: The file is not text.",
			    path, FILE_SIZE_MAX);
		return fault_at(reader, path, 0, -EINVAL, reason.text);
	}
	return r < 0 ? cannot_read(reader, path, r) : apply_text(reader, path, text);
}

/* Applies one file. One that is not there, or no longer, is fine. */
static int apply_file(struct reader *reader, const char *path)
{
	const struct configfile_visitor *visitor = reader->visitor;
	int r;

	if (visitor->trial_path && !strcmp(visitor->trial_path, path))
		return apply_trial(reader);
	r = is_there(path);
	if (r < 0)
		return cannot_read(reader, path, r);
	if (r)
		return apply_read(reader, path);
	if (visitor->on_file && configfile_is_masked(path))
		visitor->on_file(path, true, visitor->userdata);
	return 0;
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

/* The names of the drop-ins in both folders. */
static int list_drop_ins(struct reader *reader, const char *admin, const char *vendor,
			 char ***names)
{
	const struct configfile_visitor *visitor = reader->visitor;
	const char *trial = visitor->trial_path ? strrchr(visitor->trial_path, '/') : NULL;
	int r = list_folder(admin, names, reader->problem);

	if (r >= 0)
		r = list_folder(vendor, names, reader->problem);
	/* one that is not on the disk yet */
	if (r >= 0 && trial && !strncmp(visitor->trial_path, admin, strlen(admin)) &&
	    trial == visitor->trial_path + strlen(admin) && !strings_contain(*names, trial + 1))
		r = strings_add(names, trial + 1);
	strings_sort(*names);
	return r;
}

static bool is_trial(const struct reader *reader, const char *path)
{
	return reader->visitor->trial_path && !strcmp(reader->visitor->trial_path, path);
}

/* Applies the drop-ins of both folders, in the order of their names. */
static int apply_drop_ins(struct reader *reader, const char *service)
{
	_cleanup_(freep) char *admin = format("%s" ADMIN_FOLDER "/%s" SUFFIX ".d", root, service);
	_cleanup_(freep) char *vendor = format("%s" VENDOR_FOLDER "/%s" SUFFIX ".d", root, service);
	_cleanup_(strings_freep) char **names = NULL;
	int r;

	if (!admin || !vendor)
		return -ENOMEM;
	r = list_drop_ins(reader, admin, vendor, &names);
	for (size_t i = 0; r >= 0 && names && names[i]; i++) {
		_cleanup_(freep) char *path = format("%s/%s", admin, names[i]);
		struct stat st;

		if (path && !is_trial(reader, path) && lstat(path, &st) < 0) {
			free(path);
			path = format("%s/%s", vendor, names[i]);
		}
		r = path ? apply_file(reader, path) : -ENOMEM;
	}
	return r;
}

/* -ENOENT: it is masked, or there is neither. */
static int find_main(const char *service, char **ret_vendor, char **ret_admin)
{
	_cleanup_(freep) char *vendor = configfile_vendor_path(service);
	_cleanup_(freep) char *admin = configfile_path(service, "");

	if (!vendor || !admin)
		return -ENOMEM;
	if (configfile_is_masked(admin) || (!is_there(admin) && !is_there(vendor)))
		return -ENOENT;
	*ret_vendor = steal_ptr(&vendor);
	*ret_admin = steal_ptr(&admin);
	return 0;
}

static int read_all(struct reader *reader, const char *service)
{
	_cleanup_(freep) char *vendor = NULL, *admin = NULL;
	int r = find_main(service, &vendor, &admin);

	if (r < 0)
		return r;
	config_init(&reader->config);
	r = apply_file(reader, vendor);
	if (r >= 0)
		r = apply_file(reader, admin);
	if (r >= 0)
		r = apply_drop_ins(reader, service);
	return r < 0 ? r : reader->fault;
}

/* Behind the last file: what they say together. */
static int settle(struct reader *reader, const char *service)
{
	_cleanup_(freep) char *path = configfile_path(service, "");
	struct problem reason = {};
	int r = config_settle(&reader->config, service, &reason);

	if (!path)
		return -ENOMEM;
	return r < 0 ? fault_at(reader, path, 0, r, reason.text) : reader->fault;
}

int configfile_read(const char *service, const struct configfile_visitor *visitor,
		    struct config *ret, struct problem *problem)
{
	struct reader reader = {.visitor = visitor ?: &nobody, .problem = problem};
	int r;

	if (!name_is_valid(service))
		return problem_set(
			problem, -EINVAL,
			"This is not the name of a service; allowed are letters, digits and "
			": - _ . \\.");
	r = read_all(&reader, service);
	if (r == -ENOMEM)
		return problem_set(problem, r, "Out of memory.");
	if (r < 0)
		return r;
	r = settle(&reader, service);
	if (r < 0)
		return r;
	*ret = reader.config;
	return 0;
}

int configfile_load(const char *service, struct config *ret, struct problem *problem)
{
	return configfile_read(service, NULL, ret, problem);
}

int configfile_check(const char *path, const struct configfile_visitor *visitor,
		     struct problem *problem)
{
	struct reader reader = {.visitor = visitor ?: &nobody, .problem = problem};
	int r = is_there(path);

	config_init(&reader.config);
	if (!r && !configfile_is_masked(path))
		return problem_set(problem, -ENOENT, "There is no file %s.", path);
	r = apply_file(&reader, path);
	if (r == -ENOMEM)
		return problem_set(problem, r, "Out of memory.");
	return r < 0 ? r : reader.fault;
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
