#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Listening sockets that outlive the server: in a child that inherited them, in systemd's store; and
# servers that end or pause by themselves.
# Thorough: plane tests hold the rules.

load lib/rig

setup_file() {
	rig_up
	inside systemctl start hsd
	write /usr/lib/system-tests/parent.py <<-'END'
		# PORT [child|store]: a child that accepts nothing inherits the listener; or systemd has a copy of it
		import array, os, signal, socket, subprocess, sys
		port, mode = int(sys.argv[1]), sys.argv[2]
		def tell(text, *fds):
		    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
		        name = os.environ['NOTIFY_SOCKET']
		        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
		        s.sendmsg([text.encode()], rights, 0, '\0' + name[1:] if name[0] == '@' else name)
		given = int(os.environ.get('LISTEN_FDS', '0'))
		if given:
		    s = socket.socket(fileno=3)
		else:
		    s = socket.socket()
		    s.setsockopt(1, 2, 1)
		    s.bind(('127.0.0.1', port))
		    s.listen(128)
		if mode in ('child', 'kept'):
		    s.set_inheritable(True)
		    subprocess.Popen(['sh', '-c', 'trap "" TERM; exec sleep 600'], close_fds=False)
		if mode in ('store', 'kept') and not given:
		    tell('FDSTORE=1\nFDNAME=main', s.fileno())
		tell('READY=1')
		while True:
		    c, _ = s.accept()
		    c.recv(999)
		    c.sendall(b'HTTP/1.0 200 OK\r\n\r\nslot=%s \n' % os.environb[b'HOTSTANDBY_SLOT'])
		    c.close()
	END
}

# parent NAME PORT MODE [LINE...]
parent() {
	printf '%s\n' '[Service]' Type=notify "ExecStart=/usr/bin/python3 /usr/lib/system-tests/parent.py $2 $3" \
		"${@:4}" | write "/etc/systemd/system/$1@.service"
	up "$1"
}

answers_at_once() {
	took_at_most 1500 fetch "http://127.0.0.1:$1/" >/dev/null
}

kill_main() { inside kill -9 "$(main_pid "$1")"; }

@test 'a child that inherited the listener holds nobody up' {
	local n
	parent kid 7301 child TimeoutStopSec=8
	prefer kid 0
	kill_main kid@0
	inside sleep 0.3
	for n in 1 2 3 4 5; do answers_at_once 7301; done
	[[ $(active kid) == 1 ]]
	down kid
}

@test 'nor when it outlives its unit: it is in no run that comes after' {
	local n begun=$rig_began
	parent stay 7302 child KillMode=process Restart=on-failure RestartSec=200ms
	for n in 1 2; do
		prefer stay 0
		kill_main stay@0
		inside sleep 0.3
		answers_at_once 7302
		wait_for 8 is_ready stay
	done
	has_event stay prepare
	# slot 0 has one socket, its own, and serves
	[[ $(status stay '.slots[0].sockets') == 1 ]]
	prefer stay 0
	for n in 1 2 3 4 5 6 7 8; do answers_from http://127.0.0.1:7302/ 0; done
	# hsd has restarted nothing
	run ! inside bash -c "journalctl -q -o cat --since='@$begun' HS_SERVICE=stay HS_EVENT=restart | grep -q hung"
	# another hsd sees the same
	inside systemctl restart hsd
	wait_for 5 is_ready stay
	for n in 1 2 3 4; do answers_from http://127.0.0.1:7302/ 0; done
	# stopped is stopped
	inside systemctl stop stay@0 stay@1
	inside sleep 2
	[[ $(unit_state stay@0) == inactive && $(unit_state stay@1) == inactive ]]
	inside pkill -f 'sleep 600'
	down stay
}

@test 'a listener in the descriptor store: the standby answers at once, and the next run has it again' {
	parent keep 7303 store FileDescriptorStoreMax=4 Restart=on-failure RestartSec=6
	prefer keep 0
	kill_main keep@0
	inside sleep 0.3
	answers_at_once 7303
	[[ $(active keep) == 1 ]]
	wait_for 10 is_ready keep
	[[ $(status keep '.slots[0].sockets') == 1 ]]
	prefer keep 0
	answers_from http://127.0.0.1:7303/ 0
	down keep
}

@test 'a listener in the store that a process of the run before has, too' {
	parent both 7309 kept FileDescriptorStoreMax=4 KillMode=process Restart=on-failure RestartSec=200ms
	prefer both 0
	kill_main both@0
	wait_for 10 is_ready both
	[[ $(status both '.slots[0].sockets') == 1 ]]
	prefer both 0
	answers_from http://127.0.0.1:7309/ 0
	down both
	inside pkill -f 'sleep 600'
}

@test 'a server that ends when nobody asks it anything is started by the first who waits' {
	socket_service idle 7304
	inside sed -i 's|^ExecStart=.*|ExecStart=/lib/systemd/systemd-socket-proxyd --exit-idle-time=1s 127.0.0.1:7305|; s|^Type=.*||' \
		/etc/systemd/system/idle@.service
	own_service behind 7305
	inside systemctl daemon-reload
	inside systemctl start behind@0
	hs enable idle@.service
	inside systemctl start idle@0
	inside systemctl start idle@1
	# it counts from the last connection on, so each has one
	fetch http://127.0.0.1:7304/ | grep -q slot=0
	wait_for 10 is_unit_state idle@0 inactive
	fetch http://127.0.0.1:7304/ | grep -q slot=0
	for _ in 1 2; do
		wait_for 10 both_are_down
		fetch http://127.0.0.1:7304/ | grep -q slot=0
	done
	# also by the next hsd
	wait_for 10 both_are_down
	inside systemctl restart hsd
	fetch http://127.0.0.1:7304/ | grep -q slot=0
	# stopped on purpose it stays down
	inside systemctl stop idle@0 idle@1
	wait_for 5 is_gone 7304
	inside systemctl stop behind@0
	down idle
}

both_are_down() { is_unit_state idle@0 inactive && is_unit_state idle@1 inactive; }

is_gone() {
	local status=0
	inside curl -s -m 3 -o /dev/null "http://127.0.0.1:$1/" || status=$?
	((status == 7))
}

@test 'a reload that takes long is no stop: who listens anew is adopted meanwhile' {
	write /usr/lib/system-tests/anew.py <<-'END'
		import os, select, signal, socket
		r, w = os.pipe()
		os.set_blocking(w, False)
		signal.set_wakeup_fd(w)
		signal.signal(signal.SIGHUP, lambda *a: None)
		def listen():
		    s = socket.socket()
		    s.setsockopt(1, 2, 1)
		    s.bind(('127.0.0.1', 7306))
		    s.listen(128)
		    return s
		s = listen()
		while True:
		    ready, _, _ = select.select([s, r], [], [])
		    if r in ready:
		        os.read(r, 100)
		        s.close()
		        s = listen()
		        continue
		    c, _ = s.accept()
		    c.recv(999)
		    c.sendall(b'HTTP/1.0 200 OK\r\n\r\nslot=%s \n' % os.environb[b'HOTSTANDBY_SLOT'])
		    c.close()
	END
	printf '%s\n' '[Service]' 'ExecStart=/usr/bin/python3 /usr/lib/system-tests/anew.py' \
		'ExecReload=/bin/kill -HUP $MAINPID' 'ExecReload=/bin/sleep 8' | write /etc/systemd/system/anew@.service
	inside systemctl daemon-reload
	hs enable anew@.service
	inside systemctl start anew@0
	wait_for 5 answers_from http://127.0.0.1:7306/ 0
	inside systemctl reload --no-block anew@0
	inside sleep 0.5
	[[ $(inside systemctl show -P ActiveState anew@0) == reloading ]]
	took_at_most 3000 answers_from http://127.0.0.1:7306/ 0
	down anew
}

# as a server of FTP does with its passive ports
@test 'what a session opens for its client is no address of the service, and no two can have it' {
	write /usr/lib/system-tests/session.py <<-'END'
		import os, signal, socket, time
		signal.signal(signal.SIGCHLD, signal.SIG_IGN)
		main = socket.socket()
		main.setsockopt(1, 2, 1)
		main.bind(('127.0.0.1', 7307))
		main.listen(16)
		while True:
		    c, _ = main.accept()
		    if os.fork():
		        c.close()
		        continue
		    main.close()
		    c.recv(999)
		    data = socket.socket()
		    data.setsockopt(1, 2, 1)
		    try:
		        data.bind(('127.0.0.1', 7308))
		        data.listen(1)
		        said = 'mine'
		    except OSError:
		        said = 'taken'
		    c.sendall(b'HTTP/1.0 200 OK\r\n\r\nslot=%s %s\n' % (os.environb[b'HOTSTANDBY_SLOT'], said.encode()))
		    c.close()
		    time.sleep(3)
		    os._exit(0)
	END
	printf '%s\n' '[Service]' 'ExecStart=/usr/bin/python3 /usr/lib/system-tests/session.py' | write /etc/systemd/system/ftp@.service
	up ftp
	inside sleep 11
	fetch http://127.0.0.1:7307/ | grep -q mine
	fetch http://127.0.0.1:7307/ | grep -q taken
	hs switchover ftp --drain=0
	fetch http://127.0.0.1:7307/ | grep -q 'slot=1 taken'
	[[ $(status ftp '[.listeners[].address] | join(" ")') == 127.0.0.1:7307 ]]
	[[ $(status ftp '[.slots[].problem] | unique == [null]') == true ]]
	is_ready ftp
	run ! inside ls -d $pins/ftp/tcp4-127_0_0_1-7308
	down ftp
}
