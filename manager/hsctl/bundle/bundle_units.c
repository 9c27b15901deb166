// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/bundle/bundle_units.h"

#include <string.h>

#include "core/setup/dropin.h"
#include "system/configfile.h"
#include "util/files.h"
#include "util/strings.h"

#define DROPIN_SIZE_MAX (1024 * 1024)

/* What the drop-in of the service's template tells. None there, as by hand: nothing. */
struct told {
	char **sockets; /* "app@.socket" */
	char *alias;
};

static void told_done(struct told *told)
{
	strings_free(told->sockets);
	free(told->alias);
}

static void read_told(const char *service, struct told *ret_told)
{
	_cleanup_(freep) char *template = format("%s@.service", service), *text = NULL,
			      *again = NULL;
	_cleanup_(freep) char *path = template ? dropin_path(template) : NULL;

	if (!path || file_read(path, DROPIN_SIZE_MAX, &text) < 0)
		return;
	again = strdup(text);
	(void)dropin_sockets(text, &ret_told->sockets);
	ret_told->alias = again ? dropin_alias(again) : NULL;
}

/* "app@.socket", 1 -> "app@1.socket" */
static char *instance_of(const char *template, unsigned slot)
{
	int n = (int)strcspn(template, "@");

	return format("%.*s@%u%s", n, template, slot, template[n] ? template + n + 1 : "");
}

static int add_slot(char ***units, const char *service, const struct told *told, unsigned slot)
{
	int r = strings_take(units, format("%s@%u.service", service, slot));

	for (char **socket = told->sockets; r >= 0 && socket && *socket; socket++)
		r = strings_take(units, instance_of(*socket, slot));
	return r;
}

int bundle_units(const char *service, char ***ret_units)
{
	_cleanup_(strings_freep) char **units = NULL;
	_cleanup_(told_done) struct told told = {0};
	struct config config;
	int r = 0;

	config_init(&config);
	(void)configfile_load(service, &config, NULL);
	read_told(service, &told);
	for (unsigned i = 0; r >= 0 && i < config.slots; i++)
		r = add_slot(&units, service, &told, i);
	if (r >= 0 && told.alias)
		r = strings_add(&units, told.alias);
	if (r >= 0)
		*ret_units = steal_ptr(&units);
	return r;
}
