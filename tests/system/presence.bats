#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a host says of itself to balancers, by hsctl agent and its socket unit, and that one which says that it leaves
# before it goes loses nothing: two services of one machine stand for two hosts here, behind HAProxy with agent-check.

load lib/rig

front=http://127.0.0.1:9880/

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service east 9881
	own_service west 9882
	up east
	up west
	printf '[Socket]\nListenStream=\nListenStream=127.0.0.1:9791\n' |
		write /etc/systemd/system/hotstandby-agent@west.socket.d/port.conf
	write /etc/systemd/system/hotstandby-agent@http.socket <<-'END'
		[Socket]
		ListenStream=127.0.0.1:9792
		Service=east-http.service
	END
	write /etc/systemd/system/east-http.service <<-'END'
		[Service]
		ExecStart=/usr/bin/hsctl agent --serve --http east
	END
	inside systemctl daemon-reload
	inside systemctl start hotstandby-agent@east.socket hotstandby-agent@west.socket hotstandby-agent@http.socket
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start hsd east@0 east@1 west@0 west@1
	wait_for 10 is_ready east
	wait_for 10 is_ready west
	hs join >/dev/null
}

# told PORT: what the agent there says
told() { inside bash -c "exec 3<>/dev/tcp/127.0.0.1/$1 && cat <&3"; }
is_told() { [[ $(told "$1") == "$2" ]]; }
code() { inside curl -s -o /dev/null -w '%{http_code}' --max-time 5 http://127.0.0.1:9792/; }

@test "up, by each way, with a standby or without, with hsd or without" {
	[[ $(hs agent east) == 'up ready 100%' && $(told 9790) == 'up ready 100%' && $(code) == 200 ]]
	run -0 hs agent --exit east
	inside systemctl stop hsd
	inside systemctl stop east@1
	[[ $(hs agent east) == 'up ready 100%' && $(told 9790) == 'up ready 100%' ]]
	run -0 hs agent --http east
	[[ $output == 'HTTP/1.1 200 OK'*up ]]
}

@test "what is held, stopped on purpose or has no slot is down, and says which" {
	hs park east >/dev/null
	wait_for 5 is_told 9790 'down #new connections are held by hsctl park'
	[[ $(code) == 503 ]]
	run -1 hs agent --exit east
	hs release east >/dev/null
	wait_for 5 is_told 9790 'up ready 100%'
	inside systemctl stop east@0 east@1
	wait_for 5 is_told 9790 'down #it is stopped on purpose'
	inside systemctl start east@0
	wait_for 10 is_told 9790 'up ready 100%'
	run -0 --separate-stderr hs agent nobody
	[[ $output == 'down #there is no such service here' && $stderr == *'nothing is pinned'* ]]
}

@test "leave is drain, whatever becomes of hsd, until join" {
	run -0 hs leave east --settle=0
	[[ $output == *'east: this host leaves'*'No connection is left.'* ]]
	wait_for 5 is_told 9790 'up drain'
	[[ $(told 9791) == 'up ready 100%' && $(code) == 503 ]]
	run -2 hs agent --exit east
	fetch http://127.0.0.1:9881/
	inside systemctl restart hsd
	wait_for 2 is_told 9790 'up drain'
	run -0 hs join
	[[ $output == 'east, west: this host takes new clients.' ]]
	wait_for 5 is_told 9790 'up ready 100%'
	run -2 hs leave east --deadline=soon
	run -1 hs leave nobody
	run -2 hs agent --serve east
}

@test "leave waits for connections, at most for its deadline" {
	hold 9881 1
	local begun=$EPOCHSECONDS
	run -0 hs leave east --settle=0 --deadline=2s
	[[ $output == *'1 connection is left at the deadline.'* ]]
	((EPOCHSECONDS - begun >= 2))
	let_go
}

@test "clients that say nothing, or never end, keep nobody from the answer" {
	local i
	inside timeout 20 python3 -c 'import socket, time
held = [socket.create_connection(("127.0.0.1", 9792)) for i in range(200)]
time.sleep(5)' 3>&- &
	local job=$!
	sleep 1
	for i in 1 2 3 4 5; do
		[[ $(code) == 200 ]]
	done
	wait $job
}

# its own socket is one of ours there, at which nobody comes
@test "systemd is not asked, however many ask" {
	local before pid
	run -0 inside unshare -m python3 -c 'import os, socket, subprocess
private = "/run/systemd/private"
listener = socket.socket(socket.AF_UNIX)
listener.bind("/run/agent-test")
listener.listen(8)
listener.setblocking(False)
subprocess.check_call(["mount", "--bind", "/run/agent-test", private])
print(subprocess.check_output(["hsctl", "agent", "east"], text=True).strip())
try:
    listener.accept()
    print("somebody has asked systemd")
except BlockingIOError:
    pass
os.unlink("/run/agent-test")'
	[[ $output == 'up ready 100%' ]]
	# nor is each of a flood looked for: what is read of settings tells how often
	is_told 9790 'up ready 100%'
	pid=$(main_pid hotstandby-agent@east)
	before=$(inside awk '/^syscr/ { print $2 }' "/proc/$pid/io")
	inside python3 -c 'import socket
for i in range(400):
    assert socket.create_connection(("127.0.0.1", 9790)).makefile().read() == "up ready 100%\n"'
	before=$(($(inside awk '/^syscr/ { print $2 }' "/proc/$pid/io") - before))
	say "400 answers, $before reads of files"
	((before < 400))
}

listens() { inside ss -Hltn "sport = :$1" | grep -q .; }

@test "the unit that leaves opens no port of its own; where the socket is, its service is up before anybody asks" {
	inside systemctl stop hotstandby-agent@east.socket
	inside systemctl start hotstandby-leave@east
	run ! listens 9790
	inside systemctl start hotstandby-agent@east.socket
	wait_for 5 inside systemctl --quiet is-active hotstandby-agent@east.service
	inside systemctl stop hotstandby-leave@east
	wait_for 2 is_told 9790 'up drain'
}

balancer() {
	inside systemctl stop balancer 2>/dev/null || true
	write /etc/balancer.cfg <<-'END'
		defaults
		    mode http
		    timeout connect 2s
		    timeout client 10s
		    timeout server 10s
		    retries 0
		    option http-server-close
		frontend front
		    bind 127.0.0.1:9880
		    default_backend hosts
		backend hosts
		    server east 127.0.0.1:9881 check inter 1s agent-check agent-port 9790 agent-inter 500ms
		    server west 127.0.0.1:9882 check inter 1s agent-check agent-port 9791 agent-inter 500ms
	END
	inside systemd-run --quiet --collect --unit=balancer haproxy -db -f /etc/balancer.cfg
	wait_for 10 fetch $front
}

stop_east() { inside systemctl stop hotstandby-leave@east east@0 east@1; }

@test "behind HAProxy: the unit that leaves first, as at shutdown, loses nothing; without it requests are lost" {
	balancer
	inside systemctl start hotstandby-leave@east
	begin_load $front slot=
	sleep 1
	# in one transaction, as at shutdown: what has started behind the slots stops before them
	stop_east
	lost_nothing 'a host that leaves first'
	inside systemctl start east@0 east@1 hotstandby-leave@east
	wait_for 10 is_told 9790 'up ready 100%'
	wait_for 10 both_serve
	# it is asked every half second
	sleep 2
	begin_load $front slot=
	sleep 1
	inside systemctl stop east@0 east@1
	sleep 2
	end_load
	say "$(load_line 'a host that just goes')"
	((load[lost] + load[wrong] > 0))
}

both_serve() {
	inside bash -c 'for i in 1 2 3 4 5 6; do curl -s 127.0.0.1:9880/ -o /dev/null -w "%{http_code}\n"; done' | uniq -c | grep -q '6 200'
}
