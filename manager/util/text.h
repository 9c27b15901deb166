/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text that others have chosen: names of processes and control groups, lines of a log, answers. It
 * goes to terminals, which obey control characters, and on the bus, which takes UTF-8 alone. Both
 * functions change it in place, leave its length as it is, and write '?' for what may not stay.
 * They return it.
 */
#pragma once

/* Printable ASCII, nothing else: for names. */
char *text_to_ascii(char *text);

/* UTF-8 without control characters, but for tabs and ends of lines: for sentences. */
char *text_tame(char *text);
