// SPDX-License-Identifier: GPL-2.0-or-later
#include "borrow/serve.h"

#include <linux/nsfs.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "core/path.h"
#include "core/setup/dropin.h"
#include "plane/borrow/borrow.h"
#include "plane/borrow/borrow_wire.h"
#include "plane/borrow/lend.h"
#include "plane/kernel/cgroup.h"
#include "plane/kernel/holder.h"
#include "system/configfile.h"
#include "util/macro.h"

/* Who asks asks at once, or asks anew by another connection. */
#define IDLE_MS 60000

struct answer {
	struct borrow_reply reply;
	void *items;
	size_t size; /* of one */
	int fds[LEND_NAMESPACES_MAX];
	size_t n_fds;
};

/* ---- what may be asked for ---- */

/* One that its owner has put under hotstandby. */
static bool is_enabled(const char *service)
{
	_cleanup_(freep) char *dropin = NULL;
	char template[UNIT_NAME_MAX];

	if (!name_is_valid(service) ||
	    snprintf(template, sizeof(template), "%s@.service", service) >= (int)sizeof(template))
		return false;
	dropin = dropin_path(template);
	return dropin && !access(dropin, F_OK);
}

/* Where its owner says that the processes of its slots are. */
static bool is_named(const char *cgroup, const char *service)
{
	struct config config;

	return !configfile_load(service, &config, NULL) && config_is_cgroup(&config, cgroup);
}

/* A slot of the service that is asked for. */
static bool is_managed(const char *cgroup, const char *service)
{
	char unit[UNIT_NAME_MAX], name[SERVICE_NAME_MAX];
	unsigned slot;

	holder_unit(cgroup, unit);
	return is_enabled(service) &&
	       ((!name_from_unit(unit, name, &slot) && !strcmp(name, service)) ||
		is_named(cgroup, service));
}

/* The cgroup is a path in the tree, whatever it is called. */
static bool is_plain(const char *cgroup)
{
	return cgroup[0] == '/' && !strstr(cgroup, "/../") && !strstr(cgroup, "/./");
}

static int check_cgroup(const struct borrow_request *request)
{
	/* of a unit that is down */
	if (!request->cgroup[0])
		return -ENOENT;
	return is_plain(request->cgroup) && is_managed(request->cgroup, request->service) ? 0
											  : -EPERM;
}

/* ---- the questions ---- */

static int do_find(const struct borrow_request *request, const uint32_t *inodes,
		   struct answer *answer)
{
	struct lent_place *places;
	size_t n;
	int r = check_cgroup(request);

	if (!r)
		r = lend_find(request->cgroup, inodes, request->n, &places, &n);
	if (r < 0)
		return r;
	answer->items = places;
	answer->size = sizeof(*places);
	answer->reply.n = n;
	return 0;
}

/* The process is held by a pidfd first: then it is the one whose cgroup is looked at. */
static int do_fd(const struct borrow_request *request, struct answer *answer)
{
	pid_t pid = request->socket.place.pid;
	_cleanup_(close_fdp) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	char cgroup[PATH_MAX];
	int r;

	if (pidfd < 0)
		return errno == ESRCH ? -ESTALE : -errno;
	if (cgroup_of_process(pid, cgroup) < 0)
		return -ESTALE;
	if (!is_managed(cgroup, request->service))
		return -EPERM;
	r = lend_socket_by(pidfd, &request->socket, &answer->fds[0]);
	answer->n_fds = !r;
	return r;
}

static int do_namespaces(const struct borrow_request *request, struct answer *answer)
{
	struct netns namespaces[LEND_NAMESPACES_MAX];
	int r = check_cgroup(request);

	if (!r)
		r = lend_namespaces(request->cgroup, namespaces, &answer->n_fds,
				    &answer->reply.blind);
	for (size_t i = 0; i < answer->n_fds; i++)
		answer->fds[i] = namespaces[i].fd;
	return r;
}

/* A number that tells nobody anything, of a process that may be anybody's: of one who has asked for
 * a command to be sent to a slot. */
static int do_netns(const struct borrow_request *request, struct answer *answer)
{
	char path[40];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", request->socket.place.pid);
	if (stat(path, &st) < 0)
		return -errno;
	answer->reply.number = (uint32_t)st.st_ino;
	return 0;
}

static bool is_of_use(const struct lent_kind *kind)
{
	return kind->domain == AF_INET || kind->domain == AF_INET6 || kind->domain == AF_NETLINK;
}

static int do_open(const struct borrow_request *request, int fd, struct answer *answer)
{
	struct netns netns = {.fd = fd};
	int r;

	if (fd < 0 || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET || !is_of_use(&request->kind))
		return -EINVAL;
	r = lend_open(&netns, &request->kind, &answer->fds[0]);
	answer->n_fds = !r;
	return r;
}

static int do_holders(const struct borrow_request *request, const uint32_t *inodes,
		      struct answer *answer)
{
	struct holder *holders;
	size_t n;
	int r = borrow_holders(inodes, request->n, &holders, &n);

	if (r < 0)
		return r;
	answer->items = holders;
	answer->size = sizeof(*holders);
	answer->reply.n = n;
	return 0;
}

/* Watches are all that can be added to a descriptor that is none of ours: of another kind it is
 * refused by the kernel. */
static int do_outdated(const struct borrow_request *request, int fd, struct answer *answer)
{
	struct outdated_file *files;
	size_t n;
	int r = check_cgroup(request);

	if (!r)
		r = outdated_look(request->cgroup, fd, &files, &n);
	if (r < 0)
		return r;
	answer->items = files;
	answer->size = sizeof(*files);
	answer->reply.n = n;
	return 0;
}

static int do_path(const struct borrow_request *request, struct answer *answer)
{
	struct problem problem;
	int r = path_check(request->path, &problem);

	if (r < 0)
		return r;
	if (request->number >= HS_SLOTS_MAX || !is_enabled(request->service))
		return -EPERM;
	r = (request->what == BORROW_REACH ? lend_reach : lend_path)(
		request->service, request->number, request->path, &answer->fds[0]);
	answer->n_fds = !r;
	return r;
}

static int carry_out(const struct borrow_request *request, const uint32_t *inodes, int fd,
		     struct answer *answer)
{
	switch ((enum borrow_what)request->what) {
	case BORROW_FIND:
		return do_find(request, inodes, answer);
	case BORROW_FD:
		return do_fd(request, answer);
	case BORROW_NAMESPACES:
		return do_namespaces(request, answer);
	case BORROW_NETNS:
		return do_netns(request, answer);
	case BORROW_OPEN:
		return do_open(request, fd, answer);
	case BORROW_GIVE:
		return lend_give(fd, request->number);
	case BORROW_GO:
		return lend_go(request->socket.place.pid);
	case BORROW_PROGRAM:
		return lend_program(request->number);
	case BORROW_HOLDERS:
		return do_holders(request, inodes, answer);
	case BORROW_OUTDATED:
		return do_outdated(request, fd, answer);
	case BORROW_PATH:
	case BORROW_REACH:
		return do_path(request, answer);
	default:
		return -EINVAL;
	}
}

/* ---- the frame ---- */

static int send_answer(int connection, struct answer *answer)
{
	int r = borrow_send(connection, &answer->reply, sizeof(answer->reply), answer->fds,
			    answer->n_fds);

	if (!r && answer->reply.n)
		r = borrow_send_items(connection, answer->items, answer->reply.n * answer->size);
	while (answer->n_fds)
		close_fd(answer->fds[--answer->n_fds]);
	free(answer->items);
	return r;
}

/* 0 = it goes on. */
static int serve_one(int connection)
{
	_cleanup_(freep) void *inodes = NULL;
	_cleanup_(close_fdp) int fd = -1;
	struct borrow_request request;
	struct answer answer = {0};
	size_t n_fds = 1;
	long n = borrow_receive(connection, &request, sizeof(request), &fd, &n_fds);

	if (n != sizeof(request) || request.n > BORROW_ITEMS_MAX)
		return -EPIPE;
	request.service[sizeof(request.service) - 1] = '\0';
	request.cgroup[sizeof(request.cgroup) - 1] = '\0';
	request.path[sizeof(request.path) - 1] = '\0';
	if (borrow_receive_items(connection, request.n * sizeof(uint32_t), &inodes) < 0)
		return -EPIPE;
	answer.reply.result = carry_out(&request, inodes, fd, &answer);
	return send_answer(connection, &answer);
}

static bool is_asked(int connection)
{
	struct pollfd wait = {.fd = connection, .events = POLLIN};

	return poll(&wait, 1, IDLE_MS) > 0;
}

void serve(int connection)
{
	int r = 0;

	while (!r && is_asked(connection)) {
		alarm(BORROW_DEADLINE_SECONDS);
		r = serve_one(connection);
		alarm(0);
	}
}
