// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/probe/confined.h"

#include <linux/capability.h>
#include <signal.h>
#include <string.h>

#include "util/files.h"
#include "util/macro.h"

#define SYSTEMD		"org.freedesktop.systemd1"
#define SYSTEMD_PATH	"/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"

#define FOLDER HS_PREFIX "/lib/hotstandby/"

#define MIB (UINT64_C(1024) * 1024)

#define TASKS_MAX 128

struct sandbox_text {
	const char *name, *value;
};

struct sandbox_number {
	const char *name;
	uint64_t value;
};

static const char *const switches[] = {
	"NoNewPrivileges",
	"PrivateTmp",
	"PrivateDevices",
	"PrivateMounts",
	"ProtectClock",
	"ProtectControlGroups",
	"ProtectHostname",
	"ProtectKernelLogs",
	"ProtectKernelModules",
	"ProtectKernelTunables",
	"RestrictRealtime",
	"RestrictSUIDSGID",
	"LockPersonality",
	"MemoryDenyWriteExecute",
	"RemoveIPC",
};

static const struct sandbox_text texts[] = {
	{"Type", "exec"},
	{"CollectMode", "inactive-or-failed"},
	{"ProtectSystem", "strict"},
	{"ProtectHome", "yes"},
	{"ProtectProc", "invisible"},
	{"ProcSubset", "pid"},
	{"StandardOutput", "journal"},
	{"StandardError", "journal"},
	{"KeyringMode", "private"},
};

/* No namespace of any kind. What it may use at most: a thousand probes under way, and plugins of
 * the size of an interpreter. */
static const struct sandbox_number numbers[] = {
	{"RestrictNamespaces", 0},
	{"MemoryMax", 256 * MIB},
	{"MemorySwapMax", 0},
	{"TasksMax", TASKS_MAX},
	{"LimitNOFILE", 16384},
	{"LimitCORE", 0},
	{"TimeoutStopUSec", 2 * USEC_PER_SEC},
};

/* Ways to somebody who may more, and what others have written: each is closed, whether it is there
 * or not. Not all of /run/systemd: systemd needs it to make the rest. */
static const char *const hidden[] = {
	"-/run/dbus",	     "-/run/systemd/private", "-/run/systemd/journal",
	"-/run/hotstandby",  "-/run/hs-borrow",	      "-/run/hsd",
	"-/etc/hotstandby",  "-/sys/fs/bpf",	      "-/run/log",
	"-/var/log/journal",
};

static int append_switches(sd_bus_message *m, const struct confined_order *order)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(switches); i++)
		r = sd_bus_message_append(m, "(sv)", switches[i], "b", 1);
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)(sv)", "DynamicUser", "b", !order->user[0],
					  "PrivateNetwork", "b",
					  !order->runs_others && !order->network && !order->raw);
	return r;
}

static int append_values(sd_bus_message *m, const struct confined_order *order)
{
	uint64_t capabilities = order->raw ? UINT64_C(1) << CAP_NET_RAW : 0;
	int r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)", "Description", "s", order->description,
				      "KillSignal", "i", SIGKILL, "UMask", "u", 0077U,
				      "OOMScoreAdjust", "i", 500);

	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)(sv)", "CapabilityBoundingSet", "t", capabilities,
					  "AmbientCapabilities", "t", capabilities);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(texts); i++)
		r = sd_bus_message_append(m, "(sv)", texts[i].name, "s", texts[i].value);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(numbers); i++)
		r = sd_bus_message_append(m, "(sv)", numbers[i].name, "t", numbers[i].value);
	if (r >= 0 && order->user[0])
		r = sd_bus_message_append(m, "(sv)", "User", "s", order->user);
	/* of a user that is nobody else's: also where there is no controller for TasksMax= */
	else if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "LimitNPROC", "t", (uint64_t)TASKS_MAX);
	if (r >= 0 && order->network)
		r = sd_bus_message_append(m, "(sv)", "NetworkNamespacePath", "s", order->network);
	return r;
}

/* hs-probe opens no socket at all, but that its libraries want to try; hs-replay those alone. */
static int append_lists(sd_bus_message *m, const struct confined_order *order)
{
	int r = sd_bus_message_append(m, "(sv)", "SystemCallArchitectures", "as", 1, "native");

	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "SystemCallFilter", "(bas)", true, 1,
					  "@system-service");
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "SystemCallFilter", "(bas)", false, 3,
					  "@privileged", "@resources", "@keyring");
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "SystemCallErrorNumber", "i", EPERM);
	if (r >= 0 && order->runs_others)
		r = sd_bus_message_append(m, "(sv)", "RestrictAddressFamilies", "(bas)", true, 4,
					  "AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK");
	else if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "RestrictAddressFamilies", "(bas)", true, 2,
					  "AF_INET", "AF_INET6");
	return r;
}

static int append_hidden(sd_bus_message *m)
{
	int r = sd_bus_message_open_container(m, 'r', "sv");

	if (r >= 0)
		r = sd_bus_message_append(m, "s", "InaccessiblePaths");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "as");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "s");
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(hidden); i++)
		r = sd_bus_message_append(m, "s", hidden[i]);
	for (unsigned i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

static int append_program(sd_bus_message *m, const struct confined_order *order, int input_fd)
{
	_cleanup_(freep) char *program = format(FOLDER "%s", order->program);

	if (!program)
		return -ENOMEM;
	return sd_bus_message_append(m, "(sv)(sv)", "StandardInputFileDescriptor", "h", input_fd,
				     "ExecStart", "a(sasb)", 1, program, 1, program, false);
}

static int append_properties(sd_bus_message *m, const struct confined_order *order, int input_fd)
{
	int r = sd_bus_message_open_container(m, 'a', "(sv)");

	if (r >= 0)
		r = append_switches(m, order);
	if (r >= 0)
		r = append_values(m, order);
	if (r >= 0)
		r = append_lists(m, order);
	if (r >= 0)
		r = append_hidden(m);
	if (r >= 0)
		r = append_program(m, order, input_fd);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

int confined_start(sd_bus *bus, const char *unit, const struct confined_order *order, int input_fd,
		   unit_job_fn on_end, void *userdata, struct unit_job **ret_job)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(bus, &m, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					       "StartTransientUnit");

	if (r >= 0)
		r = sd_bus_message_append(m, "ss", unit, "fail");
	if (r >= 0)
		r = append_properties(m, order, input_fd);
	if (r >= 0)
		r = sd_bus_message_append(m, "a(sa(sv))", 0);
	return r < 0 ? r : unit_job_send(bus, m, on_end, userdata, ret_job);
}

int confined_place(sd_bus *bus, const char *unit, sd_bus_message_handler_t on_answer,
		   void *userdata, sd_bus_slot **ret_call)
{
	_cleanup_(freep) char *path = NULL;
	int r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);

	return r < 0 ? r
		     : sd_bus_call_method_async(bus, ret_call, SYSTEMD, path,
						"org.freedesktop.DBus.Properties", "Get", on_answer,
						userdata, "ss", SYSTEMD ".Service", "ControlGroup");
}

void confined_stop(sd_bus *bus, const char *unit)
{
	sd_bus_call_method_async(bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "StopUnit",
				 NULL, NULL, "ss", unit, "replace");
}
