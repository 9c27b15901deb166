/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is noted of devices that have programs of ours in tc: value of the maps "devices" (hash,
 * key: number of the device), which are for user space alone. Writer: who attaches the programs. */
#pragma once

#include "hs_abi.h"

#define HS_TC_DEVICES_MAX 256

struct hs_tc_device {
	__u32 made_qdisc; /* 1: the place where they are was made for them */
	__u32 pad;
};
