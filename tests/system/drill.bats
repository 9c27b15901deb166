# SPDX-License-Identifier: GPL-2.0-or-later
#
# Drills: each scenario's verdict is right, also when the service is really broken.

load lib/rig.bash

port=19500

setup_file() {
	rig_up
	inside systemctl start hsd
	socket_service good $port
	# both down are to be waited for
	write /etc/hotstandby/good.conf <<<$'[Service]\nPark=always'
	up good
}

# python_service NAME FILE ARGUMENT...: up and running
python_service() {
	write "/etc/systemd/system/$1@.service" <<-END
		[Service]
		Type=notify
		NotifyAccess=main
		ExecStart=/usr/bin/python3 $tools/${*:2}
		TimeoutStopSec=5
	END
	up "$1"
}

drill() { run -"$1" hs drill good --yes --json --rate=300 --probe=http:/ "${@:2}"; }

# verdict FILTER: of the last drill's first run
verdict() { jq -r "$1" <<<"${lines[0]}"; }

@test "a switchover drill passes and leaves everything as it was" {
	prefer good 0
	drill 0 --scenario=switchover --max-gap=500ms
	[[ $(verdict .verdict) == passed ]]
	[[ $(verdict .summary.lost) == 0 ]]
	(($(verdict .summary.connections) > 100))
	is_active good 0
	is_ready good
}

@test "a stop drill passes" {
	prefer good 0
	drill 0 --scenario=stop
	[[ $(verdict .summary.lost) == 0 ]]
	is_active good 0
	is_ready good
}

@test "a crash drill measures the time to the new active" {
	drill 0 --scenario=crash
	(($(verdict .summary.to_new_active_us) > 0))
	(($(verdict .summary.to_answer_us) > 0))
	wait_for 10 is_ready good
}

@test "a hang drill sees the standby take over" {
	drill 0 --scenario=hang
	(($(verdict .summary.to_new_active_us) > 0))
	wait_for 30 is_ready good
}

@test "a bad build is undone and nothing is lost" {
	prefer good 0
	drill 0 --scenario=bad-build
	# no other slot became active: that is not 0 after the harm
	[[ $(verdict .summary.to_new_active_us) == null ]]
	[[ $(verdict .summary.lost) == 0 ]]
	is_active good 0
	is_ready good
	run -1 inside test -e /run/systemd/system/good@1.service.d
}

@test "a slow start, both down, and hsd killed" {
	prefer good 0
	drill 0 --scenario=slow-start,both-down,manager-crash
	((${#lines[@]} == 3))
	is_active good 0
	wait_for 30 is_ready good
}

@test "it fails where the service does not keep what it promises" {
	write /etc/hotstandby/good.conf.d/off.conf <<<'[Service]
Park=no
Stall=0'
	inside systemctl reload hsd
	drill 1 --scenario=both-down
	[[ $(verdict .verdict) == exceeded ]]
	(($(verdict .summary.refused) > 0))
	wait_for 30 is_ready good
	inside rm /etc/hotstandby/good.conf.d/off.conf
	inside systemctl reload hsd
}

@test "the report is a page, a picture or JSON" {
	prefer good 0
	run -0 hs drill good --yes --rate=300 --scenario=switchover --report=/tmp/drill.html
	inside grep -q '<svg' /tmp/drill.html
	inside grep -q '>Drill of good<' /tmp/drill.html
	inside grep -q '>0 of [0-9]*<' /tmp/drill.html
	run -2 hs drill good --yes --rate=300 --scenario=switchover --report=/tmp/drill.txt
	run -2 hs drill good --yes --scenario=switchover --report=/nowhere/drill.svg
	[[ $output == *'no report can be written to /nowhere: No such file or directory'* ]]
}

@test "twice, at another rate, and how the figures spread" {
	prefer good 0
	run -0 hs drill good --yes --scenario=switchover,crash --repeat=2 --rate=200 --probe=http:/ --max-gap=4s --max-lost=9 \
		--report=/tmp/drill.json
	[[ $output == *'switchover     2 of 2 passed; 0 of '* && $output == *'crash          2 of 2 passed; '* ]]
	inside jq -e 'length == 4 and all(.rate == 200 and .limits == {"max_gap_us": 4000000, "max_lost": 9}) and
		map(.number) == [1, 1, 2, 2] and all(.of == 2) and .[0].asked == "http://127.0.0.1:19500/"' /tmp/drill.json
	inside jq -e 'all(.probes | length > 200) and all(.events | length > 1) and all(.slots | length > 2)' /tmp/drill.json
	is_active good 0
}

@test "it asks first, and wants a standby" {
	run -2 hs drill good --scenario=crash
	run -2 hs drill good --yes --scenario=fire
	run -2 hs drill good --yes
	run -1 as_nobody hsctl drill good --yes --scenario=crash
	[[ $output == *'only root may do this'* ]]
	inside systemctl stop good@1
	run -3 hs drill good --yes --scenario=crash
	[[ $output == *'no ready and healthy standby'* ]]
	inside systemctl start good@1
	wait_for 10 is_ready good
}

@test "on a terminal it says what it does and asks" {
	prefer good 0
	run -3 inside script -qec 'hsctl drill good --all' /dev/null <<<n
	[[ $output == *'kill the active instance (SIGKILL); connections may be lost'*'Go on? [y/N]'*'nothing was done'* ]]
	run -0 inside script -qec 'hsctl drill good --rate=300 --scenario=switchover --report=/tmp/drill.svg' /dev/null <<<y
	[[ $output == *'Go on? [y/N]'*passed* ]]
	inside python3 -c 'import xml.etree.ElementTree as e; assert e.parse("/tmp/drill.svg").getroot().tag.endswith("svg")'
}

@test "without hsd, or beside a canary or a park, it does not begin" {
	hs canary good 5%
	run -3 hs drill good --yes --scenario=crash
	[[ $output == *'a canary is under way'* ]]
	hs canary good off
	hs park good
	run -3 hs drill good --yes --scenario=crash
	[[ $output == *'held on purpose'* ]]
	hs release good
	inside systemctl stop hsd
	run -3 hs drill good --yes --scenario=crash
	[[ $output == *'hsd does not run'* ]]
	inside systemctl start hsd
	wait_for 5 is_ready good
}

@test "other services: in a network namespace of their own, over TLS, over UDP only" {
	own_service priv 19501
	inside sed -i 's|^Type=notify|&\nPrivateNetwork=yes|' /etc/systemd/system/priv@.service
	up priv
	run -0 hs drill priv --yes --json --rate=300 --scenario=switchover --probe=http:/
	[[ $(verdict .verdict) == passed ]]
	inside openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=good.example -keyout /etc/tls.key \
		-out /etc/tls.crt 2>/dev/null
	inside sh -c 'cat /etc/tls.key /etc/tls.crt >/etc/tls.pem'
	python_service tls ailing.py %i 19502 19503 /etc/tls.pem
	run -0 hs drill tls --yes --json --rate=300 --scenario=switchover --probe=tcp:19503
	[[ $(verdict .asked) == '127.0.0.1:19503 (TCP)' && $(verdict .summary.lost) == 0 ]]
	python_service udp datagrams.py %i --port=19504
	run -3 hs drill udp --yes --scenario=switchover
	[[ $output == *'udp has UDP addresses only'* ]]
}
