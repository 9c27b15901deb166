#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Both instances restarted at random for a minute under load, each without regard for the other.
#
#   HS_SEED=N      the same pauses again
#   HS_SECONDS=N   other than 60

load lib/rig

BATS_TEST_TIMEOUT=480

# restart_at_random NAME SECONDS: two loops, one a slot, with pauses of up to 0.3 s
restart_at_random() {
	inside bash -c '
		slot() {
			local end=$((SECONDS + $3)) n=0
			RANDOM=$4
			while ((SECONDS < end)); do
				systemctl restart "$1@$2" || exit 1
				((n++))
				sleep "0.$((RANDOM % 30 + 100))"
				sleep "0.$((RANDOM % 200 + 100))"
			done
			echo "$n"
		}
		slot "$1" 0 "$2" "$3" & one=$!
		slot "$1" 1 "$2" "$(($3 + 1))" & other=$!
		wait $one && wait $other' - "$1" "$2" "$seed"
}

@test "both restarted at random for a minute" {
	local counts
	seed=${HS_SEED:-$RANDOM}
	say "HS_SEED=$seed"
	own_service app 9501
	up app
	begin_load http://127.0.0.1:9501/ slot=
	counts=$(restart_at_random app "${HS_SECONDS:-60}" | xargs)
	wait_for 10 is_ready app
	lost_nothing "$counts restarts of the slots at random"
	without 'the same for 6 s' restart_at_random plain 6
}
