#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The release before is at work; this one is installed over it, and takes over what it has pinned; then the other way
# round. Clients of all kinds go on meanwhile: requests, queries, a download, connections that are kept, and some that
# wait in a park.
# Thorough: it builds the release before; tests/plane/test_handover has each step.

load lib/rig
load lib/servers
load lib/released

export BATS_TEST_TIMEOUT=900 LOAD_SECONDS=600

setup_file() {
	released_build || skip 'the release before is not in this checkout'
	export released
	rig_up
	inside systemctl stop hsd 2>/dev/null || true
}

new_hsd() {
	local name
	inside systemctl restart hsd
	for name in app nginx nsd; do
		wait_for 10 is_ready $name
	done
}

# upgrade, downgrade: as the scripts of a package do it; units may be restarted, and commands given, before hsd is
upgrade() {
	container_install "$rig" BUILD="${BUILD:-build}"
	with_the_other_hsd
	new_hsd
}
downgrade() {
	inside hsd --hand-over=3
	with_the_other_hsd
	released_install
	with_the_other_hsd
	new_hsd
}
with_the_other_hsd() {
	inside systemctl restart nginx@1
	wait_for 10 is_ready nginx
	# with a table there is no switching over
	[[ $(hs status nginx --json | jq -r .policy) != hash ]] || return 0
	hs switchover nginx --drain=0 --then=keep
	hs switchover nginx --drain=0 --then=keep
}

pinned() { inside bash -c "cd $pins && echo %*"; }

nginx_service() {
	inside cp $examples/nginx@.service /etc/systemd/system/
	inside sed -e 's|listen 8080 reuseport;|&\n\t\tlocation = /big { root /srv; limit_rate 256k; }|' \
		$examples/hotstandby-example.conf | write /etc/nginx/hotstandby-example.conf
	inside truncate -s 24M /srv/big
	up nginx
}

# The server takes its sockets as forced intake gives them, and so on: all programs are at work.
begin_services() {
	inside systemctl start hsd
	nginx_service
	nsd_template 5301
	up nsd
	own_service app 9601
	up app
	own_service late 9602
	up late
	printf '[Service]\nPark=always\nParkTimeout=10min\n' | write /etc/hotstandby/late.conf.d/park.conf
	inside systemctl reload hsd
	inside systemctl stop late@0 late@1
}

begin_clients() {
	begin_load http://127.0.0.1:8080/ Welcome 12
	begin_queries 5301 5 1000
	inside curl -sS -o /tmp/big --max-time 500 http://127.0.0.1:8080/big 3>&- &
	download=$!
	hold 9601 3
	[[ $held == '0 0 0' ]]
}

# wait_in_park: three clients of "late"
wait_in_park() {
	local i
	for i in 1 2 3; do
		fetch http://127.0.0.1:9602/ --max-time 300 >"$BATS_TEST_TMPDIR/$i" 2>&1 3>&- &
		waiting[i]=$!
	done
	wait_for 10 three_wait
}
three_wait() { [[ $(status late .parked) == 3 ]]; }
all_were_answered() {
	local i
	for i in 1 2 3; do
		wait "${waiting[i]}" || fail "a client that waited got $(<"$BATS_TEST_TMPDIR/$i")"
	done
}

# What was counted does not begin anew.
counts() { status "$1" '[.slots[].chosen] | add'; }
counts_go_on() {
	local name now
	for name in nginx nsd; do
		now=$(counts $name)
		((now >= counted[$name])) || fail "$name: $now after ${counted[$name]}"
		counted[$name]=$now
	done
}

# Everything works, and the connections are still where they were.
all_goes_on() {
	counts_go_on
	ask_again
	[[ $held == '0 0 0' ]] || fail "held: $held"
	[[ $(status app '.slots[0].connections') == 3 ]]
	three_wait
	inside systemctl start late@1
	all_were_answered
	inside systemctl restart late@1 late@0
	hs switchover nginx --drain=0
	hs switchover nginx --drain=0
	prefer nginx 0
	inside systemctl restart nginx@1 nsd@0 nsd@1 app@1
	wait_for 10 is_ready nsd
	wait_for 10 is_ready nginx
	hs switchover app --drain=0 --then=keep
	hs switchover app --drain=0 --then=keep
	counts_go_on
	inside systemctl stop late@0 late@1
	wait_in_park
}

all_ends_well() {
	inside systemctl start late@0
	all_were_answered
	ask_again
	[[ $held == '0 0 0' ]]
	let_go
	wait "$download" || fail 'the download has failed'
	[[ $(inside stat -c %s /tmp/big) == $((24 << 20)) ]]
	lost_no_query 'queries'
	lost_nothing 'requests'
	wait_for 10 none_is_left
}
# each connection that was counted as begun was counted as ended, whoever had counted it
none_is_left() { [[ $(status nginx '[.slots[].connections] | add') == 0 && $(status app '[.slots[].connections] | add') == 0 ]]; }

# The ids of all programs that are pinned; and whether none of those is any more: each has been replaced.
programs() {
	inside find $pins -type f -exec bpftool -j prog show pinned {} \; 2>/dev/null | jq -rs '[.[] | .id? // empty] | unique | .[]'
}
are_replaced() { [[ -z $(comm -12 <(printf '%s\n' "$@" | sort) <(programs | sort)) ]]; }

@test "upgrade to this release under load, and back" {
	declare -A counted=([nginx]=0 [nsd]=0)
	declare -a waiting before
	inside bash -c "systemctl stop hsd; rm -rf $pins/*"
	released_install
	begin_services
	begin_clients
	wait_in_park
	[[ $(pinned) == %accounting-3 ]]
	counts_go_on
	mapfile -t before < <(programs)
	((${#before[@]} >= 15))

	upgrade
	[[ $(pinned) == %accounting-4 ]]
	inside test -e $pins/nginx/room
	all_goes_on
	are_replaced "${before[@]}"

	downgrade
	[[ $(pinned) == %accounting-3 ]]
	run ! inside test -e $pins/nginx/room
	all_goes_on

	upgrade
	[[ $(pinned) == %accounting-4 ]]
	all_goes_on
	all_ends_well
}

@test "an older one that was installed without a word refuses, and harms nobody" {
	begin_load http://127.0.0.1:8080/ Welcome 12
	[[ $(pinned) == %accounting-4 ]]
	released_install
	inside systemctl restart hsd
	wait_for 10 refuses
	container_install "$rig" BUILD="${BUILD:-build}"
	new_hsd
	[[ $(pinned) == %accounting-4 ]]
	hs switchover nginx --drain=0
	lost_nothing
}
refuses() { inside journalctl -q -o cat --since="@$rig_began" -u hsd | grep -q 'of version 4 and this hotstandby knows version 3'; }

@test "as long as a process of the other release uses the pins they are left alone" {
	local job
	begin_load http://127.0.0.1:8080/ Welcome 12
	downgrade
	inside flock -s "$pins/%accounting-3" sleep 300 3>&- &
	job=$!
	container_install "$rig" BUILD="${BUILD:-build}"
	inside systemctl restart hsd --no-block
	wait_for 10 tells_who
	[[ $(pinned) == %accounting-3 ]]
	inside pkill -x sleep
	wait "$job" || true
	wait_for 20 is_unit_state hsd active
	wait_for 10 is_ready nginx
	[[ $(pinned) == %accounting-4 ]]
	hs switchover nginx --drain=0
	lost_nothing
}
tells_who() { [[ $(inside systemctl show -P StatusText hsd) == *"another process works with $pins/%accounting-3, see fuser -v"* ]]; }

# spread_word: "POLICY BY"
spread_word() { status nginx '"\(.policy) \(.by)"'; }

@test "policy hash of the release before is taken over as it is, gets a table when it is asked for, and is given back" {
	local print
	begin_load http://127.0.0.1:8080/ Welcome 12
	downgrade
	hs policy nginx hash
	upgrade
	[[ $(spread_word) == 'hash null' ]]
	run -3 --separate-stderr hs where nginx 192.0.2.7
	[[ $stderr == *'it has no table'*'hsctl policy nginx hash --by=client'* ]]
	hs policy nginx hash --by=client
	hs weight nginx 0 50%
	[[ $(spread_word) == 'hash client' ]]
	print=$(hs table nginx --hash)
	inside systemctl restart nginx@0
	wait_for 10 has_table "$print"

	# it goes on by the hash that it knows, and knows nothing of a table
	downgrade
	[[ $(spread_word) == 'hash null' ]]
	inside systemctl restart nginx@0
	wait_for 10 is_ready nginx

	upgrade
	[[ $(spread_word) == 'hash client' ]]
	wait_for 10 has_table "$print"
	hs policy nginx standby
	lost_nothing
}
has_table() { [[ $(hs table nginx --hash) == "$1" ]]; }
