/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The header of the PROXY protocol that a connection begins with, where the server expects one (the
 * "proxy-protocol.txt" of HAProxy). Pure. */
#pragma once

#include <stddef.h>
#include <sys/socket.h>

enum proxy_header {
	PROXY_NO,
	PROXY_V1, /* a line of text, with the connection's own addresses */
	PROXY_V2, /* binary, "local": nobody is spoken for */
	PROXY_HEADER_COUNT
};

#define PROXY_HEADER_MAX 107

/* Writes the header of a connection from `source` to `dest`, and returns its length: 0 for
 * PROXY_NO. What is neither IPv4 nor IPv6 is "unknown". */
size_t proxy_header_make(enum proxy_header kind, const struct sockaddr_storage *source,
			 const struct sockaddr_storage *dest, char header[PROXY_HEADER_MAX + 1]);
