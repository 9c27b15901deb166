/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sockets that are led: who makes one notes it, programs on the devices ask. Included where
 * that map is used. */
#pragma once

#include "hs_bpf.h"
#include "hs_led.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_LED_SOCKETS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct hs_led_socket);
} hs_led_sockets SEC(".maps");
