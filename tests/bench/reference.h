/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs to compare a selector with, and the kernel's statistics of any program. */
#pragma once

#include <bpf/bpf.h>

#include "bench.h"
#include "plane/bpf/pins.h"
#include "plane/parts/table.h"

static inline int reference_load(const char *name, const struct bpf_insn *code, size_t n)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options,
		    .expected_attach_type = BPF_SK_REUSEPORT_SELECT_OR_MIGRATE);
	int fd = bpf_prog_load(BPF_PROG_TYPE_SK_REUSEPORT, name, "GPL", code, n, &options);

	rig_check(fd >= 0);
	return fd;
}

/* return SK_PASS */
static inline _unused_ int reference_empty(void)
{
	static const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = SK_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return reference_load("hs_empty", code, ARRAY_SIZE(code));
}

/* key = 0; bpf_sk_select_reuseport(md, map, &key, 0); return SK_PASS */
#define SELECT_FIRST(map)                                                                    \
	{.code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = BPF_REG_10, .off = -4},                \
		{.code = BPF_LD | BPF_DW | BPF_IMM,                                          \
		 .dst_reg = BPF_REG_2,                                                       \
		 .src_reg = BPF_PSEUDO_MAP_FD,                                               \
		 .imm = (map)},                                                              \
		{0}, /* the other half */                                                    \
		{.code = BPF_ALU64 | BPF_MOV | BPF_X,                                        \
		 .dst_reg = BPF_REG_3,                                                       \
		 .src_reg = BPF_REG_10},                                                     \
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_3, .imm = -4},      \
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_4},                 \
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_sk_select_reuseport},           \
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = SK_PASS}, \
	{                                                                                    \
		.code = BPF_JMP | BPF_EXIT                                                   \
	}

static inline _unused_ int reference_bare(int map)
{
	const struct bpf_insn code[] = {
		SELECT_FIRST(map),
	};

	return reference_load("hs_bare", code, ARRAY_SIZE(code));
}

/* The last, behind bpf_skb_load_bytes_relative(md, 12, fp - 8, 4, BPF_HDR_START_NET) */
static inline _unused_ int reference_address(int map)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 12},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_3, .src_reg = BPF_REG_10},
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_3, .imm = -8},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_4, .imm = 4},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_5, .imm = 1},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_load_bytes_relative},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_6},
		SELECT_FIRST(map),
	};

	return reference_load("hs_address", code, ARRAY_SIZE(code));
}

static inline _unused_ int reference_map(void)
{
	int map = bpf_map_create(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, "hs_bare", sizeof(uint32_t),
				 sizeof(uint64_t), 1, NULL);

	rig_check(map >= 0);
	return map;
}

static inline _unused_ struct bpf_prog_info reference_statistics(int program)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);

	rig_check(bpf_obj_get_info_by_fd(program, &info, &size) == 0);
	return info;
}

static inline int reference_set_by(struct hs_spread *spread, void *userdata,
				   struct problem *problem)
{
	(void)problem;
	if (*(enum hs_by *)userdata)
		spread->by = *(enum hs_by *)userdata;
	return 0;
}

/* Policy hash for two slots, by a table; 0: by none. Selectors find that out for themselves, so it
 * is taken away and put back under the plane's eyes. */
static inline _unused_ void reference_spread(struct rig *rig, enum hs_by by)
{
	struct table_change change = {.edit = reference_set_by,
				      .userdata = &by,
				      .in_service = 0x3,
				      .take_policy = true,
				      .by = HS_BY_CLIENT,
				      .slots = 2};
	static int table = -1;
	struct table_outcome outcome;
	struct problem problem;
	uint32_t zero = 0;
	int tables;

	rig_check(!pin_open(HS_PIN_ROOT "/web/tables", &tables));
	if (table < 0) {
		rig_check(!plane_table_change(rig->plane, &change, &outcome, &problem));
		rig_check(!pin_open(HS_PIN_ROOT "/web/table", &table));
	}
	if (by) {
		rig_check(!bpf_map_update_elem(tables, &zero, &table, BPF_ANY));
		rig_check(!plane_table_change(rig->plane, &change, &outcome, &problem));
	} else {
		bpf_map_delete_elem(tables, &zero);
		rig_policy(rig, HS_POLICY_HASH);
	}
	close(tables);
}
