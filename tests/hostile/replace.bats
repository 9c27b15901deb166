#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The kernel lets every member of a group of sockets set the group's program. What decides where connections go is
# such a program: an instance that is taken over, or another process of its user where the intake is forced, would
# have them all, or break it for everybody.
# Long: begun with the first.

load lib/bystander

port=9611 forced_port=9612
url=http://127.0.0.1:$port/

setup_file() {
	hostile_up
	write /etc/systemd/system/shop@.service <<-END
		[Service]
		Type=notify
		User=games
		ExecStart=/usr/bin/python3 $tools/takeover.py serve $port %i
	END
	printf '[Health]\nProbe=http:/\nInterval=200ms\n' | write /etc/hotstandby/shop.conf
	up shop
	wait_for 10 both_healthy
}

both_healthy() { [[ $(status shop '[.slots[].health] | unique | join(" ")') == healthy ]]; }

# slots N: who answers N connections, e.g. "40 0"
slots() {
	for ((i = 0; i < $1; i++)); do inside curl -sS --max-time 2 $url 2>/dev/null || echo 'slot=none'; done |
		sed -n 's/^slot=\([^ ]*\).*/\1/p' | sort | uniq -c | awk '{ if (NR > 1) printf ", "; printf "%s of slot %s", $1, $2 }'
}

# do_as_instance SIGNAL: the standby of shop, slot 1, does it; prints what the kernel said
do_as_instance() {
	local since
	since=$(inside date +%s.%N)
	inside systemctl kill --kill-whom=main -s "$1" shop@1
	wait_for 5 inside bash -c "journalctl -q -o cat -u shop@1 --since=@$since | grep -E '^(steal|detach): '"
}

# guard_off UNIT: it may do what the kernel lets it
guard_off() {
	inside rm -f "$pins/%accounting-4/guard-link"
	inside bpftool cgroup detach "/sys/fs/cgroup$(inside systemctl show -P ControlGroup "$1")" \
		setsockopt pinned "$pins/%accounting-4/guard"
}

# hsd that has just started adopts the slots again, and puts the guard back
is_taken_over() {
	guard_off shop@1
	[[ $(do_as_instance USR1) == 'steal: done' ]]
}

# goes_to SLOT: all who ask now
goes_to() {
	local seen
	seen=$(slots 10)
	[[ $seen == "10 of slot $1" ]] || fail "expected 10 of slot $1, seen $seen"
}

is_well() {
	# a probe may have met the attack; the next ones tell
	wait_for 10 both_healthy || return 1
	hs switchover shop --drain=0 >/dev/null || return 1
	goes_to 1 || return 1
	hs switchover shop --drain=0 >/dev/null || return 1
	goes_to 0 || return 1
	bystander_is_well
}

@test "what an instance can do without the guard, and until it is adopted again: the baseline" {
	bystander_unwatched
	prefer shop 0
	inside systemctl stop hsd
	guard_off shop@1
	[[ $(do_as_instance USR1) == 'steal: done' ]]
	taken=$(slots 40)
	say "the standby has replaced the selector: $taken"
	[[ $taken == '40 of slot 1' ]]
	[[ $(do_as_instance USR2) == 'detach: done' ]]
	taken=$(slots 40)
	say "the standby has taken it off: $taken"
	[[ $taken != '40 of slot 0' ]]
	inside systemctl start hsd
	wait_for 10 is_ready shop
	wait_for 10 both_healthy
	is_well
}

@test "an instance that would have all connections is refused" {
	prefer shop 0
	[[ $(slots 10) == '10 of slot 0' ]]
	[[ $(do_as_instance USR1) == 'steal: Operation not permitted' ]]
	[[ $(slots 40) == '40 of slot 0' ]]
	is_well
}

@test "an instance that would take the selector off is refused" {
	prefer shop 0
	[[ $(do_as_instance USR2) == 'detach: Operation not permitted' ]]
	[[ $(slots 40) == '40 of slot 0' ]]
	is_well
}

@test "so is root in an instance, and hsctl that its hooks run is not" {
	printf '[Service]\nUser=root\n' | write /etc/systemd/system/shop@1.service.d/root.conf
	inside systemctl daemon-reload
	prefer shop 0
	bystander_watched
	inside systemctl stop hsd
	# the unit's hooks do without hsd, in its control group
	inside systemctl restart shop@1
	[[ $(do_as_instance USR1) == 'steal: Operation not permitted' ]]
	[[ $(slots 20) == '20 of slot 0' ]]
	inside systemctl start hsd
	bystander_watch
	wait_for 10 is_ready shop
	inside rm /etc/systemd/system/shop@1.service.d/root.conf
	inside systemctl daemon-reload
	inside systemctl restart shop@1
	wait_for 10 is_ready shop
	wait_for 10 both_healthy
	is_well
}

@test "a process of the same user outside of the unit, where the intake is forced" {
	own_service stand $forced_port --no-reuseport
	printf '[Service]\nUser=games\n' | write /etc/systemd/system/stand@.service.d/user.conf
	printf '[Service]\nIntake=forced\n' | write /etc/hotstandby/stand.conf
	up stand
	prefer stand 0
	run -0 inside setpriv --reuid=games --regid=games --clear-groups python3 $tools/takeover.py join $forced_port
	[[ $output == *'steal: Operation not permitted'*'detach: Operation not permitted'* ]]
	for _ in {1..10}; do answers_from http://127.0.0.1:$forced_port/ 0; done
	hs switchover stand --drain=0 >/dev/null
	answers_from http://127.0.0.1:$forced_port/ 1
	# elsewhere they may
	run -0 inside setpriv --reuid=games --regid=games --clear-groups python3 $tools/takeover.py join $((forced_port + 1))
	[[ $output == *'steal: done'*'detach: done'* ]]
	down stand
	bystander_is_well
}

# ---- where the guard has not kept it from that, it is noticed, told and undone ----

# slot_now: who answers a connection that is made now
slot_now() { slots 1 | sed -n 's/.* of slot //p'; }

# keep_asking: connections all the time, as clients make them; stop_asking ends that
keep_asking() {
	# one after the other would be few where processes are slow to start
	inside bash -c "exec -a keep-asking bash -c 'for _ in 1 2 3 4; do
		while :; do curl -sS --max-time 2 $1; sleep 0.05; done &
	done; wait'" \
		>/dev/null 2>&1 3>&- &
	asking=$!
}

stop_asking() {
	inside pkill -f '^keep-asking' || true
	wait "$asking" 2>/dev/null || true
}

told() { inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE="$1" HS_EVENT=replaced; }
was_told() { [[ -n $(told shop) ]]; }

# has_again SLOT: five connections in a row
has_again() { [[ $(slots 5) == "5 of slot $1" ]]; }

# whatever came of it, no slot was blamed
nobody_was_blamed() {
	run ! inside bash -c "journalctl -q -o cat --since=@$rig_began HS_SERVICE=shop HS_EVENT=health | grep unhealthy"
	both_healthy
}

@test "a selector that was replaced is found by a probe, attached again, and told" {
	prefer shop 0
	guard_off shop@1
	[[ $(do_as_instance USR1) == 'steal: done' ]]
	wait_for 2 has_again 0
	wait_for 2 was_told
	say "$(told shop | head -1)"
	nobody_was_blamed
	[[ $(status shop .problem) == 'the selector was replaced or taken off: '* ]]
	# and now it is guarded
	[[ $(do_as_instance USR1) == 'steal: Operation not permitted' ]]
	is_well
}

@test "a selector that was taken off, too" {
	prefer shop 0
	# one burst is told once
	bystander_unwatched
	inside systemctl restart hsd
	bystander_watch
	wait_for 10 is_ready shop
	wait_for 10 both_healthy
	guard_off shop@1
	[[ $(do_as_instance USR2) == 'detach: done' ]]
	wait_for 2 was_told
	wait_for 2 has_again 0
	nobody_was_blamed
	[[ $(do_as_instance USR2) == 'detach: Operation not permitted' ]]
	is_well
}

@test "without probes the counts tell, and who had the connections" {
	prefer shop 0
	write /etc/hotstandby/shop.conf </dev/null
	bystander_unwatched
	inside systemctl restart hsd
	bystander_watch
	wait_for 10 is_ready shop
	keep_asking $url
	wait_for 5 is_taken_over
	# it takes a number of connections to tell
	wait_for 10 was_told
	wait_for 2 has_again 0
	stop_asking
	say "$(told shop | head -1)"
	[[ $(told shop) == *"most came to slot 1 (shop@1.service, process $(main_pid shop@1))"* ]]
	[[ $(told shop | wc -l) == 1 ]]
	hs switchover shop --drain=0 >/dev/null
	[[ $(slots 10) == '10 of slot 1' ]]
	bystander_is_well
}

@test "a process outside of the unit that has taken it over is named" {
	local thief
	own_service stand $forced_port --no-reuseport
	printf '[Service]\nUser=games\n' | write /etc/systemd/system/stand@.service.d/user.conf
	printf '[Service]\nIntake=forced\n[Health]\nProbe=http:/\nInterval=200ms\n' | write /etc/hotstandby/stand.conf
	up stand
	prefer stand 0
	inside rm -f "$pins/%accounting-4/guard-link"
	inside setpriv --reuid=games --regid=games --clear-groups python3 $tools/takeover.py keep $forced_port \
		>/dev/null 2>&1 3>&- &
	wait_for 5 eval '[[ -n $(told stand) ]]'
	thief=$(inside pgrep -f '^python3.* keep ')
	say "$(told stand | head -1)"
	[[ $(told stand) == *"process $thief (python3), which listens there too" ]]
	wait_for 2 answers_from http://127.0.0.1:$forced_port/ 0
	inside kill "$thief"
	hs switchover stand --drain=0 >/dev/null
	answers_from http://127.0.0.1:$forced_port/ 1
	down stand
	bystander_is_well
}

@test "one that does it over and over again is told once, and does not keep hsd busy" {
	local used begun elapsed
	bystander_unwatched
	printf '[Health]\nProbe=http:/\nInterval=200ms\n' | write /etc/hotstandby/shop.conf
	inside systemctl restart hsd
	wait_for 10 is_ready shop
	wait_for 10 both_healthy
	prefer shop 0
	bystander_watch
	used=$(inside systemctl show -P CPUUsageNSec hsd)
	begun=${EPOCHREALTIME/[.,]/}
	for _ in {1..24}; do
		guard_off shop@1 2>/dev/null || true
		inside systemctl kill --kill-whom=main -s USR2 shop@1
		sleep 0.25
	done
	used=$((($(inside systemctl show -P CPUUsageNSec hsd) - used) / 1000000))
	elapsed=$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
	bystander_watched
	say "hsd and its workers have used $used ms of CPU in $elapsed ms, $(told shop | wc -l) times told"
	[[ $(told shop | wc -l) == 1 ]]
	# what a slow machine does in more time takes it more
	((used < elapsed * 3 / 10))
	# the last word is hsd's
	wait_for 10 has_again 0
	nobody_was_blamed
	is_well
}

@test "connections that are as they should be tell nothing" {
	prefer shop 0
	keep_asking $url
	for _ in 1 2 3; do hs switchover shop --drain=0 >/dev/null; done
	inside systemctl restart shop@0 shop@1
	wait_for 10 is_ready shop
	for _ in 1 2 3; do
		hs switchover shop --drain=0 >/dev/null
		sleep 1
	done
	stop_asking
	[[ -z $(told shop) ]] || fail "told: $(told shop)"
	bystander_is_well
}
