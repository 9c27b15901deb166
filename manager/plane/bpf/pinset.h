/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs for all services and the maps that go with them: whoever needs them first makes and pins
 * them. The map that names the build is written last: without it, or with another build in it, the
 * set is to be made. What holds the lock of all pins (pins_enter()) makes it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plane/bpf/pins.h"
#include "util/problem.h"

struct bpf_map;
struct bpf_object;

struct pinset_map {
	const char *path;
	struct bpf_map *map;
};

struct pinset {
	const char *what;	   /* in sentences: "the guard of the selector" */
	struct bpf_object *object; /* opened */
	const struct pinset_map *maps;
	size_t n_maps;			       /* the last one is that of the build */
	uint64_t build;			       /* see load_build() */
	int (*pin_programs)(const void *skel); /* once they are loaded; 0, or -errno */
	const void *skel;
};

/* Whether this build has made the set; `path`: of the map that names it. */
bool pinset_is_made(const char *path, uint64_t build);

/*
 * What is pinned, by `open_pins`; where that answers -ENOENT it is made under the lock of all pins,
 * unless another process has made it meanwhile, and then opened. With an error of `make_pins` or of
 * the lock `problem` (may be NULL) is set.
 */
int pinset_open(int (*open_pins)(void *ret), int (*make_pins)(struct problem *problem), void *ret,
		struct problem *problem);

/*
 * Makes the folder of a set that has one of its own, with a map "state" whose first word names the
 * layout. Pins of another layout are of no use to us, nor are the programs that know it: `leave`
 * takes those off, and they go.
 */
int pinset_folder(const char *folder, uint32_t layout, void (*leave)(void));

/* Loads and pins. What programs of an earlier build go on to look at or to write stays: a map that
 * is pinned already is taken. With every error `problem` (may be NULL) is set; as load_object(). */
int pinset_make(const struct pinset *set, struct problem *problem);

/* A pinned program that is attached to control groups by itself, not by a link. */
struct pinset_attached {
	struct pin_path path;
	int type; /* enum bpf_attach_type */
};

/*
 * Pins a program as the next one of those that are pinned there and attached. With
 * pinset_succeed() it takes the place of the one before, in all control groups, in each in one
 * step. One that was pinned as the next before does so at once. With the lock of all pins held, as
 * for all of these.
 */
int pinset_next(const struct pinset_attached *attached, int program_fd);
/* For all that have a next one: the control groups are gone through once. Who dies meanwhile leaves
 * a second pin, and whoever does this next goes on with it. */
int pinset_succeed(const struct pinset_attached *attached, size_t n);
/* Both, for one. */
int pinset_program(const char *path, int type, int program_fd);
/* Detaches it and its next one from all control groups; the pins stay. */
int pinset_detach(const struct pinset_attached *attached);
