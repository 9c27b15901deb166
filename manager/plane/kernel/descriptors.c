// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/kernel/descriptors.h"

#include <string.h>

#include "util/clock.h"
#include "util/macro.h"
#include "util/parse.h"

/* The clock costs more than a descriptor: it is looked at after so many. */
#define CLOCK_EVERY 4096

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

int descriptors_count(struct descriptor_cost *cost)
{
	if (++cost->n > DESCRIPTORS_MAX)
		return -E2BIG;
	if (cost->n % CLOCK_EVERY)
		return 0;
	return cpu_usec() - cost->cpu_begun > DESCRIPTORS_USEC_MAX ? -E2BIG : 0;
}

DIR *descriptors_open(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	return opendir(path);
}

int descriptors_next(DIR *dir, struct descriptor_cost *cost, struct descriptor *ret_descriptor)
{
	struct dirent *entry;
	uint64_t fd;
	int r;

	while ((entry = readdir(dir)) && parse_unsigned(entry->d_name, 0, INT32_MAX, &fd))
		;
	if (!entry)
		return 0;
	r = descriptors_count(cost);
	if (r < 0)
		return r;
	*ret_descriptor = (struct descriptor) {.fd = (int)fd,
					       .inode = socket_inode(dirfd(dir), entry->d_name)};
	return 1;
}
