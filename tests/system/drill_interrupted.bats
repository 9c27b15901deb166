#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Drills that are interrupted or killed at the worst moment of each scenario: everything is put back.
# Thorough: drill has the scenarios.

load lib/rig.bash

scenarios=(switchover stop crash hang slow-start bad-build manager-crash both-down)

setup_file() {
	rig_up
	inside systemctl start hsd
	socket_service good 19510
	# so that an upgrade and a stop have a middle
	write /etc/systemd/system/good@.service.d/slow.conf <<<'[Service]
ExecStopPost=/bin/sleep 0.3'
	# a hang is to last until the drill is interrupted
	write /etc/hotstandby/good.conf <<<'[Service]
Stall=8s
Park=always'
	up good
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	prefer good 0
	wait_for 10 is_ready good
	pids="$(main_pid good@0) $(main_pid good@1) $(main_pid hsd)"
}

# begin_drill SCENARIO: and waits until it is in the middle of it; false when it was over before that was seen
begin_drill() {
	hs drill good --yes --probe=http:/ --scenario="$1" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	drill_job=$!
	wait_for 20 harmed_or_over "$1"
	[[ -d /proc/$drill_job ]]
}

harmed_or_over() { [[ ! -d /proc/$drill_job ]] || harmed "$1"; }

end_drill() {
	drill_status=0
	wait "$drill_job" || drill_status=$?
}

# hit SIGNAL SCENARIO STATUS: in the middle of it, and it ends with this status. On a busy machine a drill may be
# over by then: once more.
hit() {
	local attempt
	for attempt in 1 2 3; do
		if begin_drill "$2"; then
			inside pkill -"$1" -x -o hsctl || true
		fi
		end_drill
		((drill_status)) || continue
		((drill_status == $3)) && return
		break
	done
	fail "$2, attempt $attempt: exit $drill_status: $(<"$BATS_TEST_TMPDIR/out")"
}

is_other() { [[ $(main_pid "$1") != "$2" ]]; }
is_halted() { inside grep -q '^State:.T' "/proc/$(main_pid "$1")/status"; }
is_spoilt() { inside test -e /run/systemd/system/good@1.service.d/50-hotstandby-drill.conf; }

# harmed SCENARIO: it is in the middle of it
harmed() {
	local before
	read -ra before <<<"$pids"
	case $1 in
	switchover) is_active good 1 ;;
	stop) is_unit_state good@0 inactive ;;
	crash) is_other good@0 "${before[0]}" ;;
	hang) is_halted good@0 ;;
	slow-start) is_spoilt && is_unit_state good@1 activating ;;
	bad-build) is_spoilt && is_other good@1 "${before[1]}" ;;
	manager-crash) is_other hsd "${before[2]}" ;;
	both-down) is_unit_state good@0 inactive && is_unit_state good@1 inactive ;;
	esac
}

# whole: the service is what it was, and nothing of the drill is left
whole() {
	[[ $(status good '.active, .change, ([.slots[].state] | unique | join(" "))' | xargs) == '0 null ready' ]] &&
		! is_halted good@0 && ! is_halted good@1 && nothing_left
}

nothing_left() {
	inside bash -c '! test -e /run/hotstandby/drill/good/before && ! compgen -G "/run/systemd/system/good@*" &&
		systemctl --quiet is-active hsd && test -z "$(systemctl list-units --all --no-legend "hotstandby-put-back-*")"'
}

@test "a signal in the middle of each scenario: it puts everything back before it ends" {
	local signals=(INT TERM HUP) scenario i=0
	for scenario in "${scenarios[@]}"; do
		hit "${signals[i++ % 3]}" "$scenario" 4
		grep -q interrupted "$BATS_TEST_TMPDIR/out"
		# systemd forgets the unit that would have put it back a moment later
		wait_for 1 whole || fail "$scenario: $(hs status good)"
		setup
	done
}

@test "kill -9 of hsctl in the middle: a unit of its own puts everything back" {
	local scenario begun=$rig_began
	for scenario in hang slow-start bad-build both-down; do
		hit KILL "$scenario" 137
		wait_for 10 whole || fail "$scenario: $(hs status good)"
		setup
	done
	inside journalctl -q -o cat -u hotstandby-put-back-good --since="@$begun" |
		grep -qF 'a drill of good died; good is back to what it was'
}

@test "a second signal ends it at once, and kill -9 of its unit makes no difference" {
	begin_drill hang
	inside systemctl kill -s KILL hotstandby-put-back-good
	inside pkill -TERM -x -o hsctl
	inside pkill -TERM -x -o hsctl || true
	end_drill
	wait_for 10 whole
}

# Slot 0 takes longer to start than the scenario waits for it, so the rest is waited for as it is put back.
@test "a signal while it puts back: it does so to the end, and nothing else is begun" {
	write /etc/systemd/system/good@0.service.d/late.conf <<<'[Service]
ExecStartPre=/bin/sleep 8'
	inside systemctl daemon-reload
	hs drill good --yes --probe=http:/ --scenario=crash,hang >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	drill_job=$!
	wait_for 20 is_unit_state good@0 activating
	inside sleep 6.5
	is_unit_state good@0 activating
	inside pkill -INT -x -o hsctl
	end_drill
	((drill_status == 4)) || fail "exit $drill_status: $(<"$BATS_TEST_TMPDIR/out")"
	run ! grep -q SIGSTOP "$BATS_TEST_TMPDIR/out"
	inside rm -r /etc/systemd/system/good@0.service.d/late.conf
	inside systemctl daemon-reload
	wait_for 1 whole
}

@test "what could not be put back is said, and the next drill tries again" {
	begin_drill stop
	write /etc/systemd/system/good@0.service.d/bad.conf <<<'[Service]
ExecStartPre=/bin/false'
	inside systemctl daemon-reload
	inside pkill -KILL -x -o hsctl
	end_drill
	wait_for 10 is_unit_state hotstandby-put-back-good failed
	inside journalctl -q -o cat -u hotstandby-put-back-good --since="@$rig_began" |
		grep -qF 'good is not what it was before its drill: slot 0 could not be started: failed'
	run -1 hs drill good --yes --scenario=crash
	[[ $output == *'when that is mended: hsctl drill good --put-back'* ]]
	is_active good 1
	inside rm -r /etc/systemd/system/good@0.service.d
	inside systemctl daemon-reload
	run -0 hs drill good --put-back
	whole
	run -0 hs drill good --put-back
	[[ -z $output ]]
}

@test "two drills of a service at the same time" {
	begin_drill hang
	run -3 hs drill good --yes --scenario=crash
	[[ $output == *'another drill of good runs'* ]]
	inside pkill -INT -x -o hsctl
	end_drill
	((drill_status == 4))
	wait_for 5 whole
}
