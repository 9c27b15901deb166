/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "system/unit/unitload.h"

#include <string.h>

#include "system/unit/unitlink.h"
#include "util/clock.h"
#include "util/strings.h"

#define ANEW_TIMEOUT (90 * USEC_PER_SEC)

void unitload_done(struct unitload *load)
{
	free(load->id);
	free(load->load_state);
	free(load->load_error);
	free(load->fragment);
	free(load->active_state);
	strings_free(load->drop_ins);
	strings_free(load->triggers);
	strings_free(load->triggered_by);
	strings_free(load->stopped_by);
	strings_free(load->excludes);
	*load = (struct unitload) {};
}

/* What went wrong, as a part of a sentence: systemd's own words where it has some, without their
 * full stop. */
static const char *reason_of(const sd_bus_error *error, int r, char reason[256])
{
	size_t length;

	snprintf(reason, 256, "%s", error->message ? error->message : strerror(-r));
	length = strlen(reason);
	if (length > 0 && reason[length - 1] == '.')
		reason[length - 1] = 0;
	return reason;
}

/* A property that is a text. */
static int get_text(sd_bus *bus, const char *path, const char *property, char **ret_text)
{
	return sd_bus_get_property_string(bus, SYSTEMD, path, SYSTEMD_UNIT, property, NULL,
					  ret_text);
}

/* Adds a property that is a list of texts. One that this version of systemd lacks is empty. */
static int add_list(sd_bus *bus, const char *path, const char *property, char ***list)
{
	_cleanup_(strings_freep) char **more = NULL;
	int r = 0;

	if (sd_bus_get_property_strv(bus, SYSTEMD, path, SYSTEMD_UNIT, property, NULL, &more) < 0)
		return 0;
	for (char **p = more; r >= 0 && p && *p; p++)
		r = strings_add(list, *p);
	return r;
}

/* LoadError is a pair of an error's name and its message. */
static int get_load_error(sd_bus *bus, const char *path, char **ret_text)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *name, *message = "";

	if (sd_bus_get_property(bus, SYSTEMD, path, SYSTEMD_UNIT, "LoadError", NULL, &reply,
				"(ss)") >= 0)
		(void)sd_bus_message_read(reply, "(ss)", &name, &message);
	*ret_text = strdup(message);
	return *ret_text ? 0 : -ENOMEM;
}

static int get_all(sd_bus *bus, const char *path, struct unitload *load)
{
	static const char *const stopping[] = {"Requires", "Requisite", "BindsTo", "PartOf",
					       "StopPropagatedFrom"};
	int r, need_reload = 0;

	r = get_text(bus, path, "Id", &load->id);
	if (r >= 0)
		r = get_text(bus, path, "LoadState", &load->load_state);
	if (r >= 0)
		r = get_text(bus, path, "FragmentPath", &load->fragment);
	if (r >= 0)
		r = get_text(bus, path, "ActiveState", &load->active_state);
	if (r >= 0)
		r = get_load_error(bus, path, &load->load_error);
	if (r >= 0)
		r = sd_bus_get_property_trivial(bus, SYSTEMD, path, SYSTEMD_UNIT,
						"NeedDaemonReload", NULL, 'b', &need_reload);
	load->need_reload = need_reload;
	if (r >= 0)
		r = add_list(bus, path, "DropInPaths", &load->drop_ins);
	if (r >= 0)
		r = add_list(bus, path, "Triggers", &load->triggers);
	if (r >= 0)
		r = add_list(bus, path, "TriggeredBy", &load->triggered_by);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(stopping); i++)
		r = add_list(bus, path, stopping[i], &load->stopped_by);
	if (r >= 0)
		r = add_list(bus, path, "Conflicts", &load->excludes);
	if (r >= 0)
		r = add_list(bus, path, "ConflictedBy", &load->excludes);
	return r;
}

int unitload(sd_bus *bus, const char *unit, struct unitload *ret_load, struct problem *problem)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(unitload_done) struct unitload load = {};
	char reason[256];
	const char *path;
	int r;

	r = sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "LoadUnit", &error,
			       &reply, "s", unit);
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	if (r >= 0)
		r = get_all(bus, path, &load);
	if (r < 0)
		return problem_set(problem, r, "systemd cannot say how %s is set up: %s.", unit,
				   reason_of(&error, r, reason));
	*ret_load = load;
	load = (struct unitload) {};
	return 0;
}

int unitload_anew(sd_bus *bus, struct problem *problem)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
	char reason[256];
	int r;

	r = sd_bus_message_new_method_call(bus, &call, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					   "Reload");
	if (r >= 0)
		r = sd_bus_call(bus, call, ANEW_TIMEOUT, &error, NULL);
	if (r < 0)
		return problem_set(problem, r, "systemd did not read its unit files anew: %s.",
				   reason_of(&error, r, reason));
	return 0;
}

void unitload_anew_later(sd_bus *bus)
{
	(void)sd_bus_call_method_async(bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "Reload",
				       NULL, NULL, NULL);
	(void)sd_bus_flush(bus);
}
