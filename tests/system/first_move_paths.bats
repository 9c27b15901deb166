#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# From a plain unit that listens at a path to the slots of a template: nothing is lost on the way, and the path goes on
# answering when the plain server removes what it finds there at its end.
# Long: begun with the first.
# Thorough: first_move by a path.

load lib/rig
load lib/servers
load lib/paths

# plain NAME: gunicorn as its manual has it, started and enabled, and the template beside it
plain() {
	gunicorn_unit "$1" | tee >(write "/etc/systemd/system/$1@.service") | write "/etc/systemd/system/$1.service"
	printf '[Install]\nWantedBy=multi-user.target\n' | inside tee -a "/etc/systemd/system/$1.service" >/dev/null
	inside systemctl daemon-reload
	inside systemctl enable -q --now "$1.service"
}

gone() {
	inside systemctl stop "$1@0" "$1@1" "$1.service" "$1.socket" "$1@0.socket" "$1@1.socket" 2>/dev/null || true
	hs disable "$1@.service" >/dev/null || true
	inside bash -c "systemctl disable -q --now $1.service; rm -rf /etc/systemd/system/$1.* /etc/systemd/system/$1@.* \
		/etc/hotstandby/$1.conf*; systemctl daemon-reload; systemctl reset-failed '$1*'" 2>/dev/null
	true
}

@test "the plain unit that has the path is named by enable and doctor, also when it has another name" {
	plain feight
	inside systemctl disable -q feight.service
	run -0 --separate-stderr hs enable feight@.service
	[[ $stderr == *'feight.service runs and serves /run/feight/feight.sock'*'has the path'*'--from=feight.service'* ]]
	run hs doctor feight
	[[ $output == *'unit.plain (feight)'*'feight.service runs and serves /run/feight/feight.sock'* ]]
	inside systemctl stop feight.service
	run -0 --separate-stderr hs enable feight@.service
	[[ $stderr != *feight.service* ]]
	inside mv /etc/systemd/system/feight.service /etc/systemd/system/fother.service
	inside systemctl daemon-reload
	inside systemctl start fother.service
	run -0 --separate-stderr hs enable feight@.service
	[[ $stderr == *'fother.service runs and serves /run/feight/feight.sock'*'--from=fother.service'* ]]
	gone fother
	gone feight
}

@test "gunicorn, which removes its path at its end: nothing is lost, and the name stands for the slots" {
	plain fone
	haproxy fone 8121
	begin_load http://127.0.0.1:8121/ slot= 8
	run -0 --separate-stderr hs enable fone@.service --from=fone.service
	say "$output"
	[[ ${lines[-1]} == 'fone has taken over from fone.service; start, stop, reload and restart of that name go to all slots, also at boot.' ]]
	[[ $output == *'at most'* && $output != *'joined'* ]]
	[[ $(inside readlink /run/fone/fone.sock) == /run/hotstandby/fone/active/run-fone/fone.sock ]]
	is_ready fone
	inside systemctl restart fone@0
	inside systemctl restart fone@1
	inside systemctl restart fone.service
	wait_for 5 is_ready fone
	lost_nothing 'the first move of gunicorn behind HAProxy, and three restarts'
	# who puts files there may do so again
	inside touch /run/fone/another
	inside rm /run/fone/another
	inside systemctl stop proxy-fone
	gone fone
}

@test "what waits on the plain server and what it has in work is waited for" {
	local i
	# one worker, one request at a time
	gunicorn_unit ftwo | sed -e 's/--workers 2/--workers 1/' |
		tee >(write /etc/systemd/system/ftwo@.service) | write /etc/systemd/system/ftwo.service
	write /srv/ftwo/app.py <<-'END'
		import os, time
		def app(environ, start_response):
		    time.sleep(float(environ['PATH_INFO'][1:] or 0))
		    body = os.environ.get('HOTSTANDBY_SLOT', 'none').encode()
		    start_response('200 OK', [('Content-Length', str(len(body)))])
		    return [body]
	END
	inside systemctl daemon-reload
	inside systemctl start ftwo.service
	for i in 1 2 3 4; do
		inside curl -sSf --unix-socket /run/ftwo/ftwo.sock http://app/2 >"$BATS_TEST_TMPDIR/answer.$i" 3>&- &
		jobs[i]=$!
	done
	wait_for 5 inside bash -c "ss -Hlxn | awk '\$5 == \"/run/ftwo/ftwo.sock\" {exit \$3 < 3}'"
	run -0 --separate-stderr hs enable ftwo@.service --from=ftwo.service
	say "$output"
	for i in 1 2 3 4; do
		wait "${jobs[i]}"
		[[ $(<"$BATS_TEST_TMPDIR/answer.$i") == none ]]
	done
	[[ $(inside curl -sSf --unix-socket /run/ftwo/ftwo.sock http://app/) == [01] ]]
	gone ftwo
}

@test "a socket unit that removes its path as well, and php-fpm as its package has it" {
	local php
	gunicorn_unit fthree | sed -e 's/--bind [^ ]* //' -e /^RuntimeDirectory/d |
		tee >(write /etc/systemd/system/fthree@.service) | write /etc/systemd/system/fthree.service
	printf '[Socket]\nListenStream=/run/fthree/fthree.sock\nSocketUser=www-data\nRemoveOnStop=yes\n' |
		tee >(write /etc/systemd/system/fthree@.socket) | write /etc/systemd/system/fthree.socket
	inside systemctl daemon-reload
	inside systemctl start fthree.socket
	haproxy fthree 8123
	begin_load http://127.0.0.1:8123/ slot= 4
	hs enable fthree@.service --from=fthree.service
	[[ $(unit_state fthree.socket) == inactive ]]
	lost_nothing 'the first move of gunicorn with a socket unit'
	inside systemctl stop proxy-fthree
	gone fthree

	php=$(inside bash -c 'basename /lib/systemd/system/php*-fpm.service .service')
	template "$php"
	inside systemctl daemon-reload
	inside systemctl start "$php"
	nginx_to ffpm 8124 "/run/php/$php.sock"
	begin_load http://127.0.0.1:8124/ slot= 4
	# alternatives make another name for its socket, which the slots make out of sight
	run -0 --separate-stderr hs enable "$php@.service" --from="$php.service"
	[[ $stderr == *"note: /run/php/php-fpm.sock: "*"L+ /run/php/php-fpm.sock - - - - $php.sock"* ]]
	inside systemctl restart "$php"
	wait_for 10 is_ready "$php"
	lost_nothing 'the first move of php-fpm behind nginx, and a restart by the plain name'
	inside systemctl stop proxy-ffpm "$php@0" "$php@1"
	hs disable "$php@.service"
	inside rm "/etc/systemd/system/$php@.service"
	inside systemctl daemon-reload
}

@test "where the slots cannot have a file each it is refused; one killed on the way leaves the folder as it was" {
	gunicorn_unit ffour | sed -e 's,unix:/run/ffour/ffour.sock,unix:/run/user/ffour.sock,' -e /^User=/d |
		tee >(write /etc/systemd/system/ffour@.service) | write /etc/systemd/system/ffour.service
	inside bash -c 'mkdir -p /run/user; systemctl daemon-reload; systemctl start ffour'
	run -3 --separate-stderr hs enable ffour@.service --from=ffour.service
	[[ $stderr == *'it listens at /run/user/ffour.sock, where the slots cannot listen beside it'*'nothing was written'* ]]
	inside curl -sSf --unix-socket /run/user/ffour.sock http://app/
	gone ffour

	plain ffive
	# its end takes longer than we are there
	printf '[Service]\nExecStop=/bin/sleep 5\nTimeoutStopSec=20\n' | write /etc/systemd/system/ffive.service.d/slow.conf
	inside systemctl daemon-reload
	inside systemd-run -q --unit=move -p KillMode=process hsctl enable ffive@.service --from=ffive.service
	wait_for 10 is_unit_state ffive.service deactivating
	wait_for 2 folder_is_held ffive
	inside systemctl kill -s KILL --kill-who=main move
	wait_for 2 folder_is_free ffive
	inside rm -r /etc/systemd/system/ffive.service.d
	# gunicorn's end is not always a clean one when it is told twice
	wait_for 10 is_over ffive.service
	[[ $(inside curl -sSf --unix-socket /run/ffive/ffive.sock http://app/) == slot=[01]* ]]
	gone ffive
}

@test "one that is killed with all of its processes leaves a folder that the next start of a slot frees" {
	plain fseven
	printf '[Service]\nExecStop=/bin/sleep 5\nTimeoutStopSec=20\n' | write /etc/systemd/system/fseven.service.d/slow.conf
	inside systemctl daemon-reload
	inside systemd-run -q --unit=move7 hsctl enable fseven@.service --from=fseven.service
	wait_for 10 is_unit_state fseven.service deactivating
	wait_for 2 folder_is_held fseven
	# first who holds it, then who has asked for that
	inside bash -c 'main=$(systemctl show -P MainPID move7)
		kill -KILL $(grep -vx "$main" /sys/fs/cgroup/system.slice/move7.service/cgroup.procs) "$main"'
	wait_for 5 is_unit_state move7.service failed
	folder_is_held fseven
	# it was not permitted to remove its socket
	wait_for 10 is_unit_state fseven.service failed
	inside systemctl restart fseven@0
	folder_is_free fseven
	wait_for 5 has_only fseven
	[[ $(inside curl -sSf --unix-socket /run/fseven/fseven.sock http://app/) == slot=[01]* ]]
	inside rm -r /etc/systemd/system/fseven.service.d
	gone fseven
}

# left NAME: as one that was killed leaves its folder
left() { inside bash -c 'install -m 600 /dev/null "/run/$1/.hotstandby.held" && chattr +a "/run/$1"' sh "$1"; }

@test "what one that was killed has left is named by doctor and taken back by a new hsd; who lives keeps it" {
	local holder
	gunicorn fnine
	up fnine
	left fnine
	run hs doctor fnine
	[[ $output == *'service.folder'*'Nothing can be removed from the folder of /run/fnine/fnine.sock'* ]]
	# its holder lives
	inside flock /run/fnine/.hotstandby.held sleep 30 3>&- &
	holder=$!
	wait_for 5 inside bash -c '! flock -n /run/fnine/.hotstandby.held true'
	run hs doctor fnine
	[[ $output != *service.folder* ]]
	inside systemctl restart hsd
	wait_for 5 inside bash -c 'journalctl -q -u hsd -o cat | grep -q "nothing can be removed from the folder of /run/fnine/fnine.sock"'
	wait_for 5 no_links_are_made
	folder_is_held fnine
	inside pkill -x sleep
	wait $holder || true
	inside systemctl restart hsd
	wait_for 5 folder_is_free fnine
	wait_for 5 has_only fnine
	run hs doctor fnine
	[[ $output != *service.folder* ]]
	[[ $(inside curl -sSf --unix-socket /run/fnine/fnine.sock http://app/) == slot=[01]* ]]
	gone fnine
}
no_links_are_made() { [[ -z $(inside systemctl list-units --no-legend --plain 'hotstandby-paths-*') ]]; }

# ended, well or not
is_over() { [[ $(unit_state "$1") == @(inactive|failed) ]]; }
@test "who is about to hold a folder is waited for, and no link is made beside him" {
	local holder
	gunicorn ften
	up ften
	inside bash -c 'install -m 600 /dev/null /run/ften/.hotstandby.held'
	inside flock /run/ften/.hotstandby.held sleep 60 3>&- &
	holder=$!
	wait_for 5 inside bash -c '! flock -n /run/ften/.hotstandby.held true'
	inside rm /run/ften/ften.sock
	run -0 --separate-stderr hs adopt ften@0.service
	[[ $stderr == *'/run/ften/ften.sock cannot be made a link to the active slot: Device or resource busy'* ]]
	inside test ! -e /run/ften/ften.sock
	inside pkill -x sleep
	wait $holder || true
	hs adopt ften@0.service
	wait_for 5 has_only ften
	[[ $(inside curl -sSf --unix-socket /run/ften/ften.sock http://app/) == slot=[01]* ]]
	gone ften
}

# has_only NAME: its socket, or link, and nothing of ours beside it
has_only() { [[ $(inside ls -A "/run/$1") == "$1.sock" ]]; }
folder_is_held() { [[ $(inside lsattr -d "/run/$1") == *a*' '* ]]; }
folder_is_free() { [[ $(inside lsattr -d "/run/$1" | cut -d' ' -f1) != *a* ]]; }

@test "a move that is undone gives the path back, and clients notice nothing" {
	plain fsix
	# the first slot comes and has the path, the second does not
	printf '[Service]\nExecStartPre=/bin/test %%i = 0\n' | write /etc/systemd/system/fsix@.service.d/one.conf
	inside systemctl daemon-reload
	haproxy fsix 8126
	begin_load http://127.0.0.1:8126/ slot= 4
	run -4 --separate-stderr hs enable fsix@.service --from=fsix.service
	[[ $stderr == *'the move was undone'*'fsix.service serves as before'* ]]
	[[ $(inside curl -sSf --unix-socket /run/fsix/fsix.sock http://app/) == slot=none* ]]
	lost_nothing 'a move to paths that was undone'
	wait_for 5 has_only fsix || fail "left: $(inside ls -lA /run/fsix)"
	folder_is_free fsix
	inside systemctl stop proxy-fsix
	inside rm -r /etc/systemd/system/fsix@.service.d
	gone fsix
}
