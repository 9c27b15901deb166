// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/kernel/diag_filter.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/macro.h"

/* An offset beyond the end: the socket is not listed. To the end: it is. */
#define BEYOND 4
/* They are 16 bits wide. */
#define CODE_MAX (UINT16_MAX - BEYOND)

#define OP_SIZE sizeof(struct inet_diag_bc_op)
/* A condition that has one more operation for a number of 16 bits. */
#define PORT_SIZE (2 * OP_SIZE)
/* Each way to be wanted ends with a jump to the end. */
#define JUMP_SIZE OP_SIZE

void diag_filter_done(struct diag_filter *filter)
{
	free(filter->code);
	*filter = (struct diag_filter) {0};
}

struct writer {
	uint8_t *code;
	size_t n, size;
};

/* From here to the end. */
static size_t rest(const struct writer *writer)
{
	return writer->size - writer->n;
}

static void put(struct writer *writer, const void *data, size_t size)
{
	memcpy(writer->code + writer->n, data, size);
	writer->n += size;
}

static void put_op(struct writer *writer, uint8_t code, size_t yes, size_t no)
{
	struct inet_diag_bc_op op = {.code = code, .yes = yes, .no = no};

	put(writer, &op, sizeof(op));
}

/* What holds is listed; else it goes on with what follows, or is not. */
static void put_way(struct writer *writer, uint8_t code, const void *operand, size_t size,
		    bool is_last)
{
	put_op(writer, code, OP_SIZE + size,
	       is_last ? rest(writer) + BEYOND : OP_SIZE + size + JUMP_SIZE);
	put(writer, operand, size);
	put_op(writer, INET_DIAG_BC_JMP, JUMP_SIZE, rest(writer));
}

/* ---- addresses ---- */

static size_t ip_size(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

static void put_address(struct writer *writer, const struct address *address, bool is_last)
{
	size_t size = ip_size(address->family);
	struct inet_diag_hostcond host = {
		.family = address->family, .prefix_len = 8 * size, .port = address->port};
	uint8_t operand[sizeof(host) + sizeof(address->ip)];

	memcpy(operand, &host, sizeof(host));
	memcpy(operand + sizeof(host), address->ip, size);
	put_way(writer, INET_DIAG_BC_S_COND, operand, sizeof(host) + size, is_last);
}

static void put_port(struct writer *writer, const struct address *address, bool is_last)
{
	struct inet_diag_bc_op operand = {.no = address->port};

	put_way(writer, INET_DIAG_BC_S_EQ, &operand, sizeof(operand), is_last);
}

struct list {
	const struct address **items; /* by port */
	size_t n;
	bool by_port;
};

static size_t list_size(const struct list *list)
{
	size_t size = 0, way = JUMP_SIZE + PORT_SIZE;

	for (size_t i = 0; i < list->n; i++) {
		if (!list->by_port)
			way = JUMP_SIZE + OP_SIZE + sizeof(struct inet_diag_hostcond) +
			      ip_size(list->items[i]->family);
		size += way;
		/* between two ports it is decided where to go on */
		if (i && list->items[i]->port != list->items[i - 1]->port)
			size += PORT_SIZE;
	}
	return size;
}

/* Where another port begins, about in the middle; 0 = there is only one. */
static size_t list_middle(const struct list *list)
{
	size_t middle = list->n / 2;

	while (middle && list->items[middle]->port == list->items[middle - 1]->port)
		middle--;
	while (!middle || (middle < list->n && list->items[middle]->port == list->items[0]->port))
		middle++;
	return middle < list->n ? middle : 0;
}

/* By halves: for most sockets of a machine it is clear after few steps that they are not wanted. */
static void put_list(struct writer *writer, const struct list *list)
{
	size_t middle = list_middle(list);
	struct list lower = {list->items, middle, list->by_port};
	struct list upper = {list->items + middle, list->n - middle, list->by_port};
	struct inet_diag_bc_op operand = {0};

	if (middle) {
		operand.no = upper.items[0]->port;
		put_op(writer, INET_DIAG_BC_S_GE, PORT_SIZE, PORT_SIZE + list_size(&upper));
		put(writer, &operand, sizeof(operand));
		put_list(writer, &upper);
		put_list(writer, &lower);
		return;
	}
	for (size_t i = 0; i < list->n; i++)
		(list->by_port ? put_port : put_address)(writer, list->items[i], i + 1 == list->n);
}

static int by_port(const void *a, const void *b)
{
	const struct address *const *left = a, *const *right = b;

	return (int)(*left)->port - (int)(*right)->port;
}

static bool is_of(const struct address *address, const struct diag_kind *kind, bool port_only)
{
	return address->udp == kind->udp && address->netns == kind->netns &&
	       (port_only || address->family == kind->family);
}

static int list_new(const struct diag_wanted *wanted, const struct diag_kind *kind,
		    struct list *ret_list)
{
	struct list list = {.by_port = wanted->by_port};

	list.items = calloc(wanted->n_addresses + 1, sizeof(*list.items));
	if (!list.items)
		return -ENOMEM;
	for (size_t i = 0; i < wanted->n_addresses; i++)
		if (is_of(&wanted->addresses[i], kind, wanted->by_port))
			list.items[list.n++] = &wanted->addresses[i];
	qsort(list.items, list.n, sizeof(*list.items), by_port);
	*ret_list = list;
	return 0;
}

/* The one that all are on. */
static uint16_t sole_port(const struct diag_wanted *wanted, const struct list *list)
{
	if (wanted->n_cgroups || !list->n || list->items[0]->port != list->items[list->n - 1]->port)
		return 0;
	return list->items[0]->port;
}

/* ---- all of it ---- */

static void put_cgroups(struct writer *writer, const struct diag_wanted *wanted, bool are_last)
{
	for (size_t i = 0; i < wanted->n_cgroups; i++)
		put_way(writer, INET_DIAG_BC_CGROUP_COND, &wanted->cgroups[i],
			sizeof(wanted->cgroups[i]), are_last && i + 1 == wanted->n_cgroups);
}

int diag_filter_new(const struct diag_wanted *wanted, const struct diag_kind *kind,
		    struct diag_filter *ret_filter)
{
	struct writer writer = {0};
	struct list list;
	int r = list_new(wanted, kind, &list);

	if (r < 0)
		return r;
	writer.size = wanted->n_cgroups * (OP_SIZE + sizeof(*wanted->cgroups) + JUMP_SIZE) +
		      list_size(&list);
	if (writer.size > CODE_MAX)
		r = -E2BIG;
	else if (writer.size && !(writer.code = malloc(writer.size)))
		r = -ENOMEM;
	if (!r && writer.size) {
		put_cgroups(&writer, wanted, !list.n);
		if (list.n)
			put_list(&writer, &list);
	}
	if (!r)
		*ret_filter =
			(struct diag_filter) {writer.code, writer.size, sole_port(wanted, &list)};
	free(list.items);
	return r;
}
