#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The park: while no instance is left, or everything is held on purpose, clients wait instead of being refused,
# and are served when one is there. Whatever becomes of hsd meanwhile.
# Long: begun with the first.
# Thorough: the other Debian's run has it.

load lib/rig

url=http://127.0.0.1:9701/

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9701
	up app
	# what becomes of stopped slots otherwise is in stopped.bats
	always_park app
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start hsd app@0 app@1
	wait_for 10 is_ready app
	prefer app 0
}

set_config() {
	write /etc/hotstandby/app.conf.d/test.conf
	inside systemctl reload hsd
}

parked() { status app .parked; }
has_parked() { (($(parked) >= $1)); }
parked_none() { [[ $(parked) == 0 ]]; }
is_down() { inside systemctl stop app@0 app@1; }

# wait_in_park COUNT: so many clients connect, one after the other, and send their request; their answers come
# into files 1, 2, ...
wait_in_park() {
	local i
	clients=()
	for ((i = 1; i <= $1; i++)); do
		fetch $url >"$BATS_TEST_TMPDIR/$i" 2>&1 3>&- &
		clients[i]=$!
		wait_for 5 has_parked $i
	done
}

# all_answered COUNT: they were, by slots
all_answered() {
	local i
	for ((i = 1; i <= $1; i++)); do
		wait "${clients[i]}" || true
		[[ $(<"$BATS_TEST_TMPDIR/$i") == slot=* ]] || fail "client $i got: $(<"$BATS_TEST_TMPDIR/$i")"
	done
}

@test "status tells that there is a park" {
	status app '[.park, .park_ready, .parked] == [false, true, 0]' | grep -qx true
	[[ $(hs list --json | jq -r '.[0] | [.park, .parked] | map(tostring) | join(" ")') == 'false 0' ]]
}

@test "all instances stopped and started again under load: nobody is refused" {
	begin_load $url slot=
	inside systemctl stop app@0 app@1
	wait_for 5 has_parked 10
	run -0 hs status app
	[[ $output == *$'\npark: '*' wait'* ]]
	inside systemctl start app@0
	wait_for 5 parked_none
	inside systemctl start app@1
	wait_for 10 is_ready app
	lost_nothing 'all stopped'
	has_event app park
	has_event app release
	inside journalctl -o cat --since="@$rig_began" HS_SERVICE=app HS_EVENT=release |
		grep -q ' left the park for the slots; the longest wait was '
	baseline
}

@test "the only instance restarted under load: nobody is refused" {
	local i
	inside systemctl stop app@1
	begin_load $url slot=
	for i in 1 2 3 4 5; do
		inside systemctl restart app@0
	done
	lost_nothing '5 restarts of the only instance'
	inside journalctl -o cat --since="@$rig_began" HS_SERVICE=app HS_EVENT=retire |
		grep -q 'no other slot is ready: new connections wait in the park until one is'
	baseline
}

@test "the only instance killed: those that come after it wait for the next" {
	local pid
	inside systemctl stop app@1
	pid=$(main_pid app@0)
	printf '[Service]\nRestartSec=4s\nRestart=always\n' | write /etc/systemd/system/app@.service.d/zz.conf
	inside systemctl daemon-reload
	inside systemctl kill -s KILL --kill-who=main app@0
	wait_in_park 3
	wait_for 10 is_new app@0 "$pid"
	all_answered 3
	inside rm /etc/systemd/system/app@.service.d/zz.conf
	inside systemctl daemon-reload
}

@test "with Park=no clients are refused as ever" {
	printf '[Service]\nPark=no\n' | set_config
	[[ $(status app .park_ready) == false ]]
	inside systemctl stop app@1
	begin_load $url slot=
	inside systemctl restart app@0
	end_load
	say "$(load_line 'Park=no, a restart of the only instance')"
	((load[refused] + load[reset] > 0))
	run -3 hs park app
	[[ $output == *'Park=no in its settings'* ]]
	printf '' | set_config
	# the next adoption opens it again
	inside systemctl restart app@0
	[[ $(status app .park_ready) == true ]]
}

@test "park holds and release lets go" {
	run -0 hs park app
	[[ $output == 'app: new TCP connections wait in the park from now on, each for 1min at most; let them go: hsctl release app' ]]
	run -0 hs park app --json
	jq -e '.service == "app" and .park == true and .parked == 0 and (.message | test("already"))' <<<"$output"
	wait_in_park 5
	[[ $(status app '[.park, .parked] | map(tostring) | join(" ")') == 'true 5' ]]
	run -0 hs status app
	[[ $output == *'park: 5 wait, new connections are held on purpose'* ]]
	run -0 hs release app
	[[ $output == 'app: new connections go to the slots again, and so do 5 that waited.' ]]
	all_answered 5
	run -0 hs release app
	[[ $output == 'app: no connections were held on purpose.' ]]
	has_event app park
	has_event app release
}

@test "held and released under load, again and again: nothing is lost" {
	local i
	begin_load $url slot=
	for i in {1..20}; do
		hs park app >/dev/null
		hs release app >/dev/null
	done
	lost_nothing '20 times held and released'
}

@test "held without hsd: the flag alone, and the next hsd hands over" {
	inside systemctl kill -s KILL hsd
	inside systemctl stop hsd
	run ! hs park app
	inside systemctl start hsd
	inside systemctl restart app@1
	wait_for 10 is_ready app
	run -0 hs park app --direct
	wait_in_park 3
	run -0 hs release app --direct
	all_answered 3
}

@test "hsd killed while connections wait: the queue survives" {
	local pid
	pid=$(main_pid hsd)
	is_down
	wait_in_park 5
	inside systemctl kill -s KILL hsd
	wait_for 10 is_new hsd "$pid"
	wait_for 10 has_parked 5
	inside systemctl start app@1
	all_answered 5
	[[ $(status app .park_ready) == true ]]
}

@test "hsd restarted while connections wait: the queue survives" {
	is_down
	wait_in_park 5
	inside systemctl restart hsd
	[[ $(parked) == 5 ]]
	inside systemctl start app@0
	all_answered 5
}

@test "hsd killed again and again under load, instances stopped and started: nothing is lost" {
	local i pid
	begin_load $url slot=
	for i in {1..6}; do
		pid=$(main_pid hsd)
		inside systemctl stop app@0 app@1
		inside systemctl start --no-block app@0 app@1
		inside bash -c "sleep 0.0$((RANDOM % 10))$((RANDOM % 10)); systemctl kill -s KILL hsd"
		wait_for 10 is_new hsd "$pid"
		wait_for 10 is_ready app
	done
	lost_nothing 'hsd killed in the middle of it'
}

# stored: descriptors that systemd keeps for hsd
stored() { inside systemctl show -P NFileDescriptorStore hsd; }
stored_are() { [[ $(stored) == "$1" ]]; }

@test "systemd keeps one socket for each listener, however often it is replaced" {
	local i
	wait_for 5 stored_are 1
	for i in 1 2 3; do
		is_down
		inside systemctl start app@0
	done
	wait_for 5 stored_are 1
	inside systemctl restart hsd
	wait_for 5 stored_are 1
}

@test "the park of a service that is disabled is closed" {
	own_service other 9702
	up other
	wait_for 5 stored_are 2
	down other
	wait_for 5 stored_are 1
	run -7 inside curl -s http://127.0.0.1:9702/
}

@test "who waits longer than ParkTimeout= reads an orderly end" {
	printf '[Service]\nParkTimeout=1s\n' | set_config
	is_down
	run ! fetch $url
	[[ $output == *'(52)'* ]] # empty reply, not a reset
	wait_for 5 parked_none
	has_event app park
	printf '' | set_config
}

@test "ParkTimeout= counts the time before hsd was killed, too" {
	local begun pid
	printf '[Service]\nParkTimeout=4s\n' | set_config
	is_down
	pid=$(main_pid hsd)
	begun=${EPOCHREALTIME/[.,]/}
	wait_in_park 1
	inside sleep 2.5
	inside systemctl kill -s KILL hsd
	wait_for 10 is_new hsd "$pid"
	wait "${clients[1]}" || true
	took_ms=$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
	say "closed after $took_ms ms"
	grep -F '(52)' "$BATS_TEST_TMPDIR/1"
	((took_ms >= 4000 && took_ms < 6400)) # not 2.5 s and another 4 s
	printf '' | set_config
}

@test "ParkMax= is the length of the queue; beyond it clients ask again" {
	printf '[Service]\nParkMax=2\n' | set_config
	inside systemctl restart app@0 # its adoption sets it
	is_down
	wait_in_park 3
	fetch $url >"$BATS_TEST_TMPDIR/4" 2>&1 3>&- &
	clients[4]=$!
	sleep 0.3
	[[ $(parked) == 3 ]]
	inside systemctl start app@0
	all_answered 4
	printf '' | set_config
}

@test "a unit that filters addresses has no park, which would let in whom it keeps out" {
	own_service filtered 9703
	printf '[Service]\nIPAddressDeny=192.0.2.0/24\n' | write /etc/systemd/system/filtered@.service.d/deny.conf
	up filtered
	[[ $(status filtered .park_ready) == false ]]
	inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=filtered HS_EVENT=park | grep -q 'filtered@0.service filters addresses'
	run -3 hs park filtered
	run -0 hs doctor filtered
	inside rm -r /etc/systemd/system/filtered@.service.d/deny.conf
	inside systemctl daemon-reload
	inside systemctl restart filtered@0 filtered@1
	[[ $(status filtered .park_ready) == true ]]
	down filtered
}

@test "a listener from a socket unit has a park as well" {
	socket_service sock 9704
	up sock
	[[ $(status sock .park_ready) == true ]]
	begin_load http://127.0.0.1:9704/ slot=
	inside systemctl stop sock@1
	inside systemctl restart sock@0
	inside systemctl restart sock@0
	lost_nothing '2 restarts of the only instance of a socket unit'
	down sock
}

@test "servers with another user: the park goes along" {
	own_service user 9705
	printf '[Service]\nUser=nobody\n' | write /etc/systemd/system/user@.service.d/user.conf
	up user
	begin_load http://127.0.0.1:9705/ slot=
	inside systemctl stop user@1
	inside systemctl restart user@0
	printf '[Service]\nUser=daemon\n' | write /etc/systemd/system/user@.service.d/user.conf
	inside systemctl daemon-reload
	inside systemctl restart user@0
	inside systemctl restart user@0
	lost_nothing 'restarts of the only instance, first with another user'
	[[ $(status user '[.park_ready, .slots[0].state] | map(tostring) | join(" ")') == 'true ready' ]]
	down user
}

@test "the park of an address that is served no more is closed in time" {
	printf '[Service]\nParkTimeout=1s\n' | write /etc/hotstandby/moves.conf
	own_service moves 9706
	up moves
	inside sed -i 's/9706/9707/' /etc/systemd/system/moves@.service
	inside systemctl daemon-reload
	inside systemctl restart moves@0 moves@1
	wait_for 5 is_ready moves
	fetch http://127.0.0.1:9707/ | grep -q slot=
	wait_for 10 is_refused 9706
	down moves
}

is_refused() {
	local code=0
	inside curl -s --max-time 0.3 "http://127.0.0.1:$1/" || code=$?
	((code == 7))
}
