# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What tests on a fleet of machines share, besides rig.bash: a machine `client`, where load comes from and `inside` runs
# commands, on the switch of scripts/lib/fleet.sh. A test names its machines in hosts=() and balancers=(), whose journals
# are shown when it fails.

load lib/rig
# shellcheck source=scripts/lib/fleet.sh
source "$top/scripts/lib/fleet.sh"

# the container of rig.bash
rig=client

# fleet_client: boots it; at the same time as others
fleet_client() {
	fleet_machine client 200 && mkdir -p "$(container_root client)$tools" &&
		cp "$top"/tests/system/lib/*.{lua,py} "$top"/scripts/lib/fleet-*.py "$(container_root client)$tools/"
}

# all_of JOB...: each of them has ended well
all_of() {
	local job rig
	for job; do
		wait "$job" || fail 'a machine of the fleet did not come up'
	done
	[[ -z ${COVERAGE:-} ]] || count_on_balancers
}

# Of the machines, those whose hsd leads clients to the others; a balancer that is not ours has none.
count_on_balancers() {
	local rig
	for rig in "${balancers[@]}"; do
		inside systemctl cat hsd.service >/dev/null 2>&1 || continue
		allow_counting
		inside systemctl restart hsd || return
	done
}

teardown_file() {
	local rig status=0
	for rig in "${balancers[@]}"; do
		[[ ! -e $(container_root "$rig")/usr/sbin/hsd ]] || end_covered || status=$?
	done
	fleet_end
	return $status
}

teardown() {
	local machine
	end_load_quietly
	end_clients_quietly
	end_streams_quietly
	[[ -z ${BATS_TEST_COMPLETED:-} ]] || return 0
	for machine in "${hosts[@]}" "${balancers[@]}"; do
		on "$machine" timeout 10 hsctl status 2>&1 || true
		echo "--- journal of $machine ---"
		container_journal "$machine" --since="@$rig_began" | grep -v -e systemd-journald -e ' Connect from ' | tail -n "${RIG_LINES:-40}"
	done
}

on() { container_run "$@"; }

# reboot HOST: and waits until it has come back
reboot() {
	local boot
	boot=$(container_boots "$1")
	fleet_reboot "$1"
	wait_for 60 fleet_is_up "$1" "$boot"
}

# ---- clients at a fixed rate, each with a connection of its own: scripts/lib/fleet-clients.py ----
#
#   begin_clients ADDRESS PORT [OPTION...]
#   end_clients                      and sets seen[requests], seen[lost], ..., seen[at_HOST]

declare -gA seen=()

begin_clients() {
	clients_file=$BATS_TEST_TMPDIR/clients.$RANDOM
	inside python3 $tools/fleet-clients.py --started=/run/clients.started "${@:3}" "$1" "$2" \
		>"$clients_file" 2>&1 </dev/null 3>&- &
	clients_job=$!
	wait_for 5 inside test -e /run/clients.started
}

end_clients() {
	local word
	inside pkill -INT -f fleet-clients.py || true
	wait "$clients_job" || true
	clients_job=''
	inside rm -f /run/clients.started
	declare -gA seen=()
	for word in $(grep '^requests=' "$clients_file"); do
		seen[${word%%=*}]=${word#*=}
	done
	[[ -n ${seen[requests]:-} ]] || fail "no result of the clients: $(cat "$clients_file")"
}

end_clients_quietly() {
	[[ -n ${clients_job:-} ]] || return 0
	inside pkill -KILL -f fleet-clients.py || true
	wait "$clients_job" 2>/dev/null || true
	clients_job=''
}

clients_line() {
	echo "$1: ${seen[requests]} connections, ${seen[lost]} lost (refused ${seen[refused]}, reset ${seen[reset]}, no answer ${seen[silent]}," \
		"cut ${seen[cut]}, wrong ${seen[wrong]}), ${seen[late]} late, the longest ${seen[longest_ms]} ms, bad for ${seen[bad_ms]} ms"
}

# ---- downloads, which end by themselves: scripts/lib/fleet-streams.py ----
#
#   begin_streams ADDRESS PORT [OPTION...]    until all have begun to receive
#   end_streams                               and sets streams[whole], streams[cut], ...

declare -gA streams=()

begin_streams() {
	streams_file=$BATS_TEST_TMPDIR/streams.$RANDOM
	inside rm -f /run/streams.started
	inside python3 $tools/fleet-streams.py --started=/run/streams.started "${@:3}" "$1" "$2" \
		>"$streams_file" 2>&1 </dev/null 3>&- &
	streams_job=$!
	wait_for 10 inside test -e /run/streams.started
}

end_streams() {
	local word
	wait "$streams_job" || true
	streams_job=''
	declare -gA streams=()
	for word in $(grep '^streams=' "$streams_file"); do
		streams[${word%%=*}]=${word#*=}
	done
	[[ -n ${streams[whole]:-} ]] || fail "no result of the downloads: $(cat "$streams_file")"
}

end_streams_quietly() {
	[[ -n ${streams_job:-} ]] || return 0
	inside pkill -KILL -f fleet-streams.py || true
	wait "$streams_job" 2>/dev/null || true
	streams_job=''
}

streams_line() { echo "$1: ${streams[streams]} downloads, ${streams[whole]} whole, ${streams[reset]} reset, ${streams[cut]} cut," \
	"${streams[silent]} silent; the longest gap ${streams[gap_ms]} ms"; }
