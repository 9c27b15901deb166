#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A front asks its hosts by the very path that clients' packets take, which is what probes, plugins and `hsctl exec` go
# by: hosts in network namespaces of the container, which have the service's address on loopback.

load lib/rig

address=198.51.100.10 address6=2001:db8::10

# in_host N CMD...: in the network of host N
in_host() { inside ip netns exec "h$1" "${@:2}"; }

# serve N [ADDRESS]: a server of host N that says its name, on the service's address
serve() {
	local on=${2:-$address}
	write "/etc/nginx/h$1.conf" <<-END
		pid /run/nginx-h$1.pid;
		events {}
		http {
			access_log off;
			server { listen $on:80; $([[ $on != "$address" ]] || echo "listen [$address6]:80;") return 200 "h$1\n"; }
		}
	END
	in_host "$1" nginx -e stderr -c "/etc/nginx/h$1.conf"
}

stop_serving() {
	local pid
	pid=$(inside cat "/run/nginx-h$1.pid") || return 1
	inside kill "$pid"
	wait_for 5 is_gone "$pid"
}

is_gone() { ! inside kill -0 "$1" 2>/dev/null; }

host() {
	inside sh -ec "
		ip netns add h$1; ip -n h$1 link set lo up
		ip link add p$1 type veth peer name eth0 netns h$1
		ip link set p$1 netns wire; ip -n wire link set p$1 master wire up
		ip netns exec h$1 sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore; echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce'
		ip -n h$1 addr add $address/32 dev lo; ip -n h$1 addr add $address6/128 dev lo nodad
		ip -n h$1 addr add 10.9.0.1$1/24 dev eth0; ip -n h$1 addr add fd09::1$1/64 dev eth0 nodad; ip -n h$1 link set eth0 up"
	serve "$1"
}

# settings LINE...: of [Health], beside what all have here
settings() {
	write /etc/hotstandby/web.conf <<-END
		[Front]
		Address=$address
		Address=$address6
		Ports=80/tcp
		Host=10.9.0.11
		Host=10.9.0.12
		Device=front0
		Agent=0
		[Health]
		Interval=200ms
		Fall=2
		$(printf '%s\n' "$@")
	END
	inside systemctl reload hsd
}

setup_file() {
	rig_up
	inside sh -ec "
		ip netns add wire; ip -n wire link add wire type bridge; ip -n wire link set wire up
		ip link add front0 type veth peer name p0 netns wire; ip -n wire link set p0 master wire up
		ip addr add 10.9.0.1/24 dev front0; ip addr add fd09::1/64 dev front0 nodad; ip link set front0 up
		ip addr add $address/32 dev lo; ip addr add $address6/128 dev lo nodad"
	host 1
	host 2
	inside systemctl start hsd
	settings Probe=http:/
	wait_for 20 is_ready web
}

reason() { status web ".slots[$1].health_reason"; }
is_well() { [[ $(slot_state web "$1") == ready ]]; }
is_not_well() { [[ $(slot_state web "$1") != ready ]]; }
answers() { [[ $(hs exec web "$1" -- curl -s -m 5 "http://$2/") == "h$(($1 + 1))" ]]; }

@test "a host is asked at the service's address: one that serves at its own alone is not well" {
	stop_serving 2
	serve 2 10.9.0.12
	[[ $(inside curl -s http://10.9.0.12/) == h2 ]]
	wait_for 10 is_not_well 1
	is_well 0
	stop_serving 2
	serve 2
	wait_for 10 is_well 1
}

@test "exec reaches the host that is asked for, by IPv4, whoever is active" {
	local host
	for host in 0 1; do
		run -0 hs exec web $host -- curl -s -m 5 -w '%{remote_ip}' http://$address/
		[[ $output == "h$((host + 1))"$'\n'"$address" ]]
	done
	hs switchover web --drain=0
	[[ $(active web) == 1 ]]
	answers 0 $address
	answers 1 $address
	hs switchover web --drain=0
}

@test "by an address of the other family than the host's nothing is begun" {
	run ! hs exec web 1 -- curl -s -m 5 "http://[$address6]/"
	[[ $output == *'no address of that family'* ]]
}

@test "exec with --direct, when there is no hsd" {
	inside systemctl stop hsd
	[[ $(hs --direct exec web 1 -- curl -s -m 5 http://$address/) == h2 ]]
	inside systemctl start hsd
	wait_for 20 is_ready web
}

@test "a host that does not exist is refused, and what was not answered is told" {
	run -3 hs exec web 5 -- true
	run ! hs exec --must-connect web 1 -- true
	[[ $output == *'no connection to host 1'* ]]
	stop_serving 2
	run hs exec web 1 -- curl -s -m 5 http://$address/
	[[ $output != *h1* ]]
	serve 2
	wait_for 10 is_well 1
}

agent_says() { [[ $(hs agent web) == "$1" ]]; }
are_kept() { [[ $(status web '[.slots[] | select(.kept) | .slot] | join(" ")') == "$1" ]]; }

@test "when no host is well, those that were last go on, and its agent says down" {
	stop_serving 1
	stop_serving 2
	wait_for 10 are_kept '0 1'
	agent_says 'down #no host is well'
	[[ $(status web '[.slots[].sockets] | join(" ")') == '1 1' ]]
	hs status web | grep 'no host is well; new connections go on to those that were last: 10.9.0.11, 10.9.0.12'
	inside journalctl -u hsd --since="@$rig_began" | grep 'no host is well: host 10.9.0.1[12] (slot [01]) gets new connections still'
	inside systemctl restart hsd
	wait_for 10 are_kept '0 1'
	agent_says 'down #no host is well'
	serve 2
	wait_for 10 is_well 1
	are_kept ''
	agent_says 'up ready 100%'
	[[ $(status web '.slots[0].sockets') == 0 && $(active web) == 1 ]]
	serve 1
	wait_for 10 is_well 0
	hs switchover web --to=0 --drain=0
}

@test "a report of a front asks for no units, and there is no slot beyond its hosts" {
	hs report web --output=/root/front.tar.zst
	inside tar -tf /root/front.tar.zst >"$BATS_TEST_TMPDIR/files"
	grep -q web/status.json "$BATS_TEST_TMPDIR/files"
	run ! grep units "$BATS_TEST_TMPDIR/files"
	run ! hs --direct adopt web@7.service
	[[ $output == *'web has no host 7'* ]]
}

@test "a plugin asks the host that it is for" {
	write /usr/local/bin/check-host <<-'END'
		#!/bin/sh
		got=$(curl -s -m 2 http://198.51.100.10/)
		[ "$got" = "h$((HOTSTANDBY_SLOT + 1))" ] && echo fine || { echo "it is $got"; exit 2; }
	END
	inside chmod 755 /usr/local/bin/check-host
	settings Probe=exec:/usr/local/bin/check-host
	wait_for 20 is_ready web
	stop_serving 2
	wait_for 10 is_not_well 1
	[[ $(reason 1) == *'it is'* ]]
	is_well 0
	serve 2
	wait_for 10 is_well 1
}

@test "a host whose family none of the addresses has is judged by what else is known of it" {
	settings Probe=http:/
	inside sed -i "/^Address=$address\$/d" /etc/hotstandby/web.conf
	inside systemctl reload hsd
	wait_for 20 is_ready web
	in_host 2 ip link set eth0 down
	wait_for 30 is_not_well 1
	is_well 0
	in_host 2 ip link set eth0 up
	wait_for 30 is_well 1
	settings Probe=http:/
}

@test "in nat the host is asked at its own address, where clients' packets go" {
	stop_serving 1
	stop_serving 2
	serve 1 10.9.0.11
	serve 2 10.9.0.12
	inside sed -i -e '/^Address=2001/d' -e '/^Device=/a Mode=nat' /etc/hotstandby/web.conf
	inside systemctl reload hsd
	wait_for 20 is_ready web
	answers 1 $address
	answers 0 $address
}

@test "nothing of it is left" {
	inside sh -c 'tc filter show dev front0 egress | grep -q hs_led_egress'
	hs disable web
	run ! inside sh -c 'tc qdisc show dev front0 | grep clsact'
	run ! inside test -e /sys/fs/bpf/hotstandby/%led
}
