#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# UDP: name servers of the distribution under a load of queries while their slots are switched and
# restarted, servers from a socket unit, servers that bind late; and what users see of flows.
# Long: begun with the first.
# Thorough: the other Debian's run has it.

load lib/rig
load lib/servers

# switch_often NAME SECONDS: as often as it goes for SECONDS; sets switches
switch_often() {
	# shellcheck disable=SC2016 # expanded inside
	inside timeout 100 bash -c 'for ((n = 0; SECONDS < $2; n++)); do
		hsctl switchover "$1" --settle=0 --drain=0 --then=keep >/dev/null || exit
	done; echo $n' sh "$1" "$2" >"$BATS_TEST_TMPDIR/switches"
	switches=$(<"$BATS_TEST_TMPDIR/switches")
}

restart_both() {
	inside systemctl restart "$1@0"
	inside systemctl restart "$1@1"
}

# alone UNIT PORT: what a restart costs without us
alone() {
	inside systemctl start "$1"
	begin_queries "$2" 4 4000 1
	inside systemctl restart "$1"
	inside systemctl restart "$1"
	end_queries
	say "without, 2 restarts of $1 alone: $sent queries, $lost lost"
	inside systemctl stop "$1"
}

flow() {
	printf '[Service]\nPorts=%s\nFlow=%s\n' "$2" "$3" | write "/etc/hotstandby/$1.conf"
	inside systemctl reload hsd
}

# ---- name servers ----

@test "nsd, which sets SO_REUSEPORT by itself: switched and restarted under queries" {
	nsd_template 5301
	nsd_config alone 5302 | write /etc/nsd/nsd.conf
	mkdir -p "$(container_root "$rig")/etc/hotstandby"
	up nsd
	status nsd '[.listeners[] | "\(.protocol) \(.address)"] | sort | join(", ")'
	[[ $(status nsd '[.listeners[] | "\(.protocol) \(.address)"] | sort | join(", ")') == \
		'tcp 127.0.0.1:5301, udp 127.0.0.1:5301' ]]

	flow nsd 5301 none
	begin_queries 5301 9
	switch_often nsd 6
	lost_no_query "Flow=none, $switches switchovers"
	((switches >= 5))
	[[ $(status nsd '[.slots[].chosen] | map(. > 1000) | all') == true ]]

	begin_queries 5301 8
	restart_both nsd
	restart_both nsd
	lost_no_query 'Flow=none, 4 restarts'

	flow nsd 5301 connection
	# longer than all that: what has flows at the end is what serves then
	begin_queries 5301 10
	switch_often nsd 3
	restart_both nsd
	restart_both nsd
	inside systemctl restart nsd@0 nsd@1
	lost_no_query "Flow=connection, $switches switchovers and 6 restarts"
	# dnsperf's clients and what else asked
	(($(status nsd '[.slots[].flows] | add') >= 20))
	hs status nsd | grep -q FLOWS
	down nsd
	inside systemctl stop nsd
	alone nsd 5302
}

@test "knot: switched and restarted under queries" {
	template knot
	zone /var/lib/knot/example.test.zone
	for slot in 0 1; do
		write /etc/knot/slot$slot.conf <<-END
			server:
			    rundir: /run/knot-$slot
			    listen: 0.0.0.0@5303
			    udp-workers: 3
			database:
			    storage: /var/lib/knot/$slot
			zone:
			  - domain: example.test
			    storage: /var/lib/knot
			    file: example.test.zone
			    journal-content: none
		END
	done
	inside chown -R knot:knot /var/lib/knot
	write /etc/systemd/system/knot@.service.d/slot.conf <<-'END'
		[Service]
		RuntimeDirectory=knot-%i
		StateDirectory=knot/%i
		ExecStartPre=
		ExecStart=
		ExecStart=/usr/sbin/knotd -c /etc/knot/slot%i.conf
	END
	up knot
	[[ $(status knot '[.slots[].sockets] | map(. >= 3) | all') == true ]]
	begin_queries 5303 14
	switch_often knot 4
	restart_both knot
	inside systemctl restart knot@0 knot@1
	lost_no_query "knot: $switches switchovers, 4 restarts"
	down knot
}

@test "unbound: switched and restarted under queries" {
	template unbound
	for slot in 0 1; do
		write /etc/unbound/slot$slot.conf <<-END
			server:
			    directory: /etc/unbound
			    chroot: ""
			    pidfile: ""
			    interface: 127.0.0.1@5304
			    do-not-query-localhost: no
			    num-threads: 2
			    so-reuseport: yes
			    local-zone: example.test static
			    local-data: "www.example.test A 192.0.2.80"
			remote-control:
			    control-enable: no
		END
	done
	write /etc/systemd/system/unbound@.service.d/slot.conf <<-'END'
		[Service]
		ExecStartPre=
		ExecStopPost=
		ExecStart=
		ExecStart=/usr/sbin/unbound -d -p -c /etc/unbound/slot%i.conf
	END
	up unbound
	begin_queries 5304 14
	switch_often unbound 4
	restart_both unbound
	inside systemctl restart unbound@0 unbound@1
	lost_no_query "unbound: $switches switchovers, 4 restarts"
	down unbound
}

# ---- servers that answer with their slot ----

# udp_server NAME OPTION...: a template with tests/system/lib/datagrams.py
udp_server() {
	write "/etc/systemd/system/$1@.service" <<-END
		[Unit]
		StartLimitIntervalSec=0
		[Service]
		Type=${type:-notify}
		ExecStart=/usr/bin/python3 $tools/datagrams.py %i ${*:2}
	END
}

# listeners_are NAME PROTOCOLS
listeners_are() { [[ $(status "$1" '[.listeners[].protocol] | sort | join(" ")') == "$2" ]]; }

# ask_udp PORT [SOURCE-PORT]: which slot answers
ask_udp() { inside timeout 10 python3 $tools/datagrams.py ask "$@"; }
answers_udp() { [[ $(ask_udp "$1") == "$2" ]]; }

@test "from a socket unit" {
	udp_server given
	inside sed -i 's/^\[Unit\]/&\nWants=given@%i.socket\nAfter=given@%i.socket/' /etc/systemd/system/given@.service
	printf '[Socket]\nListenDatagram=0.0.0.0:5305\nReusePort=yes\n' | write /etc/systemd/system/given@.socket
	up given
	[[ $(ask_udp 5305) == 0 ]]
	hs switchover given --drain=0
	[[ $(ask_udp 5305) == 1 ]]
	[[ $(inside systemctl is-active given@0.socket given@1.socket | sort -u) == inactive ]]
	for slot in 1 0 1; do
		inside systemctl restart "given@$slot"
		[[ $(ask_udp 5305) == $((1 - slot)) ]]
	done
	down given
}

@test "a server that binds when it has long been started" {
	type=exec udp_server late --port=5306 --delay=1.5
	inside systemctl daemon-reload
	hs enable late@.service
	inside systemctl start late@0 late@1
	wait_for 5 is_ready late
	[[ $(ask_udp 5306) == "$(active late)" ]]
	down late
	# later than its TCP socket, which alone would be enough to be ready
	type=exec udp_server later --tcp=5306 --port=5306 --delay=2
	inside systemctl daemon-reload
	hs enable later@.service
	inside systemctl start later@0 later@1
	wait_for 5 listeners_are later 'tcp udp'
	wait_for 5 is_ready later
	hs switchover later --drain=0 --then=keep
	[[ $(ask_udp 5306) == "$(active later)" ]]
	down later
}

@test "clients that a server has sockets of their own for are counted, and drain waits for them" {
	udp_server each --port=5312 --connected
	up each
	flow each 5312 none
	for port in 40000 40001 40002; do
		[[ $(ask_udp 5312 $port) == 0 ]]
	done
	[[ $(status each '[.slots[].udp_clients] | join(" ")') == '3 0' ]]
	hs switchover each --drain=300ms --then=keep --json >"$BATS_TEST_TMPDIR/change"
	[[ $(jq .remaining "$BATS_TEST_TMPDIR/change") == 3 ]]
	# the kernel leads them to their sockets, whatever is active
	[[ $(ask_udp 5312 40001) == 0 && $(ask_udp 5312 40003) == 1 ]]
	run -0 hs connections each
	[[ $output == *CLIENTS* ]]
	run -0 --separate-stderr hs --direct status each --json
	[[ $(jq -r '[.slots[].udp_clients] | join(" ")' <<<"$output") == '3 1' ]]
	run -0 hs drain each 0 --deadline=300ms --json
	[[ $(jq -r '"\(.outcome) \(.remaining)"' <<<"$output") == 'stopped 3' ]]
	[[ $(status each '[.slots[].udp_clients] | join(" ")') == '0 1' ]]
	down each
}

@test "that a sender with one port does not move is said, and what helps" {
	udp_server steady --port=5313
	up steady
	run -0 hs enable steady@.service
	[[ $output == *'note: UDP: a sender that keeps one port'*'Flow=none'* ]]
	run -0 hs doctor steady
	[[ $output == *service.flow*'a sender that keeps one port'*'Flow=none'* ]]
	run -0 --separate-stderr hs upgrade steady --probation=100ms
	[[ -z $stderr ]]
	ask_udp 5313 40000
	run -0 --separate-stderr hs upgrade steady --probation=100ms
	[[ $stderr == *'note: steady has 1 UDP flows, and Flow=connection: a sender'*'Flow=none'* ]]
	flow steady 5313 none
	run -0 hs enable steady@.service
	[[ $output != *'keeps one port'* ]]
	run -0 hs doctor steady
	[[ $output != *service.flow* ]]
	down steady
}

@test "a flow keeps its slot, is counted, and drain waits for it" {
	udp_server flows --port=5307
	up flows
	flow flows 5307 connection
	[[ $(ask_udp 5307 40000) == 0 && $(ask_udp 5307 40001) == 0 ]]
	[[ $(status flows '.slots[0].flows') == 2 ]]
	hs switchover flows --drain=300ms --then=keep --json >"$BATS_TEST_TMPDIR/change"
	[[ $(jq .remaining "$BATS_TEST_TMPDIR/change") == 2 ]]
	[[ $(ask_udp 5307 40000) == 0 && $(ask_udp 5307 40002) == 1 ]]
	hs status flows
	hs status flows | grep -q '0.0.0.0:5307/udp'
	[[ $(status flows '.flows_evicted') == 0 ]]
	# another instance knows nothing of them
	inside systemctl restart flows@0
	[[ $(ask_udp 5307 40000) == 1 ]]
	# nothing to wait for
	flow flows 5307 none
	[[ $(status flows '.slots[1].flows') == null ]]
	hs switchover flows --drain=20s --then=keep --json >"$BATS_TEST_TMPDIR/change"
	[[ $(jq .remaining "$BATS_TEST_TMPDIR/change") == 0 ]]
	down flows
}

@test "the instance's slot is in its environment: QUIC connection ids can carry it" {
	udp_server quic --port=5308 --env
	up quic
	printf '[Service]\nFlow=quic\nQuicSlotByte=2\n' | write /etc/hotstandby/quic.conf
	inside systemctl reload hsd
	[[ $(ask_udp 5308 40000) == 0 ]]
	hs switchover quic --drain=0 --then=keep
	# a short header with the slot's number, from an address that nobody has seen
	[[ $(ask_udp 5308 40001 40000000) == 0 && $(ask_udp 5308 40002 40000001) == 1 ]]
	[[ $(ask_udp 5308 40001 ff) == 0 ]]
	down quic
}

@test "without hsd: adopted, switched, retired" {
	udp_server alone --port=5309
	up alone
	inside systemctl stop hsd
	begin=$(ask_udp 5309)
	inside systemctl restart "alone@$begin"
	[[ $(ask_udp 5309) == $((1 - begin)) ]]
	inside systemctl restart "alone@$((1 - begin))"
	[[ $(ask_udp 5309) == "$begin" ]]
	[[ $(inside hsctl status --json alone | jq -r '[.slots[].sockets] | join(" ")') == '1 1' ]]
	inside systemctl start hsd
	wait_for 5 is_ready alone
	down alone
}

@test "what a server does not read is waited for, and told" {
	udp_server deaf --port=5310 --deaf
	up deaf
	inside python3 $tools/datagrams.py send 5310 50
	inside systemctl restart deaf@0
	inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=deaf HS_EVENT=retire | grep -q 'bytes of datagrams were not read'
	down deaf
}

@test "sockets for questions of its own are nobody's business" {
	udp_server asks --port=5311 --ask-from=45000
	up asks
	[[ $(status asks '[.slots[].problem] | unique | join(" ")') == '' ]]
	[[ $(status asks '[.listeners[].address] | join(" ")') == 0.0.0.0:5311 ]]
	down asks
}
