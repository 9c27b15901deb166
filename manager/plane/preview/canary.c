// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/preview/canary.h"

#include <bpf/bpf.h>

#include "core/word.h"
#include "util/macro.h"

static unsigned mode_of(const struct canary_filter *filter)
{
	return (filter->by_client ? HS_CANARY_BY_CLIENT : 0) | (filter->n ? HS_CANARY_FROM : 0);
}

/* What is in the map, in order. */
static int read_prefixes(const struct plane *plane, struct canary_filter *filter)
{
	const struct hs_prefix *previous = NULL;
	int fd = plane_prefixes_fd(plane);

	for (filter->n = 0; filter->n < HS_PREFIXES_MAX; filter->n++) {
		struct hs_prefix *next = &filter->prefixes[filter->n];

		if (bpf_map_get_next_key(fd, previous, next)) {
			if (errno != ENOENT)
				return -errno;
			break;
		}
		previous = next;
	}
	canary_sort(filter);
	return 0;
}

/* As the kernel has it, whether there is a canary or not. */
static int read_filter(const struct plane *plane, struct canary_filter *ret_filter)
{
	unsigned mode = plane_canary_mode(plane);
	struct canary_filter filter = {.by_client = mode & HS_CANARY_BY_CLIENT};
	int r = mode & HS_CANARY_FROM ? read_prefixes(plane, &filter) : 0;

	if (!r)
		*ret_filter = filter;
	return r;
}

int plane_canary_filter(const struct plane *plane, struct canary_filter *ret_filter)
{
	if (hs_word_share(plane_word(plane)))
		return read_filter(plane, ret_filter);
	*ret_filter = (struct canary_filter) {0};
	return 0;
}

static int write_filter(struct plane *plane, const struct canary_filter *filter)
{
	int fd = plane_prefixes_fd(plane);
	struct hs_prefix prefix;
	uint8_t value = 1;

	while (!bpf_map_get_next_key(fd, NULL, &prefix))
		if (bpf_map_delete_elem(fd, &prefix))
			return -errno;
	for (unsigned i = 0; i < filter->n; i++)
		if (bpf_map_update_elem(fd, &filter->prefixes[i], &value, BPF_ANY))
			return -errno;
	plane_set_canary_mode(plane, mode_of(filter));
	return 0;
}

static bool is_as_wanted(const struct plane *plane, const struct canary_filter *filter)
{
	struct canary_filter now;

	return !read_filter(plane, &now) && canary_equal(&now, filter);
}

int plane_set_canary(struct plane *plane, unsigned slot, uint32_t share,
		     const struct canary_filter *filter)
{
	static const struct canary_filter none;
	_cleanup_(close_fdp) int lock = -1;
	int r = plane_preview_lock(plane, true, &lock);

	if (r < 0)
		return r;
	if (!filter)
		filter = &none;
	if (share && hs_word_active(plane_word(plane)) == slot)
		return -EAGAIN;
	if (!is_as_wanted(plane, filter)) {
		/* nobody else sets one: that takes the lock */
		plane_edit_word(plane, word_set_canary, WORD_ARGS(.share = 0), NULL);
		r = write_filter(plane, filter);
	}
	if (r < 0)
		return r;
	plane_edit_word(plane, word_set_canary, WORD_ARGS(.to = slot, .share = share), NULL);
	return share && hs_word_active(plane_word(plane)) == slot ? -EAGAIN : 0;
}
