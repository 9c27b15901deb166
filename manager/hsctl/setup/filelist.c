// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/setup/filelist.h"

#include "util/macro.h"

json_object *filelist_to_json(const struct filechanges *changes)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < changes->n; i++)
		if (changes->items[i].done)
			json_object_array_add(array,
					      json_object_new_string(changes->items[i].path));
	return array;
}

void filelist_print(const struct filechanges *changes)
{
	for (size_t i = 0; i < changes->n; i++) {
		const struct filechange *item = &changes->items[i];

		if (!item->done)
			continue;
		if (item->rename)
			printf("renamed %s to %s\n", item->path, item->rename);
		else
			printf("%s %s\n", item->text ? "wrote  " : "removed", item->path);
	}
}
