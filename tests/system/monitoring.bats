# SPDX-License-Identifier: GPL-2.0-or-later
#
# examples/monitoring: what a real Prometheus makes of what the exporter tells while things are done to services.
# Thorough: a Prometheus, a drill, and some scrapes.

load lib/rig.bash

port=19820
here=$top/examples/monitoring
folder=/usr/share/hotstandby/monitoring

setup_file() {
	rig_up
	inside systemd-sysusers
	inside systemctl start hsd hotstandby-exporter.socket
	own_service app $port
	up app
	printf '[Health]\nProbe=http:/\nInterval=200ms\nTimeout=2s\n' | write /etc/hotstandby/app.conf
	write /etc/systemd/system/names@.service <<-END
		[Service]
		Type=notify
		ExecStart=/usr/bin/python3 $tools/datagrams.py %i --port=5320
	END
	up names
	inside systemctl reload hsd
	write /etc/prometheus/hotstandby.yml <<-END
		global: {scrape_interval: 1s, evaluation_interval: 1s}
		rule_files: ["$folder/alerts.yml"]
		scrape_configs:
		  - job_name: hotstandby
		    static_configs: [{targets: ["127.0.0.1:9960"]}]
	END
	inside mkdir -p /var/lib/try
	inside systemd-run --quiet --unit=prometheus-try prometheus --config.file=/etc/prometheus/hotstandby.yml \
		--storage.tsdb.path=/var/lib/try --web.listen-address=127.0.0.1:9099
	begin_work
	inside hsctl drill app --scenario=switchover --yes >/dev/null
	wait_for 10 has_value 'increase(hotstandby_drills_total[1h]) > 0'
}

# clients of both, and changes, as long as there is a Prometheus
begin_work() {
	wait_for 20 has_value hotstandby_up
	inside systemd-run --quiet --unit=work-try bash -c "while sleep 0.1; do
		curl -s http://127.0.0.1:$port/ || :; timeout 2 python3 $tools/datagrams.py ask 5320 || :; done"
	hs switchover app --drain=0 >/dev/null
	hs rollback app >/dev/null
}

# ask QUERY: how many samples that are numbers
ask() {
	inside curl -sf --data-urlencode "query=$1" http://127.0.0.1:9099/api/v1/query |
		jq '[.data.result[].value[1] | select(. != "NaN")] | length'
}
has_value() { (($(ask "$1") > 0)); }

# queries: each of the dashboard, with what Grafana would put in for variables
queries() {
	jq -r '(.panels[].targets[]?, .annotations.list[]) | .expr' "$here/dashboard.json" |
		sed 's/\$instance/.*/g; s/\$service/.*/g; s/\$__rate_interval/1m/g; s/\$__interval/1h/g'
}

@test "each query of the dashboard has data" {
	local query missing=()
	(($(queries | wc -l) > 30))
	[[ $(queries) != *'$'* ]]
	while read -r query; do
		# what has to be done twice for a rate
		wait_until 20 has_value "$query" || missing+=("$query")
	done < <(queries)
	((!${#missing[@]})) || fail "without data:"$'\n'"$(printf '%s\n' "${missing[@]}")"
}

@test "the dashboard is one: panels have places of their own, and each query a name" {
	jq -e '.schemaVersion >= 36 and (.uid | length > 0) and (.panels | length > 20)' "$here/dashboard.json"
	jq -e '[.panels[].id] | length == (unique | length)' "$here/dashboard.json"
	jq -e '[.panels[] | select(.type != "row") | .targets | length > 0 and all(.refId and .expr and .legendFormat)] | all' "$here/dashboard.json"
	jq -e '[.panels[] | .gridPos | select(.x + .w > 24)] == []' "$here/dashboard.json"
	jq -e '[.panels[] as $a | .panels[] as $b | select($a.id < $b.id) | [$a.gridPos, $b.gridPos] |
		select(.[0].x < .[1].x + .[1].w and .[1].x < .[0].x + .[0].w and
		.[0].y < .[1].y + .[1].h and .[1].y < .[0].y + .[0].h)] == []' "$here/dashboard.json"
}

@test "Prometheus takes the rules, and hsd away is an alert that is on its way" {
	run -0 inside curl -sf http://127.0.0.1:9099/api/v1/rules
	[[ $(jq '[.data.groups[].rules[] | select(.health == "ok")] | length' <<<"$output") == $(grep -c 'alert:' "$here/alerts.yml") ]]
	[[ $(ask 'ALERTS{alertname="HotstandbyAway"}') == 0 ]]
	inside systemctl stop hsd
	wait_for 10 has_value 'ALERTS{alertname="HotstandbyAway",alertstate="pending"}'
	inside systemctl start hsd
	gone() { [[ $(ask 'ALERTS{alertname="HotstandbyAway"}') == 0 ]]; }
	wait_for 10 gone
}

# of one name at a time: without their names different counters have the same labels
@test "no counter has ever gone down" {
	local name names went_down=()
	names=$(inside curl -sf http://127.0.0.1:9099/api/v1/label/__name__/values |
		jq -r '.data[] | select(test("^hotstandby_.*_(total|bucket)$") and (test("^hotstandby_manager_") | not))')
	(($(wc -l <<<"$names") > 10))
	for name in $names; do
		has_value "$name"
		! has_value "resets(${name}[1h]) > 0" || went_down+=("$name")
	done
	((!${#went_down[@]})) || fail "went down: ${went_down[*]}"
}

@test "the textfile way: whole files, which promtool takes, with hsd and without" {
	local file=/var/lib/prometheus/node-exporter/hotstandby.prom
	inside mkdir -p "${file%/*}"
	inside cp "$folder/hotstandby-textfile.service" "$folder/hotstandby-textfile.timer" /etc/systemd/system/
	inside systemctl daemon-reload
	inside systemctl start hotstandby-textfile.service
	inside cat "$file" >"$BATS_TEST_TMPDIR/text"
	grep -qx 'hotstandby_up 1' "$BATS_TEST_TMPDIR/text"
	grep -q '^hotstandby_slot_role{service="app"' "$BATS_TEST_TMPDIR/text"
	run -0 promtool check metrics <"$BATS_TEST_TMPDIR/text"
	[[ -z $output ]]
	inside systemctl stop hsd
	inside systemctl start hotstandby-textfile.service
	[[ $(inside cat "$file") == *'hotstandby_up 0'*'hotstandby_slot_role{service="app"'*'# EOF' ]]
	inside systemctl start hotstandby-textfile.timer hsd
	[[ $(inside ls "${file%/*}") == hotstandby.prom ]]
}

@test "each alert comes when it has to, and not before" {
	run -0 promtool check rules "$here/alerts.yml"
	cd "$here"
	run -0 promtool test rules alerts-test.yml
	# none is without a case
	[[ -z $(comm -23 <(sed -n 's/.*alert: //p' alerts.yml | sort) <(grep -o 'Hotstandby[A-Za-z]*' alerts-test.yml | sort -u)) ]]
}
