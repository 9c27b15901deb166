#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl config and hsctl edit: what holds and where it stands, what is wrong, and a drop-in that is checked before it
# counts.

load lib/rig

drop_in=/etc/hotstandby/app.conf.d/override.conf

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9231
	up app
	# each time it makes of the drop-in what edits() has said
	write /usr/bin/edit-by-script <<-'END'
		#!/bin/sh
		n=$(cat /run/edits 2>/dev/null || echo 0)
		echo $((n + 1)) >/run/edits
		sed -i '/^### What stands between/,/^### What stands below/{/^###/!d}' "$1"
		sed -i "/^### What stands between/r /run/edit.$n" "$1"
	END
	inside chmod +x /usr/bin/edit-by-script
}

setup() {
	rig_began=${EPOCHREALTIME/,/.}
	inside sh -c 'rm -rf /etc/hotstandby/app.conf.d /usr/lib/hotstandby/app.conf.d; systemctl reload hsd'
}

# edits TEXT...: what the editor will write, one after the other
edits() {
	local i=0 text
	inside sh -c 'rm -f /run/edit.* /run/edits'
	for text; do
		printf '%b' "$text" | write "/run/edit.$i"
		((++i))
	done
}

edit() { inside env "EDITOR=${editor:-edit-by-script}" hsctl edit app; }
slots() { status app '.slots | length'; }
setting() { hs config app --json | jq -c ".settings[] | select(.key == \"$1\") | [.value, .from[-1].file, .from[-1].line]"; }

@test "config tells what holds and which line of which file it is from, to everybody" {
	printf '[Service]\n\nDrain=7s\n' | write /usr/lib/hotstandby/app.conf.d/10.conf
	printf '[Service]\nSettle=10ms\n' | write /etc/hotstandby/app.conf.d/20.conf
	run -0 as_nobody hsctl config app
	[[ $output =~ Drain=\ +7s\ +/usr/lib/hotstandby/app.conf.d/10.conf:3 ]]
	[[ $output =~ Settle=\ +10ms\ +/etc/hotstandby/app.conf.d/20.conf:2 ]]
	[[ $output =~ Then=\ +keep\ +default ]]
	[[ $output == *'[Health]'*Interval=* ]]
	[[ $(setting Drain) == '[7000000,"/usr/lib/hotstandby/app.conf.d/10.conf",3]' ]]
	inside ln -s /dev/null /etc/hotstandby/app.conf.d/10.conf
	[[ $(setting Drain) == '[30000000,null,null]' ]]
	run -0 hs config app --cat
	[[ $output == *'# /etc/hotstandby/app.conf.d/10.conf (masked)'*'# /etc/hotstandby/app.conf.d/20.conf'$'\n[Service]\nSettle=10ms'* ]]
}

@test "config of what is not there, or wrong, or asked for wrongly" {
	run -1 hs config other
	[[ $output == *'other is not managed by hotstandby; enable it: hsctl enable other@.service'* ]]
	printf '[Service]\nSlots=many\n' | write /etc/hotstandby/app.conf.d/20.conf
	run -3 hs config app
	[[ $output == *'/etc/hotstandby/app.conf.d/20.conf:2: Slots=many is not a number'* ]]
	run -2 hs config
	run -2 hs config app other
	run -2 hs config app --schema
	run -2 hs config check --cat
	run -2 hs switchover app --cat
	[[ $output == *'switchover takes no --cat'* ]]
}

@test "config check names every line that is wrong, and how it is right; exit code 3" {
	run -0 hs config check
	[[ $output == 'Settings of 1 service: in order.' ]]
	printf '[Service]\nSlots=99\nDran=1s\n[Health]\nProbe=ftp\n' | write /etc/hotstandby/app.conf.d/20.conf
	run -3 hs config check
	[[ $output == *'20.conf:2: Slots=99 is out of range; allowed is a whole number from 2 to 16.'* ]]
	[[ $output == *'20.conf:3: Dran= is not a setting of section [Service]; perhaps Drain= is meant'* ]]
	[[ $output == *'20.conf:5: Probe=ftp '* ]]
	[[ $(hs config check --json | jq -c '[.[].line]') == '[2,3,5]' ]]
	run -3 hs config check /etc/hotstandby/app.conf /etc/hotstandby/app.conf.d/20.conf
	run -0 hs config check /etc/hotstandby/app.conf
	[[ $output == '/etc/hotstandby/app.conf: in order.' ]]
	run -3 hs config check /etc/nothing
	[[ $output == *'There is no file /etc/nothing.'* ]]
	run -3 hs config check /etc
	[[ $output == *'Cannot read /etc: Is a directory.'* ]]
}

@test "edit writes a drop-in, and hsd has it at once; an empty one is removed" {
	edits '[Service]\nSlots=3\n'
	run -0 edit
	[[ $output == "app: written $drop_in." ]]
	[[ $(inside cat $drop_in) == $'[Service]\nSlots=3' ]]
	[[ $(slots) == 3 ]]
	# what was there is what is edited
	edits '[Service]\nSlots=3\n'
	run -0 edit
	[[ $output == 'app: nothing has changed.' ]]
	edits ''
	run -0 edit
	[[ $output == "app: removed $drop_in." ]]
	[[ $(slots) == 2 ]]
	run -0 inside ls -A /etc/hotstandby
	[[ $output != *app.conf.d* ]]
}

@test "edit shows what holds now, and leaves nothing when nothing is changed" {
	editor=cat run -0 edit
	[[ $output == *'# Slots=2'*'# Drain=30s'*'# [Health]'*'app: nothing has changed.' ]]
	run -0 inside ls -A /etc/hotstandby
	[[ $output != *app.conf.d* ]]
}

@test "what is wrong does not count: without a terminal it is kept aside" {
	edits '[Service]\nSlots=3\n' '[Service]\nSlots=33\n'
	edit
	run -3 edit
	[[ $output == *"$drop_in:4: Slots=33 is out of range"* ]]
	[[ $output == *"the settings are wrong; nothing has changed, and what was edited is in $drop_in.rejected"* ]]
	[[ $(inside sed -n 4p $drop_in.rejected) == Slots=33 ]]
	[[ $(inside cat $drop_in) == *Slots=3 ]]
	[[ $(slots) == 3 ]]
	[[ $(inside ls -A /etc/hotstandby/app.conf.d) == $'override.conf\noverride.conf.rejected' ]]
}

@test "at a terminal it is edited again" {
	edits '[Service]\nSlots=33\n' '[Service]\nSlots=3\n'
	run -0 inside script -qec 'EDITOR=edit-by-script hsctl edit app' /dev/null <<<y
	[[ $output == *'Slots=33 is out of range'*'Edit it again?'*"app: written $drop_in."* ]]
	[[ $(slots) == 3 ]]
}

@test "what makes others wrong does not count; what was wrong before is told" {
	printf '[Health]\n%s' "$(yes Probe=tcp | head -8)" | write /etc/hotstandby/app.conf.d/zz.conf
	edits '[Health]\nProbe=tcp\n'
	run -3 edit
	[[ $output == *'zz.conf:9: Probe=tcp is one too many'* ]]
	printf '[Service]\nSlots=x\n' | write /etc/hotstandby/app.conf.d/zz.conf
	edits '[Service]\nSlots=3\n'
	run -0 edit
	[[ $output == *'zz.conf:2: Slots=x'*"that was so before; none of app's settings hold until it is mended"* ]]
}

@test "what somebody else changes meanwhile is not lost" {
	write /usr/bin/edit-slowly <<-END
		#!/bin/sh
		edit-by-script "\$1"
		echo '# theirs' >$drop_in
	END
	inside chmod +x /usr/bin/edit-slowly
	edits '[Service]\nSlots=3\n'
	editor=edit-slowly run -3 edit
	[[ $output == *'somebody else has changed the drop-in meanwhile; nothing has changed'*.rejected* ]]
	[[ $(inside cat $drop_in) == '# theirs' ]]
}

@test "edit where something is missing: the editor, the service, the right, hsd" {
	editor=/no/editor run -1 edit
	[[ $output == *'the editor (/no/editor) ended with status 127; nothing has changed'* ]]
	editor=false run -1 edit
	[[ $output == *'the editor (false) ended with status 1; nothing has changed'* ]]
	run -1 hs edit other
	[[ $output == *'other is not managed by hotstandby'* ]]
	run -1 as_nobody env EDITOR=true hsctl edit app
	[[ $output == *'only root may do this: '*'; run it with sudo'* ]]
	edits '[Service]\nSlots=3\n'
	inside systemctl stop hsd
	run -0 edit
	[[ $output == *"app: written $drop_in."*'hsd is not running; the settings count when it starts'* ]]
	inside systemctl start hsd
	[[ $(slots) == 3 ]]
}

# offers WORD...: by completion, as one line
offers() { hs __complete -- "$@" | cut -f1 | paste -sd' '; }

@test "completion knows services, slots, templates and units, with hsd and without" {
	[[ $(offers status '') == app ]]
	[[ $(offers exec app '') == '0 1' ]]
	[[ $(offers connections app --slot=) == '--slot=0 --slot=1 --slot=park' ]]
	[[ " $(offers enable '') " == *' app@.service '* ]]
	[[ " $(offers enable app@.service --from '') " == *' app@0.service '* ]]
	[[ $(offers exec other '') == '' ]]
	printf '[Service]\nSlots=3\n' | write /etc/hotstandby/app.conf.d/20.conf
	inside systemctl stop hsd
	[[ $(as_nobody hsctl __complete -- drain app '' | paste -sd' ') == '0 1 2' ]]
	inside systemctl start hsd
}
