// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/polkit.h"

#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>

#include "util/clock.h"
#include "util/macro.h"

#define POLKIT	  "org.freedesktop.PolicyKit1"
#define AUTHORITY POLKIT ".Authority"
#define AT	  "/org/freedesktop/PolicyKit1/Authority"

/* It may have to be started first. */
#define PATIENCE (20 * USEC_PER_SEC)
/* Where somebody is asked for a password. */
#define PATIENCE_WITH_PEOPLE (2 * 60 * USEC_PER_SEC)

/* Of CheckAuthorization(). */
#define MAY_ASK_PEOPLE 1U

struct question {
	struct polkit *polkit;
	struct polkit_case asked; /* with texts and a message of our own */
	char service[SERVICE_NAME_MAX], verb[24];
	char id[32]; /* by which it can be taken back */
	sd_bus_slot *call, *leaving;
	sd_event_source *end;
	LIST_ENTRY(question) entry;
};

struct polkit {
	sd_bus *bus;
	polkit_fn on_answer;
	void *userdata;
	uint64_t count;
	unsigned n;
	LIST_HEAD(, question) questions;
};

static struct question *question_free(struct question *question)
{
	if (!question)
		return NULL;
	if (question->polkit) {
		LIST_REMOVE(question, entry);
		question->polkit->n--;
	}
	sd_bus_slot_unref(question->call);
	sd_bus_slot_unref(question->leaving);
	sd_event_source_disable_unref(question->end);
	sd_bus_message_unref(question->asked.message);
	free(question);
	return NULL;
}

DEFINE_CLEANUP(struct question, question_free)

/* Else who is asked for a password would go on being asked. */
static void take_back(struct question *question)
{
	question->call = sd_bus_slot_unref(question->call);
	(void)sd_bus_call_method_async(question->polkit->bus, NULL, POLKIT, AT, AUTHORITY,
				       "CancelCheckAuthorization", NULL, NULL, "s", question->id);
}

static void answer(struct question *question, enum right_answer how, const char *detail)
{
	_cleanup_(question_freep) struct question *owned = question;
	struct polkit *polkit = question->polkit;

	LIST_REMOVE(owned, entry);
	polkit->n--;
	owned->polkit = NULL;
	polkit->on_answer(&owned->asked, how, detail, polkit->userdata);
}

/* ---- what comes of it ---- */

/* Nobody has the name, and nobody can be started who would. */
static bool is_away(const sd_bus_error *error)
{
	static const char *const names[] = {
		SD_BUS_ERROR_SERVICE_UNKNOWN,
		SD_BUS_ERROR_NAME_HAS_NO_OWNER,
		"org.freedesktop.systemd1.NoSuchUnit",
		"org.freedesktop.systemd1.UnitMasked",
		"org.freedesktop.DBus.Error.Spawn.ServiceNotFound",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(error->name, names[i]))
			return true;
	return false;
}

/* a{ss}: whether who was asked for a password closed the window. */
static int read_details(sd_bus_message *m, bool *ret_dismissed)
{
	const char *key, *value;
	int r = sd_bus_message_enter_container(m, 'a', "{ss}");

	while (r >= 0 && (r = sd_bus_message_read(m, "{ss}", &key, &value)) > 0)
		*ret_dismissed |= !strcmp(key, "polkit.dismissed") && value[0];
	return r;
}

static int read_answer(const struct question *question, sd_bus_message *m,
		       enum right_answer *ret_answer)
{
	int given, challenge, r = sd_bus_message_enter_container(m, 'r', "bba{ss}");
	bool dismissed = false;

	if (r >= 0)
		r = sd_bus_message_read(m, "bb", &given, &challenge);
	if (r >= 0)
		r = read_details(m, &dismissed);
	if (r < 0)
		return r;
	if (given)
		*ret_answer = RIGHT_GIVEN;
	else if (dismissed)
		*ret_answer = RIGHT_DISMISSED;
	else if (!challenge)
		*ret_answer = RIGHT_DENIED;
	else if (sd_bus_message_get_allow_interactive_authorization(question->asked.message) > 0)
		*ret_answer = RIGHT_UNANSWERED;
	else
		*ret_answer = RIGHT_UNASKED;
	return 0;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const sd_bus_error *failure = sd_bus_message_get_error(m);
	enum right_answer how = RIGHT_BROKEN;

	(void)error;
	if (failure)
		answer(userdata, is_away(failure) ? RIGHT_NO_POLKIT : RIGHT_BROKEN,
		       failure->message ?: failure->name);
	else if (read_answer(userdata, m, &how) < 0)
		answer(userdata, RIGHT_BROKEN, "its answer is not understood");
	else
		answer(userdata, how, "");
	return 0;
}

static int on_late(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	take_back(userdata);
	answer(userdata, RIGHT_LATE, "");
	return 0;
}

/* There is nobody to answer. */
static int on_left(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *name, *before, *after;

	(void)error;
	/* anybody may send a signal to us alone, whatever the match says */
	if (strcmp(sd_bus_message_get_sender(m) ?: "", "org.freedesktop.DBus") ||
	    sd_bus_message_read(m, "sss", &name, &before, &after) < 0 || after[0])
		return 0;
	take_back(userdata);
	question_free(userdata);
	return 0;
}

/* ---- asking ---- */

static int watch_leaving(struct question *question)
{
	char match[256];

	snprintf(match, sizeof(match),
		 "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
		 "member='NameOwnerChanged',arg0='%s'",
		 sd_bus_message_get_sender(question->asked.message));
	return sd_bus_add_match_async(question->polkit->bus, &question->leaving, match, on_left,
				      NULL, question);
}

static int append_detail(sd_bus_message *m, const char *key, const char *value)
{
	return value[0] ? sd_bus_message_append(m, "{ss}", key, value) : 0;
}

static int append_details(sd_bus_message *m, const struct question *question)
{
	char slot[16] = "";
	int r = sd_bus_message_open_container(m, 'a', "{ss}");

	if (question->asked.slot >= 0)
		snprintf(slot, sizeof(slot), "%d", question->asked.slot);
	if (r >= 0)
		r = append_detail(m, "service", question->service);
	if (r >= 0)
		r = append_detail(m, "verb", question->verb);
	if (r >= 0)
		r = append_detail(m, "slot", slot);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

/* About a name on the bus: that is nobody else's later, as the number of a process may be. */
static int make_call(const struct question *question, bool people, sd_bus_message **ret_call)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	const char *sender = sd_bus_message_get_sender(question->asked.message);
	int r = sd_bus_message_new_method_call(question->polkit->bus, &m, POLKIT, AT, AUTHORITY,
					       "CheckAuthorization");

	if (r >= 0)
		r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s", sender,
					  right_to_action(question->asked.right));
	if (r >= 0)
		r = append_details(m, question);
	if (r >= 0)
		r = sd_bus_message_append(m, "us", people ? MAY_ASK_PEOPLE : 0, question->id);
	if (r < 0)
		return r;
	*ret_call = steal_ptr(&m);
	return 0;
}

static int send_question(struct question *question)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
	bool people =
		sd_bus_message_get_allow_interactive_authorization(question->asked.message) > 0;
	uint64_t patience = people ? PATIENCE_WITH_PEOPLE : PATIENCE;
	int r = make_call(question, people, &call);

	if (r >= 0)
		r = watch_leaving(question);
	if (r >= 0)
		r = sd_event_add_time_relative(sd_bus_get_event(question->polkit->bus),
					       &question->end, CLOCK_MONOTONIC, patience,
					       USEC_PER_MSEC, on_late, question);
	if (r >= 0)
		r = sd_bus_call_async(question->polkit->bus, &question->call, call, on_answer,
				      question, USEC_INFINITY);
	return r;
}

static bool may_ask(const struct polkit *polkit, uid_t uid)
{
	const struct question *question;
	unsigned n = 0;

	LIST_FOREACH (question, &polkit->questions, entry)
		n += question->asked.uid == uid;
	return polkit->n < POLKIT_QUESTIONS_MAX && n < POLKIT_QUESTIONS_OF_USER;
}

static void keep(struct question *question, const struct polkit_case *asked)
{
	question->asked = *asked;
	question->asked.message = sd_bus_message_ref(asked->message);
	snprintf(question->service, sizeof(question->service), "%s", asked->service);
	snprintf(question->verb, sizeof(question->verb), "%s", asked->verb);
	question->asked.service = question->service;
	question->asked.verb = question->verb;
}

int polkit_ask(struct polkit *polkit, const struct polkit_case *asked)
{
	_cleanup_(question_freep) struct question *question = NULL;
	int r;

	if (!may_ask(polkit, asked->uid))
		return -EBUSY;
	question = calloc(1, sizeof(*question));
	if (!question)
		return -ENOMEM;
	keep(question, asked);
	snprintf(question->id, sizeof(question->id), "hsd-%" PRIu64, ++polkit->count);
	question->polkit = polkit;
	LIST_INSERT_HEAD(&polkit->questions, question, entry);
	polkit->n++;
	r = send_question(question);
	if (r < 0)
		return r;
	steal_ptr(&question);
	return 0;
}

int polkit_new(sd_bus *bus, polkit_fn on_answered, void *userdata, struct polkit **ret_polkit)
{
	struct polkit *polkit = calloc(1, sizeof(*polkit));

	if (!polkit)
		return -ENOMEM;
	polkit->bus = sd_bus_ref(bus);
	polkit->on_answer = on_answered;
	polkit->userdata = userdata;
	*ret_polkit = polkit;
	return 0;
}

struct polkit *polkit_free(struct polkit *polkit)
{
	struct question *question;

	if (!polkit)
		return NULL;
	while ((question = LIST_FIRST(&polkit->questions))) {
		take_back(question);
		question_free(question);
	}
	sd_bus_unref(polkit->bus);
	free(polkit);
	return NULL;
}
