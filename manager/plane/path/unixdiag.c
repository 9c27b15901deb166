// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/path/unixdiag.h"

#include <libmnl/libmnl.h>
#include <linux/magic.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "plane/kernel/diag.h"
#include "plane/path/unixask.h"
#include "util/clock.h"
#include "util/macro.h"

#define ANSWER_SIZE 32768

DEFINE_CLEANUP(struct mnl_socket, mnl_socket_close)

struct query {
	uint32_t states, show;
	uint32_t inode; /* 0 = all */
	uint64_t cookie;
	uint64_t deadline; /* of cpu_usec(); 0 = none */
	mnl_cb_t on_message;
	void *userdata;
};

static struct nlmsghdr *build_request(char *buffer, const struct query *query)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct unix_diag_req *request;

	header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	header->nlmsg_flags = NLM_F_REQUEST | (query->inode ? 0 : NLM_F_DUMP);
	request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	request->sdiag_family = AF_UNIX;
	request->udiag_states = query->states;
	request->udiag_ino = query->inode;
	request->udiag_show = query->show;
	request->udiag_cookie[0] = (uint32_t)query->cookie;
	request->udiag_cookie[1] = query->cookie >> 32;
	return header;
}

/* One answer to a question for one socket, all of them to a dump. */
static int receive(struct mnl_socket *socket, const struct query *query)
{
	_cleanup_(freep) char *buffer = malloc(ANSWER_SIZE);
	int r = MNL_CB_OK;
	ssize_t n;

	if (!buffer)
		return -ENOMEM;
	do {
		if (query->deadline && cpu_usec() > query->deadline)
			return -ETIME;
		n = mnl_socket_recvfrom(socket, buffer, ANSWER_SIZE);
		if (n < 0)
			return -errno;
		r = mnl_cb_run(buffer, n, 0, mnl_socket_get_portid(socket), query->on_message,
			       query->userdata);
	} while (r > MNL_CB_STOP && !query->inode);
	return r < 0 ? -errno : 0;
}

static int ask(const struct query *query)
{
	_cleanup_(mnl_socket_closep) struct mnl_socket *socket = diag_open(NULL);
	char buffer[256];
	struct nlmsghdr *request = build_request(buffer, query);
	int r;

	if (!socket)
		return -errno;
	r = unixask_send(socket, request, request->nlmsg_len);
	return r < 0 ? r : receive(socket, query);
}

static void read_name(const struct nlattr *attr, char name[HS_PATH_MAX])
{
	const char *text = mnl_attr_get_payload(attr);
	size_t size = MIN((size_t)mnl_attr_get_payload_len(attr), (size_t)HS_PATH_MAX - 1);

	/* an abstract one begins with NUL */
	snprintf(name, HS_PATH_MAX, "%.*s", (int)size, text);
}

static struct unix_file read_file(const struct nlattr *attr)
{
	struct unix_diag_vfs vfs = {0};

	memcpy(&vfs, mnl_attr_get_payload(attr),
	       MIN(sizeof(vfs), (size_t)mnl_attr_get_payload_len(attr)));
	return (struct unix_file) {vfs.udiag_vfs_dev, vfs.udiag_vfs_ino};
}

static uint32_t read_queue(const struct nlattr *attr)
{
	struct unix_diag_rqlen lengths = {0};

	memcpy(&lengths, mnl_attr_get_payload(attr),
	       MIN(sizeof(lengths), (size_t)mnl_attr_get_payload_len(attr)));
	return lengths.udiag_rqueue;
}

static struct unix_listener read_listener(const struct nlmsghdr *header)
{
	const struct unix_diag_msg *msg = mnl_nlmsg_get_payload(header);
	struct unix_listener listener = {
		.cookie = msg->udiag_cookie[0] | (uint64_t)msg->udiag_cookie[1] << 32,
		.inode = msg->udiag_ino,
	};
	const struct nlattr *attr;

	mnl_attr_for_each(attr, header, sizeof(*msg))
	{
		if (mnl_attr_get_type(attr) == UNIX_DIAG_NAME)
			read_name(attr, listener.name);
		else if (mnl_attr_get_type(attr) == UNIX_DIAG_VFS)
			listener.file = read_file(attr);
		else if (mnl_attr_get_type(attr) == UNIX_DIAG_RQLEN)
			listener.queued = read_queue(attr);
	}
	return listener;
}

/* ---- all listeners ---- */

struct listener_list {
	struct unix_listener *listeners;
	size_t n, room;
};

static int on_listener(const struct nlmsghdr *header, void *userdata)
{
	const struct unix_diag_msg *msg = mnl_nlmsg_get_payload(header);
	struct listener_list *list = userdata;
	size_t room = list->room ? 2 * list->room : 64;
	struct unix_listener *more;

	/* of packets, such as conmon's for podman attach: nothing that clients are switched on */
	if (msg->udiag_type != SOCK_STREAM)
		return MNL_CB_OK;
	if (list->n == list->room) {
		more = realloc(list->listeners, room * sizeof(*more));
		if (!more) {
			errno = ENOMEM;
			return MNL_CB_ERROR;
		}
		list->listeners = more;
		list->room = room;
	}
	list->listeners[list->n++] = read_listener(header);
	return MNL_CB_OK;
}

int unixdiag_listening(struct unix_listener **ret_listeners, size_t *ret_n)
{
	struct listener_list list = {0};
	struct query query = {
		.states = 1 << TCP_LISTEN,
		.show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_RQLEN,
		.on_message = on_listener,
		.userdata = &list,
	};
	int r = ask(&query);

	if (r < 0) {
		free(list.listeners);
		return r;
	}
	*ret_listeners = list.listeners;
	*ret_n = list.n;
	return 0;
}

/* ---- one ---- */

struct found {
	struct unix_listener listener;
	bool listens;
};

static int on_found(const struct nlmsghdr *header, void *userdata)
{
	const struct unix_diag_msg *msg = mnl_nlmsg_get_payload(header);
	struct found *found = userdata;

	found->listener = read_listener(header);
	/* asked for one, the kernel does not look at the states that were named */
	found->listens = msg->udiag_state == TCP_LISTEN;
	return MNL_CB_OK;
}

int unixdiag_get(uint32_t inode, uint64_t cookie, struct unix_listener *ret_listener)
{
	struct found found = {0};
	struct query query = {
		.states = 1 << TCP_LISTEN,
		.show = UDIAG_SHOW_VFS | UDIAG_SHOW_RQLEN,
		.inode = inode,
		.cookie = cookie,
		.on_message = on_found,
		.userdata = &found,
	};
	int r = inode ? ask(&query) : -ENOENT;

	if (r < 0)
		return r == -ESTALE ? -ENOENT : r;
	if (!found.listens)
		return -ENOENT;
	*ret_listener = found.listener;
	return 0;
}

/* ---- who waits ---- */

struct waiting {
	uint32_t inode;
	uint64_t cookie;
	struct unix_waiting answer;
	bool found, no_memory;
};

/* The clients' sockets, in the order of the queue. That of one who has gone has no number; it waits
 * for accept(2) all the same. */
static void read_names(const struct nlattr *attr, struct waiting *waiting)
{
	struct line *line = &waiting->answer.line;
	size_t size = mnl_attr_get_payload_len(attr);
	uint32_t *names = malloc(size + sizeof(*names));

	waiting->no_memory = !names;
	if (!names)
		return;
	memcpy(names, mnl_attr_get_payload(attr), size);
	free(line->names);
	line->names = names;
	line->n = size / sizeof(*names);
}

static void read_lengths(const struct nlattr *attr, struct unix_waiting *answer)
{
	struct unix_diag_rqlen lengths = {0};

	memcpy(&lengths, mnl_attr_get_payload(attr),
	       MIN(sizeof(lengths), (size_t)mnl_attr_get_payload_len(attr)));
	answer->queued = lengths.udiag_rqueue;
	/* of one that listens it is the backlog, which one more may go beyond */
	answer->line.full = lengths.udiag_rqueue > lengths.udiag_wqueue;
}

static int on_waiting(const struct nlmsghdr *header, void *userdata)
{
	const struct unix_diag_msg *msg = mnl_nlmsg_get_payload(header);
	struct waiting *waiting = userdata;
	const struct nlattr *attr;

	if (msg->udiag_ino != waiting->inode || msg->udiag_state != TCP_LISTEN ||
	    (msg->udiag_cookie[0] | (uint64_t)msg->udiag_cookie[1] << 32) != waiting->cookie)
		return MNL_CB_OK;
	waiting->found = true;
	mnl_attr_for_each(attr, header, sizeof(*msg))
	{
		if (mnl_attr_get_type(attr) == UNIX_DIAG_ICONS)
			read_names(attr, waiting);
		else if (mnl_attr_get_type(attr) == UNIX_DIAG_RQLEN)
			read_lengths(attr, &waiting->answer);
	}
	return MNL_CB_OK;
}

int unixdiag_waiting(uint32_t inode, uint64_t cookie, struct unix_waiting *ret_waiting)
{
	struct waiting waiting = {.inode = inode, .cookie = cookie};
	struct query query = {
		.states = 1 << TCP_LISTEN,
		.show = UDIAG_SHOW_RQLEN | UDIAG_SHOW_ICONS,
		.inode = inode,
		.cookie = cookie,
		.on_message = on_waiting,
		.userdata = &waiting,
	};
	int r = ask(&query);

	/* asked for one, the kernel has a page for the answer */
	if (r == -EMSGSIZE) {
		query.inode = 0;
		r = ask(&query);
	}
	if (r >= 0 && waiting.no_memory)
		r = -ENOMEM;
	if (r >= 0 && !waiting.found)
		r = -ENOENT;
	if (r < 0) {
		line_done(&waiting.answer.line);
		return r == -ESTALE ? -ENOENT : r;
	}
	*ret_waiting = waiting.answer;
	return 0;
}

/* ---- connections ---- */

struct census {
	const struct unix_file *files;
	size_t n;
	uint64_t *counts;
};

/* A socket that was accepted is bound to what its listener was bound to. */
static int on_connection(const struct nlmsghdr *header, void *userdata)
{
	struct unix_listener socket = read_listener(header);
	struct census *census = userdata;

	for (size_t i = 0; socket.file.inode && i < census->n; i++)
		census->counts[i] += census->files[i].inode == socket.file.inode &&
				     census->files[i].device == socket.file.device;
	return MNL_CB_OK;
}

int unixdiag_connections(const struct unix_file *files, size_t n, uint64_t patience_usec,
			 uint64_t *counts)
{
	struct census census = {files, n, counts};
	struct query query = {
		.deadline = cpu_usec() + patience_usec,
		.states = 1 << TCP_ESTABLISHED,
		.show = UDIAG_SHOW_VFS,
		.on_message = on_connection,
		.userdata = &census,
	};

	memset(counts, 0, n * sizeof(*counts));
	return ask(&query);
}

uint32_t unixdiag_device(uint64_t device)
{
	return (uint32_t)(major(device) << 20 | minor(device));
}

static bool has_own_devices(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) &&
	       (fs.f_type == BTRFS_SUPER_MAGIC || fs.f_type == OVERLAYFS_SUPER_MAGIC);
}

bool unixdiag_is_bound_to(const struct unix_file *bound, int file_fd)
{
	struct stat st;

	return !fstat(file_fd, &st) && S_ISSOCK(st.st_mode) &&
	       bound->inode == (uint32_t)st.st_ino &&
	       (bound->device == unixdiag_device(st.st_dev) || has_own_devices(file_fd));
}

bool unixdiag_is_listened_at(int file_fd)
{
	_cleanup_(freep) struct unix_listener *listeners = NULL;
	size_t n;

	if (unixdiag_listening(&listeners, &n) < 0)
		return true;
	for (size_t i = 0; i < n; i++)
		if (unixdiag_is_bound_to(&listeners[i].file, file_fd))
			return true;
	return false;
}
