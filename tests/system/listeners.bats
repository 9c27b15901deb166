#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Adoption: which sockets of an instance are found and when, and what is said of those that cannot be
# switched.
# Long: begun with the first.
# Thorough: plane tests of listeners and adoption hold the rules.

load lib/rig

bin=/usr/lib/hotstandby/hs-example-server

# server NAME TYPE OPTION...: like own_service, with all options given
server() {
	local name=$1 type=$2
	shift 2
	write "/etc/systemd/system/$name@.service" <<-END
		[Service]
		Type=$type
		ExecStart=$bin --slot=%i --idle-grace=100 $*
		ExecReload=/bin/kill -HUP \$MAINPID
	END
}

sockets_are() { [[ $(status "$1" '[.slots[].sockets] | join(" ")') == "$2" ]]; }
listeners_are() { [[ $(status "$1" '[.listeners[].address] | sort | join(" ")') == "$2" ]]; }
problem() { status "$1" ".slots[$2].problem"; }

@test "a Type=simple server that binds late is adopted when it begins to listen" {
	server late simple --listen=0.0.0.0:9701 --bind-delay=1500
	inside systemctl daemon-reload
	hs enable late@.service
	# systemd takes it for started at once
	inside systemctl start late@0
	[[ $(status late '.slots[0] | .state + " " + (.sockets | tostring)') == 'not-adopted 0' ]]
	inside systemctl start late@1
	wait_for 5 is_ready late
	sockets_are late '1 1'
	[[ $(answering_slot http://127.0.0.1:9701/) == "$(active late)" ]]
	# from then on a restart is safe, though the new one takes its time
	begin_load http://127.0.0.1:9701/ slot=
	inside systemctl restart late@0
	wait_for 5 is_ready late
	inside systemctl restart late@1
	wait_for 5 is_ready late
	lost_nothing 'late binders restarted one after the other'
	baseline
	down late
}

@test "both late binders restarted in one command take turns" {
	server turns simple --listen=0.0.0.0:9702 --bind-delay=500
	up turns
	begin_load http://127.0.0.1:9702/ slot=
	inside systemctl restart turns@0 turns@1
	wait_for 10 is_ready turns
	lost_nothing 'both late binders restarted at once'
	baseline
	down turns
}

@test "a listener opened later inside an instance is followed, and one that is closed is let go" {
	server extra notify --listen=0.0.0.0:9703 --extra-listen=0.0.0.0:9704
	up extra
	listeners_are extra 0.0.0.0:9703
	inside systemctl reload extra@0
	wait_for 3 sockets_are extra '2 1'
	wait_for 3 listeners_are extra '0.0.0.0:9703 0.0.0.0:9704'
	# the standby lacks it now
	wait_for 3 is_state extra 1 incomplete
	[[ $(problem extra 1) == *'no socket on 0.0.0.0:9704'*'Ports='* ]]
	run -3 hs switchover extra
	[[ $output == *'slot 1 (extra@1.service) is incomplete'* && $output == *'hsctl status'* ]]
	# and has it after its own reload
	inside systemctl reload extra@1
	wait_for 3 is_ready extra
	sockets_are extra '2 2'
	hs switchover extra
	[[ $(answering_slot http://127.0.0.1:9704/) == 1 && $(answering_slot http://127.0.0.1:9703/) == 1 ]]
	# both close it again
	inside systemctl reload extra@0
	inside systemctl reload extra@1
	wait_for 3 sockets_are extra '1 1'
	wait_for 3 listeners_are extra 0.0.0.0:9703
	is_ready extra
	down extra
}

@test "several listeners switch at one instant" {
	server many notify --listen=0.0.0.0:9705 --listen=0.0.0.0:9706 --listen=127.0.0.2:9707
	up many
	listeners_are many '0.0.0.0:9705 0.0.0.0:9706 127.0.0.2:9707'
	sockets_are many '3 3'
	for slot in 1 0; do
		hs switchover many
		for address in 127.0.0.1:9705 127.0.0.1:9706 127.0.0.2:9707; do
			[[ $(answering_slot "http://$address/") == "$slot" ]]
		done
	done
	down many
}

@test "several shards, and new ones do not disturb" {
	server shards notify --listen=0.0.0.0:9708 --shards=4
	up shards
	sockets_are shards '4 4'
	begin_load http://127.0.0.1:9708/ slot=
	for _ in 1 2 3 4; do
		hs switchover shards --drain=0 --then=restart >/dev/null
	done
	wait_for 5 is_ready shards
	sockets_are shards '4 4'
	lost_nothing '4 switchovers with restart, 4 shards a slot'
	baseline
	down shards
}

@test "IPv4 and IPv6 side by side" {
	server both notify --listen=0.0.0.0:9709 --listen=[::1]:9709
	up both
	listeners_are both '0.0.0.0:9709 [::1]:9709'
	for slot in 1 0; do
		hs switchover both
		[[ $(answering_slot http://127.0.0.1:9709/) == "$slot" && $(answering_slot 'http://[::1]:9709/' -g) == "$slot" ]]
	done
	down both
}

@test "dual stack: one socket for both families" {
	inside sysctl -q net.ipv6.bindv6only=0
	server dual notify --listen=[::]:9710
	up dual
	sockets_are dual '1 1'
	for slot in 1 0; do
		hs switchover dual
		[[ $(answering_slot http://127.0.0.1:9710/) == "$slot" && $(answering_slot 'http://[::1]:9710/' -g) == "$slot" ]]
	done
	begin_load 'http://[::1]:9710/' slot=
	inside systemctl restart dual@0
	inside systemctl restart dual@1
	lost_nothing 'dual stack by IPv6'
	baseline
	down dual
}

@test "a socket unit with several addresses, and a server that opens one of its own besides" {
	socket_service mixed 9711
	printf 'ListenStream=[::1]:9711\n' | inside tee -a /etc/systemd/system/mixed@.socket >/dev/null
	inside sed -i 's/--slot=%i/& --listen=0.0.0.0:9712/' /etc/systemd/system/mixed@.service
	up mixed
	listeners_are mixed '0.0.0.0:9711 0.0.0.0:9712 [::1]:9711'
	sockets_are mixed '3 3'
	inside systemctl restart mixed@0
	wait_for 5 is_ready mixed
	sockets_are mixed '3 3'
	[[ $(answering_slot http://127.0.0.1:9711/) == 1 && $(answering_slot http://127.0.0.1:9712/) == 1 ]]
	down mixed
}

@test "sockets of child processes are found, each once" {
	write /etc/systemd/system/forks@.service <<-END
		[Service]
		ExecStart=/usr/bin/python3 $tools/prefork.py 9713 %i 3
	END
	up forks
	sockets_are forks '1 1'
	[[ $(answering_slot http://127.0.0.1:9713/) == "$(active forks)" ]]
	hs switchover forks
	[[ $(answering_slot http://127.0.0.1:9713/) == "$(active forks)" ]]
	down forks
}

# ---- Ports= ----

@test "Ports= leaves the other listeners alone" {
	server ports notify --listen=0.0.0.0:9714 --listen=127.0.0.1:1971%%i
	inside sed -i 's/1971%%i/1971%i/' /etc/systemd/system/ports@.service
	# without it each slot has an address that the other lacks
	up_not_ready ports
	[[ $(problem ports "$(standby ports)") == *'no socket on 127.0.0.1:1971'*'(Ports=9714)'* ]]
	run -3 hs switchover ports
	printf '[Service]\nPorts=9714\n' | write /etc/hotstandby/ports.conf
	inside systemctl reload hsd
	inside systemctl restart ports@0
	inside systemctl restart ports@1
	wait_for 5 is_ready ports
	listeners_are ports 0.0.0.0:9714
	hs switchover ports
	down ports
}

# up_not_ready NAME: as up, for one whose slots cannot both be ready
up_not_ready() {
	inside systemctl daemon-reload
	hs enable "$1@.service"
	inside systemctl start "$1@0"
	inside systemctl start "$1@1" || true
}

# ---- what cannot be switched ----

@test "no SO_REUSEPORT: the service runs, status and journal say why it is not switched" {
	server lone notify --listen=0.0.0.0:9715 --no-reuseport
	# else it would be set for it
	printf '[Service]\nIntake=own\n' | write /etc/hotstandby/lone.conf
	inside systemctl daemon-reload
	hs enable lone@.service
	inside systemctl start lone@0
	[[ $(unit_state lone@0) == active && $(answering_slot http://127.0.0.1:9715/) == 0 ]]
	[[ $(slot_state lone 0) == not-adopted ]]
	[[ $(problem lone 0) == *'0.0.0.0:9715 is not switched: no SO_REUSEPORT; let the server set it'*'ReusePort=yes'* ]]
	has_event lone problem
	hs status lone | grep -q '! slot 0: 0.0.0.0:9715 is not switched'
	run -3 hs switchover lone --to=0
	inside systemctl restart lone@0
	[[ $(answering_slot http://127.0.0.1:9715/) == 0 ]]
	down lone
}

@test "one socket of two without SO_REUSEPORT: the other is switched, the slot is usable" {
	write /etc/systemd/system/half@.service <<-END
		[Unit]
		Wants=half@%i.socket
		After=half@%i.socket
		[Service]
		Type=notify
		ExecStart=$bin --slot=%i --no-reuseport --listen=127.0.0.1:1972%i
	END
	write /etc/systemd/system/half@.socket <<-END
		[Socket]
		ListenStream=0.0.0.0:9716
		ReusePort=yes
	END
	up half
	[[ $(problem half 0) == *'127.0.0.1:19720 is not switched: no SO_REUSEPORT'* ]]
	hs switchover half
	[[ $(answering_slot http://127.0.0.1:9716/) == 1 ]]
	down half
}

@test "MPTCP: the service runs, status says why it is not switched" {
	inside sysctl -qw net.mptcp.enabled=1 2>/dev/null || skip 'the kernel has no MPTCP'
	server multi notify --listen=0.0.0.0:9717 --mptcp
	printf '[Service]\nMPTCP=keep\n' | write /etc/hotstandby/multi.conf
	up_not_ready multi
	[[ $(unit_state multi@0) == active && $(answering_slot http://127.0.0.1:9717/) == ? ]]
	[[ $(slot_state multi 0) == not-adopted ]]
	[[ $(problem multi 0) == *'0.0.0.0:9717 is not switched: MPTCP; '* ]]
	down multi
}

@test "a slot with a user of its own is switched like any other" {
	server owner notify --listen=0.0.0.0:9718
	printf '[Service]\nUser=www-data\n' | write /etc/systemd/system/owner@1.service.d/user.conf
	up owner
	[[ $(answering_slot http://127.0.0.1:9718/) == 0 ]]
	hs switchover owner --to=1
	[[ $(answering_slot http://127.0.0.1:9718/) == 1 ]]
	down owner
	inside bash -c 'rm -rf /etc/systemd/system/owner@*; systemctl daemon-reload'
}

@test "a foreign member of the group gets nothing while a slot lives" {
	server guest notify --listen=0.0.0.0:9719
	up guest
	inside systemd-run -q --unit=foreign -p Type=notify "$bin" --slot=9 --listen=0.0.0.0:9719
	begin_load http://127.0.0.1:9719/ slot=
	hs switchover guest
	hs switchover guest
	end_load
	((load[lost] == 0 && load[other] == 0 && load[slot0] > 0 && load[slot1] > 0))
	inside systemctl stop foreign
	down guest
}

@test "a listener in a network namespace of its own is switched there" {
	socket_service spaced 9720
	inside sed -i 's/^Type=notify/&\nPrivateNetwork=yes/' /etc/systemd/system/spaced@.service
	up spaced
	hs switchover spaced
	[[ $(answering_slot http://127.0.0.1:9720/) == 1 ]]
	down spaced
}

@test "three slots" {
	server three notify --listen=0.0.0.0:9721
	printf '[Service]\nSlots=3\n' | write /etc/hotstandby/three.conf
	inside systemctl daemon-reload
	hs enable three@.service
	inside systemctl start three@0 three@1 three@2
	wait_for 10 is_ready three
	[[ $(status three '.slots | length') == 3 ]]
	# the first one to be adopted is active, whichever that was
	prefer three 0
	hs switchover three --to=2
	[[ $(answering_slot http://127.0.0.1:9721/) == 2 ]]
	begin_load http://127.0.0.1:9721/ slot=
	inside systemctl restart three@2
	inside systemctl stop three@0
	inside systemctl restart three@1 three@2
	lost_nothing 'three slots'
	baseline
	inside systemctl stop three@2
	down three
}
