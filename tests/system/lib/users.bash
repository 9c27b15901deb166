# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Users who are not root, with a polkitd inside:
#
#   alice    has no right
#   olga     is in the group of the example rule
#   carla    may everything, by a rule that writes down what it is told
#   adam     is in the group sudo, with the password "secret": an administrator, as Debian's rules have it

# needs_polkit: skips where there is none
needs_polkit() {
	inside test -x /usr/bin/pkttyagent || skip 'needs polkitd (pkttyagent)'
}

# shellcheck disable=SC2154 # of the rig
users_up() {
	inside bash -c 'groupadd shop-operators; getent group sudo >/dev/null || groupadd -r sudo
		useradd -m alice; useradd -m -G shop-operators olga; useradd -m carla; useradd -m -G sudo adam
		echo adam:secret | chpasswd'
	inside bash -c 'mkdir -p /etc/polkit-1/rules.d && cp '"$examples"'/50-hotstandby.rules /etc/polkit-1/rules.d/'
	write /etc/polkit-1/rules.d/60-carla.rules <<-'END'
		polkit.addRule(function (action, subject) {
			if (subject.user != "carla" || action.id.indexOf("org.hotstandby1.") != 0)
				return polkit.Result.NOT_HANDLED;
			polkit.spawn(["/usr/bin/logger", "-t", "polkit-told", action.id + " " +
				["service", "verb", "slot"].map(function (key) {
					return key + "=" + (action.lookup(key) || "-");
				}).join(" ")]);
			return polkit.Result.YES;
		});
	END
	inside chmod -R a+rX /etc/polkit-1
	# where it is not installed, tests that need it skip
	inside systemctl restart polkit 2>/dev/null || true
}

# as USER CMD...
as() { inside setpriv --reuid="$1" --regid="$1" --init-groups "${@:2}"; }

# in_session USER CMD...: as if that user had logged in
in_session() {
	local uid
	uid=$(inside id -u "$1")
	inside systemd-run --quiet --scope --slice="user-$uid.slice" -- \
		setpriv --reuid="$1" --regid="$(inside id -g "$1")" --init-groups "${@:2}"
}
