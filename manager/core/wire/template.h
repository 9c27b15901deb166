/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Templates in datagrams of NetFlow v9 (RFC 3954) and IPFIX (RFC 7011): found in what exporters
 * send, and put into datagrams that have nothing but templates. Pure. What comes from a network is
 * not trusted: each length is looked at, and whatever does not fit ends the set that it is in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum template_version { TEMPLATE_NETFLOW9 = 9, TEMPLATE_IPFIX = 10 };

#define TEMPLATE_HEADER_MAX 20
/* What collectors take: some read no more of a datagram than an Ethernet frame has. */
#define TEMPLATE_DATAGRAM_SIZE 1400
/* A record larger than that goes alone; larger than this it is none. */
#define TEMPLATE_RECORD_MAX 4096

/* What stands at the beginning of a datagram. */
struct template_header {
	enum template_version version;
	uint32_t domain; /* source id, observation domain */
	uint8_t bytes[TEMPLATE_HEADER_MAX];
	size_t size;
};

/* One template as it stands in a set. One without fields withdraws those that it names (IPFIX). */
struct template_record {
	bool options;
	bool withdraws;
	uint16_t id; /* 0: withdrawn are all of its kind */
	const uint8_t *data;
	size_t size;
};

typedef void template_fn(const struct template_record *record, void *userdata);

/* Calls `each` for the templates in a datagram, in their order. -EINVAL: it is neither NetFlow v9
 * nor IPFIX. A datagram that was cut off has what is whole. */
int template_read(const uint8_t *data, size_t size, struct template_header *ret_header,
		  template_fn *each, void *userdata);

/* A datagram of templates in the making. */
struct template_datagram {
	uint8_t data[TEMPLATE_HEADER_MAX + TEMPLATE_RECORD_MAX + 64];
	size_t size;
	size_t set; /* where the open one begins; 0 = none is open */
	bool options;
	uint16_t n; /* records */
};

/* The header as the exporter has sent it, with its time and its sequence number: of messages with
 * templates alone IPFIX counts nothing, and with NetFlow v9 it is no later than it was. */
void template_begin(struct template_datagram *datagram, const struct template_header *header);
/* False: it is full; send it, and begin another one. */
bool template_add(struct template_datagram *datagram, const struct template_record *record);
/* Fills in what is known at the end only. */
void template_end(struct template_datagram *datagram);
