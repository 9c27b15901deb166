#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl upgrade, and in each of its steps something happens to hsd, or to the hsctl that waits for it. What
# triggers it is the line that tells of the step. Clients never notice, both slots are ready in the end, and
# what serves is what the journal says.
# Thorough: hsd_killed has the same for a switchover.

load lib/rig

port=19850
url=http://127.0.0.1:$port/
steps=(restart ready smoke canary switch probation refresh)

setup_file() {
	rig_up
	inside systemctl start hsd
	inside sh -c 'echo 0 >/etc/app.version'
	own_service app $port --version-file=/etc/app.version
	# each step takes long enough to be hit
	inside sed -i 's|^Type=notify|&\nExecStartPre=/bin/sleep 0.15|' /etc/systemd/system/app@.service
	write /etc/hotstandby/app.conf <<-'END'
		[Service]
		Settle=200ms
		[Health]
		Probe=http:/
		Rise=6
	END
	up app
	wait_for 10 is_healthy
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	number=0
	begin_load $url slot= 1
}

is_healthy() { [[ $(status app '[.slots[].health] | unique | join(" ")') == healthy ]]; }

# version N: what the next start of an instance runs
version() { inside sh -c "echo $1 >/etc/app.version"; }
version_of() { fetch $url | sed -n 's/.* version=\([^ ]*\) .*/\1/p'; }

# in_step STEP DEED [OPTION]: an upgrade to a new version, and DEED in this step; sets code, old, new, from
in_step() {
	old=$(version_of)
	new=$BATS_TEST_NUMBER.$((++number))
	from=$(active app)
	version "$new"
	# long enough for what is done in it
	local hold=300ms
	[[ $1 != canary ]] || hold=3s
	code=0
	inside timeout 60 python3 $tools/at_step.py ${3:-} "$1" "$2" hsctl upgrade app --smoke='sleep 0.3' --smoke-may-be-silent \
		--canary=10% --hold=$hold --probation=300ms >"$BATS_TEST_TMPDIR/$1" 2>&1 || code=$?
	((code != 99)) || fail "$(<"$BATS_TEST_TMPDIR/$1")"
}

deed() { hs history app --json -n 1 | jq -r '"\(.verb) \(.outcome)"'; }
# it has ended: both ready and healthy, and nothing left of the upgrade
is_whole() {
	[[ $(status app '[.change, .canary, .park, ([.slots[].state] | unique | join(" ")),
		([.slots[].health] | unique | join(" "))] | map(tostring) | join(",")' 2>/dev/null) == \
		null,null,false,ready,healthy ]] && has_no_unit
}
# of the upgrade; probes have one as long as hsd runs
has_no_unit() { ! inside systemctl list-units --plain --no-legend 'hotstandby-*' | grep -qv '^hotstandby-probe-'; }

# consistent STEP: what serves is what it says; both slots run the new version, or the active one the old
consistent() {
	local outcome
	wait_for 15 is_whole
	outcome=$(deed)
	outcomes+=" $1:${outcome#upgrade }"
	if [[ $outcome == 'upgrade done' ]]; then
		is_active app $((1 - from))
		[[ $(version_of) == "$new" ]]
		[[ $(hs exec app "$from" -- curl -sSf --max-time 10 $url) == *" version=$new "* ]]
	else
		[[ $outcome == 'upgrade undone' ]]
		is_active app "$from"
		[[ $(version_of) == "$old" ]]
	fi
}

# in_each_step DEED: consistent whatever the step
in_each_step() {
	local step
	outcomes=''
	for step in "${steps[@]}"; do
		in_step "$step" "$1"
		consistent "$step"
	done
	say "$outcomes"
	lost_nothing "${#steps[@]} upgrades"
}

@test "hsd is killed in each step" {
	in_each_step 'systemctl kill -s KILL hsd'
	[[ $outcomes == *restart:undone*canary:undone*refresh:done ]]
	run -0 inside journalctl -q -o cat --since="@$rig_began" HS_EVENT=upgrade
	[[ $output == *'hsd was gone in the middle of an upgrade, in its step "canary"; it is undone'* ]]
	[[ $output == *'hsd was gone in the middle of an upgrade, in its step "refresh"; it is finished'* ]]
}

@test "hsd is restarted in each step, as by an upgrade of its package" {
	in_each_step 'systemctl restart hsd'
	grep -q 'the next hsd finishes or undoes it' "$BATS_TEST_TMPDIR/canary"
}

@test "Ctrl-C in each step: undone, until the old slot restarts" {
	local step
	outcomes=''
	for step in "${steps[@]}"; do
		# shellcheck disable=SC2016 # for the shell inside
		in_step "$step" 'kill -INT $PID'
		consistent "$step"
		# the answer says the same
		[[ $outcomes == *done ]] || ((code == 4)) || fail "$step: $code: $(<"$BATS_TEST_TMPDIR/$step")"
		[[ $outcomes == *undone ]] || ((code == 0)) || fail "$step: $code: $(<"$BATS_TEST_TMPDIR/$step")"
	done
	say "$outcomes"
	[[ $outcomes == *restart:undone*canary:undone*refresh:done ]]
	grep -q 'it was cancelled. Slot . serves as before' "$BATS_TEST_TMPDIR/canary"
	grep -q 'too late to undo the upgrade' "$BATS_TEST_TMPDIR/refresh"
	lost_nothing "${#steps[@]} upgrades"
}

@test "hsctl is killed, or its terminal goes away: the upgrade goes on" {
	# shellcheck disable=SC2016
	in_step canary 'kill -KILL $PID'
	((code == 137))
	consistent canary
	in_step probation hangup --terminal
	((code == 129))
	consistent probation
	say "$outcomes"
	[[ $outcomes == ' canary:done probation:done' ]]
	lost_nothing '2 upgrades'
}

@test "a rollback in each step from another terminal undoes it" {
	local step
	outcomes=''
	for step in restart canary probation; do
		in_step "$step" 'hsctl rollback app --json >/tmp/rollback'
		((code == 4))
		consistent "$step"
		[[ $(inside jq -r '"\(.verb) \(.from) \(.to) \(.outcome)"' /tmp/rollback) == "rollback $((1 - from)) $from done" ]]
	done
	[[ $outcomes == ' restart:undone canary:undone probation:undone' ]]
	grep -q 'it was rolled back' "$BATS_TEST_TMPDIR/probation"
	in_step refresh 'hsctl rollback app >/tmp/rollback 2>&1; echo $? >>/tmp/rollback'
	((code == 0))
	[[ $(inside cat /tmp/rollback) == *'too late to undo the upgrade'*3 ]]
	consistent refresh
	# and when all is over there is nothing to go back to
	run -3 --separate-stderr hs rollback app
	say "$stderr"
	lost_nothing '4 upgrades'
}

@test "the old instance dies in the middle: there is no way back, and the new one serves" {
	local kill_old='systemctl kill -s KILL app@$(hsctl status app --json | jq .active)'
	outcomes=''
	in_step canary "$kill_old"
	((code == 0))
	consistent canary
	[[ $outcomes == ' canary:done' ]]
	# who wants back nevertheless is told that this is not to be had
	# shellcheck disable=SC2016
	in_step canary "$kill_old; "'sleep 0.2; kill -INT $PID'
	((code == 1))
	[[ $(<"$BATS_TEST_TMPDIR/canary") == *'undoing it: the old instance has ended meanwhile, so traffic stays where it is'* ]]
	[[ $(deed) == 'upgrade failed' ]]
	wait_for 15 is_whole
	[[ $(version_of) == "$new" ]]
	# they were working on something when they died
	end_load
	say "$(load_line '2 upgrades, each with a crash')"
	((load[lost] <= 4 && load[wrong] == 0 && load[hung] == 0))
}
