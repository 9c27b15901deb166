#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A front before two hosts: each verb does what it does on one machine or says why not, and what is wrong in its settings,
# at its device or at another front is told, and changes nothing.

load lib/fleet

hosts=(h1 h2) balancers=(f1)
address=10.0.0.100

settings() {
	cat <<-END
		[Front]
		Address=$address
		Ports=80/tcp
		Device=eth0
		Host=10.0.0.11
		Host=10.0.0.12
	END
}

setup_file() {
	local jobs=()
	fleet_begin
	fleet_host h1 11 &
	jobs+=($!)
	fleet_host h2 12 &
	jobs+=($!)
	settings | fleet_front f1 1 &
	jobs+=($!)
	fleet_client &
	jobs+=($!)
	all_of "${jobs[@]}"
	fleet_behind h1 $address/32
	fleet_behind h2 $address/32
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	front canary web off >/dev/null 2>&1 || true
	front policy web standby >/dev/null 2>&1 || true
	wait_for 20 all_ready
}

front() { on f1 hsctl "$@"; }
front_status() { front status --json web | jq -r "$1"; }
all_ready() { [[ $(front_status '[.slots[] | select(.state == "ready")] | length') == 2 ]]; }
problem() { front_status '.problem // ""'; }
says() { [[ $(problem) == *"$1"* ]]; }
is_fine() { [[ -z $(problem) ]] && all_ready; }
configure() {
	cat >"$(container_root f1)/etc/hotstandby/web.conf"
	on f1 systemctl reload hsd
}
# asked N: how many of N connections h1 has answered
asked() {
	inside bash -c "for ((i = 0; i < $1; i++)); do curl -sf -m 2 http://$address/; done" | grep -c '^host=h1$' || true
}

@test "status and list show hosts" {
	run -0 front status web
	[[ $output == *'mode dsr on eth0'* && $output == *'10.0.0.11'* && $output == *'10.0.0.12'* && $output != *web@* ]]
	[[ $(front_status '.slots[0] | .host, .unit, .health' | paste -sd' ') == '10.0.0.11 null healthy' ]]
	[[ $(front_status '.listeners[0].address') == "$address:80" ]]
	run -0 front list
	[[ $output =~ web\ +standby ]]
}

@test "canary, policy, weight, pin and where: as on one machine" {
	local n client
	client=$(inside ip -4 -o address show dev eth0 scope global | awk '{ sub("/.*", "", $4); print $4; exit }')
	front canary web 50% >/dev/null
	n=$(asked 40)
	say "canary of a half: $n of 40 by h1"
	((n > 5 && n < 35))
	front canary web off >/dev/null
	front policy web hash --by=connection >/dev/null
	n=$(asked 60)
	say "by connection: $n of 60 by h1"
	((n > 10 && n < 50))
	front weight web 0 0 >/dev/null
	(($(asked 20) == 0))
	front weight web 0 100% >/dev/null
	front policy web hash --by=client >/dev/null
	front pin web "$client/32" 0 >/dev/null
	[[ $(front where web "$client") == *'slot 0'* ]]
	(($(asked 10) == 10))
	front pin web "$client/32" 1 >/dev/null
	(($(asked 10) == 0))
	front pin web "$client/32" none >/dev/null
}

@test "trace and connections tell who is where, and events what befell hosts" {
	local job
	begin_streams $address 80 --count=2 --path='/download/100M?rate=20m'
	[[ $(front connections web --list --json | jq '[.connections[] | select(.local == "'$address':80")] | length') == 2 ]]
	wait_for 2 are_counted 2
	on f1 timeout 20 hsctl trace web --json >"$BATS_TEST_TMPDIR/trace" 2>/dev/null 3>&- &
	job=$!
	wait_for 15 is_traced || fail "$(head -c 500 "$BATS_TEST_TMPDIR/trace")"
	on f1 pkill -x hsctl
	wait $job || true
	end_streams
	on h1 hsctl leave app >/dev/null
	wait_for 5 is_leaving
	on h1 hsctl join app >/dev/null
	wait_for 5 all_ready
	[[ $(front events web -n 20) == *'host 10.0.0.11 (slot 0) leaves'* ]]
}
# they are counted five times in a second
are_counted() { (($(front_status '[.slots[].connections] | add') == $1)); }
is_traced() {
	asked 2 >/dev/null
	grep -q '"why":"active"' "$BATS_TEST_TMPDIR/trace"
}
is_leaving() { is_state 0 leaving; }

@test "who left as announced and comes back without an agent is taken again" {
	on h1 hsctl leave app >/dev/null
	wait_for 5 is_leaving
	on h1 systemctl stop hotstandby-agent@app.socket
	sleep 1.5
	# by itself that says nothing
	is_leaving
	fleet_cut h1
	wait_for 10 is_state 0 down
	fleet_mend h1
	wait_for 10 all_ready
	on h1 hsctl join app >/dev/null
	on h1 systemctl start hotstandby-agent@app.socket
}

@test "an agent that takes connections and says nothing holds up nobody" {
	local began
	on h1 systemctl stop hotstandby-agent@app.socket
	on h1 systemd-run --quiet --collect --unit=mute socat TCP-LISTEN:9790,fork,reuseaddr,bind=10.0.0.11 'EXEC:sleep 60'
	sleep 2
	all_ready
	began=${EPOCHREALTIME/[.,]/}
	fleet_cut h1
	wait_for 10 is_state 0 down
	say "left after $(((${EPOCHREALTIME/[.,]/} - began) / 1000)) ms, with Interval=1s and Fall=3"
	fleet_mend h1
	on h1 systemctl stop mute
	on h1 systemctl start hotstandby-agent@app.socket
	wait_for 10 all_ready
}
is_state() { [[ $(front_status ".slots[$1].state") == "$2" ]]; }

@test "what is of instances is refused, and says what is meant instead" {
	local generation
	generation=$(front_status .generation)
	run -3 front upgrade web
	[[ $output == *'hsctl -H HOST upgrade'* ]]
	run -3 front park web
	run -3 front retire web@0.service
	[[ $output == *'hsctl drain web 0'* ]]
	run -3 front switchover web --then=stop
	run -3 front scale web 3
	[[ $output == *'hsctl edit web'* ]]
	run -3 front drill web --scenario=switchover --yes
	[[ $output == *'another machine'* && $output == *'on a host, as root there, hsctl drill'* ]]
	[[ $(front_status .generation) == "$generation" ]]
}

@test "settings that cannot be are told, and the last good ones hold" {
	local generation
	generation=$(front_status .generation)
	settings | sed '/10.0.0.11/d' | configure
	wait_for 5 says 'write slot=1 behind it'
	[[ $(front_status '.slots[0].host') == 10.0.0.11 && $(answering) == host=* ]]
	settings | sed 's/10.0.0.11/10.0.0.1/' | configure
	wait_for 5 says 'an address of this machine'
	settings | sed 's/eth0/eth7/' | configure
	wait_for 5 says 'no device eth7'
	settings | sed 's/Ports=.*/Ports=none/' | configure
	wait_for 5 says 'is not a list of ports'
	settings | sed "s/10.0.0.11/$address/" | configure
	wait_for 5 says 'is an Address= of the service as well'
	settings | sed '/^Host=/s/$/ weight=0/' | configure
	wait_for 5 says 'add up to nothing'
	on f1 systemctl restart hsd
	[[ $(answering) == host=* ]]
	settings | configure
	wait_for 10 is_fine
	[[ $(answering) == host=* ]]
}
answering() { inside curl -sf -m 5 http://$address/; }

@test "another's XDP program is left alone" {
	local root
	root=$(container_root f1)
	printf 'int pass(void *context) { return 2; }\n' >"$BATS_TEST_TMPDIR/pass.c"
	clang -O2 -target bpf -c "$BATS_TEST_TMPDIR/pass.c" -o "$root/run/pass.o"
	on f1 ip link add other0 type veth peer name other1
	on f1 ip link set other0 up
	on f1 ip link set other0 xdpgeneric obj /run/pass.o sec .text
	settings | sed 's/eth0/other0/' | configure
	wait_for 5 says 'XDP'
	[[ $(on f1 ip -d link show other0) == *'prog/xdp'* && $(answering) == host=* ]]
	settings | configure
	on f1 ip link delete other0
	wait_for 10 is_fine
}

@test "a device that goes and comes again has its program again" {
	local leader
	leader=$(container_boots f1)
	nsenter --net="/proc/$leader/ns/net" ip link delete eth0
	wait_for 5 says 'no device eth0'
	_fleet_plug f1
	on f1 systemctl restart eth0.service
	on f1 ip address replace $address/32 dev eth0
	wait_for 20 is_fine
	wait_for 10 answering
}

@test "doctor: a front that is well, a host that is not, and another front that differs" {
	local root
	root=$(container_root f1)
	run -0 front doctor web
	[[ $output == *front.host* && $output == *front.device* ]]
	[[ $output == *'front.sends'*'Packets of clients come out as they have to be'* ]]
	front status web --json >"$root/run/peer.json"
	printf '#!/bin/sh\ncat /run/peer.json\n' >"$root/run/peer"
	chmod +x "$root/run/peer"
	run -0 on f1 env SYSTEMD_SSH=/run/peer hsctl doctor web --peer=other
	[[ $output == *'other has the same'* ]]
	jq '.front.hash = "x"' "$root/run/peer.json" >"$root/run/peer.new" && mv "$root/run/peer.new" "$root/run/peer.json"
	run -1 on f1 env SYSTEMD_SSH=/run/peer hsctl doctor web --peer=other
	[[ $output == *'are not those of other'* ]]
	front policy web hash >/dev/null
	front status web --json >"$root/run/spread.json"
	jq '.fingerprint = "x" | .slots[1].in_service = false' "$root/run/spread.json" >"$root/run/peer.json"
	run -1 on f1 env SYSTEMD_SSH=/run/peer hsctl doctor web --peer=other
	[[ $output == *'with a part of the clients are 0, 1 here, and 0 on other'* ]]
	jq '.fingerprint = "x" | .pinned = [{prefix: "10.1.0.0/16", slot: 1}]' "$root/run/spread.json" >"$root/run/peer.json"
	run -1 on f1 env SYSTEMD_SSH=/run/peer hsctl doctor web --peer=other
	[[ $output == *'The pins are not those of other'* ]]
	# whose clients they are is not for everybody
	[[ $(jq -c .pinned "$root/run/spread.json") == '[]' ]]
	[[ $(on f1 setpriv --reuid=65534 --regid=65534 --clear-groups hsctl status web --json | jq -c .pinned) == null ]]
	front policy web standby >/dev/null
	run -1 on f1 env SYSTEMD_SSH=/bin/false hsctl doctor web --peer=other
	[[ $output == *'cannot be asked'* ]]
	on h2 hsctl park app >/dev/null
	wait_for 10 is_state 1 down
	run -1 front doctor web
	[[ $output == *'10.0.0.12 (slot 1) is down'* && $output == *front.standby* ]]
	on h2 hsctl release app >/dev/null
	wait_for 10 all_ready
}

@test "what becomes of packets was tried when the program came to its device" {
	container_journal f1 -u hotstandby-front@web.service >"$BATS_TEST_TMPDIR/trial"
	grep -q 'Finished.*Trial of the front web' "$BATS_TEST_TMPDIR/trial" &&
		grep -q 'front.sends: works' "$BATS_TEST_TMPDIR/trial" || fail "$(cat "$BATS_TEST_TMPDIR/trial")"
}

other_ports() { (($(front_status .front.other_ports) >= $1)); }
is_told_of_ports() { front events web | grep -q 'on ports that no Ports= names; this machine had them'; }

@test "what is for another port of its address is this machine's, counted and told" {
	run ! inside curl -s -m 2 -o /dev/null http://$address:8080/
	wait_for 5 other_ports 1
	run -0 front status web
	[[ $output == *'packets came for ports of its addresses that no Ports= names'* ]]
	wait_for 10 is_told_of_ports
}

@test "metrics are what promtool takes" {
	front metrics >"$BATS_TEST_TMPDIR/metrics"
	run -0 promtool check metrics <"$BATS_TEST_TMPDIR/metrics"
	[[ -z $output ]]
	grep -q '^hotstandby_host_packets_total{service="web",slot="0"} ' "$BATS_TEST_TMPDIR/metrics"
	grep -q '^hotstandby_front_unknown_packets_total{service="web"} ' "$BATS_TEST_TMPDIR/metrics"
}

@test "the examples of a front are what BIRD, keepalived and systemd take" {
	local examples=/usr/share/hotstandby/examples
	run -0 on f1 bird -p -c $examples/bird-front.conf
	[[ -z $output ]]
	run -0 on f1 keepalived --config-test --use-file=$examples/keepalived-front.conf
	run -0 on f1 systemd-analyze verify $examples/hotstandby-announce.service hotstandby-front@web.service
	grep -E 'announce|hotstandby' <<<"$output" && fail 'systemd finds fault with a unit'
	true
}

announced() { on f1 birdc show protocols web | grep -q '^web .* up '; }

@test "the front is announced while it is well, also by a BIRD that was stopped and started, or has forgotten" {
	local root examples=/usr/share/hotstandby/examples
	root=$(container_root f1)
	cp "$root$examples/bird-front.conf" "$root/etc/bird/bird.conf"
	# nothing has a moment to end here
	sed 's,/sleep 3$,/true,' "$root$examples/hotstandby-announce.service" >"$root/etc/systemd/system/hotstandby-announce.service"
	on f1 systemctl daemon-reload
	on f1 systemctl --quiet enable --now bird hotstandby-announce
	wait_for 10 announced
	on f1 systemctl stop bird
	on f1 systemctl start bird
	wait_for 10 announced
	on f1 birdc disable web
	wait_for 10 announced
	front leave web --settle=0 --deadline=0s >/dev/null
	run_out() { ! announced; }
	wait_for 10 run_out
	front join web >/dev/null
	on f1 systemctl --quiet disable --now hotstandby-announce bird
}

@test "disable takes it off its device, and leaves nothing" {
	run -0 front disable web
	[[ $output == *"is no front any more"* ]]
	[[ $(on f1 ip -d link show eth0) != *'prog/xdp'* ]]
	run -0 on f1 find /sys/fs/bpf/hotstandby -maxdepth 1 -name 'web' -o -maxdepth 1 -name '%front' -o -maxdepth 1 -name '%led'
	[[ -z $output ]]
}
