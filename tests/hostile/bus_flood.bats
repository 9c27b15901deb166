# SPDX-License-Identifier: GPL-2.0-or-later
#
# Any user may ask hsd over the bus. However much one asks, root is answered, hooks are done with hsd and in time, and
# clients of hanging instances wait no longer.

load lib/bystander.bash

service_path=/org/hotstandby1/service/app
service=org.hotstandby1.Service

setup_file() {
	hostile_up
	own_service app 9721
	up app
}

clean_up() {
	inside pkill -x bus-flood || true
	wait "${flood_job:-}" 2>/dev/null || true
	wait_for 10 is_ready app
}

# flood CONNECTIONS PENDING PATH INTERFACE METHOD [TYPES VALUE...]: as nobody, in the background
flood() {
	as_nobody $tools/bus-flood 60 "$@" >"$BATS_TEST_TMPDIR/flood" 2>&1 3>&- &
	flood_job=$!
	wait_for 5 inside pgrep -x bus-flood >/dev/null
}

# restart_took: milliseconds of `systemctl restart app@1`, the best of three: the machine may be busy with other things
restart_took() {
	local begun took best=100000
	for _ in 1 2 3; do
		begun=${EPOCHREALTIME/[.,]/}
		inside systemctl restart app@1 || return 1
		took=$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
		((took >= best)) || best=$took
	done
	echo "$best"
}

# stands: what must hold while it goes on
stands() {
	local quiet=$1 took
	bystander_watch
	took=$(restart_took)
	say "restart of app@1: $took ms, in quiet $quiet ms"
	((took <= quiet + 1000)) || fail "a restart took $took ms, in quiet $quiet ms"
	wait_for 10 is_ready app
	took_at_most 1000 hs status app >/dev/null
	run ! inside journalctl -q -o cat --since="@$rig_began" --grep='without hsd'
	bystander_is_well
	bystander_watched
}

flood_ends() {
	inside pkill -x bus-flood || true
	wait "$flood_job" || true
	say "$1: $(cat "$BATS_TEST_TMPDIR/flood")"
}

@test "20 connections with 128 calls each: Connections" {
	quiet=$(restart_took)
	flood 20 128 $service_path $service Connections
	stands "$quiet"
	flood_ends Connections
}

@test "InspectConnections, never the same twice, and Describe" {
	quiet=$(restart_took)
	flood 20 128 $service_path $service InspectConnections tb 12345 1
	stands "$quiet"
	flood_ends InspectConnections
	flood 20 128 $service_path $service Describe
	stands "$quiet"
	flood_ends Describe
}

# With so many dbus-daemon itself is slow for everybody: it looks through all unanswered calls at each answer. Root does
# not need it.
@test "200 connections with 128 calls each: root's own way is as quick as ever" {
	bystander_unwatched
	quiet=$(restart_took)
	flood 200 128 /org/hotstandby1 org.hotstandby1.Manager Describe
	for _ in 1 2 3; do
		took_at_most 1000 hs status bystander >/dev/null
		say "hsctl status: $took_ms ms"
	done
	bystander_fails_over
	flood_ends Describe
	# the bus works off what it has
	wait_for 10 bystander_is_described
	bystander_is_well
}

@test "what every object has" {
	quiet=$(restart_took)
	flood 20 128 $service_path org.freedesktop.DBus.Introspectable Introspect
	stands "$quiet"
	flood_ends Introspect
}

@test "a command that only members of the group may have" {
	quiet=$(restart_took)
	flood 20 128 $service_path $service Exec u 0
	stands "$quiet"
	flood_ends Exec
}

@test "who asks too much is told so, others of the kind are not, and it is over when it is over" {
	flood 20 128 $service_path $service Connections
	# another user asks and is answered
	inside setpriv --reuid=games --regid=games --clear-groups hsctl status app >/dev/null
	wait_for 5 as_nobody_is_refused
	flood_ends Connections
	wait_for 10 as_nobody hsctl status app
}

# as_user UID CMD...
as_user() { inside setpriv --reuid="$1" --regid="$1" --clear-groups "${@:2}"; }

# floods CONNECTIONS PENDING UID...: each of them, in the background; what they had is in /tmp/floods/UID then
floods() {
	inside rm -rf /tmp/floods
	inside mkdir /tmp/floods
	inside bash -c 'for uid in ${*:6}; do
			setpriv --reuid=$uid --regid=$uid --clear-groups $1 60 $2 $3 $4 $5 Describe >/tmp/floods/$uid 2>&1 &
		done
		wait' - $tools/bus-flood "$1" "$2" $service_path $service "${@:3}" 3>&- &
	flood_job=$!
	wait_for 10 floods_run $(($# - 2))
}
floods_run() { (($(inside pgrep -c -x bus-flood) == $1)); }

floods_end() {
	inside pkill -x bus-flood
	wait "$flood_job" || true
	say "$(inside bash -c 'grep -H . /tmp/floods/* | head -n 3')"
}

# had PATTERN: how many of their calls were answered
had() { inside bash -c "cat /tmp/floods/$1" | awk '{ n += $3 } END { print n }'; }

# is_answered_always UID: who asks now and then
is_answered_always() {
	local _
	for _ in {1..6}; do
		as_user "$1" hsctl status app >/dev/null || return 1
		inside sleep 1
	done
}

@test "three users ask too much: a fourth is answered each time, and they are told that they share" {
	floods 1 64 1 2 5
	inside sleep 1
	is_answered_always 65534
	took_at_most 1000 hs status app >/dev/null
	floods_end
	inside bash -c 'grep "has had its share" /tmp/floods/*'
	# what they had is over soon
	wait_for 10 as_user 5 hsctl status app
	bystander_is_well
}

@test "many users ask too much, and so does who has been given several: nobody else is refused, and who is many is one" {
	write /etc/subuid <<<'games:5:4'
	floods 1 32 2 3 {5..8}
	inside sleep 1
	is_answered_always 65534
	floods_end
	say "user 2 had $(had 2) answers, user 3 $(had 3), and who has the numbers 5 to 8 $(had '[5-8]')"
	(($(had '[5-8]') < $(had '[23]')))
	inside rm /etc/subuid
	bystander_is_well
}

as_nobody_is_refused() {
	run as_nobody timeout 5 busctl call org.hotstandby1 $service_path $service Connections
	echo "$output"
	[[ $output == *"a tenth of hsd's time"* ]]
}
