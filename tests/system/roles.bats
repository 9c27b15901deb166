#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# OnDemote= and OnPromote=: the instances are told their role by signals, or by units that are started;
# once, the old one first, whoever makes the change and whatever dies in between.
# Long: begun with the first.
# Thorough: each way of telling; unit and engine tests hold who is told what.

load lib/rig

url=http://127.0.0.1:9951/

setup_file() {
	rig_up
	inside systemctl start hsd
	printf '[Service]\nFailoverHold=0\nOnDemote=SIGUSR2\nOnPromote=SIGUSR1\n' | write /etc/hotstandby/app.conf
	role_service app 9951
	up app
}

# shellcheck disable=SC2154 # `tools`: lib/rig
# role_service NAME PORT [MODE]
role_service() {
	write "/etc/systemd/system/$1@.service" <<-END
		[Unit]
		StartLimitIntervalSec=0
		[Service]
		Type=notify
		ExecStart=/usr/bin/python3 $tools/roles.py %i $2 ${3:-}
	END
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start hsd
	settings OnDemote=SIGUSR2 OnPromote=SIGUSR1
	inside systemctl start app@0 app@1
	wait_for 10 is_ready app
	prefer app 0
	wait_for 5 is_told active
	forget
}

# settings LINE...
settings() {
	printf '%s\n' '[Service]' FailoverHold=0 "$@" | write /etc/hotstandby/app.conf
	! inside systemctl -q is-active hsd || inside systemctl reload hsd
}

# is_told ROLE: the active one believes that this is its role
is_told() { [[ $(fetch $url) == "slot=$(active app) $1" ]]; }

list() { paste -sd , | sed 's/,/, /g'; }
# told: what the servers have received; sent: what systemd sent, in its order: "0 SIGUSR2, 1 SIGUSR1"
told() { inside cat /run/roles | cut -d ' ' -f 1,2 | list; }
sent() {
	inside journalctl -q -o cat --since="@$forgotten" _PID=1 |
		sed -n 's/^app@\(.*\)\.service: Sent signal \(SIGUSR[12]\|SIGRTMIN+1\) to main process .*/\1 \2/p' | list
}
sorted() { sed 's/, /\n/g' | sort; }
was_sent() { [[ $(sent) == "$1" ]]; }
was_told() { was_sent "$1" && [[ $(told | sorted) == "$(sorted <<<"$1")" ]]; }
# hears LIST: exactly this
hears() { wait_for 5 was_told "$1" || fail "received: $(told); sent: $(sent)"; }
forget() {
	: | write /run/roles
	forgotten=$(inside date +%s.%N)
}

# role_events: "demote done 0 1, ..." of the journal since it was forgotten
role_events() {
	inside journalctl -q -o json --since="@$forgotten" HS_SERVICE=app HS_EVENT=role |
		jq -rs 'map("\(.HS_VERB) \(.HS_OUTCOME) \(.HS_FROM) \(.HS_TO)") | join(", ")'
}
has_role_events() { [[ $(role_events) == "$1" ]] || { role_events >&2; false; }; }
warnings() {
	inside journalctl -q -o cat -p warning --since="@$rig_began" HS_SERVICE=app "$@"
}
has_warned() { warnings | grep -q "$1"; }

@test "a switchover tells the old one first, and rollback both again" {
	hs switchover app --drain=0
	hears '0 SIGUSR2, 1 SIGUSR1'
	is_told active
	wait_for 5 has_role_events 'demote done 0 1, promote done 0 1'
	hs rollback app
	hears '0 SIGUSR2, 1 SIGUSR1, 1 SIGUSR2, 0 SIGUSR1'
	[[ -z $(warnings) ]]
	hs history app | grep -q 'promote'
	hs events app --lines=20 | grep -q 'slot 1 was told that it is the active one: SIGUSR1 was sent'
}

@test "once each in 20 quick switchovers" {
	local i list=
	for i in {1..20}; do hs switchover app --drain=0 --settle=1ms; done
	hs canary app 10%
	hs canary app off
	hs switchover app --drain=0
	for i in {1..10}; do list+='0 SIGUSR2, 1 SIGUSR1, 1 SIGUSR2, 0 SIGUSR1, '; done
	hears "${list}0 SIGUSR2, 1 SIGUSR1"
}

@test "a crash: the dead one is told nothing, and its next instance nothing either" {
	local pid
	pid=$(main_pid app@0)
	inside systemctl kill -s KILL app@0
	hears '1 SIGUSR1'
	wait_for 10 is_new app@0 "$pid"
	wait_for 10 is_ready app
	hs switchover app --to=0 --drain=0
	hears '1 SIGUSR1, 1 SIGUSR2, 0 SIGUSR1'
	[[ -z $(warnings HS_EVENT=role) ]]
}

@test "stop and restart of the active one: told before it is ended" {
	local i
	for i in 1 2 3; do
		forget
		inside systemctl restart "app@$(active app)"
		wait_for 10 is_ready app
		if ((i % 2)); then hears '0 SIGUSR2, 1 SIGUSR1'; else hears '1 SIGUSR2, 0 SIGUSR1'; fi
	done
	[[ -z $(warnings) ]]
}

@test "the only instance is told after each of its starts" {
	inside systemctl stop app@1
	inside systemctl kill -s KILL app@0
	hears '0 SIGUSR1'
	inside systemctl restart app@0
	hears '0 SIGUSR1, 0 SIGUSR1'
	inside systemctl start app@1
	wait_for 10 is_ready app
	hs switchover app --drain=0
	hears '0 SIGUSR1, 0 SIGUSR1, 0 SIGUSR2, 1 SIGUSR1'
}

@test "hsd started anew tells nothing again, and what changed while it was away" {
	inside systemctl restart hsd
	wait_for 10 is_ready app
	inside systemctl kill -s KILL hsd
	wait_for 10 is_ready app
	[[ -z $(told) ]]
	inside systemctl stop hsd
	inside systemctl kill -s KILL app@0
	# the kernel is alone
	wait_for 5 answers_from $url 1
	[[ -z $(told) ]]
	inside systemctl start hsd
	hears '1 SIGUSR1'
}

@test "hsd killed while the flip settles: the next one tells it" {
	local change
	hs switchover app --settle=5s --drain=0 >"$BATS_TEST_TMPDIR/change" 2>&1 3>&- &
	change=$!
	wait_for 5 is_active app 1
	[[ -z $(told) ]]
	inside systemctl kill -s KILL hsd
	wait "$change" || true
	hears '0 SIGUSR2, 1 SIGUSR1'
	hs switchover app --drain=0
	hears '0 SIGUSR2, 1 SIGUSR1, 1 SIGUSR2, 0 SIGUSR1'
}

last_of() { inside grep "^$1 " /run/roles | tail -n 1 | cut -d ' ' -f 2; }
# agrees: each instance knows its role
agrees() {
	local now
	now=$(active app)
	[[ $(last_of "$now") == SIGUSR1 && $(last_of $((1 - now))) == SIGUSR2 ]]
}

@test "hsd killed at any moment of switchovers: in the end each knows its role" {
	local change
	hs switchover app --drain=0
	for _ in {1..5}; do
		hs switchover app --settle=30ms --drain=0 >/dev/null 2>&1 3>&- &
		change=$!
		inside bash -c "read -t 0.$((RANDOM % 90 + 10)) <> <(:) || systemctl kill -s KILL hsd"
		wait "$change" || true
		wait_for 10 is_ready app
		wait_for 10 agrees
	done
	[[ -z $(warnings HS_EVENT=role) ]]
}

@test "without hsd: switchover, retire and adopt tell it themselves" {
	inside systemctl stop hsd
	hs switchover app --drain=0
	hears '0 SIGUSR2, 1 SIGUSR1'
	inside systemctl restart app@1
	hears '0 SIGUSR2, 1 SIGUSR1, 1 SIGUSR2, 0 SIGUSR1'
	inside systemctl start hsd
	wait_for 10 is_ready app
	hs switchover app --drain=0
	hears '0 SIGUSR2, 1 SIGUSR1, 1 SIGUSR2, 0 SIGUSR1, 0 SIGUSR2, 1 SIGUSR1'
	# beside one that runs
	hs switchover app --drain=0 --direct
	hears '0 SIGUSR2, 1 SIGUSR1, 1 SIGUSR2, 0 SIGUSR1, 0 SIGUSR2, 1 SIGUSR1, 1 SIGUSR2, 0 SIGUSR1'
}

@test "an upgrade" {
	hs upgrade app --probation=0
	wait_for 10 is_ready app
	hears '0 SIGUSR2, 1 SIGUSR1'
}

@test "an instance that hangs" {
	settings Stall=200ms OnHang=keep OnDemote=SIGUSR2 OnPromote=SIGUSR1
	inside systemctl kill -s STOP app@0
	answers_from $url 1
	wait_for 5 was_sent '0 SIGUSR2, 1 SIGUSR1'
	[[ $(told) == '1 SIGUSR1' ]]
	inside systemctl kill -s CONT app@0
	hears '0 SIGUSR2, 1 SIGUSR1'
}

@test "real-time signals, and one setting alone" {
	settings OnDemote=RTMIN+1
	hs switchover app --drain=0
	hears '0 SIGRTMIN+1'
	# set later: the active one has not been told yet
	settings OnPromote=SIGUSR1
	hears '0 SIGRTMIN+1, 1 SIGUSR1'
}

has_warned_never() {
	inside journalctl -q -o cat HS_SERVICE=never HS_EVENT=role |
		grep -q 'does not handle this signal and would be ended by it'
}

# leader NAME COMMAND
leader() {
	write "/etc/systemd/system/$1.service" <<-END
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=/bin/sh -c '$2'
	END
	inside systemctl daemon-reload
}

@test "units: a template gets the slot, specifiers are filled in" {
	leader leader@ 'echo leader %%i >>/run/roles'
	leader follower@ 'echo follower %%i >>/run/roles'
	printf '[Unit]\nConflicts=leader@%%i.service\n' | write /etc/systemd/system/follower@.service.d/role.conf
	printf '[Unit]\nConflicts=follower@%%i.service\n' | write /etc/systemd/system/leader@.service.d/role.conf
	leader app-role@ 'echo role %%i >>/run/roles'
	settings OnDemote=follower@.service OnPromote=leader@.service
	hs switchover app --drain=0
	wait_for 5 is_unit_state leader@1 active
	wait_for 5 is_unit_state follower@0 active
	hs switchover app --drain=0
	wait_for 5 is_unit_state leader@0 active
	wait_for 5 is_unit_state follower@1 active
	wait_for 5 is_unit_state leader@1 inactive
	settings OnPromote=%p-role@slot%i.service
	hs switchover app --drain=0
	wait_for 5 is_unit_state app-role@slot1 active
	[[ -z $(warnings) ]]
}

@test "a unit that fails, or is none, is told once and holds nothing up" {
	leader broken false
	settings OnDemote=no-such.service OnPromote=broken.service
	took_at_most 3000 hs switchover app --drain=0
	wait_for 5 has_role_events 'demote failed 0 1, promote failed 0 1'
	has_warned 'OnDemote=no-such.service: .*no-such.service not found.* systemctl reload hsd'
	has_warned 'OnPromote=broken.service: the start of broken.service ended as "failed"; see journalctl -u broken'
	[[ $(warnings HS_EVENT=role | wc -l) == 2 ]]
	answers_from $url 1
	# without hsd as well
	inside systemctl stop hsd
	hs switchover app --drain=0
	wait_for 5 has_role_events 'demote failed 0 1, promote failed 0 1, demote failed 1 0, promote failed 1 0'
}

@test "a unit that takes long keeps nobody waiting" {
	leader lengthy 'read -r x </run/go-on'
	inside mkfifo /run/go-on
	settings OnDemote=lengthy.service OnPromote=SIGUSR1
	took_at_most 3000 hs switchover app --drain=0
	hears '1 SIGUSR1'
	is_unit_state lengthy activating
	inside sh -c 'echo >/run/go-on'
	wait_for 5 has_role_events 'promote done 0 1, demote done 0 1'
}

@test "a signal that would end the server is not sent; one that handles it late gets it" {
	role_service late 9952 late
	role_service never 9953 never
	printf '[Service]\nOnPromote=SIGUSR1\n' | tee >(write /etc/hotstandby/late.conf) | write /etc/hotstandby/never.conf
	up late
	up never
	wait_for 5 inside grep -q '^0 SIGUSR1' /run/roles
	wait_for 10 has_warned_never
	is_unit_state never@0 active
	[[ $(status never '.slots[0].state') == ready ]]
	down late
	down never
}

@test "bad values are refused with the line" {
	local value
	for value in SIGKILL SIGSTOP SIGFOO leader 'a b.service' x.slice; do
		printf '[Service]\n\nOnPromote=%s\n' "$value" | write /etc/hotstandby/app.conf
		inside systemctl reload hsd
		wait_for 5 has_warned "app.conf:3: OnPromote=$value "
	done
	# the last good ones hold
	hs switchover app --drain=0
	hears '0 SIGUSR2, 1 SIGUSR1'
}

@test "units that are not there: enable and doctor find them" {
	settings OnPromote=no-such@.service OnDemote=app@0.service
	run -3 hs enable app@.service
	[[ $output == *'OnPromote=no-such@.service: no-such@0.service: There is no such unit'* ]]
	[[ $output == *'OnPromote=no-such@.service: no-such@1.service: There is no such unit'* ]]
	[[ $output == *'OnDemote=app@0.service: It is the unit of the slot itself'* ]]
	run -1 hs doctor app
	[[ $output == *'OnPromote=no-such@.service: no-such@0.service'* ]]
}

@test "of an exclusive service the old one has ended before the new one is told" {
	role_service single 9954
	printf '[Service]\nExclusive=yes\nOnDemote=SIGUSR2\nOnPromote=SIGUSR1\n' | write /etc/hotstandby/single.conf
	inside systemctl daemon-reload
	hs enable single@.service
	inside systemctl start single@0
	wait_for 10 eval "told | grep -qx '0 SIGUSR1'"
	hs switchover single
	wait_for 10 eval "told | grep -qx '0 SIGUSR1, 1 SIGUSR1'"
	[[ -z $(inside journalctl -q -o cat -p warning --since="@$forgotten" HS_SERVICE=single HS_EVENT=role) ]]
	down single
	# shellcheck disable=SC2154 # lib/rig
	run -1 inside test -e "$pins/single"
}

has_heard() { told | grep -q "$1"; }

# A server that takes its demotion at its word: what waited on it then would wait for good.
@test "servers that accept nothing any more when they are demoted, under load" {
	local i
	role_service deaf 9955 deaf
	printf '[Service]\nFailoverHold=0\nOnDemote=SIGUSR2\nOnPromote=SIGUSR1\n' | write /etc/hotstandby/deaf.conf
	up deaf
	begin_load http://127.0.0.1:9955/ slot=
	for i in 0 1 0 1 0 1; do
		forget
		hs switchover deaf --drain=0
		wait_for 5 has_heard "$i SIGUSR2"
		[[ $(status deaf ".slots[$i].queued") == 0 ]]
	done
	inside systemctl restart deaf@0
	wait_for 10 is_ready deaf
	hs switchover deaf --drain=0
	lost_nothing
	baseline
	down deaf
}
