// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/slot/filtering.h"

#include <string.h>

#include "plane/kernel/cgroup.h"
#include "util/macro.h"

static enum filtering verdict_of(const struct filter_watch *watch)
{
	if (!watch->known)
		return FILTERING_UNKNOWN;
	return unit_watch_facts(watch->watch)->filtered ? FILTERING_SOME : FILTERING_NONE;
}

static void on_unit(const struct unit_facts *facts, int error, void *userdata)
{
	struct filter_watch *watch = userdata;
	bool was_known = watch->known, filtered = facts->filtered;

	if (error)
		return;
	watch->known = true;
	if (was_known && watch->filtered == filtered)
		return;
	watch->filtered = filtered;
	instance_adopt(watch->instance, NULL);
}

static void forget(struct filter_watch *watch)
{
	unit_watch_free(watch->watch);
	*watch = (struct filter_watch) {0};
}

static bool is_among(const struct filters *filters, const char *unit)
{
	for (size_t i = 0; i < filters->n; i++)
		if (!strcmp(filters->units[i], unit))
			return true;
	return false;
}

static void watch_unit(struct instance *instance, const char *unit)
{
	struct filter_watch *free_place = NULL;

	for (size_t i = 0; i < FILTERS_MAX; i++) {
		struct filter_watch *watch = &instance->filters[i];

		if (watch->watch && !strcmp(watch->unit, unit))
			return;
		if (!watch->watch)
			free_place = watch;
	}
	if (!free_place)
		return;
	free_place->instance = instance;
	snprintf(free_place->unit, sizeof(free_place->unit), "%s", unit);
	if (unit_watch_new(instance->service->host->bus, unit, on_unit, free_place,
			   &free_place->watch) < 0)
		forget(free_place);
}

/* ---- sockets that were made for it ---- */

/* In the control group of the socket unit, which is beside the instance's as a rule. */
static void add_socket_unit(struct instance *instance, const char *unit)
{
	const char *cgroup = instance_facts(instance)->control_group;
	const char *end = strrchr(cgroup, '/');
	struct plane *plane = instance->service->plane;
	char path[PATH_MAX + UNIT_NAME_MAX];

	snprintf(path, sizeof(path), "%.*s/%s", end ? (int)(end - cgroup) : 0, cgroup, unit);
	/* It is in another slice; or it was stopped when an earlier hsd adopted this run, and has
	 * had its park then if that is fit. */
	if (filters_add(&instance->socket_filters, plane_own(plane), path) < 0 &&
	    !plane_has_park(plane))
		filters_add_unit(&instance->socket_filters, unit);
}

void filtering_note_sockets(struct instance *instance)
{
	const struct unit_facts *facts = instance_facts(instance);

	if (!strcmp(instance->filters_run, facts->invocation))
		return;
	memcpy(instance->filters_run, facts->invocation, sizeof(instance->filters_run));
	instance->socket_filters = (struct filters) {0};
	for (char **unit = facts->triggered_by; unit && *unit; unit++)
		if (unit_is_socket(*unit))
			add_socket_unit(instance, *unit);
}

static void find(const struct instance *instance, struct filters *ret_filters)
{
	struct own *own = plane_own(instance->service->plane);

	*ret_filters = instance->socket_filters;
	filters_add(ret_filters, own, instance_facts(instance)->control_group);
}

enum filtering filtering_look(struct instance *instance, const char **ret_unit)
{
	enum filtering filtering = FILTERING_NONE;
	struct filters filters;

	*ret_unit = instance->unit;
	find(instance, &filters);
	/* what systemd could not have the kernel do keeps nobody out */
	if (instance_facts(instance)->filtered && is_among(&filters, instance->unit))
		return FILTERING_SOME;
	for (size_t i = 0; i < FILTERS_MAX; i++)
		if (instance->filters[i].watch && !is_among(&filters, instance->filters[i].unit))
			forget(&instance->filters[i]);
	for (size_t i = 0; i < filters.n; i++)
		if (strcmp(filters.units[i], instance->unit))
			watch_unit(instance, filters.units[i]);
	for (size_t i = 0; i < FILTERS_MAX; i++) {
		enum filtering one = instance->filters[i].watch ? verdict_of(&instance->filters[i])
								: FILTERING_NONE;

		if (one == FILTERING_SOME)
			*ret_unit = instance->filters[i].unit;
		filtering = MAX(filtering, one);
	}
	return filtering;
}

void filtering_done(struct instance *instance)
{
	for (size_t i = 0; i < FILTERS_MAX; i++)
		if (instance->filters[i].watch)
			forget(&instance->filters[i]);
}
