#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Servers that are not in the control group of their unit, or not in it alone: scopes, conmon, containers of podman.
# Thorough: servers that are elsewhere than their unit, each kind in turn.

load lib/rig

port=19880

# scope NAME: its server runs in a scope of its own
scope() {
	write "/etc/systemd/system/$1@.service" <<-END
		[Service]
		ExecStart=/usr/bin/systemd-run --quiet --scope --unit=$1-%i /usr/lib/hotstandby/hs-example-server --slot=%i --no-reuseport --listen=0.0.0.0:$port
	END
	inside systemctl daemon-reload
}

@test "a server in another control group is named, with the setting that finds it" {
	scope one
	hs enable one@.service
	inside systemctl start one@0
	wait_for 5 is_state one 0 not-adopted
	[[ $(status one '.slots[0].problem') == *'in the control group /system.slice/one-0.scope and not in that of its unit'* ]]
	[[ $(status one '.slots[0].problem') == *'Cgroup=/system.slice/one-%i.scope'* ]]
	run -0 hs --direct status one
	[[ $output == *one-0.scope* ]]
	# the other one finds the address taken, again and again, but not all the time
	inside systemctl start one@1 || true
	inside sleep 3.5
	(($(inside journalctl -u one@1 -o cat --since -1min | grep -c 'Started one@1') <= 3))
	inside systemctl stop one@0 one@1
	down one
}

@test "a command that asks a daemon for a container is named, with what finds the container" {
	inside cp /bin/sleep /usr/local/bin/docker
	printf '[Service]\nExecStart=/usr/local/bin/docker 1000\n' | write /etc/systemd/system/my-one@.service
	inside systemctl daemon-reload
	hs enable my-one@.service
	inside systemctl start my-one@0
	wait_for 5 is_state my-one 0 not-adopted
	[[ $(status my-one '.slots[0].problem') == *'docker run --cgroup-parent=my-one-%i.slice where it is found with Cgroup=/my.slice/my-one.slice/my-one-%i.slice in my-one.conf' ]]
	inside systemctl stop my-one@0
	inside rm /usr/local/bin/docker
	down my-one
}

@test "with Cgroup= it is adopted from there, forced if need be, and switched without a loss" {
	write /etc/hotstandby/two.conf <<-END
		[Service]
		Cgroup=/system.slice/two-%i.scope
	END
	scope two
	hs enable two@.service
	inside systemctl start two@0
	wait_for 5 is_state two 0 ready
	inside systemctl start two@1
	wait_for 5 is_ready two
	prefer two 0
	begin_load http://127.0.0.1:$port/ slot=
	for _ in 1 2 3; do
		hs switchover two --drain=0 >/dev/null
	done
	inside systemctl restart two@0
	wait_for 5 is_ready two
	inside systemctl restart two@1
	wait_for 5 is_ready two
	lost_nothing 'servers in scopes'
	# a new hsd, and none
	inside systemctl restart hsd
	wait_for 5 is_ready two
	[[ $(hs --direct status two --json 2>/dev/null | jq -r '[.slots[].state] | unique | join(" ")') == ready ]]
	inside systemctl stop two@0 two@1
	down two
}

@test "conmon's reservation of a published port is no server, and is told" {
	inside cp /usr/bin/python3 /srv/conmon
	write /srv/reserve.py <<-END
		import socket, sys, time
		s = socket.socket()
		s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
		s.bind(('0.0.0.0', $port))
		s.listen(8)
		time.sleep(1000)
	END
	write /etc/systemd/system/three@.service <<-END
		[Service]
		ExecStart=/srv/conmon /srv/reserve.py
	END
	inside systemctl daemon-reload
	hs enable three@.service
	inside systemctl start three@0
	wait_for 5 is_state three 0 not-adopted
	[[ $(status three '.slots[0].problem') == *"0.0.0.0:$port is not switched: conmon keeps the published port to itself"* ]]
	inside systemctl stop three@0
	down three
}

# Nothing is pulled: the root is busybox. The rig may make no control groups for containers; without, they stay in the
# unit's as well.
@test "containers of podman, with the unit that comes as an example" {
	local slot
	inside bash -c 'command -v podman crun busybox' >/dev/null || skip 'needs podman, crun and busybox'
	write /etc/containers/storage.conf <<-END
		[storage]
		driver = "vfs"
		runroot = "/run/containers/storage"
		graphroot = "/var/lib/containers/storage"
	END
	for slot in 0 1; do
		inside bash -c "mkdir -p /srv/root$slot/{bin,www,proc,sys,dev,etc,tmp,run}
			cp /bin/busybox /srv/root$slot/bin/httpd && echo hello >/srv/root$slot/www/index.html"
	done
	inside bash -c "sed -e 's,registry.example.org/app:stable,--rootfs /srv/root%i /bin/httpd -f -p $port -h /www,' \
		-e s/=split/=disabled/ $examples/podman@.service >/etc/systemd/system/four@.service"
	up four
	run -0 hs status four
	[[ $output != *'!'* ]]
	prefer four 0
	# its queue is one of 9: of more clients some would be refused their SYN again and again
	begin_load http://127.0.0.1:$port/ hello 8
	for _ in 1 2 3; do
		hs switchover four --drain=0 >/dev/null
	done
	hs switchover four --drain=3s --then=restart >/dev/null
	wait_for 10 is_ready four
	hs upgrade four --probation=300ms
	lost_nothing 'containers of podman'
	inside systemctl stop four@0 four@1
	down four
}
