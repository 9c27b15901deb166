#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Forced intake: servers of the distribution that never heard of SO_REUSEPORT, with their packages' own
# units and configuration; only ports and paths are changed, so that two instances do not meet there.
# Long: begun with the first.
# Thorough: servers, health and the other Debian's run force servers, too.

load lib/rig
load lib/servers

# ---- what every service goes through ----

# switch NAME SECONDS: as many switchovers as fit; `switched` counts them
switched=0
switch() {
	local end=$((SECONDS + $2))
	while ((SECONDS < end)); do
		hs switchover "$1" --drain=0 >/dev/null
		switched=$((switched + 1))
	done
}

# try NAME: as many switchovers as fit, restarts of both slots
try() {
	local name=$1
	prefer "$name" 0
	switch "$name" "${FORCED_SECONDS:-6}"
	for _ in 1 2; do
		inside systemctl restart "$name@0"
		inside systemctl restart "$name@1"
	done
	wait_for 10 is_ready "$name"
	no_complaints
}

# idle_slot NAME SLOT: it serves nobody
idle_slot() { [[ $(status "$1" ".slots[$2].connections") == 0 ]]; }

# kill_standby NAME: by the kernel alone, and hsd or systemd brings it back. What it still works on would be lost,
# as with every kill: it has ended that.
kill_standby() {
	local standby pid
	standby=$(standby "$1")
	wait_for 10 idle_slot "$1" "$standby"
	pid=$(main_pid "$1@$standby")
	inside systemctl kill -s KILL "$1@$standby"
	wait_for 10 is_new "$1@$standby" "$pid"
	wait_for 10 is_ready "$1"
}

intake() { status "$1" .intake; }

# no_complaints: hotstandby had nothing to say against it since the test began. How a server ends is its own business:
# lighttpd's status is 1 now and then, when the slots' one PID file is another's.
no_complaints() {
	local text
	text=$(inside journalctl -q -o cat --since="@$rig_began" -p warning \
		-t hsd -t hs-hook -t hsctl -t hs-borrow -t hs-probe)
	[[ -z $text ]] || fail "complaints on a healthy run: $text"
}

# ---- redis ----

@test "redis, with the template unit of its package" {
	redis_config 6390
	run -0 hs enable redis-server@.service
	[[ $output == *'Intake: forced; '* ]]
	inside systemctl start redis-server@0 redis-server@1
	wait_for 5 is_ready redis-server
	[[ $(intake redis-server) == forced ]]
	[[ $(status redis-server '[.listeners[].address] | sort | join(" ")') == '127.0.0.1:6390 [::1]:6390' ]]
	# asked again, what was given the option is not taken for one that set it
	run -0 hs enable redis-server@.service
	[[ $output == *'Intake: forced; its server does not set SO_REUSEPORT'* ]]
	begin_asking 6390 'PING\r\n' '+PONG'
	try redis-server
	kill_standby redis-server
	lost_nothing "redis: $switched switchovers, 4 restarts, a kill"
	down redis-server
}

@test "redis under the tool that comes with it" {
	redis_config 6390
	up redis-server
	inside redis-benchmark -p 6390 -k 0 -c 10 -n 40000 -t ping_inline -q >"$BATS_TEST_TMPDIR/benchmark" 2>&1 3>&- &
	local job=$!
	while kill -0 $job 2>/dev/null; do
		hs switchover redis-server --drain=0 >/dev/null
		switched=$((switched + 1))
	done
	wait "$job"
	say "redis-benchmark: $switched switchovers; $(tr '\r' '\n' <"$BATS_TEST_TMPDIR/benchmark" | grep 'per second')"
	! grep -iE 'could not|error|closed' "$BATS_TEST_TMPDIR/benchmark" || fail 'it met errors'
	((switched >= 3))
	down redis-server
}

@test "redis that runs already is taken over without a restart" {
	local pid
	redis_config 6390
	inside systemctl daemon-reload
	inside systemctl start redis-server@0
	pid=$(main_pid redis-server@0)
	# what there is to be solved: another one on the same port
	run ! inside systemctl start redis-server@1
	inside systemctl stop redis-server@1
	begin_asking 6390 'PING\r\n' '+PONG'
	run -0 hs enable redis-server@.service
	[[ $output == *'does not set SO_REUSEPORT'*'adopted by hsd at once'* ]]
	wait_for 5 is_state redis-server 0 ready
	inside systemctl start redis-server@1
	wait_for 5 is_ready redis-server
	[[ $(main_pid redis-server@0) == "$pid" ]]
	hs switchover redis-server --drain=0
	hs switchover redis-server --drain=0
	[[ $(main_pid redis-server@0) == "$pid" ]]
	inside systemctl restart redis-server@0
	wait_for 5 is_ready redis-server
	lost_nothing 'redis, enabled as it ran, then switched'
	[[ $(intake redis-server) == forced ]]
	down redis-server
	# and what it costs without
	inside systemctl start redis-server@0
	begin_asking 6390 'PING\r\n' '+PONG'
	inside systemctl restart redis-server@0
	inside systemctl restart redis-server@0
	end_load
	say "$(load_line 'without, 2 restarts of redis-server@0')"
	inside systemctl stop redis-server@0
}

# ---- others ----

# slot_setting NAME LINE...: in the section [Service]
slot_setting() {
	local name=$1
	shift
	printf '%s\n' '[Service]' "$@" | write "/etc/systemd/system/$name@.service.d/slot.conf"
}

# alone NAME: what restarts of the package's own unit cost, while the load runs
alone() {
	inside systemctl restart "$1"
	inside systemctl restart "$1"
}

@test "memcached, with the unit of its package and nothing changed" {
	template memcached
	up memcached
	[[ $(intake memcached) == forced ]]
	begin_asking 11211 'version\r\n' VERSION
	try memcached
	kill_standby memcached
	lost_nothing "memcached: $switched switchovers, 4 restarts, a kill"
	down memcached
	inside systemctl start memcached
	begin_asking 11211 'version\r\n' VERSION
	alone memcached
	end_load
	say "$(load_line 'without, 2 restarts of memcached')"
	inside systemctl stop memcached
}

@test "lighttpd, with the unit of its package and nothing changed" {
	template lighttpd
	echo 'lighttpd here' | write /var/www/html/hello.txt
	up lighttpd
	[[ $(intake lighttpd) == forced ]]
	begin_load http://127.0.0.1:80/hello.txt 'lighttpd here'
	try lighttpd
	kill_standby lighttpd
	lost_nothing "lighttpd: $switched switchovers, 4 restarts, a kill"
	down lighttpd
	inside systemctl start lighttpd
	wait_for 5 fetch http://127.0.0.1:80/hello.txt >/dev/null 2>&1
	begin_load http://127.0.0.1:80/hello.txt 'lighttpd here'
	alone lighttpd
	end_load
	say "$(load_line 'without, 2 restarts of lighttpd')"
	inside systemctl stop lighttpd
}

# nginx forks into the background and tells its process by a file
nginx_template() {
	local i
	inside sed -e 's@/run/nginx.pid@/run/nginx-%i.pid@; s@nginx \(-t -q \)\?-g@& @' \
		-e 's@/usr/sbin/nginx @/usr/sbin/nginx -c /etc/nginx/slot-%i.conf @' /lib/systemd/system/nginx.service |
		write /etc/systemd/system/nginx@.service
	for i in 0 1; do
		inside sed -e "s@/run/nginx.pid@/run/nginx-$i.pid@" -e 's/^worker_processes .*/worker_processes 3;/' \
			-e "s@/etc/nginx/sites-enabled/\*@/etc/nginx/slots-site@" /etc/nginx/nginx.conf | write "/etc/nginx/slot-$i.conf"
	done
	inside sed "$1" /etc/nginx/sites-available/default | write /etc/nginx/slots-site
	echo 'nginx here' | write /var/www/html/nginx.txt
}

@test "nginx, whose workers share one socket" {
	nginx_template ''
	up nginx
	[[ $(intake nginx) == forced ]]
	[[ $(status nginx '[.slots[].sockets] | join(" ")') == '2 2' ]]
	begin_load http://127.0.0.1:80/nginx.txt 'nginx here'
	try nginx
	kill_standby nginx
	inside systemctl reload nginx@0 nginx@1
	switch nginx 1
	lost_nothing "nginx: $switched switchovers, 4 restarts, a kill, a reload of each"
	down nginx
	inside systemctl start nginx
	wait_for 5 fetch http://127.0.0.1:80/nginx.txt >/dev/null 2>&1
	begin_load http://127.0.0.1:80/nginx.txt 'nginx here'
	alone nginx
	end_load
	say "$(load_line 'without, 2 restarts of nginx')"
	inside systemctl stop nginx
}

@test "nginx, whose workers each have a socket with SO_REUSEPORT: seen to be its own" {
	nginx_template 's/listen .*80 default_server/& reuseport/'
	up nginx
	[[ $(intake nginx) == own ]]
	[[ $(status nginx '[.slots[].sockets] | join(" ")') == '6 6' ]]
	# asked again, enable has seen it as well
	run -0 hs enable nginx@.service
	[[ $output == *'Intake: own reuseport; all its sockets had SO_REUSEPORT by themselves'* ]]
	[[ $(hs enable --json nginx@.service | jq -r .intake) == own ]]
	begin_load http://127.0.0.1:80/nginx.txt 'nginx here'
	try nginx
	lost_nothing "nginx, own reuseport: $switched switchovers, 4 restarts"
	down nginx
}

@test "haproxy that is told not to set SO_REUSEPORT" {
	template haproxy
	slot_setting haproxy \
		'Environment="PIDFILE=/run/haproxy-%i.pid" "EXTRAOPTS=-f /etc/haproxy/site.cfg -S /run/haproxy-%i.sock"'
	write /etc/haproxy/site.cfg <<-'END'
		global
			noreuseport
		frontend site
			bind :9952
			http-request return status 200 content-type text/plain string "haproxy here"
	END
	up haproxy
	[[ $(intake haproxy) == forced ]]
	begin_load http://127.0.0.1:9952/ 'haproxy here'
	try haproxy
	kill_standby haproxy
	lost_nothing "haproxy: $switched switchovers, 4 restarts, a kill"
	down haproxy
}

@test "unbound over TCP, with the unit and the configuration of its package and nothing changed" {
	local query='\x00\x1b\x124\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x09localhost\x00\x00\x01\x00\x01'
	template unbound
	up unbound
	[[ $(intake unbound) == forced ]]
	[[ $(status unbound '[.listeners[].address] | unique | join(" ")') == '127.0.0.1:53 [::1]:53' ]]
	begin_asking 53 "$query" '\x7f\x00\x00\x01'
	try unbound
	kill_standby unbound
	lost_nothing "unbound over TCP: $switched switchovers, 4 restarts, a kill"
	down unbound
	inside systemctl start unbound
	begin_asking 53 "$query" '\x7f\x00\x00\x01'
	alone unbound
	end_load
	say "$(load_line 'without, 2 restarts of unbound')"
	inside systemctl stop unbound
}

# ---- without hsd, without pins ----

@test "without hsd: the hooks prepare, adopt and retire by themselves" {
	redis_config 6390
	hs enable redis-server@.service
	inside systemctl stop hsd
	inside systemctl start redis-server@0 redis-server@1
	wait_for 5 is_ready redis-server
	[[ $(intake redis-server) == forced ]]
	begin_asking 6390 'PING\r\n' '+PONG'
	switch redis-server 2
	inside systemctl restart redis-server@0
	inside systemctl restart redis-server@1
	wait_for 5 is_ready redis-server
	lost_nothing 'redis, restarted and switched without hsd'
	inside systemctl start hsd
	wait_for 5 is_ready redis-server
	[[ $(intake redis-server) == forced ]]
	down redis-server
}

@test "after a boot: a fresh BPF file system, and hsd before the instances" {
	redis_config 6390
	hs enable redis-server@.service
	inside systemctl stop hsd
	inside bash -c "rm -rf $pins/*"
	inside systemctl start hsd
	inside test -e $pins/redis-server/bind4
	inside systemctl start redis-server@0 redis-server@1
	wait_for 5 is_ready redis-server
	inside systemctl stop redis-server@1
	# taken away under hsd's feet
	inside rm $pins/redis-server/bind4 $pins/redis-server/bind6
	inside systemctl start redis-server@1
	wait_for 5 is_ready redis-server
	hs switchover redis-server --drain=0
	down redis-server
}

# programs NAME: how many bind programs are attached to the control groups of its slots
programs() {
	local slot
	for slot in 0 1; do
		inside bpftool cgroup show "/sys/fs/cgroup$(inside systemctl show -P ControlGroup "$1@$slot")"
	done | grep -c 'hs_bind[46]'
}

@test "disable takes the programs off, and the server goes on" {
	redis_config 6390
	up redis-server
	[[ $(programs redis-server) == 4 ]]
	hs disable redis-server@.service
	[[ $(programs redis-server) == 0 ]]
	run ! inside test -e $pins/redis-server
	[[ $(inside redis-cli -p 6390 ping) == PONG ]]
	# and enabled again nothing has to be restarted
	hs enable redis-server@.service
	wait_for 5 is_ready redis-server
	[[ $(programs redis-server) == 4 ]]
	hs switchover redis-server --drain=0
	down redis-server
}

# ---- settings ----

# mute NAME PORT [OPTION...]: a template whose server opens its sockets without SO_REUSEPORT
mute() {
	local name=$1 port=$2
	shift 2
	own_service "$name" "$port" --no-reuseport "$@"
}

@test "Intake=own: nothing is forced, and what is not switched is named" {
	mute quiet 9742
	printf '[Service]\nIntake=own\n' | write /etc/hotstandby/quiet.conf
	inside systemctl daemon-reload
	run -0 hs enable quiet@.service
	[[ $output == *'Intake: own reuseport; Intake= says so.'* ]]
	inside systemctl start quiet@0
	wait_for 5 is_state quiet 0 not-adopted
	[[ $(programs quiet) == 0 && $(intake quiet) == own ]]
	# changed while it runs: no restart is needed
	printf '[Service]\nIntake=forced\n' | write /etc/hotstandby/quiet.conf
	inside systemctl reload hsd
	inside hsctl adopt quiet@0.service
	wait_for 5 is_state quiet 0 ready
	inside systemctl start quiet@1
	wait_for 5 is_ready quiet
	hs switchover quiet
	[[ $(intake quiet) == forced ]]
	down quiet
}

@test "Intake=socket without a socket unit is refused" {
	mute quiet 9742
	printf '[Service]\nIntake=socket\n' | write /etc/hotstandby/quiet.conf
	inside systemctl daemon-reload
	run -3 hs enable quiet@.service
	[[ $output == *'Intake=socket: There is no socket unit'* ]]
	run -3 hs enable --json quiet@.service
	[[ $(head -n 1 <<<"$output" | jq -r .intake) == null ]]
	down quiet
}

@test "Ports=: others are the slot's own affair" {
	mute named 9743 --listen=127.0.0.1:1974%i
	printf '[Service]\nPorts=9743\n' | write /etc/hotstandby/named.conf
	up named
	[[ $(status named '[.listeners[].address] | join(" ")') == 0.0.0.0:9743 ]]
	[[ $(status named '[.slots[].problem] | unique | join(" ")') == '' ]]
	hs switchover named
	# the option is not there
	run ! inside python3 -c 'import socket; s = socket.socket(); s.setsockopt(1, 15, 1); s.bind(("127.0.0.1", 19740))'
	# another port from now on, also for what runs
	printf '[Service]\nPorts=9743 9745\n' | write /etc/hotstandby/named.conf
	inside systemctl reload hsd
	down named
}

@test "hardened units, with a dynamic user for each slot" {
	mute hard 9746
	slot_setting hard DynamicUser=yes User=hard-%i PrivateUsers=yes ProtectSystem=strict PrivateTmp=yes PrivateDevices=yes \
		CapabilityBoundingSet= NoNewPrivileges=yes ProtectControlGroups=yes RestrictNamespaces=yes \
		'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX' SystemCallFilter=@system-service NoExecPaths=/ \
		'ExecPaths=/usr/lib /lib' ProtectProc=invisible MemoryDenyWriteExecute=yes
	up hard
	[[ $(inside ps -o user= -p "$(main_pid hard@0)") != "$(inside ps -o user= -p "$(main_pid hard@1)")" ]]
	begin_load http://127.0.0.1:9746/ slot=
	try hard
	lost_nothing "a dynamic user for each slot: $switched switchovers, 4 restarts"
	down hard
}

@test "a server that binds long after it is said to run" {
	local type
	for type in simple exec; do
		mute late 9747 --bind-delay=300
		slot_setting late "Type=$type"
		up late
		begin_load http://127.0.0.1:9747/ slot=
		hs switchover late --drain=0
		inside systemctl restart late@0
		wait_for 5 is_ready late
		inside systemctl restart late@1
		wait_for 5 is_ready late
		lost_nothing "Type=$type, binds late: a switchover, 2 restarts"
		down late
	done
}

# ---- socket units ----

@test "a socket unit that never heard of ReusePort=, enabled while a slot runs" {
	local pid
	socket_service plainsock 9741
	inside sed -i '/ReusePort/d; $a FlushPending=yes' /etc/systemd/system/plainsock@.socket
	inside systemctl daemon-reload
	inside systemctl start plainsock@0
	pid=$(main_pid plainsock@0)
	run ! inside systemctl start plainsock@1.socket
	rig_began=${EPOCHREALTIME/,/.}
	begin_load http://127.0.0.1:9741/ slot=
	run -0 hs enable plainsock@.service
	[[ $output == *'Intake: socket unit; a socket unit passes the listeners in.'* ]]
	wait_for 5 is_state plainsock 0 ready
	inside systemctl start plainsock@1
	wait_for 5 is_ready plainsock
	[[ $(main_pid plainsock@0) == "$pid" ]]
	switch plainsock 2
	[[ $(main_pid plainsock@0) == "$pid" ]]
	inside systemctl restart plainsock@0
	inside systemctl restart plainsock@1
	wait_for 5 is_ready plainsock
	lost_nothing "a plain socket unit: enabled, $switched switchovers, 2 restarts"
	no_complaints
	[[ $(intake plainsock) == socket ]]
	baseline
	down plainsock
}
