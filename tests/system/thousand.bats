#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A thousand switchovers each, under load: one server of each kind of intake, and of UDP. scripts/check has
# less time and sets SWITCHOVERS=.
# Thorough: switchover and random have fewer.

load lib/rig
load lib/servers

# these are to be dense: several requests in each switchover
export BATS_TEST_TIMEOUT=800 LOAD_SECONDS=700 LOAD_PAUSE_MS=2
switchovers=${SWITCHOVERS:-1000}

# switch NAME
switch() {
	# shellcheck disable=SC2016 # expanded inside
	inside bash -c 'for ((i = 0; i < $2; i++)); do
		hsctl switchover "$1" --settle=20ms --drain=0 --then=keep >/dev/null || exit
	done' sh "$1" "$switchovers"
}

@test "own: nginx, whose four workers have a socket each" {
	inside cp $examples/nginx@.service /etc/systemd/system/
	inside sed 's/worker_processes 2/worker_processes 4/' $examples/hotstandby-example.conf |
		write /etc/nginx/hotstandby-example.conf
	up nginx
	[[ $(status nginx '[.slots[].sockets] | join(" ")') == '4 4' ]]
	begin_load http://127.0.0.1:8080/ html 8
	switch nginx
	lost_nothing "nginx: $switchovers switchovers"
	down nginx
	baseline
}

@test "socket-activated: the example server" {
	socket_service given 9601
	up given
	[[ $(status given .intake) == socket ]]
	begin_load http://127.0.0.1:9601/ slot= 8
	switch given
	lost_nothing "socket-activated: $switchovers switchovers"
	down given
}

@test "forced: redis, with the template unit and the configuration of its package" {
	redis_config 9602
	up redis-server
	[[ $(status redis-server .intake) == forced ]]
	begin_asking 9602 'PING\r\n' '+PONG'
	switch redis-server
	lost_nothing "redis: $switchovers switchovers"
	down redis-server
}

@test "forced, with a user for each slot" {
	local slot
	own_service users 9603 --no-reuseport
	for slot in 0 1; do
		printf '[Service]\nUser=%s\n' "$( ((slot)) && echo games || echo daemon)" |
			write "/etc/systemd/system/users@$slot.service.d/user.conf"
	done
	up users
	[[ $(status users .intake) == forced ]]
	begin_load http://127.0.0.1:9603/ slot= 8
	switch users
	lost_nothing "two users: $switchovers switchovers"
	down users
}

@test "UDP: nsd, by a flow for each query" {
	nsd_template 9604
	printf '[Service]\nPorts=9604\nFlow=none\n' | write /etc/hotstandby/nsd.conf
	up nsd
	begin_queries 9604 0
	switch nsd
	lost_no_query "nsd: $switchovers switchovers"
	down nsd
}
