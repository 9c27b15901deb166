/* SPDX-License-Identifier: GPL-2.0-or-later */
/* BPF iterators over socket storage: the kernel calls the program for each socket that has a value
 * in a map. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct bpf_program;

/* The caller closes the link; nothing is set when it fails. */
int iterator_attach(const struct bpf_program *program, int map_fd, int *ret_link);
/* One pass, for programs that print nothing. */
int iterator_pass(int link);
/* What a program prints: from a descriptor that bpf_iter_create() has given for the link. A record
 * may come in two parts. 0 = the pass is over; else as many bytes, or -errno. */
ssize_t iterator_read(int iterator, void *buffer, size_t size);
