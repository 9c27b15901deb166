#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A service with paths is taken out while its instances serve: the path answers as long as one of them does, and then
# nothing of ours is left.

load lib/rig
load lib/servers
load lib/paths

answers() { inside curl -sSf --max-time 5 --unix-socket "/run/$1/$1.sock" http://app/; }
nothing_left() {
	inside bash -c "! ls -d /run/hotstandby/$1 2>/dev/null && [[ ! -L /run/$1/$1.sock ]]" || return
	inside test ! -e "/run/systemd/system/$1@.service.d" || return
	[[ $(inside systemctl list-units -q --all --plain "hotstandby-*-$1-*") == '' ]]
}

# taken_out NAME: both slots run on, slot 0 has the path
taken_out() {
	gunicorn "$1"
	up "$1"
	prefer "$1" 0
	run -0 hs disable "$1@.service"
	[[ $output == *"$1 is out of hotstandby; its paths lead to an instance that runs until none does."* ]]
}

@test "one after the other is stopped, behind HAProxy" {
	taken_out dstop
	haproxy dstop 8131
	begin_load http://127.0.0.1:8131/ slot= 4
	inside systemctl stop dstop@0
	[[ $(answers dstop) == slot=1* ]]
	lost_nothing 'gunicorn, taken out: the stop of the one that has the path'
	inside systemctl stop dstop@1
	wait_for 5 nothing_left dstop
	inside systemctl stop proxy-dstop
	down dstop
}

@test "a crash, and a restart, which is without us" {
	taken_out dcrash
	inside systemctl kill -s KILL dcrash@0
	wait_for 5 eval '[[ $(answers dcrash) == slot=1* ]]'
	inside systemctl restart dcrash@1
	# it has bound the path itself
	[[ $(answers dcrash) == slot=* ]]
	inside test -S /run/dcrash/dcrash.sock
	inside test ! -L /run/dcrash/dcrash.sock
	wait_for 5 nothing_left dcrash
	[[ $(answers dcrash) == slot=* ]]
	down dcrash
}

@test "none runs: it is cleared up at once; and it may be enabled again while they run" {
	gunicorn ddown
	up ddown
	inside systemctl stop ddown@0 ddown@1
	inside test -d /run/hotstandby/ddown
	hs disable ddown@.service
	nothing_left ddown
	down ddown

	taken_out dagain
	hs enable dagain@.service
	inside systemctl restart dagain@0
	inside systemctl restart dagain@1
	wait_for 10 is_ready dagain
	answers dagain
	hs switchover dagain
	answers dagain
	hs disable dagain@.service
	inside systemctl stop dagain@0 dagain@1
	wait_for 5 nothing_left dagain
	down dagain
}
