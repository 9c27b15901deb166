#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Exclusive=yes: a server that may run only once (here: it takes a lock, and fails without) is switched over with
# nothing refused, and back if the new one does not come; also when hsd dies in the middle of it.
# Long: begun with the first.

load lib/rig

# clients wait here for as long as it takes to stop one and start the other
export LOAD_TIMEOUT=20

url=http://127.0.0.1:9801/

setup_file() {
	rig_up
	inside systemctl start hsd
	write /etc/systemd/system/app@.service <<-'END'
		[Unit]
		Description=app, slot %i, of which only one may run
		StartLimitIntervalSec=0
		[Service]
		Type=notify
		EnvironmentFile=-/etc/app-%i.env
		ExecStart=/usr/bin/flock --nonblock --no-fork --conflict-exit-code 75 /run/app.lock /usr/lib/hotstandby/hs-example-server --slot=%i --idle-grace=100 --listen=0.0.0.0:9801 $MORE
	END
	printf '[Service]\nExclusive=yes\n' | write /etc/hotstandby/app.conf
	inside systemctl daemon-reload
	hs enable app@.service
	inside systemctl start app@0
	wait_for 5 is_state app 0 ready
}

# slot 0 serves, slot 1 is down, and nothing is under way
setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl reset-failed 'app@*' || true
	inside rm -f /etc/app-1.env /etc/app-0.env
	inside systemctl stop app@1
	inside systemctl start hsd app@0
	wait_for 10 is_state app 0 ready
	wait_for 10 is_at_rest
	wait_for 10 is_active app 0
}

is_at_rest() { status app '[.park, .change, .manager] == [false, null, true]' | grep -qx true; }
slots() { status app '[.active, .slots[0].state, .slots[1].state] | map(tostring) | join(" ")'; }
slots_are() { [[ $(slots) == "$1" ]]; }
told() { inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=app HS_EVENT="$1"; }

# never_two: the lock was never found taken
never_two() { ! inside journalctl -q --since="@$rig_began" -u 'app@*' -o cat | grep -q 'status=75'; }

@test "status: the standby is down, and that is right" {
	[[ $(slots) == '0 ready down' ]]
	[[ $(status app .problem) == null ]]
}

@test "switchover: stopped, started, and nobody refused" {
	begin_load $url slot=
	run -0 hs switchover app
	[[ ${lines[0]} == 'hold: new connections wait' && ${lines[1]} == 'stop: slot 0'* && ${lines[2]} == 'start: slot 1'* ]]
	[[ ${lines[-1]} =~ ^'app: slot 1 took over from slot 0 in '[0-9.]+m?s'; slot 0 was stopped first, and '[0-9]+' connections waited meanwhile.'$ ]]
	[[ $(slots) == '1 down ready' ]]
	is_at_rest
	run -0 hs switchover app --json
	jq -e '.verb == "switchover" and .from == 1 and .to == 0 and .outcome == "done" and .exclusive == true
		and .moved > 0 and .duration_us > 0 and .then == "stop"' <<<"$output"
	[[ $(slots) == '0 ready down' ]]
	[[ $(hs history app --json -n 1 | jq -r '"\(.verb) \(.outcome) \(.by) \(.from) \(.to)"') == 'switchover done root 1 0' ]]
	lost_nothing '2 exclusive switchovers'
	never_two
	baseline
}

@test "rollback is the same way backwards" {
	hs switchover app >/dev/null
	begin_load $url slot=
	run -0 hs rollback app
	[[ $(slots) == '0 ready down' ]]
	lost_nothing 'an exclusive rollback'
	run -3 hs rollback app
	[[ $output == *'there is no switchover to undo'* ]]
}

@test "again and again: nothing is lost" {
	local i
	begin_load $url slot=
	for i in 1 2 3 4 5 6; do
		hs switchover app >/dev/null
	done
	lost_nothing '6 exclusive switchovers'
	never_two
	is_active app 0
}

@test "the new one does not start: undone, exit 4, and nobody refused" {
	printf 'MORE=--no-such-option\n' | write /etc/app-1.env
	begin_load $url slot=
	run -4 hs switchover app
	[[ $output == *'app: undone: it did not start; slot 0 serves again, and '*' connections waited meanwhile. See journalctl -u app@1.'* ]]
	slots_are '0 ready failed' || slots_are '0 ready down'
	is_at_rest
	lost_nothing 'undone'
	never_two
}

@test "the new one listens elsewhere: undone" {
	printf 'MORE=\n' | write /etc/app-1.env
	printf '[Service]\nExclusive=yes\nPorts=9801\n' | write /etc/hotstandby/app.conf
	inside mkdir -p /etc/systemd/system/app@1.service.d
	printf '[Service]\nExecStart=\nExecStart=/usr/lib/hotstandby/hs-example-server --slot=1 --listen=0.0.0.0:9888\n' |
		write /etc/systemd/system/app@1.service.d/elsewhere.conf
	inside systemctl daemon-reload
	inside systemctl reload hsd
	run -4 hs switchover app
	[[ $output == *'its sockets could not be adopted; slot 0 serves again'* ]]
	inside rm -r /etc/systemd/system/app@1.service.d
	inside systemctl daemon-reload
	printf '[Service]\nExclusive=yes\n' | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	never_two
}

@test "both run: a problem in status, and no switchover" {
	# the operator's own business, with a lock that is not taken
	inside mkdir -p /etc/systemd/system/app@1.service.d
	printf '[Service]\nExecStart=\nExecStart=/usr/lib/hotstandby/hs-example-server --slot=1 --idle-grace=100 --listen=0.0.0.0:9801\n' |
		write /etc/systemd/system/app@1.service.d/nolock.conf
	inside systemctl daemon-reload
	inside systemctl start app@1
	wait_for 5 is_state app 1 ready
	[[ $(status app .problem) == 'slots 0 and 1 run at the same time, though Exclusive=yes; stop one of them: systemctl stop app@1' ]]
	run -3 hs switchover app
	[[ $output == *'slot 1 (app@1.service) is ready, and with Exclusive=yes only one may run; stop it first: systemctl stop app@1'* ]]
	inside systemctl stop app@1
	inside rm -r /etc/systemd/system/app@1.service.d
	inside systemctl daemon-reload
	[[ $(status app .problem) == null ]]
}

@test "without hsd: refused" {
	inside systemctl stop hsd
	run -1 hs switchover app
	[[ $output == *'needs hsd; start it: systemctl start hsd'* ]]
	[[ $(active app) == 0 ]]
}

@test "with --drain the old connections may end first" {
	hold 9801 2
	run -0 hs switchover app --drain=300ms --json
	jq -e '.duration_us >= 300000' <<<"$output"
	let_go
	hs switchover app >/dev/null
}

# kill_at STEP: hsd is killed as soon as this step of a switchover is told
kill_at() {
	local step=$1 pid job
	pid=$(main_pid hsd)
	hs switchover app >"$BATS_TEST_TMPDIR/change" 2>&1 3>&- &
	job=$!
	wait_for 5 grep -q "^$step" "$BATS_TEST_TMPDIR/change"
	inside systemctl kill -s KILL hsd
	status=0
	wait "$job" || status=$?
	output=$(<"$BATS_TEST_TMPDIR/change")
	wait_for 10 is_new hsd "$pid"
	wait_for 20 is_at_rest
	((status == 1)) || return 1
	[[ $output == *'hsd went away in the middle of it; the next hsd finishes it, or undoes it, and says which'* ]]
	told switchover | grep -F '(begun by an hsd before this one)'
}

slow() {
	printf '[Service]\n%s=/bin/sleep 1\n' "$1" | write /etc/systemd/system/app@.service.d/aa-slow.conf
	inside systemctl daemon-reload
}

fast() {
	inside rm /etc/systemd/system/app@.service.d/aa-slow.conf
	inside systemctl daemon-reload
}

@test "hsd killed while the old one stops: the next hsd finishes it" {
	slow ExecStopPost
	begin_load $url slot=
	kill_at stop
	fast
	[[ $(slots) == '1 down ready' ]]
	lost_nothing 'hsd killed in STOP'
	never_two
	hs switchover app >/dev/null
}

@test "hsd killed while the new one starts: the next hsd finishes it" {
	slow ExecStartPre
	begin_load $url slot=
	kill_at start
	fast
	[[ $(slots) == '1 down ready' ]]
	lost_nothing 'hsd killed in START'
	never_two
	hs switchover app >/dev/null
}

@test "hsd killed while the old connections drain: undone" {
	hold 9801 1
	pid=$(main_pid hsd)
	hs switchover app --drain=20s >"$BATS_TEST_TMPDIR/change" 2>&1 3>&- &
	job=$!
	wait_for 5 grep -q '^drain' "$BATS_TEST_TMPDIR/change"
	inside systemctl kill -s KILL hsd
	status=0
	wait $job || status=$?
	((status == 1))
	wait_for 10 is_new hsd "$pid"
	wait_for 10 is_at_rest
	told switchover | grep -F 'undone (begun by an hsd before this one): slot 0 serves on'
	ask_again
	[[ $held == 0 ]]
	let_go
}

# kill_for_good STEP ARG...: hsd is killed as soon as this step of a switchover is told, and no other begins
kill_for_good() {
	local step=$1 job
	shift
	printf '[Service]\nRestart=no\n' | write /etc/systemd/system/hsd.service.d/no-restart.conf
	inside systemctl daemon-reload
	hs switchover app "$@" >"$BATS_TEST_TMPDIR/change" 2>&1 3>&- &
	job=$!
	wait_for 5 grep -q "^$step" "$BATS_TEST_TMPDIR/change"
	inside systemctl kill -s KILL hsd
	wait "$job" || true
	wait_for 10 is_unit_state hsd failed
	inside rm -r /etc/systemd/system/hsd.service.d
	inside systemctl daemon-reload
}

@test "released without hsd: the change is over, and the next hsd has nothing to undo" {
	hold 9801 1
	kill_for_good drain --drain=20s
	run -0 --separate-stderr hs release app --json
	[[ $(jq -r .message <<<"$output") == 'app: the change that an hsd had begun is given up; slot 0 is active, and new connections go there.' ]]
	jq -e '.active == 0 and .park == false' <<<"$output"
	answers_from $url 0
	inside systemctl start hsd
	wait_for 10 is_at_rest
	# a whole round of hsd with it
	hs adopt app@0.service
	! told switchover | grep -F '(begun by an hsd before this one)' || return 1
	[[ $(slots) == '0 ready down' ]]
	ask_again
	[[ $held == 0 ]]
	let_go
}

@test "released without hsd while no slot is ready: refused, and the next hsd finishes it" {
	slow_until /run/go
	kill_for_good start
	run -3 --separate-stderr hs release app
	[[ $stderr == *'app: no slot is ready, so new connections have nowhere to go'*'finishes that, or undoes it: systemctl start hsd'* ]]
	[[ $(status app .park) == true ]]
	inside systemctl start hsd
	inside touch /run/go
	wait_for 20 is_at_rest
	inside rm /run/go
	fast
	[[ $(slots) == '1 down ready' ]]
	told switchover | grep -F '(begun by an hsd before this one)'
	never_two
	hs switchover app >/dev/null
}

slow_until() {
	printf '[Service]\nExecStartPre=/bin/sh -c "until test -e %s; do sleep 0.1; done"\n' "$1" |
		write /etc/systemd/system/app@.service.d/aa-slow.conf
	inside systemctl daemon-reload
}

@test "hsd killed while it undoes: the old one serves again" {
	printf 'MORE=--no-such-option\n' | write /etc/app-1.env
	slow ExecStartPre
	begin_load $url slot=
	kill_at 'undo: slot 0'
	fast
	is_active app 0
	wait_for 10 is_state app 0 ready
	lost_nothing 'hsd killed in START_OLD'
	never_two
}

@test "hsd killed at random moments: it ends well every time" {
	local i pid
	begin_load $url slot=
	for i in {1..8}; do
		pid=$(main_pid hsd)
		hs switchover app >/dev/null 2>&1 3>&- &
		inside bash -c "sleep 0.$((RANDOM % 4))$((RANDOM % 10)); systemctl kill -s KILL hsd"
		wait_for 10 is_new hsd "$pid"
		wait_for 20 is_at_rest
		wait_for 10 answers_from $url "$(active app)"
	done
	lost_nothing 'hsd killed at random'
	never_two
	prefer_0
}

prefer_0() { is_active app 0 || hs switchover app >/dev/null; }

@test "the only instance crashes: RestartOnCrash brings it back, alone" {
	local pid
	pid=$(main_pid app@0)
	inside systemctl kill -s KILL --kill-who=main app@0
	wait_for 10 is_new app@0 "$pid"
	answers_from $url 0
	[[ $(slots) == '0 ready down' ]]
}
