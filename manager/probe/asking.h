/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hs-probe: asks servers over sockets that hsd has connected to one slot of theirs, and tells what
 * came of it (core/wire/errand.h). What it reads comes from instances, which are not trusted; so it
 * has no privilege, no network of its own and no file to write, and one of it is as good as the
 * next.
 */
#pragma once

/* Serves hsd until it is gone. -errno when that cannot even begin. */
int asking_run(int fd);
