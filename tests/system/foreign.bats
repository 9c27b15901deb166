#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Other programs on a service's address: they get nothing, or stand in front, and are named either way.
# Thorough: plane tests hold the rules.

load lib/rig

bin=/usr/lib/hotstandby/hs-example-server
url=http://127.0.0.1:9601/

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9601
	up app
	socket_service sock 9602
	up sock
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start hsd app@0 app@1
	wait_for 10 is_ready app
}

# copy NAME [ADDRESS...]: a program that is no slot
copy() {
	local name=$1 options=() address
	shift
	for address; do options+=("--listen=$address"); done
	inside systemd-run -q --unit="$name" -p Type=notify $bin --slot=9 "${options[@]}"
}

foreign() { status "$1" '[.foreign[] | "\(.comm) \(.unit) \(.address) \(.in_front)"] | join(", ")'; }
is_foreign() { [[ $(foreign "$1") == "$2" ]]; }
foreign_events() { inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE="$1" HS_EVENT=foreign; }
count_events() { (($(foreign_events app | grep -c "$1") == $2)); }

name=hs-example-serv

@test "a copy on the same address gets nothing and is named, once; its end is told" {
	local i
	begin_load $url slot=
	copy stray 0.0.0.0:9601
	wait_for 5 is_foreign app "$name stray.service 0.0.0.0:9601 false"
	hs switchover app --drain=0
	inside systemctl restart app@0 app@1
	wait_for 5 is_ready app
	lost_nothing 'a copy beside the slots'
	((load[other] == 0))
	[[ $(status app '.foreign[0].pid') == "$(main_pid stray)" ]]
	hs status app | grep -F "0.0.0.0:9601 is also served by process $(main_pid stray) ($name, stray.service): it gets no connection"
	hs events app | grep -F 'stray.service'
	count_events 'is no slot of it' 1
	inside systemctl stop stray
	wait_for 5 count_events 'does not listen on 0.0.0.0:9601 any more' 1
	is_foreign app ''
	[[ $(foreign sock) == '' ]]
}

@test "a copy that was there before the slots" {
	own_service late 9603
	inside systemctl daemon-reload
	hs enable late@.service
	copy first 0.0.0.0:9603
	inside systemctl start late@0
	wait_for 5 is_state late 0 ready
	begin_load http://127.0.0.1:9603/ slot=
	inside systemctl start late@1
	wait_for 5 is_ready late
	hs switchover late
	inside systemctl restart late@1
	lost_nothing 'a copy from before'
	((load[other] == 0))
	is_foreign late "$name first.service 0.0.0.0:9603 false"
	inside systemctl stop first
	down late
}

@test "a copy while no slot is ready and nothing parks: the kernel takes it" {
	own_service alone 9604
	printf '[Service]\nPark=no\n' | write /etc/hotstandby/alone.conf
	up alone
	copy twin 0.0.0.0:9604
	wait_for 5 is_foreign alone "$name twin.service 0.0.0.0:9604 false"
	[[ $(answering_slot http://127.0.0.1:9604/) == 0 ]]
	inside systemctl stop alone@0 alone@1
	# nothing of the service is left there
	[[ $(answering_slot http://127.0.0.1:9604/) == 9 ]]
	is_foreign alone "$name twin.service 0.0.0.0:9604 false"
	inside systemctl start alone@0
	wait_for 5 is_state alone 0 ready
	[[ $(answering_slot http://127.0.0.1:9604/) == 0 ]]
	inside systemctl stop twin
	down alone
}

@test "a copy while no slot is ready: connections wait in the park, not on it" {
	always_park app
	copy stray 0.0.0.0:9601
	inside systemctl stop app@0 app@1
	answering_slot $url >"$BATS_TEST_TMPDIR/answer" 3>&- &
	local client=$!
	wait_for 5 waits_in_park
	inside systemctl start app@1
	wait $client
	[[ $(<"$BATS_TEST_TMPDIR/answer") == 1 ]]
	inside systemctl start app@0
	inside systemctl stop stray
	wait_for 5 is_foreign app ''
}

waits_in_park() { [[ $(status app .parked) == 1 ]]; }

@test "a specific address is in front" {
	copy front 127.0.0.1:9601
	wait_for 5 is_foreign app "$name front.service 127.0.0.1:9601 true"
	[[ $(answering_slot $url) == 9 ]]
	hs status app | grep -F 'it takes the connections to this address'
	foreign_events app | grep -F 'stop it, or let it listen elsewhere'
	inside systemctl stop front
	wait_for 5 is_foreign app ''
}

@test "another slot number is no slot" {
	inside systemctl start app@7
	wait_for 5 is_foreign app "$name app@7.service 0.0.0.0:9601 false"
	inside systemctl stop app@7
	wait_for 5 is_foreign app ''
}

@test "other ports and addresses, and the slots' own sockets, are nobody's business" {
	local i
	copy elsewhere 127.0.0.1:9605
	for i in 1 2; do
		inside systemctl restart app@0 app@1 sock@0 sock@1
	done
	wait_for 5 is_ready app
	wait_for 5 is_ready sock
	is_foreign app ''
	is_foreign sock ''
	[[ -z $(foreign_events app)$(foreign_events sock) ]]
	inside systemctl stop elsewhere
}

@test "hsd is told at its start, and hsctl finds it without hsd" {
	copy stray 0.0.0.0:9601
	inside systemctl stop hsd
	is_foreign app "$name stray.service 0.0.0.0:9601 false"
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start hsd
	wait_for 5 is_foreign app "$name stray.service 0.0.0.0:9601 false"
	count_events 'is no slot of it' 1
	inside systemctl stop stray
	wait_for 5 is_foreign app ''
}

@test "a copy in another network namespace is none" {
	inside systemd-run -q --unit=apart -p Type=notify -p PrivateNetwork=yes $bin --slot=9 --listen=0.0.0.0:9601
	inside systemctl restart app@1
	wait_for 5 is_ready app
	is_foreign app ''
	inside systemctl stop apart
}
