// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/proxyheader.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* The signature, version 2 and "local", no family, no addresses. */
static const char v2_local[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/* Returns the port, host byte order. */
static unsigned format_end(const struct sockaddr_storage *end, char ip[INET6_ADDRSTRLEN])
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)end;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)end;
	const void *address = end->ss_family == AF_INET6 ? (const void *)&v6->sin6_addr
							 : (const void *)&v4->sin_addr;

	inet_ntop(end->ss_family, address, ip, INET6_ADDRSTRLEN);
	return ntohs(end->ss_family == AF_INET6 ? v6->sin6_port : v4->sin_port);
}

static size_t make_v1(const struct sockaddr_storage *source, const struct sockaddr_storage *dest,
		      char header[PROXY_HEADER_MAX + 1])
{
	char from[INET6_ADDRSTRLEN] = "", to[INET6_ADDRSTRLEN] = "";
	unsigned from_port, to_port;

	if (source->ss_family != dest->ss_family ||
	    (source->ss_family != AF_INET && source->ss_family != AF_INET6))
		return (size_t)snprintf(header, PROXY_HEADER_MAX + 1, "PROXY UNKNOWN\r\n");
	from_port = format_end(source, from);
	to_port = format_end(dest, to);
	return (size_t)snprintf(header, PROXY_HEADER_MAX + 1, "PROXY %s %s %s %u %u\r\n",
				source->ss_family == AF_INET ? "TCP4" : "TCP6", from, to, from_port,
				to_port);
}

size_t proxy_header_make(enum proxy_header kind, const struct sockaddr_storage *source,
			 const struct sockaddr_storage *dest, char header[PROXY_HEADER_MAX + 1])
{
	if (kind == PROXY_V1)
		return make_v1(source, dest, header);
	if (kind != PROXY_V2)
		return 0;
	memcpy(header, v2_local, sizeof(v2_local) - 1);
	return sizeof(v2_local) - 1;
}
