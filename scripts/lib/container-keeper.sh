#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Keeps one container of container.sh: makes its root, boots it, reports, and when its owner is gone or
# asks for it (TERM), ends it and removes what is left. Runs in a session and a mount namespace of its own.
#
#   container-keeper.sh NAME OWNER-PID STATE-FOLDER PROJECT-TOP BOOT-SECONDS
#
# Writes one line to stdout: "ready", or what went wrong. In STATE-FOLDER: keeper, leader (PIDs), payload
# (the control group of the container), cgroup (one inside of it for commands), log.
set -eu

name=$1 owner=$2 state=$3 top=$4 boot_seconds=$5
fs=$state/fs root=$state/fs/root
nspawn='' leader='' own_cgroup=''

# Nothing of the host's own configuration runs inside: no enabled unit, no init script, no fstab.
isolate_configuration() {
	local unit
	rm -rf "$root"/etc/systemd/system "$root"/etc/rc?.d "$root"/var/log/journal
	mkdir -p "$root"/etc/systemd/system "$root"/etc/systemd/journald.conf.d
	: >"$root/etc/fstab"
	rm -f "$root/etc/crypttab" "$root/etc/nologin" "$root/usr/sbin/policy-rc.d"
	# an empty machine-id would be a first boot, which enables every installed service
	tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id.new"
	mv "$root/etc/machine-id.new" "$root/etc/machine-id"
	printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\nForwardToConsole=no\n' \
		>"$root/etc/systemd/journald.conf.d/50-rig.conf"
	echo "$name" >"$root/etc/hostname"
	touch "$root/etc/.updated" "$root/var/.updated"
	for unit in systemd-logind console-getty getty-static systemd-networkd systemd-resolved \
		systemd-timesyncd systemd-update-utmp systemd-update-utmp-runlevel \
		systemd-modules-load systemd-sysctl; do
		ln -s /dev/null "$root/etc/systemd/system/$unit.service"
	done
	ln -s /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
}

overlay() {
	local lower=$1 target=$2 tag
	tag=$(tr / _ <<<"$lower")
	mkdir -p "$fs/$tag/upper" "$fs/$tag/work"
	mount -t overlay -o "lowerdir=$lower,upperdir=$fs/$tag/upper,workdir=$fs/$tag/work" rig "$target"
}

# The lower layer is one file system only, so the system's folders with one of their own get an overlay each.
make_root() {
	local folder
	mkdir -p "$fs"
	mount -t tmpfs -o mode=0755 rig "$fs" || return 1
	mkdir -p "$root" "$fs/bpf"
	overlay / "$root" || return 1
	for folder in /usr /etc /var /opt /srv; do
		! mountpoint -q "$folder" || overlay "$folder" "$root$folder" || return 1
	done
	isolate_configuration && mount -t bpf -o mode=0755 bpf "$fs/bpf"
}

unified_mount() {
	awk '{ for (i = 7; i <= NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' \
		/proc/self/mountinfo
}

# Under a systemd host we are in a delegated scope already; elsewhere the group is made by hand, at the top,
# where no other container's or session's rules apply.
enter_cgroup() {
	local mount path
	mount=$(unified_mount)
	if [[ ! -d /run/systemd/system ]]; then
		own_cgroup=$mount/hotstandby-rig.$owner.$name
		mkdir -p "$own_cgroup"
		echo $$ >"$own_cgroup/cgroup.procs"
	fi
	path=$(sed -n 's/^0:://p' /proc/self/cgroup)
	echo "$mount$path/payload" >"$state/payload"
	echo "$mount$path/payload/rig.commands" >"$state/cgroup"
}

start_nspawn() {
	local args=(-D "$root" -M "$name" --register=no --keep-unit --private-network --capability=all
		--kill-signal=SIGRTMIN+3 --console=pipe --bind="$fs/bpf:/sys/fs/bpf" --boot)

	# a project tree on another file system would be missing inside
	[[ -d $root$top/scripts ]] || args+=(--bind-ro="$top")
	# dies with us, should we be killed
	SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_SECCOMP=0 \
		setpriv --pdeathsig KILL systemd-nspawn "${args[@]}" --quiet </dev/null >>"$state/log" 2>&1 &
	nspawn=$!
}

find_leader() {
	local child
	for child in $(cat "/proc/$nspawn/task/$nspawn/children" 2>/dev/null); do
		if grep -qs '^NSpid:.*[[:space:]]1$' "/proc/$child/status"; then
			leader=$child
			return 0
		fi
	done
	return 1
}

inside() { nsenter -t "$leader" -a -- "$@"; }

# The first answer may be that nobody answers yet. "degraded" means a unit failed that nobody asked for.
booted() {
	local answer
	find_leader || return 1
	answer=$(inside systemctl is-system-running --wait 2>/dev/null) || true
	case $answer in
	running) return 0 ;;
	degraded)
		echo 'failed at boot:' "$(inside systemctl --failed --no-legend --plain)" >>"$state/log"
		return 0
		;;
	*) return 1 ;;
	esac
}

wait_for_boot() {
	local deadline=$((SECONDS + boot_seconds))
	until booted; do
		kill -0 "$nspawn" 2>/dev/null || { echo 'systemd-nspawn ended'; return 1; }
		((SECONDS < deadline)) || { echo "not up after ${boot_seconds} s"; return 1; }
		sleep 0.02
	done
	mkdir -p "$(<"$state/cgroup")"
	echo "$leader" >"$state/leader"
}

remove_cgroup() {
	local tries
	[[ -n $own_cgroup ]] || return 0
	echo $$ >"${own_cgroup%/*}/cgroup.procs"
	for ((tries = 0; tries < 100; tries++)); do
		find "$own_cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
		[[ -d $own_cgroup ]] || return 0
		[[ ! -w $own_cgroup/cgroup.kill ]] || echo 1 >"$own_cgroup/cgroup.kill" || true
		sleep 0.02
	done
}

finish() {
	trap '' TERM INT HUP
	[[ -z $leader ]] || kill -KILL "$leader" 2>/dev/null || true
	[[ -z $leader ]] && [[ -n $nspawn ]] && kill -KILL "$nspawn" 2>/dev/null || true
	[[ -z $nspawn ]] || wait "$nspawn" 2>/dev/null || true
	[[ -z ${watcher:-} ]] || kill "$watcher" 2>/dev/null || true
	remove_cgroup
	umount -l "$fs" 2>/dev/null || true
	# the owner reads the log of a failed start and removes the folder itself
	rm -f "$state/keeper"
	[[ -d /proc/$owner ]] || rm -rf "$state"
	rmdir --ignore-fail-on-non-empty "${state%/*}" 2>/dev/null || true
}

if [[ /proc/self/ns/mnt -ef /proc/$owner/ns/mnt ]]; then
	echo 'the keeper must have a mount namespace of its own'
	exit 1
fi
trap finish EXIT
trap 'exit 0' TERM INT HUP
echo $$ >"$state/keeper"
make_root >>"$state/log" 2>&1 || { echo 'its root file system could not be made'; exit 1; }
enter_cgroup
start_nspawn
tail --pid="$owner" --sleep-interval=0.2 -f /dev/null >/dev/null 2>&1 &
watcher=$!
wait_for_boot || exit 1
echo ready
# let go of the owner's pipe and files
exec >/dev/null 2>&1
wait -n "$nspawn" "$watcher" || true
