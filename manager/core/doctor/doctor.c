// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/doctor/doctor.h"

#include <stdarg.h>
#include <stdio.h>

#include "util/macro.h"

static const char *const status_names[] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_FINDING] = "finding",
	[DOCTOR_SKIPPED] = "skipped",
};
_Static_assert(ARRAY_SIZE(status_names) == DOCTOR_STATUS_COUNT, "a name for each status");

static const char *const option_names[] = {
	[SOCKOPT_FASTOPEN] = "TCP_FASTOPEN",
	[SOCKOPT_DEFER_ACCEPT] = "TCP_DEFER_ACCEPT",
	[SOCKOPT_SAVE_SYN] = "TCP_SAVE_SYN",
	[SOCKOPT_KEEPALIVE] = "SO_KEEPALIVE",
	[SOCKOPT_KEEPIDLE] = "TCP_KEEPIDLE",
	[SOCKOPT_KEEPINTVL] = "TCP_KEEPINTVL",
	[SOCKOPT_KEEPCNT] = "TCP_KEEPCNT",
	[SOCKOPT_USER_TIMEOUT] = "TCP_USER_TIMEOUT",
	[SOCKOPT_NODELAY] = "TCP_NODELAY",
	[SOCKOPT_MAXSEG] = "TCP_MAXSEG",
	[SOCKOPT_WINDOW_CLAMP] = "TCP_WINDOW_CLAMP",
	[SOCKOPT_CONGESTION] = "TCP_CONGESTION",
	[SOCKOPT_RCVBUF] = "SO_RCVBUF",
	[SOCKOPT_SNDBUF] = "SO_SNDBUF",
	[SOCKOPT_PRIORITY] = "SO_PRIORITY",
	[SOCKOPT_MARK] = "SO_MARK",
	[SOCKOPT_TOS] = "IP_TOS",
	[SOCKOPT_TCLASS] = "IPV6_TCLASS",
	[SOCKOPT_TRANSPARENT] = "IP_TRANSPARENT",
};
_Static_assert(ARRAY_SIZE(option_names) == DOCTOR_OPTION_COUNT, "a name for each option");

const char *doctor_status_to_string(enum doctor_status status)
{
	return status < DOCTOR_STATUS_COUNT ? status_names[status] : "unknown";
}

const char *doctor_option_to_string(enum doctor_option option)
{
	return option < DOCTOR_OPTION_COUNT ? option_names[option] : "unknown";
}

void doctor_add(struct doctor_report *report, enum doctor_status status,
		const struct doctor_advice *advice, const char *what, ...)
{
	struct doctor_check *check;
	va_list args;

	report->findings += status == DOCTOR_FINDING;
	if (report->n == DOCTOR_CHECKS_MAX)
		return;
	check = &report->items[report->n++];
	*check = (struct doctor_check) {.id = advice->id, .status = status};
	snprintf(check->service, sizeof(check->service), "%s", report->service ?: "");
	snprintf(check->why, sizeof(check->why), "%s", advice->why ?: "");
	snprintf(check->remedy, sizeof(check->remedy), "%s", advice->remedy ?: "");
	va_start(args, what);
	vsnprintf(check->what, sizeof(check->what), what, args);
	va_end(args);
}

void doctor_settings(struct doctor_report *report, const struct problem *wrong,
		     const struct problem *unsettled, const char *why)
{
	static const struct doctor_advice refused = {"service.settings",
						     "What held before holds still",
						     "Remove the reason, then run: systemctl "
						     "reload hsd"};
	static const struct doctor_advice fine = {.id = "service.settings"};
	const struct doctor_advice file = {"service.settings", why,
					   "Correct the file, then run: systemctl reload hsd"};

	if (wrong->text[0])
		doctor_add(report, DOCTOR_FINDING, &file, "%s", wrong->text);
	else if (unsettled->text[0])
		doctor_add(report, DOCTOR_FINDING, &refused, "%s", unsettled->text);
	else
		doctor_add(report, DOCTOR_OK, &fine, "The settings are right");
}
