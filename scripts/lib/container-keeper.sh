#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Keeps one container of container.sh: boots it, reports, and when its owner is gone or asks for it
# (TERM), ends it and removes what is left. Runs in a session of its own.
#
#   container-keeper.sh NAME OWNER-PID STATE-FOLDER PROJECT-TOP BOOT-SECONDS
#
# Writes one line to stdout: "ready", or what went wrong. In STATE-FOLDER: keeper, leader (PIDs), cgroup
# (a control group inside of the container, for commands), log; of one that is a machine also turns and power (FIFOs).
set -eu

name=$1 owner=$2 state=$3 top=$4 boot_seconds=$5
container='' leader='' watcher='' own_cgroup='' turns=''

unified_mount() {
	awk '{ for (i = 7; i <= NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' \
		/proc/self/mountinfo
}

# Under a systemd host we are in a delegated scope already; elsewhere the group is made by hand, at the top,
# where no other container's or session's rules apply.
enter_cgroup() {
	local mount path
	mount=$(unified_mount)
	[[ -n $mount ]] || { echo 'there is no cgroup2 mount'; return 1; }
	if [[ ! -d /run/systemd/system ]]; then
		own_cgroup=$mount/hotstandby-rig.$owner.$name
		mkdir -p "$own_cgroup"
		echo $$ >"$own_cgroup/cgroup.procs"
	fi
	path=$(sed -n 's/^0:://p' /proc/self/cgroup)
	echo "$mount$path/payload/rig.commands" >"$state/cgroup"
}

# Dies with us, and everything in its PID namespace with it.
start_container() {
	setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child \
		bash "${BASH_SOURCE[0]%/*}/container-root.sh" "$name" "$state" "$top" \
		</dev/null >>"$state/log" 2>&1 &
	container=$!
}

children() { cat "/proc/$1/task/$1/children" 2>/dev/null; }

# unshare > container-root.sh > systemd-nspawn > the container's PID 1, two PID namespaces below ours.
find_leader() {
	local shell nspawn child
	for shell in $(children "$container"); do
		for nspawn in $(children "$shell"); do
			for child in $(children "$nspawn"); do
				grep -Eqs '^NSpid:(\s[0-9]+){2}\s1$' "/proc/$child/status" || continue
				leader=$child
				return 0
			done
		done
	done
	return 1
}

inside() { nsenter -t "$leader" -a -r -- "$@"; }

# The first answer may be that nobody answers yet. "degraded" means a unit failed that nobody here needs.
booted() {
	local answer
	find_leader || return 1
	answer=$(inside systemctl is-system-running --wait 2>/dev/null) || true
	case $answer in
	running) return 0 ;;
	degraded)
		echo "failed at boot: $(inside systemctl --failed --no-legend --plain)" >>"$state/log"
		return 0
		;;
	*) return 1 ;;
	esac
}

wait_for_boot() {
	local deadline=$((SECONDS + boot_seconds))
	until booted; do
		kill -0 "$container" 2>/dev/null || { echo 'it ended at once'; return 1; }
		((SECONDS < deadline)) || { echo "not up after ${boot_seconds} s"; return 1; }
		sleep 0.02
	done
	tell_leader
}

tell_leader() {
	mkdir -p "$(<"$state/cgroup")"
	echo "$leader" >"$state/leader.new"
	mv "$state/leader.new" "$state/leader"
}

# One that is a machine comes back by itself after a reboot, and when it is powered on: container-root.sh says when a
# boot has ended. Until the next has come up there is no leader.
keep_machine() {
	local turn ended
	for (( ; ; )); do
		setpriv --pdeathsig KILL head -n 1 <&"$turns" >/dev/null &
		turn=$!
		wait -n -p ended "$container" "$watcher" "$turn" || true
		[[ ${ended:-} == "$turn" ]] || return 0
		rm -f "$state/leader"
		until booted; do
			kill -0 "$container" 2>/dev/null && kill -0 "$watcher" 2>/dev/null || return 0
			sleep 0.1
		done
		tell_leader
	done
}

remove_cgroup() {
	local tries
	[[ -n $own_cgroup ]] || return 0
	echo $$ >"${own_cgroup%/*}/cgroup.procs"
	for ((tries = 0; tries < 250; tries++)); do
		find "$own_cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
		[[ -d $own_cgroup ]] || return 0
		[[ ! -w $own_cgroup/cgroup.kill ]] || echo 1 >"$own_cgroup/cgroup.kill" || true
		sleep 0.02
	done
}

finish() {
	trap '' TERM INT HUP
	[[ -z $watcher ]] || kill "$watcher" 2>/dev/null || true
	[[ -z $container ]] || kill -KILL "$container" 2>/dev/null || true
	[[ -z $container ]] || wait "$container" 2>/dev/null || true
	remove_cgroup
	# a living owner reads the log and removes the folder itself
	rm -f "$state/keeper"
	[[ -d /proc/$owner ]] || rm -rf "$state"
	rmdir --ignore-fail-on-non-empty "${state%/*}" 2>/dev/null || true
}

trap finish EXIT
trap 'exit 0' TERM INT HUP
echo $$ >"$state/keeper"
if [[ ${CONTAINER_MACHINE:-no} == yes ]]; then
	mkfifo "$state/turns" "$state/power"
	# for both ways: who tells of a turn does not wait for us
	exec {turns}<>"$state/turns"
fi
enter_cgroup
start_container
setpriv --pdeathsig KILL tail --pid="$owner" --sleep-interval=0.2 -f /dev/null >/dev/null 2>&1 &
watcher=$!
wait_for_boot
echo ready
exec >/dev/null 2>&1 # let go of the owner's pipe
if [[ -n $turns ]]; then keep_machine; else wait -n "$container" "$watcher" || true; fi
