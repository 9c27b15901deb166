/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The single tests of plane/selftest.h. Each is called in the child, inside a network namespace of
 * its own with loopback up, and leaves nothing behind. */
#pragma once

#include "plane/selftest.h"

/* Sets verdict and detail (printf-like; NULL = none). */
void selftest_set(struct selftest_result *result, enum selftest_verdict verdict,
		  const char *template, ...) __attribute__((format(printf, 3, 4)));

/* ---- selftest_select.c: the selector ---- */
void selftest_select(struct selftest_result *result);
void selftest_migration(struct selftest_result *result);
void selftest_wakeup(struct selftest_result *result);
void selftest_handshakes(struct selftest_result *result);
void selftest_udp(struct selftest_result *result);
void selftest_cookies(struct selftest_result *result);
void selftest_mmap(struct selftest_result *result);
void selftest_ring(struct selftest_result *result);

/* ---- selftest_cgroup.c: programs on cgroups ---- */
void selftest_counts(struct selftest_result *result);
void selftest_bind(struct selftest_result *result);

/* ---- selftest_system.c: system calls ---- */
void selftest_getfd(struct selftest_result *result);
void selftest_fchown(struct selftest_result *result);
void selftest_setns(struct selftest_result *result);
