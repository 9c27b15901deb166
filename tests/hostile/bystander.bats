# SPDX-License-Identifier: GPL-2.0-or-later
#
# The yardstick of all hostile tests, where nobody means harm; and that it can fail.

load lib/bystander.bash

@test "with nothing going on the bystander is well" {
	bystander_is_well
}

@test "the yardstick notices an hsd that does not run its loop" {
	local slot
	slot=$(active bystander)
	inside systemctl kill --signal=STOP hsd
	run ! bystander_is_described
	run ! bystander_hang "$slot"
	# and so does who asks while a test runs
	if bystander_watched; then fail 'who watches has not noticed'; fi
	inside systemctl kill --signal=CONT hsd
	bystander_is_well
}
