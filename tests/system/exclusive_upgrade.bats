#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl upgrade of a service that may run only once: the new version is started, proven and tested while all
# clients wait, and goes away again when it is no good. Its versions are installed per slot, so that there is a
# way back.
# Long: begun with the first.
# Thorough: exclusive and upgrade hold its two halves.

load lib/rig

# clients wait here for as long as it takes to stop one and start the other
export LOAD_TIMEOUT=20

url=http://127.0.0.1:9851/

setup_file() {
	rig_up
	inside systemctl start hsd
	write /etc/systemd/system/once@.service <<-END
		[Unit]
		Description=once, slot %i, of which only one may run
		StartLimitIntervalSec=0
		[Service]
		Type=notify
		ExecStart=/usr/bin/python3 $tools/once.py %i 9851 /var/lib/once.db
	END
	write /etc/hotstandby/once.conf <<-'END'
		[Service]
		Exclusive=yes
		[Health]
		Probe=http:/healthz
		Interval=200ms
		Timeout=500ms
	END
	inside systemctl daemon-reload
	hs enable once@.service
	inside mkdir -p /run/once
}

# version SLOT NAME [FAULT]: installs it
version() {
	write "/opt/once/$1/version" <<<"$2"
	write "/opt/once/$1/fault" <<<"${3:-}"
}

# slot 0 serves version 1, slot 1 is down, and nothing is under way
setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside rm -f /run/once/ill-0 /run/once/ill-1 /etc/systemd/system/once@.service.d/aa-slow.conf
	inside systemctl daemon-reload
	version 0 1
	version 1 2
	inside systemctl start hsd
	inside systemctl reset-failed 'once@*' || true
	inside systemctl stop once@1
	inside systemctl start once@0
	wait_for 10 is_state once 0 ready
	wait_for 10 is_at_rest
	wait_for 10 is_active once 0
}

is_at_rest() { status once '[.park, .change, .manager] == [false, null, true]' | grep -qx true; }
slots() { status once '[.active, .slots[0].state, .slots[1].state] | map(tostring) | join(" ")'; }
slots_are() { [[ $(slots) == "$1" ]]; }
answering_version() { fetch $url | sed -n 's/^slot=[0-9]* version=\([0-9]*\) .*/\1/p'; }
counted() { fetch $url | sed -n 's/.* count=//p'; }
upgrade() { hs upgrade once --probation=300ms "$@"; }
last_deed() { hs history once --json -n 1 | jq -r '"\(.verb) \(.outcome) \(.by) \(.from) \(.to)"'; }

# never_two: the file was never found locked
never_two() { ! inside journalctl -q --since="@$rig_began" -u 'once@*' -o cat | grep 'another one runs'; }

# after a failure: the old version serves in the old slot, the other one is down
is_undone() {
	slots_are '0 ready down' || slots_are '0 ready failed' || fail "slots: $(slots)" || return 1
	is_at_rest
	[[ $(answering_version) == 1 ]]
	never_two
}

@test "the new version takes over, the old slot stays down, and nobody is refused" {
	local before
	before=$(counted)
	begin_load $url slot=
	run -0 --separate-stderr upgrade
	[[ ${lines[0]} == 'switch: slot 0 stops, and slot 1 starts the new version' ]]
	[[ ${lines[1]} == 'hold: new connections wait, each for 1min at most' ]]
	[[ ${lines[2]} == 'stop: slot 0'* && ${lines[3]} == 'start: slot 1'* ]]
	[[ ${lines[-2]} == 'probation: slot 1 is watched,'* ]]
	[[ ${lines[-1]} =~ ^'once: upgraded in '[0-9.]+m?s'; slot 1 is active, slot 0 is down, as only one may run (Exclusive=yes); hsctl rollback once would start it with what is installed for it then.'$ ]]
	lost_nothing 'an exclusive upgrade'
	[[ $(slots) == '1 down ready' ]]
	is_at_rest
	[[ $(answering_version) == 2 ]]
	(($(counted) > before + 100))
	[[ $(last_deed) == 'upgrade done root 0 1' ]]
	never_two
	baseline
}

@test "again, in the other direction, and rollback" {
	hs upgrade once --probation=0 >/dev/null
	version 0 3
	begin_load $url slot=
	run -0 hs upgrade once --probation=0 --json
	jq -e '.verb == "upgrade" and .from == 1 and .to == 0 and .outcome == "done"' <<<"$output"
	[[ $(answering_version) == 3 ]]
	run -0 hs rollback once
	[[ $(answering_version) == 2 && $(slots) == '1 down ready' ]]
	[[ $(last_deed) == 'rollback done root 0 1' ]]
	lost_nothing 'an exclusive upgrade and a rollback'
	never_two
}

@test "a version that does not start is undone, and nobody is refused" {
	version 1 2 start
	begin_load $url slot=
	run -4 upgrade
	[[ $output == *'once: the upgrade was undone in its step "start": it did not start. Slot 0 serves again: it was started anew, with the version that is installed for it now.'* ]]
	[[ $output == *'version 2 cannot start'* ]]
	is_undone
	lost_nothing 'a version that does not start'
	[[ $(last_deed) == 'upgrade undone root 0 1' ]]
}

@test "a version that never reports ready, and one that never gets healthy" {
	begin_load $url slot=
	version 1 2 silent
	run -4 upgrade --ready=1s
	[[ $output == *'undone in its step "start": it did not start in time.'* ]]
	is_undone
	version 1 2 ill
	run -4 upgrade --ready=2s
	[[ $output == *'ready: waiting until slot 1 is healthy'* ]]
	[[ $output == *'undone in its step "ready": it did not become healthy in time: '*503* ]]
	is_undone
	lost_nothing 'versions that are no good'
	((load[slot1] == 0)) || fail 'clients got to a version that was not proven'
}

# in_order: stdin has a line with the first text before the first with the second
in_order() { awk -v first="$1" -v second="$2" 'index($0, first) { seen = 1 } index($0, second) { exit !seen }'; }

@test "clients wait until the new version is healthy, in a switchover as well" {
	begin_load $url slot=
	version 1 2 slow
	run -0 upgrade
	inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=once |
		in_order 'slot 1 is healthy' 'slot 1 took over from slot 0'
	version 0 1 slow
	run -0 hs switchover once
	[[ $output == *'ready: waiting until slot 0 is healthy'* ]]
	lost_nothing 'a version that takes a second to be healthy'
	never_two
}

@test "the smoke test gets to the new version while all others wait" {
	begin_load $url slot=
	run -0 upgrade --smoke="curl -sS $url >/run/once/smoke; hsctl status --json once >/run/once/status"
	[[ $output == *'smoke: testing slot 1, and clients wait for it'* ]]
	[[ $(inside cat /run/once/smoke) == 'slot=1 version=2 '* ]]
	[[ $(inside jq -r '"\(.park) \(.active)"' /run/once/status) == 'true 0' ]]
	[[ $(answering_version) == 2 ]]
	lost_nothing 'an upgrade with a smoke test'
}

@test "a smoke test that fails, or takes too long, undoes it" {
	begin_load $url slot=
	run -4 upgrade --smoke='echo not this one; exit 3'
	[[ $output == *'undone in its step "smoke": the smoke test failed: '* ]]
	is_undone
	run -4 upgrade --ready=3s --smoke='sleep 60'
	[[ $output == *'undone in its step "smoke": the smoke test took too long.'* ]]
	is_undone
	is_smoke_gone
	lost_nothing 'smoke tests that fail'
	((load[slot1] == 0)) || fail 'clients got to a version that failed its test'
}

is_smoke_gone() { wait_for 5 none_runs 'hotstandby-smoke-once-*'; }
none_runs() { [[ -z $(inside systemctl list-units -q --plain --state=active,activating "$1") ]]; }

# begin_upgrade STEP [OPTION...]: one that is in this step when this returns
begin_upgrade() {
	local step=$1
	shift
	: >"$BATS_TEST_TMPDIR/out"
	inside bash -c 'exec hsctl upgrade once "$@"' upgrade "$@" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	job=$!
	wait_for 20 grep -q "^$step" "$BATS_TEST_TMPDIR/out"
}

# end_upgrade STATUS
end_upgrade() {
	local status=0
	wait "$job" || status=$?
	output=$(<"$BATS_TEST_TMPDIR/out")
	((status == $1)) || fail "status $status, not $1: $output"
}

@test "ill, or crashed, in its probation: the old version is started again" {
	begin_load $url slot=
	begin_upgrade probation --probation=60s
	inside touch /run/once/ill-1
	end_upgrade 4
	[[ $output == *'undone in its step "probation": slot 1 is unhealthy: '*503* ]]
	is_undone
	inside rm /run/once/ill-1
	lost_nothing 'unhealthy in its probation'
	begin_upgrade probation --probation=60s
	inside systemctl kill -s KILL --kill-who=main once@1
	end_upgrade 4
	[[ $output == *'undone in its step "probation": slot 1 has ended'* ]]
	is_undone
}

@test "neither version starts: it says so, and clients wait until one does" {
	local client
	version 0 2 start
	version 1 2 start
	run -1 upgrade
	[[ $output == *'the upgrade failed in its step "start": it did not start; undoing it: the old slot could not be started again.'* ]]
	[[ $(last_deed) == 'upgrade failed root 0 1' ]]
	is_at_rest
	fetch $url >"$BATS_TEST_TMPDIR/answer" 3>&- &
	client=$!
	wait_for 5 is_waiting
	version 0 1
	inside systemctl start once@0
	wait $client
	[[ $(<"$BATS_TEST_TMPDIR/answer") == 'slot=0 version=1 '* ]]
}

is_waiting() { (($(status once .parked) > 0)); }

@test "canary steps are refused, and change nothing" {
	local before
	before=$(generation once)
	run -3 upgrade --canary=10%
	[[ $output == *'only one slot may run (Exclusive=yes), so the new version cannot have a share while the old one serves'* ]]
	[[ $(generation once) == "$before" && $(slots) == '0 ready down' ]]
}

@test "one that may take longer than clients wait is told so" {
	run -0 upgrade --ready=2min
	[[ $output == *'hold: new connections wait, each for 1min at most (ParkTimeout=), but slot 1 may take 2min (--ready=): some may be closed unserved'* ]]
}

@test "another change is refused meanwhile" {
	begin_upgrade smoke --smoke='sleep 60'
	run -3 upgrade
	[[ $output == *'another change of this service is running'* ]]
	run -3 hs switchover once
	run -3 hs release once
	[[ $output == *'holds new connections until the new instance is ready'* ]]
	run -3 hs park once
	[[ $(status once .change) == upgrade ]]
	inside pkill -INT -f '^hsctl upgrade'
	end_upgrade 4
	begin_upgrade probation --probation=60s
	run -3 upgrade
	run -3 hs switchover once
	inside pkill -INT -f '^hsctl upgrade'
	end_upgrade 4
	is_undone
}

slow_stop() {
	printf '[Service]\nExecStopPost=/bin/sleep 1\n' | write /etc/systemd/system/once@.service.d/aa-slow.conf
	inside systemctl daemon-reload
}

# each_step COMMAND: runs it with an upgrade in each of its steps
each_step() {
	slow_stop
	begin_upgrade stop
	"$1" stop
	inside rm /etc/systemd/system/once@.service.d/aa-slow.conf
	inside systemctl daemon-reload
	version 1 2 silent
	begin_upgrade start
	"$1" start
	version 1 2 ill
	begin_upgrade ready
	"$1" ready
	version 1 2
	begin_upgrade smoke --smoke='sleep 60'
	"$1" smoke
	begin_upgrade probation --probation=60s
	"$1" probation
}

interrupt() {
	inside pkill -INT -f '^hsctl upgrade'
	end_upgrade 4
	[[ $output == *"undone in its step \"$1\": it was cancelled."* ]] || fail "$output" || return 1
	is_undone
	is_smoke_gone
}

@test "Ctrl-C undoes it in each step, and nobody is refused" {
	begin_load $url slot=
	each_step interrupt
	lost_nothing 'Ctrl-C in each step'
}

upgrades() { hs history once --json -n 999 | grep -c '"verb":"upgrade"' || true; }
has_upgrades() { (($(upgrades) >= $1)); }

kill_hsd() {
	local before
	before=$(upgrades)
	inside systemctl kill -s KILL hsd
	end_upgrade 1
	[[ $output == *'hsd went away in the middle of the upgrade; the next hsd finishes or undoes it'* ]] || fail "$output" || return 1
	wait_for 20 has_upgrades $((before + 1))
	[[ $1 == probation ]] || is_undone
}

@test "hsd killed in each step: the next one undoes it, or finishes it, and nobody is refused" {
	begin_load $url slot=
	each_step kill_hsd
	[[ $(last_deed) == 'upgrade done root 0 1' ]] || fail "$(last_deed) of $(hs history once --json -n 3)"
	[[ $(answering_version) == 2 && $(slots) == '1 down ready' ]]
	! inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=once HS_EVENT=failover | grep .
	lost_nothing 'hsd killed in each step'
	never_two
}

recall() {
	run -0 hs rollback once
	[[ $output == *'it was rolled back. Slot 0 serves again'* ]] || fail "$output" || return 1
	end_upgrade 4
	is_undone
}

@test "a rollback from another terminal undoes it" {
	begin_load $url slot=
	version 1 2 ill
	begin_upgrade ready
	recall
	version 1 2
	begin_upgrade probation --probation=60s
	recall
	lost_nothing 'rollbacks in the middle of an upgrade'
}

@test "systemd's own Restart=: a version that crashes again and again is undone" {
	write /etc/systemd/system/once@.service.d/aa-slow.conf <<-'END'
		[Service]
		Restart=always
		RestartSec=50ms
	END
	inside systemctl daemon-reload
	begin_upgrade probation --probation=60s
	inside systemctl kill -s KILL --kill-who=main once@1
	end_upgrade 4
	is_undone
	version 1 2 ill
	begin_upgrade ready
	inside systemctl kill -s KILL --kill-who=main once@1
	end_upgrade 4
	[[ $output == *'undone in its step "ready": it did not stay up.'* ]]
	is_undone
}

@test "a version that hangs in its probation is undone, without probes as well" {
	write /etc/hotstandby/once.conf.d/blind.conf <<-'END'
		[Service]
		Stall=200ms
		[Health]
		Probe=
	END
	inside systemctl reload hsd
	begin_load $url slot=
	begin_upgrade probation --probation=60s
	inside systemctl kill -s STOP once@1
	end_upgrade 4
	[[ $output == *'undone in its step "probation": slot 1: it hangs: '* ]]
	inside rm /etc/hotstandby/once.conf.d/blind.conf
	inside systemctl reload hsd
	is_undone
	end_load
}

@test "hsd killed at random moments: an upgrade ends well every time" {
	local i before
	begin_load $url slot=
	for i in {1..3}; do
		before=$(upgrades)
		begin_upgrade switch --probation=300ms --smoke='sleep 0.2' --smoke-may-be-silent
		inside bash -c "sleep 0.$((RANDOM % 10))$((RANDOM % 10)); systemctl kill -s KILL hsd"
		wait "$job" || true
		wait_for 20 has_upgrades $((before + 1))
		wait_for 10 is_at_rest
		[[ $(slots) == @(0 ready @(down|failed)|1 @(down|failed) ready) ]] || fail "$(slots)"
	done
	lost_nothing 'hsd killed at random'
	never_two
}

drill() {
	run --separate-stderr hs drill once --yes --json "${@:2}"
	((status == $1)) || fail "status $status: $output $stderr"
}
# of N FILTER: of the drill's run N
of() { jq -r "$2" <<<"${lines[$1]}"; }

@test "drills: each scenario that makes sense passes, and clients wait" {
	local i
	write /etc/hotstandby/once.conf.d/always.conf <<<$'[Service]\nPark=always'
	inside systemctl reload hsd
	drill 0 --all
	[[ $stderr == *'and no other slot runs that could take over from one that hangs: hang is left out'* ]]
	[[ $(jq -r .scenario <<<"$output" | tr '\n' ' ') == 'switchover stop crash bad-build manager-crash ' ]]
	for i in 0 1 2 3 4; do
		say "$(of $i '"\(.scenario): \(.message)"')"
		[[ $(of $i .verdict) == passed ]]
	done
	for i in 0 1 3; do
		[[ $(of $i .summary.lost) == 0 ]]
	done
	inside rm /etc/hotstandby/once.conf.d/always.conf
	inside systemctl reload hsd
	slots_are '0 ready down' || slots_are '0 ready failed'
	is_at_rest
	never_two
}

@test "drills that make no sense are refused before anything is hurt" {
	local before
	before=$(generation once)
	drill 3 --scenario=crash,hang
	[[ $stderr == *'only one slot may run (Exclusive=yes), and no other slot runs that could take over from one that hangs: hang is left out, so nothing was done'* ]]
	drill 3 --scenario=slow-start
	drill 3 --scenario=both-down
	drill 3 --scenario=stop
	[[ $stderr == *'clients of what is stopped on purpose are refused, unless Park=always: stop is left out, so nothing was done'* ]]
	[[ $(generation once) == "$before" && $(slots) == '0 ready down' ]]
}

@test "drills fail where the service does not keep what it promises, and put it back" {
	write /etc/hotstandby/once.conf.d/off.conf <<-'END'
		[Service]
		RestartOnCrash=no
	END
	inside systemctl reload hsd
	drill 1 --scenario=crash --max-gap=500ms
	[[ $(of 0 .verdict) == broken && $(of 0 .message) == *'slot 0 did not come back by itself'*'(see RestartOnCrash=)'* ]]
	inside rm /etc/hotstandby/once.conf.d/off.conf
	inside systemctl reload hsd
	slots_are '0 ready down'
	# the old slot cannot start again either
	version 0 1 start
	drill 1 --scenario=bad-build
	[[ $(of 0 .verdict) == broken && $(of 0 .message) == *'the upgrade was not undone'* ]]
}

@test "a drill that is interrupted puts everything back" {
	version 1 2 slow
	inside bash -c 'exec hsctl drill once --yes --scenario=switchover' >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	job=$!
	wait_for 20 is_state once 1 ready
	inside pkill -INT -f '^hsctl drill'
	end_upgrade 4
	slots_are '0 ready down'
	is_at_rest
	never_two
}
