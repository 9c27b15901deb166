/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where root reaches hsd without the bus: see hsd/door.h. Below a folder of hsd's own, which is
 * there as long as hsd runs. */
#pragma once

#define DOOR_PATH "/run/hsd/hook"
