# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Throw-away systemd containers of the running system, for tests and the demo. To be sourced, as root.
#
#   container_start NAME           boots one; its root is an overlay of / on a tmpfs, its network is its own. With
#                                  CONTAINER_BASE=FOLDER, of debian_root, it is one of that folder; with
#                                  CONTAINER_MACHINE=yes it is a machine: `systemctl reboot` inside boots it again, with
#                                  the network and the disk that it had, after CONTAINER_FIRMWARE_SECONDS
#   container_run NAME CMD...      runs a command inside, with a clean environment; stdin and status pass through
#   container_root NAME            prints a path outside that leads to the container's /
#   container_install NAME         make install into it, and lets systemd and the bus read what is new
#   container_journal NAME [ARG..] prints its journal, to say why something failed
#   container_boots NAME           prints what differs at each boot of it; 1 while it is not up
#   container_kill NAME            a machine loses its power; container_power NAME boots it again
#   container_stop NAME            ends it; nothing stays behind. Fine to call twice
#   container_stop_all             the same for all that this shell started
#   container_trap                 container_stop_all at EXIT, INT and TERM
#   container_possible             whether there can be any here; says what stands against it
#   wait_until SECONDS CMD...      repeats CMD until it succeeds; 1 when the time is up
#
# In BATS: container_start in setup_file, container_stop in teardown_file; all tests of the file share the
# container. Names are private to the process that sourced this first, so test files can run side by side.
#
# The mounts of a container live in a mount namespace that only the container is in. A keeper process
# (container-keeper.sh) ends the container when the shell that started it is gone, however that died, and
# the kernel ends the container when the keeper is killed.

_container_lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
_container_top=$(cd "$_container_lib/../.." && pwd)
CONTAINER_OWNER=${CONTAINER_OWNER:-$$}
export CONTAINER_OWNER
CONTAINER_BOOT_TIMEOUT=${CONTAINER_BOOT_TIMEOUT:-60}

# BUILD= is as make has it: below the tree
_container_build=${BUILD:-build}
[[ $_container_build == /* ]] || _container_build=$_container_top/$_container_build
_container_enter=$_container_build/rig/enter

# one make at a time
_container_make() {
	mkdir -p "$_container_build/rig"
	flock "$_container_build/rig" make -s -C "$_container_top" BUILD="${BUILD:-build}" "$@"
}

_container_state() { echo "/run/hotstandby-rig/$CONTAINER_OWNER.$1"; }

_container_fail() {
	echo "container $1: $2" >&2
	return 1
}

# Each look costs the machine a handful of processes: who waits for long looks more seldom.
wait_until() {
	local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000)) looks=0
	shift
	until "$@"; do
		((${EPOCHREALTIME/[.,]/} < deadline)) || return 1
		_pause $((++looks > 15 ? 200000 : 50000))
	done
}

# _pause MICROSECONDS: without a process
_pause() {
	local seconds
	[[ -n ${_pause_fd:-} && -e /proc/self/fd/$_pause_fd ]] || exec {_pause_fd}<> <(:)
	printf -v seconds '%d.%06d' $(($1 / 1000000)) $(($1 % 1000000))
	! read -r -t "$seconds" -u "$_pause_fd" || true
}

# What earlier runs left: a killed keeper cannot remove its (empty) folders and control groups.
_container_sweep() {
	local dir owner
	for dir in /run/hotstandby-rig/*.* /sys/fs/cgroup/hotstandby-rig.*.* /sys/fs/cgroup/unified/hotstandby-rig.*.*; do
		[[ -d $dir ]] || continue
		owner=${dir##*/}
		owner=${owner#hotstandby-rig.}
		owner=${owner%%.*}
		[[ -d /proc/$owner ]] && continue
		case $dir in
		/run/*) rm -rf "$dir" ;;
		*) find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null || true ;;
		esac
	done
}

_container_launch() {
	local name=$1 state=$2
	local command=(bash "$_container_lib/container-keeper.sh"
		"$name" "$CONTAINER_OWNER" "$state" "$_container_top" "$CONTAINER_BOOT_TIMEOUT")

	# A control group of its own, in the way the machine at hand wants it: systemd's, or by hand in the keeper.
	if [[ -d /run/systemd/system ]]; then
		exec setsid systemd-run --quiet --scope --collect --property=Delegate=yes \
			--unit="hotstandby-rig-$CONTAINER_OWNER-$name-${EPOCHREALTIME/[.,]/}" "${command[@]}"
	fi
	exec setsid "${command[@]}"
}

# In a chroot, say, where nobody has mounted anything.
container_possible() {
	local why=''
	if ((EUID != 0)); then
		why='this needs root: it loads BPF programs and boots containers'
	elif [[ ! -r /proc/self/mountinfo ]]; then
		why='there is no /proc; mount it: mount -t proc proc /proc'
	elif ! awk '$5 == "/" { found = 1 } END { exit !found }' /proc/self/mountinfo; then
		why='the root folder is no mount point, as in a chroot, so no namespace of mounts can be made. Leave, and
before you enter again: mount --bind FOLDER FOLDER'
	elif [[ ! -d /sys/fs/bpf ]]; then
		why='there is no /sys; mount it: mount --rbind /sys FOLDER/sys, from outside of a chroot'
	elif ! awk '/ - cgroup2 / { found = 1 } END { exit !found }' /proc/self/mountinfo; then
		why='no cgroup2 is mounted; mount it: mount -t cgroup2 cgroup2 /sys/fs/cgroup, or, for a chroot,
from outside: mount --rbind /sys FOLDER/sys'
	elif [[ ! -c /dev/null || ! -c /dev/urandom ]]; then
		why='there is no /dev; mount it, from outside of a chroot: mount --rbind /dev FOLDER/dev'
	fi
	[[ -z $why ]] || { echo "${0##*/}: $why" >&2; return 1; }
}

container_start() {
	local name=$1 state answer='' fd
	state=$(_container_state "$name")
	container_possible || return 1
	[[ $name =~ ^[a-z0-9][a-z0-9-]*$ ]] || { _container_fail "$name" 'the name must be of a-z, 0-9 and -'; return 1; }
	_container_sweep
	[[ ! -e $state ]] || { _container_fail "$name" 'is running already'; return 1; }
	[[ $_container_enter -nt $_container_lib/enter.c ]] || _container_make enter || return 1
	mkdir -p "$state"
	# 3 is BATS's own channel: a keeper that held it would keep bats from ending
	exec {fd}< <(_container_launch "$name" "$state" </dev/null 2>>"$state/log" 3>&-)
	read -r -t $((CONTAINER_BOOT_TIMEOUT + 10)) -u "$fd" answer || true
	exec {fd}<&-
	[[ $answer == ready ]] && return 0
	_container_fail "$name" "did not boot: ${answer:-no answer}" || true
	cat "$state/log" >&2 2>/dev/null || true
	container_stop "$name"
	return 1
}

_container_leader() {
	local leader
	read -r leader 2>/dev/null <"$(_container_state "$1")/leader" && [[ -d /proc/$leader ]] && echo "$leader"
}

container_root() {
	local leader
	leader=$(_container_leader "$1") || { _container_fail "$1" 'is not running'; return 1; }
	echo "/proc/$leader/root"
}

# Tests call it thousands of times: see enter.c.
container_run() {
	local state=/run/hotstandby-rig/$CONTAINER_OWNER.$1
	shift
	"$_container_enter" "$state" "$@"
}

# A new container is given a copy of what make installs: the same for all that begin at a time, and less work.
container_install() {
	local name=$1 root
	shift
	root=$(container_root "$name") || return 1
	if [[ -e $root/usr/sbin/hsd ]]; then
		make -s -C "$_container_top" install DESTDIR="$root" "$@" || return 1
	else
		_container_make installed "$@" && cp -a "$_container_build/rig/installed/." "$root/" || return 1
	fi
	container_run "$name" systemctl daemon-reload || return 1
	container_run "$name" systemctl reload dbus
}

container_journal() {
	local name=$1
	shift
	container_run "$name" journalctl --no-pager --quiet -o short-monotonic "$@"
}

container_boots() { _container_leader "$1"; }

container_kill() {
	local leader
	leader=$(_container_leader "$1") || { _container_fail "$1" 'is not running'; return 1; }
	kill -KILL "$leader"
}

# It waits for that once it is off, which a moment ago it may not have been.
container_power() { timeout 20 bash -c 'echo on >"$1/power"' - "$(_container_state "$1")"; }

container_stop() {
	local state keeper=''
	state=$(_container_state "$1")
	[[ -d $state ]] || return 0
	read -r keeper 2>/dev/null <"$state/keeper" || true
	[[ -z $keeper ]] || kill -TERM "$keeper" 2>/dev/null || true
	if ! wait_until 15 _container_gone "$state" "$keeper"; then
		_container_fail "$1" "its keeper $keeper does not end; killed"
		kill -KILL "$keeper" 2>/dev/null
		return 1
	fi
	rm -rf "$state"
	rmdir --ignore-fail-on-non-empty /run/hotstandby-rig 2>/dev/null || true
}

_container_gone() { [[ ! -d $1 ]] || [[ -z $2 || ! -d /proc/$2 ]]; }

container_stop_all() {
	local state
	for state in "/run/hotstandby-rig/$CONTAINER_OWNER".*; do
		[[ ! -d $state ]] || container_stop "${state##*/"$CONTAINER_OWNER".}"
	done
}

container_trap() {
	trap 'container_stop_all' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}
