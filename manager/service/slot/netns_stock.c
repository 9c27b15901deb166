// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/slot/netns_stock.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "util/macro.h"

/* How many are kept of a kind, of netlink one. */
#define SHELF_SIZE 4

struct shelf {
	struct shelf *next;
	uint32_t inode;
	int netns_fd;
	int domain, type, protocol;
	int fds[SHELF_SIZE];
	unsigned n;
	struct work *work; /* more are on their way */
};

static const struct host *host;
static struct shelf *first;

static struct shelf *shelf_free(struct shelf *shelf)
{
	work_forget(shelf->work);
	while (shelf->n)
		close_fd(shelf->fds[--shelf->n]);
	close_fd(shelf->netns_fd);
	free(shelf);
	return NULL;
}

static bool is_kept(const struct shelf *shelf)
{
	return shelf->domain == AF_NETLINK;
}

static void on_opened(struct work_answer *answer, void *userdata)
{
	struct shelf *shelf = userdata;

	shelf->work = NULL;
	for (size_t i = 0; i < answer->n_fds && shelf->n < SHELF_SIZE; i++)
		shelf->fds[shelf->n++] = steal_fd(&answer->fds[i]);
}

static void refill(struct shelf *shelf)
{
	unsigned wanted = is_kept(shelf) ? 1 : SHELF_SIZE;
	struct work_order order = {
		.kind = WORK_OPEN,
		/* hs-borrow counts by names; this is none of a service */
		.service = "%",
		.slot = HS_SLOT_NONE,
		.domain = shelf->domain,
		.type = shelf->type,
		.protocol = shelf->protocol,
	};

	if (shelf->work || shelf->n > wanted / 2)
		return;
	order.n_sockets = wanted - shelf->n;
	host_order(host, &order, &shelf->netns_fd, 1, on_opened, shelf, &shelf->work);
}

static struct shelf *find(const struct netns *netns, const struct shelf *like)
{
	struct shelf *shelf = first;

	while (shelf && (shelf->inode != netns->inode || shelf->domain != like->domain ||
			 shelf->type != like->type || shelf->protocol != like->protocol))
		shelf = shelf->next;
	return shelf;
}

static struct shelf *add(const struct netns *netns, const struct shelf *like)
{
	struct shelf *shelf = calloc(1, sizeof(*shelf));

	if (!shelf)
		return NULL;
	*shelf = *like;
	shelf->inode = netns->inode;
	shelf->netns_fd = fcntl(netns->fd, F_DUPFD_CLOEXEC, 3);
	if (shelf->netns_fd < 0)
		return shelf_free(shelf);
	shelf->next = first;
	return first = shelf;
}

/* What an earlier one did not read to its end is not the answer to the next. */
static void drain(int fd)
{
	char byte;

	while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC) > 0)
		;
}

static int take(struct shelf *shelf)
{
	if (!shelf->n)
		return -EAGAIN;
	if (!is_kept(shelf))
		return shelf->fds[--shelf->n];
	drain(shelf->fds[0]);
	return fcntl(shelf->fds[0], F_DUPFD_CLOEXEC, 3);
}

static int open_from_stock(const struct netns *netns, int domain, int type, int protocol)
{
	struct shelf like = {.domain = domain, .type = type, .protocol = protocol};
	struct shelf *shelf = find(netns, &like);
	int fd;

	if (!shelf)
		shelf = add(netns, &like);
	if (!shelf)
		return -ENOMEM;
	fd = take(shelf);
	refill(shelf);
	return fd;
}

void netns_stock_expect(const struct netns *netns)
{
	struct shelf like = {.domain = AF_NETLINK,
			     .type = SOCK_RAW | SOCK_CLOEXEC,
			     .protocol = NETLINK_SOCK_DIAG};

	if (host && !find(netns, &like) && add(netns, &like))
		refill(first);
}

void netns_stock_sweep(bool (*is_used)(uint32_t inode, void *userdata), void *userdata)
{
	struct shelf **place = &first;

	while (*place) {
		struct shelf *shelf = *place;

		if (is_used(shelf->inode, userdata)) {
			place = &shelf->next;
			continue;
		}
		*place = shelf->next;
		shelf_free(shelf);
	}
}

static bool is_never_used(uint32_t inode, void *userdata)
{
	(void)inode;
	(void)userdata;
	return false;
}

void netns_stock_begin(const struct host *of)
{
	host = of;
	netns_use(open_from_stock);
}

void netns_stock_done(void)
{
	netns_stock_sweep(is_never_used, NULL);
	netns_use(NULL);
	host = NULL;
}
