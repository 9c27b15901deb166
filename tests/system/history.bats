# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl history: what was done, by whom, how long it took and how it ended.

load lib/rig.bash

port=19700

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app $port
	up app
}

was_last() { [[ $(last .verb) == "$1" ]]; }
last() { hs history app --json -n 1 | jq -r "$1"; }

@test "a switchover and its rollback are in it" {
	prefer app 0
	hs switchover app --drain=0 >/dev/null
	wait_for 5 was_last switchover
	[[ $(last .outcome) == "done" ]]
	[[ $(last '"\(.from) \(.to) \(.by)"') == '0 1 root' ]]
	(($(last .duration_us) >= 50000))
	hs rollback app >/dev/null
	wait_for 5 was_last rollback
	hs history app | grep -E 'app +rollback +1 to 0 +root +[0-9.]+ms +done'
}

@test "so is one without hsd" {
	hs switchover app --direct --drain=0 >/dev/null
	wait_for 5 was_last switchover
	[[ $(last .by) == root ]]
}

@test "another service has a history of its own" {
	run -0 hs history other
	[[ $output == *'nothing was done yet'* ]]
	run -2 hs history app extra
}

@test "where there is no journal that is said, and what to do" {
	local units=(systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket)
	inside systemctl mask --runtime --now "${units[@]}"
	inside rm -rf /run/log/journal /var/log/journal
	run -1 --separate-stderr hs history app
	[[ -z $output && $stderr == *'there is no journal on this machine'*'systemctl status systemd-journald'* ]]
	run -1 --separate-stderr hs events app --json
	[[ -z $output && $stderr == *'there is no journal on this machine'* ]]
	run -1 hs events -f
	run -0 hs report app --output=/root/without.tar
	[[ $output == *'app/history.json: '*'there is no journal on this machine'* ]]
	inside systemctl unmask --runtime "${units[@]}"
	inside systemctl start "${units[@]}"
}
