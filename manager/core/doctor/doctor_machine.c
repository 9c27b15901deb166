// SPDX-License-Identifier: GPL-2.0-or-later
/* Judging the machine: its kernel, its sysctls, systemd and hsd. */
#include <inttypes.h>
#include <stdio.h>

#include "core/doctor/doctor.h"
#include "core/doctor/fastability.h"
#include "util/macro.h"

#define NEWER_KERNEL "Use a newer kernel"
#define OTHER_BUILD                                                                       \
	"Build hotstandby with another release of clang (make CLANG=clang-16), or use a " \
	"newer kernel"
/* what reads the kernel's own structures */
#define NOT_LOCKED   "that lets root load iterators over maps"
#define READS_KERNEL OTHER_BUILD ", with CONFIG_DEBUG_INFO_BTF, " NOT_LOCKED

/* ---- what the kernel can do ---- */

static const struct {
	const char *what, *why, *remedy;
} abilities[] = {
	[ABILITY_SELECT] = {"A program chooses the listener of a connection",
			    "Without that nothing can be switched",
			    NEWER_KERNEL " (5.14 or later), with CONFIG_BPF_SYSCALL"},
	[ABILITY_MIGRATION] = {"Waiting connections move when their listener closes",
			       "Without that what waits for a server that stops is lost",
			       NEWER_KERNEL " (5.14 or later)"},
	[ABILITY_WAKEUP] = {"A server is woken for connections that move to it",
			    "They would wait until the next one arrives (CVE-2026-46015). hsd "
			    "wakes the server itself after each move; without hsd a crash leaves "
			    "them waiting",
			    NEWER_KERNEL "; until then keep hsd running"},
	[ABILITY_HANDSHAKES] = {"Half-open handshakes move with their listener",
				"Without that clients that connect while a server stops are reset",
				NEWER_KERNEL " (5.14 or later)"},
	[ABILITY_UDP] = {"A program chooses the socket of a datagram",
			 "Without that UDP services cannot be switched", NEWER_KERNEL},
	[ABILITY_COOKIES] = {"Handshakes with SYN cookies can be switched",
			     "Without that a SYN flood takes the choice away", NEWER_KERNEL},
	[ABILITY_MMAP] = {"Maps are shared with user space by mmap",
			  "The routing word is changed that way", NEWER_KERNEL " (5.5 or later)"},
	[ABILITY_RING] = {"Ring buffers tell of moves and late listeners",
			  "Without them events are not seen", NEWER_KERNEL " (5.8 or later)"},
	[ABILITY_COUNTS] = {"Live connections are counted per slot",
			    "Without that a drain cannot see its end",
			    NEWER_KERNEL ", with CONFIG_CGROUP_BPF"},
	[ABILITY_BIND] = {"A program gives sockets SO_REUSEPORT as they bind",
			  "Without that Intake=forced does nothing: a server has to set the "
			  "option itself, or to be given its sockets by a socket unit",
			  NEWER_KERNEL " (6.1 or later), with CONFIG_CGROUP_BPF"},
	[ABILITY_GETFD] = {"Sockets can be borrowed from an instance",
			   "Without that no socket can be adopted",
			   "See whether kernel.yama.ptrace_scope is 3, or a seccomp filter forbids "
			   "pidfd_getfd(2)"},
	[ABILITY_FCHOWN] = {"A socket can be given to another user",
			    "Without that slots cannot run as different users", NEWER_KERNEL},
	[ABILITY_SETNS] = {"Network namespaces can be entered",
			   "Without that services with a network of their own are not seen",
			   "See whether a seccomp filter or a container forbids setns(2)"},
	[ABILITY_CENSUS] = {"What connections are doing can be seen",
			    "Without that hsctl connections tells no age, no idle ones and no "
			    "half-open handshakes; all else works",
			    "Use a kernel with CONFIG_DEBUG_INFO_BTF, which has "
			    "/sys/kernel/btf/vmlinux, " NOT_LOCKED},
	[ABILITY_LOADS_SELECTOR] = {"The kernel loads the selector",
				    "Without it nothing can be switched", OTHER_BUILD},
	[ABILITY_LOADS_UDP] = {"The kernel loads the selector for UDP",
			       "Without it UDP services cannot be switched", OTHER_BUILD},
	[ABILITY_LOADS_ACCOUNTING] =
		{"The kernel loads the accounting program",
		 "Without it connections are not counted, a drain cannot see its "
		 "end, and late listeners are not noticed",
		 OTHER_BUILD},
	[ABILITY_LOADS_CENSUS] = {"The kernel loads the census",
				  "Without it hsctl connections tells no age, no idle ones and no "
				  "half-open handshakes; all else works",
				  READS_KERNEL},
	[ABILITY_LOADS_QUEUES] = {"The kernel loads the look at accept queues",
				  "Without it all sockets are listed to find instances that hang: "
				  "less often, and at a cost for everybody; all else works",
				  READS_KERNEL},
	[ABILITY_LOADS_MOTION] =
		{"The kernel loads the look at what moves",
		 "Without it an instance that hangs is left, but restarted only when it is halted",
		 READS_KERNEL},
	[ABILITY_LOADS_FORCE] = {"The kernel loads the bind programs",
				 "Without them Intake=forced does nothing: a server has to set "
				 "SO_REUSEPORT itself, or to be given its sockets by a socket unit",
				 OTHER_BUILD},
	[ABILITY_LOADS_GUARD] = {"The kernel loads the guard of the selector",
				 "Without it an instance can take the selector off its sockets, or "
				 "replace it",
				 OTHER_BUILD},
	[ABILITY_LOADS_OWN] = {"The kernel loads the programs of the own way",
			       "Without them an instance that connects to its own service, while "
			       "it starts say, reaches the active slot or the park",
			       OTHER_BUILD},
	[ABILITY_LOADS_EXEC] = {"The kernel loads the programs for a command",
				"Without them hsctl exec and probes reach no slot", OTHER_BUILD},
	[ABILITY_LOADS_MPTCP] = {"The kernel loads the program against MPTCP",
				 "Without it servers that listen by MPTCP, as those in Go do by "
				 "themselves, cannot be switched",
				 OTHER_BUILD ", or turn MPTCP off in the servers (Go: "
					     "GODEBUG=multipathtcp=0)"},
	[ABILITY_LOADS_FRONT_DEVICE] = {"The kernel loads the program of a front's device",
					"Without it no service can have hosts for slots",
					OTHER_BUILD},
	[ABILITY_LOADS_FRONT] = {"The kernel loads the program of a front",
				 "Without it no service can have hosts for slots", OTHER_BUILD},
	[ABILITY_LOADS_LED] = {"The kernel loads the programs for probes of hosts",
			       "Without them hosts of a front are not probed by the way that "
			       "clients' packets take",
			       OTHER_BUILD},
	[ABILITY_LOADS_LED_EXEC] = {"The kernel loads the programs for a command to a host",
				    "Without them hsctl exec and plugins reach no host of a front",
				    OTHER_BUILD},
	[ABILITY_LOADS_DECAP] = {"The kernel loads the program that unpacks",
				 "Without it Decap=yes does nothing", OTHER_BUILD},
	[ABILITY_LOADS_FAST] = {"The kernel loads the fast path",
				"Without it [FastPath] does nothing: connections go by TCP",
				READS_KERNEL},
};
_Static_assert(ARRAY_SIZE(abilities) == ABILITY_COUNT, "words for each ability");

static void judge_ability(struct doctor_report *report, enum ability ability,
			  const struct ability_result *result)
{
	struct doctor_advice advice = {.id = ability_to_string(ability)};
	const char *what = abilities[ability].what;

	switch (result->verdict) {
	case ABILITY_WORKS:
		doctor_add(report, DOCTOR_OK, &advice, "%s", what);
		break;
	case ABILITY_FAILS:
		advice.why = abilities[ability].why;
		advice.remedy = abilities[ability].remedy;
		doctor_add(report, DOCTOR_FINDING, &advice, "This kernel cannot do it: %s (%s)",
			   what, result->detail);
		break;
	default:
		advice.why = result->detail;
		doctor_add(report, DOCTOR_SKIPPED, &advice, "%s", what);
	}
}

bool doctor_fitness(struct doctor_report *report, const struct ability_result *results,
		    const char *release)
{
	static const struct doctor_advice unfit = {
		"kernel.fit", "hsd does not start here, and hsctl enable writes nothing",
		NEWER_KERNEL " (5.14 or later)"};
	struct problem sentence;

	if (!ability_refuses(results, release, &sentence))
		return true;
	doctor_add(report, DOCTOR_FINDING, &unfit, "%s", sentence.text);
	return false;
}

void doctor_kernel(struct doctor_report *report, const struct ability_result *results)
{
	for (unsigned i = 0; i < ABILITY_COUNT; i++)
		judge_ability(report, (enum ability)i, &results[i]);
}

void doctor_fastpath(struct doctor_report *report, const struct ability_result *results)
{
	for (unsigned i = 0; i < FAST_ABILITY_COUNT; i++) {
		struct doctor_advice advice = {.id = fast_ability_to_string(i)};
		enum doctor_status status = DOCTOR_OK;

		if (results[i].verdict == ABILITY_FAILS) {
			status = DOCTOR_FINDING;
			advice.why = fast_ability_why(i);
			advice.remedy = fast_ability_remedy(i);
		} else if (results[i].verdict == ABILITY_UNKNOWN) {
			status = DOCTOR_SKIPPED;
			advice.why = results[i].detail;
		}
		if (status == DOCTOR_FINDING)
			doctor_add(report, status, &advice, "%s: not so on the fast path (%s)",
				   fast_ability_what(i), results[i].detail);
		else
			doctor_add(report, status, &advice, "%s", fast_ability_what(i));
	}
}

/* ---- sysctls ---- */

static const struct {
	const char *id, *name, *path;
	int64_t min, max, normal; /* what is in order, and the kernel's default */
	const char *why;
} sysctls[] = {
	[SYSCTL_MIGRATE_REQ] =
		{"sysctl.migrate-req", "net.ipv4.tcp_migrate_req", "net/ipv4/tcp_migrate_req", 0, 0,
		 0,
		 "hotstandby does not need it, and it moves the connections of other "
		 "servers to any of their sockets"},
	[SYSCTL_ABORT_ON_OVERFLOW] = {"sysctl.abort-on-overflow", "net.ipv4.tcp_abort_on_overflow",
				      "net/ipv4/tcp_abort_on_overflow", 0, 0, 0,
				      "Clients are reset when an accept queue is full, as it may "
				      "be for a moment after a move, instead of trying again"},
	[SYSCTL_SYNCOOKIES] = {"sysctl.syncookies", "net.ipv4.tcp_syncookies",
			       "net/ipv4/tcp_syncookies", 1, 2, 1,
			       "A SYN flood, or a burst of clients, then fills the queue of "
			       "handshakes and others cannot connect"},
	[SYSCTL_MAX_SYN_BACKLOG] = {"sysctl.max-syn-backlog", "net.ipv4.tcp_max_syn_backlog",
				    "net/ipv4/tcp_max_syn_backlog", 128, INT64_MAX, 1024,
				    "Few handshakes can be under way at once; all clients that "
				    "come back together after an outage do not fit"},
	[SYSCTL_SOMAXCONN] = {"sysctl.somaxconn", "net.core.somaxconn", "net/core/somaxconn", 128,
			      INT64_MAX, 4096,
			      "It cuts every server's backlog: what waits while an instance starts "
			      "or after a move does not fit"},
	[SYSCTL_BPF_JIT] = {"sysctl.bpf-jit", "net.core.bpf_jit_enable", "net/core/bpf_jit_enable",
			    1, 2, 1,
			    "The selector is interpreted, which takes several times as "
			    "long for each connection"},
};
_Static_assert(ARRAY_SIZE(sysctls) == DOCTOR_SYSCTL_COUNT, "a rule for each sysctl");

const char *doctor_sysctl_path(enum doctor_sysctl sysctl)
{
	return sysctls[sysctl].path;
}

static void judge_sysctl(struct doctor_report *report, enum doctor_sysctl i, int64_t value)
{
	struct doctor_advice advice = {.id = sysctls[i].id};
	char remedy[192];

	if (value < 0) {
		advice.why = "There is no such sysctl here";
		doctor_add(report, DOCTOR_SKIPPED, &advice, "%s", sysctls[i].name);
		return;
	}
	if (value >= sysctls[i].min && value <= sysctls[i].max) {
		doctor_add(report, DOCTOR_OK, &advice, "%s is %" PRId64, sysctls[i].name, value);
		return;
	}
	snprintf(remedy, sizeof(remedy),
		 "Set the kernel's default: sysctl -w %s=%" PRId64
		 ", and the same in /etc/sysctl.d",
		 sysctls[i].name, sysctls[i].normal);
	advice.why = sysctls[i].why;
	advice.remedy = remedy;
	doctor_add(report, DOCTOR_FINDING, &advice, "%s is %" PRId64, sysctls[i].name, value);
}

void doctor_sysctls(struct doctor_report *report, const struct doctor_sysctls *read)
{
	for (unsigned i = 0; i < DOCTOR_SYSCTL_COUNT; i++)
		judge_sysctl(report, (enum doctor_sysctl)i, read->values[i]);
}

/* ---- the rest ---- */

static void judge_capabilities(struct doctor_report *report, const struct doctor_machine *machine)
{
	static const struct doctor_advice missing = {
		"system.capabilities",
		"What hotstandby does to the kernel needs them; a container or a service may have "
		"them taken away",
		"Run this as root outside, or give the container what it lacks"};
	static const struct doctor_advice fine = {.id = "system.capabilities"};

	if (machine->capabilities[0])
		doctor_add(report, DOCTOR_FINDING, &missing, "This process lacks %s",
			   machine->capabilities);
	else
		doctor_add(report, DOCTOR_OK, &fine, "No capability is missing");
}

static void judge_mounts(struct doctor_report *report, const struct doctor_machine *machine)
{
	static const struct doctor_advice no_proc = {
		"system.proc", "Processes, and what else is mounted, are found there",
		"Mount it, as this is perhaps a chroot: mount -t proc proc /proc"};
	static const struct doctor_advice no_sys = {
		"system.sys", "The BPF file system and the control groups are below it",
		"Mount it, as this is perhaps a chroot: mount -t sysfs sysfs /sys; then what "
		"belongs below it"};
	static const struct doctor_advice no_bpffs = {
		"system.bpffs", "Nothing can be pinned, so nothing would outlive hsd",
		"Mount it: mount -t bpf -o mode=0700 bpf /sys/fs/bpf (systemd does so at boot)"};
	static const struct doctor_advice no_cgroups = {
		"system.cgroup",
		"Instances' processes are found, and their connections counted, by cgroup2",
		"Mount it: mount -t cgroup2 cgroup2 /sys/fs/cgroup, or boot with "
		"systemd.unified_cgroup_hierarchy=1"};
	static const struct doctor_advice bpffs = {.id = "system.bpffs"};
	static const struct doctor_advice cgroups = {.id = "system.cgroup"};

	if (machine->no_proc)
		doctor_add(report, DOCTOR_FINDING, &no_proc, "There is no /proc");
	if (machine->no_sys)
		doctor_add(report, DOCTOR_FINDING, &no_sys, "There is no /sys");
	if (machine->bpffs)
		doctor_add(report, DOCTOR_OK, &bpffs, "A BPF file system is on /sys/fs/bpf");
	else
		doctor_add(report, DOCTOR_FINDING, &no_bpffs,
			   "There is no BPF file system on /sys/fs/bpf");
	if (machine->cgroups == CGROUPS_NONE)
		doctor_add(report, DOCTOR_FINDING, &no_cgroups, "There is no cgroup2 mount");
	else
		doctor_add(report, DOCTOR_OK, &cgroups, "cgroup2 is on %s (%s layout)",
			   machine->cgroup_mount,
			   machine->cgroups == CGROUPS_UNIFIED
				   ? "unified"
				   : "hybrid: hsd attaches bind programs itself");
}

/* What an older systemd lacks is done in another way, or missed in rare cases: no finding. */
static void judge_systemd(struct doctor_report *report, const struct doctor_machine *machine)
{
	static const struct doctor_advice silent = {
		"system.systemd", "Without it hotstandby knows nothing of units",
		"Boot this system with systemd, or see systemctl status"};
	static const struct doctor_advice fine = {.id = "system.systemd"};

	if (!machine->systemd)
		doctor_add(report, DOCTOR_FINDING, &silent, "systemd does not answer");
	else
		doctor_add(report, DOCTOR_OK, &fine, "systemd %u%s%s", machine->systemd,
			   machine->systemd < 249 ? "; hsd attaches bind programs itself (249)"
						  : "",
			   machine->systemd < 254
				   ? "; systemctl stop hsd, unlike restart, drops parks (254)"
				   : "");
}

void doctor_machine(struct doctor_report *report, const struct doctor_machine *machine)
{
	judge_capabilities(report, machine);
	judge_mounts(report, machine);
	judge_systemd(report, machine);
}

#define WITHOUT_HSD                                                                         \
	"The kernel goes on switching over when an instance ends, but nobody restarts it, " \
	"looks for hangs or parks connections"

/* Not what has just failed, but what helps. */
static void judge_absence(struct doctor_report *report, const struct doctor_machine *machine)
{
	static const struct doctor_advice absent = {"hsd.running", WITHOUT_HSD,
						    "Start it: systemctl enable --now hsd"};
	static const struct doctor_advice unknown = {
		"hsd.running", WITHOUT_HSD,
		"Run \"make install\", or, if it is installed: systemctl daemon-reload"};
	static const struct doctor_advice ends = {
		"hsd.running", WITHOUT_HSD,
		"See to what it says; the whole of it: journalctl -u hsd. systemd starts it again "
		"by itself, unless it has given up: systemctl restart hsd"};

	if (machine->hsd_ends)
		doctor_add(report, DOCTOR_FINDING, &ends, "hsd ends soon after each start: %s",
			   machine->hsd_status[0] ? machine->hsd_status : "it says nothing");
	else if (machine->hsd_absent)
		doctor_add(report, DOCTOR_FINDING, &unknown, "systemd knows no hsd.service");
	else
		doctor_add(report, DOCTOR_FINDING, &absent, "hsd is not running");
}

void doctor_hsd(struct doctor_report *report, const struct doctor_machine *machine)
{
	static const struct doctor_advice silent = {
		"hsd.running", "It hangs, is still at its start, or cannot be reached on the bus",
		"Look at: systemctl status hsd dbus; then restart it, which disturbs no traffic: "
		"systemctl restart hsd"};
	static const struct doctor_advice halted = {
		"hsd.running", WITHOUT_HSD,
		"Let it go on: systemctl kill -s CONT hsd, or systemctl thaw hsd"};
	static const struct doctor_advice full = {
		"hsd.fd-store", "A park that finds no room there does not outlive a restart of hsd",
		"Raise FileDescriptorStoreMax= in a drop-in: systemctl edit hsd"};
	static const struct doctor_advice runs = {.id = "hsd.running"};
	static const struct doctor_advice room = {.id = "hsd.fd-store"};

	if (!machine->hsd_runs) {
		judge_absence(report, machine);
		return;
	}
	if (machine->hsd_answers)
		doctor_add(report, DOCTOR_OK, &runs, "hsd is running");
	else if (machine->hsd_halted)
		doctor_add(report, DOCTOR_FINDING, &halted,
			   "hsd does not answer: it is halted, by a signal or the freezer");
	else
		doctor_add(report, DOCTOR_FINDING, &silent,
			   "hsd runs, but does not answer, however long it is waited for");
	if (machine->store_used >= machine->store_max)
		doctor_add(report, DOCTOR_FINDING, &full,
			   "The file descriptor store of hsd is full (%u of %u)",
			   machine->store_used, machine->store_max);
	else
		doctor_add(report, DOCTOR_OK, &room, "hsd's file descriptor store holds %u of %u",
			   machine->store_used, machine->store_max);
}
