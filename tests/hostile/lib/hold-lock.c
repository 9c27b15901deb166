// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hold-lock PORT: a server that listens and holds the lock of its own socket, as any user may who
 * can make a user namespace and mount a file system of FUSE in it:
 *
 *   1. a file is mounted whose pages are never delivered,
 *   2. setsockopt(2) is given options that reach from an ordinary page into one of that file: the
 *      kernel has locked the socket when it comes to wait for that page. BPF programs of the
 *      control group read the first page before that, and no more.
 *
 * SIGUSR1 to the process named "hold-lock-file" delivers the page, and the lock is released. It
 * serves then: each client is told the slot in $SLOT. Reports ready when the lock is held; with
 * $FREE set it does not hold it at all, with $LATER set not before SIGUSR2, and does not accept.
 * With $ACCEPTED set it serves from the beginning, and holds the lock of each connection on which
 * "hold" is asked for.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PAGE 4096

static volatile sig_atomic_t deliver;

static int fail(const char *what)
{
	perror(what);
	return 1;
}

/* ---- the file ---- */

static void answer(int fuse, uint64_t id, int error, const void *data, size_t size)
{
	char buffer[sizeof(struct fuse_out_header) + PAGE];
	struct fuse_out_header head = {.len = sizeof(head) + size, .error = error, .unique = id};

	memcpy(buffer, &head, sizeof(head));
	if (size)
		memcpy(buffer + sizeof(head), data, size);
	(void)!write(fuse, buffer, head.len);
}

/* Returns the id of a question that is not to be answered yet; 0 = it was. */
static uint64_t answer_one(int fuse, const struct fuse_in_header *in)
{
	struct fuse_init_out init = {.major = 7, .minor = 31, .max_write = PAGE};
	struct fuse_attr_out attr = {
		.attr_valid = 1000,
		.attr = {.ino = 1, .size = 2 * PAGE, .mode = S_IFREG | 0666, .nlink = 1}};
	struct fuse_open_out opened = {.fh = 1};

	if (in->opcode == FUSE_READ)
		return in->unique;
	if (in->opcode == FUSE_INIT)
		answer(fuse, in->unique, 0, &init, sizeof(init));
	else if (in->opcode == FUSE_GETATTR)
		answer(fuse, in->unique, 0, &attr, sizeof(attr));
	else if (in->opcode == FUSE_OPEN)
		answer(fuse, in->unique, 0, &opened, sizeof(opened));
	else
		answer(fuse, in->unique, -ENOSYS, NULL, 0);
	return 0;
}

static void on_signal(int number)
{
	deliver = number;
}

static int keep_file(int fuse)
{
	static const char page[PAGE];
	struct sigaction on_usr1 = {.sa_handler = on_signal};
	static char buffer[1 << 20];
	uint64_t kept = 0;
	ssize_t n;

	prctl(PR_SET_NAME, "hold-lock-file");
	sigaction(SIGUSR1, &on_usr1, NULL);
	while ((n = read(fuse, buffer, sizeof(buffer))) > 0 || errno == EINTR || errno == EAGAIN) {
		if (n > 0 && !kept)
			kept = answer_one(fuse, (struct fuse_in_header *)buffer);
		else if (n > 0)
			answer_one(fuse, (struct fuse_in_header *)buffer);
		if (deliver && kept)
			answer(fuse, kept, 0, page, sizeof(page));
		if (deliver)
			kept = 0;
	}
	return 0;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

static void become_root_of_our_own(void)
{
	uid_t uid = getuid();
	gid_t gid = getgid();
	char map[64];

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		perror("unshare");
	put("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	put("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	put("/proc/self/gid_map", map);
}

/* A page that can be read, and behind it one that never comes. */
static char *make_memory(void)
{
	char path[] = "/tmp/hold-lock-XXXXXX", options[128], *memory;
	struct stat st;
	int fuse, file;

	close(mkstemp(path));
	become_root_of_our_own();
	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=100000,user_id=0,group_id=0", fuse);
	if (fuse < 0 || mount("hold", path, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
		return NULL;
	/* a process of its own: when it is ended, the file is gone and nobody waits any more */
	if (!fork())
		_exit(keep_file(fuse));
	close(fuse);
	file = open(path, O_RDONLY);
	/* how long it is has to be known, or there would be no page at all */
	if (fstat(file, &st) < 0)
		return NULL;
	memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (file < 0 || memory == MAP_FAILED ||
	    mmap(memory + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0) == MAP_FAILED)
		return NULL;
	return memory;
}

/* ---- the server ---- */

static int listener;
static char *memory;

static void *hold(void *fd)
{
	(void)!setsockopt((int)(intptr_t)fd, IPPROTO_IPV6, IPV6_2292PKTOPTIONS, memory, 2 * PAGE);
	return NULL;
}

/* Long enough for the other thread to be where it is going. */
static void begin_to_hold(int fd)
{
	pthread_t thread;

	pthread_create(&thread, NULL, hold, (void *)(intptr_t)fd);
	usleep(100000);
}

static int listen_on(int port)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int one = 1;

	listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -1;
	return listen(listener, 128);
}

static void report_ready(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!path)
		return;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	(void)!sendto(fd, "READY=1", 7, 0, (struct sockaddr *)&at, sizeof(at));
	close(fd);
}

static void serve(void)
{
	char text[64], request[1024];
	ssize_t n;

	snprintf(text, sizeof(text), "HTTP/1.0 200 OK\r\n\r\nslot=%s\n", getenv("SLOT"));
	while (1) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			continue;
		n = read(fd, request, sizeof(request));
		if (getenv("ACCEPTED") && n >= 4 && !memcmp(request, "hold", 4)) {
			(void)!write(fd, text, strlen(text));
			begin_to_hold(fd);
			continue;
		}
		(void)!write(fd, text, strlen(text));
		close(fd);
	}
}

/* It is adopted first; what connects then waits. */
static void hold_later(void)
{
	sigset_t later;
	int number;

	sigemptyset(&later);
	sigaddset(&later, SIGUSR2);
	sigprocmask(SIG_BLOCK, &later, NULL);
	report_ready();
	sigwait(&later, &number);
	hold((void *)(intptr_t)listener);
}

int main(int argc, char **argv)
{
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2)
		return 2;
	if (!getenv("FREE") && !(memory = make_memory()))
		return fail("a file of FUSE");
	if (listen_on(atoi(argv[1])) < 0)
		return fail("listen");
	if (getenv("LATER"))
		hold_later();
	if (memory && !getenv("ACCEPTED"))
		begin_to_hold(listener);
	report_ready();
	serve();
	return 0;
}
