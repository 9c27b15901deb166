#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One owner for each address: a second service that comes to it, by a wrong port, is refused by name, and nothing
# of the first is touched.
# Long: begun with the first.

load lib/rig

shop=http://127.0.0.1:9701/
shop_port=9701
blog_port=9702

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service shop $shop_port
	up shop
	own_service blog $blog_port
	up blog
}

# also after a test that failed
setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside bash -c 'rm -rf /run/systemd/system/blog@*.service.d; systemctl daemon-reload'
	inside systemctl start hsd shop@0 shop@1
	inside systemctl start blog@0 blog@1
	wait_for 10 is_ready shop
	wait_for 10 is_ready blog
}

# misplace UNIT ADDRESS [OPTION...]: its server listens there from its next start on
misplace() {
	local unit=$1 address=$2
	shift 2
	printf '[Service]\nExecStart=\nExecStart=/usr/lib/hotstandby/hs-example-server --slot=7 --listen=%s %s\n' "$address" "$*" |
		write "/run/systemd/system/$unit.service.d/misplaced.conf"
	inside systemctl daemon-reload
}

put_back() {
	inside rm -rf "/run/systemd/system/$1.service.d"
	inside systemctl daemon-reload
	inside systemctl reset-failed "$1" || true
	inside systemctl restart "$1"
}

problem_of() { status "$1" ".slots[$2].problem"; }
is_refused() { [[ $(problem_of "$1" "$2") == *"belongs to ${3:-shop}"* ]]; }

# all of shop's clients are answered by shop's active slot
shop_is_untouched() {
	local i answers=''
	for i in 1 2 3 4 5 6 7 8 9 10; do
		answers+="$(answering_slot $shop) "
	done
	[[ $answers == "$(for i in 1 2 3 4 5 6 7 8 9 10; do printf '%s ' "$(active shop)"; done)" ]] ||
		fail "shop's clients were answered by: $answers"
}

has_no_pin() { run ! inside bash -c "ls -d $pins/$1/tcp*-$2 $pins/$1/udp*-$2 2>/dev/null"; }

# bats test_tags=thorough
@test "the same address, the same user: refused by name, through all that may happen to either" {
	misplace blog@1 0.0.0.0:$shop_port
	inside systemctl restart blog@1
	wait_for 5 is_refused blog 1
	shop_is_untouched
	has_event blog problem
	hs status blog | grep 'belongs to shop'
	# another hsd
	inside systemctl restart hsd
	wait_for 5 is_refused blog 1
	wait_for 5 is_ready shop
	shop_is_untouched
	# the first one's slots come and go
	inside systemctl restart shop@0
	shop_is_untouched
	inside systemctl restart shop@1
	hs switchover shop --drain=0
	shop_is_untouched
	has_no_pin blog $shop_port
	# the second one goes
	inside systemctl stop blog@1
	shop_is_untouched
	put_back blog@1
	wait_for 5 is_ready blog
	[[ $(problem_of blog 1) == null ]]
}

# bats test_tags=thorough
@test "by hsctl alone, with hsd dead" {
	misplace blog@1 0.0.0.0:$shop_port
	inside systemctl kill -s KILL hsd
	inside systemctl stop hsd
	inside systemctl restart blog@1
	shop_is_untouched
	hs adopt blog@1.service
	inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE=blog | grep 'belongs to shop'
	has_no_pin blog $shop_port
	inside systemctl restart shop@0 shop@1
	shop_is_untouched
	# the whole second service is taken out: the first one's selector is still there
	inside systemctl start hsd
	wait_for 5 is_ready shop
	hs disable blog@.service >/dev/null
	shop_is_untouched
	hs switchover shop --drain=0
	shop_is_untouched
	hs enable blog@.service >/dev/null
	put_back blog@1
	inside systemctl restart blog@0
	wait_for 5 is_ready blog
}

# bats test_tags=thorough
@test "forced: the second server finds the address taken, as it would without us" {
	local address
	own_service forced $shop_port --no-reuseport
	own_service other 9703 --no-reuseport
	up other
	inside systemctl daemon-reload
	inside systemctl stop shop@0 shop@1
	hs disable shop@.service >/dev/null
	up forced
	for address in 0.0.0.0:$shop_port 127.0.0.1:$shop_port; do
		misplace other@1 $address --no-reuseport
		inside systemctl restart other@1 || true
		wait_for 5 is_unit_state other@1 failed
		inside journalctl --since="@$rig_began" -u other@1 | grep -i 'in use'
		[[ $(answering_slot $shop) == "$(active forced)" ]]
		[[ $(status forced '.foreign') == '[]' || $(status forced '.foreign') == null ]]
	done
	put_back other@1
	wait_for 5 is_ready other
	down other
	down forced
	hs enable shop@.service >/dev/null
	inside systemctl start shop@0 shop@1
	wait_for 5 is_ready shop
}

@test "another user: the kernel refuses it, and its sockets are given to nobody" {
	misplace blog@1 0.0.0.0:$shop_port
	printf '[Service]\nUser=daemon\n' | write /run/systemd/system/blog@1.service.d/user.conf
	inside systemctl daemon-reload
	inside systemctl restart blog@1 || true
	wait_for 5 is_unit_state blog@1 failed
	shop_is_untouched
	[[ $(inside stat -c %U "/proc/$(main_pid shop@0)") == root ]]
	put_back blog@1
	wait_for 5 is_ready blog
}

@test "in front of the first: a single address of its wildcard" {
	misplace blog@1 127.0.0.9:$shop_port
	inside systemctl restart blog@1
	wait_for 5 is_refused blog 1
	[[ $(problem_of blog 1) == '127.0.0.9:9701 belongs to shop, which serves 0.0.0.0:9701'* ]]
	shop_is_untouched
	put_back blog@1
	wait_for 5 is_ready blog
}

# bats test_tags=thorough
@test "behind the first, and beside it: nobody is refused" {
	misplace blog@0 "[::]:$shop_port"
	misplace blog@1 "[::]:$shop_port"
	inside systemctl restart blog@0 blog@1
	wait_for 5 is_ready blog
	shop_is_untouched
	hs switchover blog --drain=0
	[[ $(answering_slot "http://[::1]:$shop_port/") == 7 ]]
	shop_is_untouched
	put_back blog@0
	put_back blog@1
	wait_for 5 is_ready blog
}

# bats test_tags=thorough
@test "a socket unit with the wrong port" {
	socket_service sock 9704
	up sock
	printf '[Socket]\nListenStream=\nListenStream=0.0.0.0:%s\n' $shop_port |
		write /run/systemd/system/sock@1.socket.d/misplaced.conf
	inside systemctl daemon-reload
	inside systemctl stop sock@1.service sock@1.socket
	inside systemctl start sock@1.service
	wait_for 5 is_refused sock 1
	shop_is_untouched
	has_no_pin sock $shop_port
	inside rm -r /run/systemd/system/sock@1.socket.d
	inside systemctl daemon-reload
	down sock
	shop_is_untouched
}

udp_service() {
	write "/etc/systemd/system/$1@.service" <<-END
		[Service]
		Type=notify
		ExecStart=/usr/bin/python3 $tools/dgram.py serve $2 $3
	END
}

# bats test_tags=thorough
@test "datagrams" {
	udp_service names 9705 %i
	up names
	udp_service zones 9706 7
	up zones
	udp_service zones 9705 7
	inside systemctl daemon-reload
	inside systemctl restart zones@1
	wait_for 5 is_refused zones 1 names
	[[ $(inside python3 $tools/dgram.py ask 127.0.0.1 9705 20) == "20 slot=$(active names)" ]]
	hs switchover names --drain=0
	inside systemctl restart hsd
	wait_for 5 is_refused zones 1 names
	[[ $(inside python3 $tools/dgram.py ask 127.0.0.1 9705 20) == "20 slot=$(active names)" ]]
	down zones
	[[ $(inside python3 $tools/dgram.py ask 127.0.0.1 9705 20) == "20 slot=$(active names)" ]]
	down names
}

# bats test_tags=thorough
@test "what the first gives up the second gets" {
	own_service first 9707
	up first
	misplace blog@0 0.0.0.0:9707
	misplace blog@1 0.0.0.0:9707
	inside systemctl restart blog@0 blog@1
	wait_for 5 is_refused blog 0 first
	wait_for 5 is_refused blog 1 first
	[[ $(answering_slot http://127.0.0.1:9707/) == "$(active first)" ]]
	# disabled, it goes on running, but has no claim any more
	hs disable first@.service >/dev/null
	wait_for 10 is_ready blog
	[[ $(problem_of blog 0) == null && $(problem_of blog 1) == null ]]
	[[ $(answering_slot http://127.0.0.1:9707/) == 7 ]]
	down first
	put_back blog@0
	put_back blog@1
	wait_for 5 is_ready blog
}

@test "descriptors of PID 1 in a unit's control group, another service's park among them" {
	local i
	for i in 1 0; do
		prefer shop $i
	done
	inside python3 $tools/alien.py $shop_port "$(main_pid blog@0)" 3 >"$BATS_TEST_TMPDIR/alien" 3>&- &
	wait_for 5 test -s "$BATS_TEST_TMPDIR/alien"
	# or it would prove nothing
	(($(<"$BATS_TEST_TMPDIR/alien") >= 1))
	hs adopt blog@0.service
	hs adopt blog@1.service
	inside systemctl restart blog@1
	shop_is_untouched
	has_no_pin blog $shop_port
	[[ $(problem_of blog 0) == null ]]
	wait $!
	# the park is still shop's, and keeps its clients
	printf '[Service]\nPark=always\n' | write /etc/hotstandby/shop.conf.d/park.conf
	inside systemctl reload hsd
	inside systemctl stop shop@0 shop@1
	inside curl -sS --max-time 20 $shop >"$BATS_TEST_TMPDIR/parked" 3>&- &
	sleep 0.3
	inside systemctl start shop@0
	wait $!
	grep 'slot=0' "$BATS_TEST_TMPDIR/parked"
	inside rm /etc/hotstandby/shop.conf.d/park.conf
	inside systemctl reload hsd
	inside systemctl start shop@1
	wait_for 5 is_ready shop
}
