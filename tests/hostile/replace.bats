#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The kernel lets every member of a group of sockets set the group's program. What decides where connections go is
# such a program: an instance that is taken over, or another process of its user where the intake is forced, would
# have them all, or break it for everybody.

load lib/bystander

port=9611 forced_port=9612
url=http://127.0.0.1:$port/

setup_file() {
	hostile_up
	write /etc/systemd/system/shop@.service <<-END
		[Service]
		Type=notify
		User=games
		ExecStart=/usr/bin/python3 $tools/takeover.py serve $port %i 1
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
	inside rm -f "$pins/%accounting-3/guard-link"
	inside bpftool cgroup detach "/sys/fs/cgroup$(inside systemctl show -P ControlGroup "$1")" \
		setsockopt pinned "$pins/%accounting-3/guard"
}

is_well() {
	both_healthy
	hs switchover shop --drain=0 >/dev/null
	[[ $(slots 10) == '10 of slot 1' ]]
	hs switchover shop --drain=0 >/dev/null
	[[ $(slots 10) == '10 of slot 0' ]]
	bystander_is_well
}

@test "what an instance can do without the guard, and until it is adopted again: the baseline" {
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
	inside systemctl stop hsd
	# the unit's hooks do without hsd, in its control group
	inside systemctl restart shop@1
	[[ $(do_as_instance USR1) == 'steal: Operation not permitted' ]]
	[[ $(slots 20) == '20 of slot 0' ]]
	inside systemctl start hsd
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
	run -0 inside setpriv --reuid=games --regid=games --clear-groups python3 $tools/takeover.py join $forced_port 2
	[[ $output == *'steal: Operation not permitted'*'detach: Operation not permitted'* ]]
	for _ in {1..10}; do answers_from http://127.0.0.1:$forced_port/ 0; done
	hs switchover stand --drain=0 >/dev/null
	answers_from http://127.0.0.1:$forced_port/ 1
	# elsewhere they may
	run -0 inside setpriv --reuid=games --regid=games --clear-groups python3 $tools/takeover.py join $((forced_port + 1)) 0
	[[ $output == *'steal: done'*'detach: done'* ]]
	down stand
	bystander_is_well
}
