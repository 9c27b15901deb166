/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each verb does: one function, which returns an exit code. */
#pragma once

#include "hsctl/arguments.h"
#include "hsctl/hsctl.h"

int verb_list(const struct arguments *arguments);
int verb_status(const struct arguments *arguments);
int verb_connections(const struct arguments *arguments);
int verb_trace(const struct arguments *arguments);
int verb_events(const struct arguments *arguments);
int verb_upgrade(const struct arguments *arguments);
int verb_metrics(const struct arguments *arguments);
int verb_history(const struct arguments *arguments);
int verb_drain(const struct arguments *arguments);
int verb_drill(const struct arguments *arguments);
int verb_switchover(const struct arguments *arguments);
int verb_rollback(const struct arguments *arguments);
int verb_failover(const struct arguments *arguments);
int verb_policy(const struct arguments *arguments);
int verb_scale(const struct arguments *arguments);
int verb_weight(const struct arguments *arguments);
int verb_pin(const struct arguments *arguments);
int verb_where(const struct arguments *arguments);
int verb_rebalance(const struct arguments *arguments);
int verb_table(const struct arguments *arguments);
int verb_canary(const struct arguments *arguments);
int verb_exec(const struct arguments *arguments);
int verb_park(const struct arguments *arguments);
int verb_release(const struct arguments *arguments);
int verb_enable(const struct arguments *arguments);
int verb_alias(const struct arguments *arguments);
int verb_disable(const struct arguments *arguments);
int verb_prepare(const struct arguments *arguments);
int verb_adopt(const struct arguments *arguments);
int verb_doctor(const struct arguments *arguments);
int verb_config(const struct arguments *arguments);
int verb_edit(const struct arguments *arguments);
int verb_report(const struct arguments *arguments);
int verb_complete(const struct arguments *arguments);
int verb_front_trial(const struct arguments *arguments);
int verb_version(const struct arguments *arguments);
int verb_retire(const struct arguments *arguments);
int verb_leave(const struct arguments *arguments);
int verb_join(const struct arguments *arguments);
int verb_agent(const struct arguments *arguments);
