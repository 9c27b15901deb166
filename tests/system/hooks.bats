#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl adopt and retire as ExecStartPost= and ExecStop= of a unit: whatever is the matter with
# hotstandby, the unit starts and stops, and is held up for 5 s at the most.
# Long: begun with the first.
# Thorough: the other Debian's run has it.

load lib/rig

# milliseconds; what systemd and a busy machine take comes on top of the 5 s
patience=7000

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9101
	socket_service sock 9102
	inside systemctl daemon-reload
	hs enable app@.service
	hs enable sock@.service
}

# whatever a test has done to the machine
teardown() {
	inside systemctl kill -s CONT hsd 2>/dev/null || true
	inside bash -c 'mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf'
	inside systemctl stop app@0 app@1 sock@0 sock@1 sock@0.socket sock@1.socket
	inside systemctl restart hsd
	[[ -n ${BATS_TEST_COMPLETED:-} ]] || container_journal "$rig" --since="@$rig_began" | tail -n 60
}

# starts_and_stops UNIT PORT: in time, serving in between, with success
starts_and_stops() {
	local start_ms
	took_at_most $patience inside systemctl start "$1"
	start_ms=$took_ms
	[[ $(unit_state "$1") == active ]]
	[[ $(fetch "http://127.0.0.1:$2/") == 'slot='* ]]
	took_at_most $patience inside systemctl stop "$1"
	say "$1: start $start_ms ms, stop $took_ms ms"
	[[ $(unit_state "$1") == inactive ]]
	[[ $(inside systemctl show -P Result "$1") == success ]]
}

@test "with hsd" {
	starts_and_stops app@0 9101
	starts_and_stops sock@0 9102
}

@test "without hsd: adopted and retired all the same, by the pins" {
	inside systemctl stop hsd
	inside systemctl start app@0
	inside systemctl start app@1
	[[ $(status app '[.active, .slots[].state, .manager] | map(tostring) | join(" ")') == '0 ready ready false' ]]
	inside systemctl restart app@0
	[[ $(active app) == 1 ]]
	starts_and_stops sock@0 9102
	hs events --json | grep -q 'done by hsctl, without hsd'
	inside systemctl start hsd
	is_ready app
	[[ $(active app) == 1 ]]
}

@test "without hsd the listener that systemd opened is its own no more" {
	inside systemctl stop hsd
	inside systemctl start sock@0
	[[ $(unit_state sock@0.socket) == inactive ]]
	[[ $(status sock '.slots[0].sockets') == 1 ]]
}

@test "while hsd hangs" {
	inside systemctl kill -s STOP hsd
	starts_and_stops sock@0 9102
}

@test "while hsd hangs, stopping the active one loses nothing" {
	inside systemctl start app@0
	inside systemctl start app@1
	inside systemctl kill -s STOP hsd
	begin_load http://127.0.0.1:9101/ slot=
	took_at_most $patience inside systemctl stop app@0
	took_at_most $patience inside systemctl start app@0
	inside systemctl kill -s CONT hsd
	lost_nothing 'stopped and started while hsd hangs'
	baseline
	wait_for 5 is_ready app
}

@test "without a BPF file system" {
	inside systemctl stop hsd
	# what is pinned goes with it; here it lives on outside of the container
	inside rm -rf $pins
	inside umount /sys/fs/bpf
	starts_and_stops app@0 9101
	starts_and_stops sock@0 9102
	# with it back, a new start is adopted again
	inside mount -t bpf bpf /sys/fs/bpf
	inside systemctl start hsd
	inside systemctl start app@0
	wait_for 5 is_state app 0 ready
}

@test "with hsd running and the BPF file system gone" {
	inside umount -l /sys/fs/bpf
	starts_and_stops app@0 9101
	hs status app
	inside mount -t bpf bpf /sys/fs/bpf
}

@test "for a service that is not enabled" {
	inside cp /etc/systemd/system/app@.service /etc/systemd/system/other@.service
	inside sed -i 's/9101/9103/' /etc/systemd/system/other@.service
	inside cp -r /etc/systemd/system/app@.service.d /etc/systemd/system/other@.service.d
	inside systemctl daemon-reload
	starts_and_stops other@0 9103
	[[ $(hs list --json | jq -r '.[].service' | xargs) == 'app sock' ]]
	run ! inside test -e $pins/other
	run -1 --separate-stderr hs adopt other@0.service
	[[ $stderr == *'other is not managed'* ]]
	run -0 inside /usr/lib/hotstandby/hs-hook adopt other@0.service
	[[ $output == *'other is not managed'* ]]
	inside bash -c 'rm -rf /etc/systemd/system/other@.*; systemctl daemon-reload'
}

@test "without the bus" {
	inside systemctl stop dbus.socket dbus.service
	starts_and_stops app@0 9101
	inside systemctl start dbus.socket dbus.service
	wait_for 10 is_unit_state hsd active
	starts_and_stops app@0 9101
}

@test "with a configuration that cannot be read" {
	printf '[Service]\nSlots=many\n' | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	starts_and_stops app@0 9101
	inside systemctl stop hsd
	starts_and_stops app@0 9101
	printf '' | write /etc/hotstandby/app.conf
}

@test "by hand: a usage error is told, and what there is not; all else ends well" {
	run -2 hs adopt
	run -2 hs adopt nonsense
	run -2 hs retire app@16.service
	run -2 hs retire app@x.service
	run -0 hs adopt app@0.service
	[[ $output == *'its unit is not running'* ]]
	run -0 hs retire app@0.service
	[[ $output == *'had no socket to retire'* ]]
	local verb
	for verb in prepare adopt retire; do
		run -3 --separate-stderr hs $verb app@9.service
		[[ $stderr == *'no slot 9'* && -z $output ]]
		run -3 --separate-stderr hs $verb app@9.service --direct
		[[ $stderr == *'no slot 9'* && -z $output ]]
		# a unit waits for it
		run -0 inside /usr/lib/hotstandby/hs-hook $verb app@9.service
		[[ $output == *'no slot 9'* ]]
	done
	run -1 as_nobody hsctl adopt app@0.service
	[[ $output == *'only root'* ]]
	inside systemctl start app@0
	run -0 hs adopt app@0.service --json
	jq -e '.service == "app" and .slot == 0 and (.message | type) == "string"' <<<"$output"
}
