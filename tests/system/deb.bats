#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The package of Debian in its whole life on this release: installed, upgraded under load, refused to go while it is in
# use, purged. What is in it is what make has made already; debian.bats builds it as a distribution does, and has other
# releases.
# Thorough: the machine is told of a package three times, and nothing else depends on packages.
# Built: by make, of this tree

load lib/rig
load lib/debian

setup_file() {
	READY=yes "$top/scripts/package" deb "${BUILD:-build}" "$version" || return 1
	container_start "$rig"
	# to index the pages of the machine would take longer than all the rest
	inside bash -c 'rm -rf /usr/share/man && mkdir /usr/share/man'
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
