#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154
#
# A slot that is "not-adopted" has a reason, whatever it is.

load lib/rig

# reason NAME SLOT PATTERN: as hsd and as hsctl by itself tell it
reason() {
	wait_for 5 is_state "$1" "$2" not-adopted
	wait_for 5 has_reason "$@" || { hs status "$1"; return 1; }
	[[ $(hs --direct status "$1" --json 2>/dev/null | jq -r ".slots[$2].problem") == *"hsctl adopt $1@$2"* ]]
}
has_reason() { [[ $(status "$1" ".slots[$2].problem") == *$3* ]]; }

@test "it listens nowhere" {
	printf '[Service]\nExecStart=/bin/sleep 1000\n' | write /etc/systemd/system/mute@.service
	inside systemctl daemon-reload
	hs enable mute@.service
	inside systemctl start mute@0
	reason mute 0 'no process of its unit listens anywhere yet'
	down mute
}

@test "it listens on what Ports= leaves out" {
	own_service aside 9711
	printf '[Service]\nPorts=9712\n' | write /etc/hotstandby/aside.conf
	inside systemctl daemon-reload
	hs enable aside@.service
	inside systemctl start aside@0
	reason aside 0 '0.0.0.0:9711 is not: it is not in Ports='
	# and when that is mended the reason is gone
	printf '[Service]\n' | write /etc/hotstandby/aside.conf
	inside systemctl reload hsd
	hs adopt aside@0.service
	wait_for 5 is_state aside 0 ready
	[[ $(status aside '.slots[0].problem') == null ]]
	down aside
}

@test "another slot's socket is not its own" {
	own_service first 9713
	up first
	own_service second 9713
	inside systemctl daemon-reload
	hs enable second@.service
	inside systemctl start second@0 || true
	! is_state second 0 not-adopted || [[ $(status second '.slots[0].problem') == *first* ]]
	down second
	down first
}
