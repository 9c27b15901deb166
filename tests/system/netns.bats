#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Services whose servers are in another network namespace than hsd: one that systemd makes for them
# (PrivateNetwork=) and one that is there (NetworkNamespacePath=). Clients are in it, too.
# Long: begun with the first.
# Thorough: plane tests look into other network namespaces as well.

load lib/rig

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service priv 9701
	add_line priv PrivateNetwork=yes
	by_hand priv
	up priv
	inside ip netns add blue
	inside ip -n blue link set lo up
	own_service path 9702
	add_line path NetworkNamespacePath=/run/netns/blue
	by_hand path
	up path
}

# by_hand NAME: what is stopped here is to be left alone
by_hand() { printf '[Service]\nFailover=manual\n' | write "/etc/hotstandby/$1.conf"; }

# add_line NAME LINE: in the section [Service] of the template
add_line() { inside sed -i "s|^Type=notify|&\n$2|" "/etc/systemd/system/$1@.service"; }

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start hsd priv@0 priv@1 path@0 path@1
	wait_for 10 is_ready priv
	wait_for 10 is_ready path
}

# from UNIT: commands by `there` and the load run in the network of this unit from now on
from() { there_pid=$(main_pid "$1"); }
there() { inside nsenter -t "$there_pid" -n -- "$@"; }
slot_there() { there curl -sSf --max-time 10 "$1" | sed -n 's/^slot=\([0-9]*\) .*/\1/p'; }
answers_there() { [[ $(slot_there "$1" 2>/dev/null) == "$2" ]]; }

# as begin_load: the command line of wrk is the same, in another network
load_there() {
	load_file=$BATS_TEST_TMPDIR/load.$RANDOM
	inside nsenter -t "$there_pid" -n -- bash -c "exec timeout -s INT 100 wrk -t 16 -c 16 -d 100 --timeout 8 \\
		-H 'Connection: close' -s $tools/load.lua '$1' -- slot=" >"$load_file" 2>&1 </dev/null 3>&- &
	load_job=$!
	wait_for 5 inside pgrep -x wrk >/dev/null
}

# Both kinds, each with the URL of its service: kinds COMMAND...
kinds() {
	"$@" priv http://127.0.0.1:9701/
	"$@" path http://127.0.0.1:9702/
}

netns_of() { inside stat -Lc %i "/proc/$(main_pid "$1")/ns/net"; }

answers_in_turn() {
	local slot
	from "$1@0"
	for slot in 1 0 1 0; do
		prefer "$1" $slot
		wait_for 5 answers_there "$2" $slot
	done
	run -7 inside curl -sS --max-time 5 "$2"
}

@test "the slots share a network and are switched in it" {
	[[ $(netns_of priv@0) == "$(netns_of priv@1)" ]]
	[[ $(netns_of priv@0) != "$(inside stat -Lc %i /proc/1/ns/net)" ]]
	kinds answers_in_turn
	[[ $(status priv '[.slots[].problem] | unique == [null]') == true ]]
	[[ $(status priv '.foreign == [] and .problem == null') == true ]]
}

@test "enable says that they share it" {
	own_service tell 9703
	add_line tell PrivateNetwork=yes
	inside systemctl daemon-reload
	run hs enable tell@.service
	((status == 0))
	[[ $output == *'note: '*'PrivateNetwork=yes'*'JoinsNamespaceOf='*'/tmp'* ]]
	inside grep -Fx 'JoinsNamespaceOf=tell@0.service tell@1.service' /etc/systemd/system/tell@.service.d/zz-hotstandby.conf
	run inside systemd-analyze verify tell@0.service
	[[ $output != *JoinsNamespaceOf* ]]
	down tell
}

switch_and_restart() {
	local i
	from "$1@0"
	load_there "$2"
	for i in 1 2 3 4; do
		hs switchover "$1" --drain=0 >/dev/null
		inside systemctl restart "$1@$((i % 2))"
	done
	inside systemctl restart "$1@0" "$1@1"
	wait_for 10 is_ready "$1"
	lost_nothing "4 switchovers, 6 restarts, $1"
}

@test "switchovers and restarts under load" {
	kinds switch_and_restart
	baseline
}

crash() {
	local active
	active=$(active "$1")
	from "$1@$((1 - active))"
	load_there "$2"
	inside systemctl kill -s KILL "$1@$active"
	wait_for 10 is_active "$1" $((1 - active))
	wait_for 10 is_ready "$1"
	end_load
	say "$(load_line "a crash of the active, $1")"
	((load[lost] <= 16 && load[wrong] == 0 && load[hung] == 0))
}

@test "a crash of the active one" { kinds crash; }

see_queue() {
	local slot pid client
	slot=$(active "$1")
	from "$1@$slot"
	pid=$there_pid
	inside kill -STOP "$pid"
	there bash -c "exec 4<>/dev/tcp/127.0.0.1/$3 5<>/dev/tcp/127.0.0.1/$3; exec sleep 31.25" 3>&- &
	client=$!
	wait_for 5 has_queue "$1" "$slot" 2
	inside systemctl stop hsd
	[[ $(status "$1" ".slots[$slot].queued") -ge 2 ]]
	inside systemctl start hsd
	wait_for 5 has_queue "$1" "$slot" 2
	# moved to the other, which is asked nothing, but accepts
	hs failover "$1"
	wait_for 5 has_queue "$1" "$slot" 0
	wait_for 5 lists "$1" $((1 - slot)) 2
	inside kill -CONT "$pid"
	inside pkill -f 'sleep 31.25'
	wait $client || true
}

has_queue() { [[ $(status "$1" ".slots[$2].queued") == "$3" ]]; }
lists() { [[ $(hs connections --list --json "$1" | jq "[.connections[] | select(.slot == $2)] | length") == "$3" ]]; }

@test "what waits there is counted, moved and listed" {
	see_queue priv http://127.0.0.1:9701/ 9701
	see_queue path http://127.0.0.1:9702/ 9702
}

@test "a hang is noticed there" {
	own_service stuck 9707
	add_line stuck PrivateNetwork=yes
	printf '[Service]\nOnHang=keep\n' | write /etc/hotstandby/stuck.conf
	up stuck
	from stuck@1
	load_there http://127.0.0.1:9707/
	inside kill -STOP "$(main_pid stuck@0)"
	wait_for 5 is_active stuck 1
	wait_for 5 is_state stuck 0 suspect
	inside kill -CONT "$(main_pid stuck@0)"
	end_load
	say "$(load_line 'a hang in a namespace')"
	# none that was queued is lost; those that were being served end with what stopped
	((load[lost] <= 16 && load[wrong] == 0))
	down stuck
}

@test "no slot left in a network that stays: connections wait there in the park" {
	local client
	always_park path
	inside systemctl stop path@0 path@1
	inside ip netns exec blue curl -sSf --max-time 20 http://127.0.0.1:9702/ >"$BATS_TEST_TMPDIR/answer" 3>&- &
	client=$!
	wait_for 5 parks path 1
	inside systemctl start path@1
	wait $client
	grep -q '^slot=1 ' "$BATS_TEST_TMPDIR/answer"
	inside systemctl start path@0
	wait_for 5 is_ready path
}

parks() { [[ $(status "$1" .parked) == "$2" ]]; }

@test "hsd restarted and killed: it finds the namespaces again" {
	inside systemctl restart hsd
	wait_for 5 is_ready priv
	kinds answers_in_turn
	inside systemctl kill -s KILL hsd
	wait_for 10 is_ready priv
	kinds answers_in_turn
}

restart_without_hsd() {
	local slot
	slot=$(active "$1")
	from "$1@$slot"
	load_there "$2"
	inside systemctl restart "$1@$slot"
	inside systemctl restart "$1@$((1 - slot))"
	hs switchover "$1" --drain=0
	lost_nothing "restarts without hsd, $1"
}

@test "without hsd" {
	inside systemctl stop hsd
	kinds restart_without_hsd
	inside systemctl start hsd
	wait_for 10 is_ready priv
	kinds answers_in_turn
}

@test "the last slot takes the network along; its listeners are forgotten" {
	local before
	before=$(netns_of priv@0)
	inside test -d "$pins/priv/tcp4-0_0_0_0-9701-ns$before"
	inside systemctl stop priv@0 priv@1
	inside systemctl start priv@0 priv@1
	wait_for 5 is_ready priv
	[[ $(netns_of priv@0) == "$(netns_of priv@1)" ]]
	if [[ $(netns_of priv@0) != "$before" ]]; then
		wait_for 5 inside test ! -e "$pins/priv/tcp4-0_0_0_0-9701-ns$before"
	fi
	[[ $(inside ls "$pins/priv" | grep -c '^tcp4') == 1 ]]
	answers_in_turn priv http://127.0.0.1:9701/
}

@test "a listener that comes late is noticed there" {
	own_service slow 9704 --bind-delay=700
	add_line slow PrivateNetwork=yes
	inside sed -i s/Type=notify/Type=exec/ /etc/systemd/system/slow@.service
	up slow
	from slow@0
	wait_for 5 answers_there http://127.0.0.1:9704/ 0
	down slow
}

@test "a copy in the namespace is named" {
	inside ip netns exec blue systemd-run -q --unit=stray -p Type=notify -p NetworkNamespacePath=/run/netns/blue \
		/usr/lib/hotstandby/hs-example-server --slot=9 --listen=0.0.0.0:9702
	wait_for 5 names_stray
	inside systemctl stop stray
}

names_stray() { [[ $(status path '.foreign[0].unit') == stray.service ]]; }

@test "a socket unit's listener stays in the host's network" {
	socket_service sock 9705
	add_line sock PrivateNetwork=yes
	up sock
	begin_load http://127.0.0.1:9705/ slot=
	hs switchover sock
	inside systemctl restart sock@0
	inside systemctl restart sock@1
	lost_nothing 'a socket unit and PrivateNetwork='
	baseline
	run ! inside grep -F JoinsNamespaceOf /etc/systemd/system/sock@.service.d/zz-hotstandby.conf
	down sock
}

@test "hs-borrow that may not enter says so, and nothing else breaks" {
	printf '[Service]\nCapabilityBoundingSet=\nCapabilityBoundingSet=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_CHOWN\n' |
		write /etc/systemd/system/hs-borrow.service.d/caps.conf
	own_service plain2 9706
	up plain2
	inside systemctl daemon-reload
	inside systemctl stop hs-borrow.service
	inside systemctl restart hsd
	wait_for 5 is_ready plain2
	inside systemctl restart priv@0
	wait_for 5 has_problem
	hs switchover plain2
	inside rm /etc/systemd/system/hs-borrow.service.d/caps.conf
	inside systemctl daemon-reload
	inside systemctl stop hs-borrow.service
	inside systemctl restart hsd
	wait_for 5 is_ready priv
	kinds answers_in_turn
	down plain2
}

has_problem() { [[ $(status priv '.slots[0].problem') == *'cannot be looked into'*CAP_SYS_ADMIN* ]]; }
