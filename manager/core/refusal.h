/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why the kernel would not load a program: its error alone does not say. EACCES and EINVAL are the
 * verifier's as well as of an older kernel, and the reason stands at the end of a log.
 */
#pragma once

#include <stdbool.h>

#include "util/problem.h"

/* As many of the last bytes of what libbpf prints are worth keeping. */
#define REFUSAL_LOG_MAX 4096

enum refusal {
	REFUSAL_PRIVILEGE, /* the caller lacks a capability */
	REFUSAL_FORBIDDEN, /* nobody may load it: it reads what is the kernel's own */
	REFUSAL_VERIFIER,  /* the program did not pass */
	REFUSAL_OTHER,	   /* the kernel has no such program or map, no memory, ... */
};

/* `error` is negative; `log` is the end of what libbpf printed, and may begin within a line.
 * `perfmon`: the caller has CAP_PERFMON, without which the verifier refuses what is in order. */
enum refusal refusal_of(int error, const char *log, bool perfmon);

/* The sentence: `what` ("the selector") is refused, by whom and why; with the verifier's last words
 * and the name of the very program, as far as `log` has them. */
void refusal_describe(const char *what, int error, const char *log, bool perfmon,
		      struct problem *ret_sentence);
