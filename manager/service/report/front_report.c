// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/report/front_report.h"

#include <string.h>

#include "plane/plane_front.h"
#include "util/macro.h"

static void add_text(json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, text ? json_object_new_string(text) : NULL);
}

static void add_number(json_object *object, const char *key, uint64_t number)
{
	json_object_object_add(object, key, json_object_new_uint64(number));
}

static void add_listener(struct service_report *report, const uint8_t ip[16], uint16_t port,
			 bool udp)
{
	struct address *address = &report->listeners[report->n_listeners];
	bool ipv4 = front_address_is_ipv4(ip);

	if (report->n_listeners == PLANE_LISTENERS_MAX)
		return;
	report->n_listeners++;
	*address = (struct address) {.family = ipv4 ? AF_INET : AF_INET6, .udp = udp, .port = port};
	memcpy(address->ip, ipv4 ? ip + 12 : ip, ipv4 ? 4 : 16);
}

void front_report_listeners(const struct config_front *config, struct service_report *report)
{
	for (unsigned i = 0; i < config->n_addresses; i++)
		for (unsigned k = 0; k < config->n_ports; k++) {
			const struct config_port *port = &config->ports[k];

			if (port->tcp)
				add_listener(report, config->addresses[i].ip, port->port, false);
			if (port->udp)
				add_listener(report, config->addresses[i].ip, port->port, true);
		}
}

static const char *format_mac(const uint8_t mac[6], char text[18])
{
	snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		 mac[5]);
	return text;
}

/* One digit behind the point. */
static void add_rate(json_object *object, const char *key, double rate)
{
	char text[32];

	snprintf(text, sizeof(text), "%.1f", rate);
	json_object_object_add(object, key, json_object_new_double_s(rate, text));
}

static void add_host(json_object *slot, const struct front_host *host, const struct front *front,
		     unsigned number, const struct front_count *count)
{
	struct front_host_view view = {0};
	char text[FRONT_ADDRESS_TEXT_MAX], mac[18];
	bool known = front && front_host(front, number, &view) && view.reached;

	json_object_object_add(slot, "unit", NULL);
	json_object_object_add(slot, "main_pid", NULL);
	add_text(slot, "host", host->given ? front_address_format(host->address.ip, text) : NULL);
	add_text(slot, "mac", known ? format_mac(view.mac, mac) : NULL);
	json_object_object_add(slot, "reached", json_object_new_boolean(known));
	json_object_object_add(slot, "kept",
			       json_object_new_boolean(front && front_kept(front) >> number & 1));
	add_number(slot, "packets", count->packets);
	add_number(slot, "bytes", count->bytes);
	add_number(slot, "new_flows", count->flows);
	add_rate(slot, "new_flows_per_s", count->flows_per_second);
}

static json_object *addresses(const struct config_front *config)
{
	json_object *array = json_object_new_array();
	char text[FRONT_ADDRESS_TEXT_MAX];

	for (unsigned i = 0; i < config->n_addresses; i++)
		json_object_array_add(array, json_object_new_string(front_address_format(
						     config->addresses[i].ip, text)));
	return array;
}

static json_object *whole(const struct config_front *config, const struct front *front,
			  const struct front_totals *totals)
{
	json_object *object = json_object_new_object();
	char hash[20];

	add_text(object, "mode", front_mode_to_string(config->mode));
	json_object_object_add(object, "addresses", addresses(config));
	add_text(object, "device", front ? front_device(front) : NULL);
	json_object_object_add(object, "native",
			       front ? json_object_new_boolean(front_is_native(front)) : NULL);
	snprintf(hash, sizeof(hash), "%016llx", front ? (unsigned long long)front_hash(front) : 0);
	add_text(object, "hash", front ? hash : NULL);
	add_number(object, "room", front ? front_room(front) : 0);
	add_number(object, "unknown", totals->unknown);
	add_number(object, "unremembered", totals->unremembered);
	add_number(object, "no_host", totals->no_host);
	add_number(object, "no_way", totals->no_way);
	add_number(object, "too_big", totals->too_big);
	add_number(object, "fragments_lost", totals->fragments_lost);
	add_number(object, "malformed", totals->malformed);
	add_number(object, "passed", totals->passed);
	add_number(object, "other_ports", totals->other_ports);
	return object;
}

void front_report_add(const struct config_front *config, const struct plane *plane,
		      json_object *service, json_object *slots)
{
	const struct front *front = plane ? plane_front(plane) : NULL;
	struct front_totals totals = {0};

	if (front)
		(void)front_totals(front, &totals);
	for (size_t i = 0; i < json_object_array_length(slots) && i < HS_SLOTS_MAX; i++)
		add_host(json_object_array_get_idx(slots, i), &config->hosts[i], front, i,
			 &totals.hosts[i]);
	json_object_object_add(service, "intake", NULL);
	json_object_object_add(service, "front", whole(config, front, &totals));
}
