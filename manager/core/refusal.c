// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/refusal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/macro.h"

#define LIBBPF	  "libbpf: "
#define LOG_END	  "-- END PROG LOAD LOG --"
#define WORDS_MAX 256
/* A verifier that has an explanation gives it in two lines. */
#define LINES_MAX 2

/* A part of the log. */
struct span {
	const char *from;
	size_t n;
};

static bool begins(const struct span *line, const char *with)
{
	size_t n = strlen(with);

	return line->n >= n && !memcmp(line->from, with, n);
}

/* "12: (79) r6 = *(u64 *)(r1 +0)" */
static bool is_instruction(const struct span *line)
{
	size_t i = 0;

	while (i < line->n && isdigit((unsigned char)line->from[i]))
		i++;
	return i && i < line->n && line->from[i] == ':';
}

/* "R0_w=inv(id=0) R1=ctx(id=0,off=0,imm=0) R10=fp0" */
static bool is_registers(const struct span *line)
{
	size_t i = 1;

	if (line->n < 3 || line->from[0] != 'R')
		return false;
	while (i < line->n && isdigit((unsigned char)line->from[i]))
		i++;
	return i > 1 && i < line->n && (line->from[i] == '=' || line->from[i] == '_');
}

/* What the verifier prints of its way, and of its work. */
static bool is_record(const struct span *line)
{
	static const char *const beginnings[] = {
		";",	    "processed ", "verification time", "stack depth", "from ",
		"last_idx", "regs=",	  "parent ",	       "--",	      "func#"};

	for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++)
		if (begins(line, beginnings[i]))
			return true;
	return !line->n || is_instruction(line) || is_registers(line);
}

/* The last line before `end`, without its newline; what was before is left in *end. */
static struct span line_before(const char *log, const char **end)
{
	const char *stop = *end, *from;

	if (stop > log && stop[-1] == '\n')
		stop--;
	for (from = stop; from > log && from[-1] != '\n';)
		from--;
	*end = from;
	return (struct span) {from, stop - from};
}

/* The last lines that are words, in their order. 0 when there is no verifier's log. */
static unsigned last_lines(const char *log, struct span lines[LINES_MAX])
{
	const char *end = strstr(log, LOG_END);
	unsigned n = 0;

	while (end && end > log && n < LINES_MAX) {
		struct span line = line_before(log, &end);

		if (begins(&line, LIBBPF))
			break; /* the log begins after it */
		if (!is_record(&line))
			lines[LINES_MAX - ++n] = line;
		else if (n)
			break;
	}
	memmove(lines, &lines[LINES_MAX - n], n * sizeof(*lines));
	return n;
}

static void last_words(const char *log, char words[WORDS_MAX])
{
	struct span lines[LINES_MAX];
	unsigned n = last_lines(log, lines);
	size_t used = 0;

	words[0] = '\0';
	for (unsigned i = 0; i < n && used < WORDS_MAX; i++)
		used += snprintf(words + used, WORDS_MAX - used, "%s%.*s", i ? "; " : "",
				 (int)MIN(lines[i].n, (size_t)WORDS_MAX), lines[i].from);
}

/* "libbpf: prog 'hs_select': failed to load: -22" names it; `fallback` when no line does. */
static struct span program_of(const char *log, const char *fallback)
{
	static const char before[] = LIBBPF "prog '";
	const char *name = strstr(log, before), *end;

	name = name ? name + strlen(before) : NULL;
	end = name ? strchr(name, '\'') : NULL;
	return end ? (struct span) {name, end - name} : (struct span) {fallback, strlen(fallback)};
}

/* The first line that libbpf printed in full about a program or a map. */
static struct span complaint_of(const char *log)
{
	static const char before[] = LIBBPF;

	for (const char *at = log; (at = strstr(at, before)); at++) {
		struct span line = {at + strlen(before), strcspn(at + strlen(before), "\n")};

		if (begins(&line, "prog '") || begins(&line, "map '") || begins(&line, "Error in "))
			return line;
	}
	return (struct span) {NULL, 0};
}

enum refusal refusal_of(int error, const char *log, bool perfmon)
{
	struct span lines[LINES_MAX];

	if (strstr(log, LOG_END) && !perfmon)
		return REFUSAL_PRIVILEGE;
	/* the verifier, which always has its reason, has not come to look at it */
	if (strstr(log, LOG_END) && error == -EPERM && !last_lines(log, lines))
		return REFUSAL_FORBIDDEN;
	if (strstr(log, LOG_END))
		return REFUSAL_VERIFIER;
	return error == -EPERM ? REFUSAL_PRIVILEGE : REFUSAL_OTHER;
}

void refusal_describe(const char *what, int error, const char *log, bool perfmon,
		      struct problem *ret_sentence)
{
	enum refusal refusal = refusal_of(error, log, perfmon);
	struct span complaint = complaint_of(log), program = program_of(log, what);
	char words[WORDS_MAX];

	last_words(log, words);
	if (refusal == REFUSAL_VERIFIER)
		problem_set(ret_sentence, 0,
			    "the kernel's verifier refuses %.*s of %s: %s; this is no missing "
			    "privilege: build hotstandby with another clang, or use another kernel",
			    (int)program.n, program.from, what,
			    words[0] ? words : strerror(-error));
	else if (refusal == REFUSAL_FORBIDDEN)
		problem_set(ret_sentence, 0,
			    "the kernel lets nobody load %.*s of %s: it refuses such programs "
			    "before it looks at them, being locked down (kernel_lockdown(7)) or "
			    "built so; this is no missing privilege",
			    (int)program.n, program.from, what);
	else if (refusal == REFUSAL_PRIVILEGE)
		problem_set(ret_sentence, 0,
			    "no permission to load %s: %s; it needs CAP_BPF, CAP_PERFMON and "
			    "CAP_NET_ADMIN",
			    what, words[0] ? words : strerror(-error));
	else
		problem_set(ret_sentence, 0, "the kernel does not load %s: %s%s%.*s", what,
			    strerror(-error), complaint.n ? ": " : "",
			    (int)MIN(complaint.n, (size_t)WORDS_MAX),
			    complaint.n ? complaint.from : "");
}
