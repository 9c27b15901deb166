#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs a command in a root of debian-root.sh, with this project's tree as its working directory (/mnt). The kernel,
# its control groups and devices are the machine's; /run, /tmp and the BPF file system are its own. The root stays
# as it is. All mounts are in a namespace of its own, so nothing stays mounted, however this ends.
#
#   debian-run.sh ROOT CMD...
#
# The environment is a clean one, but for what is given as VAR=VALUE before the command.
set -eu

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

if [[ $1 != --inside ]]; then
	exec unshare --mount --propagation private bash "${BASH_SOURCE[0]}" --inside "$@"
fi
root=$2
shift 2

mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --bind "$top" "$root/mnt"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount -t bpf -o mode=0700 bpf "$root/sys/fs/bpf"
mount --rbind /dev "$root/dev"
for folder in run tmp var/tmp; do
	mount -t tmpfs -o mode=1777 tmpfs "$root/$folder"
done
chmod 755 "$root/run"
cd "$root"
# not chroot: what changes its own root inside, as a container does, could not do so below one
mkdir tmp/outside
pivot_root . tmp/outside
umount --lazy /tmp/outside
rmdir /tmp/outside
cd /mnt
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
	TERM="${TERM:-dumb}" "$@"
