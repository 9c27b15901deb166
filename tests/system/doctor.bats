#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl doctor: nothing is found where nothing is wrong, and each fault by its id.
# Long: begun with the first.
# Thorough: the other Debian's run has it.

load lib/rig

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service own 9801
	socket_service sock 9802
	printf '[Install]\nWantedBy=multi-user.target\n' | write /etc/systemd/system/own@.service.d/install.conf
	write /etc/systemd/system/bare@.service <<-END
		[Service]
		Type=notify
		ExecStart=/usr/bin/redis-server --port 9803 --supervised systemd --save "" --daemonize no
	END
	write /etc/systemd/system/users@.service <<-END
		[Service]
		Type=notify
		DynamicUser=yes
		User=hsuser%i
		ExecStart=/usr/lib/hotstandby/hs-example-server --slot=%i --listen=0.0.0.0:9804
	END
	inside cp $examples/nginx@.service /etc/systemd/system/
	inside cp $examples/hotstandby-example.conf /etc/nginx/
	for name in own sock bare users nginx; do
		up "$name"
	done
}

# all_found FILE: but what this kernel lacks, whatever is done to it
all_found() {
	local known='[]'
	! lacks_iterators || known=$iterator_checks
	jq -r --argjson known "$known" '[.[] | select(.status == "finding").id] | unique - $known | join(" ")' "$1"
}

# finds ID [SERVICE]: this, nothing else, and it is told
finds() {
	local id=$1 found checks=$BATS_TEST_TMPDIR/checks
	shift
	run -1 --separate-stderr hs doctor --json "$@"
	printf '%s\n' "$output" >"$checks"
	found=$(all_found "$checks")
	[[ $found == "$id" ]] || fail "found '$found' instead of '$id'" || return 1
	jq -e 'all(.[]; .status != "finding" or ([.what, .why, .remedy] | all(length > 10)))' "$checks" >/dev/null
}

# finds_nothing [SERVICE]: the kernel is looked at without one only
finds_nothing() {
	if (($# == 0)) && lacks_iterators; then
		run -1 --separate-stderr hs doctor "$@"
		[[ $output == *' 4 findings.' ]]
	else
		run -0 --separate-stderr hs doctor "$@"
		[[ $output == *' 0 findings.' ]]
	fi
	[[ -z $stderr ]]
}

# drop_in NAME UNIT LINE...
drop_in() {
	local name=$1 unit=$2
	shift 2
	printf '%s\n' "$@" | write "/etc/systemd/system/$unit.d/$name.conf"
	inside systemctl daemon-reload
}

no_drop_in() {
	inside rm "/etc/systemd/system/$2.d/$1.conf"
	inside systemctl daemon-reload
}

sysctl_to() { inside sysctl -qw "$1=$2"; }

restart_both() {
	inside systemctl restart "$1@0"
	wait_for 5 is_ready "$1"
	inside systemctl restart "$1@1"
	wait_for 5 is_ready "$1"
}

@test "on a healthy system nothing is found, by trying out all that is needed" {
	took_at_most 2000 finds_nothing
	local lacks='[]' checks=$BATS_TEST_TMPDIR/checks
	! lacks_iterators || lacks=$iterator_checks
	hs doctor --json >"$checks" || lacks_iterators
	jq -e 'type == "array" and all(.[]; .service == null)' "$checks"
	jq -e --argjson lacks "$lacks" 'all(.[] | select(.id | IN($lacks[]) | not); .status == "ok" or .id == "sysctl.bpf-jit")' "$checks"
	for id in kernel.{select,migration,migration-wakeup,migration-handshakes,udp,syncookies,mmap,ringbuf,counts} \
		kernel.{bind,pidfd-getfd,fchown,setns,census} \
		program.{selector,selector-udp,accounting,census,queues,motion,force,guard,exec}; do
		jq -e --arg id "$id" 'any(.[]; .id == $id)' "$checks" >/dev/null
	done
	# nothing stays behind
	[[ $(inside bash -c 'ls /sys/fs/cgroup | grep -ci hotstandby') == 0 ]]
}

@test "healthy services of each kind have no findings" {
	for name in own sock bare users nginx; do
		took_at_most 2000 finds_nothing "$name"
	done
	run -0 hs doctor own --json
	jq -e 'all(.[]; .service == "own" or .service == null) and any(.[]; .id == "service.sockets")' <<<"$output"
	# whichever is active
	hs switchover own
	finds_nothing own
	inside systemctl enable -q own@0 own@1
	finds_nothing own
	inside systemctl disable -q own@0 own@1
}

@test "nor have those of UDP, of another network namespace, and of one instance at a time" {
	write /etc/systemd/system/dgram@.service <<-'END'
		[Service]
		ExecStart=/usr/bin/python3 -c 'import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.setsockopt(1, 15, 1); s.bind(("0.0.0.0", 9811)); own = socket.socket(type=socket.SOCK_DGRAM); own.bind(("", 0)); [s.sendto(*s.recvfrom(99)) for _ in iter(int, 1)]'
	END
	own_service apart 9812
	inside sed -i 's/^Type=notify/&\nPrivateNetwork=yes/' /etc/systemd/system/apart@.service
	own_service single 9813
	printf '[Service]\nExclusive=yes\n' | write /etc/hotstandby/single.conf
	up dgram
	up apart
	inside systemctl daemon-reload
	hs enable single@.service
	inside systemctl start single@0
	wait_for 5 is_state single 0 ready
	for name in dgram apart single; do
		finds_nothing "$name"
	done
	finds_nothing
	down dgram
	down apart
	down single
}

@test "who may not look, and what is not there" {
	run -1 as_nobody hsctl doctor
	[[ $output == 'hsctl: this needs root'*sudo ]]
	run -1 hs doctor nothing
	[[ $output == *'nothing is not managed by hotstandby; enable it: hsctl enable nothing@.service' ]]
	run -2 hs doctor own sock
	run -2 hs doctor ../etc
	run -2 hs doctor --to=1
	run -1 hs doctor -M somewhere
	[[ $output == *'container somewhere'* ]]
}

@test "sysctls that hurt" {
	sysctl_to net.ipv4.tcp_abort_on_overflow 1
	finds sysctl.abort-on-overflow
	finds sysctl.abort-on-overflow own
	sysctl_to net.ipv4.tcp_abort_on_overflow 0
	sysctl_to net.ipv4.tcp_syncookies 0
	finds sysctl.syncookies
	sysctl_to net.ipv4.tcp_syncookies 1
	sysctl_to net.ipv4.tcp_migrate_req 1
	finds sysctl.migrate-req
	sysctl_to net.ipv4.tcp_migrate_req 0
	sysctl_to net.ipv4.tcp_max_syn_backlog 10
	finds sysctl.max-syn-backlog
	sysctl_to net.ipv4.tcp_max_syn_backlog 1024
	sysctl_to net.ipv4.ip_local_port_range '9000 60999'
	finds service.local-ports own
	sysctl_to net.ipv4.ip_local_reserved_ports 9801,9802-9804
	finds_nothing own
	sysctl_to net.ipv4.ip_local_reserved_ports ''
	sysctl_to net.ipv4.ip_local_port_range '32768 60999'
	finds_nothing
}

@test "a backlog that is cut" {
	sysctl_to net.core.somaxconn 200
	restart_both own
	finds service.backlog-cut own
	finds service.backlog-cut
	sysctl_to net.core.somaxconn 4096
	restart_both own
	finds_nothing own
}

@test "others that listen in front, or beside" {
	inside systemd-run -q --unit=stranger /usr/lib/hotstandby/hs-example-server --slot=7 --listen=127.0.0.1:9801
	wait_for 5 answers_from http://127.0.0.1:9801/ 7
	finds service.foreign-in-front own
	jq -e 'any(.[]; .what | contains("stranger.service"))' "$BATS_TEST_TMPDIR/checks"
	inside systemctl stop stranger
	inside systemd-run -q --unit=stranger /usr/lib/hotstandby/hs-example-server --slot=7 --listen=0.0.0.0:9801
	wait_for 5 inside bash -c 'test "$(ss -Hltn sport = 9801 | wc -l)" -ge 3'
	finds service.foreign own
	finds service.foreign
	inside systemctl stop stranger
	finds_nothing own
}

@test "slots that are not alike" {
	drop_in differs sock@1.socket '[Socket]' Backlog=10
	inside systemctl restart sock@1
	wait_for 5 is_ready sock
	finds service.backlog-differs sock
	drop_in differs sock@1.socket '[Socket]' KeepAlive=yes DeferAcceptSec=5
	inside systemctl restart sock@1
	wait_for 5 is_ready sock
	finds service.options sock
	jq -e 'any(.[]; .what | test("TCP_DEFER_ACCEPT 0 and .*SO_KEEPALIVE 0 and 1"))' "$BATS_TEST_TMPDIR/checks"
	no_drop_in differs sock@1.socket
	inside systemctl restart sock@1
	wait_for 5 is_ready sock
	finds_nothing sock
}

@test "units that are not as they should be" {
	drop_in kill own@.service '[Service]' KillMode=none
	finds unit.kill-mode own
	drop_in kill own@.service '[Service]' TimeoutStopSec=1
	finds unit.stop-timeout own
	no_drop_in kill own@.service
	drop_in needs sock@.service '[Unit]' 'Requires=sock@%i.socket'
	finds unit.lint sock
	no_drop_in needs sock@.service
	inside bash -c 'sleep 1; touch /etc/systemd/system/own@.service'
	finds unit.reload own
	inside systemctl daemon-reload
	inside systemctl enable -q own@0
	finds unit.boot own
	inside systemctl disable -q own@0
	inside bash -c 'mv /etc/systemd/system/own@.service.d/*hotstandby* /root/; systemctl daemon-reload'
	finds unit.drop-in own
	inside bash -c 'mv /root/*hotstandby* /etc/systemd/system/own@.service.d/; systemctl daemon-reload'
	finds_nothing own
}

@test "settings that are wrong, and ports that nobody serves" {
	printf '[Service]\nDrain=soon\n' | write /etc/hotstandby/own.conf.d/test.conf
	finds service.settings own
	printf '[Service]\nPorts=9801 9899\n' | write /etc/hotstandby/own.conf.d/test.conf
	finds service.ports own
	inside rm -r /etc/hotstandby/own.conf.d
	finds_nothing own
}

@test "a slot that is down" {
	inside systemctl stop own@1
	finds slot.ready own
	finds slot.ready
	[[ $(jq -r '.[] | select(.status == "finding").remedy' "$BATS_TEST_TMPDIR/checks") == *'systemctl start own@1.service' ]]
	inside systemctl start own@1
	wait_for 5 is_ready own
	finds_nothing own
}

@test "a slot that has failed, or fails again and again" {
	failing own 1
	[[ $(slot_state own 1) == failed ]]
	[[ $(status own .slots[1].problem) == 'its unit has failed: exit status 3; see journalctl -u own@1.service' ]]
	finds slot.ready own
	[[ $(jq -r '.[] | select(.status == "finding").remedy' "$BATS_TEST_TMPDIR/checks") == *'journalctl -u own@1.service'*%i* ]]
	inside systemctl stop own@1
	drop_in again own@1.service '[Service]' Restart=always RestartSec=1h
	failing own 1
	[[ $(slot_state own 1) == starting ]]
	[[ $(status own .slots[1].problem) == 'its last run ended: exit status 3; see journalctl -u own@1.service' ]]
	finds slot.ready own
	no_drop_in again own@1.service
	no_drop_in fail own@1.service
	inside systemctl restart own@1
	wait_for 5 is_ready own
	finds_nothing own
}

# failing NAME SLOT: its server ends before it is ready
failing() {
	drop_in fail "$1@$2.service" '[Service]' ExecStart= 'ExecStart=/bin/sh -c "exit 3"'
	inside systemctl restart "$1@$2" || true
	wait_for 5 has_problem "$1" "$2"
}

has_problem() { [[ $(status "$1" ".slots[$2].problem") != null ]]; }

@test "hsd that is stopped, or hangs" {
	inside systemctl stop hsd
	finds hsd.running own
	inside systemctl start hsd
	wait_for 5 finds_nothing own
	inside systemctl kill -s STOP hsd
	finds hsd.running own
	jq -e '.[] | select(.id == "hsd.running" and (.what | contains("it is halted")))' "$BATS_TEST_TMPDIR/checks" >/dev/null
	finds hsd.running
	inside systemctl kill -s CONT hsd
	wait_for 5 finds_nothing own
}

@test "an answer that takes its time is an answer" {
	# as where nobody gets a CPU for seconds: here the bus
	inside pkill -STOP -x dbus-daemon
	(sleep 2 && inside pkill -CONT -x dbus-daemon) 3>&- &
	local job=$!
	run -0 hs doctor own
	wait "$job"
	[[ $output != *'does not answer'* ]]
}

@test "no room for parks in the file descriptor store" {
	printf '[Service]\nFileDescriptorStoreMax=3\n' | write /etc/systemd/system/hsd.service.d/store.conf
	inside bash -c 'systemctl daemon-reload; systemctl restart hsd'
	wait_for 5 finds hsd.fd-store own
	inside bash -c 'rm /etc/systemd/system/hsd.service.d/store.conf; systemctl daemon-reload; systemctl restart hsd'
	wait_for 5 finds_nothing own
}

@test "capabilities that are missing" {
	run -1 inside setpriv --bounding-set=-chown hsctl doctor --json
	printf '%s\n' "$output" >"$BATS_TEST_TMPDIR/checks"
	[[ $(all_found "$BATS_TEST_TMPDIR/checks") == system.capabilities ]]
	# what could not be tried is no fault
	run -1 inside setpriv --bounding-set=-bpf,-sys_admin hsctl doctor
	[[ $output == *'skipped  kernel.select'* ]]
}

# ---- kernels that are of no use ----

# on_an_old_kernel CMD...: where bpf(2) knows nothing of what it is asked for
on_an_old_kernel() {
	inside systemd-run -q --wait --pipe --collect -p 'SystemCallFilter=~bpf' -p SystemCallErrorNumber=EINVAL "$@"
}

names_what_it_lacks() {
	[[ $1 == *"cannot work with this kernel ($(uname -r))"*'move waiting connections'*'Linux 5.14 or later'* ]] ||
		fail "this does not say what is missing: $1"
}

@test "a kernel that is too old is refused by name, by all alike, and nothing is written" {
	own_service fresh 9806
	inside systemctl stop hsd
	run -3 on_an_old_kernel hsctl enable fresh@.service
	names_what_it_lacks "$output"
	[[ $output == *'nothing was written' && ${#lines[@]} == 1 ]]
	inside test ! -e /etc/hotstandby/fresh.conf -a ! -e /etc/systemd/system/fresh@.service.d
	run -1 on_an_old_kernel hsctl doctor
	names_what_it_lacks "$output"
	((${#lines[@]} < 12))
	printf '[Service]\nSystemCallFilter=~bpf\nSystemCallErrorNumber=EINVAL\n' |
		write /etc/systemd/system/hsd.service.d/old.conf
	inside systemctl daemon-reload
	run -1 inside systemctl start hsd
	[[ $(inside systemctl show -P ExecMainStatus hsd) == 69 ]]
	wait_for 5 is_unit_state hsd failed
	run inside journalctl -q -o cat --since="@$rig_began" -u hsd
	names_what_it_lacks "$output"
	# once, and not ten times a second
	[[ $(grep -c 'cannot work' <<<"$output") == 1 ]]
	inside bash -c 'rm /etc/systemd/system/hsd.service.d/old.conf; systemctl daemon-reload; systemctl reset-failed hsd'
	inside systemctl start hsd
	wait_for 5 finds_nothing own
	hs enable fresh@.service
	down fresh
}

# ---- waking a server for what was moved to it ----

@test "hsd finds out whether this kernel wakes servers, and says nothing if it does" {
	inside systemctl restart hsd
	wait_for 5 hs list >/dev/null
	inside sleep 0.3
	run inside journalctl -q -o cat --since="@$rig_began" -u hsd
	[[ $output != *'lets a server sleep'* && $output != *'could not be tested'* ]]
}

# hsd_nudges MODE
hsd_nudges() {
	printf '[Service]\nExecStart=\nExecStart=/usr/sbin/hsd --nudge=%s\n' "$1" |
		write /etc/systemd/system/hsd.service.d/nudge.conf
	inside bash -c 'systemctl daemon-reload; systemctl restart hsd'
	wait_for 5 is_ready own
}

# wakings: how often slot 1 is woken when a connection moves to it, as "n"
wakings() {
	local begun client
	rig_began=${EPOCHREALTIME/,/.}
	# what waits of an earlier time goes with both, as there is no park
	inside systemctl stop edges@0 edges@1
	inside systemctl start edges@0 edges@1
	wait_for 5 is_ready edges
	prefer edges 0
	inside python3 -c 'import socket, time; s = socket.create_connection(("127.0.0.1", 9805)); time.sleep(3)' 3>&- &
	client=$!
	wait_for 5 edges_queued 0
	begun=$(inside stat -c %s /run/edges-1)
	inside systemctl kill -s KILL edges@0
	wait_for 5 edges_queued 1
	wait_for 5 has_event edges migrated
	inside sleep 0.3
	echo $(($(inside stat -c %s /run/edges-1) - begun))
	wait $client || true
}

edges_queued() { [[ $(status edges ".slots[$1].queued") == 1 ]]; }

@test "hsd wakes a server for what has moved to it, if it is to" {
	write /etc/systemd/system/edges@.service <<-END
		[Service]
		ExecStart=/usr/bin/python3 $tools/edges.py 9805 /run/edges-%i
	END
	printf '[Service]\nStall=0\nRestartOnCrash=no\nPark=no\n' | write /etc/hotstandby/edges.conf
	up edges
	hsd_nudges never
	# by the kernel
	[[ $(wakings) == 1 ]]
	hsd_nudges always
	# by hsd as well; on a busy machine both may be seen as one
	for try in 1 2 3 4 5; do
		[[ $(wakings) != 2 ]] || break
		((try < 5)) || fail 'hsd did not wake it'
	done
	down edges
}

@test "hsd that wakes servers after each move disturbs none" {
	hsd_nudges always
	begin_load http://127.0.0.1:9801/ slot=
	for _ in 1 2 3 4; do
		hs switchover own --drain=0 --then=restart >/dev/null
		wait_for 5 is_ready own
	done
	lost_nothing 'switchovers with restarts, each move followed by a nudge'
	baseline
	inside bash -c 'rm /etc/systemd/system/hsd.service.d/nudge.conf; systemctl daemon-reload; systemctl restart hsd'
	run -2 inside hsd --nudge=sometimes
}
