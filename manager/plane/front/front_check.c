// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether this machine can be the front that the settings want. */
#include <errno.h>
#include <string.h>

#include "core/config/config_front.h"
#include "plane/front/front_state.h"
#include "util/macro.h"

#define OUTER_IPV4 28U /* with the address of a second host */
#define OUTER_IPV6 64U
#define LEAST_IPV4 576U /* what every network has to carry, without fragments */
#define LEAST_IPV6 1280U

#define TEXT FRONT_ADDRESS_TEXT_MAX

int front_find_device(const struct config_front *config, char ret_name[IFNAMSIZ],
		      struct device_facts *ret_facts, struct problem *problem)
{
	char name[IFNAMSIZ] = "", text[TEXT];
	struct route route;
	unsigned host = 0;
	int r = 0;

	memcpy(name, config->device, sizeof(name));
	while (host < HS_SLOTS_MAX - 1 && !config->hosts[host].given)
		host++;
	if (!*name) {
		r = route_ask(config->hosts[host].address.ip, &route);
		front_address_format(config->hosts[host].address.ip, text);
		if (r < 0 || !if_indextoname(route.ifindex, name))
			return problem_set(problem, r ?: -ENODEV,
					   "there is no route to %s, so it is not known which "
					   "device the front is on; name it by Device=",
					   text);
		if (route.local)
			return problem_set(problem, -EINVAL,
					   "Host=%s is an address of this machine; a front does "
					   "not send to itself",
					   text);
	}
	r = device_ask(name, ret_facts);
	if (r < 0)
		return problem_set(problem, r,
				   "there is no device %s: Device= names one of ip link", name);
	memcpy(ret_name, name, sizeof(name));
	return 0;
}

/* A host's number is in its flows, in the table and in what users say: it stays. */
static int check_number(const struct front *front, const struct config_front *config, unsigned host,
			struct problem *problem)
{
	char text[TEXT];

	for (unsigned i = 0; front && i < HS_SLOTS_MAX; i++)
		if (i != host && front->shared->hosts[i].flags & HS_FRONT_CONFIGURED &&
		    !memcmp(front->shared->hosts[i].ip, config->hosts[host].address.ip, 16))
			return problem_set(problem, -EINVAL,
					   "Host=%s was slot %u until now and would be slot %u, "
					   "and its connections go by that number: write slot=%u "
					   "behind it",
					   front_address_format(front->shared->hosts[i].ip, text),
					   i, host, i);
	return 0;
}

static int check_mtu(const struct config_front *config, const uint8_t ip[16],
		     const struct route *route, struct problem *problem)
{
	uint32_t outer = front_address_is_ipv4(ip) ? OUTER_IPV4 : OUTER_IPV6, least = LEAST_IPV4;
	char text[TEXT];

	for (unsigned i = 0; i < config->n_addresses; i++)
		if (!front_address_is_ipv4(config->addresses[i].ip))
			least = LEAST_IPV6;
	if (!route->mtu || route->mtu >= least + outer)
		return 0;
	return problem_set(problem, -EMSGSIZE,
			   "the way to Host=%s carries %u bytes, and Mode=ipip needs %u: packets "
			   "of %u, which every network has to carry, and up to %u around them; "
			   "raise the MTU there",
			   front_address_format(ip, text), route->mtu, least + outer, least, outer);
}

static int check_device(const struct config_front *config, const uint8_t ip[16],
			const struct route *route, struct device_facts *device,
			struct problem *problem)
{
	char text[TEXT], name[IFNAMSIZ] = "?";
	struct device_facts facts;

	if (route->ifindex == device->ifindex)
		return 0;
	if_indextoname(route->ifindex, name);
	if (!device_ask(name, &facts) && *facts.lower &&
	    if_nametoindex(facts.lower) == device->ifindex)
		return 0;
	front_address_format(ip, text);
	if (config->mode == FRONT_NAT)
		return problem_set(problem, -EINVAL,
				   "Host=%s is reached by %s, and with Mode=nat its answers have "
				   "to come back by the front's device; name %s by Device=, or use "
				   "Mode=dsr or ipip",
				   text, name, name);
	device->elsewhere = true;
	return 0;
}

static bool is_there(const struct front *front, const struct config_front *config, unsigned host)
{
	return front && front->shared->hosts[host].flags & HS_FRONT_CONFIGURED &&
	       !memcmp(front->shared->hosts[host].ip, config->hosts[host].address.ip, 16);
}

/* Else the network is not there yet. */
static bool has_any_route(const struct config_front *config)
{
	struct route route;

	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		if (config->hosts[i].given &&
		    !route_is_lacking(route_ask(config->hosts[i].address.ip, &route)))
			return true;
	return false;
}

/* One that is away as the front is made does not keep the others from serving; one that comes to
 * them is a mistake more likely. */
static bool may_lack_route(const struct front *front, const struct config_front *config,
			   unsigned host)
{
	return front ? is_there(front, config, host) : has_any_route(config);
}

static int check_host(const struct front *front, const struct config_front *config,
		      struct device_facts *device, unsigned host, struct problem *problem)
{
	const uint8_t *ip = config->hosts[host].address.ip;
	char text[TEXT], router[TEXT];
	struct route route;
	int r = check_number(front, config, host, problem);

	if (r < 0)
		return r;
	front_address_format(ip, text);
	r = route_ask(ip, &route);
	if (route_is_lacking(r) && !may_lack_route(front, config, host))
		return problem_set(problem, -ENETUNREACH,
				   "there is no route to Host=%s; see ip route get %s; it is tried "
				   "again",
				   text, text);
	/* of one that is there already it may be gone for a time */
	if (r < 0)
		return 0;
	if (route.local)
		return problem_set(problem, -EINVAL,
				   "Host=%s is an address of this machine; a front does not send "
				   "to itself",
				   text);
	if (config->mode == FRONT_DSR && route.has_router)
		return problem_set(problem, -EINVAL,
				   "Host=%s is behind the router %s, and Mode=dsr needs it on the "
				   "same network; use Mode=ipip",
				   text, front_address_format(route.next, router));
	if (config->mode == FRONT_IPIP)
		r = check_mtu(config, ip, &route, problem);
	return r ?: check_device(config, ip, &route, device, problem);
}

int front_check(const struct front *front, const struct config_front *config,
		struct device_facts *device, struct problem *problem)
{
	int r = 0;

	device->elsewhere = false;

	for (unsigned i = 0; !r && i < HS_SLOTS_MAX; i++)
		if (config->hosts[i].given)
			r = check_host(front, config, device, i, problem);
	return r;
}
