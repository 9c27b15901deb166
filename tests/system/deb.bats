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
