#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# -H and -M: over ssh, and in a container. Both lead to this machine's own hsd, by the ways that lead to another's.
# Thorough: each verb by both ways.

load lib/rig

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9251
	up app
	begin_sshd
	begin_machine
}

# sshd on port 22 inside, which lets root in by a key
begin_sshd() {
	inside sh -c 'mkdir -p /root/.ssh /run/sshd && rm -f /root/.ssh/id_ed25519* /run/host_key* &&
		ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/id_ed25519 &&
		ssh-keygen -q -t ed25519 -N "" -f /run/host_key &&
		cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys && chmod -R go= /root/.ssh'
	printf 'StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n' | write /root/.ssh/config
	inside systemd-run --quiet --unit=test-sshd /usr/sbin/sshd -D -f /dev/null -o HostKey=/run/host_key \
		-o PermitRootLogin=yes -o StrictModes=no -o UsePAM=no
	wait_for 5 inside ssh root@127.0.0.1 true
}

# A container by name: machined knows of it, and it has namespaces of its own, in which is the same bus.
begin_machine() {
	local leader
	inside systemd-run --quiet --unit=test-box unshare --mount --propagation=unchanged sleep infinity
	leader=$(main_pid test-box.service)
	inside busctl call org.freedesktop.machine1 /org/freedesktop/machine1 org.freedesktop.machine1.Manager \
		RegisterMachine sayssus box 16 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 tests container "$leader" / >/dev/null
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	prefer app 0
}

# by_both COMMAND: once by each way
by_both() {
	local way
	for way in -Hroot@127.0.0.1 -Mbox; do
		"$@" $way || fail "by $way: $output"
	done
}

looks() {
	[[ $(hs "$1" list --json | jq -r '.[].service') == app ]]
	[[ $(hs status app "$1" --json | jq -r .active) == 0 ]]
	[[ $(hs connections app "$1" --json | jq -r .service) == app ]]
	[[ $(hs "$1" version) == 'hsctl '* ]]
	[[ $(hs "$1" config app --json | jq -r .service) == app ]]
	[[ $(hs "$1" config check) == 'Settings of 1 service: in order.' ]]
	hs "$1" events app -n 5 | grep -q app
	run -0 hs "$1" history app
	hs "$1" doctor app --json | jq -e length >/dev/null
}
@test "looking works there" { by_both looks; }

changes() {
	run -0 hs switchover app "$1" --drain=0
	[[ $output == *'slot 1 took over from slot 0'* ]]
	run -0 hs "$1" rollback app
	run -0 hs "$1" drain app 1 --deadline=1s
	hs adopt app@1.service >/dev/null
	wait_for 5 is_ready app
	run -0 hs "$1" canary app 5%
	run -0 hs "$1" canary app off
	run -0 hs "$1" park app
	run -0 hs "$1" release app
	run -3 hs "$1" switchover app --to=7
}
@test "changing works there, with the same exit codes" { by_both changes; }

refused() {
	local verb
	run -2 hs "$1" exec app 1 -- true
	[[ $output == *'exec works on the machine itself: its command is told by its control group'*'run it there: '* ]]
	for verb in 'drill app' 'enable app@.service' 'disable app' 'edit app' 'report app' 'retire app@0.service'; do
		# shellcheck disable=SC2086 # words
		run -2 hs "$1" $verb
		[[ $output == *'works on the machine itself: '*'run it there: '* ]] || fail "$verb: $output"
	done
	run -2 hs "$1" --direct status app
}
@test "what cannot be done there is refused, with the reason" { by_both refused; }

@test "words reach the other machine as they are" {
	run -3 hs -H root@127.0.0.1 config check "/no such; it's \$HOME"
	[[ $output == *"There is no file /no such; it's \$HOME."* ]]
	run -3 hs -M box config check "/no such; it's \$HOME"
	[[ $output == *"There is no file /no such; it's \$HOME."* ]]
}

@test "there is no such host, no ssh, no hsd, no hsctl, no such container" {
	run -1 hs -H no-such-host.invalid list
	[[ $output == *'ssh: '*'no-such-host.invalid cannot be reached by ssh, or has no systemd-stdio-bridge; what ssh says of it stands above'* ]]
	[[ $(grep -c 'ssh: Could not resolve' <<<"$output") == 1 ]]
	run -1 hs -H no-such-host.invalid history
	[[ $output == *'no-such-host.invalid cannot be reached by ssh; what ssh says of it stands above'* ]]
	run -1 inside env PATH=/nowhere /usr/bin/hsctl -H web1 history
	[[ $output == *'-H reaches web1 by ssh, which is not installed here'* ]]
	run -1 hs -M nobody list
	[[ $output == *'there is no container nobody on this machine; see machinectl list'* ]]
	run -1 hs -M nobody events
	[[ $output == *'there is no container nobody on this machine; see machinectl list'* ]]
	inside systemctl stop hsd
	run -1 hs -H root@127.0.0.1 status app
	[[ $output == *'root@127.0.0.1: hsd is not running; start it: systemctl start hsd'* ]]
	run -1 hs -M box switchover app
	[[ $output == *'box: hsd is not running; start it: systemctl start hsd'* ]]
	inside mv /usr/bin/hsctl /root/hsctl
	run -1 inside /root/hsctl -H root@127.0.0.1 history
	[[ $output == *'root@127.0.0.1 has no hsctl; install hotstandby there'* ]]
	run -1 inside /root/hsctl -M box history
	[[ $output == *'container box has no hsctl; install hotstandby there'* ]]
	inside mv /root/hsctl /usr/bin/hsctl
	inside systemctl start hsd
}

@test "completion knows the containers" {
	[[ $(hs __complete -- -M '') == box ]]
}
