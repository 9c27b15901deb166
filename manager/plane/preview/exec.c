// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/preview/exec.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "exec.skel.h"
#include "plane/bpf/load.h"
#include "plane/bpf/pins.h"
#include "plane/front/led_exec.h"
#include "plane/kernel/cgroup.h"
#include "plane/kernel/netns.h"
#include "plane/plane_front.h"
#include "plane/preview/leading.h"
#include "plane/preview/preview.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct exec_bpf, exec_bpf__destroy)

static int open_cgroup(const char *cgroup, int *ret_fd)
{
	struct pin_path mount;
	int r = cgroup_mount(mount.text, sizeof(mount.text));

	if (r < 0)
		return r;
	*ret_fd =
		open(pin_path("%s%s", mount.text, cgroup).text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

static int add_ports(const struct plane *plane, int ports_fd)
{
	uint8_t value = 1;
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < n; i++) {
		struct hs_exec_port port = {
			.port = htons(listeners[i]->address.port),
			.protocol = listeners[i]->address.udp ? IPPROTO_UDP : IPPROTO_TCP,
		};

		if (bpf_map_update_elem(ports_fd, &port, &value, BPF_ANY))
			return -errno;
	}
	return 0;
}

static int load(struct exec_bpf *skel, const struct plane *plane, struct problem *problem)
{
	int r = bpf_map__reuse_fd(skel->maps.hs_preview, plane_preview_fd(plane));

	if (r < 0)
		return problem_set(problem, r, "cannot share the preview rules of %s: %s",
				   plane_service(plane), strerror(-r));
	r = load_object(skel->obj, "the programs for a command", problem);
	if (r < 0)
		return r;
	r = add_ports(plane, bpf_map__fd(skel->maps.hs_exec_ports));
	if (r < 0)
		return problem_set(problem, r, "cannot tell the ports of %s to the programs: %s",
				   plane_service(plane), strerror(-r));
	return 0;
}

/* The one that takes rules away comes first. Those that are attached when the other fails do no
 * harm: there is nothing that they could find. */
static int attach(const struct exec_bpf *skel, int cgroup, const char *name,
		  struct problem *problem)
{
	if (bpf_prog_attach(bpf_program__fd(skel->progs.hs_exec_release), cgroup,
			    BPF_CGROUP_INET_SOCK_RELEASE, BPF_F_ALLOW_MULTI) ||
	    bpf_prog_attach(bpf_program__fd(skel->progs.hs_exec_egress), cgroup,
			    BPF_CGROUP_INET_EGRESS, BPF_F_ALLOW_MULTI))
		return problem_set(problem, -errno,
				   "the kernel refused the programs for the command on cgroup %s: "
				   "%m",
				   name);
	return 0;
}

static int netns_of(const struct exec_order *order, uint32_t *ret_inode)
{
	if (!order->netns)
		return netns_inode_of_process(order->pid, ret_inode);
	*ret_inode = order->netns->inode;
	return 0;
}

static int prepare(struct exec_bpf *skel, const struct exec_order *order,
		   const struct hs_preview_owner_id *owner)
{
	uint32_t netns;
	int r = netns_of(order, &netns);

	if (r < 0)
		return r;
	skel->rodata->hs_owner = owner->id;
	skel->rodata->hs_slot = order->slot;
	skel->rodata->hs_netns = netns;
	return 0;
}

static int load_and_attach(struct exec_bpf *skel, const struct plane *plane, int cgroup,
			   const char *name, int *ret_counts_fd, struct problem *problem)
{
	_cleanup_(close_fdp) int counts = -1;
	int r = load(skel, plane, problem);

	if (r < 0)
		return r;
	if (ret_counts_fd)
		counts = fcntl(bpf_map__fd(skel->maps.hs_exec_counts), F_DUPFD_CLOEXEC, 3);
	if (ret_counts_fd && counts < 0)
		return -errno;
	r = attach(skel, cgroup, name, problem);
	if (!r && ret_counts_fd)
		*ret_counts_fd = steal_fd(&counts);
	return r;
}

/* Before anything is loaded: who has to try again has lost little. */
static int begin_rules(struct plane *plane, const struct hs_preview_owner_id *owner,
		       struct problem *problem)
{
	int r = preview_begin(plane, owner);

	if (r == -EBUSY)
		return problem_set(problem, r,
				   "another process changes what selectors of %s look for, or was "
				   "stopped while it did; try again",
				   plane_service(plane));
	return r < 0 ? problem_set(problem, r, "cannot make preview rules for %s: %s",
				   plane_service(plane), strerror(-r))
		     : 0;
}

static int attach_to_slot(struct plane *plane, const struct exec_order *order, int *ret_counts_fd,
			  struct problem *problem)
{
	_cleanup_(exec_bpf__destroyp) struct exec_bpf *skel = exec_bpf__open();
	_cleanup_(close_fdp) int cgroup = -1;
	struct hs_preview_owner_id owner;
	int r;

	if (!skel)
		return problem_set(problem, -errno, "cannot open the programs for a command: %m");
	r = open_cgroup(order->cgroup, &cgroup);
	if (!r)
		r = owner_of_cgroup(order->cgroup, &owner);
	if (!r)
		r = prepare(skel, order, &owner);
	if (r < 0)
		return problem_set(problem, r, "cannot look at the command's cgroup %s: %s",
				   order->cgroup, strerror(-r));
	/* selectors look first, then there is something to see */
	r = begin_rules(plane, &owner, problem);
	if (r < 0)
		return r;
	r = load_and_attach(skel, plane, cgroup, order->cgroup, ret_counts_fd, problem);
	if (r < 0)
		preview_end(plane, &owner);
	return r;
}

DEFINE_CLEANUP(struct led, led_free)

static int attach_to_host(struct plane *plane, const struct exec_order *order, int *ret_counts_fd,
			  struct problem *problem)
{
	_cleanup_(led_freep) struct led *led = NULL;
	const struct led_order led_order = {
		.cgroup = order->cgroup,
		.service = plane_service(plane),
		.front = order->front,
		.service_id = plane_id(plane),
		.slot = order->slot,
	};
	int r = leading_open(plane, &led, problem);

	return r ?: led_exec_attach(led, &led_order, ret_counts_fd, problem);
}

int exec_attach(struct plane *plane, const struct exec_order *order, int *ret_counts_fd,
		struct problem *problem)
{
	return plane_is_front(plane) ? attach_to_host(plane, order, ret_counts_fd, problem)
				     : attach_to_slot(plane, order, ret_counts_fd, problem);
}

int exec_end(struct plane *plane, const struct hs_preview_owner_id *owner)
{
	_cleanup_(led_freep) struct led *led = NULL;
	int r;

	if (!plane_is_front(plane))
		return preview_end(plane, owner);
	r = led_attach(&led);
	return r ? (r == -ENOENT ? 0 : r) : led_end(led, owner);
}

int exec_sweep(struct plane *plane)
{
	_cleanup_(led_freep) struct led *led = NULL;
	int r;

	if (!plane_is_front(plane))
		return plane_has_preview(plane) ? preview_sweep(plane) : 0;
	r = led_attach(&led);
	return r ? (r == -ENOENT ? 0 : r) : led_sweep(led);
}

bool exec_may(const struct plane *plane, unsigned n_slots, unsigned slot,
	      struct problem *ret_refusal)
{
	if (slot >= n_slots) {
		problem_set(ret_refusal, 0, "%s has no slot %u", plane_service(plane), slot);
		return false;
	}
	if (plane_is_front(plane))
		return leading_may(plane, slot, ret_refusal);
	if (plane_slot_sockets(plane, slot))
		return true;
	problem_set(ret_refusal, 0,
		    "%s: slot %u has no live socket to send anything to; start it: systemctl start "
		    "%s@%u",
		    plane_service(plane), slot, plane_service(plane), slot);
	return false;
}

int exec_counts(int counts_fd, struct hs_exec_counts *ret_counts)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *counts = mmap(NULL, page, PROT_READ, MAP_SHARED, counts_fd, 0);

	if (counts == MAP_FAILED)
		return -errno;
	memcpy(ret_counts, counts, sizeof(*ret_counts));
	munmap(counts, page);
	return 0;
}

bool exec_has_reached(const struct hs_exec_counts *counts)
{
	return counts->begun > counts->missed + counts->unseen;
}

static void describe_front(const char *service, unsigned slot, const struct hs_exec_counts *counts,
			   struct problem *ret_sentence)
{
	if (counts->unseen)
		problem_set(ret_sentence, 0,
			    "%" PRIu64 " of %" PRIu64 " connections left by another way than that "
			    "of clients to host %u of %s: does the route to it lead by the front's "
			    "device?",
			    (uint64_t)counts->unseen, (uint64_t)counts->begun, slot, service);
	else if (counts->blocked)
		problem_set(ret_sentence, 0,
			    "%" PRIu64 " connections or datagrams to %s could not be sent to host "
			    "%u: it has no address of that family, they were too large, or they "
			    "were begun in another network",
			    (uint64_t)counts->blocked, service, slot);
	else if (counts->missed)
		problem_set(ret_sentence, 0,
			    "%" PRIu64 " of %" PRIu64
			    " connections were not answered by host %u of %s",
			    (uint64_t)counts->missed, (uint64_t)counts->begun, slot, service);
}

static void describe_slot(const char *service, unsigned slot, const struct hs_exec_counts *counts,
			  struct problem *ret_sentence)
{
	if (counts->missed)
		problem_set(ret_sentence, 0,
			    "%" PRIu64 " of %" PRIu64 " connections did not reach slot %u of %s, "
			    "which had no socket for them; they went where all others go",
			    (uint64_t)counts->missed, (uint64_t)counts->begun, slot, service);
	else if (counts->unseen)
		problem_set(ret_sentence, 0,
			    "%" PRIu64 " of %" PRIu64 " connections did not come to a listener of "
			    "%s: nobody listens there, or a program that is not managed",
			    (uint64_t)counts->unseen, (uint64_t)counts->begun, service);
	else if (counts->blocked)
		problem_set(ret_sentence, 0,
			    "%" PRIu64 " packets to %s were held back: at most %u connections at a "
			    "time can be sent to a slot",
			    (uint64_t)counts->blocked, service, HS_PREVIEW_MAX);
}

void exec_describe(const char *service, unsigned slot, const struct hs_exec_counts *counts,
		   struct problem *ret_sentence)
{
	*ret_sentence = (struct problem) {0};
	if (!counts->begun && !counts->blocked)
		problem_set(ret_sentence, 0,
			    "it made no connection to %s %u of %s (what goes by a proxy, ssh, su, "
			    "systemd-run or a container is not its own)",
			    counts->front ? "host" : "slot", slot, service);
	else if (counts->front)
		describe_front(service, slot, counts, ret_sentence);
	else
		describe_slot(service, slot, counts, ret_sentence);
}
