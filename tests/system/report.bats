#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl report: what is in it, what is not, and that nothing that is missing ends it.

load lib/rig

setup_file() {
	rig_up
	own_service app 9241
	write /etc/systemd/system/app@.service.d/secret.conf <<-'END'
		[Service]
		Environment=DB=hunter-one \
			OTHER=hunter-two
		SetCredential=key:hunter-three
		ExecStartPre=/bin/echo asked by 192.0.2.77 with --password=hunter-four
	END
	inside systemctl start hsd
	up app
}

# report [OPTION...]: makes one, and unpacks it into $report
report() {
	local file
	inside rm -rf /root/report /root/report.tar.zst
	hs report "$@" --output=/root/report.tar.zst || return
	inside sh -c 'mkdir /root/report && tar -C /root/report --strip-components=1 -xf /root/report.tar.zst'
	report=$(container_root "$rig")/root/report
}

# says TEXT: it stands somewhere in the report
says() { grep -rqF -- "$1" "$report"; }

@test "it has all that is known, and no secret" {
	local secret
	run -0 --separate-stderr report app
	[[ $output =~ ^/root/report.tar.zst:\ [0-9]+\ KiB,\ [0-9]+\ files\; ]]
	[[ $output == *'Left out: '* ]]
	report=$(container_root "$rig")/root/report
	[[ $(inside stat -c %a /root/report.tar.zst) == 600 ]]
	[[ $(jq -r .service "$report/app/status.json") == app ]]
	[[ $(jq -r '.settings | length' "$report/app/config.json") -ge 36 ]]
	grep -q 'ExecStart=/usr/lib/hotstandby/hs-example-server' "$report/app/units.txt"
	grep -q '^MainPID=' "$report/app/units-state.txt"
	grep -q 'asked by \[address-1\] with --password=\[left out\]' "$report/app/units-journal.txt"
	grep -q 'hsd' "$report/hsd-journal.txt"
	grep -q 'app/' "$report/pins.txt"
	grep -q '^Linux' "$report/kernel.txt"
	grep -q 'Environment=\[left out\]' "$report/app/units.txt"
	says 'Contents of EnvironmentFile='
	for secret in hunter-one hunter-two hunter-three hunter-four 192.0.2.77; do
		! says $secret || fail "$secret is in: $(grep -rlF $secret "$report")"
	done
	# nothing of ours stays behind
	[[ -z $(inside find /tmp /var/tmp -name 'hotstandby-report*') ]]
}

@test "it has the socket units and the alias of a service, and what was since then" {
	socket_service web 9242
	hs enable web@.service --alias
	run -0 --separate-stderr report web --since=1h
	report=$(container_root "$rig")/root/report
	grep -q '^ListenStream=0.0.0.0:9242' "$report/web/units.txt"
	grep -q '^# /etc/systemd/system/web.service' "$report/web/units.txt"
	grep -qx 'Id=web@1.socket' "$report/web/units-state.txt"
	grep -qx 'Id=web.service' "$report/web/units-state.txt"
	! grep -q '^hsctl report:' "$report/web/units-journal.txt"
	grep -q 'web was put under hotstandby' "$report/web/events.txt"
	hs disable web@.service
	hs switchover app --drain=0
	hs rollback app
	inside sleep 2
	report app --since=0
	[[ $(jq -s length "$report/app/history.json") == 0 ]]
	report app
	(($(jq -s length "$report/app/history.json") >= 2))
	[[ $(hs events app --since=0) != *rollback* ]]
	[[ $(hs history app --since=1h) == *rollback* ]]
	run -2 hs events --since=yesterday
	[[ $output == *'"yesterday" is no value for --since'* ]]
}

@test "what is asked for is in it; credentials never are" {
	report app --with-addresses --with-environment
	says 192.0.2.77
	says hunter-one
	! says hunter-three
	! says hunter-four
}

@test "JSON says what was written" {
	run -0 --separate-stderr hs report --json --output=/root
	[[ $(jq -r '.parts[].name' <<<"$output") == *app/status.json* ]]
	(($(jq .bytes <<<"$output") == $(inside stat -c %s "$(jq -r .file <<<"$output")")))
	(($(jq .left_out.environment <<<"$output") > 0))
}

@test "nobody is overwritten, and no link is followed" {
	inside rm -f /tmp/aim /tmp/trap.tar.zst
	inside ln -s /tmp/aim /tmp/trap.tar.zst
	run -1 hs report --output=/tmp/trap.tar.zst
	[[ $output == *'/tmp/trap.tar.zst is there already; name another file with --output='* ]]
	! inside test -e /tmp/aim
	inside sh -c 'echo theirs >/tmp/theirs.tar'
	run -1 hs report --output=/tmp/theirs.tar
	[[ $(inside cat /tmp/theirs.tar) == theirs ]]
	run -1 hs report --output=/no/such/folder.tar
	[[ $output == *'cannot make /no/such/folder.tar: No such file or directory'* ]]
	[[ -z $(inside find /tmp -name 'hotstandby-report*') ]]
}

@test "wrong values" {
	run -2 hs report --since=yesterday
	[[ $output == *'"yesterday" is no value for --since; it takes a span such as 2h'* ]]
	run -2 hs report --output=/tmp/report.zip
	[[ $output == *'allowed are .tar.zst, .tar.gz and .tar'* ]]
	run -2 hs report app other
	run -2 hs report app --cat
}

@test "Ctrl-C ends it, and leaves nothing" {
	write /usr/bin/sysctl.slow <<<'#!/bin/sh
exec sleep 60'
	inside sh -c 'mkdir -p /run/slow && mv /usr/bin/sysctl.slow /run/slow/sysctl && chmod +x /run/slow/sysctl'
	run -1 inside env PATH="/run/slow:$PATH" timeout --preserve-status -s INT 3 hsctl report --output=/root/never.tar
	[[ $output == *'interrupted; no report was written'* ]]
	! inside test -e /root/never.tar
	[[ -z $(inside find /tmp -name 'hotstandby-report*') ]]
}

@test "without root, zstd, bus, journal, hsd: a sentence each, and everything else" {
	inside sh -c 'mkdir -p /run/few && for c in tar gzip cat uname find; do ln -sf "$(command -v $c)" /run/few/; done'
	# as on a machine with packages of the other kind
	inside sh -c 'printf "%s\n" "#!/bin/sh" "echo hotstandby-9-1.x86_64 \"\$*\"" >/run/few/rpm && chmod +x /run/few/rpm'
	inside ln -sf /bin/sh /run/few/sh
	inside systemctl stop hsd
	run -0 inside env -C /root PATH=/run/few DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nowhere /usr/bin/hsctl report app
	[[ $output == *.tar.gz:* ]]
	[[ $output == *'systemd.txt: systemctl is not installed'* ]]
	[[ $output == *'app/units-journal.txt: journalctl is not installed'* ]]
	[[ $(inside sh -c 'tar -xzOf /root/hotstandby-report-app-*.tar.gz --wildcards "*/app/status.json"' | jq -r .service) == app ]]
	[[ $(inside sh -c 'tar -xzOf /root/hotstandby-report-app-*.tar.gz --wildcards "*/packages.txt"') == 'hotstandby-9-1.x86_64 --query --all '* ]]
	inside sh -c 'rm /root/hotstandby-report-app-*'
	run -0 inside env DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nowhere hsctl report other --output=/root/other.tar
	[[ $output == *'other/status.txt: hsctl status other --timeout=5s ended with status 1'* ]]
	inside rm /root/other.tar
	inside systemctl start hsd
	run -0 as_nobody hsctl report app --output=/tmp/nobody.tar
	[[ $output == *'pins.txt: find '*'Permission denied'* ]]
	[[ $(inside stat -c %a:%U /tmp/nobody.tar) == 600:nobody ]]
}
