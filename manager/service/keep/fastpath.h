/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From= of [FastPath]: the control groups of these units are put on the fast path (plane/fast/
 * fast.h) once the units run their programs, and the service lets them. What cannot be is told, and
 * goes by TCP.
 */
#pragma once

#include <json-c/json.h>

#include "service/service.h"

struct fastpath;

/* The settings have been read. */
void fastpath_follow(struct service *service);
/* EVENT_ADOPTED: it may have other ports, or run another program. */
void fastpath_heard(struct service *service, const struct event *event);
/* What is in the kernel stays. Takes NULL, returns it. */
struct fastpath *fastpath_free(struct fastpath *fastpath);

/* Adds "fastpath" to what is said of the service, with From= alone. */
void fastpath_describe(const struct service *service, json_object *object);
