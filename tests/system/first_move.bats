#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# From a plain unit that serves to the slots of a template: it is named, it is taken over from without a loss, and its
# name goes on to be understood.
# Long: begun with the first.
# Thorough: each kind of unit that serves already, in turn.

load lib/rig
load lib/servers

port=19860

# plain NAME PORT [KEY=VALUE...]: the server as it was before, started and enabled
plain() {
	local name=$1 at=$2
	shift 2
	write "/etc/systemd/system/$name.service" <<-END
		[Unit]
		Description=$name as it was before
		[Service]
		Type=notify
		ExecStart=/usr/lib/hotstandby/hs-example-server --slot=9 --listen=0.0.0.0:$at
		$(printf '%s\n' "$@")
		[Install]
		WantedBy=multi-user.target
	END
	inside systemctl daemon-reload
	inside systemctl enable -q --now "$name.service"
}

# gone NAME: nothing of it is left
gone() {
	inside systemctl stop "$1@0" "$1@1" 2>/dev/null || true
	hs disable "$1@.service" >/dev/null || true
	inside systemctl disable -q --now "$1.service" 2>/dev/null || true
	inside bash -c "rm -rf /etc/systemd/system/$1.service* /etc/systemd/system/$1@.service* /etc/hotstandby/$1.conf*
		systemctl daemon-reload; systemctl reset-failed '$1*' 2>/dev/null"
	true
}

both_ready() { wait_for 5 is_ready "$1"; }

@test "the plain unit that has the port is named by enable and doctor" {
	plain one $port
	own_service one $port
	inside systemctl daemon-reload
	run -0 --separate-stderr hs enable one@.service
	[[ $stderr == *"one.service runs and serves 0.0.0.0:$port, and it is started at boot"*'hsctl enable one@.service --from=one.service'* ]]
	run hs doctor one
	[[ $output == *'unit.plain (one)'*'one.service runs'* ]]
	# down, it has the port at the next boot
	inside systemctl stop one
	run -0 --separate-stderr hs enable one@.service
	[[ $stderr == *'one.service is started at boot'* ]]
	inside systemctl disable -q one
	run -0 --separate-stderr hs enable one@.service
	[[ $stderr != *one.service* ]]
	run hs doctor one
	[[ $output != *unit.plain* ]]
	gone one
}

@test "so it is by another name, when it runs the same command or has the port of Ports=" {
	plain other $port
	own_service two $port
	# as the slot of number 9 would
	inside sed -i 's/--slot=%i --idle-grace=100 /--slot=9 /' /etc/systemd/system/two@.service
	inside systemctl daemon-reload
	run -0 --separate-stderr hs enable two@.service
	[[ $stderr == *"other.service runs and serves 0.0.0.0:$port"* ]]
	gone two
	own_service two $port
	inside systemctl daemon-reload
	write /etc/hotstandby/two.conf <<<"[Service]
Ports=$port"
	run -0 --separate-stderr hs enable two@.service
	[[ $stderr == *"--from=other.service"* ]]
	gone two
	gone other
}

@test "a slot starts beside a plain unit that knows nothing of it, and clients notice nothing" {
	plain three $port
	own_service three $port
	inside systemctl daemon-reload
	hs enable three@.service
	begin_load http://127.0.0.1:$port/ slot=
	inside systemctl start three@0
	wait_for 5 is_state three 0 ready
	inside systemctl start three@1
	both_ready three
	[[ $(answering_slot http://127.0.0.1:$port/) == [01] ]]
	inside systemctl disable -q --now three.service
	lost_nothing 'a plain unit is stopped beside two slots'
	gone three
	# what it is worth
	plain three $port
	begin_load http://127.0.0.1:$port/ slot=
	for _ in 1 2 3; do inside systemctl restart three.service; done
	end_load
	say "$(load_line 'without, 3 restarts of the plain unit')"
	((load[lost] > 0))
	gone three
}

@test "enable --from takes over without a loss, and the name stands for all slots" {
	local before pid0 pid1
	# it asks others by UDP, which the slots need not do
	plain four $port ExecStart= "ExecStart=/bin/sh -c 'python3 -c \"import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); \
		s.bind((\\'\\', 0)); time.sleep(600)\" & exec /usr/lib/hotstandby/hs-example-server --slot=9 --listen=0.0.0.0:$port'"
	wait_for 5 inside bash -c 'ss -Hulnp | grep -q python3'
	own_service four $port
	inside systemctl daemon-reload
	before=$(inside cat /etc/systemd/system/four.service)
	begin_load http://127.0.0.1:$port/ slot=
	run -0 --separate-stderr hs enable four@.service --from=four.service
	[[ $output == *'1 socket of it can be joined now'* ]]
	[[ ${lines[-1]} == 'four has taken over from four.service; start, stop, reload and restart of that name go to all slots, also at boot.' ]]
	is_ready four
	[[ $(inside systemctl show -P MainPID four.service) == 0 && $(unit_state four.service) == active ]]
	pid0=$(main_pid four@0)
	pid1=$(main_pid four@1)
	run -0 inside systemctl restart four.service
	both_ready four
	is_new four@0 "$pid0"
	is_new four@1 "$pid1"
	lost_nothing 'the first move, and a restart by the plain name'
	[[ $(hs history four --json -n 1 | jq -r '"\(.verb) \(.outcome)"') == 'upgrade done' ]]
	# enable again leaves it alone
	run -0 hs enable four@.service
	[[ $output == *'under hotstandby already'* ]]
	inside systemctl stop four.service
	[[ $(unit_state four@0) == inactive && $(unit_state four@1) == inactive ]]
	inside systemctl start four.service
	both_ready four
	# and back
	pid0=$(main_pid four@0)
	hs disable four@.service
	[[ $(inside cat /etc/systemd/system/four.service) == "$before" ]]
	[[ $(main_pid four@0) == "$pid0" && $(unit_state four.service) == inactive ]]
	[[ $(inside systemctl is-enabled four.service) == enabled ]]
	inside systemctl stop four@0 four@1
	inside systemctl start four.service
	[[ $(answering_slot http://127.0.0.1:$port/) == 9 ]]
	gone four
}

@test "a restart by the plain name that brings in a bad version is undone, and says so" {
	plain five $port
	own_service five $port
	inside systemctl daemon-reload
	hs enable five@.service --from=five.service
	write /etc/systemd/system/five@.service.d/bad.conf <<<'[Service]
ExecStartPre=/bin/false'
	inside systemctl daemon-reload
	begin_load http://127.0.0.1:$port/ slot=
	run ! inside systemctl restart five.service
	lost_nothing 'a restart to a version that does not start'
	# the slots serve: so it is up
	wait_for 5 is_unit_state five.service active
	gone five
}

@test "reload by the plain name reaches all slots" {
	plain six $port
	own_service six $port
	write /etc/systemd/system/six@.service.d/reload.conf <<<'[Service]
ExecReload=/bin/sh -c "echo %i >>/run/six-reloaded"'
	inside systemctl daemon-reload
	hs enable six@.service --from=six.service
	inside systemctl reload six.service
	[[ $(inside sort /run/six-reloaded | tr -d '\n') == 01 ]]
	inside rm /run/six-reloaded
	gone six
}

@test "slots that do not come, or serve another address, are taken back; the plain unit serves on" {
	plain seven $port
	own_service seven $((port + 1))
	# settings that were written beforehand are nobody's to take away
	printf '[Service]\n# by hand\nDrain=7s\n' | write /etc/hotstandby/seven.conf
	inside systemctl daemon-reload
	begin_load http://127.0.0.1:$port/ slot=9
	run -4 --separate-stderr hs enable seven@.service --from=seven.service
	[[ $stderr == *"the slots do not serve 0.0.0.0:$port, which seven.service does"* ]]
	[[ $(unit_state seven@0) == inactive && $(unit_state seven@1) == inactive ]]
	run -0 inside bash -c 'ls /etc/systemd/system/seven@.service.d /etc/hotstandby/seven.conf* 2>&1; true'
	[[ $output != *zz-hotstandby* && $output != *disabled* ]]
	[[ $(inside cat /etc/hotstandby/seven.conf) == $'[Service]\n# by hand\nDrain=7s' ]]
	# and without: nothing is left, and hsd does not know the service
	inside rm /etc/hotstandby/seven.conf
	run -4 hs enable seven@.service --from=seven.service
	inside test ! -e /etc/hotstandby/seven.conf
	inside test ! -e /sys/fs/bpf/hotstandby/seven
	write /etc/systemd/system/seven@.service <<<'[Service]
ExecStart=/bin/false
Type=oneshot
RemainAfterExit=yes'
	inside systemctl daemon-reload
	run -4 hs enable seven@.service --from=seven.service
	lost_nothing 'three moves that were undone'
	[[ $(unit_state seven.service) == active ]]
	gone seven
}

@test "a move that is undone leaves slots alone that ran under hotstandby before" {
	local before
	plain eleven $port
	own_service eleven $((port + 1))
	inside systemctl daemon-reload
	hs enable eleven@.service
	inside systemctl start eleven@0 eleven@1
	wait_for 5 is_ready eleven
	before=$(inside cat /etc/systemd/system/eleven@.service.d/zz-hotstandby.conf)
	# the drop-in would be another one
	printf 'ExecStop=/bin/true\n' | inside tee -a /etc/systemd/system/eleven@.service >/dev/null
	begin_load http://127.0.0.1:$((port + 1))/ slot=
	run -4 --separate-stderr hs enable eleven@.service --from=eleven.service
	[[ $stderr == *"the slots do not serve 0.0.0.0:$port"* ]]
	[[ $(inside cat /etc/systemd/system/eleven@.service.d/zz-hotstandby.conf) == "$before" ]]
	inside test -e /etc/hotstandby/eleven.conf
	inside test -e /sys/fs/bpf/hotstandby/eleven
	hs switchover eleven
	inside systemctl restart eleven@0
	wait_for 5 is_ready eleven
	lost_nothing 'a move that was undone beside slots that serve'
	gone eleven
}

@test "what cannot be is refused before anything is written" {
	own_service eight $port
	inside systemctl daemon-reload
	run -3 hs enable eight@.service --from=nowhere.service
	[[ $output == *'there is no such unit'*'nothing was written'* ]]
	run -2 hs enable eight@.service --from=eight@0.service
	[[ $output == *'is no value for --from'* ]]
	run -2 hs enable eight@.service --no-alias
	write /etc/hotstandby/eight.conf <<<'[Service]
Exclusive=yes'
	plain eight $port
	run -3 hs enable eight@.service --from=eight.service
	[[ $output == *'Exclusive=yes'* ]]
	inside test ! -e /etc/systemd/system/eight@.service.d
	inside rm /etc/hotstandby/eight.conf
	# an alias where a server runs
	run -3 hs enable eight@.service --alias
	[[ $output == *'runs a server of its own'*'--from=eight.service'* ]]
	gone eight
}

@test "with --no-alias the plain unit is stopped and disabled, and the slots start at boot; an alias may come later" {
	plain nine $port
	own_service nine $port
	printf '[Install]\nWantedBy=multi-user.target\n' | inside tee -a /etc/systemd/system/nine@.service >/dev/null
	inside systemctl daemon-reload
	run -0 hs enable nine@.service --from=nine.service --no-alias --json
	[[ $(jq -r '"\(.service) \(.from)"' <<<"$output") == 'nine nine.service' ]]
	[[ $(unit_state nine.service) == inactive ]]
	run inside systemctl is-enabled nine.service nine@0.service nine@1.service
	[[ $output == $'disabled\nenabled\nenabled' ]]
	hs enable nine@.service --alias=any.service
	inside systemctl start any.service
	[[ $(unit_state any.service) == active ]]
	hs disable nine@.service
	inside test ! -e /etc/systemd/system/any.service
	[[ $(unit_state any.service) == inactive && $(unit_state nine@0) == active ]]
	gone nine
}

@test "one name stands for the slots; disable takes every file of it back, and gives back what was there" {
	local before pid0
	plain twelve $port
	own_service twelve $port
	inside systemctl daemon-reload
	before=$(inside cat /etc/systemd/system/twelve.service)
	hs enable twelve@.service --from=twelve.service
	run -3 --separate-stderr hs enable twelve@.service --alias=dozen.service
	[[ $stderr == *'/twelve.service: dozen.service: One name stands for the slots'*'ln -s twelve.service /etc/systemd/system/dozen.service'* ]]
	inside test ! -e /etc/systemd/system/dozen.service
	inside ln -s twelve.service /etc/systemd/system/dozen.service
	# as an earlier enable has left one
	inside cp /etc/systemd/system/twelve.service /etc/systemd/system/left.service
	inside systemctl daemon-reload
	[[ $(unit_state dozen.service) == active ]]
	inside systemctl start left.service
	pid0=$(main_pid twelve@0)
	hs disable twelve@.service
	[[ $(main_pid twelve@0) == "$pid0" ]]
	[[ $(inside cat /etc/systemd/system/twelve.service) == "$before" ]]
	inside test ! -e /etc/systemd/system/left.service
	inside test -h /etc/systemd/system/dozen.service
	inside rm /etc/systemd/system/dozen.service
	# its file is gone already
	write /etc/systemd/system/twelve.service.d/own.conf <<<'[Service]
Nice=1'
	inside systemctl daemon-reload
	hs enable twelve@.service --alias
	inside test -e /etc/systemd/system/twelve.service.d/zz-hotstandby.conf
	inside rm /etc/systemd/system/twelve.service
	hs disable twelve@.service
	[[ $(inside cat /etc/systemd/system/twelve.service) == "$before" ]]
	inside test ! -e /etc/systemd/system/twelve.service.d/zz-hotstandby.conf
	gone twelve
}

@test "a template that stops with the plain unit, or never runs beside it, is refused before anything is written" {
	local line pid0
	plain thirteen $port
	own_service thirteen $port
	for line in PartOf Conflicts; do
		printf '[Unit]\n%s=thirteen.service\n' $line | write /etc/systemd/system/thirteen@.service.d/own.conf
		inside systemctl daemon-reload
		run -3 --separate-stderr hs enable thirteen@.service --from=thirteen.service
		[[ $stderr == *"/own.conf:2: $line=thirteen.service: "*'Remove the line'*'nothing was written'* ]]
		run -3 --separate-stderr hs enable thirteen@.service --alias
		[[ $stderr == *"/own.conf:2: $line=thirteen.service: "* ]]
	done
	inside test ! -e /etc/hotstandby/thirteen.conf
	inside test ! -e /etc/systemd/system/thirteen@.service.d/zz-hotstandby.conf
	# from the other side
	inside rm /etc/systemd/system/thirteen@.service.d/own.conf
	printf '[Unit]\nConflicts=thirteen@1.service\n' | write /etc/systemd/system/thirteen.service.d/own.conf
	inside systemctl daemon-reload
	run -3 --separate-stderr hs enable thirteen@.service --from=thirteen.service
	[[ $stderr == *'thirteen@.service cannot run beside thirteen.service'* ]]
	[[ $(unit_state thirteen.service) == active ]]
	gone thirteen
	# a unit that groups the instances is no server
	write /etc/systemd/system/thirteen.service <<<'[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true'
	own_service thirteen $port
	inside systemctl daemon-reload
	inside systemctl start thirteen@0 thirteen@1 thirteen.service
	hs enable thirteen@.service --alias
	wait_for 5 is_ready thirteen
	pid0=$(main_pid thirteen@0)
	hs disable thirteen@.service
	[[ $(main_pid thirteen@0) == "$pid0" && $(unit_state thirteen.service) == inactive ]]
	[[ $(inside cat /etc/systemd/system/thirteen.service) == *ExecStart=/bin/true ]]
	gone thirteen
}

@test "what an init script or a socket unit started at boot is started at boot" {
	write /etc/init.d/fourteen <<-END
		#!/bin/sh
		### BEGIN INIT INFO
		# Provides: fourteen
		# Required-Start:
		# Required-Stop:
		# Default-Start: 2 3 4 5
		# Default-Stop:
		### END INIT INFO
		case \$1 in
		start) /usr/lib/hotstandby/hs-example-server --slot=9 --listen=0.0.0.0:$port >/dev/null 2>&1 & echo \$! >/run/14 ;;
		stop) kill \$(cat /run/14) ;;
		esac
	END
	inside chmod 0755 /etc/init.d/fourteen
	inside bash -c 'for i in 2 3 4 5; do mkdir -p /etc/rc$i.d; ln -s ../init.d/fourteen /etc/rc$i.d/S01fourteen; done'
	own_service fourteen $port
	printf '[Install]\nWantedBy=multi-user.target\n' | inside tee -a /etc/systemd/system/fourteen@.service >/dev/null
	inside systemctl daemon-reload
	inside systemctl start fourteen.service
	wait_for 5 inside curl -sf http://127.0.0.1:$port/ >/dev/null
	[[ $(inside systemctl show -P FragmentPath fourteen.service) == /run/systemd/generator.late/* ]]
	run -0 --separate-stderr hs enable fourteen@.service --from=fourteen.service --no-alias
	[[ ${lines[-1]} == *', which is stopped.' ]]
	[[ $stderr == *'fourteen.service is made from another file at each boot'*'systemctl disable fourteen.service'* ]]
	[[ $(inside systemctl is-enabled fourteen@1.service) == enabled ]]
	hs disable fourteen@.service
	inside systemctl disable -q --now fourteen@0 fourteen@1
	inside systemctl start fourteen.service
	wait_for 5 inside curl -sf http://127.0.0.1:$port/ >/dev/null
	run -0 hs enable fourteen@.service --from=fourteen.service
	[[ $output == *', also at boot.'* ]]
	inside test -h /etc/systemd/system/multi-user.target.wants/fourteen.service
	gone fourteen
	inside bash -c 'rm -f /etc/init.d/fourteen /etc/rc?.d/*fourteen /etc/systemd/system/*.wants/fourteen*; systemctl daemon-reload'

	printf '[Socket]\nListenStream=0.0.0.0:%s\n[Install]\nWantedBy=sockets.target\n' $port |
		write /etc/systemd/system/fifteen.socket
	printf '[Service]\nType=notify\nExecStart=/usr/lib/hotstandby/hs-example-server --slot=9\n' |
		write /etc/systemd/system/fifteen.service
	own_service fifteen $port
	inside systemctl daemon-reload
	inside systemctl enable -q --now fifteen.socket
	wait_for 5 inside curl -sf http://127.0.0.1:$port/ >/dev/null
	run -0 hs enable fifteen@.service --from=fifteen.service
	[[ $output == *', also at boot.'* ]]
	run inside systemctl is-enabled fifteen.socket fifteen.service
	[[ $output == $'disabled\nenabled' ]]
	gone fifteen
	inside bash -c 'rm -f /etc/systemd/system/fifteen.socket; systemctl daemon-reload'
}

@test "what its drop-ins set for the server does not hold for the name" {
	plain ten $port
	own_service ten $port
	write /etc/systemd/system/ten.service.d/own.conf <<<'[Service]
User=nobody
ExecStartPre=/bin/false
EnvironmentFile=/nowhere'
	inside systemctl daemon-reload
	hs enable ten@.service --from=ten.service
	[[ $(unit_state ten.service) == active ]]
	[[ $(inside systemctl show -P User ten.service) == '' ]]
	gone ten
	inside test ! -e /etc/systemd/system/ten.service.d/zz-hotstandby.conf
	inside rm -rf /etc/systemd/system/ten.service.d
}

@test "apache2, as its package has it: a second one ends at the PID file of the first; with one for each slot it moves" {
	template apache2
	inside systemctl daemon-reload
	inside systemctl unmask -q apache2
	inside systemctl enable -q --now apache2
	begin_load http://127.0.0.1:80/ html
	run -4 --separate-stderr hs enable apache2@.service --from=apache2.service
	[[ $stderr == *'the PID file of another; give each slot one of its own'*'$HOTSTANDBY_SLOT'*'serves as before'* ]]
	[[ $(unit_state apache2) == active ]]
	# hotstandby(7) has this line
	inside tee -a /etc/apache2/envvars >/dev/null \
		<<<'export APACHE_PID_FILE=/run/apache2/apache2${HOTSTANDBY_SLOT:+-$HOTSTANDBY_SLOT}.pid'
	hs enable apache2@.service --from=apache2.service
	is_ready apache2
	inside systemctl restart apache2@0
	inside systemctl restart apache2
	wait_for 5 is_ready apache2
	lost_nothing 'apache2: a move that was undone, the first move, and restarts'
	hs disable apache2@.service
	inside systemctl stop apache2@0 apache2@1
	inside rm -f /etc/systemd/system/apache2@.service
}

@test "nginx, as its package has it: its own stop would end a slot by the file that they share" {
	local rest
	template nginx
	inside systemctl daemon-reload
	inside systemctl unmask -q nginx
	inside systemctl enable -q --now nginx
	begin_load http://127.0.0.1:80/ html
	run -0 --separate-stderr hs enable nginx@.service --from=nginx.service
	is_ready nginx
	# logrotate's line of the package
	[[ $stderr == */etc/logrotate.d/nginx:*'invoke-rc.d nginx rotate'* ]]
	inside systemctl restart nginx
	both_ready nginx
	lost_nothing 'nginx: the first move and a restart'
	hs disable nginx@.service
	inside systemctl stop nginx@0 nginx@1
	[[ $(inside systemctl show -P FragmentPath nginx) == */lib/systemd/system/nginx.service ]]
	rest=$(inside bash -c 'ls -d /etc/systemd/system/nginx.service* /run/systemd/system/nginx.service* 2>/dev/null || true')
	[[ $rest == '' ]]
	inside rm -f /etc/systemd/system/nginx@.service
}
