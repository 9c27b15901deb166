/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The journal is the log and the history: each entry names service, slot and kind, and each kind
 * has a MESSAGE_ID with a catalog entry. Nothing waits for an answer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/name.h"
#include "core/right.h"

/* What can happen. The name is in HS_EVENT=. */
enum journal_kind {
	JOURNAL_ENABLE,
	JOURNAL_DISABLE,
	JOURNAL_PREPARE,
	JOURNAL_ADOPT,
	JOURNAL_RETIRE,
	JOURNAL_SWITCHOVER,
	JOURNAL_FAILOVER,
	JOURNAL_ROLLBACK,
	JOURNAL_UPGRADE,
	JOURNAL_DRAIN,
	JOURNAL_POLICY,
	JOURNAL_CANARY,
	JOURNAL_EXEC,
	JOURNAL_PARK,
	JOURNAL_RELEASE,
	JOURNAL_CRASH,
	JOURNAL_RESTART,
	JOURNAL_HANG,
	JOURNAL_FULL,
	JOURNAL_RECOVERED,
	JOURNAL_HEALTH,
	JOURNAL_ROLE,
	JOURNAL_MIGRATED,
	JOURNAL_FELL_THROUGH,
	JOURNAL_UNROUTED,
	JOURNAL_FOREIGN,
	JOURNAL_REPLACED,
	JOURNAL_OUTDATED,
	JOURNAL_PROBLEM,
	JOURNAL_MANAGER,
	JOURNAL_KIND_COUNT
};

const char *journal_kind_to_string(enum journal_kind kind);
/* 32 hex digits, for matches and the catalog. */
const char *journal_message_id(enum journal_kind kind);

#define JOURNAL_UID_NONE UINT32_MAX

/* Who asked for something. */
struct journal_actor {
	uint32_t uid; /* as whom it runs; of root who has logged in; JOURNAL_UID_NONE = nobody */
	char right[RIGHT_NAME_MAX]; /* by which they may; see core/right.h. "" = not known */
	char unit[UNIT_NAME_MAX];   /* that the process is in: "session-2.scope"; likewise */
};
/* What is done without having been asked for. */
#define JOURNAL_NOBODY ((struct journal_actor) {.uid = JOURNAL_UID_NONE})

/* Something that somebody did, in fields of its own: hsctl history is made of these. */
struct journal_deed {
	const char *verb;    /* "switchover", ... */
	const char *outcome; /* "done", "undone" or "failed" */
	int from, to;	     /* slots; -1 = none */
	struct journal_actor by;
	uint64_t duration_usec;
};

/* Where and how grave. slot < 0: none; service NULL: the daemon itself. */
struct journal_scope {
	const char *service;
	int slot;
	int priority; /* LOG_INFO, ... of syslog.h */
};

/* The user behind this process: who logged in, also behind sudo; else the one that it runs as. */
uint32_t journal_own_uid(void);
/* The same with all that is known of it, of a process that does itself what only root can. */
void journal_own_actor(struct journal_actor *ret_actor);

void journal_log(enum journal_kind kind, const struct journal_scope *scope, const char *template,
		 ...) __attribute__((format(printf, 3, 4)));

/* From now on that stands behind each message that is not of a problem; it stays the caller's. */
void journal_sign(const char *text);
/* Whether the last entry of this process says that, its signature apart. */
bool journal_said_last(const char *message);

/* The same for something that somebody did. */
void journal_log_deed(enum journal_kind kind, const struct journal_scope *scope,
		      const struct journal_deed *deed, const char *template, ...)
	__attribute__((format(printf, 4, 5)));

/* One entry, read back. Strings are valid during the call only. */
struct journal_entry {
	uint64_t time_usec;		       /* CLOCK_REALTIME */
	const char *service, *event, *message; /* may be "" */
	int slot;			       /* -1 = none */
	int priority;
	uint32_t pid;
	struct journal_deed deed; /* verb "" = none */
};

struct journal_query {
	const char *service; /* NULL = all */
	unsigned lines;	     /* the last ones; 0 = all */
	uint64_t since_sec;  /* CLOCK_REALTIME: none that is older */
	bool follow;
	bool deeds; /* only these */
};

/*
 * Calls `each` for our entries that the query asks for, oldest first. With `follow` it then waits
 * for more until `each` returns non-zero, which is returned, or a signal arrives (-EINTR).
 * -ENOMEDIUM: there is no journal on this machine.
 */
int journal_read(const struct journal_query *query,
		 int (*each)(const struct journal_entry *entry, void *userdata), void *userdata);
