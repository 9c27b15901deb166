#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Packages as a distribution builds them, and what becomes of a minimal Debian 12 and 13 into which they are installed.
# Long: begun with the first.
# Thorough: it compiles everything four times.
# Built: by make, of this tree

load lib/rig
load lib/debian
# shellcheck source=scripts/lib/debian-root.sh
source "$top/scripts/lib/debian-root.sh"

export BATS_TEST_TIMEOUT=2400
made=${BUILD:-build}/debian

setup_file() { :; }
teardown() { :; }

# built_in RELEASE: builds the packages there, once, and prints where they are
built_in() {
	local place=$made/$1
	if [[ ! -e $BATS_FILE_TMPDIR/built-$1 ]]; then
		if [[ $1 == "$(debian_release)" ]]; then
			make -s -C "$top" BUILD="$place" deb >&2 || return 1
		else
			# shellcheck disable=SC2046 # a list of words
			"$top/scripts/lib/debian-run.sh" "$(debian_root "$1" $("$top/scripts/setup" --list="$1" all))" \
				make -s BUILD="$place" deb >&2 || return 1
		fi
		touch "$BATS_FILE_TMPDIR/built-$1"
	fi
	echo "$top/$place/deb"
}

# minimal RELEASE DEB: a root with what the packages depend on, and a server and clients to try it with
minimal() {
	local deb needed
	needed=$(for deb in "${2%/*}"/hotstandby{,-exporter}_*.deb; do dpkg-deb --field "$deb" Depends | tr ',' '\n' | sed -E 's/^ *//; s/[ |(].*//; /^$/d; /^hotstandby$/d'; done)
	# shellcheck disable=SC2086 # a list of words
	debian_root "$1" systemd-sysv nginx wrk curl $needed
}

# in_minimal RELEASE
in_minimal() {
	local folder root deb
	folder=$(built_in "$1")
	deb=$(one_of "$folder" hotstandby)
	root=$(minimal "$1" "$deb")
	CONTAINER_BASE=$root container_start "$rig"
	life "$folder"
	container_stop "$rig"
}

@test "a minimal Debian 12: installed, upgraded under load, and purged; nothing is lost, nothing left" {
	in_minimal bookworm
}

@test "a minimal Debian 13: likewise" {
	in_minimal trixie
}

@test "two builds, by another user's habits and elsewhere, give equal bytes" {
	local first file second=$BATS_TEST_TMPDIR/second
	first=$(built_in "$(debian_release)")
	(umask 077 && TZ=Pacific/Auckland LC_ALL=C.UTF-8 HOME=/nonexistent make -s -C "$top" BUILD="$second" deb)
	for file in "$first"/*.{deb,dsc,tar.xz}; do
		cmp "$file" "$second/deb/${file##*/}"
	done
}

# names of files, whatever the way in which a format packs documentation and pages
plainly() {
	grep -vE '^/usr/(share/(doc|licenses|lintian)|lib/\.build-id)/' | sed -E 's,^/lib/,/usr/lib/,; s,(/man/.*)\.gz$,\1,' | sort
}

@test "make rpm: rpmbuild accepts the spec, its packages have the files of Debian's, and two builds give equal bytes" {
	local file folder package second=$BATS_TEST_TMPDIR/second
	folder=$(built_in "$(debian_release)")
	make -s -C "$top" BUILD="$made" rpm
	for package in hotstandby hotstandby-exporter; do
		diff <(dpkg-deb --contents "$(one_of "$folder" $package)" | sed -n 's/^-.* \.\//\//p' | plainly) \
			<(rpm -qp --qf '[%{FILEMODES:perms} %{FILENAMES}\n]' "$top/$made/rpm/$package-$version"-*."$(uname -m).rpm" |
				sed -n 's/^-[^ ]* //p' | plainly)
	done
	make -s -C "$top" BUILD="$second" rpm
	# but for the source package, which says where it was made
	for file in "$top/$made/rpm"/*.{"$(uname -m)",noarch}.rpm; do
		cmp "$file" "$second/rpm/${file##*/}"
	done
}

# rpm_ ARGUMENT...: as where it is the machine's own
rpm_() { inside rpm --force-debian --nodeps "$@"; }

@test "packages for rpm: at work once installed, upgraded, refused to go for a service and for a front, and gone wholly" {
	local pid
	[[ -d $top/$made/rpm ]] || make -s -C "$top" BUILD="$made" rpm
	container_start "$rig"
	cp "$top/$made/rpm"/hotstandby{,-exporter}-"$version"-*."$(uname -m).rpm" "$(container_root "$rig")/root/"
	inside bash -c 'rpm --force-debian --nodeps --install /root/hotstandby-*.rpm'
	inside systemctl --quiet is-enabled hsd hotstandby-exporter.socket
	wait_for 5 inside systemctl --quiet is-active hsd
	inside curl -sSf http://127.0.0.1:9960/metrics | grep -q '^# EOF'
	inside test -d /etc/hotstandby
	own_service app 9321
	up app
	pid=$(main_pid hsd)
	inside bash -c 'rpm --force-debian --nodeps --upgrade --replacepkgs /root/hotstandby-*.rpm'
	wait_for 5 is_new hsd "$pid"
	wait_for 10 is_ready app

	run ! rpm_ --erase hotstandby
	[[ $output == *'hsctl disable app@.service'* ]]
	hs disable app@.service
	printf '[Front]\nAddress=198.51.100.10\nPorts=80/tcp\nHost=10.9.0.11\n' | write /etc/hotstandby/web.conf
	run ! rpm_ --erase hotstandby
	[[ $output == *'hsctl disable web'* ]]
	inside rm /etc/hotstandby/web.conf
	rpm_ --erase hotstandby-exporter hotstandby
	run ! inside sh -c 'test -e /usr/sbin/hsd || test -e /usr/lib/hotstandby || getent passwd hotstandby-exporter'
	run ! inside test -e $pins
	run ! inside systemctl --quiet is-active hsd
	container_stop "$rig"
}

# BPF objects, which have flags of their own, are those of the build before.
@test "flags on make's command line, as some distributions give them, take nothing away that has to be" {
	local made=$BATS_TEST_TMPDIR/made
	mkdir -p "$made"
	cp -a "$top/${BUILD:-build}/bpf" "$made/"
	make -s -C "$top" BUILD="$made" CPPFLAGS=-DNOTHING CFLAGS='-O2 -fstack-protector-strong -DNDEBUG' "$made/hs-hook" "$made/manager/core/word.o"
	run -2 "$made/hs-hook"
	[[ -e $made/manager/core/word.d ]]
	grep -q __assert_fail "$made/manager/core/word.o"
}

# small_tree FOLDER: as much of this one as scripts/package wants, and what was built in it
small_tree() {
	mkdir -p "$1/scripts" "$1/debian"
	cp "$top/scripts/package" "$1/scripts/"
	cp "$top/debian/changelog" "$1/debian/"
	mkdir -p "$1/out dir/manager" "$1/build"
	touch "$1/out dir/manager/x.o" "$1/build/x.o"
}

@test "what is built is not packed as source, wherever BUILD= is; with git and without" {
	local tree=$BATS_TEST_TMPDIR/tree bin=$BATS_TEST_TMPDIR/bin
	small_tree "$tree"
	mkdir "$bin"
	printf '#!/bin/sh\nfind . -type f | LC_ALL=C sort >"$PACKED"; exit 1\n' >"$bin/dpkg-buildpackage"
	chmod +x "$bin/dpkg-buildpackage"
	packed() {
		run -1 env PATH="$bin:$PATH" PACKED="$BATS_TEST_TMPDIR/packed" "$tree/scripts/package" deb "out dir" 0
		diff <(printf '%s\n' "$@" ./debian/changelog ./scripts/package) "$BATS_TEST_TMPDIR/packed"
	}
	packed
	echo /build/ >"$tree/.gitignore"
	git -C "$tree" init -q
	packed ./.gitignore
}

@test "make dist in another user's checkout: what git says is told" {
	local tree=$BATS_TEST_TMPDIR/tree
	small_tree "$tree"
	git -C "$tree" init -q
	chown -R nobody "$tree"
	run ! env -u SUDO_UID HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null "$tree/scripts/package" dist build 0
	[[ $output == *safe.directory* && $output != *'needs a checkout'* ]]
}

@test "make dist: twice the same bytes, with what is committed and nothing else" {
	git -C "$top" rev-parse --git-dir >/dev/null 2>&1 || skip 'this is no checkout of git'
	local one=$BATS_TEST_TMPDIR/one two=$BATS_TEST_TMPDIR/two
	make -s -C "$top" BUILD="$one" dist
	(umask 077 && TZ=Pacific/Auckland make -s -C "$top" BUILD="$two" dist)
	cmp "$one/hotstandby-$version.tar.xz" "$two/hotstandby-$version.tar.xz"
	diff <(tar -tf "$one/hotstandby-$version.tar.xz" | sed "s,^hotstandby-$version/,," | grep -v '/$' | sed '/^$/d' | sort) \
		<(git -C "$top" ls-tree -r --name-only HEAD | sort)
}
