// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/plane.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "plane/bpf/handover.h"
#include "plane/bpf/load.h"
#include "plane/bpf/maps.h"
#include "plane/bpf/own.h"
#include "plane/fast/fast.h"
#include "plane/front/decap.h"
#include "plane/parts/plane_state.h"
#include "plane/parts/table.h"
#include "plane/parts/trace.h"
#include "plane/plane_front.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct plane, plane_free)

static struct plane *plane_new(const char *service, struct accounting *accounting)
{
	struct plane *plane = calloc(1, sizeof(*plane));
	struct config defaults;

	if (!plane)
		return NULL;
	config_init(&defaults);
	plane->flow_max = defaults.flow_max;
	plane->flows = FLOWS_NONE;
	plane->paths = PATHS_NONE;
	snprintf(plane->service, sizeof(plane->service), "%s", service);
	plane->folder = pin_service_path(service);
	plane->accounting = accounting;
	plane->control_fd = plane->counters_fd = plane->events_fd = -1;
	plane->preview_fd = plane->prefixes_fd = -1;
	plane->tables_fd = plane->pinned_fd = -1;
	plane->trace_rings_fd = plane->trace_terms_fd = -1;
	return plane;
}

struct plane *plane_free(struct plane *plane)
{
	if (!plane)
		return NULL;
	ring_buffer__free(plane->ring);
	for (size_t i = 0; i < plane->n_listeners; i++)
		listener_free(plane->listeners[i]);
	if (plane->control)
		munmap(plane->control, sizeof(*plane->control));
	plane_front_close(plane);
	plane_close_ledger(plane);
	plane_table_close(plane);
	plane_trace_close(plane);
	flows_done(&plane->flows);
	paths_done(&plane->paths);
	close_fd(plane->control_fd);
	close_fd(plane->counters_fd);
	close_fd(plane->events_fd);
	close_fd(plane->preview_fd);
	close_fd(plane->prefixes_fd);
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		free(plane->cgroups[slot]);
	free(plane);
	return NULL;
}

void plane_set_cgroup(struct plane *plane, unsigned slot, const char *cgroup)
{
	const char *text = cgroup ?: "";

	if (slot >= HS_SLOTS_MAX || !strcmp(plane_cgroup(plane, slot), text))
		return;
	free(plane->cgroups[slot]);
	plane->cgroups[slot] = text[0] ? strdup(text) : NULL;
}

const char *plane_cgroup(const struct plane *plane, unsigned slot)
{
	return plane->cgroups[slot] ?: "";
}

static int map_control(struct plane *plane)
{
	plane->control = load_memory(plane->control_fd, sizeof(*plane->control));
	return plane->control ? 0 : -errno;
}

static int open_control(struct plane *plane)
{
	int r = pin_open(pin_path("%s/control", plane->folder.text).text, &plane->control_fd);

	return r ? r : map_control(plane);
}

static int open_maps(struct plane *plane)
{
	const char *folder = plane->folder.text;
	int r = pin_open(pin_path("%s/counters", folder).text, &plane->counters_fd);

	if (!r)
		r = pin_open(pin_path("%s/events", folder).text, &plane->events_fd);
	if (!r)
		r = pin_open(pin_path("%s/" HS_PIN_PREVIEW "/rules", folder).text,
			     &plane->preview_fd);
	return r ? r : pin_open(pin_path("%s/prefixes", folder).text, &plane->prefixes_fd);
}

/* Of what a later release has begun to use. */
static int check_needs(const struct plane *plane, struct problem *problem)
{
	_cleanup_(close_fdp) int fd = -1;
	struct hs_room room = {0};
	uint32_t zero = 0, unknown;
	int r = pin_open(pin_path("%s/room", plane->folder.text).text, &fd);

	if (!r && bpf_map_lookup_elem(fd, &zero, &room))
		r = -errno;
	unknown = room.needs & ~(uint32_t)HS_NEEDS_KNOWN;
	if (r || !unknown)
		return r;
	return problem_set(problem, -EPROTO,
			   "service %s makes use of what a later hotstandby has brought (bits %#x) "
			   "and this one knows nothing of; traffic goes on, but to manage it run "
			   "the later one",
			   plane->service, unknown);
}

static int check_version(const struct plane *plane, struct problem *problem)
{
	uint32_t abi = __atomic_load_n(&plane->control->abi, __ATOMIC_ACQUIRE);

	if (!abi)
		return -ENOENT;
	if (abi == HS_ABI_VERSION)
		return check_needs(plane, problem);
	/* whoever only looks finds all that there is; who makes pins has taken it over before */
	if (handover_is_readable(abi))
		return 0;
	return problem_set(problem, -EPROTO,
			   "the pins of service %s are of version %u and this hotstandby knows "
			   "versions %u and %u; traffic goes on, but to manage it run the "
			   "hotstandby that made them, or one of the release next to it, or stop "
			   "both instances and remove %s",
			   plane->service, abi, HS_ABI_BEFORE, HS_ABI_VERSION, plane->folder.text);
}

/* To the programs that serve all services. */
static void make_known(const struct plane *plane)
{
	struct own *own = plane_own(plane);

	if (plane->accounting)
		accounting_register(plane->accounting, plane->control->service_id,
				    plane->counters_fd);
	if (own)
		own_register(own, plane->control->service_id, plane->preview_fd);
}

static int open_pins(struct plane *plane, struct problem *problem)
{
	int r = open_control(plane);

	/* the version comes first: another one may have other maps */
	if (!r)
		r = check_version(plane, problem);
	if (r == -EPROTO)
		return r;
	if (!r)
		r = open_maps(plane);
	if (!r)
		make_known(plane);
	if (!r) {
		plane_open_ledger(plane);
		plane_table_open(plane);
		plane_trace_open(plane);
		plane_front_open(plane);
	}
	if (!r)
		r = plane_refresh(plane);
	if (r == -EACCES || r == -EPERM)
		return problem_set(problem, r, "no permission to open %s; run as root",
				   plane->folder.text);
	if (r < 0 && r != -ENOENT)
		return problem_set(problem, r, "cannot open the pins of service %s below %s: %s",
				   plane->service, plane->folder.text, strerror(-r));
	return r;
}

int plane_open(const char *service, struct accounting *accounting, struct plane **ret_plane,
	       struct problem *problem)
{
	_cleanup_(plane_freep) struct plane *plane = plane_new(service, accounting);
	struct problem foreign;
	int r;

	if (!plane)
		return -ENOMEM;
	r = pins_check(&foreign);
	if (r == -EPERM)
		return problem_set(problem, r, "%s", foreign.text);
	/* now: it takes the lock that who makes pins of a service holds */
	(void)plane_own(plane);
	r = open_pins(plane, problem);
	if (r < 0)
		return r;
	*ret_plane = steal_ptr(&plane);
	return 0;
}

static int init_control(struct plane *plane)
{
	struct config defaults;
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);
	int r = open_control(plane);

	if (!r)
		r = open_maps(plane);
	if (r < 0)
		return r;
	if (bpf_obj_get_info_by_fd(plane->counters_fd, &info, &size))
		return -errno;
	if (getrandom(&plane->control->hash_key, sizeof(plane->control->hash_key), 0) < 0)
		return -errno;
	config_init(&defaults);
	plane_set_flow(plane, &defaults);
	plane_init_word(plane);
	plane->control->service_id = info.id;
	plane->control->retired = (1U << HS_SLOTS_MAX) - 1;
	__atomic_store_n(&plane->control->abi, HS_ABI_VERSION, __ATOMIC_RELEASE);
	return 0;
}

static int make_pins(const char *service, struct problem *problem)
{
	_cleanup_(plane_freep) struct plane *plane = plane_new(service, NULL);
	int r;

	if (!plane)
		return -ENOMEM;
	/* half-made pins go; so do listeners, whose selectors would read another word than ours */
	r = pins_remove(plane->folder.text);
	if (!r && mkdir(plane->folder.text, 0750) < 0)
		r = -errno;
	if (!r)
		r = maps_create(plane->folder.text);
	if (!r)
		r = init_control(plane);
	if (r < 0)
		return problem_set(problem, r, "cannot make the maps of service %s below %s: %s%s",
				   service, plane->folder.text, strerror(-r),
				   r == -EPERM || r == -EACCES ? "; this needs root with CAP_BPF"
							       : "");
	return 0;
}

static bool is_of_before(const char *service)
{
	return handover_version(pin_service_path(service).text) == HS_ABI_BEFORE;
}

static int open_or_make(const char *service, struct accounting *accounting,
			struct plane **ret_plane, struct problem *problem)
{
	_cleanup_(close_fdp) int lock = -1;
	int r = pins_prepare(problem);

	if (r < 0)
		return r;
	/* the lock is for those who make them */
	if (!is_of_before(service)) {
		r = plane_open(service, accounting, ret_plane, problem);
		if (r != -ENOENT)
			return r;
	}
	r = pins_enter(&lock, problem);
	if (!r)
		r = handover_take_service(pin_service_path(service).text, problem);
	if (r < 0)
		return r;
	r = plane_open(service, accounting, ret_plane, problem);
	if (r != -ENOENT)
		return r;
	r = make_pins(service, problem);
	return r ? r : plane_open(service, accounting, ret_plane, problem);
}

int plane_create(const char *service, struct accounting *accounting, struct plane **ret_plane,
		 struct problem *problem)
{
	int r = open_or_make(service, accounting, ret_plane, problem);

	/* also where an earlier hotstandby has made the rest */
	if (!r)
		plane_make_ledger(*ret_plane);
	/* without these it cannot be spread or traced, which is no reason not to manage it */
	if (!r) {
		(void)plane_table_prepare(*ret_plane);
		(void)plane_trace_prepare(*ret_plane);
	}
	return r;
}

int plane_destroy(struct plane *plane)
{
	int r = plane_front_remove(plane);

	if (!r)
		r = decap_remove(plane->control->service_id);
	if (!r)
		r = fast_remove(plane->control->service_id);
	if (r < 0)
		return r;
	/* a socket is in one map at most, and a map that is still attached goes late: what has been
	 * taken out can be adopted anew at once */
	for (size_t i = 0; i < plane->n_listeners; i++)
		for (unsigned place = 0; place < HS_PLACES_MAX; place++)
			listener_withdraw(plane->listeners[i], place);
	if (plane->accounting)
		accounting_unregister(plane->accounting, plane->control->service_id);
	return pins_remove(plane->folder.text);
}

const char *plane_service(const struct plane *plane)
{
	return plane->service;
}

struct accounting *plane_accounting(const struct plane *plane)
{
	return plane->accounting;
}

uint32_t plane_id(const struct plane *plane)
{
	return plane->control->service_id;
}

int plane_counters_fd(const struct plane *plane)
{
	return plane->counters_fd;
}

int plane_preview_fd(const struct plane *plane)
{
	return plane->preview_fd;
}

int plane_preview_lock(const struct plane *plane, bool wait, int *ret_fd)
{
	return pins_lock(pin_path("%s/" HS_PIN_PREVIEW, plane->folder.text).text, wait, ret_fd);
}

int plane_prefixes_fd(const struct plane *plane)
{
	return plane->prefixes_fd;
}

int plane_lock(const struct plane *plane, int *ret_fd)
{
	return pins_lock(plane->folder.text, 0, ret_fd);
}

void plane_set_flow(struct plane *plane, const struct config *config)
{
	uint64_t ticks = config->flow_timeout_usec * NSEC_PER_USEC >> HS_FLOW_TICK_SHIFT;
	struct hs_control *control = plane->control;

	plane->flow_max = config->flow_max;
	__atomic_store_n(&control->flow_idle, MAX(ticks, UINT64_C(1)), __ATOMIC_SEQ_CST);
	__atomic_store_n(&control->quic_slot_byte, config->quic_slot_byte, __ATOMIC_SEQ_CST);
	__atomic_store_n(&control->flow_mode, config->flow, __ATOMIC_SEQ_CST);
}

const struct hs_control *plane_control(const struct plane *plane)
{
	return plane->control;
}

const struct flows *plane_flow_table(const struct plane *plane)
{
	return &plane->flows;
}

const struct paths *plane_paths(const struct plane *plane)
{
	return &plane->paths;
}

static int on_record(void *userdata, void *data, size_t size)
{
	struct plane *plane = userdata;

	if (size >= sizeof(struct hs_event))
		plane->on_event(data, plane->userdata);
	return 0;
}

int plane_events_watch(struct plane *plane, plane_event_fn on_event, void *userdata, int *ret_fd)
{
	plane->on_event = on_event;
	plane->userdata = userdata;
	*ret_fd = plane->events_fd;
	return 0;
}

int plane_events_consume(struct plane *plane)
{
	if (!plane->ring)
		plane->ring = ring_buffer__new(plane->events_fd, on_record, plane, NULL);
	return plane->ring ? ring_buffer__consume(plane->ring) : -errno;
}

void plane_events_rest(struct plane *plane)
{
	ring_buffer__free(plane->ring);
	plane->ring = NULL;
}
