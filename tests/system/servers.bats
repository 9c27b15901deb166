#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Servers that nobody here wrote, with the configuration of their Debian packages. Their units are turned
# into templates, so that there can be two; nothing else is done for hotstandby but what each test shows.
# Long: begun with the first.

load lib/rig
load lib/servers

setup_file() {
	rig_up
	inside systemctl start hsd
}

# try NAME URL TEXT: everything at once
try() {
	local name=$1 url=$2 text=$3 active
	fetch "$url" | grep -q "$text"
	# the active one gets them all
	prefer "$name" 0
	begin_load "$url" "$text"
	for _ in {1..5}; do
		hs switchover "$name" --drain=0 >/dev/null
	done
	hs switchover "$name" --drain=1s --then=restart >/dev/null
	wait_for 10 is_ready "$name"
	for _ in 1 2; do
		inside systemctl restart "$name@0"
		inside systemctl restart "$name@1"
	done
	inside systemctl restart "$name@0" "$name@1"
	wait_for 10 is_ready "$name"
	lost_nothing "$name: 6 switchovers, 7 restarts"
	# a crash of the active one
	active=$(active "$name")
	begin_load "$url" "$text" 16
	inside systemctl kill -s KILL "$name@$active"
	wait_for 10 is_active "$name" $((1 - active))
	wait_for 10 is_ready "$name"
	end_load
	say "$(load_line "$name: a crash")"
	((load[lost] <= 16 && load[wrong] == 0 && load[hung] == 0))
}

# alone UNIT URL TEXT: what the packages' own unit loses
alone() {
	inside systemctl start "$1"
	wait_for 5 fetch "$2" >/dev/null 2>&1
	begin_load "$2" "$3"
	inside systemctl restart "$1"
	inside systemctl restart "$1"
	end_load
	say "$(load_line "without, 2 restarts of $1")"
	inside systemctl stop "$1"
}

@test "nginx, with the unit and the configuration that come as examples" {
	inside cp $examples/nginx@.service /etc/systemd/system/
	inside cp $examples/hotstandby-example.conf /etc/nginx/
	up nginx
	# one socket for each of its workers
	[[ $(status nginx '[.slots[].sockets] | join(" ")') == '2 2' ]]
	try nginx http://127.0.0.1:8080/ html
	down nginx
	alone nginx http://127.0.0.1:80/ html
}

# its ExecStop= finds the process by a PID file that both slots write
@test "nginx, with the unit of its package as a template: who stops is the one that is meant" {
	local pid
	template nginx
	up nginx
	[[ $(inside systemctl cat nginx@0) == *'KillSignal=SIGQUIT'* ]]
	[[ $(inside systemctl show -P ExecStop nginx@0) != *start-stop-daemon* ]]
	prefer nginx 0
	begin_load http://127.0.0.1:80/ html
	for _ in 1 2 3; do
		# the one that was started last has written the file; the other one is stopped
		pid=$(main_pid nginx@1)
		inside systemctl restart nginx@0
		wait_for 10 is_ready nginx
		[[ $(main_pid nginx@1) == "$pid" ]]
		pid=$(main_pid nginx@0)
		inside systemctl stop nginx@1
		[[ $(main_pid nginx@0) == "$pid" && $(unit_state nginx@0) == active ]]
		inside systemctl start nginx@1
		wait_for 10 is_ready nginx
	done
	lost_nothing 'nginx, as packaged: 3 restarts and 3 stops'
	down nginx
	alone nginx http://127.0.0.1:80/ html
}

@test "nginx: a reload inside an instance is no event for anybody" {
	inside cp $examples/nginx@.service /etc/systemd/system/
	up nginx
	begin_load http://127.0.0.1:8080/ html
	for _ in 1 2 3; do
		inside systemctl reload nginx@0 nginx@1
		hs switchover nginx --drain=0 >/dev/null
	done
	# new workers, more sockets
	inside sed -i 's/worker_processes 2/worker_processes 3/' /etc/nginx/hotstandby-example.conf
	inside systemctl reload nginx@0
	wait_for 5 sockets_are nginx 0 3
	inside systemctl reload nginx@1
	wait_for 5 sockets_are nginx 1 3
	hs switchover nginx --drain=0 >/dev/null
	lost_nothing 'nginx reloaded and switched'
	baseline
	down nginx
}

sockets_are() { [[ $(status "$1" ".slots[$2].sockets") == "$3" ]]; }

@test "haproxy, which sets SO_REUSEPORT by itself" {
	template haproxy
	write /etc/systemd/system/haproxy@.service.d/slot.conf <<-'END'
		[Service]
		Environment="PIDFILE=/run/haproxy-%i.pid" "EXTRAOPTS=-f /etc/haproxy/site.cfg -S /run/haproxy-%i.sock"
	END
	# the package brings no frontend of its own
	write /etc/haproxy/site.cfg <<-'END'
		frontend site
			bind :9952
			http-request return status 200 content-type text/plain string "haproxy here"
	END
	up haproxy
	try haproxy http://127.0.0.1:9952/ 'haproxy here'
	# a reload replaces its worker, and with it the socket
	begin_load http://127.0.0.1:9952/ 'haproxy here'
	inside systemctl reload "haproxy@$(standby haproxy)"
	hs switchover haproxy --drain=0 >/dev/null
	lost_nothing 'haproxy: standby reloaded, switched'
	down haproxy
	printf '[Service]\nEnvironment="EXTRAOPTS=-f /etc/haproxy/site.cfg -S /run/haproxy-master.sock"\n' |
		write /etc/systemd/system/haproxy.service.d/site.conf
	inside systemctl daemon-reload
	alone haproxy http://127.0.0.1:9952/ 'haproxy here'
}

@test "lighttpd, socket-activated" {
	template lighttpd
	write /etc/systemd/system/lighttpd@.service.d/slot.conf <<-'END'
		[Unit]
		Wants=lighttpd@%i.socket
		After=lighttpd@%i.socket
		[Service]
		PIDFile=
		Environment=SLOT=%i
		ExecStart=
		ExecStart=/usr/sbin/lighttpd -D -f /etc/lighttpd/slot.conf
	END
	write /etc/systemd/system/lighttpd@.socket <<-'END'
		[Socket]
		ListenStream=0.0.0.0:80
		ListenStream=[::]:80
		BindIPv6Only=ipv6-only
		ReusePort=yes
		Backlog=1024
	END
	write /etc/lighttpd/slot.conf <<-'END'
		include "/etc/lighttpd/lighttpd.conf"
		server.pid-file := "/run/lighttpd-" + env.SLOT + ".pid"
		server.systemd-socket-activation = "enable"
	END
	echo 'lighttpd here' | write /var/www/html/hello.txt
	up lighttpd
	[[ $(status lighttpd '[.listeners[].address] | sort | join(" ")') == '0.0.0.0:80 [::]:80 (v6 only)' ]]
	try lighttpd http://127.0.0.1:80/hello.txt 'lighttpd here'
	down lighttpd
	alone lighttpd http://127.0.0.1:80/hello.txt 'lighttpd here'
}

@test "the example server, with the units that come as examples" {
	inside cp $examples/app@.service $examples/app@.socket /etc/systemd/system/
	up app
	try app http://127.0.0.1:8081/ slot=
	baseline
	down app
}
