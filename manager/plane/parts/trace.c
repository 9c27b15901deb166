// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/parts/trace.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "hs_spread.h"
#include "plane/parts/control.h"
#include "plane/parts/plane_state.h"
#include "util/macro.h"

/* So much is told at once after a pause, half of what is told in a second: one who tries something
 * sees all of it. */
#define BURST_NSEC (NSEC_PER_SEC / 2)

/* Of these the numbers in a record are made: 32 bit FNV-1a. */
#define FNV_START 0x811c9dc5U
#define FNV_PRIME 0x01000193U

struct trace {
	struct plane *plane;
	int lock, ring_fd;
	pid_t keeper;  /* 0: there is none */
	int keeper_fd; /* it waits until nobody has this open */
	struct ring_buffer *ring;
	struct trace_order order;
	struct trace_counts counts;
	bool ended;
};

DEFINE_CLEANUP(struct trace, trace_free)

uint32_t trace_name(const struct address *address)
{
	char name[ADDRESS_PIN_MAX];
	uint32_t hash = FNV_START;

	for (const char *c = address_to_pin(address, name); *c; c++)
		hash = (hash ^ (uint8_t)*c) * FNV_PRIME;
	return hash;
}

/* ---- opening ---- */

static struct pin_path folder_of(const struct plane *plane)
{
	return pin_path("%s/" HS_PIN_TRACE, plane->folder.text);
}

static struct pin_path pin_of(const struct plane *plane, const char *name)
{
	return pin_path("%s/" HS_PIN_TRACE "/%s", plane->folder.text, name);
}

static int create_ring(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "hs_trace", 0, 0, HS_TRACE_RING_BYTES, NULL);

	return fd < 0 ? -errno : fd;
}

static int create_rings(void)
{
	_cleanup_(close_fdp) int model = create_ring();
	LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = model);
	int fd;

	if (model < 0)
		return model;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "hs_trace_rings", sizeof(uint32_t),
			    sizeof(uint32_t), 1, &opts);
	return fd < 0 ? -errno : fd;
}

static int create_terms(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "hs_trace_terms", sizeof(uint32_t),
				sizeof(struct hs_trace_terms), 1, NULL);

	return fd < 0 ? -errno : fd;
}

/* Not in the place of one that selectors have. */
static int make_pin(const struct pin_path path, int (*create)(void))
{
	_cleanup_(close_fdp) int fd = create();

	if (fd < 0)
		return fd;
	return bpf_obj_pin(fd, path.text) && errno != EEXIST ? -errno : 0;
}

void plane_trace_open(struct plane *plane)
{
	if (plane->trace_rings_fd < 0)
		(void)pin_open(pin_of(plane, "rings").text, &plane->trace_rings_fd);
	if (plane->trace_terms_fd < 0)
		(void)pin_open(pin_of(plane, "terms").text, &plane->trace_terms_fd);
}

int plane_trace_prepare(struct plane *plane)
{
	int r = 0;

	plane_trace_open(plane);
	if (plane->trace_rings_fd >= 0 && plane->trace_terms_fd >= 0)
		return 0;
	if (mkdir(folder_of(plane).text, 0750) < 0 && errno != EEXIST)
		return -errno;
	if (plane->trace_rings_fd < 0)
		r = make_pin(pin_of(plane, "rings"), create_rings);
	if (!r && plane->trace_terms_fd < 0)
		r = make_pin(pin_of(plane, "terms"), create_terms);
	plane_trace_open(plane);
	return r;
}

void plane_trace_close(struct plane *plane)
{
	plane->trace_rings_fd = close_fd(plane->trace_rings_fd);
	plane->trace_terms_fd = close_fd(plane->trace_terms_fd);
}

/* ---- the flag, and what stands behind it ---- */

/* Again is no harm. */
static void put_back(struct plane *plane)
{
	uint32_t zero = 0;

	plane_edit_word(plane, word_trace, WORD_ARGS(.on = false), NULL);
	bpf_map_delete_elem(plane->trace_rings_fd, &zero);
}

static bool is_flagged(const struct plane *plane)
{
	return hs_word_flags(plane_word(plane)) & HS_FLAG_TRACE;
}

bool trace_sweep(struct plane *plane)
{
	_cleanup_(close_fdp) int lock = -1;

	if (!is_flagged(plane))
		return false;
	/* one that has no such folder was left by somebody who had */
	if (pins_lock(folder_of(plane).text, false, &lock) == -EBUSY || !is_flagged(plane))
		return false;
	put_back(plane);
	return true;
}

/* ---- who outlives whoever traces ---- */

/* Nobody at the other end of a pipe is to wait for it, nor is it meant by Ctrl-C. */
static void detach(void)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		(void)dup2(null, fd);
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
}

/* Holds the lock as well, for it was inherited: so nobody begins before this has ended. */
static void keep(struct plane *plane, int fd)
{
	ssize_t n;
	char byte;

	detach();
	do
		n = read(fd, &byte, 1);
	while (n > 0 || (n < 0 && errno == EINTR));
	put_back(plane);
	_exit(0);
}

static int start_keeper(struct trace *trace)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	trace->keeper = fork();
	if (!trace->keeper) {
		close(fds[1]);
		keep(trace->plane, fds[0]);
	}
	close(fds[0]);
	if (trace->keeper < 0) {
		trace->keeper = 0;
		close(fds[1]);
		return -errno;
	}
	trace->keeper_fd = fds[1];
	return 0;
}

static void end_keeper(struct trace *trace)
{
	trace->keeper_fd = close_fd(trace->keeper_fd);
	while (trace->keeper && waitpid(trace->keeper, NULL, 0) < 0 && errno == EINTR)
		;
	trace->keeper = 0;
}

/* ---- the terms ---- */

/* An array of one for each CPU; NULL without memory. */
static struct hs_trace_terms *new_terms(int *ret_n)
{
	*ret_n = libbpf_num_possible_cpus();
	return *ret_n > 0 ? calloc(*ret_n, sizeof(struct hs_trace_terms)) : NULL;
}

static uint64_t mask_of(unsigned bits)
{
	return bits ? UINT64_MAX << (64 - MIN(bits, 64U)) : 0;
}

static struct hs_trace_terms terms_of(const struct trace_order *order)
{
	struct hs_trace_terms terms = {
		.cost_ns = NSEC_PER_SEC / order->per_second,
		.span_ns = BURST_NSEC,
	};
	struct hs_client client;
	unsigned length;

	if (!order->from)
		return terms;
	client = hs_client_of(order->from->ip);
	length = order->from->length;
	terms.mask_high = mask_of(MIN(length, 64U));
	terms.mask_low = mask_of(length > 64 ? length - 64 : 0);
	terms.high = client.high & terms.mask_high;
	terms.low = client.low & terms.mask_low;
	return terms;
}

static int write_terms(const struct plane *plane, const struct trace_order *order)
{
	int n, r = 0;
	_cleanup_(freep) struct hs_trace_terms *terms = new_terms(&n);
	uint32_t zero = 0;

	if (!terms)
		return -ENOMEM;
	for (int i = 0; i < n; i++)
		terms[i] = terms_of(order);
	if (bpf_map_update_elem(plane->trace_terms_fd, &zero, terms, BPF_ANY))
		r = -errno;
	return r;
}

static void read_counts(const struct plane *plane, struct trace_counts *counts)
{
	int n;
	_cleanup_(freep) struct hs_trace_terms *terms = new_terms(&n);
	uint32_t zero = 0;

	if (!terms || bpf_map_lookup_elem(plane->trace_terms_fd, &zero, terms))
		return;
	for (int i = 0; i < n; i++) {
		counts->matched += terms[i].matched;
		counts->skipped += terms[i].skipped;
		counts->lost += terms[i].lost;
	}
}

/* ---- tracing ---- */

/* Of another build may be what is longer or shorter, too. */
static int on_record(void *userdata, void *data, size_t size)
{
	const struct hs_trace_record *record = data;
	struct trace *trace = userdata;

	if (size >= sizeof(*record) && record->layout == HS_TRACE_LAYOUT)
		return trace->order.on_record(record, trace->order.userdata);
	trace->counts.foreign++;
	return 0;
}

static int open_ring(struct trace *trace)
{
	const struct plane *plane = trace->plane;
	uint32_t zero = 0;
	int fd = create_ring();

	if (fd < 0)
		return fd;
	trace->ring_fd = fd;
	trace->ring = ring_buffer__new(fd, on_record, trace, NULL);
	if (!trace->ring)
		return -errno;
	return bpf_map_update_elem(plane->trace_rings_fd, &zero, &fd, BPF_ANY) ? -errno : 0;
}

static int lock(struct trace *trace, struct problem *problem)
{
	const struct plane *plane = trace->plane;
	struct pin_path folder = folder_of(plane);
	int r;

	if (plane->trace_rings_fd < 0 || plane->trace_terms_fd < 0)
		return problem_set(problem, -ENOENT,
				   "%s was made by a hotstandby that could not be traced; this one "
				   "makes it so when it begins to manage it: systemctl restart hsd",
				   plane->service);
	r = pins_lock(folder.text, true, &trace->lock);
	if (r == -EBUSY)
		return problem_set(problem, r, "%s is traced by another process, see fuser -v %s",
				   plane->service, folder.text);
	return r ? problem_set(problem, r, "cannot lock %s: %s", folder.text, strerror(-r)) : 0;
}

static int begin(struct trace *trace, struct problem *problem)
{
	struct plane *plane = trace->plane;
	int r = lock(trace, problem);

	if (r < 0)
		return r;
	/* what one before has left, with its ring */
	put_back(plane);
	r = write_terms(plane, &trace->order);
	if (!r)
		r = open_ring(trace);
	if (!r)
		r = start_keeper(trace);
	if (r < 0)
		return problem_set(problem, r, "cannot trace %s: %s", plane->service, strerror(-r));
	plane_edit_word(plane, word_trace, WORD_ARGS(.on = true), NULL);
	return 0;
}

int trace_begin(struct plane *plane, const struct trace_order *order, struct trace **ret_trace,
		struct problem *problem)
{
	_cleanup_(trace_freep) struct trace *trace = calloc(1, sizeof(*trace));
	int r;

	if (!trace)
		return problem_set(problem, -ENOMEM, "there is no memory for that");
	trace->plane = plane;
	trace->lock = trace->ring_fd = trace->keeper_fd = -1;
	trace->order = *order;
	r = begin(trace, problem);
	if (r < 0)
		return r;
	*ret_trace = steal_ptr(&trace);
	return 0;
}

int trace_fd(const struct trace *trace)
{
	return ring_buffer__epoll_fd(trace->ring);
}

int trace_consume(struct trace *trace)
{
	int r = ring_buffer__consume(trace->ring);

	return MIN(r, 0);
}

void trace_end(struct trace *trace, struct trace_counts *ret_counts)
{
	if (!trace->ended && trace->lock >= 0) {
		put_back(trace->plane);
		end_keeper(trace);
		read_counts(trace->plane, &trace->counts);
	}
	trace->ended = true;
	if (ret_counts)
		*ret_counts = trace->counts;
}

struct trace *trace_free(struct trace *trace)
{
	if (!trace)
		return NULL;
	trace_end(trace, NULL);
	ring_buffer__free(trace->ring);
	close_fd(trace->ring_fd);
	close_fd(trace->lock);
	free(trace);
	return NULL;
}
