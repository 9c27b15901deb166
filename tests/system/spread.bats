#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Policy hash: all slots at work, each client on one of them with all that it sends; who moves when slots come, go,
# are drained, restarted, killed, hang or are weighed, and that all others stay; as operators say it.

load lib/rig

client=/usr/lib/hotstandby/hs-echo-client

setup_file() {
	rig_up
	inside systemctl start hsd
	inside cp $examples/echo@.service /etc/systemd/system/
	printf '[Service]\nSlots=4\nFlow=none\nPolicy=hash\nBy=client\n' | write /etc/hotstandby/echo.conf
	inside systemctl daemon-reload
	hs enable echo@.service
	inside systemctl start echo@0 echo@1 echo@2 echo@3
	wait_for 10 is_ready echo
	all_in_service 4
}

in_service() { hs table echo --json | jq -r '[.slots[] | select(.in_service) | .slot] | join(" ")'; }
is_in_service() { [[ $(in_service) == "$1" ]]; }
all_in_service() { wait_for 10 is_in_service "$(seq -s' ' 0 $(($1 - 1)))"; }

# answers WAY...: "SLOT SLOT ...": of 64 clients, in the order of their addresses
answers() {
	inside $client --count=64 --from=127.0.0.10+64 "$@" >"$BATS_TEST_TMPDIR/asked" ||
		fail "$(cat "$BATS_TEST_TMPDIR/asked")" || return
	sed -n 's/.* slot=\([0-9]*\) .*/\1/p' "$BATS_TEST_TMPDIR/asked" | paste -sd' '
}
by_tcp() { answers 127.0.0.1:7777; }
by_udp() { answers --udp 127.0.0.1:7777; }

# named: the same by hsctl where
named() {
	local i
	for i in $(seq 10 73); do
		echo "$1 where --json echo 127.0.0.$i"
	done | inside bash -c 'while read -r line; do hsctl $line; done' | jq .slot | paste -sd' '
}

# differ BEFORE AFTER [SLOT]: how many clients moved, and with SLOT only of those that were not on it
differ() {
	local -a a b
	local i n=0
	read -ra a <<<"$1"
	read -ra b <<<"$2"
	((${#a[@]} == 64 && ${#b[@]} == 64)) || return 1
	for i in "${!a[@]}"; do
		[[ ${a[i]} == "${b[i]}" || ${a[i]} == "${3:-none}" ]] || n=$((n + 1))
	done
	echo $n
}

# who is on SLOT
on() { tr ' ' '\n' <<<"$1" | grep -cx "$2" || true; }

@test "Policy= and By= of the settings hold from the first start on" {
	[[ $(status echo '"\(.policy) \(.by)"') == 'hash client' ]]
	run -0 hs table echo
	[[ ${lines[0]} == 'echo: policy hash by client, fingerprint '* && ${lines[2]} =~ ^' '*0' '+yes' '+100% ]]
	run -0 hs status echo
	[[ $output == *'policy hash by client'*'shares: slot 0 2'* ]]
}

@test "by TCP and UDP, IPv4 and dual stack, each client is where hsctl where says" {
	local tcp udp
	tcp=$(by_tcp)
	udp=$(by_udp)
	[[ $tcp == "$udp" && $tcp == "$(named)" ]]
	[[ $(tr ' ' '\n' <<<"$tcp" | sort -u | paste -sd' ') == '0 1 2 3' ]]
	run -0 hs where echo 127.0.0.10
	[[ $output =~ ^'echo: 127.0.0.10 goes to slot '[0-3]': bucket '[0-9]+", its bucket's first slot."$ ]]
}

@test "a restart, a kill and a drain move the clients of that slot alone, and they come back" {
	local before
	before=$(by_udp)
	inside systemctl kill --signal=KILL echo@2
	wait_for 10 is_in_service '0 1 3'
	[[ $(differ "$before" "$(by_udp)" 2) == 0 ]]
	all_in_service 4
	[[ $(by_udp) == "$before" ]]
	inside systemctl restart echo@1
	all_in_service 4
	[[ $(by_tcp) == "$before" ]]
	hs drain echo 3
	is_in_service '0 1 2'
	[[ $(differ "$before" "$(by_tcp)" 3) == 0 && $(on "$(by_udp)" 3) == 0 ]]
	hs adopt echo 3 2>/dev/null || inside systemctl restart echo@3
	all_in_service 4
	[[ $(by_udp) == "$before" ]]
}

@test "a slot that hangs or is unhealthy loses its clients, whatever its role" {
	local before
	before=$(by_tcp)
	inside systemctl kill --signal=STOP echo@3
	# somebody has to wait there for it to be seen
	inside timeout 5 $client --quiet --count=64 --rate=200 --from=127.0.0.10+64 127.0.0.1:7777 || true
	wait_for 10 is_in_service '0 1 2'
	[[ $(differ "$before" "$(by_tcp)" 3) == 0 ]]
	inside systemctl kill --signal=CONT echo@3 || true
	wait_for 20 is_ready echo
	all_in_service 4
	[[ $(by_tcp) == "$before" ]]
}

@test "weight, pin and unpin, with what is refused" {
	local before
	before=$(by_udp)
	run -0 hs weight echo 2 50%
	[[ $output == 'echo: slot 2 has weight 50%; '*'% of the clients have moved.' ]]
	[[ $(differ "$before" "$(by_udp)" 2) == 0 ]]
	run -3 --separate-stderr hs weight echo 7 50%
	[[ $stderr == *'slot 7 takes no part'*'hsctl scale'* ]]
	run -2 --separate-stderr hs weight echo 2 50%%
	run -2 --separate-stderr hs weight echo 2 1001%
	hs weight echo 2 100%
	[[ $(by_udp) == "$before" ]]
	run -0 hs pin echo 127.0.0.16/28 3
	[[ $output == 'echo: 127.0.0.16/28 is pinned to slot 3.' ]]
	[[ $(by_tcp | cut -d' ' -f7-22) == '3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3' ]]
	[[ $(hs where --json echo 127.0.0.17 | jq -r .why) == 'pinned by 127.0.0.16/28' ]]
	run -3 --separate-stderr hs pin echo 127.0.0.0/24 1
	[[ $stderr == *'overlaps 127.0.0.16/28'*'hsctl pin echo 127.0.0.16/28 none'* ]]
	run -0 hs pin echo
	[[ $output == '127.0.0.16/28 is pinned to slot 3' ]]
	run -3 --separate-stderr hs pin echo 10.0.0.0/8 none
	run -2 --separate-stderr hs pin echo nonsense 1
	hs pin echo 127.0.0.16/28 none
	[[ $(by_udp) == "$before" ]]
}

@test "odd texts are told what is wrong with them, by hsctl and by the bus, and nothing changes" {
	local text before service=(org.hotstandby1 /org/hotstandby1/service/echo org.hotstandby1.Service)
	before=$(hs table echo --json)
	for text in '' x 1.2.3 1.2.3.4/24 '[::1' '[::1]x' 1.2.3.4:0 1.2.3.4:65536 ::1%lo '1.2.3.4%n' 01.2.3.4 "$(printf 'x%.0s' {1..3000})"; do
		run -2 --separate-stderr hs where echo "$text"
		[[ $stderr == *'is no client; it takes an address'* && ${#stderr} -lt 300 ]]
		run -1 --separate-stderr inside busctl call "${service[@]}" Where s "$text"
		[[ $stderr == *'is no client; it takes an address'* && ${#stderr} -lt 300 ]]
	done
	for text in '' x 1.2.3.4/33 ::/129 1.2.3.4/ 1.2.3.4/-1 1.2.3.4/24/3 "$(printf 'x%.0s' {1..3000})"; do
		run -2 --separate-stderr hs pin echo "$text" 1
		[[ $stderr == *'is not a prefix of addresses'* && ${#stderr} -lt 300 ]]
		run -1 --separate-stderr inside busctl call "${service[@]}" SetPinned su "$text" 1
		[[ $stderr == *'is not a prefix of addresses'* && ${#stderr} -lt 300 ]]
	done
	for text in '' x 16 None 1.0; do
		run -2 --separate-stderr hs pin echo 192.0.2.0/24 "$text"
		[[ $stderr == *'is not the number of a slot, 0 to 15'* ]]
		run -2 --separate-stderr hs weight echo "$text" 50%
	done
	for text in '' % 1e3 0x10 100.5% 99999999999999999999; do
		run -2 --separate-stderr hs weight echo 1 "$text"
		[[ $stderr == *'is no weight; it takes 0% to 1000%'* ]]
	done
	for text in 16 254 256 4294967295; do
		run -1 inside busctl call "${service[@]}" SetPinned su 192.0.2.0/24 "$text"
		run -1 inside busctl call "${service[@]}" SetWeight uu "$text" 50
	done
	run -1 inside busctl call "${service[@]}" SetWeight uu 1 1001
	for text in 0 5 17 4294967295; do
		run -1 inside busctl call "${service[@]}" SetSlots u "$text"
		[[ $output == *'it has 4 slots by its settings (Slots=); between 1 and as many'* ]]
	done
	run -1 inside busctl call "${service[@]}" SetHash s nobody
	# IPv4 is in there, too
	hs pin echo 192.0.2.0/24 1
	run -3 --separate-stderr hs pin echo ::/0 2
	[[ $stderr == *'::/0 overlaps 192.0.2.0/24, which is pinned to slot 1; unpin that first: hsctl pin '* ]]
	run -3 --separate-stderr hs scale echo 1
	[[ $stderr == *'192.0.2.0/24 is pinned to slot 1; pin it to another slot first'* ]]
	hs pin echo 192.0.2.0/24 none
	diff <(hs table echo --json | jq 'del(.generation, .slots[].share_got)') <(jq 'del(.generation, .slots[].share_got)' <<<"$before")
}

# relayout NUMBER: of the table, as another hotstandby might have made it
relayout() {
	inside python3 - $pins/echo/table "$1" <<-'END'
		import ctypes, mmap, os, struct, sys
		path = ctypes.create_string_buffer(sys.argv[1].encode())
		attributes = ctypes.create_string_buffer(struct.pack("=QII", ctypes.addressof(path), 0, 0) + bytes(112))
		call = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
		fd = ctypes.CDLL(None, use_errno=True).syscall(call, 7, attributes, 128)
		assert fd >= 0, os.strerror(ctypes.get_errno())
		mmap.mmap(fd, 4096)[:4] = struct.pack("=I", int(sys.argv[2]))
	END
}

@test "a table of another layout is named with what can be done, and traffic goes on as it says" {
	local before verb
	before=$(by_udp)
	relayout 77
	for verb in 'weight echo 1 50%' 'pin echo 10.0.0.0/8 1' 'policy echo hash --by=connection' 'table echo' \
		'where echo 127.0.0.1' 'rebalance echo' 'scale echo 3'; do
		# shellcheck disable=SC2086 # words
		run ! --separate-stderr hs $verb
		[[ $stderr == *'echo: its table is of layout 77 and this hotstandby knows 1; traffic goes on as it says; run the hotstandby that made it, or '* ]] ||
			fail "$verb: $stderr"
	done
	[[ $(by_udp) == "$before" ]]
	is_ready echo
	relayout 1
	[[ $(by_udp) == "$(named)" ]]
}

@test "weights that add to nothing are refused, and nothing changes" {
	local before
	hs weight echo 0 0% && hs weight echo 1 0% && hs weight echo 2 0%
	before=$(hs table echo --hash)
	run -3 --separate-stderr hs weight echo 3 0%
	[[ $stderr == *'add up to nothing'*'drain'* ]]
	[[ $(hs table echo --hash) == "$before" ]]
	[[ $(on "$(by_udp)" 3) == 64 ]]
	hs weight echo 0 100 && hs weight echo 1 100 && hs weight echo 2 100
}

@test "scale up and down: who moves are those who have to, and nothing is lost" {
	local before after
	before=$(by_udp)
	inside $client --quiet --udp --count=4000 --rate=400 --from=127.0.0.10+64 127.0.0.1:7777 >"$BATS_TEST_TMPDIR/udp" 3>&- &
	local job=$!
	run -0 hs scale echo 6
	[[ $output == 'echo: slots 0 to 5 are at work, and have all clients.' ]]
	is_in_service '0 1 2 3 4 5'
	after=$(by_udp)
	(($(differ "$before" "$after") == $(on "$after" 4) + $(on "$after" 5)))
	[[ $(status echo '.slots | length') == 6 ]]
	# by hand it may not be fewer than clients are spread over
	printf '[Service]\nSlots=3\n' | write /etc/hotstandby/echo.conf.d/zzz.conf
	inside systemctl reload hsd
	[[ $(status echo .problem) == *'Slots=3 is fewer than the 6 slots'*'hsctl scale echo 3'* ]]
	[[ $(status echo '.slots | length') == 6 ]]
	inside rm /etc/hotstandby/echo.conf.d/zzz.conf
	inside systemctl reload hsd
	run -0 hs scale echo 4
	[[ $output == 'echo: slots 0 to 3 are at work, and have all clients.' ]]
	run -0 hs scale echo 4
	[[ $(by_udp) == "$before" ]]
	# one that was drained is taken back by the same word
	hs drain echo 1 >/dev/null
	run -0 hs scale echo 4
	is_in_service '0 1 2 3'
	[[ $(unit_state echo@4) == inactive && $(unit_state echo@5) == inactive ]]
	[[ $(status echo '.slots | length') == 4 ]]
	wait $job || fail "$(cat "$BATS_TEST_TMPDIR/udp")"
	run -2 --separate-stderr hs scale echo 17
	[[ $stderr == *'1 to 16'* ]]
	run -2 --separate-stderr hs scale echo 0
}

@test "a scale that is said again waits for the connections that the first one waited for, to their end" {
	local before job
	own_service app 19700
	printf '[Service]\nSlots=3\nPolicy=hash\nBy=connection\nDrainEnd=keep\n' | write /etc/hotstandby/app.conf
	inside systemctl daemon-reload
	hs enable app@.service
	inside systemctl start app@0 app@1 app@2
	wait_for 10 is_ready app
	wait_for 10 app_is_spread 3
	hold 19700 40
	before=$held
	[[ " $before " == *' 2 '* ]]
	inside systemd-run --quiet --collect --unit=scaling hsctl scale app 2
	wait_for 10 is_state app 2 leaving
	inside systemctl stop scaling
	[[ $(status app .change) == drain ]]
	hs scale app 2 >"$BATS_TEST_TMPDIR/scale" 2>&1 3>&- &
	job=$!
	sleep 2
	ask_again
	[[ $held == "$before" ]]
	let_go
	wait $job || fail "$(cat "$BATS_TEST_TMPDIR/scale")"
	is_unit_state app@2 inactive
	[[ $(status app '.slots | length') == 2 ]]
	# one that was drained, with connections left, and that nobody waits for
	hs scale app 3
	hold 19700 40
	before=$held
	[[ " $before " == *' 2 '* ]]
	hs drain app 2 --deadline=0 >/dev/null
	[[ $(status app .change) == null ]]
	is_state app 2 leaving
	hs scale app 2 >"$BATS_TEST_TMPDIR/scale" 2>&1 3>&- &
	job=$!
	sleep 2
	ask_again
	[[ $held == "$before" ]]
	let_go
	wait $job || fail "$(cat "$BATS_TEST_TMPDIR/scale")"
	is_unit_state app@2 inactive
	# and no longer than the second one says
	hs scale app 3
	hold 19700 40
	[[ " $held " == *' 2 '* ]]
	inside systemd-run --quiet --collect --unit=scaling hsctl scale app 2 --deadline=1h
	wait_for 10 is_state app 2 leaving
	inside systemctl stop scaling
	run -0 hs scale app 2 --deadline=1s
	is_unit_state app@2 inactive
	let_go
	down app
}
app_is_spread() { [[ $(hs table app --json | jq '[.slots[] | select(.in_service)] | length') == "$1" ]]; }

@test "rebalance: shows the effect first, and then moves the heavy ones" {
	# one client sends ten times what others do
	inside $client --quiet --udp --count=4000 --from=127.0.0.10 127.0.0.1:7777
	inside $client --quiet --udp --count=4000 --from=127.0.0.11+16 127.0.0.1:7777
	local before
	before=$(hs table echo --hash)
	run -0 hs rebalance echo --dry-run
	[[ $output == *'would get'*'Nothing was done'* ]]
	[[ $(hs table echo --hash) == "$before" ]]
	run -0 hs rebalance --json echo
	jq -e '.moved_buckets > 0 and .fullest_after < .fullest_before and .dry_run == false' <<<"$output"
	[[ $(hs table echo --hash) != "$before" ]]
	[[ $(by_udp) == "$(named)" ]]
	hs policy echo hash --by=connection
	run -3 --separate-stderr hs rebalance echo
	[[ $stderr == *'by connection'* ]]
	hs policy echo hash --by=client
}

@test "by connection the port decides, and where wants to know it" {
	hs policy echo hash --by=connection
	[[ $(status echo .by) == connection ]]
	run -3 --separate-stderr hs where echo 127.0.0.1
	[[ $stderr == *'say it, too'* ]]
	inside $client --udp --count=40 --from=127.0.0.1 --from-port=5300+40 127.0.0.1:7777 >"$BATS_TEST_TMPDIR/asked"
	[[ $(sed -n 's/.* slot=\([0-9]*\) .*/\1/p' "$BATS_TEST_TMPDIR/asked" | paste -sd' ') == \
		"$(for i in $(seq 5300 5339); do echo "where --json echo 127.0.0.1:$i"; done |
			inside bash -c 'while read -r line; do hsctl $line; done' | jq .slot | paste -sd' ')" ]]
	hs policy echo hash --by=client
}

@test "a key that others may read is refused; one file on two services gives one table" {
	inside sh -c 'umask 022; echo correct-horse-battery >/etc/hotstandby/echo.key'
	local before path
	before=$(hs table echo --hash)
	printf '[Service]\nHashKey=/etc/hotstandby/echo.key\n' | write /etc/hotstandby/echo.conf.d/key.conf
	inside systemctl reload hsd
	[[ $(hs table echo --hash) == "$before" ]]
	has_said problem 'can be read by others'
	[[ $(status echo .problem) == *'can be read by others'*'chmod 0600'*'then run: systemctl reload hsd' ]]
	[[ $(hs list --json | jq -r '.[] | select(.service == "echo") | .problem') == *'can be read by others'* ]]
	run -1 --separate-stderr hs doctor echo --json
	[[ $(jq -r '.[] | select(.id == "service.settings") | .status' <<<"$output") == finding ]]
	# tried again by each reload, though no settings have changed
	inside chmod 0600 /etc/hotstandby/echo.key
	inside systemctl reload hsd
	[[ $(status echo .problem) == null && $(hs table echo --json | jq .shared_key) == true ]]
	[[ $(hs table echo --hash) != "$before" ]]
	before=$(hs table echo --hash)
	inside sh -c 'cd /etc/hotstandby; chmod 0600 echo.key; mv echo.key kept; mkfifo -m 0600 echo.key'
	run -3 --separate-stderr hs policy echo hash
	[[ $stderr == *'HashKey=/etc/hotstandby/echo.key is no file'* ]]
	inside sh -c 'cd /etc/hotstandby; rm echo.key; umask 077; echo short >echo.key'
	run -3 --separate-stderr hs policy echo hash
	[[ $stderr == *'has no key in it: it takes text of 8 to '* ]]
	inside rm /etc/hotstandby/echo.key
	run -3 --separate-stderr hs policy echo hash
	[[ $stderr == *'cannot be read: No such file or directory; write it with: '* ]]
	inside sh -c 'cd /etc/hotstandby; cp -p kept echo.key; chown 1 echo.key'
	run -3 --separate-stderr hs policy echo hash
	[[ $stderr == *'HashKey=/etc/hotstandby/echo.key '* ]]
	[[ $(hs table echo --hash) == "$before" ]]
	inside sh -c 'cd /etc/hotstandby; rm kept echo.key; umask 077; echo battery-staple >echo.key'
	run -0 hs policy echo hash
	[[ $(hs table echo --json | jq .shared_key) == true && $(hs table echo --hash) != "$before" ]]
	# what hsd does not see may be there, and be what other machines have
	before=$(hs table echo --hash)
	inside sh -c 'umask 077; echo correct-horse-battery >/root/echo.key; echo correct-horse-battery >/tmp/echo.key'
	for path in /root/echo.key /tmp/echo.key; do
		printf '[Service]\nHashKey=%s\n' $path | write /etc/hotstandby/echo.conf.d/key.conf
		inside systemctl reload hsd
		run -3 --separate-stderr hs policy echo hash
		[[ $stderr == *"HashKey=$path cannot be read: "*'hsd does not see /root, '*'put the file in /etc/hotstandby'* ]] ||
			fail "$stderr"
		[[ $stderr != *urandom* && $(hs table echo --hash) == "$before" ]]
	done
	inside rm /root/echo.key /tmp/echo.key
	printf '[Service]\nHashKey=/etc/hotstandby/echo.key\n' | write /etc/hotstandby/echo.conf.d/key.conf
	inside systemctl reload hsd
	[[ $(hs table echo --hash) == "$before" ]]
	# what was said of By= meanwhile stays, and a key that others know does not
	before=$(hs table echo --hash)
	hs policy echo hash --by=connection
	inside rm /etc/hotstandby/echo.conf.d/key.conf
	inside systemctl reload hsd
	[[ $(hs table echo --json | jq -c '[.by, .shared_key]') == '["connection",false]' && $(hs table echo --hash) != "$before" ]]
	hs policy echo hash --by=client
}

@test "without hsd the same verbs do the same, and hsd that comes goes on" {
	local before
	before=$(by_udp)
	inside systemctl stop hsd
	run -0 --separate-stderr hs where --json echo 127.0.0.10
	[[ $(jq .slot <<<"$output") == "${before%% *}" ]]
	hs pin echo 127.0.0.16/28 1
	hs weight echo 0 10
	[[ $(by_udp) == "$(named)" ]]
	hs weight echo 0 100
	hs pin echo 127.0.0.16/28 none
	[[ $(by_udp) == "$before" ]]
	run -1 --separate-stderr hs scale echo 5
	[[ $stderr == *'systemctl start hsd'* ]]
	inside systemctl start hsd
	[[ $(by_udp) == "$before" ]]
}

@test "hsd killed with -9 changes nothing for any client, and the table stays" {
	local before print
	before=$(by_udp)
	print=$(hs table echo --hash)
	inside systemctl kill --signal=KILL hsd
	[[ $(by_udp) == "$before" ]]
	wait_for 10 inside busctl status org.hotstandby1
	[[ $(hs table echo --hash) == "$print" ]]
}

@test "there is nothing to switch over to, nor to drill" {
	local word
	word=$(generation echo)
	run -3 --separate-stderr hs switchover echo
	[[ $stderr == *'all slots are at work'*'hsctl drain'* ]]
	run -3 --separate-stderr hs drill echo --scenario=crash --yes
	[[ $stderr == *'no active slot'* ]]
	[[ $(generation echo) == "$word" ]]
}

@test "other policies, and back: what was weighed and pinned is still there" {
	hs weight echo 1 200
	hs policy echo standby
	run -3 --separate-stderr hs weight echo 1 100
	[[ $stderr == *'the policy is standby'*'hsctl policy echo hash'* ]]
	run -3 --separate-stderr hs table echo
	run -3 --separate-stderr hs scale echo 3
	[[ $(by_tcp | tr ' ' '\n' | sort -u | wc -l) == 1 ]]
	hs policy echo parity
	run -3 --separate-stderr hs where echo 127.0.0.1
	[[ $(hs where --json echo 127.0.0.1:4711 | jq .slot) == 1 ]]
	hs policy echo hash
	[[ $(hs table echo --json | jq '.slots[1].weight') == 200 ]]
	hs weight echo 1 100
}

# ---- upgrades ----

# at_work: the start times of all instances, by slot
at_work() { for i in 0 1 2 3; do main_pid echo@$i; done | paste -sd' '; }

@test "upgrade goes slot by slot: each is tested alone, all others serve, nobody else moves, nothing is lost" {
	local before pids
	before=$(by_udp)
	pids=$(at_work)
	inside $client --quiet --udp --count=4000 --rate=400 --from=127.0.0.10+64 127.0.0.1:7777 >"$BATS_TEST_TMPDIR/udp" 3>&- &
	local udp=$!
	inside $client --quiet --count=4000 --rate=400 --from=127.0.0.10+64 127.0.0.1:7777 >"$BATS_TEST_TMPDIR/tcp" 3>&- &
	local tcp=$!
	run -0 hs upgrade echo --probation=1s --smoke="$client --count=1 127.0.0.1:7777"
	[[ $output == *'smoke: testing slot 0'*'probation: slot 0'*'smoke: testing slot 3'*'upgraded in'*'all 4 that run'* ]]
	wait $udp || fail "$(cat "$BATS_TEST_TMPDIR/udp")"
	wait $tcp || fail "$(cat "$BATS_TEST_TMPDIR/tcp")"
	# shellcheck disable=SC2046 # words
	(($(printf '%s\n' $pids $(at_work) | sort -u | wc -l) == 8))
	[[ $(by_udp) == "$before" ]]
	[[ $(hs history --json echo | jq -r '.verb' | tail -1) == upgrade ]]
}

@test "the first slot that fails its test is undone, the rest left alone, and the others have its clients" {
	local before pids
	before=$(by_udp)
	pids=$(at_work)
	# slot 1 fails
	run -4 --separate-stderr hs upgrade echo --probation=0 \
		--smoke="$client --count=1 127.0.0.1:7777 | { ! grep -q slot=1; }"
	[[ $stderr == *'undone at slot 1 in its step "smoke"'*'systemctl restart echo@1'*'1 before it has been upgraded, 2 behind it left alone'* ]]
	is_in_service '0 2 3'
	[[ $(at_work | cut -d' ' -f3,4) == $(cut -d' ' -f3,4 <<<"$pids") ]]
	[[ $(differ "$before" "$(by_udp)" 1) == 0 && $(on "$(by_tcp)" 1) == 0 ]]
	inside systemctl restart echo@1
	all_in_service 4
	[[ $(by_udp) == "$before" ]]
}

@test "one that does not start, canary steps, one that is cancelled, and hsd that dies in the middle" {
	local before
	before=$(by_udp)
	run -3 --separate-stderr hs upgrade echo --canary=5%
	[[ $stderr == *'leave --canary out'* ]]
	inside mkdir -p /etc/systemd/system/echo@0.service.d
	printf '[Service]\nExecStart=\nExecStart=/bin/false\n' | write /etc/systemd/system/echo@0.service.d/broken.conf
	inside systemctl daemon-reload
	run -4 --separate-stderr hs upgrade echo --probation=0
	[[ $stderr == *'undone at slot 0 in its step "restart"'* ]]
	[[ $(differ "$before" "$(by_udp)" 0) == 0 ]]
	inside rm /etc/systemd/system/echo@0.service.d/broken.conf
	inside systemctl daemon-reload
	inside systemctl reset-failed echo@0 || true
	inside systemctl restart echo@0
	all_in_service 4
	# cancelled while the clients of slot 0 are on probation: it keeps them
	pid_was=$(main_pid echo@0)
	hs upgrade echo --probation=60s --no-block
	wait_for 20 on_probation
	hs rollback echo
	all_in_service 4
	[[ $(by_udp) == "$before" ]]
	# without a test the next hsd goes on
	pid_was=$(main_pid echo@0)
	hs upgrade echo --probation=8s --no-block
	wait_for 20 on_probation
	inside systemctl kill --signal=KILL hsd
	wait_for 60 has_resumed
	all_in_service 4
	[[ $(by_udp) == "$before" ]]
}

on_probation() { [[ $(main_pid echo@0) != "$pid_was" ]] && is_in_service '0 1 2 3'; }
has_resumed() { has_said upgrade 'all 4 that run have the new version'; }

# has_said KIND TEXT: since the test began
has_said() { inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=echo HS_EVENT="$1" | grep -qF "$2"; }
