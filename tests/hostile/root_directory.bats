# SPDX-License-Identifier: GPL-2.0-or-later
#
# A unit with a root of its own, or with folders of others mounted, that its user may write: systemd runs the commands
# of a unit in there, also those that it runs as root. Nothing that the user has put there may be run as root.

load lib/bystander.bash

jail=/srv/jail
server=/usr/lib/hotstandby/hs-example-server
hook=/usr/lib/hotstandby/hs-hook

# the root has the server, what that needs, a shell, and in the place of the hook what its user wrote
setup_file() {
	hostile_up
	inside install -d -m 0755 $jail/bin $jail/usr/lib/hotstandby $jail/ran $jail/run $jail/proc $jail/sys $jail/dev
	inside bash -c "for file in $server /bin/dash \$(ldd $server /bin/dash | grep -o '/[^ :]* (' | tr -d '( ' | sort -u); do
		install -D -m 0755 \$file $jail\$file; done; cp $jail/bin/dash $jail/bin/sh"
	write $jail$hook <<-'END'
		#!/bin/sh
		: >"/ran/$1.$$"
	END
	inside chmod 0755 $jail$hook
	inside chown -R games:games $jail
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside bash -c "rm -f $jail/ran/*"
	own_service caged 9711
}

teardown() {
	inside rm -rf /ran
	down caged
}

# unit LINE...: what its unit says beyond the server
unit() {
	{
		echo '[Service]'
		printf '%s\n' "$@"
	} | write /etc/systemd/system/caged@.service.d/user.conf
	inside systemctl daemon-reload
}

lives() {
	inside systemctl start caged@0 caged@1
	wait_for 10 is_ready caged
	inside systemctl restart caged@0
	wait_for 10 is_ready caged
	[[ $(fetch http://127.0.0.1:9711/) == 'slot='* ]]
	inside systemctl stop caged@0 caged@1
}

# as whom the user's program ran, if it did
ran_as() { inside find "$1" -type f -printf '%U %f\n'; }

refused() {
	run -3 hs enable caged@.service
	[[ $output == *"$1"* && $output == *"$2"* ]] || fail "$output" || return 1
	run ! inside test -e /etc/systemd/system/caged@.service.d/zz-hotstandby.conf
}

@test "the hooks are those of the machine, not of the root that the unit has for itself" {
	unit User=games RootDirectory=$jail
	hs enable caged@.service
	lives
	[[ -z $(ran_as $jail/ran) ]]
	# and they did their work
	has_event caged adopt
	has_event caged retire
	bystander_is_well
}

@test "without that setting they would be root for the asking: what is tested here can fail, and doctor tells" {
	unit User=games RootDirectory=$jail
	hs enable caged@.service
	inside sed -i '/^RootDirectoryStartOnly=/d' /etc/systemd/system/caged@.service.d/zz-hotstandby.conf
	inside systemctl daemon-reload
	inside systemctl start caged@0
	inside systemctl stop caged@0
	[[ $(ran_as $jail/ran) == *'0 '* ]]
	run -1 hs doctor caged
	[[ $output == *'hsctl enable caged@.service'* ]]
	bystander_is_well
}

@test "other commands of such a unit are asked about, and left alone where the unit says so" {
	unit User=games RootDirectory=$jail 'ExecReload=/bin/sh -c "exit 0"'
	refused 'user.conf:4: ExecReload=' 'RootDirectoryStartOnly=yes'
	unit User=games RootDirectory=$jail RootDirectoryStartOnly=yes 'ExecReload=/bin/sh -c "exit 0"'
	hs enable caged@.service
	lives
	[[ -z $(ran_as $jail/ran) ]]
	bystander_is_well
}

@test "what the unit mounts over the hooks is refused" {
	local setting
	for setting in "BindPaths=$jail/usr/lib/hotstandby:/usr/lib/hotstandby" "BindReadOnlyPaths=-$jail/lib:/lib:rbind" \
		"MountImages=$jail/image:/usr" "ExtensionDirectories=$jail" "ExtensionImages=$jail/image"; do
		unit User=games "$setting"
		refused "user.conf:3: $setting" 'as root'
	done
	unit User=games "BindPaths=$jail/ran:/opt" BindReadOnlyPaths=/usr
	hs enable caged@.service
	lives
	bystander_is_well
}

@test "and if it comes later, doctor tells: it does give root away" {
	unit User=games
	hs enable caged@.service
	inside install -d /ran
	unit User=games "BindPaths=$jail$hook:$hook"
	inside systemctl start caged@0
	inside systemctl stop caged@0
	[[ $(ran_as /ran) == *'0 '* ]]
	run -1 hs doctor caged
	[[ $output == *"BindPaths=$jail$hook:$hook"* ]]
	bystander_is_well
}
