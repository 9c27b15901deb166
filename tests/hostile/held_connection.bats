#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# An instance that holds the lock of a connection that it has accepted, for as long as it likes. The kernel takes that
# lock for who asks sock_diag(7) for the figures of connections (struct tcp_info), and for who ends one.

load lib/bystander
load lib/lock_holder

port=9712
url=http://127.0.0.1:$port/

setup_file() {
	hostile_up
	lock_holder grip $port SLOT=%i ACCEPTED=1
	# asks for its lock to be held, and stays
	write $tools/be-held <<-END
		exec 3<>/dev/tcp/127.0.0.1/$port
		echo hold >&3
		while read -r line <&3; do
			echo "\$line"
			[[ \$line != slot=* ]] || break
		done
		exec sleep 600
	END
	has_fuse || return 0
	hs enable grip@.service
	inside systemctl start grip@0 grip@1
	printf '[Service]\nDrain=100ms\nDrainEnd=reset\n' | write /etc/hotstandby/grip.conf
	inside systemctl reload hsd
	wait_for 10 is_ready grip
}

teardown_file() {
	inside pkill -x sleep || true
	container_stop "$rig"
}

# take_hold: the active slot's instance is a new one, and holds the lock of a connection
take_hold() {
	inside systemctl restart grip@0
	inside systemctl restart grip@1
	wait_for 20 is_ready grip
	inside bash $tools/be-held >"$BATS_FILE_TMPDIR/held" 2>/dev/null 3>&- &
	wait_for 5 grep -q slot= "$BATS_FILE_TMPDIR/held"
	# the server answers before it takes hold
	inside sleep 0.3
}

# Whose connection it is.
holder() { sed -n 's/^slot=//p' "$BATS_FILE_TMPDIR/held"; }

is_asleep_for_good() { inside bash -c "grep -q '^State:.D' /proc/$1/status"; }
hsd_is_awake() {
	local pid
	pid=$(inside systemctl show -P MainPID hsd)
	! is_asleep_for_good "$pid" || ! inside sleep 1 || ! is_asleep_for_good "$pid"
}

@test "the lock is held: who asks for figures does not come back, the baseline" {
	take_hold
	inside ss -tinH "sport = :$port" >"$BATS_TEST_TMPDIR/figures" 2>&1 3>&- &
	local asker=$!
	wait_for 5 inside bash -c "grep -q '^State:.D' /proc/\$(pgrep -ox ss)/status"
	[[ ! -s $BATS_TEST_TMPDIR/figures ]]
	release
	wait $asker
	grep -q "127.0.0.1.*:$port" "$BATS_TEST_TMPDIR/figures"
}

@test "connections are told with all their figures, and nobody waits" {
	# also for those that follow
	take_hold
	needs_iterators
	bystander_watch
	took_at_most 3000 hs connections grip >/dev/null
	took_at_most 3000 hs connections grip --list --json >"$BATS_TEST_TMPDIR/list"
	jq -e '.problem == null and (.connections | length > 0
		and all((.idle_ms | type) == "number" and .accepted))' "$BATS_TEST_TMPDIR/list"
	hsd_is_awake
	bystander_is_well
	bystander_watched
}

@test "hsd is restarted while clients wait in the park: it learns since when, and nobody waits for the lock" {
	local client
	hs park grip
	inside curl -sS -m 30 $url >"$BATS_TEST_TMPDIR/parked" 2>&1 3>&- &
	client=$!
	wait_for 5 waits_in_park
	bystander_watched
	took_at_most 5000 inside systemctl restart hsd
	wait_for 10 hs status grip >/dev/null
	hsd_is_awake
	waits_in_park
	bystander_watch
	bystander_is_well
	hs release grip
	wait $client
	[[ $(<"$BATS_TEST_TMPDIR/parked") == slot=* ]]
}

waits_in_park() { [[ $(hs connections --json grip | jq '.park.queued') -ge 1 ]]; }

@test "without hsd hsctl tells them as well" {
	needs_iterators
	bystander_unwatched
	inside systemctl stop hsd
	took_at_most 5000 hs connections grip --list --json >"$BATS_TEST_TMPDIR/list" 2>/dev/null
	inside systemctl start hsd
	jq -e '.connections | length > 0 and all((.idle_ms | type) == "number")' "$BATS_TEST_TMPDIR/list"
	wait_for 20 is_ready grip
}

@test "a drain that ends in resets gives up the one that is held, by name" {
	needs_iterators
	local slot
	slot=$(holder)
	bystander_watch
	run -1 took_at_most 8000 hs drain grip "$slot" --deadline=300ms
	[[ $output == *"could not reset its connections: the lock of its socket on "*":$port for the client "*"was held for"* ]]
	hsd_is_awake
	bystander_watched
	bystander_is_well
	# nobody waits for that lock once more
	run -1 took_at_most 2000 hs adopt "grip@$slot.service"
	[[ $output == *'is held since an earlier attempt; restart the instance'* ]]
	inside systemctl restart "grip@$slot"
	wait_for 20 is_ready grip
}

@test "an upgrade whose old instance holds it names it, and goes on" {
	take_hold
	bystander_watch
	[[ $(active grip) == "$(holder)" ]]
	run -0 took_at_most 30000 hs upgrade grip --probation=100ms
	inside journalctl -q -o cat --since="@$rig_began" -u hsd |
		grep 'could be reset: it could not reset its connections: the lock of its socket on .*'$port' for the client '
	hsd_is_awake
	bystander_watched
	wait_for 20 is_ready grip
	bystander_is_well
}

@test "what waited for the lock has ended with the instance" {
	wait_for 10 nobody_sleeps_for_good
}

nobody_sleeps_for_good() {
	# shellcheck disable=SC2016 # the container expands it
	! inside bash -c 'for pid in $(pgrep -x "hsd-work|hsctl"); do grep -q "^State:.D" /proc/$pid/status && exit; done; exit 1'
}
