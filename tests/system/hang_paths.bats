#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Servers at a path that accept nothing: one that was stopped is left as soon as one in the network, one that is full
# is left at most while the other is not, and never restarted.
# Long: begun with the first.
# Thorough: hang holds the rule.

load lib/rig
load lib/servers
load lib/paths

setup_file() { paths_up; }

events() { inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE="$1" HS_EVENT="$2"; }
has_said() { events "$1" "$2" | grep -q -- "$3"; }
ask() { inside curl -sS --max-time "${2:-5}" --unix-socket "/run/$1/$1.sock" "http://app/${3:-}"; }
settings() {
	printf '%s\n' '[Service]' "${@:2}" | write "/etc/hotstandby/$1.conf"
	inside systemctl reload hsd
}

@test "gunicorn, master and workers stopped: its clients go to the other slot within Stall and some" {
	local begun took
	gunicorn hstop
	up hstop
	prefer hstop 0
	[[ $(ask hstop) == slot=0* ]]
	inside systemctl kill -s STOP --kill-whom=all hstop@0
	begun=${EPOCHREALTIME/[.,]/}
	# one waits in its queue; who comes later is answered by the other one
	ask hstop 30 >"$BATS_TEST_TMPDIR/first" 3>&- &
	wait_for 5 is_active hstop 1
	took=$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
	say "slot 0 was left after $took ms, with Stall=1s"
	((took < 4000))
	[[ $(ask hstop) == slot=1* ]]
	has_said hstop hang 'slot 0: it hangs: 1 connection waits'
	# it is let go on, and what it has is answered before it is restarted
	wait $!
	[[ $(<"$BATS_TEST_TMPDIR/first") == slot=0* ]]
	wait_for 10 is_ready hstop
	has_said hstop restart 'restarting slot 0, which hung: done'
	# likewise where clients give up, and so nobody stays the first: one each 100 ms, which has half a second
	settings hstop FailoverHold=0
	prefer hstop 0
	inside systemctl kill -s STOP --kill-whom=all hstop@0
	inside timeout 25 python3 -c 'import collections, socket, time
clients = collections.deque()
while True:
    clients.append(socket.socket(socket.AF_UNIX))
    clients[-1].connect("/run/hstop/hstop.sock")
    if len(clients) > 5:
        clients.popleft().close()
    time.sleep(0.1)' 3>&- &
	begun=${EPOCHREALTIME/[.,]/}
	wait_for 10 is_active hstop 1
	say "with clients that give up, after $(((${EPOCHREALTIME/[.,]/} - begun) / 1000)) ms"
	inside pkill -f clients.popleft
	wait $! || true
	inside systemctl kill -s CONT --kill-whom=all hstop@0 || true
	wait_for 10 is_ready hstop
	down hstop
}

@test "gunicorn with one busy worker is full: nobody is restarted, and when both are they are left alone" {
	local i before
	gunicorn_unit hfull | sed -e 's/--workers 2/--workers 1/' | write /etc/systemd/system/hfull@.service
	write /srv/hfull/app.py <<-'END'
		import os, time
		def app(environ, start_response):
		    time.sleep(float(environ['PATH_INFO'][1:] or 0))
		    body = b'slot=' + os.environ['HOTSTANDBY_SLOT'].encode()
		    start_response('200 OK', [('Content-Length', str(len(body)))])
		    return [body]
	END
	up hfull
	settings hfull FailoverHold=0
	prefer hfull 0
	before="$(main_pid hfull@0) $(main_pid hfull@1)"
	for i in {1..12}; do
		ask hfull 90 3 >"$BATS_TEST_TMPDIR/answer.$i" 3>&- &
		asking[i]=$!
		inside sleep 0.3
	done
	for i in {1..12}; do
		wait "${asking[i]}"
		[[ $(<"$BATS_TEST_TMPDIR/answer.$i") == slot=* ]]
	done
	has_said hfull full 'slot 0: it is full'
	[[ "$(main_pid hfull@0) $(main_pid hfull@1)" == "$before" ]]
	[[ -z $(events hfull restart) && -z $(events hfull crash) ]]
	say "12 requests of 3 s to two slots with one worker each: all answered, left $(events hfull full | grep -c 'is active,') times"
	(($(events hfull full | grep -c 'is active,') <= 4))
	wait_for 20 is_ready hfull
	# one that takes long beside an idle slot, and pauses by the freezer
	prefer hfull 0
	inside systemctl freeze hfull@0
	ask hfull 60 >"$BATS_TEST_TMPDIR/frozen" 3>&- &
	i=$!
	wait_for 5 is_active hfull 1
	has_said hfull hang 'slot 0: it is frozen'
	inside systemctl thaw hfull@0
	wait $i
	[[ $(<"$BATS_TEST_TMPDIR/frozen") == slot=0 ]]
	wait_for 10 is_ready hfull
	[[ "$(main_pid hfull@0) $(main_pid hfull@1)" == "$before" ]]
	down hfull
}

@test "php-fpm behind nginx: its children are stopped" {
	local begun took
	template "$php"
	up "$php"
	nginx_to fpmhang 8141 "/run/php/$php.sock"
	prefer "$php" 0
	inside curl -sSf http://127.0.0.1:8141/
	inside bash -c "pkill -STOP -P $(main_pid "$php@0")"
	for i in 1 2 3; do
		inside curl -sS --max-time 20 http://127.0.0.1:8141/ >"$BATS_TEST_TMPDIR/answer.$i" 3>&- &
		asking[i]=$!
	done
	begun=${EPOCHREALTIME/[.,]/}
	wait_for 5 is_active "$php" 1
	took=$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
	say "$php: slot 0 was left after $took ms, with Stall=1s"
	((took < 4000))
	inside curl -sSf --max-time 5 http://127.0.0.1:8141/
	for i in 1 2 3; do
		wait "${asking[i]}"
		[[ $(<"$BATS_TEST_TMPDIR/answer.$i") == slot=* ]]
	done
	wait_for 10 is_ready "$php"
	inside systemctl stop proxy-fpmhang
	down "$php"
}
