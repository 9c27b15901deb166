#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A package with a server is upgraded: by its own scripts and the alias, by apt's hook, and by needrestart.
# Long: begun with the first.
# Thorough: packages are upgraded as apt does it; upgrade has the verb.

load lib/rig

port=19870

# package VERSION [SERVER]: a Debian package as dh_installsystemd makes them, with this program as its server
package() {
	local root=/srv/build/pkgapp_$1
	inside mkdir -p "$root/DEBIAN" "$root/opt/pkgapp" "$root/lib/systemd/system"
	inside cp "${2:-/usr/lib/hotstandby/hs-example-server}" "$root/opt/pkgapp/server"
	inside bash -c "echo $1 >$root/opt/pkgapp/version"
	write "$root/lib/systemd/system/pkgapp.service" <<-END
		[Unit]
		Description=pkgapp of its package
		[Service]
		Type=notify
		ExecStart=/opt/pkgapp/server --slot=9 --listen=0.0.0.0:$port
		[Install]
		WantedBy=multi-user.target
	END
	write "$root/DEBIAN/control" <<-END
		Package: pkgapp
		Version: $1
		Architecture: all
		Maintainer: nobody <nobody@example.org>
		Description: a server
	END
	write "$root/DEBIAN/postinst" <<-'END'
		#!/bin/sh
		set -e
		systemctl --system daemon-reload
		if [ -n "$2" ]; then action=restart; else action=start; fi
		deb-systemd-helper unmask pkgapp.service >/dev/null || true
		if deb-systemd-helper --quiet was-enabled pkgapp.service; then
			deb-systemd-helper enable pkgapp.service >/dev/null || true
		fi
		deb-systemd-invoke $action pkgapp.service >/dev/null || true
	END
	inside chmod 755 "$root/DEBIAN/postinst"
	inside bash -c "cd $root && md5sum opt/pkgapp/* lib/systemd/system/* >DEBIAN/md5sums"
	inside dpkg-deb --build "$root" "/srv/build/pkgapp_$1.deb" >/dev/null
}

install_package() {
	inside env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
		apt-get -q -y -o Dpkg::Use-Pty=0 install "/srv/build/pkgapp_$1.deb"
}

outdated() { status pkgapp '[.slots[].outdated | select(. != null)] | length'; }
is_fresh() { [[ $(outdated) == 0 ]] && is_ready pkgapp; }

setup_file() {
	rig_up
	inside systemctl start hsd
	inside mkdir -p /srv/build
	for version in 1 2 5 6 7; do
		package "$version"
	done
	package 4 /bin/false
	inside rm -f /usr/sbin/policy-rc.d
	install_package 1 >/dev/null
	own_service pkgapp $port
	inside sed -i 's,/usr/lib/hotstandby/hs-example-server,/opt/pkgapp/server,' /etc/systemd/system/pkgapp@.service
	inside systemctl daemon-reload
}

@test "the package's own script restarts the alias, which is an upgrade" {
	local pid0
	hs enable pkgapp@.service --from=pkgapp.service
	pid0=$(main_pid pkgapp@0)
	begin_load http://127.0.0.1:$port/ slot=
	install_package 2
	wait_for 10 is_fresh
	lost_nothing 'an upgrade of the package'
	is_new pkgapp@0 "$pid0"
	[[ $(inside cat /opt/pkgapp/version) == 2 ]]
	[[ $(hs history pkgapp --json -n 1 | jq -r '"\(.verb) \(.outcome)"') == 'upgrade done' ]]
	# what dpkg has written is as dpkg has it
	run -0 inside dpkg -V pkgapp
	[[ $output == '' ]]
}

@test "a version that does not start is undone, though the package is installed" {
	begin_load http://127.0.0.1:$port/ slot=
	install_package 4
	lost_nothing 'a package with a server that does not start'
	[[ $(hs history pkgapp --json -n 1 | jq -r '"\(.verb) \(.outcome)"') == 'upgrade undone' ]]
	(($(outdated) >= 1))
	install_package 5
	wait_for 10 is_fresh
}

@test "apt's hook brings it in without the alias, and apt does not wait" {
	hs disable pkgapp@.service
	inside systemctl disable -q --now pkgapp.service
	hs enable pkgapp@.service
	inside systemctl start pkgapp@0 pkgapp@1
	wait_for 5 is_ready pkgapp
	# in any case it is told
	install_package 6
	wait_for 5 test "$(outdated)" == 2
	[[ $(unit_state hotstandby-outdated.service) == inactive ]]
	inside systemctl enable -q hotstandby-outdated.service
	write /etc/systemd/system/hotstandby-outdated.service.d/quick.conf <<<'[Service]
Environment=UPGRADE=--probation=5s'
	inside systemctl daemon-reload
	begin_load http://127.0.0.1:$port/ slot=
	install_package 7
	# it is at it
	[[ $(unit_state hotstandby-outdated.service) == activating ]]
	wait_for 15 is_fresh
	lost_nothing 'an upgrade after apt'
	wait_for 10 is_unit_state hotstandby-outdated.service inactive
	inside systemctl disable -q hotstandby-outdated.service
}

@test "needrestart restarts slots by an upgrade, and a broken version is undone" {
	replace_server() { inside bash -c "cp $1 /opt/pkgapp/server.new && mv /opt/pkgapp/server.new /opt/pkgapp/server"; }

	hs enable pkgapp@.service
	inside systemctl start pkgapp@0 pkgapp@1
	wait_for 5 is_fresh
	replace_server /usr/lib/hotstandby/hs-example-server
	[[ $(outdated) == 2 ]]
	begin_load http://127.0.0.1:$port/ slot=
	run -0 inside env DEBIAN_FRONTEND=noninteractive timeout 100 needrestart -l -r a
	[[ $output == *pkgapp@0.service* ]]
	lost_nothing 'needrestart'
	is_fresh
	[[ $(hs history pkgapp --json -n 1 | jq -r '"\(.verb) \(.outcome)"') == 'upgrade done' ]]
	replace_server /bin/false
	begin_load http://127.0.0.1:$port/ slot=
	run inside env DEBIAN_FRONTEND=noninteractive timeout 100 needrestart -l -r a
	lost_nothing 'needrestart with a broken version'
	[[ $(hs history pkgapp --json -n 1 | jq -r '"\(.verb) \(.outcome)"') == 'upgrade undone' ]]
}
