#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Long: machines are killed, and downloads waited for
# Thorough: it takes minutes; test_second and test_decap look at the same, packet by packet
#
# Two fronts, of which keepalived gives the address to one that is well, Mode=ipip: one of them loses its power or leaves
# under load. What has begun goes on by the other one, which has never heard of it.

load lib/fleet

hosts=(h1 h2 h3) balancers=(f1 f2)
address=10.0.0.100

settings() {
	cat <<-END
		[Service]
		HashKey=/etc/hotstandby/web.key
		[Front]
		Address=$address
		Ports=80/tcp
		Host=10.0.0.11
		Host=10.0.0.12
		Host=10.0.0.13
		Mode=ipip
		Device=eth0
		[Health]
		Interval=500ms
		Fall=2
	END
}

host() {
	fleet_host "$@" && fleet_behind "$1" $address/32 || return 1
	printf '[Front]\nDecap=yes\nDecapFrom=10.0.0.0/24\n' >"$(container_root "$1")/etc/hotstandby/app.conf"
	on "$1" systemctl reload hsd
}

setup_file() {
	local jobs=() i
	fleet_begin
	for i in 1 2 3; do
		host "h$i" "1$i" &
		jobs+=($!)
	done
	for i in 1 2; do
		settings | fleet_front "f$i" "$i" &
		jobs+=($!)
	done
	fleet_client &
	jobs+=($!)
	all_of "${jobs[@]}"
}

setup() {
	local machine
	rig_began=${EPOCHREALTIME/,/.}
	# what a test that failed has left
	for machine in f1 f2; do
		fleet_is_up $machine || { fleet_power $machine && wait_for 30 fleet_is_up $machine; }
	done
	wait_for 20 all_ready f1
	wait_for 20 all_ready f2
	wait_for 20 inside curl -sf -m 2 -o /dev/null http://$address/
	# which of them has it is of no matter, so long as the other one could
	wait_for 20 one_has_it
}

both() {
	on f1 hsctl "$@" && on f2 hsctl "$@"
}
all_ready() { [[ $(on "$1" hsctl status --json web | jq '[.slots[] | select(.state == "ready")] | length') == 3 ]]; }
has_it() { on "$1" ip -o address show dev eth0 | grep -qF " $address/"; }
master() { if has_it f1; then echo f1; else echo f2; fi; }
other_than() { if [[ $1 == f1 ]]; then echo f2; else echo f1; fi; }
# not both, as may be while they find each other
one_has_it() { [[ $(has_it f1 && echo 1)$(has_it f2 && echo 2) =~ ^[12]$ ]]; }

# lose: the front that has the address loses its power, and the other one gets it
lose() {
	lost=$(master)
	fleet_kill "$lost"
	wait_for 10 has_it "$(other_than "$lost")"
}

find_again() {
	fleet_power "$lost"
	wait_for 30 fleet_is_up "$lost"
}

all_whole() {
	end_streams
	say "$(streams_line "$1")"
	((streams[whole] == streams[streams])) || fail 'downloads were cut'
}

@test "two fronts with one file and one key have clients on the same hosts" {
	both policy web hash
	[[ $(on f1 hsctl table web --hash) == "$(on f2 hsctl table web --hash)" ]]
}

@test "a front loses its power: what has begun goes on by the other, whose table is the same" {
	both policy web hash
	begin_streams $address 80 --count=24 --path='/download/100M?rate=10m'
	begin_clients $address 80
	lose
	sleep 1
	end_clients
	say "$(clients_line 'a front loses its power')"
	# who begins in that second has to ask twice
	((seen[lost] == 0 && seen[longest_ms] < 4000))
	begin_clients $address 80
	sleep 2
	end_clients
	say "$(clients_line 'once the other one has the address')"
	((seen[lost] == 0 && seen[late] == 0))
	all_whole 'over that'
	find_again
}

# streams_over_change: downloads at the active host, behind which others are led to the next one, as the front goes
streams_over_change() {
	local front
	both policy web standby
	# either may be there already
	for front in f1 f2; do
		on "$front" hsctl switchover web --to=0 --drain=0 2>/dev/null || true
	done
	begin_streams $address 80 --count=12 --path='/download/100M?rate=12m' --patience=8
	both switchover web --to=1 --drain=0
	[[ $(inside curl -sf -m 2 http://$address/) == 'host=h2' ]]
	lose
	end_streams
	find_again
}

@test "also what is with the host before: one that does not know a connection passes it on" {
	streams_over_change
	say "$(streams_line 'over a switchover and the end of the front')"
	((streams[whole] == streams[streams]))
}

@test "which packets as they are would not survive" {
	on f1 sed -i 's/^Mode=.*/Mode=dsr/' /etc/hotstandby/web.conf
	on f2 sed -i 's/^Mode=.*/Mode=dsr/' /etc/hotstandby/web.conf
	on f1 systemctl reload hsd
	on f2 systemctl reload hsd
	wait_for 20 all_ready f1
	wait_for 20 all_ready f2
	streams_over_change
	say "$(streams_line 'the same with Mode=dsr')"
	((streams[whole] == 0))
	on f1 sed -i 's/^Mode=.*/Mode=ipip/' /etc/hotstandby/web.conf
	on f2 sed -i 's/^Mode=.*/Mode=ipip/' /etc/hotstandby/web.conf
	on f1 systemctl reload hsd
	on f2 systemctl reload hsd
}

@test "a front that leaves hands the address over, and nobody notices" {
	local left
	both policy web hash
	left=$(master)
	begin_streams $address 80 --count=12 --path='/download/100M?rate=12m'
	begin_clients $address 80
	on "$left" hsctl leave web --deadline=10s
	has_it "$(other_than "$left")"
	end_clients
	say "$(clients_line 'a front leaves')"
	((seen[lost] == 0))
	all_whole 'over that'
	on "$left" hsctl join web
}
