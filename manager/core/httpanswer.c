// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/httpanswer.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/macro.h"

void http_answer_add(struct http_answer *answer, const void *data, size_t size)
{
	size_t kept = MIN(answer->size, sizeof(answer->head));
	size_t last = MIN(size, sizeof(answer->tail));

	if (!size)
		return;
	memcpy(answer->head + kept, data, MIN(size, sizeof(answer->head) - kept));
	memmove(answer->tail, answer->tail + last, sizeof(answer->tail) - last);
	memcpy(answer->tail + sizeof(answer->tail) - last, (const char *)data + size - last, last);
	answer->size += size;
}

unsigned http_answer_status(const struct http_answer *answer)
{
	static const char begin[] = "HTTP/1.";
	const char *p = answer->head;
	size_t length = sizeof(begin) - 1;

	/* "HTTP/1.1 200" */
	if (answer->size < length + 5 || memcmp(p, begin, length) ||
	    (p[length] != '0' && p[length] != '1') || p[length + 1] != ' ')
		return 0;
	p += length + 2;
	if (p[0] < '1' || p[0] > '9' || !isdigit((unsigned char)p[1]) ||
	    !isdigit((unsigned char)p[2]))
		return 0;
	return (unsigned)(p[0] - '0') * 100 + (unsigned)(p[1] - '0') * 10 + (unsigned)(p[2] - '0');
}

/* How long the head is, with the empty line behind it; 0: that is not among what is kept. Lines may
 * end without the carriage return, too. */
static size_t head_length(const char *head, size_t size)
{
	for (size_t i = 0; i + 1 < size; i++) {
		if (head[i] != '\n')
			continue;
		if (head[i + 1] == '\n')
			return i + 2;
		if (i + 2 < size && head[i + 1] == '\r' && head[i + 2] == '\n')
			return i + 3;
	}
	return 0;
}

/* The value of the field in the head, or NULL. Ends with its line, somewhere. */
static const char *field(const char *head, size_t size, const char *name)
{
	size_t length = strlen(name);
	const char *end = head + size, *line = head;

	while ((line = memchr(line, '\n', (size_t)(end - line)))) {
		line++;
		if ((size_t)(end - line) > length && !strncasecmp(line, name, length) &&
		    line[length] == ':')
			return line + length + 1;
	}
	return NULL;
}

/* The last coding is what tells where the answer ends. */
static bool is_chunked(const char *value)
{
	static const char chunked[] = "chunked";
	size_t length = sizeof(chunked) - 1, n = strcspn(value, "\r\n");

	while (n && (value[n - 1] == ' ' || value[n - 1] == '\t'))
		n--;
	return n >= length && !strncasecmp(value + n - length, chunked, length);
}

/* UINT64_MAX: that is no number. */
static uint64_t length_of(const char *value)
{
	char *end;
	unsigned long long n;

	value += strspn(value, " \t");
	if (!isdigit((unsigned char)*value))
		return UINT64_MAX;
	errno = 0;
	n = strtoull(value, &end, 10);
	return errno || !strchr(" \t\r\n,", *end) ? UINT64_MAX : n;
}

bool http_answer_is_whole(const struct http_answer *answer)
{
	static const char last_chunk[] = {'0', '\r', '\n', '\r', '\n'};
	size_t kept = MIN(answer->size, sizeof(answer->head));
	size_t head = head_length(answer->head, kept);
	unsigned status = http_answer_status(answer);
	const char *value;
	uint64_t length;

	if (!head)
		return kept == sizeof(answer->head);
	/* these have no body, whatever they say of its length */
	if (status == 204 || status == 304)
		return true;
	value = field(answer->head, head, "Transfer-Encoding");
	if (value && is_chunked(value))
		return answer->size - head >= sizeof(last_chunk) &&
		       !memcmp(answer->tail, last_chunk, sizeof(last_chunk));
	value = field(answer->head, head, "Content-Length");
	length = value ? length_of(value) : UINT64_MAX;
	return length == UINT64_MAX || answer->size - head >= length;
}
