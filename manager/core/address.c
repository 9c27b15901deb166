// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/macro.h"
#include "util/parse.h"

bool address_equal(const struct address *a, const struct address *b)
{
	return a->family == b->family && a->udp == b->udp && a->v6only == b->v6only &&
	       a->port == b->port && a->ifindex == b->ifindex && a->netns == b->netns &&
	       !memcmp(a->ip, b->ip, sizeof(a->ip));
}

static bool is_any(const struct address *address)
{
	static const uint8_t any[16];

	return !memcmp(address->ip, any, sizeof(any));
}

/* Whether there is a destination that both stand for. */
static bool overlap(const struct address *a, const struct address *b)
{
	if (a->udp != b->udp || a->port != b->port || a->netns != b->netns ||
	    (a->ifindex && b->ifindex && a->ifindex != b->ifindex))
		return false;
	if (a->family == b->family)
		return is_any(a) || is_any(b) || !memcmp(a->ip, b->ip, sizeof(a->ip));
	/* IPv4 and IPv6 meet in a dual-stack socket only */
	if (a->family == AF_INET6)
		return is_any(a) && !a->v6only;
	return is_any(b) && !b->v6only;
}

bool address_beats(const struct address *a, const struct address *b)
{
	unsigned score_a = 4 * !is_any(a) + 2 * !!a->ifindex + (a->family == AF_INET);
	unsigned score_b = 4 * !is_any(b) + 2 * !!b->ifindex + (b->family == AF_INET);

	return overlap(a, b) && score_a > score_b;
}

bool address_covers(const struct address *a, const struct address *b)
{
	bool dual = a->family == AF_INET6 && !a->v6only;

	if (a->udp != b->udp || a->port != b->port || a->netns != b->netns || !is_any(a) ||
	    (a->ifindex && a->ifindex != b->ifindex))
		return false;
	/* [::] for both families stands for more than [::] for IPv6 only */
	if (b->family == AF_INET6)
		return a->family == AF_INET6 && (dual || b->v6only || !is_any(b));
	return dual || a->family == AF_INET;
}

bool address_is_for_many(const struct address *address)
{
	static const uint8_t everybody[] = {255, 255, 255, 255};

	if (address->family == AF_INET6)
		return address->ip[0] == 0xff;
	return (address->ip[0] & 0xf0) == 0xe0 || !memcmp(address->ip, everybody, 4);
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

const char *address_describe(const struct address *address, char text[ADDRESS_TEXT_MAX])
{
	char plain[ADDRESS_TEXT_MAX], netns[40] = "";

	if (address->netns)
		snprintf(netns, sizeof(netns), " in network namespace %u", address->netns);
	snprintf(text, ADDRESS_TEXT_MAX, "%s%.64s%s", address->udp ? "UDP " : "",
		 address_format(address, plain), netns);
	return text;
}

/* Protocol and family: the word that a pin begins with. */
static const struct pin_family {
	const char *word;
	uint8_t family;
	bool udp, v6only;
} pin_families[] = {
	{"tcp4", AF_INET, false, false}, {"tcp6", AF_INET6, false, true},
	{"tcp", AF_INET6, false, false}, {"udp4", AF_INET, true, false},
	{"udp6", AF_INET6, true, true},	 {"udp", AF_INET6, true, false},
};

static const char *pin_word(const struct address *address)
{
	for (size_t i = 0; i < ARRAY_SIZE(pin_families); i++) {
		const struct pin_family *f = &pin_families[i];

		if (f->family == address->family && f->udp == address->udp &&
		    (f->family == AF_INET || f->v6only == address->v6only))
			return f->word;
	}
	return "tcp";
}

const char *address_to_pin(const struct address *address, char name[ADDRESS_PIN_MAX])
{
	char ip[INET6_ADDRSTRLEN] = "", device[16] = "", netns[16] = "";

	inet_ntop(address->family, address->ip, ip, sizeof(ip));
	for (char *dot = strchr(ip, '.'); dot; dot = strchr(dot, '.'))
		*dot = '_';
	if (address->ifindex)
		snprintf(device, sizeof(device), "-if%u", address->ifindex);
	if (address->netns)
		snprintf(netns, sizeof(netns), "-ns%u", address->netns);
	snprintf(name, ADDRESS_PIN_MAX, "%s-%s-%u%s%s", pin_word(address), ip, address->port,
		 device, netns);
	return name;
}

static int family_from_pin(const char *text, struct address *ret_address)
{
	for (size_t i = 0; i < ARRAY_SIZE(pin_families); i++) {
		if (strcmp(text, pin_families[i].word))
			continue;
		ret_address->family = pin_families[i].family;
		ret_address->udp = pin_families[i].udp;
		ret_address->v6only = pin_families[i].v6only;
		return 0;
	}
	return -EINVAL;
}

static int ip_from_pin(char *text, struct address *ret_address)
{
	for (char *sign = strchr(text, '_'); sign; sign = strchr(sign, '_'))
		*sign = '.';
	return inet_pton(ret_address->family, text, ret_address->ip) == 1 ? 0 : -EINVAL;
}

/* Takes "if3" off: `part`, when it begins with `word`, which is then the next one. */
static int number_from_pin(char **part, char **rest, const char *word, uint32_t *ret_number)
{
	uint64_t number;

	if (!*part || strncmp(*part, word, 2))
		return 0;
	if (parse_unsigned(*part + 2, 1, UINT32_MAX, &number))
		return -EINVAL;
	*ret_number = number;
	*part = strsep(rest, "-");
	return 0;
}

int address_from_pin(const char *name, struct address *ret_address)
{
	char copy[ADDRESS_PIN_MAX], *rest = copy, *family, *ip, *port, *part;
	struct address address = {0};
	uint64_t number;

	if (strlen(name) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, name);
	family = strsep(&rest, "-");
	ip = strsep(&rest, "-");
	port = strsep(&rest, "-");
	if (!port || family_from_pin(family, &address) || ip_from_pin(ip, &address))
		return -EINVAL;
	if (parse_unsigned(port, 0, UINT16_MAX, &number))
		return -EINVAL;
	address.port = number;
	part = strsep(&rest, "-");
	if (number_from_pin(&part, &rest, "if", &address.ifindex) ||
	    number_from_pin(&part, &rest, "ns", &address.netns) || part)
		return -EINVAL;
	*ret_address = address;
	return 0;
}
