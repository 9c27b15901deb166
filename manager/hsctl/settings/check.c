// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/settings/check.h"

#include <inttypes.h>

#include "hsctl/hsctl.h"
#include "hsctl/json.h"
#include "util/strings.h"

void check_on_fault(const char *path, unsigned line, const char *sentence, void *userdata)
{
	json_object *fault = json_object_new_object();

	json_object_object_add(fault, "file", json_object_new_string(path));
	json_object_object_add(fault, "line", line ? json_object_new_int64(line) : NULL);
	json_object_object_add(fault, "problem", json_object_new_string(sentence));
	json_object_array_add(userdata, fault);
}

json_object *check_files(const char *const *paths, unsigned n)
{
	json_object *faults = json_object_new_array();
	struct configfile_visitor visitor = {.on_fault = check_on_fault, .userdata = faults};

	for (unsigned i = 0; i < n; i++) {
		struct problem problem = {};

		/* what has been told as a fault is not told again */
		if (configfile_check(paths[i], &visitor, &problem) == -ENOENT)
			check_on_fault(paths[i], 0, problem.text, faults);
	}
	return faults;
}

int check_all(json_object **ret_faults, unsigned *ret_services)
{
	_cleanup_(json_object_putp) json_object *faults = json_object_new_array();
	struct configfile_visitor visitor = {.on_fault = check_on_fault, .userdata = faults};
	_cleanup_(strings_freep) char **services = NULL;
	int r = configfile_list(&services);

	if (r < 0)
		return r;
	for (size_t i = 0; services && services[i]; i++) {
		size_t before = json_count(faults);
		struct problem problem = {};
		struct config config;

		r = configfile_read(services[i], &visitor, &config, &problem);
		/* such as a folder of drop-ins that cannot be read */
		if (r < 0 && r != -ENOENT && json_count(faults) == before)
			check_on_fault(services[i], 0, problem.text, faults);
	}
	*ret_services = (unsigned)strings_count(services);
	*ret_faults = steal_ptr(&faults);
	return 0;
}

void check_complain(json_object *faults)
{
	for (size_t i = 0; i < json_count(faults); i++) {
		json_object *fault = json_object_array_get_idx(faults, i);
		int64_t line = json_number(fault, "line", 0);

		if (line)
			complain("%s:%" PRId64 ": %s", json_text(fault, "file"), line,
				 json_text(fault, "problem"));
		else
			complain("%s", json_text(fault, "problem"));
	}
}
