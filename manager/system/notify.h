/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What systemd is told about this process (sd_notify(3)), without ever waiting for it: its socket
 * is full soon when it does not read, and all that notify it would wait with it.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

/* From now on what cannot be sent is kept, and sent by the loop in the order in which it was said;
 * and systemd's watchdog is answered, if it wants that. */
int notify_begin(sd_event *event);
/* What cannot be sent in a moment is forgotten. */
void notify_end(void);

/* `fd` (-1: none) is copied. Where nobody is to be told, it is told. */
int notify_send(const char *text, int fd);
/* Forgets the first of what waits to be sent that has this text. False: there is none. */
bool notify_recall(const char *text);
