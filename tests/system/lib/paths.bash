# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Servers at a path as their packages have them, and the proxies in front of them.

# paths_up: a rig with hsd; $php is the unit of its php-fpm
paths_up() {
	rig_up
	inside systemctl start hsd
	php=$(inside bash -c 'basename /lib/systemd/system/php*-fpm.service .service')
	export php
}

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
