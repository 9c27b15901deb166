// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/macro.h"

/* Neither quotes, nor specifiers, nor what separates words in unit files. */
#define PLAIN_CHARS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/_.@+=-"

/* No empty part, and none that is "." or "..". */
static bool is_plain(const char *path)
{
	for (const char *part = path; *part; part += 1 + strcspn(part + 1, "/")) {
		size_t length = strcspn(part + 1, "/");

		if (!length || (length == 1 && part[1] == '.') ||
		    (length == 2 && part[1] == '.' && part[2] == '.'))
			return false;
	}
	return true;
}

int path_check(const char *path, struct problem *problem)
{
	static const char root[] = PATH_ROOT "/";

	if (path[0] != '/' || !path[1])
		return problem_set(problem, -EINVAL, "is not an absolute path");
	if (strlen(path) >= HS_PATH_MAX)
		return problem_set(problem, -EINVAL,
				   "is longer than the %d bytes of a socket's name",
				   HS_PATH_MAX - 1);
	if (strspn(path, PLAIN_CHARS) != strlen(path))
		return problem_set(problem, -EINVAL,
				   "has characters other than letters, digits and /_.@+=-");
	if (!is_plain(path))
		return problem_set(problem, -EINVAL, "has empty parts, or \".\" or \"..\"");
	if (path_base(path) == path + 1)
		return problem_set(problem, -EINVAL, "is in no folder but /");
	if (!strncmp(path, root, sizeof(root) - 1))
		return problem_set(problem, -EINVAL, "is hotstandby's own");
	return 0;
}

void path_shorten(char *path)
{
	static const char old[] = "/var/run/";
	size_t cut = strlen("/var");

	if (!strncmp(path, old, sizeof(old) - 1))
		memmove(path, path + cut, strlen(path + cut) + 1);
}

bool path_from_listen(const char *value, char ret_path[HS_PATH_MAX])
{
	static const char runtime[] = "%t/";
	char path[2 * HS_PATH_MAX];

	if (!strncmp(value, runtime, sizeof(runtime) - 1))
		snprintf(path, sizeof(path), "/run/%s", value + sizeof(runtime) - 1);
	else
		snprintf(path, sizeof(path), "%s", value);
	path_shorten(path);
	if (path[0] != '/' || path_check(path, NULL) < 0)
		return false;
	snprintf(ret_path, HS_PATH_MAX, "%.*s", HS_PATH_MAX - 1, path);
	return true;
}

const char *path_base(const char *path)
{
	return strrchr(path, '/') + 1;
}

void path_folder(const char *path, char ret_folder[HS_PATH_MAX])
{
	snprintf(ret_folder, HS_PATH_MAX, "%.*s", (int)(path_base(path) - 1 - path), path);
}

/* '/' becomes '-', and what could be mistaken for it is marked. */
void path_key(const char *path, char ret_key[PATH_KEY_MAX])
{
	const char *end = path_base(path) - 1;
	size_t n = 0;

	for (const char *p = path + 1; p < end && n + 2 < PATH_KEY_MAX; p++) {
		if (*p == '-' || *p == '_')
			ret_key[n++] = '_';
		ret_key[n++] = *p == '/' ? '-' : *p;
	}
	ret_key[n] = '\0';
}

static void path_below(const char *service, const char *place, const char *path,
		       char ret_file[PATH_FILE_MAX])
{
	char key[PATH_KEY_MAX];

	path_key(path, key);
	snprintf(ret_file, PATH_FILE_MAX, PATH_ROOT "/%s/%s/%s/%s", service, place, key,
		 path_base(path));
}

void path_of_slot(const char *service, unsigned slot, const char *path,
		  char ret_file[PATH_FILE_MAX])
{
	char place[12];

	snprintf(place, sizeof(place), "%u", slot);
	path_below(service, place, path, ret_file);
}

void path_of_active(const char *service, const char *path, char ret_file[PATH_FILE_MAX])
{
	path_below(service, PATH_ACTIVE, path, ret_file);
}

static bool is_below(const char *folder, const char *top)
{
	size_t length = strlen(top);

	return !strncmp(folder, top, length) && (!folder[length] || folder[length] == '/');
}

const char *path_shared_folder(const char *path)
{
	static const char *const shared[] = {"/run",	  "/tmp",      "/var/tmp",  "/dev/shm",
					     "/run/lock", "/var/lock", "/var",	    "/var/lib",
					     "/srv",	  "/opt",      "/home",	    "/root",
					     "/run/user", "/mnt",      "/var/cache"};
	/* commands of the unit's that are root's are there, and whom they trust */
	static const char *const trusted[] = {
		"/usr", "/lib", "/lib64", "/bin",      "/sbin",	       "/etc",	   "/proc",
		"/sys", "/dev", "/boot",  "/run/dbus", "/run/systemd", "/run/hsd", "/run/udev"};
	char folder[HS_PATH_MAX];

	path_folder(path, folder);
	for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
		if (!strcmp(folder, shared[i]))
			return "Others have their files in the same folder, so no slot can have "
			       "one of its own in its place";
	for (size_t i = 0; i < ARRAY_SIZE(trusted); i++)
		if (is_below(folder, trusted[i]))
			return "The folder is the system's, so no slot can have one of its own in "
			       "its place";
	return NULL;
}
