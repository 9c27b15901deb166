# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For tests of instances that hold the lock of a socket for as long as they like (hold-lock.c): they do so while they
# wait for memory that is a file of their own in FUSE.

# lock_holder NAME PORT ENVIRONMENT...: writes the template
# shellcheck disable=SC2154 # of the rig
lock_holder() {
	inside bash -c '[[ -e /dev/fuse ]] || mknod -m 0666 /dev/fuse c 10 229'
	write "/etc/systemd/system/$1@.service" <<-END
		[Service]
		Type=notify
		NotifyAccess=all
		User=daemon
		Environment=${*:3}
		ExecStart=$tools/hold-lock $2
		TimeoutStopSec=10s
	END
}

has_fuse() { inside setpriv --reuid=1 --regid=1 --clear-groups unshare --user --map-root-user --mount true 2>/dev/null; }

set_up() {
	has_fuse && inside test -r /dev/fuse || skip 'needs /dev/fuse and user namespaces for users'
}

release() { inside pkill -USR1 -x hold-lock-file; }
