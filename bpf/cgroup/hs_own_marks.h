/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The marks of rules that are an instance's own (HS_PREVIEW_OWN in hs_abi.h). Shared by all
 * services; included where that map is used. */
#pragma once

#include "hs_bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HS_OWN_MARKS_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u32);
} hs_own_marks SEC(".maps");
