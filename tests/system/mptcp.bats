#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Servers that listen by MPTCP. A server in Go does so without a word in its configuration when its go.mod
# names Go 1.24 or later; of esbuild, which is built by such a Go, but whose go.mod is older, GODEBUG= asks the
# same. Its --serve is net/http as Go has it.

load lib/rig

# from npm: scripts/setup
esbuild=$(echo /usr/local/lib/node_modules/esbuild/node_modules/@esbuild/*/bin/esbuild)

setup_file() {
	rig_up
	inside systemctl start hsd
	inside mkdir -p /srv/go
	inside mkfifo /srv/stdin
	echo 'a page' | write /srv/go/page.txt
}

# go_service NAME PORT
go_service() {
	[[ -x $esbuild ]] || skip "esbuild is not installed: scripts/setup test"
	inside sh -c 'python3 -c "import socket; socket.socket(2, 1, 262)"' 2>/dev/null || skip 'no MPTCP in this kernel'
	write "/etc/systemd/system/$1@.service" <<-END
		[Service]
		Environment=GODEBUG=multipathtcp=2
		# it ends with its standard input: a FIFO that it has open for writing as well never ends
		ExecStart=/bin/sh -c 'exec $esbuild --serve=127.0.0.1:$2 --servedir=/srv/go <>/srv/stdin'
	END
	inside systemctl daemon-reload
}

# setting NAME LINE: the whole configuration of a service
setting() { printf '[Service]\n%s\n' "$2" | write "/etc/hotstandby/$1.conf"; }

serves() { [[ $(fetch "http://127.0.0.1:$1/page.txt") == 'a page' ]]; }
# by ss, which lists MPTCP apart
listens_by_mptcp() { inside ss -HMln "sport = :$1" | grep -q .; }

@test "a server in Go takes plain TCP when it is refused MPTCP, and is switched under load" {
	go_service go 9701
	# as it is by itself, and what there is to be solved
	inside systemctl start go@0
	wait_for 5 serves 9701 2>/dev/null
	listens_by_mptcp 9701
	inside systemctl start go@1
	wait_for 5 is_unit_state go@1 failed
	inside systemctl reset-failed go@1
	begin_load http://127.0.0.1:9701/page.txt 'a page'
	inside systemctl restart go@0
	inside systemctl restart go@0
	end_load
	say "$(load_line 'without, 2 restarts of one instance alone')"
	wait_for 5 serves 9701 2>/dev/null
	run -0 hs enable go@.service
	[[ $output == *'MPTCP: no; an instance listens by it now, and cannot be switched until it is restarted'* ]]
	# slot 0 is taken note of, and served as before
	wait_for 5 is_state go 0 not-adopted
	[[ $(status go '.slots[0].problem') == *'MPTCP'*'restart the instance'* ]]
	serves 9701
	inside systemctl restart go@0
	inside systemctl start go@1
	wait_for 5 is_ready go
	run ! listens_by_mptcp 9701
	prefer go 0
	begin_load http://127.0.0.1:9701/page.txt 'a page'
	for _ in {1..10}; do
		hs switchover go --drain=0 >/dev/null
	done
	inside systemctl restart go@0
	inside systemctl restart go@1
	wait_for 10 is_ready go
	lost_nothing 'esbuild --serve: 10 switchovers, 2 restarts'
	down go
}

@test "disable allows MPTCP again to those that run" {
	go_service allowed 9702
	up allowed
	hs disable allowed@.service
	local group
	group=$(inside systemctl show -P ControlGroup allowed@0)
	run -0 inside sh -c "echo \$\$ >/sys/fs/cgroup$group/cgroup.procs; exec python3 -c 'import socket; socket.socket(2, 1, 262)'"
	inside systemctl stop allowed@0 allowed@1
}

@test "a server that insists fails, and it is said why" {
	own_service stubborn 9703 --mptcp
	inside systemctl daemon-reload
	hs enable stubborn@.service
	run ! inside systemctl start stubborn@0
	wait_for 5 has_event stubborn problem
	[[ $(status stubborn '.slots[0].problem') == *'was refused it (MPTCP=no)'*'MPTCP=keep'* ]]
	# the one that takes TCP is served
	own_service stubborn 9703
	inside systemctl daemon-reload
	inside systemctl start stubborn@0 stubborn@1
	wait_for 5 is_ready stubborn
	[[ $(status stubborn '.slots[0].problem') == null ]]
	down stubborn
}

@test "MPTCP=keep: one slot at a time, and the second fails loudly" {
	go_service kept 9704
	setting kept MPTCP=keep
	run -0 hs enable kept@.service
	[[ $output == *'MPTCP: keep; one slot may run at a time'* ]]
	[[ $output != *'start kept@1'* ]]
	inside systemctl start kept@0
	wait_for 5 serves 9704 2>/dev/null
	listens_by_mptcp 9704
	# of Type=exec: it may have been executed, and failed soon after
	inside systemctl start kept@1 || true
	wait_for 5 is_unit_state kept@1 failed
	[[ $(inside journalctl -q -o cat -u kept@1 --since="@$rig_began") == *'address already in use'* ]]
	serves 9704
	run -3 hs switchover kept
	[[ $output == *'slot 0 listens by MPTCP (MPTCP=keep)'*'systemctl stop kept@0'* ]]
	serves 9704
	down kept
}
