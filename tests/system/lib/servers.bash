# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Servers of the distribution as templates of two slots, and loads in protocols that wrk does not speak.
# To be loaded behind rig.bash.
# shellcheck disable=SC2034,SC2154 # shared with it

# template PACKAGE-UNIT: its unit file as a template
template() { inside cp "/lib/systemd/system/$1.service" "/etc/systemd/system/$1@.service"; }

# ---- load by connections that send a line and want an answer ----

# begin_asking PORT SEND TEXT [CLIENTS]: ends as begin_load does
begin_asking() {
	load_file=$BATS_TEST_TMPDIR/load.$RANDOM
	inside bash -c "export LOAD_PAUSE_MS=${LOAD_PAUSE_MS:-20}; exec timeout -s INT ${LOAD_SECONDS:-100} python3 $tools/exchange.py 127.0.0.1 $1 '$2' '$3' ${4:-6}" \
		>"$load_file" 2>&1 </dev/null 3>&- &
	load_job=$!
	load_program='-f exchange.py'
	wait_for 5 inside pgrep -f exchange.py >/dev/null
}

# ---- redis ----

# redis_config NAME PORT: of slots 0 and 1, as the package's unit describes it
redis_config() {
	local i
	for i in 0 1; do
		inside sed -e "s/^port .*/port $1/" -e "s@^pidfile .*@pidfile /run/redis-$i/redis-server.pid@" \
			-e "s@^logfile .*@logfile /var/log/redis/redis-server-$i.log@" \
			-e "s@^dbfilename .*@dbfilename dump-$i.rdb@" /etc/redis/redis.conf | write "/etc/redis/redis-$i.conf"
		inside chown redis:redis "/etc/redis/redis-$i.conf"
	done
}

# ---- queries ----
#
#   begin_queries PORT SECONDS [RATE [TIMEOUT]]   dnsperf, 20 clients
#   end_queries                          ends it, not before its seconds have passed; sets sent and lost

begin_queries() {
	queries_file=$BATS_TEST_TMPDIR/queries.$RANDOM
	echo 'www.example.test A' | write /tmp/queries
	inside timeout "${LOAD_SECONDS:-400}" dnsperf -s 127.0.0.1 -p "$1" -d /tmp/queries -c 20 -T 1 -t "${4:-4}" -l 1000 -Q "${3:-4000}" \
		>"$queries_file" 2>&1 </dev/null 3>&- &
	queries_job=$!
	queries_until=$((EPOCHSECONDS + $2))
}

# What it waits for when it is interrupted it counts by itself, neither as answered nor as lost.
end_queries() {
	while ((EPOCHSECONDS < queries_until)) && queries_run; do sleep 0.2; done
	inside pkill -INT -x dnsperf || true
	wait "$queries_job" || fail "dnsperf: $(cat "$queries_file")"
	sent=$(awk '/Queries sent:/ { print $3 }' "$queries_file")
	lost=$(awk '/Queries lost:/ { print $3 }' "$queries_file")
	grep -q 'NOERROR .*(100.00%)' "$queries_file" || fail "wrong answers: $(cat "$queries_file")"
}

queries_run() { kill -0 "$queries_job" 2>/dev/null; }

lost_no_query() {
	end_queries
	say "$1: $sent queries, $lost lost"
	((sent >= 1000)) || fail "only $sent queries: that proves nothing" || return 1
	((lost == 0)) || fail "lost $lost"
}

# ---- name servers ----

# zone FILE
zone() {
	write "$1" <<-'END'
		$TTL 3600
		@ IN SOA ns root 1 3600 600 86400 3600
		  IN NS ns
		ns IN A 192.0.2.1
		www IN A 192.0.2.80
	END
}

# nsd_config SLOT PORT
nsd_config() {
	cat <<-END
		server:
		    ip-address: 127.0.0.1
		    port: $2
		    reuseport: yes
		    server-count: 2
		    # what it would leave unanswered on purpose is not to be mistaken for a loss
		    rrl-ratelimit: 0
		    xfrdfile: "/var/lib/nsd/xfrd-$1.state"
		    zonelistfile: "/var/lib/nsd/zones-$1.list"
		    pidfile: ""
		remote-control:
		    control-enable: no
		zone:
		    name: example.test
		    zonefile: /etc/nsd/example.test.zone
	END
}

# nsd_template PORT
nsd_template() {
	local slot
	template nsd
	zone /etc/nsd/example.test.zone
	for slot in 0 1; do
		nsd_config $slot "$1" | write /etc/nsd/slot$slot.conf
	done
	write /etc/systemd/system/nsd@.service.d/slot.conf <<-'END'
		[Service]
		ExecStart=
		ExecStart=/usr/sbin/nsd -d -P "" -c /etc/nsd/slot%i.conf
		RuntimeDirectory=nsd-%i
	END
}
