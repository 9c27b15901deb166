/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/parse.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "util/macro.h"

/* percent in millionths: six places behind the point count, the rest only tells zero from not zero
 */
#define PERCENT_SCALE UINT64_C(1000000)

/* Not isdigit(): that one depends on the locale and is undefined for a negative char. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Reads the digits at *text and moves it behind them. Keeps reading over digits after an overflow,
 * so that a malformed text is told from one that is too large. */
static int scan_digits(const char **text, uint64_t *ret_value)
{
	const char *p = *text;
	bool overflow = false;
	uint64_t value = 0;

	if (!is_digit(*p))
		return -EINVAL;

	for (; is_digit(*p); p++)
		overflow |= __builtin_mul_overflow(value, UINT64_C(10), &value) ||
			    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value);

	*text = p;
	if (overflow)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int parse_unsigned(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	uint64_t value;
	int r;

	if (!text)
		return -EINVAL;

	r = scan_digits(&text, &value);
	if (r == -EINVAL || *text)
		return -EINVAL;
	if (r < 0 || value < min || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int parse_bool(const char *text, bool *ret_value)
{
	static const char *const words[2][6] = {
		{"0", "no", "n", "false", "f", "off"},
		{"1", "yes", "y", "true", "t", "on"},
	};

	if (!text)
		return -EINVAL;

	for (size_t value = 0; value < 2; value++)
		for (size_t i = 0; i < ARRAY_SIZE(words[value]); i++)
			if (strcasecmp(text, words[value][i]) == 0) {
				*ret_value = value;
				return 0;
			}
	return -EINVAL;
}

static const struct span_unit {
	const char *name;
	uint64_t usec;
} span_units[] = {
	{"us", 1},
	{"usec", 1},
	{"ms", USEC_PER_MSEC},
	{"msec", USEC_PER_MSEC},
	{"s", USEC_PER_SEC},
	{"sec", USEC_PER_SEC},
	{"second", USEC_PER_SEC},
	{"seconds", USEC_PER_SEC},
	{"m", 60 * USEC_PER_SEC},
	{"min", 60 * USEC_PER_SEC},
	{"minute", 60 * USEC_PER_SEC},
	{"minutes", 60 * USEC_PER_SEC},
	{"h", 3600 * USEC_PER_SEC},
	{"hr", 3600 * USEC_PER_SEC},
	{"hour", 3600 * USEC_PER_SEC},
	{"hours", 3600 * USEC_PER_SEC},
	{"d", 86400 * USEC_PER_SEC},
	{"day", 86400 * USEC_PER_SEC},
	{"days", 86400 * USEC_PER_SEC},
	{"w", 7 * 86400 * USEC_PER_SEC},
	{"week", 7 * 86400 * USEC_PER_SEC},
	{"weeks", 7 * 86400 * USEC_PER_SEC},
};

/* Reads the word at *text and moves it behind it. 0 = no unit of that name. */
static uint64_t scan_unit(const char **text)
{
	size_t length = 0;

	while ((*text)[length] >= 'a' && (*text)[length] <= 'z')
		length++;
	for (size_t i = 0; i < ARRAY_SIZE(span_units); i++)
		if (strlen(span_units[i].name) == length &&
		    memcmp(span_units[i].name, *text, length) == 0) {
			*text += length;
			return span_units[i].usec;
		}
	return 0;
}

/* The digits of a fraction, from behind its point up to `end`, in parts of `unit`. */
static uint64_t fraction_of(const char *digits, const char *end, uint64_t unit)
{
	uint64_t sum = 0, scale = 1;

	/* every unit is below 10^12, so nothing below the 12th place can count */
	for (; digits < end && scale < UINT64_C(1000000000000); digits++) {
		scale *= 10;
		sum += (uint64_t)(*digits - '0') * unit * 10 / scale;
	}
	return sum / 10;
}

/* One "NUMBER[.FRACTION][BLANKS]UNIT" at *text, in microseconds. A number without a unit is seconds
 * if nothing stands before or behind it. */
static int scan_span(const char **text, bool first, uint64_t *ret_usec)
{
	const char *p = *text, *fraction = NULL, *fraction_end = NULL;
	uint64_t value = 0, unit, part;
	int r;

	r = scan_digits(&p, &value);
	if (r == -EINVAL)
		return r;
	if (*p == '.') {
		fraction = ++p;
		p += strspn(p, "0123456789");
		fraction_end = p;
		if (fraction == fraction_end)
			return -EINVAL;
	}
	while (is_blank(*p))
		p++;

	unit = scan_unit(&p);
	if (!unit && first && !*p)
		unit = USEC_PER_SEC;
	if (!unit)
		return -EINVAL;

	*text = p;
	part = fraction ? fraction_of(fraction, fraction_end, unit) : 0;
	if (r < 0 || __builtin_mul_overflow(value, unit, &value) ||
	    __builtin_add_overflow(value, part, &value))
		return -ERANGE;
	*ret_usec = value;
	return 0;
}

int parse_span(const char *text, uint64_t *ret_usec)
{
	bool overflow = false, first = true;
	uint64_t sum = 0;

	if (!text)
		return -EINVAL;
	if (!strcmp(text, "infinity"))
		return -ERANGE;

	do {
		uint64_t part = 0;
		int r = scan_span(&text, first, &part);

		if (r == -EINVAL)
			return r;
		overflow |= r < 0 || __builtin_add_overflow(sum, part, &sum);
		first = false;
		while (is_blank(*text))
			text++;
	} while (*text);

	if (overflow || sum == USEC_INFINITY)
		return -ERANGE;
	*ret_usec = sum;
	return 0;
}

/* Reads the digits behind a point at *text, in millionths, and moves it behind them. */
static int scan_millionths(const char **text, uint64_t *ret_value, bool *ret_more)
{
	uint64_t value = 0, place = PERCENT_SCALE;
	bool more = false;
	const char *p = *text;

	if (!is_digit(*p))
		return -EINVAL;
	for (; is_digit(*p); p++) {
		place /= 10;
		value += (uint64_t)(*p - '0') * place;
		more |= *p != '0';
	}
	*text = p;
	*ret_value = value;
	*ret_more = more;
	return 0;
}

int parse_percent(const char *text, uint32_t *ret_share)
{
	uint64_t whole = 0, millionths = 0, share;
	bool fraction = false;
	int r;

	if (!text)
		return -EINVAL;

	r = scan_digits(&text, &whole);
	if (r == -EINVAL)
		return r;
	if (*text == '.') {
		text++;
		if (scan_millionths(&text, &millionths, &fraction) < 0)
			return -EINVAL;
	}
	if (strcmp(text, "%") != 0)
		return -EINVAL;
	if (r < 0 || whole > 100 || (whole == 100 && fraction))
		return -ERANGE;

	share = ((whole * PERCENT_SCALE + millionths) * 65536 + 50 * PERCENT_SCALE) /
		(100 * PERCENT_SCALE);
	if (share == 0 && (whole || fraction))
		share = 1;
	*ret_share = (uint32_t)MIN(share, UINT64_C(65535));
	return 0;
}
