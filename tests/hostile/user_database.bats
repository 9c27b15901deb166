#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The user database is on a machine that does not answer. Who a unit's user is, is a question that nobody else waits
# for.

load lib/bystander

setup_file() {
	hostile_up
	own_service app 9804
	up app
	inside sh -c 'cp "$1" "$(dirname "$(ls /usr/lib/*/libnss_files.so.2 /lib/*/libc.so.6 2>/dev/null | head -1)")/libnss_stall.so.2"' \
		- "$tools/nss-stall.so"
	inside sed -i 's/^passwd:.*/passwd: files stall/' /etc/nsswitch.conf
}

@test "a unit whose user has to be looked up" {
	# that it stalls is true
	run -124 inside timeout 1 getent passwd stranger
	printf '[Service]\nUser=stranger\n' | write /etc/systemd/system/app@1.service.d/user.conf
	inside systemctl daemon-reload
	bystander_watch
	inside busctl call --system --timeout=40 org.hotstandby1 /org/hotstandby1 org.hotstandby1.Manager \
		Prepare s app@1.service >"$BATS_TEST_TMPDIR/answer" 2>&1 3>&- &
	local job=$!
	bystander_is_well
	bystander_watched
	wait "$job" || true
	cat "$BATS_TEST_TMPDIR/answer"
	inside journalctl -q -o cat --since="@$rig_began" -u hsd | grep -q 'user stranger'
	inside rm -r /etc/systemd/system/app@1.service.d/user.conf
	inside systemctl daemon-reload
}
