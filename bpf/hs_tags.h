/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tags of adopted sockets, which connections inherit. One map for all services; included where
 * it is used. */
#pragma once

#include "hs_bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, __u32);
	__type(value, struct hs_tag);
} hs_tags SEC(".maps");
