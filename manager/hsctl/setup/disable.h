/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The work behind `hsctl disable`: files and systemd, nothing else. It does not need hsd, and what
 * the kernel holds for the service is not touched. */
#pragma once

#include <systemd/sd-bus.h>

#include "core/name.h"
#include "core/setup/lint.h"
#include "hsctl/arguments.h"
#include "hsctl/setup/enable.h"
#include "hsctl/unit/filechanges.h"

struct disable_result {
	char service[SERVICE_NAME_MAX];
	struct filechanges changes; /* .done: removed (`path`) or renamed (`path`, `rename`) */
	char *saved_config;	    /* where an edited configuration was put aside, or NULL */
	char *vendor_config;	    /* the vendor's configuration, which stays, or NULL */
};

/* Removes what enable wrote, and has systemd forget it: both or neither. A configuration that was
 * edited is renamed to NAME.conf.disabled. If `text` is no template, `report` gets a finding that
 * refuses, and nothing is done; if the service was not enabled, filechanges_made() is 0. */
int disable_apply(sd_bus *bus, const char *text, struct lint_report *report,
		  struct disable_result *ret_result, struct problem *problem);
void disable_result_done(struct disable_result *result);

/* Takes back what enable_apply() has written, and nothing else. What the kernel holds for the
 * service is given back where there was nothing of hotstandby's before. Complains. */
void disable_undone(const struct arguments *arguments, sd_bus *systemd, struct enable_plan *plan);
