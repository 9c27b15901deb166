// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/parse.h"

bool address_equal(const struct address *a, const struct address *b)
{
	return a->family == b->family && a->v6only == b->v6only && a->port == b->port &&
	       a->ifindex == b->ifindex && !memcmp(a->ip, b->ip, sizeof(a->ip));
}

static bool is_any(const struct address *address)
{
	static const uint8_t any[16];

	return !memcmp(address->ip, any, sizeof(any));
}

const char *address_format(const struct address *address, char text[ADDRESS_TEXT_MAX])
{
	char ip[INET6_ADDRSTRLEN] = "", device[16] = "";
	bool v6 = address->family == AF_INET6;

	inet_ntop(address->family, address->ip, ip, sizeof(ip));
	if (address->ifindex)
		snprintf(device, sizeof(device), "%%%u", address->ifindex);
	snprintf(text, ADDRESS_TEXT_MAX, v6 ? "[%s]:%u%s%s" : "%s:%u%s%s", ip, address->port,
		 device, v6 && address->v6only && is_any(address) ? " (v6 only)" : "");
	return text;
}

static const char *pin_family(const struct address *address)
{
	if (address->family == AF_INET)
		return "tcp4";
	return address->v6only ? "tcp6" : "tcp";
}

const char *address_to_pin(const struct address *address, char name[ADDRESS_PIN_MAX])
{
	char ip[INET6_ADDRSTRLEN] = "", device[16] = "";

	inet_ntop(address->family, address->ip, ip, sizeof(ip));
	for (char *dot = strchr(ip, '.'); dot; dot = strchr(dot, '.'))
		*dot = '_';
	if (address->ifindex)
		snprintf(device, sizeof(device), "-if%u", address->ifindex);
	snprintf(name, ADDRESS_PIN_MAX, "%s-%s-%u%s", pin_family(address), ip, address->port,
		 device);
	return name;
}

static int family_from_pin(const char *text, struct address *ret_address)
{
	if (!strcmp(text, "tcp4"))
		ret_address->family = AF_INET;
	else if (!strcmp(text, "tcp6") || !strcmp(text, "tcp"))
		ret_address->family = AF_INET6;
	else
		return -EINVAL;
	ret_address->v6only = !strcmp(text, "tcp6");
	return 0;
}

static int ip_from_pin(char *text, struct address *ret_address)
{
	for (char *sign = strchr(text, '_'); sign; sign = strchr(sign, '_'))
		*sign = '.';
	return inet_pton(ret_address->family, text, ret_address->ip) == 1 ? 0 : -EINVAL;
}

int address_from_pin(const char *name, struct address *ret_address)
{
	char copy[ADDRESS_PIN_MAX], *rest = copy, *family, *ip, *port, *device;
	struct address address = {0};
	uint64_t number;

	if (strlen(name) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, name);
	family = strsep(&rest, "-");
	ip = strsep(&rest, "-");
	port = strsep(&rest, "-");
	device = strsep(&rest, "-");
	if (!port || rest || family_from_pin(family, &address) || ip_from_pin(ip, &address))
		return -EINVAL;
	if (parse_unsigned(port, 0, UINT16_MAX, &number))
		return -EINVAL;
	address.port = number;
	if (device) {
		if (strncmp(device, "if", 2) || parse_unsigned(device + 2, 1, UINT32_MAX, &number))
			return -EINVAL;
		address.ifindex = number;
	}
	*ret_address = address;
	return 0;
}
