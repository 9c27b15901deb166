// SPDX-License-Identifier: GPL-2.0-or-later
/* Templates of NetFlow v9 and IPFIX: found, kept in bounds, and told again without anything else.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/wire/exporters.h"
#include "core/wire/replay.h"
#include "util/macro.h"

/* ---- datagrams ---- */

struct datagram {
	uint8_t data[65536];
	size_t size, set;
};

static struct datagram datagram; /* too large for the stack of some */

static void put(unsigned value)
{
	datagram.data[datagram.size++] = (uint8_t)(value >> 8);
	datagram.data[datagram.size++] = (uint8_t)value;
}

static void begin(unsigned version, unsigned domain)
{
	datagram.size = 0;
	put(version);
	put(0);
	for (unsigned i = 0; i < (version == 9 ? 6 : 4); i++)
		put(0x1111);
	put(0);
	put(domain);
}

static void open_set(unsigned id)
{
	datagram.set = datagram.size;
	put(id);
	put(0);
}

static void set_length(size_t at, size_t length)
{
	datagram.data[at] = (uint8_t)(length >> 8);
	datagram.data[at + 1] = (uint8_t)length;
}

static void close_set(void)
{
	set_length(datagram.set + 2, datagram.size - datagram.set);
	if (datagram.data[1] == 10)
		set_length(2, datagram.size);
}

/* With fields of 4 bytes, all of the same type. */
static void add_template(unsigned id, unsigned fields, unsigned type)
{
	put(id);
	put(fields);
	for (unsigned i = 0; i < fields; i++) {
		put(type);
		put(4);
	}
}

static void make_one(unsigned version, unsigned domain, unsigned id, unsigned fields, unsigned type)
{
	begin(version, domain);
	open_set(version == 9 ? 0 : 2);
	add_template(id, fields, type);
	close_set();
}

/* A set of flows, which must never be told. */
static void add_flows(void)
{
	open_set(256);
	for (unsigned i = 0; i < 20; i++)
		put(0xf10f);
	close_set();
}

/* ---- what is found ---- */

struct found {
	unsigned n;
	struct template_record records[16];
};

static void on_found(const struct template_record *record, void *userdata)
{
	struct found *found = userdata;

	if (found->n < ARRAY_SIZE(found->records))
		found->records[found->n] = *record;
	found->n++;
}

static struct template_header header;

static struct found read_all(void)
{
	struct found found = {0};

	assert_int_equal(template_read(datagram.data, datagram.size, &header, on_found, &found), 0);
	return found;
}

static void test_netflow9(void **state)
{
	struct found found;

	(void)state;
	begin(9, 77);
	add_flows();
	open_set(0);
	add_template(256, 3, 8);
	add_template(257, 1, 8);
	put(0); /* padding */
	close_set();
	open_set(1);
	put(300); /* one scope, two options */
	put(4);
	put(8);
	for (unsigned i = 0; i < 6; i++)
		put(4);
	close_set();
	found = read_all();
	assert_int_equal(header.version, TEMPLATE_NETFLOW9);
	assert_int_equal(header.domain, 77);
	assert_int_equal(found.n, 3);
	assert_int_equal(found.records[0].id, 256);
	assert_int_equal(found.records[0].size, 16);
	assert_int_equal(found.records[1].id, 257);
	assert_false(found.records[1].options);
	assert_int_equal(found.records[2].id, 300);
	assert_int_equal(found.records[2].size, 18);
	assert_true(found.records[2].options);
}

static void test_ipfix(void **state)
{
	struct found found;

	(void)state;
	begin(10, 5);
	open_set(2);
	put(400); /* with a field of an enterprise, which is longer */
	put(2);
	put(0x8001);
	put(4);
	put(0);
	put(9);
	put(8);
	put(4);
	put(401); /* withdrawn */
	put(0);
	close_set();
	open_set(3);
	put(500);
	put(2);
	put(1);
	for (unsigned i = 0; i < 4; i++)
		put(4);
	put(3); /* all options are withdrawn */
	put(0);
	close_set();
	found = read_all();
	assert_int_equal(header.domain, 5);
	assert_int_equal(found.n, 4);
	assert_int_equal(found.records[0].size, 16);
	assert_true(found.records[1].withdraws && found.records[1].id == 401);
	assert_int_equal(found.records[2].size, 14);
	assert_true(found.records[3].withdraws && !found.records[3].id && found.records[3].options);
}

/* What does not fit ends its set; what is whole counts. */
static void test_broken(void **state)
{
	struct found found = {0};

	(void)state;
	make_one(9, 1, 256, 3, 8);
	for (size_t size = 0; size < datagram.size; size++) {
		found.n = 0;
		assert_int_equal(template_read(datagram.data, size, &header, on_found, &found),
				 size < 20 ? -EINVAL : 0);
		assert_int_equal(found.n, 0);
	}
	make_one(9, 1, 256, 3, 8);
	set_length(26, 0xffff); /* says that it has so many fields */
	assert_int_equal(read_all().n, 0);
	make_one(9, 1, 255, 1, 8); /* no template has such an id */
	assert_int_equal(read_all().n, 0);
	make_one(5, 1, 256, 1, 8);
	assert_int_equal(template_read(datagram.data, datagram.size, &header, on_found, &found),
			 -EINVAL);
	/* a set without a length would never end */
	make_one(9, 1, 256, 1, 8);
	set_length(22, 0);
	assert_int_equal(read_all().n, 0);
	make_one(10, 1, 256, 1, 8);
	set_length(2, datagram.size - 1);
	assert_int_equal(read_all().n, 0);
	/* larger than any is kept */
	make_one(9, 1, 256, TEMPLATE_RECORD_MAX / 4, 8);
	assert_int_equal(read_all().n, 0);
}

/* ---- what is kept ---- */

static struct exporter_ends from(unsigned address, unsigned port)
{
	struct exporter_ends ends = {.source_port = (uint16_t)port, .dest_port = 2055};

	ends.source[10] = ends.source[11] = ends.dest[10] = ends.dest[11] = 0xff;
	ends.source[14] = (uint8_t)(address >> 8);
	ends.source[15] = (uint8_t)address;
	ends.dest[15] = 1;
	return ends;
}

static struct exporters exporters;

static bool hear(unsigned address, unsigned port)
{
	struct exporter_ends ends = from(address, port);

	return exporters_hear(&exporters, &ends, datagram.data, datagram.size);
}

static void clear(void)
{
	exporters_done(&exporters);
	assert_int_equal(exporters.counts.bytes, 0);
}

static void test_kept(void **state)
{
	(void)state;
	make_one(9, 1, 256, 3, 8);
	assert_true(hear(1, 1000));
	assert_false(hear(1, 1000)); /* nothing new */
	make_one(9, 1, 256, 2, 8);
	assert_true(hear(1, 1000)); /* another one by the same id */
	assert_int_equal(exporters.counts.exporters, 1);
	assert_int_equal(exporters.counts.templates, 1);
	make_one(9, 2, 256, 2, 8); /* another source id, port, version */
	assert_true(hear(1, 1000));
	assert_true(hear(1, 1001));
	make_one(10, 2, 256, 2, 8);
	assert_true(hear(1, 1000));
	assert_int_equal(exporters.counts.exporters, 4);
	begin(9, 9); /* flows alone make no exporter */
	add_flows();
	assert_false(hear(9, 1000));
	assert_int_equal(exporters.counts.exporters, 4);
	clear();
}

static void test_withdrawn(void **state)
{
	(void)state;
	make_one(10, 1, 256, 3, 8);
	hear(1, 1000);
	make_one(10, 1, 257, 3, 8);
	hear(1, 1000);
	make_one(10, 1, 256, 0, 8);
	assert_true(hear(1, 1000));
	assert_int_equal(exporters.counts.templates, 1);
	make_one(10, 1, 2, 0, 8);
	assert_true(hear(1, 1000));
	assert_int_equal(exporters.counts.templates, 0);
	clear();
}

static void test_bounds(void **state)
{
	(void)state;
	make_one(9, 1, 256, 1, 8);
	for (unsigned i = 0; i < EXPORTERS_MAX + 10; i++) {
		hear(i, 1000);
		/* one is heard all the time */
		hear(0, 1000);
	}
	assert_int_equal(exporters.counts.exporters, EXPORTERS_MAX);
	assert_int_equal(exporters.counts.forgotten, 10);
	assert_false(hear(0, 1000));
	assert_true(hear(1, 1000)); /* those went that were heard least lately */
	clear();
	for (unsigned i = 0; i < EXPORTERS_TEMPLATES_MAX + 10; i++) {
		make_one(9, 1, 256 + i, 1, 8);
		hear(1, 1000);
	}
	assert_int_equal(exporters.counts.templates, EXPORTERS_TEMPLATES_MAX);
	assert_int_equal(exporters.counts.forgotten, 10);
	clear();
	for (unsigned i = 0; i < 40; i++)
		for (unsigned id = 256; id < 400; id++) {
			make_one(9, 1, id, 1000, 8);
			hear(i, 1000);
			assert_true(exporters.counts.bytes <= EXPORTERS_BYTES_MAX);
		}
	assert_true(exporters.counts.forgotten > 0);
	clear();
}

/* ---- what is told ---- */

static struct exporters heard_again;
static unsigned told;

/* Only templates are in it: the sets are of them, and fill it to the last byte. */
static void check_sets(const struct template_datagram *one)
{
	size_t at = one->data[1] == 9 ? 20 : 16, length;

	for (; at < one->size; at += length) {
		assert_true(at + 4 <= one->size);
		assert_int_equal(one->data[at], 0);
		assert_true(one->data[at + 1] <= 3);
		length = (size_t)one->data[at + 2] << 8 | one->data[at + 3];
		assert_true(length > 4 && length % 4 == 0);
	}
	assert_int_equal(at, one->size);
}

static void on_told(const struct template_datagram *one, void *userdata)
{
	struct exporter_ends ends = from(1, 1000);

	(void)userdata;
	check_sets(one);
	exporters_hear(&heard_again, &ends, one->data, one->size);
	told++;
}

static void tell_and_compare(void)
{
	unsigned n;

	told = 0;
	n = exporter_tell(exporters.list[0], on_told, NULL);
	assert_int_equal(n, told);
	assert_int_equal(heard_again.counts.templates, exporters.counts.templates);
	assert_int_equal(heard_again.counts.bytes, exporters.counts.bytes);
	assert_int_equal(heard_again.list[0]->header.domain, exporters.list[0]->header.domain);
	exporters_done(&heard_again);
}

static void test_told(void **state)
{
	(void)state;
	for (unsigned version = 9; version <= 10; version++) {
		for (unsigned i = 0; i < 100; i++) {
			begin(version, 7);
			open_set(version == 9 ? 0 : 2);
			add_template(256 + i, 1 + i % 40, 8);
			close_set();
			add_flows();
			hear(1, 1000);
		}
		begin(version, 7);
		open_set(version == 9 ? 1 : 3);
		put(600); /* one scope, two options: not a multiple of four bytes */
		put(version == 9 ? 4 : 3);
		put(version == 9 ? 8 : 1);
		for (unsigned i = 0; i < 6; i++)
			put(4);
		close_set();
		hear(1, 1000);
		assert_int_equal(exporters.counts.templates, 101);
		tell_and_compare();
		assert_true(told > 5);
		/* larger than a datagram should be: alone */
		make_one(version, 7, 700, 500, 8);
		hear(1, 1000);
		tell_and_compare();
		clear();
	}
}

static void test_sorted(void **state)
{
	(void)state;
	make_one(9, 1, 256, 1, 8);
	for (unsigned i = 0; i < 5; i++)
		hear(i, 1000);
	hear(1, 1000);
	exporters_sort(&exporters);
	assert_int_equal(exporters.list[0]->ends.source[15], 0);
	assert_int_equal(exporters.list[1]->ends.source[15], 2);
	assert_int_equal(exporters.list[4]->ends.source[15], 1);
	assert_ptr_equal(exporters_find(&exporters, exporters.list[3]->number), exporters.list[3]);
	assert_null(exporters_find(&exporters, 99));
	clear();
}

/* ---- where it is sent, and what is taken from hs-replay ---- */

static void test_ends(void **state)
{
	struct replay_watch watch = {.n = 2};
	struct exporter_ends seen = from(1, 1000), ends;

	(void)state;
	watch.listeners[0] = (struct replay_listener) {.port = 2055, .ipv4 = 1, .ipv6 = 1};
	watch.listeners[1] = (struct replay_listener) {.port = 2056, .ipv4 = 1};
	memcpy(watch.listeners[1].ip, seen.dest, 16);
	/* all addresses: by loopback, in its own name */
	assert_true(replay_ends(&watch, &seen, &ends));
	assert_memory_equal(ends.dest + 12, ((uint8_t[]) {127, 0, 0, 1}), 4);
	assert_int_equal(ends.source_port, 1000);
	assert_memory_equal(ends.source, seen.source, 16);
	/* one address: there, and not from the port that its flows come from */
	seen.dest_port = 2056;
	assert_true(replay_ends(&watch, &seen, &ends));
	assert_memory_equal(ends.dest, seen.dest, 16);
	assert_int_not_equal(ends.source_port, 1000);
	/* to another address, or port, it is none of ours */
	seen.dest[15]++;
	assert_false(replay_ends(&watch, &seen, &ends));
	seen.dest_port = 2057;
	assert_false(replay_ends(&watch, &seen, &ends));
	/* IPv6 */
	seen.dest_port = 2055;
	memset(seen.dest, 0x20, sizeof(seen.dest));
	assert_true(replay_ends(&watch, &seen, &ends));
	assert_int_equal(ends.dest[0] | ends.dest[14], 0);
	assert_int_equal(ends.dest[15], 1);
}

static void test_checked(void **state)
{
	struct replay_places places = {.kind = REPLAY_PLACES, .n = 3};
	struct replay_sent sent = {.kind = REPLAY_SENT};
	struct replay_counts counts = {.kind = REPLAY_COUNTS};
	struct replay_ask ask = {.kind = REPLAY_ASK};

	(void)state;
	assert_int_equal(replay_check(&places, replay_places_size(3)), REPLAY_PLACES);
	assert_int_equal(replay_check(&places, replay_places_size(2)), REPLAY_KINDS);
	places.n = REPLAY_PART + 1;
	assert_int_equal(replay_check(&places, replay_places_size(places.n)), REPLAY_KINDS);
	assert_int_equal(replay_check(&sent, sizeof(sent)), REPLAY_SENT);
	assert_int_equal(replay_check(&sent, sizeof(sent) - 1), REPLAY_KINDS);
	assert_int_equal(replay_check(&counts, sizeof(counts)), REPLAY_COUNTS);
	/* what only hsd says */
	assert_int_equal(replay_check(&ask, sizeof(ask)), REPLAY_KINDS);
	assert_int_equal(replay_check(&ask, 0), REPLAY_KINDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_netflow9),  cmocka_unit_test(test_ipfix),
		cmocka_unit_test(test_broken),	  cmocka_unit_test(test_kept),
		cmocka_unit_test(test_withdrawn), cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_told),	  cmocka_unit_test(test_sorted),
		cmocka_unit_test(test_ends),	  cmocka_unit_test(test_checked),
	};

	return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
