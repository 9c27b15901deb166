#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# PID 1, then the bus, stands still under load, for longer than a question of hsd's waits for its answer. Nothing is
# lost, hsd goes on, nothing is called down that is not, and afterwards all is as it was by itself.
# Long: begun with the first.
# Thorough: it waits for what does not answer.

load lib/rig

export BATS_TEST_TIMEOUT=800 LOAD_SECONDS=600

services=${SERVICES:-20}
slots=$((2 * services))

setup_file() {
	rig_up
	cp "$top/tests/system/lib/many.sh" "$(container_root "$rig")$tools/"
	inside systemctl start hsd
	inside bash $tools/many.sh 1 "$services"
	printf '[Service]\nFailoverHold=0\n' | write /etc/hotstandby/m003.conf
	printf '[Service]\nFailoverHold=0\n' | write /etc/hotstandby/m005.conf
	inside systemctl reload hsd
	wait_for 60 all_ready
}

teardown() {
	[[ -z ${asking:-} ]] || : >"$BATS_TEST_TMPDIR/enough"
	silence CONT
	silence_bus CONT || true
	end_load_quietly
	no_report || return 1
	[[ -n ${BATS_TEST_COMPLETED:-} ]] ||
		container_journal "$rig" --since="@$rig_began" -u hsd -u 'm00*' | tail -n 60
}

# silence STOP|CONT: PID 1 of the container
silence() { kill "-$1" "$(_container_leader "$rig")"; }
silence_bus() { inside pkill "-$1" -x 'dbus-daemon|dbus-broker'; }

states() {
	hs status --json | jq -r '[.[].slots[].state] | group_by(.) | map("\(.[0]) \(length)") | join(" ")'
}
all_ready() { [[ $(states 2>/dev/null) == "ready $slots" ]]; }

url() { echo "http://127.0.0.1:$((20000 + $1))/"; }
mains() { inside systemctl show -P MainPID 'm*@*.service' --state=active | sort -n; }
parks() { inside systemctl show -P NFileDescriptorStore hsd; }
are_parks_kept() { [[ $(parks) == "$services" ]]; }
has_said() { inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE="$1" | grep -q -- "$2"; }

over_the_bus() {
	inside busctl call --system --json=short --timeout=5 org.hotstandby1 /org/hotstandby1 \
		org.hotstandby1.Manager Describe | jq '.data[0] | fromjson'
}
by_the_door() { hs status --json; }

# ask_all HOW: again and again, which slots are not ready; each answer within a second
ask_all() {
	local answer=$BATS_TEST_TMPDIR/answer asked=0 longest=0
	until [[ -e $BATS_TEST_TMPDIR/enough ]]; do
		took_at_most 1000 "$1" >"$answer" || return
		((took_ms <= longest)) || longest=$took_ms
		asked=$((asked + 1))
		jq -r '[.[] | .service as $name | .slots[] | select(.state != "ready") |
			"\($name):\(.slot)"] | select(length > 0) | join(" ")' "$answer"
		sleep 0.2
	done
	echo "asked $asked times, longest $longest ms"
}

begin_asking() {
	rm -f "$BATS_TEST_TMPDIR/enough"
	ask_all "$1" >"$BATS_TEST_TMPDIR/asked" 2>&1 3>&- &
	asking=$!
}

# end_asking SLOT...: no others were told to be anything but ready
end_asking() {
	local asked="$BATS_TEST_TMPDIR/asked"
	: >"$BATS_TEST_TMPDIR/enough"
	wait "$asking" || true
	asking=''
	say "all were $(tail -n 1 "$asked")"
	tail -n 1 "$asked" | grep -q '^asked' || fail "$(tail "$asked")" || return 1
	[[ -z $(head -n -1 "$asked" | tr ' ' '\n' | grep -vxF "$(printf '%s\n' "$@")") ]] ||
		fail "others were not ready, too: $(sort "$asked" | uniq -c)"
}

# One instance hangs, another crashes, a third is left on purpose.
all_fail_over() {
	inside kill -STOP "$hanging"
	[[ $(fetch "$(url 3)") == slot=1* ]]
	inside kill -KILL "$crashing"
	wait_for 5 answers_from "$(url 4)" 1
	wait_for 5 is_active m004 1
	took_at_most 10000 hs switchover m002 --drain=0 >"$BATS_TEST_TMPDIR/switchover" 2>&1
	! grep 'not running' "$BATS_TEST_TMPDIR/switchover"
	is_active m002 1
}

remember() {
	for name in m002 m003 m004; do
		prefer $name 0
	done
	hanging=$(main_pid m003@0) crashing=$(main_pid m004@0)
	before=$(mains | grep -vxE "$hanging|$crashing")
}

# all is as it was, but for the two that ended
all_is_well() {
	wait_for 30 all_ready
	[[ -z $(comm -23 <(sort <<<"$before") <(mains | sort)) ]] || fail 'an instance was restarted without need'
	are_parks_kept
	[[ $(inside systemctl show -P NRestarts hsd) == 0 ]]
	hs switchover m003 --drain=0 >/dev/null
	hs rollback m002 >/dev/null
	inside systemctl restart m003@1 m004@0
	wait_for 10 all_ready
}

@test "PID 1 is silent: nothing is lost, and all that need not ask it goes on" {
	remember
	begin_load "$(url 2)" slot=
	begin_asking over_the_bus
	silence STOP
	all_fail_over
	# questions and orders have been given up
	wait_for 20 has_said m004 'slot 0: systemd does not answer about m004@0.service'
	wait_for 20 has_said m003 'restarting slot 0, which hung: unknown: systemd does not answer'
	sleep "${SILENT_FOR:-0}"
	hs list | grep -qE '^m004 .* 1/2 '
	[[ $(status m007 '[.slots[].state] | unique | join(" ")') == ready ]]
	silence CONT
	all_is_well
	end_asking m003:0 m003:1 m004:0
	lost_nothing
}

# Each server that has WatchdogSec= fills it a little more.
@test "PID 1 is silent, and nobody can tell it anything more: hsd does not wait for it" {
	local hanging
	prefer m005 0
	hanging=$(main_pid m005@0)
	silence STOP
	inside python3 - <<-'END'
		import socket
		sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		sender.setblocking(False)
		sender.connect("/run/systemd/notify")
		try:
		    while True:
		        sender.send(b"STATUS=full")
		except BlockingIOError:
		    pass
	END
	# systemd is to keep another socket, and to let go of the one before
	for _ in 1 2 3; do
		took_at_most 5000 timeout 20 nsenter -t "$(_container_leader "$rig")" -a hsctl park m006
		took_at_most 5000 timeout 20 nsenter -t "$(_container_leader "$rig")" -a hsctl release m006
	done
	took_at_most 1000 hs status m006 >/dev/null
	inside kill -STOP "$hanging"
	[[ $(fetch "$(url 5)") == slot=1* ]]
	silence CONT
	wait_for 30 all_ready
	wait_for 10 are_parks_kept
	# the socket that systemd has is the one that is in use
	inside systemctl restart hsd
	wait_for 30 all_ready
	! has_said m006 'no park could be opened'
	are_parks_kept
}

@test "the bus is silent: nothing is lost, root is heard, and instances are restarted" {
	remember
	begin_load "$(url 2)" slot=
	begin_asking by_the_door
	silence_bus STOP
	all_fail_over
	before=$(grep -vxF "$(main_pid m008@1)" <<<"$before")
	inside systemctl restart m008@1
	wait_for 20 has_said m008 'slot 1: systemd does not answer about m008@1.service'
	sleep "${SILENT_FOR:-0}"
	hs list | grep -qE '^m004 .* 1/2 '
	silence_bus CONT
	all_is_well
	end_asking m003:0 m003:1 m004:0 m008:1
	lost_nothing
}
