// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/bus_answer.h"

#include "hsd/bus.h"
#include "util/clock.h"
#include "util/macro.h"

int bus_no_service(sd_bus_error *error, const char *name)
{
	return sd_bus_error_setf(error, BUS_ERROR_NO_SERVICE,
				 "%s is not managed by hotstandby; enable it: hsctl enable "
				 "%s@.service",
				 name, name);
}

static char *describe(struct service *service, bool may_see)
{
	_cleanup_(freep) struct service_report *report = malloc(sizeof(*report));
	json_object *object;
	char *text;

	if (!report)
		return NULL;
	service_report(service, report);
	report->withheld = !may_see;
	object = report_to_json(report);
	text = report_text(object);
	json_object_put(object);
	return text;
}

const char *bus_describe(struct service *service, bool may_see)
{
	struct description *kept = may_see ? &service->described : &service->described_to_all;
	uint64_t now = now_usec();

	if (!may_see && kept->text && now < kept->until_usec)
		return kept->text;
	free(kept->text);
	kept->text = describe(service, may_see);
	kept->until_usec = now + BUS_STALE_USEC;
	return kept->text;
}
