#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Users who are not root: each verb with its right, passwords on a terminal, and what no right is enough for.
# Thorough: the essential path is in polkit.bats.

load lib/rig
load lib/users

setup_file() {
	rig_up
	users_up
	inside systemctl start hsd
	own_service shop 9831
	up shop
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	needs_polkit
	inside systemctl start shop@0 shop@1
	wait_for 10 is_ready shop
	prefer shop 0
}

last() { hs history shop --json -n 1 | jq -r "$1"; }
was_last() { [[ $(last .verb) == "$1" ]]; }
no_change() { [[ $(status shop .change) == null ]]; }

told() { inside journalctl -q -o cat -t polkit-told --since="@$rig_began"; }
was_told() { told | grep -qxF "$1"; }

# carla DETAILS VERB...: polkit is asked with that, and it is done
carla() {
	as carla hsctl "${@:2}" || return 1
	wait_for 5 was_told "$1" || { told; return 1; }
}

@test "each verb asks for its right, with service, verb and slot" {
	carla 'org.hotstandby1.switchover service=shop verb=switchover slot=1' switchover shop --to=1 --drain=0
	carla 'org.hotstandby1.switchover service=shop verb=rollback slot=-' rollback shop
	carla 'org.hotstandby1.switchover service=shop verb=switchover slot=-' switchover shop --drain=0
	carla 'org.hotstandby1.failover service=shop verb=failover slot=-' failover shop
	carla 'org.hotstandby1.park service=shop verb=park slot=-' park shop
	carla 'org.hotstandby1.park service=shop verb=release slot=-' release shop
	carla 'org.hotstandby1.canary service=shop verb=canary slot=1' canary shop 5% --to=1
	[[ $(last '"\(.verb) \(.by) \(.right)"') == 'canary carla org.hotstandby1.canary' ]]
	carla 'org.hotstandby1.canary service=shop verb=canary slot=-' canary shop off
	carla 'org.hotstandby1.configure service=shop verb=policy slot=-' policy shop hash
	carla 'org.hotstandby1.configure service=shop verb=weight slot=1' weight shop 1 50%
	carla 'org.hotstandby1.configure service=shop verb=pin slot=-' pin shop 192.0.2.0/24 1
	carla 'org.hotstandby1.configure service=shop verb=pin slot=-' pin shop 192.0.2.0/24 none
	carla 'org.hotstandby1.configure service=shop verb=table slot=-' table shop
	carla 'org.hotstandby1.configure service=shop verb=where slot=-' where shop 192.0.2.7:4711
	# there is nothing to say yet, for which it has the right
	run -1 --separate-stderr as carla hsctl rebalance shop --dry-run
	[[ $stderr == *'no traffic was counted'* ]]
	wait_for 5 was_told 'org.hotstandby1.configure service=shop verb=rebalance slot=-'
	as carla busctl call org.hotstandby1 /org/hotstandby1/service/shop org.hotstandby1.Service SetSlots u 2 >/dev/null
	wait_for 5 was_told 'org.hotstandby1.configure service=shop verb=scale slot=-'
	carla 'org.hotstandby1.configure service=shop verb=policy slot=-' policy shop standby
	carla 'org.hotstandby1.drain service=shop verb=drain slot=1' drain shop 1 --deadline=1s
	hs adopt shop@1.service
	carla 'org.hotstandby1.upgrade service=shop verb=upgrade slot=-' upgrade shop --probation=0
	wait_for 10 was_last upgrade
	[[ $(last '"\(.by) \(.right)"') == 'carla org.hotstandby1.upgrade' ]]
	as carla busctl call org.hotstandby1 /org/hotstandby1 org.hotstandby1.Manager Reload
	was_told 'org.hotstandby1.configure service=- verb=reload slot=-'
}

@test "what root calls is never asked about" {
	hs switchover shop --drain=0 >/dev/null
	inside busctl call org.hotstandby1 /org/hotstandby1/service/shop org.hotstandby1.Service Park >/dev/null
	inside busctl call org.hotstandby1 /org/hotstandby1/service/shop org.hotstandby1.Service Release >/dev/null
	# not a word of polkit's, which would have to know the action
	inside systemctl stop polkit
	inside busctl call org.hotstandby1 /org/hotstandby1/service/shop org.hotstandby1.Service Park >/dev/null
	inside busctl call org.hotstandby1 /org/hotstandby1/service/shop org.hotstandby1.Service Release >/dev/null
	! is_unit_state polkit active
}

@test "a rollback in the middle of an upgrade takes the right to upgrade" {
	as carla hsctl upgrade shop --probation=60s >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local job=$!
	wait_for 20 grep -q ^probation "$BATS_TEST_TMPDIR/out"
	run -1 --separate-stderr as olga hsctl rollback shop
	[[ $stderr == *'without the right org.hotstandby1.upgrade'* ]]
	carla 'org.hotstandby1.upgrade service=shop verb=rollback slot=-' rollback shop
	wait "$job" || true
	wait_for 20 is_ready shop
}

@test "who has begun a drain by a right ends it without being asked again" {
	hold 9831 2
	rig_began=${EPOCHREALTIME/,/.}
	run -1 as carla timeout --preserve-status -s INT 2 hsctl drain shop 0 --deadline=30s
	[[ $output == *'interrupted; slot 0 of shop stays out of service'* ]]
	[[ $(told | grep -c drain) == 1 ]]
	let_go
	hs adopt shop@0.service
}

@test "a smoke test runs as root: only root may name one" {
	run -1 --separate-stderr as carla hsctl upgrade shop --smoke='touch /tmp/was-run'
	[[ $stderr == *'only root may name one'* ]]
	inside test ! -e /tmp/was-run
	no_change
}

@test "exec: by a right, in a session, with its entry in the history" {
	[[ $(in_session carla hsctl exec shop 1 -- curl -sSf --max-time 10 http://127.0.0.1:9831/) == 'slot=1 '* ]]
	was_told 'org.hotstandby1.exec service=shop verb=exec slot=1'
	[[ $(in_session olga hsctl exec shop 1 -- curl -sSf --max-time 10 http://127.0.0.1:9831/) == 'slot=1 '* ]]
	wait_for 5 was_last exec
	[[ $(last '"\(.by) \(.to) \(.right)"') == 'olga 1 org.hotstandby1.exec' ]]
	# the right is not enough
	run -1 --separate-stderr as carla hsctl exec shop 1 -- touch /tmp/was-run
	[[ $stderr == *'run it in a session of your own'* ]]
	run -1 --separate-stderr in_session alice hsctl exec shop 1 -- touch /tmp/was-run
	[[ $stderr == *'without the right org.hotstandby1.exec'* ]]
	inside test ! -e /tmp/was-run
}

# terminal PASSWORD CMD...: as adam, on a terminal; the password is given when it is asked for
terminal() { inside setpriv --reuid=adam --regid=adam --init-groups python3 $tools/terminal.py "$@"; }

@test "on a terminal an administrator is asked for the password" {
	run -0 terminal secret hsctl switchover shop --drain=0
	[[ $output == *'lead the clients of shop to another instance'* && $output == *'slot 1 took over'* ]]
	is_active shop 1
	wait_for 5 was_last switchover
	[[ $(last '"\(.by) \(.right)"') == 'adam org.hotstandby1.switchover' ]]
}

@test "a wrong password changes nothing, and neither does none" {
	run -1 terminal wrong hsctl switchover shop --drain=0
	[[ $output == *'without the right org.hotstandby1.switchover'* ]]
	is_active shop 0
	run -1 terminal secret hsctl switchover shop --drain=0 --no-ask-password
	[[ $output == *'was not to be asked for'* && $output != *assword:* ]]
	is_active shop 0
}

@test "JSON goes to standard output alone, also where a password is asked for" {
	run -0 terminal secret sh -c 'hsctl switchover shop --drain=0 --json >/tmp/adam.json'
	inside jq -e '.to == 1 and .outcome == "done"' /tmp/adam.json
}
