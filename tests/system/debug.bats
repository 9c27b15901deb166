#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsd --debug: a line for each event of a service, as it is heard.

load lib/rig

setup_file() {
	rig_up
	inside mkdir -p /run/systemd/system/hsd.service.d
	printf '[Service]\nExecStart=\nExecStart=/usr/sbin/hsd --debug\n' |
		write /run/systemd/system/hsd.service.d/debug.conf
	inside systemctl daemon-reload
	inside systemctl start hsd
	own_service app 19950
	up app
}

# heard TEXT: since the test began
heard() { inside journalctl -q -o cat -u hsd --since "@$rig_began" | grep -qxF "$1"; }

# order_of WORDS...: which of these events were heard, in order, each the last time
order_of() {
	local pattern
	pattern=$(printf '|%s' "$@")
	inside journalctl -q -o cat -u hsd --since "@$rig_began" | grep -xE "app: (${pattern:1})" | sed 's/^app: //' | paste -sd,
}

@test "a restart: the unit changes, is lost, and is adopted anew" {
	prefer app 0
	inside systemctl restart app@1
	wait_for 10 heard 'app: slot 1: adopted, anew'
	heard 'app: slot 1: lost'
	[[ $(order_of 'slot 1: lost' 'slot 1: new run' 'slot 1: adopted, anew') == *'slot 1: lost,slot 1: new run,slot 1: adopted, anew' ]]
}

@test "a change ends once" {
	prefer app 0
	rig_began=$(inside date +%s.%N)
	hs switchover app --drain=0 >/dev/null
	wait_for 5 heard 'app: a change has ended'
	[[ $(order_of 'a change has ended') == 'a change has ended' ]]
}

@test "the active one is killed: lost, and another is active" {
	local before
	prefer app 0
	rig_began=$(inside date +%s.%N)
	before=$(main_pid app@0)
	inside kill -KILL "$before"
	wait_for 5 is_active app 1
	wait_for 5 heard 'app: slot 0: lost'
	# brought back
	wait_for 20 heard 'app: slot 0: adopted, anew'
}

@test "without it there is none" {
	inside rm /run/systemd/system/hsd.service.d/debug.conf
	inside systemctl daemon-reload
	inside systemctl restart hsd
	rig_began=$(inside date +%s.%N)
	wait_for 10 is_ready app
	hs switchover app --drain=0 >/dev/null
	has_event app switchover
	! heard 'app: a change has ended'
}
