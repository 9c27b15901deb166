#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each verb that works without hsd, both ways on the same set-up: what is pinned, the routing word, the units and the
# answer are the same afterwards. scripts/lint holds that none is missing.

load lib/rig

url=http://127.0.0.1:9901/

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9901
	up app
	inside cp $examples/echo@.service /etc/systemd/system/
	# with a key that is given, tables are alike that are made anew
	inside sh -c 'umask 077; echo correct-horse-battery >/etc/hotstandby/echo.key'
	up_echo
}

up_echo() {
	local slot
	printf '[Service]\nSlots=3\nFlow=none\nPolicy=hash\nBy=client\nHashKey=/etc/hotstandby/echo.key\n' |
		write /etc/hotstandby/echo.conf
	inside systemctl daemon-reload
	hs enable echo@.service >/dev/null
	# the first one is active, whatever that means under policy hash
	for slot in 0 1 2; do inside systemctl start echo@$slot; done
	wait_for 10 all_in_service
}
all_in_service() { [[ $(hs table echo --json | jq -c '[.slots[].in_service]') == '[true,true,true]' ]]; }

# which service it is about, and how many slots it has
service=app
slots=2
# of policy hash
spread() { service=echo slots=3; }

is_known() { [[ $(status "$service" '.manager and .known') == true ]]; }

# Both slots ready, slot 0 active, nothing else said; and a switchover from 1 to 0 as the last change.
start_over() {
	local slot
	[[ $service == app ]] || { start_echo_over; return; }
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

# All slots at work, nobody weighed or pinned. Who was moved stays so.
start_echo_over() {
	local slot
	inside systemctl start hsd echo@0 echo@1 echo@2
	wait_for 10 is_known
	hs policy echo hash --by=client >/dev/null
	for slot in 0 1 2; do
		! is_state echo $slot leaving || hs adopt echo@$slot.service >/dev/null
		hs weight echo $slot 100% >/dev/null
	done
	hs pin echo 127.0.0.16/28 none >/dev/null 2>&1 || true
	wait_for 10 all_in_service
}

# What the kernel and systemd have.
look() {
	local slot
	inside find "$pins/$service" | sort
	hs status --json --direct "$service" 2>/dev/null |
		jq -S '{policy, active, canary, canary_share, park, slots: [.slots[] | {slot, role, state, problem}],
			listeners: [.listeners[] | {address, protocol}]}'
	for ((slot = 0; slot < slots; slot++)); do
		inside systemctl show -P ActiveState -P SubState -P Result "$service@$slot"
	done
	[[ $service == app ]] || hs table echo --json --direct 2>&1 | timeless
	echo "generations: $(($(generation "$service" 2>/dev/null) - $1))"
}

# Of an answer what does not depend on the clock, nor on who gave it.
timeless() {
	sed -E '/done directly through the kernel/d; s/ \(done by hsctl, without hsd\)//; s/[0-9.]+(us|ms|s)\b/T/g;
		s/"(duration_us|flip_ns|generation|oldest_ms|longest_idle_ms|share_got)": *[0-9.]+/"\1": 0/g'
}

# one_way HSD|DIRECT VERB...: prints all that came of it
one_way() {
	local status=0 before
	before=$(generation "$service")
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

@test "exec" {
	both_ways exec app 1 -- sh -c "curl -sSf --max-time 10 $url | cut -d' ' -f1"
	grep -qx slot=1 "$BATS_TEST_TMPDIR/direct"
	both_ways exec app 1 --must-connect -- true
	[[ $(exit_of) == 1 ]]
	both_ways exec app 7 -- true
	[[ $(exit_of) == 3 ]]
	both_ways -b stop_1 exec app 1 -- true
	[[ $(exit_of) == 3 ]]
}

standby() { hs policy echo standby >/dev/null; }

@test "policy hash" {
	spread
	both_ways policy echo hash --by=connection --json
	[[ $(exit_of) == 0 ]]
	both_ways -b standby policy echo hash
	[[ $(exit_of) == 0 ]]
	both_ways policy echo parity
	[[ $(exit_of) == 0 ]]
	both_ways switchover echo
	[[ $(exit_of) == 3 ]]
}

pinned() { hs pin echo 127.0.0.16/28 1 >/dev/null; }

@test "weight and pin" {
	spread
	both_ways weight echo 1 50% --json
	[[ $(exit_of) == 0 ]]
	both_ways weight echo 7 50%
	[[ $(exit_of) == 3 ]]
	both_ways pin echo 127.0.0.16/28 2 --json
	[[ $(exit_of) == 0 ]]
	both_ways -b pinned pin echo 127.0.0.0/24 2
	[[ $(exit_of) == 3 ]]
	both_ways -b pinned pin echo
	both_ways -b pinned pin echo 127.0.0.16/28 none
	[[ $(exit_of) == 0 ]]
}

@test "table and where" {
	spread
	both_ways table echo --json
	[[ $(exit_of) == 0 ]]
	both_ways -b standby table echo --hash
	both_ways where echo 127.0.0.10 --json
	[[ $(exit_of) == 0 ]]
	both_ways -b pinned where echo 127.0.0.17
	[[ $(exit_of) == 0 ]]
}

anew() {
	inside systemctl stop echo@0 echo@1 echo@2
	hs disable echo@.service >/dev/null
	up_echo
}

# What comes is counted by samples: after traffic no two plans are alike.
@test "rebalance" {
	local client=/usr/lib/hotstandby/hs-echo-client
	spread
	both_ways -b anew rebalance echo --dry-run --json
	both_ways -b anew rebalance echo --json
	inside $client --quiet --udp --count=2000 --from=127.0.0.10 127.0.0.1:7777
	inside $client --quiet --udp --count=2000 --from=127.0.0.11+16 127.0.0.1:7777
	run -0 --separate-stderr hs rebalance echo --json
	jq -e '.moved_buckets > 0' <<<"$output"
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
	hs list --json | jq '.[]' | same_view >>"$BATS_TEST_TMPDIR/hsd"
	hs connections --json --list app | jq -S '[.. | .peer? // empty] | sort' >>"$BATS_TEST_TMPDIR/hsd"
	inside systemctl stop hsd
	hs status --json app 2>/dev/null | same_view >"$BATS_TEST_TMPDIR/direct"
	hs list --json 2>/dev/null | jq '.[]' | same_view >>"$BATS_TEST_TMPDIR/direct"
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
