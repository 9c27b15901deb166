#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A plugin of Probe=exec: speaks to an instance, and may have been taken over by it. It is nobody, may do nothing,
# leaves nothing behind, and what it does to the process that runs it says nothing of the slot.

load lib/bystander

setup_file() {
	hostile_up
	inside mkdir -p /usr/lib/plugins /var/tmp/open
	inside chmod 1777 /var/tmp/open
	inside useradd -r prober
	own_service app 9801
	up app
}

set_up() {
	inside systemctl start hsd app@0 app@1
}

plugin() {
	write /usr/lib/plugins/evil
	inside chmod 755 /usr/lib/plugins/evil
}

# probe [LINE]: the plugin, and what else stands in section [Health]
probe() {
	printf '[Health]\nInterval=200ms\nTimeout=%s\nProbe=exec:/usr/lib/plugins/evil\n%s\n' "${timeout:-2s}" "${1:-}" |
		write /etc/hotstandby/app.conf
	inside systemctl reload hsd
}

health_of() { status app ".slots[$1].health"; }
reason_of() { status app ".slots[$1].health_reason"; }
has_health() { [[ $(health_of "$1") == "$2" ]]; }
has_reason() { [[ $(reason_of 1) == $1 ]]; }
plugin_units() { inside systemctl list-units --plain --no-legend 'hotstandby-plugin-*' | awk '{ print $1 }'; }
no_units() { [[ -z $(plugin_units) ]]; }
gone() {
	inside rm -f /etc/hotstandby/app.conf
	printf '' | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	wait_for 5 no_units
}

# bats test_tags=thorough
@test "it may do nothing of what root, or another user, may" {
	local hsd
	hsd=$(main_pid hsd)
	plugin <<-END
		#!/bin/bash
		exec 2>/dev/null
		did=
		try() { "\$@" >/dev/null && did+=" [\$*]"; }
		try touch /root/x
		try touch /etc/x
		try touch /usr/lib/plugins/x
		try touch /run/x
		try touch /var/tmp/open/x
		try systemd-run --quiet true
		try busctl call --system org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ListNames
		try hsctl switchover bystander
		try hsctl status bystander
		try mv /sys/fs/bpf/hotstandby/bystander /sys/fs/bpf/x
		try ls /sys/fs/bpf/hotstandby
		try cat /etc/shadow
		try cat /root/.profile
		try ls /root
		try cat /proc/$hsd/environ
		try ls /proc/$hsd/fd
		try cat /proc/\$PPID/environ
		try ls /proc/\$PPID/fd
		try kill -0 $hsd
		try kill -0 1
		try unshare -U true
		try unshare -n true
		try mount -t tmpfs none /mnt
		try mknod /dev/shm/x b 8 0
		try sh -c 'echo \$\$ >/sys/fs/cgroup/cgroup.procs'
		try dmesg
		try python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).ptrace(16, $hsd, 0, 0) != 0)'
		try python3 -c 'import ctypes, os, sys; sys.exit(ctypes.CDLL(None).ptrace(16, int(sys.argv[1]), 0, 0) != 0)' \$PPID
		try python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'
		try setpriv --reuid=0 true
		read -r _ real _ < <(grep Uid: /proc/self/status)
		caps=\$(grep -c '^Cap\(Prm\|Eff\|Bnd\|Amb\):.0000000000000000$' /proc/self/status)
		((real > 0)) || did+=' [root]'
		((caps == 4)) || did+=" [\$caps]"
		echo "worked: \${did:-nothing}"
		exit 2
	END
	probe
	wait_for 10 has_reason 'worked: *'
	[[ $(reason_of 1) == 'worked: nothing' ]] || fail "$(reason_of 1)"
	[[ $(inside sh -c 'ls /root/x /etc/x /usr/lib/plugins/x /run/x /var/tmp/open/x 2>/dev/null') == '' ]]
	say "exposure: $(inside systemd-analyze security --no-pager "$(plugin_units | head -1)" | tail -1)"
	bystander_is_well
	gone
}

# bats test_tags=thorough
@test "User=: another user, but not root" {
	plugin <<-'END'
		#!/bin/sh
		echo "$(id -un) $(grep CapEff /proc/self/status) $(touch /var/tmp/open/y 2>/dev/null && echo wrote)"; exit 2
	END
	probe User=prober
	wait_for 10 has_reason 'prober CapEff:?0000000000000000'
	probe User=nosuchuser
	wait_for 10 has_reason 'the plugin cannot be run: *'
	# which is not known to be ill
	has_health 1 unknown
	probe User=root
	[[ $(hs status app 2>&1) == *'User'*'is not for plugins'* ]]
	bystander_is_well
	gone
}

nothing_runs() { ! inside pgrep -f evil >/dev/null && ! inside pgrep -x sleep >/dev/null; }

@test "what it leaves behind is ended, however it hides" {
	plugin <<-'END'
		#!/bin/bash
		trap '' TERM INT HUP
		for _ in 1 2 3 4 5; do
			setsid bash -c 'trap "" TERM INT HUP; (setsid sleep 1000 & setsid bash -c "sleep 1001 & sleep 1002" &) & sleep 1003' &
		done
		sleep 0.1
		[[ -e /proc/self/nowhere ]] || echo 'CRITICAL - left'
		exit 2
	END
	probe
	wait_for 10 has_reason 'CRITICAL - left'
	gone
	wait_for 5 nothing_runs
	# the same past its time
	sed -i 's/^exit 2/sleep 1000/' "$(container_root "$rig")/usr/lib/plugins/evil"
	timeout=500ms probe
	wait_for 10 has_reason 'no answer in 500ms'
	wait_for 5 has_health 1 unhealthy
	gone
	wait_for 5 nothing_runs
	bystander_is_well
}

# bats test_tags=thorough
@test "it forks as fast as it can" {
	plugin <<-'END'
		#!/bin/bash
		f() { f & f & }
		f
		sleep 1000
	END
	bystander_watch
	timeout=1s probe
	wait_for 10 has_reason 'no answer in 1s'
	bystander_watched
	(($(inside pgrep -fc '^/bin/bash /usr/lib/plugins/evil') <= 256))
	gone
	wait_for 10 nothing_runs
	bystander_is_well
}

is_void() { [[ $(reason_of 1) == 'the plugin cannot be run: '* ]]; }

# bats test_tags=thorough
@test "it kills the process that runs it: that is not the slot's fault" {
	plugin <<-'END'
		#!/bin/sh
		kill -KILL $PPID
		kill -KILL -1
		exit 2
	END
	probe
	wait_for 10 is_void
	local _
	for _ in 1 2 3 4 5 6; do
		has_health 0 unknown
		has_health 1 unknown
		sleep 0.3
	done
	is_active app 0
	bystander_is_well
	# it is tried again, later each time; a better plugin is heard at once
	plugin <<-'END'
		#!/bin/sh
		exit 0
	END
	probe Rise=1
	wait_for 10 has_health 1 healthy
	gone
}
