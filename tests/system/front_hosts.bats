#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Thorough: what becomes of packets is looked at by the plane tests; here it is that it works on machines
#
# Two fronts on one device of a machine, by IPv4 and IPv6: one with Mode=ipip, before which hosts are put in and taken out
# under load, and one for datagrams, which stay with their host.

load lib/fleet

hosts=(h1 h2 h3) balancers=(f1)
address=10.0.0.100 address6=fd00::100
datagrams=10.0.0.101 datagrams6=fd00::101

# settings HOST...: lines of Host=
settings() {
	cat <<-END
		[Service]
		Policy=hash
		[Front]
		Address=$address $address6
		Ports=80/tcp
		Mode=ipip
		Device=eth0
		$(printf 'Host=%s\n' "$@")
		[Health]
		Interval=500ms
		Fall=2
		Probe=tcp:80
	END
}

datagram_settings() {
	cat <<-END
		[Service]
		Policy=hash
		[Front]
		Address=$datagrams $datagrams6
		Ports=53/udp
		Host=10.0.0.11
		Host=10.0.0.12
		Device=eth0
	END
}

host() {
	local root
	fleet_host "$1" "$2" && fleet_behind "$1" $address/32 $address6/128 $datagrams/32 $datagrams6/128 || return 1
	root=$(container_root "$1")
	printf '[Front]\nDecap=yes\nDecapFrom=10.0.0.0/24\n' >"$root/etc/hotstandby/app.conf"
	cp "$top/tests/system/lib/front_udp.py" "$root/root/"
	on "$1" systemctl reload hsd
	on "$1" systemd-run -q --unit=udp python3 /root/front_udp.py serve "$1" 53 $datagrams $datagrams6
}

setup_file() {
	local jobs=() i
	fleet_begin
	for i in 1 2 3; do
		host "h$i" "1$i" &
		jobs+=($!)
	done
	settings 10.0.0.11 10.0.0.12 | fleet_front f1 1 &
	jobs+=($!)
	fleet_client &
	jobs+=($!)
	all_of "${jobs[@]}"
	# the example of keepalived is for the other one
	on f1 ip address add $address6/128 dev eth0 nodad
	on f1 ip address add $datagrams/32 dev eth0
	on f1 ip address add $datagrams6/128 dev eth0 nodad
	datagram_settings >"$(container_root f1)/etc/hotstandby/dns.conf"
	on f1 systemctl reload hsd
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	configure 10.0.0.11 10.0.0.12
	wait_for 20 are_ready 2
	on f1 hsctl adopt web@1.service >/dev/null || true
	wait_for 20 inside curl -sf -m 2 -o /dev/null http://$address/
	wait_for 20 inside curl -sf -m 2 -o /dev/null "http://[$address6]/"
}

front() { on f1 hsctl "$@"; }
front_status() { front status --json web | jq -r "$1"; }
are_ready() { [[ $(front_status '[.slots[] | select(.state == "ready")] | length') == "$1" ]]; }
dns_is_ready() { [[ $(front status --json dns | jq '[.slots[] | select(.state == "ready")] | length') == 2 ]]; }
is_given() { [[ $(front_status '[.slots[].host // empty] | join(" ")') == "$1" ]]; }
configure() {
	settings "$@" >"$(container_root f1)/etc/hotstandby/web.conf"
	on f1 systemctl reload hsd
}

declare -gA flows=()

begin_flows() {
	inside python3 $tools/front_udp.py ask "$@" >"$BATS_TEST_TMPDIR/flows" 3>&- &
	flows_job=$!
}

end_flows() {
	local word
	wait "$flows_job"
	say "$(cat "$BATS_TEST_TMPDIR/flows")"
	declare -gA flows=()
	for word in $(cat "$BATS_TEST_TMPDIR/flows"); do
		flows[${word%%=*}]=${word#*=}
	done
}

# over_changes ADDRESS: flows are with both hosts; who has a host stays there while others begin elsewhere
over_changes() {
	begin_flows "$1" 53 --flows=40 --seconds=6
	sleep 1
	front weight dns 0 30%
	sleep 1
	front policy dns standby
	sleep 1
	front switchover dns --drain=0
	front policy dns hash
	front weight dns 0 100%
	end_flows
	((flows[sent] > 2000 && flows[answered] == flows[sent] && flows[moved] == 0))
	((flows[at_h1] > 0 && flows[at_h2] > 0))
}

@test "flows of UDP stay with their host over weights, policies and a switchover, and each datagram is answered" {
	wait_for 20 dns_is_ready
	over_changes $datagrams
	(($(front status --json dns | jq '[.slots[].new_flows] | add') >= 40))
}

@test "so do those of IPv6" { over_changes $datagrams6; }

@test "switchovers lose nothing by IPv6, and downloads end whole" {
	begin_streams $address6 80 --count=6 --path='/download/100M?rate=20m'
	begin_clients $address6 80
	front policy web standby
	# shellcheck disable=SC2016 # for the shell inside
	on f1 bash -ec 'for ((i = 1; i <= 20; i++)); do hsctl switchover web --drain=0 >/dev/null; done'
	front policy web hash
	end_clients
	say "$(clients_line '20 switchovers')"
	((seen[requests] >= 100 && seen[lost] == 0 && seen[at_h1] > 0 && seen[at_h2] > 0))
	end_streams
	say "$(streams_line 'over them')"
	((streams[whole] == streams[streams]))
}

@test "a host is put in, and another one taken out, and what the others have ends whole" {
	begin_streams $address 80 --count=20 --path='/download/100M?rate=6m'
	begin_clients $address 80
	configure 10.0.0.11 10.0.0.12 10.0.0.13
	wait_for 20 are_ready 3
	sleep 1
	end_clients
	say "$(clients_line 'a host is put in')"
	((seen[requests] >= 100 && seen[lost] == 0 && seen[at_h3] > 0))
	# nobody new comes to it any more, and then it goes, with what it has
	front drain web 1 --deadline=1s || true
	begin_clients $address 80
	configure '10.0.0.11 slot=0' '10.0.0.13 slot=2'
	wait_for 10 is_given '10.0.0.11 10.0.0.13'
	sleep 2
	end_clients
	say "$(clients_line 'another one is taken out')"
	((seen[requests] >= 100 && seen[lost] == 0 && ${seen[at_h2]:-0} == 0))
	end_streams
	say "$(streams_line 'over both')"
	((streams[at_h1] > 0 && streams[whole_h1] == streams[at_h1]))
	((streams[at_h2] > 0 && ${streams[whole_h2]:-0} == 0))
}
