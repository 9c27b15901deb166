// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/verb_table.h"

#include "hsctl/verb_functions.h"
#include "hsctl/verbs.h"
#include "util/macro.h"

/* Of verbs that the drop-in of a service calls. */
#define BY_UNIT(setting) \
	"The unit itself calls this (" setting "). It never fails a unit and takes at most 5 s.\n"

static const struct verb verbs[] = {
	{
		.name = "list",
		.arguments = "",
		.summary = "the services, one a line",
		.run = verb_list,
	},
	{
		.name = "status",
		.arguments = "[SERVICE]",
		.summary = "slots, roles, states, connections of one service or of all",
		.details = "      --watch          paint it anew every second, until Ctrl-C\n",
		.max = 1,
		.options = OPTION_WATCH,
		.run = verb_status,
	},
	{
		.name = "connections",
		.arguments = "SERVICE",
		.summary = "how many connections each slot has, how old, how idle, how many come",
		.details =
			"      --slot=N         of this slot only; or park\n"
			"      --idle=SPAN      from when on a connection is idle (default 1min)\n"
			"      --list           each connection, too: slot, peer, state, age, "
			"idle\n"
			"      --watch          paint it anew every second, until Ctrl-C\n",
		.min = 1,
		.max = 1,
		.options = OPTION_LIST | OPTION_WATCH | OPTION_CONNECTIONS,
		.run = verb_connections,
	},
	{
		.name = "trace",
		.arguments = "SERVICE",
		.summary = "which slot each connection or datagram is given to, and why, as it "
			   "falls",
		.details =
			"      --from=PREFIX    of clients with such an address only: 10.1.0.0/16\n"
			"  -n, --lines=N        ends after N of them (default 0: at Ctrl-C)\n"
			"      --timeout=SPAN   ends after this time\n"
			"At most some 1000 a second and CPU are shown; how many were not is said "
			"at the end.\nNeeds no hsd. Where they go does not depend on it.\n",
		.min = 1,
		.max = 1,
		.options = OPTION_FROM | OPTION_LINES,
		.local = true,
		.run = verb_trace,
	},
	{
		.name = "events",
		.arguments = "[SERVICE]",
		.summary = "what happened, from the journal",
		.details = "  -f, --follow         go on as it happens\n"
			   "  -n, --lines=N        the last N, 0 for all (default 50, with -f 10)\n"
			   "      --since=WHEN     a span or a time; all since then, or the last N "
			   "of these\n",
		.max = 1,
		.options = OPTION_FOLLOW | OPTION_LINES | OPTION_SINCE,
		.local = true,
		.run = verb_events,
	},
	{
		.name = "history",
		.arguments = "[SERVICE]",
		.summary = "what was done, by whom, how long it took and how it ended",
		.details = "  -n, --lines=N        the last N, 0 for all (default 50)\n"
			   "      --since=WHEN     a span or a time; all since then, or the last N "
			   "of these\n",
		.max = 1,
		.options = OPTION_LINES | OPTION_SINCE,
		.local = true,
		.run = verb_history,
	},
	{
		.name = "metrics",
		.arguments = "",
		.summary = "what is counted, for Prometheus",
		.details =
			"      --openmetrics    as OpenMetrics 1.0 has it; by default in the text "
			"format that\n"
			"                       promtool checks and node_exporter reads from "
			"files\n"
			"hotstandby-exporter(8) gives the same to who asks by HTTP.\n",
		.options = OPTION_OPENMETRICS,
		.run = verb_metrics,
	},
	{
		.name = "switchover",
		.arguments = "SERVICE",
		.summary = "new connections to the standby, the old instance finishes",
		.details = "      --to=SLOT        to this slot (default: the one that stands by)\n"
			   "      --settle=SPAN    wait for handshakes under way\n"
			   "      --drain=SPAN     wait at most this long for the old connections\n"
			   "      --then=WHAT      keep, stop or restart the old instance\n"
			   "What is not given is taken from the settings of the service.\n",
		.min = 1,
		.max = 1,
		.options = OPTION_TO | OPTION_SETTLE | OPTION_DRAIN | OPTION_THEN,
		.run = verb_switchover,
	},
	{
		.name = "rollback",
		.arguments = "SERVICE",
		.summary = "undo the last switchover while the old instance lives",
		.min = 1,
		.max = 1,
		.run = verb_rollback,
	},
	{
		.name = "failover",
		.arguments = "SERVICE",
		.summary = "leave the active slot at once and take along what waits there",
		.details =
			"      --to=SLOT        to this slot (default: the one that stands by)\n",
		.min = 1,
		.max = 1,
		.options = OPTION_TO,
		.run = verb_failover,
	},
	{
		.name = "upgrade",
		.arguments = "SERVICE | --outdated [SERVICE...]",
		.summary = "bring what is installed now into service, with a way back",
		.details =
			"      --outdated       of these services, or of all, each that runs "
			"files which\n"
			"                       were replaced on the disk since\n"
			"      --smoke=COMMAND  the new instance is tested by it first: its "
			"connections go\n"
			"                       there; its exit status must be 0\n"
			"      --smoke-timeout=SPAN  how long that may take (default 10min)\n"
			"      --smoke-may-be-silent  also a test that connects to nothing passes\n"
			"      --canary=LIST    shares of new connections to begin with: "
			"1%,10%,50%\n"
			"      --hold=SPAN      how long each of them (default 30s)\n"
			"      --probation=SPAN how long the new one is watched then (default "
			"60s)\n"
			"      --ready=SPAN     how long it may take to be ready (default 90s)\n"
			"The standby is restarted, takes over, and the old slot is restarted as "
			"the new\n"
			"standby. Whatever fails on the way, or Ctrl-C, brings traffic back: "
			"exit code 4.\n"
			"With Exclusive=yes the old slot stops first, and clients wait until the "
			"new\n"
			"one is ready, healthy and tested; no --canary, and --ready is by "
			"default half\n"
			"of ParkTimeout=.\n",
		.min = 1,
		.max = ARGUMENTS_MAX,
		.options = OPTION_UPGRADE | OPTION_OUTDATED,
		.run = verb_upgrade,
	},
	{
		.name = "drain",
		.arguments = "SERVICE SLOT",
		.summary = "take a slot out of service and wait for its connections to end",
		.details = "      --deadline=SPAN  wait at most this long (default 5min); then "
			   "DrainEnd= of\n"
			   "                       the settings says: stop, reset or keep\n",
		.min = 2,
		.max = 2,
		.options = OPTION_DEADLINE,
		.run = verb_drain,
	},
	{
		.name = "drill",
		.arguments = "SERVICE",
		.summary = "harm the service on purpose, and measure what its clients see",
		.details =
			"      --scenario=LIST  one or several of: switchover, stop, crash, hang,\n"
			"                       slow-start, bad-build, manager-crash, both-down\n"
			"      --all            all of them\n"
			"      --repeat=N       N times, and how the figures spread\n"
			"      --rate=N         connections per second of the prober (default "
			"100)\n"
			"      --probe=WHAT     tcp, tcp:PORT, http:/PATH or http:PORT/PATH\n"
			"      --max-gap=SPAN   the longest time without an answer (default 5s)\n"
			"      --max-lost=N     connections that may be lost (default 0; any "
			"number\n"
			"                       where an instance dies with what it has in hand)\n"
			"      --report=FILE    the timeline, as .json, .svg or .html\n"
			"      --timeout=SPAN   of each connection of the prober (default 10s)\n"
			"      --yes            do not ask\n"
			"      --put-back       only put back what a drill has left that died\n"
			"Needs a standby that is ready. Everything is put back, also after "
			"Ctrl-C or kill -9.\n"
			"Exits 0 if all passed, 1 if one did not, 3 without a standby, 4 after "
			"Ctrl-C.\n",
		.min = 1,
		.max = 1,
		.options = OPTION_DRILL,
		.local = true,
		.stays = "it harms and puts back by the right of root there, and measures from "
			 "there",
		.root = "it kills and stops processes of the service, and puts back what it has "
			"done",
		.run = verb_drill,
	},
	{
		.name = "policy",
		.arguments = "SERVICE standby|parity|hash",
		.summary = "how new connections are spread over the slots",
		.details =
			"  standby   all to the active slot (or the canary, for its share)\n"
			"  parity    even client ports to slot 0, odd ones to slot 1\n"
			"  hash      over all slots that are ready, by a table: hsctl table\n"
			"      --by=client      with hash: all that comes from one address goes to "
			"one slot\n"
			"      --by=connection  all that comes from one address and port; default: "
			"By= of\n"
			"                       the settings\n",
		.min = 2,
		.max = 2,
		.options = OPTION_BY,
		.run = verb_policy,
	},
	{
		.name = "scale",
		.arguments = "SERVICE N",
		.summary = "have N slots at work under policy hash",
		.details =
			"Upwards: starts the instances that are missing, and when they are ready "
			"they get\ntheir part of the clients. Downwards: the clients of the last "
			"slots go to the others\nfirst, then their connections are waited for, "
			"then they are stopped. Sets Slots= in a\ndrop-in; units are enabled or "
			"disabled as that of slot 0 is.\n"
			"      --deadline=SPAN  wait at most this long for connections (default "
			"5min)\n",
		.min = 2,
		.max = 2,
		.options = OPTION_DEADLINE,
		.local = true,
		.stays = "it writes settings there",
		.root = "it writes settings, starts and stops units",
		.run = verb_scale,
	},
	{
		.name = "weight",
		.arguments = "SERVICE SLOT PERCENT%",
		.summary = "how much a slot gets under policy hash, measured by the others",
		.details = "100% is what each slot has unless said otherwise; 0% is nothing, as "
			   "long as others are\nready. Only those move who have to.\n",
		.min = 3,
		.max = 3,
		.run = verb_weight,
	},
	{
		.name = "pin",
		.arguments = "SERVICE [PREFIX] [SLOT|none]",
		.summary = "clients with these addresses go to this slot; or who is pinned",
		.details = "While the slot is not in service they go by the table. Prefixes may "
			   "not overlap.\n",
		.min = 1,
		.max = 3,
		.run = verb_pin,
	},
	{
		.name = "where",
		.arguments = "SERVICE CLIENT",
		.summary = "which slot a client goes to, and why",
		.details = "CLIENT is an address, with a port behind it where that counts: "
			   "192.0.2.7,\n192.0.2.7:4711, 2001:db8::7, [2001:db8::7]:4711.\n",
		.min = 2,
		.max = 2,
		.run = verb_where,
	},
	{
		.name = "rebalance",
		.arguments = "SERVICE",
		.summary = "give heavy clients of full slots to others, by what really came",
		.details = "Of policy hash by client. What came is counted from the last time on. "
			   "As few clients\nmove as that takes.\n"
			   "      --dry-run        show the effect, do nothing\n",
		.min = 1,
		.max = 1,
		.options = OPTION_DRY_RUN,
		.run = verb_rebalance,
	},
	{
		.name = "table",
		.arguments = "SERVICE",
		.summary = "by what clients are spread under policy hash: shares, weights, pins",
		.details = "      --hash           only the fingerprint, which machines share that "
			   "have the same table\n",
		.min = 1,
		.max = 1,
		.options = OPTION_HASH,
		.run = verb_table,
	},
	{
		.name = "canary",
		.arguments = "SERVICE SHARE%|off",
		.summary = "a share of the new connections to a standby slot",
		.details =
			"      --to=SLOT        to this slot (default: the one that stands by)\n"
			"      --from=PREFIX[,...]  of clients with these addresses only, such as "
			"10.1.0.0/16\n"
			"      --by=client      the share is of clients, by their address; by "
			"default "
			"(--by=connection)\n"
			"                       of connections\n",
		.min = 2,
		.max = 2,
		.options = OPTION_TO | OPTION_BY | OPTION_FROM,
		.run = verb_canary,
	},
	{
		.name = "exec",
		.arguments = "SERVICE SLOT -- COMMAND...",
		.summary = "run a command whose connections to the service land on this slot",
		.details =
			"Connections and datagrams that COMMAND and its children open to the "
			"service's addresses\nland on the slot, whichever is active; nobody "
			"else's do. Exits with COMMAND's status, 128+N\nafter signal N, 126 or "
			"127 when it cannot be run; otherwise as below. For root, the group\n"
			"hotstandby, and whom polkit lets.\n\n"
			"      --must-connect  a COMMAND that made no connection to the slot has "
			"failed: status 1\n",
		.min = 2,
		.max = 2,
		.options = OPTION_EXEC,
		.command = true,
		.local = true,
		.stays = "its command is told by its control group, which another machine has no "
			 "part in",
		.run = verb_exec,
	},
	{
		.name = "doctor",
		.arguments = "[SERVICE]",
		.summary = "what is wrong, on this machine or with one service",
		.details = "Tries out what the kernel can do, and looks at all services; or at one "
			   "service closely.\nExit code 0: all is in order, 1: something was "
			   "found.\n\n"
			   "      --peer=[USER@]HOST  of a front: whether the one there has the "
			   "same\n"
			   "      --fastpath          only what the kernel makes of [FastPath], by "
			   "trying\n",
		.max = 1,
		.options = OPTION_PEER | OPTION_FASTPATH,
		.local = true,
		.run = verb_doctor,
	},
	{
		.name = "report",
		.arguments = "[SERVICE]",
		.summary = "all that a look at a fault needs, in one file, without secrets",
		.details =
			"      --since=WHEN     of journals: a span or a time (default 24h; of "
			"history and\n"
			"                       events the last 1000)\n"
			"      --output=FILE    .tar.zst, .tar.gz or .tar; or a folder\n"
			"      --with-addresses    do not leave out the addresses of clients\n"
			"      --with-environment  do not leave out Environment= of units\n"
			"Left out are besides: credentials, and what is called a password, secret, "
			"token\nor key. What cannot be had is told in the report, and does not end "
			"it.\n",
		.max = 1,
		.options = OPTION_REPORT | OPTION_SINCE,
		.local = true,
		.stays = "it is written where it is made",
		.run = verb_report,
	},
	{
		.name = "config",
		.arguments = "SERVICE | check [FILE...] | --schema",
		.summary = "the settings that hold, and which line of which file each is from",
		.details =
			"      --cat            the files instead, in the order in which they "
			"count\n"
			"      --schema         all settings that there are, as JSON: type, unit, "
			"default,\n"
			"                       bounds, help\n"
			"config check says what is wrong in these files, or in those of all "
			"services, with\nline, reason and remedy. Exit code 3: something is "
			"wrong.\n",
		.max = ARGUMENTS_MAX,
		.options = OPTION_CONFIG,
		.local = true,
		.run = verb_config,
	},
	{
		.name = "edit",
		.arguments = "SERVICE",
		.summary = "edit a drop-in for its settings, which is checked before it counts",
		.details = "The editor is $SYSTEMD_EDITOR, $EDITOR, $VISUAL, or one that is there. "
			   "What is\nwrong is edited again, or kept aside: exit code 3. What is "
			   "right, hsd reads at once.\nAn empty drop-in is removed.\n",
		.min = 1,
		.max = 1,
		.local = true,
		.stays = "an editor needs the files and a terminal",
		.root = "it writes settings, by which units and plugins are run",
		.run = verb_edit,
	},
	{
		.name = "park",
		.arguments = "SERVICE",
		.summary = "hold new connections until release",
		.min = 1,
		.max = 1,
		.run = verb_park,
	},
	{
		.name = "release",
		.arguments = "SERVICE",
		.summary = "let the connections go that park holds",
		.min = 1,
		.max = 1,
		.run = verb_release,
	},
	{
		.name = "enable",
		.arguments = "TEMPLATE",
		.summary = "put a template unit (app@.service) under hotstandby",
		.details =
			"      --from=UNIT      the plain unit that serves now (app.service): the "
			"slots take\n"
			"                       over without a loss, then it is stopped\n"
			"      --drain=SPAN     wait at most this long for its connections\n"
			"      --alias          app.service stands for all slots: start, stop, "
			"reload, and\n"
			"                       restart as an upgrade; --alias=UNIT is another "
			"name. With\n"
			"                       --from it is that unit's\n"
			"      --no-alias       with --from: that unit is only disabled\n"
			"      --path=PATH      of an AF_UNIX socket that the server listens at; "
			"several with\n"
			"                       ',' between (default: those that it finds)\n",
		.min = 1,
		.max = 1,
		.options = OPTION_FROM | OPTION_DRAIN | OPTION_ALIAS | OPTION_PATH,
		.local = true,
		.stays = "it reads and writes the files of units",
		.root = "it writes units and settings, and starts and stops units",
		.run = verb_enable,
	},
	{
		.name = "alias",
		.arguments = "SERVICE start|stop|reload",
		.summary = "what the unit does that enable --alias has written",
		.min = 2,
		.max = 2,
		.local = true,
		.stays = "the unit itself calls it",
		.run = verb_alias,
	},
	{
		.name = "disable",
		.arguments = "TEMPLATE",
		.summary = "undo enable, and give new connections back to the kernel's choice",
		.min = 1,
		.max = 1,
		.local = true,
		.stays = "it writes the files of units",
		.root = "it removes drop-ins of units, and settings",
		.run = verb_disable,
	},
	{
		.name = "prepare",
		.arguments = "UNIT",
		.summary = "make ready what an instance needs before its server starts",
		.details = BY_UNIT("ExecStartPre="),
		.min = 1,
		.max = 1,
		.local = true,
		.stays = "the unit itself calls it",
		.run = verb_prepare,
	},
	{
		.name = "adopt",
		.arguments = "UNIT",
		.summary = "take over the sockets of an instance that has started",
		.details = BY_UNIT("ExecStartPost="),
		.min = 1,
		.max = 1,
		.local = true,
		.stays = "the unit itself calls it",
		.run = verb_adopt,
	},
	{
		.name = "retire",
		.arguments = "UNIT",
		.summary = "take an instance that is about to stop out of service",
		.details = BY_UNIT("ExecStop="),
		.min = 1,
		.max = 1,
		.local = true,
		.stays = "the unit itself calls it",
		.run = verb_retire,
	},
	{
		.name = "agent",
		.arguments = "SERVICE",
		.summary = "what this host says of itself to balancers: up, drain or down",
		.details =
			"Without an option the line of HAProxy's agent-check.\n"
			"      --http           an answer by HTTP: 200, or 503 with the reason\n"
			"      --exit           and the exit code of keepalived's scripts: 0 up, 1 "
			"down,\n"
			"                       2 + weight (misc_dynamic)\n"
			"      --serve          to all who connect to the socket that systemd "
			"hands over\n"
			"Goes by what is pinned: works without hsd.\n",
		.min = 1,
		.max = 1,
		.options = OPTION_AGENT,
		.local = true,
		.stays = "it is about the machine that it runs on",
		.run = verb_agent,
	},
	{
		.name = "join",
		.arguments = "[SERVICE...]",
		.summary = "this host takes new clients again; see leave",
		.max = ARGUMENTS_MAX,
		.local = true,
		.stays = "it is about the machine that it runs on",
		.root = "it changes what balancers are told",
		.run = verb_join,
	},
	{
		.name = "leave",
		.arguments = "[SERVICE...]",
		.summary = "tell balancers that this host leaves, and wait for its connections",
		.details =
			"      --settle=SPAN    at least so long, for balancers to notice (default "
			"5s)\n"
			"      --deadline=SPAN  at most so long (default 30s)\n"
			"Of these services, or of all; hsctl join takes it back. Traffic that "
			"comes "
			"is served.\n"
			"With the unit of a slot (app@0.service) it is a command of that unit's "
			"own, "
			"which\nleads clients of AF_UNIX sockets away from an instance that has "
			"ended:\n"
			"      --path=PATH      of a service that was disabled and whose "
			"instances still serve\n"
			"The unit itself calls this (ExecStopPost=), if it has such sockets. It "
			"never\nfails a unit and takes at most 5 s.\n",
		.max = ARGUMENTS_MAX,
		.options = OPTION_PATH | OPTION_DEADLINE | OPTION_SETTLE,
		.local = true,
		.stays = "it is about the machine that it runs on",
		.run = verb_leave,
	},
	{
		.name = "version",
		.arguments = "",
		.summary = "which version of hotstandby this is",
		.local = true,
		.run = verb_version,
	},
	{
		.name = "__complete",
		.arguments = "-- WORD...",
		.summary = "what may come next, for shells",
		.command = true,
		.hidden = true,
		.local = true,
		.stays = "shells call it",
		.run = verb_complete,
	},
	{
		.name = "__front-trial",
		.arguments = "SERVICE",
		.summary = "try what becomes of the packets of a front, for hsd",
		.min = 1,
		.max = 1,
		.hidden = true,
		.local = true,
		.stays = "a unit there calls it",
		.run = verb_front_trial,
	},
};

void verb_table_use(void)
{
	verbs_use(verbs, ARRAY_SIZE(verbs));
}
