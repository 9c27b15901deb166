#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The package of Debian in its whole life on this release: installed, upgraded under load, refused to go while it is in
# use, purged, also where make has installed hotstandby before or since. What is in it is what make has made already;
# debian.bats builds it as a distribution does, and has other releases.
# Thorough: the machine is told of packages again and again, and nothing else depends on packages.
# Built: by make, of this tree

load lib/rig
load lib/debian
load lib/released

setup_file() {
	READY=yes "$top/scripts/package" deb "${BUILD:-build}" "$version" || return 1
	container_start "$rig"
	# to index the pages of the machine would take longer than all the rest
	inside bash -c 'rm -rf /usr/share/man && mkdir /usr/share/man'
	mkdir -p "$(container_root "$rig")$tools"
	cp "$top"/tests/system/lib/*.py "$(container_root "$rig")$tools/"
}

@test "a package is installed, upgraded under load, and purged; nothing is lost, nothing left" {
	life "$top/${BUILD:-build}/deb-ready"
}

# installed: the package alone, without a word to the index of pages
installed() {
	cp "$(one_of "$top/${BUILD:-build}/deb-ready" hotstandby)" "$(container_root "$rig")/root/hotstandby.deb"
	inside dpkg --no-triggers --install /root/hotstandby.deb
}

# front_of_nobody: a front before a host that there is not
front_of_nobody() {
	inside sh -ec 'ip link show front0 >/dev/null 2>&1 || {
		ip link add front0 type veth peer name front1; ip link set front1 up
		ip addr add 10.9.0.1/24 dev front0; ip link set front0 up; ip addr add 198.51.100.10/32 dev lo; }'
	write /etc/hotstandby/web.front.conf <<-END
		[Front]
		Address=198.51.100.10
		Ports=80/tcp
		Host=10.9.0.11
		Device=front0
	END
	inside systemctl reload hsd
	wait_for 10 front_is_pinned
}
front_is_pinned() { inside test -d $pins/web%2Efront/front; }

# refuses COMMAND...: to take it away, and says what has to be done before
refuses() {
	run ! inside "$@"
	[[ $output == *'hotstandby is still in use'*'hsctl disable web.front'* ]] || fail "said: $output"
	front_is_pinned || fail 'its pins have gone'
	inside systemctl --quiet is-active hsd
}

@test "a front, which has no unit, keeps it from going as well, whether it is set, at work, or both; likewise make uninstall" {
	local uninstall=(make -s -C "$top" BUILD="${BUILD:-build}" uninstall)
	installed
	# README's first step of a front is a file there
	inside test -d /etc/hotstandby
	front_of_nobody
	refuses dpkg --remove hotstandby
	refuses dpkg --purge hotstandby
	refuses "${uninstall[@]}"
	# pinned alone
	inside mv /etc/hotstandby/web.front.conf /root/
	inside systemctl reload hsd
	refuses dpkg --purge hotstandby
	refuses "${uninstall[@]}"
	# as it says
	hs disable web.front
	run ! front_is_pinned
	# set alone: hsd has not heard of it
	inside mv /root/web.front.conf /etc/hotstandby/
	run ! inside dpkg --remove hotstandby
	[[ $output == *'hsctl disable web.front'* ]]
	# masked, it is none
	inside ln -sf /dev/null /etc/hotstandby/web.front.conf
	inside dpkg --no-triggers --purge hotstandby
	run ! inside test -e $pins
}

# in_room COMMAND: in a copy of the machine, a chroot that sees the machine's /sys, /run and /proc
in_room() {
	# shellcheck disable=SC2016 # for the shell inside
	inside unshare --mount --propagation private sh -ec 'mkdir -p /run/room/upper /run/room/work /run/room/root
		mount -t overlay -o lowerdir=/,upperdir=/run/room/upper,workdir=/run/room/work room /run/room/root
		for folder in sys run proc; do mount --rbind /$folder /run/room/root/$folder; done
		chroot /run/room/root sh -ec "$1"' - "$1"
}

@test "purged in a chroot that has the machine's /sys and /run: what is pinned on the machine stays" {
	in_room true || skip 'the file system of this machine is one over others already'
	installed
	own_service app 9312
	up app
	# there no service is under it
	in_room 'rm -r /etc/systemd/system/app@.service.d /etc/hotstandby/app.conf; test -d /sys/fs/bpf/hotstandby/app
		dpkg --no-triggers --purge hotstandby; test ! -e /usr/sbin/hsd -a ! -e /etc/hotstandby'
	inside rm -r /run/room
	inside test -d $pins/app
	inside systemctl --quiet is-active hsd
	hs switchover app --drain=0
	down app
	inside dpkg --no-triggers --purge hotstandby
	run ! inside test -e $pins
}

files() { inside find /usr /etc /lib/systemd /var/lib/systemd/deb-systemd-helper-enabled -xdev ! -name ld.so.cache ! -type d | sort; }

@test "over the release before, which make has installed: taken over under load, and purged; nothing is lost, nothing left" {
	local before
	released_build || skip 'the release before is not in this checkout'
	bring_tests
	cp "$(one_of "$top/${BUILD:-build}/deb-ready" hotstandby)" "$(container_root "$rig")/root/hotstandby.deb"
	before=$(files)
	inside make -s -C "$released" install
	inside systemctl enable --now hsd
	inside test -e /usr/lib/hotstandby/.made -a -e /usr/share/man/man8/hsd.8
	[[ $(hs --version) == 'hsctl 0.1' ]]
	run -0 inside env UPGRADE='dpkg --no-triggers --install /root/hotstandby.deb' NEEDRESTART_SUSPEND=1 /root/source/debian/tests/switchover
	[[ $output == *'taken the place of what "make install" had installed'* ]]
	say "$(grep '^# requests=' <<<"$output") in the package's own test"
	[[ $(hs --version) == "hsctl $version" ]]
	run ! inside test -e /usr/lib/hotstandby/.made -o -e /usr/share/man/man8/hsd.8
	inside test -e /usr/share/man/man8/hsd.8.gz
	inside dpkg --no-triggers --purge hotstandby
	diff <(echo "$before") <(files)
	run ! inside test -e $pins
}

exporter_files() { inside find /usr /etc -xdev -name '*hotstandby-exporter*' ! -path '*/monitoring/*'; }

@test "over the same release, which make has installed: the exporter, of another package, is not left to nobody" {
	inside make -s -C "$top" BUILD="${BUILD:-build}" install
	inside systemctl enable --now hotstandby-exporter.socket
	inside curl -sSf http://127.0.0.1:9960/metrics | grep -q '^# EOF'
	run -0 installed
	[[ $output == *'is in a package of its own now, hotstandby-exporter'* ]]
	[[ -z $(exporter_files) ]] || fail "left: $(exporter_files)"
	run ! inside getent passwd hotstandby-exporter
	run ! inside curl -sSf http://127.0.0.1:9960/metrics
	# with its package it goes on
	inside dpkg --no-triggers --purge hotstandby
	inside make -s -C "$top" BUILD="${BUILD:-build}" install
	inside systemctl enable --now hotstandby-exporter.socket
	cp "$(one_of "$top/${BUILD:-build}/deb-ready" hotstandby-exporter)" "$(container_root "$rig")/root/exporter.deb"
	run -0 inside dpkg --no-triggers --install /root/hotstandby.deb /root/exporter.deb
	[[ $output != *'is in a package of its own now'* ]]
	inside curl -sSf http://127.0.0.1:9960/metrics | grep -q '^# EOF'
	inside dpkg --no-triggers --purge hotstandby-exporter hotstandby
	[[ -z $(exporter_files) ]] || fail "left: $(exporter_files)"
}

@test "beside one below /usr/local, which stays in force, it says so, and how to change over" {
	inside mkdir -p /usr/local/lib/systemd/system
	inside touch /usr/local/lib/systemd/system/hsd.service
	run -0 installed
	[[ $output == *'make install PREFIX=/usr/local'*'stays in force'* ]]
	inside rm /usr/local/lib/systemd/system/hsd.service
	inside systemctl daemon-reload
	inside dpkg --no-triggers --purge hotstandby
}

@test "autopkgtest runs the packages' own tests: switchover, upgrade and removal" {
	local root
	bring_tests
	root=$(container_root "$rig")
	mkdir -p "$root/root/debs"
	cp "$top/${BUILD:-build}/deb-ready"/*.deb "$root/root/debs/"
	# the container is the machine of its own that they want
	run -0 inside bash -c 'NEEDRESTART_SUSPEND=1 autopkgtest --no-built-binaries --ignore-restrictions=isolation-machine,breaks-testbed \
		/root/debs/*.deb /root/source/ -- null'
	[[ $output == *'switchover '*PASS*'removal '*PASS* ]]
}

# The last: the state of links that systemd has of it is left then.
@test "a package that was removed is purged while one that make installed is at work: settings and pins stay, and it says so" {
	installed
	inside systemctl enable hsd
	inside dpkg --no-triggers --remove hotstandby
	run ! inside systemctl --quiet is-active hsd
	container_install "$rig" BUILD="${BUILD:-build}"
	inside systemctl start hsd
	own_service app 9311
	up app
	hold 9311 3
	run -0 inside dpkg --no-triggers --purge hotstandby
	[[ $output == *'none of'*'hsctl disable app@.service'*'systemctl stop hsd'* ]]
	inside test -d $pins/app -a -e /etc/hotstandby/app.conf
	inside systemctl --quiet is-enabled hsd
	hs switchover app --drain=0
	ask_again
	[[ $held == '0 0 0' ]]
	let_go
	# the same again, with nothing but hsd: neither a service nor a front
	down app
	installed
	inside systemctl stop hsd
	inside dpkg --no-triggers --remove hotstandby
	container_install "$rig" BUILD="${BUILD:-build}"
	inside systemctl start hsd
	inside mkdir -p /etc/hotstandby
	run -0 inside dpkg --no-triggers --purge hotstandby
	[[ $output == *'systemctl stop hsd'* ]]
	inside test -d /etc/hotstandby
	inside systemctl disable --now hsd
	inside make -s -C "$top" BUILD="${BUILD:-build}" uninstall
}
