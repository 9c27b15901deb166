#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl enable and disable: what they write, what they refuse, and that disabling loses nothing.
# Long: begun with the first.
# Thorough: the other Debian's run has it.

load lib/rig

# Every file that enable could touch: kind, mode, owner, size, checksum.
tree() {
	inside bash -c 'cd / && find etc usr/lib/systemd/system usr/lib/hotstandby run/systemd/system ! -name .updated \
			-printf "%p %y %m %u %l\n" | sort
		find etc usr/lib/hotstandby -type f ! -name .updated -exec md5sum {} + | sort'
}

# refused NAME PATTERN...: enable says each of these, writes nothing and ends with 3
refused() {
	local name=$1 pattern before
	shift
	inside systemctl daemon-reload
	before=$(tree)
	run -3 --separate-stderr hs enable "$name"
	for pattern in "$@" 'nothing was written'; do
		grep -qF -- "$pattern" <<<"$stderr" || fail "not said: $pattern; but: $stderr" || return 1
	done
	diff <(echo "$before") <(tree)
}

forget() {
	inside bash -c "rm -rf /etc/systemd/system/${1}* /etc/hotstandby/*; systemctl daemon-reload"
}

@test "enable writes a configuration and a drop-in, and says what comes next" {
	own_service one 9001
	inside systemctl daemon-reload
	run -0 hs enable one@.service
	[[ $output == *'wrote   /etc/hotstandby/one.conf'* ]]
	[[ $output == *'wrote   /etc/systemd/system/one@.service.d/zz-hotstandby.conf'* ]]
	[[ $output == *'one is under hotstandby.'* ]]
	[[ $output == *'systemctl start one@0.service'* ]]
	[[ $output == *'systemctl start one@1.service'* ]]
	# systemd has read it
	[[ $(inside systemctl show -P ExecStartPost one@0) == *'hs-hook adopt one@0.service'* ]]
	[[ $(inside systemctl show -P ExecStop one@0) == *'hs-hook retire one@0.service'* ]]
	[[ $(inside systemctl show -P NeedDaemonReload one@0) == no ]]
	# and hsd knows it without a restart
	[[ $(hs list --json | jq -r '.[].service') == one ]]
	hs disable one@.service
	forget one
}

@test "enable twice changes nothing, disable twice neither" {
	local once
	socket_service two 9002
	inside systemctl daemon-reload
	hs enable two@.service
	once=$(tree)
	run -0 hs enable two@.service
	[[ $output == *'under hotstandby already'* && $output != *wrote* ]]
	diff <(echo "$once") <(tree)
	hs disable two
	once=$(tree)
	run -0 hs disable two
	[[ $output == *'was not under hotstandby'* ]]
	diff <(echo "$once") <(tree)
	forget two
}

@test "disable removes exactly what enable wrote" {
	local before
	socket_service three 9003
	inside systemctl daemon-reload
	before=$(tree)
	hs enable three@.service
	[[ $(tree) != "$before" ]]
	hs disable three@.service
	diff <(echo "$before") <(tree)
	[[ $(hs list --json | jq length) == 0 ]]
	forget three
}

@test "disable puts settings that were edited aside; enable mentions them" {
	own_service four 9004
	inside systemctl daemon-reload
	hs enable four@.service
	echo 'Settle=10ms' | inside tee -a /etc/hotstandby/four.conf
	run -0 hs disable four@.service
	[[ $output == *'renamed /etc/hotstandby/four.conf to /etc/hotstandby/four.conf.disabled'* ]]
	run -0 hs enable four@.service
	[[ $output == *'earlier settings are in /etc/hotstandby/four.conf.disabled'* ]]
	hs disable four@.service
	forget four
}

@test "the unit's own ExecStop= still runs, behind ours" {
	own_service five 9005
	printf 'ExecStop=/bin/touch /run/five-stopped-%%i\n' | inside tee -a /etc/systemd/system/five@.service
	inside systemctl daemon-reload
	hs enable five@.service
	inside systemctl show -P ExecStop five@0 | grep -q 'hs-hook retire.*'
	[[ $(inside systemctl show -P ExecStop five@0 | grep -o 'hs-hook retire\|touch' | uniq | xargs) == 'hs-hook retire touch' ]]
	inside systemctl start five@0
	inside systemctl stop five@0
	inside test -e /run/five-stopped-0
	hs disable five@.service
	[[ $(inside systemctl show -P ExecStop five@0) != *hsctl* ]]
	forget five
}

@test "enable of what runs already: adopted at once, and nothing is lost" {
	socket_service six 9006
	inside systemctl daemon-reload
	inside systemctl start six@0
	begin_load http://127.0.0.1:9006/ slot=
	run -0 hs enable six@.service
	[[ $output == *'What runs already is adopted by hsd at once.'* ]]
	[[ $output == *'systemctl start six@1.service'* && $output != *'systemctl start six@0.service'* ]]
	wait_for 5 is_state six 0 ready
	inside systemctl start six@1
	wait_for 5 is_ready six
	inside systemctl restart six@0
	inside systemctl restart six@1
	lost_nothing 'enabled and restarted under load'
	baseline
	down six
}

@test "enable works while hsd does not run, and says to start it" {
	own_service seven 9007
	inside systemctl daemon-reload
	inside systemctl stop hsd
	run -0 hs enable seven@.service
	[[ $output == *'systemctl enable --now hsd'* ]]
	inside systemctl start hsd
	[[ $(hs list --json | jq -r '.[].service') == seven ]]
	down seven
}

@test "enable --json and disable --json say the same" {
	own_service eight 9008
	inside systemctl daemon-reload
	run -0 hs enable --json eight@.service
	jq -e '.service == "eight" and .enabled and (.written | length) == 2 and .findings == []
		and (.next | type) == "array" and (.message | type) == "string"' <<<"$output"
	run -0 hs disable --json eight@.service
	jq -e '.service == "eight" and (.removed | length) == 2 and .saved_config == null' <<<"$output"
	forget eight
}

# ---- what cannot work is refused, with the line, the reason and the remedy ----

@test "refused: Accept=yes" {
	socket_service bad 9010
	printf 'Accept=yes\n' | inside tee -a /etc/systemd/system/bad@.socket
	refused bad@.service '/etc/systemd/system/bad@.socket:5: Accept=yes' 'starts a process for each' 'Set Accept=no'
	forget bad
}

@test "refused: ReusePort=no where it is read last" {
	socket_service bad 9010
	printf '[Socket]\nReusePort=no\n' | write /etc/systemd/system/bad@.socket.d/zzz.conf
	refused bad@.service '/etc/systemd/system/bad@.socket.d/zzz.conf:2: ReusePort=no' 'only one slot can listen' 'Remove the line'
	forget bad
}

@test "refused: Requires= on the socket unit" {
	socket_service bad 9010
	inside sed -i 's/^Wants=.*/Requires=bad@%i.socket/' /etc/systemd/system/bad@.service
	refused bad@.service '/etc/systemd/system/bad@.service:3: Requires=bad@%i.socket' 'would stop the service' 'Remove the line'
	forget bad
}

@test "refused: a requirement that no line shows" {
	socket_service bad 9010
	inside mkdir -p /etc/systemd/system/bad@.service.requires
	inside ln -s ../bad@.socket /etc/systemd/system/bad@.service.requires/bad@0.socket
	inside ln -s ../bad@.socket /etc/systemd/system/bad@.service.requires/bad@1.socket
	refused bad@.service 'is stopped together with' '*.requires'
	forget bad
}

@test "refused: an address that differs from slot to slot" {
	socket_service bad 9010
	inside sed -i 's/^ListenStream=.*/ListenStream=901%i/' /etc/systemd/system/bad@.socket
	refused bad@.service 'ListenStream=901%i' 'another address' 'without a % specifier'
	forget bad
}

@test "refused: a drop-in that is read after ours and undoes it" {
	own_service bad 9010
	printf '[Service]\nExecStop=\n' | write /etc/systemd/system/bad@.service.d/zzz.conf
	refused bad@.service '/etc/systemd/system/bad@.service.d/zzz.conf:2' 'read after zz-hotstandby.conf' 'Rename the file'
	forget bad
}

@test "refused: a unit that is no template" {
	printf '[Service]\nExecStart=/bin/true\n' | write /etc/systemd/system/bad.service
	refused bad 'no template' 'copy the file to /etc/systemd/system/bad@.service'
	refused bad.service 'no template'
	forget bad
}

@test "refused: an instance, a socket, a unit that is missing, masked or broken, nonsense" {
	own_service bad 9010
	refused bad@0.service 'This is one instance' 'Give bad@.service'
	refused bad@0 'This is one instance'
	refused bad@.socket 'This is a socket unit' 'Give bad@.service'
	refused missing@.service 'There is no such unit' 'systemctl list-unit-files'
	refused '../bad' 'not the name of a template unit'
	forget bad
	inside ln -s /dev/null /etc/systemd/system/bad@.service
	refused bad@.service 'masked' 'systemctl unmask'
	forget bad
	printf '[Service]\nType=nonsense\n' | write /etc/systemd/system/bad@.service
	refused bad@.service 'systemd-analyze verify bad@.service'
	forget bad
}

@test "refused: a configuration that hsd would not read" {
	own_service bad 9010
	printf '[Service]\nSlots=99\n' | write /etc/hotstandby/bad.conf
	refused bad@.service '/etc/hotstandby/bad.conf:2' 'Slots=99' '2 to 16'
	forget bad
}

@test "refused: a front, whose slots are hosts" {
	own_service front 9013
	printf '[Front]\nAddress=198.51.100.10\nPorts=443/tcp\nHost=192.0.2.11\n' | write /etc/hotstandby/front.conf
	refused front@.service 'Its slots are hosts' 'systemctl reload hsd'
	forget front
}

@test "a usage error is told from a refusal" {
	run -2 hs enable
	run -2 hs enable a b
	run -3 hs disable app@0.service
}

# ---- disabling under load ----

is_there() { inside bpftool prog show id "$1" &>/dev/null; }
is_gone() { ! is_there "$1"; }

@test "disable under load loses nothing and gives the group back to the kernel" {
	local program
	own_service nine 9009
	up nine
	program=$(inside bash -c "bpftool -j prog show pinned $pins/nine/*/selector" | jq .id)
	is_there "$program"
	begin_load http://127.0.0.1:9009/ slot=
	[[ $(fetch http://127.0.0.1:9009/) == 'slot=0 '* ]]
	run -0 hs disable nine@.service
	[[ $output == *'nine is out of hotstandby; the kernel chooses again.'* ]]
	# the instances run on, and both get connections
	wait_for 10 answers_from http://127.0.0.1:9009/ 1
	wait_for 10 answers_from http://127.0.0.1:9009/ 0
	lost_nothing
	((load[slot0] > 0 && load[slot1] > 0))
	baseline
	# the program is gone with its pins
	run ! inside test -e $pins/nine
	wait_for 5 is_gone "$program"
	[[ $(unit_state nine@0) == active && $(unit_state nine@1) == active ]]
	# and the units are plain again
	[[ $(inside systemctl show -P ExecStop nine@0) != *hsctl* ]]
	inside systemctl restart nine@0
	down nine
}

@test "the example for Quadlet is one that Quadlet takes" {
	local quadlet=/usr/libexec/podman/quadlet
	[[ -x $quadlet ]] || skip 'podman has no Quadlet here'
	inside mkdir /tmp/quadlet
	inside cp $examples/app@.container /tmp/quadlet/
	run -0 inside env QUADLET_UNIT_DIRS=/tmp/quadlet $quadlet -dryrun
	[[ $output == *'---app@.service---'*'ExecStart='*'podman run --name app-%i '*'--cgroups=split '*'--network host '* ]]
}

@test "uninstalling leaves a machine that works" {
	own_service ten 9011
	socket_service eleven 9012
	up ten
	up eleven
	hs disable ten@.service
	hs disable eleven@.service
	inside systemctl disable --now hsd
	make -s -C "$top" uninstall DESTDIR="$(container_root "$rig")"
	inside systemctl daemon-reload
	run ! inside bash -c 'command -v hsctl'
	for unit in ten@0 ten@1 eleven@0 eleven@1; do
		[[ $(unit_state $unit) == active ]]
	done
	fetch http://127.0.0.1:9011/
	fetch http://127.0.0.1:9012/
	# the example server went with the rest; anything else starts as before
	inside bash -c 'sed -i "s|^ExecStart=.*|ExecStart=/bin/sleep 1d|; s|notify|simple|" /etc/systemd/system/ten@.service'
	inside systemctl daemon-reload
	inside systemctl restart ten@0
	inside systemctl stop ten@0 ten@1 eleven@0 eleven@1
	[[ -z $(inside systemctl --failed --no-legend --plain | grep -E 'ten|eleven|hsd') ]]
	# nothing of ours is left in the kernel
	run ! inside bash -c "ls $pins/* 2>/dev/null | grep ."
	[[ -z $(inside find /usr /run -xdev \( -name '*hotstandby*' -o -name hsd -o -name hsctl \) \
		! -path "$top/*") ]]
}
