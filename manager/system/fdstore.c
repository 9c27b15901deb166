// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/fdstore.h"

#include <inttypes.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "system/notify.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/strings.h"

struct stored {
	int fd;
	uint64_t cookie;
	char *name;
};

struct fdstore {
	struct stored *stored;
	int n;
};

DEFINE_CLEANUP(struct fdstore, fdstore_free)

int fdstore_cookie(int fd, uint64_t *ret_cookie)
{
	socklen_t size = sizeof(*ret_cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, ret_cookie, &size) < 0 ? -errno : 0;
}

int fdstore_open(struct fdstore **ret_store)
{
	_cleanup_(fdstore_freep) struct fdstore *store = calloc(1, sizeof(*store));
	char **names = NULL;
	int n;

	if (!store)
		return -ENOMEM;
	n = sd_listen_fds_with_names(1, &names);
	if (n < 0)
		return n;
	store->stored = calloc(n + 1, sizeof(*store->stored));
	if (!store->stored) {
		strings_free(names);
		return -ENOMEM;
	}
	for (store->n = 0; store->n < n; store->n++) {
		struct stored *stored = &store->stored[store->n];

		stored->fd = SD_LISTEN_FDS_START + store->n;
		stored->name = names[store->n];
		/* 0 is no socket's cookie: what is no socket belongs to nobody */
		fdstore_cookie(stored->fd, &stored->cookie);
	}
	free(names);
	*ret_store = steal_ptr(&store);
	return 0;
}

struct fdstore *fdstore_free(struct fdstore *store)
{
	if (!store)
		return NULL;
	for (int i = 0; i < store->n; i++) {
		close_fd(store->stored[i].fd);
		free(store->stored[i].name);
	}
	free(store->stored);
	free(store);
	return NULL;
}

void fdstore_claim(struct fdstore *store, int (*each)(int fd, uint64_t cookie, void *userdata),
		   void *userdata)
{
	for (int i = 0; store && i < store->n; i++) {
		struct stored *stored = &store->stored[i];

		if (stored->fd >= 0 && stored->cookie && each(stored->fd, stored->cookie, userdata))
			stored->fd = -1;
	}
}

static void remove_name(const char *name)
{
	_cleanup_(freep) char *text = format("FDSTOREREMOVE=1\nFDNAME=%s", name);

	if (text)
		(void)notify_send(text, -1);
}

unsigned fdstore_drop_rest(struct fdstore *store)
{
	unsigned dropped = 0;

	for (int i = 0; store && i < store->n; i++) {
		struct stored *stored = &store->stored[i];

		if (stored->fd < 0)
			continue;
		shutdown(stored->fd, SHUT_RD);
		remove_name(stored->name);
		stored->fd = close_fd(stored->fd);
		dropped++;
	}
	return dropped;
}

struct name {
	char text[32];
};

static struct name name_of(uint64_t cookie)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), "park-%" PRIx64, cookie);
	return name;
}

/* What systemd is told of one that it is to keep. */
struct order {
	char text[64];
};

static struct order order_of(uint64_t cookie)
{
	struct order order;

	snprintf(order.text, sizeof(order.text), "FDSTORE=1\nFDNAME=%s", name_of(cookie).text);
	return order;
}

int fdstore_put(int fd, uint64_t cookie)
{
	return notify_send(order_of(cookie).text, fd);
}

void fdstore_remove(uint64_t cookie)
{
	/* it may not have come to systemd as yet */
	if (!notify_recall(order_of(cookie).text))
		remove_name(name_of(cookie).text);
}
