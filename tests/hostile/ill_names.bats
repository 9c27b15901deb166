# SPDX-License-Identifier: GPL-2.0-or-later
#
# Names that others choose: no UTF-8, or orders to a terminal. What is shown and told of one service must not break
# what is shown of all, and no control character of theirs reaches a terminal.

load lib/bystander.bash

setup_file() {
	hostile_up
	own_service shop 9711
	write /etc/systemd/system/shop@.service.d/user.conf <<-END
		[Service]
		User=games
	END
	up shop
}

clean_up() {
	inside pkill -f "^$tools/bad-name" || true
	wait_for 5 no_foreign
}

no_foreign() { [[ $(status shop '.foreign | length') == 0 ]]; }
has_foreign() { [[ $(status shop '.foreign | length' 2>/dev/null) == 1 ]]; }

# named NAME: a process of the service's user on its address
named() {
	inside setpriv --reuid=games --regid=games --clear-groups $tools/bad-name 9711 "$1" >/dev/null 2>&1 3>&- &
	wait_for 5 has_foreign
}

# clean: stdin has no control character but the ends of lines, and is UTF-8
clean() {
	local text
	text=$(cat) || return 1
	iconv -f UTF-8 -t UTF-8 <<<"$text" >/dev/null || fail "no UTF-8: $text" || return 1
	! LC_ALL=C.UTF-8 grep -qP '[\x00-\x08\x0b-\x1f\x7f-\x9f]' <<<"$text" || fail "control characters: $(cat -v <<<"$text")"
}

all_is_shown() {
	local verb
	for verb in list status 'status shop' 'connections shop' 'events -n 100' 'history' 'doctor shop'; do
		# shellcheck disable=SC2086 # words
		inside timeout 20 hsctl $verb >"$BATS_TEST_TMPDIR/shown" 2>&1 || [[ $verb == doctor* ]]
		clean <"$BATS_TEST_TMPDIR/shown"
		[[ $(cat "$BATS_TEST_TMPDIR/shown") != *'Invalid argument'* ]]
	done
	hs list --json | jq -e 'map(.service) == ["bystander", "shop"]'
	hs status --json | jq -e 'length == 2'
	hs status --json --direct shop | jq -e '.foreign | length == 1'
}

@test "a process whose name is no UTF-8" {
	named '\xff\xfe\x80'
	all_is_shown
	[[ $(status shop '.foreign[0].comm') == '???' ]]
	bystander_is_well
}

@test "a process whose name orders a terminal about" {
	named '\x1b[31mX\x1b[2J'
	all_is_shown
	[[ $(status shop '.foreign[0].comm') == '?[31mX?[2J' ]]
	hs status shop | grep -qF '?[31mX?[2J'
	wait_for 5 has_event shop foreign
	bystander_is_well
}

@test "a process whose name has control characters of eight bits, and an end of line" {
	named '\xc2\x9b2Jy\x0ay'
	all_is_shown
	[[ $(status shop '.foreign[0].comm') == '??2Jy' ]]
	bystander_is_well
}

@test "a control group that orders a terminal about" {
	local group=$'/sys/fs/cgroup/\x1b[2Jx.service'
	inside mkdir "$group" || skip 'cannot make a control group here'
	inside bash -c 'echo $$ >"$1/cgroup.procs"; exec setpriv --reuid=games --regid=games --clear-groups \
		$2/bad-name 9711 plain' - "$group" $tools >/dev/null 2>&1 3>&- &
	wait_for 5 has_foreign
	all_is_shown
	[[ $(status shop '.foreign[0].unit') == '?[2Jx.service' ]]
	inside pkill -f "^$tools/bad-name"
	wait_for 5 inside rmdir "$group"
	bystander_is_well
}
