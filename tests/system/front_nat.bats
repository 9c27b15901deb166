#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Thorough: what becomes of packets in this mode is looked at by the plane tests; here it is that it works on machines
#
# A front with Mode=nat between the network of the clients and that of the hosts, which have no address but their own.

load lib/fleet

hosts=(h1 h2) balancers=(f1)
address=10.1.0.100

setup_file() {
	local jobs=() i
	fleet_begin
	for i in 1 2; do
		fleet_host "h$i" "1$i" &
		jobs+=($!)
	done
	fleet_front f1 1 <<-END &
		[Front]
		Address=$address
		Ports=80/tcp
		Host=10.0.0.11
		Host=10.0.0.12
		Mode=nat
		Device=eth0
		[Health]
		Interval=500ms
		Fall=2
	END
	jobs+=($!)
	fleet_client &
	jobs+=($!)
	all_of "${jobs[@]}"
	# both networks are on one switch, but hosts know the other one behind the front alone
	on f1 systemctl stop keepalived
	on f1 ip address add 10.1.0.1/24 dev eth0
	on f1 ip address add $address/24 dev eth0
	on f1 sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0
	inside ip address flush dev eth0
	inside ip address add 10.1.0.200/24 dev eth0
	for i in 1 2; do
		on "h$i" ip route add 10.1.0.0/24 via 10.0.0.1
	done
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	wait_for 20 all_ready
	wait_for 20 inside curl -sf -m 2 -o /dev/null http://$address/
}

front_status() { on f1 hsctl status --json web | jq -r "$1"; }
all_ready() { [[ $(front_status '[.slots[] | select(.state == "ready")] | length') == 2 ]]; }

@test "hosts see the client's own address, and clients only the service's" {
	[[ $(inside curl -sf -m 2 -o /dev/null -w '%{remote_ip}' http://$address/) == "$address" ]]
	begin_streams $address 80 --count=1 --path='/download/100M?rate=30m'
	on "h$(($(front_status .active) + 1))" ss -Htn state established '( sport = :80 )' | grep -q 10.1.0.200
	end_streams
	((streams[whole] == 1))
}

@test "switchovers lose nothing, and downloads end whole" {
	begin_streams $address 80 --count=6 --path='/download/100M?rate=20m'
	begin_clients $address 80
	# shellcheck disable=SC2016 # for the shell inside
	on f1 bash -ec 'for ((i = 1; i <= 40; i++)); do hsctl switchover web --drain=0 >/dev/null; done'
	end_clients
	say "$(clients_line '40 switchovers')"
	((seen[requests] >= 100 && seen[lost] == 0 && seen[at_h1] > 0 && seen[at_h2] > 0))
	end_streams
	say "$(streams_line 'over them')"
	((streams[whole] == streams[streams]))
}
