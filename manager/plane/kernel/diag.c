// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/kernel/diag.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>

#include "util/macro.h"

/* sock_diag's extension for socket storage, not in all UAPI headers of the distributions we build
 * on */
#define STORAGE_REQ_MAP_FD 1
/* A request without its filter. */
#define REQUEST_MAX 256

DEFINE_CLEANUP(struct mnl_socket, mnl_socket_close)

struct query {
	const struct netns *netns; /* NULL = our own */
	bool udp;
	uint32_t states;
	uint16_t port; /* host byte order; 0 = any */
	int tags_fd;
	const struct diag_wanted *wanted; /* NULL = all of them */
	mnl_cb_t on_message;
	void *userdata;
};

static struct nlmsghdr *build_request(char *buffer, uint8_t family, const struct query *query,
				      const struct diag_filter *filter)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct inet_diag_req_v2 *request;
	struct nlattr *nest;

	header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	request->sdiag_family = family;
	request->sdiag_protocol = query->udp ? IPPROTO_UDP : IPPROTO_TCP;
	request->idiag_states = query->states;
	request->id.idiag_sport = htons(query->port ?: filter->port);
	/* of a few sockets; of all listening ones it would only make the answer longer */
	if (query->udp && query->states == 1 << TCP_CLOSE)
		request->idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1);
	if (query->tags_fd >= 0) {
		nest = mnl_attr_nest_start(header, INET_DIAG_REQ_SK_BPF_STORAGES);
		mnl_attr_put_u32(header, STORAGE_REQ_MAP_FD, query->tags_fd);
		mnl_attr_nest_end(header, nest);
	}
	if (filter->n)
		mnl_attr_put(header, INET_DIAG_REQ_BYTECODE, filter->n, filter->code);
	return header;
}

static int receive_all(struct mnl_socket *socket, const struct query *query)
{
	static const size_t size = 32768;
	_cleanup_(freep) char *buffer = malloc(size);
	ssize_t n;
	int r = MNL_CB_OK;

	if (!buffer)
		return -ENOMEM;
	while (r > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(socket, buffer, size);
		if (n < 0)
			return -errno;
		r = mnl_cb_run(buffer, n, 0, mnl_socket_get_portid(socket), query->on_message,
			       query->userdata);
	}
	return r < 0 ? -errno : 0;
}

static int dump_filtered(struct mnl_socket *socket, uint8_t family, const struct query *query,
			 const struct diag_filter *filter)
{
	_cleanup_(freep) char *buffer = malloc(REQUEST_MAX + filter->n);
	struct nlmsghdr *request;

	if (!buffer)
		return -ENOMEM;
	request = build_request(buffer, family, query, filter);
	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	return receive_all(socket, query);
}

static int dump_family(struct mnl_socket *socket, uint8_t family, const struct query *query)
{
	struct diag_kind kind = {family, query->udp, query->netns ? query->netns->inode : 0};
	_cleanup_(diag_filter_done) struct diag_filter filter = {0};
	int r = query->wanted ? diag_filter_new(query->wanted, &kind, &filter) : 0;

	/* of too many it is listed what there is: who asks looks for his own */
	if (r != -E2BIG && (r < 0 || (query->wanted && !filter.n)))
		return r;
	return dump_filtered(socket, family, query, &filter);
}

struct mnl_socket *diag_open(const struct netns *netns)
{
	_cleanup_(mnl_socket_closep) struct mnl_socket *socket = NULL;
	int fd = netns_socket(netns, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	socket = mnl_socket_fdopen(fd);
	if (!socket) {
		close_fd(fd);
		return NULL;
	}
	/* one that is kept for a namespace has been bound by whoever had it first */
	if (!mnl_socket_get_portid(socket) && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return NULL;
	return steal_ptr(&socket);
}

static int dump(const struct query *query)
{
	_cleanup_(mnl_socket_closep) struct mnl_socket *socket = diag_open(query->netns);
	int r = socket ? dump_family(socket, AF_INET, query) : -errno;

	if (!r)
		r = dump_family(socket, AF_INET6, query);
	return r == -ENOENT ? 0 : r;
}

static struct address address_of(const struct inet_diag_msg *msg, const __be32 *ip, __be16 port)
{
	struct address address = {
		.family = msg->idiag_family,
		.port = ntohs(port),
		.ifindex = msg->id.idiag_if,
	};

	memcpy(address.ip, ip, msg->idiag_family == AF_INET ? 4 : 16);
	return address;
}

static uint64_t cookie_of(const struct inet_diag_msg *msg)
{
	return msg->id.idiag_cookie[0] | (uint64_t)msg->id.idiag_cookie[1] << 32;
}

struct listening_list {
	struct listening_socket *sockets;
	size_t n, room;
	uint32_t netns;
	bool udp;
	size_t most; /* 0 = any number */
	/* NULL = whatever they are */
	const uint64_t *cookies;
	size_t n_cookies;
};

static bool is_asked_for(const struct listening_list *list, uint64_t cookie)
{
	for (size_t i = 0; i < list->n_cookies; i++)
		if (list->cookies[i] == cookie)
			return true;
	return !list->cookies;
}

static struct listening_socket *list_add(struct listening_list *list)
{
	size_t room = list->room ? 2 * list->room : 64;
	struct listening_socket *more;

	if (list->n < list->room)
		return &list->sockets[list->n++];
	more = realloc(list->sockets, room * sizeof(*more));
	if (!more)
		return NULL;
	list->sockets = more;
	list->room = room;
	return &list->sockets[list->n++];
}

/* INET_DIAG_SK_BPF_STORAGES { SK_DIAG_BPF_STORAGE (1) { ..._MAP_ID (2), ..._MAP_VALUE (3) } } */
static void read_tag(const struct nlattr *storages, struct hs_tag *tag)
{
	const struct nlattr *storage, *attr;

	mnl_attr_for_each_nested(storage, storages) mnl_attr_for_each_nested(
		attr, storage) if (mnl_attr_get_type(attr) == 3 &&
				   mnl_attr_get_payload_len(attr) >= sizeof(*tag))
		memcpy(tag, mnl_attr_get_payload(attr), sizeof(*tag));
}

/* Array of SK_MEMINFO_VARS words, of which an old kernel has fewer. */
static uint32_t read_dropped(const struct nlattr *attr)
{
	const uint32_t *words = mnl_attr_get_payload(attr);
	size_t n = mnl_attr_get_payload_len(attr) / sizeof(*words);

	return n > SK_MEMINFO_DROPS ? words[SK_MEMINFO_DROPS] : 0;
}

static void read_listening_attributes(const struct nlmsghdr *header,
				      struct listening_socket *socket)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, header, sizeof(struct inet_diag_msg))
	{
		if (mnl_attr_get_type(attr) == INET_DIAG_SKV6ONLY)
			socket->address.v6only = mnl_attr_get_u8(attr);
		else if (mnl_attr_get_type(attr) == INET_DIAG_CGROUP_ID)
			socket->cgroup_id = mnl_attr_get_u64(attr);
		else if (mnl_attr_get_type(attr) == INET_DIAG_SK_BPF_STORAGES)
			read_tag(attr, &socket->tag);
		else if (mnl_attr_get_type(attr) == INET_DIAG_SKMEMINFO)
			socket->dropped = read_dropped(attr);
	}
}

static int on_listening(const struct nlmsghdr *header, void *userdata)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(header);
	struct listening_list *list = userdata;
	struct listening_socket *socket;

	if (!is_asked_for(list, cookie_of(msg)))
		return MNL_CB_OK;
	socket = list->most && list->n == list->most ? NULL : list_add(list);
	if (!socket) {
		/* the rest of the dump ends with the netlink socket */
		errno = list->most && list->n == list->most ? EOVERFLOW : ENOMEM;
		return MNL_CB_ERROR;
	}
	*socket = (struct listening_socket) {
		.address = address_of(msg, msg->id.idiag_src, msg->id.idiag_sport),
		.cookie = cookie_of(msg),
		.inode = msg->idiag_inode,
		.uid = msg->idiag_uid,
		.queued = msg->idiag_rqueue,
		.backlog = list->udp ? 0 : msg->idiag_wqueue,
	};
	socket->address.netns = list->netns;
	socket->address.udp = list->udp;
	read_listening_attributes(header, socket);
	return MNL_CB_OK;
}

struct choice {
	uint16_t port; /* 0 = any */
	int tags_fd;
	const struct diag_wanted *wanted;
};

static int list_sockets(const struct netns *netns, const struct choice *choice,
			struct listening_list *list)
{
	struct query query = {
		.netns = netns,
		.udp = list->udp,
		.port = choice->port,
		/* an unconnected UDP socket is in this state */
		.states = list->udp ? 1 << TCP_CLOSE : 1 << TCP_LISTEN,
		.tags_fd = choice->tags_fd,
		.wanted = choice->wanted,
		.on_message = on_listening,
		.userdata = list,
	};

	return dump(&query);
}

static int end_list(int r, const struct listening_list *list, struct listening_socket **ret_sockets,
		    size_t *ret_n)
{
	if (r < 0) {
		free(list->sockets);
		return r;
	}
	*ret_sockets = list->sockets;
	*ret_n = list->n;
	return 0;
}

static int list_both(const struct netns *netns, bool udp, const struct choice *choice,
		     struct listening_list *list)
{
	int r = list_sockets(netns, choice, list);

	list->udp = true;
	return !r && udp ? list_sockets(netns, choice, list) : r;
}

int diag_listening(const struct netns *netns, bool udp, struct listening_socket **ret_sockets,
		   size_t *ret_n)
{
	struct listening_list list = {.netns = netns ? netns->inode : 0,
				      .most = DIAG_LISTENING_MAX};
	int r = list_both(netns, udp, &(struct choice) {.tags_fd = -1}, &list);

	return end_list(r, &list, ret_sockets, ret_n);
}

int diag_listening_wanted(const struct netns *netns, bool udp, const struct diag_wanted *wanted,
			  struct listening_socket **ret_sockets, size_t *ret_n)
{
	struct listening_list list = {.netns = netns ? netns->inode : 0, .most = DIAG_WANTED_MAX};
	struct choice choice = {.tags_fd = -1, .wanted = wanted};
	int r = list_both(netns, udp, &choice, &list);

	return end_list(r, &list, ret_sockets, ret_n);
}

int diag_listening_by_cookie(const struct netns *netns, const uint64_t *cookies, size_t n_cookies,
			     struct listening_socket **ret_sockets, size_t *ret_n)
{
	struct listening_list list = {
		.netns = netns ? netns->inode : 0, .cookies = cookies, .n_cookies = n_cookies};
	int r = list_sockets(netns, &(struct choice) {.tags_fd = -1}, &list);

	return end_list(r, &list, ret_sockets, ret_n);
}

int diag_listening_at(const struct netns *netns, bool udp, uint16_t port, int tags_fd,
		      struct listening_socket **ret_sockets, size_t *ret_n)
{
	struct listening_list list = {
		.netns = netns ? netns->inode : 0, .udp = udp, .most = DIAG_WANTED_MAX};
	int r = list_sockets(netns, &(struct choice) {port, tags_fd, NULL}, &list);

	return end_list(r, &list, ret_sockets, ret_n);
}

static int by_cookie(const void *a, const void *b)
{
	const struct queue_length *left = a, *right = b;

	return left->cookie < right->cookie ? -1 : left->cookie > right->cookie;
}

int diag_queues(const struct netns *netns, const struct diag_wanted *wanted,
		struct queue_length **ret_queues, size_t *ret_n)
{
	_cleanup_(freep) struct listening_socket *sockets = NULL;
	struct queue_length *queues;
	size_t n;
	int r = diag_listening_wanted(netns, false, wanted, &sockets, &n);

	if (r < 0)
		return r;
	queues = calloc(n + 1, sizeof(*queues));
	if (!queues)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		queues[i] = (struct queue_length) {sockets[i].cookie, sockets[i].queued};
	qsort(queues, n, sizeof(*queues), by_cookie);
	*ret_queues = queues;
	*ret_n = n;
	return 0;
}

uint32_t diag_queue_of(const struct queue_length *queues, size_t n, uint64_t cookie)
{
	struct queue_length key = {.cookie = cookie}, *found;

	found = n ? bsearch(&key, queues, n, sizeof(*queues), by_cookie) : NULL;
	return found ? found->queued : 0;
}

bool connection_waits(const struct connection *connection)
{
	return !connection->held &&
	       (connection->state == TCP_ESTABLISHED || connection->state == TCP_CLOSE_WAIT);
}

const char *connection_describe(const struct connection *connection, char text[CONNECTION_TEXT_MAX])
{
	char local[ADDRESS_TEXT_MAX], peer[ADDRESS_TEXT_MAX];

	snprintf(text, CONNECTION_TEXT_MAX, "%s for the client %s",
		 address_format(&connection->local, local),
		 address_format(&connection->peer, peer));
	return text;
}

struct connection_walk {
	int (*each)(const struct connection *connection, void *userdata);
	void *userdata;
	int answer;
};

static void read_connection_attributes(const struct nlmsghdr *header, struct connection *connection)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, header, sizeof(struct inet_diag_msg))
	{
		if (mnl_attr_get_type(attr) == INET_DIAG_SK_BPF_STORAGES)
			read_tag(attr, &connection->tag);
		else if (mnl_attr_get_type(attr) == INET_DIAG_CGROUP_ID)
			connection->cgroup_id = mnl_attr_get_u64(attr);
	}
}

static int on_connection(const struct nlmsghdr *header, void *userdata)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(header);
	struct connection_walk *walk = userdata;
	struct connection connection = {
		.local = address_of(msg, msg->id.idiag_src, msg->id.idiag_sport),
		.peer = address_of(msg, msg->id.idiag_dst, msg->id.idiag_dport),
		.cookie = cookie_of(msg),
		.state = msg->idiag_state,
		.held = msg->idiag_inode,
		.inode = msg->idiag_inode,
	};

	read_connection_attributes(header, &connection);
	walk->answer = walk->each(&connection, walk->userdata);
	if (!walk->answer)
		return MNL_CB_OK;
	/* the rest of the dump ends with the socket */
	errno = ECANCELED;
	return MNL_CB_ERROR;
}

int diag_connections(const struct netns *netns, uint16_t port, int tags_fd,
		     int (*each)(const struct connection *connection, void *userdata),
		     void *userdata)
{
	struct connection_walk walk = {.each = each, .userdata = userdata};
	struct query query = {
		.netns = netns,
		.states = 0xfff & ~(1U << TCP_LISTEN) & ~(1U << TCP_CLOSE) & ~(1U << TCP_TIME_WAIT),
		.port = port,
		.tags_fd = tags_fd,
		.on_message = on_connection,
		.userdata = &walk,
	};
	int r = dump(&query);

	return walk.answer ?: r;
}

int diag_connected(const struct netns *netns, uint16_t port,
		   int (*each)(const struct connection *connection, void *userdata), void *userdata)
{
	struct connection_walk walk = {.each = each, .userdata = userdata};
	struct query query = {
		.netns = netns,
		.udp = true,
		.states = 1 << TCP_ESTABLISHED,
		.port = port,
		.tags_fd = -1,
		.on_message = on_connection,
		.userdata = &walk,
	};
	int r = dump(&query);

	return walk.answer ?: r;
}

static struct nlmsghdr *build_destruction(char *buffer, const struct connection *connection)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct inet_diag_req_v2 *request;

	header->nlmsg_type = SOCK_DESTROY;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	request->sdiag_family = connection->local.family;
	request->sdiag_protocol = IPPROTO_TCP;
	request->id.idiag_sport = htons(connection->local.port);
	request->id.idiag_dport = htons(connection->peer.port);
	memcpy(request->id.idiag_src, connection->local.ip, sizeof(connection->local.ip));
	memcpy(request->id.idiag_dst, connection->peer.ip, sizeof(connection->peer.ip));
	request->id.idiag_if = connection->local.ifindex;
	request->id.idiag_cookie[0] = (uint32_t)connection->cookie;
	request->id.idiag_cookie[1] = connection->cookie >> 32;
	return header;
}

int diag_destroy(const struct netns *netns, const struct connection *connection)
{
	_cleanup_(mnl_socket_closep) struct mnl_socket *socket = diag_open(netns);
	char buffer[512];
	struct nlmsghdr *request = build_destruction(buffer, connection);
	ssize_t n;

	if (!socket || mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
	if (n < 0 || mnl_cb_run(buffer, n, 0, mnl_socket_get_portid(socket), NULL, NULL) < 0)
		return errno == ENOENT ? 0 : -errno;
	return 0;
}
