/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/setup/lint.h"

#include <stdio.h>
#include <string.h>

#include "core/name.h"
#include "core/path.h"
#include "core/setup/dropin_file.h"
#include "core/setup/lint_root.h"
#include "hs_abi.h"
#include "util/macro.h"
#include "util/parse.h"

#define BLANKS " \t"

/* A finding about something that a unit lacks. */
static void add_missing(struct lint_report *report, const struct lint_unit *unit, const char *what,
			const char *why, const char *remedy)
{
	struct lint_finding finding = {.refuses = true, .file = unit->fragment, .why = why};

	snprintf(finding.what, sizeof(finding.what), "%s", what);
	snprintf(finding.remedy, sizeof(finding.remedy), "%s", remedy);
	lint_add(report, &finding);
}

bool lint_name(struct lint_report *report, const char *text)
{
	struct lint_finding finding = {.refuses = true};
	char service[SERVICE_NAME_MAX] = "";
	enum name_kind kind = name_kind(text);

	if (kind == NAME_SERVICE || kind == NAME_TEMPLATE)
		return true;

	(void)name_guess(text, service);
	snprintf(finding.what, sizeof(finding.what), "%s", text);
	if (kind == NAME_INSTANCE) {
		finding.why = "This is one instance; what is put under hotstandby is the template, "
			      "with all its instances";
		snprintf(finding.remedy, sizeof(finding.remedy), "Give %s@.service", service);
	} else if (kind == NAME_SOCKET) {
		finding.why = "This is a socket unit; what is put under hotstandby is the service "
			      "behind it, and its socket unit with it";
		snprintf(finding.remedy, sizeof(finding.remedy), "Give %s@.service", service);
	} else if (kind == NAME_PLAIN) {
		finding.why = "This is no template, so there can be only one instance of it";
		snprintf(finding.remedy, sizeof(finding.remedy),
			 "Make a template from it: copy its unit file to %.*s@.service, and start "
			 "instances 0 and 1 of that instead",
			 (int)(strlen(text) - strlen(".service")), text);
	} else {
		finding.why = "This is not the name of a template unit";
		snprintf(finding.remedy, sizeof(finding.remedy),
			 "Give one like app@.service, of letters, digits and : - _ . \\");
	}
	lint_add(report, &finding);
	return false;
}

static const char *load_reason(enum lint_load load, const char *detail)
{
	switch (load) {
	case LINT_NOT_FOUND:
		return "There is no such unit";
	case LINT_PLAIN:
		return "There is a unit of this name, but it is no template, so there can be only "
		       "one "
		       "instance of it";
	case LINT_MASKED:
		return "The unit is masked, so nothing can start it";
	case LINT_OTHER_NAME:
		return "This is only another name of the unit";
	default:
		return detail && *detail ? detail : "systemd cannot load the unit";
	}
}

void lint_load(struct lint_report *report, enum lint_load load, const char *template,
	       const char *fragment, const char *detail)
{
	struct lint_finding finding = {.refuses = true, .file = fragment};
	char *remedy = finding.remedy;
	size_t size = sizeof(finding.remedy);

	if (load == LINT_OK)
		return;
	finding.why = load_reason(load, detail);
	snprintf(finding.what, sizeof(finding.what), "%s", template);
	if (load == LINT_NOT_FOUND)
		snprintf(remedy, size,
			 "Check the name with: systemctl list-unit-files '*@.service'; a new unit "
			 "file is seen after: systemctl daemon-reload");
	else if (load == LINT_PLAIN)
		snprintf(remedy, size,
			 "Make a template from it: copy the file to /etc/systemd/system/%s, and "
			 "start instances 0 and 1 of that instead",
			 template);
	else if (load == LINT_MASKED)
		snprintf(remedy, size, "Unmask it: systemctl unmask %s", template);
	else if (load == LINT_OTHER_NAME)
		snprintf(remedy, size, "Give that: %s", detail ? detail : "");
	else
		snprintf(remedy, size, "See what is wrong with: systemd-analyze verify %s",
			 template);
	lint_add(report, &finding);
}

/* The last assignment of a switch that systemd understands; it passes over others. */
static const struct assignment *last_switch(const struct assignments *list, const char *section,
					    const char *key, bool *ret_on)
{
	for (size_t i = list->n; i > 0; i--)
		if (assignment_is(&list->items[i - 1], section, key) &&
		    parse_bool(list->items[i - 1].value, ret_on) == 0)
			return &list->items[i - 1];
	*ret_on = false;
	return NULL;
}

/* Writes what a '%' stands for: the parts of a unit name, of which alone a unit's partner can be
 * made. */
static size_t expand_specifier(char specifier, const char *unit, char *buffer, size_t size)
{
	const char *at = strchr(unit, '@'), *dot = strrchr(unit, '.');
	const char *from = unit, *to = unit + strlen(unit);
	int n;

	if (!at || !dot || dot < at)
		return 0;
	if (specifier == 'i' || specifier == 'I')
		from = at + 1;
	if (specifier == 'p' || specifier == 'P')
		to = at;
	else if (specifier != 'n')
		to = dot;
	n = snprintf(buffer, size, "%.*s", (int)(to - from), from);
	return MIN((size_t)n, size - 1);
}

/* The unit that a word in a dependency of `unit` names. */
static void expand_unit(const char *word, size_t length, const char *unit,
			char expanded[UNIT_NAME_MAX])
{
	const char *template = "@.socket", *at = strchr(unit, '@');
	size_t n = 0;

	for (size_t i = 0; i < length && n < UNIT_NAME_MAX - 1; i++) {
		if (word[i] == '%' && i + 1 < length && strchr("iIpPnN", word[i + 1]))
			n += expand_specifier(word[++i], unit, expanded + n, UNIT_NAME_MAX - n);
		else
			expanded[n++] = word[i];
	}
	expanded[n] = 0;

	/* a template in a dependency of an instance means the same instance of it */
	if (at && n > strlen(template) && !strcmp(expanded + n - strlen(template), template)) {
		n -= strlen(template) - 1;
		n += expand_specifier('i', unit, expanded + n, UNIT_NAME_MAX - n);
		snprintf(expanded + n, UNIT_NAME_MAX - n, ".socket");
	}
}

/* True if the dependency of `unit` names one of `others`. */
static bool names_one(const struct assignment *a, const char *unit, const char *const *others)
{
	char name[UNIT_NAME_MAX];

	for (const char *p = a->value; *p; p += strspn(p, BLANKS)) {
		size_t length = strcspn(p, BLANKS);

		expand_unit(p, length, unit, name);
		for (const char *const *other = others; other && *other; other++)
			if (!strcmp(name, *other))
				return true;
		p += length;
	}
	return false;
}

#define WHY_STOPPED                                                                                \
	"hotstandby stops the socket unit once the service runs, and this would stop the service " \
	"with it"
#define REMEDY_STOPPED \
	"Remove the line; hsctl enable writes Wants= and After= for the socket unit instead"

/* Keys by which a stop of another unit stops this one. */
static const char *const stopping[] = {"Requires", "Requisite",		 "BindsTo",
				       "PartOf",   "StopPropagatedFrom", NULL};

struct dependency {
	const char *const *keys;
	const char *why, *remedy;
};

/* The lines with one of the keys that name `other`. There is no resetting them. */
static size_t lint_dependency_lines(struct lint_report *report, const struct lint_unit *unit,
				    const struct dependency *rule, const char *other)
{
	const char *const others[] = {other, NULL};
	size_t n = 0;

	for (size_t i = 0; i < unit->settings.n; i++) {
		const struct assignment *a = &unit->settings.items[i];

		for (const char *const *key = rule->keys; *key; key++)
			if (assignment_is(a, "Unit", *key) && names_one(a, unit->name, others)) {
				lint_line(report, true, a, rule->why, rule->remedy);
				n++;
			}
	}
	return n;
}

static bool is_listed(char *const *list, const char *name)
{
	for (; list && *list; list++)
		if (!strcmp(*list, name))
			return true;
	return false;
}

/* As above, and where systemd knows of it without a line: a folder *.requires, another unit's
 * RequiredBy=. */
static void lint_dependencies(struct lint_report *report, const struct lint_unit *unit,
			      const char *const *sockets)
{
	const struct dependency rule = {stopping, WHY_STOPPED, REMEDY_STOPPED};
	char what[sizeof(((struct lint_finding *)NULL)->what)];

	for (; sockets && *sockets; sockets++) {
		if (lint_dependency_lines(report, unit, &rule, *sockets) > 0 ||
		    !is_listed(unit->stopped_by, *sockets))
			continue;
		/* the same words for every slot, so that it is said once */
		snprintf(what, sizeof(what), "%.*s@.service is stopped together with %.*s@.socket",
			 (int)strcspn(unit->name, "@"), unit->name, (int)strcspn(*sockets, "@"),
			 *sockets);
		add_missing(
			report, unit, what, WHY_STOPPED,
			"Look for a folder *.requires or a RequiredBy= and remove it, then run: "
			"systemctl daemon-reload");
	}
}

#define WHY_STOPS_ALL "What stops or restarts that unit then does so to all slots at once"
#define WHY_EXCLUDED  "The first slot that starts then stops that unit, and the other way round"

static void lint_plain_known(struct lint_report *report, const struct lint_unit *unit,
			     const char *plain, const char *how, const char *why)
{
	char what[sizeof(((struct lint_finding *)NULL)->what)];

	snprintf(what, sizeof(what), "%.*s@.service %s %s", (int)strcspn(unit->name, "@"),
		 unit->name, how, plain);
	add_missing(report, unit, what, why,
		    "Look for the line in the files of that unit, for a folder *.requires and a "
		    "RequiredBy=, and remove it, then run: systemctl daemon-reload");
}

void lint_plain(struct lint_report *report, const struct lint_unit *unit, const char *plain)
{
	static const char *const excluding[] = {"Conflicts", NULL};
	char remedy[256];
	const struct dependency stops = {stopping, WHY_STOPS_ALL, remedy};
	const struct dependency excludes = {excluding, WHY_EXCLUDED, remedy};

	snprintf(remedy, sizeof(remedy),
		 "Remove the line: systemctl edit --full %.*s@.service; without --from and --alias "
		 "it may stay",
		 MIN((int)strcspn(unit->name, "@"), 100), unit->name);
	if (!lint_dependency_lines(report, unit, &stops, plain) &&
	    is_listed(unit->stopped_by, plain))
		lint_plain_known(report, unit, plain, "is stopped together with", WHY_STOPS_ALL);
	if (!lint_dependency_lines(report, unit, &excludes, plain) &&
	    is_listed(unit->excludes, plain))
		lint_plain_known(report, unit, plain, "cannot run beside", WHY_EXCLUDED);
}

/* Files that are read after our drop-in and throw away what it sets. */
static void lint_later(struct lint_report *report, const struct lint_unit *unit)
{
	for (size_t i = 0; i < unit->settings.n; i++) {
		const struct assignment *a = &unit->settings.items[i];

		if (*a->value || !dropin_is_later(a->file))
			continue;
		if (assignment_is(a, "Service", "ExecStop") ||
		    assignment_is(a, "Service", "ExecCondition") ||
		    assignment_is(a, "Service", "ExecStartPre") ||
		    assignment_is(a, "Service", "ExecStartPost"))
			lint_line(report, true, a,
				  "This file is read after " DROPIN_NAME
				  " and throws away the commands "
				  "that hotstandby adds there",
				  "Rename the file so that it sorts before " DROPIN_NAME);
	}
}

static void lint_default_instance(struct lint_report *report, const struct lint_unit *unit)
{
	const struct assignment *a =
		assignments_last(&unit->settings, "Install", "DefaultInstance");
	int length = (int)strcspn(unit->name, "@");
	char remedy[256];
	uint64_t slot;

	if (!a || !*a->value || parse_unsigned(a->value, 0, HS_SLOTS_MAX - 1, &slot) == 0)
		return;
	snprintf(remedy, sizeof(remedy),
		 "Enable the slots by number: systemctl enable %.*s@0 %.*s@1", MIN(length, 100),
		 unit->name, MIN(length, 100), unit->name);
	lint_line(report, false, a,
		  "An instance of this name is no slot, so it is never switched to", remedy);
}

bool lint_has_own_network(const struct lint_unit *service, const struct assignment **ret_line)
{
	const struct assignment *path =
		assignments_last(&service->settings, "Service", "NetworkNamespacePath");
	bool on;

	*ret_line = last_switch(&service->settings, "Service", "PrivateNetwork", &on);
	return on && !(path && *path->value);
}

void lint_service(struct lint_report *report, const struct lint_unit *service,
		  const char *const *sockets)
{
	const struct assignment *a;

	lint_dependencies(report, service, sockets);
	lint_later(report, service);
	lint_default_instance(report, service);
	lint_root(report, service);

	if (!(sockets && *sockets) && lint_has_own_network(service, &a))
		lint_line(
			report, false, a,
			"Each unit then has a network of its own, where no other can take over; "
			"hsctl enable lets the slots share one, with JoinsNamespaceOf=, as long "
			"as one of them runs",
			"Expect them to share /tmp, too, where PrivateTmp= is set; instances that "
			"run already share it from their next start on");
}

static bool is_set(const struct lint_unit *service, const char *key,
		   const struct assignment **ret_line)
{
	*ret_line = assignments_last(&service->settings, "Service", key);
	return *ret_line && *(*ret_line)->value;
}

static bool is_on(const struct lint_unit *service, const char *key,
		  const struct assignment **ret_line)
{
	bool on;

	*ret_line = last_switch(&service->settings, "Service", key, &on);
	return on;
}

const char *lint_hides_paths(const struct lint_unit *service, const struct assignment **ret_line)
{
	const struct assignment *runtime;

	if (is_set(service, "RootDirectory", ret_line) || is_set(service, "RootImage", ret_line))
		return "Its path is one in the root that the unit has of its own";
	if (is_set(service, "NetworkNamespacePath", ret_line) ||
	    is_on(service, "PrivateNetwork", ret_line))
		return "Its AF_UNIX sockets are in another network namespace, where the kernel is "
		       "not asked about them";
	if (is_set(service, "RuntimeDirectory", &runtime) &&
	    is_on(service, "DynamicUser", ret_line))
		return "Its RuntimeDirectory= is where only root comes, as it is kept";
	return NULL;
}

/* False for a path, perhaps behind a specifier like %t, an abstract name, or vsock. */
static bool is_inet(const char *value)
{
	if (value[0] == '/' || value[0] == '@' || !strncmp(value, "vsock:", 6))
		return false;
	return !(value[0] == '%' && strchr(value, '/'));
}

/* Each slot gets a path of its own for it. */
static bool is_path(const struct assignment *a)
{
	char path[HS_PATH_MAX];

	return !strcmp(a->key, "ListenStream") && path_from_listen(a->value, path);
}

/* Listeners that are switched: TCP and UDP, and by a link AF_UNIX. */
static bool is_switched(const struct assignment *a)
{
	bool inet = (!strcmp(a->key, "ListenStream") || !strcmp(a->key, "ListenDatagram")) &&
		    is_inet(a->value);

	return inet || is_path(a);
}

static void lint_address(struct lint_report *report, const struct assignment *a)
{
	bool stream = !strcmp(a->key, "ListenStream");

	if (is_switched(a) && lint_depends_on_slot(a->value))
		lint_line(report, true, a,
			  "Each slot then has another address, and traffic can only be switched "
			  "between slots that have the same",
			  "Write the address without a % specifier");
	else if (is_switched(a))
		return;
	else if (!stream || lint_depends_on_slot(a->value))
		lint_line(report, false, a,
			  "Only TCP, UDP and AF_UNIX stream listeners that all slots share are "
			  "switched, this one is not",
			  "Expect to lose what arrives here while its instance restarts");
	else
		lint_line(report, false, a,
			  "Only TCP, UDP and AF_UNIX stream listeners are switched, and of others "
			  "only one slot can have it",
			  "Give each slot an address of its own here, with %i in it");
}

/* Listen*=: all of them are one list, and an empty one of any kind resets it. */
static void lint_addresses(struct lint_report *report, const struct lint_unit *socket)
{
	const struct assignment *items = socket->settings.items;
	size_t first = 0, n_switched = 0;

	for (size_t i = 0; i < socket->settings.n; i++)
		if (!strcmp(items[i].section, "Socket") && !strncmp(items[i].key, "Listen", 6) &&
		    !*items[i].value)
			first = i + 1;
	for (size_t i = first; i < socket->settings.n; i++) {
		if (strcmp(items[i].section, "Socket") != 0 ||
		    strncmp(items[i].key, "Listen", 6) != 0)
			continue;
		lint_address(report, &items[i]);
		n_switched += is_switched(&items[i]);
	}
	if (!n_switched)
		add_missing(report, socket, "ListenStream= with a TCP address or a path is missing",
			    "Only TCP, UDP and AF_UNIX stream listeners are switched, and there is "
			    "none",
			    "Add one like ListenStream=8080, or ListenDatagram=53");
}

static void lint_protocol(struct lint_report *report, const struct lint_unit *socket)
{
	const struct assignment *a =
		assignments_last(&socket->settings, "Socket", "SocketProtocol");

	if (a && *a->value)
		lint_line(
			report, true, a,
			"The kernel lets a program choose between plain TCP and UDP listeners only",
			"Remove the line");
}

void lint_per_connection(struct lint_report *report, const struct lint_unit *socket)
{
	const struct assignment *a;
	bool on;

	a = last_switch(&socket->settings, "Socket", "Accept", &on);
	if (on)
		lint_line(report, true, a,
			  "systemd then accepts the connections itself and starts a process for "
			  "each, so no instance has a listener that could be switched",
			  "Set Accept=no, with a server that accepts for itself");
}

static void lint_switches(struct lint_report *report, const struct lint_unit *socket)
{
	const struct assignment *a;
	bool on;

	lint_per_connection(report, socket);

	/* our drop-in sets these two; only a file that is read after it has the last word */
	a = last_switch(&socket->settings, "Socket", "FlushPending", &on);
	if (on && dropin_is_later(a->file))
		lint_line(report, true, a,
			  "systemd then throws away the waiting connections when the service stops",
			  "Remove the line");

	a = last_switch(&socket->settings, "Socket", "ReusePort", &on);
	if (!on && a && dropin_is_later(a->file))
		lint_line(report, true, a,
			  "Without it only one slot can listen on the address at a time",
			  "Remove the line");
}

/* The slot's own path is longer than the one that it stands for. */
static void lint_long_paths(struct lint_report *report, const struct lint_unit *socket,
			    const char *service)
{
	char name[SERVICE_NAME_MAX], path[HS_PATH_MAX], file[PATH_FILE_MAX];
	unsigned slot;

	if (name_from_unit(service, name, &slot))
		return;
	for (size_t i = 0; i < socket->settings.n; i++) {
		const struct assignment *a = &socket->settings.items[i];

		if (!assignment_is(a, "Socket", "ListenStream") ||
		    !path_from_listen(a->value, path))
			continue;
		path_of_slot(name, HS_SLOTS_MAX - 1, path, file);
		if (strlen(file) >= HS_PATH_MAX)
			lint_line(report, true, a,
				  "Each slot gets a path of its own below " PATH_ROOT
				  ", which would be longer than the 107 bytes of a socket's name",
				  "Shorten the path, or the name of the service");
	}
}

void lint_socket(struct lint_report *report, const struct lint_unit *socket, const char *service)
{
	const char *const services[] = {service, NULL};

	lint_switches(report, socket);
	lint_protocol(report, socket);
	lint_addresses(report, socket);
	lint_long_paths(report, socket, service);

	for (size_t i = 0; i < socket->settings.n; i++) {
		const struct assignment *a = &socket->settings.items[i];

		if ((assignment_is(a, "Unit", "PropagatesStopTo") ||
		     assignment_is(a, "Install", "RequiredBy")) &&
		    names_one(a, socket->name, services))
			lint_line(report, true, a, WHY_STOPPED, REMEDY_STOPPED);
	}
}
