// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/setup/collector.h"

#include <stdio.h>
#include <string.h>

#include "util/macro.h"

#define WHY                                                                                    \
	"Exporters keep one port and never rest, so with Flow=connection each stays with the " \
	"slot that it began on: no switchover, drain or slot that is added moves it"

/* those that listen for nothing else by UDP */
static const char *const programs[] = {
	"nfacctd", "sfacctd",	"nfcapd",     "sfcapd",	   "flow-capture", "goflow",	"goflow2",
	"vflow",   "sflowtool", "samplicate", "ipfixcol2", "rwflowpack",   "snmptrapd", "statsd",
};

static const struct {
	uint16_t port;
	const char *protocol;
} ports[] = {
	{162, "SNMP traps"}, {514, "syslog"},	{2055, "NetFlow"},
	{2100, "NetFlow"},   {4739, "IPFIX"},	{6343, "sFlow"},
	{8125, "statsd"},    {9995, "NetFlow"}, {9996, "NetFlow"},
};

const char *collector_protocol(uint16_t port)
{
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
		if (ports[i].port == port)
			return ports[i].protocol;
	return NULL;
}

/* Of a command as units have it: prefixes, a path, arguments. */
static bool runs_collector(const char *command)
{
	const char *begin = command + strspn(command, "@-:+!|"), *slash;
	size_t length = strcspn(begin, " \t");

	slash = memrchr(begin, '/', length);
	if (slash) {
		length -= (size_t)(slash + 1 - begin);
		begin = slash + 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (strlen(programs[i]) == length && !strncmp(programs[i], begin, length))
			return true;
	return false;
}

/* No line of a unit says it: what the service's own settings say is at fault. */
static void lint_port(struct lint_report *report, const struct config_port *port)
{
	struct lint_finding finding = {.why = WHY, .remedy = COLLECTOR_REMEDY};

	snprintf(finding.what, sizeof(finding.what), "Flow=connection with port %u/udp, of %s",
		 port->port, collector_protocol(port->port));
	lint_add(report, &finding);
}

void collector_lint(struct lint_report *report, const struct lint_unit *service,
		    const struct config *config)
{
	const struct assignment *start =
		assignments_last(&service->settings, "Service", "ExecStart");

	if (config->flow != HS_FLOW_CONNECTION)
		return;
	if (start && runs_collector(start->value)) {
		lint_line(report, false, start, WHY, COLLECTOR_REMEDY);
		return;
	}
	for (unsigned i = 0; i < config->n_ports; i++) {
		const struct config_port *port = &config->ports[i];

		if (port->udp && collector_protocol(port->port)) {
			lint_port(report, port);
			return;
		}
	}
}
