# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the system tests share. Each .bats file has one container with a booted systemd, in which
# hotstandby is installed; its tests share the container, each with services of its own. A test that
# fails prints what happened inside.

bats_require_minimum_version 1.5.0

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
# shellcheck source=scripts/lib/container.sh
source "$top/scripts/lib/container.sh"

rig=$(basename "${BATS_TEST_FILENAME:-rig}" .bats | tr _ -)
# shellcheck disable=SC2034 # for the tests
examples=/usr/share/hotstandby/examples
# shellcheck disable=SC2034
pins=/sys/fs/bpf/hotstandby

# where our clients are inside: the checkout may lie in a place that the container does not see, such as /tmp
tools=/usr/lib/system-tests

# A test that hangs fails.
export BATS_TEST_TIMEOUT=${BATS_TEST_TIMEOUT:-480}

# A file with other needs has a setup_file of its own.
setup_file() {
	rig_up
	inside systemctl start hsd
}

teardown_file() {
	local status=0
	[[ -z ${FASTPATH:-} ]] || tell_pairs
	end_sanitized || status=$?
	end_valgrind || status=$?
	end_covered || status=$?
	container_stop "$rig"
	return $status
}

setup() { rig_began=${EPOCHREALTIME/,/.}; }

teardown() {
	end_load_quietly
	no_report || return 1
	[[ -n ${BATS_TEST_COMPLETED:-} ]] || rig_tells
}

# what happened inside
rig_tells() {
	echo '--- journal ---'
	container_journal "$rig" --since="@$rig_began" | grep -v 'systemd-journald' | tail -n "${RIG_LINES:-60}"
	echo '--- status ---'
	inside timeout 10 hsctl status 2>&1 || true
}

# boots and installs
rig_up() {
	container_start "$rig" || return 1
	if [[ -n ${INSTALLED:-} ]]; then
		is_installed || return 1
	else
		container_install "$rig" BUILD="${BUILD:-build}" || return 1
	fi
	mkdir -p "$(container_root "$rig")$tools"
	cp "$top"/tests/system/lib/*.{lua,py} "$(container_root "$rig")$tools/"
	! is_sanitized || allow_leak_check
	[[ -z ${VALGRIND:-} ]] || hsd_under_valgrind
	[[ -z ${COVERAGE:-} ]] || allow_counting
	[[ -z ${FASTPATH:-} ]] || clients_unit
}

# ---- FASTPATH=1: clients are on the fast path ----
#
# All that runs inside is of a unit that each service has in From=, so that any test shows that with it on all is as
# without. What it says of the services' settings may be another thing then.

clients_unit() {
	printf '[Service]\nExecStart=/bin/sleep infinity\n' | write /etc/systemd/system/clients.service
	container_run "$rig" systemctl daemon-reload
	container_run "$rig" systemctl start clients
}

# of the services that are there at the end
tell_pairs() {
	say "pairs: $(container_run "$rig" hsctl status --json | jq '[.[].fastpath.begun // 0] | add')"
}

# as_client CMD...: in the control group of that unit
as_client() {
	# shellcheck disable=SC2016 # expanded inside
	container_run "$rig" sh -c 'echo $$ >/sys/fs/cgroup/system.slice/clients.service/cgroup.procs; exec "$@"' sh "$@"
}

# clients_of NAME: its settings name the unit
clients_of() {
	[[ -z ${FASTPATH:-} ]] || printf '[FastPath]\nFrom=clients.service\n' |
		write "/etc/hotstandby/$1.conf.d/00-clients.conf"
}

# ---- COVERAGE=1: programs that count which of their lines are reached ----
#
# They add to files beside their objects when they end, as those of unit tests do; inside, that is a layer over the
# host's folder, out of which they are taken at the end. Files of tests have to come one after the other therefore.
# What is killed is not seen.

allow_counting() {
	local unit
	for unit in hsd hs-borrow; do
		write /etc/systemd/system/$unit.service.d/coverage.conf <<-'END'
			[Service]
			ProtectSystem=no
			ProtectHome=no
			CapabilityBoundingSet=CAP_DAC_OVERRIDE
			SystemCallFilter=
			TimeoutStopSec=60s
		END
	done
	inside systemctl daemon-reload
}

end_covered() {
	local counts
	[[ -n ${COVERAGE:-} ]] || return 0
	inside systemctl stop hsd hs-borrow.service || true
	counts=$(container_root "$rig")$(realpath "$top/$BUILD") || return
	(cd "$counts" && find . -name '*.gcda' -print0 | tar --null -cf - -T -) | tar -C "$top/$BUILD" -xf -
}

# With INSTALLED=yes the tests are those of the hotstandby that this machine has, which the container has from it; with
# INSTALLED=FILE of the package of Debian in this file. Either way hsd does not run yet, as behind `make install`.
is_installed() {
	[[ $INSTALLED == yes ]] || install_file "$INSTALLED" || return 1
	inside test -x /usr/sbin/hsd -a -x /usr/bin/hsctl -a -x /usr/lib/hotstandby/hs-example-server ||
		fail 'INSTALLED=yes: hotstandby is not installed on this machine' || return 1
	[[ $(inside systemctl show -P FragmentPath hsd) == */lib/systemd/system/hsd.service ]] ||
		fail 'INSTALLED=yes: hsd.service is not that of a package'
}

install_file() {
	cp "$1" "$(container_root "$rig")/root/hotstandby.deb"
	# what the machine's index of pages has is nothing to wait for
	inside dpkg --no-triggers --install /root/hotstandby.deb && inside systemctl --quiet disable --now hsd
}

# ---- VALGRIND=1: hsd under valgrind ----
#
# Slow: a test that measures how soon something happens may fail for that. What it finds fails the file.

hsd_under_valgrind() {
	cp "$top/tests/sanitize/valgrind.supp" "$(container_root "$rig")$tools/"
	write /etc/systemd/system/hsd.service.d/valgrind.conf <<-END
		[Service]
		ExecStart=
		ExecStart=/usr/bin/valgrind --quiet --leak-check=full --show-leak-kinds=definite \\
			--errors-for-leak-kinds=definite --suppressions=$tools/valgrind.supp \\
			--child-silent-after-fork=yes --log-file=/dev/shm/valgrind.%%p /usr/sbin/hsd
		SystemCallFilter=
		MemoryDenyWriteExecute=no
		TimeoutStartSec=2min
		TimeoutStopSec=1min
	END
	inside systemctl daemon-reload
}

end_valgrind() {
	local found
	[[ -n ${VALGRIND:-} ]] || return 0
	inside systemctl stop hsd
	found=$(inside bash -c 'grep -h ^== /dev/shm/valgrind.* || (($? == 1))') || fail 'hsd did not run under valgrind'
	[[ -z $found ]] || fail "--- valgrind says ---"$'\n'"$found"
}

# ---- programs made with SANITIZE=1 ----
#
# What a sanitizer finds fails the test in which it is found, whatever else came of it. Reports are in the files that
# tests/sanitize/options.c names; of those that cannot write them, in the journal. hsd looks for leaks as it ends.

# make has to know it, too, if it is to make anything again
[[ ! -e $top/${BUILD:-build}/tests/sanitize/options.o ]] || export SANITIZE=1
is_sanitized() { [[ -n ${SANITIZE:-} ]]; }

# The search for leaks stops the process by ptrace(2).
allow_leak_check() {
	write /etc/systemd/system/hsd.service.d/sanitizer.conf <<-'END'
		[Service]
		SystemCallFilter=ptrace
		TimeoutStopSec=60s
	END
	inside systemctl daemon-reload
}

# no_report: a report is told once, and fails
no_report() {
	local found
	is_sanitized || return 0
	found=$(inside bash -c 'cat /dev/shm/sanitizer.* 2>/dev/null && rm -f /dev/shm/sanitizer.*
		journalctl -q -o cat --cursor-file=/run/rig-sanitizer |
			grep -A 25 -E "(Address|Leak|UndefinedBehavior)Sanitizer|: runtime error: "') || true
	[[ -z $found ]] || fail "--- a sanitizer says ---"$'\n'"$found"
}

# end_sanitized: the leaks of hsd
end_sanitized() {
	is_sanitized || return 0
	inside systemctl stop hsd hs-borrow.service
	no_report
}

# ---- commands inside ----

inside() {
	case ${FASTPATH:+$1} in
	'' | systemctl | hsctl | journalctl) container_run "$rig" "$@" ;;
	*) as_client "$@" ;;
	esac
}
hs() { inside hsctl "$@"; }
as_nobody() { inside setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

# say SENTENCE: shown beside the test's result
say() { echo "# $*" >&3; }

fail() {
	echo "$*" >&2
	return 1
}

# wait_for SECONDS CMD...: as wait_until, but with patience for a busy machine, and says what did not happen
wait_for() { wait_until $(($1 * 3)) "${@:2}" || fail "after $(($1 * 3)) s still not: ${*:2}"; }

# What a kernel that lets nobody load iterators over maps cannot do, as doctor names it, and how it tells that.
# tests/plane/test_selftest.c holds that it tells so of no other kernel.
iterator_checks='["kernel.census", "program.census", "program.queues", "program.motion"]'
lacks_iterators() {
	local file=$BATS_FILE_TMPDIR/iterators
	[[ -e $file ]] || inside bash -c 'hsctl doctor --json || (($? == 1))' 2>/dev/null |
		jq --argjson ids "$iterator_checks" '[.[] | select(.id as $id | $ids | index($id)) |
			.status == "finding" and (.what | test("lets nobody load"))] | length == 4 and all' >"$file" ||
		return 2
	[[ $(<"$file") == true ]]
}
needs_iterators() { ! lacks_iterators || skip 'this kernel lets nobody load iterators over maps'; }

# write FILE: stdin to a file inside
write() {
	local root path=$1
	root=$(container_root "$rig") || return 1
	mkdir -p "$(dirname "$root$path")"
	cat >"$root$path"
}

# stalled_us: for how long in all somebody has waited for a CPU of this machine
stalled_us() { sed -n 's/^some .*total=//p' /proc/pressure/cpu 2>/dev/null || echo 0; }

# took_at_most MILLISECONDS CMD...: a bound that is a contract, not a benchmark. It holds for the time in which nobody
# had to wait for a CPU: what else the machine does meanwhile is no breach of it.
took_at_most() {
	# not "status", which run sets
	local begun=${EPOCHREALTIME/[.,]/} stalled code=0
	stalled=$(stalled_us)
	"${@:2}" || code=$?
	took_ms=$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
	stalled=$((($(stalled_us) - ${stalled:-0}) / 1000))
	((took_ms - stalled <= $1)) || fail "took $took_ms ms, allowed are $1 and $stalled without a CPU: ${*:2}" || return 1
	return $code
}

# ---- services ----

# own_service NAME PORT [OPTION...]: a template whose server opens its sockets itself
own_service() {
	local name=$1 port=$2
	shift 2
	write "/etc/systemd/system/$name@.service" <<-END
		[Unit]
		Description=$name, slot %i
		[Service]
		Type=notify
		ExecStart=/usr/lib/hotstandby/hs-example-server --slot=%i --idle-grace=100 --listen=0.0.0.0:$port $*
	END
}

# socket_service NAME PORT: a template that is given its sockets by systemd
socket_service() {
	local name=$1 port=$2
	write "/etc/systemd/system/$name@.service" <<-END
		[Unit]
		Description=$name, slot %i
		Wants=$name@%i.socket
		After=$name@%i.socket
		[Service]
		Type=notify
		ExecStart=/usr/lib/hotstandby/hs-example-server --slot=%i --idle-grace=100
	END
	write "/etc/systemd/system/$name@.socket" <<-END
		[Socket]
		ListenStream=0.0.0.0:$port
		ReusePort=yes
		Backlog=4096
	END
}

# up NAME: enables it and starts both slots; slot 0 is active then
up() {
	clients_of "$1"
	inside systemctl daemon-reload
	hs enable "$1@.service"
	inside systemctl start "$1@0"
	inside systemctl start "$1@1"
	wait_for 5 is_ready "$1"
}

# down NAME: stops it and takes it out again, whatever state it is in
down() {
	inside systemctl stop "$1@0" "$1@1" "$1@0.socket" "$1@1.socket" 2>/dev/null || true
	inside systemctl reset-failed "$1@*" 2>/dev/null || true
	hs disable "$1@.service" >/dev/null || true
	inside bash -c "rm -rf /etc/systemd/system/$1@.* /etc/hotstandby/$1.conf*; systemctl daemon-reload"
}

# always_park NAME: its clients wait also when all slots were stopped on purpose
always_park() {
	printf '[Service]\nPark=always\n' | write "/etc/hotstandby/$1.conf.d/always.conf"
	inside systemctl reload hsd
}

# status NAME FILTER: of `hsctl status --json NAME`, by jq
status() { hs status --json "$1" | jq -r "$2"; }

active() { status "$1" .active; }
standby() { status "$1" '[.slots[] | select(.role != "active")][0].slot'; }
slot_state() { status "$1" ".slots[$2].state"; }
is_ready() { [[ $(status "$1" '[.slots[].state] | unique | join(" ")' 2>/dev/null) == ready ]]; }
is_state() { [[ $(slot_state "$1" "$2") == "$3" ]]; }
is_active() { [[ $(active "$1") == "$2" ]]; }
main_pid() { inside systemctl show -P MainPID "$1"; }
unit_state() { inside systemctl show -P ActiveState "$1"; }
is_unit_state() { [[ $(unit_state "$1") == "$2" ]]; }
generation() { status "$1" .generation; }

# has_event NAME KIND: since the test began
has_event() {
	inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE="$1" HS_EVENT="$2" | grep -q .
}

# prefer NAME SLOT: makes this slot the active one
prefer() { is_active "$1" "$2" || hs switchover "$1" --to="$2" --drain=0 >/dev/null; }

# fetch URL [OPTION...]: by a new connection
fetch() { inside curl -sSf --max-time 10 "${@:2}" "$1"; }
answering_slot() { fetch "$1" | sed -n 's/^slot=\([0-9]*\) .*/\1/p'; }
answers_from() { [[ $(answering_slot "$1" 2>/dev/null) == "$2" ]]; }

# is_new UNIT OLD-PID: it runs again, as another process
is_new() {
	local pid
	pid=$(main_pid "$1")
	[[ $pid != 0 && $pid != "$2" ]] && is_unit_state "$1" active
}

# ---- connections that stay ----
#
#   hold PORT COUNT   opens them and asks once on each; `held` is the slots that answered: "0 0 0"
#   ask_again         asks on the same connections; "x" is one that has ended
#   let_go            closes them

# shellcheck disable=SC2034,SC2154 # `held` is for the tests; holder_PID is what coproc sets
hold() {
	coproc holder { inside python3 $tools/hold.py "${3:-127.0.0.1}" "$1" "$2" 3>&-; }
	read -r -t 10 -u "${holder[0]}" held || fail 'no answer on the connections to be held'
}

# shellcheck disable=SC2034
ask_again() {
	echo >&"${holder[1]}"
	read -r -t 10 -u "${holder[0]}" held || fail 'no answer on the connections that are held'
}

# shellcheck disable=SC2154
let_go() {
	local job=$holder_PID fd=${holder[1]}
	exec {fd}>&-
	wait "$job"
}

# ---- load ----
#
#   begin_load URL TEXT [CLIENTS] [HEADER]
#                     clients that ask again and again, with a connection for each request unless HEADER
#                     says other than 'Connection: close'; load_kinds="'A' 'B'" counts answers that match
#                     A and B as slot0 and slot1. LOAD_PAUSE_MS: how long each rests after an answer; 20, else
#                     the tests that run at a time would measure how the CPUs are shared out, and take twice
#                     as long. With connections that are kept LOAD_KEPT_PAUSE_MS, 0: idle ones are what a server
#                     may close.
#                     LOAD_TIMEOUT: seconds after which a client counts as hung; 8
#   end_load                        stops them and sets load[requests], load[lost], ...
#   lost_nothing                    ends it; every request was answered, and rightly

declare -gA load=()
# what ends it, for pkill
load_program='-x wrk'

begin_load() {
	load_file=$BATS_TEST_TMPDIR/load.$RANDOM
	load_clients=${3:-24}
	[[ -z ${4:-} ]] || local LOAD_PAUSE_MS=${LOAD_KEPT_PAUSE_MS:-0}
	inside bash -c "export LOAD_PAUSE_MS=${LOAD_PAUSE_MS:-20}; exec timeout -s INT ${LOAD_SECONDS:-100} wrk -t $load_clients -c $load_clients -d 100 \\
		--timeout ${LOAD_TIMEOUT:-8} -H '${4:-Connection: close}' -s $tools/load.lua '$1' -- '$2' ${load_kinds:-}" \
		>"$load_file" 2>&1 </dev/null 3>&- &
	load_job=$!
	load_program='-x wrk'
	load_began=$EPOCHSECONDS
	wait_for 5 load_runs
}

# It has found that somebody listens there: then it makes its threads.
load_runs() {
	local threads
	threads=$(inside bash -c 'sed -n "s/^Threads:[^0-9]*//p" "/proc/$(pgrep -nx wrk)/status" 2>/dev/null') || return 1
	((threads > 1)) || ! kill -0 "$load_job" 2>/dev/null
}

# The load ends by Ctrl-C as at the end of its time; not before it had some, for it tells only at its end.
end_load() {
	local word
	((EPOCHSECONDS - ${load_began:-0} >= 3)) || sleep 1.5
	# shellcheck disable=SC2086 # option and pattern
	inside pkill -INT $load_program || true
	wait "$load_job" || true
	load_job=''
	declare -gA load=()
	for word in $(grep '^requests=' "$load_file"); do
		load[${word%%=*}]=${word#*=}
	done
	[[ -n ${load[requests]:-} ]] || fail "no result of the load: $(cat "$load_file")"
}

end_load_quietly() {
	[[ -n ${load_job:-} ]] || return 0
	# shellcheck disable=SC2086
	inside pkill -KILL $load_program || true
	wait "$load_job" 2>/dev/null || true
	load_job=''
}

load_line() { echo "$1: ${load[requests]} requests, ${load[lost]} lost (refused ${load[refused]}, reset ${load[reset]}), ${load[wrong]} wrong, ${load[hung]} hung"; }

lost_nothing() {
	end_load
	say "$(load_line "${1:-with hotstandby}")"
	((load[requests] >= 100)) || fail "only ${load[requests]} requests: that proves nothing" || return 1
	((load[lost] == 0 && load[wrong] == 0 && load[hung] == 0)) ||
		fail "clients lost requests: $(load_line load)"
}

# without WHAT CMD...: the same on two instances (or $plain_slots) that nobody watches over but the kernel
without() {
	local what=$1 slot
	shift
	if ! inside test -e /etc/systemd/system/plain@.service; then
		own_service plain 9999
		printf '[Unit]\nStartLimitIntervalSec=0\n' | write /etc/systemd/system/plain@.service.d/limit.conf
		inside systemctl daemon-reload
	fi
	inside systemctl reset-failed 'plain@*'
	for slot in ${plain_slots:-0 1}; do
		inside systemctl start "plain@$slot"
	done
	begin_load http://127.0.0.1:9999/ slot=
	"$@"
	end_load
	say "$(load_line "without, $what")"
	inside systemctl stop plain@0 plain@1
}

# What every restart costs without standby, for a zero to be compared with.
baseline() {
	plain_slots=0 without '2 restarts of one instance alone' \
		inside bash -c 'systemctl restart plain@0; systemctl restart plain@0'
}
