/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text that goes to others: whatever is around them, an address and a secret that are in it are not
 * in what comes out. The input is what is before and behind them, the first byte where it is cut.
 */
#include <string.h>

#include "fuzz.h"
#include "hsctl/bundle/redact.h"
#include "util/macro.h"

#define ADDRESS4 "203.0.113.9"
#define ADDRESS6 "2001:db8::7:1"
#define SECRET	 "hunter2horse"

static char *hide(const char *before, const char *between, const char *behind)
{
	struct redact redact = {0};
	_cleanup_(freep) char *text = NULL;
	char *hidden;

	check(asprintf(&text, "%s%s%s", before, between, behind) >= 0);
	hidden = redact_text(&redact, text);
	check(hidden);
	redact_done(&redact);
	return hidden;
}

/* A number goes on: what is there is another address, or none. */
static bool has_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void check_addresses(const char *before, const char *behind)
{
	size_t n = strlen(before);
	_cleanup_(freep) char *four = hide(before, ADDRESS4, behind);
	_cleanup_(freep) char *six = hide(before, ADDRESS6, behind);

	if (!(n && has_digit(before[n - 1])) && !has_digit(behind[0]))
		check(!strstr(four, ADDRESS4));
	check(!strstr(six, "2001:db8::7"));
}

/* On a line of its own. The empty one before ends what goes on. */
static void check_secrets(const char *before, const char *behind)
{
	static const char *const ways[] = {
		"\n\nPASSWORD=" SECRET "\n",
		"\n\napp --password '" SECRET "' ",
		"\n\n{\"token\": \"" SECRET "\", \"",
		"\n\nhttps://me:" SECRET "@web/ ",
		"\n\ncurl -u \"me:" SECRET "\" ",
		"\n\nAuthorization: Digest response=\"" SECRET "\"\n",
		"\n\n# Environment=DB=" SECRET "\n",
		"\n\n-----BEGIN KEY-----\n" SECRET "\n-----END KEY-----\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		_cleanup_(freep) char *text = hide(before, ways[i], behind);

		check(!strstr(text, SECRET));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *text = malloc(size + 1), *before = NULL, *whole = NULL;
	const char *behind;

	check(text);
	memcpy(text, data, size);
	text[size] = 0;
	/* what is in the input itself is not looked for */
	if (!size || strstr(text, SECRET) || strstr(text, ADDRESS4) || strstr(text, "2001:db8::7"))
		return 0;
	whole = hide(text, "", "");
	before = strndup(text + 1, data[0]);
	check(before);
	behind = text + 1 + strlen(before);
	check_addresses(before, behind);
	check_secrets(before, behind);
	return 0;
}
