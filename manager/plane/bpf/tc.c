// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/tc.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "plane/kernel/program.h"
#include "util/macro.h"

/* Among the filters of others ours is known by this. */
#define HANDLE 0x4853

DEFINE_CLEANUP(struct mnl_socket, mnl_socket_close)

static struct bpf_tc_hook hook_of(uint32_t ifindex, enum tc_side side)
{
	return (struct bpf_tc_hook) {
		.sz = sizeof(struct bpf_tc_hook),
		.ifindex = (int)ifindex,
		.attach_point = side == TC_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS,
	};
}

static struct bpf_tc_opts at(enum tc_place place)
{
	return (struct bpf_tc_opts) {
		.sz = sizeof(struct bpf_tc_opts),
		.handle = HANDLE,
		.priority = place,
	};
}

uint32_t tc_program(uint32_t ifindex, enum tc_side side, enum tc_place place)
{
	struct bpf_tc_hook hook = hook_of(ifindex, side);
	struct bpf_tc_opts opts = at(place);

	return bpf_tc_query(&hook, &opts) ? 0 : opts.prog_id;
}

int tc_attach(uint32_t ifindex, enum tc_side side, enum tc_place place, int program_fd,
	      bool *made_qdisc)
{
	struct bpf_tc_hook hook = hook_of(ifindex, side);
	struct bpf_tc_opts opts = at(place);
	uint32_t id;
	int r = program_id(program_fd, &id);

	if (r || tc_program(ifindex, side, place) == id)
		return r;
	r = bpf_tc_hook_create(&hook);
	if (r && r != -EEXIST)
		return r;
	*made_qdisc |= !r;
	opts.prog_fd = program_fd;
	opts.flags = BPF_TC_F_REPLACE;
	return bpf_tc_attach(&hook, &opts);
}

static bool is_gone(int error)
{
	return error == -ENOENT || error == -EINVAL || error == -ENODEV;
}

int tc_detach(uint32_t ifindex, enum tc_side side, enum tc_place place)
{
	struct bpf_tc_hook hook = hook_of(ifindex, side);
	struct bpf_tc_opts opts = at(place);
	int r = bpf_tc_detach(&hook, &opts);

	return is_gone(r) ? 0 : r;
}

/* ---- what others have there ---- */

static int on_filter(const struct nlmsghdr *header, void *userdata)
{
	*(bool *)userdata |= header->nlmsg_type == RTM_NEWTFILTER;
	return MNL_CB_OK;
}

static int ask(struct mnl_socket *socket, uint32_t ifindex, uint32_t parent, bool *ret_any)
{
	char buffer[16384];
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct tcmsg *message;
	ssize_t n;
	int r = MNL_CB_OK;

	header->nlmsg_type = RTM_GETTFILTER;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
	message->tcm_ifindex = (int)ifindex;
	message->tcm_parent = TC_H_MAKE(TC_H_CLSACT, parent);
	if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		if (n < 0)
			return -errno;
		r = mnl_cb_run(buffer, n, 0, mnl_socket_get_portid(socket), on_filter, ret_any);
	}
	return r < 0 ? -errno : 0;
}

/* What cannot be asked may be there. */
static bool has_filters(uint32_t ifindex)
{
	_cleanup_(mnl_socket_closep) struct mnl_socket *socket = mnl_socket_open(NETLINK_ROUTE);
	bool any = false;

	return !socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	       ask(socket, ifindex, TC_H_MIN_INGRESS, &any) < 0 ||
	       ask(socket, ifindex, TC_H_MIN_EGRESS, &any) < 0 || any;
}

void tc_clear(uint32_t ifindex)
{
	struct bpf_tc_hook hook = hook_of(ifindex, TC_INGRESS);

	if (has_filters(ifindex))
		return;
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	bpf_tc_hook_destroy(&hook);
}
