/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text to value, with every range checked. All return 0 and set *ret_value, or -EINVAL (not of this
 * form; also NULL and the empty text), or -ERANGE (of this form, but outside the range); *ret_value
 * is then untouched. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Decimal digits only, no sign, no blanks, within [min, max]. */
int parse_unsigned(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);

/* "1", "yes", "y", "true", "t", "on" / "0", "no", "n", "false", "f", "off", in any case: systemd's
 * words. */
int parse_bool(const char *text, bool *ret_value);

/* A span as systemd writes them: "50ms", "1.5s", "2min", "1min 30s", "1h", "0"; a bare number is
 * seconds and stands alone. Units: us ms s min h d w, and systemd's other spellings (usec, msec,
 * sec, second, seconds, m, minute, ...). Microseconds, a smaller fraction is cut off. "infinity" is
 * refused with -ERANGE: every wait here ends. */
int parse_span(const char *text, uint64_t *ret_usec);

/* "5%", "0.5%", "12.25%": 0 to 100, as a share in 1/65536, rounded, at most 65535, and at least 1
 * unless it is exactly 0. The percent sign may not be missing. */
int parse_percent(const char *text, uint32_t *ret_share);
