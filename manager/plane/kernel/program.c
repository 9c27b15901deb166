// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/kernel/program.h"

#include <bpf/bpf.h>
#include <errno.h>

int program_id(int fd, uint32_t *ret_id)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return -errno;
	*ret_id = info.id;
	return 0;
}
