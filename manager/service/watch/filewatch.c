// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/watch/filewatch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "util/macro.h"

struct filewatch {
	int fd;
	sd_event_source *source;
	LIST_HEAD(, watched) all;
};

DEFINE_CLEANUP(struct filewatch, filewatch_free)

static bool has_watch(const struct watched *watched, int watch)
{
	for (size_t i = 0; i < watched->n; i++)
		if (watched->watches[i] == watch)
			return true;
	return false;
}

static bool is_watched(const struct filewatch *filewatch, int watch)
{
	const struct watched *watched;

	LIST_FOREACH (watched, &filewatch->all, entry)
		if (has_watch(watched, watch))
			return true;
	return false;
}

/* Services share files, and with them watches. */
static void replace(struct watched *watched, int *watches, size_t n)
{
	_cleanup_(freep) int *old = watched->watches;
	size_t n_old = watched->n;

	watched->watches = watches;
	watched->n = n;
	for (size_t i = 0; i < n_old; i++)
		if (!is_watched(watched->filewatch, old[i]))
			inotify_rm_watch(watched->filewatch->fd, old[i]);
}

static void note_missed(struct watched *watched, int watch)
{
	if (watched->n_missed < WATCHED_MISSED_MAX)
		watched->missed[watched->n_missed] = watch;
	if (watched->n_missed <= WATCHED_MISSED_MAX)
		watched->n_missed++;
}

static bool has_missed(const struct watched *watched)
{
	for (size_t i = 0; i < watched->n_missed && i < WATCHED_MISSED_MAX; i++)
		if (has_watch(watched, watched->missed[i]))
			return true;
	return watched->n_missed > WATCHED_MISSED_MAX;
}

static void on_event(const struct filewatch *filewatch, const struct inotify_event *event)
{
	struct watched *watched;

	LIST_FOREACH (watched, &filewatch->all, entry)
		if (event->mask & IN_Q_OVERFLOW || has_watch(watched, event->wd))
			watched->on_changed(watched->userdata);
		else if (watched->looking)
			note_missed(watched, event->wd);
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n = read(fd, buffer, sizeof(buffer));

	(void)source;
	(void)events;
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *event = (const void *)(buffer + at);

		/* that a watch has ended is told besides why */
		if (event->mask & ~IN_IGNORED)
			on_event(userdata, event);
		at += sizeof(*event) + event->len;
	}
	return 0;
}

void watched_init(struct watched *watched, struct filewatch *filewatch,
		  void (*on_changed)(void *userdata), void *userdata)
{
	*watched = (struct watched) {
		.filewatch = filewatch, .on_changed = on_changed, .userdata = userdata};
	if (filewatch)
		LIST_INSERT_HEAD(&filewatch->all, watched, entry);
}

void watched_done(struct watched *watched)
{
	if (!watched->filewatch)
		return;
	replace(watched, NULL, 0);
	LIST_REMOVE(watched, entry);
	watched->filewatch = NULL;
}

void watched_begin(struct watched *watched)
{
	watched->looking = true;
	watched->n_missed = 0;
}

void watched_end(struct watched *watched, int *watches, size_t n)
{
	watched->looking = false;
	if (watches && watched->filewatch)
		replace(watched, watches, n);
	else
		free(watches);
	if (has_missed(watched))
		watched->on_changed(watched->userdata);
}

int filewatch_fd(const struct filewatch *filewatch)
{
	return filewatch ? filewatch->fd : -1;
}

int filewatch_new(sd_event *event, struct filewatch **ret_filewatch)
{
	_cleanup_(filewatch_freep) struct filewatch *filewatch = calloc(1, sizeof(*filewatch));
	int r;

	if (!filewatch)
		return -ENOMEM;
	filewatch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (filewatch->fd < 0)
		return -errno;
	r = sd_event_add_io(event, &filewatch->source, filewatch->fd, EPOLLIN, on_readable,
			    filewatch);
	if (r < 0)
		return r;
	*ret_filewatch = steal_ptr(&filewatch);
	return 0;
}

struct filewatch *filewatch_free(struct filewatch *filewatch)
{
	if (!filewatch)
		return NULL;
	sd_event_source_disable_unref(filewatch->source);
	close_fd(filewatch->fd);
	free(filewatch);
	return NULL;
}
