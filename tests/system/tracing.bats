#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The programs of scripts/trace that need tracepoints alone, under traffic: each tells of what it is for. Those that need
# kfunc are tried by scripts/kernels, in a virtual machine; here they are parsed.

load lib/rig

server=/usr/lib/hotstandby/hs-echo-server
client=/usr/lib/hotstandby/hs-echo-client

setup_file() {
	rig_up
	mkdir -p "$(container_root "$rig")/opt/trace"
	cp "$top"/scripts/trace/*.bt "$(container_root "$rig")/opt/trace/"
	inside mkdir -p /sys/kernel/tracing
	# the container's own, which goes with it
	inside bash -c 'mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing'
	inside systemctl start hsd
	inside systemd-run --quiet --unit=echo-server --service-type=notify $server --quiet --listen=127.0.0.1:7777
}

teardown() {
	[[ -z ${tracer:-} ]] || kill "$tracer" 2>/dev/null || true
	[[ -n ${BATS_TEST_COMPLETED:-} ]] || cat "$BATS_TEST_TMPDIR/told" >&2
}

# begin_trace NAME [ARGUMENT]: $told is what it prints
begin_trace() {
	told=$BATS_TEST_TMPDIR/told
	inside test -e /sys/kernel/tracing/events/syscalls || skip 'this kernel has no tracepoints of system calls'
	inside timeout -s INT 120 stdbuf -oL bpftrace "/opt/trace/$1.bt" "${@:2}" >"$told" 2>&1 3>&- &
	tracer=$!
}

end_trace() {
	inside pkill -INT -x bpftrace
	wait "$tracer" || true
	tracer=''
}

# tells LINE CMD...: the command again and again, as what it does before bpftrace is ready is not seen
tells() {
	local i
	for ((i = 0; i < 100; i++)); do
		"${@:2}" >/dev/null || true
		! grep -qE "$1" "$told" || return 0
		kill -0 "$tracer" 2>/dev/null || break
		sleep 0.2
	done
	fail "no line like $1"
}

@test "states.bt: the states of the connections to one port, and the stacks" {
	begin_trace states 7777
	tells '127\.0\.0\.1:7777 - 127\.0\.0\.1:[0-9]+ +SYN_RECV -> ESTABLISHED$' inside $client --quiet 127.0.0.1:7777
	end_trace
	grep -q '^@stacks\[ESTABLISHED' "$told"
	! grep -E ' - .* -> ' "$told" | grep -v 7777
}

@test "joins.bt: who binds and listens, with SO_REUSEPORT or without" {
	begin_trace joins 7790
	with() { inside timeout 0.3 /usr/lib/hotstandby/hs-example-server --listen=127.0.0.1:7790; }
	without() { inside timeout 0.3 $server --listen=127.0.0.1:7790; }
	tells ' hs-example-serv +[0-9]+ bind 7790, SO_REUSEPORT +0$' with
	tells ' hs-echo-server +[0-9]+ bind 7790 +0$' without
	grep -qE ' hs-echo-server +[0-9]+ listen 7790 +0$' "$told"
	end_trace
}

@test "joins.bt: hotstandby attaches its program" {
	begin_trace joins
	own_service app 7791
	inside systemctl daemon-reload
	hs enable app@.service
	again() { inside systemctl restart app@0; }
	tells ' a program is attached +0$' again
	end_trace
	down app
}

@test "taken.bt: what a server took, by the second" {
	begin_trace taken hs-echo-server
	tells '^@accepted\[[0-9]+, hs-echo-server\]: [1-9]' inside $client --quiet --count=5 127.0.0.1:7777
	tells '^@received\[[0-9]+, hs-echo-server\]: [1-9]' inside $client --udp --quiet --count=5 127.0.0.1:7777
	end_trace
}

@test "drops.bt: datagrams for which there was no room" {
	begin_trace drops
	inside systemctl kill -s STOP echo-server
	tells '^@lost\[-12\]: [1-9]' \
		inside $client --udp --quiet --count=300 --rate=3000 --bytes=20000 --timeout=50 127.0.0.1:7777
	end_trace
	inside systemctl kill -s CONT echo-server
}

@test "those that need kfunc are well-formed, and each is in the README" {
	local script
	for script in "$top"/scripts/trace/*.bt; do
		grep -qF "| \`${script##*/}\` |" "$top/scripts/trace/README.md"
		[[ -x $script && $(head -n 1 "$script") == '#!/usr/bin/env bpftrace' ]]
	done
	for script in groups chosen migrations; do
		# what cannot be found comes after the grammar
		run inside bpftrace -d "/opt/trace/$script.bt"
		[[ $output == *'func:reuseport_'* && $output != *'syntax error'* ]]
	done
}
