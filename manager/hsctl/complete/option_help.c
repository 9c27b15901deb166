// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/complete/option_help.h"

#include <stddef.h>
#include <string.h>

#include "util/macro.h"

#define SPANS "0|10s|30s|5min"

static const struct option_help rows[] = {
	{"all", "all scenarios", OFFER_NONE, NULL},
	{"alias", "the plain name stands for all slots", OFFER_NONE, NULL},
	{"by", "what stays together, or whom a share is of", OFFER_WORDS, "connection|client"},
	{"canary", "shares to begin with", OFFER_WORDS, "1%,10%,50%"},
	{"cat", "the files, in the order in which they count", OFFER_NONE, NULL},
	{"deadline", "wait at most this long", OFFER_WORDS, SPANS},
	{"direct", "without hsd, through what is pinned in the kernel", OFFER_NONE, NULL},
	{"drain", "wait at most this long for the old connections", OFFER_WORDS, SPANS},
	{"dry-run", "show the effect, do nothing", OFFER_NONE, NULL},
	{"exit", "the exit code of keepalived's scripts", OFFER_NONE, NULL},
	{"fastpath", "what the kernel makes of the fast path, by trying", OFFER_NONE, NULL},
	{"follow", "go on as it happens", OFFER_NONE, NULL},
	{"from", "of whom, or from which unit", OFFER_UNITS, NULL},
	{"hash", "only the fingerprint", OFFER_NONE, NULL},
	{"help", "what it is and what it takes", OFFER_NONE, NULL},
	{"hold", "how long each share", OFFER_WORDS, SPANS},
	{"host", "on another machine, over ssh", OFFER_HOSTS, NULL},
	{"http", "as an answer by HTTP", OFFER_NONE, NULL},
	{"idle", "from when on a connection is idle", OFFER_WORDS, SPANS},
	{"json", "for programs", OFFER_NONE, NULL},
	{"lines", "so many, 0 for all", OFFER_WORDS, "0|10|100|1000"},
	{"list", "each one, too", OFFER_NONE, NULL},
	{"list-verbs", "the names of all verbs", OFFER_NONE, NULL},
	{"machine", "in a container of this machine", OFFER_MACHINES, NULL},
	{"max-gap", "the longest time without an answer", OFFER_WORDS, "50ms|100ms|1s|5s"},
	{"max-lost", "connections that may be lost", OFFER_WORDS, "0|1|10"},
	{"must-connect", "a command that connected to nothing has failed", OFFER_NONE, NULL},
	{"no-alias", "the plain unit is only disabled", OFFER_NONE, NULL},
	{"no-ask-password", "refuse what takes a password", OFFER_NONE, NULL},
	{"no-block", "do not wait for the end of a change", OFFER_NONE, NULL},
	{"no-color", "without colour", OFFER_NONE, NULL},
	{"openmetrics", "as OpenMetrics 1.0 has it", OFFER_NONE, NULL},
	{"outdated", "what runs files that were replaced since", OFFER_NONE, NULL},
	{"output", "where to write it", OFFER_FILES, NULL},
	{"path", "of an AF_UNIX socket", OFFER_FILES, NULL},
	{"peer", "another front, asked over ssh", OFFER_HOSTS, NULL},
	{"probation", "how long the new one is watched", OFFER_WORDS, SPANS},
	{"probe", "what the prober asks", OFFER_WORDS, "tcp|http:/"},
	{"put-back", "only put back what a drill has left", OFFER_NONE, NULL},
	{"rate", "connections per second", OFFER_WORDS, "10|100|1000"},
	{"ready", "how long it may take to be ready", OFFER_WORDS, SPANS},
	{"repeat", "so many times", OFFER_WORDS, "3|10|100"},
	{"report", "the timeline, as .json, .svg or .html", OFFER_FILES, NULL},
	{"scenario", "what is done to the service", OFFER_SCENARIOS, NULL},
	{"schema", "all settings that there are, as JSON", OFFER_NONE, NULL},
	{"serve", "to all who connect to the socket of systemd's", OFFER_NONE, NULL},
	{"settle", "wait for handshakes under way", OFFER_WORDS, "50ms|100ms|1s|5s"},
	{"since", "from when on", OFFER_WORDS, "1h|24h|7d"},
	{"slot", "of this slot only", OFFER_SLOTS, "park"},
	{"smoke", "a command that tests the new one first", OFFER_COMMAND, NULL},
	{"smoke-may-be-silent", "also a test that connects to nothing passes", OFFER_NONE, NULL},
	{"smoke-timeout", "how long the test may take", OFFER_WORDS, SPANS},
	{"then", "what becomes of the old instance", OFFER_WORDS, "keep|stop|restart"},
	{"timeout", "wait no longer than this", OFFER_WORDS, SPANS},
	{"to", "to this slot", OFFER_SLOTS, NULL},
	{"version", "which version this is", OFFER_NONE, NULL},
	{"watch", "paint it anew every second", OFFER_NONE, NULL},
	{"with-addresses", "do not leave out the addresses of clients", OFFER_NONE, NULL},
	{"with-environment", "do not leave out Environment= of units", OFFER_NONE, NULL},
	{"yes", "do not ask", OFFER_NONE, NULL},
};

const struct option_help *option_help(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

unsigned option_help_count(void)
{
	return ARRAY_SIZE(rows);
}
