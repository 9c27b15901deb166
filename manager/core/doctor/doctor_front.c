// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/doctor/doctor_front.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Of all numbers, with what is between them. */
#define SLOTS_TEXT_MAX 64

static void judge_settings(struct doctor_report *report, const struct doctor_front *front)
{
	doctor_settings(report, &front->config_problem, &front->unsettled,
			"The last good settings hold, after a start of hsd none");
}

static void judge_device(struct doctor_report *report, const struct doctor_front *front)
{
	static const struct doctor_advice none = {
		"front.device", "Packets of clients are not sent on to any host",
		"Remove the reason, then run: systemctl reload hsd"};
	static const struct doctor_advice fine = {.id = "front.device"};

	if (front->problem.text[0] || !front->device[0])
		doctor_add(report, DOCTOR_FINDING, &none, "%s",
			   front->problem.text[0] ? front->problem.text
						  : "The program is on no device");
	else
		doctor_add(report, DOCTOR_OK, &fine, "Packets are sent on at %s, %s, mode %s",
			   front->device,
			   front->native ? "in its driver"
					 : "behind its driver (generic), which costs more",
			   front_mode_to_string(front->mode));
}

static void judge_merging(struct doctor_report *report, const struct doctor_front *front)
{
	static const struct doctor_advice fine = {.id = "front.merging"};
	struct doctor_advice advice = {
		"front.merging",
		"With Mode=ipip it is then taken for too large, and what clients send may stall",
		NULL};
	char remedy[IFNAMSIZ + 64];

	if (!front->device[0])
		return;
	if (!front->merges || front->mode != FRONT_IPIP) {
		doctor_add(report, DOCTOR_OK, &fine, "Packets are sent on as they came");
		return;
	}
	snprintf(remedy, sizeof(remedy), "Switch it off: ethtool -K %s gro off lro off",
		 front->device);
	advice.remedy = remedy;
	doctor_add(report, DOCTOR_FINDING, &advice,
		   "%s makes large packets out of several before they are encapsulated",
		   front->device);
}

static void judge_tags(struct doctor_report *report, const struct doctor_front *front)
{
	static const struct doctor_advice fine = {.id = "front.vlan"};
	struct doctor_advice advice = {"front.vlan",
				       "What comes by a VLAN is then taken for what came by none, "
				       "and hosts on one are not "
				       "reached",
				       NULL};
	char remedy[IFNAMSIZ + 64];

	if (!front->device[0])
		return;
	if (!front->untagged[0]) {
		doctor_add(report, DOCTOR_OK, &fine, "Packets are seen with their VLAN");
		return;
	}
	snprintf(remedy, sizeof(remedy), "Leave the tags where they are: ethtool -K %s rxvlan off",
		 front->device);
	advice.remedy = remedy;
	doctor_add(report, DOCTOR_FINDING, &advice,
		   "%s takes the tags of VLANs off before packets are looked at, and %s is on it",
		   front->device, front->untagged);
}

static bool is_on_vlan(const struct doctor_front *front)
{
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		if (front->hosts[i].given && front->hosts[i].vlan)
			return true;
	return false;
}

/* Probes leave by the kernel's routes, and see nothing of it. */
static void judge_ways(struct doctor_report *report, const struct doctor_front *front)
{
	static const struct doctor_advice fine = {.id = "front.way"};
	struct doctor_advice advice = {
		"front.way", "They are lost, though probes of the hosts may get there",
		"See whether the neighbours of this machine that lead to its hosts are known: "
		"hsctl status --json has their MAC addresses; ip neigh"};
	char remedy[sizeof("Name that by Device= which clients come by, such as .10; or have "
			   "them on one VLAN") +
		    IFNAMSIZ];

	if (!front->device[0])
		return;
	if (!front->no_way) {
		doctor_add(report, DOCTOR_OK, &fine, "Packets find a way to their hosts");
		return;
	}
	snprintf(remedy, sizeof(remedy),
		 "Name that by Device= which clients come by, such as %s.10; or have them on one "
		 "VLAN",
		 front->device);
	if (is_on_vlan(front))
		advice.remedy = remedy;
	doctor_add(report, DOCTOR_FINDING, &advice,
		   "%" PRIu64 " packets found no way to their host just now%s", front->no_way,
		   is_on_vlan(front) ? "; hosts are on a VLAN of the device, and what comes by "
				       "another one, or by none, is not sent there"
				     : "");
}

/* What depends on who sends is no finding: nobody here could see that it is mended. */
static void judge_ability(struct doctor_report *report, const struct doctor_front *front,
			  enum front_ability ability)
{
	struct doctor_advice advice = {front_ability_to_string(ability), front_ability_why(ability),
				       NULL};
	const struct ability_result *result = &front->results[ability];
	char remedy[PROBLEM_TEXT_MAX], why[PROBLEM_TEXT_MAX];

	advice.remedy = front_ability_remedy(ability, &front->place, remedy);
	if (result->verdict == ABILITY_FAILS && ability != FRONT_CHECKSUMS) {
		doctor_add(report, DOCTOR_FINDING, &advice, "With Mode=%s %s",
			   front_mode_to_string(front->mode), result->detail);
		return;
	}
	snprintf(why, sizeof(why), "with Mode=%s %.100s. %s. %.200s",
		 front_mode_to_string(front->mode), result->detail, front_ability_why(ability),
		 remedy);
	advice.why = result->verdict == ABILITY_FAILS ? why : result->detail;
	doctor_add(report, result->verdict == ABILITY_WORKS ? DOCTOR_OK : DOCTOR_SKIPPED, &advice,
		   "%s", front_ability_what(ability));
}

static void judge_trial(struct doctor_report *report, const struct doctor_front *front)
{
	for (enum front_ability i = 0; front->tried && i < FRONT_ABILITY_COUNT; i++)
		if (front_ability_counts(i, &front->place))
			judge_ability(report, front, i);
}

static void judge_address(struct doctor_report *report, const struct doctor_front *front)
{
	static const struct doctor_advice unrouted = {
		"front.address", "Nothing answers for it here, so its clients' packets do not come",
		"Have keepalived or a routing daemon give it to this machine (there are examples "
		"in /usr/share/hotstandby/examples), or run: ip address add"};
	static const struct doctor_advice fine = {.id = "front.address"};

	if (front->unrouted[0])
		doctor_add(report, DOCTOR_FINDING, &unrouted,
			   "Address=%s is not an address of this machine, and there is no route to "
			   "it",
			   front->unrouted);
	else
		doctor_add(report, DOCTOR_OK, &fine,
			   "Each Address= is this machine's, or has a route here");
}

static void judge_host(struct doctor_report *report, unsigned slot, const struct doctor_host *host)
{
	static const struct doctor_advice away = {
		"front.host", "It gets no new connections",
		"See whether it runs, has the service's address and answers there; "
		"hsctl status has the same"};
	static const struct doctor_advice fine = {.id = "front.host"};
	const char *reason = host->reason.text;

	if (host->state == SLOT_READY || host->state == SLOT_LEAVING)
		doctor_add(report, DOCTOR_OK, &fine, "Host %s (slot %u) is %s", host->address, slot,
			   slot_state_to_string(host->state));
	else
		doctor_add(report, DOCTOR_FINDING, &away, "Host %s (slot %u) is %s%s%.200s%s",
			   host->address, slot, slot_state_to_string(host->state),
			   reason[0] ? ": " : "", reason,
			   host->reached ? "" : "; nothing answers for it on its network");
}

static void judge_hosts(struct doctor_report *report, const struct doctor_front *front)
{
	static const struct doctor_advice one = {
		"front.standby", "When it is lost, nobody serves",
		"Name another host, or find out what is wrong with those that are named"};
	unsigned ready = 0;

	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++) {
		if (!front->hosts[slot].given)
			continue;
		judge_host(report, slot, &front->hosts[slot]);
		ready += front->hosts[slot].state == SLOT_READY;
	}
	if (ready < 2)
		doctor_add(report, DOCTOR_FINDING, &one, "%s",
			   ready ? "Only one host takes new connections"
				 : "No host takes new connections");
}

/* ---- another front ---- */

#define ELSEWHERE "A client that comes by the other one may be sent elsewhere"

/* "0, 2" */
static const char *list_slots(uint32_t slots, char text[SLOTS_TEXT_MAX])
{
	size_t n = 0;

	snprintf(text, SLOTS_TEXT_MAX, "none");
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		if (slots >> slot & 1)
			n += (size_t)snprintf(text + n, SLOTS_TEXT_MAX - n, "%s%u", n ? ", " : "",
					      slot);
	return text;
}

static void judge_members(struct doctor_report *report, const struct doctor_front *front)
{
	static const struct doctor_advice members = {
		"front.peer", ELSEWHERE,
		"Look at hsctl status of both: a host may be well for one of them only, or "
		"drained there, or have the weight 0"};
	char here[SLOTS_TEXT_MAX], there[SLOTS_TEXT_MAX];

	doctor_add(report, DOCTOR_FINDING, &members,
		   "Slots with a part of the clients are %s here, and %s on %s",
		   list_slots(front->own.members, here), list_slots(front->other.members, there),
		   front->peer);
}

/* What makes two tables differ, first what is seen soonest. */
static void judge_tables(struct doctor_report *report, const struct doctor_front *front)
{
	static const struct doctor_advice pins = {
		"front.peer", ELSEWHERE,
		"Let both have the same pins: hsctl pin shows and sets them"};
	static const struct doctor_advice weights = {
		"front.peer", ELSEWHERE,
		"Let both have the same weight= behind Host=, or say hsctl weight on one of them"};
	static const struct doctor_advice moved = {
		"front.peer", ELSEWHERE,
		"Moved buckets are of one machine alone: pin heavy clients instead, and take the "
		"front away and set it up anew where buckets were moved (hsctl disable)"};
	static const struct doctor_advice keys = {"front.peer", ELSEWHERE,
						  "Name the same HashKey= file on both"};
	static const struct doctor_advice table = {
		"front.peer", ELSEWHERE,
		"Name the same HashKey= file on both, and give hosts the same weights and pins"};
	const struct doctor_alike *own = &front->own, *other = &front->other;
	bool told = own->told && other->told;

	if (!told)
		doctor_add(report, DOCTOR_FINDING, &table, "The table is not that of %s",
			   front->peer);
	else if (own->members != other->members)
		judge_members(report, front);
	else if (own->pinned != other->pinned)
		doctor_add(report, DOCTOR_FINDING, &pins, "The pins are not those of %s",
			   front->peer);
	else if (memcmp(own->weights, other->weights, sizeof(own->weights)) != 0)
		doctor_add(report, DOCTOR_FINDING, &weights, "The weights are not those of %s",
			   front->peer);
	else if (own->moved || other->moved)
		doctor_add(report, DOCTOR_FINDING, &moved,
			   "hsctl rebalance has moved %u buckets here and %u on %s", own->moved,
			   other->moved, front->peer);
	else
		doctor_add(report, DOCTOR_FINDING, &keys, "The key is not that of %s", front->peer);
}

static bool judge_alike(struct doctor_report *report, const struct doctor_front *front)
{
	static const struct doctor_advice files = {
		"front.peer", ELSEWHERE,
		"Let both have the same file, then run on both: systemctl reload hsd"};
	static const struct doctor_advice actives = {
		"front.peer", "A client that comes by the other one is sent to another host",
		"Let both have the same one: hsctl switchover on one of them"};
	const struct doctor_alike *own = &front->own, *other = &front->other;

	if (strcmp(own->hash, other->hash) != 0)
		doctor_add(report, DOCTOR_FINDING, &files,
			   "Addresses, ports, hosts, their numbers or the mode are not those of %s",
			   front->peer);
	else if (strcmp(own->policy, other->policy) != 0 || strcmp(own->by, other->by) != 0)
		doctor_add(report, DOCTOR_FINDING, &files,
			   "The policy is %s%s%s here and %s%s%s on %s", own->policy,
			   own->by[0] ? " by " : "", own->by, other->policy,
			   other->by[0] ? " by " : "", other->by, front->peer);
	else if (!strcmp(own->policy, "standby") && own->active != other->active)
		doctor_add(report, DOCTOR_FINDING, &actives,
			   "The active slot is %d here and %d on %s", own->active, other->active,
			   front->peer);
	else if (strcmp(own->fingerprint, other->fingerprint) != 0)
		judge_tables(report, front);
	else
		return true;
	return false;
}

static void judge_peer(struct doctor_report *report, const struct doctor_front *front)
{
	static const struct doctor_advice unknown = {"front.peer",
						     "Whether both fronts do the same is not known",
						     "See whether hsctl status works there"};
	static const struct doctor_advice fine = {.id = "front.peer"};

	if (!front->peer)
		return;
	if (front->peer_problem.text[0])
		doctor_add(report, DOCTOR_FINDING, &unknown, "%s cannot be asked: %.300s",
			   front->peer, front->peer_problem.text);
	else if (judge_alike(report, front))
		doctor_add(report, DOCTOR_OK, &fine, "%s has the same%s", front->peer,
			   front->own.fingerprint[0] ? ", and the same table" : "");
}

void doctor_front(struct doctor_report *report, const struct doctor_front *front)
{
	judge_settings(report, front);
	judge_device(report, front);
	judge_merging(report, front);
	judge_tags(report, front);
	judge_ways(report, front);
	judge_trial(report, front);
	judge_address(report, front);
	judge_hosts(report, front);
	judge_peer(report, front);
}

void doctor_decap(struct doctor_report *report, const struct config_front *front)
{
	static const struct doctor_advice open = {
		"service.decap",
		"Who can send packets here gets clients' addresses of his choice past what filters "
		"them before",
		"Name the fronts and the other hosts: DecapFrom= in section [Front], then run: "
		"systemctl reload hsd"};
	static const struct doctor_advice fine = {.id = "service.decap"};

	if (!front->decap)
		return;
	if (front->n_decap_from)
		doctor_add(report, DOCTOR_OK, &fine,
			   "Packets are unpacked of those that DecapFrom= "
			   "names");
	else
		doctor_add(report, DOCTOR_FINDING, &open,
			   "Decap=yes unpacks what anybody has packed");
}
