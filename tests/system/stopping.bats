#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What stops an instance, or has stopped it, by other ways than a signal to its main process.

load lib/rig
load lib/servers

# named is told to stop by "rndc stop", that is, by a port which both slots serve
@test "bind9, with the unit of its package and nothing changed: who is stopped is the one that is meant" {
	local pid query='\x00\x1b\x124\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x09localhost\x00\x00\x01\x00\x01'
	inside sed '/^Alias=/d' /lib/systemd/system/named.service | write /etc/systemd/system/bind@.service
	up bind
	[[ $(status bind '[.listeners[].address] | unique | join(" ")') == *127.0.0.1:953* ]]
	begin_asking 53 "$query" '\x7f\x00\x00\x01'
	for _ in 1 2; do
		prefer bind 0
		pid=$(main_pid bind@0)
		# the standby
		inside systemctl restart bind@1
		wait_for 10 is_ready bind
		[[ $(main_pid bind@0) == "$pid" && $(active bind) == 0 ]]
		# the active one
		pid=$(main_pid bind@1)
		inside systemctl restart bind@0
		wait_for 10 is_ready bind
		[[ $(main_pid bind@1) == "$pid" && $(active bind) == 1 ]]
	done
	# one that hung, when it is restarted
	pid=$(main_pid bind@0)
	inside systemctl kill -s STOP bind@1
	wait_for 10 is_active bind 0
	wait_for 10 is_ready bind
	[[ $(main_pid bind@0) == "$pid" && $(active bind) == 0 ]]
	# without hsd
	inside systemctl stop hsd
	inside systemctl restart bind@1
	wait_for 10 is_ready bind
	[[ $(main_pid bind@0) == "$pid" ]]
	inside systemctl start hsd
	wait_for 10 is_ready bind
	lost_nothing 'bind9: 6 restarts and a hang'
	# a reload as well
	[[ $(active bind) == 0 ]]
	inside systemctl reload bind@1
	has_reloaded 1
	run ! has_reloaded 0
	# the way there is closed with the group that it was for
	inside systemctl restart bind@1
	wait_for 10 is_ready bind
	[[ -z $(inside bpftool -j map dump pinned $pins/bind/preview/rules | jq -c '.[]?' | grep '"protocol":0' || true) ]]
	down bind
}

has_reloaded() {
	inside journalctl -q -o cat --since="@$rig_began" -u "bind@$1" | grep -q 'reloading configuration succeeded'
}

# systemd then runs ExecStop=, which fails as there is nothing to stop
@test "a unit without a main process is started again when its processes are gone" {
	write /etc/systemd/system/loose@.service <<-'END'
		[Service]
		Type=forking
		GuessMainPID=no
		ExecStart=/bin/sh -c '/usr/lib/hotstandby/hs-example-server --slot=%i --listen=0.0.0.0:9814 & sleep 0.2'
		ExecStop=/usr/bin/pkill -F /run/nobody-%i.pid
	END
	up loose
	for slot in 1 0; do
		inside systemctl kill -s KILL "loose@$slot"
		wait_for 10 has_event loose restart
		wait_for 10 is_ready loose
		rig_began=${EPOCHREALTIME/,/.}
	done
	# but not when it was told to stop
	inside systemctl stop loose@1 || true
	wait_for 5 is_unit_state loose@1 failed
	inside systemctl restart loose@0 || true
	wait_for 5 is_state loose 0 ready
	[[ $(unit_state loose@1) == failed ]]
	down loose
}

# Its queue is taken between its poll() and its accept(), which goes on at the next connection only, whatever the
# handler of SIGTERM has noted down.
@test "a server that polls, and then sleeps in accept, ends when it is told to" {
	write /srv/sleeper.py <<-'END'
		import os, select, signal, socket, sys, time
		stopping = []
		signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
		server = socket.socket()
		server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
		server.bind(("0.0.0.0", 9815))
		server.listen(64)
		me = f"/run/sleeper.{sys.argv[1]}"
		poll = select.poll()
		poll.register(server, select.POLLIN)
		while not stopping:
		    if not poll.poll(100):
		        continue
		    while os.path.exists(me + ".wait"):
		        open(me + ".polled", "w")
		        time.sleep(0.01)
		    connection, _ = server.accept()
		    connection.close()
	END
	write /etc/systemd/system/sleeper@.service <<-'END'
		[Service]
		ExecStart=/usr/bin/python3 /srv/sleeper.py %i
		ExecStopPost=/bin/rm -f /run/sleeper.%i.polled
		TimeoutStopSec=10
	END
	up sleeper
	prefer sleeper 0
	inside touch /run/sleeper.0.wait
	inside bash -c 'exec 3<>/dev/tcp/127.0.0.1/9815; cat <&3' 3>&- &
	wait_for 5 inside test -e /run/sleeper.0.polled
	inside systemctl stop --no-block sleeper@0
	wait_for 10 has_event sleeper retire
	# its own way out is open from here on
	inside rm /run/sleeper.0.wait
	wait_for 15 is_ended sleeper@0
	[[ $(inside systemctl show -P Result sleeper@0) == success ]]
	# who waited was served by the other one
	wait $!
	down sleeper
}
is_ended() { [[ $(unit_state "$1") == @(inactive|failed) ]]; }
