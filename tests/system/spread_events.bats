#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Policy hash under 64 exporters of IPv4 and IPv6 that never pause, while slots are scaled, drained, restarted, killed
# and weighed by chance: nobody is ever answered by a slot that hsctl where did not name, and nobody moves who need not.
#
#   HS_SEED=N       the same events again
#   HS_EVENTS=N, HS_DATAGRAMS=N, HS_CONNECTIONS=N     other than those of a test

load lib/rig

BATS_TEST_TIMEOUT=900
port=7777

setup_file() {
	rig_up
	inside systemctl start hsd
	inside cp $examples/echo@.service /etc/systemd/system/
	printf '[Service]\nExecStart=\nExecStart=/usr/lib/hotstandby/hs-echo-server --slot=%%i --quiet\nStartLimitIntervalSec=0\n' |
		write /etc/systemd/system/echo@.service.d/quiet.conf
	printf '[Service]\nSlots=4\nFlow=none\nPolicy=hash\nBy=client\n' | write /etc/hotstandby/echo.conf
	inside bash -c "for ((i = 1; i <= 64; i++)); do printf 'addr add fd00::1:%x/128 dev lo nodad\n' \$i; done | ip -6 -batch -"
	inside systemctl daemon-reload
	hs enable echo@.service
	inside systemctl start echo@0 echo@1 echo@2 echo@3
	wait_for 10 is_ready echo
}

# of EVENTS DATAGRAMS CONNECTIONS: sets `result`
of() {
	local seed=${HS_SEED:-$RANDOM}
	say "HS_SEED=$seed"
	result=$(inside python3 $tools/spread_events.py run echo $port "$seed" "${HS_EVENTS:-$1}" "${HS_DATAGRAMS:-$2}" \
		"${HS_CONNECTIONS:-$3}")
	say "$(jq -r '"\(.events | add) events: datagrams \(.udp), connections \(.tcp)"' <<<"$result")"
	say "$(jq -r '"lost: datagrams \(.udp_lost_in), connections \(.tcp_lost_in); by where they were 2 s before \(.wrong_by_what_was_2_s_before) would be wrong"' <<<"$result")"
}

# is_right: all were where they had to be, and enough was judged for that to mean something
is_right() {
	jq -e '(.udp.wrong // 0) == 0 and (.tcp.wrong // 0) == 0 and .strange == [] and .strangers == []' <<<"$result" ||
		fail "$result" || return
	jq -e '[.udp, .tcp] | all(.right > 0.5 * ([.[]] | add))' <<<"$result" || fail "$result" || return
	# only a kill ends what it was at
	jq -e '[.udp_lost_in, .tcp_lost_in] | all(del(.kill) == {})' <<<"$result" || fail "$result"
}

@test "events of each kind by chance: each datagram and connection is where hsctl where says, and nobody moves who need not" {
	of 14 20000 500
	is_right
}

# bats test_tags=thorough
@test "a million datagrams and ten thousand connections over a hundred events" {
	of 100 1000000 10000
	is_right
	(($(jq .wrong_by_what_was_2_s_before <<<"$result") > 1000))
}

# slots: who answered each of the exporters
slots() { inside python3 $tools/spread_events.py ask 7780; }

@test "without: the kernel's own choice among four moves clients of all slots when one is restarted" {
	local before after
	write /etc/systemd/system/plain@.service <<-END
		[Service]
		Type=notify
		ExecStart=/usr/bin/python3 $tools/dgram.py serve 7780 %i
	END
	inside systemctl daemon-reload
	inside systemctl start plain@0 plain@1 plain@2 plain@3
	before=$(slots)
	inside systemctl stop plain@1
	after=$(slots)
	say "without: $(moved "$before" "$after" 1) of the $(others "$before" 1) clients of the others move"
	(($(moved "$before" "$after" 1) > 0))
	inside systemctl stop 'plain@*'
}

# moved BEFORE AFTER SLOT: of those that were not on it; others BEFORE SLOT: how many are not
moved() {
	paste <(tr ' ' '\n' <<<"$1") <(tr ' ' '\n' <<<"$2") | awk -v slot="$3" '$1 != slot && $1 != $2 { n++ } END { print n + 0 }'
}
others() { tr ' ' '\n' <<<"$1" | grep -vcx "$2"; }
