# SPDX-License-Identifier: GPL-2.0-or-later
#
# A remote client that opens very many connections, and whoever asks hsd about them: no answer grows without a bound.

load lib/bystander.bash

setup_file() {
	hostile_up
	own_service app 9731
	write /etc/systemd/system/app@.service.d/many.conf <<-END
		[Service]
		LimitNOFILE=65536
	END
	up app
}

# keep COUNT: connections that stay, of two clients: some machines allow a process 20000 descriptors
keep() {
	for _ in 1 2; do
		inside python3 $tools/keep.py 9731 $(($1 / 2)) >/dev/null 2>&1 3>&- &
	done
	wait_for 20 is_open "$1"
}

clean_up() { inside pkill -f keep.py || true; }

is_open() { [[ $(hs connections --json app | jq '[.slots[].connections] | add') -ge $1 ]]; }

@test "19000 connections: 10000 are listed, and it is said that there are more" {
	keep 19000
	hs connections --list --json app >"$BATS_TEST_TMPDIR/list"
	jq -e '(.connections | length) == 10000 and .truncated' "$BATS_TEST_TMPDIR/list"
	say "$(wc -c <"$BATS_TEST_TMPDIR/list") bytes for 10000 of 19000"
	hs connections --list app | grep -q 'There are more: the first 10000 are listed'
	hs connections --list --json --direct app | jq -e '(.connections | length) == 10000 and .truncated'
	# over the bus, as root and as others
	inside busctl call org.hotstandby1 /org/hotstandby1/service/app org.hotstandby1.Service Connections >/dev/null
	as_nobody hsctl connections --list --json app | jq -e '.withheld and (has("connections") | not)'
	as_nobody hsctl connections --json app | jq -e '([.slots[].connections] | add) >= 19000'
	bystander_is_well
	inside pkill -f keep.py
	wait_for 20 is_closed
	hs connections --list --json app | jq -e '.truncated == false'
}

is_closed() { ! is_open 100; }
