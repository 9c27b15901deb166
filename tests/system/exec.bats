#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl exec: a command whose connections to a service land on a slot that was asked for. Slot 0 is active in
# all tests; nothing that a command does may send anybody else to slot 1, and nothing is left when it has ended.
# Thorough: plane tests hold it; a smoke test of upgrade goes the same way.

load lib/rig
load lib/servers

setup_file() {
	rig_up
	inside groupadd -r hotstandby
	inside useradd -r -G hotstandby smoketester
	inside systemctl start hsd
	own_service app 9301 --listen=[::]:9301
	up app
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start hsd app@0 app@1
	wait_for 5 is_ready app
	prefer app 0
}

ex() { hs exec app 1 -- "$@"; }

rules() { inside bpftool -j map dump pinned "$pins/app/preview/rules" | jq length; }
mark() { inside bpftool -j map dump pinned "$pins/app/control" | jq -r '.[0].value[58]'; }
scopes() { inside systemctl list-units --plain --no-legend 'hotstandby-exec-*' | wc -l; }
is_clean() { [[ $(rules) == 0 && $(mark) == 0x00 && $(scopes) == 0 ]]; }
leaves_nothing() { wait_for 5 is_clean || { say "rules $(rules) mark $(mark) scopes $(scopes)"; return 1; }; }

# the rest of the world never sees slot 1: load that wants slot 0, counted by the client
begin_others() { begin_load http://127.0.0.1:9301/ slot=0 4; }
others_saw_slot_0() { lost_nothing 'the others'; }

@test "curl reaches the slot, others do not" {
	begin_others
	for _ in {1..20}; do
		[[ $(ex curl -sSf --max-time 10 http://127.0.0.1:9301/) == 'slot=1 '* ]]
		[[ $(answering_slot http://127.0.0.1:9301/) == 0 ]]
	done
	[[ $(hs exec app 0 -- curl -sSf --max-time 10 http://127.0.0.1:9301/) == 'slot=0 '* ]]
	others_saw_slot_0
	leaves_nothing
}

@test "a command that connects to nothing is told so, whatever its exit status" {
	run -0 --separate-stderr ex true
	[[ $stderr == *'it made no connection to slot 1 of app'*proxy* ]]
	run -7 --separate-stderr ex sh -c 'exit 7'
	[[ $stderr == *'it made no connection to slot 1 of app'* ]]
	# systemd has it done elsewhere
	run -0 --separate-stderr ex systemd-run -q --wait --pipe curl -sSf --max-time 10 http://127.0.0.1:9301/
	[[ $output == 'slot=0 '* && $stderr == *'it made no connection to slot 1 of app'* ]]
	run -0 --separate-stderr ex curl -sSf --max-time 10 http://127.0.0.1:9301/
	[[ $output == 'slot=1 '* && -z $stderr ]]
	run -0 --separate-stderr hs --direct exec app 1 -- true
	[[ $stderr == *'it made no connection to slot 1 of app'* ]]
	leaves_nothing
}

@test "IPv6, and by name" {
	[[ $(ex curl -sSf --max-time 10 'http://[::1]:9301/') == 'slot=1 '* ]]
	[[ $(ex curl -sSf --max-time 10 http://localhost:9301/) == 'slot=1 '* ]]
	leaves_nothing
}

@test "wrk: thousands of connections, all of them, and nobody else's" {
	begin_others
	ex timeout 30 wrk -t 8 -c 8 -d 3 --timeout 8 -H 'Connection: close' -s $tools/load.lua \
		http://127.0.0.1:9301/ -- slot=1 >"$BATS_TEST_TMPDIR/wrk"
	local mine
	mine=$(grep -o 'requests=[0-9]*' "$BATS_TEST_TMPDIR/wrk")
	say "by exec: $(grep '^requests=' "$BATS_TEST_TMPDIR/wrk")"
	((${mine#*=} > 1000))
	grep -q 'lost=0 .*wrong=0' "$BATS_TEST_TMPDIR/wrk"
	others_saw_slot_0
	leaves_nothing
}

# Connections, not look-ups: on a busy machine a last ACK may find that its connection is no more. It is looked
# up, belongs to nobody, and is answered with a reset.
opened() { hs connections --json app | jq ".slots[$1].opened"; }

@test "many connections of one process at a time" {
	local before=($(opened 0) $(opened 1))
	run -0 --separate-stderr ex timeout 30 wrk -t 2 -c 800 -d 2 --timeout 8 http://127.0.0.1:9301/
	[[ -z $stderr && $output != *'Socket errors'* && $output != *Non-2xx* ]]
	[[ $(opened 0) == "${before[0]}" ]]
	(($(opened 1) >= before[1] + 800))
	leaves_nothing
}

@test "a shell pipeline; stdin, stdout and status are the command's" {
	run -0 bash -c "source $BATS_TEST_DIRNAME/../../scripts/lib/container.sh; \
		echo hello | container_run $rig hsctl exec app 1 -- sh -c \
		'read word; curl -sSf --max-time 10 http://127.0.0.1:9301/ | sed \"s/ .*//\" | { cat; echo \$word; }'"
	[[ $output == $'slot=1\nhello' ]]
	run -7 --separate-stderr ex sh -c 'exit 7'
	[[ -z $output && $stderr != *$'\n'* ]]
	run -143 ex sh -c 'kill -TERM $$'
	run -127 --separate-stderr ex /nowhere/at-all
	[[ $stderr == *'cannot run /nowhere/at-all: No such file or directory'* ]]
	run -126 --separate-stderr ex /etc/passwd
	[[ $stderr == *'cannot run /etc/passwd: Permission denied'* && $stderr != *'no connection'* ]]
	# options behind the command's name are the command's
	run -0 --separate-stderr hs exec app 1 echo -n --json
	[[ $output == --json ]]
	leaves_nothing
}

@test "signals are the command's" {
	inside systemd-run --unit=signalled --service-type=exec --property=RemainAfterExit=yes \
		hsctl exec app 1 -- bash -c 'trap "touch /tmp/got-it; exit 9" USR1; touch /tmp/trapped; while :; do sleep 0.05; done'
	wait_for 5 inside test -e /tmp/trapped
	inside pkill -USR1 -x hsctl
	wait_for 5 is_status signalled 9
	inside test -e /tmp/got-it
	inside systemctl reset-failed signalled
	leaves_nothing
}

is_status() { [[ $(inside systemctl show -P ExecMainStatus "$1") == "$2" ]]; }

@test "what the command leaves in the background goes on reaching the slot" {
	inside rm -f /tmp/go /tmp/answer
	ex sh -c '(until [ -e /tmp/go ]; do sleep 0.05; done
		curl -sSf --max-time 10 http://127.0.0.1:9301/ >/tmp/answer.new; mv /tmp/answer.new /tmp/answer) >/dev/null 2>&1 &' \
		2>"$BATS_TEST_TMPDIR/words"
	# it may connect yet
	[[ ! -s $BATS_TEST_TMPDIR/words ]]
	[[ $(scopes) == 1 && $(mark) == 0x01 ]]
	[[ $(answering_slot http://127.0.0.1:9301/) == 0 ]]
	inside touch /tmp/go
	wait_for 5 inside test -e /tmp/answer
	[[ $(inside cat /tmp/answer) == 'slot=1 '* ]]
	leaves_nothing
}

@test "datagrams" {
	write /etc/systemd/system/dns@.service <<-END
		[Service]
		Type=notify
		ExecStart=/usr/bin/python3 $tools/dgram.py serve 9305 %i
	END
	up dns
	prefer dns 0
	local answers
	answers=$(hs exec dns 1 -- python3 $tools/dgram.py ask 127.0.0.1 9305 300)
	[[ $answers == '300 slot=1' ]]
	answers=$(inside python3 $tools/dgram.py ask 127.0.0.1 9305 300)
	[[ $answers == '300 slot=0' ]]
	answers=$(hs exec dns 1 -- python3 $tools/dgram.py ask ::1 9305 100)
	[[ $answers == '100 slot=1' ]]
	# tools that no one here wrote
	[[ $(hs exec dns 1 -- sh -c 'echo "?" | timeout 10 socat -t 2 - UDP4:127.0.0.1:9305') == slot=1 ]]
	[[ $(inside sh -c 'echo "?" | timeout 10 socat -t 2 - UDP4:127.0.0.1:9305') == slot=0 ]]
	# and at the same time
	hs exec dns 1 -- python3 $tools/dgram.py ask 127.0.0.1 9305 2000 >"$BATS_TEST_TMPDIR/mine" &
	answers=$(inside python3 $tools/dgram.py ask 127.0.0.1 9305 2000)
	wait $!
	say "datagrams: by exec $(cat "$BATS_TEST_TMPDIR/mine"), others $answers"
	[[ $answers == '2000 slot=0' && $(cat "$BATS_TEST_TMPDIR/mine") == '2000 slot=1' ]]
	down dns
	leaves_nothing
}

# ask_dns FILE SECONDS [EXEC...]: dnsperf, which counts by the kind of answer
ask_dns() {
	inside "${@:3}" timeout 30 dnsperf -s 127.0.0.1 -p 9306 -d /tmp/queries -c 4 -T 1 -t 4 -l "$2" -Q 1000 >"$BATS_TEST_TMPDIR/$1" 2>&1
}
answers_of() { awk '/Queries lost:/ { lost = $3 } /Response codes:/ { $1 = $2 = ""; codes = $0 } END { print codes, "lost", lost }' "$BATS_TEST_TMPDIR/$1"; }

@test "dnsperf at a name server: to the slot that has the name, while others ask the one that has not" {
	nsd_template 9306
	inside sh -c 'grep -v ^www /etc/nsd/example.test.zone >/etc/nsd/less.zone
		sed -i s/example.test.zone/less.zone/ /etc/nsd/slot0.conf; echo www.example.test A >/tmp/queries'
	up nsd
	prefer nsd 0
	ask_dns others 3 3>&- &
	local job=$!
	ask_dns mine 1 hsctl exec nsd 1 --
	wait "$job"
	say "by exec:$(answers_of mine); others:$(answers_of others)"
	grep -q 'NOERROR .*(100.00%)' "$BATS_TEST_TMPDIR/mine"
	grep -q 'NXDOMAIN .*(100.00%)' "$BATS_TEST_TMPDIR/others"
	down nsd
	leaves_nothing
}

@test "several commands at once, each to its slot" {
	local i jobs=()
	for i in {1..6}; do
		hs exec app $((i % 2)) -- sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do
			curl -sSf --max-time 10 http://127.0.0.1:9301/ || exit 1; done' >"$BATS_TEST_TMPDIR/$i" &
		jobs+=($!)
	done
	wait "${jobs[@]}"
	for i in {1..6}; do
		[[ $(grep -c "^slot=$((i % 2)) " "$BATS_TEST_TMPDIR/$i") == 10 ]]
	done
	leaves_nothing
}

@test "a slot that is down is refused, and nothing is run" {
	inside systemctl stop app@1
	run -3 --separate-stderr ex touch /tmp/was-run
	[[ $stderr == *'slot 1 has no live socket to send anything to; start it: systemctl start app@1'* ]]
	run -3 --separate-stderr hs --direct exec app 1 -- touch /tmp/was-run
	[[ $stderr == *'slot 1 has no live socket'* ]]
	inside test ! -e /tmp/was-run
	leaves_nothing
}

@test "a slot that goes down under the command: told, and how many" {
	run -0 --separate-stderr ex sh -c 'curl -sSf --max-time 10 http://127.0.0.1:9301/; systemctl stop app@1
		curl -sSf --max-time 10 http://127.0.0.1:9301/'
	[[ $output == 'slot=1 '*$'\nslot=0 '* ]]
	[[ $stderr == *'1 of 2 connections did not reach slot 1 of app, which had no socket for them'* ]]
	leaves_nothing
}

@test "the command is killed" {
	inside systemd-run --unit=victim --service-type=exec hsctl exec app 1 -- \
		bash -c 'exec 5<>/dev/tcp/127.0.0.1/9301; exec -a victim sleep 1000'
	wait_for 5 inside pgrep -x sleep >/dev/null
	[[ $(rules) == 2 ]]
	inside pkill -KILL -x sleep
	leaves_nothing
}

@test "hsctl is killed: the command goes on, and all ends with it" {
	inside systemd-run --unit=victim2 --service-type=exec hsctl exec app 1 -- \
		bash -c 'exec 5<>/dev/tcp/127.0.0.1/9301; exec sleep 1000'
	wait_for 5 inside pgrep -x sleep >/dev/null
	inside pkill -KILL -x hsctl
	[[ $(rules) == 2 && $(scopes) == 1 ]]
	inside pkill -KILL -x sleep
	leaves_nothing
}

@test "hsd killed while the command runs" {
	begin_others
	inside rm -f /tmp/stop
	ex bash -c 'until [ -e /tmp/stop ]; do curl -sSf --max-time 10 http://127.0.0.1:9301/ || exit 1; done' \
		>"$BATS_TEST_TMPDIR/answers" &
	local job=$!
	local _ lines
	wait_for 5 has_more_lines "$BATS_TEST_TMPDIR/answers" 0
	for _ in 1 2 3; do
		lines=$(wc -l <"$BATS_TEST_TMPDIR/answers")
		inside systemctl kill -s KILL hsd
		wait_for 10 has_more_lines "$BATS_TEST_TMPDIR/answers" $((lines + 20))
		wait_for 5 manager_is_back
	done
	inside touch /tmp/stop
	wait $job
	say "$(wc -l <"$BATS_TEST_TMPDIR/answers") answers over 3 deaths of hsd"
	! grep -v '^slot=1 ' "$BATS_TEST_TMPDIR/answers"
	others_saw_slot_0
	leaves_nothing
}

has_more_lines() { (($(wc -l <"$1") > $2)); }
manager_is_back() { [[ $(status app .manager 2>/dev/null) == true ]]; }

@test "the command ends while there is no hsd: the next one clears up" {
	inside rm -f /tmp/stop
	inside systemd-run --unit=orphan --service-type=exec hsctl exec app 1 -- \
		bash -c 'exec 5<>/dev/tcp/127.0.0.1/9301; exec sleep 1000'
	wait_for 5 inside pgrep -x sleep >/dev/null
	inside systemctl stop hsd
	inside pkill -KILL -x sleep
	wait_for 5 has_no_scope
	[[ $(rules) == 1 ]] # the owner; its rule went with the socket
	inside systemctl start hsd
	leaves_nothing
}

has_no_scope() { [[ $(scopes) == 0 ]]; }

@test "without hsd" {
	inside systemctl stop hsd
	[[ $(ex curl -sSf --max-time 10 http://127.0.0.1:9301/) == 'slot=1 '* ]]
	leaves_nothing
	inside systemctl start hsd
	[[ $(hs --direct exec app 1 -- curl -sSf --max-time 10 http://127.0.0.1:9301/) == 'slot=1 '* ]]
	leaves_nothing
}

# in_session USER CMD...: as if that user had logged in
in_session() {
	local uid
	uid=$(inside id -u "$1")
	inside systemd-run --quiet --scope --slice="user-$uid.slice" -- \
		setpriv --reuid="$1" --regid="$(inside id -g "$1")" --init-groups "${@:2}"
}

@test "for the group, in a session, and for nobody else" {
	[[ $(in_session smoketester hsctl exec app 1 -- curl -sSf --max-time 10 http://127.0.0.1:9301/) == 'slot=1 '* ]]
	run -1 --separate-stderr in_session nobody hsctl exec app 1 -- touch /tmp/was-run
	[[ $stderr == *'only root may do this without the right org.hotstandby1.exec'* ]]
	run -1 --separate-stderr as_nobody hsctl exec app 1 -- touch /tmp/was-run
	[[ $stderr == *'only root may do this without the right org.hotstandby1.exec'* ]]
	# a member outside of a session of their own
	run -1 --separate-stderr inside setpriv --reuid=smoketester --regid=smoketester --init-groups \
		hsctl exec app 1 -- touch /tmp/was-run
	[[ $stderr == *'run it in a session of your own'* ]]
	inside test ! -e /tmp/was-run
	leaves_nothing
}

@test "usage" {
	local words
	for words in 'app' 'app 1' 'app 1 --' 'app 16 -- true' 'app x -- true' 'app -- true'; do
		# shellcheck disable=SC2086
		run -2 --separate-stderr hs exec $words
		[[ $stderr == hsctl:* ]]
	done
	run -3 --separate-stderr hs exec app 7 -- true
	[[ $stderr == *'app has no slot 7'* ]]
	run -1 --separate-stderr hs exec nosuch 1 -- true
	[[ $stderr == *'nosuch is not managed'* ]]
}
