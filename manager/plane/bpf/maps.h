/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The maps that all listeners of a service share, in the making. */
#pragma once

/* Makes them and pins them below the service's folder, which is there and empty. Their values are 0
 * then. */
int maps_create(const char *folder);
/* The map "room" alone, in the place of one that may be there. */
int maps_make_room(const char *folder);
