// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "plane/cgroup.h"
#include "plane/holder.h"
#include "util/clock.h"
#include "util/macro.h"
#include "util/parse.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* Instances that live in more than this are not servers of ours. */
#define NAMESPACES_MAX 8
/* A table that processes share is looked through once; of so many different ones it is known. */
#define TABLES_MAX 1024
/* The clock is looked at after so many descriptors. */
#define CLOCK_EVERY 4096

struct scan {
	struct listening_socket *listening; /* by inode, from the first process on */
	bool *found;			    /* likewise: it is among the held ones */
	size_t n_listening;
	struct held_socket *held;
	size_t n_held;
	uint32_t namespaces[NAMESPACES_MAX]; /* other than our own, looked in already */
	size_t n_namespaces;
	int blind;		  /* 0, or why one could not be looked into */
	pid_t tables[TABLES_MAX]; /* processes with different tables, in the order of kcmp(2) */
	size_t n_tables;
	size_t n_processes, n_descriptors;
	uint64_t cpu_begun;
};

static void (*on_borrow)(const struct held_socket *held);

void scan_on_borrow(void (*tell)(const struct held_socket *held))
{
	on_borrow = tell;
}

static void scan_done(struct scan *scan)
{
	free(scan->listening);
	free(scan->found);
	free(scan->held);
}

/* The inode number in a link text "socket:[123]"; 0 when it is something else. */
static uint32_t socket_inode(int dir_fd, const char *name)
{
	char text[64];
	ssize_t n = readlinkat(dir_fd, name, text, sizeof(text) - 1);
	uint64_t inode;

	if (n < 10 || strncmp(text, "socket:[", 8))
		return 0;
	text[n - 1] = '\0';
	return parse_unsigned(text + 8, 1, UINT32_MAX, &inode) ? 0 : inode;
}

static int by_inode(const void *a, const void *b)
{
	const struct listening_socket *left = a, *right = b;

	return left->inode < right->inode ? -1 : left->inode > right->inode;
}

/* A listening socket is found once, whoever else has it. */
static void take(struct scan *scan, uint32_t inode, pid_t pid, int fd)
{
	struct listening_socket key = {.inode = inode}, *socket;

	socket = scan->n_listening
			 ? bsearch(&key, scan->listening, scan->n_listening, sizeof(key), by_inode)
			 : NULL;
	if (!socket || scan->found[socket - scan->listening])
		return;
	scan->found[socket - scan->listening] = true;
	scan->held[scan->n_held++] = (struct held_socket) {.socket = *socket, .pid = pid, .fd = fd};
}

/* How many there are is the instance's choice, what it costs is not. */
static int count_descriptor(struct scan *scan)
{
	scan->n_descriptors++;
	if (scan->n_descriptors > SCAN_DESCRIPTORS_MAX)
		return -E2BIG;
	if (scan->n_descriptors % CLOCK_EVERY)
		return 0;
	return cpu_usec() - scan->cpu_begun > SCAN_CPU_USEC_MAX ? -E2BIG : 0;
}

/* Whether the table of descriptors is that of a process that was looked through. What the kernel
 * does not tell is looked through again. */
static bool is_seen_table(struct scan *scan, pid_t pid)
{
	size_t low = 0, high = scan->n_tables;

	while (low < high) {
		size_t middle = (low + high) / 2;
		long order = syscall(SYS_kcmp, pid, scan->tables[middle], KCMP_FILES, 0, 0);

		if (order == 0)
			return true;
		if (order < 0 || order > 2)
			return false;
		if (order == 1)
			high = middle;
		else
			low = middle + 1;
	}
	if (scan->n_tables == TABLES_MAX)
		return false;
	memmove(&scan->tables[low + 1], &scan->tables[low],
		(scan->n_tables++ - low) * sizeof(scan->tables[0]));
	scan->tables[low] = pid;
	return false;
}

/* A child that PID 1 has made for the unit and that has not begun to run its program still holds
 * all that PID 1 has: nothing of it is the unit's. */
static bool is_manager(pid_t pid)
{
	struct stat manager, process;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return pid != 1 && !stat("/proc/1/exe", &manager) && !stat(path, &process) &&
	       process.st_dev == manager.st_dev && process.st_ino == manager.st_ino;
}

static int scan_process(pid_t pid, void *userdata)
{
	struct scan *scan = userdata;
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *entry;
	char path[32];
	uint64_t fd;
	uint32_t inode;
	int r = 0;

	if (++scan->n_processes > SCAN_PROCESSES_MAX)
		return -E2BIG;
	if (is_manager(pid))
		return 0;
	if (is_seen_table(scan, pid))
		return count_descriptor(scan);
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return errno == EACCES || errno == EPERM ? -errno : 0;
	while (!r && scan->n_held < scan->n_listening && (entry = readdir(dir))) {
		if (parse_unsigned(entry->d_name, 0, INT32_MAX, &fd))
			continue;
		r = count_descriptor(scan);
		inode = socket_inode(dirfd(dir), entry->d_name);
		if (inode)
			take(scan, inode, pid, fd);
	}
	return r;
}

/* ---- the namespaces to look in ---- */

static int add_sockets(struct scan *scan, const struct netns *netns)
{
	_cleanup_(freep) struct listening_socket *more = NULL;
	struct listening_socket *all;
	size_t n;
	int r = diag_listening(netns, true, &more, &n);

	if (r < 0 || !n)
		return r;
	all = realloc(scan->listening, (scan->n_listening + n) * sizeof(*all));
	if (!all)
		return -ENOMEM;
	memcpy(all + scan->n_listening, more, n * sizeof(*all));
	scan->listening = all;
	scan->n_listening += n;
	return 0;
}

/* A process in a namespace that was not looked in yet. One that has ended is passed over. */
static int scan_namespace(pid_t pid, void *userdata)
{
	struct scan *scan = userdata;
	struct netns netns;
	int r;

	if (++scan->n_processes > SCAN_PROCESSES_MAX)
		return -E2BIG;
	r = netns_of_process(pid, &netns);
	if (r == -EACCES || r == -EPERM)
		scan->blind = r;
	if (r < 0 || netns.fd < 0)
		return 0;
	for (size_t i = 0; i < scan->n_namespaces; i++)
		r |= scan->namespaces[i] == netns.inode;
	if (!r && scan->n_namespaces < NAMESPACES_MAX) {
		scan->namespaces[scan->n_namespaces++] = netns.inode;
		r = add_sockets(scan, &netns);
		scan->blind = r < 0 ? r : scan->blind;
	}
	close_fd(netns.fd);
	return 0;
}

int scan_cgroup_blind(const char *cgroup, struct held_socket **ret_held, size_t *ret_n,
		      int *ret_blind)
{
	_cleanup_(scan_done) struct scan scan = {0};
	int r = add_sockets(&scan, NULL);

	if (!r)
		r = cgroup_each_process(cgroup, scan_namespace, &scan);
	if (r < 0)
		return r;
	scan.held = calloc(scan.n_listening + 1, sizeof(*scan.held));
	scan.found = calloc(scan.n_listening + 1, sizeof(*scan.found));
	if (!scan.held || !scan.found)
		return -ENOMEM;
	if (scan.n_listening)
		qsort(scan.listening, scan.n_listening, sizeof(*scan.listening), by_inode);
	scan.cpu_begun = cpu_usec();
	scan.n_processes = 0;
	r = cgroup_each_process(cgroup, scan_process, &scan);
	if (r < 0)
		return r;
	*ret_n = scan.n_held;
	*ret_held = steal_ptr(&scan.held);
	*ret_blind = scan.blind;
	return 0;
}

int scan_cgroup(const char *cgroup, struct held_socket **ret_held, size_t *ret_n)
{
	int blind;

	return scan_cgroup_blind(cgroup, ret_held, ret_n, &blind);
}

/* The number may name something else by now. An MPTCP socket shares only its inode number with the
 * TCP socket in it, which is the one that sock_diag shows. */
static bool is_still(int fd, const struct listening_socket *socket)
{
	socklen_t cookie_size = sizeof(uint64_t), protocol_size = sizeof(int);
	uint64_t cookie = 0;
	int protocol = 0;
	struct stat st;

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &cookie_size) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &protocol_size) < 0)
		return false;
	if (protocol == IPPROTO_MPTCP)
		return fstat(fd, &st) == 0 && st.st_ino == socket->inode;
	return cookie == socket->cookie;
}

int scan_borrow(const struct held_socket *held, int *ret_fd)
{
	_cleanup_(close_fdp) int pidfd = syscall(SYS_pidfd_open, held->pid, 0);
	_cleanup_(close_fdp) int fd = -1;

	if (pidfd < 0)
		return errno == ESRCH ? -ESTALE : -errno;
	if (on_borrow)
		on_borrow(held);
	fd = syscall(SYS_pidfd_getfd, pidfd, held->fd, 0);
	if (fd < 0)
		return errno == ESRCH || errno == EBADF ? -ESTALE : -errno;
	if (!is_still(fd, &held->socket))
		return -ESTALE;
	*ret_fd = steal_fd(&fd);
	return 0;
}

uint64_t scan_mark(const struct held_socket *held)
{
	return held->socket.cookie * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

bool scan_is_passed_in(const struct listening_socket *socket, const char *cgroup)
{
	return !socket->uid && socket->cgroup_id && !cgroup_contains(cgroup, socket->cgroup_id);
}

static int stop_at_first(const struct holder *holder, void *userdata)
{
	*(struct holder *)userdata = *holder;
	return 1;
}

int scan_borrow_unknown(const struct listening_socket *socket, int *ret_fd)
{
	struct holder holder;
	struct held_socket held = {.socket = *socket};
	int r = holder_each(&socket->inode, 1, stop_at_first, &holder);

	if (r <= 0)
		return r < 0 ? r : -ESTALE;
	held.pid = holder.pid;
	held.fd = holder.fd;
	return scan_borrow(&held, ret_fd);
}
