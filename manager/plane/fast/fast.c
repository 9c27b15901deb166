// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/fast/fast.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "plane/fast/fast_pins.h"
#include "plane/fast/fast_programs.h"
#include "plane/kernel/cgroup.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct fast, fast_free)

static const char *const ways[] = {
	[HS_FAST_UNDECIDED] = "undecided",
	[HS_FAST_FAST] = "fast",
	[HS_FAST_TCP] = "tcp",
};

static const char *const whys[] = {
	[HS_FAST_WHY_NONE] = "none",	 [HS_FAST_WHY_EARLY] = "early",
	[HS_FAST_WHY_FULL] = "full",	 [HS_FAST_WHY_TLS] = "tls",
	[HS_FAST_WHY_CLOSED] = "closed", [HS_FAST_WHY_GONE] = "gone",
	[HS_FAST_WHY_ENDED] = "ended",	 [HS_FAST_WHY_STARTED] = "started",
};
_Static_assert(ARRAY_SIZE(whys) == HS_FAST_WHY_COUNT, "a word for each reason");

const char *fast_way_to_string(unsigned way)
{
	return way < ARRAY_SIZE(ways) ? ways[way] : "unknown";
}

const char *fast_why_to_string(unsigned why)
{
	return why < ARRAY_SIZE(whys) ? whys[why] : "unknown";
}

static struct fast *fast_new(void)
{
	struct fast *fast = calloc(1, sizeof(*fast));

	if (fast)
		fast_pins_init(fast);
	return fast;
}

struct fast *fast_free(struct fast *fast)
{
	if (!fast)
		return NULL;
	fast_pins_close(fast);
	free(fast);
	return NULL;
}

int fast_open(struct fast **ret_fast, struct problem *problem)
{
	_cleanup_(fast_freep) struct fast *fast = fast_new();
	int r;

	if (!fast)
		return problem_set(problem, -ENOMEM, "no memory");
	r = fast_pins_make(fast, problem);
	if (r)
		return r;
	*ret_fast = steal_ptr(&fast);
	return 0;
}

int fast_attach(struct fast **ret_fast)
{
	_cleanup_(fast_freep) struct fast *fast = fast_new();
	int r = fast ? fast_pins_open(fast) : -ENOMEM;

	if (r)
		return r;
	*ret_fast = steal_ptr(&fast);
	return 0;
}

/* ---- clients ---- */

/* FNV-1a: of the few units that are named no two are alike. */
uint64_t fast_client(const char *unit)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (; *unit; unit++)
		hash = (hash ^ (uint8_t)*unit) * 0x100000001b3ULL;
	return hash | 1;
}

static int attach(int program_fd, int cgroup_fd)
{
	int r = cgroup_has_program(cgroup_fd, BPF_CGROUP_SOCK_OPS, program_fd);

	if (r)
		return MIN(r, 0);
	return bpf_prog_attach(program_fd, cgroup_fd, BPF_CGROUP_SOCK_OPS, BPF_F_ALLOW_MULTI)
		       ? -errno
		       : 0;
}

int fast_join(const struct fast *fast, const char *cgroup, const char *unit,
	      struct problem *problem)
{
	struct hs_fast_group group = {.client = fast_client(unit)};
	_cleanup_(close_fdp) int fd = -1;
	struct problem why;
	uint64_t id;
	int r = cgroup_open(cgroup, &fd);

	if (!r && fast_keeps_off(cgroup, &why))
		return problem_set(problem, -EOPNOTSUPP, "%s", why.text);
	if (!r)
		r = cgroup_id(cgroup, &id);
	if (!r)
		r = attach(fast->connect_fd, fd);
	/* its place is there with the program */
	if (!r && bpf_map_update_elem(fast->clients_fd, &id, &group, BPF_ANY))
		r = -errno;
	return r ? problem_set(problem, r,
			       "connections of %s cannot be put on the fast path: control group "
			       "%s: %s",
			       unit, cgroup, strerror(-r))
		 : 0;
}

int fast_part(const struct fast *fast, const char *cgroup)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = cgroup_open(cgroup, &fd);

	if (!r && bpf_prog_detach2(fast->connect_fd, fd, BPF_CGROUP_SOCK_OPS) && errno != ENOENT &&
	    errno != EINVAL)
		r = -errno;
	return r == -ENOENT ? 0 : r;
}

/* ---- services ---- */

static bool names(const struct fast_service *service, uint64_t client)
{
	for (size_t i = 0; i < service->n_units; i++)
		if (fast_client(service->units[i]) == client)
			return true;
	return false;
}

static bool wants(const struct fast_service *service, const struct hs_fast_port *port)
{
	for (size_t i = 0; i < service->n_ports; i++)
		if (service->ports[i] == port->port)
			return names(service, port->client);
	return false;
}

/* Whether what is behind this key of a map is to go. */
typedef bool (*goes_fn)(const void *key, const void *userdata);

/* True: something went. */
static bool delete_some(int fd, size_t key_size, goes_fn goes, const void *userdata)
{
	char key[64], next[64], *previous = NULL;
	bool go = false, any = false;

	while (!bpf_map_get_next_key(fd, previous, next)) {
		if (go)
			any |= !bpf_map_delete_elem(fd, key);
		memcpy(key, next, key_size);
		previous = key;
		go = goes(key, userdata);
	}
	if (go)
		any |= !bpf_map_delete_elem(fd, key);
	return any;
}

static bool is_other_client(const void *key, const void *userdata)
{
	const struct fast_service *service = userdata;
	const struct hs_fast_client *client = key;

	return client->service_id == service->service_id && !names(service, client->client);
}

static bool is_other_want(const void *key, const void *userdata)
{
	const struct fast_service *service = userdata;
	const struct hs_fast_want *want = key;

	return want->service_id == service->service_id && !wants(service, &want->port);
}

static bool is_unwanted(const void *key, const void *userdata)
{
	const struct hs_fast_port *port = key;
	struct hs_fast_want want, *previous = NULL;
	int fd = *(const int *)userdata;

	while (!bpf_map_get_next_key(fd, previous, &want)) {
		if (want.port.client == port->client && want.port.port == port->port)
			return false;
		previous = &want;
	}
	return true;
}

/* Pairs that live ask again whether they may. */
static int next_turn(const struct fast *fast)
{
	struct hs_fast_state state;
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(fast->state_fd, &zero, &state))
		return -errno;
	state.turn++;
	return bpf_map_update_elem(fast->state_fd, &zero, &state, BPF_EXIST) ? -errno : 0;
}

static int forget_others(const struct fast *fast, const struct fast_service *service)
{
	int r = 0;

	if (delete_some(fast->services_fd, sizeof(struct hs_fast_client), is_other_client, service))
		r = next_turn(fast);
	if (delete_some(fast->wants_fd, sizeof(struct hs_fast_want), is_other_want, service))
		delete_some(fast->ports_fd, sizeof(struct hs_fast_port), is_unwanted,
			    &fast->wants_fd);
	return r;
}

static int put(int fd, const void *key)
{
	uint32_t one = 1;

	return bpf_map_update_elem(fd, key, &one, BPF_ANY) ? -errno : 0;
}

static int want_port(const struct fast *fast, const struct fast_service *service, uint64_t client,
		     uint16_t port)
{
	struct hs_fast_want want = {.port = {.client = client, .port = port},
				    .service_id = service->service_id};

	return put(fast->wants_fd, &want) ?: put(fast->ports_fd, &want.port);
}

static int allow_unit(const struct fast *fast, const struct fast_service *service, const char *unit)
{
	struct hs_fast_client key = {.client = fast_client(unit),
				     .service_id = service->service_id};
	int r = put(fast->services_fd, &key);

	for (size_t i = 0; !r && i < service->n_ports; i++)
		r = want_port(fast, service, key.client, service->ports[i]);
	return r;
}

static int add_counts(const struct fast *fast, uint32_t service_id)
{
	int n = libbpf_num_possible_cpus();
	_cleanup_(freep) struct hs_fast_counts *counts = n > 0 ? calloc(n, sizeof(*counts)) : NULL;
	struct hs_fast_place place = {.service_id = service_id};

	if (!counts)
		return -ENOMEM;
	for (; place.slot < HS_PLACES_MAX; place.slot++)
		if (bpf_map_update_elem(fast->counts_fd, &place, counts, BPF_NOEXIST) &&
		    errno != EEXIST)
			return -errno;
	return 0;
}

int fast_allow(const struct fast *fast, const struct fast_service *service, struct problem *problem)
{
	_cleanup_(close_fdp) int lock = -1;
	int r = pins_lock(FAST_FOLDER, 1, &lock);

	if (!r)
		r = add_counts(fast, service->service_id);
	for (size_t i = 0; !r && i < service->n_units; i++)
		r = allow_unit(fast, service, service->units[i]);
	if (!r)
		r = forget_others(fast, service);
	if (r == -E2BIG)
		return problem_set(problem, r, "too many services and units are on the fast path");
	if (r == -EBUSY)
		return problem_set(problem, r,
				   "another process changes the fast path, or was stopped while it "
				   "did, see fuser -v %s",
				   FAST_FOLDER);
	return r ? problem_set(problem, r, "the fast path cannot be opened: %s", strerror(-r)) : 0;
}

static bool is_of_service(const void *key, const void *userdata)
{
	const struct hs_fast_place *place = key;

	return place->service_id == *(const uint32_t *)userdata;
}

static bool is_empty(int fd)
{
	char key[64];

	return bpf_map_get_next_key(fd, NULL, key) != 0;
}

int fast_remove(uint32_t service_id)
{
	struct fast_service nobody = {.service_id = service_id};
	_cleanup_(fast_freep) struct fast *fast = fast_new();
	_cleanup_(close_fdp) int lock = -1;
	int r;

	if (!fast)
		return -ENOMEM;
	if (access(FAST_FOLDER, F_OK))
		return 0;
	r = pins_lock(HS_PIN_ROOT, 1, &lock);
	if (r)
		return r == -ENOENT ? 0 : r;
	if (!fast_pins_open(fast)) {
		forget_others(fast, &nobody);
		delete_some(fast->counts_fd, sizeof(struct hs_fast_place), is_of_service,
			    &service_id);
		if (!is_empty(fast->counts_fd))
			return 0;
	}
	return fast_pins_remove();
}

/* ---- looking ---- */

static void add_up(struct hs_fast_counts *to, const struct hs_fast_counts *from)
{
	const __u64 *numbers = (const __u64 *)from;
	__u64 *sums = (__u64 *)to;

	for (size_t i = 0; i < sizeof(*to) / sizeof(*sums); i++)
		sums[i] += numbers[i];
}

int fast_counts(const struct fast *fast, uint32_t service_id, unsigned place,
		struct hs_fast_counts *ret_counts)
{
	int n = libbpf_num_possible_cpus();
	_cleanup_(freep) struct hs_fast_counts *counts = n > 0 ? calloc(n, sizeof(*counts)) : NULL;
	struct hs_fast_place key = {.service_id = service_id, .slot = place};
	struct hs_fast_counts sum = {0};

	if (!counts)
		return -ENOMEM;
	if (bpf_map_lookup_elem(fast->counts_fd, &key, counts))
		return -errno;
	for (int i = 0; i < n; i++)
		add_up(&sum, &counts[i]);
	*ret_counts = sum;
	return 0;
}

int fast_totals(const struct fast *fast, uint32_t service_id, struct hs_fast_counts *ret_counts)
{
	struct hs_fast_counts sum = {0}, counts;

	for (unsigned place = 0; place < HS_PLACES_MAX; place++) {
		int r = fast_counts(fast, service_id, place, &counts);

		if (r)
			return r;
		add_up(&sum, &counts);
	}
	*ret_counts = sum;
	return 0;
}

int fast_each_pair(const struct fast *fast, uint32_t service_id, fast_pair_fn each, void *userdata)
{
	uint64_t cookie, *previous = NULL;
	struct hs_fast_pair pair;
	int r = 0;

	/* one that ends meanwhile may begin it anew: so often and no longer */
	for (unsigned left = 2 * HS_FAST_PAIRS_MAX;
	     !r && left && !bpf_map_get_next_key(fast->pairs_fd, previous, &cookie); left--) {
		previous = &cookie;
		if (!bpf_map_lookup_elem(fast->pairs_fd, &cookie, &pair) &&
		    (!service_id || pair.service_id == service_id))
			r = each(&pair, userdata);
	}
	return r;
}
