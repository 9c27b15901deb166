#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl upgrade of servers to another version, good and bad, under two loads that know nothing of each other:
# wrk, which reads what it is answered, and h2load, which counts. What else would be lost is in each baseline.
# Thorough: two servers nobody here wrote; upgrade has the verb.

load lib/rig
load lib/servers

setup_file() {
	rig_up
	inside systemctl start hsd
	nginx_up
	inside sh -c 'echo 1 >/etc/app.version'
	own_service app 19881 --version-file=/etc/app.version
	printf '[Service]\nDrain=1s\n' | write /etc/hotstandby/app.conf
	up app
}

# nginx VERSION: what it answers, in a file that its configuration includes
nginx_version() {
	write /etc/nginx/version.conf <<-END
		add_header X-Version $1 always;
		location = /version { default_type text/plain; return 200 "version=$1 of the site\n"; }
	END
}

# The example's unit with what Debian's does before the start, and three workers with a socket each.
nginx_up() {
	inside cp $examples/nginx@.service /etc/systemd/system/
	inside sed -i 's|^ExecStart=|ExecStartPre=/usr/sbin/nginx -t -q -c /etc/nginx/hotstandby-example.conf -g "pid /run/nginx-%i.test;"\n&|' \
		/etc/systemd/system/nginx@.service
	inside sed -e 's/worker_processes 2/worker_processes 3/' \
		-e 's|listen 8080 reuseport;|&\n\t\tinclude /etc/nginx/version.conf;|' \
		$examples/hotstandby-example.conf | write /etc/nginx/hotstandby-example.conf
	nginx_version 1
	up nginx
	[[ $(status nginx '[.slots[].sockets] | join(" ")') == '3 3' ]]
}

setup() { rig_began=${EPOCHREALTIME/,/.}; }

# both_loads URL TEXT: wrk, which reads what it is answered, and h2load, in rounds of some hundred requests
both_loads() {
	load_kinds="'version=1 ' 'version=2 '" LOAD_PAUSE_MS=2 begin_load "$1" "$2" 2
	inside rm -f /tmp/enough
	inside timeout 60 sh -c 'until [ -e /tmp/enough ]; do
		timeout 20 h2load --h1 -H "Connection: close" -c 1 -n 300 "$1"; done' sh "$1" \
		>"$BATS_TEST_TMPDIR/h2load" 2>&1 </dev/null 3>&- &
	h2load_job=$!
	wait_for 5 inside pgrep -x h2load >/dev/null
}

# end_both WHAT: sets succeeded and failed: what h2load has counted. With one client a round is over with the first
# that fails, and all that were still to come are counted as failed, too: that is one.
end_both() {
	inside touch /tmp/enough
	wait "$h2load_job"
	read -r succeeded failed < <(awk '/^requests:/ { good += $8; bad += $10 > 0 } END { print good + 0, bad + 0 }' \
		"$BATS_TEST_TMPDIR/h2load")
	end_load
	say "$1: wrk: ${load[requests]} requests, ${load[lost]} lost, ${load[slot0]} of version 1, ${load[slot1]} of version 2; h2load: $((succeeded + failed)) requests, $failed lost"
}

lost_none() {
	((load[requests] >= 500 && succeeded >= 300)) || fail 'too few requests to prove anything' || return 1
	((load[lost] == 0 && load[wrong] == 0 && load[hung] == 0 && failed == 0)) || fail "$(load_line load); h2load lost $failed"
}

# only_from URL VERSION: who asks now never sees another one
only_from() {
	[[ $(fetch "$1?[1-60]" -H 'Connection: close' | grep -o 'version=[0-9]*' | sort | uniq -c) =~ ^' '*60' 'version=$2$ ]]
}

# upgraded NAME URL: version 1 before, version 2 after, and nothing else
upgraded() {
	both_loads "$2" version=
	run -0 hs upgrade "$1" --canary=30% --hold=500ms --probation=500ms
	only_from "$2" 2
	end_both "an upgrade of $1"
	lost_none
	((load[other] == 0 && load[slot0] > 0 && load[slot1] > 0))
	only_from "$2" 2
	is_ready "$1"
	# the other slot has it, too
	hs exec "$1" "$(standby "$1")" -- curl -sSf --max-time 10 "$2" | grep -q version=2
}

@test "nginx to a new configuration" {
	fetch http://127.0.0.1:8080/version -i | grep -q 'X-Version: 1'
	nginx_version 2
	upgraded nginx http://127.0.0.1:8080/version
	fetch http://127.0.0.1:8080/ -i | grep -q 'X-Version: 2'
}

@test "the example server to a new version" {
	inside sh -c 'echo 2 >/etc/app.version'
	upgraded app http://127.0.0.1:19881/
}

@test "without: what the restart to a new version costs otherwise" {
	inside systemctl start nginx
	wait_for 5 fetch http://127.0.0.1:80/ >/dev/null 2>&1
	both_loads http://127.0.0.1:80/ html
	inside systemctl restart nginx
	end_both 'without, systemctl restart nginx'
	((load[lost] + failed > 0))
	inside systemctl stop nginx
}

# ---- bad ones ----

# begins_at_2 NAME URL: whatever ran before
begins_at_2() {
	inside sh -c 'echo 2 >/etc/app.version'
	nginx_version 2
	fetch "$2" | grep -q version=2 || hs upgrade "$1" --probation=0 >/dev/null
}

# stays NAME URL VERSION: undone under both loads, which see the old version only (or, with a fourth
# argument, lose at most so many requests: those that an instance was working on when it died)
stays() {
	end_both "a bad $1"
	((load[requests] >= 500 && succeeded >= 300 && load[wrong] == 0 && load[hung] == 0))
	((load[lost] + failed <= ${4:-0})) || fail "lost ${load[lost]} and $failed"
	only_from "$2" "$3"
}

@test "nginx with an error in its configuration" {
	local active pid
	begins_at_2 nginx http://127.0.0.1:8080/version
	active=$(active nginx)
	pid=$(main_pid "nginx@$active")
	both_loads http://127.0.0.1:8080/version version=2
	echo 'nonsense here;' | write /etc/nginx/version.conf
	run -4 --separate-stderr hs upgrade nginx
	[[ $stderr == *'undone in its step "restart"'* ]]
	[[ $stderr == *'last lines of nginx@'*'unknown directive "nonsense"'* ]]
	stays nginx http://127.0.0.1:8080/version 2
	is_active nginx "$active"
	[[ $(main_pid "nginx@$active") == "$pid" ]]
	# mended, it is upgraded
	nginx_version 2
	hs upgrade nginx --probation=0
}

# crashing OPTIONS: what the unit does besides
crashing() {
	printf '[Service]\n%s\n' "$1" | write /etc/systemd/system/app@.service.d/bad.conf
	inside systemctl daemon-reload
}

@test "one that crashes as a canary, and one in its probation" {
	local step from
	begins_at_2 app http://127.0.0.1:19881/
	for step in canary probation; do
		from=$(active app)
		both_loads http://127.0.0.1:19881/ version=2
		run -4 inside timeout 60 python3 $tools/at_step.py $step "sleep 0.2; systemctl kill -s SEGV app@$((1 - from))" \
			hsctl upgrade app --canary=30% --hold="$([[ $step == canary ]] && echo 20s || echo 300ms)" --probation=20s
		[[ $output == *"undone in its step \"$step\": slot $((1 - from)) "* ]] || fail "$output"
		[[ $output == *'last lines of app@'*'status=11/SEGV'* ]]
		stays app http://127.0.0.1:19881/ 2 6
		is_active app "$from"
		wait_for 10 is_ready app
	done
}

@test "one that ends again and again" {
	local from
	begins_at_2 app http://127.0.0.1:19881/
	from=$(active app)
	crashing "Restart=always
RestartSec=0
NotifyAccess=all
ExecStart=
ExecStart=/usr/bin/timeout 0.5 /usr/lib/hotstandby/hs-example-server --slot=%i --idle-grace=2000 --version=2 --listen=0.0.0.0:19881"
	both_loads http://127.0.0.1:19881/ version=2
	run -4 hs upgrade app --probation=30s
	[[ $output == *'undone in its step "probation"'* ]]
	crashing ''
	stays app http://127.0.0.1:19881/ 2
	is_active app "$from"
	wait_for 10 is_ready app
}
