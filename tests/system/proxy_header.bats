#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Probes of a server that wants the header of the PROXY protocol before all else: nginx, as its package has it.

load lib/rig

setup_file() {
	rig_up
	inside systemctl start hsd
	write /etc/nginx-header.conf <<-'END'
		events {}
		http {
			access_log off;
			server {
				listen 127.0.0.1:9731 reuseport proxy_protocol;
				location / { return 200 "a page\n"; }
			}
		}
	END
	write /etc/systemd/system/behind@.service <<-'END'
		[Service]
		ExecStart=/usr/sbin/nginx -e stderr -c /etc/nginx-header.conf -g 'daemon off; pid /run/nginx-header-%i.pid;'
	END
	up behind
}

# probed PROXY PROBE: and nothing is known of it yet
probed() {
	printf '[Health]\nInterval=100ms\nTimeout=500ms\nProxy=%s\nProbe=%s\nText=a page\n' "$@" |
		write /etc/hotstandby/behind.conf
	inside systemctl restart hsd
}
has_health() { [[ $(status behind '[.slots[].health] | unique | join(" ")') == "$1" ]]; }

@test "nginx behind proxy_protocol: v1 and v2 are healthy, and without it is not" {
	for proxy in v1 v2; do
		probed $proxy http:/
		wait_for 5 has_health healthy
	done
	# its own probes as well
	run -0 hs drill behind --yes --json --rate=100 --scenario=switchover
	[[ $(jq -r '.verdict, .summary.lost' <<<"$output" | xargs) == 'passed 0' ]]
	probed no http:/
	wait_for 5 has_health unhealthy
	down behind
}
