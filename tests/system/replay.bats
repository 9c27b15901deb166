#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Replay=templates: four nfacctd that keep no templates in a file, exporters that say theirs every 600 s, and changes by
# which they get another collector: how many datagrams that cannot decode, with it and without.
# Long: begun with the first.

load lib/rig
load lib/exporters

setup_file() {
	rig_up
	inside systemctl start hsd
	inside cp $examples/nfacctd@.service /etc/systemd/system/
	inside mkdir -p /etc/pmacct /etc/hotstandby
	# without BMP it needs no five seconds to start
	inside sed -e 's/^print_refresh_time.*/print_refresh_time[flows]: 2/' -e '/^nfacctd_templates_file/d' \
		-e '/^bmp_/d' $examples/nfacctd@.conf |
		cat - <(printf 'debug: true\nlogfile: /var/lib/nfacctd/%%i/log\n') | write /etc/pmacct/nfacctd@.conf
	{
		inside cat $examples/nfacctd-service.conf
		echo Replay=templates
	} | write /etc/hotstandby/nfacctd.conf
	inside systemctl daemon-reload
	exporters_up 16
	record 9 3000
	hs enable nfacctd@.service >"$BATS_FILE_TMPDIR/enable" 2>&1
	inside systemctl start nfacctd@0 nfacctd@1 nfacctd@2 nfacctd@3
	wait_for 20 is_ready nfacctd
	wait_for 5 shares nfacctd '[0,1,2,3]'
}

# replay YES|NO: has it so, and collectors that know nothing
replay() {
	local slot
	if [[ $1 == yes ]]; then
		inside sed -i 's/^Replay=.*/Replay=templates/' /etc/hotstandby/nfacctd.conf
	else
		inside sed -i 's/^Replay=.*/Replay=no/' /etc/hotstandby/nfacctd.conf
	fi
	inside systemctl reload hsd
	inside systemctl restart nfacctd@0 nfacctd@1 nfacctd@2 nfacctd@3
	wait_for 30 is_ready nfacctd
	wait_for 5 shares nfacctd '[0,1,2,3]'
	[[ $1 == no ]] || wait_for 5 works
	forget_collected 0 1 2 3
}

# shares SERVICE SLOTS: these, and no others, have buckets
shares() { [[ $(hs table "$1" --json | jq -c '[.slots[] | select(.in_service).slot]') == "$2" ]]; }
works() { [[ $(status nfacctd .replay.works) == true ]]; }
knows() { (($(status nfacctd .replay.exporters) >= $1)); }
counted() { say "$1: $sent_flows flows sent, $(collected 0 1 2 3) collected, $(undecodable 0 1 2 3) datagrams undecodable"; }

chosen() { status nfacctd '[.slots[].chosen] | add'; }
has_chosen() { (($(chosen) >= $1)); }
# passes N: so many datagrams come
passes() { wait_for 10 has_chosen $(($(chosen) + $1)); }

# Each slot's exporters come to others, and back.
weigh_all() {
	local slot
	for slot in 0 1 2 3; do
		hs weight nfacctd $slot 0%
		passes 150
		hs weight nfacctd $slot 100%
		passes 150
	done
}

restart_all() {
	local slot
	for slot in 0 1 2 3; do
		inside systemctl restart "nfacctd@$slot"
		wait_for 20 is_ready nfacctd
		wait_for 5 shares nfacctd '[0,1,2,3]'
	done
}

@test "weights change: all that comes to another collector can be decoded" {
	replay yes
	begin_export 300 60
	wait_for 5 knows 16
	weigh_all
	end_export now
	wait_for 10 has_collected "$sent_flows" 0 1 2 3 || true
	counted 'weights, with replay'
	[[ $(undecodable 0 1 2 3) == 0 ]]
	all_collected 0 1 2 3
	run hs status nfacctd
	[[ $output == *'replay: '*' templates of '*' exporters are remembered, '*' datagrams were sent ahead of changes'* ]]
	run hs doctor nfacctd
	[[ $output == *'Replay=templates works: the templates of '* ]]
}

@test "the same without: nothing of those that moved can be" {
	replay no
	begin_export 300 60
	wait_for 5 has_collected 5000 0 1 2 3
	weigh_all
	end_export now
	wait_for 5 has_collected "$sent_flows" 0 1 2 3 || true
	counted 'weights, without replay'
	[[ $(status nfacctd .replay) == null ]]
	(($(undecodable 0 1 2 3) >= 100))
}

@test "each slot is restarted: all can be decoded, with IPFIX and by IPv6, too" {
	replay yes
	late=$(status nfacctd .replay.late)
	record 10 1000 ipfix
	begin_export 150 90
	other=$exports other_job=$export_job
	begin_export 150 90 from=ipfix to=$collector6 first=$exporters_first6
	wait_for 5 knows 32
	restart_all
	end_export now
	flows=$sent_flows exports=$other export_job=$other_job
	end_export
	sent_flows=$((sent_flows + flows))
	wait_for 10 has_collected "$sent_flows" 0 1 2 3 || true
	counted 'restarts, with replay'
	[[ $(undecodable 0 1 2 3) == 0 ]]
	all_collected 0 1 2 3
	[[ $(status nfacctd '[.replay.late, .replay.forgotten] | join(" ")') == "$late 0" ]]
}

# bats test_tags=thorough
@test "each slot is restarted without replay: it begins with nothing" {
	replay no
	begin_export 300 90
	wait_for 5 has_collected 5000 0 1 2 3
	restart_all
	end_export now
	wait_for 5 has_collected "$sent_flows" 0 1 2 3 || true
	counted 'restarts, without replay'
	(($(undecodable 0 1 2 3) >= 1000))
}

@test "an upgrade slot by slot, pins and scale: all can be decoded" {
	replay yes
	begin_export 300 200
	wait_for 5 knows 16
	hs upgrade nfacctd
	hs pin nfacctd 192.0.2.0/29 2
	hs pin nfacctd 192.0.2.0/29 none
	hs scale nfacctd 2
	hs scale nfacctd 4
	wait_for 20 is_ready nfacctd
	wait_for 5 shares nfacctd '[0,1,2,3]'
	passes 600
	end_export now
	wait_for 5 has_collected "$sent_flows" 0 1 2 3 || true
	counted 'upgrade, pin, scale, with replay'
	[[ $(undecodable 0 1 2 3) == 0 ]]
}

still() { (($(undecodable 0 1 2 3) == $1)); }

@test "a slot is killed: its exporters are with others at once, and can be decoded a moment later" {
	local lost
	replay yes
	begin_export 300 60
	wait_for 5 knows 16
	wait_for 5 has_collected 5000 0 1 2 3
	inside systemctl kill -s KILL nfacctd@1
	wait_for 20 is_ready nfacctd
	wait_for 5 shares nfacctd '[0,1,2,3]'
	lost=$(undecodable 0 1 2 3)
	passes 900
	end_export now
	wait_for 5 has_collected "$sent_flows" 0 1 2 3 || true
	counted 'killed, with replay'
	((lost < 40))
	still "$lost"
}

# bats test_tags=thorough
@test "the last slot is restarted: its clients stay its own, and it is told all that they have said" {
	local lost
	replay yes
	inside systemctl stop nfacctd@1 nfacctd@2 nfacctd@3
	wait_for 5 shares nfacctd '[0]'
	begin_export 300 60
	wait_for 5 knows 16
	wait_for 5 has_collected 5000 0
	inside systemctl restart nfacctd@0
	wait_for 5 has_sockets 0 1
	passes 150
	lost=$(undecodable 0)
	passes 900
	end_export now
	wait_for 5 has_collected 5000 0
	counted 'the last one restarted, with replay'
	# what comes between its bind and its adoption
	((lost < 300))
	still "$lost"
	inside systemctl start nfacctd@1 nfacctd@2 nfacctd@3
	wait_for 20 is_ready nfacctd
}
has_sockets() { [[ $(status nfacctd ".slots[$1].sockets") == "$2" ]]; }

unit_of_replay() { inside systemctl list-units --plain --no-legend 'hotstandby-replay-nfacctd-*' | cut -d ' ' -f 1; }
is_another() { [[ $(unit_of_replay) == hotstandby-replay-* && $(unit_of_replay) != "$1" ]]; }

@test "hs-replay may next to nothing; killed it begins anew, and nothing waits for it" {
	local unit
	replay yes
	unit=$(unit_of_replay)
	[[ $(inside systemctl show -P CapabilityBoundingSet "$unit") == cap_net_raw ]]
	inside systemd-analyze security --threshold=30 "$unit"
	[[ $(inside systemctl show -P User "$unit") != root ]]
	begin_export 300 60
	wait_for 5 knows 16
	# one that stands still is not waited for
	inside systemctl kill -s STOP "$unit"
	took_at_most 1000 hs weight nfacctd 1 0%
	inside systemctl kill -s KILL "$unit"
	took_at_most 1000 hs weight nfacctd 1 100%
	wait_for 5 is_another "$unit"
	wait_for 5 works
	run hs doctor nfacctd
	[[ $output == *'Replay=templates works'* ]]
	end_export now
	wait_for 10 has_collected 1 0 1 2 3
	# with the setting it goes
	replay no
	[[ -z $(unit_of_replay) ]]
}
