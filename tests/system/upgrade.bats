# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034
#
# hsctl upgrade: a new version in one command, and back by itself when it is no good.

load lib/rig.bash

port=19800

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app $port
	up app
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	write /etc/systemd/system/app@.service.d/version.conf <<<'[Service]'
	inside systemctl daemon-reload
	inside systemctl start app@0 app@1
	# one that a test has left with a bad version
	is_state app 1 ready || inside systemctl restart app@1
	is_state app 0 ready || inside systemctl restart app@0
	wait_for 10 is_ready app
	prefer app 0
}

# the next start of an instance does this instead
new_version() {
	write /etc/systemd/system/app@.service.d/version.conf <<<"[Service]
$1"
	inside systemctl daemon-reload
}

upgrade() { hs upgrade app --probation=300ms "$@"; }

@test "both slots run the new version in the end, and nothing is lost" {
	local before0 before1
	before0=$(main_pid app@0)
	before1=$(main_pid app@1)
	begin_load http://127.0.0.1:$port/ slot=
	run -0 --separate-stderr upgrade
	lost_nothing 'an upgrade'
	[[ $output == *'slot 1 is active, slot 0 stands by with the new version'* ]]
	is_active app 1
	is_ready app
	is_new app@0 "$before0"
	is_new app@1 "$before1"
	[[ $(hs history app --json -n 1 | jq -r '"\(.verb) \(.outcome) \(.by)"') == 'upgrade done root' ]]
}

@test "a version that does not start is undone" {
	local before
	before=$(main_pid app@0)
	new_version 'ExecStartPre=/bin/sh -c "echo this build is bad; exit 1"'
	run -4 upgrade
	[[ $output == *'undone in its step "restart"'* ]]
	[[ $output == *'this build is bad'* ]]
	is_active app 0
	[[ $(main_pid app@0) == "$before" ]]
	[[ $(hs history app --json -n 1 | jq -r .outcome) == undone ]]
}

@test "a version that never listens is undone" {
	new_version 'Type=exec
ExecStart=
ExecStart=/bin/sleep 1000'
	run -4 upgrade --ready=500ms
	[[ $output == *'undone in its step "ready"'* ]]
	is_active app 0
	[[ $(answering_slot http://127.0.0.1:$port/) == 0 ]]
}

@test "a version that never reports ready is not waited for as long as systemd would" {
	new_version 'ExecStart=
ExecStart=/bin/sleep 1000'
	run -4 inside timeout 30 hsctl upgrade app --ready=500ms
	[[ $output == *'undone in its step "restart": the new instance took too long to start'* ]]
	is_active app 0
	new_version ''
	inside systemctl stop app@1
}

@test "one that dies in its probation is undone" {
	hs upgrade app --probation=60s >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local job=$! status=0
	wait_for 10 is_active app 1
	wait_for 10 grep -q probation "$BATS_TEST_TMPDIR/out"
	inside systemctl kill --signal=KILL app@1
	wait "$job" || status=$?
	((status == 4))
	is_active app 0
}

is_canary() { status app .canary_share | awk -v want="$1" '{ exit !($1 > want - 0.01 && $1 < want + 0.01) }'; }

@test "a canary goes before it, step by step" {
	hs upgrade app --canary=10%,50% --hold=4s --probation=100ms >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local job=$!
	wait_for 10 is_canary 0.1
	wait_for 10 is_canary 0.5
	wait "$job"
	is_active app 1
	[[ $(status app .canary) == null ]]
}

@test "another one is refused meanwhile, and so is a switchover" {
	# which one has begun is known without waiting for its end
	run -0 hs upgrade app --probation=60s --no-block --json
	[[ $(jq -r '"\(.verb) \(.from) \(.to) \(.outcome)"' <<<"$output") == 'upgrade 0 1 under-way' ]]
	wait_for 10 is_active app 1
	run -3 upgrade --no-block
	[[ $output == 'hsctl: app: another change of this service is running'* ]]
	run -3 hs switchover app
	hs rollback app
	is_active app 0
	[[ $(status app .change) == null ]]
	# patience is the client's, not hsd's
	run -1 upgrade --timeout=300ms --probation=60s
	[[ $output == *'the upgrade goes on'*'hsctl rollback app'* ]]
	hs rollback app
}

has_outcome() { [[ $(hs history app --json -n 1 | jq -r '"\(.verb) \(.outcome)"') == "upgrade $1" ]]; }

has_outcome() { [[ $(hs history app --json -n 1 | jq -r '"\(.verb) \(.outcome)"') == "upgrade $1" ]]; }

# ---- last words ----

# Where its words go, and what the one that is bad says
words_elsewhere() {
	new_version "$1
ExecStartPre=/bin/sh -c \"echo this build is bad; echo and this is why >&2; exit 1\""
	run -4 --separate-stderr upgrade
	[[ $stderr == *'undone in its step "restart"'* ]]
}

@test "a version's last words are shown from a journal of its own, and by another name" {
	words_elsewhere LogNamespace=apart
	[[ $stderr == *'last lines of app@1.service:'*'this build is bad'*'and this is why'* ]]
	words_elsewhere SyslogIdentifier=somebody-else
	[[ $stderr == *'last lines of app@1.service:'*'this build is bad'*'and this is why'* ]]
}

@test "and from a file, and what was there before is not taken for them" {
	inside sh -c 'echo words of long ago >/var/log/app-1.err'
	words_elsewhere 'StandardError=append:/var/log/%p-%i.err'
	[[ $stderr == *'last lines of app@1.service:'*'this build is bad'* ]]
	[[ $stderr == *'last lines of /var/log/app-1.err:'*'and this is why'* && $stderr != *'long ago'* ]]
	words_elsewhere $'StandardOutput=truncate:/var/log/app.out\nStandardError=inherit'
	[[ $stderr == *'last lines of /var/log/app.out:'*'this build is bad'*'and this is why'* ]]
	# what is no file is left alone
	inside sh -c 'rm -f /var/log/app.out; : >/root/elsewhere; ln -s /root/elsewhere /var/log/app.out'
	words_elsewhere $'StandardOutput=append:/var/log/app.out'
	[[ $stderr != *'last lines of /var/log/app.out'* ]]
	inside sh -c 'rm -f /root/elsewhere /var/log/app.out /var/log/app-1.err'
}

# ---- smoke tests ----

leaves_no_unit() { [[ -z $(inside systemctl list-units --all --plain --no-legend 'hotstandby-*') ]]; }
slept() { inside pgrep -fx 'sleep 1234' >/dev/null; }

@test "a smoke test reaches the standby, and nothing else does; what looks like syntax is its own" {
	begin_load http://127.0.0.1:$port/ slot=0 2
	inside rm -f /tmp/smoke
	# shellcheck disable=SC2016 # for the smoke test's shell
	upgrade --canary=50% --hold=60s --smoke='x="two  words"; for i in 1 2 3 4 5; do
		curl -sSf --max-time 10 http://127.0.0.1:'$port'/ | sed "s/ .*//"; done | sort | uniq -c |
		while read -r n slot; do echo "$n $slot ${x} $$ %n"; done >/tmp/smoke.new
		mv /tmp/smoke.new /tmp/smoke; until [ -e /tmp/enough ]; do sleep 0.05; done' >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local job=$!
	wait_for 10 inside test -e /tmp/smoke
	# what runs it is read again, and understood
	inside systemctl daemon-reload
	! inside journalctl -q --since="@$rig_began" | grep 'Unknown key' || fail 'systemd does not understand its unit'
	# all that time the others see the old one only
	lost_nothing 'the others'
	inside touch /tmp/enough
	wait_for 10 grep -q ^canary "$BATS_TEST_TMPDIR/out"
	inside cat /tmp/smoke | grep -Ex '5 slot=1 two  words [0-9]+ %n'
	hs rollback app
	wait "$job" || (($? == 4))
	wait_for 5 leaves_no_unit
}

@test "a smoke test that fails: undone, with its exit status and its words" {
	# anybody may call himself as it is called
	run -4 --separate-stderr upgrade --smoke='echo looking; ls /no/such/thing; echo it is bad >&2
		setpriv --reuid=65534 logger -t hotstandby-smoke-app "run rm -rf"; exit 7'
	[[ $stderr != *'run rm'* ]]
	[[ $stderr == *'undone in its step "smoke": the smoke test failed: exit status 7. Slot 0 serves as before'* ]]
	[[ $stderr == *'last lines of the smoke test:'*looking*'cannot access'*'it is bad'* ]]
	is_active app 0
	# the words of an earlier one are not taken for those of this one
	run -4 --separate-stderr upgrade --smoke='kill -SEGV $$'
	[[ $stderr == *'exit status 139'* && $stderr != *'it is bad'* ]]
	wait_for 5 leaves_no_unit
}

@test "one that never reached the new instance has not passed, unless it may be silent" {
	local url=http://127.0.0.1:$port/
	for smoke in true "systemd-run -q --wait curl -fsS -o /dev/null $url"; do
		run -4 --separate-stderr upgrade --smoke="$smoke"
		[[ $stderr == *'undone in its step "smoke": the smoke test has tested nothing: it made no connection to slot 1 of app '* ]]
		[[ $stderr == *'--smoke-may-be-silent'* ]]
		is_active app 0
	done
	# one that found nobody at the port of the service has not either
	run -4 --separate-stderr upgrade --smoke="curl -sS --max-time 5 http://127.0.0.2:1/; true"
	[[ $stderr == *'made no connection'* ]]
	run -0 upgrade --smoke=true --smoke-may-be-silent
	is_active app 1
	wait_for 10 is_ready app
	# its commands may do the same again
	run -0 upgrade --smoke="hsctl exec app 0 -- curl -fsS -o /dev/null $url"
	is_active app 0
	# and that to the other slot proves nothing
	wait_for 10 is_ready app
	run -4 upgrade --smoke="hsctl exec app 0 -- curl -fsS -o /dev/null $url"
	wait_for 5 leaves_no_unit
}

@test "one that hangs, does not end when it is told to, and has children" {
	run -4 --separate-stderr inside timeout 15 hsctl upgrade app --smoke-timeout=500ms \
		--smoke='trap "" TERM; (setsid sleep 1234 &) ; sleep 1234'
	[[ $stderr == *'undone in its step "smoke": the smoke test took too long'* ]]
	wait_for 10 leaves_no_unit
	run ! slept
	# and what it leaves in the background
	upgrade --smoke='sleep 1234 & exit 0' --smoke-may-be-silent
	wait_for 10 leaves_no_unit
	run ! slept
}

# ---- what people see ----

@test "on a terminal one line that changes, elsewhere a line for each step" {
	inside python3 $tools/at_step.py --terminal probation true \
		hsctl upgrade app --canary=10%,50% --hold=300ms --probation=600ms >"$BATS_TEST_TMPDIR/terminal"
	tr '\r' '\n' <"$BATS_TEST_TMPDIR/terminal" | sed 's/\x1b\[K//' >"$BATS_TEST_TMPDIR/lines"
	grep -qx 'canary: slot 1 gets 10% of new connections, .* left (.*s)' "$BATS_TEST_TMPDIR/lines"
	(($(grep -c ^probation "$BATS_TEST_TMPDIR/lines") > 1))
	[[ $(tail -n 1 "$BATS_TEST_TMPDIR/terminal") == *$'\e[Kapp: upgraded in '* ]]
	run -0 --separate-stderr upgrade --canary=10%,50% --hold=300ms
	[[ -z $stderr ]]
	[[ $(sed 's/:.*//' <<<"$output" | paste -sd ' ') == 'restart ready canary canary switch probation refresh app' ]]
	run -0 --separate-stderr upgrade --json
	[[ $(jq -r '"\(.service) \(.verb) \(.from) \(.to) \(.outcome)"' <<<"$output") == 'app upgrade 0 1 done' && -z $stderr ]]
}

@test "others' upgrades go on meanwhile; nobody but root may; history has it all" {
	own_service other 19801
	up other
	hs upgrade app --probation=60s >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local job=$! status=0
	wait_for 10 grep -q ^probation "$BATS_TEST_TMPDIR/out"
	hs upgrade other --probation=0 >/dev/null
	is_active other 1
	run -3 --separate-stderr hs canary app 5%
	[[ $stderr == *'another change of this service is running'* ]]
	[[ $(status app .change) == upgrade ]]
	run -1 --separate-stderr as_nobody hsctl upgrade app
	[[ $stderr == *'only root may do this'* ]]
	run -1 as_nobody hsctl rollback app
	inside systemctl restart hsd
	wait "$job" || status=$?
	((status == 1))
	wait_for 10 has_outcome 'done'
	# also who began it
	[[ $(hs history app --json -n 1 | jq -r .by) == root ]]
	[[ $(hs history other --json -n 1 | jq -r '"\(.verb) \(.outcome) \(.by) \(.from) \(.to)"') == 'upgrade done root 0 1' ]]
	(($(hs history other --json -n 1 | jq .duration_us) > 50000))
	down other
}

@test "the service is disabled in the middle: whoever waits is told" {
	own_service brief 19802
	up brief
	hs upgrade brief --probation=60s >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local job=$! status=0
	wait_for 10 grep -q ^probation "$BATS_TEST_TMPDIR/out"
	hs disable brief@.service
	wait "$job" || status=$?
	((status == 1))
	down brief
}

# ---- more ----

@test "three slots: all of them run the new version in the end" {
	local before
	own_service trio 19803
	printf '[Service]\nSlots=3\n' | write /etc/hotstandby/trio.conf
	inside systemctl daemon-reload
	hs enable trio@.service
	inside systemctl start trio@0 trio@1 trio@2
	wait_for 10 is_ready trio
	prefer trio 0
	before=$(main_pid trio@2)
	begin_load http://127.0.0.1:19803/ slot= 2
	run -0 hs upgrade trio --probation=100ms
	lost_nothing 'three slots'
	[[ $output == *'and so do the others'* ]]
	is_new trio@2 "$before"
	is_ready trio
	down trio
}

@test "the canary is one for everybody, whoever the one before was for" {
	hs canary app 1% --from=10.1.0.0/16
	hs upgrade app --canary=50% --hold=60s >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local job=$!
	wait_for 10 is_canary 0.5
	[[ $(status app '.canary_from | length') == 0 ]]
	hs rollback app
	wait "$job" || (($? == 4))
	[[ $(status app .canary) == null ]]
}

# upgrade_with_held DRAIN-END: with connections that stay; sets held and output
upgrade_with_held() {
	printf '[Service]\nDrain=100ms\nDrainEnd=%s\n' "$1" | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	prefer app 0
	hold $port 3
	[[ $held == '0 0 0' ]]
	upgrade >"$BATS_TEST_TMPDIR/out"
	ask_again
	let_go
	printf '' | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
}

@test "connections that stay: the drain, then DrainEnd=" {
	upgrade_with_held stop
	[[ $held == 'x x x' ]]
	grep -q 'switch: new connections go to slot 1' "$BATS_TEST_TMPDIR/out"
	upgrade_with_held reset
	[[ $held == 'x x x' ]]
	local before
	before=$(main_pid app@0)
	upgrade_with_held keep
	[[ $held == '0 0 0' && $(main_pid app@0) == "$before" ]]
	# the previous instance lives, so there is a way back
	hs rollback app
	is_active app 0
	[[ $(main_pid app@0) == "$before" ]]
	grep -q 'Slot 0 keeps its connections and the old version (DrainEnd=keep)' "$BATS_TEST_TMPDIR/out"
}
