// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/unit/outputfile.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "core/name.h"
#include "core/setup/dropin.h"
#include "hsctl/unit/unitfile.h"
#include "system/unit/unitload.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/strings.h"
#include "util/text.h"

/* More of a file is not looked at. */
#define TAIL_MAX      (64 * 1024)
#define LINE_TEXT_MAX 500

/* "append:/var/log/app.log" -> the path. NULL: it goes elsewhere. */
static const char *path_of(const char *value)
{
	static const char *const kinds[] = {"file:", "append:", "truncate:"};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strncmp(value, kinds[i], strlen(kinds[i])))
			return value + strlen(kinds[i]);
	return NULL;
}

static const char *specifier(char letter, const char *unit, const char *instance, const char *name)
{
	switch (letter) {
	case 'i':
		return instance;
	case 'n':
		return unit;
	case 'p':
		return name;
	default:
		return letter == '%' ? "%" : NULL;
	}
}

/* Free it. NULL: it has a specifier that is not known here. */
static char *expand(const char *path, const char *unit)
{
	char name[SERVICE_NAME_MAX], instance[8], text[PATH_MAX];
	unsigned slot;
	size_t n = 0;

	if (name_from_unit(unit, name, &slot) < 0)
		return NULL;
	snprintf(instance, sizeof(instance), "%u", slot);
	for (; *path; path++) {
		char one[2] = {*path};
		const char *piece = one;

		if (*path == '%') {
			path++;
			piece = specifier(*path, unit, instance, name);
		}
		if (!piece || n + strlen(piece) >= sizeof(text))
			return NULL;
		memcpy(text + n, piece, strlen(piece));
		n += strlen(piece);
	}
	text[n] = '\0';
	return strdup(text);
}

static bool has_path(const struct output_files *files, const char *path)
{
	for (unsigned i = 0; i < files->n; i++)
		if (!strcmp(files->files[i].path, path))
			return true;
	return false;
}

static void add(struct output_files *files, const struct assignment *setting, const char *unit)
{
	const char *value = setting ? path_of(setting->value) : NULL;
	_cleanup_(freep) char *path = value ? expand(value, unit) : NULL;
	struct stat st;

	if (!path || files->n == OUTPUT_FILES_MAX || has_path(files, path))
		return;
	/* the other kinds are written from the beginning */
	if (!strncmp(setting->value, "append:", 7) && !stat(path, &st))
		files->files[files->n].size = (uint64_t)st.st_size;
	files->files[files->n++].path = steal_ptr(&path);
}

void output_files_find(sd_bus *systemd, const char *unit, struct output_files *ret_files)
{
	_cleanup_(unitload_done) struct unitload load = {0};
	_cleanup_(unitfile_done) struct unitfile file = {0};
	_cleanup_(strings_freep) char **paths = NULL;
	struct assignments settings;

	*ret_files = (struct output_files) {0};
	if (unitload(systemd, unit, &load, NULL) < 0 || !load.fragment || !load.fragment[0] ||
	    strings_add(&paths, load.fragment) < 0)
		return;
	for (char **p = load.drop_ins; p && *p; p++)
		if (strings_add(&paths, *p) < 0)
			return;
	if (unitfile_read(paths, &file, NULL) < 0)
		return;
	settings = unitfile_settings(&file);
	add(ret_files, assignments_last(&settings, "Service", "StandardOutput"), unit);
	add(ret_files, assignments_last(&settings, "Service", "StandardError"), unit);
}

void output_files_done(struct output_files *files)
{
	for (unsigned i = 0; i < files->n; i++)
		free(files->files[i].path);
	*files = (struct output_files) {0};
}

/* ---- its end ---- */

/* Where the last `lines` lines of the text begin. */
static const char *last_lines(const char *text, size_t size, unsigned lines)
{
	const char *start = text + size;

	/* the end of the last line begins none */
	if (start > text && start[-1] == '\n')
		start--;
	while (start > text) {
		if (start[-1] == '\n' && !--lines)
			break;
		start--;
	}
	return start;
}

static void show_line(const char *text, size_t length,
		      void (*each)(const char *line, void *userdata), void *userdata)
{
	char line[LINE_TEXT_MAX];
	size_t n = 0;

	for (; n < length && n < sizeof(line) - 1; n++) {
		unsigned char c = text[n];

		line[n] = c < ' ' || c == 0x7f ? ' ' : (char)c;
	}
	line[n] = '\0';
	text_tame(line);
	each(line, userdata);
}

/* What came after `from`, as far as it is looked at. */
static ssize_t read_end(const struct output_file *file, char *text)
{
	_cleanup_(close_fdp) int fd =
		open(file->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	uint64_t from;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	/* it may have been begun anew */
	from = (uint64_t)st.st_size < file->size ? 0 : file->size;
	if ((uint64_t)st.st_size > from + TAIL_MAX)
		from = (uint64_t)st.st_size - TAIL_MAX;
	n = pread(fd, text, TAIL_MAX, (off_t)from);
	return n < 0 ? -errno : n;
}

int output_file_tail(const struct output_file *file, unsigned lines,
		     void (*each)(const char *line, void *userdata), void *userdata)
{
	_cleanup_(freep) char *text = malloc(TAIL_MAX);
	const char *line, *end;
	ssize_t size;
	int n = 0;

	if (!text)
		return -ENOMEM;
	size = read_end(file, text);
	if (size < 0)
		return (int)size;
	for (line = last_lines(text, size, lines); line < text + size; line = end + 1, n++) {
		end = memchr(line, '\n', text + size - line) ?: text + size;
		show_line(line, end - line, each, userdata);
	}
	return n;
}
