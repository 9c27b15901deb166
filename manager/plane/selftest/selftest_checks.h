/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The single tests of plane/selftest/selftest.h. Each is called in the child, inside a network
 * namespace of its own with loopback up, and leaves nothing behind. */
#pragma once

#include "core/doctor/ability.h"

/* Sets verdict and detail (printf-like; NULL = none). */
void selftest_set(struct ability_result *result, enum ability_verdict verdict, const char *template,
		  ...) __attribute__((format(printf, 3, 4)));

/* In the network namespace that we are in. */
int selftest_loopback_up(void);

/* ---- selftest_select.c: the selector ---- */
void selftest_select(struct ability_result *result);
void selftest_migration(struct ability_result *result);
void selftest_wakeup(struct ability_result *result);
void selftest_handshakes(struct ability_result *result);
void selftest_udp(struct ability_result *result);
void selftest_cookies(struct ability_result *result);
void selftest_mmap(struct ability_result *result);
void selftest_ring(struct ability_result *result);

/* ---- selftest_cgroup.c: programs on cgroups ---- */
void selftest_counts(struct ability_result *result);
void selftest_bind(struct ability_result *result);

/* ---- selftest_census.c: an iterator, and BTF ---- */
void selftest_census(struct ability_result *result);

/* ---- selftest_objects.c: the programs that are used, one function for each object of bpf/ ---- */
void selftest_loads_selector(struct ability_result *result);
void selftest_loads_selector_udp(struct ability_result *result);
void selftest_loads_accounting(struct ability_result *result);
void selftest_loads_census(struct ability_result *result);
void selftest_loads_queues(struct ability_result *result);
void selftest_loads_motion(struct ability_result *result);
void selftest_loads_force(struct ability_result *result);
void selftest_loads_guard(struct ability_result *result);
void selftest_loads_mptcp(struct ability_result *result);
void selftest_loads_front_device(struct ability_result *result);
void selftest_loads_front(struct ability_result *result);
void selftest_loads_own(struct ability_result *result);
void selftest_loads_exec(struct ability_result *result);
void selftest_loads_led(struct ability_result *result);
void selftest_loads_led_exec(struct ability_result *result);
void selftest_loads_decap(struct ability_result *result);
void selftest_loads_fast(struct ability_result *result);

/* ---- selftest_system.c: system calls ---- */
void selftest_getfd(struct ability_result *result);
void selftest_fchown(struct ability_result *result);
void selftest_setns(struct ability_result *result);
