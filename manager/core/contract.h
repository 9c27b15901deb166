/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names and numbers that others hold us to: hsd and hsctl speak by them, which need not be of one
 * version, and so do scripts. hsd(8) and hsctl(1) have them, too. */
#pragma once

/* ---- on the bus, and at the door ---- */

#define BUS_NAME "org.hotstandby1"
#define BUS_PATH "/org/hotstandby1"
/* and below it the name of the service, as sd_bus_path_encode() has it */
#define BUS_SERVICE_PATH      BUS_PATH "/service"
#define BUS_MANAGER_INTERFACE BUS_NAME ".Manager"
#define BUS_SERVICE_INTERFACE BUS_NAME ".Service"

#define BUS_ERROR_REFUSED    BUS_NAME ".Error.Refused" /* by the gate; nothing has changed */
#define BUS_ERROR_UNDONE     BUS_NAME ".Error.Undone"  /* traffic is back where it was */
#define BUS_ERROR_NO_SERVICE BUS_NAME ".Error.NoSuchService"
#define BUS_ERROR_INVALID    BUS_NAME ".Error.InvalidArgument"
#define BUS_ERROR_FAILED     BUS_NAME ".Error.Failed"

/* Where root reaches hsd without the bus. Below a folder of hsd's own, which is there as long as
 * hsd runs. */
#define DOOR_PATH "/run/hsd/hook"

/* ---- of hsctl, and of the hooks that units call ---- */

enum exit_code {
	EXIT_DONE = 0, /* in a hook: the unit goes on */
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_REFUSED = 3, /* by a gate; nothing changed */
	EXIT_UNDONE = 4,  /* traffic is back where it was */
};
