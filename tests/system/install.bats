#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make install and make uninstall as an administrator runs them, on a machine whose bus and systemd are there.
# Long: begun with the first.
# Built: by make, of this tree
# Thorough: it builds and installs again and again; every other file begins with an installation.

load lib/rig

policy=/usr/share/dbus-1/system.d/org.hotstandby1.conf
# each installation asks systemd, the bus, the journal and the index of the pages to look
export BATS_TEST_TIMEOUT=600

# Installed by each test itself.
setup_file() {
	container_start "$rig"
	mkdir -p "$(container_root "$rig")$tools"
	cp "$top"/tests/system/lib/*.{lua,py} "$(container_root "$rig")$tools/"
	# what a package's trigger does at some time or other, and the journal's catalog, are there before
	# no other pages than ours: to index those of the machine takes longer than all the rest here
	inside bash -c 'rm -rf /usr/share/man && mkdir /usr/share/man'
	inside mandb --quiet
	inside journalctl --update-catalog
}

build=$(realpath "${BUILD:-$top/build}")

make_inside() { inside make -s -C "$top" BUILD="${local_build:-$build}" "$@"; }

# All that is installed on the machine, and what is in it of ours: no times.
files() {
	inside find /usr /etc /lib /run/systemd/system /sys/fs/bpf -xdev ! -path '/usr/src/*' ! -name '.updated' ! -name 'index.db' \
		-printf '%p %y %m %U %l\n' | sort
	inside journalctl --list-catalog | grep -c hotstandby || true
	inside man -k hotstandby 2>&1 | grep -c '^h' || true
}

name_is_ours() { [[ $(inside busctl --system call org.freedesktop.DBus / org.freedesktop.DBus NameHasOwner s org.hotstandby1) == 'b true' ]]; }

no_pins() { ! inside test -e $pins; }

@test "hsd has its name at once after each of 6 installations, whenever the bus reads its policy" {
	local stirrer done=0
	make_inside install
	# a bus that is told again and again to read its policy
	inside timeout 200 bash -c 'while sleep 0.2 && ! test -e /run/enough; do systemctl reload dbus; done' 3>&- &
	stirrer=$!
	while ((done < 6)); do
		inside rm $policy
		inside systemctl reload dbus
		make_inside install || break
		inside systemctl start hsd || break
		name_is_ours || break
		[[ $(inside systemctl show -P NRestarts hsd) == 0 ]] || break
		inside systemctl stop hsd
		((++done))
	done
	inside touch /run/enough
	wait $stirrer
	((done == 6)) || fail "fine $done times"
	make_inside uninstall
	! inside test -e $policy
}

@test "a daemon that runs is replaced under it; it is told, and nothing is restarted" {
	local pid
	make_inside install
	inside systemctl start hsd
	pid=$(main_pid hsd)
	run -0 make_inside install
	[[ $output == *'systemctl restart hsd'* ]]
	[[ $(main_pid hsd) == "$pid" ]]
	# where procps is not installed
	inside mv /usr/bin/kill /usr/bin/kill.away
	run inside systemctl reload hsd
	inside mv /usr/bin/kill.away /usr/bin/kill
	((status == 0)) || fail "reload: $output"
	[[ $(main_pid hsd) == "$pid" ]]
	inside systemctl restart hsd
	name_is_ours
}

@test "nothing is half there for a moment: what others read has its content and mode from the first look on" {
	local watcher
	inside bash -c 'while ! test -e /run/enough2; do
		find /usr/share/dbus-1/system.d /usr/lib/systemd/system /usr/lib/systemd/catalog /usr/sbin /usr/bin \
			\( -name "org.hotstandby1.conf" -o -name "hsd*" -o -name "hsctl*" -o -name "hotstandby*" \) \
			\( ! -perm -444 -o -size 0 \) -print 2>/dev/null
		done' >"$BATS_TEST_TMPDIR/seen" 3>&- &
	watcher=$!
	for _ in {1..3}; do make_inside install; done
	inside touch /run/enough2
	wait $watcher
	[[ ! -s $BATS_TEST_TMPDIR/seen ]] || fail "seen: $(sort "$BATS_TEST_TMPDIR/seen" | uniq -c)"
}

@test "uninstall refuses while something is in use, and says what to do" {
	own_service shop 9301
	inside systemctl enable --now hsd
	up shop
	inside systemctl enable hotstandby-drill@shop.timer
	run -2 make_inside uninstall
	[[ $output == *'hsctl disable shop@.service'* ]]
	[[ $output == *'systemctl disable --now hsd.service'* ]]
	[[ $output == *'systemctl disable --now hotstandby-drill@shop.timer'* ]]
	inside test -x /usr/sbin/hsd
	# as it says; what is masked is not in use
	inside systemctl mask hotstandby-exporter.socket
	inside systemctl disable --now hotstandby-drill@shop.timer
	hs disable shop@.service
	run -2 make_inside uninstall
	inside systemctl disable --now hsd.service
	make_inside uninstall
	inside systemctl stop shop@0 shop@1
	inside rm /etc/systemd/system/shop@.service /etc/systemd/system/hotstandby-exporter.socket
	inside systemctl daemon-reload
}

@test "uninstall leaves nothing: files, folders, catalog, pages, pins" {
	local before
	before=$(files)
	make_inside install
	[[ $(files) != "$before" ]]
	inside test -d /etc/hotstandby
	inside journalctl --list-catalog | grep -q hotstandby
	inside man -k hotstandby | grep -q '^hsctl '
	inside systemctl enable --now hsd
	inside systemctl disable --now hsd
	make_inside uninstall
	diff <(echo "$before") <(files)
	[[ $(inside systemctl show -P LoadState hsd) == not-found ]]
}

@test "an installation below /usr/local works wholly, and leaves nothing" {
	local before local_build=/root/build
	before=$(files)
	cp -a "$build" "$(container_root "$rig")$local_build"
	make_inside PREFIX=/usr/local install
	inside test -x /usr/local/sbin/hsd
	inside test -e /etc/dbus-1/system.d/org.hotstandby1.conf
	! inside test -e /usr/bin/hsctl
	inside systemctl enable --now hsd
	name_is_ours
	inside mkdir -p /srv
	write /etc/systemd/system/shop@.service <<-END
		[Service]
		Type=notify
		ExecStart=/usr/local/lib/hotstandby/hs-example-server --slot=%i --idle-grace=100 --listen=0.0.0.0:9302
	END
	up shop
	inside systemctl show -p ExecStop shop@0 | grep -q '=/usr/local/lib/hotstandby/hs-hook'
	hs switchover shop
	inside systemctl restart shop@1
	wait_for 5 is_ready shop
	inside journalctl --list-catalog | grep -q 'hotstandby'
	inside man -w hsctl | grep -q /usr/local
	[[ $(inside man hsd | cat) == */usr/local/lib/systemd/system/hsd.service* ]]
	run -0 hs doctor shop
	inside systemctl stop shop@0 shop@1
	hs disable shop@.service
	inside rm /etc/systemd/system/shop@.service
	inside systemctl daemon-reload
	inside systemctl disable --now hsd
	make_inside PREFIX=/usr/local uninstall
	diff <(echo "$before") <(files)
}

restarts() { inside systemctl show -P NRestarts hsd; }
began_again() { (($(restarts) > $1)); }

@test "where the bus does not know its policy, hsd says so, tries again ever more seldom, and doctor tells what helps" {
	local before
	make_inside install
	inside rm $policy
	inside systemctl reload dbus
	run ! inside systemctl start hsd
	inside journalctl -q -o cat -u hsd --since="@$rig_began" | grep -q "policy does not allow it.*run: systemctl reload dbus"
	# the first ones at once, then ever later
	wait_for 20 began_again 12
	before=$(restarts)
	sleep 3
	(($(restarts) - before <= 4)) || fail "began $(($(restarts) - before)) times in 3 s"
	run -1 hs doctor
	[[ $output == *'hsd ends soon after each start'* && $output == *'systemctl reload dbus'* ]]
	[[ $output != *'enable --now hsd'* ]]
	# enable does not advise what has just failed, either
	own_service lone 9304
	inside systemctl daemon-reload
	run -0 hs enable lone@.service
	[[ $output == *'hsctl doctor'* && $output != *'enable --now hsd'* ]]
	hs disable lone@.service
	inside rm /etc/systemd/system/lone@.service
	# what helps, helps
	make_inside install
	wait_for 15 name_is_ours
	# and another one is told what is the matter, without marks that only the journal understands
	run -1 inside hsd
	[[ $output == 'hsd: cannot get the name org.hotstandby1 on the system bus: another hsd is running' ]]
	inside systemctl restart hsd
}

@test "a crash is made good at once, and a crash loop is not as fast as that for ever" {
	local i pid
	make_inside install
	inside systemctl restart hsd
	for i in {1..5}; do
		pid=$(main_pid hsd)
		inside kill -KILL "$pid"
		took_at_most 5000 wait_until 10 is_new hsd "$pid"
	done
	# who asks for it does not wait for what was
	inside systemctl stop hsd
	inside systemctl start hsd
	[[ ! -s $(container_root "$rig")/run/hsd/starts ]] || grep -q '^1 ' "$(container_root "$rig")/run/hsd/starts"
	inside systemctl stop hsd
	make_inside uninstall
}

@test "places where nobody would look are refused, and nothing is written" {
	local before
	before=$(files)
	run -2 make_inside install PREFIX=/opt/hotstandby BUILD=/root/build
	[[ $output == *'PREFIX=/opt/hotstandby cannot work: systemd reads'* ]]
	run -2 make_inside install SYSCONFDIR=/usr/local/etc BUILD=/root/build
	[[ $output == *'SYSCONFDIR=/usr/local/etc cannot work'* ]]
	diff <(echo "$before") <(files)
}

@test "on a machine without a running systemd or bus it installs, and says what was not told" {
	local root=/root/bare
	inside systemctl stop hsd 2>/dev/null || true
	# a root folder of its own: what is in /run is not seen there
	inside mkdir -p $root/run $root/tmp
	run -0 inside unshare --mount bash -c "mount -t tmpfs none /run && make -s -C '$top' BUILD='$build' install"
	[[ $output == *'systemd does not run here'* && $output == *'no system bus runs here'* ]]
	inside test -x /usr/sbin/hsd
	make_inside uninstall
}

@test "after the last disable and a stop of hsd, in either order, no pin is left" {
	make_inside install
	own_service last 9303
	inside systemctl start hsd
	up last
	inside test -d $pins/last
	hs disable last@.service
	inside systemctl stop hsd
	no_pins
	inside systemctl stop last@0 last@1
	# the other way around
	inside systemctl start hsd
	up last
	inside systemctl stop hsd
	inside test -d $pins/last
	hs disable last@.service
	no_pins
	# nor does a look bring one back
	hs list
	hs status
	hs doctor || true
	no_pins
	inside systemctl stop last@0 last@1
}

@test "what the packages of scripts/setup enable is not enabled behind it" {
	local before
	before=$(inside find /etc/systemd/system -type l | sort)
	# its functions, without its work
	run -0 inside bash -c "set -euo pipefail
		source <(sed '\$d' '$top/scripts/setup')
		remember_links
		cd /etc/systemd/system
		mkdir -p multi-user.target.wants sockets.target.wants redis-server.service.wants
		ln -s /lib/systemd/system/nginx.service multi-user.target.wants/
		ln -s /lib/systemd/system/haproxy.service redis-server.service.wants/
		ln -s /lib/systemd/system/systemd-networkd.socket sockets.target.wants/
		ln -s /lib/systemd/system/fstrim.timer multi-user.target.wants/other.timer
		ln -s /lib/systemd/system/nginx.service web.service
		disable_new"
	[[ $output == *'nginx.service is installed, but neither started nor enabled.'* ]]
	[[ $output == *'haproxy.service is installed'* && $output == *'other.timer is installed'* ]]
	[[ $output != *networkd* ]]
	# what a machine boots with stays as its package has it
	inside rm /etc/systemd/system/sockets.target.wants/systemd-networkd.socket
	inside find /etc/systemd/system -type d -empty -delete
	diff <(echo "$before") <(inside find /etc/systemd/system -type l | sort)
}

# setup_with WHAT: scripts/setup where no package is there, and apt-get enables a service, and then does WHAT
setup_with() { inside env NPM=no WHAT="$1" PATH="/root/apt:$PATH" "$top/scripts/setup" build; }

apt_that_enables() {
	write /root/apt/dpkg-query <<-'END'
		#!/bin/sh
		[ "$1" = -W ] || exec /usr/bin/dpkg-query "$@"
	END
	write /root/apt/apt-get <<-'END'
		#!/bin/bash
		[[ $* == *' install '* ]] || exit 0
		grep -q '^exit 101' /usr/sbin/policy-rc.d || touch /run/it-starts
		mkdir -p /etc/systemd/system/multi-user.target.wants
		ln -sf /lib/systemd/system/nginx.service /etc/systemd/system/multi-user.target.wants/
		eval "$WHAT"
	END
	inside chmod +x /root/apt/apt-get /root/apt/dpkg-query
}

@test "scripts/setup that fails, is killed, or runs twice at a time enables nothing, and the owner's policy is there again" {
	local before job alone='mkdir /run/apt-runs || touch /run/two-at-a-time; sleep 0.3; rmdir /run/apt-runs'
	apt_that_enables
	printf '#!/bin/sh\nexit 104\n' | write /usr/sbin/policy-rc.d
	before=$(inside find /etc/systemd/system /usr/sbin -name '*policy-rc*' -o -type l | sort)
	as_before() {
		diff <(echo "$before") <(inside find /etc/systemd/system /usr/sbin -name '*policy-rc*' -o -type l | sort)
		inside grep -qx 'exit 104' /usr/sbin/policy-rc.d
	}
	run -1 setup_with false
	[[ $output == *'nginx.service is installed, but neither started nor enabled.'* && $output == *'apt-get install failed'* ]]
	as_before
	run -143 setup_with 'kill -TERM $PPID'
	as_before
	run -137 setup_with 'kill -KILL $PPID'
	inside test -e /etc/systemd/system/multi-user.target.wants/nginx.service
	setup_with true
	as_before
	# another one that is through with everything but this
	run -137 setup_with 'kill -KILL $PPID'
	inside "$top/scripts/setup" build
	as_before
	setup_with "$alone" 3>&- &
	job=$!
	setup_with "$alone"
	wait $job
	as_before
	run ! inside sh -c 'ls /run/two-at-a-time /run/it-starts'
	inside rm /usr/sbin/policy-rc.d
}
