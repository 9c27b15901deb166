// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/flows.h"

#include <bpf/bpf.h>
#include <sys/mman.h>

#include "plane/bpf/pins.h"
#include "util/clock.h"
#include "util/macro.h"

static size_t bytes_of(const struct flows *flows)
{
	return (size_t)flows->n * sizeof(struct hs_flow_bucket);
}

static int map_table(struct flows *flows)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);
	void *pages;

	if (bpf_obj_get_info_by_fd(flows->fd, &info, &size))
		return -errno;
	flows->n = info.max_entries;
	pages = mmap(NULL, bytes_of(flows), PROT_READ, MAP_SHARED, flows->fd, 0);
	if (pages == MAP_FAILED)
		return -errno;
	flows->buckets = pages;
	return 0;
}

int flows_open(const char *folder, struct flows *ret_flows)
{
	struct flows flows = FLOWS_NONE;
	int r = pin_open(pin_path("%s/flows", folder).text, &flows.fd);

	if (!r)
		r = map_table(&flows);
	if (r < 0) {
		flows_done(&flows);
		return r;
	}
	*ret_flows = flows;
	return 0;
}

/* A power of two, so that a mask chooses one. */
static uint32_t bucket_count(unsigned max)
{
	uint32_t n = HS_FLOW_BUCKETS_MIN;

	while (n < HS_FLOW_BUCKETS_MAX && (uint64_t)n * HS_FLOW_WAYS < max)
		n *= 2;
	return n;
}

int flows_create(const char *folder, unsigned max)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	_cleanup_(close_fdp) int fd =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, "hs_flows", sizeof(uint32_t),
			       sizeof(struct hs_flow_bucket), bucket_count(max), &opts);

	return fd < 0 ? -errno : pin_object(fd, pin_path("%s/flows", folder).text);
}

void flows_done(struct flows *flows)
{
	if (flows->buckets)
		munmap((void *)flows->buckets, bytes_of(flows));
	close_fd(flows->fd);
	*flows = FLOWS_NONE;
}

uint32_t flows_tick(void)
{
	return hs_flow_tick(now_coarse_nsec());
}

static void add(struct slot_flows *slot, uint32_t age)
{
	uint64_t usec = ((uint64_t)age << HS_FLOW_TICK_SHIFT) / NSEC_PER_USEC;

	slot->n++;
	slot->idlest_usec = MAX(slot->idlest_usec, usec);
}

void flows_count(const struct flows *flows, const struct hs_flow_now *now,
		 struct slot_flows counts[HS_SLOTS_MAX])
{
	for (uint32_t i = 0; i < flows->n; i++)
		for (unsigned way = 0; way < HS_FLOW_WAYS; way++) {
			uint64_t word =
				__atomic_load_n(&flows->buckets[i].flows[way], __ATOMIC_RELAXED);

			if (hs_flow_is_live(word, now))
				add(&counts[hs_flow_slot(word)], hs_flow_age(word, now->tick));
		}
}
