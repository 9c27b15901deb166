# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Exporters of NetFlow v9 and IPFIX, and what nfacctd made of what they sent. To be loaded behind rig.bash.
# shellcheck disable=SC2034,SC2154 # shared with it
#
# They are in a network namespace behind a veth, at the addresses $exporters_first and those behind it, IPv4 and IPv6,
# and send to $collector or $collector6.
#
#   nfacctd_up                    makes all that for 16 exporters; the example is enabled, and its four slots are ready
#   alone [SED-COMMAND...]        one instance of it that nothing watches over, plain@0.service, at port 2101
#   exporters_up N                makes the exporters
#   record VERSION FLOWS [NAME]   has softflowd export so many flows, as version 9 or 10 (IPFIX), and keeps what it said
#   begin_export RATE SECONDS [OPTION=VALUE]...
#                                 sends what was kept from many exporters, RATE datagrams in a second in all:
#                                 n=16, to=$collector, port=2100, templates=600 (seconds), from=NAME, first=ADDRESS
#   end_export                    waits for its end, or ends it (end_export now): sets sent_datagrams, sent_flows; for
#                                 each exporter, sent_by[ADDRESS] (flows)
#   softflowd_export K VERSION FLOWS, nfreplay_export K FLOWS, nfprobe_export K VERSION FLOWS
#                                 the K-th exporter is a real program, which sends so many flows once
#   collected SLOT...             flows that the instances have written, by nfacctd's own output
#   collected_by ADDRESS SLOT...  those of one exporter
#   all_collected SLOT...         whether that is what was sent; what nfacctd says that it missed is forgiven, and what it
#                                 shows to have written twice
#   undecodable SLOT...           datagrams with flows for which there was no template; needs debug: true
#   forget_collected SLOT...      and what they hold still
#
# Each flow has one packet, so that the sum of packets that nfacctd writes is the number of flows, however it has put
# them together. nfacctd_state is the folder of a slot's files: %i in it is the slot.

collector=198.51.100.1
collector6=2001:db8:51::1
exporters_first=192.0.2.1
exporters_first6=2001:db8:2::1
nfacctd_state=/var/lib/nfacctd/%i

exporters_up() {
	local i
	inside bash -c "set -e
		ip netns add exporters
		ip link add collector type veth peer name uplink netns exporters
		ip addr add $collector/24 dev collector
		ip -6 addr add $collector6/64 dev collector nodad
		ip link set collector up
		ip netns exec exporters ip link set lo up
		ip netns exec exporters ip link set uplink up
		ip -n exporters addr add 198.51.100.2/24 dev uplink
		ip -n exporters -6 addr add 2001:db8:51::2/64 dev uplink nodad
		for ((i = 1; i <= $1; i++)); do
			echo addr add 192.0.2.\$i/32 dev uplink
			printf 'addr add 2001:db8:2::%x/128 dev uplink nodad\n' \$i
			# programs that cannot be told their source address: they send to one that is theirs alone
			echo route add 203.0.113.\$i/32 via $collector dev uplink src 192.0.2.\$i
		done | ip -n exporters -batch -
		ip route add 192.0.2.0/24 via 198.51.100.2 dev collector
		ip -6 route add 2001:db8:2::/64 via 2001:db8:51::2 dev collector
		ip route add local 203.0.113.0/24 dev lo"
}

# exporter COMMAND...: in the exporters' namespace
exporter() { inside ip netns exec exporters "$@"; }

# flows_of N: a capture of so many flows
flows_of() {
	inside test -e "/run/flows.$1" || inside python3 $tools/flows_pcap.py "/run/flows.$1" "$1"
	echo "/run/flows.$1"
}

# soft VERSION FLOWS DESTINATION: with more than it would track by itself
soft() {
	exporter softflowd -r "$(flows_of "$2")" -n "$3" -v "$1" -d -m $(($2 * 2)) -p /run/softflowd.pid -c none >/dev/null 2>&1
}

record() {
	local name=${3:-recorded} recorder
	exporter python3 $tools/exporters.py record "/run/$name" 9990 3>&- &
	recorder=$!
	wait_for 5 exporter sh -c 'ss -lnu | grep -q 127.0.0.1:9990'
	soft "$1" "$2" 127.0.0.1:9990
	inside pkill -INT -f 'exporters.py record'
	wait $recorder || true
}

begin_export() {
	local option n=16 to=$collector port=2100 templates=600 from=recorded first=$exporters_first
	for option in "${@:3}"; do local "${option?}"; done
	exports=$BATS_TEST_TMPDIR/exports.$RANDOM
	exporter python3 $tools/exporters.py send "/run/$from" "$to" "$port" "$first" "$n" "$1" "$2" "$templates" \
		>"$exports" 3>&- &
	export_job=$!
}

end_export() {
	local address datagrams flows
	[[ ${1:-} != now ]] || inside pkill -INT -f 'exporters.py send'
	wait "$export_job" || fail "the exporters: $(cat "$exports")" || return
	declare -gA sent_by=()
	read -r datagrams flows < <(head -n 1 "$exports")
	sent_datagrams=${datagrams#*=} sent_flows=${flows#*=}
	while read -r address datagrams flows; do
		sent_by[$address]=${flows#*=}
	done < <(tail -n +2 "$exports")
}

softflowd_export() { soft "$2" "$3" "203.0.113.$1:2100"; }

# softflowd says it to nfcapd, which keeps it for nfreplay
nfreplay_export() {
	exporter bash -c "rm -rf /run/nfcapd; mkdir /run/nfcapd; exec nfcapd -w /run/nfcapd -p 9995 -b 127.0.0.1" >/dev/null 2>&1 3>&- &
	local job=$!
	wait_for 5 exporter sh -c 'ss -lnu | grep -q 127.0.0.1:9995'
	soft 9 "$2" 127.0.0.1:9995
	inside pkill -TERM -x nfcapd
	wait $job || true
	exporter bash -c "nfreplay -r /run/nfcapd/nfcapd.2* -H 203.0.113.$1 -p 2100 -v 9 -d 500" >/dev/null
}

nfprobe_export() {
	write /run/nfprobe.conf <<-END
		daemonize: false
		pcap_savefile: $(flows_of "$3")
		plugins: nfprobe
		nfprobe_receiver: $collector:2100
		nfprobe_source_ip: 192.0.2.$1
		nfprobe_version: $2
		nfprobe_maxflows: $(($3 * 2))
		plugin_pipe_size: 16777216
		aggregate: src_host, dst_host, src_port, dst_port, proto
	END
	exporter timeout 60 pmacctd -f /run/nfprobe.conf >/dev/null 2>&1
}

# of_slots PATTERN SLOT...: what the files of these slots contain
of_slots() {
	local slot files=()
	for slot in "${@:2}"; do files+=("${nfacctd_state//%i/$slot}/$1"); done
	inside bash -c "cat ${files[*]} 2>/dev/null || true"
}

collected() { of_slots 'flows-*.json' "$@" | jq -n 'reduce inputs.packets as $n (0; . + $n)'; }
collected_by() {
	of_slots 'flows-*.json' "${@:2}" | jq -n --arg from "$1" 'reduce (inputs | select(.peer_ip_src == $from)).packets as $n (0; . + $n)'
}

# one line for each set of flows, of which an exporter's datagram has one
undecodable() { of_slots log "$@" | grep -ac 'unknown template' || true; }

# Between its processes nfacctd has a ring of its own, in which a busy machine loses flows, or counts one twice, also where
# nothing is changed at all. It says so, and then 0.2 % may be wrong; nothing otherwise.
missed() { of_slots log "$@" | grep -ac 'Missing data detected' || true; }

# The end of a plugin is a handler of SIGINT, which writes what it has. One that comes as the plugin has just forked a
# writer, and not emptied its own queue yet, has all of that written once more: two purges of as many entries within a
# second, where they are two seconds apart. Each entry is one flow here.
twice() {
	of_slots log "$@" | awk '/Purging cache - END/ {
		split(substr($1, 12, 8), t, ":")
		at = t[1] * 3600 + t[2] * 60 + t[3]
		n = $0; sub(/.*QN: /, "", n); sub(/\/.*/, "", n)
		if (n + 0 && n == last && at - before <= 1 && at >= before) flows += n
		last = n; before = at
	} END { print flows + 0 }'
}

all_collected() {
	local more=$(($(collected "$@") - sent_flows)) allowed=0
	(($(missed "$@") == 0)) || allowed=$((sent_flows / 500))
	((-more <= allowed && more <= allowed + $(twice "$@")))
}

purges() { of_slots log "$1" | grep -ac 'Purging cache - END' || true; }
has_purged() { (($(purges "$1") >= $2)); }

# What an instance holds it writes with the next purge; one that runs then is over with the one behind it.
forget_collected() {
	local slot
	for slot; do wait_for 10 has_purged "$slot" $(($(purges "$slot") + 2)); done
	for slot; do inside bash -c "cd ${nfacctd_state//%i/$slot} 2>/dev/null && rm -f flows-*.json && : >log || true"; done
}

# has_collected NUMBER SLOT...
has_collected() { (($(collected "${@:2}") >= $1)); }

# ---- nfacctd ----

nfacctd_up() {
	# what the example says, with a log that tells of templates, and written every two seconds
	inside cp $examples/nfacctd@.service /etc/systemd/system/
	inside mkdir -p /etc/pmacct /etc/hotstandby
	configured
	inside cp $examples/nfacctd-service.conf /etc/hotstandby/nfacctd.conf
	inside systemctl daemon-reload
	exporters_up 16
	record 9 3000
	hs enable nfacctd@.service >"$BATS_FILE_TMPDIR/enable" 2>&1
	inside systemctl start nfacctd@0 nfacctd@1 nfacctd@2 nfacctd@3
	wait_for 20 is_ready nfacctd
}

# configured [SED-COMMAND...]: nfacctd's own configuration, as of the example
configured() {
	inside sed -e 's/^print_refresh_time.*/print_refresh_time[flows]: 2/' "${@/#/-e}" $examples/nfacctd@.conf |
		cat - <(printf 'debug: true\nlogfile: /var/lib/nfacctd/%%i/log\n') | write /etc/pmacct/nfacctd@.conf
}

alone() {
	configured "$@" 's/2100/2101/' 's/1790/1791/' 's,/nfacctd-%i/,/plain-%i/,' 's,/var/lib/nfacctd/,/var/lib/plain/,'
	inside sed -i -e 's,/var/lib/nfacctd/,/var/lib/plain/,' /etc/pmacct/nfacctd@.conf
	inside mv /etc/pmacct/nfacctd@.conf /etc/pmacct/plain@.conf
	configured
	inside bash -c "sed 's/nfacctd-%i/plain-%i/g; s,nfacctd/%i,plain/%i,; s,pmacct/nfacctd@,pmacct/plain@,' \\
		$examples/nfacctd@.service >/etc/systemd/system/plain@.service; systemctl daemon-reload; rm -rf /var/lib/plain"
	nfacctd_state=/var/lib/plain/%i
	inside systemctl start plain@0
}
