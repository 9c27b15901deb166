/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clients of the rig, in the test's own process: what came of a connection, as one character. */
#pragma once

#include <stdint.h>
#include <sys/socket.h>

#include "core/address.h"

/* Answers that are no server's name. */
#define ANSWER_REFUSED 'r' /* no connection: RST to the SYN */
#define ANSWER_RESET   'x' /* RST or end instead of an answer */
#define ANSWER_LATE    'l' /* nothing until the deadline */

/* The wildcard is reached through loopback. Returns the size. */
socklen_t address_to_sockaddr(const struct address *address, struct sockaddr_storage *ret);

/* Connects from this source port, 0 = any; with UDP that says only where datagrams go. Returns the
 * descriptor or -errno. */
int client_connect_from(const struct address *to, uint16_t port);
int client_connect(const struct address *to);
/* Sends one byte. */
void client_send(int fd, char byte);
/* Reads one answer. */
char client_read(int fd);
/* Both: which server has this connection? */
char client_ask(int fd);
/* Ends with a RST: leaves no TIME_WAIT, so that the source port is free at once. */
void client_reset(int fd);

/* Connects, asks, resets. */
char ask(const struct address *to);
char ask_from(const struct address *to, uint16_t port);

/* How often each answer was given. */
struct tally {
	unsigned of[256];
};
struct tally ask_often(const struct address *to, unsigned times);
