/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses with ports as text, for hs-echo-server and hs-echo-client. */
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* [ADDRESS%interface]:PORT */
#define ADDRESS_TEXT_MAX 96

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* "192.0.2.1:7777", "[2001:db8::1]:7777"; an address alone has port 0. Returns 0 or -EINVAL. */
int address_parse(const char *text, union address *ret_address);

/* Fills `text`, of ADDRESS_TEXT_MAX bytes, and returns it. An IPv4 client of an IPv6 socket is
 * written as IPv4, so that both ends write the same. */
const char *address_text(const union address *address, char *text);

socklen_t address_size(const union address *address);
uint16_t address_port(const union address *address);
void address_set_port(union address *address, uint16_t port);

/* Goes on by `n` in the last four bytes of the address. */
void address_add(union address *address, uint32_t n);

/* The value of a number from `min` to `max`. Returns 0, or -EINVAL and says so on stderr. */
int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);
