/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What hs-borrow does for one who asks. */
#pragma once

/* Answers what is asked on this connection until it is closed. A request that is not done within
 * BORROW_DEADLINE_SECONDS ends the process, by SIGALRM. */
void serve(int connection);
