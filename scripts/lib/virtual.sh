# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Virtual machines without acceleration that boot kernels of Debian, with systemd as PID 1. To be sourced, at the top of
# the tree, as root; $out is where what they say is left, $BUILD what is built.
#
#   kernel_of NAME               the release that has this kernel, and a pattern for its package; 1 = there is none
#   library_packages             prints the packages of the libraries that our programs are linked with
#   virtual_run NAME BASE INSTALL-CMD TRIAL [QEMU-ARG...]
#                                boots kernel NAME with a copy of the folder BASE as its root, to which INSTALL-CMD ROOT
#                                has added what it takes, runs the command TRIAL in it, and leaves what that said in
#                                $out/NAME.log
#   virtual_result NAME KEY      the last line "@ KEY VALUE" in that
# shellcheck disable=SC2154 # $out
# shellcheck source=scripts/lib/debian-root.sh
source scripts/lib/debian-root.sh
virtual_cache=${DEBIAN_ROOTS%/*}/kernels
# such a machine is slow
virtual_seconds=${KERNELS_TIMEOUT:-2400}

# kernel_of NAME: the release that has it, and its package; a pattern, of which the newest counts
kernel_of() {
	case $1 in
	5.10) echo bullseye '^linux-image-5\.10\.0-[0-9]+-cloud-amd64$' ;;
	6.1.170) echo bookworm '^linux-image-6\.1\.0-47-cloud-amd64$' ;;
	6.1) echo bookworm '^linux-image-6\.1\.0-[0-9]+-cloud-amd64$' ;;
	6.12) echo trixie '^linux-image-6\.12\.[0-9]+\+deb13-cloud-amd64$' ;;
	*) return 1 ;;
	esac
}

virtual_fail() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# apt_of RELEASE ARG...: apt-get with this release's packages alone, in folders of its own
apt_of() {
	local release=$1 dir=$virtual_cache/apt-$1 mirror
	shift
	mirror=$(debian_mirror)
	mkdir -p "$dir"/{state/lists/partial,cache/archives/partial}
	: >"$dir/status"
	{
		printf '%s\n' "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main"
		printf '%s\n' "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror%/}-security $release-security main"
	} >"$dir/sources.list"
	"$@" -q -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State="$dir/state" -o Dir::State::status="$dir/status" -o Dir::Cache="$dir/cache" \
		-o Acquire::Check-Valid-Until=false
}

# Unpacks the kernel's package once. Prints the folder.
kernel_get() {
	local name=$1 release pattern package dir
	read -r release pattern < <(kernel_of "$name")
	apt_of "$release" apt-get update >"$out/$name.apt" 2>&1 || virtual_fail "no list of packages of $release: see $out/$name.apt"
	package=$(apt_of "$release" apt-cache pkgnames linux-image | grep -E "$pattern" | sort -V | tail -n 1)
	[[ -n $package ]] || virtual_fail "$release has no kernel like $pattern any more"
	dir=$virtual_cache/$package
	if [[ ! -d $dir ]]; then
		rm -rf "$dir.new"
		mkdir -p "$dir.new"
		(cd "$dir.new" && apt_of "$release" apt-get download "$package") >>"$out/$name.apt" 2>&1 ||
			virtual_fail "$package cannot be fetched: see $out/$name.apt"
		dpkg-deb -x "$dir.new/"*.deb "$dir.new"
		rm -f "$dir.new/"*.deb
		# from Debian 13 on they are below /usr alone
		[[ -e $dir.new/lib ]] || ln -s usr/lib "$dir.new/lib"
		depmod -b "$dir.new" "$(ls "$dir.new/lib/modules")"
		mv -T "$dir.new" "$dir"
	fi
	echo "$dir"
}

# What is needed to get at the disk; the rest the machine loads from there.
initrd_make() {
	local kernel=$1 version=$2 file=$3 dir module
	dir=$(mktemp -d)
	mkdir -p "$dir"/{bin,dev,proc,new,modules}
	cp /bin/busybox "$dir/bin/busybox"
	{
		printf '%s\n' '#!/bin/busybox sh'
		printf '%s\n' '/bin/busybox mount -t devtmpfs dev /dev; /bin/busybox mount -t proc proc /proc'
		for module in virtio_pci virtio_blk ext4; do
			modprobe --dirname "$kernel" --set-version "$version" --show-depends "$module" 2>/dev/null
		done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r module; do
			module_put "$module" "$dir/modules"
		done
		printf '%s\n' 'i=0; until [ -b /dev/vda ] || [ $i -gt 100 ]; do /bin/busybox sleep 0.1; i=$((i + 1)); done'
		printf '%s\n' '/bin/busybox mount -t ext4 /dev/vda /new; /bin/busybox umount /proc'
		printf '%s\n' '/bin/busybox mount --move /dev /new/dev; exec /bin/busybox switch_root /new /sbin/init'
	} >"$dir/init"
	chmod 755 "$dir/init"
	(cd "$dir" && find . | cpio --quiet -o -H newc | gzip -1) >"$file"
	rm -rf "$dir"
}

# Unpacks a module and prints the line that loads it.
module_put() {
	local name
	name=$(basename "$1")
	case $name in
	*.xz) xz -dc "$1" >"$2/${name%.xz}" ;;
	*.zst) zstd -qdc "$1" >"$2/${name%.zst}" ;;
	*) cp "$1" "$2/$name" ;;
	esac
	name=${name%.xz}
	printf '%s\n' "/bin/busybox insmod /modules/${name%.zst}"
}

# The packages of the libraries that our programs are linked with.
library_packages() {
	local program
	for program in "$BUILD"/hsd "$BUILD"/hsctl "$BUILD"/tests/plane/test_pins; do
		[[ ! -e $program ]] || ldd "$program" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }'
	done | sort -u | while read -r library; do
		dpkg-query -S "$(realpath "$library")" "$library" 2>/dev/null | head -n 1
	done | sed 's/:.*//' | sort -u
}


disk_make() {
	local kernel=$1 version=$2 disk=$3 base=$4 install=$5 trial=$6 root
	root=$disk.root
	mkdir "$root"
	cp -a "$base/." "$root/"
	mkdir -p "$root/lib/modules"
	cp -a "$kernel/lib/modules/$version" "$root/lib/modules/"
	"$install" "$root"
	cat >"$root/etc/systemd/system/trial.service" <<-END
		[Unit]
		After=multi-user.target dbus.service
		[Service]
		Type=oneshot
		ExecStart=/bin/sh -c 'exec $trial >/dev/ttyS1 2>&1'
		ExecStopPost=/bin/systemctl --no-block -f poweroff
	END
	mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
	ln -s ../trial.service "$root/etc/systemd/system/multi-user.target.wants/trial.service"
	rm -f "$disk"
	truncate -s 3G "$disk"
	mke2fs -q -t ext4 -d "$root" "$disk"
	rm -rf --one-file-system "$root"
}

# In a shell of its own, which takes away what it made however it ends.
virtual_run() (
	local name=$1 base=$2 install=$3 trial=$4 kernel version work status=0
	shift 4
	mkdir -p "$out" "$virtual_cache"
	kernel=$(kernel_get "$name")
	version=$(ls "$kernel/lib/modules")
	work=$(mktemp -d -p "$out")
	trap 'rm -rf --one-file-system "$work"' EXIT
	echo "$name: $version boots in a virtual machine ..." >&2
	initrd_make "$kernel" "$version" "$work/initrd"
	disk_make "$kernel" "$version" "$work/disk" "$base" "$install" "$trial"
	: >"$out/$name.log"
	# One thread for both CPUs: with two the emulator may run into an int3 that the kernel of the other CPU has put where
	# it patches a static key, and has taken away already (6.12: "Oops: int3" in tc_run). A panic ends the machine.
	timeout -k 5 "$virtual_seconds" qemu-system-x86_64 -accel tcg,thread=single -cpu max -smp 2 -m 2048 \
		-nodefaults -no-reboot -display none -serial "file:$out/$name.console" -serial "file:$out/$name.log" \
		-kernel "$kernel/boot/vmlinuz-$version" -initrd "$work/initrd" \
		-append 'console=ttyS0 root=/dev/vda rw quiet panic=-1' \
		-drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" -device virtio-rng-pci "$@" || status=$?
	((status == 0)) || echo "$name: the machine did not come to an end (status $status); see $out/$name.console" >&2
)

virtual_result() { tr -d '\r' <"$out/$1.log" | sed -n "s/^@ $2 //p" | tail -n 1; }
