#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Servers that listen at a path: as their packages set them up, and behind the proxies that they stand behind.

load lib/rig
load lib/servers

setup_file() {
	rig_up
	inside systemctl start hsd
	php=$(inside bash -c 'basename /lib/systemd/system/php*-fpm.service .service')
	export php
}

# ---- gunicorn behind HAProxy ----

# gunicorn NAME: a plain unit as its manual has it, with one fixed path
gunicorn_unit() {
	write "/srv/$1/app.py" <<-'END'
		import os
		def app(environ, start_response):
		    body = f"slot={os.environ.get('HOTSTANDBY_SLOT', 'none')} {environ['PATH_INFO']}\n".encode()
		    start_response('200 OK', [('Content-Length', str(len(body)))])
		    return [body]
	END
	cat <<-END
		[Service]
		Type=notify
		User=www-data
		RuntimeDirectory=$1
		WorkingDirectory=/srv/$1
		ExecStart=/usr/bin/gunicorn --workers 2 --bind unix:/run/$1/$1.sock app:app
	END
}

gunicorn() { gunicorn_unit "$1" | write "/etc/systemd/system/$1@.service"; }

# haproxy NAME PORT: what a client loses is not hidden by a second try
haproxy() {
	write "/etc/haproxy/$1.cfg" <<-END
		global
		    maxconn 500
		defaults
		    mode http
		    timeout connect 5s
		    timeout client 30s
		    timeout server 30s
		    retries 0
		frontend web
		    bind 127.0.0.1:$2
		    default_backend app
		backend app
		    http-reuse never
		    server app unix@/run/$1/$1.sock
	END
	inside systemd-run -q --unit="proxy-$1" -p LimitNOFILE=8192 haproxy -Ws -f "/etc/haproxy/$1.cfg"
	wait_for 5 inside bash -c "ss -Hltn 'sport = :$2' | grep -q ."
}

# served_by NAME SLOT: by the public path itself
served_by() {
	[[ $(inside curl -sSf --max-time 5 --unix-socket "/run/$1/$1.sock" http://app/) == "slot=$2 /" ]]
}

@test "gunicorn at a fixed path: found by enable, each slot in its own folder, switched by a link" {
	gunicorn gone
	inside systemctl daemon-reload
	run -0 --separate-stderr inside hsctl enable gone@.service
	[[ $output == *'/run/gone/gone.sock is going to be a link'* ]]
	inside systemctl start gone@0 gone@1
	wait_for 5 is_ready gone
	[[ $(status gone '.listeners[0] | .protocol + " " + .address') == 'unix /run/gone/gone.sock' ]]
	prefer gone 0
	served_by gone 0
	[[ $(inside readlink -f /run/gone/gone.sock) == /run/hotstandby/gone/0/run-gone/gone.sock ]]
	hs switchover gone
	served_by gone 1
	[[ $(inside readlink /run/hotstandby/gone/active) == 1 ]]
	hs rollback gone
	served_by gone 0
	# the folders are the server's own user's, as the public one is, what leads there is root's
	[[ $(inside stat -c '%U %a' /run/hotstandby/gone/0/run-gone) == $(inside stat -c '%U %a' /run/gone) ]]
	[[ $(inside stat -c '%U %a' /run/hotstandby/gone/0) == 'root 755' ]]
	# a stop, and a crash
	inside systemctl stop gone@0
	served_by gone 1
	inside systemctl start gone@0
	wait_for 5 is_ready gone
	inside systemctl kill -s KILL gone@1
	wait_for 5 served_by gone 0
	wait_for 10 is_ready gone
	down gone
}

@test "gunicorn behind HAProxy, unchanged: switchovers and restarts lose nothing" {
	gunicorn gtwo
	up gtwo
	haproxy gtwo 8101
	prefer gtwo 0
	begin_load http://127.0.0.1:8101/ slot= 8
	for _ in {1..25}; do
		hs switchover gtwo --drain=0 --settle=20ms >/dev/null
	done
	for _ in 1 2 3; do
		inside systemctl restart gtwo@0
		inside systemctl restart gtwo@1
	done
	hs switchover gtwo --then=restart >/dev/null
	wait_for 10 is_ready gtwo
	lost_nothing 'gunicorn behind HAProxy: 26 switchovers, 7 restarts'
	inside systemctl stop proxy-gtwo
	down gtwo
}

@test "without hotstandby, a restart of gunicorn behind HAProxy" {
	gunicorn_unit gplain | write /etc/systemd/system/gplain.service
	inside systemctl daemon-reload
	inside systemctl start gplain
	haproxy gplain 8102
	begin_load http://127.0.0.1:8102/ slot= 8
	inside systemctl restart gplain
	inside systemctl restart gplain
	end_load
	say "$(load_line 'without, 2 restarts of gunicorn alone')"
	((load[lost] + load[wrong] > 0))
	inside systemctl stop proxy-gplain gplain
}

# ---- php-fpm behind nginx ----

# nginx_to NAME PORT SOCKET
nginx_to() {
	write /srv/php/index.php <<<'<?php echo "slot=", getenv("HOTSTANDBY_SLOT") ?: "none", "\n";'
	write "/etc/nginx/$1.conf" <<-END
		user www-data;
		worker_processes 2;
		events { worker_connections 500; }
		http {
		    access_log off;
		    server {
		        listen 127.0.0.1:$2;
		        root /srv/php;
		        location / {
		            include /etc/nginx/fastcgi.conf;
		            fastcgi_param SCRIPT_FILENAME /srv/php/index.php;
		            fastcgi_pass unix:$3;
		        }
		    }
		}
	END
	inside systemd-run -q --unit="proxy-$1" nginx -g 'daemon off; pid /run/proxy-nginx.pid;' -c "/etc/nginx/$1.conf"
	wait_for 5 inside bash -c "ss -Hltn 'sport = :$2' | grep -q ."
}

@test "php-fpm behind nginx, unit and configuration as packaged: switchovers lose nothing" {
	template "$php"
	up "$php"
	[[ $(status "$php" '.listeners[0].address') == "/run/php/$php.sock" ]]
	nginx_to fpm 8103 "/run/php/$php.sock"
	prefer "$php" 0
	begin_load http://127.0.0.1:8103/ slot= 8
	for _ in {1..25}; do
		hs switchover "$php" --drain=0 --settle=20ms >/dev/null
	done
	for _ in 1 2 3; do
		hs switchover "$php" --then=restart >/dev/null
		wait_for 10 is_ready "$php"
	done
	lost_nothing 'php-fpm behind nginx: 28 switchovers, 3 restarts'
	inside systemctl stop proxy-fpm
	# who may connect is as before
	[[ $(inside stat -L -c '%U:%G %a' "/run/php/$php.sock") == 'www-data:www-data 660' ]]
	down "$php"
}

@test "without hotstandby, a restart of php-fpm behind nginx" {
	inside systemctl start "$php"
	nginx_to fpmalone 8104 "/run/php/$php.sock"
	begin_load http://127.0.0.1:8104/ slot= 8
	inside systemctl restart "$php"
	inside systemctl restart "$php"
	end_load
	say "$(load_line "without, 2 restarts of $php alone")"
	((load[lost] + load[wrong] > 0))
	inside systemctl stop proxy-fpmalone "$php"
}
