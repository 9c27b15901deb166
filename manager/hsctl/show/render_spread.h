/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What service/report/placement.h makes, for people. */
#pragma once

#include <json-c/json.h>

#include "hsctl/show/screen.h"

/* placement_json(): the table, or who is pinned alone. */
void render_table(const struct render *render, json_object *table);
void render_pinned(const struct render *render, json_object *table);
/* placement_rebalance(): the effect, and what was done. */
void render_rebalance(const struct render *render, json_object *answer);
/* Of a status object: a line of who has which share; nothing where there is no table. */
void render_shares(const struct render *render, json_object *status);
/* What Replay= has come to; nothing where it is not set. */
void render_replay(const struct render *render, json_object *status);
