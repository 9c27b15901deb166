#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The weekly drill: it runs, leaves a report, and its unit fails visibly when the verdict is bad.

load lib/rig.bash

setup_file() {
	rig_up
	inside systemctl start hsd
	socket_service app 19520
	up app
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	prefer app 0
}

options() {
	write /etc/systemd/system/hotstandby-drill@app.service.d/options.conf <<<"[Service]
Environment=\"DRILL=--rate=300 --probe=http:/ $*\""
	inside systemctl daemon-reload
}

said() { inside journalctl -q -o cat --since="@$rig_began" -u "$1" | grep -F "$2"; }

@test "the units are well-formed, and the timer is a weekly one that makes up for what it missed" {
	run -0 inside systemd-analyze verify hotstandby-drill@app.service hotstandby-drill@app.timer \
		hotstandby-drill-failed@app.service
	[[ $output != *hotstandby-drill* ]] || fail "$output"
	run -0 inside systemd-analyze calendar --iterations=2 'Tue 06:00'
	inside systemctl enable --now hotstandby-drill@app.timer
	[[ $(inside systemctl show -P Persistent hotstandby-drill@app.timer) == yes ]]
	inside systemctl list-timers --no-legend | grep -q 'hotstandby-drill@app.timer'
	inside systemctl disable --now hotstandby-drill@app.timer
}

@test "a drill that passes leaves a report, and the service as it was" {
	options --scenario=switchover,hang,bad-build
	inside systemctl start hotstandby-drill@app
	said hotstandby-drill@app 'bad-build      passed'
	inside grep -q 'ALL 3 PASSED' /var/log/hotstandby/drill-app.html
	is_ready app
	is_active app 0
	[[ $(unit_state hotstandby-drill@app) == inactive ]]
}

@test "an instance whose name begins with a dash is a service that is not managed, and no option" {
	run -1 inside systemctl start hotstandby-drill@--yes
	said hotstandby-drill@--yes 'nothing is pinned in the kernel for --yes' ||
		fail "$(inside journalctl -q -o cat -u hotstandby-drill@--yes)"
	run -1 inside systemctl start hotstandby-drill@-H
	inside systemctl reset-failed
}

@test "a bad verdict fails the unit, says why, and calls OnFailure=" {
	write /etc/hotstandby/app.conf.d/off.conf <<<'[Service]
Park=no'
	inside systemctl reload hsd
	options --scenario=both-down
	run -1 inside systemctl start hotstandby-drill@app
	run -0 inside systemctl is-failed hotstandby-drill@app
	said hotstandby-drill@app 'both-down      exceeded'
	said hotstandby-drill@app ' refused'
	inside grep -q FAILED /var/log/hotstandby/drill-app.html
	wait_for 5 said hotstandby-drill-failed@app 'The drill of app has failed'
	inside journalctl -q --since="@$rig_began" -p alert -u hotstandby-drill-failed@app | grep -q .
	is_ready app
	inside systemctl reset-failed
}

@test "stopped in the middle it puts everything back; without hsd it does not begin" {
	write /etc/hotstandby/app.conf.d/off.conf <<<'[Service]
Stall=8s'
	inside systemctl reload hsd
	options --scenario=hang
	inside systemctl start --no-block hotstandby-drill@app
	wait_for 10 said hotstandby-put-back-app Started
	wait_for 10 inside grep -q '^State:.T' "/proc/$(main_pid app@0)/status"
	inside systemctl stop hotstandby-drill@app
	is_ready app
	is_active app 0
	inside systemctl reset-failed
	inside systemctl stop hsd
	run -1 inside systemctl start hotstandby-drill@app
	said hotstandby-drill@app 'app: hsd does not run, so nothing was done; start it: systemctl start hsd'
	inside systemctl start hsd
	wait_for 5 is_ready app
}
