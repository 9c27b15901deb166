#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A UDP service whose slots have different users, so that their sockets are handed over; and somebody who wants
# what comes to its port.

load lib/bystander

port=9601

setup_file() {
	hostile_up
	write /etc/systemd/system/names@.service <<-END
		[Service]
		Type=notify
		ExecStart=/usr/bin/python3 $tools/dgram.py serve $port %i
	END
	for slot in 0 1; do
		printf '[Service]\nUser=%s\n' "$([[ $slot == 0 ]] && echo daemon || echo games)" |
			write "/etc/systemd/system/names@$slot.service.d/user.conf"
	done
	up names
}

# begin_binding PORT: nobody tries to, without a pause
begin_binding() {
	inside install -o nobody -d /tmp/theft
	as_nobody python3 $tools/bind.py again "$1" /tmp/theft/result 3>&- &
	thief=$!
	wait_for 5 inside pgrep -f 'bind.py again' >/dev/null
}

end_binding() {
	inside pkill -TERM -f 'bind.py again'
	wait $thief
	read -r tried bound < <(inside cat /tmp/theft/result)
	say "$1: nobody tried $tried times, was let in $bound times"
	((tried >= 100))
}

@test "whoever has SO_REUSEADDR on its UDP sockets lets everybody in: the baseline" {
	bystander_unwatched
	# the server is root's
	inside python3 -c "
import socket, subprocess
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(('0.0.0.0', $((port + 1))))
print(subprocess.run(['setpriv', '--reuid=65534', '--clear-groups', 'python3', '$tools/bind.py', 'once',
                      '$((port + 1))'], capture_output=True, text=True).stdout)
" | grep -x bound
}

@test "nobody gets in at any moment of restarts, a crash and a stop" {
	begin_binding $port
	inside systemctl restart names@0
	inside systemctl restart names@1
	inside systemctl kill -s KILL names@0
	wait_for 10 is_ready names
	hs switchover names --drain=0 >/dev/null
	inside systemctl stop names@1
	inside systemctl start names@1
	wait_for 10 is_ready names
	bystander_watched
	inside systemctl restart hsd
	wait_for 10 is_ready names
	bystander_watch
	end_binding 'restarts of slots with different users'
	((bound == 0))
	[[ $(inside python3 $tools/dgram.py ask 127.0.0.1 $port 20) == "20 slot=$(active names)" ]]
	bystander_is_well
}

# open_to_all UNIT: sets SO_REUSEADDR on its UDP sockets
open_to_all() {
	inside python3 -c "
import ctypes, os, socket
target = os.pidfd_open($(main_pid "$1"))
for name in os.listdir('/proc/$(main_pid "$1")/fd'):
    fd = ctypes.CDLL(None).syscall(438, target, int(name), 0)
    try:
        server = socket.socket(fileno=fd)
    except OSError:
        continue
    if server.type == socket.SOCK_DGRAM and server.family != socket.AF_UNIX:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
"
}

@test "what an earlier release has handed over is closed by the next hsd" {
	bystander_unwatched
	inside systemctl stop hsd
	open_to_all names@0
	open_to_all names@1
	as_nobody python3 $tools/bind.py once $port | grep -x bound
	inside systemctl start hsd
	wait_for 10 is_ready names
	run -0 as_nobody python3 $tools/bind.py once $port
	[[ $output != bound ]]
	bystander_is_well
}
