# SPDX-License-Identifier: GPL-2.0-or-later
#
# A service's user who may write its EnvironmentFile= must not become root by it: systemd gives the commands of a
# unit the unit's environment, also those that it runs as root.

load lib/bystander.bash

folder=/srv/envy

setup_file() {
	hostile_up
	inside install -d -o games -g games -m 0777 $folder
}

set_up() {
	own_service envy 9701
	write /etc/systemd/system/envy@.service.d/user.conf <<-END
		[Service]
		User=games
		EnvironmentFile=-$folder/env
	END
	inside systemctl daemon-reload
}

clean_up() {
	inside pkill -f "^python3 $tools/false-bus.py" || true
	inside rm -f $folder/bus $folder/env
	down envy
}

# hostile_environment: what its user writes
hostile_environment() {
	inside setpriv --reuid=games --regid=games --clear-groups tee $folder/env >/dev/null <<-END
		LD_PRELOAD=$tools/preload.so
		LD_AUDIT=$tools/preload.so
		LD_LIBRARY_PATH=$folder
		GCONV_PATH=$folder
		LOCPATH=$folder
		LANG=en_US.ISO-8859-15
		GLIBC_TUNABLES=glibc.malloc.check=3:glibc.malloc.perturb=255
		MALLOC_PERTURB_=7
		DBUS_SYSTEM_BUS_ADDRESS=unix:path=$folder/bus
		SYSTEMD_LOG_LEVEL=debug
		SYSTEMD_LOG_TARGET=console
		JOURNAL_STREAM=1:1
		TMPDIR=$folder
		HOTSTANDBY_SLOT=7
		PATH=$folder
		IFS=/
	END
	inside setpriv --reuid=games --regid=games --clear-groups \
		python3 $tools/false-bus.py $folder/bus $folder/ran >/dev/null 2>&1 3>&- &
	wait_for 5 inside test -S $folder/bus
}

# lives: both slots start, one is restarted, both stop; what the user wrote was run, as the user
lives() {
	inside rm -f $folder/ran
	inside install -m 0666 /dev/null $folder/ran
	inside systemctl start envy@0 envy@1
	wait_for 10 is_ready envy
	inside systemctl restart envy@0
	wait_for 10 is_ready envy
	[[ $(fetch http://127.0.0.1:9701/) == 'slot='* ]]
	inside systemctl stop envy@0 envy@1
	inside grep -q '^uid 5 runs: /usr/lib/hotstandby/hs-example-server' $folder/ran
}

# ran_as_root: what it says of root
ran_as_root() { inside grep '^uid 0 ' $folder/ran; }

@test "what the user writes is run as the user, and never as root" {
	hostile_environment
	hs enable envy@.service
	lives
	run ! ran_as_root
	# and the hooks did their work: with hsd, in both slots, in and out
	has_event envy adopt
	has_event envy retire
	run ! inside journalctl -q -o cat --since="@$rig_began" --grep='without hsd'
	bystander_is_well
}

@test "nor without hsd, when the hooks do the work themselves" {
	hostile_environment
	hs enable envy@.service
	bystander_watched
	inside systemctl stop hsd
	lives
	run ! ran_as_root
	inside journalctl -q -o cat --since="@$rig_began" --grep='without hsd' | grep -q '^envy: slot 0'
	inside systemctl start hsd
	bystander_is_well
}

@test "hsctl itself as a hook would be root for the asking: what is tested here can fail, and doctor tells" {
	hostile_environment
	hs enable envy@.service
	inside sed -i 's|/usr/lib/hotstandby/hs-hook|/usr/bin/hsctl|' /etc/systemd/system/envy@.service.d/zz-hotstandby.conf
	inside systemctl daemon-reload
	lives
	run -0 ran_as_root
	say "$(sort -u <<<"$output" | head -n 4)"
	run -1 hs doctor envy
	[[ $output == *'with the environment of the service'* && $output == *'hsctl enable envy@.service'* ]]
	hs enable envy@.service
	lives
	run ! ran_as_root
	bystander_is_well
}

@test "the hook takes nothing but its three verbs, and a unit" {
	run -2 inside /usr/lib/hotstandby/hs-hook
	run -2 inside /usr/lib/hotstandby/hs-hook disable bystander@0.service
	run -2 inside /usr/lib/hotstandby/hs-hook adopt bystander@0.service --direct
	run -2 inside /usr/lib/hotstandby/hs-hook adopt --help
	run -0 inside /usr/lib/hotstandby/hs-hook adopt bystander@0.service
	# there is no loader that LD_PRELOAD= could speak to
	run -1 grep -a '/ld-' "$(container_root "$rig")/usr/lib/hotstandby/hs-hook"
	bystander_is_well
}
