#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Units whose own commands ask for their server, on the address that all slots have in common.

load lib/rig

# asking NAME PORT LINE...: a template with the example server and these lines
asking() {
	own_service "$1" "$2"
	printf '%s\n' "${@:3}" 'TimeoutStartSec=10' | inside tee -a "/etc/systemd/system/$1@.service" >/dev/null
	inside systemctl daemon-reload
}

# until_answers PORT: a line that waits for an answer
until_answers() {
	echo "ExecStartPost=/bin/sh -c 'until curl -fsS -m 2 -o /dev/null http://127.0.0.1:$1/; do sleep 0.1; done'"
}

@test 'a unit that waits for its own port: alone, as the second, both at once' {
	asking wait 7101 "$(until_answers 7101)"
	hs enable wait@.service
	inside systemctl start wait@0
	inside systemctl restart wait@0
	inside systemctl start wait@1
	wait_for 5 is_ready wait
	inside systemctl stop wait@0 wait@1
	inside systemctl start wait@0 wait@1
	wait_for 5 is_ready wait
	begin_load http://127.0.0.1:7101/ slot=
	inside systemctl restart wait@0
	inside systemctl restart wait@1
	lost_nothing 'a unit that waits for itself: 2 restarts'
	down wait
}

@test 'a single question is enough, for who is adopted is asked' {
	asking once 7102 'ExecStartPost=/usr/bin/curl -fsS -m 2 -o /dev/null http://127.0.0.1:7102/'
	up once
	for _ in 1 2 3 4 5; do
		inside systemctl restart once@0
		inside systemctl restart once@1
	done
	wait_for 5 is_ready once
	down once
}

@test 'a version that answers wrongly does not pass by the answers of the other slot' {
	local pid
	asking bad 7103 "ExecStartPost=/bin/sh -c 'for n in 1 2 3 4 5 6 7 8; do curl -sS -m 2 http://127.0.0.1:7103/ | grep -q slot=%i && exit 0; sleep 0.1; done; exit 1'"
	up bad
	prefer bad 0
	pid=$(main_pid bad@0)
	inside sed -i 's/--slot=%i/--slot=7/' /etc/systemd/system/bad@.service
	inside systemctl daemon-reload
	run ! inside systemctl restart bad@1
	[[ $(active bad) == 0 && $(main_pid bad@0) == "$pid" ]]
	answers_from http://127.0.0.1:7103/ 0
	run -4 hs upgrade bad --probation=1s
	answers_from http://127.0.0.1:7103/ 0
	down bad
}

@test 'a change that is ordered at once after systemctl start waits for what is about to be adopted' {
	printf '[Service]\nExclusive=yes\n' | write /etc/hotstandby/soon.conf
	asking soon 7112 "$(until_answers 7112)"
	# it listens when systemd takes it for started, and not before
	inside sed -i 's/^Type=notify/Type=exec/; s/^ExecStart=\(.*\)/ExecStart=\/bin\/sh -c "sleep 0.2; exec \1"/' \
		/etc/systemd/system/soon@.service
	inside systemctl daemon-reload
	hs enable soon@.service
	for _ in 1 2 3 4 5; do
		inside systemctl start soon@0
		hs switchover soon
		inside systemctl stop soon@1
	done
	down soon
}

@test 'a slot is not ready before its own commands say so, and has no traffic as a standby' {
	asking slow 7104 "ExecStartPost=/bin/sh -c 'test %i = 0 || while test ! -e /run/go; do sleep 0.1; done'"
	hs enable slow@.service
	inside systemctl start slow@0
	inside systemctl start --no-block slow@1
	wait_for 5 is_sockets slow 1 1
	is_state slow 1 starting
	run -3 hs switchover slow --to=1
	[[ $output == *starting* ]]
	inside touch /run/go
	wait_for 5 is_ready slow
	hs switchover slow --to=1
	down slow
}

is_sockets() { [[ $(status "$1" ".slots[$2].sockets") == "$3" ]]; }

@test 'a wrapper that reports ready when the port answers' {
	write /usr/lib/system-tests/wrapper <<-'END'
		#!/bin/sh
		/usr/lib/hotstandby/hs-example-server --slot=$1 --idle-grace=100 --listen=0.0.0.0:7105 &
		until curl -fsS -m 2 http://127.0.0.1:7105/ | grep -q "slot=$1"; do sleep 0.05; done
		systemd-notify --ready
		wait
	END
	inside chmod +x /usr/lib/system-tests/wrapper
	write /etc/systemd/system/wrap@.service <<-'END'
		[Service]
		Type=notify
		NotifyAccess=all
		ExecStart=/usr/lib/system-tests/wrapper %i
		TimeoutStartSec=10
	END
	up wrap
	inside systemctl restart wrap@0
	inside systemctl restart wrap@1
	inside systemctl stop wrap@1
	inside systemctl restart wrap@0
	# hsd that comes in the middle sees to it as well
	inside systemctl start wrap@1
	inside systemctl restart --no-block wrap@0
	inside systemctl restart hsd
	wait_for 10 is_ready wrap
	down wrap
}

@test 'who refuses to start where somebody answers is not kept out by the park or the other slot' {
	local line="/bin/bash -c '! (exec 3<>/dev/tcp/127.0.0.1/7106) 2>/dev/null'" list
	for list in ExecStartPre ExecCondition; do
		asking alone 7106 "$list=$line" Restart=on-failure RestartSec=100ms
		up alone
		inside systemctl restart alone@0
		inside systemctl restart alone@1
		wait_for 5 is_ready alone
		inside systemctl stop alone@1
		inside systemctl kill -s KILL alone@0
		wait_for 5 answers_from http://127.0.0.1:7106/ 0
		down alone
	done
}

@test 'exclusive: the new instance passes its own check while the old one has stopped' {
	asking ex 7107 "$(until_answers 7107)"
	printf '[Service]\nExclusive=yes\n' | write /etc/hotstandby/ex.conf
	hs enable ex@.service
	inside systemctl start ex@0
	begin_load http://127.0.0.1:7107/ slot= 8
	hs switchover ex
	answers_from http://127.0.0.1:7107/ 1
	lost_nothing 'exclusive, with a check of its own'
	down ex
}

# seen FROM: the slot that a process in the control group of slot FROM finds
seen() {
	inside bash -c "echo \$\$ >/sys/fs/cgroup/\$(systemctl show -P ControlGroup self@$1)/cgroup.procs 2>/dev/null ||
		echo \$\$ >/sys/fs/cgroup/unified\$(systemctl show -P ControlGroup self@$1)/cgroup.procs
		exec curl -sS -m 3 http://127.0.0.1:7108/" | sed -n 's/^slot=\([0-9]*\) .*/\1/p'
}

@test 'afterwards too it finds itself, unless Self=active' {
	own_service self 7108
	up self
	prefer self 0
	[[ $(seen 0) == 0 && $(seen 1) == 1 ]]
	hs switchover self --to=1
	[[ $(seen 0) == 0 && $(seen 1) == 1 ]]
	# the helper of a watchdog sees that its own instance hangs
	inside systemctl kill -s STOP self@0
	[[ -z $(seen 0 || true) ]]
	inside systemctl kill -s CONT self@0
	printf '[Service]\nSelf=active\n' | write /etc/hotstandby/self.conf
	inside systemctl reload hsd
	wait_for 5 finds 0 1
	[[ $(seen 1) == 1 ]]
	inside systemctl restart self@0
	wait_for 5 is_ready self
	wait_for 5 finds 0 1
	printf '[Service]\n' | write /etc/hotstandby/self.conf
	inside systemctl reload hsd
	wait_for 5 finds 0 0
	down self
}

finds() { [[ $(seen "$1") == "$2" ]]; }

# The first one to be restarted gets as far as to listen, and then fails its own check.
@test 'who is restarted together with another does not make way for one that is still to prove itself' {
	asking pair 7109 "ExecStartPost=/bin/sh -c 'sleep 0.5; test ! -e /run/bad.%i'"
	up pair
	prefer pair 0
	inside touch /run/bad.0
	begin_load http://127.0.0.1:7109/ slot= 4
	run ! inside systemctl restart pair@0 pair@1
	wait_for 5 is_state pair 1 ready
	lost_nothing 'two restarted at once, of which one fails'
	is_active pair 1
	is_state pair 0 failed
	inside rm /run/bad.0
	down pair
}

# Its stop cannot be taken back: systemd has it under way when the other one's start fails.
@test 'both are restarted in one command to a version that does not start: all wait until one does' {
	asking both 7111 "ExecStartPre=/bin/sh -c 'test ! -e /run/bad'"
	up both
	inside touch /run/bad
	begin_load http://127.0.0.1:7111/ slot= 4
	run ! inside systemctl restart both@0 both@1
	[[ $(status both '[.slots[].state] | unique | join(" ")') == failed ]]
	wait_for 5 waits_in_park both 4
	inside rm /run/bad
	inside systemctl start both@1
	wait_for 5 is_state both 1 ready
	lost_nothing 'two restarted at once, of which none starts, and one started then'
	down both
}

waits_in_park() { (($(status "$1" .parked) == $2)); }

@test 'a server of datagrams that waits for itself, by ExecStartPost= and before it reports ready' {
	local wrapped
	write /usr/lib/system-tests/udp_server.py <<-'END'
		import os, socket
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.bind(('0.0.0.0', 7110))
		while True:
		    _, peer = s.recvfrom(2000)
		    s.sendto(b'slot=' + os.environb[b'HOTSTANDBY_SLOT'], peer)
	END
	write /usr/lib/system-tests/udp_ask.py <<-'END'
		import os, socket, sys
		for _ in range(120):
		    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
		        s.settimeout(0.2)
		        s.connect(('127.0.0.1', 7110))
		        try:
		            s.send(b'?')
		            got = s.recv(100)
		        except OSError:
		            import time
		            time.sleep(0.1)
		            continue
		        sys.exit(0 if got == b'slot=' + os.environb[b'HOTSTANDBY_SLOT'] else 7)
		sys.exit(1)
	END
	write /usr/lib/system-tests/udp_wrapper <<-'END'
		#!/bin/sh
		python3 /usr/lib/system-tests/udp_server.py &
		python3 /usr/lib/system-tests/udp_ask.py || exit
		systemd-notify --ready
		wait
	END
	inside chmod +x /usr/lib/system-tests/udp_wrapper
	for wrapped in '' yes; do
		if [[ $wrapped ]]; then
			printf '%s\n' '[Service]' Type=notify NotifyAccess=all 'ExecStart=/usr/lib/system-tests/udp_wrapper'
		else
			printf '%s\n' '[Service]' 'ExecStart=/usr/bin/python3 /usr/lib/system-tests/udp_server.py' \
				'ExecStartPost=/usr/bin/python3 /usr/lib/system-tests/udp_ask.py'
		fi | write /etc/systemd/system/dg@.service
		up dg
		inside systemctl restart dg@0
		inside systemctl restart dg@1
		wait_for 10 is_ready dg
		inside systemctl stop dg@1
		inside systemctl restart dg@0
		down dg
	done
}
