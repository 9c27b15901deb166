/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What there is to tell of a front and its hosts, as JSON, whose names are a contract. */
#pragma once

#include <json-c/json.h>

#include "core/config/config_front.h"
#include "plane/plane.h"
#include "service/report/report.h"

/* The addresses of a front, as far as there is room for them. */
void front_report_listeners(const struct config_front *config, struct service_report *report);

/*
 * To what `status` says: "front" of the service, and of each slot (`slots`, an array) "host", and
 * what was sent to it. What is of instances, as "unit", becomes null.
 */
void front_report_add(const struct config_front *config, const struct plane *plane,
		      json_object *service, json_object *slots);
