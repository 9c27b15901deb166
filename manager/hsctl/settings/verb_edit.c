// SPDX-License-Identifier: GPL-2.0-or-later
/* edit: a drop-in for the settings of a service. What is edited is a copy, and it counts when it is
 * right. */
#include <string.h>

#include "hsctl/json.h"
#include "hsctl/settings/check.h"
#include "hsctl/settings/draft.h"
#include "hsctl/settings/effective.h"
#include "hsctl/settings/settings.h"
#include "hsctl/verb/child.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "util/files.h"
#include "util/strings.h"

#define NAME	 "override.conf"
#define FILE_MAX 65536

struct edit {
	const char *service;
	char *folder, *path; /* of the drop-in */
	char *copy;	     /* that is edited; NULL: there is none */
	char *before;	     /* what the drop-in had; "" for none */
};

static void edit_done(struct edit *edit)
{
	if (edit->copy)
		unlink(edit->copy);
	/* only if nothing is in it */
	if (edit->folder)
		rmdir(edit->folder);
	free(edit->folder);
	free(edit->path);
	free(edit->copy);
	free(edit->before);
}

static int fail(const char *what, const char *path, int error)
{
	complain("cannot %s %s: %s%s", what, path, strerror(-error),
		 error == -EACCES ? "; run it with sudo" : "");
	return EXIT_FAILED;
}

/* A drop-in that is not there, or masks, has nothing. */
static int read_drop_in(const char *path, char **ret_text)
{
	int r = configfile_is_masked(path) ? -ENOENT : file_read(path, FILE_MAX, ret_text);

	if (r != -ENOENT)
		return r;
	*ret_text = strdup("");
	return *ret_text ? 0 : -ENOMEM;
}

static int prepare(struct edit *edit)
{
	int r;

	edit->folder = configfile_path(edit->service, ".d");
	edit->path = format("%s/" NAME, edit->folder ?: "");
	if (!edit->folder || !edit->path)
		return fail("edit", edit->service, -ENOMEM);
	r = read_drop_in(edit->path, &edit->before);
	if (r < 0)
		return fail("read", edit->path, r);
	r = make_folders(edit->folder, 0755);
	return r < 0 ? fail("make", edit->folder, r) : EXIT_DONE;
}

static int write_copy(struct edit *edit)
{
	_cleanup_(json_object_putp) json_object *effective = NULL;
	_cleanup_(freep) char *text = NULL, *path = NULL;
	_cleanup_(close_fdp) int fd = -1;
	struct problem problem = {};
	ssize_t n;

	(void)effective_read(edit->service, &effective, &problem);
	text = draft_compose(edit->path, edit->before, effective, problem.text);
	/* no name of a drop-in, so it does not count whatever becomes of us */
	path = format("%s/." NAME ".XXXXXX", edit->folder);
	if (!text || !path)
		return fail("edit", edit->path, -ENOMEM);
	fd = mkstemp(path);
	if (fd < 0)
		return fail("write in", edit->folder, -errno);
	edit->copy = steal_ptr(&path);
	n = write(fd, text, strlen(text));
	if (n != (ssize_t)strlen(text))
		return fail("write", edit->copy, n < 0 ? -errno : -ENOSPC);
	return EXIT_DONE;
}

static const char *find_editor(void)
{
	static const char *const variables[] = {"SYSTEMD_EDITOR", "EDITOR", "VISUAL"};
	static const char *const programs[] = {"editor", "nano", "vim", "vi"};
	const char *editor;

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		if ((editor = getenv(variables[i])) && *editor)
			return editor;
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (program_is_installed(programs[i]))
			return programs[i];
	return NULL;
}

/* The variable may have options in it, as everywhere. */
static int run_editor(const struct edit *edit)
{
	const char *editor = find_editor();
	_cleanup_(freep) char *line = format("%s \"$1\"", editor ?: "");
	char *command[] = {"sh", "-c", line, "hsctl", edit->copy, NULL};
	int status;

	if (!editor) {
		complain("there is no editor; name one in $EDITOR, or install one (nano)");
		return EXIT_FAILED;
	}
	if (!line)
		return fail("edit", edit->path, -ENOMEM);
	status = child_run(command);
	if (!status)
		return EXIT_DONE;
	complain("the editor (%s) ended with status %d; nothing has changed", editor, status);
	return EXIT_FAILED;
}

/* Those of this drop-in, or those of all others. */
static json_object *only(json_object *faults, const char *path, bool own)
{
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < json_count(faults); i++) {
		json_object *fault = json_object_array_get_idx(faults, i);

		if (!strcmp(json_text(fault, "file"), path) == own)
			json_object_array_add(list, json_object_get(fault));
	}
	return list;
}

static json_object *faults_with(const struct edit *edit, const char *text)
{
	json_object *faults = json_object_new_array();
	struct configfile_visitor visitor = {
		.on_fault = check_on_fault,
		.trial_path = text ? edit->path : NULL,
		.trial_text = text,
		.userdata = faults,
	};
	struct config config;

	(void)configfile_read(edit->service, &visitor, &config, NULL);
	return faults;
}

/* Whether the copy is right: what it says by itself, and what it makes of the others, such as one
 * probe too many. */
static bool is_right(const struct edit *edit, const char *text)
{
	_cleanup_(json_object_putp) json_object *after = faults_with(edit, text);
	_cleanup_(json_object_putp) json_object *before = faults_with(edit, NULL);
	_cleanup_(json_object_putp) json_object *own = only(after, edit->path, true);
	_cleanup_(json_object_putp) json_object *others = only(after, edit->path, false);
	_cleanup_(json_object_putp) json_object *others_before = only(before, edit->path, false);

	if (json_count(own)) {
		check_complain(own);
		return false;
	}
	check_complain(others);
	if (json_count(others) > json_count(others_before))
		return false;
	if (json_count(others))
		complain("that was so before; none of %s's settings hold until it is mended",
			 edit->service);
	return true;
}

static bool ask_again(void)
{
	char answer[16];

	if (!isatty(STDIN_FILENO))
		return false;
	fputs("Edit it again? [Y/n] ", stderr);
	return fgets(answer, sizeof(answer), stdin) && answer[0] != 'n' && answer[0] != 'N';
}

static int keep_aside(struct edit *edit, const char *reason)
{
	_cleanup_(freep) char *aside = format("%s.rejected", edit->path);

	if (!aside || rename(edit->copy, aside) < 0)
		return fail("keep", edit->copy, -errno);
	free(steal_ptr(&edit->copy));
	complain("%s; nothing has changed, and what was edited is in %s", reason, aside);
	return EXIT_REFUSED;
}

static int write_drop_in(struct edit *edit, const char *text)
{
	_cleanup_(freep) char *now = NULL;
	int r = read_drop_in(edit->path, &now);

	if (r < 0)
		return fail("read", edit->path, r);
	if (strcmp(now, edit->before))
		return keep_aside(edit, "somebody else has changed the drop-in meanwhile");
	if (*text)
		r = file_write(edit->path, text, 0644);
	else if (unlink(edit->path) < 0)
		r = -errno;
	return r < 0 ? fail("write", edit->path, r) : EXIT_DONE;
}

static int install(const struct arguments *arguments, struct edit *edit, const char *text)
{
	_cleanup_(freep) char *before = draft_extract(edit->before);
	int exit;

	if (!before || !strcmp(text, before)) {
		printf("%s: nothing has changed.\n", edit->service);
		return EXIT_DONE;
	}
	exit = write_drop_in(edit, text);
	if (exit)
		return exit;
	printf("%s: %s %s.\n", edit->service, *text ? "written" : "removed", edit->path);
	if (!verb_tell_manager(arguments))
		complain("hsd is not running; the settings count when it starts");
	return EXIT_DONE;
}

static int edit_once(const struct arguments *arguments, struct edit *edit, bool *ret_again)
{
	_cleanup_(freep) char *edited = NULL, *counts = NULL, *text = NULL;
	int r, exit = run_editor(edit);

	if (exit)
		return exit;
	r = file_read(edit->copy, FILE_MAX, &edited);
	if (r == -EFBIG || r == -EBADMSG)
		return keep_aside(edit, r == -EFBIG ? "the drop-in is larger than 64 KiB"
						    : "the drop-in is not text");
	if (r < 0)
		return fail("read", edit->copy, r);
	counts = draft_cut(edited);
	text = draft_extract(edited);
	if (!counts || !text)
		return fail("edit", edit->path, -ENOMEM);
	if (is_right(edit, counts))
		return install(arguments, edit, text);
	*ret_again = ask_again();
	return *ret_again ? EXIT_DONE : keep_aside(edit, "the settings are wrong");
}

static int edit_service(const struct arguments *arguments, struct edit *edit)
{
	bool again = false;
	int exit = prepare(edit);

	if (!exit)
		exit = write_copy(edit);
	if (exit)
		return exit;
	do {
		again = false;
		exit = edit_once(arguments, edit, &again);
	} while (again);
	return exit;
}

int verb_edit(const struct arguments *arguments)
{
	_cleanup_(edit_done) struct edit edit = {0};
	_cleanup_(strings_freep) char **services = NULL;
	char service[SERVICE_NAME_MAX];
	int r;

	if (verb_service(arguments, service))
		return EXIT_USAGE;
	r = configfile_list(&services);
	if (r < 0)
		return fail("read", "the settings of all services", r);
	if (!strings_contain(services, service))
		return settings_missing(service);
	edit.service = service;
	return edit_service(arguments, &edit);
}
