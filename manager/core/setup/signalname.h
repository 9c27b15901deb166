/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals as people write them on command lines. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SIGNALNAME_MAX 12

/* "QUIT", "SIGQUIT", "quit", "3", "RTMIN+1", "RTMAX-2"; 0 is only the digit. -1: none of these. */
int signalname_number(const char *text, size_t length);

/* As kill(1) and systemd read it, "SIG" left out: "QUIT", "RTMIN+1". False, and nothing is written:
 * there is none of that number. */
bool signalname_write(int number, char ret_name[SIGNALNAME_MAX]);
