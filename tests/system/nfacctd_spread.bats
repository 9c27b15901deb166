#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Four of pmacct's nfacctd at work at a time, under policy hash: flows that are lost in planned changes, by what nfacctd
# has written; templates of exporters that stay; BMP and flows of a router on one collector. And what the same costs
# without us.
# Long: begun with the first.
# Thorough: a restart of nfacctd takes eight seconds.

load lib/rig
load lib/exporters

BATS_TEST_TIMEOUT=600

setup_file() {
	rig_up
	inside systemctl start hsd
	nfacctd_up
}

in_service() { hs table nfacctd --json | jq -r '[.slots[] | select(.in_service) | .slot] | join(" ")'; }
are_in_service() { [[ $(in_service) == "$*" ]]; }
# a slot takes eight seconds to be there again
all_in_service() { wait_for 20 are_in_service 0 1 2 3; }

homes() {
	local i
	for ((i = 1; i <= 16; i++)); do echo "where --json nfacctd 192.0.2.$i"; done |
		inside bash -c 'while read -r line; do hsctl $line; done' | jq .slot | paste -sd' '
}

# teach SLOT: the templates of all exporters
teach() {
	hs policy nfacctd standby >/dev/null
	prefer nfacctd "$1"
	begin_export 500 1
	end_export
}

tell() {
	say "$1: $sent_flows flows sent, $(collected "${@:2}") collected, $(undecodable "${@:2}") datagrams undecodable"
}

# none_lacks: of no exporter fewer flows were collected than sent. A plugin of nfacctd's that is at work when SIGINT comes
# may write one twice.
none_lacks() {
	local address got
	for address in "${!sent_by[@]}"; do
		got=$(collected_by "$address" 0 1 2 3 4)
		((got >= sent_by[$address])) || fail "$address: ${sent_by[$address]} sent, $got collected" || return
	done
}

@test "planned changes of all kinds: no flow is lost, where templates are known" {
	local slot
	hs scale nfacctd 5
	for slot in 0 1 2 3 4; do teach $slot; done
	hs policy nfacctd hash
	hs scale nfacctd 4
	forget_collected 0 1 2 3
	inside bash -c 'rm -f /var/lib/nfacctd/4/flows-*; : >/var/lib/nfacctd/4/log'
	begin_export 300 300
	for slot in 0 1 2 3; do
		inside systemctl restart nfacctd@$slot
		all_in_service
	done
	hs weight nfacctd 1 25%
	hs pin nfacctd 192.0.2.0/29 2
	hs drain nfacctd 3 --deadline=1s || true
	hs adopt nfacctd@3.service
	all_in_service
	hs pin nfacctd 192.0.2.0/29 none
	hs weight nfacctd 1 100%
	hs scale nfacctd 5
	hs scale nfacctd 3
	hs scale nfacctd 4
	hs policy nfacctd hash --by=connection
	hs policy nfacctd hash --by=client
	end_export now
	wait_for 10 has_collected "$sent_flows" 0 1 2 3 4 || true
	tell 'restarts, scale, weight, pin, drain' 0 1 2 3 4
	[[ $(undecodable 0 1 2 3 4) == 0 ]]
	(($(collected 0 1 2 3 4) <= sent_flows + 8))
	none_lacks
}

# undecodable_at_home HOMES: datagrams of exporters at the slot that they belong to
undecodable_at_home() {
	local i=0 slot
	for slot in $1; do
		i=$((i + 1))
		of_slots log "$slot" | grep -aF 'unknown template' | grep -acF "[192.0.2.$i:" || true
	done | awk '{ n += $1 } END { print n }'
}

@test "rolling restart, templates once: exporters that stay lose nothing, and those that come back are decoded" {
	local slot where
	# nobody has heard of anything
	inside systemctl stop nfacctd@0 nfacctd@1 nfacctd@2 nfacctd@3
	inside bash -c 'rm -f /var/lib/nfacctd/*/{templates.json,flows*}; for log in /var/lib/nfacctd/*/log; do : >$log; done'
	inside systemctl start nfacctd@0 nfacctd@1 nfacctd@2 nfacctd@3
	hs policy nfacctd hash --by=client
	all_in_service
	where=$(homes)
	begin_export 300 300 templates=600
	wait_for 10 has_collected 1000 0 1 2 3
	for slot in 0 1 2 3; do
		inside systemctl restart nfacctd@$slot
		all_in_service
	done
	[[ $(homes) == "$where" ]]
	end_export now
	tell "rolling restart, templates once and in files" 0 1 2 3
	say "at the slots that they belong to: $(undecodable_at_home "$where") datagrams undecodable"
	[[ $(undecodable_at_home "$where") == 0 ]]
	# those that were away for a while
	(($(undecodable 0 1 2 3) > 0))
}

@test "flows and BMP of a router are on one collector at all times, also when it comes back" {
	local slot job apart
	hs policy nfacctd hash --by=client
	forget_collected 0 1 2 3
	exporter python3 $tools/pairs.py send $collector 2100 1790 $exporters_first 16 40 90 3>&- &
	job=$!
	for slot in 0 1 2 3; do
		inside systemctl restart nfacctd@$slot
		all_in_service
	done
	inside systemctl kill --signal=KILL nfacctd@1
	wait_for 5 is_away 1
	all_in_service
	hs drain nfacctd 2 --deadline=1s || true
	hs adopt nfacctd@2.service
	all_in_service
	wait $job
	forget_nothing
	pairs=$(inside python3 $tools/pairs.py judge /var/lib/nfacctd/{0,1,2,3})
	say "$pairs"
	jq -e '.pairs > 2500 and (.slots | length) == 4' <<<"$pairs" || fail "$pairs"
	# the table may change between the two
	jq -e '.apart | length <= 12' <<<"$pairs" || fail "$pairs"
}
is_away() { [[ " $(in_service) " != *" $1 "* ]]; }
# what is still in memory is written
forget_nothing() { for slot in 0 1 2 3; do wait_for 10 has_purged $slot $(($(purges $slot) + 2)); done; }

@test "without: four of them by the kernel's own choice, each restarted once" {
	local slot
	alone
	inside systemctl start plain@1 plain@2 plain@3
	wait_for 10 four_listen
	begin_export 300 300 port=2101
	wait_for 10 has_collected 1000 0 1 2 3
	for slot in 0 1 2 3; do
		inside systemctl restart plain@$slot
		wait_for 10 four_listen
	done
	end_export now
	for slot in 0 1 2 3; do wait_for 10 has_purged $slot $(($(purges $slot) + 2)); done
	tell 'without, templates once and in files' 0 1 2 3
	inside systemctl stop 'plain@*'
	(($(collected 0 1 2 3) < sent_flows))
}
four_listen() { [[ $(inside ss -Hlnu sport = :2101 | wc -l) == 4 ]]; }
