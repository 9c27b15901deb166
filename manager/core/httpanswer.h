/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a server has said by HTTP/1.0 or 1.1 until it ended the connection: its status, and whether
 * that was all of the answer (RFC 9112, 6.3 and 8). Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is kept of it: its head, if that is not longer, and its last bytes. */
struct http_answer {
	char head[2048];
	char tail[5]; /* the last of them is tail[4] */
	uint64_t size;
};

/* Takes what has come next; `size` may be 0. */
void http_answer_add(struct http_answer *answer, const void *data, size_t size);

/* 100 to 999; 0: that is no answer by HTTP. */
unsigned http_answer_status(const struct http_answer *answer);

/* False: it was cut off, in its head, before its Content-Length, or between two chunks. What
 * neither of these tells, or has a head that is longer than what is kept, is taken for whole. */
bool http_answer_is_whole(const struct http_answer *answer);
