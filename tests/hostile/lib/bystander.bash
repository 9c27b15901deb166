# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the hostile tests share. Each of their files has a container, as those of the system tests, and in it a
# bystander: a service that means no harm. Whatever is done to hsd, to the bus or to another service, and by whom
# ever, two things hold:
#
#   while a test runs      Describe of the bystander is asked for again and again; no answer may take more than 1 s, and
#                          what the mere start of who asks takes. That begins before each test and is judged behind it.
#   bystander_is_well      with this every test ends. Describe is answered within 1 s, and when the bystander's active
#                          slot hangs, its clients have their answer from the other slot within Stall= + 100 ms
#
# Where hsd is down on purpose, or the bus, or it is shown what happens without them:
#
#   bystander_watched      judges so far; from here on nobody watches
#   bystander_unwatched    the same without a judgement: at the beginning of a test
#   bystander_watch        from here on somebody does, more often than before each test
#
# In place of setup and teardown a file has set_up and clean_up.
#
# Programs in tests/hostile/lib are in $tools inside: *.py as they are, X.c built as X.

# shellcheck source=tests/system/lib/rig.bash
source "$(dirname "${BASH_SOURCE[0]}")/../../system/lib/rig.bash"

bystander_port=9990
bystander_url=http://127.0.0.1:$bystander_port/
describe_bystander=(busctl call --system --timeout=5 org.hotstandby1 /org/hotstandby1/service/bystander
	org.hotstandby1.Service Describe)

# A file with other needs has a setup_file of its own, which calls hostile_up.
setup_file() { hostile_up; }

is_function() { [[ $(type -t "$1") == function ]]; }

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	! is_function set_up || set_up
	# a test may have left hsd down for the next ones
	! is_unit_state hsd active || bystander_watch 0.25
}

teardown() {
	local code=0
	if [[ -n ${BATS_TEST_COMPLETED:-} ]]; then
		bystander_watched || code=$?
		((code == 0)) || rig_tells
	else
		bystander_unwatched
	fi
	end_load_quietly
	no_report || code=$?
	[[ -n ${BATS_TEST_COMPLETED:-} ]] || rig_tells
	! is_function clean_up || clean_up || code=$?
	return $code
}

# boots, installs, starts hsd and the bystander
hostile_up() {
	rig_up
	make -s -C "$top" BUILD="${BUILD:-build}" hostile-tools
	find "$top/tests/hostile/lib" -name '*.py' -exec cp -t "$(container_root "$rig")$tools" {} +
	find "$top/${BUILD:-build}/tests/hostile" -type f -perm /1 -exec cp -t "$(container_root "$rig")$tools" {} +
	inside systemctl start hsd
	bystander_up
}

bystander_up() {
	own_service bystander $bystander_port
	printf '[Service]\nStall=1s\nFailoverHold=0\n' | write /etc/hotstandby/bystander.conf
	up bystander
}

# bystander_watch [PAUSE]: who watched before is judged
# shellcheck disable=SC2154 # of the rig
bystander_watch() {
	bystander_watched || return 1
	# hsd may have begun just now
	wait_for 10 inside "${describe_bystander[@]}" >/dev/null || return 1
	# no process for the pause: tests count those that sleep
	write "$tools/ask-for-describe" <<-END
		#!/bin/bash
		longest=0 asked=0 start=0 ended=
		trap ended=yes TERM
		echo "watching \$\$"
		exec {never}<> <(:)
		# timed CMD...: how many ms it takes, in \$took
		timed() {
			local begun=\${EPOCHREALTIME/[.,]/}
			"\$@" >/dev/null 2>&1 || return
			took=\$(((\${EPOCHREALTIME/[.,]/} - begun) / 1000))
		}
		# the last question has its answer as well
		until [[ -n \$ended && \$asked -gt 0 ]]; do
			timed ${describe_bystander[*]} || { echo failed; exit 1; }
			((took <= longest)) || longest=\$took
			timed ${describe_bystander[0]} --version
			((took <= start)) || start=\$took
			asked=\$((asked + 1))
			read -rt ${1:-0.05} -u \$never || true
		done
		echo "\$longest \$asked \$start"
	END
	inside bash "$tools/ask-for-describe" >"$BATS_TEST_TMPDIR/described" 2>/dev/null 3>&- &
	bystander_watcher=$!
}

# end_watch: what was seen is the last line of described
end_watch() {
	local pid
	wait_for 5 grep -q watching "$BATS_TEST_TMPDIR/described" || true
	# by its number: what it starts has its name for a moment
	pid=$(sed -n 's/^watching //p' "$BATS_TEST_TMPDIR/described")
	[[ -z $pid ]] || inside kill -TERM "$pid" || true
	wait "$bystander_watcher" || true
	bystander_watcher=''
}

bystander_unwatched() { [[ -z ${bystander_watcher:-} ]] || end_watch; }

bystander_watched() {
	local longest asked start
	[[ -n ${bystander_watcher:-} ]] || return 0
	end_watch
	read -r longest asked start < <(tail -n 1 "$BATS_TEST_TMPDIR/described") || fail 'Describe of the bystander: no result' || return 1
	say "Describe of the bystander meanwhile: longest ${longest} ms, ${asked:-0} times; to start who asks: up to ${start:-0} ms"
	[[ $longest != failed ]] || fail 'Describe of the bystander failed' || return 1
	((longest <= 1000 + start)) || fail "Describe of the bystander took $longest ms; asked $asked times"
}

# Here the load is the attack: a CPU that was waited for excuses nothing.
stalled_us() { echo 0; }

# A busy machine may delay who asks: the median of three is judged, and the worst told. Two that agree decide.
#
# median_of_three WHAT LOOK: LOOK leaves in look_ms how long it took, and in look_most how long it may. Without an answer
# it fails.
median_of_three() {
	local within=0 beyond=0 worst=0 all=''
	while ((within < 2 && beyond < 2)); do
		"$2" || return 1
		all+=" $look_ms"
		((look_ms <= worst)) || worst=$look_ms
		if ((look_ms <= look_most)); then within=$((within + 1)); else beyond=$((beyond + 1)); fi
	done
	say "$1: the worst $worst ms, of$all"
	((within == 2)) || fail "$1: two of three took longer than $look_most ms:$all"
}

# in_ms CMD...: how long it takes
in_ms() {
	local begun=${EPOCHREALTIME/[.,]/}
	"$@" >/dev/null || return 1
	took_ms=$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
}

look_describe() {
	in_ms inside "${describe_bystander[0]}" --version || return 1
	look_most=$((1000 + took_ms))
	in_ms inside "${describe_bystander[@]}" || return 1
	look_ms=$took_ms
}

bystander_is_described() { median_of_three 'Describe of the bystander' look_describe; }

# client_waits: leaves in client_answer what a client gets, in client_ms how long it waits
client_waits() {
	local seconds
	read -r client_answer seconds < <(inside curl -sS --max-time 10 -w ' %{time_total}\n' $bystander_url 2>&1 | tr '\n' ' ')
	client_ms=$(awk -v s="${seconds##* }" 'BEGIN { printf "%d", s * 1000 }')
	[[ $client_answer == slot=* ]] || fail "the bystander's client got: $client_answer $seconds"
}

# bystander_hang SLOT: it stands still, and a client comes then
bystander_hang() {
	local slot=$1 code=0
	inside systemctl kill --signal=STOP --kill-whom=all "bystander@$slot"
	client_waits || code=1
	inside systemctl kill --signal=CONT --kill-whom=all "bystander@$slot" || true
	((code == 0)) || return 1
	[[ $client_answer == "slot=$((1 - slot))" ]] || fail "the bystander's client got $client_answer, slot $slot hangs"
}

# The bound is a contract of hsd's; what a client waits for where nobody hangs is the machine's.
look_hang() {
	# where all listening sockets have to be listed the verdict comes later by up to an eighth
	look_most=1100
	! lacks_iterators || look_most=1225
	wait_for 20 is_ready bystander || return 1
	client_waits || return 1
	look_most=$((look_most + client_ms))
	bystander_hang "$(active bystander)" || return 1
	look_ms=$client_ms
}

bystander_fails_over() { median_of_three 'the bystander hangs (Stall=1s), answer' look_hang; }

# Once only: where what was left is not made ready again before the attack is over.
bystander_fails_over_once() {
	look_hang || return 1
	say "the bystander hangs (Stall=1s), answer: $look_ms ms"
	((look_ms <= look_most)) || fail "the bystander hangs, answer: $look_ms ms, more than $look_most"
}

bystander_is_well() {
	bystander_is_described || return 1
	bystander_fails_over || return 1
	wait_for 20 is_ready bystander
}
