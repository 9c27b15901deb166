// SPDX-License-Identifier: GPL-2.0-or-later
#include "util/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static bool is_printable(unsigned char c)
{
	return c >= ' ' && c < 0x7f;
}

char *text_to_ascii(char *text)
{
	for (char *p = text; *p; p++)
		if (!is_printable((unsigned char)*p))
			*p = '?';
	return text;
}

/* How many bytes the first one says that there are; 0 = it is none that begins a character of
 * several. Sets the bits that it brings. */
static unsigned sequence_length(unsigned char first, uint32_t *ret_bits)
{
	if (first >= 0xc2 && first <= 0xdf) {
		*ret_bits = first & 0x1f;
		return 2;
	}
	*ret_bits = first & 0x0f;
	if (first >= 0xe0 && first <= 0xef)
		return 3;
	*ret_bits = first & 0x07;
	return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

/* Outside of ASCII; U+0080 to U+009F are control characters of terminals, too. */
static bool is_character(uint32_t c, unsigned length)
{
	static const uint32_t least[] = {0, 0, 0xa0, 0x800, 0x10000};

	return c >= least[length] && c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
}

/* The bytes of the whole, valid character that begins here; 0 = there is none. */
static unsigned character_length(const char *text)
{
	uint32_t c;
	unsigned length = sequence_length((unsigned char)*text, &c);

	for (unsigned i = 1; i < length; i++) {
		unsigned char next = (unsigned char)text[i];

		if ((next & 0xc0) != 0x80) /* also where the text ends */
			return 0;
		c = c << 6 | (next & 0x3f);
	}
	return length && is_character(c, length) ? length : 0;
}

char *text_tame(char *text)
{
	for (char *p = text; *p;) {
		unsigned length = character_length(p);

		if (!length) {
			if (!is_printable((unsigned char)*p) && *p != '\n' && *p != '\t')
				*p = '?';
			length = 1;
		}
		p += length;
	}
	return text;
}
