#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Any user may ask for what polkit could give them. However much they ask, whatever polkit does, and wherever they are
# by the time of its answer: nobody has anything done without the right, and hsd has time for all others.
# Thorough: it waits for questions that polkit does not answer.

load lib/bystander
load ../system/lib/users

app=(org.hotstandby1 /org/hotstandby1/service/app org.hotstandby1.Service)

setup_file() {
	hostile_up
	users_up
	own_service app 9811
	up app
	prefer app 0
}

set_up() {
	needs_polkit
	inside systemctl restart polkit
	before=$(state)
	hsd_is=$(main_pid hsd)
}

clean_up() {
	inside pkill -CONT -x polkitd || true
	inside pkill -x bus-flood || true
	wait "${flood_job:-}" 2>/dev/null || true
}

state() { status app '[.active, .generation, .policy, .canary, .parked]'; }
nothing_was_done() {
	[[ $(state) == "$before" ]] || fail "was $before, is $(state)" || return 1
	[[ $(main_pid hsd) == "$hsd_is" ]]
}

# polkit_stands: it is there, and does not move
polkit_stands() {
	inside pkill -STOP -x polkitd
}

# ask USER METHOD [TYPE:VALUE...]: by a client that waits for a minute, and says what hsd says
ask() {
	as "$1" dbus-send --system --print-reply --reply-timeout=60000 --dest="${app[0]}" "${app[1]}" "${app[2]}.$2" "${@:3}"
}
to_slot_1=(int32:1 uint64:0 uint64:0 string:keep)

@test "20 connections with 128 calls each that take a right, and polkit answers" {
	bystander_watch
	as_nobody $tools/bus-flood 60 20 128 "${app[@]:1}" Switchover itts 1 0 0 keep >"$BATS_TEST_TMPDIR/flood" 2>&1 3>&- &
	flood_job=$!
	wait_for 5 inside pgrep -x bus-flood >/dev/null
	took_at_most 1000 hs status app >/dev/null
	# and others of the kind are heard
	bystander_is_well
	bystander_watched
	nothing_was_done
	inside pkill -x bus-flood
	wait $flood_job || true
	say "$(<"$BATS_TEST_TMPDIR/flood")"
	grep -q ' 0 answered' "$BATS_TEST_TMPDIR/flood"
	inside systemctl is-active --quiet polkit
}

@test "the same, and polkit hangs: each user has four questions, root needs none" {
	polkit_stands
	bystander_watch
	as_nobody $tools/bus-flood 60 20 128 "${app[@]:1}" Park >"$BATS_TEST_TMPDIR/flood" 2>&1 3>&- &
	flood_job=$!
	wait_for 5 inside pgrep -x bus-flood >/dev/null
	took_at_most 1000 hs status app >/dev/null
	hs park app >/dev/null
	hs release app >/dev/null
	before=$(state)
	bystander_is_well
	bystander_watched
	nothing_was_done
	inside pkill -x bus-flood
	wait $flood_job || true
	say "$(<"$BATS_TEST_TMPDIR/flood")"
}

@test "who has asked is told when polkit does not answer, and nothing is done when it does later" {
	polkit_stands
	run -1 ask carla Switchover "${to_slot_1[@]}"
	[[ $output == *'which only polkit could give, and it has not answered'* ]]
	nothing_was_done
	inside pkill -CONT -x polkitd
	# it has answered everything by then
	ask carla CancelDrain || true
	nothing_was_done
}

# Any user may send a signal to one connection alone, in whose name he likes but the sender's.
@test "somebody else says that who has asked has gone: the question stands" {
	local job hsd name
	polkit_stands
	ask carla Switchover "${to_slot_1[@]}" >"$BATS_TEST_TMPDIR/answer" 2>&1 3>&- &
	job=$!
	wait_for 5 inside pgrep -x dbus-send >/dev/null
	inside sleep 1
	for name in $(inside busctl --list --unique --no-legend | awk '{ print $1 }'); do
		for hsd in $(inside busctl --list --unique --no-legend | awk '$3 == "hsd" { print $1 }'); do
			as_nobody dbus-send --system --type=signal --dest="$hsd" /org/freedesktop/DBus \
				org.freedesktop.DBus.NameOwnerChanged "string:$name" "string:$name" string: || true
		done
	done
	inside pkill -CONT -x polkitd
	wait $job || fail "$(<"$BATS_TEST_TMPDIR/answer")"
	is_active app 1
	hs switchover app --to=0 --drain=0 >/dev/null
	is_active app 0
}

@test "polkit dies in the middle of the question" {
	polkit_stands
	ask carla Switchover "${to_slot_1[@]}" >"$BATS_TEST_TMPDIR/answer" 2>&1 3>&- &
	local job=$!
	wait_for 5 inside pgrep -x dbus-send >/dev/null
	inside sleep 1
	inside pkill -KILL -x polkitd
	wait $job || true
	grep -E 'which only polkit could give, and it (failed|has not answered)' "$BATS_TEST_TMPDIR/answer"
	nothing_was_done
	# the next question starts it again
	as carla hsctl switchover app --to=1 --drain=0
	hs switchover app --to=0 --drain=0 >/dev/null
}

@test "who leaves before the answer has nothing done, and its questions are no more" {
	local n
	polkit_stands
	# more than four, one after the other
	for n in {1..10}; do
		as carla timeout -s KILL 1 busctl --system --timeout=60 call "${app[@]}" Switchover itts -- 1 0 0 keep || true
	done >"$BATS_TEST_TMPDIR/answers" 2>&1
	! grep -q 'has not answered yet what' "$BATS_TEST_TMPDIR/answers"
	inside pkill -CONT -x polkitd
	ask carla CancelDrain || true
	nothing_was_done
}

@test "five at a time: the fifth is refused, another user is not" {
	local n jobs=()
	polkit_stands
	for n in {1..4}; do
		ask alice Park >/dev/null 2>&1 3>&- &
		jobs+=($!)
	done
	wait_for 5 has_askers 4
	inside sleep 1
	run -1 ask alice Park
	[[ $output == *'polkit has not answered yet what user'* ]] || fail "said: $output"
	ask olga Rollback >"$BATS_TEST_TMPDIR/olga" 2>&1 3>&- &
	jobs+=($!)
	wait_for 5 has_askers 5
	inside pkill -CONT -x polkitd
	wait "${jobs[@]}" || true
	grep -q 'without the right org.hotstandby1.switchover' "$BATS_TEST_TMPDIR/olga"
	nothing_was_done
}

# Where nobody has logged in, any process may write there who has.
@test "who began a drain may end it, who says that it had logged in as that user may not" {
	local carla job
	carla=$(inside id -u carla)
	hold 9811 1
	[[ $held == 0 ]]
	ask carla Drain uint32:0 uint64:60000000 >"$BATS_TEST_TMPDIR/drain" 2>&1 3>&- &
	job=$!
	wait_for 10 is_draining
	run as_nobody sh -c "echo $carla >/proc/self/loginuid && cat /proc/self/loginuid && echo &&
		exec dbus-send --system --print-reply --dest=${app[*]:0:2} ${app[2]}.CancelDrain"
	[[ ${lines[0]} == "$carla" && $output == *'without the right org.hotstandby1.drain'* ]] || fail "said: $output"
	is_draining
	polkit_stands
	ask carla CancelDrain
	wait_for 10 is_idle
	wait $job || true
	grep -q 'interrupted; slot 0 of app stays out of service' "$BATS_TEST_TMPDIR/drain"
	let_go
	hs adopt app@0.service
	inside pkill -CONT -x polkitd
	prefer app 0
}
is_draining() { [[ $(status app .change) == drain ]] && is_state app 0 leaving; }
is_idle() { [[ $(status app .change) != drain ]]; }

has_askers() { (($(inside pgrep -c -x dbus-send) >= $1)); }

@test "texts without end" {
	write /tmp/long.py <<-'END'
		import sys, dbus
		app = dbus.Interface(dbus.SystemBus().get_object("org.hotstandby1", "/org/hotstandby1/service/app"),
		                     "org.hotstandby1.Service")
		for size in 20000, 1 << 20, 20 << 20:
		    for call in (lambda text: app.SetPolicy(text),
		                 lambda text: app.SetCanary(dbus.UInt32(1), dbus.Int32(1), "client", text)):
		        try:
		            call("x" * size)
		        except dbus.DBusException as error:
		            print(error)
	END
	run -0 as carla python3 /tmp/long.py
	[[ $(grep -c 'longer than what users other than root may ask\|too many calls' <<<"$output") == 6 ]]
	nothing_was_done
	bystander_is_well
}
