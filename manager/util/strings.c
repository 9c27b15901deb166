/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/strings.h"

#include <string.h>

void strings_free(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}

size_t strings_count(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

bool strings_contain(char *const *list, const char *text)
{
	for (; list && *list; list++)
		if (!strcmp(*list, text))
			return true;
	return false;
}

bool strings_equal(char *const *a, char *const *b)
{
	size_t n = strings_count(a);

	if (n != strings_count(b))
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

int strings_take(char ***list, char *text)
{
	size_t n = strings_count(*list);
	char **larger;

	if (!text)
		return -ENOMEM;
	larger = reallocarray(*list, n + 2, sizeof(char *));
	if (!larger) {
		free(text);
		return -ENOMEM;
	}
	larger[n] = text;
	larger[n + 1] = NULL;
	*list = larger;
	return 0;
}

int strings_add(char ***list, const char *text)
{
	return strings_take(list, strdup(text));
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strings_sort(char **list)
{
	if (list)
		qsort(list, strings_count(list), sizeof(char *), compare);
}
