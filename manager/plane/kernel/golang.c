// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/kernel/golang.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/macro.h"

/* Of a section without which nothing made with Go runs: its runtime finds functions by it. */
#define MARK "gopclntab"
/* More than this no program has; whatever says so is none. */
#define SECTIONS_MAX   4096
#define NAMES_SIZE_MAX (1U << 20)

static bool read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
	return pread(fd, buffer, size, (off_t)offset) == (ssize_t)size;
}

/* The names of its sections, one behind the other; NULL: it is no program of 64 bits that has any.
 */
static char *section_names(int fd, size_t *ret_size)
{
	Elf64_Shdr section;
	Elf64_Ehdr head;
	char *names;

	if (!read_at(fd, &head, sizeof(head), 0) || memcmp(head.e_ident, ELFMAG, SELFMAG) ||
	    head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_shentsize != sizeof(section) ||
	    head.e_shnum > SECTIONS_MAX || head.e_shstrndx >= head.e_shnum)
		return NULL;
	if (!read_at(fd, &section, sizeof(section),
		     head.e_shoff + (uint64_t)head.e_shstrndx * sizeof(section)) ||
	    !section.sh_size || section.sh_size > NAMES_SIZE_MAX)
		return NULL;
	names = malloc(section.sh_size);
	if (names && !read_at(fd, names, section.sh_size, section.sh_offset)) {
		free(names);
		return NULL;
	}
	*ret_size = section.sh_size;
	return names;
}

int golang_made(pid_t pid)
{
	_cleanup_(close_fdp) int fd = -1;
	_cleanup_(freep) char *names = NULL;
	char path[32];
	size_t size;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	names = section_names(fd, &size);
	return names && memmem(names, size, MARK, strlen(MARK));
}
