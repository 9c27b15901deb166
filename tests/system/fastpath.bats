#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154
#
# [FastPath]: connections of units in From= go past the TCP stack, in all that may happen to a service; those of others,
# and what cannot, by TCP.
# Long: begun with the first.

load lib/rig

port=9951
url=http://127.0.0.1:$port/

# With as_client=yes a command is one of the unit clients.service, which From= names.
inside() {
	if [[ -n ${as_client:-} ]]; then
		as_client "$@"
	else
		container_run "$rig" "$@"
	fi
}

# idle_unit NAME [LINE...]: a unit that has a process, and does nothing
idle_unit() {
	printf '[Service]\nExecStart=/bin/sleep infinity\n%s\n' "${2:-}" | write "/etc/systemd/system/$1.service"
	inside systemctl daemon-reload
}

from() {
	printf '[FastPath]\nFrom=%s\n' "$1" | write /etc/hotstandby/app.conf.d/from.conf
	inside systemctl reload hsd
}

setup_file() {
	[[ -e /sys/kernel/btf/vmlinux ]] || skip 'this kernel does not describe its structures (BTF)'
	rig_up
	inside systemctl start hsd
	own_service app $port
	up app
	clients_unit
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start hsd app@0 app@1 clients
	wait_for 10 is_ready app
	prefer app 0
	from clients.service
	wait_for 5 has_joined clients.service
}

# fast FILTER: of what status says of the fast path
fast() { status app ".fastpath | $1"; }
has_joined() { [[ $(fast ".units[] | select(.unit == \"$1\") | .joined") == true ]]; }
is_fast() { [[ $(fast "$1") == "$2" ]]; }
# listed FILTER: of the connections one by one
listed() { hs connections app --list --json | jq -c "[.connections[] | $1]"; }

fast_bytes() { fast '.received_fast_bytes + .sent_fast_bytes'; }
# went_fast BEFORE: load that is over went past TCP, and no pair is left
went_fast() {
	local bytes
	bytes=$(($(fast_bytes) - $1))
	say "past TCP: $bytes bytes; by TCP: $(fast .by_tcp)"
	((bytes > 10000)) || fail "only $bytes bytes went past TCP: $(fast .)" || return 1
	wait_for 5 is_fast .pairs 0
}

@test "connections of a unit in From= are pairs; status, connections --list and metrics tell of them" {
	local begun
	begun=$(fast .begun)
	as_client=yes hold $port 3
	[[ $held == '0 0 0' ]]
	wait_for 5 is_fast .pairs 3
	(($(fast .begun) == begun + 3))
	[[ $(listed '.fastpath.received.way, .fastpath.sent.way' | jq -c unique) == '["fast"]' ]]
	run -0 hs status app
	[[ $output == *$'\nfast path: 3 connections; received '*' past TCP'* ]]
	run -0 hs connections app --list
	[[ $output == *WAY* && $output == *' fast'* ]]
	run -0 hs metrics
	[[ $output == *'hotstandby_fastpath_pairs{service="app"} 3'* ]]
	let_go
	wait_for 5 is_fast .pairs 0
}

@test "trace shows both ends of each pair" {
	local out=$BATS_TEST_TMPDIR/trace job
	hs trace app --timeout=4s >"$out" 2>&1 3>&- &
	job=$!
	wait_for 5 grep -q '^TIME' "$out"
	as_client=yes hold $port 1
	wait "$job"
	let_go
	[[ $(grep -c "127.0.0.1:$port/tcp .* 0  fast path, the client's end$" "$out") == 1 ]] || fail "$(<"$out")"
	[[ $(grep -c "  127.0.0.1:$port .*fast path, the server's end$" "$out") == 1 ]] || fail "$(<"$out")"
}

@test "a unit that two services name: one goes without it, and for the other nothing has changed" {
	local begun
	own_service zed 9959
	up zed
	printf '[FastPath]\nFrom=clients.service\n' | write /etc/hotstandby/zed.conf.d/from.conf
	inside systemctl reload hsd
	wait_for 5 eval '[[ $(status zed ".fastpath.units[0].joined") == true ]]'
	inside rm /etc/hotstandby/zed.conf.d/from.conf
	inside systemctl reload hsd
	wait_for 5 eval '[[ $(status zed .fastpath) == null ]]'
	begun=$(fast .begun)
	as_client=yes fetch $url >/dev/null
	(($(fast .begun) == begun + 1)) || fail "by TCP: $(fast .)"
	down zed
}

@test "those of others are none" {
	local begun
	begun=$(fast .begun)
	hold $port 3
	is_fast .pairs 0
	(($(fast .begun) == begun))
	[[ $(listed .fastpath) == '[null,null,null]' ]]
	let_go
}

@test "by IPv6, and by an address of this machine" {
	local address before
	own_service six 9952 --listen=[::]:9953
	up six
	inside ip address add 192.0.2.77/32 dev lo
	printf '[FastPath]\nFrom=clients.service\n' | write /etc/hotstandby/six.conf
	inside systemctl reload hsd
	wait_for 5 eval '[[ $(status six ".fastpath.units[0].joined") == true ]]'
	for address in 127.0.0.1:9952 192.0.2.77:9952 '[::1]:9953' 127.0.0.1:9953; do
		before=$(status six .fastpath.sent_fast_bytes)
		as_client=yes fetch "http://$address/" >/dev/null
		(($(status six .fastpath.sent_fast_bytes) > before)) || fail "$address: by TCP"
	done
	inside ip address del 192.0.2.77/32 dev lo
	down six
}

@test "switchover and rollback under load: nothing is lost, with and beside it" {
	local before
	before=$(fast_bytes)
	as_client=yes begin_load $url slot=
	for _ in 1 2 3; do
		hs switchover app --drain=0 >/dev/null
		hs rollback app >/dev/null
	done
	lost_nothing 'fast path, 6 switchovers'
	went_fast "$before"
	begin_load $url slot=
	for _ in 1 2 3; do
		hs switchover app --drain=0 >/dev/null
		hs rollback app >/dev/null
	done
	lost_nothing 'TCP, 6 switchovers'
}

@test "restarts of both slots under load: nothing is lost" {
	local before
	before=$(fast_bytes)
	as_client=yes begin_load $url slot=
	inside systemctl restart app@0
	inside systemctl restart app@1
	lost_nothing 'fast path, 2 restarts'
	went_fast "$before"
	baseline
}

@test "connections that are kept go on over a switchover, and end with their server" {
	as_client=yes hold $port 4
	hs switchover app --drain=0 >/dev/null
	ask_again
	[[ $held == '0 0 0 0' ]]
	wait_for 5 is_fast .pairs 4
	inside systemctl kill --signal=KILL app@0
	ask_again
	[[ $held == 'x x x x' ]]
	wait_for 5 is_fast .pairs 0
	let_go || true
}

@test "a client that is killed leaves nothing" {
	as_client=yes hold $port 5
	wait_for 5 is_fast .pairs 5
	inside pkill -KILL -f "hold.py 127.0.0.1 $port"
	let_go || true
	wait_for 5 is_fast .pairs 0
	[[ $(answering_slot $url) == 0 ]]
}

@test "hsd is killed: it goes on, for those that are there and for new ones" {
	local before
	as_client=yes hold $port 2
	before=$(fast_bytes)
	inside systemctl kill --signal=KILL hsd
	inside systemctl stop hsd
	ask_again
	[[ $held == '0 0' ]]
	as_client=yes fetch $url >/dev/null
	inside systemctl start hsd
	wait_for 10 has_joined clients.service
	(($(fast_bytes) > before))
	wait_for 5 is_fast .pairs 2
	let_go
}

@test "drain: busy connections are not idle, and are waited for" {
	# shellcheck disable=SC2016 # expanded inside
	as_client=yes inside bash -c 'while sleep 0.1 && echo; do :; done | exec timeout 100 python3 "$1/hold.py" 127.0.0.1 "$2" 2' \
		sh "$tools" $port >"$BATS_TEST_TMPDIR/talk" 2>&1 3>&- &
	local job=$! census
	as_client=yes hold $port 1
	wait_for 5 is_fast .pairs 3
	# the kernel's own times of them stand still since they began
	sleep 3
	# where nobody may go through sockets it is told of none whether it is idle
	if ! lacks_iterators; then
		census=$(hs connections app --json --idle=2s | jq -c '.slots[0] | [.connections, .idle]')
		[[ $census == '[3,1]' ]] || fail "connections and idle ones: $census; $(listed '[.idle_ms, .fastpath]')"
		(($(listed .idle_ms | jq '[.[] | select(. < 1500)] | length') == 2))
	fi
	run hs drain app 0 --deadline=1s
	[[ $output == *'3 connections'* ]]
	inside pkill -f "hold.py 127.0.0.1 $port"
	wait "$job" || true
	let_go || true
	wait_for 5 is_fast .pairs 0
}

@test "what waits in the park becomes pairs, and is answered" {
	local answer=$BATS_TEST_TMPDIR/answer
	inside systemctl restart app@1
	hs park app
	as_client=yes fetch $url >"$answer" 3>&- &
	local job=$!
	wait_for 5 eval '[[ $(status app .parked) == 1 ]]'
	hs release app
	wait "$job"
	grep -q '^slot=' "$answer"
	wait_for 5 is_fast .pairs 0
}

@test "a unit that does not run is named, and joins when it starts" {
	idle_unit late
	from 'clients.service late.service'
	wait_for 5 eval '[[ $(fast ".units[1].problem") == "it does not run; it is seen to when it starts" ]]'
	run -0 hs status app
	[[ $output == *'! From=late.service: it does not run; it is seen to when it starts'* ]]
	run -1 hs doctor app
	[[ $output == *"Fast path: late.service: it does not run"* ]]
	inside systemctl start late
	wait_for 5 has_joined late.service
	run hs doctor app
	[[ $output == *'app: Connections of every unit in From= may be on the fast path'* ]]
	inside systemctl restart late
	wait_for 5 has_joined late.service
	inside systemctl stop late
	wait_for 5 is_fast '.units[1].joined' false
}

# nginx_unit NAME@ PORT [LINE]: a unit that serves there
nginx_unit() {
	printf '%s\n' 'daemon off;' 'worker_processes 1;' "pid /run/$1nginx.pid;" 'error_log stderr;' 'events { }' \
		"http { access_log off; server { listen $2 reuseport; return 200 slot=0; } }" | write "/etc/nginx/$1.conf"
	printf '[Service]\n%s\nExecStart=/usr/sbin/nginx -c /etc/nginx/%s.conf\n' "${3:-}" "$1" |
		write "/etc/systemd/system/$1.service"
	inside systemctl daemon-reload
}
nginx_is_kept_off() { [[ $(status "$1" "$2") == 'nginx is kept off the fast path: '* ]]; }

@test "nginx is kept off, whatever its unit runs before it, and as the server" {
	local loaded
	nginx_unit ahead 9956 'ExecStartPre=/bin/sleep 1'
	from 'clients.service ahead.service'
	inside systemctl start ahead
	wait_for 5 nginx_is_kept_off app '.fastpath.units[1].problem'
	[[ $(inside bpftool cgroup show /sys/fs/cgroup/system.slice/ahead.service) != *hs_fast_connect* ]]
	has_joined clients.service
	inside systemctl stop ahead
	nginx_unit web@ 9957
	printf '[FastPath]\nFrom=clients.service\n' | write /etc/hotstandby/web.conf.d/from.conf
	up web
	wait_for 5 nginx_is_kept_off web .fastpath.problem
	# from the first request on, and after all have been stopped
	inside systemctl stop web@0 web@1
	inside systemctl reload hsd
	as_client sh -c 'while :; do curl -s -o /dev/null --max-time 1 http://127.0.0.1:9957/; done' &
	loaded=$!
	inside systemctl start web@0 web@1
	wait_for 10 is_ready web
	sleep 1
	nginx_is_kept_off web .fastpath.problem
	[[ $(status web .fastpath.begun) == 0 ]]
	kill $loaded
	inside pkill -f 127.0.0.1:9957 || true
	wait $loaded || true
	down web
}

@test "a unit in another network namespace is named, and its connections are none of it" {
	idle_unit apart PrivateNetwork=yes
	inside systemctl start apart
	from 'clients.service apart.service'
	wait_for 5 is_fast '.units[1].problem' 'it is in another network namespace than the service'
	inside systemctl stop apart
}

# needs_go: $esbuild is made with Go, and this kernel gives nothing to who reads by splice(2)
needs_go() {
	esbuild=$(echo /usr/local/lib/node_modules/esbuild/node_modules/@esbuild/*/bin/esbuild)
	[[ -x $esbuild ]] || skip "esbuild is not installed: scripts/setup test"
	if inside hsctl doctor --fastpath --json | jq -e '.[] | select(.id == "fast.splice") | .status == "ok"' >/dev/null; then
		skip 'this kernel lets readers by splice(2) have what comes'
	fi
}

@test "a service whose program is made with Go is kept off, until it is another" {
	needs_go
	inside mkdir -p /srv/go
	inside mkfifo /srv/stdin
	echo 'a page' | write /srv/go/page.txt
	# it ends with its standard input: a FIFO that it has open for writing as well never ends
	printf '[Service]\nExecStart=/bin/sh -c "exec %s --serve=127.0.0.1:9958 --servedir=/srv/go <>/srv/stdin"\n' \
		"$esbuild" | write /etc/systemd/system/gopher@.service
	printf '[FastPath]\nFrom=clients.service\n' | write /etc/hotstandby/gopher.conf
	inside systemctl daemon-reload
	hs enable gopher@.service
	inside systemctl start gopher@0
	wait_for 5 is_state gopher 0 ready
	wait_for 5 eval '[[ $(status gopher .fastpath.problem) == "the service'"'"'s program is made with Go, which may read by splice(2)"* ]]'
	[[ $(status gopher .fastpath.works) == false ]]
	[[ $(as_client curl -sS --max-time 5 http://127.0.0.1:9958/page.txt) == 'a page' ]]
	[[ $(status gopher .fastpath.begun) == 0 ]]
	# the others are as before
	is_fast .problem null
	inside mkdir -p /etc/systemd/system/gopher@.service.d
	printf '[Service]\nExecStart=\nExecStart=/usr/lib/hotstandby/hs-example-server --slot=%%i --listen=127.0.0.1:9958\n' |
		write /etc/systemd/system/gopher@.service.d/other.conf
	inside systemctl daemon-reload
	inside systemctl restart gopher@0
	wait_for 5 eval '[[ $(status gopher .fastpath.works) == true ]]'
	[[ $(as_client curl -sS --max-time 5 http://127.0.0.1:9958/) == 'slot=0 '* ]]
	wait_for 5 eval '[[ $(status gopher .fastpath.begun) == 1 ]]'
	inside systemctl stop gopher@0
	hs disable gopher@.service
}

@test "a unit whose program is made with Go is kept off: it may read by splice(2)" {
	needs_go
	echo 'let a = 1' | write /srv/in.js
	printf '[Service]\nExecStart=%s /srv/in.js --watch=forever --outfile=/srv/out.js\n' "$esbuild" |
		write /etc/systemd/system/gopher.service
	inside systemctl daemon-reload
	inside systemctl start gopher
	from 'clients.service gopher.service'
	wait_for 5 eval '[[ $(fast ".units[1].problem") == "its program is made with Go, which may read by splice(2)"* ]]'
	is_fast '.units[1].joined' false
	[[ $(inside bpftool cgroup show "/sys/fs/cgroup/system.slice/gopher.service") != *hs_fast_connect* ]]
	[[ $(inside bpftool cgroup show "/sys/fs/cgroup/system.slice/clients.service") == *hs_fast_connect* ]]
	inside systemctl stop gopher
}

@test "From= is taken away under load: nothing is lost, and programs and pins go" {
	local before
	before=$(fast_bytes)
	as_client=yes begin_load $url slot= 8 'Connection: keep-alive'
	sleep 1
	(($(fast_bytes) > before))
	from ''
	[[ $(status app .fastpath) == null ]]
	sleep 1
	lost_nothing 'From= is taken away'
	inside test ! -e "$pins/%fast"
	from clients.service
	wait_for 5 has_joined clients.service
	before=$(fast_bytes)
	as_client=yes fetch $url >/dev/null
	(($(fast_bytes) > before))
}

@test "HAProxy in front, which keeps its connections: switchovers lose nothing" {
	local before
	inside sh -c 'command -v haproxy >/dev/null' || skip 'haproxy is not installed'
	printf '%s\n' 'defaults' ' mode http' ' timeout connect 5s' ' timeout client 30s' ' timeout server 30s' \
		'listen front' ' bind 127.0.0.1:9955' ' http-reuse always' " server app 127.0.0.1:$port" |
		write /etc/haproxy/front.cfg
	printf '[Service]\nExecStart=/usr/sbin/haproxy -db -f /etc/haproxy/front.cfg\n' |
		write /etc/systemd/system/front.service
	inside systemctl daemon-reload
	from front.service
	inside systemctl start front
	wait_for 5 has_joined front.service
	wait_for 5 eval 'fetch http://127.0.0.1:9955/ >/dev/null 2>&1'
	before=$(fast_bytes)
	begin_load http://127.0.0.1:9955/ slot= 8
	for _ in 1 2 3; do
		hs switchover app --drain=0 >/dev/null
		hs rollback app >/dev/null
	done
	lost_nothing 'HAProxy in front, 6 switchovers'
	(($(fast_bytes) - before > 10000))
	inside systemctl stop front
}

@test "what cannot be in From= is refused by a sentence" {
	printf '[FastPath]\nFrom=app@1.service\n' | write /etc/hotstandby/app.conf.d/from.conf
	inside systemctl reload hsd
	run -0 hs status app
	[[ $output == *'From=app@1.service is a slot of the service itself'* ]]
	printf '[FastPath]\nFrom=system.slice proxy\n' | write /etc/hotstandby/app.conf.d/from.conf
	run -3 hs config check
	[[ $output == *'has a slice, in which may be whatever there is'* ]]
}

@test "disabled, nothing of it is left" {
	own_service gone 9956
	up gone
	printf '[FastPath]\nFrom=clients.service\n' | write /etc/hotstandby/gone.conf
	from ''
	inside systemctl reload hsd
	wait_for 5 eval '[[ $(status gone ".fastpath.units[0].joined") == true ]]'
	inside test -e "$pins/%fast"
	down gone
	inside test ! -e "$pins/%fast"
}
