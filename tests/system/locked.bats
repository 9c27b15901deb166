#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154
#
# Somebody has a lock of pins and keeps it, as a hsctl that was stopped would: hsd goes on, the other services notice
# nothing, who asks for what needs the lock hears why it is not done, and what nobody has asked for is made up for.

load lib/rig

pins=/sys/fs/bpf/hotstandby
describe_other=(busctl call --system --timeout=5 org.hotstandby1 /org/hotstandby1/service/other
	org.hotstandby1.Service Describe)

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9721
	own_service other 9722
	up app
	up other
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	hs policy app standby >/dev/null
	prefer app 0
}

teardown() { let_go; }

# keep FOLDER
keep() {
	inside systemd-run -q --unit=keeper flock "$pins/$1" sleep infinity
	wait_for 5 is_kept "$1"
}
is_kept() { ! inside flock -n "$pins/$1" true; }
let_go() { inside systemctl stop keeper 2>/dev/null || true; }

# Before, it would have been a second for each that has waited.
other_is_described() {
	local longest=0
	for _ in {1..12}; do
		took_at_most 500 inside "${describe_other[@]}" >/dev/null || return 1
		((took_ms <= longest)) || longest=$took_ms
	done
	say "Describe of another service meanwhile: $longest ms at most"
}

# refused VERB...: hsctl is, with a sentence, and meanwhile the other service is described
refused() {
	local asker code=0
	inside hsctl "$@" >"$BATS_TEST_TMPDIR/answer" 2>&1 3>&- &
	asker=$!
	other_is_described || return 1
	wait $asker || code=$?
	((code == 3)) && grep -q 'another process .*; try again' "$BATS_TEST_TMPDIR/answer" ||
		fail "hsctl $*: exit code $code, $(cat "$BATS_TEST_TMPDIR/answer")"
}

members() { hs table app --json | jq -r '[.slots[] | select(.in_service) | .slot] | join(" ")'; }
has_members() { [[ $(members) == "$1" ]]; }

@test "a canary is refused after a second" {
	keep app/preview
	refused canary app 10%
	[[ $(status app .canary_share) == 0 ]]
	let_go
	hs canary app 10%
	hs canary app off
}

@test "released while somebody asks: it is done" {
	local asker
	keep app/preview
	inside hsctl canary app 10% 3>&- &
	asker=$!
	sleep 0.3
	let_go
	wait $asker
	hs canary app off
}

@test "so are a policy, a weight and a pin" {
	hs policy app hash --by=client
	keep app/preview
	refused weight app 1 50%
	refused pin app 10.0.0.0/8 1
	refused rebalance app
	let_go
	hs policy app standby
	keep app/preview
	refused policy app hash --by=client
}

@test "so is a command whose connections are to land on a slot" {
	local asker
	keep app/preview
	inside hsctl exec app 1 -- true >"$BATS_TEST_TMPDIR/answer" 2>&1 3>&- &
	asker=$!
	other_is_described
	! wait $asker
	grep 'another process .*; try again' "$BATS_TEST_TMPDIR/answer"
	let_go
	hs exec app 1 -- curl -sf http://127.0.0.1:9721/ | grep slot=1
}

@test "who shares the clients follows the slots when the lock is released" {
	hs policy app hash --by=client
	wait_for 5 has_members '0 1'
	keep app/preview
	inside systemctl stop app@1
	other_is_described
	has_members '0 1'
	let_go
	wait_for 5 has_members 0
	inside systemctl start app@1
	wait_for 5 has_members '0 1'
}

@test "probes begin when the lock is released, and hsd does not try without a pause" {
	local before after
	keep app/preview
	printf '[Health]\nProbe=tcp\nInterval=1s\n' | write /etc/hotstandby/app.conf.d/health.conf
	inside systemctl reload hsd
	other_is_described
	before=$(inside systemctl show -P CPUUsageNSec hsd)
	sleep 1
	after=$(inside systemctl show -P CPUUsageNSec hsd)
	say "hsd has used $(((after - before) / 1000000)) ms of a second"
	((after - before < 300000000))
	[[ $(status app .slots[0].health) != healthy ]]
	let_go
	wait_for 5 is_healthy
	inside rm /etc/hotstandby/app.conf.d/health.conf
	inside systemctl reload hsd
}
is_healthy() { [[ $(status app .slots[0].health) == healthy ]]; }

@test "the fast path is opened and closed when its lock is released" {
	[[ -e /sys/kernel/btf/vmlinux ]] || skip 'this kernel does not describe its structures (BTF)'
	fast_from clients.service
	wait_for 5 is_open
	keep %fast
	fast_from others.service
	other_is_described
	wait_for 5 is_told_of 'another process changes the fast path'
	let_go
	wait_for 5 is_open
	keep ''
	inside rm /etc/hotstandby/app.conf.d/from.conf
	inside systemctl reload hsd
	other_is_described
	let_go
	wait_for 5 is_gone
}
fast_from() {
	printf '[FastPath]\nFrom=%s\n' "$1" | write /etc/hotstandby/app.conf.d/from.conf
	inside systemctl reload hsd
}
is_open() { [[ $(status app '.fastpath.problem // ""') == '' ]] && inside test -d "$pins/%fast"; }
is_told_of() { [[ $(status app .fastpath.problem) == *"$1"* ]]; }
is_gone() { ! inside test -d "$pins/%fast"; }

problem_of_1() { status app .slots[1].problem; }
is_told_why() { [[ $(problem_of_1) == *'another process makes pins'* ]]; }

# also for longer than may be spent on one socket
@test "a slot that starts meanwhile is told why it is not adopted, and is when the lock is released" {
	inside systemctl stop app@1
	keep ''
	inside systemctl start --no-block app@1
	wait_for 10 is_told_why
	[[ $(problem_of_1) != *restart* && $(problem_of_1) != *'map of another service'* ]]
	other_is_described
	let_go
	wait_for 10 is_ready app
	[[ $(problem_of_1) == null ]]
}

@test "hsd starts while somebody has the lock of all pins, and manages the services" {
	keep ''
	took_at_most 5000 inside systemctl restart hsd
	other_is_described
	let_go
	wait_for 5 is_ready app
	wait_for 5 is_ready other
}
