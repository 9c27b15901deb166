// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/mptcp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "hs_abi.h"
#include "mptcp.skel.h"
#include "plane/bpf/load.h"
#include "plane/bpf/pins.h"
#include "plane/bpf/pinset.h"
#include "plane/kernel/cgroup.h"
#include "util/macro.h"

#define PIN(name) HS_PIN_ROOT "/" HS_PIN_ACCOUNTING "/" name

DEFINE_CLEANUP(struct mptcp_bpf, mptcp_bpf__destroy)

static uint64_t own_build(void)
{
	const void *bytes;
	size_t n;

	bytes = mptcp_bpf__elf_bytes(&n);
	return load_build(bytes, n);
}

static int open_pins(void *ret_program)
{
	if (!pinset_is_made(PIN("mptcp-build"), own_build()))
		return -ENOENT;
	return pin_open(PIN("mptcp"), ret_program);
}

/* What was counted before goes on. */
static int reuse_asked(const struct mptcp_bpf *skel)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = pin_open(PIN("mptcp-asked"), &fd);

	if (r)
		return r == -ENOENT ? 0 : r;
	return bpf_map__reuse_fd(skel->maps.hs_mptcp_asked, fd);
}

/* With `tries` nothing that is pinned is touched. */
static int load(bool tries, bool tells_error, struct mptcp_bpf **ret_skel, struct problem *problem)
{
	_cleanup_(mptcp_bpf__destroyp) struct mptcp_bpf *skel = mptcp_bpf__open();
	int r = skel ? 0 : -errno;

	if (!r && !tries)
		r = reuse_asked(skel);
	if (r < 0)
		return problem_set(problem, r, "cannot open the program against MPTCP: %s",
				   strerror(-r));
	skel->rodata->hs_tells_error = tells_error;
	r = load_object(skel->obj, "the program against MPTCP", problem);
	if (r < 0)
		return r;
	*ret_skel = steal_ptr(&skel);
	return 0;
}

static int pin_all(const struct mptcp_bpf *skel)
{
	int build_fd = bpf_map__fd(skel->maps.hs_mptcp_build);
	uint64_t build = own_build();
	uint32_t zero = 0;
	int r = pin_object(bpf_map__fd(skel->maps.hs_mptcp_asked), PIN("mptcp-asked"));

	if (!r)
		r = pinset_program(PIN("mptcp"), BPF_CGROUP_INET_SOCK_CREATE,
				   bpf_program__fd(skel->progs.hs_mptcp));
	if (!r)
		r = pin_object(build_fd, PIN("mptcp-build"));
	if (!r && bpf_map_update_elem(build_fd, &zero, &build, BPF_ANY))
		r = -errno;
	return r;
}

static int load_as_can_be(bool tries, struct mptcp_bpf **ret_skel, struct problem *problem)
{
	int r = load(tries, true, ret_skel, problem);

	return r && r != -EPERM ? load(tries, false, ret_skel, problem) : r;
}

int mptcp_try(struct problem *problem)
{
	_cleanup_(mptcp_bpf__destroyp) struct mptcp_bpf *skel = NULL;

	return load_as_can_be(true, &skel, problem);
}

static int make_pins(struct problem *problem)
{
	_cleanup_(mptcp_bpf__destroyp) struct mptcp_bpf *skel = NULL;
	int r = load_as_can_be(false, &skel, problem);

	if (r < 0)
		return r;
	r = pin_all(skel);
	return r ? problem_set(problem, r, "cannot pin the program against MPTCP: %s", strerror(-r))
		 : 0;
}

static int attach(int program, const char *cgroup)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = cgroup_open(cgroup, &fd);

	if (!r)
		r = cgroup_has_program(fd, BPF_CGROUP_INET_SOCK_CREATE, program);
	if (r)
		return MIN(r, 0);
	return bpf_prog_attach(program, fd, BPF_CGROUP_INET_SOCK_CREATE, BPF_F_ALLOW_MULTI) ? -errno
											    : 0;
}

int mptcp_refuse(const char *cgroup, struct problem *problem)
{
	_cleanup_(close_fdp) int program = -1;
	struct problem why = {0};
	int r = pinset_open(open_pins, make_pins, &program, &why);

	if (!r)
		r = attach(program, cgroup);
	if (r < 0)
		return problem_set(problem, r, "MPTCP cannot be refused to cgroup %s: %.300s",
				   cgroup, why.text[0] ? why.text : strerror(-r));
	return 0;
}

int mptcp_allow(const char *cgroup)
{
	_cleanup_(close_fdp) int fd = -1, program = -1;
	int r = pin_open(PIN("mptcp"), &program);

	if (!r)
		r = cgroup_open(cgroup, &fd);
	if (!r && bpf_prog_detach2(program, fd, BPF_CGROUP_INET_SOCK_CREATE) && errno != ENOENT &&
	    errno != EINVAL)
		r = -errno;
	return r == -ENOENT ? 0 : r;
}

uint32_t mptcp_asked(uint64_t cgroup_id)
{
	_cleanup_(close_fdp) int fd = -1;
	uint32_t asked = 0;

	if (pin_open(PIN("mptcp-asked"), &fd) || bpf_map_lookup_elem(fd, &cgroup_id, &asked))
		return 0;
	return asked;
}
