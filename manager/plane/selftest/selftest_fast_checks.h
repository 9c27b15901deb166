/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The single tests of plane/selftest/selftest_fast.h, each in a process and, where it may make one,
 * a network namespace of its own. */
#pragma once

#include "core/doctor/ability.h"

/* ---- selftest_fast_stream.c ---- */
void selftest_fast_order(struct ability_result *result);
void selftest_fast_fin(struct ability_result *result);
void selftest_fast_rst(struct ability_result *result);
void selftest_fast_stall(struct ability_result *result);
void selftest_fast_namespaces(struct ability_result *result);
void selftest_fast_half_close(struct ability_result *result);
void selftest_fast_moved(struct ability_result *result);
void selftest_fast_destroy(struct ability_result *result);
void selftest_fast_unread(struct ability_result *result);
void selftest_fast_large(struct ability_result *result);

/* ---- selftest_fast_calls.c ---- */
void selftest_fast_stamps(struct ability_result *result);
void selftest_fast_tls(struct ability_result *result);
void selftest_fast_mptcp(struct ability_result *result);
void selftest_fast_times(struct ability_result *result);
void selftest_fast_edge(struct ability_result *result);
void selftest_fast_epoll(struct ability_result *result);
void selftest_fast_peek(struct ability_result *result);
void selftest_fast_sendfile(struct ability_result *result);
void selftest_fast_blocking(struct ability_result *result);
void selftest_fast_waitall(struct ability_result *result);
void selftest_fast_lowat(struct ability_result *result);
void selftest_fast_fionread(struct ability_result *result);
void selftest_fast_splice(struct ability_result *result);
void selftest_fast_zerocopy(struct ability_result *result);
void selftest_fast_urgent(struct ability_result *result);
