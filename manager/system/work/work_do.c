// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/work/work_do.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "plane/act/early.h"
#include "plane/act/nudge.h"
#include "plane/act/outside.h"
#include "plane/act/owners.h"
#include "plane/act/park.h"
#include "plane/act/retire.h"
#include "plane/act/served.h"
#include "plane/act/shed.h"
#include "plane/borrow/borrow.h"
#include "plane/kernel/alive.h"
#include "plane/pathlink.h"
#include "system/unit/owner.h"
#include "system/work/work.h"
#include "system/work/work_file.h"
#include "util/clock.h"
#include "util/fdpass.h"
#include "util/macro.h"

#define READ_EVERY_MS	5
#define LISTEN_EVERY_MS 20
/* How often processes go to sleep by themselves in this time, and when they were woken before. */
#define AWAKE_SPAN_MS 5

DEFINE_CLEANUP(struct adoption, adoption_free)
DEFINE_CLEANUP(struct plane, plane_free)

struct job {
	struct work_order *order;
	struct plane *plane;
	const int *fds;
	size_t n_fds;
	int socket, file;
	struct work_head head;
	size_t written; /* of the data */
};

static int socket_to_tell = -1;

static void send_message(int socket, char type, const char *text, const int *fds, size_t n_fds)
{
	char buffer[WORK_MESSAGE_MAX];
	size_t length = strnlen(text, sizeof(buffer) - 2);

	buffer[0] = type;
	memcpy(buffer + 1, text, length);
	(void)fdpass_send(socket, buffer, 1 + length, fds, n_fds, 0);
}

static void send_fds(const struct job *job, const int *fds, size_t n)
{
	for (size_t done = 0; done < n; done += WORK_FDS_AT_ONCE)
		send_message(job->socket, WORK_FDS, "", fds + done,
			     MIN(n - done, (size_t)WORK_FDS_AT_ONCE));
}

static int open_by_borrowing(const struct netns *netns, int domain, int type, int protocol)
{
	struct lent_kind kind = {domain, type, protocol};
	int fd, r = borrow_open(netns, &kind, &fd);

	return r < 0 ? r : fd;
}

/* So that it can be ended without doubt which process that is. */
static void tell_begun(int socket)
{
	_cleanup_(close_fdp) int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	send_message(socket, WORK_BEGUN, "", &pidfd, pidfd >= 0);
}

static void tell_held(const struct held_socket *held)
{
	char text[WORK_MESSAGE_MAX - 2], address[ADDRESS_TEXT_MAX];

	snprintf(text, sizeof(text), "%s of process %d",
		 address_describe(&held->socket.address, address), held->pid);
	send_message(socket_to_tell, WORK_STEP, text, NULL, 0);
}

static void tell_connection(const struct connection *connection)
{
	char text[CONNECTION_TEXT_MAX];

	send_message(socket_to_tell, WORK_STEP, connection_describe(connection, text), NULL, 0);
}

static int put(struct job *job, const void *data, size_t size)
{
	int r = work_write(job->file, sizeof(job->head) + job->written, data, size);

	job->written += size;
	return r;
}

/* ---- the kinds ---- */

/* Lets the time pass. False: whoever gave the order has gone. */
static bool is_awaited(const struct job *job, int ms)
{
	struct pollfd wait = {.fd = job->socket};

	return poll(&wait, 1, ms) == 0;
}

/* What adoption_free() would close goes to who waits. */
static int put_adoption(struct job *job, const struct adoption *adoption)
{
	int r = put(job, adoption, sizeof(*adoption));

	if (!r)
		r = put(job, adoption->sockets, adoption->n * sizeof(*adoption->sockets));
	send_fds(job, adoption->namespaces, adoption->n_namespaces);
	send_fds(job, adoption->helpers, adoption->n_helpers);
	for (size_t i = 0; !r && i < adoption->n; i++) {
		bool has = adoption->twins && adoption->twins[i] >= 0;

		r = put(job, &has, sizeof(has));
		if (has)
			send_fds(job, &adoption->twins[i], 1);
	}
	return r;
}

static int find_sockets(struct job *job, const struct adopt_scope *scope,
			struct adoption **ret_adoption)
{
	uint64_t begun = now_usec();
	struct adoption *adoption;
	int r;

	while (!(r = adoption_begin(job->plane, scope, &adoption, &job->head.problem)) &&
	       !adoption->n && !adoption->n_paths &&
	       now_usec() - begun < job->order->patience_usec && is_awaited(job, LISTEN_EVERY_MS))
		adoption_free(adoption);
	if (!r)
		*ret_adoption = adoption;
	return r;
}

static int do_adopt(struct job *job)
{
	_cleanup_(adoption_freep) struct adoption *adoption = NULL;
	const struct work_order *order = job->order;
	struct adopt_scope scope = {
		.cgroup = order->cgroups[0],
		.slot = order->slot,
		.ports = order->config.ports,
		.n_ports = order->config.n_ports,
		.paths = order->config.paths,
		.n_paths = order->config.n_paths,
		.late = order->late,
		.settled = order->settled,
		.main_pid = order->pid,
	};
	int r;

	plane_set_flow(job->plane, &order->config);
	r = find_sockets(job, &scope, &adoption);
	if (!r && order->commit)
		r = adoption_commit(job->plane, order->slot, adoption);
	if (!r && order->commit && order->twins)
		r = adoption_make_twins(job->plane, adoption);
	if (r < 0)
		return r;
	adoption_note_namespaces(job->plane, adoption);
	return put_adoption(job, adoption);
}

static int mark_paths(const struct job *job, uint64_t *mark)
{
	const struct work_order *order = job->order;
	struct pathscan scan = {order->service, order->cgroups[0], order->slot, order->config.paths,
				order->config.n_paths};
	struct found_path found[HS_PATHS_MAX];
	struct problem problem;
	unsigned n;
	int r = scan.n_paths ? pathscan_find(&scan, found, &n, &problem) : 0;

	for (unsigned i = 0; !r && scan.n_paths && i < n; i++)
		*mark += adopt_path_mark(&found[i]);
	return r;
}

static int do_look(struct job *job)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	uint64_t mark = 0;
	size_t n;
	int blind, r;

	r = served_or_new_sockets(job->plane, job->order->cgroups[0], &held, &n, &blind);
	for (size_t i = 0; r >= 0 && i < n; i++)
		mark += scan_mark(&held[i]);
	if (r >= 0)
		r = mark_paths(job, &mark);
	return r < 0 ? r : put(job, &mark, sizeof(mark));
}

static int do_bounce(struct job *job)
{
	return bounce(job->plane, job->order->slot, job->order->cgroups[0],
		      job->order->keep_in_map);
}

static int do_read(struct job *job)
{
	uint64_t begun = now_usec(), now = begun, read_since = begun;
	struct retire_left left = {0};
	int r;

	while (!(r = retire_look(job->plane, job->order->slot, job->order->cgroups[0], &left))) {
		if (retire_loses(&left))
			read_since = now;
		if (retire_is_over(&left, now - read_since) ||
		    now - begun >= job->order->patience_usec || !is_awaited(job, READ_EVERY_MS))
			break;
		now = now_usec();
	}
	return r < 0 ? r : put(job, &left, sizeof(left));
}

static int do_nudge(struct job *job)
{
	return job->order->all ? nudge_all(job->plane, job->order->cgroups[0])
			       : nudge(job->plane, job->order->cgroups[0]);
}

/* Returns how many had another owner. */
static int do_give(struct job *job)
{
	const struct work_order *order = job->order;
	int changed = 0, r = 0;

	for (unsigned i = 0; r >= 0 && i < order->n_cgroups; i++) {
		r = owners_give(job->plane, order->cgroups[i], order->uid);
		changed += MAX(r, 0);
	}
	for (size_t i = 0; r >= 0 && i < job->n_fds; i++)
		r = owners_give_socket(job->fds[i], order->uid);
	if (r >= 0 && order->all)
		r = owners_give_park(job->plane, order->uid);
	return r < 0 ? r : changed;
}

static int do_close(struct job *job)
{
	return owners_close_datagrams(job->plane, job->order->cgroups[0]);
}

static int do_awake(struct job *job)
{
	const char *cgroup = job->order->cgroups[0];
	uint64_t sleeps[3];
	int r = 0;

	for (unsigned i = 0; !r && i < ARRAY_SIZE(sleeps); i++) {
		if (i == 2)
			nudge_all(job->plane, cgroup);
		if (i)
			is_awaited(job, AWAKE_SPAN_MS);
		r = alive_sleeps(cgroup, &sleeps[i]);
	}
	return r < 0 ? r : sleeps[2] - sleeps[1] > sleeps[1] - sleeps[0];
}

static int do_occupied(struct job *job)
{
	return adopt_is_occupied(job->plane, job->order->slot, job->order->cgroups[0]);
}

static int do_netns(struct job *job)
{
	uint32_t inode;
	int r = borrow_netns(job->order->pid, &inode);

	return r < 0 ? r : put(job, &inode, sizeof(inode));
}

static int do_go(struct job *job)
{
	uint64_t begun = now_usec();
	int r;

	/* systemd calls a unit active before its process has begun to run */
	while ((r = borrow_go(job->order->pid)) == -EAGAIN &&
	       now_usec() - begun < job->order->patience_usec && is_awaited(job, READ_EVERY_MS))
		;
	return r;
}

static int do_open(struct job *job)
{
	const struct work_order *order = job->order;
	struct lent_kind kind = {order->domain, order->type, order->protocol};
	struct netns netns = {.fd = job->n_fds ? job->fds[0] : -1};
	int fd, r = job->n_fds ? 0 : -EINVAL;

	for (unsigned i = 0; !r && i < order->n_sockets; i++) {
		r = borrow_open(&netns, &kind, &fd);
		if (r < 0)
			break;
		send_fds(job, &fd, 1);
		close_fd(fd);
	}
	return r;
}

static int do_twin(struct job *job)
{
	struct listener *listener = plane_find(job->plane, &job->order->address);
	_cleanup_(close_fdp) int twin = -1;
	int r;

	if (!listener || !job->n_fds)
		return -ENOENT;
	r = listener_learn_netns(listener, job->fds[0]);
	if (!r)
		r = job->order->spare ? park_spare(listener, job->fds[0], &twin)
				      : park_twin(listener, job->fds[0], &twin);
	if (!r)
		send_fds(job, &twin, 1);
	return r;
}

static int do_foreign(struct job *job)
{
	struct foreign_scope scope = {
		.n_slots = job->order->n_cgroups,
		.activated = job->order->activated,
	};
	struct foreign_list list = {0};
	int r;

	for (unsigned i = 0; i < scope.n_slots; i++)
		scope.cgroups[i] = job->order->cgroups[i];
	r = foreign_find(job->plane, &scope, &list);
	return r < 0 ? r : put(job, &list, sizeof(list));
}

static int put_files(struct job *job, unsigned place)
{
	_cleanup_(freep) struct outdated_file *files = NULL;
	size_t n;
	int r = borrow_outdated(job->order->cgroups[place], job->fds[0], &files, &n);

	for (size_t i = 0; !r && i < n; i++) {
		struct work_file out = {place, files[i]};

		r = put(job, &out, sizeof(out));
	}
	/* it is down, or has ended meanwhile */
	return r == -ENOENT ? 0 : r;
}

static int do_outdated(struct job *job)
{
	int r = job->n_fds ? 0 : -EINVAL;

	for (unsigned i = 0; !r && i < job->order->n_cgroups; i++)
		r = put_files(job, i);
	return r;
}

static int do_early(struct job *job)
{
	return early_reach(job->plane, job->order->slot, job->order->cgroups[0]);
}

static int do_outside(struct job *job)
{
	const struct work_order *order = job->order;
	int r = 0;

	for (unsigned i = 0; !r && i < order->n_cgroups; i++)
		if (order->cgroups[i][0])
			r = outside_leave(job->plane, &order->config, order->cgroups[i]);
	/* an instance that has gone has nothing that could be in the way */
	if (!r || r == -ENOENT)
		plane_forget_outside(job->plane, &order->config);
	return r == -ENOENT ? 0 : r;
}

static int do_shed(struct job *job)
{
	return shed_sockets(job->plane, job->order->slot, job->order->cgroups[0]);
}

static int do_user(struct job *job)
{
	uid_t uid;
	int r = owner_find(job->order->user, &uid);

	return r < 0 ? r : put(job, &uid, sizeof(uid));
}

static int do_reset(struct job *job)
{
	return reset_connections(job->plane, job->order->slot, tell_connection);
}

static int do_differ(struct job *job)
{
	return owners_differ(job->plane, job->order->uid);
}

static int put_makers(struct job *job, const struct netns *netns)
{
	_cleanup_(freep) struct listening_socket *sockets = NULL;
	size_t n;
	int r = diag_listening_by_cookie(netns, job->order->cookies, job->order->n_cookies,
					 &sockets, &n);

	for (size_t i = 0; !r && i < n; i++) {
		struct work_maker maker = {sockets[i].cookie, sockets[i].cgroup_id};

		r = put(job, &maker, sizeof(maker));
	}
	return r;
}

/* A namespace that cannot be looked into hides no other. */
static int do_makers(struct job *job)
{
	int r = put_makers(job, NULL);

	for (size_t i = 0; i < job->n_fds; i++) {
		struct netns netns = {.fd = job->fds[i]};

		(void)put_makers(job, &netns);
	}
	return r;
}

static int do_public(struct job *job)
{
	struct pathlink_watches watches = {.changes = job->order->changes};
	struct work_public public = {0};
	const char *wrong, *held = pathlink_find_held(job->plane);

	if (job->n_fds)
		watches.fd = job->fds[0];
	wrong = pathlink_find_wrong(job->plane, job->n_fds ? &watches : NULL);
	snprintf(public.wrong, sizeof(public.wrong), "%.*s", HS_PATH_MAX - 1, wrong ?: "");
	snprintf(public.held, sizeof(public.held), "%.*s", HS_PATH_MAX - 1, held ?: "");
	public.n_watches = watches.n;
	memcpy(public.watches, watches.watches, sizeof(public.watches));
	return put(job, &public, sizeof(public));
}

static int do_reach(struct job *job)
{
	const struct work_order *order = job->order;
	const char *path = paths_first(plane_paths(job->plane), order->slot);
	_cleanup_(close_fdp) int fd = -1;
	int r = path ? borrow_reach(order->service, order->slot, path, &fd) : -ENOENT;

	if (!r)
		send_fds(job, &fd, 1);
	return r;
}

static int (*const doers[])(struct job *job) = {
	[WORK_ADOPT] = do_adopt,     [WORK_LOOK] = do_look,	[WORK_BOUNCE] = do_bounce,
	[WORK_READ] = do_read,	     [WORK_NUDGE] = do_nudge,	[WORK_GIVE] = do_give,
	[WORK_CLOSE] = do_close,     [WORK_AWAKE] = do_awake,	[WORK_OCCUPIED] = do_occupied,
	[WORK_FOREIGN] = do_foreign, [WORK_USER] = do_user,	[WORK_NETNS] = do_netns,
	[WORK_OPEN] = do_open,	     [WORK_TWIN] = do_twin,	[WORK_RESET] = do_reset,
	[WORK_DIFFER] = do_differ,   [WORK_MAKERS] = do_makers, [WORK_OUTDATED] = do_outdated,
	[WORK_GO] = do_go,	     [WORK_REACH] = do_reach,	[WORK_EARLY] = do_early,
	[WORK_OUTSIDE] = do_outside, [WORK_SHED] = do_shed,	[WORK_PUBLIC] = do_public,
};
_Static_assert(ARRAY_SIZE(doers) == WORK_KIND_COUNT, "a way to do each kind");

/* ---- the frame ---- */

static int read_order(int file, struct work_order *order, char (**ret_cgroups)[PATH_MAX])
{
	int r = work_read(file, 0, order, sizeof(*order));

	order->cgroups = NULL;
	if (r < 0 || order->kind >= WORK_KIND_COUNT || order->n_cgroups > HS_SLOTS_MAX)
		return r ? r : -EINVAL;
	*ret_cgroups = calloc(order->n_cgroups + 1, sizeof(**ret_cgroups));
	if (!*ret_cgroups)
		return -ENOMEM;
	order->cgroups = (const void *)*ret_cgroups;
	return work_read(file, sizeof(*order), *ret_cgroups,
			 order->n_cgroups * sizeof(**ret_cgroups));
}

static int carry_out(struct job *job, struct accounting *accounting)
{
	_cleanup_(plane_freep) struct plane *plane = NULL;
	int r;

	/* of no service in particular, or not about its sockets */
	if (job->order->kind == WORK_OPEN || job->order->kind == WORK_MAKERS ||
	    job->order->kind == WORK_OUTDATED)
		return doers[job->order->kind](job);
	r = plane_open(job->order->service, job->order->counted ? accounting : NULL, &plane,
		       &job->head.problem);

	for (unsigned i = 0; !r && i < job->order->n_cgroups; i++)
		plane_locate(plane, job->order->cgroups[i]);
	job->plane = plane;
	return r < 0 ? r : doers[job->order->kind](job);
}

int work_do(int socket, int file, const int *fds, size_t n_fds, struct accounting *accounting,
	    bool borrows)
{
	_cleanup_(freep) struct work_order *order = calloc(1, sizeof(*order));
	_cleanup_(freep) char(*cgroups)[PATH_MAX] = NULL;
	struct job job = {
		.order = order, .socket = socket, .file = file, .fds = fds, .n_fds = n_fds};
	int r = order ? read_order(file, order, &cgroups) : -ENOMEM;

	if (r < 0)
		return r;
	tell_begun(socket);
	if (borrows) {
		borrow_use(order->service);
		netns_use(open_by_borrowing);
	}
	socket_to_tell = socket;
	scan_on_borrow(tell_held);
	if (ftruncate(file, 0) < 0)
		return -errno;
	job.head.result = carry_out(&job, accounting);
	r = work_write(file, 0, &job.head, sizeof(job.head));
	if (!r)
		send_message(socket, WORK_DONE, "", NULL, 0);
	return r;
}
