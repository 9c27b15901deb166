#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl switchover, rollback and failover: what they do, say, answer and refuse.
# Long: begun with the first.

load lib/rig

url=http://127.0.0.1:9201/

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9201
	up app
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start app@0 app@1
	wait_for 5 is_ready app
	prefer app 0
}

# nothing_changed CMD...: word and units are the same before and behind it
nothing_changed() {
	local before
	before=$(status app '[.active, .generation, .canary, .policy, [.slots[].main_pid]]')
	"$@"
	[[ $(status app '[.active, .generation, .canary, .policy, [.slots[].main_pid]]') == "$before" ]]
}

has_main() { [[ $(status app ".slots[$1].main_pid") != null ]]; }

# begin_change ARG...: hsctl with these in the background; end_change waits, and sets status, output
begin_change() {
	change_file=$BATS_TEST_TMPDIR/change
	hs "$@" >"$change_file" 2>&1 3>&- &
	change_job=$!
}

end_change() {
	status=0
	wait "$change_job" || status=$?
	output=$(<"$change_file")
}

is_idle() { [[ $(status app .change) == null ]]; }
is_at() { grep -q "^$1:" "$change_file"; }
kill_main() { inside systemctl kill -s KILL --kill-who=main "$1"; }

@test "switchover: flip, settle, and one sentence at the end" {
	local before
	before=$(generation app)
	run -0 hs switchover app
	[[ ${lines[0]} == 'flip: slot 1 is ready' ]]
	[[ ${lines[1]} == 'settle: new connections go to slot 1; waiting 50ms' ]]
	[[ ${lines[-1]} =~ ^'app: slot 1 took over from slot 0 in '[0-9.]+m?s'; 0 waiting moved, 0 finished on slot 0; slot 0 stands by.'$ ]]
	[[ $(active app) == 1 ]]
	(($(generation app) == before + 1))
	[[ $(status app '.slots[0] | .role + " " + .state') == 'standby ready' ]]
	[[ $(answering_slot $url) == 1 ]]
}

@test "switchover --json: one object with the names of the contract" {
	run -0 --separate-stderr hs switchover app --json
	jq -e '.service == "app" and .verb == "switchover" and .from == 0 and .to == 1 and .outcome == "done"
		and .then == "keep" and ([.duration_us, .flip_ns, .moved, .finished, .remaining] | all(type == "number"))
		and .duration_us >= 50000 and (.message | startswith("app: slot 1 took over from slot 0"))' <<<"$output"
	[[ ${#lines[@]} == 1 && -z $stderr ]]
}

@test "switchover --settle= and --to= hold" {
	run -0 hs switchover app --to=1 --settle=300ms --drain=0 --json
	jq -e '.duration_us >= 300000' <<<"$output"
	run -0 hs switchover app --to 0 --settle=0 --drain=0
	[[ $output != *settle:* && $output == *'slot 0 took over from slot 1'* ]]
}

@test "switchover --then=stop stops the old instance" {
	run -0 hs switchover app --then=stop
	[[ $output == *'stop: slot 0'* && ${lines[-1]} == *'slot 0 is stopped.' ]]
	[[ $(unit_state app@0) == inactive ]]
	[[ $(status app '.slots[0].state') == down ]]
}

@test "switchover --then=restart restarts the old instance, which stands by" {
	local pid
	pid=$(main_pid app@0)
	run -0 hs switchover app --then=restart
	[[ $output == *'restart: slot 0'* && ${lines[-1]} == *'slot 0 was restarted and stands by.' ]]
	[[ $(unit_state app@0) == active && $(main_pid app@0) != "$pid" ]]
	wait_for 5 is_ready app
	[[ $(active app) == 1 ]]
}

@test "the settings of the service hold where no option is given" {
	printf '[Service]\nSettle=400ms\nThen=stop\n' | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	run -0 hs switchover app --json
	jq -e '.then == "stop" and .duration_us >= 400000' <<<"$output"
	[[ $(unit_state app@0) == inactive ]]
	printf '' | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
}

@test "switchover --no-block returns behind the flip, hsd goes on" {
	run -0 hs switchover app --settle=1500ms --drain=0 --no-block
	[[ $output == *'slot 1 is active; the switchover goes on'* ]]
	[[ $(status app '[.active, .change] | join(" ")') == '1 switchover' ]]
	wait_for 5 is_idle
}

@test "--timeout= ends the waiting, not the change" {
	run -1 hs switchover app --settle=1500ms --timeout=200ms
	[[ $output == *'no answer from hsd after 200ms'* ]]
	[[ $(active app) == 1 ]]
	wait_for 5 is_idle
}

# A hsd that stands still has not even greeted: who goes away then has asked for nothing.
@test "interrupted before hsd could be asked: it ends at once, and nothing is done later either" {
	local before job status=0
	before=$(status app '[.active, .generation]')
	inside pkill -STOP -x hsd
	hs switchover app >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	job=$!
	wait_for 5 inside pgrep -x hsctl >/dev/null
	inside sleep 0.3
	inside pkill -INT -x hsctl
	wait_for 3 ended $job
	inside pkill -CONT -x hsd
	wait $job || status=$?
	((status == 1))
	grep -q 'interrupted before hsd could be asked; nothing has changed' "$BATS_TEST_TMPDIR/out"
	[[ $(status app '[.active, .generation]') == "$before" ]]
}
ended() { [[ ! -d /proc/$1 || $(<"/proc/$1/stat") == *') Z '* ]]; }

# ---- refused: 3, and nothing has changed ----

@test "refused: it is active already" {
	nothing_changed run -3 hs switchover app --to=0
	[[ $output == *'slot 0 is the active one already'* ]]
}

@test "refused: no such slot" {
	nothing_changed run -3 hs switchover app --to=5
	[[ $output == *'no slot 5'*'Slots='* ]]
}

@test "refused: the standby is down" {
	inside systemctl stop app@1
	nothing_changed run -3 hs switchover app
	[[ $output == *'slot 1 (app@1.service) is down, not ready; start it'* ]]
	nothing_changed run -3 hs switchover app --to=1
	nothing_changed run -3 hs failover app
	nothing_changed run -3 hs canary app 5%
}

@test "refused: the standby is starting, and one that never reports ready stays so" {
	inside systemctl stop app@1
	printf '[Service]\nExecStart=\nExecStart=/bin/sleep 1d\n' | write /etc/systemd/system/app@1.service.d/mute.conf
	inside systemctl daemon-reload
	inside systemctl start --no-block app@1
	wait_for 5 is_state app 1 starting
	wait_for 5 has_main 1
	nothing_changed run -3 hs switchover app
	[[ $output == *'slot 1 (app@1.service) is starting, not ready; wait until it has started'* ]]
	inside systemctl stop app@1
	inside rm -r /etc/systemd/system/app@1.service.d
	inside systemctl daemon-reload
}

@test "refused: another change of this service is running" {
	hold 9201 1
	begin_change switchover app --drain=1min
	wait_for 5 is_at drain
	for verb in 'switchover app' 'rollback app' 'failover app'; do
		run -3 hs $verb
		[[ $output == *'another change of this service is running; wait for its end'* ]]
	done
	# nor by the pins, behind the back of hsd
	run -3 hs switchover app --direct
	[[ $output == *'another change of this service is running'* ]]
	let_go
	end_change
	((status == 0))
	[[ $(active app) == 1 ]]
}

# ---- rollback and failover ----

@test "rollback undoes the last switchover, once" {
	hs switchover app
	run -0 hs rollback app
	[[ $output == *'slot 0 took over from slot 1'* ]]
	[[ $(active app) == 0 ]]
	nothing_changed run -3 hs rollback app
	[[ $output == *'there is no switchover to undo'* ]]
}

@test "rollback is refused when the old instance is gone, and when another took its place" {
	hs switchover app --then=stop
	nothing_changed run -3 hs rollback app
	[[ $output == *'the instance of slot 0 that was active before is gone'*'use hsctl switchover'* ]]
	inside systemctl start app@0
	wait_for 5 is_ready app
	nothing_changed run -3 hs rollback app
	[[ $output == *'is gone'* ]]
}

@test "rollback in the middle of a drain is possible once it has ended" {
	hold 9201 2
	begin_change switchover app --drain=1s
	wait_for 5 is_at drain
	end_change
	((status == 0))
	[[ $output == *'2 still there'* ]]
	run -0 hs rollback app
	ask_again
	[[ $held == '0 0' ]]
	let_go
}

@test "failover leaves the active at once, without drain" {
	hold 9201 3
	run -0 hs failover app
	[[ ${lines[-1]} == *'slot 1 took over from slot 0'*'3 still there'* && $output != *drain* ]]
	[[ $(active app) == 1 ]]
	let_go
	run -0 hs failover app --to=0 --json
	jq -e '.verb == "failover" and .to == 0' <<<"$output"
}

# ---- undone: 4, traffic is back ----

@test "undone: the target dies during the settling" {
	begin_change switchover app --settle=10s
	wait_for 5 is_at settle
	kill_main app@1
	end_change
	((status == 4))
	[[ $output == *'undone: slot 1 was lost during the switchover; traffic is back on slot 0'* ]]
	[[ $(active app) == 0 && $(answering_slot $url) == 0 ]]
	wait_for 10 is_ready app
}

@test "undone: the target dies during the draining" {
	hold 9201 1
	begin_change switchover app --drain=20s
	wait_for 5 is_at drain
	kill_main app@1
	end_change
	((status == 4))
	[[ $(active app) == 0 && $(answering_slot $url) == 0 ]]
	ask_again
	[[ $held == 0 ]]
	let_go
	wait_for 10 is_ready app
}

@test "undone: the target is stopped in an orderly way" {
	begin_change switchover app --settle=10s
	wait_for 5 is_at settle
	inside systemctl stop app@1
	end_change
	((status == 4))
	[[ $(active app) == 0 && $(answering_slot $url) == 0 ]]
}

@test "undone: both a failover and a rollback" {
	printf '[Service]\nSettle=8s\n' | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	begin_change failover app
	wait_for 5 is_at settle
	kill_main app@1
	end_change
	((status == 4))
	[[ $(active app) == 0 ]]
	printf '' | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	wait_for 10 is_ready app
}

@test "failed: the target dies while the old one is stopping already" {
	printf '[Service]\nExecStop=/bin/sleep 3\n' | write /etc/systemd/system/app@.service.d/aa-slow.conf
	inside systemctl daemon-reload
	hs enable app@.service
	begin_change switchover app --then=stop
	wait_for 5 is_at stop
	kill_main app@1
	end_change
	((status == 1))
	[[ $output == *'the new instance was lost while the old one was stopping'* ]]
	inside rm /etc/systemd/system/app@.service.d/aa-slow.conf
	inside systemctl daemon-reload
	hs enable app@.service
	wait_for 10 is_state app 1 ready
}

@test "failed: the old instance cannot be restarted; traffic is on the new one" {
	printf '[Service]\nExecStartPre=/bin/false\n' | write /etc/systemd/system/app@0.service.d/broken.conf
	inside systemctl daemon-reload
	run -1 hs switchover app --then=restart
	[[ $output == *'the old instance could not be stopped or restarted'* ]]
	[[ $(active app) == 1 && $(answering_slot $url) == 1 ]]
	[[ $(slot_state app 0) == failed ]]
	inside rm -r /etc/systemd/system/app@0.service.d
	inside systemctl daemon-reload
	inside systemctl reset-failed app@0
}

# ---- usage ----

@test "usage errors are 2, with what is allowed" {
	run -2 hs switchover
	run -2 hs switchover app --to=x
	[[ $output == *'0 to 15'* ]]
	run -2 hs switchover app --settle=soon
	[[ $output == *'such as 50ms'* ]]
	run -2 hs switchover app --settle=1d
	run -2 hs switchover app --then=explode
	[[ $output == *'keep, stop or restart'* ]]
	run -2 hs rollback app --to=1
	[[ $output == *'rollback takes no --to'* ]]
	run -2 hs switchover app@0.service
	[[ $output == *'hsctl switchover app'* ]]
	run -2 hs swichover app
	[[ $output == *'did you mean switchover?'* ]]
	run -2 hs switchover app other
	run -1 hs switchover other
	[[ $output == *'other is not managed by hotstandby; enable it: hsctl enable other@.service'* ]]
}

# ---- the point of it all ----

switch_often() {
	local i
	for ((i = 0; i < 20; i++)); do
		hs switchover app --drain=0 >/dev/null || return 1
	done
}

restart_often() {
	inside bash -c 'for i in 1 2 3 4 5; do systemctl restart plain@0; systemctl restart plain@1; done'
}

@test "20 switchovers under load lose nothing" {
	begin_load $url slot=
	switch_often
	lost_nothing '20 switchovers'
	((load[slot0] > 0 && load[slot1] > 0))
	without '10 restarts instead' restart_often
}

@test "10 switchovers with --then=restart under load lose nothing" {
	begin_load $url slot=
	for i in {1..10}; do
		hs switchover app --drain=1s --then=restart >/dev/null
	done
	lost_nothing '10 switchovers with restart'
	without '10 restarts instead' restart_often
}

@test "20 failovers under load lose nothing" {
	begin_load $url slot=
	for i in {1..20}; do
		hs failover app >/dev/null
	done
	lost_nothing '20 failovers'
	baseline
}

@test "on a terminal the remaining connections count down" {
	hold 9201 3
	inside script -qfc 'hsctl switchover app --drain=10s' /dev/null >"$BATS_TEST_TMPDIR/terminal" </dev/null 3>&- &
	change_job=$!
	wait_for 5 grep -q '3 connections left on slot 0' "$BATS_TEST_TMPDIR/terminal"
	let_go
	wait "$change_job"
	# in lines as wide as the terminal
	tr -s '\r\n' ' ' <"$BATS_TEST_TMPDIR/terminal" |
		grep -q 'slot 1 took over from slot 0 in .* 3 finished on slot 0'
}
