#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Users who are not root: what they may is what polkit says, and root is never asked.

load lib/rig
load lib/users

setup_file() {
	rig_up
	users_up
	inside systemctl start hsd
	own_service shop 9821
	own_service blog 9822
	up shop
	up blog
}

state_of() { status "$1" '[.active, .generation, .policy, .canary, .parked]'; }
last() { hs history "$1" --json -n 1 | jq -r "$2"; }
was_last() { [[ $(last "$1" .verb) == "$2" ]]; }

# refused SENTENCE USER CMD...: nothing has changed, and it says so
refused() {
	local before
	before=$(state_of shop)
	run -1 --separate-stderr as "$2" hsctl "${@:3}"
	[[ $stderr == *"$1"* ]] || fail "said: $output $stderr" || return 1
	[[ $(state_of shop) == "$before" ]]
}

@test "who has no right changes nothing, and is told which one it takes" {
	needs_polkit
	refused 'without the right org.hotstandby1.switchover, which takes a password, and nobody is there' alice switchover shop
	refused 'without the right org.hotstandby1.switchover, which takes a password, and that was not to be asked for' \
		alice switchover shop --no-ask-password
	refused org.hotstandby1.park alice park shop
	refused org.hotstandby1.canary alice canary shop 5%
	as alice hsctl status shop >/dev/null
	# what is for root alone, whatever polkit says
	refused 'only root may do this' alice adopt shop@0.service
	refused 'only root may do this: it writes units' alice enable shop@.service
	refused 'only root may do this: it kills' alice drill shop --scenario=crash
}

@test "the example rule: a group switches one service, and no other, and does nothing else with it" {
	local to
	needs_polkit
	to=$(standby shop)
	as olga hsctl switchover shop --drain=0
	is_active shop "$to"
	as olga hsctl rollback shop
	run -1 --separate-stderr as olga hsctl switchover blog --drain=0
	[[ $stderr == *'without the right org.hotstandby1.switchover'* ]]
	refused org.hotstandby1.park olga park shop
	refused org.hotstandby1.upgrade olga upgrade shop
	refused org.hotstandby1.configure olga policy shop hash
}

@test "the history says who it was, by which right, and from where" {
	needs_polkit
	in_session olga hsctl switchover shop --drain=0 >/dev/null
	wait_for 5 was_last shop switchover
	[[ $(last shop '"\(.by) \(.right)"') == 'olga org.hotstandby1.switchover' ]]
	[[ $(last shop .uid) == "$(inside id -u olga)" ]]
	[[ $(last shop .unit) == run-*.scope ]]
	hs history shop | grep -E ' olga .* done +switchover$'
	hs park shop >/dev/null
	wait_for 5 was_last shop park
	[[ $(last shop '"\(.by) \(.uid) \(.right)"') == 'root 0 root' ]]
	hs release shop >/dev/null
	inside journalctl -q -o json HS_SERVICE=shop HS_VERB=switchover -n 1 | jq -e \
		'.HS_RIGHT == "org.hotstandby1.switchover" and (.HS_UNIT | test("^run-.*scope$"))'
}

# The last: it is not there any more.
@test "without polkit: root goes on, and others are told that only root may" {
	needs_polkit
	inside systemctl mask --now --quiet --runtime polkit
	refused 'which only polkit could give, and there is none' olga switchover shop
	refused 'and there is none' alice switchover shop
	as alice hsctl status shop >/dev/null
	hs switchover shop --drain=0 >/dev/null
	inside systemctl unmask --quiet --runtime polkit
}
