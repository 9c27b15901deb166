/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of lint.h about what would let another than root say what our commands are. */
#pragma once

#include "core/setup/lint_report.h"
#include "core/setup/lint_unit.h"

/* What the unit puts in the place of the root, or over the folders that our commands come from. */
void lint_root(struct lint_report *report, const struct lint_unit *service);
