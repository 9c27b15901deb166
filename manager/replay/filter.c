// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/filter.h"

#define PASSED	   0xffff
#define UDP_HEADER 8

struct program {
	struct sock_filter *code;
	unsigned n;
};

static void add(struct program *program, struct sock_filter instruction)
{
	program->code[program->n++] = instruction;
}

/* `k` bytes behind the header of UDP, at which X points, or at which a set begins. */
static void load_half(struct program *program, unsigned k)
{
	add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_IND, k));
}

/* Ends unless the port is one of ours. */
static void check_port(struct program *program, const struct replay_watch *watch)
{
	unsigned n = watch->n < REPLAY_LISTENERS_MAX ? watch->n : REPLAY_LISTENERS_MAX;

	load_half(program, 2);
	for (unsigned i = 0; i < n; i++)
		add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							  watch->listeners[i].port, n - i, 0));
	add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0));
}

/* Passes it if one of the first sets is of templates, with the id `first` or the next one; a load
 * behind the end of the datagram ends it. */
static void check_sets(struct program *program, unsigned header, unsigned first)
{
	for (unsigned i = 0; i < FILTER_SETS; i++) {
		load_half(program, UDP_HEADER + header);
		add(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, first));
		add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 1, 1, 0));
		add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, PASSED));
		load_half(program, UDP_HEADER + header + 2);
		add(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0));
		add(program, (struct sock_filter)BPF_STMT(BPF_MISC | BPF_TAX, 0));
	}
	add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0));
}

unsigned filter_make(const struct replay_watch *watch, bool ipv6,
		     struct sock_filter ret_filter[FILTER_MAX])
{
	const unsigned sets = 7 * FILTER_SETS + 1;
	struct program program = {.code = ret_filter};

	if (ipv6)
		add(&program, (struct sock_filter)BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 0));
	else
		add(&program, (struct sock_filter)BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0));
	check_port(&program, watch);
	load_half(&program, UDP_HEADER);
	add(&program,
	    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TEMPLATE_NETFLOW9, 0, sets));
	check_sets(&program, 20, 0);
	add(&program,
	    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TEMPLATE_IPFIX, 1, 0));
	add(&program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0));
	check_sets(&program, 16, 2);
	return program.n;
}
