// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/inspect.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "plane/borrow/scan.h"
#include "plane/kernel/ephemeral.h"
#include "util/macro.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* TCP_CONGESTION is a text; all others are an int. */
static const struct {
	int level, name;
} options[] = {
	[SOCKOPT_FASTOPEN] = {IPPROTO_TCP, TCP_FASTOPEN},
	[SOCKOPT_DEFER_ACCEPT] = {IPPROTO_TCP, TCP_DEFER_ACCEPT},
	[SOCKOPT_SAVE_SYN] = {IPPROTO_TCP, TCP_SAVE_SYN},
	[SOCKOPT_KEEPALIVE] = {SOL_SOCKET, SO_KEEPALIVE},
	[SOCKOPT_KEEPIDLE] = {IPPROTO_TCP, TCP_KEEPIDLE},
	[SOCKOPT_KEEPINTVL] = {IPPROTO_TCP, TCP_KEEPINTVL},
	[SOCKOPT_KEEPCNT] = {IPPROTO_TCP, TCP_KEEPCNT},
	[SOCKOPT_USER_TIMEOUT] = {IPPROTO_TCP, TCP_USER_TIMEOUT},
	[SOCKOPT_NODELAY] = {IPPROTO_TCP, TCP_NODELAY},
	[SOCKOPT_MAXSEG] = {IPPROTO_TCP, TCP_MAXSEG},
	[SOCKOPT_WINDOW_CLAMP] = {IPPROTO_TCP, TCP_WINDOW_CLAMP},
	[SOCKOPT_CONGESTION] = {IPPROTO_TCP, TCP_CONGESTION},
	[SOCKOPT_RCVBUF] = {SOL_SOCKET, SO_RCVBUF},
	[SOCKOPT_SNDBUF] = {SOL_SOCKET, SO_SNDBUF},
	[SOCKOPT_PRIORITY] = {SOL_SOCKET, SO_PRIORITY},
	[SOCKOPT_MARK] = {SOL_SOCKET, SO_MARK},
	[SOCKOPT_TOS] = {IPPROTO_IP, IP_TOS},
	[SOCKOPT_TCLASS] = {IPPROTO_IPV6, IPV6_TCLASS},
	[SOCKOPT_TRANSPARENT] = {IPPROTO_IP, IP_TRANSPARENT},
};
_Static_assert(ARRAY_SIZE(options) == DOCTOR_OPTION_COUNT, "a number for each option");

static void read_option(int fd, enum doctor_option option, char text[DOCTOR_WORD_MAX])
{
	socklen_t size = sizeof(int);
	int value = 0;

	text[0] = '\0';
	if (option == SOCKOPT_CONGESTION) {
		size = DOCTOR_WORD_MAX - 1;
		if (getsockopt(fd, options[option].level, options[option].name, text, &size) < 0)
			size = 0;
		text[size] = '\0';
	} else if (!getsockopt(fd, options[option].level, options[option].name, &value, &size)) {
		snprintf(text, DOCTOR_WORD_MAX, "%d", value);
	}
}

static int read_int(int fd, int name)
{
	socklen_t size = sizeof(int);
	int value = 0;

	(void)getsockopt(fd, SOL_SOCKET, name, &value, &size);
	return value;
}

static void read_socket(const struct held_socket *held, unsigned slot, struct doctor_socket *ret)
{
	_cleanup_(close_fdp) int fd = -1;

	*ret = (struct doctor_socket) {
		.slot = slot,
		.address = held->socket.address,
		.backlog = held->socket.backlog,
		.uid = held->socket.uid,
	};
	if (scan_borrow(held, &fd) < 0)
		return;
	ret->borrowed = true;
	ret->reuseport = read_int(fd, SO_REUSEPORT);
	ret->mptcp = read_int(fd, SO_PROTOCOL) == IPPROTO_MPTCP;
	for (unsigned i = 0; i < DOCTOR_OPTION_COUNT; i++)
		read_option(fd, (enum doctor_option)i, ret->options[i]);
}

/* What adoption leaves out without a word: datagrams for many, and a port that the kernel chose,
 * which is never forced to have the option. */
static bool is_left_out(const struct config *config, const struct doctor_socket *socket)
{
	bool may_be_bare = socket->address.udp || config->intake == INTAKE_AUTO ||
			   config->intake == INTAKE_FORCED;

	if (socket->address.udp && address_is_for_many(&socket->address))
		return true;
	return may_be_bare && socket->borrowed && !socket->reuseport && !config->n_ports &&
	       ephemeral_has(ephemeral_range(), socket->address.port);
}

static int compare(const void *a, const void *b)
{
	const struct doctor_socket *x = a, *y = b;

	return memcmp(&x->address, &y->address, sizeof(x->address));
}

int inspect_slot(const char *cgroup, unsigned slot, const struct config *config,
		 struct doctor_socket **sockets, size_t *n)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	struct doctor_socket *all;
	size_t n_held, before = *n;
	int r = scan_cgroup(cgroup, &held, &n_held);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	all = realloc(*sockets, (*n + n_held + 1) * sizeof(*all));
	if (!all)
		return -ENOMEM;
	*sockets = all;
	for (size_t i = 0; i < n_held; i++) {
		if (!config_has_port(config, held[i].socket.address.port,
				     held[i].socket.address.udp))
			continue;
		read_socket(&held[i], slot, &all[*n]);
		*n += !is_left_out(config, &all[*n]);
	}
	qsort(all + before, *n - before, sizeof(*all), compare);
	return 0;
}
