/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is told from command lines, from the configuration of servers and from other programs'
 * words: paths, probes, mentions of a unit, packets of the processes that ask servers. */
#include <string.h>

#include "core/path.h"
#include "core/setup/mention.h"
#include "core/setup/pathfind.h"
#include "core/watch/probe.h"
#include "core/wire/errand.h"
#include "fuzz.h"
#include "util/macro.h"

static void check_printable(const char *text)
{
	for (; *text; text++)
		check(*text >= ' ' && *text <= '~');
}

static void fuzz_path(const char *text)
{
	char folder[HS_PATH_MAX], key[PATH_KEY_MAX], file[PATH_FILE_MAX];
	struct problem problem = {};

	if (path_from_listen(text, folder))
		check(path_check(folder, NULL) == 0);
	if (path_check(text, &problem) < 0) {
		check(*problem.text);
		return;
	}
	path_folder(text, folder);
	check(*folder == '/' && strlen(folder) < strlen(text));
	check(*path_base(text) && !strchr(path_base(text), '/'));
	path_key(text, key);
	check(*key && !strchr(key, '/') && strlen(key) < sizeof(key) - 1);
	path_of_slot("app", HS_SLOTS_MAX - 1, text, file);
	check(strlen(file) < sizeof(file) - 1);
	path_of_active("app", text, file);
	check(strlen(file) < sizeof(file) - 1);
}

static void check_absolute(const char *path, void *userdata)
{
	check(!userdata && *path == '/');
}

static void check_some(const char *pattern, void *userdata)
{
	check(!userdata && *pattern);
}

static void check_list(const struct pathlist *list)
{
	check(list->n <= HS_PATHS_MAX);
	for (unsigned i = 0; i < list->n; i++)
		check(path_check(list->paths[i], NULL) == 0);
}

static void fuzz_find(const char *text)
{
	struct pathlist list = {}, split = {};
	struct problem problem = {};

	if (pathlist_split(text, &split, &problem) < 0)
		check(*problem.text);
	check_list(&split);
	pathfind_command(&list, text, "app");
	check_list(&list);
	pathfind_config(&list, text);
	check_list(&list);
	pathfind_files(text, check_absolute, NULL);
	pathfind_includes(text, check_some, NULL);
	(void)mention_in(text, "nginx.service", NULL);
	check(mention_in(text, "nginx.service", "/run/nginx.pid") <= MENTION_OTHER);
}

static void fuzz_probe(const char *text)
{
	char storage[PROBE_TEXT_MAX], *words[PROBE_WORDS_MAX] = {};
	struct problem problem = {};
	struct probe_spec spec;

	if (probe_parse(text, &spec, &problem) < 0) {
		check(*problem.text);
		check_printable(problem.text);
		return;
	}
	check(spec.kind < PROBE_KIND_COUNT);
	check(strlen(spec.text) < sizeof(spec.text));
	if (spec.kind != PROBE_EXEC)
		return;
	check(probe_split(spec.text, storage, words) == 0);
	for (unsigned i = 0; words[i]; i++)
		check(i < PROBE_WORDS_MAX - 1 &&
		      words[i] + strlen(words[i]) < storage + sizeof(storage));
}

/* A copy of just that size: what reads beyond it is seen. */
static void *copy_packet(const uint8_t *data, size_t size)
{
	void *packet = malloc(size ? size : 1);

	check(packet);
	memcpy(packet, data, size);
	return packet;
}

static void fuzz_packets(const uint8_t *data, size_t size)
{
	_cleanup_(freep) struct errand_plugin_end *plugin_end = copy_packet(data, size);
	_cleanup_(freep) struct errand_end *end = copy_packet(data, size);
	struct problem line = {};

	(void)errand_check_hello(data, size);
	if (errand_check_end(end, size))
		check(strlen(end->words) < sizeof(end->words));
	if (errand_check_plugin_end(plugin_end, size))
		errand_first_line(plugin_end->output, plugin_end->size, &line);
	else
		errand_first_line((const char *)data, size, &line);
	check_printable(line.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *text = malloc(size + 1);

	check(text);
	memcpy(text, data, size);
	text[size] = 0;
	fuzz_path(text);
	fuzz_find(text);
	fuzz_probe(text);
	path_shorten(text);
	fuzz_packets(data, size);
	return 0;
}
