#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A service with as many addresses as one may have: each of them is a selector to be loaded, of which hsd's loop must
# not be held.

load lib/bystander

addresses=64

setup_file() {
	hostile_up
	write /etc/systemd/system/wide@.service <<-END
		[Service]
		ExecStart=/usr/bin/python3 $tools/wide.py %i 9600 $addresses
	END
	inside systemctl daemon-reload
	hs enable wide@.service
	inside systemctl start wide@0
}

has_all() { [[ $(status wide '.listeners | length') == "$addresses" ]]; }
# starts SLOT: it comes, or comes again, while the bystander is asked
starts() {
	bystander_watch
	inside systemctl restart "wide@$1"
	wait_for 30 is_state wide "$1" ready
	wait_for 30 has_all
	bystander_is_well
	bystander_watched
}

@test "its slots come and go" {
	starts 0
	starts 1
	wait_for 10 is_ready wide
	hs switchover wide --drain=0
	starts 0
	for port in 9600 9631 9663; do
		[[ $(answering_slot http://127.0.0.1:$port/) == 1 ]]
	done
}

# bats test_tags=thorough
@test "hsd begins with it" {
	bystander_unwatched
	inside systemctl restart hsd
	bystander_watch
	wait_for 30 is_ready wide
	bystander_is_well
	bystander_watched
	has_all
}

# bats test_tags=thorough
@test "it is taken out and put in again" {
	bystander_watch
	inside systemctl stop wide@0 wide@1
	hs disable wide@.service
	hs enable wide@.service
	inside systemctl start wide@0 wide@1
	wait_for 30 is_ready wide
	bystander_is_well
	bystander_watched
	has_all
}
