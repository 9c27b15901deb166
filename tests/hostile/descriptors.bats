#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Instances that make it long to look for their sockets: very many descriptors in very many processes.
# Long: begun with the first.

load lib/bystander

port=9721
url=http://127.0.0.1:$port/

many_service() {
	write "/etc/systemd/system/many@.service" <<-END
		[Service]
		Type=notify
		NotifyAccess=all
		User=daemon
		Environment=SLOT=%i
		LimitNOFILE=20000
		TasksMax=2000
		ExecStart=$tools/descriptors $*
	END
	inside systemctl daemon-reload
}

setup_file() {
	hostile_up
	many_service $port 10 100 1 shared
	hs enable many@.service
	inside systemctl start many@0
}

is_too_many() { hs status many 2>&1 | grep -q 'too many descriptors'; }

# bats test_tags=thorough
@test "400 processes that share 19000 descriptors: looked through once" {
	many_service $port 10 19000 400 shared
	bystander_watch
	inside systemctl restart many@1
	wait_for 20 is_ready many
	bystander_is_well
	bystander_watched
	took_at_most 5000 inside systemctl restart hsd
	wait_for 20 is_ready many
	bystander_is_well
}

@test "60 processes with 19000 descriptors each: refused by name, and nobody else notices" {
	many_service $port 10 19000 60 apart
	bystander_watch
	inside systemctl restart many@1
	wait_for 20 is_too_many
	say "$(hs status many | grep -o 'its processes have.*' | head -n 1)"
	[[ $(fetch $url) == slot=0 ]]
	bystander_is_well
	bystander_watched
}

# bats test_tags=thorough
@test "hsd is restarted, and such an instance is stopped" {
	bystander_unwatched
	took_at_most 5000 inside systemctl restart hsd
	bystander_watch
	wait_for 20 is_too_many
	bystander_is_well
	inside timeout 60 systemctl stop many@1
	many_service $port 10 100 1 shared
	inside systemctl start many@1
	wait_for 20 is_ready many
	bystander_is_well
}
