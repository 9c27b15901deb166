#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What can be seen and set: status, list, connections, events, policy, canary; as text, as JSON, over the
# bus, as root and as an ordinary user.

load lib/rig

url=http://127.0.0.1:9801/
bus='org.hotstandby1 /org/hotstandby1 org.hotstandby1.Manager'
app_bus='org.hotstandby1 /org/hotstandby1/service/app org.hotstandby1.Service'

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9801
	up app
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside systemctl start app@0 app@1
	wait_for 10 is_ready app
	prefer app 0
}

# ---- status ----

@test "status --json has the names and types of the contract" {
	fetch $url
	run -0 --separate-stderr hs status --json app
	[[ ${#lines[@]} == 1 && -z $stderr ]]
	jq -e '.service == "app" and .policy == "standby" and (.generation | type) == "number" and .active == 0
		and .canary == null and .canary_share == 0 and .manager == true
		and .listeners == [{"protocol": "tcp", "address": "0.0.0.0:9801"}]
		and (.slots | length) == 2' <<<"$output"
	grep -qF '"canary_share":0.0' <<<"$output"
	jq -e '.slots[0] | .slot == 0 and .unit == "app@0.service" and .role == "active" and .state == "ready"
		and .main_pid > 0 and .sockets == 1 and ([.connections, .queued, .chosen, .migrated_in] | all(type == "number"))
		and (.since | test("^2[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$"))' <<<"$output"
	jq -e '.slots[1] | .slot == 1 and .unit == "app@1.service" and .role == "standby"' <<<"$output"
	[[ $(jq .slots[0].main_pid <<<"$output") == $(main_pid app@0) ]]
	(($(jq .slots[0].chosen <<<"$output") > 0))
}

@test "without a service, status and list are arrays" {
	own_service other 9802
	inside systemctl daemon-reload
	hs enable other@.service
	[[ $(hs status --json | jq -c '[.[].service] | sort') == '["app","other"]' ]]
	[[ $(hs status --json | jq -c '.[] | select(.service == "other") | [.active, .slots[].state, .slots[].main_pid, .listeners]') == '[null,"down","down",null,null,[]]' ]]
	hs list --json | jq -e '.[] | select(.service == "app") | .policy == "standby" and .active == 0 and .ready == 2
		and .slots == 2 and (.connections | type) == "number" and .listeners[0].address == "0.0.0.0:9801"'
	run -0 hs list
	[[ ${lines[0]} == SERVICE* && ${lines[1]} =~ ^app.*2/2.*0.0.0.0:9801 && ${lines[2]} =~ ^other.*0/2 ]]
	run -0 hs status
	[[ $output == *'app: policy standby'*'other: policy standby'* ]]
	down other
}

@test "status as text" {
	run -0 hs status app
	[[ ${lines[0]} =~ ^'app: policy standby, generation '[0-9]+', intake own, hsd runs, 0.0.0.0:9801'$ ]]
	[[ ${lines[1]} == *SLOT*UNIT*ROLE*STATE*PID*CONNS*QUEUED*CHOSEN*MIGRATED*SINCE* ]]
	[[ ${lines[2]} =~ 0\ app@0.service\ +active\ +ready\ +[0-9]+ ]]
	[[ ${lines[3]} =~ 1\ app@1.service\ +standby\ +ready\ +[0-9]+ ]]
	# no colour where there is no terminal
	[[ $output != *$'\033'* ]]
}

@test "status of what is not there" {
	run -1 hs status nothing
	[[ $output == *'nothing is not managed by hotstandby; enable it: hsctl enable nothing@.service'* ]]
	run -2 hs status app@0.service
	run -2 hs status ../app
}

@test "status --watch goes on until it is told to stop" {
	local job
	inside timeout -s INT 3.5 hsctl status --watch app >"$BATS_TEST_TMPDIR/watch" 3>&- &
	job=$!
	wait_for 5 grep -q 'standby ready' "$BATS_TEST_TMPDIR/watch"
	hs switchover app >/dev/null
	wait_for 5 grep -Eq '1 app@1.service +active' "$BATS_TEST_TMPDIR/watch"
	wait $job || true
	(($(grep -c 'policy standby' "$BATS_TEST_TMPDIR/watch") >= 3))
	# on a terminal it repaints, and leaves the screen as it was
	inside timeout -s INT 1.5 script -qefc 'hsctl status --watch app' /dev/null >"$BATS_TEST_TMPDIR/screen" </dev/null || true
	grep -q $'\033\[?1049h' "$BATS_TEST_TMPDIR/screen"
}

@test "status counts connections, queue, and what was chosen" {
	local before
	before=$(status app .slots[0].chosen)
	hold 9801 7
	[[ $(status app .slots[0].connections) == 7 && $(status app .slots[1].connections) == 0 ]]
	(($(status app .slots[0].chosen) == before + 7))
	# a server that does not accept: they wait in the queue
	inside systemctl kill -s STOP app@0
	inside bash -c 'for i in 1 2 3; do exec {fd}<>/dev/tcp/127.0.0.1/9801; done; hsctl status --json app' |
		jq -e '.slots[0].queued == 3'
	inside systemctl kill -s CONT app@0
	let_go
	wait_for 5 has_connections 0 0
}

has_connections() { [[ $(status app ".slots[$1].connections") == "$2" ]]; }

@test "a hung active one: failover takes along what waits in its queue" {
	local job
	inside systemctl kill -s STOP app@0
	fetch $url -o - >"$BATS_TEST_TMPDIR/answer" 3>&- &
	job=$!
	wait_for 5 is_queued 0
	hs failover app
	wait $job
	grep -q '^slot=1 ' "$BATS_TEST_TMPDIR/answer"
	(($(status app .slots[1].migrated_in) > 0))
	inside systemctl kill -s CONT app@0
}

is_queued() { (($(status app ".slots[$1].queued") > 0)); }

# ---- connections ----

@test "connections, by count and one by one" {
	hold 9801 3
	hs connections --json app | jq -e '.service == "app" and (.slots | map(.connections)) == [3, 0]'
	run -0 hs connections app
	[[ ${lines[0]} == *SLOT*ROLE*CONNS*QUEUED* && ${lines[1]} =~ 0\ active\ +3\ +0 ]]
	hs connections --json --list app | jq -e '.connections | length == 3 and all(.slot == 0 and .state == "established"
		and (.local == "127.0.0.1:9801") and (.peer | startswith("127.0.0.1:")))'
	lacks_iterators || hs connections --json --list app | jq -e 'all(.connections[]; (.idle_ms | type) == "number")'
	# they keep their slot over a switchover
	hs switchover app --drain=0
	hs connections --json --list app | jq -e '.connections | length == 3 and all(.slot == 0)'
	run -0 hs connections --list app
	(($(grep -c established <<<"$output") == 3))
	let_go
}

# ---- events ----

# told KIND PATTERN: an event of this kind since the test began
told() {
	local kind=$1 pattern=$2
	wait_for 5 has_event app "$kind"
	inside journalctl -q -o json --since="@$rig_began" HS_SERVICE=app HS_EVENT="$kind" |
		jq -es --arg p "$pattern" 'any(.MESSAGE | test($p)) and all(.MESSAGE_ID | length == 32)' ||
		fail "no event $kind with $pattern"
	hs events --json -n 0 app | jq -es --arg k "$kind" 'any(.event == $k and .service == "app" and (.time | type) == "string")'
}

@test "each kind of happening is an event" {
	hs switchover app
	told switchover 'slot 1 took over from slot 0'
	hs rollback app
	told rollback 'slot 0 took over from slot 1'
	hs failover app
	told failover 'slot 1 took over'
	hs policy app hash
	told policy 'the policy is hash now'
	hs policy app standby
	hs canary app 5%
	told canary '5% of new connections go to slot 0'
	hs canary app off
	told canary 'there is no canary'
	inside systemctl restart app@0
	told retire 'slot 0 is retired, slot 1 is active'
	told adopt 'slot 0 has 1 socket adopted'
	inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=app HS_SLOT=0 HS_EVENT=adopt | grep -q .
	wait_for 5 is_ready app
	inside systemctl kill -s KILL app@1
	told crash 'slot 1 ended by itself'
	told failover 'slot 1 is lost; slot 0 is active now'
	told restart 'starting slot 1 again after its crash: done'
	wait_for 5 is_ready app
	# what the kernel did in the meantime
	inside systemctl kill -s STOP app@0
	fetch $url -m 5 -o - >/dev/null 3>&- &
	wait_for 5 is_queued 0
	inside systemctl kill -s KILL app@0
	told migrated '1 waiting moved from slot 0 to slot 1'
	wait_for 5 is_ready app
}

@test "the journal's catalog explains each kind" {
	inside journalctl --update-catalog
	hs switchover app
	wait_for 5 has_event app switchover
	run -0 inside journalctl -x -q --since="@$rig_began" HS_SERVICE=app HS_EVENT=switchover
	[[ $output == *'░░ Subject:'* ]]
	for id in $(grep -oE '"[0-9a-f]{32}"' "$top/manager/system/journal.c" | tr -d '"'); do
		inside journalctl --list-catalog "$id" | grep -q "^$id"
	done
}

@test "new connections that fall through are told" {
	# the active slot's socket is gone, and nobody told the routing word
	inside systemctl stop hsd
	inside systemctl kill -s KILL app@0
	wait_for 5 is_unit_state app@0 failed
	fetch $url
	inside systemctl start hsd
	wait_for 5 is_active app 1
	(($(status app .slots[1].fell_through) > 0))
	wait_for 5 is_ready app
}

@test "events: by service, in number, followed, and as a stranger" {
	local job
	hs switchover app
	run -0 hs events -n 1 app
	((${#lines[@]} == 1))
	[[ $output == *switchover* ]]
	[[ $(hs events -n 0 nothing) == '' ]]
	inside timeout 10 hsctl events -f -n 0 --json app >"$BATS_TEST_TMPDIR/events" 3>&- &
	job=$!
	hs switchover app
	wait_for 5 grep -q '"event":"switchover"' "$BATS_TEST_TMPDIR/events"
	inside pkill -f 'hsctl events' || true
	wait $job || true
	run as_nobody hsctl events
	((status <= 1))
}

# ---- policy and canary ----

answers() { for _ in {1..40}; do answering_slot $url; done | sort | uniq -c | awk '{ print $2 "=" $1 }' | xargs; }

@test "policy parity goes by the client's port, hash spreads, standby is back" {
	run -0 hs policy app parity
	[[ $output == 'app: the policy is parity now: even client ports go to slot 0, odd ones to slot 1.' ]]
	[[ $(status app .policy) == parity ]]
	for port in 30000 30002 30004; do
		[[ $(fetch $url --local-port $port) == 'slot=0 '* ]]
	done
	for port in 30001 30003 30005; do
		[[ $(fetch $url --local-port $port) == 'slot=1 '* ]]
	done
	run -0 hs policy app parity
	[[ $output == *'parity already'* ]]
	run -0 hs policy app hash --json
	jq -e '.service == "app" and .policy == "hash" and (.message | type) == "string" and (.generation | type) == "number"' <<<"$output"
	[[ $(answers) =~ ^0=[0-9]+\ 1=[0-9]+$ ]]
	hs policy app standby
	[[ $(answers) == 0=40 ]]
	run -2 hs policy app random
	run -2 hs policy app
}

@test "a canary gets its share, and none when it is off or gone" {
	run -0 hs canary app 50%
	[[ $output == 'app: 50% of new connections go to slot 1.' ]]
	status app '[.canary, .canary_share, .slots[1].role] | join(" ")' | grep -qx '1 0.5 canary'
	hs status app | grep -q 'canary slot 1 gets 50%'
	[[ $(answers) =~ ^0=[0-9]+\ 1=[0-9]+$ ]]
	run -0 hs canary app 100% --to=1 --json
	jq -e '.canary == 1 and .canary_share == 1' <<<"$output" || jq -e '.canary_share > 0.9999' <<<"$output"
	[[ $(answers) == 1=40 ]]
	run -0 hs canary app off
	[[ $(answers) == 0=40 ]]
	run -3 hs canary app 5% --to=0
	run -2 hs canary app 101%
	run -2 hs canary app some
	hs canary app 100%
	inside systemctl stop app@1
	[[ $(answers) == 0=40 ]]
	[[ $(status app .canary) == null ]]
	inside systemctl start app@1
}

# ---- as an ordinary user ----

denied() {
	run -1 --separate-stderr as_nobody "$@"
	grep -qiE 'only root may do this|access denied|not permitted' <<<"$stderr" || fail "said: $output $stderr"
}

@test "an ordinary user may look" {
	as_nobody hsctl status --json app | jq -e '.active == 0 and .manager'
	as_nobody hsctl status | grep -q 'policy standby'
	as_nobody hsctl list --json | jq -e 'length == 1'
	as_nobody hsctl connections --json app | jq -e '.slots | length == 2'
	as_nobody hsctl connections --list --json app | jq -e '.withheld and (has("connections") | not)'
	as_nobody hsctl connections --list app | grep -q 'members of the group hotstandby'
	as_nobody busctl call $bus ListServices | grep -q '"app"'
	as_nobody busctl get-property $bus Version
	as_nobody busctl get-property $app_bus Active
	as_nobody busctl introspect org.hotstandby1 /org/hotstandby1/service/app | grep -q Switchover
}

@test "an ordinary user may change nothing" {
	local before
	before=$(status app '[.active, .generation, .policy, .canary]')
	for change in 'switchover app' 'rollback app' 'failover app' 'policy app hash' 'canary app 5%'; do
		denied hsctl $change
	done
	denied busctl call $bus Adopt s app@0.service
	denied busctl call $bus Retire s app@0.service
	denied busctl call $bus Reload
	denied busctl call $app_bus Switchover itts -- -1 0 0 ''
	denied busctl call $app_bus Rollback
	denied busctl call $app_bus Failover i -- -1
	denied busctl call $app_bus SetPolicy s hash
	denied busctl call $app_bus SetCanary uiss 100 1 connection ''
	denied busctl call $app_bus SetHash s client
	denied busctl call $app_bus SetWeight uu 0 50
	denied busctl call $app_bus SetPinned su 192.0.2.0/24 1
	denied busctl call $app_bus SetSlots u 3
	denied busctl call $app_bus Rebalance b false
	# which client is where is the key's secret
	denied busctl call $app_bus Table
	denied busctl call $app_bus Where s 192.0.2.7
	denied busctl set-property $app_bus Active u 1
	own_service other 9802
	inside systemctl daemon-reload
	run as_nobody hsctl enable other@.service
	((status != 0))
	run ! inside test -e /etc/hotstandby/other.conf
	inside bash -c 'rm /etc/systemd/system/other@.service; systemctl daemon-reload'
	run as_nobody hsctl disable app@.service
	((status != 0))
	run as_nobody hsctl switchover app --direct
	((status == 1))
	run ! as_nobody ls $pins
	run as_nobody hsctl retire app@0.service
	[[ $(status app '[.active, .generation, .policy, .canary]') == "$before" ]]
	is_ready app
}

# ---- garbage over the bus ----

garbage() {
	run --separate-stderr inside busctl call "$@"
	((status != 0)) || fail "accepted: $*"
	[[ -n $stderr ]]
}

@test "garbage over the bus is refused with a sentence, and hsd lives on" {
	local pid before
	pid=$(main_pid hsd)
	before=$(status app '[.active, .generation, .policy, .canary]')
	garbage $app_bus Switchover itts 99 0 0 ''
	grep -q 'no slot 99' <<<"$stderr"
	garbage $app_bus Switchover itts -- -7 0 0 ''
	garbage $app_bus Switchover itts -- -1 0 0 explode
	grep -q 'not keep, stop or restart' <<<"$stderr"
	garbage $app_bus Switchover itts -- -1 999999999999 0 ''
	garbage $app_bus Switchover itts -- 2147483647 0 0 ''
	garbage $app_bus Switchover itts -- -2147483648 0 0 ''
	garbage $app_bus Switchover s nonsense
	garbage $app_bus Failover i 77
	garbage $app_bus SetPolicy s ''
	garbage $app_bus SetPolicy s "$(printf 'x%.0s' {1..5000})"
	garbage $app_bus SetCanary ui 65537 1
	garbage $app_bus SetCanary ui 4294967295 1
	garbage $app_bus SetCanary ui 10 16
	garbage $app_bus NoSuchMethod
	garbage $bus Adopt s ''
	garbage $bus Adopt s 'app@0'
	garbage $bus Adopt s '../../etc/passwd'
	garbage $bus Adopt s 'app@99.service'
	garbage $bus Adopt s "$(printf 'x%.0s' {1..5000})@0.service"
	garbage $bus Adopt s 'nothing@0.service'
	grep -q 'nothing is not managed' <<<"$stderr"
	garbage $bus Retire s 'app@15.service'
	garbage org.hotstandby1 /org/hotstandby1/service/none org.hotstandby1.Service Describe
	[[ $(main_pid hsd) == "$pid" ]]
	[[ $(status app '[.active, .generation, .policy, .canary]') == "$before" ]]
}

@test "the bus tells each step of a change, and of properties that changed" {
	local job
	inside timeout 10 busctl monitor --json=short --match="type=signal,sender=org.hotstandby1" \
		>"$BATS_TEST_TMPDIR/signals" 2>/dev/null 3>&- &
	job=$!
	wait_for 5 inside busctl status org.hotstandby1 >/dev/null
	inside sleep 0.3
	hs switchover app --settle=100ms
	wait_for 5 grep -q PropertiesChanged "$BATS_TEST_TMPDIR/signals"
	grep Progress "$BATS_TEST_TMPDIR/signals" | jq -r '.payload.data[0] | fromjson | .step' | uniq | xargs |
		grep -qx 'flip settle done\|flip settle drain done'
	grep Progress "$BATS_TEST_TMPDIR/signals" | jq -r '.payload.data[0]' | head -n 1 |
		jq -e '.service == "app" and .from == 0 and .to == 1 and ([.elapsed_us, .remaining] | all(type == "number")) and (.text | type) == "string"'
	inside pkill -f 'busctl monitor' || true
	wait $job || true
}

# ---- the rest of what is installed ----

switches_of_hsd() { inside grep -h ctxt_switches "/proc/$(main_pid hsd)/status" | awk '{ n += $2 } END { print n }'; }

sleeps() {
	local before
	before=$(switches_of_hsd)
	inside sleep 2
	(($(switches_of_hsd) <= before + 1))
}

# for ten seconds after a start it looks for sockets that come late
@test "hsd sleeps while nothing happens" { wait_for 6 sleeps; }

@test "units, bus policy and completion are well-formed" {
	run -0 inside systemd-analyze verify hsd.service $examples/nginx@.service $examples/app@.service $examples/app@.socket
	grep -E 'hsd|nginx@|app@' <<<"$output" && fail 'systemd finds fault with a unit'
	inside python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' \
		/usr/share/dbus-1/system.d/org.hotstandby1.conf
	inside bash -ec 'source /usr/share/bash-completion/completions/hsctl; complete -p hsctl'
}

@test "help and version" {
	run -0 hs --help
	for verb in list status connections events switchover rollback failover policy canary enable disable prepare adopt retire; do
		[[ $output == *$'\n'"  $verb "* ]]
		hs $verb --help | grep -q "hsctl $verb"
	done
	run -0 hs --version
	[[ $output == 'hsctl '* ]]
	run -2 hs
	run -2 hs --nonsense
}
