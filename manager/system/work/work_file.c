// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/work/work_file.h"

#include <errno.h>
#include <unistd.h>

int work_write(int file, size_t at, const void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = pwrite(file, (const char *)data + done, size - done, at + done);

		if (n < 0)
			return -errno;
		done += n;
	}
	return 0;
}

int work_read(int file, size_t at, void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = pread(file, (char *)data + done, size - done, at + done);

		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		done += n;
	}
	return 0;
}
