#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Draining: what the old instance has begun it finishes, and it is not told to stop before.

load lib/rig

url=http://127.0.0.1:9301

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9301
	up app
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start app@0 app@1
	wait_for 5 is_ready app
	prefer app 0
}

begin_switchover() {
	hs switchover app "$@" >"$BATS_TEST_TMPDIR/change" 2>&1 3>&- &
	change_job=$!
	wait_for 5 grep -q '^drain:' "$BATS_TEST_TMPDIR/change"
}

end_switchover() {
	wait "$change_job"
	output=$(<"$BATS_TEST_TMPDIR/change")
}

@test "a long request finishes on the old instance, which stops only then" {
	fetch "$url/slow?ms=4000" -o - >"$BATS_TEST_TMPDIR/slow" 2>&1 3>&- &
	slow_job=$!
	wait_for 5 has_connections 0 1
	begin_switchover --drain=20s --then=stop
	# meanwhile the new one serves
	[[ $(answering_slot $url/) == 1 ]]
	[[ $(unit_state app@0) == active ]]
	wait "$slow_job"
	grep -q '^slot=0 ' "$BATS_TEST_TMPDIR/slow"
	end_switchover
	[[ $output == *'1 finished on slot 0; slot 0 is stopped.'* ]]
	[[ $(unit_state app@0) == inactive ]]
}

has_connections() { [[ $(status app ".slots[$1].connections") == "$2" ]]; }

@test "connections that stay are served by the old instance until they end" {
	hold 9301 5
	[[ $held == '0 0 0 0 0' ]]
	begin_switchover --drain=20s --then=stop
	grep -q '5 connections left on slot 0' "$BATS_TEST_TMPDIR/change"
	ask_again
	[[ $held == '0 0 0 0 0' ]]
	[[ $(answering_slot $url/) == 1 ]]
	[[ $(unit_state app@0) == active ]]
	[[ $(status app '[.slots[].connections] | join(" ")') == '5 0' ]]
	let_go
	end_switchover
	[[ $output == *'5 finished on slot 0; slot 0 is stopped.'* ]]
}

@test "the drain deadline ends the patience" {
	hold 9301 2
	begin_switchover --drain=700ms --then=stop
	end_switchover
	[[ $output == *'slot 0 is stopped.'* ]]
	[[ $(unit_state app@0) == inactive ]]
	# the server itself let them go when it was told to stop
	ask_again
	[[ $held == 'x x' ]]
	let_go
}

@test "with --then=keep those that stay keep their instance, also beyond the deadline" {
	hold 9301 2
	begin_switchover --drain=300ms
	end_switchover
	[[ $output == *'2 still there; slot 0 stands by.'* ]]
	ask_again
	[[ $held == '0 0' ]]
	let_go
}

@test "systemctl restart of the active one lets keep-alive clients finish, too" {
	fetch "$url/slow?ms=3000" -o - >"$BATS_TEST_TMPDIR/slow" 2>&1 3>&- &
	slow_job=$!
	wait_for 5 has_connections 0 1
	inside systemctl restart app@0
	wait "$slow_job"
	grep -q '^slot=0 ' "$BATS_TEST_TMPDIR/slow"
	[[ $(active app) == 1 ]]
}

# wrk as clients that never close a connection by themselves
begin_keep_alive() {
	begin_load "$1" slot= 12 'X-Kept: yes'
}

@test "keep-alive clients under load lose nothing by switchovers with a restart" {
	begin_keep_alive $url/
	for i in 1 2 3 4; do
		hs switchover app --drain=300ms --then=restart >/dev/null
	done
	lost_nothing 'keep-alive, 4 switchovers with restart'
	inside systemctl stop app@0 app@1
	# the same server alone: gentle, too, but away for a moment
	own_service alone 9302
	printf '[Unit]\nStartLimitIntervalSec=0\n' | write /etc/systemd/system/alone@.service.d/limit.conf
	inside systemctl daemon-reload
	inside systemctl start alone@0
	begin_keep_alive http://127.0.0.1:9302/
	for i in 1 2 3 4; do
		inside systemctl restart alone@0
	done
	end_load
	say "$(load_line 'without, 4 restarts of one instance')"
	inside systemctl stop alone@0
}
