#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl connections: known numbers of connections of each kind on both slots and in the park, and what ss(8),
# which knows no slots but processes, says of the same.

load lib/rig

port=9801

setup_file() {
	rig_up
	inside systemctl start hsd
	# SYNs of invented clients: their answers go nowhere, so that handshakes stay half open
	inside sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.lo.rp_filter=0 net.ipv4.conf.all.route_localnet=1
	inside ip link add nowhere type veth peer name elsewhere
	inside ip link set elsewhere up
	inside ip link set nowhere up arp off
	inside ip route add 10.0.0.0/8 dev nowhere
	inside sysctl -qw net.ipv4.conf.nowhere.route_localnet=1
	own_service app $port
	printf '[Service]\nFailover=manual\nOnHang=keep\nParkTimeout=10min\n' | write /etc/hotstandby/app.conf
	up app
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl kill -s CONT app@0 app@1 2>/dev/null || true
	wait_for 10 is_ready app
	prefer app 0
}

# conns FILTER [OPTION...]: of `hsctl connections --json app`, by jq
conns() { hs connections --json app "${@:2}" | jq -c "$1"; }
is() { [[ $(conns "$1" "${@:3}") == "$2" ]]; }

# handshakes COUNT: begun, and never finished
handshakes() { inside timeout 30 python3 "$tools/flood.py" $port 1000 20 "$1" >/dev/null; }

# talk COUNT: connections that ask again and again; hush ends them
talk() {
	# shellcheck disable=SC2016 # expanded inside
	inside bash -c 'while sleep 0.1 && echo; do :; done | exec timeout 100 python3 "$1/hold.py" 127.0.0.1 "$2" "$3"' \
		sh "$tools" $port "$1" >"$BATS_TEST_TMPDIR/talk" 2>&1 3>&- &
	talking=$!
	wait_for 5 test -s "$BATS_TEST_TMPDIR/talk"
}
hush() {
	inside pkill -f "hold.py 127.0.0.1 $port $1\$"
	wait "$talking" || true
}

# queue COUNT: clients that nobody accepts yet; leave ends them
queue() {
	# shellcheck disable=SC2016
	inside bash -c 'for ((i = 0; i < $2; i++)); do exec {fd}<>/dev/tcp/127.0.0.1/$1; done; echo; exec sleep 97' \
		sh $port "$1" >"$BATS_TEST_TMPDIR/queue" 3>&- &
	queueing=$!
	wait_for 5 test -s "$BATS_TEST_TMPDIR/queue"
}
leave() {
	inside pkill -f 'sleep 97'
	wait "$queueing" || true
}

# ---- what ss says ----

ss_of() { inside ss -Htn "$@" "sport = :$port"; }
# ss_connections SLOT: those that the slot's process has accepted
ss_connections() { ss_of -p | grep -c "pid=$(main_pid "app@$1"),"; }
ss_queued() { inside ss -Hltnp "sport = :$port" | grep "pid=$(main_pid "app@$1")," | awk '{ n += $2 } END { print n + 0 }'; }
ss_half_open() { ss_of state syn-recv | wc -l; }
# ss_idle SLOT MILLISECONDS: those with no data either way for so long
ss_idle() {
	inside ss -Htnpi "sport = :$port" | awk -v pid="pid=$(main_pid "app@$1")," -v least="$2" '
		/^[A-Z]/ { mine = index($0, pid) }
		match($0, /lastsnd:[0-9]+/) && mine {
			sent = substr($0, RSTART + 8, RLENGTH - 8)
			match($0, /lastrcv:[0-9]+/)
			received = substr($0, RSTART + 8, RLENGTH - 8)
			n += (sent < received ? sent : received) + 0 >= least
		}
		END { print n + 0 }'
}

counts='[.slots[] | [.connections, .queued, .half_open, .idle]]'

@test "idle, busy, queued and half-open connections of both slots, as ss counts them" {
	needs_iterators
	local begun=$SECONDS
	is "$counts" '[[0,0,0,0],[0,0,0,0]]'
	hold $port 5
	talk 3
	handshakes 4
	hs switchover app --drain=0
	inside systemctl kill -s STOP app@1
	queue 2
	handshakes 3

	# what nobody touches becomes idle; what is busy does not
	wait_for 10 is "$counts" '[[8,0,4,5],[2,2,3,2]]' --idle=2s
	is '.idle_after_ms' 2000 --idle=2s
	is "$counts" '[[8,0,4,0],[2,2,3,0]]' --idle=10min
	[[ "$(ss_connections 0) $(ss_queued 0) $(ss_idle 0 2000)" == '8 0 5' ]]
	[[ "$(ss_queued 1) $(ss_half_open)" == '2 7' ]]
	conns '.slots[0] | .oldest_ms >= 2000 and .longest_idle_ms >= 2000 and .oldest_ms >= .longest_idle_ms' | grep -qx true
	(($(conns .slots[0].oldest_ms) / 1000 <= SECONDS - begun + 1))
	is '.park | [.connections, .queued, .half_open, .idle, .oldest_ms]' '[0,0,0,0,null]'

	# without hsd the very same, but for who asks
	is "$counts" '[[8,0,4,5],[2,2,3,2]]' --idle=2s --direct
	as_nobody hsctl connections --json --idle=2s app | jq -ce "$counts == [[8,0,4,5],[2,2,3,2]]"

	# one by one
	conns '.connections | length == 10 and all((.age_ms >= .idle_ms) and .state == "established"
		and .idle_ms == ([.sent_ms, .received_ms] | min))' --list | grep -qx true
	is '[.connections[] | select(.idle_ms >= 2000) | .slot] | sort' '[0,0,0,0,0,1,1]' --list
	is '[.connections[] | select(.accepted | not) | .slot]' '[1,1]' --list
	run -0 hs connections --list app
	(($(grep -c established <<<"$output") == 8 && $(grep -c 'queued ' <<<"$output") == 2))

	# one of them all
	run -0 hs connections --slot=1 --idle=2s app
	[[ ${lines[0]} == *SLOT*ROLE*CONNS*QUEUED*HALF-OPEN*RATE*OLDEST*'IDLE>=2s'*LONGEST* && ${#lines[@]} == 2 ]]
	[[ ${lines[1]} =~ ^\ +1\ active\ +2\ +2\ +3\ .*s\ +2\ +[0-9]+s$ ]]
	is '[.slots[].slot], .park, (.connections | length)' $'[1]\nnull\n2' --slot=1 --list
	is '(.slots | length), .park.connections' $'0\n0' --slot=park

	# what was idle speaks, and what waited is accepted
	ask_again
	is '.slots[0].idle' 0 --idle=2s
	inside systemctl kill -s CONT app@1
	wait_for 5 is '.slots[1].queued' 0
	is '.slots[1].connections' 2
	hush 3
	let_go
	leave
	wait_for 10 is '[.slots[].connections]' '[0,0]'
	is '.slots[0] | [.oldest_ms, .longest_idle_ms, .idle]' '[null,null,0]'
}

@test "the park" {
	needs_iterators
	hs park app >/dev/null
	queue 3
	handshakes 2
	is '.park | [.connections, .queued, .half_open]' '[3,3,2]'
	is '.park.idle' 3 --idle=0
	run -0 hs connections app
	[[ $output =~ park\ -\ +3\ +3\ +2\  ]]
	is '[.connections[] | [.slot, .accepted]] | unique' '[[null,false]]' --list --slot=park
	hs release app >/dev/null
	wait_for 5 is '[.park.connections, .slots[0].connections]' '[0,3]'
	# handshakes follow when the kernel repeats its answer, and so does what is told of them
	wait_for 5 is '[.park.half_open, .slots[0].half_open >= 2]' '[0,true]'
	wait_for 5 has_event app migrated
	inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=app HS_EVENT=migrated >"$BATS_TEST_TMPDIR/told"
	grep -qF 'waiting moved from a listener that is gone to slot 0' "$BATS_TEST_TMPDIR/told"
	leave
}

# rate SLOT: in tenths
rate() { hs connections --json app | jq ".slots[$1].opened_per_s * 10 | round"; }
has_rate() { (($(rate 0) > 100)); }
has_none() { (($(rate 0) == 0)); }

@test "the rate of new connections is known without waiting for it" {
	wait_for 5 has_none
	begin_load http://127.0.0.1:$port/ slot= 4
	wait_for 5 has_rate
	(($(rate 1) == 0))
	hs connections app | grep -Eq '^ +0 active .* [0-9]+\.[0-9]/s '
	lost_nothing
	wait_for 5 has_none
}

@test "slots that are not there, and odd values" {
	run -3 hs connections app --slot=7
	[[ $output == *'app has no slot 7; see hsctl status app'* ]]
	for wrong in --slot=16 --slot=-1 --slot=x --slot= --idle=soon --idle=8d; do
		run -2 hs connections app $wrong
		[[ $output == *'is no value for'* ]]
	done
	run -2 hs status --slot=1
	run -1 hs connections nothing
	[[ $output == *nothing* ]]
}

@test "flows of a UDP service" {
	write /etc/systemd/system/dns@.service <<-END
		[Service]
		Type=notify
		ExecStart=/usr/bin/python3 $tools/dgram.py serve 9853 %i
	END
	printf '[Service]\nPorts=9853\nFlow=connection\n' | write /etc/hotstandby/dns.conf
	up dns
	[[ $(inside python3 $tools/dgram.py ask 127.0.0.1 9853 4) == '4 slot=0' ]]
	hs connections --json dns | jq -e '[.slots[] | .flows] == [4, 0] and .slots[0].flows_longest_idle_ms < 60000
		and .slots[1].flows_longest_idle_ms == null and .slots[0].connections == 0'
	run -0 hs connections dns
	[[ ${lines[0]} == *LONGEST*FLOWS*LONGEST*CLIENTS* && ${lines[1]} =~ \ 4\ +[0-9.ms]+\ +0$ ]]
	down dns
}

@test "--watch goes on until it is told to stop" {
	inside timeout -s INT 3 hsctl connections --watch app >"$BATS_TEST_TMPDIR/watch" || true
	(($(grep -c HALF-OPEN "$BATS_TEST_TMPDIR/watch") >= 2))
}
