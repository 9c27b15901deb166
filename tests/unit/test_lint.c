/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/setup/lint: every rule, with set-ups that it must name and such that it must leave alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/setup/collector.h"
#include "core/setup/commands.h"
#include "core/setup/lint.h"
#include "core/setup/shared.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/strings.h"

#define ITEMS_MAX 64
#define EIGHTY	  "01234567890123456789012345678901234567890123456789012345678901234567890123456789"
#define SOCKET_OK "[Socket]\nListenStream=8080\nReusePort=yes\n"

/* A unit from one text; "--- PATH" begins the next file. */
struct unit {
	char text[2048];
	struct assignment items[ITEMS_MAX];
	struct lint_unit lint;
};

static void parse_file(struct unit *unit, const char *path, char *text)
{
	enum ini_kind kind;
	struct ini ini;

	ini_init(&ini, text);
	while ((kind = ini_next(&ini)) != INI_END) {
		assert_int_not_equal(kind, INI_GARBAGE);
		if (kind != INI_ASSIGNMENT)
			continue;
		assert_true(unit->lint.settings.n < ITEMS_MAX);
		unit->items[unit->lint.settings.n++] =
			(struct assignment) {path, ini.line, ini.section, ini.key, ini.value};
	}
}

static void unit_init(struct unit *unit, const char *name, const char *fragment, const char *text)
{
	const char *path = fragment;
	char *p = unit->text, *next;

	*unit = (struct unit) {.lint = {.name = name, .fragment = fragment}};
	unit->lint.settings.items = unit->items;
	snprintf(unit->text, sizeof(unit->text), "%s", text);
	while ((next = strstr(p, "--- "))) {
		*next = 0;
		parse_file(unit, path, p);
		path = next + 4;
		p = strchr(path, '\n');
		*p++ = 0;
	}
	parse_file(unit, path, p);
}

/* The findings as "PLACE WHAT" lines, each with "refuse" or "note" in front. */
static void summary(const struct lint_report *report, char *text, size_t size)
{
	bool refused = false;
	size_t n = 0;

	*text = 0;
	for (size_t i = 0; i < report->n; i++) {
		const struct lint_finding *f = &report->items[i];
		char line[LINT_TEXT_MAX];

		n += (size_t)snprintf(text + n, size - n, "%s %s:%u %s\n",
				      f->refuses ? "refuse" : "note", f->file ? f->file : "-",
				      f->line, f->what);
		refused |= f->refuses;
		/* each one is a whole message */
		assert_true(strlen(f->why) > 10);
		assert_true(strlen(f->remedy) > 10);
		assert_non_null(strstr(lint_format(f, line), f->remedy));
	}
	assert_int_equal(report->refused, refused);
}

static void check(const struct lint_report *report, const char *expected, size_t row)
{
	char text[4096];

	summary(report, text, sizeof(text));
	if (strcmp(text, expected) != 0)
		fail_msg("row %zu: expected\n%sgot\n%s", row, expected, text);
}

static void test_socket(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{SOCKET_OK, ""},
		{"[Socket]\nListenStream=0.0.0.0:80\nListenStream=[::]:443\nReusePort=1\nBacklog="
		 "4096\n"
		 "Accept=no\nFlushPending=off\n",
		 ""},
		/* Accept= */
		{SOCKET_OK "Accept=yes\n", "refuse f:4 Accept=yes\n"},
		{SOCKET_OK "Accept=true\n--- d/o.conf\n[Socket]\nAccept=no\n", ""},
		{SOCKET_OK "--- d/o.conf\n[Socket]\nAccept=on\n", "refuse d/o.conf:2 Accept=on\n"},
		/* systemd passes over what is no switch */
		{SOCKET_OK "Accept=yes\nAccept=\nAccept=perhaps\n", "refuse f:4 Accept=yes\n"},
		{SOCKET_OK "Accept=perhaps\n", ""},
		{SOCKET_OK "[Service]\nAccept=yes\n", ""},
		{SOCKET_OK "accept=yes\n", ""},
		/* ReusePort= and FlushPending= are set by us, unless another file is read later */
		{"[Socket]\nListenStream=8080\n", ""},
		{"[Socket]\nListenStream=8080\nReusePort=no\nFlushPending=yes\n", ""},
		{SOCKET_OK "--- d/app@.socket.d/zzz.conf\n[Socket]\nReusePort=no\n",
		 "refuse d/app@.socket.d/zzz.conf:2 ReusePort=no\n"},
		{SOCKET_OK "--- d/app@.socket.d/zzz.conf\n[Socket]\nReusePort=no\nReusePort=yes\n",
		 ""},
		{SOCKET_OK "--- d/app@.socket.d/zzz.conf\n[Socket]\nFlushPending=yes\n",
		 "refuse d/app@.socket.d/zzz.conf:2 FlushPending=yes\n"},
		/* protocol */
		{SOCKET_OK "SocketProtocol=mptcp\n", "refuse f:4 SocketProtocol=mptcp\n"},
		{SOCKET_OK "SocketProtocol=mptcp\nSocketProtocol=\n", ""},
		/* what is listened on */
		{"[Socket]\nReusePort=yes\n",
		 "refuse f:0 ListenStream= with a TCP address or a path is missing\n"},
		{SOCKET_OK "ListenDatagram=8080\n", ""},
		{SOCKET_OK "ListenDatagram=808%i\n", "refuse f:4 ListenDatagram=808%i\n"},
		{SOCKET_OK "ListenDatagram=/run/s\nListenSequentialPacket=/run/s-%i\n",
		 "note f:4 ListenDatagram=/run/s\nnote f:5 ListenSequentialPacket=/run/s-%i\n"},
		{SOCKET_OK "ListenFIFO=/run/f\nListenStream=/run/s\nListenStream=@abstract\n"
			   "ListenStream=%t/s\nListenStream=vsock::80\n",
		 "note f:4 ListenFIFO=/run/f\nnote f:6 ListenStream=@abstract\n"
		 "note f:8 ListenStream=vsock::80\n"},
		/* a path that all slots share is enough; one that is too long below ours is not */
		{"[Socket]\nListenStream=/run/s\n", ""},
		{"[Socket]\nListenStream=%t/app/s.sock\nListenSequentialPacket=/run/p\n",
		 "note f:3 ListenSequentialPacket=/run/p\n"},
		{"[Socket]\nListenStream=/run/" EIGHTY "/s\n",
		 "refuse f:2 ListenStream=/run/" EIGHTY "/s\n"},
		{"[Socket]\nReusePort=yes\nListenStream=/run/app-%i.sock\n",
		 "note f:3 ListenStream=/run/app-%i.sock\n"
		 "refuse f:0 ListenStream= with a TCP address or a path is missing\n"},
		{"[Socket]\nReusePort=yes\nListenDatagram=53\n", ""},
		/* an empty one of any kind resets them all */
		{"[Socket]\nReusePort=yes\nListenStream=/run/s\nListenDatagram=\nListenStream=80\n",
		 ""},
		{SOCKET_OK "--- d/o.conf\n[Socket]\nListenStream=\n",
		 "refuse f:0 ListenStream= with a TCP address or a path is missing\n"},
		/* an address that differs between the slots */
		{"[Socket]\nReusePort=yes\nListenStream=808%i\n",
		 "refuse f:3 ListenStream=808%i\n"},
		{"[Socket]\nReusePort=yes\nListenStream=127.0.0.1%%i:80\n", ""},
		{"[Socket]\nReusePort=yes\nListenStream=[fe80::1%%eth0]:80\n", ""},
		/* stops the service with it */
		{SOCKET_OK "[Unit]\nPropagatesStopTo=app@%i.service\n",
		 "refuse f:5 PropagatesStopTo=app@%i.service\n"},
		{SOCKET_OK "[Install]\nRequiredBy=x.service app@%i.service\n",
		 "refuse f:5 RequiredBy=x.service app@%i.service\n"},
		{SOCKET_OK "[Install]\nRequiredBy=sockets.target\n", ""},
		/* several at once */
		{"[Socket]\nAccept=yes\nSocketProtocol=mptcp\n",
		 "refuse f:2 Accept=yes\nrefuse f:3 SocketProtocol=mptcp\n"
		 "refuse f:0 ListenStream= with a TCP address or a path is missing\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lint_report report = {};
		struct unit unit;

		unit_init(&unit, "app@0.socket", "f", cases[i].text);
		lint_socket(&report, &unit.lint, "app@0.service");
		check(&report, cases[i].expected, i);
	}
}

static void test_service(void **state)
{
	static const char *const sockets[] = {"app@0.socket", "web@0.socket", NULL};
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"", ""},
		{"[Unit]\nWants=app@%i.socket\nAfter=app@%i.socket\n[Service]\nExecStart=/x\n", ""},
		{"[Unit]\nRequires=network.target\nBindsTo=db.service\n", ""},
		/* every way to write the socket unit */
		{"[Unit]\nRequires=app@%i.socket\n", "refuse f:2 Requires=app@%i.socket\n"},
		{"[Unit]\nRequires=app@%I.socket\n", "refuse f:2 Requires=app@%I.socket\n"},
		{"[Unit]\nRequires=%p@%i.socket\n", "refuse f:2 Requires=%p@%i.socket\n"},
		{"[Unit]\nRequires=%P@%i.socket\n", "refuse f:2 Requires=%P@%i.socket\n"},
		{"[Unit]\nRequires=%N.socket\n", "refuse f:2 Requires=%N.socket\n"},
		{"[Unit]\nRequires=app@.socket\n", "refuse f:2 Requires=app@.socket\n"},
		{"[Unit]\nRequires=app@0.socket\n", "refuse f:2 Requires=app@0.socket\n"},
		{"[Unit]\nRequires=web@%i.socket\n", "refuse f:2 Requires=web@%i.socket\n"},
		{"[Unit]\nRequires=a.target\t app@%i.socket b.target\n",
		 "refuse f:2 Requires=a.target\t app@%i.socket b.target\n"},
		{"[Unit]\nBindsTo=app@%i.socket\nRequisite=app@%i.socket\nPartOf=app@%i.socket\n"
		 "StopPropagatedFrom=app@%i.socket\n",
		 "refuse f:2 BindsTo=app@%i.socket\nrefuse f:3 Requisite=app@%i.socket\n"
		 "refuse f:4 PartOf=app@%i.socket\nrefuse f:5 StopPropagatedFrom=app@%i.socket\n"},
		/* there is no resetting dependencies */
		{"[Unit]\nRequires=app@%i.socket\n--- d/o.conf\n[Unit]\nRequires=\n",
		 "refuse f:2 Requires=app@%i.socket\n"},
		{"[Unit]\nRequires=other@%i.socket app@1.socket app@%i.service app.socket\n", ""},
		{"[Service]\nRequires=app@%i.socket\n", ""},
		{"[Unit]\nRequires=app@%%i.socket app@%x.socket % %\n", ""},
		/* read after our drop-in */
		{"[Service]\nExecStop=/x\n--- s.d/zzz.conf\n[Service]\nExecStop=\nExecStop=/y\n",
		 "refuse s.d/zzz.conf:2 ExecStop=\n"},
		{"--- s.d/zzz.conf\n[Service]\nExecStartPost=\n",
		 "refuse s.d/zzz.conf:2 ExecStartPost=\n"},
		{"--- s.d/zzz.conf\n[Service]\nExecStop=/y\nExecStart=\n", ""},
		{"--- s.d/a.conf\n[Service]\nExecStop=\nExecStartPost=\n", ""},
		/* others */
		{"[Install]\nDefaultInstance=blue\n", "note f:2 DefaultInstance=blue\n"},
		{"[Install]\nDefaultInstance=16\n", "note f:2 DefaultInstance=16\n"},
		{"[Install]\nDefaultInstance=0\n", ""},
		{"[Install]\nDefaultInstance=blue\nDefaultInstance=\n", ""},
		{"[Service]\nPrivateNetwork=yes\n", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lint_report report = {};
		struct unit unit;

		unit_init(&unit, "app@0.service", "f", cases[i].text);
		lint_service(&report, &unit.lint, sockets);
		check(&report, cases[i].expected, i);
	}
}

/* Without a socket unit, the server binds for itself. */
static void test_service_without_socket(void **state)
{
	static const char *const none[] = {NULL};
	struct lint_report report = {};
	struct unit unit;

	(void)state;
	unit_init(&unit, "app@0.service", "f",
		  "[Unit]\nRequires=app@%i.socket\n[Service]\nPrivateNetwork=yes\n");
	lint_service(&report, &unit.lint, none);
	check(&report, "note f:4 PrivateNetwork=yes\n", 0);
	report = (struct lint_report) {};
	lint_service(&report, &unit.lint, NULL);
	check(&report, "note f:4 PrivateNetwork=yes\n", 1);
	report = (struct lint_report) {};
	unit_init(&unit, "app@0.service", "f",
		  "[Service]\nPrivateNetwork=yes\nNetworkNamespacePath=/run/netns/app\n");
	lint_service(&report, &unit.lint, NULL);
	check(&report, "", 2);
}

/* systemd knows of the dependency although no line says so, unless one does. */
static void test_stopped_by(void **state)
{
	static const char *const sockets[] = {"app@0.socket", NULL};
	char *stopped_by[] = {"x.service", "app@0.socket", NULL};
	struct lint_report report = {};
	struct unit unit;

	(void)state;
	unit_init(&unit, "app@0.service", "f", "[Service]\nExecStart=/x\n");
	unit.lint.stopped_by = stopped_by;
	lint_service(&report, &unit.lint, sockets);
	check(&report, "refuse f:0 app@.service is stopped together with app@.socket\n", 0);

	report = (struct lint_report) {};
	unit_init(&unit, "app@0.service", "f", "[Unit]\nBindsTo=%N.socket\n");
	unit.lint.stopped_by = stopped_by;
	lint_service(&report, &unit.lint, sockets);
	check(&report, "refuse f:2 BindsTo=%N.socket\n", 1);
}

/* What is to stand for all slots, or be taken over from, must not stop them, nor they that. */
static void test_plain(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"[Unit]\nPartOf=app.service\n", "refuse f:2 PartOf=app.service\n"},
		{"[Unit]\nRequires=db.service %p.service\n",
		 "refuse f:2 Requires=db.service %p.service\n"},
		{"[Unit]\nBindsTo=app.service\nConflicts=app.service\n",
		 "refuse f:2 BindsTo=app.service\nrefuse f:3 Conflicts=app.service\n"},
		{"[Unit]\nWants=app.service\nAfter=app.service\nPartOf=web.service app@1.service\n",
		 ""},
		{"[Unit]\nConflicts=app.socket\n[Service]\nPartOf=app.service\n", ""},
	};
	char *known[] = {"x.service", "app.service", NULL};
	struct lint_report report = {};
	struct unit unit;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		report = (struct lint_report) {};
		unit_init(&unit, "app@0.service", "f", cases[i].text);
		lint_plain(&report, &unit.lint, "app.service");
		check(&report, cases[i].expected, i);
	}
	/* where no line of the template says so */
	report = (struct lint_report) {};
	unit_init(&unit, "app@0.service", "f", "[Service]\nExecStart=/x\n");
	unit.lint.stopped_by = unit.lint.excludes = known;
	lint_plain(&report, &unit.lint, "app.service");
	check(&report,
	      "refuse f:0 app@.service is stopped together with app.service\n"
	      "refuse f:0 app@.service cannot run beside app.service\n",
	      0);
	report = (struct lint_report) {};
	lint_plain(&report, &unit.lint, "other.service");
	check(&report, "", 1);
}

/* Our commands run as root: what is theirs must not come from a place that the unit names. */
static void test_root(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"RootDirectory=/srv/app\nExecStart=/x\n", ""},
		{"ExecStartPre=/x\nExecStop=/y\n", ""},
		{"RootDirectory=/\nExecStop=/y\n", ""},
		{"RootDirectory=/srv/app\nRootDirectory=\nExecStop=/y\n", ""},
		{"RootDirectory=/srv/app\nExecCondition=/a\nExecStartPre=/b\nExecStartPost=-+/c\n"
		 "ExecReload=/d\nExecStop=/e\nExecStopPost=/f\n",
		 "refuse f:3 ExecCondition=/a\nrefuse f:4 ExecStartPre=/b\n"
		 "refuse f:5 ExecStartPost=-+/c\nrefuse f:6 ExecReload=/d\n"
		 "refuse f:7 ExecStop=/e\nrefuse f:8 ExecStopPost=/f\n"},
		{"RootImage=/srv/app.raw\nExecStop=/e\n", "refuse f:3 ExecStop=/e\n"},
		{"RootDirectory=/srv/app\nExecStop=/e\nExecStop=\n", ""},
		{"RootDirectory=/srv/app\nRootDirectoryStartOnly=yes\nExecStop=/e\n", ""},
		{"RootDirectory=/srv/app\nRootDirectoryStartOnly=yes\nRootDirectoryStartOnly=0\n"
		 "ExecStop=/e\n",
		 "refuse f:5 ExecStop=/e\n"},
		/* what we write is no consent of the user's, and no command of theirs */
		{"RootDirectory=/srv/app\nExecStop=/e\n--- d/app@.service.d/zz-hotstandby.conf\n"
		 "[Service]\nRootDirectoryStartOnly=yes\nExecStop=\nExecStop=-+/hook\nExecStop=/"
		 "e\n",
		 "refuse f:3 ExecStop=/e\n"},
		{"RootDirectory=/srv/app\n--- d/app@.service.d/zzz.conf\n[Service]\n"
		 "RootDirectoryStartOnly=no\n",
		 "refuse d/app@.service.d/zzz.conf:2 RootDirectoryStartOnly=no\n"},
		/* mounts: their own places, and ours */
		{"BindPaths=/srv/a:/opt/a /srv/b\nBindReadOnlyPaths=-/etc/pki:/etc/pki:rbind\n"
		 "BindPaths=/usr /lib:/lib\nMountImages=/srv/i:/srv/j\nBindPaths=/srv/t:%t/app\n"
		 "BindPaths=/srv/c:/etc/app /srv/d:/library /srv/e:/usr/share/app\n"
		 "TemporaryFileSystem=/srv ReadWritePaths=/usr\n",
		 ""},
		{"BindPaths=/srv/a:/usr\n", "refuse f:2 BindPaths=/srv/a:/usr\n"},
		{"BindPaths=/srv/b:/b /srv/a:/\n", "refuse f:2 BindPaths=/srv/b:/b /srv/a:/\n"},
		{"BindPaths=\"/srv/a:/usr/./lib//\"\n",
		 "refuse f:2 BindPaths=\"/srv/a:/usr/./lib//\"\n"},
		{"BindReadOnlyPaths=-/srv/a:/usr/lib/hotstandby/hs-hook:norbind\n",
		 "refuse f:2 BindReadOnlyPaths=-/srv/a:/usr/lib/hotstandby/hs-hook:norbind\n"},
		{"BindPaths=/srv/a:/lib64\n", "refuse f:2 BindPaths=/srv/a:/lib64\n"},
		{"BindPaths=/srv/a:/opt/../usr\n", "refuse f:2 BindPaths=/srv/a:/opt/../usr\n"},
		{"BindPaths=/srv/a:%t/dbus\n", "refuse f:2 BindPaths=/srv/a:%t/dbus\n"},
		{"BindPaths=/srv/a:%E\n", "refuse f:2 BindPaths=/srv/a:%E\n"},
		{"BindPaths=/srv/a:/usr\nBindPaths=\n", ""},
		{"MountImages=/srv/i:/usr:nosuid\n", "refuse f:2 MountImages=/srv/i:/usr:nosuid\n"},
		{"ExtensionImages=/srv/i\nExtensionDirectories=/srv/d\n",
		 "refuse f:2 ExtensionImages=/srv/i\nrefuse f:3 ExtensionDirectories=/srv/d\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *text = format("[Service]\n%s", cases[i].text);
		struct lint_report report = {};
		struct unit unit;

		unit_init(&unit, "app@0.service", "f", text);
		lint_service(&report, &unit.lint, NULL);
		check(&report, cases[i].expected, i);
	}
}

/* "app.socket" with Accept=yes makes app@.service a template for connections, not for slots. */
static void test_per_connection(void **state)
{
	struct lint_report report = {};
	struct unit unit;

	(void)state;
	unit_init(&unit, "app.socket", "f", "[Socket]\nListenStream=22\nAccept=yes\n");
	lint_per_connection(&report, &unit.lint);
	check(&report, "refuse f:3 Accept=yes\n", 0);
	report = (struct lint_report) {};
	unit_init(&unit, "app.socket", "f", "[Socket]\nListenStream=22\nFlushPending=yes\n");
	lint_per_connection(&report, &unit.lint);
	check(&report, "", 1);
}

/* Names at the limit, and longer than any unit's. */
static void test_long_names(void **state)
{
	static const char *const sockets[] = {"app@0.socket", NULL};
	struct assignment item = {"f", 1, "Unit", "Requires", NULL};
	struct lint_unit unit = {.name = "app@0.service", .fragment = "f", .settings = {&item, 1}};
	_cleanup_(freep) char *huge = calloc(1, 100001);

	(void)state;
	for (size_t length = 200; length <= 100000; length += length < 600 ? 1 : 49700) {
		static const char *const patterns[] = {"a", "%i", "%N", "%n.socket@"};

		for (size_t k = 0; k < ARRAY_SIZE(patterns); k++) {
			struct lint_report report = {};

			for (size_t i = 0; i < length; i++)
				huge[i] = patterns[k][i % strlen(patterns[k])];
			memcpy(huge + length - 8, "@.socket", 8);
			huge[length] = 0;
			item.value = huge;
			lint_service(&report, &unit, sockets);
			assert_int_equal(report.n, 0);
		}
	}
	/* and with a unit whose name is no instance */
	unit.name = "app";
	item.value = "%i@.socket %N %n";
	lint_service(&(struct lint_report) {}, &unit, sockets);
}

/* Whether a collector is told, by the line that starts it and by the ports, with this Flow=. */
static const char *collector_told(const char *command, unsigned port, enum hs_flow_mode flow,
				  char *text, size_t size)
{
	struct lint_report report = {};
	struct config config;
	struct unit unit;
	char file[256];

	config_init(&config);
	config.flow = flow;
	if (port)
		config.ports[config.n_ports++] =
			(struct config_port) {.port = (uint16_t)port, .udp = true};
	snprintf(file, sizeof(file), "[Service]\nExecStart=%s\n", command);
	unit_init(&unit, "app@0.service", "/app", file);
	collector_lint(&report, &unit.lint, &config);
	summary(&report, text, size);
	assert_false(report.refused);
	if (report.n)
		assert_non_null(strstr(report.items[0].remedy, "Flow=none"));
	return text;
}

/* Exporters are never idle: what is told is the line, or the port where the program says nothing.
 */
static void test_collector(void **state)
{
	static const struct {
		const char *command;
		unsigned port;
		const char *told;
	} rows[] = {
		{"/usr/sbin/nfacctd -f /etc/nfacctd.conf", 0,
		 "note /app:2 ExecStart=/usr/sbin/nfacctd -f /etc/nfacctd.conf\n"},
		{"-@/usr/sbin/nfacctd x", 2100, "note /app:2 ExecStart=-@/usr/sbin/nfacctd x\n"},
		{"goflow2", 0, "note /app:2 ExecStart=goflow2\n"},
		{"/usr/bin/own", 4739, "note -:0 Flow=connection with port 4739/udp, of IPFIX\n"},
		{"/usr/bin/own", 53, ""},
		{"/usr/bin/own nfacctd", 0, ""},
		{"/usr/sbin/nfacctd-like", 0, ""},
		{"/usr/sbin/nfacctd/own", 0, ""},
		{"", 0, ""},
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_string_equal(collector_told(rows[i].command, rows[i].port,
						   HS_FLOW_CONNECTION, text, sizeof(text)),
				    rows[i].told);
		assert_string_equal(collector_told(rows[i].command, rows[i].port, HS_FLOW_NONE,
						   text, sizeof(text)),
				    "");
	}
}

static void test_name(void **state)
{
	static const struct {
		const char *text, *remedy;
	} bad[] = {
		{"app@0.service", "Give app@.service"},
		{"app@1", "Give app@.service"},
		{"php8.2-fpm@blue.service", "Give php8.2-fpm@.service"},
		{"app@.socket", "Give app@.service"},
		{"app.socket", "Give app@.service"},
		{"nginx.service",
		 "copy its unit file to nginx@.service, and start instances 0 and 1"},
		{"", "Give one like app@.service"},
		{"a b", "Give one like app@.service"},
		{"../x@.service", "Give one like app@.service"},
	};
	static const char *const good[] = {"app", "app@", "app@.service", "php8.2-fpm@.service"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct lint_report report = {};

		assert_false(lint_name(&report, bad[i].text));
		assert_int_equal(report.n, 1);
		assert_true(report.refused);
		assert_string_equal(report.items[0].what, bad[i].text);
		assert_non_null(strstr(report.items[0].remedy, bad[i].remedy));
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct lint_report report = {};

		assert_true(lint_name(&report, good[i]));
		assert_int_equal(report.n, 0);
	}
}

static void test_load(void **state)
{
	static const struct {
		enum lint_load load;
		const char *fragment, *detail, *text;
	} cases[] = {
		{LINT_NOT_FOUND, NULL, NULL,
		 "app@.service: There is no such unit. Check the name with: systemctl "
		 "list-unit-files"},
		{LINT_PLAIN, "/lib/app.service", NULL,
		 "/lib/app.service: app@.service: There is a unit of this name, but it is no "
		 "template"},
		{LINT_PLAIN, "/lib/app.service", NULL,
		 "copy the file to /etc/systemd/system/app@.service"},
		{LINT_MASKED, "/dev/null", NULL, "Unmask it: systemctl unmask app@.service."},
		{LINT_BROKEN, "/lib/app@.service", "It is bad.",
		 "app@.service: It is bad. See what"},
		{LINT_BROKEN, "/lib/app@.service", NULL, "systemd cannot load the unit. See what"},
		{LINT_OTHER_NAME, NULL, "web@.service",
		 "another name of the unit. Give that: web@.service."},
	};
	struct lint_report none = {};

	(void)state;
	lint_load(&none, LINT_OK, "app@.service", NULL, NULL);
	assert_int_equal(none.n, 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lint_report report = {};
		char text[LINT_TEXT_MAX];

		lint_load(&report, cases[i].load, "app@.service", cases[i].fragment,
			  cases[i].detail);
		assert_true(report.refused);
		if (!strstr(lint_format(&report.items[0], text), cases[i].text))
			fail_msg("row %zu: %s", i, text);
	}
}

static void test_format(void **state)
{
	struct lint_finding finding = {.file = "/f", .line = 7, .why = "Bad", .what = "A=b"};
	char text[LINT_TEXT_MAX];

	(void)state;
	strcpy(finding.remedy, "Do");
	assert_string_equal(lint_format(&finding, text), "/f:7: A=b: Bad. Do.");
	finding.line = 0;
	assert_string_equal(lint_format(&finding, text), "/f: A=b: Bad. Do.");
	finding.file = NULL;
	finding.why = "systemd says so.";
	assert_string_equal(lint_format(&finding, text), "A=b: systemd says so. Do.");
}

/* The same finding from another slot is said once; more than fit still refuse. */
static void test_report(void **state)
{
	struct lint_report report = {};

	(void)state;
	for (unsigned i = 0; i < 2 * LINT_FINDINGS_MAX; i++) {
		struct lint_finding finding = {.file = "/f", .line = i / 2, .why = "Bad"};

		lint_add(&report, &finding);
	}
	assert_int_equal(report.n, LINT_FINDINGS_MAX);
	assert_false(report.refused);
	lint_add(&report, &(struct lint_finding) {.refuses = true, .file = "/g", .why = "Bad"});
	assert_int_equal(report.n, LINT_FINDINGS_MAX);
	assert_true(report.refused);
}

/* What a plain unit that was copied to a template has in common for all its slots. */
static void test_shared(void **state)
{
	static const struct {
		const char *slots[2], *pid_file, *runtime, *expected;
	} cases[] = {
		{{"", ""}, NULL, NULL, ""},
		{{"[Service]\nPIDFile=/run/a.pid\n", "[Service]\nPIDFile=/run/a.pid\n"},
		 "/run/a.pid",
		 NULL,
		 ""},
		{{"[Service]\nPIDFile=/run/%i.pid\nRuntimeDirectory=a-%i\n",
		  "[Service]\nPIDFile=/run/%i.pid\nRuntimeDirectory=a-%i\n"},
		 NULL,
		 NULL,
		 ""},
		/* an instance has a drop-in of its own */
		{{"[Service]\nPIDFile=/run/a.pid\n", "[Service]\nPIDFile=/run/b.pid\n"},
		 NULL,
		 NULL,
		 ""},
		{{"[Service]\nPIDFile=/run/a.pid\n", "[Service]\nPIDFile=/run/a.pid\nPIDFile=\n"},
		 NULL,
		 NULL,
		 ""},
		{{"[Service]\nRuntimeDirectory=a b\n", "[Service]\nRuntimeDirectory=a b\n"},
		 NULL,
		 "a b",
		 ""},
		/* lines add up, words are judged one by one, and an instance has others */
		{{"[Service]\nRuntimeDirectory=a\nRuntimeDirectory=a-%i\n",
		  "[Service]\nRuntimeDirectory=a\nRuntimeDirectory=a-%i\n"},
		 NULL,
		 "a",
		 ""},
		{{"[Service]\nRuntimeDirectory=a/%i 'a' c\n", "[Service]\nRuntimeDirectory=b a\n"},
		 NULL,
		 "a",
		 ""},
		{{"[Service]\nRuntimeDirectory=a\n",
		  "[Service]\nRuntimeDirectory=a\nRuntimeDirectory=\nRuntimeDirectory=b\n"},
		 NULL,
		 NULL,
		 ""},
		/* as nginx has it */
		{{"",
		  "[Service]\nType=forking\nPIDFile=/run/a.pid\nExecStop=/x --pidfile /run/a.pid\n"
		  "ExecReload=/x $MAINPID\nExecStart=/y /run/a.pid\n"},
		 NULL,
		 NULL,
		 "note f:4 ExecStop=/x --pidfile /run/a.pid\n"},
		/* such as are replaced */
		{{"", "[Service]\nExecStop=/sbin/start-stop-daemon --stop --pidfile /run/a.pid\n"
		      "ExecReload=pkill -HUP a\n"},
		 NULL,
		 NULL,
		 ""},
		{{"[Service]\nPIDFile=/run/a.pid\n",
		  "[Service]\nType=forking\nPIDFile=/run/a.pid\nExecStop=/x --pidfile /run/a.pid\n"
		  "ExecReload=/x /run/a.pid2\nExecReload=/x -HUP '/run/a.pid'\nExecStart=/y "
		  "/run/a.pid\n"},
		 "/run/a.pid",
		 NULL,
		 "note f:5 ExecReload=/x /run/a.pid2\nnote f:3 PIDFile=/run/a.pid\n"},
		/* by what signal is not to be seen */
		{{"[Service]\nPIDFile=/run/a.pid\n",
		  "[Service]\nPIDFile=/run/a.pid\nExecReload=uwsgi --reload /run/a.pid\n"},
		 "/run/a.pid",
		 NULL,
		 "note f:3 ExecReload=uwsgi --reload /run/a.pid\n"},
		/* as bind9 has it */
		{{"", "[Service]\nExecReload=rndc reload\nExecStop=rndc stop\n"},
		 NULL,
		 NULL,
		 "note f:2 ExecReload=rndc reload\nnote f:3 ExecStop=rndc stop\n"},
		/* those that know which one is meant, and those that are no more */
		{{"", "[Service]\nExecReload=kill -HUP $MAINPID\nExecReload=sshd -t\nExecStop=x\n"
		      "ExecStop=\nExecStop=x stop %i\n"},
		 NULL,
		 NULL,
		 ""},
		{{"", "[Service]\nEnvironment=A=%i\nExecStop=apachectl stop\n"}, NULL, NULL, ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lint_report report = {};
		_cleanup_(shared_done) struct shared shared = {};
		char folders[64] = "";
		struct unit units[2];
		size_t n = 0;

		for (unsigned slot = 0; slot < 2; slot++) {
			unit_init(&units[slot], "app@.service", "f", cases[i].slots[slot]);
			assert_int_equal(shared_look(&shared, &units[slot].lint, slot), 0);
		}
		shared_lint(&shared, &report, &units[1].lint);
		assert_int_equal(!shared.pid_file, !cases[i].pid_file);
		if (shared.pid_file)
			assert_string_equal(shared.pid_file, cases[i].pid_file);
		for (char **p = shared.runtime_directories; p && *p; p++)
			n += snprintf(folders + n, sizeof(folders) - n, "%s%s", n ? " " : "", *p);
		assert_string_equal(folders, cases[i].runtime ?: "");
		check(&report, cases[i].expected, i);
	}
}

/* What becomes of each line: "KEY=value" of those that are left, then the signal. */
static void test_commands(void **state)
{
	static const struct {
		const char *unit, *pid_file, *expected;
	} cases[] = {
		{"ExecStop=/x stop\nExecStop=\nExecStop=/y stop\n", NULL, "ExecStop=/y stop\n"},
		/* programs that signal their running copy by themselves */
		{"ExecStartPre=/usr/sbin/nginx -t -g 'daemon on;'\n"
		 "ExecReload=/usr/sbin/nginx -g 'daemon on;' -s reload\n",
		 NULL,
		 "ExecStartPre=/usr/sbin/nginx -t -g 'daemon on;'\n"
		 "ExecReload=kill -s HUP $MAINPID\nExecReload!\n"},
		{"ExecReload=/usr/sbin/apachectl graceful\nExecStop=/usr/sbin/apachectl "
		 "graceful-stop\n",
		 NULL, "ExecReload=kill -s USR1 $MAINPID\nExecReload!\nExecStop!\nSIGWINCH\n"},
		{"ExecReload=/x -s other\n", NULL, "ExecReload=/x -s other\n"},
		/* nginx's own */
		{"ExecStartPre=/usr/sbin/nginx -t -q -g 'daemon on; master_process on;'\n"
		 "ExecStop=-/sbin/start-stop-daemon --quiet --stop --retry QUIT/5 --pidfile "
		 "/run/nginx.pid\n",
		 "/run/nginx.pid",
		 "ExecStartPre=/usr/sbin/nginx -t -q -g 'daemon on; master_process on;'\n"
		 "ExecStop!\nSIGQUIT\n"},
		/* by file, by name, by port */
		{"ExecStop=/bin/kill -s INT $(cat /run/x)\n", NULL, "ExecStop!\nSIGINT\n"},
		{"ExecStop=/bin/sh -c 'kill -WINCH `cat /run/x`'\n", NULL, "ExecStop!\nSIGWINCH\n"},
		{"ExecStop=pkill -F /run/x.pid\n", NULL, "ExecStop!\n"},
		{"ExecStop=-+/usr/bin/killall x\n", NULL, "ExecStop!\n"},
		{"ExecStop=/usr/bin/fuser -k 80/tcp\n", NULL, "ExecStop!\n"},
		{"ExecStop=/x --pid=/run/x.pid stop\n", "/run/x.pid", "ExecStop!\n"},
		{"ExecStop=/x --pid=/run/x.pid2 stop\n", "/run/x.pid",
		 "ExecStop=/x --pid=/run/x.pid2 stop\n"},
		/* the others of the list stay */
		{"ExecStop=/a\nExecStop=killall x\nExecStop=/b\n", NULL,
		 "ExecStop=/a\nExecStop=/b\nExecStop!\n"},
		{"ExecReload=+/bin/kill -HUP $(cat /run/x)\n", NULL,
		 "ExecReload=+kill -s HUP $MAINPID\nExecReload!\n"},
		{"ExecStartPre=-/usr/bin/pkill x\nExecStartPre=/bin/rm -f /run/x.pid\n",
		 "/run/x.pid", "ExecStartPre=/bin/rm -f /run/x.pid\nExecStartPre!\n"},
		{"ExecStopPost=-/usr/bin/pkill x\n", NULL, "ExecStopPost!\n"},
		/* signals in any way to write them */
		{"ExecReload=start-stop-daemon --stop --signal 1 --pidfile /run/x\n", NULL,
		 "ExecReload=kill -s HUP $MAINPID\nExecReload!\n"},
		{"ExecReload=/bin/sh -c 'kill -1 $(cat /run/x)'\n", NULL,
		 "ExecReload=kill -s HUP $MAINPID\nExecReload!\n"},
		{"ExecReload=killall -hup x\n", NULL,
		 "ExecReload=kill -s HUP $MAINPID\nExecReload!\n"},
		{"ExecReload=pkill -ALRM x\n", NULL,
		 "ExecReload=kill -s ALRM $MAINPID\nExecReload!\n"},
		{"ExecReload=pkill --signal=rtmin+1 x\n", NULL,
		 "ExecReload=kill -s RTMIN+1 $MAINPID\nExecReload!\n"},
		{"ExecReload=kill -sUSR1 `cat /run/x`\n", NULL,
		 "ExecReload=kill -s USR1 $MAINPID\nExecReload!\n"},
		{"ExecReload=sh -c 'kill -0 `cat /run/x` && kill -hup `cat /run/x`'\n", NULL,
		 "ExecReload=kill -s HUP $MAINPID\nExecReload!\n"},
		{"ExecStop=kill -3 `cat /run/x`\n", NULL, "ExecStop!\nSIGQUIT\n"},
		{"ExecStop=pkill -SIGRTMAX x\n", NULL, "ExecStop!\nSIGRTMIN+30\n"},
		{"ExecStop=start-stop-daemon --stop --retry quit/5/kill/5 --pidfile /run/x\n", NULL,
		 "ExecStop!\nSIGQUIT\n"},
		/* those that look like signals, and such as come later */
		{"ExecStop=start-stop-daemon --stop --retry 3 --pidfile /run/x\n", NULL,
		 "ExecStop!\n"},
		{"ExecStop=pkill -u 10 x\n", NULL, "ExecStop!\n"},
		{"ExecStop=sh -c 'kill `cat /run/x`; sleep 5; kill -9 `cat /run/x`'\n", NULL,
		 "ExecStop!\n"},
		/* a reload whose signal nobody knows is none by SIGTERM, unless it is by itself */
		{"ExecReload=pkill x\n", NULL, "ExecReload=kill -s TERM $MAINPID\nExecReload!\n"},
		{"ExecReload=uwsgi --reload /run/x.pid\n", "/run/x.pid",
		 "ExecReload=uwsgi --reload /run/x.pid\n"},
		{"ExecReload=pumactl -P /run/x.pid phased-restart\n", "/run/x.pid",
		 "ExecReload=pumactl -P /run/x.pid phased-restart\n"},
		{"ExecReload=fuser -k 80/tcp\n", NULL, "ExecReload=fuser -k 80/tcp\n"},
		{"ExecReload=kill -0 `cat /run/x`\n", NULL, "ExecReload=kill -0 `cat /run/x`\n"},
		/* who knows which slot is meant */
		{"ExecStop=/bin/kill -QUIT $MAINPID\n", NULL,
		 "ExecStop=/bin/kill -QUIT $MAINPID\n"},
		{"ExecStop=pkill -F /run/%i.pid\n", NULL, "ExecStop=pkill -F /run/%i.pid\n"},
		{"Environment=P=/run/%i.pid\nExecStop=pkill -F $P\n", NULL,
		 "ExecStop=pkill -F $P\n"},
		{"Environment=P=/run/%i.pid\nExecStop=kill $(cat /run/x)\n", NULL, "ExecStop!\n"},
		/* who only sounds like it */
		{"ExecStartPre=/sbin/start-stop-daemon --start --exec /x\n", NULL,
		 "ExecStartPre=/sbin/start-stop-daemon --start --exec /x\n"},
		{"ExecStop=/opt/killer/stop --no-kill skilled\n", NULL,
		 "ExecStop=/opt/killer/stop --no-kill skilled\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(commands_done) struct commands commands = {};
		_cleanup_(freep) char *text = format("[Service]\n%s", cases[i].unit);
		char said[1024] = "";
		struct unit unit;
		size_t n = 0;

		unit_init(&unit, "app@0.service", "f", text);
		assert_int_equal(commands_read(&commands, &unit.lint, cases[i].pid_file), 0);
		for (unsigned list = 0; list < COMMANDS_COUNT; list++) {
			const char *key = command_list_to_string(list);

			for (char **p = commands.lines[list]; p && *p; p++)
				n += snprintf(said + n, sizeof(said) - n, "%s=%s\n", key, *p);
			if (commands.replaced[list])
				n += snprintf(said + n, sizeof(said) - n, "%s!\n", key);
		}
		if (commands.kill_signal[0])
			snprintf(said + n, sizeof(said) - n, "%s\n", commands.kill_signal);
		assert_string_equal(said, cases[i].expected);
	}
}

/* Slots whose lines differ have each its own, in front of ours; what stops must be the same. */
static void test_commands_of_two_slots(void **state)
{
	static const struct {
		const char *a, *b;
		bool fit;
		unsigned left; /* lines of ExecStartPost= that are shared */
	} cases[] = {
		{"ExecStop=/x\nExecStartPost=/y\n", "ExecStop=/x\nExecStartPost=/y\n", true, 1},
		{"ExecStop=/x 0\n", "ExecStop=/x 1\n", false, 0},
		{"ExecStartPost=/y 0\n", "ExecStartPost=/y 1\n", true, 0},
		{"ExecStop=/x\n", "", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(commands_done) struct commands a = {}, b = {};
		_cleanup_(freep) char *text_a = format("[Service]\n%s", cases[i].a);
		_cleanup_(freep) char *text_b = format("[Service]\n%s", cases[i].b);
		struct unit unit_a, unit_b;

		unit_init(&unit_a, "app@0.service", "f", text_a);
		unit_init(&unit_b, "app@1.service", "f", text_b);
		assert_int_equal(commands_read(&a, &unit_a.lint, NULL), 0);
		assert_int_equal(commands_read(&b, &unit_b.lint, NULL), 0);
		assert_int_equal(commands_fit(&a, &b), cases[i].fit);
		commands_share(&a, &b);
		assert_int_equal(strings_count(a.lines[COMMANDS_START_POST]), cases[i].left);
	}
}

static void test_hidden_paths(void **state)
{
	static const struct {
		const char *text, *key;
	} cases[] = {
		{"[Service]\nUser=a\nRuntimeDirectory=a\n", NULL},
		{"[Service]\nRootDirectory=/srv/a\n", "RootDirectory"},
		{"[Service]\nRootDirectory=/srv/a\nRootDirectory=\n", NULL},
		{"[Service]\nRootImage=/a.raw\n", "RootImage"},
		{"[Service]\nPrivateNetwork=yes\n", "PrivateNetwork"},
		{"[Service]\nPrivateNetwork=yes\nPrivateNetwork=no\n", NULL},
		{"[Service]\nNetworkNamespacePath=/run/netns/a\n", "NetworkNamespacePath"},
		{"[Service]\nDynamicUser=yes\n", NULL},
		{"[Service]\nDynamicUser=yes\nRuntimeDirectory=a\n", "DynamicUser"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct assignment *line;
		struct unit unit;
		const char *why;

		unit_init(&unit, "app@0.service", "f", cases[i].text);
		why = lint_hides_paths(&unit.lint, &line);
		assert_int_equal(why != NULL, cases[i].key != NULL);
		if (why)
			assert_string_equal(line->key, cases[i].key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_service),
		cmocka_unit_test(test_service_without_socket),
		cmocka_unit_test(test_stopped_by),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_hidden_paths),
		cmocka_unit_test(test_per_connection),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_collector),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_commands_of_two_slots),
		cmocka_unit_test(test_report),
	};

	return cmocka_run_group_tests_name("lint", tests, NULL, NULL);
}
