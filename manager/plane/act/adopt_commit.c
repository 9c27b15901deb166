// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/adopt.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "plane/act/adopt_judge.h"
#include "plane/act/park.h"
#include "plane/pathlink.h"
#include "util/macro.h"

/* One socket, one place in one map: until it closes. */
static int explain_put(int error, struct problem *problem)
{
	if (error != -EBUSY)
		return error;
	return problem_set(problem, error,
			   "the kernel has it in a map of another service, or in one whose pins "
			   "below " HS_PIN_ROOT " are gone; restart its unit, for a new socket");
}

static int put_one(struct plane *plane, unsigned slot, struct adopted_socket *socket)
{
	struct hs_tag tag = {.service_id = plane_id(plane), .slot = slot};
	_cleanup_(close_fdp) int fd = -1;
	struct listener *listener;
	int r = scan_borrow(&socket->held, &fd);

	if (!r)
		r = plane_listener_get(plane, &socket->held.socket.address, &listener,
				       &socket->reason);
	/* once more: where listeners were short, the one from before may have been made anew */
	if (!r)
		r = listener_attach(listener, fd);
	if (!r && plane_accounting(plane))
		r = accounting_tag(plane_accounting(plane), fd, &tag);
	if (!r)
		r = explain_put(listener_put(listener, slot, fd, socket->held.socket.cookie),
				&socket->reason);
	return r;
}

/* Also what is in the map already: it may lack a tag, when accounting has come later. -ESTALE: the
 * socket has ended since, there is nothing to tell of it. */
static int commit_one(struct plane *plane, unsigned slot, struct adoption *adoption,
		      struct adopted_socket *socket)
{
	bool had = plane_slot_has(plane, slot, socket->held.socket.cookie);
	int r;

	if (socket->verdict != ADOPT_OK)
		return 0;
	r = put_one(plane, slot, socket);
	if (!r)
		adoption->fresh += !had;
	else if (r != -ESTALE)
		adopt_refuse(socket, r);
	return r;
}

/* A table that is not there is made with the first path only. */
static int commit_paths(struct plane *plane, unsigned slot, struct adoption *adoption)
{
	char kept[HS_PATHS_MAX][HS_PATH_MAX];
	struct paths *paths;
	int r;

	if (!adoption->n_paths && !plane_paths(plane)->entries)
		return 0;
	r = plane_paths_get(plane, &paths);
	for (unsigned i = 0; !r && i < adoption->n_paths; i++) {
		const struct found_path *found = &adoption->paths[i];

		memcpy(kept[i], found->path, sizeof(kept[i]));
		adoption->fresh += !plane_slot_has(plane, slot, found->listener.cookie);
		r = paths_put(paths, slot, found->path, &found->listener);
	}
	if (!r)
		paths_keep(paths, slot, kept, adoption->n_paths);
	return r;
}

/* The namespace of earlier instances ended with the last of them. */
static void forget_old_namespaces(struct plane *plane, const struct adoption *adoption)
{
	for (size_t i = 0; i < adoption->n; i++)
		if (adoption->sockets[i].verdict == ADOPT_OK &&
		    adoption->sockets[i].held.socket.address.netns)
			plane_forget_elsewhere(plane, &adoption->sockets[i].held.socket.address);
}

int adoption_commit(struct plane *plane, unsigned slot, struct adoption *adoption)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);
	size_t kept = 0;
	int r;

	adoption->fresh = 0;
	if (adoption->suspect)
		return 0;
	for (size_t i = 0; i < n; i++) {
		listener_tidy(listeners[i], slot);
		listener_tidy_owners(listeners[i], slot);
	}
	if (adoption->adopted && !plane_slot_sockets(plane, slot))
		plane_advance_epoch(plane, slot);
	for (size_t i = 0; i < adoption->n; i++)
		if (commit_one(plane, slot, adoption, &adoption->sockets[i]) != -ESTALE)
			adoption->sockets[kept++] = adoption->sockets[i];
	adoption->n = kept;
	r = commit_paths(plane, slot, adoption);
	if (r < 0) {
		adoption->n_paths = 0;
		problem_set(&adoption->path_problem, r,
			    "what listens at its paths cannot be noted: %s", strerror(-r));
	}
	adoption_count(adoption);
	forget_old_namespaces(plane, adoption);
	if (adoption->adopted)
		adopt_ensure_active(plane, slot);
	/* the folder of the link may be new */
	if (plane_lead_paths(plane) < 0 && !adoption->path_problem.text[0])
		pathlink_describe(plane, &adoption->path_problem);
	return 0;
}

void adopt_ensure_active(struct plane *plane, unsigned slot)
{
	unsigned active = hs_word_active(plane_word(plane));

	if (active == slot || (active < HS_SLOTS_MAX && plane_slot_sockets(plane, active)))
		return;
	/* who is made active by another meanwhile has sockets */
	plane_edit_word(plane, word_replace, WORD_ARGS(.from = active, .to = slot), NULL);
}

/* ---- parks to be ---- */

/* A server with several sockets on one address: the first one counts. */
static bool is_first(const struct adoption *adoption, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (adoption->sockets[i].verdict == ADOPT_OK &&
		    address_equal(&adoption->sockets[i].held.socket.address,
				  &adoption->sockets[index].held.socket.address))
			return false;
	return true;
}

static int make_twin(struct plane *plane, const struct held_socket *held)
{
	struct listener *listener = plane_find(plane, &held->socket.address);
	_cleanup_(close_fdp) int model = -1;
	int twin;

	if (!listener || scan_borrow(held, &model) < 0)
		return -1;
	return park_twin(listener, model, &twin) < 0 ? -1 : twin;
}

int adoption_make_twins(struct plane *plane, struct adoption *adoption)
{
	adoption->twins = calloc(adoption->n + 1, sizeof(*adoption->twins));
	if (!adoption->twins)
		return -ENOMEM;
	for (size_t i = 0; i < adoption->n; i++) {
		const struct adopted_socket *socket = &adoption->sockets[i];

		adoption->twins[i] = -1;
		if (socket->verdict == ADOPT_OK && !socket->held.socket.address.udp &&
		    is_first(adoption, i))
			adoption->twins[i] = make_twin(plane, &socket->held);
	}
	return 0;
}

/* ---- another process's view ---- */

static bool is_noted(const struct adoption *adoption, uint32_t inode)
{
	struct stat st;

	for (size_t i = 0; i < adoption->n_namespaces; i++)
		if (!fstat(adoption->namespaces[i], &st) && st.st_ino == inode)
			return true;
	return false;
}

void adoption_note_namespaces(const struct plane *plane, struct adoption *adoption)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < n && adoption->n_namespaces < LEND_NAMESPACES_MAX; i++) {
		int fd = listeners[i]->netns.fd;

		if (fd < 0 || is_noted(adoption, listeners[i]->netns.inode))
			continue;
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (fd >= 0)
			adoption->namespaces[adoption->n_namespaces++] = fd;
	}
}

void adoption_follow(struct plane *plane, const struct adoption *adoption)
{
	plane_refresh(plane);
	plane_place(plane, adoption->namespaces, adoption->n_namespaces);
	forget_old_namespaces(plane, adoption);
}
