#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The bus falls silent in the middle of calls that are for root alone. Who asks is asked about once, when the first call
# comes, and nobody waits for the answer.

load lib/bystander.bash

clean_up() {
	inside pkill -CONT -x 'dbus-daemon|dbus-broker' || true
	inside pkill -x bus-flood || true
}

is_answered_at_once() { took_at_most 1000 hs status bystander >/dev/null; }

@test "root calls without pause, and the bus stands still: hsd answers those who do not come by it, and fails over" {
	# who watches asks over the bus
	bystander_unwatched
	inside $tools/bus-flood 60 1 4 /org/hotstandby1/service/bystander org.hotstandby1.Service CancelUpgrade \
		>"$BATS_TEST_TMPDIR/flood" 2>&1 3>&- &
	local job=$!
	wait_for 5 inside pgrep -x bus-flood >/dev/null
	inside sleep 0.5
	for _ in 1 2 3; do
		inside pkill -STOP -x 'dbus-daemon|dbus-broker'
		is_answered_at_once
		say "status while the bus is silent: $took_ms ms"
		inside pkill -CONT -x 'dbus-daemon|dbus-broker'
		inside sleep 0.2
	done
	inside pkill -STOP -x 'dbus-daemon|dbus-broker'
	# systemd cannot be asked for a restart meanwhile
	bystander_fails_over_once
	inside pkill -CONT -x 'dbus-daemon|dbus-broker'
	inside pkill -x bus-flood
	wait $job || true
	say "$(<"$BATS_TEST_TMPDIR/flood")"
	grep -q 'no upgrade is under way' "$BATS_TEST_TMPDIR/flood"
	wait_for 10 is_ready bystander
	bystander_is_well
}
