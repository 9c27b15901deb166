/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hs-plugin: runs one plugin again and again, each time when hsd asks (core/wire/errand.h), and
 * leaves nothing of it behind. The plugin has our user and our sandbox; we have nothing that it
 * does not.
 */
#pragma once

/* Serves hsd until it is gone, or something of a plugin is left that cannot be ended: then the unit
 * has to end. -errno when that cannot even begin. */
int serving_run(int fd);
