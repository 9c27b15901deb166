#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What slots run was replaced on the disk: it is told at once, and one command brings the new version into service.

load lib/rig

port=19850

# a server of its own with a library of its own, so that each can be replaced
setup_file() {
	rig_up
	inside systemctl start hsd
	inside mkdir -p /opt/app
	inside cp /usr/lib/hotstandby/hs-example-server /opt/app/server
	inside cp /lib/x86_64-linux-gnu/libsystemd.so.0 /opt/app/libsystemd.so.0
	own_service app $port
	write /etc/systemd/system/app@.service.d/own.conf <<-END
		[Service]
		Environment=LD_LIBRARY_PATH=/opt/app
		ExecStart=
		ExecStart=/opt/app/server --slot=%i --listen=0.0.0.0:$port
	END
	up app
}

# as a package manager does it
replace() { inside bash -c "cp -p $1 $1.new && mv $1.new $1"; }

outdated() { status app "[.slots[].outdated | select(. != null)] | $1"; }

@test "upgrade --outdated: a value that makes no sense is refused, also where there is nothing to do" {
	run -2 hs upgrade --outdated --hold=soon
	[[ $output == *'"soon" is no value for --hold'* ]]
	run -2 hs upgrade --outdated app --json --canary=200%
	[[ $output == *'is no value for --canary'* ]]
}

@test "a library that was replaced is told by status, list, doctor and JSON" {
	local begun
	[[ $(outdated length) == 0 ]]
	run -0 hs status app
	[[ $output != *outdated* ]]
	run -0 hs list
	[[ $output != *OUTDATED* ]]
	begun=$(inside date +%s)
	replace /opt/app/libsystemd.so.0
	# nothing in between: whoever asks waits for what is due
	[[ $(outdated length) == 2 ]]
	[[ $(outdated '.[0].path') == /opt/app/libsystemd.so.0 && $(outdated '.[0].files') == 1 ]]
	(($(inside date -d "$(outdated '.[0].since')" +%s) >= begun))
	run -0 hs status app
	[[ $output == *'slot 0: outdated: it runs an old /opt/app/libsystemd.so.0, which was replaced on the disk'* ]]
	run -0 hs list
	[[ ${lines[0]} == *OUTDATED* && ${lines[1]} =~ \ 2$ ]]
	run hs doctor app
	[[ $output == *'slot.outdated (app)'*'app@0.service: it runs an old /opt/app/libsystemd.so.0'* ]]
	# others may look, too
	[[ $(as_nobody hsctl list --json | jq '.[0].outdated') == 2 ]]
	# and without hsd
	[[ $(hs --direct status app --json 2>/dev/null | jq -r '.slots[1].outdated.path') == /opt/app/libsystemd.so.0 ]]
	wait_for 10 has_event app outdated
}

@test "a new hsd knows it as well" {
	inside systemctl restart hsd
	wait_for 10 is_ready app
	[[ $(outdated length) == 2 ]]
}

@test "upgrade --outdated brings the new version into service, and does nothing when there is none" {
	local before0 before1
	own_service other $((port + 1))
	up other
	before0=$(main_pid other@0)
	[[ $(outdated length) == 2 ]]
	before1=$(main_pid app@1)
	begin_load http://127.0.0.1:$port/ slot=
	run -0 --separate-stderr hs upgrade --outdated --probation=300ms
	lost_nothing 'an upgrade of what is outdated'
	[[ $output == *'app: upgraded'* && $output != *'other: '* ]]
	[[ $(outdated length) == 0 ]]
	is_new app@1 "$before1"
	[[ $(main_pid other@0) == "$before0" ]]
	run -0 hs upgrade --outdated
	[[ $output == 'Nothing to do: every slot runs what is on the disk.' ]]
	[[ $(hs upgrade --outdated --json) == '[]' ]]
	down other
}

@test "a new hsd tells what is replaced, though nobody has asked it anything" {
	inside systemctl restart hsd
	replace /opt/app/libsystemd.so.0
	wait_for 10 has_event app outdated
	hs upgrade --outdated --probation=300ms
	[[ $(outdated length) == 0 ]]
}

@test "the program itself, by the name of the service; others are left alone" {
	replace /opt/app/server
	[[ $(outdated '.[1].path') == /opt/app/server ]]
	run -1 hs upgrade --outdated app stranger --probation=300ms
	[[ $output == *'app: upgraded'* && $output == *'stranger is not managed by hotstandby'* ]]
	[[ $(outdated length) == 0 ]]
}

@test "a new version that does not start is undone: exit code 4, and it is told still" {
	local serving
	serving=$(main_pid "app@$(active app)")
	inside bash -c 'cp /bin/false /opt/app/server.new && mv /opt/app/server.new /opt/app/server'
	run -4 --separate-stderr hs upgrade --outdated --json --probation=300ms
	[[ $(jq -r '.[0] | "\(.service) \(.exit)"' <<<"$output") == 'app 4' ]]
	[[ $(main_pid "app@$(active app)") == "$serving" ]]
	(($(outdated length) >= 1))
	inside bash -c 'cp /usr/lib/hotstandby/hs-example-server /opt/app/server.new && mv /opt/app/server.new /opt/app/server'
}

@test "a file that somebody touches all the time keeps nobody busy" {
	local ticks touching
	inside systemctl start app@0 app@1
	wait_for 10 is_ready app
	[[ $(outdated length) -ge 0 ]]
	inside bash -c 'for ((i = 0; i < 20000; i++)); do touch /opt/app/server /opt/app/libsystemd.so.0; done' &
	touching=$!
	ticks=$(inside bash -c 'awk "{ print \$14 + \$15 }" /proc/$(systemctl show -P MainPID hsd)/stat')
	inside sleep 3
	ticks=$(($(inside bash -c 'awk "{ print \$14 + \$15 }" /proc/$(systemctl show -P MainPID hsd)/stat') - ticks))
	kill "$touching" 2>/dev/null || true
	wait "$touching" 2>/dev/null || true
	# of some 300 in this time
	((ticks < 30)) || fail "hsd used $ticks ticks of the processor"
}

@test "options that do not go together are usage" {
	run -2 hs upgrade app other
	[[ $output == *'"other" is too much'* ]]
	run -2 hs upgrade
	run -2 hs switchover app --outdated
	[[ $output == *'takes no --outdated'* ]]
}
