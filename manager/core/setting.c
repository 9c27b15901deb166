// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/setting.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"
#include "util/parse.h"

const char *setting_type(const struct setting *setting)
{
	static const char *const types[SETTING_KINDS] = {
		[SETTING_SPAN] = "span", [SETTING_NUMBER] = "number", [SETTING_SWITCH] = "switch",
		[SETTING_WORD] = "word", [SETTING_OTHER] = "word",
	};

	return setting->form ?: types[setting->kind];
}

const char *setting_quote(const char *text, char quoted[SETTING_QUOTED_MAX])
{
	size_t n = 0;

	for (; text[n] && n < SETTING_QUOTED_MAX - 4; n++)
		quoted[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
	strcpy(quoted + n, text[n] ? "..." : "");
	return quoted;
}

int setting_refuse(const struct setting_text *text, const char *template, ...)
{
	char key[SETTING_QUOTED_MAX], value[SETTING_QUOTED_MAX], reason[256];
	va_list list;

	va_start(list, template);
	vsnprintf(reason, sizeof(reason), template, list);
	va_end(list);
	return problem_set(text->problem, -EINVAL, "%s=%s %s", setting_quote(text->key, key),
			   setting_quote(text->value, value), reason);
}

static int set_span(const struct setting *setting, uint64_t *span, const struct setting_text *text)
{
	char shortest[SPAN_TEXT_MAX], longest[SPAN_TEXT_MAX];
	uint64_t usec = 0;
	int r = parse_span(text->value, &usec);

	if (r == 0 && (usec > setting->max || usec < setting->min) && (usec || !setting->or_zero))
		r = -ERANGE;
	if (r < 0)
		return setting_refuse(
			text, "%s; allowed is %s to %s, written like 50ms, 1.5s or \"2min 30s\".",
			r != -ERANGE	      ? "is not a time span"
			: usec < setting->min ? "is too short"
					      : "is too long",
			setting->min ? span_format(setting->min, shortest, sizeof(shortest)) : "0",
			span_format(setting->max, longest, sizeof(longest)));
	*span = usec;
	return 0;
}

static int set_number(const struct setting *setting, unsigned *number,
		      const struct setting_text *text)
{
	uint64_t parsed;
	int r = parse_unsigned(text->value, setting->min, setting->max, &parsed);

	if (r < 0)
		return setting_refuse(text, "%s; allowed is a whole number from %u to %u.",
				      r == -ERANGE ? "is out of range" : "is not a number",
				      (unsigned)setting->min, (unsigned)setting->max);
	*number = (unsigned)parsed;
	return 0;
}

static int set_switch(bool *on, const struct setting_text *text)
{
	if (parse_bool(text->value, on) < 0)
		return setting_refuse(text, "is not known; allowed is yes or no.");
	return 0;
}

/* "a, b or c". */
static void list_words(const struct setting *setting, char *list, size_t size)
{
	size_t length = 0;

	for (unsigned i = 0; i < setting->n_words && length < size; i++) {
		const char *before = i == setting->n_words - 1 ? " or " : ", ";

		length += (size_t)snprintf(list + length, size - length, "%s%s", i ? before : "",
					   setting->words[i]);
	}
}

static int set_word(const struct setting *setting, unsigned *index, const struct setting_text *text)
{
	char allowed[96] = "";

	for (unsigned i = 0; i < setting->n_words; i++) {
		if (strcmp(setting->words[i], text->value))
			continue;
		*index = i;
		return 0;
	}
	list_words(setting, allowed, sizeof(allowed));
	return setting_refuse(text, "is not known; allowed is %s.", allowed);
}

int setting_set(const struct setting *setting, void *object, const char *value,
		struct problem *problem)
{
	struct setting_text text = {setting->name, *value ? value : setting->value, problem};
	void *field = (char *)object + setting->offset;

	switch (setting->kind) {
	case SETTING_SPAN:
		return set_span(setting, field, &text);
	case SETTING_NUMBER:
		return set_number(setting, field, &text);
	case SETTING_SWITCH:
		return set_switch(field, &text);
	case SETTING_WORD:
		return set_word(setting, field, &text);
	default:
		return setting->parse(object, &text);
	}
}
