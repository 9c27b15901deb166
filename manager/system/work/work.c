// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/work/work.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "system/work/work_file.h"
#include "util/macro.h"

static const struct {
	const char *what;
	bool locks;
} kinds[] = {
	[WORK_ADOPT] = {"adopt its sockets", true},
	[WORK_LOOK] = {"look for its sockets", false},
	[WORK_BOUNCE] = {"move its queue", true},
	[WORK_READ] = {"wait until it has read its datagrams", false},
	[WORK_NUDGE] = {"wake it", true},
	[WORK_GIVE] = {"give its sockets another owner", true},
	[WORK_CLOSE] = {"close its datagram sockets to other users", true},
	[WORK_AWAKE] = {"see whether it wakes up", true},
	[WORK_OCCUPIED] = {"see whether it has its sockets still", false},
	[WORK_NETNS] = {"tell the network namespace of the process", false},
	[WORK_OPEN] = {"open a socket in the network namespace", false},
	[WORK_TWIN] = {"make a park like the one there is", false},
	[WORK_FOREIGN] = {"look for others on its addresses", false},
	[WORK_OUTDATED] = {"look which files it runs", false},
	[WORK_PUBLIC] = {"look at its public paths", false},
	[WORK_GO] = {"tell what the program of the process was made with", false},
	[WORK_REACH] = {"connect to its AF_UNIX socket", false},
	[WORK_EARLY] = {"let it reach itself", false},
	[WORK_OUTSIDE] = {"give up its ports that Ports= does not name", true},
	[WORK_SHED] = {"take what an earlier run has left out of service", true},
	[WORK_USER] = {"find its user", false},
	[WORK_RESET] = {"reset its connections", true},
	[WORK_DIFFER] = {"compare the owners of its sockets", false},
	[WORK_MAKERS] = {"find who has begun to listen", false},
};
_Static_assert(ARRAY_SIZE(kinds) == WORK_KIND_COUNT, "a text for each kind");

const char *work_kind_describe(enum work_kind kind)
{
	return kinds[kind].what;
}

bool work_kind_locks(enum work_kind kind)
{
	return kinds[kind].locks;
}

void work_answer_done(struct work_answer *answer)
{
	for (size_t i = 0; i < answer->n_fds; i++)
		close_fd(answer->fds[i]);
	free(answer->fds);
	free(answer->data);
	*answer = (struct work_answer) {0};
}

/* ---- the file ---- */

int work_write_order(const struct work_order *order, int *ret_file)
{
	_cleanup_(close_fdp) int file = memfd_create("hotstandby-work", MFD_CLOEXEC);
	int r;

	if (file < 0)
		return -errno;
	r = work_write(file, 0, order, sizeof(*order));
	if (!r)
		r = work_write(file, sizeof(*order), order->cgroups,
			       order->n_cgroups * sizeof(*order->cgroups));
	if (r < 0)
		return r;
	*ret_file = steal_fd(&file);
	return 0;
}

int work_read_answer(int file, struct work_answer *answer)
{
	_cleanup_(freep) void *data = NULL;
	struct work_head head;
	struct stat st;
	size_t size;
	int r = work_read(file, 0, &head, sizeof(head));

	if (r < 0 || fstat(file, &st) < 0)
		return r ? r : -errno;
	size = st.st_size - sizeof(head);
	data = malloc(size + 1);
	if (!data)
		return -ENOMEM;
	r = work_read(file, sizeof(head), data, size);
	if (r < 0)
		return r;
	answer->data = steal_ptr(&data);
	answer->size = size;
	answer->result = head.result;
	answer->problem = head.problem;
	return 0;
}

/* ---- an adoption ---- */

static void take_fds(struct work_answer *answer, size_t from, size_t n, int *fds)
{
	for (size_t i = 0; i < n; i++)
		fds[i] = from + i < answer->n_fds ? steal_fd(&answer->fds[from + i]) : -1;
}

/* The descriptors of twins come in the order of the sockets that have one. */
static void take_twins(struct work_answer *answer, struct adoption *adoption, const bool *has)
{
	size_t next = adoption->n_namespaces + adoption->n_helpers;

	for (size_t i = 0; i < adoption->n; i++) {
		adoption->twins[i] = -1;
		if (has[i] && next < answer->n_fds)
			adoption->twins[i] = steal_fd(&answer->fds[next++]);
	}
}

DEFINE_CLEANUP(struct adoption, adoption_free)

struct adoption *work_take_adoption(struct work_answer *answer)
{
	_cleanup_(adoption_freep) struct adoption *adoption = calloc(1, sizeof(*adoption));
	const struct adoption *sent = answer->data;
	const char *rest = (const char *)(sent + 1);

	if (!adoption || answer->size < sizeof(*sent) || sent->n_namespaces > LEND_NAMESPACES_MAX ||
	    answer->size != sizeof(*sent) + sent->n * (sizeof(*sent->sockets) + sizeof(bool)))
		return NULL;
	*adoption = *sent;
	adoption->n = 0; /* until all is there */
	adoption->n_helpers = adoption->n_namespaces = 0;
	adoption->helpers = calloc(sent->n_helpers + 1, sizeof(*adoption->helpers));
	adoption->sockets = calloc(sent->n + 1, sizeof(*adoption->sockets));
	adoption->twins = calloc(sent->n + 1, sizeof(*adoption->twins));
	if (!adoption->helpers || !adoption->sockets || !adoption->twins)
		return NULL;
	take_fds(answer, 0, sent->n_namespaces, adoption->namespaces);
	take_fds(answer, sent->n_namespaces, sent->n_helpers, adoption->helpers);
	adoption->n_namespaces = sent->n_namespaces;
	adoption->n_helpers = sent->n_helpers;
	adoption->n = sent->n;
	memcpy(adoption->sockets, rest, sent->n * sizeof(*adoption->sockets));
	take_twins(answer, adoption, (const bool *)(rest + sent->n * sizeof(*sent->sockets)));
	return steal_ptr(&adoption);
}
