/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pins of the fast path: programs and maps of all services, made, opened and taken away. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "hs_fast.h"
#include "plane/bpf/pins.h"
#include "util/problem.h"

#define FAST_FOLDER HS_PIN_ROOT "/" HS_PIN_FAST

struct fast {
	int connect_fd; /* the program for the clients' control groups */
	int services_fd, ports_fd, wants_fd, clients_fd, counts_fd, pairs_fd, state_fd;
};

void fast_pins_init(struct fast *fast);
void fast_pins_close(struct fast *fast);
/* What is pinned. -ENOENT when there is none of this layout. */
int fast_pins_open(struct fast *fast);
/* Of this build; made where they are not. */
int fast_pins_make(struct fast *fast, struct problem *problem);
/* Off all control groups, and the pins away. Pairs that live go on. */
int fast_pins_remove(void);
