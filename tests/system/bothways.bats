#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each verb that works without hsd, both ways on the same set-up: what is pinned, the routing word, the units and the
# answer are the same afterwards.

load lib/rig

url=http://127.0.0.1:9901/

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9901
	up app
}

is_known() { [[ $(status app '.manager and .known') == true ]]; }

# Both slots ready, slot 0 active, nothing else said; and a switchover from 1 to 0 as the last change.
start_over() {
	local slot
	inside systemctl start hsd app@0 app@1
	wait_for 10 is_known
	for slot in 0 1; do
		! is_state app $slot leaving || hs adopt app@$slot.service >/dev/null
	done
	wait_for 10 is_ready app
	hs policy app standby >/dev/null
	hs canary app off >/dev/null
	hs release app >/dev/null
	prefer app 1
	prefer app 0
}

# What the kernel and systemd have.
look() {
	local slot
	inside find "$pins/app" | sort
	hs status --json --direct app 2>/dev/null |
		jq -S '{policy, active, canary, canary_share, park, slots: [.slots[] | {slot, role, state, problem}],
			listeners: [.listeners[] | {address, protocol}]}'
	for slot in 0 1; do inside systemctl show -P ActiveState -P SubState -P Result "app@$slot"; done
	echo "generations: $(($(generation app 2>/dev/null) - $1))"
}

# Of an answer what does not depend on the clock, nor on who gave it.
timeless() {
	sed -E '/done directly through the kernel/d; s/ \(done by hsctl, without hsd\)//; s/[0-9.]+(us|ms|s)\b/T/g;
		s/"(duration_us|flip_ns|generation|oldest_ms|longest_idle_ms)": *[0-9]+/"\1": 0/g'
}

# one_way HSD|DIRECT VERB...: prints all that came of it
one_way() {
	local status=0 before
	before=$(generation app)
	hs "${@:2}" >"$BATS_TEST_TMPDIR/answer" 2>&1 || status=$?
	echo "exit: $status"
	timeless <"$BATS_TEST_TMPDIR/answer"
	look "$before"
}

# both_ways [-b COMMAND] VERB...: COMMAND is done before it, in both cases
both_ways() {
	local before=:
	[[ $1 != -b ]] || { before=$2; shift 2; }
	start_over
	$before
	one_way hsd "$@" >"$BATS_TEST_TMPDIR/hsd"
	start_over
	$before
	inside systemctl stop hsd
	one_way direct "$@" >"$BATS_TEST_TMPDIR/direct"
	diff -u "$BATS_TEST_TMPDIR/hsd" "$BATS_TEST_TMPDIR/direct" || fail "hsctl $*: not the same with hsd (-) and without (+)"
}

exit_of() { sed -n 's/^exit: //p' "$BATS_TEST_TMPDIR/direct"; }

@test "switchover" {
	both_ways switchover app --json
	[[ $(exit_of) == 0 ]]
	both_ways switchover app --to=1 --settle=0 --drain=0
	[[ $(exit_of) == 0 ]]
}

@test "switchover that stops or restarts the old instance" {
	both_ways switchover app --json --drain=0 --then=stop
	[[ $(exit_of) == 0 ]]
	both_ways switchover app --json --drain=0 --then=restart
	[[ $(exit_of) == 0 ]]
}

stop_1() { inside systemctl stop app@1; }
restart_1() { inside systemctl restart app@1; }

@test "switchover refused" {
	both_ways switchover app --to=0
	[[ $(exit_of) == 3 ]]
	both_ways switchover app --to=7
	[[ $(exit_of) == 3 ]]
	both_ways -b stop_1 switchover app --json
	[[ $(exit_of) == 3 ]]
}

@test "rollback and failover" {
	both_ways rollback app --json
	[[ $(exit_of) == 0 ]]
	both_ways -b restart_1 rollback app --json
	[[ $(exit_of) == 3 ]]
	both_ways failover app --json
	[[ $(exit_of) == 0 ]]
	both_ways failover app --to=0
	[[ $(exit_of) == 3 ]]
	both_ways -b stop_1 failover app
	[[ $(exit_of) == 3 ]]
}

hold_2() {
	[[ ! ${holder_PID:-} ]] || let_go
	hold 9901 2
}

@test "drain" {
	both_ways drain app 0 --json
	[[ $(exit_of) == 0 ]]
	both_ways drain app 1
	[[ $(exit_of) == 0 ]]
	both_ways -b hold_2 drain app 0 --deadline=300ms --json
	[[ $(exit_of) == 0 ]]
	let_go
	both_ways -b stop_1 drain app 0
	[[ $(exit_of) == 3 ]]
	both_ways drain app 7
	[[ $(exit_of) == 3 ]]
}

canary_1() { hs canary app 10% >/dev/null; }

@test "policy and canary" {
	both_ways policy app parity --json
	[[ $(exit_of) == 0 ]]
	both_ways policy app standby
	[[ $(exit_of) == 0 ]]
	both_ways canary app 25% --by=client --from=192.0.2.0/24 --json
	[[ $(exit_of) == 0 ]]
	both_ways canary app 25% --to=0
	[[ $(exit_of) == 3 ]]
	both_ways -b canary_1 canary app off --json
	[[ $(exit_of) == 0 ]]
	both_ways -b canary_1 switchover app --json
	[[ $(exit_of) == 0 ]]
}

# With hsd go the parks, so these are asked beside it.
@test "park and release" {
	local way
	for way in '' --direct; do
		start_over
		one_way beside park app --json $way >"$BATS_TEST_TMPDIR/park$way"
		one_way beside park app $way >>"$BATS_TEST_TMPDIR/park$way"
		one_way beside release app --json $way >>"$BATS_TEST_TMPDIR/park$way"
		one_way beside release app $way >>"$BATS_TEST_TMPDIR/park$way"
	done
	sed -i '/what waits is handed over by hsd/d' "$BATS_TEST_TMPDIR/park--direct"
	diff -u "$BATS_TEST_TMPDIR/park" "$BATS_TEST_TMPDIR/park--direct"
	grep -q 'new TCP connections wait in the park from now on' "$BATS_TEST_TMPDIR/park"
}

@test "a service that there is not, and one that is not enabled" {
	run -1 hs switchover nothing
	inside systemctl stop hsd
	run -1 hs switchover nothing
	run -1 hs policy nothing standby
	run -1 hs status nothing
}

same_view() {
	jq -S 'del(.manager, .hold_ms, .generation, .park_ready) | walk(if type == "object" then
		del(.opened_per_second) else . end)'
}

@test "status, list and connections" {
	start_over
	hold 9901 3
	hs status --json app | same_view >"$BATS_TEST_TMPDIR/hsd"
	hs connections --json --list app | jq -S '[.. | .peer? // empty] | sort' >>"$BATS_TEST_TMPDIR/hsd"
	inside systemctl stop hsd
	hs status --json app 2>/dev/null | same_view >"$BATS_TEST_TMPDIR/direct"
	hs connections --json --list app 2>/dev/null | jq -S '[.. | .peer? // empty] | sort' >>"$BATS_TEST_TMPDIR/direct"
	let_go
	diff -u "$BATS_TEST_TMPDIR/hsd" "$BATS_TEST_TMPDIR/direct"
}

# What the units' own hooks do. Not that the last one is retired: with hsd go the parks.
@test "prepare, adopt and retire" {
	both_ways prepare app@1.service
	[[ $(exit_of) == 0 ]]
	both_ways adopt app@1.service --json
	[[ $(exit_of) == 0 ]]
	both_ways retire app@1.service
	both_ways -b retire_1 adopt app@1.service
	both_ways -b retire_1 retire app@1.service
	both_ways retire app@0.service --json
	[[ $(exit_of) == 0 ]]
	both_ways -b stop_1 adopt app@1.service
	both_ways -b stop_1 prepare app@1.service
	[[ $(exit_of) == 0 ]]
	both_ways adopt app@5.service
	[[ $(exit_of) == 3 ]]
}
retire_1() { hs retire app@1.service >/dev/null 2>&1; }

# unit_ways COMMAND...: units that are told this, with hsd and without, end alike
unit_ways() {
	local way before
	for way in hsd direct; do
		start_over
		[[ $way == hsd ]] || inside systemctl stop hsd
		before=$(generation app 2>/dev/null)
		inside systemctl "$@"
		look "$before" >"$BATS_TEST_TMPDIR/$way"
	done
	diff -u "$BATS_TEST_TMPDIR/hsd" "$BATS_TEST_TMPDIR/direct" || fail "systemctl $*: not the same with hsd (-) and without (+)"
}

@test "units that stop and start" {
	unit_ways stop app@1
	unit_ways stop app@0
	unit_ways restart app@1
	unit_ways restart app@0
}
