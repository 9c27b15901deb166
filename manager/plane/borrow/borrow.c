// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/borrow/borrow.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "plane/borrow/borrow_wire.h"
#include "util/keptfd.h"
#include "util/macro.h"

static char asked_for[SERVICE_NAME_MAX]; /* "" = hs-borrow is not asked */
static struct kept_fd connection;

static void hang_up(void)
{
	kept_fd_set(&connection, -1);
}

void borrow_use(const char *service)
{
	hang_up();
	snprintf(asked_for, sizeof(asked_for), "%s", service ? service : "");
}

static bool is_asked(void)
{
	return asked_for[0];
}

/* ---- one question, one answer ---- */

static int connect_once(void)
{
	static const struct timeval patience = {.tv_sec = BORROW_PATIENCE_SECONDS};
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = BORROW_SOCKET};
	_cleanup_(close_fdp) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (kept_fd_get(&connection) >= 0)
		return 0;
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -ENOTCONN;
	kept_fd_set(&connection, steal_fd(&fd));
	return 0;
}

struct question {
	struct borrow_request *request;
	const uint32_t *inodes;
	int fd; /* goes along; -1 = none */
	/* the answer */
	struct borrow_reply reply;
	int fds[LEND_NAMESPACES_MAX];
	size_t n_fds;
};

static int send_question(const struct question *question)
{
	int r = borrow_send(kept_fd_get(&connection), question->request, sizeof(*question->request),
			    &question->fd, question->fd >= 0);

	return r ? r
		 : borrow_send_items(kept_fd_get(&connection), question->inodes,
				     question->request->n * sizeof(*question->inodes));
}

static int receive_answer(struct question *question)
{
	long n;

	question->n_fds = LEND_NAMESPACES_MAX;
	n = borrow_receive(kept_fd_get(&connection), &question->reply, sizeof(question->reply),
			   question->fds, &question->n_fds);
	if (n != sizeof(question->reply))
		return n < 0 ? (int)n : -ENOTCONN;
	return question->reply.result;
}

/* Its result. A connection that has failed is not used again. */
static int ask_once(struct question *question)
{
	int r = connect_once();

	if (r < 0)
		return r;
	memcpy(question->request->service, asked_for, sizeof(asked_for));
	r = send_question(question);
	/* half a question would be taken for the beginning of the next one */
	if (r < 0)
		r = -ENOTCONN;
	if (!r)
		r = receive_answer(question);
	if (r == -ENOTCONN || r == -ETIMEDOUT)
		hang_up();
	return r;
}

/* The other side ends after a while, and whoever ends it may do so now. Each question may be asked
 * twice. */
static int ask(struct question *question)
{
	int r = ask_once(question);

	return r == -ENOTCONN ? ask_once(question) : r;
}

static int ask_for_fd(struct question *question, int *ret_fd)
{
	int r = ask(question);

	if (r < 0)
		return r;
	if (question->n_fds != 1)
		return -EBADMSG;
	*ret_fd = question->fds[0];
	return 0;
}

static int ask_for_items(struct question *question, size_t size, void **ret_items, size_t *ret_n)
{
	int r = ask(question);

	if (r < 0)
		return r;
	if (question->reply.n > BORROW_ITEMS_MAX)
		return -EBADMSG;
	r = borrow_receive_items(kept_fd_get(&connection), question->reply.n * size, ret_items);
	if (r < 0)
		hang_up();
	else
		*ret_n = question->reply.n;
	return r;
}

/* ---- the questions ---- */

static void set_cgroup(struct borrow_request *request, const char *cgroup)
{
	snprintf(request->cgroup, sizeof(request->cgroup), "%s", cgroup);
}

int borrow_find(const char *cgroup, const uint32_t *inodes, size_t n,
		struct lent_place **ret_places, size_t *ret_n)
{
	struct borrow_request request = {.what = BORROW_FIND, .n = n};
	struct question question = {.request = &request, .inodes = inodes, .fd = -1};

	if (!is_asked())
		return lend_find(cgroup, inodes, n, ret_places, ret_n);
	set_cgroup(&request, cgroup);
	return ask_for_items(&question, sizeof(**ret_places), (void **)ret_places, ret_n);
}

int borrow_socket(const struct lent_socket *socket, int *ret_fd)
{
	struct borrow_request request = {.what = BORROW_FD, .socket = *socket};
	struct question question = {.request = &request, .fd = -1};

	return is_asked() ? ask_for_fd(&question, ret_fd) : lend_socket(socket, ret_fd);
}

/* Takes the descriptors over. What is foreign to hs-borrow may be ours. Returns how many are not.
 */
static size_t identify_all(struct question *question, struct netns *ret_namespaces)
{
	size_t n = 0;
	struct stat st;

	for (size_t i = 0; i < question->n_fds; i++) {
		int fd = question->fds[i];

		if (fstat(fd, &st) < 0 || st.st_ino == netns_own_inode())
			close_fd(fd);
		else
			ret_namespaces[n++] = (struct netns) {fd, (uint32_t)st.st_ino};
	}
	return n;
}

int borrow_namespaces(const char *cgroup, struct netns ret_namespaces[LEND_NAMESPACES_MAX],
		      size_t *ret_n, int *ret_blind)
{
	struct borrow_request request = {.what = BORROW_NAMESPACES};
	struct question question = {.request = &request, .fd = -1};
	int r;

	if (!is_asked())
		return lend_namespaces(cgroup, ret_namespaces, ret_n, ret_blind);
	set_cgroup(&request, cgroup);
	r = ask(&question);
	if (r < 0)
		return r;
	*ret_n = identify_all(&question, ret_namespaces);
	*ret_blind = question.reply.blind;
	return 0;
}

int borrow_netns(pid_t pid, uint32_t *ret_inode)
{
	struct borrow_request request = {.what = BORROW_NETNS, .socket.place.pid = pid};
	struct question question = {.request = &request, .fd = -1};
	int r;

	if (!is_asked())
		return netns_inode_of_process(pid, ret_inode);
	r = ask(&question);
	if (!r)
		*ret_inode = question.reply.number == netns_own_inode() ? 0 : question.reply.number;
	return r;
}

int borrow_go(pid_t pid)
{
	struct borrow_request request = {.what = BORROW_GO, .socket.place.pid = pid};
	struct question question = {.request = &request, .fd = -1};

	return is_asked() ? ask(&question) : lend_go(pid);
}

int borrow_open(const struct netns *netns, const struct lent_kind *kind, int *ret_fd)
{
	struct borrow_request request = {.what = BORROW_OPEN, .kind = *kind};
	struct question question = {.request = &request, .fd = netns ? netns->fd : -1};

	/* here everybody may */
	if (!is_asked() || question.fd < 0)
		return lend_open(netns, kind, ret_fd);
	return ask_for_fd(&question, ret_fd);
}

int borrow_give(int fd, uid_t uid)
{
	struct borrow_request request = {.what = BORROW_GIVE, .number = uid};
	struct question question = {.request = &request, .fd = fd};
	struct stat st;

	if (!fstat(fd, &st) && st.st_uid == uid)
		return 0;
	return is_asked() ? ask(&question) : lend_give(fd, uid);
}

int borrow_program(uint32_t id)
{
	struct borrow_request request = {.what = BORROW_PROGRAM, .number = id};
	struct question question = {.request = &request, .fd = -1};

	return is_asked() ? ask(&question) : lend_program(id);
}

static int ask_for_path(enum borrow_what what, unsigned slot, const char *path, int *ret_fd)
{
	struct borrow_request request = {.what = what, .number = slot};
	struct question question = {.request = &request, .fd = -1};

	snprintf(request.path, sizeof(request.path), "%s", path);
	return ask_for_fd(&question, ret_fd);
}

int borrow_path(const char *service, unsigned slot, const char *path, int *ret_fd)
{
	return is_asked() ? ask_for_path(BORROW_PATH, slot, path, ret_fd)
			  : lend_path(service, slot, path, ret_fd);
}

int borrow_reach(const char *service, unsigned slot, const char *path, int *ret_fd)
{
	return is_asked() ? ask_for_path(BORROW_REACH, slot, path, ret_fd)
			  : lend_reach(service, slot, path, ret_fd);
}

struct holder_list {
	struct holder *holders;
	size_t n;
};

static int add_holder(const struct holder *holder, void *userdata)
{
	struct holder_list *list = userdata;

	list->holders[list->n++] = *holder;
	return list->n == HOLDERS_MAX;
}

static int list_holders(const uint32_t *inodes, size_t n, struct holder **ret_holders,
			size_t *ret_n)
{
	struct holder_list list = {.holders = calloc(HOLDERS_MAX, sizeof(*list.holders))};
	int r = list.holders ? holder_each(inodes, n, add_holder, &list) : -ENOMEM;

	if (r < 0) {
		free(list.holders);
		return r;
	}
	*ret_holders = list.holders;
	*ret_n = list.n;
	return 0;
}

int borrow_holders(const uint32_t *inodes, size_t n, struct holder **ret_holders, size_t *ret_n)
{
	struct borrow_request request = {.what = BORROW_HOLDERS, .n = n};
	struct question question = {.request = &request, .inodes = inodes, .fd = -1};

	if (!is_asked())
		return list_holders(inodes, n, ret_holders, ret_n);
	return ask_for_items(&question, sizeof(**ret_holders), (void **)ret_holders, ret_n);
}

int borrow_outdated(const char *cgroup, int inotify_fd, struct outdated_file **ret_files,
		    size_t *ret_n)
{
	struct borrow_request request = {.what = BORROW_OUTDATED};
	struct question question = {.request = &request, .fd = inotify_fd};

	if (!is_asked())
		return outdated_look(cgroup, inotify_fd, ret_files, ret_n);
	set_cgroup(&request, cgroup);
	return ask_for_items(&question, sizeof(**ret_files), (void **)ret_files, ret_n);
}

int borrow_judge_outdated(const char *cgroup, struct outdated *ret_outdated)
{
	_cleanup_(freep) struct outdated_file *files = NULL;
	size_t n;
	int r = borrow_outdated(cgroup, -1, &files, &n);

	*ret_outdated = (struct outdated) {0};
	for (size_t i = 0; r >= 0 && i < n; i++)
		outdated_add(ret_outdated, &files[i]);
	return r;
}
