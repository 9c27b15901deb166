// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/wire/template.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define SET_HEADER    4
#define FIELD_SIZE    4
#define FIRST_ID      256     /* of templates; those below are of sets */
#define ENTERPRISE    0x8000U /* the field has four bytes more */
#define NETFLOW9_SIZE 20
#define IPFIX_SIZE    16

/* Ids of sets. */
enum { NETFLOW9_TEMPLATES = 0, NETFLOW9_OPTIONS = 1, IPFIX_TEMPLATES = 2, IPFIX_OPTIONS = 3 };

static uint16_t get16(const uint8_t *data)
{
	return (uint16_t)(data[0] << 8 | data[1]);
}

static uint32_t get32(const uint8_t *data)
{
	return (uint32_t)get16(data) << 16 | get16(data + 2);
}

static void put16(uint8_t *data, size_t value)
{
	data[0] = (uint8_t)(value >> 8);
	data[1] = (uint8_t)value;
}

/* ---- reading ---- */

/* What is left of a set. */
struct rest {
	const uint8_t *data;
	size_t size;
};

/* Each of these finds out how long the record is that the rest begins with; 0: it is none, or
 * padding. */
static size_t netflow9_template(const struct rest *rest)
{
	size_t n = get16(rest->data + 2);

	return n ? SET_HEADER + n * FIELD_SIZE : 0;
}

static size_t netflow9_options(const struct rest *rest)
{
	size_t scope, fields;

	if (rest->size < 6)
		return 0;
	scope = get16(rest->data + 2);
	fields = get16(rest->data + 4);
	if (scope % FIELD_SIZE || fields % FIELD_SIZE || !(scope + fields))
		return 0;
	return 6 + scope + fields;
}

static size_t ipfix_fields(const struct rest *rest, size_t head)
{
	size_t n = get16(rest->data + 2), size = head;

	for (size_t i = 0; i < n; i++) {
		if (size + FIELD_SIZE > rest->size)
			return 0;
		size += FIELD_SIZE + (get16(rest->data + size) & ENTERPRISE ? 4 : 0);
	}
	return size;
}

static size_t ipfix_options(const struct rest *rest)
{
	size_t scope;

	if (!get16(rest->data + 2))
		return 4;
	if (rest->size < 6)
		return 0;
	scope = get16(rest->data + 4);
	return scope && scope <= get16(rest->data + 2) ? ipfix_fields(rest, 6) : 0;
}

static size_t record_size(enum template_version version, bool options, const struct rest *rest)
{
	if (version == TEMPLATE_NETFLOW9)
		return options ? netflow9_options(rest) : netflow9_template(rest);
	return options ? ipfix_options(rest) : ipfix_fields(rest, 4);
}

/* Also of a withdrawal, which may name a kind instead of a template. */
static bool take_id(enum template_version version, struct template_record *record)
{
	unsigned all = record->options ? IPFIX_OPTIONS : IPFIX_TEMPLATES;

	record->id = get16(record->data);
	record->withdraws = version == TEMPLATE_IPFIX && !get16(record->data + 2);
	if (record->id >= FIRST_ID)
		return true;
	if (!record->withdraws || record->id != all)
		return false;
	record->id = 0;
	return true;
}

static void read_set(enum template_version version, bool options, struct rest rest,
		     template_fn *each, void *userdata)
{
	while (rest.size >= 4) {
		struct template_record record = {.options = options, .data = rest.data};

		record.size = record_size(version, options, &rest);
		if (!record.size || record.size > rest.size || !take_id(version, &record))
			return;
		if (record.size <= TEMPLATE_RECORD_MAX)
			each(&record, userdata);
		rest.data += record.size;
		rest.size -= record.size;
	}
}

static int read_header(const uint8_t *data, size_t *size, struct template_header *header)
{
	*header = (struct template_header) {.size = NETFLOW9_SIZE};
	if (*size < IPFIX_SIZE)
		return -EINVAL;
	header->version = get16(data);
	if (header->version == TEMPLATE_IPFIX) {
		header->size = IPFIX_SIZE;
		if (get16(data + 2) < *size)
			*size = get16(data + 2);
	}
	if ((header->version != TEMPLATE_IPFIX && header->version != TEMPLATE_NETFLOW9) ||
	    *size < header->size)
		return -EINVAL;
	memcpy(header->bytes, data, header->size);
	header->domain = get32(data + header->size - 4);
	return 0;
}

int template_read(const uint8_t *data, size_t size, struct template_header *ret_header,
		  template_fn *each, void *userdata)
{
	struct template_header header;
	size_t at, length;
	unsigned first;

	if (read_header(data, &size, &header) < 0)
		return -EINVAL;
	*ret_header = header;
	first = header.version == TEMPLATE_IPFIX ? IPFIX_TEMPLATES : NETFLOW9_TEMPLATES;
	for (at = header.size; at + SET_HEADER <= size; at += length) {
		unsigned id = get16(data + at);
		size_t here = size - at;

		length = get16(data + at + 2);
		if (length < SET_HEADER)
			break;
		if (length < here)
			here = length;
		if (id == first || id == first + 1)
			read_set(header.version, id != first,
				 (struct rest) {data + at + SET_HEADER, here - SET_HEADER}, each,
				 userdata);
	}
	return 0;
}

/* ---- writing ---- */

void template_begin(struct template_datagram *datagram, const struct template_header *header)
{
	datagram->size = header->size;
	datagram->set = 0;
	datagram->n = 0;
	memcpy(datagram->data, header->bytes, header->size);
}

static bool is_ipfix(const struct template_datagram *datagram)
{
	return get16(datagram->data) == TEMPLATE_IPFIX;
}

/* Its length, with what fills it up to a multiple of four. */
static void close_set(struct template_datagram *datagram)
{
	if (!datagram->set)
		return;
	while ((datagram->size - datagram->set) % 4)
		datagram->data[datagram->size++] = 0;
	put16(datagram->data + datagram->set + 2, datagram->size - datagram->set);
	datagram->set = 0;
}

static void open_set(struct template_datagram *datagram, bool options)
{
	unsigned first = is_ipfix(datagram) ? IPFIX_TEMPLATES : NETFLOW9_TEMPLATES;

	if (datagram->set && datagram->options == options)
		return;
	close_set(datagram);
	datagram->set = datagram->size;
	datagram->options = options;
	put16(datagram->data + datagram->size, first + options);
	datagram->size += SET_HEADER;
}

bool template_add(struct template_datagram *datagram, const struct template_record *record)
{
	/* with the padding of the set before and of its own */
	if (datagram->n &&
	    datagram->size + 3 + SET_HEADER + record->size + 3 > TEMPLATE_DATAGRAM_SIZE)
		return false;
	assert(record->size <= TEMPLATE_RECORD_MAX);
	open_set(datagram, record->options);
	memcpy(datagram->data + datagram->size, record->data, record->size);
	datagram->size += record->size;
	datagram->n++;
	return true;
}

void template_end(struct template_datagram *datagram)
{
	close_set(datagram);
	/* NetFlow v9 counts records, IPFIX bytes */
	put16(datagram->data + 2, is_ipfix(datagram) ? datagram->size : datagram->n);
}
