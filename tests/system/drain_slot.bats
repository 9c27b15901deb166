# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154
#
# hsctl drain: a slot is taken out of service and its connections are waited for, bounded.

load lib/rig.bash

port=19600

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app $port
	up app
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start hsd
	inside rm -f /etc/hotstandby/app.conf.d/end.conf
	inside systemctl reload hsd
	inside systemctl start app@0 app@1
	hs adopt app@0.service >/dev/null
	hs adopt app@1.service >/dev/null
	wait_for 10 is_ready app
	prefer app 0
}

drain_end() {
	write /etc/hotstandby/app.conf.d/end.conf <<<"[Service]
DrainEnd=$1"
	inside systemctl reload hsd
}

@test "without connections it is done at once, and the slot is out of service" {
	run -0 --separate-stderr hs drain app 0
	[[ $output == *'slot 0 has no connection left'* ]]
	is_active app 1
	is_state app 0 leaving
	[[ $(answering_slot http://127.0.0.1:$port/) == 1 ]]
	hs adopt app@0.service
	is_state app 0 ready
}

@test "it ends when the last connection does" {
	hold $port 5
	[[ $held == '0 0 0 0 0' ]]
	hs drain app 0 --deadline=30s --json >"$BATS_TEST_TMPDIR/out" 3>&- &
	local job=$!
	wait_for 5 is_state app 0 leaving
	let_go
	wait "$job"
	output=$(<"$BATS_TEST_TMPDIR/out")
	[[ $(jq -r .outcome <<<"$output") == drained ]]
	jq -e '.finished == 5 and .oldest_ms == null' <<<"$output"
}

@test "--no-block: as soon as it has begun, and hsd goes on" {
	hold $port 1
	run -0 --separate-stderr hs drain app 0 --no-block
	[[ $output == 'app: the drain of slot 0 goes on, see hsctl status app' ]]
	[[ $(status app .change) == drain ]]
	let_go
	wait_for 5 no_change
	is_state app 0 leaving
	hs adopt app@0.service
	inside systemctl stop hsd
	run -1 --separate-stderr hs drain app 1 --no-block
	[[ $stderr == *'to drain slot 1 without waiting for it needs hsd'* ]]
}
no_change() { [[ $(status app .change) == null ]]; }

@test "it is a change: shown, one at a time, with its steps, and in the history" {
	hold $port 2
	hs drain app 0 >"$BATS_TEST_TMPDIR/out" 3>&- &
	local job=$!
	wait_for 5 grep -q '^drain: 2 connections left on slot 0, about ? at this pace, deadline in ' "$BATS_TEST_TMPDIR/out"
	[[ $(status app .change) == drain ]]
	run -3 hs switchover app --to=0
	[[ $output == *'another change of this service is running'* ]]
	let_go
	wait "$job"
	[[ $(status app .change) == null ]]
	[[ $(hs history app --json -n 1 | jq -r '"\(.verb) \(.from) \(.to) \(.outcome)"') == 'drain 0 null done' ]]
}

@test "one that is taken back is drained no more" {
	hold $port 2
	hs drain app 0 >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local job=$! code=0
	wait_for 5 is_state app 0 leaving
	hs adopt app@0.service
	wait "$job" || code=$?
	((code == 4))
	grep -q 'slot 0 is in service, so it is drained no more' "$BATS_TEST_TMPDIR/out"
	let_go
}

@test "at the deadline the instance is stopped" {
	hold $port 3
	run -0 --separate-stderr hs drain app 0 --deadline=300ms
	[[ $output == *'3 connections were left on slot 0; it was stopped.'* ]]
	lacks_iterators || [[ $output == *' The oldest: '*'s. Idle for 1min or longer: 0, the idlest for '* ]]
	is_unit_state app@0 inactive
	let_go
}

@test "at the deadline its connections are reset, and no others" {
	drain_end reset
	hold $port 3
	run -0 --separate-stderr hs drain app 0 --deadline=300ms
	[[ $output == *'3 connections of slot 0 were reset'* ]]
	ask_again
	[[ $held == 'x x x' ]]
	is_unit_state app@0 active
	let_go
}

@test "at the deadline they are kept" {
	drain_end keep
	hold $port 3
	run -0 --separate-stderr hs drain app 0 --deadline=300ms --json
	jq -e '.message | test("3 connections are left on slot 0; they go on")' <<<"$output"
	lacks_iterators ||
		jq -e '.idle == 0 and .oldest_ms >= 300 and .oldest_ms >= .longest_idle_ms' <<<"$output"
	ask_again
	[[ $held == '0 0 0' ]]
	let_go
}

# Three clients are on slot 0, which is being drained.
begin_drain() {
	hold $port 3
	hs drain app 0 "$@" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	drain_job=$!
	wait_for 5 is_state app 0 leaving
	wait_for 5 grep -q '^drain: 3 connections left' "$BATS_TEST_TMPDIR/out"
}

# end_drain STATUS
end_drain() {
	local code=0
	wait "$drain_job" || code=$?
	output=$(<"$BATS_TEST_TMPDIR/out")
	((code == $1)) || fail "exit $code: $output"
}

is_drained_by_hsd() { [[ $(status app .change) == drain ]] && is_state app 0 leaving; }
is_idle() { [[ $(status app .change) == null ]]; }
is_known() { [[ $(status app '.manager and .known') == true ]]; }

@test "hsd is killed in the middle: the next one goes on with it, to the end" {
	begin_drain
	inside systemctl kill -s KILL hsd
	end_drain 1
	[[ $output == *'hsd went away in the middle of it; the next hsd goes on with the drain of slot 0'* ]]
	wait_for 10 is_drained_by_hsd
	ask_again
	[[ $held == '0 0 0' ]]
	[[ $(answering_slot http://127.0.0.1:$port/) == 1 ]]
	let_go
	wait_for 5 is_idle
	is_state app 0 leaving
	[[ $(hs history app --json -n 1 | jq -r '"\(.verb) \(.outcome) \(.by)"') == 'drain done root' ]]
	# and for whoever comes
	inside systemctl restart hsd
	wait_for 10 is_known
	is_state app 0 leaving
	hs adopt app@0.service
	is_state app 0 ready
}

@test "hsd is restarted in the middle: the deadline stays the same" {
	begin_drain --deadline=4s
	inside systemctl restart hsd
	end_drain 1
	[[ $output == *'the next hsd goes on'* ]]
	wait_for 10 is_unit_state app@0 inactive
	run -0 hs events app
	[[ $output == *'hsd was gone in the middle of a drain of slot 0; it goes on'* ]]
	[[ $output == *'3 connections were left on slot 0; it was stopped.'* ]]
	let_go
}

@test "an instance that is restarted while there is no hsd is drained no more" {
	begin_drain
	inside systemctl stop hsd
	end_drain 1
	let_go
	inside systemctl restart app@0
	inside systemctl start hsd
	wait_for 10 is_ready app
	wait_for 5 is_idle
	is_state app 0 ready
	run -0 hs events app
	[[ $output == *'slot 0 is in service, so it is drained no more'* ]]
}

@test "without hsd hsctl waits itself, and hsd that comes goes on with it as well" {
	inside systemctl stop hsd
	begin_drain
	inside systemctl start hsd
	wait_for 10 is_drained_by_hsd
	let_go
	end_drain 0
	[[ $output == *'slot 0 has no connection left (3 finished)'* ]]
	wait_for 5 is_idle
	is_state app 0 leaving
}

@test "without hsd: Ctrl-C is its end" {
	inside systemctl stop hsd
	begin_drain
	inside pkill -INT -x hsctl
	end_drain 1
	[[ $output == *'interrupted; slot 0 of app stays out of service with 3 connections'* ]]
	ask_again
	[[ $held == '0 0 0' ]]
	let_go
	inside systemctl start hsd
	wait_for 10 is_known
	is_idle
	is_state app 0 leaving
}

@test "without hsd: when hsctl is killed another goes on, and the deadline is kept" {
	inside systemctl stop hsd
	begin_drain
	inside pkill -KILL -x hsctl
	end_drain 137
	run -0 --separate-stderr hs drain app 0 --deadline=300ms
	[[ $output == *'3 connections were left on slot 0; it was stopped.'* ]]
	[[ $stderr == *'hsd is not running; done directly'* ]]
	is_unit_state app@0 inactive
	let_go
	run -3 hs drain app 1
	[[ $output == *'no other slot is ready'* ]]
}

@test "it is refused where nobody would take over" {
	inside systemctl stop app@1
	run -3 hs drain app 0
	[[ $output == *'no other slot is ready to take over from slot 0'* ]]
	is_state app 0 ready
	run -3 hs drain app 1
	[[ $output == *'slot 1 is down, there is nothing to drain'* ]]
	run -3 hs drain app 7
	[[ $output == *'app has no slot 7'* ]]
	run -2 hs drain app x
	run -2 hs drain app
	run -2 hs drain app 0 --deadline=never
}
