#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Long: machines are rebooted
# Thorough: it takes minutes; front.bats reboots a host, too, and presence.bats looks at what hosts say
#
# Three hosts behind HAProxy as the distribution has it: one of them is rebooted, leaves, is parked, stopped on purpose or
# dies, under load. HAProxy has units/examples/haproxy.cfg at port 80; at 81 the same, but that it tries nothing
# again, so that nothing that went wrong is made good; at 82 and 83 without the agent, for comparison.

load lib/fleet

hosts=(h1 h2 h3) balancers=(balancer)
balancer=10.0.0.1

setup_file() {
	local jobs=() i
	fleet_begin
	for i in 1 2 3; do
		fleet_host "h$i" "1$i" &
		jobs+=($!)
	done
	fleet_client &
	jobs+=($!)
	fleet_machine balancer 1 &
	jobs+=($!)
	all_of "${jobs[@]}"
	balance
}

balance() {
	local example=$top/units/examples/haproxy.cfg once agent='s/ agent-check.*//'
	once='/^\tdefault-server/i \\tretries 0\n\tno option redispatch\n\toption http-server-close'
	{
		cat "$example"
		both "$example" | sed -e "$once" -e 's/:::80/:::81/; s/app$/&-once/; s/hosts$/&-once/'
		both "$example" | sed -e "$agent" -e "$once" -e 's/:::80/:::82/; s/app$/&-deaf/; s/hosts$/&-deaf/'
	} >"$(container_root balancer)/etc/haproxy/haproxy.cfg"
	on balancer systemctl --quiet enable --now haproxy
}

both() { sed -n '/^frontend/,$p' "$1"; }

# It keeps connections to hosts for later clients, which are connections that a host waits for as it leaves.
setup() {
	rig_began=${EPOCHREALTIME/,/.}
	on balancer systemctl restart haproxy
	wait_for 20 all_up
}

# asked [BACKEND]: "h1 UP" for each server, as HAProxy has it
asked() {
	on balancer bash -c 'echo show stat | socat stdio /run/haproxy/admin.sock' |
		awk -F, -v backend="${1:-hosts-once}" '$1 == backend && $2 ~ /[0-9]$/ { print $2, $18 }'
}
all_up() {
	local backend
	for backend in hosts hosts-once hosts-deaf; do
		[[ $(asked $backend | cut -d' ' -f2- | uniq -c) =~ ^\ *3\ UP$ ]] || return 1
	done
}
is_said() { asked | grep -q "^$1 $2"; }
says() { [[ $(on "$1" hsctl agent app) == "$2" ]]; }

nothing_lost() {
	end_clients
	say "$(clients_line "$1")"
	((seen[requests] >= 200)) || fail "only ${seen[requests]} connections: that proves nothing" || return 1
	((seen[lost] == 0)) || fail 'connections were lost'
}

@test "systemctl reboot of one of three hosts loses nothing, and holds nobody up" {
	LOAD_KEPT_PAUSE_MS=20 begin_load "http://$balancer/" host= 4 'X: kept'
	begin_clients "$balancer" 81 --rate=100
	reboot h1
	wait_for 20 is_said h1 UP
	sleep 2
	nothing_lost 'one of three is rebooted'
	((seen[late] == 0 && seen[at_h1] > 0 && seen[at_h2] > seen[at_h1]))
	lost_nothing 'beside it, connections that are kept, retries as in the example'
}

@test "without the unit and the agent a reboot does" {
	local unit
	unit=$(container_root h1)/etc/systemd/system/hotstandby-leave@app.service.d
	mkdir "$unit"
	printf '[Service]\nExecStop=\n' >"$unit/none.conf"
	on h1 systemctl daemon-reload
	begin_clients "$balancer" 82 --rate=100
	reboot h1
	sleep 5
	end_clients
	say "$(clients_line 'without')"
	((seen[lost] > 0))
	on h1 rm -r /etc/systemd/system/hotstandby-leave@app.service.d
	on h1 systemctl daemon-reload
}

@test "leave waits for downloads, which end whole; clients come again after join" {
	local i jobs=() begun=$EPOCHSECONDS
	# one of each host's
	for i in 1 2 3; do
		inside curl -sSf -o /dev/null -w '%{size_download}\n' "http://$balancer:81/download/100M?rate=12m" \
			>"$BATS_TEST_TMPDIR/download.$i" 3>&- &
		jobs+=($!)
	done
	begin_clients "$balancer" 81
	wait_for 5 downloads_at h1
	run -0 on h1 hsctl leave app --deadline=60s
	[[ $output == *'No connection is left.'* ]]
	((EPOCHSECONDS - begun >= 6))
	is_said h1 DRAIN
	for i in "${jobs[@]}"; do
		wait "$i"
	done
	[[ $(sort -u "$BATS_TEST_TMPDIR"/download.*) == 104857600 ]]
	end_clients
	say "$(clients_line 'a host leaves')"
	((seen[lost] == 0 && seen[late] == 0))
	begin_clients "$balancer" 81
	sleep 2
	end_clients
	((seen[lost] == 0 && ${seen[at_h1]:-0} == 0))
	on h1 hsctl join >/dev/null
	wait_for 10 is_said h1 UP
	begin_clients "$balancer" 81
	sleep 2
	nothing_lost 'it has joined'
	((seen[at_h1] > 0))
}

downloads_at() { on "$1" ss -Htn state established sport = :80 | grep -q .; }

@test "a host whose clients are held is taken out, though it accepts connections" {
	begin_clients "$balancer" 81
	on h1 hsctl park app >/dev/null
	says h1 'down #new connections are held by hsctl park'
	wait_for 10 is_said h1 DOWN
	[[ $(asked hosts-deaf) == *'h1 UP'* ]]
	on h1 hsctl release app >/dev/null
	wait_for 10 is_said h1 UP
	sleep 1
	nothing_lost 'a host is parked for a moment'
}

@test "a host whose slots are stopped on purpose says so and is taken out" {
	begin_clients "$balancer" 80
	on h1 systemctl stop app@0 app@1
	says h1 'down #it is stopped on purpose'
	wait_for 10 is_said h1 DOWN
	on h1 systemctl start app@0 app@1
	wait_for 20 is_said h1 UP
	sleep 1
	nothing_lost 'a host is stopped, retries as in the example'
}

@test "a host that dies is found out by the health check; back, it has clients again" {
	begin_clients "$balancer" 81
	sleep 1
	fleet_kill h1
	wait_for 10 is_said h1 DOWN
	end_clients
	say "$(clients_line 'until a host that died is found out')"
	begin_clients "$balancer" 81
	sleep 2
	fleet_power h1
	wait_for 20 is_said h1 UP
	sleep 2
	nothing_lost 'then, and as it comes back'
	((seen[at_h1] > 0))
}
