#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Drills of services that are broken: each scenario must be able to fail, for the right reason, and say so.
# Thorough: drill has the scenarios.

load lib/rig.bash

setup_file() {
	rig_up
	write '/etc/systemd/system/app@.service' <<-END
		[Service]
		Type=notify
		NotifyAccess=main
		ExecStart=/usr/bin/python3 $tools/ailing.py %i 9601
		TimeoutStopSec=5
	END
	inside systemctl start hsd
	inside mkdir -p /run/ailing
	up app
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside rm -rf /run/ailing
	inside mkdir -p /run/ailing
	inside rm -rf /etc/systemd/system/app@{0,1}.service.d /run/systemd/system/hsd.service.d
	inside systemctl daemon-reload
	inside systemctl start hsd app@0 app@1
	settings </dev/null
	wait_for 20 is_ready app
	prefer app 0
}

# settings: lines of [Service] from stdin
settings() {
	{
		printf '[Service]\nFailoverHold=0\n'
		cat
	} | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
}

# is SLOT WORD: what it does with connections from now on
is() { inside sh -c "echo $2 >/run/ailing/$1"; }

drill() { run --separate-stderr -"$1" hs drill app --yes --json --rate=300 --probe=http:/healthz --timeout=1s "${@:2}"; }
of() { jq -r "$1" <<<"${lines[0]}"; }

# failed VERDICT WORDS: the drill did, like this
failed() {
	[[ $(of .verdict) == "$1" ]] || fail "it is $(of .verdict): $(of .message)" || return 1
	[[ $(of .message) == *"$2"* ]] || fail "it says: $(of .message)"
}

@test "switchover: a standby that answers with errors" {
	is 1 500
	drill 1 --scenario=switchover
	failed exceeded 'answered wrongly), 0 allowed'
	(($(of '.summary["wrong-answer"]') > 50))
	wait_for 10 is_active app 0
}

# What ends before the length that was said has not arrived, though the status has.
@test "switchover: a standby whose answers are cut off" {
	is 1 cut
	drill 1 --scenario=switchover
	failed exceeded 'reset), 0 allowed'
	(($(of .summary.reset) > 50))
}

@test "stop: a standby that accepts nothing" {
	is 1 deaf
	drill 1 --scenario=stop
	[[ $(of .message) == *'timed out), 0 allowed'* || $(of .message) == *'slot 1, to which nothing was done, is suspect'* ||
		$(of .message) == *'slot 1, to which nothing was done, is full'* ]] ||
		fail "it says: $(of .message)"
	is 1 ok
}

@test "crash: a standby that dies of the first connection" {
	is 1 crash
	drill 1 --scenario=crash
	failed broken 'slot 1, to which nothing was done, is '
	is 1 ok
	wait_for 20 is_ready app
}

@test "hang: nobody is to act on it, or it takes three seconds" {
	settings <<<'Failover=manual'
	drill 1 --scenario=hang --max-gap=200ms
	failed broken 'no other slot became active within 2.6s, so the hang was not noticed (see Failover= and Stall=)'
	settings <<<'Stall=3s'
	wait_for 10 is_ready app
	is_active app 0
	drill 1 --scenario=hang --max-gap=1s --timeout=10s
	failed exceeded ', 1s allowed'
	[[ $(of .message) == 'no answer for '* ]]
	(($(of .summary.longest_gap_us) > 2500000))
	wait_for 10 is_ready app
}

@test "slow start, and a bad build: a restart of the standby takes the active one along" {
	write /etc/systemd/system/app@0.service.d/part.conf <<<'[Unit]
PartOf=app@1.service'
	inside systemctl daemon-reload
	drill 1 --scenario=slow-start,bad-build
	failed broken 'slot 0, to which nothing was done, is '
	[[ $(jq -r .verdict <<<"${lines[1]}") == broken ]]
	wait_for 20 is_ready app
	is_active app 0
}

@test "slow start: the standby does not come back" {
	write /etc/systemd/system/app@1.service.d/once.conf <<<'[Service]
ExecStartPre=/usr/bin/test ! -e /run/once'
	inside systemctl daemon-reload
	inside touch /run/once
	drill 1 --scenario=slow-start
	failed broken 'slot 1 could not be restarted: failed'
	grep -q 'hsctl drill app --put-back' <<<"$stderr"
}

@test "hsd killed: it does not come back by itself" {
	write /run/systemd/system/hsd.service.d/stay.conf <<<'[Service]
Restart=no'
	inside systemctl daemon-reload
	drill 1 --scenario=manager-crash --max-gap=200ms
	failed broken 'hsd come back'
	inside systemctl --quiet is-active hsd
	wait_for 10 is_ready app
	is_active app 0
}

@test "both down: nothing waits" {
	settings <<<'Park=no'
	drill 1 --scenario=both-down
	failed exceeded '), 0 allowed'
	(($(of .summary.refused) > 30))
	wait_for 10 is_ready app
}

@test "a service that does not answer as it is, or not always, is not harmed" {
	local pid
	pid=$(main_pid app@0)
	is 0 hang
	drill 1 --scenario=crash
	failed unmeasured 'nothing was done: app answers no connection as it is, at http://127.0.0.1:9601/healthz'
	is 0 flaky
	drill 1 --scenario=crash
	failed unmeasured 'connections to app were lost before anything was done to it'
	[[ $(main_pid app@0) == "$pid" ]]
	is 0 ok
}
