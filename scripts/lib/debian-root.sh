# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Minimal roots of a Debian release, kept between runs. To be sourced, as root.
#
#   debian_root RELEASE PACKAGE...   prints the folder of a root of this release (bookworm, trixie, ...) that has these
#                                    packages; makes it where there is none yet. Nobody may write to it: put an
#                                    overlay on it, or copy it.
#   debian_mirror                    prints where the packages of this machine come from
#   debian_release                   prints the release that this machine is of
#   debian_other                     prints the release to try besides: 13 on 12, else 12
#
# A root is made beside its place and renamed when it is whole. Which packages it has is in its name, so another
# list makes another root; those of the same release that nobody asked for in a month are removed.

DEBIAN_ROOTS=${DEBIAN_ROOTS:-/var/cache/hotstandby/roots}

debian_release() {
	# shellcheck source=/dev/null
	(. /etc/os-release && echo "${VERSION_CODENAME:-}")
}

debian_other() { if [[ $(debian_release) == bookworm ]]; then echo trixie; else echo bookworm; fi; }

debian_mirror() {
	# shellcheck disable=SC2016 # apt's own variables
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -E '/debian/?$' | head -n 1
}

# Until the root is whole its services must not start, and nothing of the machine's own environment counts.
_debian_fill() {
	local root=$1 release=$2 mirror=$3
	shift 3
	debootstrap --variant=minbase --include=ca-certificates "$release" "$root" "$mirror" &&
		printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" &&
		chmod 755 "$root/usr/sbin/policy-rc.d" &&
		_debian_apt "$root" update &&
		_debian_apt "$root" install --no-install-recommends "$@" &&
		rm -f "$root"/var/cache/apt/archives/*.deb "$root/usr/sbin/policy-rc.d"
}

# The mounts are in a namespace of their own: whatever becomes of this, none is left.
_debian_apt() {
	local root=$1
	shift
	# shellcheck disable=SC2016 # for the shell inside
	unshare --mount --pid --fork --kill-child sh -c '
		root=$1; shift
		mount -t proc proc "$root/proc" && mount -t tmpfs tmpfs "$root/tmp" &&
		exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
			chroot "$root" apt-get -q -y -o Dpkg::Use-Pty=0 "$@"' - "$root" "$@"
}

# What `apt-get` of this machine is told (proxies, sources of its own) the root is told, too.
_debian_make() {
	local place=$1 release=$2 mirror new log
	shift 2
	command -v debootstrap >/dev/null || { echo "debian_root: needs the package debootstrap" >&2; return 1; }
	mirror=$(debian_mirror)
	[[ -n $mirror ]] || { echo "debian_root: apt has no source of Debian's packages; see apt-get indextargets" >&2; return 1; }
	new=$(mktemp -d "$place.new.XXXXXX") || return 1
	log=$place.log
	if ! _debian_fill "$new" "$release" "$mirror" "$@" >"$log" 2>&1 </dev/null; then
		echo "debian_root: no root of $release could be made; the end of $log:" >&2
		tail -n 15 "$log" >&2
		rm -rf --one-file-system "$new"
		return 1
	fi
	chmod 755 "$new"
	mv -T "$new" "$place" && rm -f "$log"
}

_debian_sweep() {
	local old
	find "$DEBIAN_ROOTS" -mindepth 1 -maxdepth 1 -name '*.new.*' -mmin +240 -exec rm -rf --one-file-system {} +
	for old in "$DEBIAN_ROOTS"/*.used; do
		[[ -n $(find "$old" -mtime +30 2>/dev/null) ]] || continue
		rm -rf --one-file-system "${old%.used}" "$old"
	done
}

debian_root() {
	local release=$1 place hash
	shift
	hash=$(printf '%s\n' "$@" | sort -u | sha256sum)
	place=$DEBIAN_ROOTS/$release-${hash:0:12}
	mkdir -p "$DEBIAN_ROOTS"
	(
		# two runs at a time: the second finds what the first has made
		flock 8
		_debian_sweep
		[[ -d $place ]] || _debian_make "$place" "$release" "$@" >&2
	) 8>"$DEBIAN_ROOTS/.lock" || return 1
	touch "$place.used"
	echo "$place"
}
