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

set_up() {
	inside bash -c "rm -f $jail/ran/*"
	own_service caged 9711
}

clean_up() {
	inside rm -rf /ran
	down caged
	! inside test -e /etc/systemd/system/app@.service || plain_gone
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

# ---- the alias: the plain name's unit, whose drop-ins were meant for a server, and whose commands are root's ----

# plain DROP-IN LINE...: app.service as it was before, with this drop-in of its own
plain() {
	write /etc/systemd/system/app.service <<-END
		[Service]
		Type=notify
		ExecStart=$server --slot=9 --listen=0.0.0.0:9712
	END
	{
		echo '[Service]'
		printf '%s\n' "${@:2}"
	} | write "/etc/systemd/system/app.service.d/$1"
	own_service app 9712
	inside install -d /ran
	inside systemctl daemon-reload
	inside systemctl start app.service
}

plain_gone() {
	inside systemctl stop app@0 app@1 app.service 2>/dev/null || true
	hs disable app@.service >/dev/null || true
	inside systemctl stop app.service 2>/dev/null || true
	inside bash -c 'rm -rf /ran /etc/systemd/system/app.service* /etc/systemd/system/app@.service* /etc/hotstandby/app.conf*
		systemctl daemon-reload; systemctl reset-failed "app*" 2>/dev/null'
	true
}

# mounts_of UNIT: what of that kind holds for it
mounts_of() {
	local key
	for key in RootDirectory RootImage BindPaths BindReadOnlyPaths TemporaryFileSystem MountImages ExtensionImages \
		ExtensionDirectories ExecSearchPath StateDirectory; do
		inside systemctl show -P "$key" "$1"
	done | grep . || true
}

# the user's hsctl: does what is asked, and more
write_hsctl() {
	write $jail/hsctl <<-'END'
		#!/bin/sh
		: >"/ran/$2.$$"
	END
	inside chmod 0755 $jail/hsctl
	inside chown games:games $jail/hsctl
}

@test "what an old drop-in mounts for the server is not mounted for the alias, which is root" {
	write_hsctl
	# of a release of systemd that knows it not, a line of these is passed over
	plain user.conf User=games "BindPaths=$jail/hsctl:/usr/bin/hsctl" "BindReadOnlyPaths=$jail/ran:/opt" \
		"TemporaryFileSystem=/srv/none:ro" "ExecSearchPath=$jail/bin:/usr/bin" StateDirectory=caged-app
	[[ -n $(mounts_of app.service) ]]
	hs enable app@.service --from=app.service
	[[ -z $(mounts_of app.service) ]] || fail "still: $(mounts_of app.service)"
	inside systemctl restart app.service
	wait_for 10 is_ready app
	[[ $(fetch http://127.0.0.1:9712/) == 'slot='* ]]
	[[ -z $(ran_as /ran) ]]
	# what is tested here can fail
	inside sed -i '/^Bind.*=$/d' /etc/systemd/system/app.service.d/zz-hotstandby.conf
	inside systemctl daemon-reload
	inside systemctl restart app.service || true
	[[ $(ran_as /ran) == *'0 '* ]]
	hs enable app@.service
	bystander_is_well
}

@test "a drop-in that is read behind that of the alias is refused by name, before anything is done" {
	plain zzz.conf "BindPaths=$jail/hsctl:/usr/bin/hsctl"
	run -3 hs enable app@.service --from=app.service
	[[ $output == *'app.service.d/zzz.conf is read behind'*'sorts before zz-hotstandby.conf'*'nothing was written'* ]] || fail "$output"
	[[ $(unit_state app.service) == active ]]
	run ! inside test -e /etc/systemd/system/app@.service.d
	inside systemctl stop app.service
	run -3 hs enable app@.service --alias
	[[ $output == *zzz.conf* ]] || fail "$output"
	run ! inside test -e /etc/systemd/system/app@.service.d
	bystander_is_well
}
