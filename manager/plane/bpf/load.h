/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loading BPF objects, with the kernel's reason when it refuses one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/problem.h"

struct bpf_object;

/*
 * Loads an opened object. `what` names it in sentences: "the selector". With every error `problem`
 * (may be NULL) is set:
 *   -EPERM    this process lacks a capability for it
 *   -ENOEXEC  the verifier refuses a program; the sentence has its last words
 * and other errors of the kernel as they are.
 */
int load_object(struct bpf_object *object, const char *what, struct problem *problem);

/* A number that names this build of an object, never 0: what is pinned may be of another one. */
uint64_t load_build(const void *elf, size_t size);

/* The memory of an array map (BPF_F_MMAPABLE), to read and to write. NULL and errno; else the
 * caller gives it back by munmap(). */
void *load_memory(int map_fd, size_t size);

/* From now on libbpf prints nothing: what matters is in our sentences. */
void load_quietly(void);
