#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hs-probe reads what servers answer, so it is the first to be taken over, to hang or to die. It has nothing to lose,
# and whatever becomes of it, no slot is down for it.

load lib/bystander

setup_file() {
	hostile_up
	own_service app 9802
	up app
}

set_up() {
	printf '[Service]\nFailoverHold=0\nStall=0\n[Health]\nInterval=200ms\nTimeout=500ms\nProbe=http:/\nProbe=tcp\n' |
		write /etc/hotstandby/app.conf
	inside systemctl reload hsd
	wait_for 10 has_health 0 healthy
	wait_for 10 has_health 1 healthy
}

health_of() { status app ".slots[$1].health"; }
reason_of() { status app ".slots[$1].health_reason"; }
has_health() { [[ $(health_of "$1") == "$2" ]]; }
probers() { inside systemctl list-units --plain --no-legend 'hotstandby-probe-*' | awk '{ print $1 }'; }
prober_unit() { probers | grep -v -- -evil-; }
evils_unit() { probers | grep -- -evil-; }
is_another() { [[ $(prober_unit) == hotstandby-probe-* && $(prober_unit) != "$1" ]]; }
unhealthy_events() { inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=app HS_EVENT=health | grep -c unhealthy || true; }
says_void() { [[ $(inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=app -p warning) == *'cannot be probed: hs-probe'* ]]; }

@test "it has nothing" {
	local unit pid status uid
	unit=$(prober_unit)
	pid=$(main_pid "$unit")
	status=$(inside cat "/proc/$pid/status")
	[[ $(grep -c '^Cap\(Inh\|Prm\|Eff\|Bnd\|Amb\):.0000000000000000$' <<<"$status") == 5 ]]
	grep -q '^NoNewPrivs:.1$' <<<"$status"
	grep -q '^Seccomp:.2$' <<<"$status"
	uid=$(awk '/^Uid:/ { print $2 }' <<<"$status")
	((uid >= 61184))
	# no network of its own, and no path to write to but its own /tmp and /var/tmp
	[[ $(inside readlink "/proc/$pid/ns/net") != "$(inside readlink /proc/1/ns/net)" ]]
	[[ $(inside nsenter -t "$pid" -m -- setpriv --reuid="$uid" --clear-groups sh -c 'for d in / /etc /usr /var /run /home; do touch $d/x && echo $d; done' 2>/dev/null) == '' ]]
	# TLS and HTTP are there, and not in hsd
	inside grep -q libcurl "/proc/$pid/maps"
	run -1 inside grep -E 'libcurl|libssl|libgnutls' "/proc/$(main_pid hsd)/maps"
	say "exposure: $(inside systemd-analyze security --no-pager "$unit" | tail -1)"
	bystander_is_well
}

@test "it is killed, again and again" {
	local unit _
	for _ in 1 2 3; do
		unit=$(prober_unit)
		inside systemctl kill -s KILL "$unit"
		wait_for 10 is_another "$unit"
		has_health 0 healthy
		has_health 1 healthy
	done
	[[ $(unhealthy_events) == 0 ]]
	is_active app 0
	bystander_is_well
}

@test "it hangs: nothing is known then, nothing is down, and it is replaced" {
	local unit
	unit=$(prober_unit)
	bystander_watch
	inside systemctl kill -s STOP "$unit"
	wait_for 10 is_another "$unit"
	bystander_watched
	has_health 0 healthy
	has_health 1 healthy
	[[ $(unhealthy_events) == 0 ]]
	is_active app 0
	# no connection of it is left, and none has gone to the other slot
	[[ $(unit_state "$unit") != active ]]
	bystander_is_well
}

@test "it does not run for a while: that says nothing of anybody" {
	local unit _
	unit=$(prober_unit)
	for _ in 1 2; do
		inside systemctl kill -s STOP "$unit"
		inside sleep 1.3
		inside systemctl kill -s CONT "$unit"
		inside sleep 0.5
	done
	[[ $(prober_unit) == "$unit" && $(unhealthy_events) == 0 ]]
	has_health 0 healthy
	has_health 1 healthy
	bystander_is_well
}

@test "a server holds it up by TLS: the others are asked as before" {
	local unit
	own_service evil 9803
	up evil
	printf '[Health]\nInterval=200ms\nTimeout=10s\nProbe=https:/\n' | write /etc/hotstandby/evil.conf.d/health.conf
	inside systemctl reload hsd
	wait_for 10 evils_unit
	unit=$(prober_unit)
	say "one more hs-probe: $(inside awk '/^(Rss|Pss|Private_Dirty):/ { printf "%s %s kB ", $1, $2 }' \
		"/proc/$(main_pid "$(evils_unit)")/smaps_rollup")"
	# as if a read of what the server sends had no end
	inside systemctl kill -s STOP "$(evils_unit)"
	inside systemctl kill -s STOP app@1
	wait_for 5 has_health 1 unhealthy
	inside systemctl kill -s CONT app@1
	wait_for 5 has_health 1 healthy
	has_health 0 healthy
	[[ $(prober_unit) == "$unit" ]]
	# and it goes with its service's probes
	inside rm /etc/hotstandby/evil.conf.d/health.conf
	inside systemctl reload hsd
	wait_for 5 eval '! evils_unit'
	down evil
	bystander_is_well
}

@test "it cannot be started: nothing is known, and the journal has the reason" {
	local unit
	unit=$(prober_unit)
	inside mv /usr/lib/hotstandby/hs-probe /usr/lib/hotstandby/away
	bystander_watched
	inside systemctl restart hsd
	bystander_watch
	wait_for 10 says_void
	has_health 0 unknown
	has_health 1 unknown
	run -3 --separate-stderr hs switchover app
	[[ $stderr == *'not known to be healthy'* ]]
	bystander_is_well
	inside mv /usr/lib/hotstandby/away /usr/lib/hotstandby/hs-probe
	wait_for 20 has_health 1 healthy
}
