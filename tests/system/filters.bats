#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Who is kept out of a unit by a filter is kept out by the park as well, wherever the filter is set.

load lib/rig

setup_file() {
	rig_up
	inside systemctl start hsd
	inside bash -c 'ip netns add far
		ip link add near type veth peer name far netns far
		ip addr add 10.9.0.1/24 dev near; ip link set near up
		ip -n far addr add 10.9.0.2/24 dev far; ip -n far link set far up'
}

from_far() { inside ip netns exec far curl -s -m "${2:-2}" "http://10.9.0.1:$1/"; }

# keeps_out NAME PORT UNIT: the filter is UNIT's; over a restart too
keeps_out() {
	up "$1"
	run ! from_far "$2"
	fetch "http://127.0.0.1:$2/" | grep -q slot=
	[[ $(status "$1" .park_ready) == false ]]
	inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE="$1" | grep -q "$3 filters"
	hs doctor "$1" | grep -q 'There is no park'
	inside systemctl stop "$1@1"
	inside bash -c "(ip netns exec far curl -s -m 4 http://10.9.0.1:$2/ >/run/far) & sleep 0.2; systemctl restart $1@0; wait"
	run ! inside test -s /run/far
	down "$1"
}

only_local='IPAddressDeny=any
IPAddressAllow=localhost'

@test 'a filter on the slice' {
	own_service sliced 7401
	inside sed -i 's|^Type=|Slice=walled-in.slice\n&|' /etc/systemd/system/sliced@.service
	printf '[Slice]\n%s\n' "$only_local" | write /etc/systemd/system/walled.slice
	keeps_out sliced 7401 walled.slice
}

@test 'a filter on the socket unit' {
	socket_service gated 7402
	printf '%s\n' "$only_local" | inside tee -a /etc/systemd/system/gated@.socket >/dev/null
	keeps_out gated 7402 'gated@[01].socket'
}

@test 'interfaces that a unit may use' {
	[[ $(inside systemctl --version) == *+BPF_FRAMEWORK* ]] || skip 'this systemd cannot restrict interfaces'
	own_service bound 7403
	printf 'RestrictNetworkInterfaces=lo\n' | inside tee -a /etc/systemd/system/bound@.service >/dev/null
	keeps_out bound 7403 'bound@[01].service'
}

@test 'accounting is no filter' {
	own_service counted 7404
	inside sed -i 's|^Type=|Slice=counted.slice\nIPAccounting=yes\n&|' /etc/systemd/system/counted@.service
	printf '[Slice]\nIPAccounting=yes\n' | write /etc/systemd/system/counted.slice
	up counted
	wait_for 5 has_park counted
	from_far 7404 | grep -q slot=
	down counted
}

has_park() { [[ $(status "$1" .park_ready) == true ]]; }
