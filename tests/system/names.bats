#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Names of services as they occur: with dots, dashes, colons, escapes, and long ones.
# Thorough: unit tests hold names.

load lib/rig

setup_file() {
	rig_up
	inside systemctl start hsd
}

# works NAME: everything that makes a name of it
works() {
	local name=$1
	[[ $(hs list --json | jq -r '.[].service') == "$name" ]]
	[[ $(status "$name" '[.slots[].unit] | join(" ")') == "$name@0.service $name@1.service" ]]
	# one folder of pins, and one object on the bus
	(($(inside bash -c "ls $pins | grep -vc accounting") == 1))
	inside busctl --list tree org.hotstandby1 | grep -q '/org/hotstandby1/service/.'
	hs switchover "$name"
	[[ $(answering_slot http://127.0.0.1:9001/) == 1 ]]
	hs rollback "$name@.service"
	inside systemctl restart "$name@0" "$name@1"
	wait_for 10 is_ready "$name"
	# a new hsd finds it again, and so does hsctl alone
	inside systemctl stop hsd
	[[ $(hs status --json "$name" 2>/dev/null | jq -r .service) == "$name" ]]
	hs switchover "$name" --drain=0 2>/dev/null
	inside systemctl start hsd
	wait_for 10 is_ready "$name"
	hs switchover "$name" --drain=0
	has_event "$name" switchover
	inside journalctl -q -o cat HS_SERVICE="$name" HS_EVENT=adopt | grep -qF "$name: slot"
}

# comes_and_goes NAME
comes_and_goes() {
	own_service "$1" 9001
	up "$1"
	works "$1"
	down "$1"
	run ! inside bash -c "ls $pins 2>/dev/null | grep -v accounting"
}

@test "php8.2-fpm, under load" {
	own_service php8.2-fpm 9001
	up php8.2-fpm
	begin_load http://127.0.0.1:9001/ slot=
	works php8.2-fpm
	lost_nothing php8.2-fpm
	baseline
	down php8.2-fpm
}

@test "a_b-c.d" {
	comes_and_goes a_b-c.d
}

@test "a:b" {
	comes_and_goes a:b
}

@test "0" {
	comes_and_goes 0
}

@test "two that differ only in . and -" {
	own_service one.two 9002
	own_service one-two 9003
	up one.two
	up one-two
	hs switchover one.two
	[[ $(active one.two)$(active one-two) == 10 ]]
	down one.two
	[[ $(answering_slot http://127.0.0.1:9003/) == 0 ]]
	[[ $(status one-two .active) == 0 ]]
	down one-two
}

@test "a long one" {
	comes_and_goes "$(printf 'long_name.%.0s' {1..20})end"
}

@test "with an escape, as systemd-escape makes them" {
	local name='my\x2dapp'
	inside bash -c 'cat > "/etc/systemd/system/my\\x2dapp@.service"' <<-END
		[Service]
		Type=notify
		ExecStart=/usr/lib/hotstandby/hs-example-server --slot=%i --listen=0.0.0.0:9004
	END
	up "$name"
	hs switchover "$name"
	[[ $(answering_slot http://127.0.0.1:9004/) == 1 ]]
	inside systemctl restart "$name@1"
	[[ $(answering_slot http://127.0.0.1:9004/) == 0 ]]
	hs disable "$name"
	inside systemctl stop "$name@0" "$name@1"
}
