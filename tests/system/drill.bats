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
