// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config/config_ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/parse.h"

#define BLANKS " \t\r\n"

struct ports {
	struct config_port list[CONFIG_PORTS_MAX];
	unsigned n;
};

static int compare_ports(const void *a, const void *b)
{
	return ((const struct config_port *)a)->port - ((const struct config_port *)b)->port;
}

/* Adds one port, once. -E2BIG when there is no room. */
static int add_port(struct ports *ports, const struct config_port *port)
{
	for (unsigned i = 0; i < ports->n; i++) {
		if (ports->list[i].port != port->port)
			continue;
		ports->list[i].tcp |= port->tcp;
		ports->list[i].udp |= port->udp;
		return 0;
	}
	if (ports->n == CONFIG_PORTS_MAX)
		return -E2BIG;
	ports->list[ports->n++] = *port;
	return 0;
}

/* "80", "443/tcp", "53/udp". */
static int parse_port(char *word, struct config_port *ret_port)
{
	char *protocol = strchr(word, '/');
	uint64_t number;

	if (protocol)
		*protocol++ = '\0';
	if (parse_unsigned(word, 1, UINT16_MAX, &number) < 0 ||
	    (protocol && strcmp(protocol, "tcp") && strcmp(protocol, "udp")))
		return -EINVAL;
	*ret_port = (struct config_port) {
		.port = (uint16_t)number,
		.tcp = !protocol || *protocol == 't',
		.udp = !protocol || *protocol == 'u',
	};
	return 0;
}

int ports_set(const struct setting_text *text, const char *otherwise,
	      struct config_port ret_ports[CONFIG_PORTS_MAX], unsigned *ret_n)
{
	struct ports parsed = {};

	for (const char *p = text->value; *p;) {
		size_t length = strcspn(p, BLANKS ",");
		struct config_port port;
		char word[10] = "";

		/* what is longer than any port stays empty and so is no number */
		if (length < sizeof(word))
			memcpy(word, p, length);
		if (length && parse_port(word, &port) < 0)
			return setting_refuse(
				text,
				"is not a list of ports; allowed are numbers from 1 to 65535 "
				"like 80, 443/tcp or 53/udp, with blanks between, or %s.",
				otherwise);
		if (length && add_port(&parsed, &port) < 0)
			return setting_refuse(text,
					      "has too many ports; allowed are up to %u, or %s.",
					      CONFIG_PORTS_MAX, otherwise);
		p += length;
		p += strspn(p, BLANKS ",");
	}
	qsort(parsed.list, parsed.n, sizeof(parsed.list[0]), compare_ports);
	memcpy(ret_ports, parsed.list, sizeof(parsed.list));
	*ret_n = parsed.n;
	return 0;
}
