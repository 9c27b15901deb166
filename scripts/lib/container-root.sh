#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The inner half of container-keeper.sh, PID 1 of a PID namespace and alone in a mount namespace: makes
# the root of a container and boots it. Whatever ends this process, the kernel ends the rest with it.
#
#   container-root.sh NAME STATE-FOLDER PROJECT-TOP
set -eu

name=$1 state=$2 top=$3
fs=$state/fs root=$state/fs/root
base=${CONTAINER_BASE:-/} machine=${CONTAINER_MACHINE:-no} firmware_seconds=${CONTAINER_FIRMWARE_SECONDS:-0}

# Nothing of the host's own configuration runs inside: no enabled unit, no init script, no fstab.
isolate_configuration() {
	local unit generator
	rm -rf "$root"/etc/systemd/system "$root"/etc/rc?.d "$root"/var/log/journal
	rm -f "$root"/etc/crypttab "$root"/etc/nologin "$root"/usr/sbin/policy-rc.d
	mkdir -p "$root"/etc/systemd/system "$root"/etc/systemd/journald.conf.d
	: >"$root/etc/fstab"
	echo "$name" >"$root/etc/hostname"
	# an empty machine-id would be a first boot, which enables every installed service
	tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id.new"
	mv "$root/etc/machine-id.new" "$root/etc/machine-id"
	printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\n' >"$root/etc/systemd/journald.conf.d/50-rig.conf"
	touch "$root/etc/.updated" "$root/var/.updated"
	for unit in systemd-logind console-getty getty-static systemd-networkd systemd-resolved systemd-timesyncd \
		systemd-update-utmp systemd-update-utmp-runlevel systemd-modules-load systemd-sysctl; do
		ln -s /dev/null "$root/etc/systemd/system/$unit.service"
	done
	# each reload runs them all, and there is nothing for them to find; but for init scripts of packages
	mkdir -p "$root/etc/systemd/system-generators"
	for generator in "$root"/usr/lib/systemd/system-generators/*; do
		[[ $generator == */systemd-sysv-generator ]] ||
			ln -sf /dev/null "$root/etc/systemd/system-generators/${generator##*/}"
	done
	ln -s /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
}

overlay() {
	local lower=$1 target=$2 layers
	layers=$fs/layers$(tr / _ <<<"$lower")
	mkdir -p "$layers/upper" "$layers/work"
	mount -t overlay -o "lowerdir=$lower,upperdir=$layers/upper,workdir=$layers/work" rig "$target"
}

# The lower layer is one file system only, so the system's folders with one of their own get an overlay each.
make_root() {
	local folder
	mkdir -p "$fs"
	mount -t tmpfs -o mode=0755 rig "$fs"
	mkdir -p "$root" "$fs/bpf"
	overlay "$base" "$root"
	for folder in /usr /etc /var /opt /srv; do
		[[ $base != / ]] || ! mountpoint -q "$folder" || overlay "$folder" "$root$folder"
	done
	isolate_configuration
	mount -t bpf -o mode=0755 bpf "$fs/bpf"
}

# Where systemd has never run, as in a chroot: systemd-nspawn wants the machine to have an id, and does not work
# with a /run that is on a disk.
please_nspawn() {
	mkdir -p /run/systemd/nspawn
	mount -t tmpfs -o mode=0755 rig /run/systemd/nspawn
	! grep -qsxE '[0-9a-f]{32}' /etc/machine-id || return 0
	tr -d - </proc/sys/kernel/random/uuid >"$fs/machine-id"
	[[ -e /etc/machine-id ]] || : >/etc/machine-id
	mount --bind "$fs/machine-id" /etc/machine-id
}

boot() {
	local args=(-D "$root" -M "$name" --register=no --keep-unit --capability=all
		--kill-signal=SIGRTMIN+3 --console=pipe --bind="$fs/bpf:/sys/fs/bpf" --quiet --boot)

	if [[ $machine == yes ]]; then args+=(--network-namespace-path="$fs/net"); else args+=(--private-network); fi

	# a project tree on another file system would be missing inside, and so would one that lies where a booted
	# system has file systems of its own
	[[ -d $root$top/scripts && $top != /tmp/* && $top != /run/* ]] || args+=(--bind-ro="$top")
	SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_SECCOMP=0 systemd-nspawn "${args[@]}"
}

# What is attached to control groups is the kernel's as well, and would be there for as long as these.
forget_groups() {
	local groups tries
	groups=$(<"$state/cgroup")
	for ((tries = 0; tries < 250; tries++)); do
		find "${groups%/*}" -depth -type d -exec rmdir {} + 2>/dev/null || true
		[[ -d ${groups%/*} ]] || return 0
		sleep 0.02
	done
	echo "${groups%/*} is still in use"
}

# A machine has its network namespace and its disk for longer than one boot; what is pinned goes with the kernel, so it
# is gone at each. 133 is how systemd-nspawn says that what is inside wants to boot anew; what else ended it, killed or
# powered off, leaves it off until somebody presses the button.
boot_machine() {
	local status
	# by itself nspawn leaves them so only where it has made the namespace
	export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
	touch "$fs/net"
	unshare --net="$fs/net" ip link set lo up
	for (( ; ; )); do
		status=0
		boot || status=$?
		echo "ended with $status" >"$state/turns"
		if ((status == 133)); then sleep "$firmware_seconds"; else read -r <"$state/power"; fi
		forget_groups
		umount "$fs/bpf"
		mount -t bpf -o mode=0755 bpf "$fs/bpf"
	done
}

if (($$ != 1)); then
	echo 'this must run in namespaces of its own' >&2
	exit 1
fi
mount -t proc proc /proc
make_root
please_nspawn
if [[ $machine == yes ]]; then boot_machine; else boot; fi
