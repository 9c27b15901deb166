/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hs_abi.h"
#include "util/clock.h"
#include "util/macro.h"
#include "util/parse.h"

#define BLANKS	   " \t\r\n"
#define QUOTED_MAX 64

static const char *const intake_words[] = {
	[INTAKE_AUTO] = "auto",
	[INTAKE_SOCKET] = "socket",
	[INTAKE_OWN] = "own",
	[INTAKE_FORCED] = "forced",
};
_Static_assert(ARRAY_SIZE(intake_words) == INTAKE_COUNT, "a word for each intake");
static const char *const failover_words[] = {
	[FAILOVER_AUTO] = "auto",
	[FAILOVER_MANUAL] = "manual",
};
_Static_assert(ARRAY_SIZE(failover_words) == FAILOVER_COUNT, "a word for each");
static const char *const on_hang_words[] = {
	[ON_HANG_RESTART] = "restart",
	[ON_HANG_KEEP] = "keep",
};
_Static_assert(ARRAY_SIZE(on_hang_words) == ON_HANG_COUNT, "a word for each");
static const char *const flow_words[] = {
	[HS_FLOW_CONNECTION] = "connection",
	[HS_FLOW_NONE] = "none",
	[HS_FLOW_QUIC] = "quic",
};
_Static_assert(ARRAY_SIZE(flow_words) == HS_FLOW_COUNT, "a word for each mode");

const char *config_intake_to_string(enum config_intake intake)
{
	return intake < INTAKE_COUNT ? intake_words[intake] : "unknown";
}

const char *config_failover_to_string(enum config_failover failover)
{
	return failover < FAILOVER_COUNT ? failover_words[failover] : "unknown";
}

const char *config_on_hang_to_string(enum config_on_hang on_hang)
{
	return on_hang < ON_HANG_COUNT ? on_hang_words[on_hang] : "unknown";
}

const char *config_flow_to_string(enum hs_flow_mode flow)
{
	return flow < HS_FLOW_COUNT ? flow_words[flow] : "unknown";
}

bool config_has_port(const struct config *config, uint16_t port, bool udp)
{
	for (unsigned i = 0; i < config->n_ports; i++)
		if (config->ports[i].port == port)
			return udp ? config->ports[i].udp : config->ports[i].tcp;
	return config->n_ports == 0;
}

/* What a message quotes from a file: printable ASCII and not endless. */
static const char *quote(const char *text, char quoted[QUOTED_MAX])
{
	size_t n = 0;

	for (; text[n] && n < QUOTED_MAX - 4; n++)
		quoted[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
	strcpy(quoted + n, text[n] ? "..." : "");
	return quoted;
}

/* The problem of "KEY=VALUE": the assignment, cut to size, then the reason. Returns -EINVAL. */
_printf_(4, 5) static int refuse(struct problem *problem, const char *key, const char *value,
				 const char *template, ...)
{
	char quoted_key[QUOTED_MAX], quoted_value[QUOTED_MAX], reason[192];
	va_list list;

	va_start(list, template);
	vsnprintf(reason, sizeof(reason), template, list);
	va_end(list);
	return problem_set(problem, -EINVAL, "%s=%s %s", quote(key, quoted_key),
			   quote(value, quoted_value), reason);
}

static int compare_ports(const void *a, const void *b)
{
	return ((const struct config_port *)a)->port - ((const struct config_port *)b)->port;
}

/* Adds one port, once. -E2BIG when there is no room. */
static int add_port(struct config *config, const struct config_port *port)
{
	for (unsigned i = 0; i < config->n_ports; i++) {
		if (config->ports[i].port != port->port)
			continue;
		config->ports[i].tcp |= port->tcp;
		config->ports[i].udp |= port->udp;
		return 0;
	}
	if (config->n_ports == CONFIG_PORTS_MAX)
		return -E2BIG;
	config->ports[config->n_ports++] = *port;
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

static int set_ports(struct config *config, const char *key, const char *value,
		     struct problem *problem)
{
	struct config parsed = {};

	for (const char *p = value; *p;) {
		size_t length = strcspn(p, BLANKS ",");
		struct config_port port;
		char word[10] = "";

		/* what is longer than any port stays empty and so is no number */
		if (length < sizeof(word))
			memcpy(word, p, length);
		if (length && parse_port(word, &port) < 0)
			return refuse(problem, key, value,
				      "is not a list of ports; allowed are numbers from 1 to 65535 "
				      "like 80, 443/tcp or 53/udp, with blanks between, or nothing "
				      "for all ports.");
		if (length && add_port(&parsed, &port) < 0)
			return refuse(problem, key, value,
				      "has too many ports; allowed are up to %u, or nothing for "
				      "all ports.",
				      CONFIG_PORTS_MAX);
		p += length;
		p += strspn(p, BLANKS ",");
	}

	qsort(parsed.ports, parsed.n_ports, sizeof(parsed.ports[0]), compare_ports);
	memcpy(config->ports, parsed.ports, sizeof(parsed.ports));
	config->n_ports = parsed.n_ports;
	return 0;
}

/* One assignment, as its setter hands it on. */
struct text {
	const char *key, *value;
	struct problem *problem;
};

static int set_span(uint64_t *span, uint64_t min, uint64_t max, const struct text *text)
{
	char shortest[SPAN_TEXT_MAX], longest[SPAN_TEXT_MAX];
	uint64_t usec = 0;
	int r;

	r = parse_span(text->value, &usec);
	if (r == 0 && (usec > max || usec < min))
		r = -ERANGE;
	if (r < 0)
		return refuse(text->problem, text->key, text->value,
			      "%s; allowed is %s to %s, written like 50ms, 1.5s or \"2min 30s\".",
			      r != -ERANGE ? "is not a time span"
			      : usec < min ? "is too short"
					   : "is too long",
			      min ? span_format(min, shortest, sizeof(shortest)) : "0",
			      span_format(max, longest, sizeof(longest)));
	*span = usec;
	return 0;
}

static int set_number(unsigned *number, unsigned min, unsigned max, const struct text *text)
{
	uint64_t parsed;
	int r = parse_unsigned(text->value, min, max, &parsed);

	if (r < 0)
		return refuse(text->problem, text->key, text->value,
			      "%s; allowed is a whole number from %u to %u.",
			      r == -ERANGE ? "is out of range" : "is not a number", min, max);
	*number = (unsigned)parsed;
	return 0;
}

static int set_switch(bool *on, const struct text *text)
{
	if (parse_bool(text->value, on) < 0)
		return refuse(text->problem, text->key, text->value,
			      "is not known; allowed is yes or no.");
	return 0;
}

/* Sets the index of the word in the table; `n` words. */
static int set_word(unsigned *index, const char *const *words, unsigned n, const struct text *text)
{
	char allowed[96] = "";
	size_t length = 0;

	for (unsigned i = 0; i < n; i++) {
		if (strcmp(words[i], text->value) == 0) {
			*index = i;
			return 0;
		}
		length += (size_t)snprintf(allowed + length, sizeof(allowed) - length, "%s%s",
					   i == 0	? ""
					   : i == n - 1 ? " or "
							: ", ",
					   words[i]);
	}
	return refuse(text->problem, text->key, text->value, "is not known; allowed is %s.",
		      allowed);
}

/* Setters that only name a field, its kind and its bounds. */
#define SETTER(name, call)                                                               \
	static int set_##name(struct config *config, const char *key, const char *value, \
			      struct problem *problem)                                   \
	{                                                                                \
		struct text text = {key, value, problem};                                \
                                                                                         \
		return call;                                                             \
	}
#define WORD_SETTER(name, field, type, words)                                            \
	static int set_##name(struct config *config, const char *key, const char *value, \
			      struct problem *problem)                                   \
	{                                                                                \
		struct text text = {key, value, problem};                                \
		unsigned index = 0;                                                      \
		int r = set_word(&index, words, ARRAY_SIZE(words), &text);               \
                                                                                         \
		if (!r)                                                                  \
			config->field = (type)index;                                     \
		return r;                                                                \
	}

SETTER(slots, set_number(&config->slots, CONFIG_SLOTS_MIN, HS_SLOTS_MAX, &text))
SETTER(settle, set_span(&config->settle_usec, 0, CONFIG_SETTLE_MAX, &text))
SETTER(drain, set_span(&config->drain_usec, 0, CONFIG_DRAIN_MAX, &text))
SETTER(restart_on_crash, set_switch(&config->restart_on_crash, &text))
SETTER(exclusive, set_switch(&config->exclusive, &text))
SETTER(park, set_switch(&config->park, &text))
SETTER(park_max, set_number(&config->park_max, 0, CONFIG_PARK_MAX, &text))
SETTER(park_timeout,
       set_span(&config->park_timeout_usec, USEC_PER_SEC, CONFIG_PARK_TIMEOUT_MAX, &text))
SETTER(flow_timeout, set_span(&config->flow_timeout_usec, CONFIG_FLOW_TIMEOUT_MIN,
			      CONFIG_FLOW_TIMEOUT_MAX, &text))
SETTER(flow_max, set_number(&config->flow_max, HS_FLOW_BUCKETS_MIN *HS_FLOW_WAYS,
			    HS_FLOW_BUCKETS_MAX *HS_FLOW_WAYS, &text))
SETTER(quic_slot_byte, set_number(&config->quic_slot_byte, 0, CONFIG_QUIC_SLOT_BYTE_MAX, &text))
SETTER(failover_hold, set_span(&config->failover_hold_usec, 0, CONFIG_HOLD_MAX, &text))
WORD_SETTER(intake, intake, enum config_intake, intake_words)
WORD_SETTER(flow, flow, enum hs_flow_mode, flow_words)
WORD_SETTER(failover, failover, enum config_failover, failover_words)
WORD_SETTER(on_hang, on_hang, enum config_on_hang, on_hang_words)

/* 0 turns it off. */
static int set_stall(struct config *config, const char *key, const char *value,
		     struct problem *problem)
{
	struct text text = {key, value, problem};
	uint64_t usec;

	if (!parse_span(value, &usec) && usec == 0) {
		config->stall_usec = 0;
		return 0;
	}
	return set_span(&config->stall_usec, CONFIG_STALL_MIN, CONFIG_STALL_MAX, &text);
}

static int set_then(struct config *config, const char *key, const char *value,
		    struct problem *problem)
{
	enum switchover_then then = switchover_then_from_string(value);

	if (then == THEN_COUNT)
		return refuse(problem, key, value,
			      "is not known; allowed is keep, stop or restart.");
	config->then = then;
	return 0;
}

typedef int config_setter(struct config *config, const char *key, const char *value,
			  struct problem *problem);

/* The keys in the order of the manual. The default is text: an empty assignment is read as that. */
static const struct key {
	struct config_key public;
	config_setter *set;
} keys[] = {
	{{"Slots", "2", "How many instances the service may have, 2 to 16."}, set_slots},
	{{"Ports", "",
	  "Ports to switch, like \"80 443/tcp 53/udp\". Empty: all that the instances listen on."},
	 set_ports},
	{{"Intake", "auto",
	  "Where SO_REUSEPORT comes from: auto, socket (unit), own (the server sets it) or "
	  "forced."},
	 set_intake},
	{{"Settle", "50ms", "Pause behind each flip, for handshakes that are under way."},
	 set_settle},
	{{"Drain", "30s", "How long the old instance may finish its connections."}, set_drain},
	{{"Then", "keep", "What happens to the old instance then: keep, stop or restart."},
	 set_then},
	{{"RestartOnCrash", "yes", "Start an instance that died again, as the new standby."},
	 set_restart_on_crash},
	{{"Exclusive", "no", "Two instances must never run at the same time: switch through park."},
	 set_exclusive},
	{{"Park", "yes",
	  "New connections wait while no instance is ready, instead of being refused."},
	 set_park},
	{{"ParkMax", "0",
	  "How many may wait on each address. 0: as many as the server's own backlog."},
	 set_park_max},
	{{"ParkTimeout", "60s", "How long each may wait before it is closed."}, set_park_timeout},
	{{"Flow", "connection",
	  "What UDP datagrams follow: connection (their 4-tuple), none (the active slot) or quic."},
	 set_flow},
	{{"FlowTimeout", "60s", "How long a UDP flow may be idle and still be remembered."},
	 set_flow_timeout},
	{{"FlowMax", "65536", "How many UDP flows are remembered; rounded up to a power of 2."},
	 set_flow_max},
	{{"QuicSlotByte", "0",
	  "Which byte of its connection ids the server sets to its slot's number."},
	 set_quic_slot_byte},
	{{"Failover", "auto",
	  "Leave a hanging instance by itself (auto) or only report it (manual)."},
	 set_failover},
	{{"Stall", "1s",
	  "Connections wait and none is accepted for this long: it hangs. 0: never."},
	 set_stall},
	{{"OnHang", "restart", "What happens to an instance that hangs: restart or keep."},
	 set_on_hang},
	{{"FailoverHold", "10s", "No second automatic fail-over within this time of the last."},
	 set_failover_hold},
};

const struct config_key *config_key(size_t index)
{
	return index < ARRAY_SIZE(keys) ? &keys[index].public : NULL;
}

void config_init(struct config *config)
{
	*config = (struct config) {};
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		(void)keys[i].set(config, keys[i].public.name, keys[i].public.value, NULL);
}

/* Names the keys that there are. */
static int refuse_key(const char *key, struct problem *problem)
{
	char quoted[QUOTED_MAX], known[320] = "";
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys) && n < sizeof(known); i++)
		n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s=", i ? ", " : "",
				      keys[i].public.name);
	return problem_set(problem, -EINVAL,
			   "%s= is not a setting of section [%s]; allowed are %s.",
			   quote(key, quoted), CONFIG_SECTION, known);
}

int config_check_section(const char *section, struct problem *problem)
{
	char quoted[QUOTED_MAX];

	if (!section || !*section)
		return problem_set(
			problem, -EINVAL,
			"A setting stands before the first section; write [%s] above it.",
			CONFIG_SECTION);
	if (strcmp(section, CONFIG_SECTION) != 0)
		return problem_set(problem, -EINVAL,
				   "[%s] is not a section of this file; the only one is [%s].",
				   quote(section, quoted), CONFIG_SECTION);
	return 0;
}

int config_set(struct config *config, const char *section, const char *key, const char *value,
	       struct problem *problem)
{
	int r;

	r = config_check_section(section, problem);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(key, keys[i].public.name) == 0)
			return keys[i].set(config, key, *value ? value : keys[i].public.value,
					   problem);
	return refuse_key(key, problem);
}
