/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A command in the foreground, in our place as far as can be: our files, our terminal, our signals.
 */
#pragma once

/* As env(1) and nohup(1) have it. */
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND	127

/* 128 + N after signal N; 127 when there is no such command, 126 when it cannot be run, and then it
 * has been complained about. */
int child_run(char **command);
