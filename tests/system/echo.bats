#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The example of a server that says who it is, and its client: by TCP and UDP, IPv4 and IPv6, under each policy.

load lib/rig

client=/usr/lib/hotstandby/hs-echo-client

setup_file() {
	rig_up
	inside systemctl start hsd
	inside cp $examples/echo@.service /etc/systemd/system/
	printf '[Service]\nSlots=3\nFlow=none\n' | write /etc/hotstandby/echo.conf
	inside systemctl daemon-reload
	hs enable echo@.service
	inside systemctl start echo@0 echo@1 echo@2
	wait_for 10 is_ready echo
}

ask() { inside $client "$@"; }

# answered_by OPTION...: "SLOT SLOT ...", one for each try in turn; each has to be answered
answered_by() {
	ask "$@" >"$BATS_TEST_TMPDIR/asked" || fail "$(cat "$BATS_TEST_TMPDIR/asked")" || return
	sed -n 's/.* slot=\([0-9]*\) .*/\1/p' "$BATS_TEST_TMPDIR/asked" | paste -sd' '
}

# by each protocol and family
ways=('127.0.0.1:7777' '--udp 127.0.0.1:7777' '[::1]:7777' '--udp [::1]:7777')

@test "all four listeners are adopted, though the server knows nothing of it" {
	[[ $(status echo '[.listeners[] | "\(.protocol) \(.address)"] | sort | join(", ")') == \
		'tcp 0.0.0.0:7777, tcp [::]:7777 (v6 only), udp 0.0.0.0:7777, udp [::]:7777 (v6 only)' ]]
	[[ $(status echo .intake) == forced ]]
}

@test "standby: the active slot answers, on every way, and the client's summary says so" {
	hs policy echo standby
	prefer echo 1
	local way
	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086 # words
		[[ $(answered_by --count=3 $way) == '1 1 1' ]]
	done
	run -0 ask --count=3 127.0.0.1:7777
	[[ ${lines[3]} == '3 connections: 3 answered, 0 without an answer' && ${lines[4]} == 'slot 1: 3' ]]
}

@test "parity: even ports are slot 0's, odd ones slot 1's, by the client's own port" {
	hs policy echo parity
	local way
	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086
		[[ $(answered_by --count=6 --from-port=5100+6 $way) == '0 1 0 1 0 1' ]]
	done
}

@test "hash: each slot answers some, the same client always the same" {
	local way first again
	hs policy echo hash
	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086
		first=$(answered_by --count=40 --from-port=5200+40 $way)
		again=$(answered_by --count=40 --from-port=5200+40 $way)
		[[ $first == "$again" ]]
		[[ $(tr ' ' '\n' <<<"$first" | sort -u | paste -sd' ') == '0 1 2' ]]
	done
}

@test "many source addresses, at a rate, while a slot is drained: each has its answer" {
	hs policy echo hash
	ask --udp --quiet --count=1500 --rate=500 --from=127.0.0.10+64 127.0.0.1:7777 >"$BATS_TEST_TMPDIR/udp" 3>&- &
	local job=$! tcp
	ask --quiet --count=1500 --rate=500 --from=127.0.0.10+64 127.0.0.1:7777 >"$BATS_TEST_TMPDIR/tcp" 3>&- &
	tcp=$!
	inside systemctl restart echo@2
	inside systemctl restart echo@0
	wait $job || fail "$(cat "$BATS_TEST_TMPDIR/udp")"
	wait $tcp || fail "$(cat "$BATS_TEST_TMPDIR/tcp")"
	say "with hotstandby, two slots restarted: $(head -n 1 "$BATS_TEST_TMPDIR/udp")"
	say "with hotstandby, two slots restarted: $(head -n 1 "$BATS_TEST_TMPDIR/tcp")"
	wait_for 10 is_ready echo
}

@test "what a restart of one server alone costs, and how the client tells it" {
	write /etc/systemd/system/alone.service <<-'END'
		[Service]
		Type=notify
		ExecStart=/usr/lib/hotstandby/hs-echo-server --slot=alone --listen=127.0.0.1:7778
	END
	inside systemctl daemon-reload
	inside systemctl start alone
	ask --udp --count=1500 --rate=500 127.0.0.1:7778 >"$BATS_TEST_TMPDIR/udp" 3>&- &
	local job=$!
	inside systemctl restart alone
	inside systemctl restart alone
	! wait $job
	say "without, two restarts: $(grep datagrams: "$BATS_TEST_TMPDIR/udp")"
	grep -q '^udp .* -> 127.0.0.1:7778 no answer: ' "$BATS_TEST_TMPDIR/udp"
	grep -q '^slot alone: ' "$BATS_TEST_TMPDIR/udp"
	inside systemctl stop alone
}

@test "the server prints both ends and what arrived; the client names what is wrong" {
	hs policy echo standby
	ask --bytes=321 --from=127.0.0.77 --from-port=5300 127.0.0.1:7777
	wait_for 3 inside bash -c "journalctl -q -o cat -u 'echo@*' | grep -qx 'tcp 127.0.0.77:5300 -> 127.0.0.1:7777 321 bytes'"
	run -1 ask --count=2 127.0.0.1:7779
	[[ ${lines[0]} == *'-> 127.0.0.1:7779 no answer: Connection refused' && \
		${lines[2]} == '2 connections: 0 answered, 2 without an answer' ]]
	run -2 ask --from=::1 127.0.0.1:7777
	run -2 ask 127.0.0.1
	run -2 ask --count=many 127.0.0.1:7777
	run -2 inside /usr/lib/hotstandby/hs-echo-server --listen=127.0.0.1
}
