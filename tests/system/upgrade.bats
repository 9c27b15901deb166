# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034
#
# hsctl upgrade: a new version in one command, and back by itself when it is no good.

load lib/rig.bash

port=19800

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app $port
	up app
}

setup() {
	rig_began=$(inside date +%s.%N)
	write /etc/systemd/system/app@.service.d/version.conf <<<'[Service]'
	inside systemctl daemon-reload
	inside systemctl start app@0 app@1
	# one that a test has left with a bad version
	is_state app 1 ready || inside systemctl restart app@1
	is_state app 0 ready || inside systemctl restart app@0
	wait_for 10 is_ready app
	prefer app 0
}

# the next start of an instance does this instead
new_version() {
	write /etc/systemd/system/app@.service.d/version.conf <<<"[Service]
$1"
	inside systemctl daemon-reload
}

upgrade() { hs upgrade app --probation=300ms "$@"; }

@test "both slots run the new version in the end, and nothing is lost" {
	local before0 before1
	before0=$(main_pid app@0)
	before1=$(main_pid app@1)
	begin_load http://127.0.0.1:$port/ slot=
	run -0 --separate-stderr upgrade
	lost_nothing 'an upgrade'
	[[ $output == *'slot 1 is active, slot 0 stands by with the new version'* ]]
	is_active app 1
	is_ready app
	is_new app@0 "$before0"
	is_new app@1 "$before1"
	[[ $(hs history app --json -n 1 | jq -r '"\(.verb) \(.outcome) \(.by)"') == 'upgrade done root' ]]
}

@test "a version that does not start is undone" {
	local before
	before=$(main_pid app@0)
	new_version 'ExecStartPre=/bin/sh -c "echo this build is bad; exit 1"'
	run -4 upgrade
	[[ $output == *'undone in its step "restart"'* ]]
	[[ $output == *'this build is bad'* ]]
	is_active app 0
	[[ $(main_pid app@0) == "$before" ]]
	[[ $(hs history app --json -n 1 | jq -r .outcome) == undone ]]
}

@test "a version that never listens is undone" {
	new_version 'Type=exec
ExecStart=
ExecStart=/bin/sleep 1000'
	run -4 upgrade --ready=500ms
	[[ $output == *'undone in its step "ready"'* ]]
	is_active app 0
	[[ $(answering_slot http://127.0.0.1:$port/) == 0 ]]
}

@test "one that dies in its probation is undone" {
	hs upgrade app --probation=60s >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local job=$! status=0
	wait_for 10 is_active app 1
	wait_for 10 grep -q probation "$BATS_TEST_TMPDIR/out"
	inside systemctl kill --signal=KILL app@1
	wait "$job" || status=$?
	((status == 4))
	is_active app 0
}

is_canary() { status app .canary_share | awk -v want="$1" '{ exit !($1 > want - 0.01 && $1 < want + 0.01) }'; }

@test "a canary goes before it, step by step" {
	hs upgrade app --canary=10%,50% --hold=500ms --probation=100ms >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local job=$!
	wait_for 10 is_canary 0.1
	wait_for 10 is_canary 0.5
	wait "$job"
	is_active app 1
	[[ $(status app .canary) == null ]]
}

@test "Ctrl-C undoes it, whatever its step" {
	local job status step
	for step in canary probation; do
		prefer app 0
		: >"$BATS_TEST_TMPDIR/out"
		inside bash -c "exec hsctl upgrade app --canary=10% --hold=$([[ $step == canary ]] && echo 60s || echo 100ms) --probation=60s" \
			>"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
		job=$! status=0
		wait_for 20 grep -q "^$step" "$BATS_TEST_TMPDIR/out"
		inside pkill -INT -x hsctl
		wait "$job" || status=$?
		((status == 4)) || fail "$step: status $status: $(<"$BATS_TEST_TMPDIR/out")"
		is_active app 0
		[[ $(status app .canary) == null ]]
		wait_for 10 is_ready app
	done
}

@test "another one is refused meanwhile, and so is a switchover" {
	hs upgrade app --probation=5s >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local job=$!
	wait_for 10 grep -q '^probation' "$BATS_TEST_TMPDIR/out"
	run -3 upgrade
	[[ $output == *'another change of this service is running'* ]]
	run -3 hs switchover app
	wait "$job"
}

has_outcome() { [[ $(hs history app --json -n 1 | jq -r '"\(.verb) \(.outcome)"') == "upgrade $1" ]]; }

@test "hsd that dies in the middle leaves it to the next one" {
	local step job
	for step in canary probation; do
		prefer app 0
		: >"$BATS_TEST_TMPDIR/out"
		hs upgrade app --canary=10% --hold="$([[ $step == canary ]] && echo 60s || echo 100ms)" --probation=60s \
			>"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
		job=$!
		wait_for 20 grep -q "^$step" "$BATS_TEST_TMPDIR/out"
		inside systemctl kill --signal=KILL hsd
		wait "$job" || true
		wait_for 20 has_outcome "$([[ $step == canary ]] && echo undone || echo 'done')"
		is_active app "$([[ $step == canary ]] && echo 0 || echo 1)"
		[[ $(status app .canary) == null ]]
		wait_for 10 is_ready app
	done
}
