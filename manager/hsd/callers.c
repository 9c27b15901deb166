// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/callers.h"

#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-login.h>
#include <time.h>

#include "core/watch/quota.h"
#include "hsd/refusals.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/parse.h"
#include "util/problem.h"

/* Names on the bus that are remembered. A bus has at most some thousands, of 256 a user; who was
 * forgotten is asked about again. */
#define CALLERS_MAX 512
/* Calls of one that is not known yet: as many as a bus lets one have unanswered. And of all. */
#define HELD_MAX     128
#define HELD_ALL_MAX 8192
/* With texts of so many bytes in all. */
#define HELD_BYTES_MAX (8U << 20)
/* And those that cannot be held. */
#define PASSED_MAX 8
#define NAME_SIZE  32
/* What the bus has to do for each, also where we have next to nothing to do. Microseconds. */
#define COST_MIN	 UINT64_C(200)
#define SUBUIDS_SIZE_MAX (4U << 20)

struct caller {
	struct callers *callers;
	char name[NAME_SIZE]; /* ":1.42"; "" = this place is free */
	bool known, member;
	uid_t uid, login;	  /* as whom it runs; if that is root, who has logged in */
	uid_t payer;		  /* from whose budget it is taken */
	char unit[UNIT_NAME_MAX]; /* in which it was when it first asked; "" = not known */
	uint64_t seen; /* counts up: who has the lowest has asked for nothing for longest */
	sd_bus_slot *question;
	sd_bus_message *held[HELD_MAX];
	unsigned n_held, n_passed;
	size_t n_bytes; /* of those that are held */
};

struct callers {
	sd_bus *api, *bus;
	const struct callers_ops *ops;
	void *userdata;
	sd_bus_slot *filter;
	sd_event_source *post;
	struct refusals *refusals;
	unsigned n_held;
	size_t n_bytes;
	uint64_t clock;
	struct caller callers[CALLERS_MAX];
	struct quotas quotas;
	char *subuids; /* the text of /etc/subuid, NULL: there is none; and the file it was */
	struct stat subuids_file;
	struct quota_user *charged;	    /* whose call is being carried out */
	const struct journal_actor *acting; /* see callers_begin() */
	uint64_t begun_usec;
};

DEFINE_CLEANUP(struct callers, callers_free)

/* ---- time ---- */

/* Of the processor, so that a busy machine is not held against who asks. */
static uint64_t own_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / NSEC_PER_USEC;
}

static void charge(struct callers *callers, uint64_t cost)
{
	if (callers->charged)
		quotas_charge(&callers->quotas, callers->charged, cost, now_usec());
}

/* The call that was carried out just now has an end: what it cost is taken from its user. */
static void settle(struct callers *callers)
{
	if (callers->charged)
		charge(callers, MAX(own_usec() - callers->begun_usec, COST_MIN));
	callers->charged = NULL;
}

static int on_settled(sd_event_source *source, void *userdata)
{
	(void)source;
	settle(userdata);
	return 0;
}

static int refuse_user(struct callers *callers, sd_bus_message *m, uid_t uid, enum quota_answer why)
{
	struct problem sentence;

	if (why == QUOTA_SPENT)
		problem_set(&sentence, 0,
			    "users other than root may each have a tenth of hsd's time, and user "
			    "%u has had it; ask less often",
			    uid);
	else if (why == QUOTA_SHARE_SPENT)
		problem_set(&sentence, 0,
			    "users other than root share a fifth of hsd's time, several ask for "
			    "it, and user %u has had its share; ask less often",
			    uid);
	else
		problem_set(&sentence, 0,
			    "all users other than root together ask more of hsd than it does for "
			    "them, though not user %u; ask again",
			    uid);
	refusals_add(callers->refusals, m, sentence.text);
	return 1;
}

/* 0: go on. 1: it is refused. */
static int admit(struct callers *callers, const struct caller *caller, sd_bus_message *m)
{
	uint64_t now = now_usec();
	struct quota_user *user;
	enum quota_answer answer;

	if (!caller->uid)
		return 0;
	user = quotas_user(&callers->quotas, caller->payer, now);
	answer = quotas_may(&callers->quotas, user, now);
	if (answer != QUOTA_GRANTED)
		return refuse_user(callers, m, caller->uid, answer);
	callers->charged = user;
	callers->begun_usec = own_usec();
	return 0;
}

/* ---- who it is ---- */

/* They are kept no longer. Returns how many there were. */
static unsigned take_held(struct caller *caller, sd_bus_message *ret_held[HELD_MAX])
{
	unsigned n = caller->n_held;

	memcpy(ret_held, caller->held, n * sizeof(*ret_held));
	if (n) {
		caller->callers->n_held -= n;
		caller->callers->n_bytes -= caller->n_bytes;
	}
	caller->n_held = 0;
	caller->n_bytes = 0;
	return n;
}

static void drop_held(struct caller *caller)
{
	sd_bus_message *held[HELD_MAX];

	for (unsigned n = take_held(caller, held); n--;)
		sd_bus_message_unref(held[n]);
}

static void forget(struct caller *caller)
{
	drop_held(caller);
	sd_bus_slot_unref(caller->question);
	*caller = (struct caller) {0};
}

/* From the file, and each time, for the group may be made while we run: a directory service that is
 * away must not stop hsd. */
static bool find_group(gid_t *ret_gid)
{
	_cleanup_(fclosep) FILE *file = fopen("/etc/group", "re");
	const struct group *group;

	while (file && (group = fgetgrent(file)))
		if (!strcmp(group->gr_name, RIGHT_GROUP)) {
			*ret_gid = group->gr_gid;
			return true;
		}
	return false;
}

static int read_groups(sd_bus_message *m, struct caller *caller)
{
	const uint32_t *groups;
	size_t size;
	gid_t group;
	int r = sd_bus_message_enter_container(m, 'v', "au");

	if (r >= 0)
		r = sd_bus_message_read_array(m, 'u', (const void **)&groups, &size);
	if (r >= 0 && find_group(&group))
		for (size_t i = 0; i < size / sizeof(*groups); i++)
			caller->member |= groups[i] == group;
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* Who is behind a process of root's. Of any other it says nothing: where nobody has logged in each
 * process may write there whom it likes. */
static uid_t login_of(pid_t pid, uid_t otherwise)
{
	_cleanup_(freep) char *text = NULL;
	char path[40];
	uint64_t uid;

	snprintf(path, sizeof(path), "/proc/%d/loginuid", pid);
	if (otherwise || pid <= 0 || file_read(path, 32, &text) < 0)
		return otherwise;
	text[strcspn(text, "\n")] = '\0';
	return parse_unsigned(text, 0, UINT32_MAX - 1, &uid) < 0 ? otherwise : (uid_t)uid;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* From the file, for the reason above; it may be long, and who connects anew is not to have it read
 * each time. */
static const char *subuids(struct callers *callers)
{
	struct stat file = {0};

	(void)stat("/etc/subuid", &file);
	if (is_same_file(&file, &callers->subuids_file))
		return callers->subuids;
	free(callers->subuids);
	callers->subuids = NULL;
	if (file.st_ino)
		(void)file_read("/etc/subuid", SUBUIDS_SIZE_MAX, &callers->subuids);
	callers->subuids_file = file;
	return callers->subuids;
}

static uid_t payer_of(struct callers *callers, uid_t uid)
{
	const char *text = uid ? subuids(callers) : NULL;

	return text ? quota_payer(text, uid) : uid;
}

static void read_unit(pid_t pid, struct caller *caller)
{
	_cleanup_(freep) char *unit = NULL;

	if (pid > 0 && sd_pid_get_unit(pid, &unit) >= 0)
		snprintf(caller->unit, sizeof(caller->unit), "%s", unit);
}

static int read_credential(sd_bus_message *m, const char *key, struct caller *caller,
			   bool *ret_has_uid, uint32_t *ret_pid)
{
	int r;

	if (!strcmp(key, "UnixGroupIDs"))
		return read_groups(m, caller);
	if (!strcmp(key, "ProcessID"))
		return sd_bus_message_read(m, "v", "u", ret_pid);
	if (strcmp(key, "UnixUserID"))
		return sd_bus_message_skip(m, "v");
	r = sd_bus_message_read(m, "v", "u", &caller->uid);
	*ret_has_uid = r >= 0;
	return r;
}

/* a{sv}: of the user's groups only newer buses tell. */
static int read_credentials(sd_bus_message *m, struct caller *caller)
{
	const char *key;
	uint32_t pid = 0;
	bool has_uid = false;
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");

	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = sd_bus_message_read(m, "s", &key);
		if (r >= 0)
			r = read_credential(m, key, caller, &has_uid, &pid);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	if (r < 0 || !has_uid)
		return r < 0 ? r : -ENODATA;
	caller->login = login_of((pid_t)pid, caller->uid);
	caller->payer = payer_of(caller->callers, caller->uid);
	read_unit((pid_t)pid, caller);
	return 0;
}

/* The bus does not count calls that want no answer: nobody but root may have so many of them, and
 * of what others ask for they are to hear what has become. */
static bool is_for_nobody(const struct caller *caller, sd_bus_message *m)
{
	return caller->uid && sd_bus_message_get_expect_reply(m) == 0;
}

static void carry_out(struct callers *callers, struct caller *caller, sd_bus_message *m)
{
	if (is_for_nobody(caller, m))
		return;
	if (!admit(callers, caller, m))
		callers->ops->dispatch(m, callers->userdata);
	settle(callers);
}

static int on_credentials(sd_bus_message *answer, void *userdata, sd_bus_error *error)
{
	struct caller *caller = userdata;
	sd_bus_message *held[HELD_MAX];
	unsigned n;

	(void)error;
	caller->question = sd_bus_slot_unref(caller->question);
	if (sd_bus_message_is_method_error(answer, NULL) || read_credentials(answer, caller) < 0) {
		/* it has left the bus: there is nobody to answer */
		forget(caller);
		return 0;
	}
	caller->known = true;
	n = take_held(caller, held);
	for (unsigned i = 0; i < n; i++) {
		carry_out(caller->callers, caller, held[i]);
		sd_bus_message_unref(held[i]);
	}
	return 0;
}

static int ask(struct caller *caller)
{
	return sd_bus_call_method_async(caller->callers->bus, &caller->question,
					"org.freedesktop.DBus", "/org/freedesktop/DBus",
					"org.freedesktop.DBus", "GetConnectionCredentials",
					on_credentials, caller, "s", caller->name);
}

static struct caller *find(struct callers *callers, const char *name)
{
	for (size_t i = 0; i < CALLERS_MAX; i++)
		if (!strcmp(callers->callers[i].name, name))
			return &callers->callers[i];
	return NULL;
}

/* The place of who was not heard of for longest. NULL: all are being asked about. */
static struct caller *make_room(struct callers *callers)
{
	struct caller *oldest = NULL;

	for (size_t i = 0; i < CALLERS_MAX; i++) {
		struct caller *caller = &callers->callers[i];

		if (!caller->question && (!oldest || caller->seen < oldest->seen))
			oldest = caller;
	}
	if (oldest)
		forget(oldest);
	return oldest;
}

static struct caller *add(struct callers *callers, const char *name)
{
	struct caller *caller = strlen(name) < NAME_SIZE ? make_room(callers) : NULL;

	if (!caller)
		return NULL;
	caller->callers = callers;
	strcpy(caller->name, name);
	if (ask(caller) >= 0)
		return caller;
	forget(caller);
	return NULL;
}

/* ---- what comes ---- */

static int refuse_unknown(struct callers *callers, sd_bus_message *m)
{
	refusals_add(callers->refusals, m,
		     "too many calls before the bus has said who asks; ask again");
	return 1;
}

/* What is not ours, or is wrong, sd-bus answers by itself: quickly. */
static int hold(struct caller *caller, sd_bus_message *m)
{
	struct callers *callers = caller->callers;
	int length = callers->ops->length(m);

	if (length < 0 && length != -E2BIG)
		return caller->n_passed++ < PASSED_MAX ? 0 : refuse_unknown(callers, m);
	if (length < 0 || caller->n_held == HELD_MAX || callers->n_held == HELD_ALL_MAX ||
	    callers->n_bytes + (size_t)length > HELD_BYTES_MAX)
		return refuse_unknown(callers, m);
	caller->held[caller->n_held++] = sd_bus_message_ref(m);
	caller->n_bytes += (size_t)length;
	callers->n_bytes += (size_t)length;
	callers->n_held++;
	return 1;
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct callers *callers = userdata;
	const char *sender = sd_bus_message_get_sender(m);
	struct caller *caller;

	(void)error;
	settle(callers);
	if (sd_bus_message_is_method_call(m, NULL, NULL) <= 0 || !sender)
		return 0;
	caller = find(callers, sender) ?: add(callers, sender);
	if (!caller)
		return refuse_unknown(callers, m);
	caller->seen = ++callers->clock;
	if (caller->known && is_for_nobody(caller, m))
		return 1;
	if (!caller->known)
		return hold(caller, m);
	/* sd-bus would ask the bus, and wait for the answer, whether the sender may call a method
	 * that is for root alone */
	if (callers->ops->is_ours(m)) {
		carry_out(callers, caller, m);
		return 1;
	}
	return admit(callers, caller, m);
}

/* Of the socket, not of a name on a bus: that is known since it was connected. */
static void actor_at_door(sd_bus_message *m, struct journal_actor *ret_actor)
{
	const char *unit;
	sd_bus_creds *creds = NULL;
	uid_t uid;

	snprintf(ret_actor->right, sizeof(ret_actor->right), RIGHT_OF_ROOT);
	if (sd_bus_get_owner_creds(sd_bus_message_get_bus(m),
				   SD_BUS_CREDS_EUID | SD_BUS_CREDS_AUDIT_LOGIN_UID |
					   SD_BUS_CREDS_UNIT | SD_BUS_CREDS_AUGMENT,
				   &creds) < 0)
		return;
	if (sd_bus_creds_get_audit_login_uid(creds, &uid) >= 0 ||
	    sd_bus_creds_get_euid(creds, &uid) >= 0)
		ret_actor->uid = uid;
	if (sd_bus_creds_get_unit(creds, &unit) >= 0)
		snprintf(ret_actor->unit, sizeof(ret_actor->unit), "%s", unit);
	sd_bus_creds_unref(creds);
}

static const struct caller *find_sender(struct callers *callers, sd_bus_message *m)
{
	const struct caller *caller = find(callers, sd_bus_message_get_sender(m) ?: "");

	return caller && caller->known ? caller : NULL;
}

static bool is_at_door(const struct callers *callers, sd_bus_message *m)
{
	return sd_bus_message_get_bus(m) != callers->api;
}

uint32_t callers_uid(struct callers *callers, sd_bus_message *m)
{
	const struct caller *caller = find_sender(callers, m);

	if (is_at_door(callers, m))
		return 0;
	return caller ? caller->uid : JOURNAL_UID_NONE;
}

bool callers_is_root(struct callers *callers, sd_bus_message *m)
{
	return !callers_uid(callers, m);
}

void callers_actor(struct callers *callers, sd_bus_message *m, struct journal_actor *ret_actor)
{
	const struct caller *caller = find_sender(callers, m);
	const char *right;

	*ret_actor = JOURNAL_NOBODY;
	if (is_at_door(callers, m)) {
		actor_at_door(m, ret_actor);
	} else if (callers->acting) {
		*ret_actor = *callers->acting;
	} else if (caller) {
		right = !caller->uid ? RIGHT_OF_ROOT : caller->member ? RIGHT_OF_GROUP : "";
		ret_actor->uid = caller->login;
		snprintf(ret_actor->right, sizeof(ret_actor->right), "%s", right);
		snprintf(ret_actor->unit, sizeof(ret_actor->unit), "%s", caller->unit);
	}
}

bool callers_may_see(struct callers *callers, sd_bus_message *m)
{
	const struct caller *caller = find_sender(callers, m);

	return is_at_door(callers, m) || (caller && (!caller->uid || caller->member));
}

/* ---- what is carried out later ---- */

void callers_begin(struct callers *callers, uid_t uid, const struct journal_actor *by)
{
	settle(callers);
	callers->acting = by;
	callers->charged = quotas_user(&callers->quotas, payer_of(callers, uid), now_usec());
	callers->begun_usec = own_usec();
}

void callers_end(struct callers *callers)
{
	settle(callers);
	callers->acting = NULL;
}

void callers_charge(struct callers *callers, uint64_t usec)
{
	charge(callers, usec);
}

void callers_refuse(struct callers *callers, sd_bus_message *m, const char *sentence)
{
	refusals_add(callers->refusals, m, sentence);
}

/* ---- the whole ---- */

int callers_new(sd_bus *api, sd_bus *bus, const struct callers_ops *ops, void *userdata,
		struct callers **ret_callers)
{
	_cleanup_(callers_freep) struct callers *callers = calloc(1, sizeof(*callers));
	int r;

	if (!callers)
		return -ENOMEM;
	callers->api = sd_bus_ref(api);
	callers->bus = sd_bus_ref(bus);
	callers->ops = ops;
	callers->userdata = userdata;
	r = refusals_new(sd_bus_get_event(api), &callers->refusals);
	if (r < 0)
		return r;
	r = sd_event_add_post(sd_bus_get_event(api), &callers->post, on_settled, callers);
	if (r >= 0)
		r = sd_bus_add_filter(api, &callers->filter, on_message, callers);
	if (r < 0)
		return r;
	*ret_callers = steal_ptr(&callers);
	return 0;
}

struct callers *callers_free(struct callers *callers)
{
	if (!callers)
		return NULL;
	free(callers->subuids);
	sd_event_source_disable_unref(callers->post);
	sd_bus_slot_unref(callers->filter);
	for (size_t i = 0; i < CALLERS_MAX; i++)
		forget(&callers->callers[i]);
	refusals_free(callers->refusals);
	sd_bus_unref(callers->api);
	sd_bus_unref(callers->bus);
	free(callers);
	return NULL;
}
