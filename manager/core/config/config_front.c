// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/config/config_front.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "core/canary.h"
#include "util/macro.h"
#include "util/parse.h"

#define BLANKS	      " \t\r\n"
#define FRONT	      CONFIG_FRONT_SECTION
#define WEIGHT_TEXT   "weight="
#define SLOT_TEXT     "slot="
#define HOST_WORDS    "; it takes an address, and behind it slot=NUMBER or weight=NUMBER"
#define HOST_WORD_MAX 64
#define WEIGHT_ONE    100U /* percent */

static const char *const mode_words[] = {
	[FRONT_DSR] = "dsr",
	[FRONT_IPIP] = "ipip",
	[FRONT_NAT] = "nat",
};
_Static_assert(ARRAY_SIZE(mode_words) == FRONT_MODES, "a word for each");

const char *front_mode_to_string(unsigned mode)
{
	return mode < FRONT_MODES ? mode_words[mode] : "unknown";
}

bool front_address_is_ipv4(const uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(ip, mapped, sizeof(mapped));
}

const char *front_address_format(const uint8_t ip[16], char text[FRONT_ADDRESS_TEXT_MAX])
{
	if (front_address_is_ipv4(ip))
		inet_ntop(AF_INET, ip + 12, text, FRONT_ADDRESS_TEXT_MAX);
	else
		inet_ntop(AF_INET6, ip, text, FRONT_ADDRESS_TEXT_MAX);
	return text;
}

int front_address_parse(const char *text, uint8_t ret_ip[16])
{
	uint8_t ip[16] = {[10] = 0xff, [11] = 0xff};

	if (inet_pton(AF_INET, text, ip + 12) != 1 && inet_pton(AF_INET6, text, ip) != 1)
		return -EINVAL;
	memcpy(ret_ip, ip, sizeof(ip));
	return 0;
}

/* One that a machine can have: not any, loopback, or for many. */
static bool is_single(const uint8_t ip[16])
{
	static const uint8_t none[16], loopback[16] = {[15] = 1};

	if (front_address_is_ipv4(ip))
		return ip[12] != 0 && ip[12] != 127 && ip[12] < 224;
	/* of a link it says nothing without naming the link */
	return memcmp(ip, none, sizeof(none)) && memcmp(ip, loopback, sizeof(loopback)) &&
	       ip[0] != 0xff && !(ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80);
}

static int parse_single(const struct setting_text *text, const char *word, uint8_t ret_ip[16])
{
	if (front_address_parse(word, ret_ip) < 0 || !is_single(ret_ip))
		return setting_refuse(text, "does not begin with an address of one machine, like "
					    "192.0.2.10 or 2001:db8::10.");
	return 0;
}

static bool has_address(const struct config_front *front, const uint8_t ip[16])
{
	for (unsigned i = 0; i < front->n_addresses; i++)
		if (!memcmp(front->addresses[i].ip, ip, 16))
			return true;
	return false;
}

/* The next word of a list, cut off where it is longer than any can be; NULL behind the last. */
static const char *next_word(const char **p, char word[HOST_WORD_MAX])
{
	size_t length;

	*p += strspn(*p, BLANKS ",");
	length = strcspn(*p, BLANKS ",");
	if (!length)
		return NULL;
	snprintf(word, HOST_WORD_MAX, "%.*s", (int)MIN(length, (size_t)HOST_WORD_MAX - 1), *p);
	*p += length;
	return word;
}

static int add_address(void *object, const struct setting_text *text)
{
	struct config_front *front = object, before = *front;
	char word[HOST_WORD_MAX];
	int r = 0;

	if (!*text->value)
		front->n_addresses = 0;
	for (const char *p = text->value; !r && next_word(&p, word);) {
		uint8_t ip[16];

		r = parse_single(text, word, ip);
		if (r < 0 || has_address(front, ip))
			continue;
		if (front->n_addresses == CONFIG_FRONT_ADDRESSES_MAX)
			r = setting_refuse(text, "is one too many; allowed are up to %u.",
					   CONFIG_FRONT_ADDRESSES_MAX);
		else
			memcpy(front->addresses[front->n_addresses++].ip, ip, sizeof(ip));
	}
	if (r < 0)
		*front = before;
	return r;
}

static int set_ports(void *object, const struct setting_text *text)
{
	struct config_front *front = object;

	return ports_set(text, "443/tcp 443/udp, say", front->ports, &front->n_ports);
}

/* "2", or "50%". */
static int parse_weight(const char *word, unsigned *ret_weight)
{
	char digits[8];
	size_t length = strlen(word);
	bool percent = length && word[length - 1] == '%';
	uint64_t number;

	if (length >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, word, length + 1);
	if (percent)
		digits[length - 1] = '\0';
	if (parse_unsigned(digits, 0, percent ? HS_WEIGHT_MAX : CONFIG_FRONT_WEIGHT_MAX, &number))
		return -EINVAL;
	*ret_weight = (unsigned)number * (percent ? 1 : WEIGHT_ONE);
	return 0;
}

static int parse_host_word(const struct setting_text *text, const char *word, unsigned *slot,
			   unsigned *weight)
{
	uint64_t number;

	if (!strncmp(word, WEIGHT_TEXT, strlen(WEIGHT_TEXT)) &&
	    !parse_weight(word + strlen(WEIGHT_TEXT), weight))
		return 0;
	if (!strncmp(word, SLOT_TEXT, strlen(SLOT_TEXT)) &&
	    !parse_unsigned(word + strlen(SLOT_TEXT), 0, HS_SLOTS_MAX - 1, &number)) {
		*slot = (unsigned)number;
		return 0;
	}
	return setting_refuse(text,
			      "has a word that is not known" HOST_WORDS
			      " (slots 0 to %u; weights 0 to %u, or percent like 50%%).",
			      HS_SLOTS_MAX - 1, CONFIG_FRONT_WEIGHT_MAX);
}

static unsigned free_number(const struct config_front *front)
{
	unsigned slot = 0;

	while (slot < HS_SLOTS_MAX && front->hosts[slot].given)
		slot++;
	return slot;
}

static int place_host(struct config_front *front, const struct setting_text *text,
		      const struct front_host *host, unsigned slot)
{
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		if (front->hosts[i].given &&
		    !memcmp(&front->hosts[i].address, &host->address, sizeof(host->address)))
			return setting_refuse(text, "is there already, as slot %u.", i);
	if (slot >= HS_SLOTS_MAX)
		return setting_refuse(text, "is one too many; allowed are up to %u hosts.",
				      HS_SLOTS_MAX);
	if (front->hosts[slot].given)
		return setting_refuse(text,
				      "wants slot %u, which another host has; name another "
				      "number, or none.",
				      slot);
	front->hosts[slot] = *host;
	front->n_hosts++;
	return 0;
}

static int add_host(void *object, const struct setting_text *text)
{
	struct config_front *front = object;
	struct front_host host = {.given = true, .weight = WEIGHT_ONE};
	unsigned slot = free_number(front);
	const char *p = text->value;
	char word[HOST_WORD_MAX];
	int r;

	if (!next_word(&p, word)) {
		memset(front->hosts, 0, sizeof(front->hosts));
		front->n_hosts = 0;
		return 0;
	}
	r = parse_single(text, word, host.address.ip);
	while (!r && next_word(&p, word))
		r = parse_host_word(text, word, &slot, &host.weight);
	return r ? r : place_host(front, text, &host, slot);
}

static int add_prefix(struct config_front *front, const struct setting_text *text, const char *word)
{
	struct hs_prefix prefix;

	if (prefix_parse(word, &prefix) < 0)
		return setting_refuse(text, "takes addresses and networks, like 192.0.2.10, "
					    "10.0.0.0/24 or 2001:db8::/64.");
	for (unsigned i = 0; i < front->n_decap_from; i++)
		if (!memcmp(&front->decap_from[i], &prefix, sizeof(prefix)))
			return 0;
	if (front->n_decap_from == CONFIG_DECAP_FROM_MAX)
		return setting_refuse(text, "is one too many; allowed are up to %d.",
				      CONFIG_DECAP_FROM_MAX);
	front->decap_from[front->n_decap_from++] = prefix;
	return 0;
}

static int add_decap_from(void *object, const struct setting_text *text)
{
	struct config_front *front = object, before = *front;
	char word[HOST_WORD_MAX];
	int r = 0;

	if (!*text->value)
		front->n_decap_from = 0;
	for (const char *p = text->value; !r && next_word(&p, word);)
		r = add_prefix(front, text, word);
	if (r < 0)
		*front = before;
	return r;
}

static int set_device(void *object, const struct setting_text *text)
{
	struct config_front *front = object;
	size_t length = strlen(text->value);

	if (length >= sizeof(front->device) || strpbrk(text->value, "/" BLANKS) ||
	    !strcmp(text->value, ".") || !strcmp(text->value, ".."))
		return setting_refuse(text,
				      "is no name of a network device; it takes one like "
				      "eth0, or nothing for the one that leads to the hosts.");
	memset(front->device, 0, sizeof(front->device));
	memcpy(front->device, text->value, length);
	return 0;
}

#define PLACE(member)		.offset = offsetof(struct config_front, member)
#define FIELD(type, member)	.kind = SETTING_##type, PLACE(member)
#define NUMBER(field, from, to) FIELD(NUMBER, field), .min = from, .max = to
#define OTHER(function, what)	.kind = SETTING_OTHER, .parse = function, .form = what

/* The keys in the order of the manual. */
static const struct setting settings[] = {
	{FRONT, "Address", "",
	 "An address of the service, whose slots are hosts then. May stand several times.",
	 OTHER(add_address, "address"), .list = true},
	{FRONT, "Ports", "", "Its ports, like \"443/tcp 443/udp\".", OTHER(set_ports, "ports")},
	{FRONT, "Host", "",
	 "A host: its own address, and perhaps slot=NUMBER weight=NUMBER. May stand several times.",
	 OTHER(add_host, "host"), .list = true},
	{FRONT, "Mode", "dsr", "How packets get to the hosts: dsr, ipip or nat.", FIELD(WORD, mode),
	 .words = mode_words, .n_words = ARRAY_SIZE(mode_words)},
	{FRONT, "Device", "",
	 "Where clients' packets come in. Empty: the device that leads to the first host.",
	 OTHER(set_device, "device")},
	{FRONT, "Agent", "9790", "Port of the hosts' agents (hsctl agent). 0: none is asked.",
	 NUMBER(agent_port, 0, UINT16_MAX)},
	{FRONT, "Flows", "262144", "How many connections and UDP flows are remembered.",
	 NUMBER(flows, CONFIG_FRONT_FLOWS_MIN, CONFIG_FRONT_FLOWS_MAX)},
	{FRONT, "NewFlows", "0",
	 "How many of them may begin in a second; those beyond are not remembered. 0: a quarter of "
	 "Flows=.",
	 NUMBER(new_flows, CONFIG_FRONT_NEW_MIN, CONFIG_FRONT_NEW_MAX)},
	{FRONT, "Decap", "no",
	 "On a host: takes packets for the service that a front with Mode=ipip has encapsulated.",
	 FIELD(SWITCH, decap)},
	{FRONT, "DecapFrom", "",
	 "Likewise: fronts and hosts whose packets are taken. Empty: anybody's. May stand several "
	 "times.",
	 OTHER(add_decap_from, "networks"), .list = true},
};

const struct setting *config_front_key(size_t index)
{
	return index < ARRAY_SIZE(settings) ? &settings[index] : NULL;
}

bool config_is_front(const struct config_front *front)
{
	return front->n_addresses || front->n_hosts;
}

unsigned config_front_new_flows(const struct config_front *front)
{
	return MAX(front->new_flows ?: front->flows / CONFIG_FRONT_NEW_PART, 1U);
}

bool config_front_leads(const struct config_front *front, unsigned host)
{
	bool ipv4 = front_address_is_ipv4(front->hosts[host].address.ip);

	for (unsigned i = 0; i < front->n_addresses; i++)
		if (front_address_is_ipv4(front->addresses[i].ip) == ipv4)
			return true;
	return false;
}

unsigned config_front_slots(const struct config_front *front)
{
	unsigned n = HS_SLOTS_MAX;

	while (n && !front->hosts[n - 1].given)
		n--;
	return n;
}

static const struct front_host *host_of_other_family(const struct config_front *front,
						     const struct front_address *address)
{
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		if (front->hosts[i].given && front_address_is_ipv4(front->hosts[i].address.ip) !=
						     front_address_is_ipv4(address->ip))
			return &front->hosts[i];
	return NULL;
}

static int check_pair(const struct config_front *front, const struct front_address *address,
		      struct problem *problem)
{
	const struct front_host *other = host_of_other_family(front, address);
	char text[FRONT_ADDRESS_TEXT_MAX], host[FRONT_ADDRESS_TEXT_MAX];

	front_address_format(address->ip, text);
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		if (front->hosts[i].given && !memcmp(front->hosts[i].address.ip, address->ip, 16))
			return problem_set(problem, -EINVAL,
					   "Host=%s is an Address= of the service as well; it "
					   "takes the host's own address.",
					   text);
	if (front->mode == FRONT_NAT && other)
		return problem_set(problem, -EINVAL,
				   "Mode=nat: Address=%s and Host=%s are of two families, between "
				   "which nothing is translated; use Mode=ipip or dsr.",
				   text, front_address_format(other->address.ip, host));
	return 0;
}

/* Of those that are there: else all would get the same. */
static int check_weights(const struct config_front *front, struct problem *problem)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		if (front->hosts[i].given)
			sum += front->hosts[i].weight;
	return sum ? 0
		   : problem_set(problem, -EINVAL,
				 "The weights of all Host= add up to nothing; give one of them "
				 "a weight, like weight=1, or leave it out.");
}

int config_front_check(const struct config_front *front, struct problem *problem)
{
	int r = 0;

	if (!config_is_front(front))
		return 0;
	if (front->decap)
		return problem_set(problem, -EINVAL,
				   "Decap=yes is for a host, and Address= and Host= are for a "
				   "front; one service is not both.");
	if (!front->n_addresses || !front->n_hosts || !front->n_ports)
		return problem_set(problem, -EINVAL,
				   "Section [Front] lacks %s; a front has Address=, Ports= and at "
				   "least one Host=.",
				   !front->n_addresses ? "Address="
				   : !front->n_ports   ? "Ports="
						       : "Host=");
	r = check_weights(front, problem);
	for (unsigned i = 0; !r && i < front->n_addresses; i++)
		r = check_pair(front, &front->addresses[i], problem);
	return r;
}
