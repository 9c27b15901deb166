#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Forced intake: servers of the distribution that never heard of SO_REUSEPORT, with their packages' own
# units and configuration; only ports and paths are changed, so that two instances do not meet there.

load lib/rig

# ---- load by connections that send a line and want an answer ----

# begin_asking PORT SEND TEXT [CLIENTS]: ends by end_asking, or by nothing_lost
begin_asking() {
	load_file=$BATS_TEST_TMPDIR/load.$RANDOM
	inside bash -c "exec timeout -s INT ${LOAD_SECONDS:-100} python3 $tools/exchange.py 127.0.0.1 $1 '$2' '$3' ${4:-6}" \
		>"$load_file" 2>&1 </dev/null 3>&- &
	load_job=$!
	wait_for 5 inside pgrep -f exchange.py >/dev/null
}

end_asking() {
	local word
	inside pkill -INT -f exchange.py || true
	wait "$load_job" || true
	load_job=''
	declare -gA load=()
	for word in $(grep '^requests=' "$load_file"); do
		load[${word%%=*}]=${word#*=}
	done
	[[ -n ${load[requests]:-} ]] || fail "no result of the load: $(cat "$load_file")"
}

nothing_lost() {
	end_asking
	say "$(load_line "$1")"
	((load[requests] >= 100)) || fail "only ${load[requests]} requests: that proves nothing" || return 1
	((load[lost] == 0 && load[wrong] == 0 && load[hung] == 0)) || fail "clients lost requests: $(load_line load)"
}

# ---- what every service goes through ----

# switch NAME SECONDS: as many switchovers as fit
switch() {
	local end=$((SECONDS + $2))
	switched=0
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

# kill_standby NAME: by the kernel alone, and hsd or systemd brings it back
kill_standby() {
	local standby pid
	standby=$(standby "$1")
	pid=$(main_pid "$1@$standby")
	inside systemctl kill -s KILL "$1@$standby"
	wait_for 10 is_new "$1@$standby" "$pid"
	wait_for 10 is_ready "$1"
}

intake() { status "$1" .intake; }

# no_complaints: nobody had anything to say against it since the test began
no_complaints() {
	local text
	text=$(inside journalctl -q -o cat --since="@$rig_began" -p warning)
	[[ -z $text ]] || fail "complaints on a healthy run: $text"
}

# ---- redis ----

# redis_config NAME PORT: of slots 0 and 1, as the package's unit describes it
redis_config() {
	local i
	for i in 0 1; do
		inside sed -e "s/^port .*/port $1/" -e "s@^pidfile .*@pidfile /run/redis-$i/redis-server.pid@" \
			-e "s@^logfile .*@logfile /var/log/redis/redis-server-$i.log@" \
			-e "s@^dbfilename .*@dbfilename dump-$i.rdb@" /etc/redis/redis.conf | write "/etc/redis/redis-$i.conf"
		inside chown redis:redis "/etc/redis/redis-$i.conf"
	done
}

@test "redis, with the template unit of its package" {
	redis_config 6390
	run -0 hs enable redis-server@.service
	[[ $output == *'Intake: forced; '* ]]
	inside systemctl start redis-server@0 redis-server@1
	wait_for 5 is_ready redis-server
	[[ $(intake redis-server) == forced ]]
	[[ $(status redis-server '[.listeners[].address] | sort | join(" ")') == '127.0.0.1:6390 [::1]:6390' ]]
	begin_asking 6390 'PING\r\n' '+PONG'
	try redis-server
	kill_standby redis-server
	nothing_lost "redis: $switched switchovers, 4 restarts, a kill"
	down redis-server
}

@test "redis under the tool that comes with it" {
	redis_config 6390
	up redis-server
	inside redis-benchmark -p 6390 -k 0 -c 10 -n 40000 -t ping_inline -q >"$BATS_TEST_TMPDIR/benchmark" 2>&1 3>&- &
	local job=$! switched=0
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
	nothing_lost 'redis, enabled as it ran, then switched'
	[[ $(intake redis-server) == forced ]]
	down redis-server
	# and what it costs without
	inside systemctl start redis-server@0
	begin_asking 6390 'PING\r\n' '+PONG'
	inside systemctl restart redis-server@0
	inside systemctl restart redis-server@0
	end_asking
	say "$(load_line 'without, 2 restarts of redis-server@0')"
	inside systemctl stop redis-server@0
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
	rig_began=$(inside date +%s.%N)
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
