#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Section [Health]: probes of all kinds against servers that are ill in all ways, the gate, and the fail-over.
# Long: begun with the first.

load lib/rig

url=http://127.0.0.1:9701/

setup_file() {
	rig_up
	inside mkdir -p /run/ailing /usr/lib/plugins
	inside openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=wrong.example \
		-keyout /etc/ailing.key -out /etc/ailing.crt 2>/dev/null
	inside sh -c 'cat /etc/ailing.key /etc/ailing.crt >/etc/ailing.pem'
	write '/etc/systemd/system/app@.service' <<-END
		[Service]
		Type=notify
		NotifyAccess=main
		ExecStart=/usr/bin/python3 $tools/ailing.py %i 9701 9702 /etc/ailing.pem
		TimeoutStopSec=5
	END
	inside systemctl start hsd
	up app
}

# health: the section's lines from stdin; quick, unless they say otherwise
health() {
	{
		printf '[Service]\nFailoverHold=0\nPorts=9701 9702\n%s\n' "${service_lines:-}"
		printf '[Health]\nInterval=200ms\nTimeout=500ms\n'
		cat
	} | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
}

# is SLOT WORD: what it makes of /healthz from now on
is() { inside sh -c "echo $2 >/run/ailing/$1"; }

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside rm -rf /run/ailing
	inside mkdir -p /run/ailing
	inside systemctl start app@0 app@1 hsd
	health </dev/null
	wait_for 10 is_ready app
	prefer app 0
}

health_of() { status app ".slots[$1].health"; }
reason_of() { status app ".slots[$1].health_reason"; }
has_health() { [[ $(health_of "$1") == "$2" ]]; }
healthy() { wait_for 5 has_health "$1" healthy; }
# unhealthy SLOT WORDS: and for this reason
unhealthy() {
	wait_for 5 has_health "$1" unhealthy
	[[ $(reason_of "$1") == "$2" ]] || fail "not \"$2\" but \"$(reason_of "$1")\""
}
events() { inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=app HS_EVENT="$1"; }

@test "without probes nothing is asked and nothing is said" {
	[[ $(health_of 0) == null && $(reason_of 0) == null ]]
	[[ $(hs status app) != *HEALTH* ]]
	hs switchover app
	inside sh -c '! test -e /run/ailing/0.log && ! test -e /run/ailing/1.log'
}

@test "both slots are asked, the standby before it has any traffic, and nobody else gets there" {
	health <<<'Probe=http:/healthz'
	healthy 0
	healthy 1
	[[ $(hs status app) == *HEALTH*healthy*healthy* ]]
	begin_load $url slot=0 4
	wait_for 5 inside grep -q healthz /run/ailing/1.log
	lost_nothing 'the others'
	run -1 inside grep -v healthz /run/ailing/1.log
	[[ $(events health) == *'app: slot 0 is healthy'* && $(events health) == *'app: slot 1 is healthy'* ]]
}

@test "a fresh standby that is well is known at once" {
	health <<<$'Probe=http:/healthz\nInterval=30s'
	healthy 1
	inside systemctl restart app@1
	took_at_most 3000 healthy 1
	inside systemctl restart app@1
	# the gate waits for the verdict
	hs switchover app
	is_active app 1
}

@test "tcp" {
	health <<<'Probe=tcp'
	healthy 0
	healthy 1
	is 1 slam
	unhealthy 1 'the connection was closed at once'
	is 1 ok
	healthy 1
	is 1 reset
	unhealthy 1 'the connection was reset'
	health <<<'Probe=tcp:9999'
	unhealthy 1 'it does not listen on TCP port 9999'
}

@test "the words of each failure" {
	health <<<'Probe=http:/healthz'
	healthy 1
	local word
	while IFS='|' read -r word words; do
		is 1 "$word"
		unhealthy 1 "$words"
		is 1 ok
		healthy 1
	done <<-'END'
		503|HTTP 503 Some Words
		404|HTTP 404 Some Words
		hang|no answer in 500ms
		drip|no answer in 500ms
		garbage|the answer is not HTTP
		close|the connection was closed without an answer
		cut|the answer was cut short
		header|the header of the answer is too long
		reset|the connection was reset
	END
	is_active app 0
}

@test "what is good: a redirect, 10 MB, chunks without end, a status that is asked for" {
	health <<<'Probe=http:/healthz'
	is 1 redirect
	healthy 1
	is 1 big
	health <<<$'Probe=http:/healthz\nFall=1'
	healthy 1
	# nor is a body read to its end that has none
	is 1 chunks
	health <<<$'Probe=http:/healthz\nText=xxxx\nFall=1'
	healthy 1
	health <<<$'Probe=http:/healthz\nStatus=204 500-599'
	unhealthy 1 'HTTP 200 OK'
	is 1 503
	healthy 1
	is 1 redirect
	unhealthy 1 'HTTP 302 Found'
	# nobody went where it led
	run -1 inside grep elsewhere /run/ailing/0.log /run/ailing/1.log
}

@test "Host= and Text=" {
	is 1 host
	health <<<$'Probe=http:/healthz\nHost=good.example'
	healthy 1
	health <<<$'Probe=http:/healthz\nHost=bad.example'
	unhealthy 1 'HTTP 421 Misdirected Request'
	is 1 ok
	health <<<$'Probe=http:/healthz\nText=is well'
	healthy 1
	health <<<$'Probe=http:/healthz\nText=is ill'
	unhealthy 1 'text "is ill" not found in the answer'
	is 1 big
	health <<<$'Probe=http:/healthz\nText=xxxx'
	healthy 1
}

@test "https, whatever the certificate says, with the name that Host= has" {
	health <<<'Probe=https:9702/healthz'
	healthy 0
	healthy 1
	is 1 sni
	unhealthy 1 'HTTP 421 Misdirected Request'
	health <<<$'Probe=https:9702/healthz\nHost=good.example'
	healthy 1
	# a port where nobody speaks TLS
	health <<<'Probe=https:9701/healthz'
	unhealthy 1 'no answer in 500ms'
}

@test "several probes: each must be good" {
	health <<<$'Probe=tcp\nProbe=https:9702/healthz\nProbe=http:/nowhere'
	healthy 1
	is 1 503
	unhealthy 1 'HTTP 503 Some Words'
}

@test "an unhealthy standby is refused, and says why" {
	health <<<'Probe=http:/healthz'
	healthy 0
	is 1 503
	unhealthy 1 'HTTP 503 Some Words'
	run -3 --separate-stderr hs switchover app
	[[ $stderr == *'app: slot 1 is unhealthy: HTTP 503 Some Words'* ]]
	run -3 --separate-stderr hs failover app --to=1
	[[ $stderr == *unhealthy* ]]
	run -3 --separate-stderr hs canary app 5%
	[[ $stderr == *unhealthy* ]]
	is_active app 0
	[[ $(hs status app) == *'! slot 1: unhealthy: HTTP 503 Some Words'* ]]
	is 1 ok
	healthy 1
	hs switchover app
	is_active app 1
	# back by hand: not to one that is ill, but for want of a better one
	is 0 500
	unhealthy 0 'HTTP 500 Some Words'
	run -3 hs rollback app
	is 1 503
	unhealthy 1 'HTTP 503 Some Words'
	is_active app 1
	hs rollback app
	is_active app 0
}

@test "a verdict that does not come: the gate waits, then refuses" {
	health <<<$'Probe=http:/healthz\nTimeout=1s\nFall=100'
	healthy 1
	is 1 hang
	inside systemctl restart app@1
	wait_for 5 is_ready app
	run -3 --separate-stderr hs switchover app
	[[ $stderr == *'slot 1 is not known to be healthy yet'* ]]
	is_active app 0
}

@test "an unhealthy active fails over, in its probe's words; clients lose nothing" {
	health <<<'Probe=http:/healthz'
	healthy 0
	healthy 1
	begin_load $url slot= 8
	is 0 503
	wait_for 10 is_active app 1
	lost_nothing
	[[ $(events failover) == *'app: slot 0: it is unhealthy: HTTP 503 Some Words; slot 1 takes over'* ]]
	[[ $(hs events app) == *'HTTP 503 Some Words'* ]]
	[[ $(hs history app) == *failover* ]]
	# it stays, and is a standby again when it is well
	[[ $(unit_state app@0) == active ]]
	is 0 ok
	healthy 0
	[[ $(events health) == *'app: slot 0 is healthy again'* ]]
	hs switchover app
	is_active app 0
}

@test "one that turns out unhealthy while the old one drains: undone" {
	health <<<'Probe=http:/healthz'
	healthy 0
	healthy 1
	inside systemd-run -q --unit=holder bash -c 'exec 3<>/dev/tcp/127.0.0.1/9701; exec sleep 60'
	wait_for 5 has_connection 0
	hs switchover app --drain=60s >"$BATS_TEST_TMPDIR/out" 2>&1 &
	local job=$!
	wait_for 5 is_active app 1
	is 1 503
	wait "$job" && status=0 || status=$?
	inside systemctl stop holder
	cat "$BATS_TEST_TMPDIR/out"
	[[ $status == 4 ]]
	grep -q 'undone: slot 1 became unhealthy during the switchover: HTTP 503 Some Words; traffic is back on slot 0' "$BATS_TEST_TMPDIR/out"
	is_active app 0
}

has_connection() { [[ $(status app ".slots[$1].connections") -ge 1 ]]; }

@test "flapping: FailoverHold= keeps it from going to and fro" {
	inside systemctl restart hsd
	service_lines=FailoverHold=60s health <<<$'Probe=http:/healthz\nFall=1\nRise=1'
	healthy 0
	healthy 1
	is 0 503
	wait_for 10 is_active app 1
	is 0 ok
	healthy 0
	is 1 503
	unhealthy 1 'HTTP 503 Some Words'
	wait_for 5 has_words 'the last fail-over was less than FailoverHold= ago'
	is_active app 1
	# once, however long it lasts
	[[ $(events failover | grep -c FailoverHold=) == 1 ]]
	health <<<$'Probe=http:/healthz\nFall=1\nRise=1'
	wait_for 10 is_active app 0
}

has_words() { [[ $(events failover) == *"$1"* ]]; }

@test "both unhealthy, or Failover=manual: nothing is done, and that is said" {
	health <<<'Probe=http:/healthz'
	is 1 500
	unhealthy 1 'HTTP 500 Some Words'
	is 0 503
	unhealthy 0 'HTTP 503 Some Words'
	wait_for 5 has_words 'it is unhealthy: HTTP 503 Some Words; no other slot is healthy, so it is left alone'
	is_active app 0
	# the standby gets well: that is the moment
	is 1 ok
	wait_for 10 is_active app 1
	service_lines=Failover=manual health <<<'Probe=http:/healthz'
	is 0 ok
	healthy 0
	is 1 503
	wait_for 5 has_words 'nothing is done (Failover=manual)'
	is_active app 1
}

@test "hsd comes back: it asks anew, and the active one stays" {
	health <<<'Probe=http:/healthz'
	healthy 0
	healthy 1
	begin_load $url slot=0 4
	inside systemctl kill -s KILL hsd
	wait_for 10 has_health 0 healthy
	wait_for 10 has_health 1 healthy
	lost_nothing
	is_active app 0
	inside systemctl restart hsd
	# the gate waits for what is not known yet
	hs switchover app
	is_active app 1
}

@test "what is left when the probes go" {
	health <<<'Probe=http:/healthz'
	healthy 0
	healthy 1
	health </dev/null
	[[ $(health_of 1) == null ]]
	[[ $(inside bpftool -j map dump pinned "$pins/app/preview/rules" | jq length) == 0 ]]
}

# plugin NAME: from stdin
plugin() {
	write "/usr/lib/plugins/$1"
	inside chmod 755 "/usr/lib/plugins/$1"
}

@test "exec: a plugin's connections land on the slot, it knows which one it is, and may do nothing" {
	plugin check_slot <<-'END'
		#!/bin/sh
		answer=$(curl -sSf --max-time 5 http://127.0.0.1:9701/)
		case $answer in
		"slot=$HOTSTANDBY_SLOT "*) echo "OK $1|time=1s"; grep CapEff /proc/self/status >&2; exit 0 ;;
		*) echo "CRITICAL: asked for $HOTSTANDBY_SERVICE $HOTSTANDBY_SLOT, got $answer"; exit 2 ;;
		esac
	END
	health <<<"Probe=exec:/usr/lib/plugins/check_slot 'two words'"
	healthy 0
	healthy 1
	plugin check_nothing <<-'END'
		#!/bin/sh
		echo "$(grep CapEff /proc/self/status) $(touch /usr/lib/plugins/x && echo wrote)"; exit 2
	END
	health <<<'Probe=exec:/usr/lib/plugins/check_nothing'
	wait_for 5 has_health 1 unhealthy
	[[ $(reason_of 1) == CapEff:*0000000000000000 ]]
	inside systemctl is-active hsd
	[[ $(inside journalctl -q -o cat -u hsd --since="@$rig_began" -p warning | grep -vc unhealthy) == 0 ]]
}

@test "exec: what its exit status and its words mean" {
	plugin check_it <<-'END'
		#!/bin/sh
		case $1 in
		warning) echo "WARNING - disk 85%|x=1"; exit 1 ;;
		critical) echo "CRITICAL - no answer"; exit 2 ;;
		unknown) echo "UNKNOWN - bad option"; exit 3 ;;
		silent) exit 2 ;;
		signal) kill -SEGV $$ ;;
		garbage) head -c 100000 /dev/urandom; exit 2 ;;
		hang) sleep 100 & setsid sleep 100 & wait ;;
		deaf) trap '' TERM INT HUP; while :; do sleep 100; done ;;
		much) echo fine; head -c 20000000 /dev/zero | tr '\0' x; exit 0 ;;
		muchbad) echo 'CRITICAL - much'; head -c 20000000 /dev/zero; exit 2 ;;
		leaves) setsid sleep 100 & sleep 100 & echo 'CRITICAL - left'; exit 2 ;;
		esac
	END
	health <<<'Probe=exec:/usr/lib/plugins/check_it warning'
	healthy 1
	wait_for 5 has_reason 'WARNING - disk 85%'
	local how words
	while IFS='|' read -r how words; do
		health <<<"Probe=exec:/usr/lib/plugins/check_it $how"
		unhealthy 1 "$words"
	done <<-'END'
		critical|CRITICAL - no answer
		unknown|UNKNOWN - bad option
		silent|the plugin said nothing and its exit status was 2
		signal|the plugin was killed by signal 11
		hang|no answer in 500ms
		deaf|no answer in 500ms
		muchbad|CRITICAL - much
		leaves|CRITICAL - left
	END
	wait_for 5 no_plugins_run
	health <<<$'Probe=exec:/usr/lib/plugins/check_it much\nTimeout=5s'
	healthy 1
	health <<<'Probe=exec:/usr/lib/plugins/check_it garbage'
	wait_for 5 has_health 1 unhealthy
	[[ $(reason_of 1) =~ ^[\ -~]*$ ]]
	health <<<'Probe=exec:/usr/lib/plugins/nowhere'
	unhealthy 1 'cannot run it: No such file or directory'
	is_active app 0
	# nothing of it is left
	health </dev/null
	wait_for 5 no_plugins
}

# the end of one plugin, and of all that it has left behind, is not that of another
@test "exec: several, of which one ends before the other" {
	plugin check_quick <<-'END'
		#!/bin/sh
		echo quick
	END
	plugin check_slow <<-'END'
		#!/bin/sh
		sleep 0.3; echo slow; exit 1
	END
	health <<<$'Probe=exec:/usr/lib/plugins/check_quick\nProbe=exec:/usr/lib/plugins/check_slow\nTimeout=5s'
	healthy 1
	wait_for 5 has_reason slow
	health </dev/null
	wait_for 5 no_plugins
}

no_plugins_run() { ! inside pgrep -x sleep >/dev/null; }
has_reason() { [[ $(reason_of 1) == "$1" ]]; }
no_plugins() { ! inside pgrep -x sleep >/dev/null && [[ -z $(inside systemctl list-units --plain --no-legend 'hotstandby-plugin-*') ]]; }

@test "in a network namespace of its own: HTTP, and a plugin" {
	own_service priv 9703
	inside sed -i 's|^Type=notify|&\nPrivateNetwork=yes|' /etc/systemd/system/priv@.service
	up priv
	plugin check_there <<-'END'
		#!/bin/sh
		curl -sSf --max-time 5 http://127.0.0.1:9703/ | grep "^slot=$HOTSTANDBY_SLOT " || exit 2
	END
	printf '[Health]\nProbe=http:/\nProbe=exec:/usr/lib/plugins/check_there\n' | write /etc/hotstandby/priv.conf
	inside systemctl reload hsd
	wait_for 5 others_are_healthy priv
	down priv
}

# others_are_healthy NAME: both slots
others_are_healthy() { [[ $(status "$1" '[.slots[].health] | join(" ")') == 'healthy healthy' ]]; }

@test "IPv6, both families on one socket, and an address of its own" {
	local listen
	inside ip addr add 10.99.0.1/32 dev lo
	for listen in '[::1]:9704' '[::]:9704' 10.99.0.1:9704; do
		own_service six 1
		inside sed -i "s|--listen=0.0.0.0:1|--listen=$listen|" /etc/systemd/system/six@.service
		up six
		printf '[Health]\nProbe=tcp\nProbe=http:/\nText=slot=\n' | write /etc/hotstandby/six.conf
		inside systemctl reload hsd
		wait_for 5 others_are_healthy six
		[[ $listen != '[::]:9704' ]] || {
			# without any IPv6 address
			inside ip -6 addr del ::1/128 dev lo
			inside systemctl restart six@1
			wait_for 5 others_are_healthy six
			inside ip -6 addr add ::1/128 dev lo
		}
		down six
	done
}

@test "an upgrade: a version that is ready but not healthy never gets traffic" {
	health <<<'Probe=http:/healthz'
	healthy 0
	healthy 1
	begin_load $url slot=0 4
	is 1 503
	run -4 --separate-stderr hs upgrade app --ready=2s
	[[ $stderr == *'in time: slot 1 is unhealthy: HTTP 503 Some Words'* ]]
	lost_nothing 'the old version'
	is_active app 0
}

@test "an upgrade: one that becomes unhealthy in its probation is undone" {
	health <<<'Probe=http:/healthz'
	healthy 0
	healthy 1
	begin_load $url slot= 4
	hs upgrade app --probation=60s >"$BATS_TEST_TMPDIR/out" 2>&1 &
	local job=$! status=0
	wait_for 10 is_active app 1
	is 1 503
	wait "$job" || status=$?
	lost_nothing
	cat "$BATS_TEST_TMPDIR/out"
	[[ $status == 4 ]]
	grep -q 'slot 1 is unhealthy: HTTP 503 Some Words' "$BATS_TEST_TMPDIR/out"
	is_active app 0
}
