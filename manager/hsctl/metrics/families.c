// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/metrics/families.h"

#include <time.h>

#include "hsctl/json.h"
#include "util/macro.h"

#define GAUGE(name, help)                                    \
	{                                                    \
		"hotstandby_" name, METRIC_GAUGE, NULL, help \
	}
#define UNIT(name, unit, help)                                        \
	{                                                             \
		"hotstandby_" name "_" unit, METRIC_GAUGE, unit, help \
	}
#define COUNTER(name, help)                                    \
	{                                                      \
		"hotstandby_" name, METRIC_COUNTER, NULL, help \
	}
#define COUNTER_UNIT(name, unit, help)                                  \
	{                                                               \
		"hotstandby_" name "_" unit, METRIC_COUNTER, unit, help \
	}
#define OF(key, source)		      key, NULL, FAMILY_##source, 0
#define IN(in, key, source)	      key, in, FAMILY_##source, 0
#define SCALED(key, source, scale_by) key, NULL, FAMILY_##source, scale_by

const struct family families_of_manager[] = {
	{UNIT("manager_start_time", "seconds", "When hsd began, in Unix time."),
	 OF("started", TIME)},
	{COUNTER("manager_starts",
		 "How often hsd was started since it was last stopped on purpose."),
	 OF("starts", NUMBER)},
	{COUNTER("manager_turns", "Turns of hsd's event loop since hsd began."),
	 OF("turns", NUMBER)},
	{COUNTER_UNIT("manager_busy", "seconds",
		      "How long hsd's event loop was busy with them, since hsd began."),
	 SCALED("busy_us", NUMBER, USEC_PER_SEC)},
	{UNIT("manager_longest_turn", "seconds",
	      "The longest that hsd's event loop was busy at a stretch since hsd began."),
	 SCALED("longest_turn_us", NUMBER, USEC_PER_SEC)},
	{GAUGE("manager_services", "Services that hsd manages."), OF("services", NUMBER)},
	{GAUGE("manager_missing_services", "Services that are configured and cannot be managed."),
	 OF("missing", NUMBER)},
	{{0}, OF(NULL, NUMBER)},
};

const struct family families_of_service[] = {
	{GAUGE("service_generation", "Changes of the routing word, modulo 2^24."),
	 OF("generation", NUMBER)},
	{GAUGE("service_problem", "Whether hsctl status names a problem of the service."),
	 OF("problem", GIVEN)},
	{GAUGE("service_changing", "Whether a switchover, upgrade or drain is under way."),
	 OF("change", GIVEN)},
	{UNIT("service_canary_share", "ratio", "Share of new connections that the canary gets."),
	 OF("canary_share", NUMBER)},
	{GAUGE("service_held", "Whether new connections are held on purpose (hsctl park)."),
	 OF("park", TRUTH)},
	{GAUGE("service_parked_connections", "Connections that wait until a slot is ready."),
	 OF("parked", NUMBER)},
	{GAUGE("service_foreign_sockets", "Sockets of others on the addresses of the service."),
	 OF("foreign", LENGTH)},
	{UNIT("service_failover_hold", "seconds", "How long hsd will not fail over by itself."),
	 SCALED("hold_ms", SPAN, 1000)},
	{UNIT("change_last_timestamp", "seconds", "When the last change ended, in Unix time."),
	 IN("changes", "last", TIME)},
	{UNIT("drill_last_timestamp", "seconds",
	      "When the last scenario of a drill ended, in Unix time."),
	 IN("drills", "last", TIME)},
	{UNIT("drill_last_passed_timestamp", "seconds",
	      "When the last scenario of a drill that was passed ended, in Unix time."),
	 IN("drills", "last_passed", TIME)},
	{COUNTER("service_unrouted", "Connections and datagrams for which no slot had a socket."),
	 OF("unrouted", NUMBER)},
	{COUNTER("service_events_lost", "Events of the kernel side that were not logged."),
	 OF("events_lost", NUMBER)},
	{COUNTER("service_flows_evicted", "UDP flows that lost their place to newer ones."),
	 OF("flows_evicted", NUMBER)},
	{COUNTER("service_previewed", "Connections of probes, smoke tests and hsctl exec."),
	 OF("previewed", NUMBER)},
	{COUNTER("service_preview_misses", "Of these, the ones whose slot had no socket."),
	 OF("preview_misses", NUMBER)},
	{COUNTER("front_unknown_packets", "Packets of which a front knew no flow."),
	 IN("front", "unknown", NUMBER)},
	{COUNTER("front_unremembered_flows", "Flows that began beyond NewFlows= of a front."),
	 IN("front", "unremembered", NUMBER)},
	{COUNTER("front_homeless_packets", "Packets for which no host took new flows."),
	 IN("front", "no_host", NUMBER)},
	{COUNTER("front_wayless_packets", "Packets to whose host there was no way."),
	 IN("front", "no_way", NUMBER)},
	{COUNTER("front_too_big_packets", "Packets that were too big to be encapsulated."),
	 IN("front", "too_big", NUMBER)},
	{COUNTER("front_lost_fragments", "Fragments whose first one was not seen."),
	 IN("front", "fragments_lost", NUMBER)},
	{COUNTER("front_malformed_packets", "Packets at the front's device that cannot be read."),
	 IN("front", "malformed", NUMBER)},
	{COUNTER("front_other_port_packets",
		 "Packets at the front's device for addresses of fronts, on ports of none."),
	 IN("front", "other_ports", NUMBER)},
	{GAUGE("fastpath_problem", "Whether hsctl status names a problem of the fast path."),
	 IN("fastpath", "problem", GIVEN)},
	{GAUGE("fastpath_pairs", "Connections of units in From= whose two ends are known."),
	 IN("fastpath", "pairs", NUMBER)},
	{COUNTER("fastpath_begun", "Of these, all that began."), IN("fastpath", "begun", NUMBER)},
	{COUNTER("fastpath_refused", "Connections for which there was no room among them."),
	 IN("fastpath", "refused", NUMBER)},
	{COUNTER("fastpath_received_bytes", "Bytes that instances were sent past TCP."),
	 IN("fastpath", "received_fast_bytes", NUMBER)},
	{COUNTER("fastpath_sent_bytes", "Bytes that instances have sent past TCP."),
	 IN("fastpath", "sent_fast_bytes", NUMBER)},
	{COUNTER("fastpath_received_tcp_bytes", "The same by TCP, on connections of these."),
	 IN("fastpath", "received_tcp_bytes", NUMBER)},
	{COUNTER("fastpath_sent_tcp_bytes", "The same by TCP, on connections of these."),
	 IN("fastpath", "sent_tcp_bytes", NUMBER)},
	{{0}, OF(NULL, NUMBER)},
};

const struct family families_of_slot[] = {
	{UNIT("slot_state_since_timestamp", "seconds",
	      "When the state of the unit last changed, in Unix time."),
	 OF("since", TIME)},
	{GAUGE("slot_sockets", "Listening sockets that can be chosen."), OF("sockets", NUMBER)},
	{GAUGE("slot_connections", "Established connections."), OF("connections", NUMBER)},
	{GAUGE("slot_queued_connections", "Connections that wait for accept()."),
	 OF("queued", NUMBER)},
	{COUNTER("slot_opened", "Connections that were established on the slot."),
	 OF("opened", NUMBER)},
	{COUNTER("slot_chosen", "Look-ups answered with the slot: new connections, and datagrams."),
	 OF("chosen", NUMBER)},
	{COUNTER("slot_fell_through", "Of these, the ones that were meant for another slot."),
	 OF("fell_through", NUMBER)},
	{COUNTER("slot_migrated", "Waiting connections that were moved to the slot."),
	 OF("migrated_in", NUMBER)},
	{COUNTER("host_packets", "Packets that a front has sent to the host."),
	 OF("packets", NUMBER)},
	{COUNTER("host_bytes", "Bytes of these."), OF("bytes", NUMBER)},
	{COUNTER("host_flows", "Flows that began on the host."), OF("new_flows", NUMBER)},
	{GAUGE("slot_udp_flows", "UDP flows that the slot keeps."), OF("flows", NUMBER)},
	{GAUGE("slot_udp_clients", "UDP clients for which the server has a socket each."),
	 OF("udp_clients", NUMBER)},
	{COUNTER("slot_datagrams_dropped",
		 "Datagrams for which the sockets of the instance had no room."),
	 OF("datagrams_dropped", NUMBER)},
	{UNIT("slot_weight", "ratio", "Weight of the slot under policy hash; 1 is the usual one."),
	 SCALED("weight", NUMBER, 100)},
	{UNIT("slot_share", "ratio", "Share of the buckets that the slot has under policy hash."),
	 OF("share", NUMBER)},
	{UNIT("slot_stalled", "seconds",
	      "How long connections have waited while none was accepted; 0: they do not."),
	 SCALED("stalled_ms", SPAN, 1000)},
	{GAUGE("slot_full", "Whether it accepts nothing because it is busy."), OF("full", TRUTH)},
	{GAUGE("slot_outdated", "Whether it runs files that were replaced on the disk."),
	 OF("outdated", GIVEN)},
	{UNIT("slot_outdated_since_timestamp", "seconds",
	      "When they were replaced, in Unix time; nothing where that is not known."),
	 IN("outdated", "since", TIME)},
	{GAUGE("slot_problem", "Whether hsctl status names a problem of the slot."),
	 OF("problem", GIVEN)},
	{{0}, OF(NULL, NUMBER)},
};

/* RFC 3339 in UTC, as hsd writes it. */
static bool read_time(const char *text, double *ret_value)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	unsigned milliseconds = 0;

	if (!rest)
		return false;
	(void)sscanf(rest, ".%3u", &milliseconds);
	*ret_value = (double)timegm(&tm) + milliseconds / 1000.0;
	return true;
}

static bool is_number(json_object *object, const char *key)
{
	json_object *value = NULL;

	json_object_object_get_ex(object, key, &value);
	return json_object_is_type(value, json_type_int) ||
	       json_object_is_type(value, json_type_double);
}

bool family_read(const struct family *family, json_object *object, double *ret_value)
{
	const char *key = family->key;
	json_object *value = NULL;

	if (family->in && json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, family->in, &object);
	if (!json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, key, &value))
		return false;
	switch (family->source) {
	case FAMILY_NUMBER:
		if (!is_number(object, key))
			return false;
		/* fall through */
	case FAMILY_SPAN:
		*ret_value = json_double(object, key) / (family->scale ?: 1);
		return true;
	case FAMILY_TRUTH:
		*ret_value = json_is_true(object, key);
		return true;
	case FAMILY_GIVEN:
		*ret_value = value != NULL;
		return true;
	case FAMILY_TIME:
		return read_time(json_text(object, key), ret_value);
	case FAMILY_LENGTH:
		*ret_value = json_count(value);
		return true;
	}
	return false;
}
