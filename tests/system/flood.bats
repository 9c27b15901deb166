# SPDX-License-Identifier: GPL-2.0-or-later
#
# A flood of SYNs, so that the kernel answers with cookies: a handshake then has no state until its last packet, which
# the selector sees as well. Switchovers meanwhile lose none.

load lib/rig.bash

port=19900

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app $port --backlog=64
	inside sysctl -qw net.ipv4.tcp_syncookies=1 net.ipv4.tcp_max_syn_backlog=64 net.ipv4.conf.all.rp_filter=0 \
		net.ipv4.conf.lo.rp_filter=0
	# where the answers to the invented clients go: nowhere, and not back to us, who would reset them
	inside ip link add nowhere type veth peer name elsewhere
	inside ip link set elsewhere up
	inside ip link set nowhere up arp off
	inside ip route add 10.0.0.0/8 dev nowhere
	inside sysctl -qw net.ipv4.conf.all.route_localnet=1 net.ipv4.conf.nowhere.route_localnet=1
	up app
}

counter() { inside nstat -asz "TcpExt$1" | awk -v name="TcpExt$1" '$1 == name { print $2 }'; }

# shellcheck disable=SC2154 # of the rig
flood() { inside timeout 60 python3 "$tools/flood.py" "$1" 4000 "$2" >/dev/null 3>&- & }

@test "switchovers under a flood, by cookies" {
	local sent received n=0
	sent=$(counter SyncookiesSent) received=$(counter SyncookiesRecv)
	flood $port 12
	local job=$! end=$((SECONDS + 10))
	begin_load http://127.0.0.1:$port/ slot= 8
	while ((SECONDS < end)); do
		hs switchover app --drain=0 --settle=20ms >/dev/null
		n=$((n + 1))
	done
	lost_nothing "$n switchovers under a flood"
	wait $job
	say "$(($(counter SyncookiesSent) - sent)) cookies sent, $(($(counter SyncookiesRecv) - received)) came back"
	(($(counter SyncookiesRecv) > received + 10))
	((n >= 20))
}

@test "restarts of both under a flood" {
	flood $port 12
	local job=$!
	begin_load http://127.0.0.1:$port/ slot= 8
	inside systemctl restart app@0
	inside systemctl restart app@1
	lost_nothing 'restarts under a flood'
	wait $job
}

@test "the baseline: a restart of one instance alone" { baseline; }
