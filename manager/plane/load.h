/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loading BPF objects, with the kernel's reason when it refuses one. */
#pragma once

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

/* From now on libbpf prints nothing: what matters is in our sentences. */
void load_quietly(void);
