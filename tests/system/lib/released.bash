# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The release before, for tests of upgrades to this tree and back. To be loaded behind rig.bash.
#
#   released_build     builds it, once for each commit; sets `released` to where it is. 1 = this checkout does not
#                      have it, as a shallow clone and an unpacked archive
#   released_install   installs it in the container

# which one that is; until it has its tag, the commit that is to get it
released_ref=${RELEASED_REF:-v0.1}
released_commit=3dc386c

released_git() { git -c safe.directory='*' -C "$top" "$@"; }

released_build() {
	local commit
	commit=$(released_git rev-parse -q --verify "$released_ref^{commit}" ||
		released_git rev-parse -q --verify "$released_commit^{commit}") 2>/dev/null || return 1
	released=$top/build/released/$commit
	mkdir -p "$released"
	(
		flock 9
		[[ -e $released/Makefile ]] || released_git archive "$commit" | tar -x -C "$released"
		make -s -j"$(nproc)" -C "$released" all
	) 9>"$released.lock" >"$released.log" 2>&1 || fail "the release before does not build: $(tail "$released.log")"
}

released_install() {
	make -s -C "$released" install DESTDIR="$(container_root "$rig")" || return 1
	inside systemctl daemon-reload
	inside systemctl reload dbus
}
