// SPDX-License-Identifier: GPL-2.0-or-later
#include "sources.h"

#include <systemd/sd-event.h>

#include "../plane/rig.h"
#include "nth.h"

static unsigned count;
static bool refused;

unsigned sources_count(void)
{
	return count;
}

void sources_forget(void)
{
	count = 0;
}

void sources_refuse(bool on)
{
	refused = on;
}

static void on_destroyed(void *userdata)
{
	(void)userdata;
	count--;
}

static int note(int r, sd_event_source **source)
{
	if (r < 0)
		return r;
	count++;
	rig_check(sd_event_source_set_destroy_callback(*source, on_destroyed) >= 0);
	return r;
}

/* NAME, its parameters, and how they are handed on. Nobody here makes a source without a name. */
#define WRAP(name, parameters, ...)                                                           \
	int __real_sd_event_add_##name parameters;                                            \
	int __wrap_sd_event_add_##name parameters;                                            \
	int __wrap_sd_event_add_##name parameters                                             \
	{                                                                                     \
		rig_check(source);                                                            \
		if (refused || nth_fails("sd_event_add_" #name, __builtin_return_address(0))) \
			return -ENOMEM;                                                       \
		int r = __real_sd_event_add_##name(event, source, __VA_ARGS__);               \
                                                                                              \
		return note(r, source);                                                       \
	}

WRAP(io,
     (sd_event * event, sd_event_source **source, int fd, uint32_t events,
      sd_event_io_handler_t callback, void *userdata),
     fd, events, callback, userdata)
WRAP(time,
     (sd_event * event, sd_event_source **source, clockid_t clock, uint64_t usec, uint64_t accuracy,
      sd_event_time_handler_t callback, void *userdata),
     clock, usec, accuracy, callback, userdata)
WRAP(time_relative,
     (sd_event * event, sd_event_source **source, clockid_t clock, uint64_t usec, uint64_t accuracy,
      sd_event_time_handler_t callback, void *userdata),
     clock, usec, accuracy, callback, userdata)
WRAP(defer,
     (sd_event * event, sd_event_source **source, sd_event_handler_t callback, void *userdata),
     callback, userdata)
