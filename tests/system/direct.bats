#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl without hsd: by what is pinned in the kernel, and safely beside a hsd.

load lib/rig

url=http://127.0.0.1:9901/

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9901
	up app
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start app@0 app@1 hsd
	wait_for 10 is_ready app
	prefer app 0
	inside systemctl stop hsd
}

said_so() { grep -q 'hsd is not running; done directly through the kernel' <<<"$stderr" || fail "not said: $stderr"; }

@test "status, list and connections" {
	hold 9901 2
	run -0 --separate-stderr hs status --json app
	said_so
	jq -e '.manager == false and .active == 0 and .slots[0].connections == 2 and .slots[0].state == "ready"
		and .slots[0].main_pid > 0 and .listeners[0].address == "0.0.0.0:9901"' <<<"$output"
	run -0 --separate-stderr hs status
	said_so
	[[ ${lines[0]} == *'seen without hsd'* ]]
	hs list --json | jq -e '.[0].service == "app" and .[0].ready == 2'
	hs connections --json --list app | jq -e '.connections | length == 2'
	let_go
}

# What is pinned may belong to another release's hsd, which is at work still, or again after `hsd --hand-over`.
@test "who looks, or changes the word, leaves the programs of another build as they are" {
	local build=$pins/%accounting-4/build key=(00 00 00 00) other=(01 00 00 00 00 00 00 00) before
	inside bpftool map update pinned "$build" key hex "${key[@]}" value hex "${other[@]}"
	before=$(programs)
	run -0 --separate-stderr hs status --json app
	said_so
	jq -e '.slots[0].connections == 0' <<<"$output"
	hs connections app >/dev/null
	hs switchover app >/dev/null
	hs switchover app >/dev/null
	inside bpftool -j map lookup pinned "$build" key hex "${key[@]}" | jq -e '[.value[]] == ["0x01"] + [range(7) | "0x00"]'
	[[ $(programs) == "$before" ]]
	inside systemctl start hsd
	wait_for 10 is_ready app
	[[ $(programs) != "$before" ]]
}
# the ids of those that all services share
programs() { inside find "$pins/%accounting-4" -type f -exec bpftool -j prog show pinned {} \; 2>/dev/null | jq -s '[.[] | .id? // empty]'; }

# A package that is replaced by an older one may find hsd as it fails again and again.
@test "an hsd that is ended before it has begun gives back, too, what it was asked to" {
	local job
	inside sh -c "mkdir -p /run/hsd; echo 17 99999999999999 it failed >/run/hsd/starts; echo 3 >/run/hsd/hand-over"
	inside env RUNTIME_DIRECTORY=/run/hsd /usr/sbin/hsd >"$BATS_TEST_TMPDIR/hsd" 2>&1 3>&- &
	job=$!
	wait_for 5 grep -q 'waits .* now' "$BATS_TEST_TMPDIR/hsd"
	inside test -e "$pins/%accounting-4"
	inside pkill -TERM -x hsd
	wait $job
	inside test -e "$pins/%accounting-3"
	inside test ! -e "$pins/%accounting-4" -a ! -e /run/hsd/hand-over
	inside systemctl start hsd
	wait_for 10 is_ready app
	inside test -e "$pins/%accounting-4"
}

@test "the same names in JSON as hsd answers" {
	local direct
	direct=$(hs status --json app | jq -c '[paths | map(tostring) | join(".")] | sort')
	inside systemctl start hsd
	[[ $(hs status --json app | jq -c '[paths | map(tostring) | join(".")] | sort') == "$direct" ]]
	# and on demand, though hsd runs
	run -0 --separate-stderr hs status --json --direct app
	[[ $(jq .manager <<<"$output") == false ]]
}

@test "switchover, rollback and failover" {
	run -0 --separate-stderr hs switchover app
	said_so
	[[ ${lines[-1]} == *'slot 1 took over from slot 0 in '*'slot 0 stands by.' ]]
	[[ ${lines[0]} == flip:* && ${lines[1]} == settle:* ]]
	[[ $(answering_slot $url) == 1 ]]
	run -0 --separate-stderr hs rollback app
	said_so
	[[ $(answering_slot $url) == 0 ]]
	run -0 --separate-stderr hs failover app --json
	said_so
	jq -e '.verb == "failover" and .to == 1 and .outcome == "done"' <<<"$output"
	[[ $(answering_slot $url) == 1 ]]
	# hsd takes over from there, with a way back
	inside systemctl start hsd
	[[ $(active app) == 1 ]]
	hs rollback app
	[[ $(active app) == 0 ]]
}

@test "refusals are the same" {
	run -3 hs switchover app --to=0
	[[ $output == *'slot 0 is the active one already'* ]]
	run -3 hs switchover app --to=7
	[[ $output == *'no slot 7'* ]]
	inside systemctl stop app@1
	run -3 hs switchover app
	[[ $output == *'slot 1 (app@1.service) is down'* ]]
	inside systemctl start app@1
	run -1 hs switchover nothing
	[[ $output == *'nothing is pinned in the kernel for nothing'* ]]
}

@test "the old instance is restarted or stopped afterwards, and nothing is lost" {
	local before
	before=$(inside systemctl show -P MainPID app@0)
	begin_load $url slot=
	run -0 --separate-stderr hs switchover app --drain=0 --then=restart
	said_so
	[[ ${lines[-1]} == *'slot 0 was restarted and stands by.' ]]
	[[ $(inside systemctl show -P MainPID app@0) != "$before" && $(active app) == 1 ]]
	[[ $(slot_state app 0) == ready ]]
	run -0 --separate-stderr hs switchover app --drain=0 --then=stop --json
	jq -e '.outcome == "done" and .from == 1 and .to == 0' <<<"$output"
	lost_nothing 'the old instance restarted, then stopped, without hsd'
	baseline
	[[ $(inside systemctl show -P ActiveState app@1) == inactive ]]
	inside systemctl start app@1
}

@test "nobody goes on with it when hsctl has gone: to end the old instance is waited for" {
	run -1 hs switchover app --then=restart --no-block
	[[ $output == *'to restart the old instance afterwards without waiting for it needs hsd; start it (systemctl start hsd), or leave out --no-block'* ]]
	[[ $(active app) == 0 ]]
	hold 9901 1
	run -1 hs switchover app --then=stop --timeout=1s --drain=60s --settle=0
	[[ $output == *'the time is over: slot 1 is active since the flip, and what the old instance had to finish was not waited for'* ]]
	[[ $(active app) == 1 && $(inside systemctl show -P ActiveState app@0) == active ]]
	let_go
}

@test "undone when the target dies meanwhile" {
	local job status=0
	hs switchover app --settle=10s >"$BATS_TEST_TMPDIR/change" 2>&1 3>&- &
	job=$!
	wait_for 5 grep -q '^settle:' "$BATS_TEST_TMPDIR/change"
	inside systemctl kill -s KILL app@1
	wait $job || status=$?
	((status == 4))
	grep -q 'undone: slot 1 was lost' "$BATS_TEST_TMPDIR/change"
	[[ $(active app) == 0 && $(answering_slot $url) == 0 ]]
}

@test "interrupted, it says what holds" {
	local job status=0
	hs switchover app --settle=20s >"$BATS_TEST_TMPDIR/change" 2>&1 3>&- &
	job=$!
	wait_for 5 grep -q '^settle:' "$BATS_TEST_TMPDIR/change"
	inside pkill -TERM -x hsctl
	wait $job || status=$?
	((status == 1))
	grep -q 'interrupted: slot 1 is active since the flip' "$BATS_TEST_TMPDIR/change"
	# and its lock is gone with it
	hs rollback app
}

@test "a change under way is not disturbed, whoever runs it" {
	local job
	hs switchover app --settle=5s >"$BATS_TEST_TMPDIR/change" 2>&1 3>&- &
	job=$!
	wait_for 5 grep -q '^settle:' "$BATS_TEST_TMPDIR/change"
	run -3 hs switchover app
	[[ $output == *'another change of this service is running'* ]]
	# a hsd that comes meanwhile sees the lock, too
	inside systemctl start hsd
	run -3 hs switchover app
	[[ $output == *'another change of this service is running'* ]]
	wait $job
	hs rollback app
}

# one_is_ill: says the plugin of slot 1
one_is_ill() {
	write /usr/lib/plugins/by_slot <<<$'#!/bin/sh\n[ "$HOTSTANDBY_SLOT" = 0 ] || { echo ill; exit 2; }'
	inside chmod 755 /usr/lib/plugins/by_slot
	printf '[Health]\nProbe=exec:/usr/lib/plugins/by_slot\nInterval=200ms\nFall=1\n' |
		write /etc/hotstandby/app.conf.d/health.conf
	inside systemctl start hsd
	wait_for 10 has_health 1 unhealthy
}
has_health() { [[ $(status app ".slots[$1].health") == "$2" ]]; }

@test "a slot that was unhealthy when hsd went is refused, and taken by a fail-over, or when it runs anew" {
	one_is_ill
	inside systemctl kill -s KILL hsd
	inside systemctl stop hsd
	run -3 hs switchover app --drain=0
	[[ $output == *'slot 1 was unhealthy '*' ago, when hsd asked it last; start hsd'*'hsctl failover app --to=1'* ]]
	[[ $(active app) == 0 ]]
	hs failover app --to=1
	[[ $(active app) == 1 ]]
	hs switchover app --drain=0
	[[ $(active app) == 0 ]]
	inside systemctl restart app@1
	hs switchover app --drain=0
	[[ $(active app) == 1 ]]
	inside rm /etc/hotstandby/app.conf.d/health.conf
}

@test "whether a slot is healthy that nobody has asked is not known without hsd, and is no reason against it" {
	printf '[Health]\nProbe=tcp\n' | write /etc/hotstandby/app.conf.d/health.conf
	[[ $(status app '[.slots[] | .health, .health_reason] | unique | join(", ")') == 'not asked without hsd, unknown' ]]
	hs switchover app --drain=0
	[[ $(active app) == 1 ]]
	inside rm /etc/hotstandby/app.conf.d/health.conf
}

@test "policy and canary" {
	run -0 --separate-stderr hs policy app parity
	said_so
	[[ $(fetch $url --local-port 31001) == 'slot=1 '* ]]
	run -0 --separate-stderr hs canary app 25% --json
	said_so
	jq -e '.canary == 1 and .canary_share == 0.25' <<<"$output"
	inside systemctl start hsd
	[[ $(status app '[.policy, .canary] | join(" ")') == 'parity 1' ]]
	hs policy app standby
	hs canary app off
}

@test "retire by hand, and a new start brings the slot back" {
	run -0 hs retire app@0.service
	[[ $output == *'slot 0 is retired, slot 1 is active'* ]]
	[[ $(answering_slot $url) == 1 ]]
	[[ $(slot_state app 0) == leaving ]]
	inside systemctl restart app@0
	is_ready app
}

@test "switchovers and restarts under load without hsd lose nothing" {
	begin_load $url slot=
	for _ in {1..10}; do
		hs switchover app --drain=0 >/dev/null 2>&1
	done
	for _ in 1 2; do
		inside systemctl restart app@0
		inside systemctl restart app@1
	done
	lost_nothing '10 switchovers and 4 restarts without hsd'
	baseline
}

@test "both restarted in one command without hsd take turns, too" {
	begin_load $url slot=
	inside systemctl restart app@0 app@1
	inside systemctl restart app@0 app@1
	lost_nothing 'both restarted twice without hsd'
	baseline
}

@test "hsctl and hsd change the word at the same time: none gets lost" {
	local before
	inside systemctl start hsd
	before=$(generation app)
	inside bash -c 'for i in $(seq 30); do hsctl policy app hash; hsctl policy app standby; done >/dev/null' 3>&- &
	job=$!
	inside bash -c 'for i in $(seq 30); do hsctl canary app 10% --direct; hsctl canary app off --direct; done >/dev/null 2>&1'
	wait $job
	(($(generation app) == before + 120))
	[[ $(status app '[.policy, .canary, .active] | map(tostring) | join(" ")') == 'standby null 0' ]]
}

@test "an ordinary user without hsd is told that it needs root" {
	run -1 as_nobody hsctl status app
	[[ $output == *'needs root'* ]]
	run -1 as_nobody hsctl switchover app
	[[ $output == *'needs root'* ]]
}

@test "without a bus hsctl finds its way as well" {
	inside systemctl stop dbus.socket dbus.service
	run -0 hs status app
	[[ $output == *'seen without hsd'* ]]
	hs switchover app
	[[ $(answering_slot $url) == 1 ]]
	inside systemctl start dbus.socket dbus.service
}
