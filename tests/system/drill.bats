# SPDX-License-Identifier: GPL-2.0-or-later
#
# Drills: each scenario's verdict is right, also when the service is really broken.

load lib/rig.bash

port=19500

setup_file() {
	rig_up
	inside systemctl start hsd
	socket_service good $port
	up good
}

drill() { run -"$1" hs drill good --yes --json --probe=http:/ "${@:2}"; }

# verdict FILTER: of the last drill's first run
verdict() { jq -r "$1" <<<"${lines[0]}"; }

@test "a switchover drill passes and leaves everything as it was" {
	prefer good 0
	drill 0 --scenario=switchover --max-gap=500ms
	[[ $(verdict .verdict) == passed ]]
	[[ $(verdict .summary.lost) == 0 ]]
	(($(verdict .summary.connections) > 100))
	is_active good 0
	is_ready good
}

@test "a stop drill passes" {
	prefer good 0
	drill 0 --scenario=stop
	[[ $(verdict .summary.lost) == 0 ]]
	is_active good 0
	is_ready good
}

@test "a crash drill measures the time to the new active" {
	drill 0 --scenario=crash
	(($(verdict .summary.to_new_active_us) > 0))
	(($(verdict .summary.to_answer_us) > 0))
	wait_for 10 is_ready good
}

@test "a hang drill sees the standby take over" {
	drill 0 --scenario=hang
	(($(verdict .summary.to_new_active_us) > 0))
	wait_for 30 is_ready good
}

@test "a bad build is undone and nothing is lost" {
	prefer good 0
	drill 0 --scenario=bad-build
	[[ $(verdict .summary.lost) == 0 ]]
	is_active good 0
	is_ready good
	run -1 inside test -e /run/systemd/system/good@1.service.d
}

@test "a slow start, both down, and hsd killed" {
	prefer good 0
	drill 0 --scenario=slow-start,both-down,manager-crash
	((${#lines[@]} == 3))
	is_active good 0
	wait_for 30 is_ready good
}

@test "it fails where the service does not keep what it promises" {
	write /etc/hotstandby/good.conf.d/off.conf <<<'[Service]
Park=no
Stall=0'
	inside systemctl reload hsd
	drill 1 --scenario=both-down
	[[ $(verdict .verdict) == exceeded ]]
	(($(verdict .summary.refused) > 0))
	wait_for 30 is_ready good
	inside rm /etc/hotstandby/good.conf.d/off.conf
	inside systemctl reload hsd
}

@test "the report is a page, a picture or JSON" {
	prefer good 0
	run -0 hs drill good --yes --scenario=switchover --report=/tmp/drill.html
	inside grep -q '<svg' /tmp/drill.html
	run -0 hs drill good --yes --scenario=switchover --report=/tmp/drill.json
	inside jq -e '.[0].probes | length > 100' /tmp/drill.json
	run -2 hs drill good --yes --scenario=switchover --report=/tmp/drill.txt
}

@test "it asks first, and wants a standby" {
	run -2 hs drill good --scenario=crash
	run -2 hs drill good --yes --scenario=fire
	run -2 hs drill good --yes
	inside systemctl stop good@1
	run -3 hs drill good --yes --scenario=crash
	[[ $output == *'no ready and healthy standby'* ]]
	inside systemctl start good@1
	wait_for 10 is_ready good
}

@test "an interrupt puts everything back" {
	prefer good 0
	hs drill good --yes --scenario=both-down >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local job=$! status=0
	wait_for 10 is_unit_state good@0 inactive
	inside pkill -INT -x hsctl
	wait "$job" || status=$?
	((status == 4))
	is_active good 0
	is_ready good
}
