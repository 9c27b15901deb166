// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/unit/owner.h"

#include <pwd.h>
#include <string.h>

#include "util/macro.h"
#include "util/parse.h"

#define SYSTEMD		"org.freedesktop.systemd1"
#define SYSTEMD_PATH	"/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"
#define LOOKUP		"LookupDynamicUserByName"

struct owner_question {
	char user[UNIT_NAME_MAX];
	owner_fn on_answer;
	void *userdata;
	sd_bus_slot *call;
};

bool owner_is_root(const struct unit_facts *facts)
{
	return !facts->dynamic_user &&
	       (!facts->user[0] || !strcmp(facts->user, "root") || !strcmp(facts->user, "0"));
}

/* A file of this machine: as quick as any other. */
static int in_file(const char *name, uid_t *ret_uid)
{
	_cleanup_(fclosep) FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *entry = NULL;

	while (file && (entry = fgetpwent(file)) && strcmp(entry->pw_name, name))
		;
	if (!file || !entry)
		return -ENOENT;
	*ret_uid = entry->pw_uid;
	return 0;
}

int owner_find(const char *name, uid_t *ret_uid)
{
	char buffer[4096];
	struct passwd entry, *found = NULL;
	int r = getpwnam_r(name, &entry, buffer, sizeof(buffer), &found);

	if (!found)
		return r ? -r : -ENOENT;
	*ret_uid = found->pw_uid;
	return 0;
}

int owner_of(const struct unit_facts *facts, uid_t *ret_uid)
{
	uint64_t number;

	if (facts->dynamic_user)
		return -EINPROGRESS;
	if (owner_is_root(facts)) {
		*ret_uid = 0;
		return 0;
	}
	if (parse_unsigned(facts->user, 0, UINT32_MAX - 1, &number))
		return in_file(facts->user, ret_uid) < 0 ? -ENOLINK : 0;
	*ret_uid = number;
	return 0;
}

static int read_answer(sd_bus_message *m, uid_t *ret_uid)
{
	uint32_t uid;
	int r = -sd_bus_message_get_errno(m);

	if (!r)
		r = sd_bus_message_read(m, "u", &uid);
	if (r < 0)
		return r;
	*ret_uid = uid;
	return 0;
}

/* A user of this name that there is besides is used instead of a dynamic one. */
static int or_by_name(int error, const char *name, uid_t *ret_uid)
{
	return error && in_file(name, ret_uid) < 0 ? error : 0;
}

int owner_ask(sd_bus *bus, const struct unit_facts *facts, uid_t *ret_uid)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r = sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, LOOKUP, NULL,
				   &reply, "s", facts->user);

	if (r >= 0)
		r = read_answer(reply, ret_uid);
	return or_by_name(r, facts->user, ret_uid);
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct owner_question *question = userdata;
	uid_t uid = 0;
	int r = or_by_name(read_answer(m, &uid), question->user, &uid);

	(void)error;
	question->on_answer(r, uid, question->userdata);
	return 0;
}

int owner_question_new(sd_bus *bus, const struct unit_facts *facts, owner_fn on_answer,
		       void *userdata, struct owner_question **ret_question)
{
	struct owner_question *question = calloc(1, sizeof(*question));
	int r;

	if (!question)
		return -ENOMEM;
	snprintf(question->user, sizeof(question->user), "%s", facts->user);
	question->on_answer = on_answer;
	question->userdata = userdata;
	r = sd_bus_call_method_async(bus, &question->call, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
				     LOOKUP, on_reply, question, "s", facts->user);
	if (r < 0) {
		free(question);
		return r;
	}
	*ret_question = question;
	return 0;
}

struct owner_question *owner_question_free(struct owner_question *question)
{
	if (!question)
		return NULL;
	sd_bus_slot_unref(question->call);
	free(question);
	return NULL;
}
