#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Long: machines are rebooted and killed, and there are many switchovers
#
# A front before three hosts, Mode=dsr: what a user does with it, and what befalls hosts, under load of new connections
# and downloads that have begun before.

load lib/fleet

hosts=(h1 h2 h3) balancers=(f1)
address=10.0.0.100 address6=fd00::100
# SWITCHOVERS=1000 is what was promised; check does a fifth
switchovers=${SWITCHOVERS:-1000}

setup_file() {
	local jobs=() i
	fleet_begin
	for i in 1 2 3; do
		fleet_host "h$i" "1$i" &
		jobs+=($!)
	done
	fleet_front f1 1 <<-END &
		[Front]
		Address=$address $address6
		Ports=80/tcp
		Host=10.0.0.11
		Host=10.0.0.12
		Host=10.0.0.13
		Device=eth0
		[Health]
		Probe=tcp
		Interval=500ms
		Fall=2
	END
	jobs+=($!)
	fleet_client &
	jobs+=($!)
	all_of "${jobs[@]}"
	for i in 1 2 3; do
		fleet_behind "h$i" $address/32 $address6/128
	done
	# the example of keepalived is for the other one
	on f1 ip address add $address6/128 dev eth0 nodad
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	take_back
	on f1 hsctl policy web standby >/dev/null 2>&1 || true
	wait_for 20 all_ready
	wait_for 20 inside curl -sf -m 2 -o /dev/null http://$address/
}

# take_back: what a test has drained
take_back() {
	local slot
	for slot in 0 1 2; do
		on f1 hsctl adopt "web@$slot.service" >/dev/null
	done
}

front() { on f1 hsctl "$@"; }
front_status() { front status --json web | jq -r "$1"; }
all_ready() { [[ $(front_status '[.slots[] | select(.state == "ready")] | length') == 3 ]]; }
is_host() { [[ $(front_status ".slots[$1].state") == "$2" ]]; }
answering() { inside curl -sf -m 5 http://$address/; }

nothing_lost() {
	end_clients
	say "$(clients_line "$1")"
	((seen[requests] >= 200)) || fail "only ${seen[requests]} connections: that proves nothing" || return 1
	((seen[lost] == 0)) || fail 'connections were lost'
}

all_whole() {
	end_streams
	say "$(streams_line "$1")"
	((streams[whole] == streams[streams])) || fail 'downloads were cut'
}

@test "its hosts are slots: the active one has all new connections, and a switchover leads them to another" {
	local now
	[[ $(front_status '[.slots[].role] | sort | join(" ")') == *active* ]]
	now=$(front_status .active)
	[[ $(answering) == "host=h$((now + 1))" ]]
	front switchover web --to=$(((now + 1) % 3)) --drain=0
	[[ $(answering) == "host=h$(((now + 1) % 3 + 1))" ]]
	front rollback web
	[[ $(answering) == "host=h$((now + 1))" ]]
}

@test "$switchovers switchovers of hosts under load lose nothing" {
	begin_clients $address 80 --rate=200
	# shellcheck disable=SC2016 # for the shell inside
	on f1 bash -ec 'for ((i = 1; i <= $1; i++)); do hsctl switchover web --to=$((($2 + i) % 3)) --drain=0 >/dev/null; done' \
		- "$switchovers" "$(front_status .active)"
	nothing_lost "$switchovers switchovers"
	((seen[at_h1] > 0 && seen[at_h2] > 0 && seen[at_h3] > 0))
}

@test "by IPv6, too" {
	wait_for 5 inside curl -sf -m 2 -o /dev/null "http://[$address6]/"
	begin_streams $address6 80 --count=3 --path='/download/100M?rate=20m'
	begin_clients $address6 80
	# shellcheck disable=SC2016 # for the shell inside
	on f1 bash -ec 'for ((i = 1; i <= 20; i++)); do hsctl switchover web --drain=0 >/dev/null; done'
	sleep 2
	nothing_lost '20 switchovers'
	all_whole 'over them'
}

@test "downloads that began before a switchover and a drain end whole, and a drain waits for them" {
	local now
	begin_streams $address 80 --count=6 --path='/download/100M?rate=10m'
	begin_clients $address 80
	now=$(front_status .active)
	front switchover web --drain=0
	run -0 front drain web "$now" --deadline=60s
	[[ $output == *'has no connection left'* ]]
	[[ $(front_status ".slots[$now].state") == leaving ]]
	all_whole 'over a switchover and a drain'
	run -0 front drain web "$(front_status .active)" --deadline=30s
	front switchover web --to="$now" --drain=0 && fail 'a host that is drained became active'
	nothing_lost 'beside it, new connections'
	take_back
	wait_for 10 all_ready
}

@test "a host that dies takes its own connections with it, and no other ones" {
	front policy web hash
	begin_streams $address 80 --count=30 --path='/download/100M?rate=8m' --patience=5
	begin_clients $address 80 --patience=2
	fleet_kill h2
	wait_for 10 is_host 1 down
	end_clients
	say "$(clients_line 'until a host that died is out')"
	[[ $(front agent web) == 'up ready 100%' ]]
	begin_clients $address 80
	sleep 3
	nothing_lost 'once a host that died is out'
	end_streams
	say "$(streams_line 'a host dies')"
	((streams[whole_h1] == streams[at_h1] && streams[whole_h3] == streams[at_h3]))
	((streams[at_h2] > 0 && streams[whole_h2] == 0))
	begin_clients $address 80
	fleet_power h2
	wait_for 30 all_ready
	sleep 2
	nothing_lost 'as it comes back'
	((seen[at_h2] > 0))
}

@test "systemctl reboot of one of three hosts loses nothing; without agent and leave it does" {
	front policy web hash
	begin_clients $address 80
	reboot h1
	wait_for 30 all_ready
	sleep 2
	nothing_lost 'one of three is rebooted'
	((seen[late] == 0 && seen[at_h1] > 0))
	on h1 bash -ec 'mkdir /etc/systemd/system/hotstandby-leave@app.service.d
		printf "[Service]\nExecStop=\n" >/etc/systemd/system/hotstandby-leave@app.service.d/none.conf
		systemctl daemon-reload'
	begin_clients $address 80
	reboot h1
	wait_for 30 all_ready
	end_clients
	say "$(clients_line 'without')"
	((seen[lost] + seen[late] > 0))
	on h1 bash -ec 'rm -r /etc/systemd/system/hotstandby-leave@app.service.d; systemctl daemon-reload'
}

@test "it goes on without hsd, and downloads know nothing of a new one" {
	begin_streams $address 80 --count=6 --path='/download/100M?rate=20m'
	begin_clients $address 80
	on f1 systemctl kill -s KILL hsd
	sleep 1
	on f1 systemctl stop hsd
	sleep 2
	on f1 systemctl start hsd
	nothing_lost 'hsd is killed, stopped and started'
	all_whole 'over the same'
}
