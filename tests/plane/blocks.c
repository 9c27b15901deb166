// SPDX-License-Identifier: GPL-2.0-or-later
#include "blocks.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "rig.h"

#define READ_MAX (256 * 1024)

/* How far the reader of one side's stream is. */
struct pace {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	uint64_t read; /* huge when it has ended */
};

/* One of the four: who sends or reads at one end. */
struct part {
	const struct blocks *blocks;
	unsigned side; /* that sends */
	uint64_t state;
	struct pace *pace; /* of this side's stream */
	struct blocks_wrong wrong;
	pthread_t thread;
};

uint64_t blocks_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static uint64_t word(uint64_t seed, unsigned side, uint64_t number)
{
	return (number + seed * 2 + side) * 0x9e3779b97f4a7c15ULL;
}

void blocks_fill(const struct blocks *blocks, unsigned side, uint64_t at, uint8_t *to, size_t n)
{
	while (n) {
		uint64_t now = word(blocks->seed, side, at / 8);
		size_t skip = at % 8, here = n < 8 - skip ? n : 8 - skip;

		memcpy(to, (const uint8_t *)&now + skip, here);
		to += here;
		at += here;
		n -= here;
	}
}

/* In one call, unless the kernel takes a part only. */
static bool send_all(int fd, const uint8_t *from, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, from, n, MSG_NOSIGNAL);

		if (sent < 0)
			return false;
		from += sent;
		n -= (size_t)sent;
	}
	return true;
}

void blocks_send(const struct blocks *blocks, unsigned side, uint64_t at, uint32_t n)
{
	uint8_t *buffer = malloc(n);

	rig_check(buffer);
	blocks_fill(blocks, side, at, buffer, n);
	rig_check(send_all(blocks->ends[side], buffer, n));
	free(buffer);
}

/* Small ones as often as large ones. */
static uint32_t draw_size(struct part *part)
{
	uint32_t bits = 1;

	while (bits < 31 && 1U << bits < part->blocks->most)
		bits++;
	bits = (uint32_t)(blocks_next(&part->state) % (bits + 1));
	return 1 + (uint32_t)(blocks_next(&part->state) % (1ULL << bits));
}

static void say(struct part *part, uint64_t at, const char *what)
{
	part->wrong = (struct blocks_wrong) {true, part->side, at, what};
}

static void wait_for_reader(const struct part *part, uint64_t at, uint64_t n)
{
	const struct blocks *blocks = part->blocks;
	struct pace *pace = part->pace;

	if (at >= blocks->paced[part->side])
		return;
	pthread_mutex_lock(&pace->lock);
	while (at + n > pace->read + blocks->window)
		pthread_cond_wait(&pace->moved, &pace->lock);
	pthread_mutex_unlock(&pace->lock);
}

static void tell_writer(const struct part *part, uint64_t read)
{
	struct pace *pace = part->pace;

	pthread_mutex_lock(&pace->lock);
	pace->read = read;
	pthread_cond_signal(&pace->moved);
	pthread_mutex_unlock(&pace->lock);
}

static void *write_all(void *userdata)
{
	struct part *part = userdata;
	uint64_t at = part->blocks->sent[part->side], end = part->blocks->bytes[part->side];
	int fd = part->blocks->ends[part->side];
	uint8_t *buffer = malloc(2 * part->blocks->most);

	rig_check(buffer);
	while (at < end) {
		uint64_t n = draw_size(part);

		n = n < end - at ? n : end - at;
		if (at < part->blocks->paced[part->side] && n > part->blocks->window)
			n = part->blocks->window;
		wait_for_reader(part, at, n);
		blocks_fill(part->blocks, part->side, at, buffer, n);
		if (!send_all(fd, buffer, n)) {
			/* a reader that has found something wrong reads no more */
			say(part, at, strerror(errno));
			break;
		}
		at += n;
	}
	shutdown(fd, SHUT_WR);
	free(buffer);
	return NULL;
}

static void stall(struct part *part)
{
	uint32_t one_in = part->blocks->stalls;

	if (one_in && !(blocks_next(&part->state) % one_in))
		poll(NULL, 0, (int)(blocks_next(&part->state) % (part->blocks->stall_ms + 1)));
}

static ssize_t read_some(struct part *part, int fd, uint8_t *buffer)
{
	size_t most = 1 + blocks_next(&part->state) % READ_MAX;
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	stall(part);
	if (part->blocks->poll)
		rig_check(poll(&wait, 1, -1) == 1);
	return recv(fd, buffer, most, part->blocks->poll ? MSG_DONTWAIT : 0);
}

static bool is_right(struct part *part, uint64_t at, const uint8_t *read, size_t n,
		     uint8_t *expected)
{
	blocks_fill(part->blocks, part->side, at, expected, n);
	if (!memcmp(read, expected, n))
		return true;
	for (size_t i = 0; i < n; i++)
		if (read[i] != expected[i]) {
			say(part, at + i, "a byte is not what was sent");
			break;
		}
	return false;
}

static void *read_all(void *userdata)
{
	struct part *part = userdata;
	uint64_t at = 0, end = part->blocks->bytes[part->side];
	int fd = part->blocks->ends[!part->side];
	uint8_t *buffer = malloc(2 * READ_MAX);

	rig_check(buffer);
	for (;;) {
		ssize_t n = read_some(part, fd, buffer);

		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0) {
			if (n < 0 || at != end)
				say(part, at, n < 0 ? strerror(errno) : "it ends too early");
			break;
		}
		if (!is_right(part, at, buffer, (size_t)n, buffer + READ_MAX))
			break;
		at += (uint64_t)n;
		tell_writer(part, at);
	}
	tell_writer(part, UINT64_MAX / 2);
	/* the writer must not wait for who reads no more */
	if (part->wrong.wrong)
		shutdown(fd, SHUT_RDWR);
	free(buffer);
	return NULL;
}

struct blocks_wrong blocks_run(const struct blocks *blocks)
{
	struct part parts[4];
	struct pace paces[2] = {{PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0},
				{PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}};

	for (unsigned i = 0; i < 4; i++) {
		parts[i] = (struct part) {.blocks = blocks,
					  .side = i / 2,
					  .state = blocks->seed * 4 + i,
					  .pace = &paces[i / 2]};
		rig_check(!pthread_create(&parts[i].thread, NULL, i % 2 ? read_all : write_all,
					  &parts[i]));
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(parts[i].thread, NULL);
	for (unsigned i = 0; i < 4; i++)
		if (parts[i ^ 1].wrong.wrong)
			return parts[i ^ 1].wrong;
	return (struct blocks_wrong) {0};
}

/* ---- threads ---- */

#define CROWD_MAX 8

struct message {
	uint32_t size, thread, number, check;
};

struct sender {
	int fd;
	unsigned thread, messages;
	uint32_t most;
	uint64_t state;
	pthread_t id;
};

static void *send_messages(void *userdata)
{
	struct sender *sender = userdata;
	uint8_t *buffer = malloc(sizeof(struct message) + sender->most);

	rig_check(buffer);
	for (unsigned i = 0; i < sender->messages; i++) {
		struct message head = {.thread = sender->thread, .number = i};

		head.size = (uint32_t)(blocks_next(&sender->state) % sender->most);
		head.check = head.size ^ head.thread << 24 ^ head.number;
		memcpy(buffer, &head, sizeof(head));
		memset(buffer + sizeof(head), (int)(head.thread + head.number), head.size);
		rig_check(send_all(sender->fd, buffer, sizeof(head) + head.size));
	}
	free(buffer);
	return NULL;
}

static bool receive(int fd, void *to, size_t n)
{
	uint8_t *at = to;
	ssize_t r;

	for (; n; at += r, n -= (size_t)r) {
		r = recv(fd, at, n, 0);
		if (r <= 0)
			return false;
	}
	return true;
}

static const char *read_messages(int fd, unsigned n, uint32_t most)
{
	uint32_t next[CROWD_MAX] = {0};
	uint8_t *body = malloc(most);
	const char *wrong = NULL;

	rig_check(body);
	while (!wrong && n--) {
		struct message head;

		if (!receive(fd, &head, sizeof(head)) || head.size >= most ||
		    head.thread >= CROWD_MAX ||
		    head.check != (head.size ^ head.thread << 24 ^ head.number))
			wrong = "a message is torn";
		else if (head.number != next[head.thread]++)
			wrong = "messages of a thread are not in order";
		else if (!receive(fd, body, head.size))
			wrong = "it ends too early";
		for (uint32_t i = 0; !wrong && i < head.size; i++)
			if (body[i] != (uint8_t)(head.thread + head.number))
				wrong = "another message is within one";
	}
	free(body);
	return wrong;
}

const char *blocks_crowd(const int ends[2], unsigned n_threads, unsigned messages, uint32_t most,
			 uint64_t seed)
{
	struct timeval patience = {.tv_sec = 5};
	struct sender senders[CROWD_MAX];
	const char *wrong;

	rig_check(n_threads <= CROWD_MAX);
	rig_check(!setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
	for (unsigned i = 0; i < n_threads; i++) {
		senders[i] = (struct sender) {ends[0], i, messages, most, seed * CROWD_MAX + i, 0};
		rig_check(!pthread_create(&senders[i].id, NULL, send_messages, &senders[i]));
	}
	poll(NULL, 0, (int)(seed % 3));
	wrong = read_messages(ends[1], n_threads * messages, most);
	for (unsigned i = 0; i < n_threads; i++)
		pthread_join(senders[i].id, NULL);
	return wrong;
}
