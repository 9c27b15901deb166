#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Addresses that nobody serves any more: whether hsd keeps them, and who is told.
# Thorough: it waits for addresses that nobody serves any more.

load lib/rig

refused() {
	local status=0
	inside curl -s -m 3 -o /dev/null "http://127.0.0.1:$1/" || status=$?
	((status == 7))
}

is_free() {
	inside python3 -c "import socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('0.0.0.0', $1))"
}

is_kept() { inside ss -ltnpH "sport = $1" | grep -q '"hsd"'; }
is_not_kept() { ! is_kept "$1"; }

@test 'all slots were stopped on purpose: clients are refused and the port is free' {
	own_service gone 7201
	up gone
	inside systemctl stop gone@0
	is_kept 7201
	inside systemctl stop gone@1
	wait_for 5 refused 7201
	is_free 7201
	run ! grep -q 'hsd keeps' <(hs status gone)
	inside systemctl start gone@1
	wait_for 5 answers_from http://127.0.0.1:7201/ 1
	inside systemctl start gone@0
	wait_for 5 is_ready gone
	wait_for 5 is_kept 7201
	down gone
}

@test 'one that is on its way, or has failed, is waited for; so it is with Park=always' {
	own_service later 7202
	up later
	# a restart of the last one, that takes its time
	inside systemctl stop later@1
	printf '[Service]\nExecStartPre=/bin/sleep 1\n' | write /etc/systemd/system/later@.service.d/slow.conf
	inside systemctl daemon-reload
	inside systemctl restart --no-block later@0
	wait_for 5 is_unit_state later@0 activating
	fetch http://127.0.0.1:7202/ | grep -q slot=0
	# failed
	printf '[Service]\nExecStartPre=/bin/false\n' | write /etc/systemd/system/later@.service.d/slow.conf
	inside systemctl daemon-reload
	run ! inside systemctl restart later@0
	inside sleep 1
	is_kept 7202
	hs status later | grep -q 'park: hsd keeps 0.0.0.0:7202, which no slot serves: new connections wait there'
	[[ $(status later '.held | join(" ")') == 0.0.0.0:7202 ]]
	# and then stopped by somebody
	inside systemctl reset-failed later@0
	wait_for 5 refused 7202
	inside rm /etc/systemd/system/later@.service.d/slow.conf
	inside systemctl daemon-reload
	printf '[Service]\nPark=always\n' | write /etc/hotstandby/later.conf
	inside systemctl reload hsd
	inside systemctl start later@0
	wait_for 5 answers_from http://127.0.0.1:7202/ 0
	inside systemctl stop later@0
	inside sleep 1
	is_kept 7202
	inside bash -c 'curl -sS -m 10 http://127.0.0.1:7202/ >/run/later & sleep 0.3; systemctl start later@1; wait'
	inside grep -q slot=1 /run/later
	down later
}

@test 'held on purpose a port stays, whoever stops what' {
	own_service held 7203
	up held
	hs park held
	inside systemctl stop held@0 held@1
	inside sleep 1
	is_kept 7203
	hs release held
	wait_for 5 refused 7203
	down held
}

@test 'a stop and a start in two commands lose nothing but time' {
	own_service twice 7204
	up twice
	inside systemctl stop twice@1
	begin_load http://127.0.0.1:7204/ slot= 4
	inside bash -c 'systemctl stop twice@0; systemctl start twice@0'
	lost_nothing 'stop and start of the last slot'
	down twice
}

@test 'both slots move from IPv4 to both families: nobody waits for those who have gone' {
	write /usr/lib/system-tests/family.py <<-'END'
		import os, socket
		v6 = os.path.exists('/run/v6')
		s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET)
		s.bind(('::' if v6 else '0.0.0.0', 7205))
		s.listen(128)
		while True:
		    c, _ = s.accept()
		    c.recv(999)
		    c.sendall(b'HTTP/1.0 200 OK\r\n\r\nslot=%s \n' % os.environb[b'HOTSTANDBY_SLOT'])
		    c.close()
	END
	write /etc/systemd/system/fam@.service <<-'END'
		[Service]
		ExecStart=/usr/bin/python3 /usr/lib/system-tests/family.py
	END
	inside rm -f /run/v6
	up fam
	inside touch /run/v6
	inside systemctl restart fam@0
	inside systemctl restart fam@1
	wait_for 2 answers_from http://127.0.0.1:7205/ 0
	wait_for 5 is_ready fam
	[[ $(status fam '[.listeners[].address] | join(" ")') == '[::]:7205' ]]
	# and back: IPv6 clients are told in seconds
	inside rm /run/v6
	inside systemctl restart fam@0
	inside systemctl restart fam@1
	wait_for 5 is_ready fam
	wait_for 5 v6_is_refused
	down fam
}

v6_is_refused() {
	local status=0
	inside curl -s -m 2 -o /dev/null 'http://[::1]:7205/' || status=$?
	((status == 7))
}

@test 'Ports= is narrowed at a reload: what it does not name is given up' {
	own_service two 7206 --listen=127.0.0.1:721%i
	inside systemctl daemon-reload
	hs enable two@.service
	inside systemctl start two@0 two@1
	wait_for 5 is_kept 7210
	wait_for 5 is_kept 7211
	printf '[Service]\nPorts=7206\n' | write /etc/hotstandby/two.conf
	begin_load http://127.0.0.1:7206/ slot= 4
	inside systemctl reload hsd
	wait_for 5 is_not_kept 7210
	wait_for 5 is_not_kept 7211
	# the servers go on there, by the kernel alone
	[[ $(answering_slot http://127.0.0.1:7210/) == 0 && $(answering_slot http://127.0.0.1:7211/) == 1 ]]
	run ! inside ls -d $pins/two/tcp4-127_0_0_1-7210
	inside ls -d $pins/two/tcp4-0_0_0_0-7206
	wait_for 5 is_ready two
	inside systemctl restart two@0
	inside systemctl restart two@1
	lost_nothing 'ports are given up, and 2 restarts'
	wait_for 5 is_ready two
	down two
}

@test 'a version that drops an address is undone, and the reason names it' {
	own_service drop 7207 --listen=127.0.0.1:7208
	up drop
	inside sed -i 's| --listen=127.0.0.1:7208||' /etc/systemd/system/drop@.service
	inside systemctl daemon-reload
	run -4 hs upgrade drop --ready=1s
	[[ $output == *'is incomplete: it has no socket on 127.0.0.1:7208'* ]]
	# where it is meant Ports= says so
	printf '[Service]\nPorts=7207\n' | write /etc/hotstandby/drop.conf
	inside systemctl reload hsd
	hs upgrade drop --ready=10s --probation=0
	wait_for 5 is_ready drop
	[[ $(status drop '[.listeners[].address] | join(" ")') == 0.0.0.0:7207 ]]
	down drop
}

@test 'a hsd that has no descriptor left gives up several addresses at once, and goes on' {
	write "$tools/wide.py" <<-'END'
		import http.server, socket, threading
		class Server(http.server.HTTPServer):
		    def server_bind(self):
		        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
		        super().server_bind()
		for port in range(7211, 7216):
		    server = Server(("0.0.0.0", port), http.server.SimpleHTTPRequestHandler)
		    threading.Thread(target=server.serve_forever).start()
	END
	write /etc/systemd/system/wide@.service <<-END
		[Service]
		ExecStart=/usr/bin/python3 $tools/wide.py
	END
	up wide
	wait_for 5 is_kept 7215
	pid=$(inside systemctl show -P MainPID hsd)
	inside bash -c "systemctl stop wide@0 wide@1; prlimit --nofile=3: --pid $pid"
	wait_for 10 refused 7211
	wait_for 10 refused 7215
	[[ $(inside systemctl show -P MainPID hsd) == "$pid" ]]
	# whoever comes by its door meanwhile keeps it from nothing
	inside systemctl start --no-block wide@0
	inside sleep 1
	inside busctl call --system --timeout=5 org.hotstandby1 /org/hotstandby1 org.hotstandby1.Manager ListServices
	before=$(inside cut -d' ' -f14 "/proc/$pid/stat")
	inside sleep 1
	(($(inside cut -d' ' -f14 "/proc/$pid/stat") - before < 50))
	inside prlimit --nofile=1024: --pid "$pid"
	wait_for 20 is_kept 7215
	[[ $(inside systemctl show -P MainPID hsd) == "$pid" ]]
	down wide
}
