#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Somebody who listens, and ceases to, without a pause. hsd is told of listens where services listen, and has time
# for all else.
# Long: begun with the first.

load lib/bystander

# flood SECONDS [RATE] [PORT]: by nobody, in the background
flood() {
	as_nobody "$tools/listen-flood" "$@" >"$BATS_TEST_TMPDIR/flood" 3>&- &
	flooder=$!
	wait_for 5 inside pgrep -x listen-flood >/dev/null
}

flooded() {
	wait $flooder
	say "$1: $(<"$BATS_TEST_TMPDIR/flood") listens"
	(($(<"$BATS_TEST_TMPDIR/flood") >= $2))
}

hsd_restarts() { inside systemctl show -P NRestarts hsd; }

# bats test_tags=thorough
@test "nobody listens and closes without a pause" {
	local pid
	pid=$(main_pid hsd)
	flood 12
	bystander_watch
	bystander_is_well
	bystander_watched
	flooded 'without a pause' 10000
	[[ $(main_pid hsd) == "$pid" && $(hsd_restarts) == 0 ]]
}

@test "nobody has 3000 listeners, and 300 listens a second come besides" {
	as_nobody bash -c "ulimit -n 4096; exec python3 -c '
import socket, time
sockets = [socket.socket() for _ in range(3000)]
for one in sockets: one.listen()
print(\"there\", flush=True)
time.sleep(60)'" >"$BATS_TEST_TMPDIR/listeners" 3>&- &
	wait_for 10 grep -q there "$BATS_TEST_TMPDIR/listeners"
	flood 12 300
	bystander_watch
	bystander_is_well
	bystander_watched
	flooded '3000 listeners, 300 listens a second' 1000
	inside pkill -u nobody python3
}

# bats test_tags=thorough
@test "on the very port of a service: told, but bounded" {
	# it serves 127.0.0.1, nobody listens on 127.0.0.2
	own_service narrow 9611
	inside sed -i 's/0.0.0.0:9611/127.0.0.1:9611/' /etc/systemd/system/narrow@.service
	up narrow
	flood 12 0 9611
	bystander_watch
	bystander_is_well
	bystander_watched
	flooded 'on the port of a service' 5000
	# a restart meanwhile and after is as ever
	inside systemctl restart narrow@0
	wait_for 10 is_ready narrow
	down narrow
}

# bats test_tags=thorough
@test "a listener that comes late is adopted, flood or not" {
	write /etc/systemd/system/late@.service <<-END
		[Service]
		ExecStart=/usr/bin/python3 $tools/late.py 9612 6
	END
	inside systemctl daemon-reload
	hs enable late@.service
	inside systemctl start late@0 late@1
	flood 10
	wait_for 10 is_ready late
	flooded 'while others are awaited' 10000
	down late
	bystander_is_well
}

tells_of_a_crowd() { hs status bystander | grep -q 'sockets listen on this machine'; }

# bats test_tags=thorough
@test "nobody has 200000 listeners: a hang is left in time, and what a service opens is found" {
	local count=200000
	# there each look for hangs passes all of them by
	! lacks_iterators || count=40000
	(($(awk '/^MemAvailable/ { print $2 }' /proc/meminfo) > 2000000)) || skip 'needs 2 GB of memory'
	as_nobody "$tools/listen-crowd" $count >"$BATS_TEST_TMPDIR/crowd" 3>&- &
	wait_for 60 grep -q there "$BATS_TEST_TMPDIR/crowd"
	bystander_watch
	bystander_is_well
	inside systemctl restart bystander@0 bystander@1
	wait_for 20 is_ready bystander
	wait_for 20 tells_of_a_crowd
	bystander_is_well
	bystander_watched
	inside systemctl restart hsd
	wait_for 20 is_ready bystander
	bystander_is_well
	inside pkill -x listen-crowd
}
