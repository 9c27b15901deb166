// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/presence.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "util/macro.h"

static struct presence down(const char *reason)
{
	return (struct presence) {.state = PRESENCE_DOWN, .reason = reason};
}

struct presence presence_judge(const struct presence_facts *facts)
{
	if (facts->unknown)
		return down("there is no such service here");
	if (facts->held)
		return down("new connections are held by hsctl park");
	if (!facts->live && facts->retired >= facts->slots)
		return down("it is stopped on purpose");
	if (!facts->live)
		return down("no slot is ready");
	/* another front may see others, or be asked by another way */
	if (facts->live <= facts->kept)
		return down("no host is well");
	if (facts->left)
		return (struct presence) {.state = PRESENCE_DRAIN,
					  .reason = "this host leaves, see hsctl join"};
	return (struct presence) {
		.state = PRESENCE_UP, .weight = MAX(MIN(facts->weight, 100U), 1U), .reason = ""};
}

void presence_line(const struct presence *presence, char text[PRESENCE_TEXT_MAX])
{
	if (presence->state == PRESENCE_UP)
		snprintf(text, PRESENCE_TEXT_MAX, "up ready %u%%\n", presence->weight);
	else if (presence->state == PRESENCE_DRAIN)
		snprintf(text, PRESENCE_TEXT_MAX, "up drain\n");
	else
		snprintf(text, PRESENCE_TEXT_MAX, "down #%s\n", presence->reason);
}

void presence_http(const struct presence *presence, char text[PRESENCE_TEXT_MAX])
{
	static const char *const words[] = {
		[PRESENCE_UP] = "up", [PRESENCE_DRAIN] = "drain", [PRESENCE_DOWN] = "down"};
	char body[PRESENCE_TEXT_MAX / 2];

	snprintf(body, sizeof(body), "%s%s%s\n", words[presence->state],
		 presence->reason[0] ? ": " : "", presence->reason);
	snprintf(text, PRESENCE_TEXT_MAX,
		 "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
		 "Cache-Control: no-store\r\nConnection: close\r\n\r\n%s",
		 presence->state == PRESENCE_UP ? "200 OK" : "503 Service Unavailable",
		 strlen(body), body);
}

int presence_exit(const struct presence *presence)
{
	if (presence->state == PRESENCE_DOWN)
		return 1;
	if (presence->state == PRESENCE_DRAIN)
		return 2;
	return presence->weight == 100 ? 0 : 2 + (int)presence->weight;
}

#define BLANKS " ,\t\r\n"

/* What one word says: a state, or nothing of it. False: it is not known. */
static bool read_word(const char *word, size_t length, bool *drains, bool *down, bool *up)
{
	static const char *const downs[] = {"down", "fail", "failed", "stopped", "maint"};

	for (size_t i = 0; i < ARRAY_SIZE(downs); i++)
		*down |= strlen(downs[i]) == length && !strncasecmp(word, downs[i], length);
	*drains |= length == 5 && !strncasecmp(word, "drain", length);
	/* a weight of nothing is what others mean by drain */
	*drains |= (length == 2 || length == 3) && !strncmp(word + length - 2, "0%", 2) &&
		   strspn(word, "0") == length - 1;
	*up |= (length == 2 && !strncasecmp(word, "up", length)) ||
	       (length == 5 && !strncasecmp(word, "ready", length));
	return *down || *drains || *up || word[length - 1] == '%';
}

bool presence_read(const char *line, enum presence_state *ret_state, struct problem *ret_reason)
{
	bool drains = false, down = false, up = false;
	const char *p = line + strspn(line, BLANKS);

	ret_reason->text[0] = '\0';
	for (; *p && *p != '#'; p += strspn(p, BLANKS)) {
		size_t length = strcspn(p, BLANKS "#");

		if (!read_word(p, length, &drains, &down, &up))
			return false;
		p += length;
	}
	if (*p == '#')
		problem_set(ret_reason, 0, "%.*s", (int)strcspn(p + 1, "\r\n"), p + 1);
	if (!down && !drains && !up)
		return false;
	*ret_state = down ? PRESENCE_DOWN : drains ? PRESENCE_DRAIN : PRESENCE_UP;
	return true;
}
