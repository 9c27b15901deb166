#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Instances that hang: connections wait and nobody accepts. And those that are only slow.
# Alone: it measures how soon the standby answers.

load lib/rig

url=http://127.0.0.1:9801/

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9801
	up app
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl kill -s CONT app@0 app@1 2>/dev/null || true
	# it remembers who hung of late, and has that one wait before it is restarted, ever longer
	inside systemctl restart hsd
	inside systemctl start app@0 app@1
	settings app FailoverHold=0
	wait_for 10 is_ready app
	prefer app 0
}

# settings NAME KEY=VALUE...
settings() {
	{
		echo '[Service]'
		printf '%s\n' "${@:2}"
	} | write "/etc/hotstandby/$1.conf"
	inside systemctl reload hsd
}

freeze() { inside systemctl kill --signal=STOP --kill-whom=all "$1"; }
thaw() { inside systemctl kill --signal=CONT --kill-whom=all "$1"; }

# events NAME KIND: their messages since the test began; count_events: how many
events() { inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE="$1" HS_EVENT="$2"; }
count_events() { events "$@" | wc -l; }

# has_said NAME KIND TEXT
has_said() { events "$1" "$2" | grep -q -- "$3"; }

# one request that waits for its answer as long as it takes, in the background
ask_patiently() {
	inside curl -sS --max-time 60 "$url" >"$BATS_TEST_TMPDIR/answer" 2>&1 3>&- &
	asking=$!
}

is_stalled() { [[ $(status "$1" ".slots[$2].stalled_ms") != null ]]; }

# ---- left ----

@test "frozen under load: what waits is answered by the standby, and it is restarted" {
	local pid
	pid=$(main_pid app@0)
	begin_load $url slot=
	freeze app@0
	wait_for 10 is_active app 1
	wait_for 20 is_new app@0 "$pid"
	wait_for 10 is_ready app
	lost_nothing
	[[ $(events app hang) == *'app: slot 0: it hangs: '*' and none was accepted for '*'; the last accept was '*' ago; slot 1 is active, '*' waiting moved; it will be restarted' ]]
	has_said app restart 'restarting slot 0, which hung: done'
	[[ $(status app '.slots[0].problem, .slots[0].stalled_ms, .failover') == $'null\nnull\nauto' ]]
}

@test "one that ends with success before it is restarted is started all the same" {
	local pid
	settings app FailoverHold=0 Settle=2s
	pid=$(main_pid app@0)
	freeze app@0
	[[ $(fetch $url) == slot=1* ]]
	inside kill -TERM "$pid"
	inside kill -CONT "$pid"
	wait_for 20 is_new app@0 "$pid"
	wait_for 10 is_ready app
	has_said app restart 'restarting slot 0, which hung: done'
}

# bats test_tags=thorough
@test "without looking for hangs clients wait for ever" {
	settings app Stall=0
	LOAD_SECONDS=12 begin_load $url slot=
	freeze app@0
	wait "$load_job" || true
	end_load
	say "$(load_line 'frozen, Stall=0')"
	((load[hung] > 0))
	[[ $(active app) == 0 && $(count_events app hang) == 0 ]]
	thaw app@0
}

@test "frozen: the standby answers within Stall= and a moment" {
	local ms times='' slow=0 most=1100
	# where all listening sockets have to be listed the verdict comes later by up to an eighth
	! lacks_iterators || most=1225
	for _ in {1..4}; do
		prefer app 0
		fetch $url >/dev/null
		ms=$(inside bash -c "systemctl kill --signal=STOP --kill-whom=all app@0
			begun=\$EPOCHREALTIME
			curl -sS --max-time 10 $url >/run/answer
			echo \$(((\${EPOCHREALTIME/./} - \${begun/./}) / 1000))")
		[[ $(inside cat /run/answer) == slot=1* ]]
		times+=" $ms"
		((ms <= most)) || slow=$((slow + 1))
		wait_for 20 is_ready app
	done
	say "from SIGSTOP to the standby's answer, Stall=1s:$times ms"
	# the contract is 1050; the clients' own start and a busy machine are not hsd's
	((slow <= 1))
}

# bats test_tags=thorough
@test "a shorter Stall=" {
	settings app FailoverHold=0 Stall=200ms
	freeze app@0
	[[ $(fetch $url --max-time 2) == slot=1* ]]
	wait_for 20 is_ready app
}

@test "connections that wait only are no hang of a standby; one that gets its share is left, too" {
	freeze app@1
	hs canary app 50% >/dev/null
	begin_load $url slot=
	wait_for 10 has_event app hang
	wait_for 20 is_ready app
	lost_nothing 'a canary that hangs'
	[[ $(status app '.active, .canary') == $'0\nnull' ]]
	has_said app hang 'slot 1: it hangs'
}

@test "clients that keep their connections: those of the hung one wait, new ones are served" {
	settings app FailoverHold=0 OnHang=keep
	hold 9801 2
	[[ $held == '0 0' ]]
	freeze app@0
	[[ $(fetch $url) == slot=1* ]]
	is_state app 0 suspect
	thaw app@0
	ask_again
	[[ $held == '0 0' ]]
	let_go
	wait_for 10 is_ready app
}

@test "Stall=0 after one was left: it is restarted all the same" {
	local pid
	settings app FailoverHold=0
	pid=$(main_pid app@0)
	freeze app@0
	[[ $(fetch $url) == slot=1* ]]
	settings app FailoverHold=0 Stall=0
	wait_for 20 is_new app@0 "$pid"
	wait_for 10 is_ready app
	has_said app restart 'restarting slot 0, which hung: done'
}

@test "OnHang=keep: it stands by again when it serves again" {
	local pid problem
	settings app FailoverHold=0 OnHang=keep
	pid=$(main_pid app@0)
	freeze app@0
	[[ $(fetch $url) == slot=1* ]]
	is_state app 0 suspect
	problem=$(status app '.slots[0].problem')
	[[ $problem == 'it hangs: 1 connection waits and none was accepted for '* ]]
	(($(status app '.slots[0].stalled_ms') >= 1000))
	has_said app hang 'it is kept, out of service until it serves again'
	# no target of anything
	run -3 hs switchover app
	[[ $output == *'slot 0 (app@0.service) is suspect, not ready; it hangs'* ]]
	inside hsctl adopt app@0.service
	is_state app 0 suspect
	# still, after a while that others come back in
	run -1 --separate-stderr wait_until 3 is_state app 0 ready
	thaw app@0
	wait_for 10 is_state app 0 ready
	has_said app recovered 'slot 0: it serves again, and stands by'
	[[ $(main_pid app@0) == "$pid" && $(status app '.slots[0].problem') == null ]]
	hs switchover app >/dev/null
	[[ $(answering_slot $url) == 0 ]]
}

# ---- not left ----

@test "no other slot is ready: reported once, and when it serves again" {
	inside systemctl stop app@1
	freeze app@0
	ask_patiently
	wait_for 10 has_event app hang
	is_stalled app 0
	[[ $(status app '.slots[0].problem') == 'it hangs: 1 connection waits'* ]]
	is_state app 0 ready
	thaw app@0
	wait $asking
	[[ $(<"$BATS_TEST_TMPDIR/answer") == slot=0* ]]
	wait_for 5 has_event app recovered
	[[ $(count_events app hang) == 1 && $(events app hang) == *'; no other slot is fit to take over, so it is left alone' ]]
	[[ $(events app recovered) == 'app: slot 0: it accepts connections again' ]]
	run ! is_stalled app 0
}

@test "a standby that comes while it hangs is taken at once" {
	inside systemctl stop app@1
	freeze app@0
	ask_patiently
	wait_for 10 has_event app hang
	inside systemctl start app@1
	wait $asking
	[[ $(<"$BATS_TEST_TMPDIR/answer") == slot=1* ]]
	wait_for 20 is_ready app
}

@test "Failover=manual: reported, and hsctl failover does it" {
	settings app Failover=manual FailoverHold=0
	freeze app@0
	ask_patiently
	wait_for 10 has_event app hang
	[[ $(events app hang) == *'nothing is done (Failover=manual)'* ]]
	[[ $(active app) == 0 && $(status app .failover) == manual ]]
	hs failover app
	wait $asking
	[[ $(<"$BATS_TEST_TMPDIR/answer") == slot=1* ]]
	thaw app@0
	wait_for 10 is_ready app
}

@test "no second fail-over within FailoverHold=" {
	# hsd does not remember those before its start
	inside systemctl restart hsd
	settings app FailoverHold=1min
	wait_for 10 is_ready app
	freeze app@0
	[[ $(fetch $url) == slot=1* ]]
	wait_for 20 is_ready app
	(($(status app .hold_ms) > 0))
	freeze app@1
	ask_patiently
	wait_for 10 has_said app hang 'FailoverHold='
	[[ $(active app) == 1 ]]
	# unless it is dead
	inside systemctl kill -s KILL --kill-whom=all app@1
	wait $asking || true
	wait_for 10 is_active app 0
	[[ $(answering_slot $url) == 0 ]]
	wait_for 20 is_ready app
}

# bats test_tags=thorough
@test "when FailoverHold= has passed it is done" {
	settings app FailoverHold=4s
	freeze app@0
	[[ $(fetch $url) == slot=1* ]]
	wait_for 20 is_ready app
	freeze app@1
	ask_patiently
	wait $asking
	[[ $(<"$BATS_TEST_TMPDIR/answer") == slot=0* ]]
	wait_for 20 is_ready app
}

# ---- slow servers ----

# slow_service NAME PORT PAUSE BACKLOG SOCKETS
slow_service() {
	write "/etc/systemd/system/$1@.service" <<-END
		[Service]
		ExecStart=/usr/bin/python3 $tools/slow.py $2 %i $3 $4 $5
	END
	up "$1"
	prefer "$1" 0
}

# never_touched NAME CMD...: its slot 0 is active all the while, and nothing is told of it
never_touched() {
	local generation
	generation=$(generation "$1")
	"${@:2}"
	[[ $(active "$1") == 0 && $(generation "$1") == "$generation" && $(count_events "$1" hang) == 0 ]]
	is_state "$1" 0 ready
	down "$1"
}

crowd() {
	LOAD_SECONDS=$3 begin_load "http://127.0.0.1:$1/" slot= "$2"
	wait "$load_job" || true
}

@test "slow: one connection in 0.9 s, many wait" {
	slow_service slow 9811 0.9 4096 1
	never_touched slow crowd 9811 64 8
}

# bats test_tags=thorough
@test "slow: one connection in 0.9 s, the backlog is full" {
	slow_service slow 9812 0.9 1 1
	never_touched slow crowd 9812 64 8
}

# bats test_tags=thorough
@test "slow: 4 sockets in turns" {
	# each socket once in 0.8 s
	slow_service slow 9813 0.2 16 4
	never_touched slow crowd 9813 64 8
}

@test "overload: 8 sockets, more clients than it can serve" {
	slow_service slow 9814 0 4 8
	never_touched slow crowd 9814 100 6
}

impatient() {
	local jobs=()
	for _ in 1 2 3 4; do
		inside python3 $tools/impatient.py "$1" "${3:-6}" "${2:-reset}" >/dev/null 3>&- &
		jobs+=($!)
	done
	wait "${jobs[@]}"
}

@test "slow: the clients reset while they wait" {
	slow_service slow 9815 0.5 8 1
	never_touched slow impatient 9815
}

# bats test_tags=thorough
@test "slow: the clients reset while they wait, 2 sockets" {
	slow_service slow 9816 0.4 8 2
	never_touched slow impatient 9816
}

# ---- nginx ----

nginx_service() {
	inside cp $examples/nginx@.service /etc/systemd/system/
	inside cp $examples/hotstandby-example.conf /etc/nginx/
	up nginx
	settings nginx FailoverHold=0
	prefer nginx 0
}

@test "nginx: all of it frozen under load" {
	nginx_service
	begin_load http://127.0.0.1:8080/ 'Welcome to nginx'
	freeze nginx@0
	wait_for 10 is_active nginx 1
	wait_for 30 is_ready nginx
	lost_nothing 'nginx frozen'
	has_said nginx hang 'it hangs'
}

freeze_worker() { inside bash -c "kill -STOP \$(pgrep -P $(main_pid nginx@0) | head -n 1)"; }

@test "nginx: one worker of two frozen under load, until all clients wait for it" {
	prefer nginx 0
	begin_load http://127.0.0.1:8080/ 'Welcome to nginx'
	freeze_worker
	wait_for 10 is_active nginx 1
	wait_for 10 is_ready nginx
	lost_nothing 'a worker of nginx frozen'
}

# bats test_tags=thorough
@test "nginx: one worker of two frozen, while the other serves" {
	prefer nginx 0
	freeze_worker
	impatient 8080 close 60 3>&- &
	local clients=$!
	wait_for 15 is_active nginx 1
	inside pkill -f impatient.py
	wait "$clients" || true
	has_said nginx hang 'on one of its sockets'
	wait_for 10 is_ready nginx
	down nginx
}

# ---- watchdog, hsd ----

@test "a crash says how it ended" {
	inside systemctl kill -s KILL app@0
	wait_for 10 has_said app crash 'ended by itself (killed by signal 9 (KILL))'
	wait_for 20 is_ready app
}

@test "systemd's watchdog is named as the reason" {
	write /etc/systemd/system/dog@.service <<-END
		[Service]
		Type=notify
		WatchdogSec=1s
		Environment=WATCHDOG_USEC=
		ExecStart=/usr/lib/hotstandby/hs-example-server --slot=%i --listen=0.0.0.0:9831
	END
	inside systemctl daemon-reload
	hs enable dog@.service
	# it does not know of the watchdog, which ends it therefore
	inside systemctl start dog@0
	wait_for 10 has_said dog crash "ended by systemd's watchdog"
	down dog
}

@test "hsd killed while an instance hangs: the next one does it" {
	local pid
	pid=$(main_pid hsd)
	begin_load $url slot=
	freeze app@0
	inside systemctl kill -s KILL hsd
	wait_for 10 is_new hsd "$pid"
	wait_for 10 is_active app 1
	wait_for 20 is_ready app
	lost_nothing 'hsd killed while the active one hangs'
}

# bats test_tags=thorough
@test "hsd killed at any moment of a fail-over" {
	local pid hsd
	for _ in {1..6}; do
		wait_for 20 is_ready app
		prefer app 0
		rig_began=${EPOCHREALTIME/,/.}
		pid=$(main_pid app@0) hsd=$(main_pid hsd)
		begin_load $url slot=
		freeze app@0
		wait_for 10 is_active app 1
		inside bash -c "sleep 0.0$((RANDOM % 8)); systemctl kill -s KILL hsd"
		wait_for 10 is_new hsd "$hsd"
		wait_for 20 is_new_or_back "$pid"
		lost_nothing 'hsd killed in a fail-over'
	done
}

# is_new_or_back PID: it was restarted; or hsd had let it go on just before it was killed, and it stands by again
is_new_or_back() { is_new app@0 "$1" || (has_event app recovered && is_ready app); }

@test "one that is restarted for a hang may take its time to listen" {
	local pid
	own_service late 9812 --bind-delay=700
	printf '[Service]\nType=exec\n' | write /etc/systemd/system/late@.service.d/type.conf
	up late
	begin_load http://127.0.0.1:9812/ slot=
	pid=$(main_pid late@0)
	freeze late@0
	wait_for 10 is_active late 1
	wait_for 10 is_new late@0 "$pid"
	pid=$(main_pid late@0)
	wait_for 10 is_ready late
	end_load
	# the mark of its predecessor is not held against it
	[[ $(main_pid late@0) == "$pid" ]]
	(($(count_events late hang) == 1))
	(($(count_events late restart) == 1))
	down late
}

# a server that listens, and accepts nothing for a while
dawdling_service() {
	write /usr/lib/system-tests/dawdle.py <<-'END'
		import socket, sys, time
		s = socket.socket()
		s.bind(("0.0.0.0", int(sys.argv[1])))
		s.listen(128)
		# the active one serves first: the other way round it would be left for the standby
		time.sleep(float(sys.argv[2]) + int(sys.argv[3]) / 2)
		while True:
		    c, _ = s.accept()
		    c.recv(4096)
		    c.sendall(b"HTTP/1.0 200 OK\r\n\r\nslot=%s here" % sys.argv[3].encode())
		    c.close()
	END
	write "/etc/systemd/system/$1@.service" <<-END
		[Service]
		ExecStart=/usr/bin/python3 /usr/lib/system-tests/dawdle.py $2 $3 %i
	END
}

# bats test_tags=thorough
@test "who listens long before it serves is not restarted for that" {
	local pids
	dawdling_service dawdle 9813 3
	printf '[Service]\nFailoverHold=0\n[Health]\nProbe=http:/\n' | write /etc/hotstandby/dawdle.conf
	inside systemctl daemon-reload
	hs enable dawdle@.service
	inside systemctl start dawdle@0
	wait_for 5 is_state dawdle 0 ready # so it is the active one
	inside systemctl start dawdle@1
	pids="$(main_pid dawdle@0) $(main_pid dawdle@1)"
	[[ $(fetch http://127.0.0.1:9813/) == slot=* ]]
	wait_for 10 is_healthy dawdle
	# the standby has its probes only
	inside systemctl restart dawdle@1
	wait_for 5 is_healthy dawdle
	[[ $(fetch http://127.0.0.1:9813/) == slot=0* ]]
	(($(count_events dawdle hang) == 0))
	[[ ${pids% *} == "$(main_pid dawdle@0)" ]]
	# one that is halted is no beginner
	inside systemctl restart dawdle@1
	wait_for 5 is_state dawdle 1 ready # it listens
	freeze dawdle@1
	wait_for 10 has_said dawdle hang 'will be restarted'
	wait_for 10 is_healthy dawdle
	down dawdle
}

is_healthy() { [[ $(status "$1" '[.slots[].health] | unique | join(" ")') == healthy ]]; }

@test "hsd killed, and a kept one stays out until it serves again" {
	local hsd
	settings app FailoverHold=0 OnHang=keep
	freeze app@0
	[[ $(fetch $url) == slot=1* ]]
	hsd=$(main_pid hsd)
	inside systemctl kill -s KILL hsd
	wait_for 10 is_new hsd "$hsd"
	wait_for 5 is_state app 0 suspect
	wait_for 5 has_said app hang 'as was found before hsd started'
	is_state app 0 suspect
	thaw app@0
	wait_for 10 is_ready app
}
