/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A number of connections that wait for accept(), where it could not be asked. No less than any
 * number, so that who only compares takes it for "not empty". */
#pragma once

#include <stdint.h>

#define QUEUED_UNKNOWN UINT32_MAX
