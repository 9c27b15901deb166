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
base=${CONTAINER_BASE:-/}

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
	local args=(-D "$root" -M "$name" --register=no --keep-unit --private-network --capability=all
		--kill-signal=SIGRTMIN+3 --console=pipe --bind="$fs/bpf:/sys/fs/bpf" --quiet --boot)

	# a project tree on another file system would be missing inside, and so would one that lies where a booted
	# system has file systems of its own
	[[ -d $root$top/scripts && $top != /tmp/* && $top != /run/* ]] || args+=(--bind-ro="$top")
	SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_SECCOMP=0 systemd-nspawn "${args[@]}"
}

if (($$ != 1)); then
	echo 'this must run in namespaces of its own' >&2
	exit 1
fi
mount -t proc proc /proc
make_root
please_nspawn
boot
