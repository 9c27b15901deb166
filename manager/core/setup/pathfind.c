// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/setup/pathfind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/path.h"
#include "util/macro.h"

#define BLANKS	   " \t"
#define WORD_MAX   512
#define PATH_CHARS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/_.@+-"

bool pathlist_has(const struct pathlist *list, const char *path)
{
	for (unsigned i = 0; i < list->n; i++)
		if (!strcmp(list->paths[i], path))
			return true;
	return false;
}

void pathlist_add(struct pathlist *list, const char *path)
{
	char copy[HS_PATH_MAX];

	if (strlen(path) >= sizeof(copy))
		return;
	strcpy(copy, path);
	path_shorten(copy);
	if (list->n < HS_PATHS_MAX && !path_check(copy, NULL) && !pathlist_has(list, copy))
		strcpy(list->paths[list->n++], copy);
}

int pathlist_split(const char *text, struct pathlist *list, struct problem *problem)
{
	char path[2 * HS_PATH_MAX];
	struct problem why;

	for (const char *p = text; *p; p += *p == ',') {
		int length = (int)strcspn(p, ",");

		snprintf(path, sizeof(path), "%.*s", length, p);
		if (path_check(path, &why) < 0)
			return problem_set(problem, -EINVAL, "--path=%s %s", path, why.text);
		pathlist_add(list, path);
		p += length;
	}
	return 0;
}

static bool ends_with(const char *text, size_t length, const char *end)
{
	size_t n = strlen(end);

	return length > n && !memcmp(text + length - n, end, n);
}

/* "unix:///run/web/sock" has a path, and so has "--bind=/run/web/web.sock". `before`: how much
 * stands in front of it in the same word. */
static bool is_socket(const char *path, size_t length, size_t before)
{
	static const char scheme[] = "unix:";

	for (; before && path[-1] == '/'; before--)
		path--, length++;
	if (before >= strlen(scheme) && !memcmp(path - strlen(scheme), scheme, strlen(scheme)))
		return true;
	return ends_with(path, length, ".sock") || ends_with(path, length, ".socket");
}

/* "http://host/path" has none. */
static bool is_url(const char *word, const char *p)
{
	static const char scheme[] = "unix";
	size_t before = (size_t)(p - word);

	return p[1] == '/' && before && p[-1] == ':' &&
	       (before <= strlen(scheme) ||
		memcmp(p - 1 - strlen(scheme), scheme, strlen(scheme)) != 0);
}

/* A path begins behind one of these, or at the beginning of the word. */
static bool begins_here(const char *word, const char *p)
{
	return p == word || strchr("=:,\"'[", p[-1]) ||
	       (p[-1] == '/' && p - word >= 2 && strchr(":/", p[-2]));
}

static void find_in_word(struct pathlist *list, const char *word)
{
	for (const char *p = word; (p = strchr(p, '/')); p += strspn(p, PATH_CHARS)) {
		const char *begin = p;
		char path[HS_PATH_MAX];
		size_t length;

		while (begin[1] == '/')
			begin++;
		length = strspn(begin, PATH_CHARS);
		/* a specifier or a variable that was left */
		if (!begins_here(word, p) || is_url(word, p) ||
		    strchr("%$", begin[length] ? begin[length] : ' ') || length >= sizeof(path) ||
		    !is_socket(begin, length, (size_t)(begin - word)))
			continue;
		snprintf(path, sizeof(path), "%.*s", (int)length, begin);
		pathlist_add(list, path);
	}
}

/* What does not depend on the slot. */
static void expand(const char *word, size_t length, const char *service, char text[WORD_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < length && n < WORD_MAX - 1; i++) {
		const char *piece = NULL;

		if (word[i] == '%' && i + 1 < length)
			piece = word[i + 1] == 't'			   ? "/run"
				: word[i + 1] == 'p' || word[i + 1] == 'P' ? service
									   : NULL;
		if (piece)
			n += (size_t)snprintf(text + n, WORD_MAX - n, "%s", piece), i++;
		else
			text[n++] = word[i];
	}
	text[MIN(n, (size_t)WORD_MAX - 1)] = '\0';
}

void pathfind_command(struct pathlist *list, const char *line, const char *service)
{
	for (const char *p = line; *p; p += strspn(p, BLANKS)) {
		size_t length = strcspn(p, BLANKS);
		char word[WORD_MAX];

		expand(p, length, service, word);
		find_in_word(list, word);
		p += length;
	}
}

/* ---- configurations ---- */

static const char *const words[] = {"listen",	   "bind",	     "socket",
				    "http-socket", "fastcgi-socket", "uds",
				    "listen_unix", "unixsocket",     "http_socket"};

/* Behind the word come blanks, '=' or ':', or the rest of a call. */
static bool is_listening(const char *line)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t length = strlen(words[i]);

		if (!strncmp(line, words[i], length) && line[length] &&
		    strchr(" \t=:('\"[", line[length]))
			return true;
	}
	return false;
}

/* Calls `each` with every line, without what it begins with in blanks. */
static void each_line(const char *text, void (*each)(const char *line, void *userdata),
		      void *userdata)
{
	char line[WORD_MAX];

	for (const char *p = text; *p; p += *p == '\n') {
		size_t length = strcspn(p, "\n");
		size_t blanks = MIN(strspn(p, BLANKS), length);

		snprintf(line, sizeof(line), "%.*s", (int)(length - blanks), p + blanks);
		each(line, userdata);
		p += length;
	}
}

static void on_config_line(const char *line, void *userdata)
{
	struct pathlist *list = userdata;
	char words_left[WORD_MAX];

	if (!is_listening(line))
		return;
	/* what is in quotes may have a blank behind it, and nothing else matters */
	snprintf(words_left, sizeof(words_left), "%s", line);
	for (char *p = words_left; *p; p++)
		*p = strchr("\"'()[] \t", *p) ? ' ' : *p;
	pathfind_command(list, words_left, "");
	/* "listen = /run/php/php-fpm": the value is a path, and nothing but that */
	line = strchr(line, '/');
	if (line && strspn(line, PATH_CHARS) == strcspn(line, " \t\r;#\"'") &&
	    strspn(line, PATH_CHARS) > 1 && line[-1] != ':') {
		snprintf(words_left, sizeof(words_left), "unix:%.*s", (int)strspn(line, PATH_CHARS),
			 line);
		pathfind_command(list, words_left, "");
	}
}

void pathfind_config(struct pathlist *list, const char *text)
{
	each_line(text, on_config_line, list);
}

void pathfind_files(const char *line, void (*each)(const char *path, void *userdata),
		    void *userdata)
{
	for (const char *p = line; *p; p += strspn(p, BLANKS "=")) {
		size_t length = strcspn(p, BLANKS "=");
		char word[WORD_MAX];

		snprintf(word, sizeof(word), "%.*s", (int)MIN(length, sizeof(word) - 1), p);
		if (word[0] == '/' && strspn(word, PATH_CHARS) == strlen(word))
			each(word, userdata);
		p += length;
	}
}

struct includes {
	void (*each)(const char *pattern, void *userdata);
	void *userdata;
};

static void on_include_line(const char *line, void *userdata)
{
	const struct includes *includes = userdata;
	char pattern[WORD_MAX];

	if (strncmp(line, "include", strlen("include")) || !strchr(line, '/'))
		return;
	line += strlen("include");
	line += strspn(line, " \t=\"'");
	snprintf(pattern, sizeof(pattern), "%.*s", (int)strcspn(line, " \t\r;\"'"), line);
	if (pattern[0] == '/')
		includes->each(pattern, includes->userdata);
}

void pathfind_includes(const char *text, void (*each)(const char *pattern, void *userdata),
		       void *userdata)
{
	struct includes includes = {each, userdata};

	each_line(text, on_include_line, &includes);
}
