// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/journal.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <systemd/sd-journal.h>
#include <systemd/sd-login.h>

#include "util/files.h"
#include "util/keptfd.h"
#include "util/macro.h"
#include "util/parse.h"
#include "util/text.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define MESSAGE_MAX    1024

/* How long one entry may hold us up while journald is slow. */
#define SEND_PATIENCE (100 * USEC_PER_MSEC)

/* The numbers are for ever: others match them. Each has an entry in units/hotstandby.catalog. */
static const struct {
	const char *name, *id;
} kinds[] = {
	[JOURNAL_ENABLE] = {"enable", "cf786d756a224f2c951d9a0530716351"},
	[JOURNAL_DISABLE] = {"disable", "a0cf62b15c974d80873f118fd8feeb54"},
	[JOURNAL_PREPARE] = {"prepare", "e8d9cc70920b4676bac3efba10784370"},
	[JOURNAL_ADOPT] = {"adopt", "20f1601bffe141e097179b7f7c0de332"},
	[JOURNAL_RETIRE] = {"retire", "7ce4e7cde37d47deb73cfbb672d3d9da"},
	[JOURNAL_SWITCHOVER] = {"switchover", "87a2ba6f8ceb474380c68e609a0e5d4c"},
	[JOURNAL_FAILOVER] = {"failover", "296b122b29e44d33bf6147665bba34df"},
	[JOURNAL_ROLLBACK] = {"rollback", "dcfed13ea20a43de8cd40657532725ee"},
	[JOURNAL_UPGRADE] = {"upgrade", "2650aa5baa9849d485467fd9e01aad5d"},
	[JOURNAL_DRAIN] = {"drain", "c7c0c02d7b404e80b9dfdbe3fe4fd149"},
	[JOURNAL_POLICY] = {"policy", "9a850366469f4d7c8f775f0233dd378e"},
	[JOURNAL_CANARY] = {"canary", "23afe1e81b2b4895a86d917c2f1a3ab5"},
	[JOURNAL_EXEC] = {"exec", "b0c6f5d1a4514c6f9a3f0de4d27c9b61"},
	[JOURNAL_PARK] = {"park", "b208fda4fee24563a7a6f29cc05d75a6"},
	[JOURNAL_RELEASE] = {"release", "439975679f074cc7bcf2349581b6b8f2"},
	[JOURNAL_CRASH] = {"crash", "bea6be4fe89046a3b333695ccc4aa243"},
	[JOURNAL_RESTART] = {"restart", "7e9a6e8c9980499e98dd474e94666c1b"},
	[JOURNAL_HANG] = {"hang", "c27490fd6ae841939a1ac6e91f868f12"},
	[JOURNAL_FULL] = {"full", "082b04cd2e9347abba961a5e7ab4a869"},
	[JOURNAL_RECOVERED] = {"recovered", "005cbaaeed7e4dc593d79b67176cc705"},
	[JOURNAL_HEALTH] = {"health", "254ed3c4f4c843dea98887a4e288d63b"},
	[JOURNAL_ROLE] = {"role", "3a975a8df605459e857a58f890896954"},
	[JOURNAL_MIGRATED] = {"migrated", "044614acef644f75bf6427391d4058ad"},
	[JOURNAL_FELL_THROUGH] = {"fell-through", "76d6ecaa89df4572b06132efa36afd91"},
	[JOURNAL_UNROUTED] = {"unrouted", "2115348b86dc462a95b6a55050c202a2"},
	[JOURNAL_FOREIGN] = {"foreign", "4afbc30aa4a74e90b9a77c4931de8858"},
	[JOURNAL_REPLACED] = {"replaced", "d3f3e128c9154f3fad1f59a7f4cb6fb0"},
	[JOURNAL_OUTDATED] = {"outdated", "8f70002ca65940bd984d937625c6c225"},
	[JOURNAL_PROBLEM] = {"problem", "9c70b38f2dc5480fa2b9ce0bcd12ae58"},
	[JOURNAL_MANAGER] = {"manager", "98d41752860c4db695c64151970f4b4b"},
};
_Static_assert(ARRAY_SIZE(kinds) == JOURNAL_KIND_COUNT, "a name and a number for each kind");

const char *journal_kind_to_string(enum journal_kind kind)
{
	return kind < JOURNAL_KIND_COUNT ? kinds[kind].name : "unknown";
}

const char *journal_message_id(enum journal_kind kind)
{
	return kind < JOURNAL_KIND_COUNT ? kinds[kind].id : "";
}

/* ---- writing ---- */

static int socket_fd(void)
{
	static struct kept_fd kept;
	static const struct timeval patience = {.tv_usec = SEND_PATIENCE};
	int fd = kept_fd_get(&kept);

	if (fd >= 0)
		return fd;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return kept_fd_set(&kept, fd);
}

/* One datagram of journald's native protocol. Not by sd_journal_send(), which waits without end for
 * a journald that hangs; this waits for it once, and no more until it takes entries again. */
static void send_entry(const char *fields, const char *message)
{
	static bool hangs;
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
	uint64_t length = htole64(strlen(message));
	struct iovec parts[] = {
		{(char *)fields, strlen(fields)},   {"MESSAGE\n", 8}, {&length, sizeof(length)},
		{(char *)message, strlen(message)}, {"\n", 1},
	};
	struct msghdr header = {
		.msg_name = &address,
		.msg_namelen = sizeof(address),
		.msg_iov = parts,
		.msg_iovlen = ARRAY_SIZE(parts),
	};
	int saved = errno;

	if (sendmsg(socket_fd(), &header, MSG_NOSIGNAL | (hangs ? MSG_DONTWAIT : 0)) >= 0)
		hangs = false;
	else if (errno == EAGAIN)
		hangs = true;
	errno = saved;
}

static char *actor_fields(const struct journal_actor *by)
{
	char uid[32] = "";

	if (by->uid != JOURNAL_UID_NONE)
		snprintf(uid, sizeof(uid), "HS_UID=%u\n", by->uid);
	return format("%s%s%s%s%s%s%s", uid, by->right[0] ? "HS_RIGHT=" : "", by->right,
		      by->right[0] ? "\n" : "", by->unit[0] ? "HS_UNIT=" : "", by->unit,
		      by->unit[0] ? "\n" : "");
}

static char *deed_fields(const struct journal_deed *deed)
{
	_cleanup_(freep) char *by = deed ? actor_fields(&deed->by) : NULL;

	if (!deed)
		return strdup("");
	return format(
		"HS_VERB=%s\nHS_OUTCOME=%s\nHS_FROM=%d\nHS_TO=%d\nHS_DURATION_US=%" PRIu64 "\n%s",
		deed->verb, deed->outcome, deed->from, deed->to, deed->duration_usec, by ?: "");
}

uint32_t journal_own_uid(void)
{
	_cleanup_(freep) char *text = NULL;
	uint64_t uid;

	if (!file_read("/proc/self/loginuid", 32, &text) &&
	    !parse_unsigned(text, 0, UINT32_MAX - 1, &uid))
		return uid;
	return getuid();
}

void journal_own_actor(struct journal_actor *ret_actor)
{
	_cleanup_(freep) char *unit = NULL;

	*ret_actor = (struct journal_actor) {.uid = journal_own_uid(), .right = RIGHT_OF_ROOT};
	if (sd_pid_get_unit(0, &unit) >= 0)
		snprintf(ret_actor->unit, sizeof(ret_actor->unit), "%s", unit);
}

static const char *signature = "";
static char last_message[MESSAGE_MAX];

void journal_sign(const char *text)
{
	signature = text;
}

bool journal_said_last(const char *message)
{
	return !strncmp(last_message, message, sizeof(last_message) - 1);
}

static void write_entry(enum journal_kind kind, const struct journal_scope *scope,
			const struct journal_deed *deed, const char *message)
{
	_cleanup_(freep) char *fields = NULL, *done = deed_fields(deed);
	_cleanup_(freep) char *signed_message = NULL;
	char slot[32] = "";

	snprintf(last_message, sizeof(last_message), "%s", message);
	if (kind != JOURNAL_PROBLEM)
		signed_message = format("%s%s", message, signature);
	if (scope->slot >= 0)
		snprintf(slot, sizeof(slot), "HS_SLOT=%d\n", scope->slot);
	fields = format("PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE_ID=%s\nHS_EVENT=%s\n%s%s%s%s%s",
			scope->priority, program_invocation_short_name, journal_message_id(kind),
			journal_kind_to_string(kind), scope->service ? "HS_SERVICE=" : "",
			scope->service ?: "", scope->service ? "\n" : "", slot, done ?: "");
	if (fields)
		send_entry(fields, signed_message ?: message);
}

void journal_log(enum journal_kind kind, const struct journal_scope *scope, const char *template,
		 ...)
{
	char message[MESSAGE_MAX];
	va_list args;

	va_start(args, template);
	vsnprintf(message, sizeof(message), template, args);
	va_end(args);
	write_entry(kind, scope, NULL, message);
}

void journal_log_deed(enum journal_kind kind, const struct journal_scope *scope,
		      const struct journal_deed *deed, const char *template, ...)
{
	char message[MESSAGE_MAX];
	va_list args;

	va_start(args, template);
	vsnprintf(message, sizeof(message), template, args);
	va_end(args);
	write_entry(kind, scope, deed, message);
}

/* ---- reading ---- */

/* One field as text, cut to the buffer; "" when the entry has none. */
static const char *field(sd_journal *journal, const char *name, char *text, size_t size)
{
	size_t length, skip = strlen(name) + 1;
	const void *data;

	text[0] = '\0';
	if (sd_journal_get_data(journal, name, &data, &length) < 0 || length < skip)
		return text;
	length = MIN(length - skip, size - 1);
	memcpy(text, (const char *)data + skip, length);
	text[length] = '\0';
	return text_tame(text);
}

static int64_t number_field(sd_journal *journal, const char *name, int64_t missing)
{
	char text[24];
	uint64_t value;

	field(journal, name, text, sizeof(text));
	return parse_unsigned(text, 0, INT64_MAX, &value) < 0 ? missing : (int64_t)value;
}

typedef int (*each_fn)(const struct journal_entry *entry, void *userdata);

static void read_actor(sd_journal *journal, struct journal_actor *ret_actor)
{
	ret_actor->uid = number_field(journal, "HS_UID", JOURNAL_UID_NONE);
	field(journal, "HS_RIGHT", ret_actor->right, sizeof(ret_actor->right));
	field(journal, "HS_UNIT", ret_actor->unit, sizeof(ret_actor->unit));
}

static int read_entry(sd_journal *journal, each_fn each, void *userdata)
{
	char service[256], event[64], message[4 * MESSAGE_MAX], verb[32], outcome[32];
	struct journal_entry entry = {
		.service = field(journal, "HS_SERVICE", service, sizeof(service)),
		.event = field(journal, "HS_EVENT", event, sizeof(event)),
		.message = field(journal, "MESSAGE", message, sizeof(message)),
		.slot = number_field(journal, "HS_SLOT", -1),
		.priority = number_field(journal, "PRIORITY", 6),
		.pid = number_field(journal, "_PID", 0),
		.deed =
			{
				.verb = field(journal, "HS_VERB", verb, sizeof(verb)),
				.outcome = field(journal, "HS_OUTCOME", outcome, sizeof(outcome)),
				.from = number_field(journal, "HS_FROM", -1),
				.to = number_field(journal, "HS_TO", -1),
				.duration_usec = number_field(journal, "HS_DURATION_US", 0),
			},
	};
	int r = sd_journal_get_realtime_usec(journal, &entry.time_usec);

	read_actor(journal, &entry.deed.by);
	return r < 0 ? r : each(&entry, userdata);
}

/* Anybody may write our numbers into the journal, but not as root. */
static int add_matches(sd_journal *journal, const struct journal_query *query)
{
	static const char *const outcomes[] = {"done", "undone", "failed"};
	char text[300];
	int r = sd_journal_add_match(journal, "_UID=0", 0);

	for (unsigned kind = 0; r >= 0 && kind < JOURNAL_KIND_COUNT; kind++) {
		snprintf(text, sizeof(text), "MESSAGE_ID=%s", kinds[kind].id);
		r = sd_journal_add_match(journal, text, 0);
	}
	for (size_t i = 0; query->deeds && r >= 0 && i < ARRAY_SIZE(outcomes); i++) {
		snprintf(text, sizeof(text), "HS_OUTCOME=%s", outcomes[i]);
		r = sd_journal_add_match(journal, text, 0);
	}
	if (r < 0 || !query->service)
		return r;
	snprintf(text, sizeof(text), "HS_SERVICE=%s", query->service);
	return sd_journal_add_match(journal, text, 0);
}

/* Stands before the entry that is to be read first, or before older ones. */
static int seek(sd_journal *journal, const struct journal_query *query)
{
	unsigned lines = query->lines;
	int r;

	if (!lines)
		return query->since_sec ? sd_journal_seek_realtime_usec(
						  journal, query->since_sec * USEC_PER_SEC)
					: sd_journal_seek_head(journal);
	r = sd_journal_seek_tail(journal);
	if (r < 0)
		return r;
	/* one more than asked for: reading begins with the next. Fewer are there: at the first */
	r = sd_journal_previous_skip(journal, (uint64_t)lines + 1);
	return r >= 0 && r <= (int)lines ? sd_journal_seek_head(journal) : r;
}

static int read_all(sd_journal *journal, uint64_t since_sec, each_fn each, void *userdata)
{
	uint64_t usec;
	int r;

	while ((r = sd_journal_next(journal)) > 0) {
		r = sd_journal_get_realtime_usec(journal, &usec);
		if (r >= 0 && usec / USEC_PER_SEC < since_sec)
			continue;
		if (r >= 0)
			r = read_entry(journal, each, userdata);
		if (r)
			return r;
	}
	return r;
}

static int follow_on(sd_journal *journal, each_fn each, void *userdata)
{
	int r;

	do {
		r = sd_journal_wait(journal, UINT64_MAX);
		if (r >= 0)
			r = read_all(journal, 0, each, userdata);
	} while (!r);
	return r;
}

/* Whether nobody could read any: others may only not be ours to read. */
static bool is_missing(sd_journal *journal)
{
	static const char *const folders[] = {"/run/log/journal", "/var/log/journal"};

	if (sd_journal_has_runtime_files(journal) || sd_journal_has_persistent_files(journal))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (geteuid() && !access(folders[i], F_OK))
			return false;
	return true;
}

int journal_read(const struct journal_query *query, each_fn each, void *userdata)
{
	sd_journal *journal = NULL;
	int r = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY);

	if (r < 0)
		return r;
	r = is_missing(journal) ? -ENOMEDIUM : add_matches(journal, query);
	if (r >= 0)
		r = seek(journal, query);
	if (r >= 0)
		r = read_all(journal, query->since_sec, each, userdata);
	if (!r && query->follow)
		r = follow_on(journal, each, userdata);
	sd_journal_close(journal);
	return r;
}
