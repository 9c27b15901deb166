/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of the verbs. Who adds one adds a row, and its function to verb_functions.h. It names
 * all that hsctl does, so nothing names it but main(): the others find a verb by verbs.h.
 */
#pragma once

/* Once, before a command line is read. */
void verb_table_use(void);
