#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Slots whose servers run as different users. The kernel lets only sockets of one owner share an address:
# hsd gives the others' sockets to the user of the one that starts.
# Long: begun with the first.

load lib/rig

url=http://127.0.0.1:9501/
dynamic_url=http://127.0.0.1:9502/

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9501
	run_as app@0 User=daemon
	run_as app@1 User=games
	up app
	own_service dyn 9502
	# a name for each, or both would share the user that is named after the template
	run_as dyn@0 'DynamicUser=yes\nUser=dyn-zero'
	run_as dyn@1 'DynamicUser=yes\nUser=dyn-one'
	up dyn
}

# run_as UNIT LINE: a drop-in of the unit, before or after it was enabled
run_as() {
	printf '[Service]\n%b\n' "$2" | write "/etc/systemd/system/$1.service.d/user.conf"
	inside systemctl daemon-reload
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start hsd app@0 app@1 dyn@0 dyn@1
	wait_for 10 is_ready app
	wait_for 10 is_ready dyn
}

user_of() { inside stat -c %U "/proc/$(main_pid "$1")"; }

# answers_in_turn NAME URL: each slot serves when it is active, so both are in one group
answers_in_turn() {
	local slot
	for slot in 1 0 1 0; do
		prefer "$1" $slot
		wait_for 5 answers_from "$2" $slot
	done
}

@test "without prepare the kernel refuses the second user" {
	own_service bare 9503
	run_as bare@0 User=daemon
	run_as bare@1 User=games
	inside systemctl start bare@0
	inside systemctl start bare@1 || true
	wait_for 5 is_unit_state bare@1 failed
	inside journalctl -u bare@1 | grep -i 'in use'
	inside systemctl stop bare@0
}

@test "each slot runs as its own user, and both are switched" {
	[[ $(user_of app@0) == daemon ]]
	[[ $(user_of app@1) == games ]]
	answers_in_turn app $url
	answers_in_turn dyn $dynamic_url
	[[ $(user_of dyn@0) != "$(user_of dyn@1)" ]]
	[[ $(status app '[.slots[].problem] | unique == [null]') == true ]]
}

@test "both started in one command" {
	local i
	for i in 1 2 3; do
		inside systemctl stop app@0 app@1
		inside systemctl start app@0 app@1
		wait_for 5 is_ready app
	done
	answers_in_turn app $url
	inside systemctl stop dyn@0 dyn@1
	inside systemctl start dyn@0 dyn@1
	wait_for 5 is_ready dyn
	answers_in_turn dyn $dynamic_url
}

@test "switchovers and restarts under load" {
	local i
	for name in app dyn; do
		begin_load "http://127.0.0.1:$([[ $name == app ]] && echo 9501 || echo 9502)/" slot= 24
		for i in 1 2 3 4; do
			hs switchover $name --drain=0 >/dev/null
			inside systemctl restart $name@$((i % 2))
		done
		inside systemctl restart $name@0 $name@1
		wait_for 10 is_ready $name
		lost_nothing "4 switchovers, 6 restarts, $name"
	done
	baseline
}

@test "switchover with a restart of the old one" {
	local pid slot
	slot=$(active app)
	pid=$(main_pid "app@$slot")
	begin_load $url slot= 24
	hs switchover app --then=restart --drain=1
	wait_for 10 is_new "app@$slot" "$pid"
	wait_for 10 is_ready app
	lost_nothing 'switchover, then restart'
	baseline
}

@test "a crash of the active one" {
	local active pid
	begin_load $url slot= 24
	active=$(active app)
	pid=$(main_pid "app@$active")
	inside systemctl kill -s KILL "app@$active"
	wait_for 10 is_active app $((1 - active))
	wait_for 10 is_new "app@$active" "$pid"
	wait_for 10 is_ready app
	end_load
	say "$(load_line 'a crash, two users')"
	((load[lost] <= 24 && load[wrong] == 0 && load[hung] == 0))
	answers_in_turn app $url
}

@test "without hsd" {
	inside systemctl stop hsd
	begin_load $url slot= 24
	inside systemctl restart app@0
	inside systemctl restart app@1
	inside systemctl restart app@0
	lost_nothing '3 restarts without hsd'
	inside systemctl stop app@0 app@1
	inside systemctl start app@0 app@1
	inside systemctl restart dyn@1
	inside systemctl restart dyn@0
	inside systemctl start hsd
	wait_for 10 is_ready app
	wait_for 10 is_ready dyn
	answers_in_turn app $url
	answers_in_turn dyn $dynamic_url
}

@test "another user for a service that runs: one restart after the other" {
	own_service change 9504
	up change
	begin_load http://127.0.0.1:9504/ slot= 24
	run_as change@ User=daemon
	inside systemctl restart change@0
	inside systemctl restart change@1
	wait_for 5 is_ready change
	[[ $(user_of change@0) == daemon ]]
	run_as change@ User=root
	inside systemctl restart change@0
	inside systemctl restart change@1
	wait_for 5 is_ready change
	lost_nothing 'another user'
	baseline
	answers_in_turn change http://127.0.0.1:9504/
	down change
}

@test "slots of one user are left alone" {
	own_service same 9505
	run_as same@ User=daemon
	up same
	inside systemctl restart same@0 same@1
	wait_for 5 is_ready same
	run ! has_event same prepare
	down same
}

@test "one dynamic user for all slots, named after the template" {
	own_service shared 9508
	run_as shared@ DynamicUser=yes
	up shared
	[[ $(inside stat -c %u "/proc/$(main_pid shared@0)") == "$(inside stat -c %u "/proc/$(main_pid shared@1)")" ]]
	inside systemctl restart shared@0 shared@1
	inside systemctl stop shared@0 shared@1
	inside systemctl start shared@0 shared@1
	wait_for 5 is_ready shared
	answers_in_turn shared http://127.0.0.1:9508/
	run ! has_event shared problem
	down shared
}

@test "a server that never heard of SO_REUSEPORT, as two users" {
	own_service forced 9507 --no-reuseport
	run_as forced@0 User=daemon
	run_as forced@1 User=games
	up forced
	begin_load http://127.0.0.1:9507/ slot= 24
	inside systemctl restart forced@0
	inside systemctl restart forced@1
	hs switchover forced --drain=0
	inside systemctl restart forced@0 forced@1
	wait_for 5 is_ready forced
	lost_nothing 'forced, two users'
	baseline
	answers_in_turn forced http://127.0.0.1:9507/
	down forced
}

@test "a socket unit's listeners stay with root" {
	socket_service sock 9506
	run_as sock@0 User=daemon
	run_as sock@1 User=games
	up sock
	begin_load http://127.0.0.1:9506/ slot= 24
	inside systemctl restart sock@0
	inside systemctl restart sock@1
	wait_for 5 is_ready sock
	lost_nothing 'a socket unit, two users'
	baseline
	run ! has_event sock prepare
	down sock
}
