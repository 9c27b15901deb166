# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the tests share: nginx of Debian as two slots, by the example that the package brings.

say() { echo "# $*"; }
fail() {
	echo "FAILED: $*" >&2
	hsctl status >&2 || true
	journalctl --no-pager -q -n 60 >&2 || true
	exit 1
}

# until_true SECONDS CMD...
until_true() {
	tries=$(($1 * 10))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "still not: $*"
		sleep 0.1
	done
}

standby_is_ready() { hsctl status nginx | grep -q ' standby *ready '; }
hsd_answers() { hsctl list >/dev/null 2>&1 && systemctl --quiet is-active hsd; }

begin_nginx() {
	systemctl --quiet stop nginx 2>/dev/null || true
	cp /usr/share/hotstandby/examples/nginx@.service /etc/systemd/system/
	cp /usr/share/hotstandby/examples/hotstandby-example.conf /etc/nginx/
	systemctl daemon-reload
	hsctl enable nginx@.service
	systemctl start nginx@0 nginx@1
	until_true 30 standby_is_ready
}

end_nginx() {
	hsctl disable nginx@.service
	curl -sSf --max-time 10 http://127.0.0.1:8080/ >/dev/null || fail 'nginx does not go on as an ordinary server'
	systemctl stop nginx@0 nginx@1
	rm -f /etc/systemd/system/nginx@.service /etc/nginx/hotstandby-example.conf
	systemctl daemon-reload
}
