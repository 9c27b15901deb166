# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Who on this machine needs hotstandby still. scripts/install reads it; the scripts of packages have it in the place of
# #IN_USE#, for it has to be there when nothing else of a package is any more.

# in_use: what takes out each service that is under it, a command a line
in_use() {
	{
		services_in_use
		fronts_in_use
	} | sort -u | sed 's/^/hsctl disable /'
}

services_in_use() {
	for file in "${sysconfdir:-/etc}"/systemd/system/*@.service.d/zz-hotstandby.conf; do
		[ -e "$file" ] || continue
		file=${file%.d/*}
		printf '%s\n' "${file##*/}"
	done
}

# A front has no unit: it is in the settings, or pinned and at work, or both.
fronts_in_use() {
	for file in "${sysconfdir:-/etc}"/hotstandby/*.conf; do
		# what is masked is a link to /dev/null; [Front] without an address is of a host
		[ -f "$file" ] && grep -qsE '^[[:space:]]*Address[[:space:]]*=' "$file" "$file".d/*.conf || continue
		file=${file##*/}
		printf '%s\n' "${file%.conf}"
	done
	is_machine || return 0
	for folder in /sys/fs/bpf/hotstandby/[!%]*/front; do
		[ -d "$folder" ] || continue
		folder=${folder%/front}
		printf '%s\n' "${folder##*/}" | sed 's/%2E/./g'
	done
}

# Not a chroot, into which somebody may have mounted /sys and /run of the machine around it: what is pinned there, and
# the hsd that runs, are none of its business.
is_machine() {
	[ -d /run/systemd/system ] && [ "$(stat -Lc %d:%i /)" = "$(stat -Lc %d:%i /proc/1/root 2>/dev/null)" ]
}
