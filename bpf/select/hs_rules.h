/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The preview rules of a service: exec writes them, its selectors ask them first. Included where
 * that map is used. */
#pragma once

#include "hs_bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_PREVIEW_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hs_preview_key);
	__type(value, struct hs_preview_rule);
} hs_preview SEC(".maps");
