// SPDX-License-Identifier: GPL-2.0-or-later
#include "echo-address.h"

#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Splits "[HOST]:PORT", "HOST:PORT", "HOST" in place; without a port it is "0". */
static void split(char *text, char **ret_host, char **ret_port)
{
	char *colon = strrchr(text, ':'), *bracket = strrchr(text, ']');

	*ret_host = text;
	*ret_port = "0";
	if (*text == '[' && bracket) {
		*ret_host = text + 1;
		*bracket = '\0';
		if (bracket[1] == ':')
			*ret_port = bracket + 2;
	} else if (colon && strchr(text, ':') == colon) {
		*colon = '\0';
		*ret_port = colon + 1;
	}
}

int address_parse(const char *text, union address *ret_address)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				 .ai_socktype = SOCK_DGRAM};
	struct addrinfo *found;
	char copy[ADDRESS_TEXT_MAX], *host, *port;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);
	split(copy, &host, &port);
	if (!*host || getaddrinfo(host, port, &hints, &found))
		return -EINVAL;
	*ret_address = (union address) {};
	memcpy(ret_address, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return 0;
}

const char *address_text(const union address *address, char *text)
{
	union address plain = *address;
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];

	if (address->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr)) {
		plain = (union address) {
			.in = {.sin_family = AF_INET, .sin_port = address->in6.sin6_port}};
		memcpy(&plain.in.sin_addr, &address->in6.sin6_addr.s6_addr[12], 4);
	}
	if (getnameinfo(&plain.any, address_size(&plain), host, sizeof(host), NULL, 0,
			NI_NUMERICHOST))
		strcpy(host, "?");
	snprintf(text, ADDRESS_TEXT_MAX, plain.any.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u",
		 host, address_port(&plain));
	return text;
}

socklen_t address_size(const union address *address)
{
	return address->any.sa_family == AF_INET6 ? sizeof(address->in6) : sizeof(address->in);
}

uint16_t address_port(const union address *address)
{
	return ntohs(address->any.sa_family == AF_INET6 ? address->in6.sin6_port
							: address->in.sin_port);
}

void address_set_port(union address *address, uint16_t port)
{
	if (address->any.sa_family == AF_INET6)
		address->in6.sin6_port = htons(port);
	else
		address->in.sin_port = htons(port);
}

void address_add(union address *address, uint32_t n)
{
	uint32_t *last = address->any.sa_family == AF_INET6 ? &address->in6.sin6_addr.s6_addr32[3]
							    : &address->in.sin_addr.s_addr;

	*last = htonl(ntohl(*last) + n);
}

int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || value < min || value > max) {
		fprintf(stderr, "'%s' is not a number from %llu to %llu\n", text,
			(unsigned long long)min, (unsigned long long)max);
		return -EINVAL;
	}
	*ret_value = value;
	return 0;
}
