#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# An instance that holds the lock of its own socket for as long as it likes: whoever else does something with that
# socket waits in the kernel, and cannot be ended.
# Long: begun with the first.

load lib/bystander
load lib/lock_holder

port=9711
url=http://127.0.0.1:$port/

setup_file() {
	hostile_up
	lock_holder held $port SLOT=%i
	write /etc/systemd/system/held@.service.d/free.conf <<<$'[Service]\nEnvironmentFile=-/run/held.%i'
	write /run/held.0 <<<'FREE=1'
}

main_pid() { inside systemctl show -P MainPID "$1"; }

is_told() { hs status held 2>&1 | grep -q 'the lock of its socket'; }

@test "the lock is held: who wants it does not come back, the baseline" {
	inside systemctl start held@1
	inside python3 $tools/lock.py "$(main_pid held@1)" $port >"$BATS_TEST_TMPDIR/lock" 2>&1 3>&- &
	local asker=$!
	wait_for 5 inside bash -c "grep -q '^State:.D' /proc/\$(pgrep -of 'python3.*lock.py')/status"
	[[ ! -s $BATS_TEST_TMPDIR/lock ]]
	release
	wait $asker
	[[ $(<"$BATS_TEST_TMPDIR/lock") == locked ]]
	inside systemctl stop held@1
}

@test "adoption of such an instance is given up by name, and nobody else notices" {
	hs enable held@.service
	inside systemctl start held@0
	wait_for 5 is_ready held || true
	bystander_watch
	inside systemctl start held@1
	wait_for 10 is_told
	say "$(hs status held | grep -o 'it could not adopt.*' | head -n 1)"
	[[ $(fetch $url) == slot=0 ]]
	bystander_is_well
	bystander_watched
}

@test "hsd is restarted meanwhile, at once, and the next one does as well" {
	bystander_unwatched
	took_at_most 5000 inside systemctl restart hsd
	bystander_watch
	wait_for 10 is_told
	[[ $(inside systemctl show -P ActiveState hsd) == active ]]
	bystander_is_well
}

@test "the lock is released: it is adopted" {
	release
	wait_for 10 is_ready held
	bystander_is_well
}

@test "it is stopped while it holds the lock, and comes again without" {
	inside systemctl restart held@1
	wait_for 10 is_told
	inside timeout 60 systemctl stop held@1
	[[ $(fetch $url) == slot=0 ]]
	write /run/held.1 <<<'FREE=1'
	inside systemctl start held@1
	wait_for 10 is_ready held
	bystander_is_well
}

@test "hs-borrow is not there: told by name, and made up for when it is back" {
	inside systemctl stop hs-borrow.socket hs-borrow.service
	inside systemctl restart held@1
	wait_for 10 is_told_of_borrow
	[[ $(fetch $url) == slot=0 ]]
	bystander_is_described
	inside systemctl start hs-borrow.socket
	wait_for 10 is_ready held
	bystander_is_well
}

is_told_of_borrow() { hs status held 2>&1 | grep -q 'hs-borrow, which looks for its sockets'; }

# ---- without hsd: hsctl does it itself ----

@test "without hsd such an instance starts all the same, and hsctl adopt gives it up by name" {
	local since
	inside systemctl stop held@1
	bystander_watched
	inside systemctl stop hsd
	inside rm /run/held.1
	since=$(inside date '+%F %T')
	took_at_most 6000 inside systemctl start held@1
	inside journalctl -q -o cat --since="$since" | grep 'slot 1 is not adopted: it could not adopt its sockets: the lock of its socket on .* of process'
	run -1 took_at_most 4000 hs adopt held@1.service
	[[ $output == *"the lock of its socket on "*" of process "* ]]
	[[ $(fetch $url) == slot=0 ]]
}

@test "without hsd hsctl doctor, status and retire do not wait for it, nor does a stop" {
	bystander_unwatched
	took_at_most 10000 hs doctor held >/dev/null || (($? < 124))
	took_at_most 4000 hs status held >/dev/null || (($? < 124))
	took_at_most 6000 hs retire held@1.service >/dev/null || (($? < 124))
	took_at_most 18000 inside systemctl stop held@1
	[[ $(inside systemctl show -P ActiveState held@1) != active ]]
}

@test "without hsd: it is adopted, clients wait, and then it holds the lock; retire gives the queue up by name" {
	bystander_unwatched
	local since client
	write /run/held.1 <<<'LATER=1'
	inside systemctl start held@1
	hs switchover held --to=1 --then=keep --drain=0
	inside curl -s -m 30 -o /dev/null $url 3>&- &
	client=$!
	wait_for 5 waits_on_1
	inside systemctl kill --signal=USR2 --kill-whom=main held@1
	inside sleep 0.3
	since=$(inside date '+%F %T')
	took_at_most 18000 inside systemctl stop held@1
	inside journalctl -q -o cat --since="$since" | grep 'slot 1: it could not move its queue: the lock of its socket on .* of process'
	[[ $(fetch $url) == slot=0 ]]
	wait $client || true
	inside rm /run/held.1
}

waits_on_1() { [[ $(hs status --json held | jq '.slots[1].queued') -ge 1 ]]; }

@test "hsd is back: all is as it was" {
	bystander_unwatched
	inside systemctl start hsd
	bystander_watch
	write /run/held.1 <<<'FREE=1'
	inside systemctl start held@1
	wait_for 10 is_ready held
	bystander_is_well
}
