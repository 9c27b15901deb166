/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The exporter as a web server: GET and HEAD of /metrics, and a word at / about where that is. */
#pragma once

#include <stdbool.h>

#include "util/macro.h"

struct web;

/* Serves on a socket that listens, which is not closed. -errno. */
int web_new(int listen_fd, struct web **ret_web);
struct web *web_free(struct web *web);
DEFINE_CLEANUP(struct web, web_free)

/* Readable when there is something to do. Stays the web's. */
int web_fd(const struct web *web);
/* When it has to go on by then although nothing has come: milliseconds, -1 = never. */
int web_timeout(const struct web *web);
/* Does what there is to do. */
void web_run(struct web *web);
/* Somebody is connected. */
bool web_is_busy(const struct web *web);
/* How many connections there have been. */
unsigned long web_served(const struct web *web);
/* From now on nobody new is let in: they wait on the socket. */
void web_quiesce(struct web *web);
