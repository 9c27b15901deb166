/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `hsctl trace` shows of a decision: names in its JSON are a contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "hsctl/json.h"
#include "hsctl/show/decision.h"
#include "util/macro.h"

/* 2023-11-14 22:13:20 */
#define WHEN	    (UINT64_C(1700000000000042))
#define NONE_WANTED HS_SLOT_NONE

static struct hs_trace_record record(enum hs_trace_why why, uint8_t slot)
{
	return (struct hs_trace_record) {
		.client = {[10] = 0xff, 0xff, 192, 0, 2, 7},
		.local = {[10] = 0xff, 0xff, 10, 0, 0, 1},
		.client_port = 40112,
		.local_port = 8080,
		.layout = HS_TRACE_LAYOUT,
		.why = (uint8_t)why,
		.slot = slot,
		.wanted = slot,
		.from = HS_SLOT_NONE,
		.protocol = IPPROTO_TCP,
	};
}

static const struct address any = {.family = AF_INET, .port = 8080};

static void assert_json(const struct hs_trace_record *told, const struct address *listener,
			const char *wanted)
{
	_cleanup_(json_object_putp) json_object *decision = decision_to_json(told, listener, WHEN);

	assert_string_equal(json_line(decision), wanted);
}

static void test_json(void **state)
{
	struct hs_trace_record told = record(HS_WHY_FIRST, 2);

	(void)state;
	told.marks = HS_TRACE_BUCKET;
	told.bucket = 51234;
	assert_json(&told, &any,
		    "{\"time\":\"2023-11-14T22:13:20.000042Z\",\"client\":\"192.0.2.7:40112\","
		    "\"local\":\"10.0.0.1:8080\",\"listener\":\"0.0.0.0:8080\","
		    "\"protocol\":\"tcp\",\"bucket\":51234,\"slot\":2,\"parked\":false,\"why\":"
		    "\"table\",\"wanted\":2,"
		    "\"moved\":false,\"from\":null,\"from_park\":false}");
}

static void test_json_of_a_move_by_ipv6(void **state)
{
	struct hs_trace_record told = record(HS_WHY_PARK, HS_SLOT_PARK);

	(void)state;
	memset(told.client, 0, sizeof(told.client));
	memset(told.local, 0, sizeof(told.local));
	told.client[0] = 0xfd;
	told.client[15] = told.local[15] = 1;
	told.marks = HS_TRACE_MOVED;
	told.wanted = HS_SLOT_NONE;
	told.from = 1;
	told.protocol = IPPROTO_UDP;
	assert_json(&told, NULL,
		    "{\"time\":\"2023-11-14T22:13:20.000042Z\",\"client\":\"[fd00::1]:40112\","
		    "\"local\":\"[::1]:8080\",\"listener\":null,\"protocol\":\"udp\","
		    "\"bucket\":null,\"slot\":null,\"parked\":true,\"why\":\"park\","
		    "\"wanted\":null,\"moved\":true,\"from\":1,\"from_park\":false}");
}

/* Without what comes before the bucket. */
static void assert_end(const struct hs_trace_record *told, const char *wanted)
{
	_cleanup_(json_object_putp) json_object *decision = decision_to_json(told, &any, WHEN);
	_cleanup_(freep) char *text = NULL;
	const char *begin = "22:13:20.000042  192.0.2.7:40112        0.0.0.0:8080/tcp";
	struct render render = {0};
	char line[256];
	size_t size;

	render.out = open_memstream(&text, &size);
	assert_non_null(render.out);
	decision_print(&render, "22:13:20.000042", decision);
	fclose(render.out);
	snprintf(line, sizeof(line), "%-60s  %s\n", begin, wanted);
	assert_string_equal(text, line);
}

static void assert_why(enum hs_trace_why why, uint8_t slot, uint8_t wanted, const char *line)
{
	struct hs_trace_record told = record(why, slot);

	told.wanted = wanted;
	assert_end(&told, line);
}

static void test_each_reason(void **state)
{
	(void)state;
	assert_why(HS_WHY_ACTIVE, 1, 1, "     -     1  active");
	assert_why(HS_WHY_CANARY, 1, 1, "     -     1  canary");
	assert_why(HS_WHY_PARITY, 1, 1, "     -     1  parity");
	assert_why(HS_WHY_HASH, 15, 15, "     -    15  hash");
	assert_why(HS_WHY_FIRST, 1, 1, "     -     1  table");
	assert_why(HS_WHY_SECOND, 1, 0, "     -     1  table, the second: slot 0 has no socket");
	assert_why(HS_WHY_PINNED, 1, 1, "     -     1  pinned");
	assert_why(HS_WHY_FLOW, 1, NONE_WANTED, "     -     1  known flow");
	assert_why(HS_WHY_QUIC, 1, NONE_WANTED, "     -     1  QUIC id");
	assert_why(HS_WHY_PREVIEW, 1, NONE_WANTED, "     -     1  preview rule");
	assert_why(HS_WHY_OWN, 1, NONE_WANTED, "     -     1  own way");
	assert_why(HS_WHY_FELL, 1, 0, "     -     1  fell through: slot 0 has no socket");
	assert_why(HS_WHY_FELL, 1, NONE_WANTED, "     -     1  fell through: no slot is active");
	assert_why(HS_WHY_PARK_ALL, HS_SLOT_PARK, NONE_WANTED,
		   "     -  park  all wait in the park");
	assert_why(HS_WHY_PARK, HS_SLOT_PARK, 0,
		   "     -  park  no slot has a socket, so it waits in the park");
	assert_why(HS_WHY_NOTHING, HS_SLOT_NONE, 0,
		   "     -     -  no slot has a socket, so the kernel chose");
	assert_why(HS_WHY_REFUSED, HS_SLOT_NONE, NONE_WANTED,
		   "     -     -  refused: an instance asked itself, and has no socket");
	assert_why(HS_WHY_COUNT, 1, 1, "     -     1  for a reason that this hsctl does not know");
	assert_string_equal(decision_why(255), "unknown");
}

static void test_where_it_waited_before(void **state)
{
	struct hs_trace_record told = record(HS_WHY_FIRST, 1);

	(void)state;
	told.marks = HS_TRACE_MOVED | HS_TRACE_BUCKET;
	told.bucket = 7;
	told.from = 0;
	assert_end(&told, "     7     1  table; moved from slot 0");
	told.from = HS_SLOT_PARK;
	assert_end(&told, "     7     1  table; moved from the park");
	told.from = HS_SLOT_NONE;
	assert_end(&told, "     7     1  table; moved from a listener that is gone");
}

/* What the heads say stands above it. */
static void test_head(void **state)
{
	_cleanup_(freep) char *text = NULL;
	struct render render = {0};
	size_t size;

	(void)state;
	render.out = open_memstream(&text, &size);
	assert_non_null(render.out);
	decision_print_head(&render);
	fclose(render.out);
	assert_string_equal(text, "TIME             CLIENT                 "
				  "LISTENER              BUCKET  SLOT  WHY\n");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),	    cmocka_unit_test(test_json_of_a_move_by_ipv6),
		cmocka_unit_test(test_each_reason), cmocka_unit_test(test_where_it_waited_before),
		cmocka_unit_test(test_head),
	};

	return cmocka_run_group_tests_name("decision", tests, NULL, NULL);
}
