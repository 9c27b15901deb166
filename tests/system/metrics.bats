# SPDX-License-Identifier: GPL-2.0-or-later
#
# hsctl metrics and hotstandby-exporter: what they say is what Prometheus reads, is so, and does not go down when hsd
# ends. Prometheus itself is in monitoring.bats.

load lib/rig.bash

port=19800
url=http://127.0.0.1:9960

setup_file() {
	rig_up
	inside systemd-sysusers
	inside systemctl start hsd hotstandby-exporter.socket
	own_service app $port
	up app
}

# value SAMPLE...: of these samples, as they stand in the text on stdin
value() { awk -v sample="$1" 'substr($0, 1, length(sample) + 1) == sample " " { print substr($0, length(sample) + 2) }'; }
counted() { hs metrics | value "$1"; }
is_up() { [[ $(counted hotstandby_up) == 1 ]]; }
switched='hotstandby_changes_total{service="app",verb="switchover",outcome="done"}'

# counters: each with its value, in order; those of hsd's loop begin with it
counters() {
	hs metrics "$@" | awk '/^hotstandby_[a-z_]*(_total|_bucket|_count|_sum)[{ ]/ && !/^hotstandby_manager_(turns|busy)/' | sort
}

# none_lower BEFORE AFTER: no counter of BEFORE is missing or lower
none_lower() {
	local wrong
	wrong=$(awk '{ value = $NF; sub(/ [^ ]*$/, "") }
		NR == FNR { before[$0] = value; next }
		$0 in before { if (value + 0 < before[$0] + 0) print $0, before[$0], "to", value; delete before[$0] }
		END { for (name in before) print name, "is missing" }' "$1" "$2")
	[[ -z $wrong ]] || fail "$wrong"
}

@test "it is what promtool and strict readers of OpenMetrics take" {
	hs metrics >"$BATS_TEST_TMPDIR/text"
	run -0 promtool check metrics <"$BATS_TEST_TMPDIR/text"
	[[ -z $output ]]
	[[ $(tail -n 1 "$BATS_TEST_TMPDIR/text") == '# EOF' ]]
	# each is explained, and what is explained that has no condition is there
	awk '/^# TYPE/ { print $3 }' "$BATS_TEST_TMPDIR/text" | sort >"$BATS_TEST_TMPDIR/names"
	sed -n 's/^\.It Li \(hotstandby_[a-z_]*\)$/\1/p' "$top/man/hsctl.1" | sort >"$BATS_TEST_TMPDIR/explained"
	run comm -23 "$BATS_TEST_TMPDIR/names" "$BATS_TEST_TMPDIR/explained"
	[[ -z $output ]]
	run comm -13 "$BATS_TEST_TMPDIR/names" "$BATS_TEST_TMPDIR/explained"
	[[ ! $output =~ (up|info|opened|changes|starts) ]]
	hs metrics --openmetrics >"$BATS_TEST_TMPDIR/openmetrics"
	# the one that has the packages of the distribution
	/usr/bin/python3 - "$BATS_TEST_TMPDIR/openmetrics" <<-'END'
		import sys
		from prometheus_client.openmetrics.parser import text_string_to_metric_families
		names = {f.name: f.type for f in text_string_to_metric_families(open(sys.argv[1]).read())}
		assert names["hotstandby_changes"] == "counter", names
		assert names["hotstandby_up"] == "gauge", names
	END
}

@test "it is what status says" {
	local status metrics
	inside curl -s "http://127.0.0.1:$port/" >/dev/null
	status=$(hs status app --json)
	metrics=$(hs metrics)
	[[ $(value hotstandby_up <<<"$metrics") == 1 ]]
	[[ $(value 'hotstandby_service_ready_slots{service="app"}' <<<"$metrics") == 2 ]]
	[[ $(value 'hotstandby_slot_role{service="app",slot="0",role="active"}' <<<"$metrics") == 1 ]]
	[[ $(value 'hotstandby_slot_state{service="app",slot="1",state="ready"}' <<<"$metrics") == 1 ]]
	[[ $(value 'hotstandby_service_generation{service="app"}' <<<"$metrics") == $(jq .generation <<<"$status") ]]
	[[ $(value 'hotstandby_slot_chosen_total{service="app",slot="0"}' <<<"$metrics") == $(jq '.slots[0].chosen' <<<"$status") ]]
	(($(value 'hotstandby_slot_opened_total{service="app",slot="0"}' <<<"$metrics") >= 1))
	[[ $(hs metrics --json | jq -c '[.up, .manager.services, .services[0].service]') == '[true,1,"app"]' ]]
	[[ $metrics == *'hotstandby_build_info{version="'* ]]
	awk -v turns="$(value hotstandby_manager_turns_total <<<"$metrics")" \
		-v busy="$(value hotstandby_manager_busy_seconds_total <<<"$metrics")" \
		-v longest="$(value hotstandby_manager_longest_turn_seconds <<<"$metrics")" \
		'BEGIN { exit !(longest > 0 && busy >= longest && busy <= turns * longest) }'
	(($(counted hotstandby_manager_turns_total) > $(value hotstandby_manager_turns_total <<<"$metrics")))
	[[ $(value 'hotstandby_slot_state_since_timestamp_seconds{service="app",slot="0"}' <<<"$metrics") == 1[0-9]* ]]
}

@test "weights and shares are those of the table, and of no other policy" {
	local table metrics
	[[ $(hs metrics) != *hotstandby_slot_share_ratio* ]]
	hs policy app hash --by=client
	hs weight app 1 50%
	table=$(hs table app --json)
	metrics=$(hs metrics)
	[[ $(value 'hotstandby_slot_weight_ratio{service="app",slot="1"}' <<<"$metrics") == 0.5 ]]
	jq -e --argjson share "$(value 'hotstandby_slot_share_ratio{service="app",slot="1"}' <<<"$metrics")" \
		'.slots[1] | (.buckets / 65536 - $share | fabs) < 0.001 and $share > 0.3 and $share < 0.37' <<<"$table"
	run -0 promtool check metrics <<<"$metrics"
	[[ -z $output ]]
	hs weight app 1 100%
	hs policy app standby
}

@test "a change is counted when it is done, with hsd and without, also when hsd is killed then" {
	local before done_at
	before=$(counted "$switched")
	hs switchover app --drain=0 >/dev/null
	inside systemctl kill --signal=KILL hsd
	wait_for 5 is_up
	[[ $(counted "$switched") == $((before + 1)) ]]
	hs switchover app --direct --drain=0 >/dev/null
	[[ $(counted "$switched") == $((before + 2)) ]]
	done_at=$(counted 'hotstandby_change_last_timestamp_seconds{service="app"}')
	(($(date +%s) - ${done_at%.*} <= 60))
	[[ $(counted 'hotstandby_change_duration_seconds_count{service="app",verb="switchover"}') == $((before + 2)) ]]
	[[ $(counted 'hotstandby_change_duration_seconds_bucket{service="app",verb="switchover",le="+Inf"}') == $((before + 2)) ]]
	awk -v longest="$(counted 'hotstandby_change_longest_seconds{service="app",verb="switchover"}')" \
		'BEGIN { exit !(longest >= 0.05) }'
}

@test "no counter goes down when hsd is restarted, stopped for a while, or killed" {
	inside curl -s "http://127.0.0.1:$port/" >/dev/null
	counters >"$BATS_TEST_TMPDIR/before"
	grep -q '^hotstandby_manager_starts_total ' "$BATS_TEST_TMPDIR/before"
	inside systemctl restart hsd
	counters >"$BATS_TEST_TMPDIR/restarted"
	none_lower "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/restarted"
	inside systemctl kill --signal=KILL hsd
	wait_for 5 is_up
	counters >"$BATS_TEST_TMPDIR/killed"
	none_lower "$BATS_TEST_TMPDIR/restarted" "$BATS_TEST_TMPDIR/killed"
	inside systemctl stop hsd
	counters --direct | grep -v ^hotstandby_manager_ >"$BATS_TEST_TMPDIR/without"
	grep -v ^hotstandby_manager_ "$BATS_TEST_TMPDIR/killed" >"$BATS_TEST_TMPDIR/services"
	none_lower "$BATS_TEST_TMPDIR/services" "$BATS_TEST_TMPDIR/without"
	[[ $(hs metrics --direct 2>/dev/null | value hotstandby_up) == 0 ]]
	inside systemctl start hsd
}

@test "the exporter gives the same, in the form that is asked for" {
	inside curl -sf "$url/metrics" >"$BATS_TEST_TMPDIR/text"
	run -0 promtool check metrics <"$BATS_TEST_TMPDIR/text"
	[[ -z $output ]]
	[[ $(value hotstandby_up <"$BATS_TEST_TMPDIR/text") == 1 ]]
	[[ $(value "$switched" <"$BATS_TEST_TMPDIR/text") == $(counted "$switched") ]]
	run -0 inside curl -sfi -H 'Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5' "$url/metrics"
	[[ $output == *'Content-Type: application/openmetrics-text; version=1.0.0'* && $output == *'# TYPE hotstandby_changes counter'* ]]
	# as whom it runs, with what
	[[ $(inside systemctl show -P DynamicUser hotstandby-exporter.service) == yes ]]
	[[ -z $(inside systemctl show -P CapabilityBoundingSet hotstandby-exporter.service) ]]
	[[ $(inside ps -o user:20= -C hotstandby-expor) == hotstandby-exporter ]]
}

@test "the exporter bears what is no request for metrics" {
	run -0 inside curl -s -o /dev/null -w '%{http_code} %{size_download}' --head "$url/metrics"
	[[ $output == '200 0' ]]
	run -0 inside curl -s -o /dev/null -w '%{http_code}' "$url/metric"
	[[ $output == 404 ]]
	run -0 inside curl -s -o /dev/null -w '%{http_code}' -d "$(seq 20000)" "$url/metrics"
	[[ $output == 405 ]]
	run -0 inside curl -sf "$url/"
	[[ $output == *'/metrics'* ]]
	# garbage, a head without an end, and more of it than there is room for
	run -0 inside python3 - <<-'END'
		import os, socket
		def speak(data):
		    s = socket.create_connection(("127.0.0.1", 9960), 5)
		    s.sendall(data)
		    return s
		held = [speak(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ") for _ in range(8)]
		for data in os.urandom(4000), b"\0" * 100 + b"\r\n\r\n", b"GET " + b"x" * 100000:
		    s = speak(data)
		    try:
		        s.shutdown(socket.SHUT_WR)
		        while s.recv(65536):
		            pass
		    except OSError:
		        pass
		s = speak(b"GET /metrics HTTP/1.0\r\n\r\n")
		answer = b""
		while part := s.recv(65536):
		    answer += part
		assert b"\r\n\r\n# HELP hotstandby_up" in answer, answer[:200]
	END
	run -0 inside curl -sf -m 5 "$url/metrics"
	[[ $output == *'hotstandby_up 1'* ]]
}

@test "one address that keeps all connections for itself does not keep others from the exporter" {
	run -0 inside python3 - <<-'END'
		import socket
		def ask(source):
		    s = socket.create_connection(("127.0.0.1", 9960), 5, (source, 0))
		    s.sendall(b"GET /metrics HTTP/1.0\r\n")
		    return s
		held = [ask("127.0.0.1") for _ in range(40)]
		s = ask("127.0.0.2")
		s.sendall(b"\r\n")
		answer = b""
		while part := s.recv(65536):
		    answer += part
		assert b"\r\n\r\n# HELP hotstandby_up" in answer, answer[:200]
	END
	[[ $(inside systemctl show -P MemoryMax hotstandby-exporter.service) == $((128 << 20)) ]]
}

@test "hsd away is an answer" {
	inside systemctl stop hsd
	gone() { [[ $(inside curl -sf "$url/metrics" | value hotstandby_up) == 0 ]]; }
	wait_for 5 gone
	[[ $(inside curl -sf "$url/metrics") != *hotstandby_slot* ]]
	run -1 as_nobody hsctl metrics
	[[ $output == *'hotstandby_up 0'* && $output == *'hsctl: '* ]]
	inside systemctl start hsd
	back() { [[ $(inside curl -sf "$url/metrics" | value hotstandby_up) == 1 ]]; }
	wait_for 5 back
}
