// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/machine.h"

#include <limits.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/change/slot.h"
#include "plane/kernel/cgroup.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/parse.h"
#include "util/strings.h"

#define SYSTEMD		"org.freedesktop.systemd1"
#define SYSTEMD_PATH	"/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER SYSTEMD ".Manager"
#define SYSTEMD_UNIT	SYSTEMD ".Unit"
#define SYSTEMD_SERVICE SYSTEMD ".Service"

#define BPFFS "/sys/fs/bpf"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF	    39
#endif

/* ---- this process ---- */

static const struct {
	unsigned number;
	const char *name;
} capabilities[] = {
	{CAP_BPF, "CAP_BPF"},
	{CAP_PERFMON, "CAP_PERFMON"},
	{CAP_NET_ADMIN, "CAP_NET_ADMIN"},
	{CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
	{CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
	{CAP_CHOWN, "CAP_CHOWN"},
	{CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
};

static void read_capabilities(char *missing, size_t size)
{
	_cleanup_(freep) char *text = NULL;
	unsigned long long effective = 0;
	const char *line;
	size_t n = 0;

	missing[0] = '\0';
	if (file_read("/proc/self/status", 65536, &text) < 0)
		return;
	line = strstr(text, "CapEff:");
	if (!line || sscanf(line, "CapEff: %llx", &effective) != 1)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(capabilities) && n < size; i++)
		if (!(effective & (1ULL << capabilities[i].number)))
			n += (size_t)snprintf(missing + n, size - n, "%s%s", n ? ", " : "",
					      capabilities[i].name);
}

/* ---- mounts ---- */

static bool is_mounted(const char *path, unsigned type)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned)fs.f_type == type;
}

/* A container's /sys may be no sysfs. */
static bool is_there(const char *path)
{
	return !access(path, F_OK);
}

int machine_check_mounts(struct problem *problem)
{
	if (!is_there("/proc/self/stat"))
		return problem_set(
			problem, -ENODEV,
			"there is no /proc, where processes are found; mount it, as this "
			"is perhaps a chroot: mount -t proc proc /proc");
	if (!is_there("/sys/fs"))
		return problem_set(problem, -ENODEV,
				   "there is no /sys, and so no BPF file system and no control "
				   "groups; mount it, as this is perhaps a chroot: mount -t sysfs "
				   "sysfs /sys, and what belongs below it");
	return 0;
}

static enum doctor_cgroups read_cgroups(char *mount, size_t size)
{
	char path[PATH_MAX] = "";

	if (cgroup_mount(path, sizeof(path)) < 0)
		return CGROUPS_NONE;
	snprintf(mount, size, "%s", path);
	return strcmp(path, "/sys/fs/cgroup") ? CGROUPS_HYBRID : CGROUPS_UNIFIED;
}

/* ---- systemd ---- */

static unsigned systemd_version(sd_bus *systemd)
{
	_cleanup_(freep) char *text = NULL;
	unsigned version = 0;

	if (sd_bus_get_property_string(systemd, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "Version",
				       NULL, &text) < 0)
		return 0;
	/* "252.39-1~deb12u1", "v255" */
	return sscanf(text[0] == 'v' ? text + 1 : text, "%u", &version) == 1 ? version : 0;
}

static int unit_path(const char *unit, char **ret_path)
{
	return sd_bus_path_encode(SYSTEMD_PATH "/unit", unit, ret_path);
}

static unsigned get_number(sd_bus *systemd, const char *path, const char *property)
{
	uint32_t value = 0;

	return sd_bus_get_property_trivial(systemd, SYSTEMD, path, SYSTEMD_SERVICE, property, NULL,
					   'u', &value) < 0
		       ? 0
		       : value;
}

static void get_text(sd_bus *systemd, const char *path, const char *interface, const char *property,
		     char *text, size_t size)
{
	_cleanup_(freep) char *value = NULL;

	text[0] = '\0';
	if (sd_bus_get_property_string(systemd, SYSTEMD, path, interface, property, NULL, &value) >=
	    0)
		snprintf(text, size, "%s", value);
}

static bool is_running(const char *active_state)
{
	return unit_state_from_strings(active_state, "") == UNIT_RUNNING;
}

bool machine_hsd_runs(sd_bus *systemd)
{
	_cleanup_(freep) char *path = NULL;
	char active[32];

	if (unit_path("hsd.service", &path) < 0)
		return false;
	get_text(systemd, path, SYSTEMD_UNIT, "ActiveState", active, sizeof(active));
	return is_running(active);
}

void machine_release(char *release, size_t size)
{
	struct utsname name;

	snprintf(release, size, "%s", uname(&name) < 0 ? "" : name.release);
}

/* Between two starts it is "activating", with what the last one has said until the next one begins;
 * and "deactivating" for a moment. */
static bool ends_again(sd_bus *systemd, const char *path, const char *active, bool has_said)
{
	char result[32];

	if (!strcmp(active, "activating"))
		return has_said || get_number(systemd, path, "NRestarts");
	get_text(systemd, path, SYSTEMD_SERVICE, "Result", result, sizeof(result));
	return !strcmp(active, "failed") ||
	       (!strcmp(active, "deactivating") && strcmp(result, "success") != 0);
}

/* It gets no CPU time at all, in contrast to one that has to wait for it. */
static bool is_halted(pid_t pid)
{
	_cleanup_(freep) char *stat = NULL, *events = NULL;
	char path[PATH_MAX + 64], cgroup[PATH_MAX], mount[PATH_MAX];
	const char *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!pid || file_read(path, 4096, &stat) < 0)
		return false;
	/* behind the name, which may have any character */
	state = strrchr(stat, ')');
	if (state && (state[2] == 'T' || state[2] == 't'))
		return true;
	if (cgroup_of_process(pid, cgroup) < 0 || cgroup_mount(mount, sizeof(mount)) < 0)
		return false;
	_cleanup_(freep) char *file = format("%s%s/cgroup.events", mount, cgroup);

	return file && file_read(file, 4096, &events) >= 0 && strstr(events, "frozen 1");
}

static void read_hsd(sd_bus *systemd, struct doctor_machine *machine)
{
	_cleanup_(freep) char *path = NULL;
	char load[32], active[32];

	if (unit_path("hsd.service", &path) < 0)
		return;
	get_text(systemd, path, SYSTEMD_UNIT, "LoadState", load, sizeof(load));
	get_text(systemd, path, SYSTEMD_UNIT, "ActiveState", active, sizeof(active));
	get_text(systemd, path, SYSTEMD_SERVICE, "StatusText", machine->hsd_status,
		 sizeof(machine->hsd_status));
	machine->hsd_absent = !strcmp(load, "not-found");
	machine->hsd_runs = is_running(active);
	machine->hsd_ends = ends_again(systemd, path, active, machine->hsd_status[0]);
	machine->hsd_halted =
		machine->hsd_runs && is_halted((pid_t)get_number(systemd, path, "MainPID"));
	machine->store_max = get_number(systemd, path, "FileDescriptorStoreMax");
	machine->store_used = get_number(systemd, path, "NFileDescriptorStore");
}

bool machine_hsd_ends(sd_bus *systemd)
{
	struct doctor_machine machine = {0};

	read_hsd(systemd, &machine);
	return machine.hsd_ends;
}

void machine_read(sd_bus *systemd, struct doctor_machine *ret_machine)
{
	*ret_machine = (struct doctor_machine) {
		.no_proc = !is_there("/proc/self/stat"),
		.no_sys = !is_there("/sys/fs"),
		.bpffs = is_mounted(BPFFS, BPF_FS_MAGIC),
	};
	read_capabilities(ret_machine->capabilities, sizeof(ret_machine->capabilities));
	ret_machine->cgroups =
		read_cgroups(ret_machine->cgroup_mount, sizeof(ret_machine->cgroup_mount));
	if (!systemd)
		return;
	ret_machine->systemd = systemd_version(systemd);
	read_hsd(systemd, ret_machine);
}

static bool has_any(sd_bus *systemd, const char *path, const char *property)
{
	_cleanup_(strings_freep) char **list = NULL;

	return sd_bus_get_property_strv(systemd, SYSTEMD, path, SYSTEMD_UNIT, property, NULL,
					&list) >= 0 &&
	       strings_count(list);
}

/* A unit without [Install] ("static") may be started by anything. */
static enum doctor_boot read_boot(sd_bus *systemd, const char *path)
{
	_cleanup_(freep) char *state = NULL;

	if (has_any(systemd, path, "WantedBy") || has_any(systemd, path, "RequiredBy"))
		return BOOT_YES;
	if (sd_bus_get_property_string(systemd, SYSTEMD, path, SYSTEMD_UNIT, "UnitFileState", NULL,
				       &state) < 0)
		return BOOT_UNKNOWN;
	if (!strcmp(state, "disabled"))
		return BOOT_NO;
	return strncmp(state, "enabled", 7) ? BOOT_UNKNOWN : BOOT_YES;
}

void machine_read_slot(sd_bus *systemd, struct doctor_slot *slot)
{
	_cleanup_(freep) char *path = NULL, *kill_mode = NULL;

	if (!systemd || unit_path(slot->unit, &path) < 0)
		return;
	if (sd_bus_get_property_string(systemd, SYSTEMD, path, SYSTEMD_SERVICE, "KillMode", NULL,
				       &kill_mode) >= 0)
		snprintf(slot->kill_mode, sizeof(slot->kill_mode), "%s", kill_mode);
	(void)sd_bus_get_property_trivial(systemd, SYSTEMD, path, SYSTEMD_SERVICE,
					  "TimeoutStopUSec", NULL, 't', &slot->timeout_stop_usec);
	slot->boot = read_boot(systemd, path);
}

/* ---- sysctls ---- */

static int read_text(const char *name, char **ret_text)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	return file_read(path, 65536, ret_text);
}

static int64_t read_number(const char *name)
{
	_cleanup_(freep) char *text = NULL;
	long long value;

	if (read_text(name, &text) < 0 || sscanf(text, "%lld", &value) != 1)
		return -1;
	return value;
}

static void read_ports(struct doctor_sysctls *sysctls)
{
	_cleanup_(freep) char *range = NULL, *reserved = NULL;
	unsigned from, to;

	if (!read_text("net/ipv4/ip_local_port_range", &range) &&
	    sscanf(range, "%u %u", &from, &to) == 2) {
		sysctls->ports_from = (uint16_t)from;
		sysctls->ports_to = (uint16_t)to;
	}
	if (!read_text("net/ipv4/ip_local_reserved_ports", &reserved))
		snprintf(sysctls->reserved, sizeof(sysctls->reserved), "%s", reserved);
}

/* /proc/sys/net shows the namespace of who opens a file there. */
static int read_sysctls(void *userdata)
{
	struct doctor_sysctls *sysctls = userdata;

	for (unsigned i = 0; i < DOCTOR_SYSCTL_COUNT; i++)
		sysctls->values[i] = read_number(doctor_sysctl_path((enum doctor_sysctl)i));
	read_ports(sysctls);
	return 0;
}

int machine_read_sysctls(const struct netns *netns, struct doctor_sysctls *ret_sysctls)
{
	struct doctor_sysctls sysctls = {0};
	int r = netns_run(netns, read_sysctls, &sysctls);

	if (!r)
		*ret_sysctls = sysctls;
	return r;
}
