#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A remote client that opens a few connections and says nothing, until all workers of a server wait for it. New
# clients are served by the other slot; what is in work goes on; hsd restarts nobody, and does not go to and fro.
# Long: begun with the first.

load lib/bystander

port=9860
url=http://127.0.0.1:$port

setup_file() {
	hostile_up
	write /etc/systemd/system/pool@.service <<-END
		[Service]
		ExecStart=/usr/bin/python3 $tools/pool.py $port %i 8
	END
	up pool
	BATS_TEST_TIMEOUT=360
}

set_up() {
	inside systemctl restart pool@0 pool@1
	wait_for 10 is_ready pool
	prefer pool 0
	jobs=()
}

in_background() {
	"$@" >"$BATS_TEST_TMPDIR/${#jobs[@]}" 2>&1 3>&- &
	jobs+=($!)
}
has_connections() { (($(status pool '[.slots[].connections] | add') >= $1)); }
events() { inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=pool HS_EVENT="$1"; }

# four downloads of so many seconds, and then as many clients that say nothing
begin_attack() {
	local seconds=$1 clients=$2
	for _ in 1 2 3 4; do
		in_background inside curl -sS --max-time 90 "$url/slow?$seconds"
	done
	wait_for 5 has_connections 4
	in_background as_nobody python3 $tools/idle.py $port "$clients" "$seconds"
	wait_for 5 has_connections $((4 + clients))
}

all_end() {
	local job
	for job in "${jobs[@]}"; do
		wait "$job" || true
	done
}

# Waits for all clients; `whole` is how many of the four downloads are complete.
downloads_end() {
	local seconds=$1 i
	all_end
	whole=0
	for i in 0 1 2 3; do
		(($(tr -cd . <"$BATS_TEST_TMPDIR/$i" | wc -c) < seconds * 10)) || whole=$((whole + 1))
	done
}

# bats test_tags=thorough
@test "without hotstandby's help clients wait; a restart cuts what is in work" {
	printf '[Service]\nFailover=manual\n' | write /etc/hotstandby/pool.conf
	inside systemctl reload hsd
	begin_attack 15 5
	run ! fetch $url --max-time 3
	inside systemctl restart pool@0
	downloads_end 15
	say "without: a client had no answer in 3 s; after a restart $whole of 4 downloads are complete"
	((whole == 0))
	printf '[Service]\n' | write /etc/hotstandby/pool.conf
	inside systemctl reload hsd
	bystander_is_well
}

# bats test_tags=thorough
@test "five idle clients, four downloads of a minute, eight workers" {
	needs_iterators
	local pids
	pids="$(main_pid pool@0) $(main_pid pool@1)"
	begin_attack 60 5
	bystander_watch
	[[ $(fetch $url --max-time 10) == slot=1* ]]
	downloads_end 60
	bystander_watched
	say "$whole of 4 downloads are complete; $(events full | wc -l) fail-overs in a minute"
	((whole == 4))
	[[ $pids == "$(main_pid pool@0) $(main_pid pool@1)" && -z $(events restart) ]]
	# no more than one within FailoverHold=, which is 10s
	(($(events full | grep -c 'waiting moved') <= 6))
	wait_for 10 is_ready pool
	bystander_is_well
}

@test "as many as all workers of both slots: nobody is restarted, and all is well when they have gone" {
	local pids
	pids="$(main_pid pool@0) $(main_pid pool@1)"
	in_background as_nobody python3 $tools/idle.py $port 24 15
	wait_for 10 has_connections 16
	run ! fetch $url --max-time 4
	bystander_is_well
	all_end
	wait_for 20 is_ready pool
	[[ $(fetch $url) == slot=* ]]
	[[ $pids == "$(main_pid pool@0) $(main_pid pool@1)" && -z $(events restart) ]]
	say "$(events full | grep -c 'waiting moved' || true) fail-overs"
}
