#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Servers that accept nothing: those that are full are left, but what they have in work goes on to its end; those
# that stand still are restarted.
# Thorough: the rule is held by the unit tests of standstill and stall, and by hang.

load lib/rig

port=9850
url=http://127.0.0.1:$port

setup_file() {
	rig_up
	inside systemctl start hsd
	pool 4
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	settings FailoverHold=0
	inside systemctl kill -s CONT pool@0 pool@1 || true
	wait_for 15 is_ready pool
	prefer pool 0
	pids="$(main_pid pool@0) $(main_pid pool@1)"
	jobs=()
}

# pool WORKERS: of each slot, anew
pool() {
	write /etc/systemd/system/pool@.service <<-END
		[Service]
		ExecStart=/usr/bin/python3 $tools/pool.py $port %i $1
	END
	inside systemctl daemon-reload
	inside systemctl stop pool@0 pool@1 2>/dev/null || true
	up pool
}

settings() {
	printf '%s\n' '[Service]' "$@" | write /etc/hotstandby/pool.conf
	inside systemctl reload hsd
}

# in_background COMMAND...: what it says is in $BATS_TEST_TMPDIR/N, N from 0 on
in_background() {
	"$@" >"$BATS_TEST_TMPDIR/${#jobs[@]}" 2>&1 3>&- &
	jobs+=($!)
}
said() { cat "$BATS_TEST_TMPDIR/$1"; }

all_end() {
	local job
	for job in "${jobs[@]}"; do
		wait "$job" || true
	done
}

# hold_workers COUNT SECONDS: clients that say nothing
hold_workers() {
	in_background inside python3 $tools/idle.py $port "$1" "$2"
	wait_for 5 has_connections "$1"
}
has_connections() { (($(status pool '[.slots[].connections] | add') >= $1)); }

ask() { in_background inside curl -sS --max-time "${2:-30}" "$url$1"; }

events() { inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=pool HS_EVENT="$1"; }
has_said() { events "$1" | grep -q -- "$2"; }

nobody_was_restarted() {
	[[ $pids == "$(main_pid pool@0) $(main_pid pool@1)" ]] || fail "restarted: $pids" || return 1
	[[ -z $(events restart) && -z $(events hang) ]]
}

@test "full of clients that say nothing: left, not restarted, and they keep their connections" {
	hold_workers 4 12
	[[ $(fetch $url) == slot=1* ]]
	wait_for 5 has_said full 'slot 0: it is full: 1 connection waits and none was accepted for '
	has_said full 'what it has in work goes on, and it stands by again when it accepts'
	is_state pool 0 full
	[[ $(status pool '.slots[0].full') == true && $(hs list --json | jq '.[0].full') == 1 ]]
	[[ $(hs list) == *'1/2, 1 full'* ]]
	run -3 hs switchover pool
	[[ $output == *'slot 0 (pool@0.service) is full, not ready; what it has in work goes on'* ]]
	[[ $(status pool '.slots[0].problem') == 'it is full: '* ]]
	all_end
	[[ $(said 0) == 4 ]]
	wait_for 10 is_ready pool
	has_said recovered 'slot 0: it serves again, and stands by'
	nobody_was_restarted
}

@test "full of downloads: all of them go on to their end" {
	for _ in 1 2 3 4; do ask '/slow?6'; done
	wait_for 5 has_connections 4
	[[ $(fetch $url) == slot=1* ]]
	wait_for 5 has_said full 'it is full'
	all_end
	for i in 0 1 2 3; do
		[[ $(said $i) == "$(printf '.%.0s' {1..60})" ]]
	done
	wait_for 10 is_ready pool
	nobody_was_restarted
}

@test "busy with what takes long: computing, or waiting for somebody else" {
	ask '/compute?6'
	for _ in 1 2 3; do ask '/wait?6'; done
	wait_for 5 has_connections 4
	[[ $(fetch $url) == slot=1* ]]
	all_end
	for i in 0 1 2 3; do
		[[ $(said $i) == slot=0* ]]
	done
	wait_for 10 is_ready pool
	nobody_was_restarted
}

@test "both slots are full: told once, left alone until one has room, and all are answered" {
	needs_iterators
	for _ in 1 2 3 4; do ask '/wait?5'; done
	wait_for 5 has_connections 4
	for _ in 1 2 3 4 5; do ask '/wait?5'; done
	wait_for 10 has_said full 'slot 1: it is full: .*no other slot is fit to take over, so it is left alone'
	all_end
	for i in {0..8}; do
		[[ $(said $i) == slot=* ]]
	done
	wait_for 10 is_ready pool
	(($(events full | grep -c 'left alone') == 1))
	nobody_was_restarted
}

@test "stuck in a lock, with requests that nobody reads: left, and restarted when that lasts" {
	needs_iterators
	local pid
	settings FailoverHold=0 Drain=3s
	pid=$(main_pid pool@0)
	ask /deadlock 5
	wait_for 5 has_connections 1
	for _ in 1 2 3; do ask / 5; done
	wait_for 5 has_connections 4
	[[ $(fetch $url) == slot=1* ]]
	wait_for 10 is_new pool@0 "$pid"
	has_said hang 'slot 0: it hangs: .*; it will be restarted as soon as nothing has moved in it for 3s'
	has_said hang 'slot 0: it stands still: .* for 3.*; it will be restarted'
	[[ -z $(events full) ]]
	all_end
	wait_for 10 is_ready pool
}

@test "DrainEnd=keep: what stands still is not restarted as long as it has connections" {
	needs_iterators
	settings FailoverHold=0 Drain=2s DrainEnd=keep
	ask /deadlock 4
	wait_for 5 has_connections 1
	for _ in 1 2 3; do ask / 4; done
	wait_for 5 has_connections 4
	[[ $(fetch $url) == slot=1* ]]
	wait_for 10 has_said hang 'slot 0: it stands still: .*; it will be restarted when its connections have ended (DrainEnd=keep)'
	run ! wait_until 3 has_event pool restart
	is_state pool 0 suspect
	all_end
	inside systemctl restart pool@0
	wait_for 10 is_ready pool
}

@test "DrainEnd=reset: its clients are told before what stands still is restarted" {
	needs_iterators
	local pid
	# it does not obey, and is killed only after a while
	write /etc/systemd/system/pool@.service.d/stubborn.conf <<<'[Service]
KillSignal=SIGWINCH
TimeoutStopSec=8s'
	inside systemctl daemon-reload
	settings FailoverHold=0 Drain=2s DrainEnd=reset
	pid=$(main_pid pool@0)
	ask /deadlock 60
	wait_for 5 has_connections 1
	for _ in 1 2 3; do ask / 60; done
	wait_for 5 has_connections 4
	[[ $(fetch $url) == slot=1* ]]
	wait_for 10 is_unit_state pool@0 deactivating
	all_end
	[[ $(said 1) == *'reset by peer'* ]]
	[[ $(main_pid pool@0) == "$pid" ]]
	wait_for 20 is_new pool@0 "$pid"
	inside rm /etc/systemd/system/pool@.service.d/stubborn.conf
	inside systemctl daemon-reload
	wait_for 15 is_ready pool
}

@test "it accepts nothing though it has nothing in work: left and restarted" {
	needs_iterators
	local pid
	write /usr/lib/system-tests/absent.py <<-'END'
		import signal, socket, sys, time
		s = socket.socket()
		s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
		s.bind(("", int(sys.argv[1])))
		s.listen(64)
		signal.signal(signal.SIGUSR1, lambda *_: time.sleep(1000))
		while True:
		    c, _ = s.accept()
		    c.recv(4096)
		    c.sendall(b"HTTP/1.0 200 OK\r\n\r\nslot=%s here" % sys.argv[2].encode())
		    c.close()
	END
	write /etc/systemd/system/absent@.service <<-END
		[Service]
		ExecStart=/usr/bin/python3 /usr/lib/system-tests/absent.py 9851 %i
	END
	up absent
	printf '[Service]\nDrain=2s\n' | write /etc/hotstandby/absent.conf
	inside systemctl reload hsd
	prefer absent 0
	[[ $(fetch http://127.0.0.1:9851/) == slot=0* ]]
	pid=$(main_pid absent@0)
	inside systemctl kill -s USR1 absent@0
	[[ $(fetch http://127.0.0.1:9851/) == slot=1* ]]
	wait_for 10 is_new absent@0 "$pid"
	down absent
}

@test "full, and stuck only later: restarted when it stands still" {
	needs_iterators
	local pid
	settings FailoverHold=0 Drain=4s
	pid=$(main_pid pool@0)
	ask '/slow?3'
	for _ in 1 2; do ask '/wait?60' 4; done
	wait_for 5 has_connections 3
	ask /deadlock 4
	wait_for 5 has_connections 4
	[[ $(fetch $url) == slot=1* ]]
	wait_for 5 has_said full 'it is full'
	inside systemctl kill -s STOP pool@0
	wait_for 10 has_said retire 'slot 0: it was stopped by a signal; it goes on, so that what it has in work can end'
	wait_for 20 is_new pool@0 "$pid"
	all_end
	wait_for 10 is_ready pool
}

@test "the whole machine stands still for a while, again and again, under load: nothing is done" {
	settings FailoverHold=0 Stall=1s
	begin_load $url/ slot= 8
	for _ in 1 2 3 4 5; do
		pause_machine 2.5
		sleep 0.3
	done
	lost_nothing 'machine frozen for 2.5 s five times'
	[[ $(active pool) == 0 && -z $(events full) ]]
	nobody_was_restarted
}

@test "the machine stands still while somebody waits: that is no time of waiting" {
	settings FailoverHold=0 Stall=8s
	for _ in 1 2 3; do ask '/wait?20'; done
	wait_for 5 has_connections 3
	ask '/work?0.5'
	wait_for 5 has_connections 4
	ask /
	wait_for 5 has_connections 5
	pause_machine 9
	wait "${jobs[4]}"
	[[ $(said 4) == slot=0* ]]
	all_end
	[[ $(active pool) == 0 && -z $(events full) ]]
	nobody_was_restarted
}

# All that is in the container, hsd too; the load with it.
pause_machine() {
	local group
	read -r group <"$(_container_state "$rig")/cgroup"
	group=${group%/*}
	echo 1 >"$group/cgroup.freeze"
	sleep "$1"
	echo 0 >"$group/cgroup.freeze"
}
