/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stream of numbered blocks: each word of eight bytes tells its place in it, so that whatever is
 * lost, doubled or moved, by one byte or by many, is found where it happens. Both ends send and
 * read at once, in ways that follow from a seed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blocks {
	uint64_t seed;
	int ends[2]; /* the client's and the server's socket, both blocking */
	uint64_t
		bytes[2]; /* that each is to send; then it sends no more, and the other one knows */
	uint64_t sent[2]; /* of these, those that have been sent before, by blocks_send() */
	uint64_t paced[2]; /* as long as a side has sent fewer, it waits for its reader: */
	uint32_t window;   /* so many are on their way at the most */
	uint32_t most;	   /* bytes in one message, at the most */
	uint32_t stalls;   /* one read in so many is late; 0 = none is */
	unsigned stall_ms; /* by so much at the most */
	bool poll;	   /* the readers wait in poll(2), else in recv(2) */
};

struct blocks_wrong {
	bool wrong;
	unsigned side; /* of who has sent it */
	uint64_t at;   /* the byte where it is not what it should be */
	const char *what;
};

/* Until all is sent and read, or something is wrong. Closes nothing. */
struct blocks_wrong blocks_run(const struct blocks *blocks);
/* What is at this place of a side's stream. */
void blocks_fill(const struct blocks *blocks, unsigned side, uint64_t at, uint8_t *to, size_t n);
/* Sends what is at this place of a side's stream, in one message. */
void blocks_send(const struct blocks *blocks, unsigned side, uint64_t at, uint32_t n);
/* A number that follows from the one before. */
uint64_t blocks_next(uint64_t *state);

/*
 * Threads that send at one end at the same time, none waiting for another: each message, of up to
 * `most` bytes, has to arrive in one piece, and those of one thread in order. `n_threads` times
 * `messages` of them have to fit into the buffers, for TCP itself tears what has to wait. The
 * reader begins when some are there. Returns what is wrong with them, or NULL.
 */
const char *blocks_crowd(const int ends[2], unsigned n_threads, unsigned messages, uint32_t most,
			 uint64_t seed);
