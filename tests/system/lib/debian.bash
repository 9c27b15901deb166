# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Packages of Debian, installed in a container as an operator does it. For files that have loaded lib/rig.

# shellcheck disable=SC2154 # of lib/rig
version=$(sed -n 's/^VERSION *:= *//p' "$top/Makefile")

# one_of FOLDER NAME: the file of this package in it
one_of() {
	local found=("$1/$2"_*.deb)
	[[ -e ${found[0]} ]] || fail "no $2 in $1" || return 1
	echo "${found[0]}"
}

# renamed FILE VERSION FOLDER: the same package in another version, into FOLDER
renamed() {
	local work=$BATS_FILE_TMPDIR/renamed
	mkdir -p "$3"
	rm -rf "$work"
	dpkg-deb --raw-extract "$1" "$work"
	sed -i "s/^Version: .*/Version: $2/; s/hotstandby (= $version)/hotstandby (= $2)/" "$work/DEBIAN/control"
	dpkg-deb --build -Znone "$work" "$3" >/dev/null
	rm -rf "$work"
}

# bring_tests: what is run in an installed system
bring_tests() {
	local work
	# shellcheck disable=SC2154 # of lib/rig
	work=$(container_root "$rig")/root/source
	mkdir -p "$work/tests/system/lib"
	cp -r "$top/debian" "$work/"
	cp "$top/tests/system/lib/load.lua" "$work/tests/system/lib/"
}

# bring FOLDER: the packages in it, an older one and a newer one, and the tests
bring() {
	local root work=/root/source
	root=$(container_root "$rig")
	bring_tests
	mkdir -p "$root$work/new"
	cp "$1"/*.deb "$root$work/"
	renamed "$(one_of "$1" hotstandby)" 0.1 "$root$work/old"
	renamed "$(one_of "$1" hotstandby-exporter)" 0.1 "$root$work/old"
	renamed "$(one_of "$1" hotstandby)" "$version+next" "$root$work/new"
	renamed "$(one_of "$1" hotstandby-exporter)" "$version+next" "$root$work/new"
}

apt_inside() {
	inside env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y -o Dpkg::Use-Pty=0 "$@"
}

# as README says
install_packages() {
	apt_inside install "/root/source/hotstandby_${version}_$(dpkg --print-architecture).deb" \
		"/root/source/hotstandby-exporter_${version}_$(dpkg --print-architecture).deb" \
		"/root/source/hotstandby-doc_${version}_all.deb"
	[[ $(inside systemctl show -P ActiveState hsd) == active ]] || fail 'hsd does not run behind the installation'
	inside curl -sSf http://127.0.0.1:9960/metrics | grep -q '^# EOF' || fail 'nobody answers Prometheus'
	[[ $(hs --version) == "hsctl $version" ]]
	inside test -d /etc/hotstandby
	inside systemctl reload hsd
}

# under_load ARGUMENT...: the package's own test, in which apt installs so
under_load() {
	inside env UPGRADE="apt-get -q -y -o Dpkg::Use-Pty=0 install $*" \
		DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 /root/source/debian/tests/switchover
}
upgraded_under_load() { under_load '/root/source/new/*.deb'; }

# What it installs as an older one is this one, as far as it goes: that what is pinned is given back to a real one is in
# abi.bats.
downgraded_under_load() {
	under_load --allow-downgrades '/root/source/old/*.deb' | tee "$BATS_TEST_TMPDIR/back"
	grep -q 'hsd runs, and hands over to version 3 when it ends' "$BATS_TEST_TMPDIR/back" ||
		fail 'what is pinned is not given back to the older release'
}

removed_wholly() {
	inside env NEEDRESTART_SUSPEND=1 /root/source/debian/tests/removal
}

# life FOLDER: from installation to purge
life() {
	local before
	before=$(files_of_etc)
	bring "$1"
	install_packages
	upgraded_under_load | tee "$BATS_TEST_TMPDIR/load"
	say "$(grep '^# requests=' "$BATS_TEST_TMPDIR/load") in the package's own test"
	downgraded_under_load
	removed_wholly
	diff <(echo "$before") <(files_of_etc)
}

files_of_etc() { inside find /etc /lib/systemd /var/lib/systemd/deb-systemd-helper-enabled ! -name ld.so.cache ! -type d | sort; }
