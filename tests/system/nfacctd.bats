#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The example of pmacct's nfacctd, of Debian as it is: four collectors on one port, flows by UDP and BMP by TCP; exporters
# of the distribution; what a restart costs, with templates in a file and without.
# Long: begun with the first.
# Thorough: the other Debian's run has it.

load lib/rig
load lib/exporters

setup_file() {
	rig_up
	inside systemctl start hsd
	nfacctd_up
}

has_sockets() { [[ $(status nfacctd '[.slots[].sockets] | join(" ")') == "$1" ]]; }

# restarted_alone: flows, and one restart among them, until it is plain what became of those behind it
restarted_alone() {
	begin_export 200 90 port=2101
	wait_for 10 has_collected 2000 0
	inside systemctl restart plain@0
	before=$(collected 0)
	wait_for 20 has_judged
	end_export now
	inside systemctl stop plain@0
}

has_judged() { (($(undecodable 0) >= 1000 || $(collected 0) >= before + 30000)); }

@test "enable says that exporters want Flow=none where it is not set; four slots are ready, and each listener is one" {
	# the socket for flows comes last
	wait_for 5 has_sockets '2 2 2 2'
	[[ $(status nfacctd '[.listeners[] | "\(.protocol) \(.address)"] | sort | join(", ")') == \
		'tcp [::]:1790, udp [::]:2100' ]]
	[[ $(status nfacctd .problem) == null ]]
	! grep -q 'Flow=none' "$BATS_FILE_TMPDIR/enable"
	inside mv /etc/hotstandby/nfacctd.conf /etc/hotstandby/kept
	inside touch /etc/hotstandby/nfacctd.conf
	run hs enable nfacctd@.service
	[[ $output == *'nfacctd@.service:'*'ExecStart=/usr/sbin/nfacctd'*'Flow=none is what exporters want'* ]]
	inside systemctl reload hsd
	run hs doctor nfacctd
	[[ $output == *'a port of NetFlow: Flow=none is what exporters want'* ]]
	inside mv /etc/hotstandby/kept /etc/hotstandby/nfacctd.conf
	hs enable nfacctd@.service
	inside systemctl reload hsd
}

@test "flows of real exporters all arrive: softflowd, nfreplay, pmacctd" {
	forget_collected 0 1 2 3
	softflowd_export 1 9 500
	softflowd_export 2 10 600
	nfreplay_export 3 700
	nfprobe_export 4 9 800
	nfprobe_export 5 10 900
	wait_for 10 has_collected 3500 0 1 2 3 || true
	say "softflowd v9 $(collected_by 192.0.2.1 0 1 2 3) of 500, IPFIX $(collected_by 192.0.2.2 0 1 2 3) of 600, nfreplay \
$(collected_by 192.0.2.3 0 1 2 3) of 700, nfprobe v9 $(collected_by 192.0.2.4 0 1 2 3) of 800, IPFIX $(collected_by 192.0.2.5 0 1 2 3) of 900"
	[[ $(collected 0 1 2 3) == 3500 && $(undecodable 0 1 2 3) == 0 ]]
}

@test "many exporters at a time, of IPFIX and by IPv6: each one's flows are counted" {
	forget_collected 0 1 2 3
	record 10 1000 ipfix
	begin_export 400 3 from=ipfix to=$collector6 first=$exporters_first6
	end_export
	wait_for 10 has_collected "$sent_flows" 0 1 2 3
	[[ $(undecodable 0 1 2 3) == 0 ]]
	all_collected 0 1 2 3
	((${#sent_by[@]} == 16))
	[[ $(collected_by 2001:db8:2::10 0 1 2 3) == "${sent_by[2001:db8:2::10]}" ]]
}

# initiate ADDRESS: a router's first message of BMP, with its description and its name, and the end
initiate() {
	exporter bash -c "exec 3<>/dev/tcp/$1/1790; printf '\\x03\\0\\0\\0\\x16\\x04\\0\\x01\\0\\x04desc\\0\\x02\\0\\x04rtr1' >&3; sleep 1"
}
has_initiated() { inside grep -q '"bmp_msg_type": "init".*rtr1' "/var/lib/nfacctd/$1/bmp.json"; }

@test "BMP goes to the slot that flows go to, by IPv4 and IPv6" {
	local slot
	hs policy nfacctd standby
	for slot in 3 0; do
		prefer nfacctd $slot
		forget_collected $slot
		! has_initiated $slot
		initiate $(if ((slot)); then echo $collector; else echo $collector6; fi)
		wait_for 5 has_initiated $slot
		softflowd_export 1 9 100
		wait_for 5 has_collected 100 $slot
	done
}

@test "children that keep a listener: the instance is adopted, and killed, gives BMP and flows to the others" {
	local core child
	hs policy nfacctd standby
	prefer nfacctd 1
	core=$(main_pid nfacctd@1)
	child=$(inside pgrep -P "$core" | head -n 1)
	# this is what the trap is about: the plugin has the socket of BMP, too
	inside bash -c "ss -Hlntp sport = :1790" | grep "pid=$core,.*pid=$child,\|pid=$child,.*pid=$core,"
	begin_export 200 12
	wait_for 5 inside bash -c 'exec 3<>/dev/tcp/198.51.100.1/1790'
	inside kill -KILL "$core"
	wait_for 5 inside bash -c 'exec 3<>/dev/tcp/198.51.100.1/1790'
	wait_for 3 has_no_process "$child"
	wait_for 3 is_left nfacctd 1
	end_export
	wait_for 20 is_ready nfacctd
}

is_left() { ! is_active "$@"; }
has_no_process() { ! inside test -e "/proc/$1/exe"; }

@test "it stops in seconds, idle, and what it had not written yet is written" {
	hs policy nfacctd standby
	forget_collected 2
	prefer nfacctd 2
	begin_export 500 2
	end_export
	took_at_most 6000 inside systemctl stop nfacctd@2
	say "stopped in $took_ms ms: $sent_flows flows sent, $(collected 2) collected"
	[[ $(inside systemctl show -P Result nfacctd@2) == success ]]
	all_collected 2
	inside systemctl start nfacctd@2
	wait_for 20 is_ready nfacctd
}

@test "Debian's own unit does not stop without a datagram: that is why" {
	inside sed -i '1i nfacctd_port: 2199' /etc/pmacct/nfacctd.conf
	inside systemctl start nfacctd.service
	wait_for 5 inside bash -c 'ss -lnu | grep -q :2199'
	inside systemctl --no-block stop nfacctd.service
	# as long as the example takes at most
	sleep 6
	[[ $(unit_state nfacctd.service) == deactivating ]]
	inside systemctl kill -s KILL nfacctd.service
}

@test "a restart of one collector alone, templates in a file: what is lost is what it was down for" {
	alone
	restarted_alone
	say "alone, templates in a file: $sent_flows flows sent, $(collected 0) collected, $(undecodable 0) datagrams undecodable"
	[[ $(undecodable 0) == 0 ]]
	(($(collected 0) < sent_flows))
}

@test "a restart of one collector alone, without the file: nothing more can be decoded" {
	alone '/^nfacctd_templates_file/d'
	restarted_alone
	say "alone, without the file: $sent_flows flows sent, $(collected 0) collected, $(undecodable 0) datagrams undecodable"
	(($(undecodable 0) >= 1000 && $(collected 0) == before))
}

@test "each slot restarted under 16 exporters: no flow is lost, and none is undecodable where templates are known" {
	local slot
	hs policy nfacctd standby
	# each slot has to have heard the templates
	for slot in 0 1 2 3; do
		prefer nfacctd $slot
		begin_export 500 1
		end_export
	done
	forget_collected 0 1 2 3
	begin_export 300 60
	for slot in 0 1 2 3; do
		prefer nfacctd $slot
		inside systemctl restart "nfacctd@$slot"
		wait_for 20 is_ready nfacctd
	done
	end_export now
	wait_for 10 has_collected "$sent_flows" 0 1 2 3 || true
	say "4 restarts, templates in files: $sent_flows flows sent, $(collected 0 1 2 3) collected, $(undecodable 0 1 2 3) datagrams undecodable"
	[[ $(undecodable 0 1 2 3) == 0 ]]
	all_collected 0 1 2 3
}
