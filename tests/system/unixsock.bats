#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Servers that listen at a path: as their packages set them up, and behind the proxies that they stand behind.
# Long: begun with the first.
# Thorough: each proxy in turn; disable_paths and hostile/paths meet a path as well.

load lib/rig
load lib/servers
load lib/paths

setup_file() { paths_up; }

# ---- gunicorn behind HAProxy ----

# served_by NAME SLOT: by the public path itself
served_by() {
	[[ $(inside curl -sSf --max-time 5 --unix-socket "/run/$1/$1.sock" http://app/) == "slot=$2 /" ]]
}

@test "gunicorn at a fixed path: found by enable, each slot in its own folder, switched by a link" {
	gunicorn gone
	inside systemctl daemon-reload
	run -0 --separate-stderr inside hsctl enable gone@.service
	[[ $output == *'/run/gone/gone.sock is going to be a link'* ]]
	inside systemctl start gone@0 gone@1
	wait_for 5 is_ready gone
	[[ $(status gone '.listeners[0] | .protocol + " " + .address') == 'unix /run/gone/gone.sock' ]]
	# that there is no link before the first slot has made it is nothing to complain of
	[[ -z $(inside journalctl -q -o cat -u hsd HS_SERVICE=gone -p notice | grep 'is no link') ]]
	prefer gone 0
	served_by gone 0
	[[ $(inside readlink -f /run/gone/gone.sock) == /run/hotstandby/gone/0/run-gone/gone.sock ]]
	hs switchover gone
	served_by gone 1
	[[ $(inside readlink /run/hotstandby/gone/active) == 1 ]]
	hs rollback gone
	served_by gone 0
	# the folders are the server's own user's, as the public one is, what leads there is root's
	[[ $(inside stat -c '%U %a' /run/hotstandby/gone/0/run-gone) == $(inside stat -c '%U %a' /run/gone) ]]
	[[ $(inside stat -c '%U %a' /run/hotstandby/gone/0) == 'root 755' ]]
	# a stop, and a crash
	inside systemctl stop gone@0
	served_by gone 1
	inside systemctl start gone@0
	wait_for 5 is_ready gone
	inside systemctl kill -s KILL gone@1
	wait_for 5 served_by gone 0
	wait_for 10 is_ready gone
	down gone
}

@test "gunicorn behind HAProxy, unchanged: switchovers and restarts lose nothing" {
	gunicorn gtwo
	up gtwo
	haproxy gtwo 8101
	prefer gtwo 0
	begin_load http://127.0.0.1:8101/ slot= 8
	for _ in {1..25}; do
		hs switchover gtwo --drain=0 --settle=20ms >/dev/null
	done
	for _ in 1 2 3; do
		inside systemctl restart gtwo@0
		inside systemctl restart gtwo@1
	done
	hs switchover gtwo --then=restart >/dev/null
	wait_for 10 is_ready gtwo
	lost_nothing 'gunicorn behind HAProxy: 26 switchovers, 7 restarts'
	inside systemctl stop proxy-gtwo
	down gtwo
}

@test "without hotstandby, a restart of gunicorn behind HAProxy" {
	gunicorn_unit gplain | write /etc/systemd/system/gplain.service
	inside systemctl daemon-reload
	inside systemctl start gplain
	haproxy gplain 8102
	begin_load http://127.0.0.1:8102/ slot= 8
	inside systemctl restart gplain
	inside systemctl restart gplain
	end_load
	say "$(load_line 'without, 2 restarts of gunicorn alone')"
	((load[lost] + load[wrong] > 0))
	inside systemctl stop proxy-gplain gplain
}

@test "a crash, with hsd, without it, and while it is killed" {
	gunicorn gcrash
	up gcrash
	haproxy gcrash 8105
	prefer gcrash 0
	begin_load http://127.0.0.1:8105/ slot= 4
	inside systemctl kill -s KILL gcrash@0
	wait_for 5 served_by gcrash 1
	wait_for 10 is_ready gcrash
	# the link is there whatever becomes of hsd; and systemd flips it, too
	inside systemctl kill -s KILL hsd
	wait_for 5 inside systemctl is-active -q hsd
	served_by gcrash 1
	wait_for 10 is_ready gcrash
	inside systemctl stop hsd
	inside systemctl kill -s KILL gcrash@1
	wait_for 5 served_by gcrash 0
	end_load
	say "$(load_line 'gunicorn: two crashes, and hsd killed and stopped')"
	((load[hung] == 0))
	inside systemctl start hsd
	wait_for 10 is_ready gcrash
	served_by gcrash 0
	inside systemctl stop proxy-gcrash
	down gcrash
}

@test "without hsd: switched, restarted, rolled back" {
	gunicorn gdirect
	up gdirect
	prefer gdirect 0
	inside systemctl stop hsd
	haproxy gdirect 8106
	begin_load http://127.0.0.1:8106/ slot= 4
	for _ in 1 2 3; do
		hs switchover gdirect --drain=0 >/dev/null
	done
	served_by gdirect 1
	hs rollback gdirect >/dev/null
	served_by gdirect 0
	inside systemctl restart gdirect@0
	served_by gdirect 1
	inside systemctl restart gdirect@1
	served_by gdirect 0
	lost_nothing 'gunicorn without hsd: 4 switchovers, 2 restarts'
	[[ $(status gdirect '[.slots[].state] | unique | join(" ")') == ready ]]
	inside systemctl start hsd
	wait_for 10 is_ready gdirect
	inside systemctl stop proxy-gdirect
	down gdirect
}

@test "hsd is killed again and again while it is switched" {
	gunicorn gkilled
	up gkilled
	haproxy gkilled 8107
	begin_load http://127.0.0.1:8107/ slot= 4
	for _ in {1..8}; do
		hs switchover gkilled --drain=0 --no-block >/dev/null || true
		inside systemctl kill -s KILL hsd
		wait_for 5 inside systemctl is-active -q hsd
		# what the word says the link does
		wait_for 5 link_follows gkilled
	done
	wait_for 10 is_ready gkilled
	lost_nothing 'gunicorn: hsd killed in 8 switchovers'
	inside systemctl stop proxy-gkilled
	down gkilled
}

link_follows() { [[ $(inside readlink "/run/hotstandby/$1/active") == "$(active "$1")" ]]; }

@test "one slot by exec and by the smoke test of an upgrade, whichever is active" {
	gunicorn gexec
	up gexec
	prefer gexec 0
	ask=(curl -sSf --unix-socket /run/gexec/gexec.sock http://app/)
	for slot in 0 1; do
		[[ $(hs exec gexec $slot -- "${ask[@]}") == "slot=$slot /" ]]
	done
	# nobody else is led there
	served_by gexec 0
	run -0 --separate-stderr inside hsctl exec gexec 1 -- true
	[[ $stderr == *'it made no connection to slot 1 of gexec'* ]]
	run -0 --separate-stderr inside hsctl exec gexec 1 -- "${ask[@]}"
	[[ $stderr == '' ]]
	hs upgrade gexec --probation=0 --smoke="${ask[*]} | grep -q slot=1"
	served_by gexec 1
	run -4 inside hsctl upgrade gexec --probation=0 --smoke="${ask[*]} | grep -q slot=1"
	served_by gexec 1
	# one that tests nothing has not passed
	run -4 inside hsctl upgrade gexec --probation=0 --smoke=true
	[[ $output == *'it made no connection to slot 0 of gexec'* ]]
	served_by gexec 1
	run -1 inside hsctl exec --must-connect gexec 0 -- true
	hs upgrade gexec --probation=0 --smoke=true --smoke-may-be-silent
	# who is not root is told how
	run as_nobody unshare -Ur hsctl exec gexec 0 -- true
	((status != 0))
	down gexec
}

@test "probes go to each slot's own file, also where only its user may connect" {
	gunicorn gprobe
	inside sed -i 's/--workers 2/--workers 2 --umask 077/' /etc/systemd/system/gprobe@.service
	printf '[Health]\nProbe=http:/health\nText=slot=\nProbe=tcp\nInterval=300ms\n' | write /etc/hotstandby/gprobe.conf
	up gprobe
	prefer gprobe 0
	[[ $(inside stat -L -c '%U %a' /run/gprobe/gprobe.sock) == 'www-data 700' ]]
	wait_for 10 health_is gprobe 'healthy healthy'
	# one slot is ill: nobody is switched there, and it is left when it is the active one
	inside sed -i "s/^def app.*/&\\n    if os.path.exists('\/run\/ill-' + os.environ['HOTSTANDBY_SLOT']): start_response('503 Ill', []); return []/" \
		/srv/gprobe/app.py
	inside systemctl restart gprobe@0
	inside systemctl restart gprobe@1
	wait_for 10 health_is gprobe 'healthy healthy'
	prefer gprobe 0
	inside touch /run/ill-1
	wait_for 10 health_is gprobe 'healthy unhealthy'
	run -3 --separate-stderr inside hsctl switchover gprobe
	[[ $stderr == *'slot 1 is unhealthy: HTTP 503 Ill'* ]]
	inside rm /run/ill-1
	wait_for 10 health_is gprobe 'healthy healthy'
	inside touch /run/ill-0
	wait_for 10 is_active gprobe 1
	served_by gprobe 1
	inside rm /run/ill-0
	down gprobe
}

health_is() { [[ $(status "$1" '[.slots[].health] | join(" ")') == "$2" ]]; }

@test "a drill asks at the public path" {
	gunicorn gdrill
	up gdrill
	run -0 --separate-stderr inside timeout 100 hsctl drill gdrill --yes --scenario=switchover,stop,crash --probe=http:/ --rate=50 --json
	[[ $(jq -r '.asked' <<<"$output" | sort -u) == '/run/gdrill/gdrill.sock:http:/' ]]
	[[ $(jq -r '.scenario + " " + .verdict' <<<"$output" | xargs) == 'switchover passed stop passed crash passed' ]]
	run -0 --separate-stderr inside timeout 100 hsctl drill gdrill --yes --scenario=hang --probe=http:/ --rate=50 --json \
		--max-gap=10s --max-lost=1000
	[[ $(jq -r '.scenario + " " + .verdict' <<<"$output") == 'hang passed' ]]
	wait_for 10 is_ready gdrill
	down gdrill
}

@test "no canary, no park, no other policy: refused, with the reason" {
	gunicorn gno
	up gno
	before=$(generation gno)
	for refused in 'canary gno 5%' 'park gno' 'policy gno hash' 'upgrade gno --canary=5%'; do
		# shellcheck disable=SC2086
		run -3 --separate-stderr inside hsctl $refused
		[[ $stderr == *'/run/gno/gno.sock is a link, which leads to one slot at a time'* ]]
	done
	[[ $(generation gno) == "$before" ]]
	printf '[Service]\nExclusive=yes\n' | write /etc/hotstandby/gno.conf
	run -3 --separate-stderr inside hsctl enable gno@.service
	[[ $stderr == *'Exclusive=yes'*'there is none for AF_UNIX sockets'* ]]
	inside rm /etc/hotstandby/gno.conf
	down gno
}

@test "what waits is waited for, and what was accepted is drained" {
	# one worker, one request at a time
	gunicorn_unit gslow | sed -e 's/--workers 2/--workers 1/' | write /etc/systemd/system/gslow@.service
	write /srv/gslow/app.py <<-'END'
		import time
		def app(environ, start_response):
		    time.sleep(float(environ['PATH_INFO'][1:] or 0))
		    start_response('200 OK', [('Content-Length', '5')])
		    return [b'done\n']
	END
	up gslow
	prefer gslow 0
	for i in 1 2 3; do
		inside curl -sSf --unix-socket /run/gslow/gslow.sock http://app/0.7 >"$BATS_TEST_TMPDIR/answer.$i" 3>&- &
		jobs[i]=$!
	done
	wait_for 5 queue_is gslow 0 2
	[[ $(status gslow '.slots[0].connections') == 1 ]]
	inside systemctl restart gslow@0
	for i in 1 2 3; do
		wait "${jobs[i]}"
		[[ $(<"$BATS_TEST_TMPDIR/answer.$i") == done ]]
	done
	wait_for 10 is_ready gslow
	# the same by a drain
	prefer gslow 0
	for i in 1 2; do
		inside curl -sSf --unix-socket /run/gslow/gslow.sock http://app/0.5 >"$BATS_TEST_TMPDIR/answer.$i" 3>&- &
		jobs[i]=$!
	done
	wait_for 5 queue_is gslow 0 1
	hs drain gslow 0 --deadline=20s
	for i in 1 2; do
		wait "${jobs[i]}"
		[[ $(<"$BATS_TEST_TMPDIR/answer.$i") == done ]]
	done
	down gslow
}

queue_is() { [[ $(status "$1" ".slots[$2].queued") == "$3" ]]; }

@test "a socket unit: each slot its own file, with the owner and the mode that it says" {
	gunicorn gunit
	inside sed -i -e 's/--bind [^ ]* //' -e /^RuntimeDirectory/d /etc/systemd/system/gunit@.service
	printf '[Socket]\nListenStream=/run/gunit/gunit.sock\nSocketUser=www-data\nSocketMode=0600\n' |
		write /etc/systemd/system/gunit@.socket
	up gunit
	[[ $(status gunit '.intake + " " + .listeners[0].address') == 'socket /run/gunit/gunit.sock' ]]
	haproxy gunit 8108
	begin_load http://127.0.0.1:8108/ slot= 4
	for _ in {1..10}; do
		hs switchover gunit --drain=0 --settle=20ms >/dev/null
	done
	inside systemctl restart gunit@0
	inside systemctl restart gunit@1
	lost_nothing 'gunicorn with a socket unit: 10 switchovers, 2 restarts'
	[[ $(inside stat -L -c '%U %a' /run/gunit/gunit.sock) == 'www-data 600' ]]
	inside systemctl stop proxy-gunit
	down gunit
}

@test "who removes the public path, or binds it anew, does not have it for long" {
	gunicorn gpath
	up gpath
	prefer gpath 0
	for harm in 'rm /run/gpath/gpath.sock' 'rm -r /run/gpath' 'ln -sfn /nowhere /run/gpath/gpath.sock'; do
		# shellcheck disable=SC2086
		inside $harm
		wait_for 5 served_by gpath 0
	done
	[[ $(inside journalctl -q -o cat -u hsd) == *'/run/gpath/gpath.sock is no link to its slots, and is made one again'* ]]
	# as status says while nobody does anything about it
	inside systemctl stop hsd
	inside rm /run/gpath/gpath.sock
	[[ $(status gpath .problem) == '/run/gpath/gpath.sock is no link to its slots'* ]]
	hs adopt gpath@0.service
	served_by gpath 0
	inside systemctl start hsd
	down gpath
}

# root has 128 of them on the whole machine, as fs.inotify.max_user_instances says
@test "the folders of all services are watched by one descriptor" {
	for i in 1 2 3; do
		gunicorn "many$i"
		up "many$i"
	done
	hsd=$(inside systemctl show -P MainPID hsd)
	(($(inside bash -c "ls -l /proc/$hsd/fd | grep -c inotify") == 1))
	for i in 1 2 3; do
		inside rm "/run/many$i/many$i.sock"
	done
	for i in 1 2 3; do
		wait_for 10 inside test -S "/run/many$i/many$i.sock"
	done
	# one that is managed no more takes nobody's watch along
	down many2
	inside rm /run/many3/many3.sock
	wait_for 10 inside test -S /run/many3/many3.sock
	down many1
	down many3
}

@test "an instance from before it was enabled is told, and taken over by its restart" {
	gunicorn gbefore
	inside systemctl daemon-reload
	inside systemctl start gbefore@0
	hs enable gbefore@.service
	inside systemctl start gbefore@1
	wait_for 5 is_state gbefore 1 ready
	[[ $(status gbefore '.slots[0].problem') == *'restart it: systemctl restart gbefore@0'* ]]
	served_by gbefore 1
	inside systemctl restart gbefore@0
	wait_for 10 is_ready gbefore
	wait_for 5 served_by gbefore 1
	down gbefore
}

@test "enable says what it cannot give to each slot, and takes what it is told" {
	gunicorn gsaid
	inside sed -i 's,unix:/run/gsaid/gsaid.sock,unix:/run/gsaid.sock,' /etc/systemd/system/gsaid@.service
	inside systemctl daemon-reload
	run -0 --separate-stderr inside hsctl enable gsaid@.service
	[[ $stderr == *'/run/gsaid.sock: Others have their files in the same folder'* ]]
	[[ $output != *'is going to be a link'* ]]
	run -3 --separate-stderr inside hsctl enable gsaid@.service --path=/run/gsaid.sock
	run -1 --separate-stderr inside hsctl enable gsaid@.service --path=gsaid.sock
	[[ $stderr == *'is not an absolute path'* ]]
	run -0 inside hsctl enable gsaid@.service --path=/run/one/a.sock,/run/two/b.sock
	[[ $(inside cat /etc/hotstandby/gsaid.conf.d/paths.conf) == *$'\nPaths=/run/one/a.sock /run/two/b.sock' ]]
	[[ $(inside systemctl show -P BindPaths gsaid@1) == *'/run/hotstandby/gsaid/1/run-one:/run/one'* ]]
	hs disable gsaid@.service
	inside bash -c '! ls -d /etc/hotstandby/gsaid* /etc/systemd/system/gsaid@.service.d/* 2>/dev/null'
	inside rm /etc/systemd/system/gsaid@.service
}

# ---- php-fpm behind nginx ----

@test "php-fpm behind nginx, unit and configuration as packaged: switchovers lose nothing" {
	template "$php"
	up "$php"
	[[ $(status "$php" '.listeners[0].address') == "/run/php/$php.sock" ]]
	nginx_to fpm 8103 "/run/php/$php.sock"
	prefer "$php" 0
	begin_load http://127.0.0.1:8103/ slot= 8
	for _ in {1..25}; do
		hs switchover "$php" --drain=0 --settle=20ms >/dev/null
	done
	for _ in 1 2 3; do
		hs switchover "$php" --then=restart >/dev/null
		wait_for 10 is_ready "$php"
	done
	lost_nothing 'php-fpm behind nginx: 28 switchovers, 3 restarts'
	inside systemctl stop proxy-fpm
	# who may connect is as before
	[[ $(inside stat -L -c '%U:%G %a' "/run/php/$php.sock") == 'www-data:www-data 660' ]]
	down "$php"
}

@test "without hotstandby, a restart of php-fpm behind nginx" {
	inside systemctl start "$php"
	nginx_to fpmalone 8104 "/run/php/$php.sock"
	begin_load http://127.0.0.1:8104/ slot= 8
	inside systemctl restart "$php"
	inside systemctl restart "$php"
	end_load
	say "$(load_line "without, 2 restarts of $php alone")"
	((load[lost] + load[wrong] > 0))
	inside systemctl stop proxy-fpmalone "$php"
}
