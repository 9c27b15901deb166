#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Settings that are wrong, units that misbehave, a kernel that refuses: what is said, and that services
# and traffic go on.

load lib/rig

url=http://127.0.0.1:9011/

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9011
	own_service bystander 9012
	up app
	up bystander
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	printf '' | write /etc/hotstandby/app.conf
	inside systemctl start app@0 app@1
	inside systemctl reload-or-restart hsd
	wait_for 10 is_ready app
	is_ready bystander
}

# a bystander is never touched by another service's trouble
teardown() {
	if [[ -n ${BATS_TEST_COMPLETED:-} ]]; then
		[[ $(answering_slot http://127.0.0.1:9012/) == 0 ]]
		[[ $(status bystander .problem) == null ]]
	else
		container_journal "$rig" --since="@$rig_began" | tail -n 60
	fi
}

problem() { status app .problem; }

# wrong LINE PATTERN...: the settings with this line are refused in status and journal; the last good hold
wrong() {
	local line=$1 pattern
	shift
	printf '[Service]\nSettle=150ms\n' | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	wait_for 5 has_problem null
	printf '[Service]\n%b\n' "$line" | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	wait_for 5 has_problem '/etc/hotstandby/app.conf:'
	for pattern in "$@"; do
		grep -qF -- "$pattern" <<<"$(problem)" || fail "$line: not said: $pattern; but: $(problem)" || return 1
	done
	hs status app | grep -q "^! /etc/hotstandby/app.conf:"
	has_event app problem
	# 150 ms as before
	hs switchover app --json | jq -e '.duration_us >= 150000'
}

has_problem() { [[ $(problem) == *"$1"* ]]; }

@test "settings: an unknown key, a bad value, a bad section, no assignment" {
	wrong 'Speed=fast' 'app.conf:2: Speed= is not a setting' 'allowed are Slots='
	wrong 'Slots=1' 'Slots=1 is out of range' '2 to 16'
	wrong 'Slots=2\nDrain=forever' 'app.conf:3: Drain=forever is not a time span' 'written like 50ms'
	wrong 'Settle=1h' 'is too long' '10min'
	wrong 'Then=explode' 'allowed is keep, stop or restart'
	wrong 'RestartOnCrash=perhaps' 'allowed is yes or no'
	wrong 'Ports=80 http' 'not a list of ports'
	wrong '[Health]\nProbe=ping' 'Probe=ping is not a probe' 'allowed are tcp'
	wrong '[Health]\nSpeed=1' 'Speed= is not a setting of section [Health]' 'allowed are Probe='
	wrong '[Other]\nX=1' '[Other] is not a section'
	wrong 'nonsense' 'neither a [section], nor KEY=VALUE'
}

@test "settings: binary, huge, unreadable, a folder" {
	local pid
	pid=$(main_pid hsd)
	inside bash -c 'head -c 3000 /dev/urandom > /etc/hotstandby/app.conf'
	inside systemctl reload hsd
	wait_for 5 has_problem '/etc/hotstandby/app.conf'
	inside bash -c 'yes "# long" | head -c 1000000 > /etc/hotstandby/app.conf'
	inside systemctl reload hsd
	wait_for 5 has_problem 'larger than'
	inside bash -c 'rm /etc/hotstandby/app.conf; mkdir /etc/hotstandby/app.conf'
	inside systemctl reload hsd
	hs list
	inside rmdir /etc/hotstandby/app.conf
	[[ $(main_pid hsd) == "$pid" && $(answering_slot $url) == ? ]]
}

@test "settings: wrong from the start: the defaults hold, the service is managed" {
	printf '[Service]\nSlots=nine\n' | write /etc/hotstandby/app.conf
	inside systemctl restart hsd
	wait_for 5 has_problem 'Slots=nine'
	is_ready app
	hs switchover app
	inside systemctl restart app@0
	wait_for 5 is_ready app
	# corrected, all is well
	printf '' | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	wait_for 5 has_problem null
}

@test "settings: files with names that are no service are left alone" {
	inside bash -c 'touch /etc/hotstandby/.hidden.conf "/etc/hotstandby/a b.conf" /etc/hotstandby/x.service.conf /etc/hotstandby/noconf
		ln -s /dev/null /etc/hotstandby/masked.conf'
	inside systemctl reload hsd
	[[ $(hs list --json | jq -r '.[].service' | xargs) == 'app bystander' ]]
	inside bash -c 'cd /etc/hotstandby; rm .hidden.conf "a b.conf" x.service.conf noconf masked.conf'
}

@test "settings: each file adds to those before it, in the order of the manual" {
	printf '[Service]\nThen=stop\nSettle=10ms\n' | write /usr/lib/hotstandby/app.conf
	printf '[Service]\nThen=keep\n' | write /etc/hotstandby/app.conf
	printf '[Service]\nSettle=20ms\n' | write /usr/lib/hotstandby/app.conf.d/10.conf
	printf '[Service]\nSettle=200ms\n' | write /etc/hotstandby/app.conf.d/20.conf
	inside systemctl reload hsd
	hs switchover app --json | jq -e '.then == "keep" and .duration_us >= 200000'
	inside rm -r /usr/lib/hotstandby/app.conf /usr/lib/hotstandby/app.conf.d /etc/hotstandby/app.conf.d
}

@test "more slots and fewer, while it runs" {
	printf '[Service]\nSlots=4\n' | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	[[ $(status app '.slots | length') == 4 ]]
	inside systemctl start app@3
	wait_for 5 is_state app 3 ready
	hs switchover app --to=3
	[[ $(answering_slot $url) == 3 ]]
	prefer app 0
	inside systemctl stop app@3
	printf '' | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	[[ $(status app '.slots | length') == 2 ]]
	is_ready app
}

@test "fewer slots while one beyond is active: it serves until it is switched away from" {
	local pid
	pid=$(main_pid hsd)
	printf '[Service]\nSlots=3\n' | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	inside systemctl start app@2
	wait_for 5 is_state app 2 ready
	hs switchover app --to=2
	printf '' | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	hs status app
	[[ $(active app) == 2 && $(answering_slot $url) == 2 ]]
	run -0 hs switchover app --then=stop
	[[ $(unit_state app@2) == inactive ]]
	[[ $(answering_slot $url) == [01] ]]
	# hsd once died of this
	[[ $(main_pid hsd) == "$pid" ]]
}

# ---- units that misbehave ----

# broken NAME PORT LINE...: a service of which slot 1 has these lines, and slot 0 is fine
broken() {
	local name=$1
	own_service "$name" "$2"
	shift 2
	printf '%s\n' '[Service]' "$@" | write "/etc/systemd/system/$name@1.service.d/broken.conf"
	inside systemctl daemon-reload
	hs enable "$name@.service" >/dev/null
	inside systemctl start "$name@0"
	wait_for 5 is_state "$name" 0 ready
}

forget() {
	down "$1"
	inside bash -c "rm -rf /etc/systemd/system/$1@*; systemctl daemon-reload"
}

@test "a unit that never reports ready is never switched to" {
	broken mute 9013 'ExecStart=' 'ExecStart=/bin/sleep 1d' 'TimeoutStartSec=2s'
	inside systemctl start --no-block mute@1
	wait_for 5 is_state mute 1 starting
	run -3 hs switchover mute
	[[ $output == *'is starting, not ready'* ]]
	wait_for 10 is_state mute 1 failed
	run -3 hs switchover mute
	[[ $output == *'is failed, not ready; see journalctl -u'* ]]
	[[ $(answering_slot http://127.0.0.1:9013/) == 0 ]]
	forget mute
}

@test "a unit that listens, but never reports ready, gets nothing" {
	broken shy 9014 'Environment=NOTIFY_SOCKET=' 'ExecStart=' \
		'ExecStart=/usr/bin/env -u NOTIFY_SOCKET /usr/lib/hotstandby/hs-example-server --slot=1 --listen=0.0.0.0:9014'
	inside systemctl start --no-block shy@1
	wait_for 5 is_state shy 1 starting
	inside bash -c 'until ss -Htlnp sport = :9014 | grep -c hs-example | grep -qx 2; do sleep 0.05; done'
	for _ in {1..20}; do
		[[ $(answering_slot http://127.0.0.1:9014/) == 0 ]]
	done
	run -3 hs switchover shy
	inside systemctl kill -s KILL shy@1
	forget shy
}

@test "an instance in a restart loop: hsd waits longer each time, the other serves" {
	broken loop 9015 'ExecStart=' 'Type=exec' 'ExecStart=/bin/false'
	begin_load http://127.0.0.1:9015/ slot= 8
	inside systemctl start loop@1 || true
	hs switchover loop && fail 'switched to a slot that does not serve'
	inside sleep 1.5
	lost_nothing 'beside a restart loop'
	(($(inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=loop HS_EVENT=restart | wc -l) <= 6))
	[[ $(active loop) == 0 ]]
	baseline
	forget loop
}

@test "an instance that systemd itself restarts in a loop (Restart=always)" {
	broken spin 9016 'ExecStart=' 'ExecStart=/bin/sh -c "sleep 0.1; exit 1"' 'Type=exec' 'Restart=always' 'RestartSec=50ms'
	begin_load http://127.0.0.1:9016/ slot= 8
	inside systemctl start spin@1 || true
	inside sleep 1.5
	hs status spin
	inside systemctl stop spin@1
	lost_nothing 'beside a loop of systemd'
	baseline
	forget spin
}

# refuses PORT: a client of it is refused
refuses() {
	local status=0
	inside curl -s --max-time 5 "http://127.0.0.1:$1/" || status=$?
	((status == 7))
}

@test "the only instance stops: said in the journal; clients are refused, or wait where Park=always" {
	own_service single 9017
	inside systemctl daemon-reload
	hs enable single@.service
	inside systemctl start single@0
	wait_for 5 is_state single 0 ready
	took_at_most 4000 inside systemctl stop single@0
	inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=single HS_EVENT=retire | grep -q 'no other slot is ready'
	wait_for 5 refuses 9017
	printf '[Service]\nPark=always\n' | write /etc/hotstandby/single.conf
	inside systemctl reload hsd
	inside systemctl start single@1
	[[ $(answering_slot http://127.0.0.1:9017/) == 1 ]]
	[[ $(active single) == 1 ]]
	inside systemctl stop single@1
	run -28 inside curl -s --max-time 2 http://127.0.0.1:9017/ # no answer in time
	inside systemctl start single@1
	wait_for 5 answers_from http://127.0.0.1:9017/ 1
	printf '[Service]\nPark=no\n' | write /etc/hotstandby/single.conf
	inside systemctl reload hsd
	inside systemctl stop single@1
	inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=single HS_EVENT=retire | grep -q 'clients are refused'
	run -7 inside curl -s --max-time 5 http://127.0.0.1:9017/ # connection refused
	down single
}

# ---- a kernel that refuses ----

@test "hsd without the capability for BPF: a clear error, traffic untouched" {
	begin_load $url slot=
	printf '[Service]\nCapabilityBoundingSet=\nCapabilityBoundingSet=CAP_NET_ADMIN CAP_SYS_PTRACE CAP_DAC_READ_SEARCH\n' |
		write /etc/systemd/system/hsd.service.d/caps.conf
	inside systemctl daemon-reload
	inside systemctl restart hsd
	# what is in the kernel already goes on
	is_ready app
	hs switchover app
	# what is new cannot be loaded, and its instances run nevertheless
	own_service fresh 9018
	inside systemctl daemon-reload
	hs enable fresh@.service
	inside systemctl start fresh@0 fresh@1
	wait_for 5 is_told fresh
	say "$(hs status fresh | grep '^!')"
	hs status fresh | grep '^!' | grep -q 'Operation not permitted'
	[[ $(answering_slot http://127.0.0.1:9018/) == ? ]]
	run ! hs switchover fresh
	inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=fresh HS_EVENT=problem | grep -q 'not permitted'
	inside systemctl stop fresh@0
	inside systemctl restart app@0
	inside rm -r /etc/systemd/system/hsd.service.d
	inside systemctl daemon-reload
	inside systemctl restart hsd
	wait_for 10 is_ready app
	lost_nothing 'hsd without CAP_BPF'
	baseline
	# with it back, so is the new service
	inside systemctl start fresh@0
	wait_for 10 is_ready fresh
	down fresh
}

is_told() { hs status "$1" | grep -q '^!'; }

@test "no BPF file system: a clear error, traffic untouched" {
	inside systemctl stop hsd
	inside mount --bind /mnt /sys/fs/bpf
	inside systemctl start hsd
	wait_for 5 has_problem 'bpf'
	hs status app
	run ! hs switchover app
	[[ $(answering_slot $url) == ? ]]
	inside systemctl stop hsd
	inside umount /sys/fs/bpf
	inside systemctl start hsd
	wait_for 10 is_ready app
}

@test "pins that are not ours, or of another version, are told and left alone" {
	inside systemctl stop hsd
	inside bash -c "mkdir $pins/stranger $pins/.x 2>/dev/null; true"
	inside systemctl start hsd
	[[ $(hs list --json | jq -r '.[].service' | xargs) == 'app bystander' ]]
	is_ready app
	inside bash -c "rmdir $pins/stranger; rmdir $pins/.x 2>/dev/null; true"
}

@test "the folder of pins is root's alone" {
	[[ $(inside stat -c '%a %U' $pins) == '750 root' ]]
	[[ $(inside stat -c '%a %U' $pins/app) == '750 root' ]]
	run ! as_nobody ls $pins
}

@test "two hsd at once: the second says so and leaves" {
	run ! inside timeout 5 /usr/sbin/hsd
	[[ $output == *'another hsd is running'* ]]
	hs switchover app
}

@test "hsd and hsctl with arguments they do not know" {
	run -2 inside /usr/sbin/hsd --nonsense
	run -2 inside /usr/sbin/hsd extra
	run -0 inside /usr/sbin/hsd --version
	run -0 inside /usr/sbin/hsd --help
	run -2 inside /usr/sbin/hsd --hand-over=old
	[[ $output == *'takes the version of what is pinned'* ]]
	run -1 inside /usr/sbin/hsd --hand-over=2
	[[ $output == *'to version 3, the one before 4, and to no other'* ]]
	run -2 hs "$(printf 'x%.0s' {1..3000})"
	run -2 hs status "$(printf '\e[31mred')"
	[[ $output != *$'\e'* ]]
	run -2 hs events -n many
	run -2 hs events -n -1
	run -2 hs canary app 5%% --to=1
	run -2 hs status --host= app
	run -2 hs enable -H somewhere app
	[[ $output == *'works on the machine itself'* ]]
}

says_too_many() { [[ $(status later .problem) == *'Too many open files'* && $(status later .problem) != *CAP_BPF* ]]; }

@test "a service that hsd has no descriptors left for is taken up when there are some" {
	local pid
	pid=$(main_pid hsd)
	write /etc/hotstandby/later.conf <<<'[Service]'
	inside prlimit --nofile="$(inside bash -c "ls /proc/$pid/fd | wc -l"):" --pid "$pid"
	inside systemctl reload hsd
	wait_for 5 says_too_many
	[[ $(answering_slot http://127.0.0.1:9012/) == 0 ]]
	inside prlimit --nofile=1024: --pid "$pid"
	wait_for 15 has_no_problem later
	[[ $(main_pid hsd) == "$pid" ]]
	inside rm /etc/hotstandby/later.conf
	inside systemctl reload hsd
}
has_no_problem() { [[ $(status "$1" .problem) == null ]]; }
