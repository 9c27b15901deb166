#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl canary for some clients, and by client. Clients are addresses of 127.0.0.0/8.

load lib/rig

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9401
	up app
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start hsd
	prefer app 0
	hs canary app off
}

# slots_of NETWORK: how many of 100 clients in 127.NETWORK.0.0/24 were answered by slot 1
slots_of() {
	# shellcheck disable=SC2016 # for the shell inside
	inside sh -c 'for i in $(seq 1 100); do
		curl -sSf --max-time 10 --interface 127.$1.0.$i http://127.0.0.1:9401/ || exit 1; done' sh "$1" |
		grep -c '^slot=1 ' || true
}

@test "for some clients only" {
	run -0 hs canary app 50% --from=127.1.0.0/16,127.2.0.0/24
	[[ $output == 'app: 50% of new connections from 127.1.0.0/16, 127.2.0.0/24 go to slot 1.' ]]
	local in out
	in=$(slots_of 1) out=$(slots_of 3)
	say "127.1: $in of 100 to slot 1; 127.3: $out"
	((in >= 25 && in <= 75 && out == 0))
	[[ $(status app '[.canary, .canary_share, .canary_by, (.canary_from | join(" "))] | map(tostring) | join(",")') == \
		'1,0.5,connection,127.1.0.0/16 127.2.0.0/24' ]]
	run -0 hs status app
	[[ $output == *'canary slot 1 gets 50% from 127.1.0.0/16 and 127.2.0.0/24, '* ]]
	has_event app canary
	# the next one without it is for all
	hs canary app 50%
	((out = $(slots_of 3)))
	((out >= 25 && out <= 75))
	[[ $(status app '.canary_from | length') == 0 ]]
}

@test "by client: each of them always the same" {
	run -0 hs canary app 30% --by=client --from=127.0.0.0/8
	[[ $output == 'app: 30% of clients from 127.0.0.0/8 go to slot 1.' ]]
	local first
	first=$(slots_of 4)
	say "127.4: $first of 100 clients to slot 1"
	((first >= 10 && first <= 50))
	[[ $(slots_of 4) == "$first" && $(slots_of 4) == "$first" ]]
	run -0 hs status app
	[[ $output == *'canary slot 1 gets 30% of clients from 127.0.0.0/8, '* ]]
}

@test "the filter goes with the canary, and outlives hsd" {
	hs canary app 50% --by=client --from=127.1.0.0/16
	inside systemctl kill -s KILL hsd
	wait_for 5 manager_is_back
	[[ $(status app '.canary_by + (.canary_from | join(" "))') == client127.1.0.0/16 ]]
	hs switchover app --drain=0
	[[ $(status app '[.canary, .canary_by, (.canary_from | length)] | map(tostring) | join(",")') == null,connection,0 ]]
	hs canary app 100%
	[[ $(status app .canary_by) == connection ]]
}

manager_is_back() { [[ $(status app .manager 2>/dev/null) == true ]]; }

@test "without hsd" {
	inside systemctl stop hsd
	hs canary app 100% --from=127.5.0.0/16
	[[ $(inside curl -sSf --max-time 10 --interface 127.5.0.1 http://127.0.0.1:9401/) == 'slot=1 '* ]]
	[[ $(inside curl -sSf --max-time 10 --interface 127.6.0.1 http://127.0.0.1:9401/) == 'slot=0 '* ]]
	[[ $(status app '.canary_from[0]') == 127.5.0.0/16 ]]
	hs canary app off
	[[ $(status app .canary) == null ]]
}

@test "what is no prefix, and no way to share" {
	local bad
	for bad in --from=10.1.0.0/33 --from=localhost --from= --from=10.1.0.0/16, --by=user --by=; do
		run -2 --separate-stderr hs canary app 5% "$bad"
		[[ $stderr == hsctl:* ]]
	done
	run -2 --separate-stderr hs switchover app --from=10.1.0.0/16
	[[ $stderr == *'--from'* ]]
	[[ $(status app .canary) == null ]]
}
