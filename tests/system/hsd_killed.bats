#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsd killed in every state of a change: traffic does not notice, hsctl says what holds now, and the next
# hsd goes on from what it finds.

load lib/rig

url=http://127.0.0.1:9601/

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9601
	up app
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start app@0 app@1
	wait_for 10 is_ready app
	prefer app 0
}

# kill_at STEP ARG...: hsctl ARG..., and hsd is killed as soon as this step is told
kill_at() {
	local step=$1 pid
	shift
	pid=$(main_pid hsd)
	# not what the one before said
	: >"$BATS_TEST_TMPDIR/change"
	hs "$@" >"$BATS_TEST_TMPDIR/change" 2>&1 3>&- &
	change_job=$!
	wait_for 5 grep -q "^$step:" "$BATS_TEST_TMPDIR/change"
	inside systemctl kill -s KILL hsd
	status=0
	wait "$change_job" || status=$?
	output=$(<"$BATS_TEST_TMPDIR/change")
	wait_for 10 is_new hsd "$pid"
	wait_for 10 knows_app
}

knows_app() { [[ $(status app .manager 2>/dev/null) == true ]]; }

# the new hsd has a consistent view, and its next change works
is_consistent() {
	wait_for 10 is_ready app
	[[ $(status app '[.manager, .change, .active] | map(tostring) | join(" ")') == "true null $1" ]]
	[[ $(answering_slot $url) == "$1" ]]
	hs switchover app --drain=0
	hs switchover app --drain=0
	[[ $(active app) == "$1" ]]
}

@test "killed while settling" {
	begin_load $url slot=
	kill_at settle switchover app --settle=3s
	((status == 1))
	[[ $output == *'hsd went away in the middle of it; slot 1 is active, and nobody waits for the old instance any more'* ]]
	is_consistent 1
	lost_nothing
	baseline
}

@test "killed while draining" {
	hold 9601 2
	begin_load $url slot=
	kill_at drain switchover app --drain=10s
	((status == 1))
	[[ $output == *'slot 1 is active'* ]]
	ask_again
	[[ $held == '0 0' ]]
	is_consistent 1
	let_go
	lost_nothing
	baseline
}

slow_stop() {
	printf '[Service]\nExecStop=/bin/sleep 2\n' | write /etc/systemd/system/app@.service.d/aa-slow.conf
	inside systemctl daemon-reload
	hs enable app@.service >/dev/null
}

fast_stop() {
	inside rm /etc/systemd/system/app@.service.d/aa-slow.conf
	inside systemctl daemon-reload
	hs enable app@.service >/dev/null
}

@test "killed while the old instance stops: systemd goes on" {
	slow_stop
	begin_load $url slot=
	kill_at stop switchover app --then=stop
	((status == 1))
	[[ $output == *'slot 1 is active'* ]]
	wait_for 10 is_unit_state app@0 inactive
	[[ $(status app '.slots[0].state') == down ]]
	fast_stop
	inside systemctl start app@0
	is_consistent 1
	lost_nothing
	baseline
}

@test "killed while the old instance restarts: systemd goes on" {
	local pid
	slow_stop
	pid=$(main_pid app@0)
	begin_load $url slot=
	kill_at restart switchover app --then=restart
	((status == 1))
	wait_for 10 is_new app@0 "$pid"
	fast_stop
	is_consistent 1
	lost_nothing
	baseline
}

@test "killed during a failover and a rollback" {
	printf '[Service]\nSettle=3s\n' | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	begin_load $url slot=
	kill_at settle failover app
	[[ $output == *'slot 1 is active'* ]]
	wait_for 10 is_ready app
	kill_at settle rollback app
	[[ $output == *'slot 0 is active'* ]]
	printf '' | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	is_consistent 0
	lost_nothing
	baseline
}

@test "a rollback after the kill still finds its way back" {
	kill_at settle switchover app --settle=3s
	run -0 hs rollback app
	[[ $(active app) == 0 ]]
}

@test "killed while an instance starts, is adopted, or retires" {
	local i pid
	begin_load $url slot=
	for i in 1 2 3 4 5 6; do
		pid=$(main_pid hsd)
		inside systemctl restart --no-block "app@$((i % 2))"
		inside bash -c "sleep 0.0$((RANDOM % 10))$((RANDOM % 10)); systemctl kill -s KILL hsd"
		wait_for 10 is_new hsd "$pid"
		wait_for 10 is_ready app
	done
	lost_nothing
	baseline
}

@test "killed at random moments of switchovers" {
	local i pid code=0 codes=''
	begin_load $url slot=
	for i in {1..8}; do
		pid=$(main_pid hsd)
		hs switchover app --settle=70ms >/dev/null 2>&1 3>&- &
		change_job=$!
		inside bash -c "sleep 0.0$((RANDOM % 10))$((RANDOM % 10)); systemctl kill -s KILL hsd"
		code=0
		wait $change_job || code=$?
		codes+=" $code"
		wait_for 10 is_new hsd "$pid"
		wait_for 10 is_ready app
	done
	say "exit codes of hsctl:$codes"
	is_consistent "$(active app)"
	lost_nothing
	baseline
}

@test "idle hsd: stopped by the watchdog when it hangs, and back" {
	local pid
	printf '[Service]\nWatchdogSec=2s\n' | write /etc/systemd/system/hsd.service.d/watchdog.conf
	inside systemctl daemon-reload
	inside systemctl restart hsd
	pid=$(main_pid hsd)
	inside systemctl kill -s STOP hsd
	wait_for 20 is_new hsd "$pid"
	wait_for 10 knows_app
	is_consistent 0
	inside rm -r /etc/systemd/system/hsd.service.d
	inside systemctl daemon-reload
	inside systemctl restart hsd
}

# uname(2) is called by each hsd that starts, and nothing depends on it
@test "a system call that its filter refuses does not end hsd" {
	local pid
	printf '[Service]\nSystemCallFilter=~uname\n' | write /etc/systemd/system/hsd.service.d/refused.conf
	inside systemctl daemon-reload
	inside systemctl restart hsd
	pid=$(main_pid hsd)
	wait_for 10 knows_app
	is_consistent 0
	[[ $(main_pid hsd) == "$pid" ]]
	inside rm -r /etc/systemd/system/hsd.service.d
	inside systemctl daemon-reload
	inside systemctl restart hsd
}
