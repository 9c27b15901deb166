/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An upgrade that the hsd before has left in the middle. */
#pragma once

#include "service/service.h"

/* hsd comes up: if the control map tells of an upgrade that another hsd has left in the middle, it
 * is finished when the new slot has taken over and is well, else undone, as soon as systemd and the
 * probes have told of the slots. */
int upgrade_resume_watch(struct service *service);
