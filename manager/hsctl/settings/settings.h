/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the verbs about settings share. */
#pragma once

/* Complains that there is no such service; returns the exit code. */
int settings_missing(const char *service);
