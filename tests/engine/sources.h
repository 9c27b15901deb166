/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many sources of event loops there are that our own code has made, and has not freed. The
 * linker leads sd_event_add_X() here (Makefile, ENGINE_WRAP). */
#pragma once

#include <stdbool.h>

unsigned sources_count(void);
/* Whether there is no memory for any more. */
void sources_refuse(bool on);
/* What an earlier test has left is not counted from here on. */
void sources_forget(void);
