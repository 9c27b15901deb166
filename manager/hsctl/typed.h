/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was typed, in our sentences. */
#pragma once

/* Cut short, and without what a terminal would obey. */
struct typed {
	char text[64];
};

struct typed typed_show(const char *typed);
