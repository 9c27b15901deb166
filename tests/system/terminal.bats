#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What people at a terminal meet: Ctrl-C, lines of 80 columns, words that are mistyped, places where something
# is missing.

load lib/rig

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9211
	up app
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	wait_for 5 is_ready app
	prefer app 0
}

no_change() { [[ $(status app .change) == null ]]; }

# on_terminal COMMAND: as it looks on one of 80 columns
on_terminal() { inside script -qefc "stty cols 80; $*" /dev/null </dev/null; }

# narrow TEXT...: no line is wider than 80 columns; escape sequences have no width
narrow() {
	local wide
	wide=$(sed 's/\x1b\[[0-9;?]*[a-zA-Z]//g; ' <<<"${1//$'\r'/$'\n'}" | awk 'length > 80')
	[[ -z $wide ]] || fail "wider than 80 columns: $wide"
}

@test "Ctrl-C in a switchover: it goes on, which is said, and how to undo it" {
	hold 9211 2
	run -1 inside timeout --preserve-status -s INT 1 hsctl switchover app --drain=30s
	[[ $output == *'app: interrupted; hsd goes on with the switchover to slot 1, see hsctl status app; when it has ended, hsctl rollback app undoes it'* ]]
	is_active app 1
	[[ $(status app .change) == switchover ]]
	# as it says
	let_go
	wait_for 10 no_change
	hs rollback app
	is_active app 0
}

@test "Ctrl-C in a drain: the slot stays out of service, and how to take it back" {
	hold 9211 2
	run -1 inside timeout --preserve-status -s INT 1 hsctl drain app 0 --deadline=30s
	[[ $output == *'interrupted; slot 0 of app stays out of service with 2 connections; back with: hsctl adopt app@0.service'* ]]
	hs adopt app@0.service
	let_go
}

@test "a slot that does not exist has the same exit code with every verb" {
	run -3 hs switchover app --to=7
	run -3 hs failover app --to=7
	run -3 hs canary app 5% --to=7
	run -3 hs connections app --slot=7
	run -3 hs exec app 7 -- true
	run -3 hs drain app 7
}

@test "words that are near are suggested, others are not, and those of other programs are explained" {
	run -2 hs restart app
	[[ $output == *'systemctl restart SERVICE@N'* && $output != *retire* ]]
	run -2 hs swichover app
	[[ $output == *'did you mean switchover?'* ]]
	run -2 hs switchover app --timout=3s
	[[ $output == *'did you mean --timeout?'* ]]
}

@test "at 80 columns lines end between words" {
	run on_terminal hsctl doctor
	((status == 0)) || { ((status == 1)) && lacks_iterators; }
	narrow "$output"
	[[ $output == *kernel.migration* ]]
	run -2 on_terminal hsctl restart app
	narrow "$output"
	run -3 on_terminal hsctl switchover app --to=7
	narrow "$output"
	run -0 on_terminal hsctl switchover app
	narrow "$output"
	run -0 on_terminal hsctl status app
	narrow "$output"
	# where no terminal is, a sentence is a line
	run -2 hs restart app
	[[ ${#lines[@]} == 1 ]]
}

@test "an upgrade that is undone: what the instance said stands on lines of its own" {
	printf '[Service]\nExecStart=\nExecStart=/bin/false\n' | write /etc/systemd/system/app@1.service.d/bad.conf
	inside systemctl daemon-reload
	run -4 on_terminal hsctl upgrade app
	# the line that was painted over is taken away before
	grep -q $'\x1b\[Klast lines of app@1.service:\|^last lines of app@1.service:' <<<"$output"
	inside rm /etc/systemd/system/app@1.service.d/bad.conf
	inside systemctl daemon-reload
	inside systemctl reset-failed app@1
	inside systemctl restart app@1
}

@test "-H where ssh is not installed" {
	run -1 inside env PATH=/nowhere /usr/bin/hsctl -H web1 list
	[[ $output == *'-H reaches web1 by ssh, which is not installed here'* ]]
}

@test "a chroot where something is not mounted: which, and how to mount it" {
	run -1 inside unshare -m bash -c 'mount -t tmpfs none /proc; hsctl doctor'
	[[ $output == *'mount -t proc proc /proc'* ]]
	run -1 inside unshare -m bash -c 'mount -t tmpfs none /sys; hsctl doctor'
	[[ $output == *'mount -t sysfs sysfs /sys'* ]]
	run -1 inside unshare -m bash -c 'umount /sys/fs/bpf; hsctl doctor'
	[[ $output == *'mount -t bpf -o mode=0700 bpf /sys/fs/bpf'* ]]
	run -69 inside unshare -m bash -c 'mount -t tmpfs none /proc; hsd'
	[[ $output == 'hsd: there is no /proc'*'mount -t proc proc /proc' ]]
	run -69 inside unshare -m bash -c 'mount -t tmpfs none /sys; hsd'
	[[ $output == 'hsd: there is no /sys'*'mount -t sysfs sysfs /sys'* ]]
	run -1 inside unshare -m bash -c "mount -t tmpfs none /proc; '$top/scripts/check'"
	[[ $output == *'there is no /proc; mount it: mount -t proc proc /proc'* ]]
}

@test "man -k finds every page by the name of the project" {
	local page
	for page in "$top"/man/*.[1-8]; do
		inside lexgrog "$page"
		inside lexgrog "$page" | grep -q hotstandby
	done
}
