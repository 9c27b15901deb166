#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Plain systemd commands and signals under load: what is planned loses nothing, a crash loses no more than
# what was in flight. Each with the same done to two instances that share the address by SO_REUSEPORT alone.
# Long: begun with the first.
# Thorough: the other Debian's run has it.

load lib/rig

url=http://127.0.0.1:9401/
clients=24

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9401
	socket_service sock 9402
	up app
	up sock
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start app@0 app@1 sock@0 sock@1
	wait_for 10 is_ready app
	wait_for 10 is_ready sock
}

# in one go inside, for the name to be put in: "systemctl restart NAME@0; ..."
script() { inside bash -ec "${1//NAME/$2}"; }

# planned WHAT SCRIPT: with hotstandby, for both kinds of service, and without
planned() {
	local name
	for name in app sock; do
		begin_load "http://127.0.0.1:$([[ $name == app ]] && echo 9401 || echo 9402)/" slot= $clients
		script "$2" $name
		wait_for 10 is_ready $name
		lost_nothing "$1, $name"
	done
	without "$1" script "$2" plain
}

@test "restarts of the one and the other" {
	planned '8 restarts' 'for i in 1 2 3 4; do systemctl restart NAME@0; systemctl restart NAME@1; done'
	plain_slots=0 without '4 restarts of one alone' script 'for i in 1 2 3 4; do systemctl restart NAME@0; done' plain
}

@test "stops and starts of the one and the other" {
	planned '4 stops and starts' 'for i in 1 2; do systemctl stop NAME@0; systemctl start NAME@0
		systemctl stop NAME@1; systemctl start NAME@1; done'
}

@test "both restarted in one command" {
	planned '3 restarts of both' 'for i in 1 2 3; do systemctl restart NAME@0 NAME@1; done'
}

# The second command may catch an instance in the middle of its start, just as the socket unit is let go:
# systemd then starts it without a socket. That start fails, and hsd fetches it another.
@test "both restarted by a pattern, again before the first restart is over" {
	planned 'restarts by a pattern' 'for i in 1 2 3; do
			systemctl restart --no-block "NAME@*.service"
			sleep 0.$((RANDOM % 3))$((RANDOM % 10))
			systemctl restart "NAME@*.service" || true
		done'
}

@test "a main process that is asked to end by a signal of its own" {
	begin_load $url slot= $clients
	# it closes its sockets and ends well; without Restart= it stays down, and the other serves
	prefer app 0
	inside systemctl kill -s TERM app@0
	wait_for 10 is_active app 1
	wait_for 10 is_unit_state app@0 inactive
	inside systemctl start app@0
	wait_for 10 is_ready app
	end_load
	say "$(load_line 'a SIGTERM, no retire before it')"
	# nobody announced it, so what was in flight at that very moment is all that may be lost
	((load[lost] <= clients && load[wrong] == 0 && load[hung] == 0))
}

# ---- crashes ----

crashes=3

crash_plain() {
	local i
	for ((i = 0; i < crashes; i++)); do
		inside systemctl kill -s KILL plain@0
		inside bash -c 'until systemctl is-failed -q plain@0; do sleep 0.01; done; systemctl start plain@0'
	done
}

@test "a crash of the active one loses at most what was in flight; it comes back as the standby" {
	local i active pid
	begin_load $url slot= $clients
	for ((i = 0; i < crashes; i++)); do
		active=$(active app)
		pid=$(main_pid "app@$active")
		inside systemctl kill -s KILL "app@$active"
		wait_for 10 is_active app $((1 - active))
		wait_for 10 is_ready app
		[[ $(main_pid "app@$active") != "$pid" ]]
		[[ $(status app ".slots[$active].role") == standby ]]
	done
	end_load
	say "$(load_line "$crashes crashes of the active")"
	((load[lost] <= crashes * clients && load[wrong] == 0 && load[hung] == 0))
	# reset because the process was gone; refused at most while a dying socket closes, never for want
	# of a listener
	((load[refused] <= 2 * crashes))
	without "$crashes crashes" crash_plain
}

@test "a crash of the standby loses nothing" {
	local i pid slot
	slot=$(standby app)
	begin_load $url slot= $clients
	for ((i = 0; i < crashes; i++)); do
		pid=$(main_pid "app@$slot")
		inside systemctl kill -s KILL "app@$slot"
		wait_for 10 is_new "app@$slot" "$pid"
		wait_for 10 is_ready app
	done
	lost_nothing "$crashes crashes of the standby"
	baseline
}

@test "a crash while hsd is away: the kernel alone moves on, hsd finds out later" {
	local active
	active=$(active app)
	inside systemctl stop hsd
	begin_load $url slot= $clients
	inside systemctl kill -s KILL "app@$active"
	wait_for 10 answers_from $url $((1 - active))
	inside systemctl start hsd
	wait_for 10 is_active app $((1 - active))
	wait_for 10 is_ready app
	end_load
	say "$(load_line 'a crash without hsd')"
	# a SYN that arrives while the dying socket closes is refused: in flight, too
	((load[lost] <= clients))
}

@test "RestartOnCrash=no leaves a crashed instance alone" {
	own_service calm 9403
	printf '[Service]\nRestartOnCrash=no\n' | write /etc/hotstandby/calm.conf
	up calm
	inside systemctl kill -s KILL calm@0
	wait_for 5 is_active calm 1
	wait_for 5 has_event calm crash
	# a restart would come 100 ms behind the crash
	inside sleep 0.6
	[[ $(unit_state calm@0) == failed ]]
	[[ $(slot_state calm 0) == failed ]]
	down calm
}

# ---- what hotstandby itself depends on ----

@test "restart, stop and start of hsd" {
	begin_load $url slot= $clients
	inside bash -ec 'for i in 1 2 3; do systemctl restart hsd; systemctl restart app@$((i % 2)); systemctl stop hsd
		systemctl restart app@$((i % 2)); systemctl start hsd; done'
	lost_nothing 'hsd and instances restarted'
	baseline
	wait_for 10 is_ready app
}

@test "SIGKILL of hsd" {
	local i pid
	begin_load $url slot= $clients
	for i in 1 2 3; do
		pid=$(main_pid hsd)
		inside systemctl kill -s KILL hsd
		inside systemctl restart app@$((i % 2))
		wait_for 10 is_new hsd "$pid"
	done
	lost_nothing '3 kills of hsd, instances restarted meanwhile'
	baseline
	wait_for 10 is_ready app
}

@test "restart of the bus: hsd comes back" {
	begin_load $url slot= $clients
	inside systemctl restart dbus
	wait_for 20 knows_app
	inside systemctl restart app@0
	inside systemctl restart app@1
	wait_for 10 is_ready app
	lost_nothing 'the bus restarted'
	baseline
	hs switchover app
}

knows_app() { [[ $(status app .manager 2>/dev/null) == true ]]; }

@test "restart and death of the journal" {
	begin_load $url slot= $clients
	inside systemctl restart systemd-journald
	hs switchover app --drain=0
	inside systemctl kill -s KILL systemd-journald
	hs switchover app --drain=0
	inside systemctl kill -s STOP systemd-journald
	took_at_most 5000 hs switchover app --drain=0
	inside systemctl restart app@0
	inside systemctl kill -s CONT systemd-journald
	lost_nothing 'the journal restarted, killed and stopped'
	baseline
	wait_for 10 is_ready app
}

@test "daemon-reload and daemon-reexec of systemd" {
	begin_load $url slot= $clients
	inside systemctl daemon-reload
	inside systemctl restart app@0
	inside systemctl daemon-reexec
	inside systemctl restart app@1
	wait_for 10 is_ready app
	hs switchover app --drain=0
	lost_nothing 'systemd reloaded and re-executed'
	baseline
}
