#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl trace: what is shown of connections and datagrams is what their client saw; of whom, how many and until when;
# without hsd; and who traces can be killed.

load lib/rig

client=/usr/lib/hotstandby/hs-echo-client

setup_file() {
	rig_up
	inside systemctl start hsd
	inside cp $examples/echo@.service /etc/systemd/system/
	printf '[Service]\nSlots=3\n' | write /etc/hotstandby/echo.conf
	inside systemctl daemon-reload
	hs enable echo@.service
	inside systemctl start echo@0 echo@1 echo@2
	wait_for 10 is_ready echo
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	# what a test that failed has left
	inside pkill -INT -f 'hsctl trace' || true
	inside systemctl start hsd
	hs policy echo standby
	shown=$BATS_TEST_TMPDIR/shown said=$BATS_TEST_TMPDIR/said
}

ask() { inside $client "$@"; }

# as the kernel has it, also without hsd
word_of() { hs status --json --direct "${1:-echo}" 2>/dev/null | jq .generation; }
is_other_word() { [[ $(word_of) != "$1" ]]; }

# begin_trace OPTION...: and its decisions are in $shown from here on, what else it says in $said
begin_trace() {
	before=$(word_of)
	inside hsctl trace echo "$@" >"$shown" 2>"$said" 3>&- &
	tracing=$!
	wait_for 5 is_other_word "$before"
}

# end_trace: as Ctrl-C does
end_trace() {
	inside pkill -INT -f 'hsctl trace echo'
	wait $tracing || fail "$(cat "$said")"
}

# trace_is_over BEFORE: the flag was set and taken away, once each, and nothing else has changed the word
trace_is_over() { (($(word_of) == $1 + 2)); }

# The newer one is the keeper, which would see the other's end before it is killed itself.
kill_both() {
	inside pkill -STOP -n -f 'hsctl trace echo'
	inside pkill -KILL -f 'hsctl trace echo'
	! wait $tracing
}

# decisions FILTER: of all that were shown, by jq
decisions() { jq -rs "map(select(.why)) | $1" "$shown"; }

# agree: each try of the client in $BATS_TEST_TMPDIR/asked was shown, with the slot that has answered it
agree() {
	sed -n 's/^\(tcp\|udp\) \([^ ]*\) -> [^ ]* slot=\([0-9]*\) .*/\1 \2 \3/p' "$BATS_TEST_TMPDIR/asked" | sort >"$BATS_TEST_TMPDIR/client"
	decisions '.[] | "\(.protocol) \(.client) \(.slot)"' | sort >"$BATS_TEST_TMPDIR/trace"
	[[ -s $BATS_TEST_TMPDIR/client ]] || fail 'the client saw nothing' || return
	diff "$BATS_TEST_TMPDIR/client" "$BATS_TEST_TMPDIR/trace"
}

@test "by each protocol and family: client, listener, slot and reason, as the client saw it" {
	local way
	prefer echo 1
	begin_trace --json
	for way in '127.0.0.1:7777' '--udp 127.0.0.1:7777' '[::1]:7777' '--udp [::1]:7777'; do
		# shellcheck disable=SC2086 # words
		ask --count=5 $way >>"$BATS_TEST_TMPDIR/asked"
	done
	end_trace
	agree
	[[ $(decisions '[.[] | "\(.protocol) \(.listener) \(.why) \(.slot)"] | unique | join(", ")') == \
		'tcp 0.0.0.0:7777 active 1, tcp [::]:7777 (v6 only) active 1, udp 0.0.0.0:7777 active 1, udp [::]:7777 (v6 only) active 1' ]]
	[[ $(decisions 'map(.local) | unique | join(" ")') == '127.0.0.1:7777 [::1]:7777' ]]
	[[ $(tail -n 1 "$shown") == '{"shown":20,"not_shown":0,"skipped":0,"lost":0,"foreign":0}' ]]
	# of now
	(($(decisions '(now - (.[0].time | sub("\\.[0-9]*Z"; "Z") | fromdate)) | fabs | floor') < 60))
	trace_is_over "$before"
}

@test "parity and hash over three slots, and a canary" {
	hs policy echo parity
	begin_trace --json
	ask --count=20 --from-port=5100+20 127.0.0.1:7777 >"$BATS_TEST_TMPDIR/asked"
	hs policy echo hash --by=connection
	ask --udp --count=60 127.0.0.1:7777 >>"$BATS_TEST_TMPDIR/asked"
	hs policy echo standby
	hs canary echo 100% --to="$(standby echo)"
	ask --count=20 127.0.0.1:7777 >>"$BATS_TEST_TMPDIR/asked"
	hs canary echo off
	end_trace
	agree
	[[ $(decisions '[.[] | select(.why == "parity") | .slot] | unique | join(" ")') == '0 1' ]]
	[[ $(decisions 'map(select(.protocol == "udp")) | map(.slot) | unique | join(" ")') == '0 1 2' ]]
	(($(decisions 'map(select(.why == "canary")) | length') >= 19))
}

@test "policy hash: the bucket and slot that hsctl where names, and who is pinned" {
	local i
	hs policy echo hash --by=client
	hs pin echo 127.0.0.17 2
	begin_trace --json
	ask --count=8 --from=127.0.0.10+8 127.0.0.1:7777 >"$BATS_TEST_TMPDIR/asked"
	ask --udp --count=8 --from=127.0.0.10+8 --from-port=5700+8 127.0.0.1:7777 >>"$BATS_TEST_TMPDIR/asked"
	end_trace
	agree
	for i in $(seq 10 17); do
		hs where --json echo "127.0.0.$i" | jq -r "\"127.0.0.$i \\(.bucket) \\(.slot)\""
	done >"$BATS_TEST_TMPDIR/where"
	decisions '.[] | "\(.client | sub(":.*"; "")) \(.bucket) \(.slot)"' | sort -u | diff "$BATS_TEST_TMPDIR/where" -
	[[ $(decisions 'map("\(.client | test("0.17:")) \(.why)") | unique | join(", ")') == 'false table, true pinned' ]]
	hs pin echo 127.0.0.17 none
}

@test "a flow of datagrams is known, over a switchover" {
	prefer echo 0
	begin_trace --json
	ask --udp --count=1 --from-port=5400 127.0.0.1:7777 >"$BATS_TEST_TMPDIR/asked"
	hs switchover echo --to=1 --drain=0 >/dev/null
	ask --udp --count=1 --from-port=5400 127.0.0.1:7777 >>"$BATS_TEST_TMPDIR/asked"
	ask --udp --count=1 --from-port=5401 127.0.0.1:7777 >>"$BATS_TEST_TMPDIR/asked"
	end_trace
	agree
	[[ $(decisions 'map("\(.client) \(.why) \(.slot)") | join(", ")') == \
		'127.0.0.1:5400 active 0, 127.0.0.1:5400 known-flow 0, 127.0.0.1:5401 active 1' ]]
}

@test "commands under exec, an instance's end, and where its clients go then" {
	prefer echo 0
	begin_trace --json
	inside hsctl exec echo 2 -- $client 127.0.0.1:7777 >"$BATS_TEST_TMPDIR/asked"
	inside systemctl kill -s KILL echo@0
	ask --count=5 127.0.0.1:7777 >>"$BATS_TEST_TMPDIR/asked"
	wait_for 10 is_ready echo
	end_trace
	agree
	[[ $(decisions '.[0] | "\(.why) \(.slot)"') == 'preview-rule 2' ]]
	# by the word as it was, or as it is since
	[[ $(decisions '.[1:] | map(.why == "fell-through" and .wanted == 0 and .slot != 0 or .why == "active" and .slot != 0) | all') == true ]]
}

@test "as text, of one client, so many and no more" {
	prefer echo 0
	begin_trace --from=127.0.0.77 -n 3
	ask --count=5 127.0.0.1:7777 >/dev/null
	ask --count=5 --from=127.0.0.77 --from-port=5500+5 127.0.0.1:7777 >/dev/null
	wait $tracing
	say "$(sed -n 2p "$shown")"
	[[ $(wc -l <"$shown") == 4 && $(head -n 1 "$shown") == TIME*CLIENT*LISTENER*BUCKET*SLOT*WHY ]]
	[[ $(tail -n +2 "$shown" | sed 's/^[0-9:.]*  *//; s/  */ /g') == \
		$'127.0.0.77:5500 0.0.0.0:7777/tcp - 0 active\n127.0.0.77:5501 0.0.0.0:7777/tcp - 0 active\n127.0.0.77:5502 0.0.0.0:7777/tcp - 0 active' ]]
	[[ $(cat "$said") =~ ^'3 decisions shown, '[0-2]' not: 0 came too fast, 0 were lost'$ ]]
	trace_is_over "$before"
	# nobody comes
	run -0 --separate-stderr hs trace echo --from=2001:db8::/32 --timeout=100ms
	[[ $output == TIME* && ${#lines[@]} == 1 && $stderr == '0 decisions shown, 0 not: 0 came too fast, 0 were lost' ]]
}

@test "without hsd" {
	prefer echo 0
	inside systemctl stop hsd
	begin_trace --json -n 5
	ask --count=5 127.0.0.1:7777 >"$BATS_TEST_TMPDIR/asked"
	wait $tracing
	agree
	trace_is_over "$before"
}

@test "a flood is sampled, and what is not shown is counted" {
	begin_trace --json
	# on a busy machine some may find the server's buffer full: they were led there all the same
	ask --quiet --udp --count=30000 --rate=10000 127.0.0.1:7777 >/dev/null || true
	end_trace
	say "$(tail -n 1 "$shown")"
	[[ $(tail -n 1 "$shown" | jq '.shown + .not_shown == 30000 and .skipped + .lost == .not_shown and .shown > 500 and .skipped > 0') == true ]]
	[[ $(decisions length) == "$(tail -n 1 "$shown" | jq .shown)" ]]
}

@test "switchovers and restarts under load lose nothing while all of it is traced" {
	own_service app 9811
	up app
	inside hsctl trace app --json >"$shown" 2>"$said" 3>&- &
	tracing=$!
	begin_load http://127.0.0.1:9811/ 'slot='
	for _ in 1 2 3; do
		hs switchover app --then=restart >/dev/null
		wait_for 10 is_ready app
	done
	lost_nothing
	inside pkill -INT -f 'hsctl trace app'
	wait $tracing
	(($(decisions length) > 100))
	[[ $(decisions 'map(.slot) | unique | join(" ")') == '0 1' && $(decisions 'map(.why) | unique | join(" ")') == active ]]
	down app
}

@test "killed, it leaves nothing switched on" {
	begin_trace --json
	inside pkill -KILL -o -f 'hsctl trace echo'
	! wait $tracing
	wait_for 5 trace_is_over "$before"
	! inside pgrep -f 'hsctl trace'
	ask 127.0.0.1:7777
	# with its keeper: traffic does not care
	inside systemctl stop hsd
	begin_trace --json
	kill_both
	(($(word_of) == before + 1))
	ask 127.0.0.1:7777
	# hsd takes it away as it starts, and as it sees traffic
	inside systemctl start hsd
	wait_for 5 trace_is_over "$before"
	begin_trace --json
	kill_both
	ask --count=50 --rate=20 127.0.0.1:7777 >/dev/null
	wait_for 10 trace_is_over "$before"
}

@test "a reader that has gone ends it, and a terminal's Ctrl-C" {
	before=$(word_of)
	inside bash -c 'hsctl trace echo | head -n 1' | grep TIME
	wait_for 5 trace_is_over "$before"
	begin_trace
	inside pkill -TERM -o -f 'hsctl trace echo'
	wait $tracing
	grep 'decisions shown' "$said"
	trace_is_over "$before"
}

@test "what is refused, and why" {
	run -2 hs trace
	run -2 hs trace echo --from=everybody
	[[ $output == *'takes an address or a prefix'* ]]
	run -2 hs trace echo -n many
	run -1 hs trace nosuch
	[[ $output == *'nothing is pinned in the kernel for nosuch'* ]]
	run -1 as_nobody hsctl trace echo
	[[ $output == *'only root may do this'* ]]
	begin_trace
	run -3 hs trace echo --timeout=1s
	[[ $output == *"echo is traced by another process, see fuser -v $pins/echo/trace"* ]]
	# it stays the other's
	(($(word_of) == before + 1))
	end_trace
}
