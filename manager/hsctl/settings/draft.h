/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The copy of a drop-in that an editor is given: what is edited, and around it, as comments, what
 * it is and what holds now. Pure. */
#pragma once

#include <json-c/json.h>

/* `text`: what the drop-in has now, "" for none. `effective`: see effective_read(); or NULL, and
 * `wrong` says why it is not known. NULL without memory. Free it. */
char *draft_compose(const char *path, const char *text, json_object *effective, const char *wrong);

/* What counts of the edited copy, with the comment in front of it, so that its lines have the
 * numbers that they have in the editor. NULL without memory. Free it. */
char *draft_cut(const char *edited);

/* What the drop-in is to have: without our comments, and without blank lines around it. "" for
 * nothing. NULL without memory. Free it. */
char *draft_extract(const char *edited);
