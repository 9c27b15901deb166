#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Servers that nobody here wrote, at their limit: none accepts anything for a while, and none hangs. More clients than
# workers ask for what takes long; each is answered, hsd restarts nobody, and in front of each the same with one plain
# restart shows that what is cut would be seen. Then pauses: of the runtime, and by the freezer.
# Long: begun with the first.
# Thorough: servers nobody here wrote, at their limit; hang holds the rule.

load lib/rig

setup_file() {
	rig_up
	inside systemctl start hsd
	mkdir -p "$(container_root "$rig")/srv/full"
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	BATS_TEST_TIMEOUT=300
}

# server NAME: [Service] of its template from stdin; both slots run then, and slot 0 is active
server() {
	if inside test -e "/etc/systemd/system/$1@.service"; then
		wait_for 15 is_ready "$1"
		prefer "$1" 0
		return
	fi
	{
		echo '[Service]'
		cat
	} | write "/etc/systemd/system/$1@.service"
	up "$1"
	settings "$1" FailoverHold=0
	prefer "$1" 0
}

settings() {
	printf '%s\n' '[Service]' "${@:2}" | write "/etc/hotstandby/$1.conf"
	inside systemctl reload hsd
}

events() { inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE="$1" HS_EVENT="$2"; }
has_said() { events "$1" "$2" | grep -q -- "$3"; }
pids() { echo "$(main_pid "$1@0") $(main_pid "$1@1")"; }
has_connections() { (($(status "$1" '[.slots[].connections] | add') >= $2)); }

# ask KIND CLIENTS REQUESTS PATH: clients that wait as long as it takes
ask() { inside python3 $tools/clients.py "$1" "$port" "$2" "$3" "$4"; }

# begin_asking KIND CLIENTS REQUESTS PATH ... asked: sets answered and cut
begin_asking() {
	ask "$@" >"$BATS_TEST_TMPDIR/asked" 2>&1 3>&- &
	asking=$!
}
asked() {
	wait "$asking"
	read -r answered cut <"$BATS_TEST_TMPDIR/asked"
	answered=${answered#answered=} cut=${cut#cut=}
}

# a_restart_is_seen NAME KIND CLIENTS PATH: what is in work is cut by it
a_restart_is_seen() {
	settings "$1" Failover=manual
	begin_asking "$2" "$3" 1 "$4"
	wait_for 5 has_connections "$1" "$3"
	inside systemctl kill -s KILL --kill-whom=all "$1@0"
	asked
	say "$1, without: killed while $3 clients ask: $answered answered, $cut cut"
	((cut > 0))
	wait_for 15 is_ready "$1"
	settings "$1" FailoverHold=0
	prefer "$1" 0
	rig_began=${EPOCHREALTIME/,/.}
}

# all_are_answered NAME KIND CLIENTS REQUESTS PATH: more clients than the active slot has workers
all_are_answered() {
	local before
	before=$(pids "$1")
	begin_asking "${@:2}"
	wait_for 10 has_said "$1" full 'slot 0: it is full: '
	asked
	say "$1: $3 clients with $4 requests each: $answered answered, $cut cut, $(events "$1" full | grep -c 'waiting moved' || true) moves"
	((answered == $3 * $4 && cut == 0))
	nobody_was_restarted "$1" "$before"
	wait_for 15 is_ready "$1"
	nobody_was_restarted "$1" "$before"
}

nobody_was_restarted() {
	# HAProxy that has room again just as its queue is moved pauses, for good; to restart it is right then
	! inside journalctl -q -o cat -u "$1@*" --since="@$rig_began" | grep -q 'Paused frontend' || return 0
	[[ $(pids "$1") == "$2" ]] || fail "restarted: $2 are now $(pids "$1")" || return 1
	[[ -z $(events "$1" restart) && -z $(events "$1" crash) ]]
}

# loses_nothing NAME KIND PATH: a server with three workers; behind the path stands how many seconds it takes
loses_nothing() {
	a_restart_is_seen "$1" "$2" 5 "${3}2"
	all_are_answered "$1" "$2" 5 4 "${3}3"
	down "$1"
}

@test "php-fpm: 3 children" {
	local port=9871
	local php
	php=$(inside bash -c 'echo /usr/sbin/php-fpm[0-9]*')
	write /srv/full/slow.php <<<'<?php sleep((int)$_GET["s"]); echo "slot=" . getenv("HOTSTANDBY_SLOT");'
	write /etc/php/full.conf <<-END
		[global]
		error_log = /dev/null
		[full]
		user = www-data
		listen = 127.0.0.1:$port
		pm = static
		pm.max_children = 3
		env[HOTSTANDBY_SLOT] = \$HOTSTANDBY_SLOT
	END
	server fpm <<-END
		Type=notify
		ExecStart=$php --nodaemonize --fpm-config /etc/php/full.conf
	END
	loses_nothing fpm fcgi '/srv/full/slow.php?s='
}

@test "gunicorn: 3 sync workers" {
	local port=9872
	write /srv/full/slow_app.py <<-'END'
		import os, time
		def application(environ, start_response):
		    time.sleep(float(environ["QUERY_STRING"] or 0))
		    start_response("200 OK", [("Content-Type", "text/plain")])
		    return [b"slot=" + os.environ["HOTSTANDBY_SLOT"].encode()]
	END
	server guni <<-END
		Type=notify
		ExecStart=/usr/bin/gunicorn --workers 3 --timeout 60 --pythonpath /srv/full --bind 127.0.0.1:$port slow_app
	END
	loses_nothing guni http '/?'
}

@test "Apache prefork: MaxRequestWorkers 3" {
	local port=9873
	write /srv/full/slow.sh <<-'END'
		#!/bin/sh
		sleep "$QUERY_STRING"
		printf 'Content-Type: text/plain\r\n\r\nslot=%s' "$SLOT"
	END
	inside chmod 755 /srv/full/slow.sh
	write /etc/apache2/full.conf <<-END
		ServerName localhost
		PidFile /run/apache-full-\${HOTSTANDBY_SLOT}.pid
		Listen 127.0.0.1:$port
		User www-data
		Group www-data
		LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
		LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
		LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
		LoadModule env_module /usr/lib/apache2/modules/mod_env.so
		LoadModule cgi_module /usr/lib/apache2/modules/mod_cgi.so
		ErrorLog /dev/null
		StartServers 3
		MaxRequestWorkers 3
		ScriptAlias /slow /srv/full/slow.sh
		SetEnv SLOT \${HOTSTANDBY_SLOT}
		<Directory /srv/full>
		Require all granted
		</Directory>
	END
	server apache <<-END
		ExecStart=/usr/sbin/apache2 -DFOREGROUND -f /etc/apache2/full.conf
		ExecStop=/bin/kill -WINCH \$MAINPID
		KillMode=mixed
	END
	loses_nothing apache http '/slow?'
}

@test "HAProxy: at maxconn" {
	local port=9874
	inside systemd-run -q --unit=behind /usr/bin/python3 $tools/pool.py 9879 x 32
	write /etc/haproxy/full.cfg <<-END
		global
		    maxconn 3
		defaults
		    mode http
		    timeout connect 5s
		    timeout client 60s
		    timeout server 60s
		frontend front
		    bind 127.0.0.1:$port
		    default_backend behind
		backend behind
		    server one 127.0.0.1:9879
	END
	server hap <<-END
		Type=notify
		ExecStart=/usr/sbin/haproxy -Ws -f /etc/haproxy/full.cfg
		KillMode=mixed
	END
	loses_nothing hap http '/wait?'
	inside systemctl stop behind
}

@test "HAProxy: one frontend at its maxconn, the other serves; both slots" {
	local port=9882 before clients moves
	needs_iterators
	inside systemd-run -q --unit=behind-two /usr/bin/python3 $tools/pool.py 9880 x 32
	write /etc/haproxy/two.cfg <<-END
		defaults
		    mode http
		    timeout connect 5s
		    timeout client 60s
		    timeout server 60s
		    default_backend behind
		frontend free
		    bind 127.0.0.1:9881
		frontend limited
		    bind 127.0.0.1:9882
		    maxconn 3
		backend behind
		    server one 127.0.0.1:9880
	END
	server two <<-END
		Type=notify
		ExecStart=/usr/sbin/haproxy -Ws -f /etc/haproxy/two.cfg
		KillMode=mixed
	END
	before=$(pids two)
	begin_load http://127.0.0.1:9881/ slot= 2
	# as many as it has room for, with its backlog of 3
	inside python3 $tools/idle.py 9882 10 20 >"$BATS_TEST_TMPDIR/idle" 2>&1 3>&- &
	clients=$!
	wait_for 10 has_said two full 'slot 0: it is full: .*slot 1 is active'
	wait_for 10 has_said two full 'slot 1: it is full: .*no other slot is fit to take over'
	wait "$clients"
	[[ $(<"$BATS_TEST_TMPDIR/idle") == 10 ]]
	# one that takes connections on its other address is no standby yet
	moves=$(events two full | grep -c 'waiting moved')
	((moves == 1)) || fail "$moves moves"
	lost_nothing 'the other frontend'
	wait_for 15 is_ready two
	nobody_was_restarted two "$before"
	down two
	inside systemctl stop behind-two
}

fds() {
	port=9875
	server fds <<-END
		Type=notify
		LimitNOFILE=32
		ExecStart=/usr/lib/hotstandby/hs-example-server --slot=%i --idle-grace=100 --listen=0.0.0.0:$port
	END
}

@test "a limit of descriptors: clients that keep their connections" {
	local before kept
	needs_iterators
	fds
	before=$(pids fds)
	hold $port 40
	kept=$held
	say "40 clients that stay: $(grep -o 0 <<<"$kept" | wc -l) on slot 0, $(grep -o 1 <<<"$kept" | wc -l) on slot 1"
	[[ $kept == *0*1* && $kept != *x* ]]
	has_said fds full 'slot 0: it is full: '
	is_state fds 0 full
	ask_again
	[[ $held == "$kept" ]]
	# it wakes for each connection, and can take none: it is no standby, whoever looks how often
	run ! wait_until 5 is_state fds 0 ready
	(($(events fds full | grep -c 'waiting moved') == 1))
	ask_again
	[[ $held == "$kept" ]]
	let_go
	wait_for 15 is_ready fds
	nobody_was_restarted fds "$before"
}

@test "a limit of descriptors, both slots full: nothing is moved to and fro" {
	local before clients used
	needs_iterators
	fds
	before=$(pids fds)
	inside python3 $tools/idle.py $port 80 25 >"$BATS_TEST_TMPDIR/idle" 2>&1 3>&- &
	clients=$!
	wait_for 10 has_said fds full 'slot 1: it is full: .*no other slot is fit to take over'
	used=$(inside systemctl show -P CPUUsageNSec hsd)
	[[ $(status fds '[.slots[].full] | all') == true ]]
	[[ $(hs list) == *'1/2, 2 full'* ]]
	sleep 10
	used=$((($(inside systemctl show -P CPUUsageNSec hsd) - used) / 1000000))
	say "two full slots, looked at for 10 s: hsd used $used ms of CPU time"
	wait "$clients"
	# nobody was cut off, also of those that wait
	[[ $(<"$BATS_TEST_TMPDIR/idle") == 80 ]]
	(($(events fds full | grep -c 'waiting moved') == 1))
	wait_for 15 is_ready fds
	nobody_was_restarted fds "$before"
}

# ---- pauses ----

pool() {
	port=9876
	server pool <<-END
		ExecStart=/usr/bin/python3 $tools/pool.py $port %i 8
	END
}

# pause COMMAND...: which begins a pause of slot 0. Six clients are in the middle of a request then, and six more come,
# of whom some are taken by threads that are in accept(2), and the others wait.
pause() {
	local before others
	before=$(pids pool)
	begin_asking http 6 8 '/wait?0.7'
	wait_for 5 has_connections pool 6
	inside "$@"
	others=$(ask http 6 1 /)
	is_active pool 1
	asked
	say "$*: $answered answered, $cut cut; of those who came then: $others"
	((answered == 48 && cut == 0))
	[[ $others == 'answered=6 cut=0' ]]
	wait_for 20 is_state pool 0 ready
	nobody_was_restarted pool "$before"
}

@test "a pause of the runtime, 5 s, in which all threads sleep" {
	pool
	a_restart_is_seen pool http 6 '/wait?2'
	pause systemctl kill -s USR1 pool@0
}

@test "a pause of the runtime, 5 s, in which one thread computes" {
	pool
	pause systemctl kill -s USR2 pool@0
}

@test "systemctl freeze, 10 s" {
	pool
	# it is frozen when that returns, and thawed by another
	pause bash -c 'systemctl freeze pool@0 && exec systemd-run -q --collect bash -c "sleep 10; systemctl thaw pool@0"'
	has_said pool hang 'slot 0: it is frozen, or held by a debugger: .*; it stands by again when it goes on and accepts'
}

@test "a request that is being uploaded, and read as it is needed, for 8 s" {
	local before
	pool
	before=$(pids pool)
	begin_asking post 12 1 '/wait?8'
	wait_for 10 is_active pool 1
	asked
	say "12 uploads to 8 workers: $answered answered, $cut cut"
	((answered == 12 && cut == 0))
	wait_for 15 is_ready pool
	nobody_was_restarted pool "$before"
}

@test "stopped by a signal: left as fast as ever, what it has in work goes on to its end, and it is restarted" {
	local pid
	pool
	pid=$(main_pid pool@0)
	begin_asking http 6 1 '/wait?3'
	wait_for 5 has_connections pool 6
	inside systemctl kill -s STOP pool@0
	[[ $(fetch http://127.0.0.1:$port/) == slot=1* ]]
	asked
	say "SIGSTOP: $answered answered, $cut cut"
	((answered == 6 && cut == 0))
	wait_for 10 is_new pool@0 "$pid"
	has_said pool hang 'slot 0: it hangs: .*; it will be restarted'
	has_said pool retire 'slot 0: it was stopped by a signal; it goes on, so that what it has in work can end'
}

@test "a restart that the unit refuses: it stands by again, as it serves" {
	local port=9877
	server proud <<-END
		[Unit]
		RefuseManualStop=yes
		[Service]
		ExecStart=/usr/bin/python3 $tools/pool.py $port %i 2
	END
	local pid
	pid=$(main_pid proud@0)
	fetch http://127.0.0.1:$port/ >/dev/null
	inside systemctl kill -s STOP proud@0
	[[ $(fetch http://127.0.0.1:$port/) == slot=1* ]]
	wait_for 10 has_said proud restart 'restarting slot 0, which hung: .*refused'
	wait_for 15 is_state proud 0 ready
	[[ $(main_pid proud@0) == "$pid" ]]
	inside sed -i /Refuse/d /etc/systemd/system/proud@.service
	inside systemctl daemon-reload
	down proud
}
