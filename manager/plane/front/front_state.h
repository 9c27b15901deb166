/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a front is made of, for the files of this room. Users include plane/front/front.h. */
#pragma once

#include "plane/front/device_pins.h"

struct config_front;
struct front_maps;

struct front {
	struct pin_path folder;			       /* NAME/front */
	int front_fd, flows, young, fresh, load, pace; /* maps */
	struct hs_front *shared;		       /* mapped */
	struct hs_control *control;		       /* mapped; NULL: not there */
	struct device_pins device;
};

/* As front_open(), also one that is half made. Its device is not opened. */
int front_open_any(const char *folder, struct front **ret_front);

/* NAME/front/PIN */
struct pin_path front_pin(const char *folder, const char *pin);

/* How many entries there is room for. */
uint32_t front_map_size(int fd);

/*
 * Makes those of its maps that are missing, and gives flows another map when the settings want
 * another size; what is known comes with it. *ret_changed: the program has to be loaded anew.
 */
int front_maps_make(const char *folder, const struct config_front *config, bool *ret_changed);
/* The program stays with those that it has. */
void front_maps_undo(const char *folder);
/* What was remembered while the program was being replaced, out of the maps before, which go. */
void front_maps_settle(const struct front *front);

/* Loads the program, with these maps. The caller closes it. */
int front_program_load(const struct front *front, const struct front_maps *maps, int *ret_fd,
		       struct problem *problem);
uint64_t front_program_build(void);
/* That the program does on this kernel what it should; else there is a sentence. */
int front_try(struct problem *problem);

/* That this machine can be the front that the settings want. */
int front_check(const struct front *front, const struct config_front *config,
		struct device_facts *device, struct problem *problem);
/* The device that is meant: Device=, or the one that leads to the first host. */
int front_find_device(const struct config_front *config, char ret_name[IFNAMSIZ],
		      struct device_facts *ret_facts, struct problem *problem);
