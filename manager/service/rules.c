// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/rules.h"

#include "plane/plane_front.h"
#include "plane/preview/exec.h"
#include "plane/preview/preview.h"
#include "service/later.h"

int rules_begin(struct service *service)
{
	struct hs_preview_owner_id owner;
	int r = owner_of_process(0, &owner);

	if (!r)
		r = preview_begin(service->plane, &owner);
	service->ruled += !r;
	return r;
}

/* Also when it is dropped: who manages the service next may have none, and would not look. */
static int end(void *userdata, enum later_try try)
{
	struct service *service = userdata;
	struct hs_preview_owner_id owner;
	int r;

	(void)try;
	/* some have begun anew meanwhile */
	if (service->ruled)
		return 0;
	r = owner_of_process(0, &owner);
	return r < 0 ? r : preview_end(service->plane, &owner);
}

void rules_end(struct service *service)
{
	if (!--service->ruled)
		later_do(service, USEC_INFINITY, end, service);
}

static int sweep(void *userdata, enum later_try try)
{
	struct service *service = userdata;

	if (try == LATER_DROP)
		return 0;
	return plane_is_front(service->plane) ? exec_sweep(service->plane)
					      : preview_sweep(service->plane);
}

void rules_sweep(struct service *service)
{
	if (service->plane)
		later_do(service, USEC_INFINITY, sweep, service);
}
