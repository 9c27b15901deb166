#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl exec moves who asks into a scope of its own. A service that runs as a member of the group is not to leave its
# unit by that, with what the unit may not do; and everybody may ask, as often as they like.

load lib/bystander

setup_file() {
	hostile_up
	inside groupadd -r hotstandby
	inside useradd -r -G hotstandby worker
	own_service app 9803
	up app
	prefer app 0
}

# confined CMD...: as a service that may do little
confined() {
	inside timeout 30 systemd-run --quiet --wait --pipe --uid=worker -p IPAddressDeny=any -p DevicePolicy=closed \
		-p MemoryMax=200M -p TasksMax=20 -p RuntimeMaxSec=20 -- "$@"
}

scopes() { inside systemctl list-units --all --plain --no-legend 'hotstandby-exec-*' | wc -l; }

@test "a service does not get out of its unit" {
	run -1 --separate-stderr confined hsctl exec app 1 -- curl -sSf --max-time 5 http://127.0.0.1:9803/
	[[ $stderr == *'would leave run-'*'.service, and with it what that unit may not do'* ]]
	[[ -z $output ]]
	# nor by asking hsd itself, for it or for what it has started
	run confined busctl call --system org.hotstandby1 /org/hotstandby1/service/app org.hotstandby1.Service Exec u 1
	((status != 0))
	[[ $(scopes) == 0 ]]
	# with --direct neither: that is for root
	run confined hsctl --direct exec app 1 -- true
	((status != 0))
	[[ $(scopes) == 0 ]]
	bystander_is_well
}

@test "a session that is not the caller's own is none" {
	# the slice of another user
	run -1 --separate-stderr inside systemd-run --quiet --scope --slice=user-12345.slice -- \
		setpriv --reuid=worker --regid=worker --init-groups hsctl exec app 1 -- true
	[[ $stderr == *'run it in a session of your own'* ]]
	[[ $(scopes) == 0 ]]
	bystander_is_well
}

@test "nobody asks all the time, eight at a time" {
	bystander_watch
	write /tmp/ask <<-'END'
		#!/bin/bash
		for _ in {1..8}; do
			(for _ in {1..40}; do
				busctl call --system --timeout=2 org.hotstandby1 /org/hotstandby1/service/app \
					org.hotstandby1.Service Exec u 1
			done) >/dev/null 2>&1 &
		done
		wait
	END
	inside chmod 755 /tmp/ask
	as_nobody /tmp/ask 3>&-
	bystander_watched
	[[ $(scopes) == 0 ]]
	# who may is heard
	[[ $(hs exec app 1 -- curl -sSf --max-time 10 http://127.0.0.1:9803/) == 'slot=1 '* ]]
	bystander_is_well
}

# A number is another's once its process has ended, also while systemd has too much to do to answer.
@test "who has the number of the one that asked is left where it is" {
	[[ -w /proc/sys/kernel/ns_last_pid ]] || skip 'needs /proc/sys/kernel/ns_last_pid (CONFIG_CHECKPOINT_RESTORE)'
	# who watches takes numbers, too
	bystander_unwatched
	leader=$(_container_leader "$rig")
	kill -STOP "$leader"
	inside busctl call --system --timeout=60 org.hotstandby1 /org/hotstandby1/service/app \
		org.hotstandby1.Service Exec u 1 >/dev/null 2>&1 3>&- &
	asker=$!
	wait_for 5 inside pgrep -x busctl
	number=$(inside pgrep -x busctl)
	# so that hsd has been told who asks
	sleep 1
	inside kill -KILL "$number"
	wait "$asker" || true
	# shellcheck disable=SC2016 # of the other shell
	nsenter -t "$leader" -p bash -c '
		for _ in {1..50}; do
			echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid
			sleep 60 &
			(($! != $1)) || exit 0
			kill $!
		done
		exit 1' - "$number" 3>&-
	before=$(inside cat "/proc/$number/cgroup")
	kill -CONT "$leader"
	inside sleep 2
	[[ $(inside cat "/proc/$number/cgroup") == "$before" ]]
	inside kill "$number"
	[[ $(scopes) == 0 ]]
	# and who is there still is heard
	[[ $(hs exec app 1 -- curl -sSf --max-time 10 http://127.0.0.1:9803/) == 'slot=1 '* ]]
	bystander_is_well
}
