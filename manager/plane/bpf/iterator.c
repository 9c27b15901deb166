// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/iterator.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "util/macro.h"

int iterator_attach(const struct bpf_program *program, int map_fd, int *ret_link)
{
	union bpf_iter_link_info map = {.map.map_fd = map_fd};
	LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &map, .iter_info_len = sizeof(map));
	int link = bpf_link_create(bpf_program__fd(program), 0, BPF_TRACE_ITER, &opts);

	if (link < 0)
		return -errno;
	*ret_link = link;
	return 0;
}

ssize_t iterator_read(int iterator, void *buffer, size_t size)
{
	ssize_t n;

	do
		n = read(iterator, buffer, size);
	while (n < 0 && (errno == EAGAIN || errno == EINTR));
	return n < 0 ? -errno : n;
}

int iterator_pass(int link)
{
	_cleanup_(close_fdp) int iterator = bpf_iter_create(link);
	ssize_t n;
	char nothing;

	if (iterator < 0)
		return -errno;
	do
		n = iterator_read(iterator, &nothing, sizeof(nothing));
	while (n > 0);
	return (int)n;
}
