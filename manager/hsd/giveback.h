/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hsd --hand-over=VERSION: what is pinned is given back to the release before, for its hsd to go on
 * with. */
#pragma once

/* At once where no hsd uses it; else when that one ends. Says on stderr what is wrong; the exit
 * status. */
int giveback_ask(const char *version);

/* At the end of an hsd: if it was asked for meanwhile. */
void giveback_end(void);
