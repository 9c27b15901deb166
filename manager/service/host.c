// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/host.h"

#include <stdarg.h>

#include "util/clock.h"
#include "util/macro.h"

struct work *work_forget(struct work *work)
{
	if (work)
		work->on_done = NULL;
	return NULL;
}

int host_order(const struct host *host, const struct work_order *order, const int *fds,
	       size_t n_fds, work_fn on_done, void *userdata, struct work **ret_work)
{
	struct work work = {on_done, userdata};

	return host->ops->order(host, order, fds, n_fds, &work, ret_work);
}

unsigned host_busy(const struct host *host)
{
	return host->ops->busy(host);
}

uint64_t host_time(const struct host *host, uint64_t usec, uint64_t spare_usec)
{
	uint64_t at = now_usec() + usec;

	return host->until ? MIN(at, host->until - MIN(spare_usec, host->until)) : at;
}

struct service *const *host_services(const struct host *host, size_t *ret_n)
{
	return host->ops->services(host, ret_n);
}

void host_debug(const struct host *host, const char *template, ...)
{
	struct problem line;
	va_list arguments;

	if (!host->debug)
		return;
	va_start(arguments, template);
	vsnprintf(line.text, sizeof(line.text), template, arguments);
	va_end(arguments);
	host->debug(line.text);
}
