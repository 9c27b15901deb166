/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A service as it is now. */
#pragma once

#include "service/report/report.h"
#include "service/service.h"

void service_report(struct service *service, struct service_report *ret_report);
/* The same as JSON, as in the answer of Describe(). Who may not see everything may see what was so
 * a moment ago, too. NULL: no memory. Belongs to the service. */
const char *service_describe(struct service *service, bool may_see);
/* The same, made now. The caller's; NULL: no memory. */
json_object *service_to_json(struct service *service, bool may_see);
/* The line of `hsctl list`, made now: likewise. */
json_object *service_to_row(struct service *service);
