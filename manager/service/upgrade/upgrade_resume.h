/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An upgrade that the hsd before has left in the middle. */
#pragma once

#include "service/service.h"

/* False: whether the new instance is well is still to be told, by its probes. */
bool upgrade_run_may_resume(const struct service *service);
/* If the control map tells of an upgrade that another hsd has left in the middle, it is finished
 * when the new slot has taken over and is well, else undone. Systemd has told of the slots. -errno:
 * it could not be begun, and is noted still. */
int upgrade_run_resume(struct service *service);
