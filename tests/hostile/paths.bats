#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A slot's folder belongs to its instance, and so may the folder of the public path: who is taken over puts there what
# he likes, as often as he likes.

load lib/bystander

setup_file() {
	hostile_up
	write $tools/at-path.py <<-'END'
		import os, socket, sys
		path, slot = sys.argv[1:]
		if os.path.lexists(path):
		    os.unlink(path)
		s = socket.socket(socket.AF_UNIX)
		s.bind(path)
		s.listen(64)
		while True:
		    c, _ = s.accept()
		    c.recv(4096)
		    c.sendall(f"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\nslot={slot}\n".encode())
		    c.close()
	END
	write /etc/systemd/system/shop@.service <<-END
		[Service]
		User=games
		RuntimeDirectory=shop
		ExecStart=/usr/bin/python3 $tools/at-path.py /run/shop/shop.sock %i
	END
	printf '[Health]\nProbe=http:/\nInterval=200ms\n' | write /etc/hotstandby/shop.conf
	up shop
	prefer shop 0
	wait_for 10 health_is 'healthy healthy'
}

health_is() { [[ $(status shop '[.slots[].health] | join(" ")') == "$1" ]]; }
# whether it was noticed by a probe, or by a new look at its sockets
is_unfit() { [[ $(status shop ".slots[$1] | .state + .health") != readyhealthy ]]; }
as_games() { inside setpriv --reuid=games --regid=games --clear-groups "$@"; }
answers() { [[ $(inside curl -sS --max-time 3 --unix-socket /run/shop/shop.sock http://shop/ 2>/dev/null) == "slot=$1" ]]; }

@test "what leads to the folders is root's" {
	answers 0
	for path in /run/hotstandby /run/hotstandby/shop /run/hotstandby/shop/0; do
		run ! as_games touch "$path/mine"
	done
	run ! as_games rm /run/hotstandby/shop/active
	run ! as_games mv /run/hotstandby/shop/1/run-shop /run/hotstandby/shop/1/gone
	bystander_is_well
}

@test "a link in a slot's folder leads hsd nowhere: not to the socket of another, nor to root's" {
	folder=/run/hotstandby/shop/1/run-shop
	# one that would answer whoever may come, which games may not
	write $tools/secret.py <<-'END'
		import os, socket
		s = socket.socket(socket.AF_UNIX)
		s.bind("/run/secret")
		os.chmod("/run/secret", 0o600)
		s.listen(8)
		s.settimeout(8)
		try:
		    s.accept()
		    print("reached")
		except TimeoutError:
		    print("nobody")
	END
	inside python3 $tools/secret.py >"$BATS_TEST_TMPDIR/secret" 3>&- &
	secret=$!
	wait_for 5 inside test -S /run/secret
	as_games ln -sfn /run/secret "$folder/shop.sock"
	wait_for 10 is_unfit 1
	run -3 inside hsctl switchover shop
	as_games ln -sfn /run/hotstandby/shop/0/run-shop/shop.sock "$folder/shop.sock"
	inside systemctl reload hsd
	wait_for 10 is_unfit 1
	run -3 inside hsctl switchover shop
	answers 0
	wait "$secret"
	[[ $(<"$BATS_TEST_TMPDIR/secret") == nobody ]]
	inside systemctl restart shop@1
	wait_for 10 health_is 'healthy healthy'
	bystander_is_well
}

@test "who changes the public folder again and again wakes nobody but himself" {
	bystander_watch
	as_games timeout 6 bash -c 'while :; do : >/run/shop/a; rm /run/shop/a; ln -sfn /nowhere /run/shop/shop.sock; done' &
	attack=$!
	wait "$attack" || true
	bystander_watched
	# and then it is as it was
	wait_for 30 answers 0
	bystander_is_well
}

# root makes what is missing of a public path, below a folder that may be the user's
@test "a link on the way to a public folder leads root nowhere" {
	own_service lead 9871
	up lead
	printf '[Service]\nPaths=/srv/lead/a/b/lead.sock\n' | write /etc/hotstandby/lead.conf
	inside systemctl reload hsd
	inside install -d -o games /srv/lead
	as_games ln -s /etc /srv/lead/a
	run inside hsctl adopt lead@0.service
	[[ $output == *'reached through a symbolic link'* ]]
	run ! inside test -e /etc/b
	# where nothing is in the way they are made
	as_games rm /srv/lead/a
	inside bash -c 'umask 077; exec hsctl adopt lead@0.service'
	[[ $(inside stat -c '%U %a' /srv/lead/a /srv/lead/a/b | sort -u) == 'root 755' ]]
	inside test -L /srv/lead/a/b/lead.sock
	down lead
	bystander_is_well
}

# the name of a socket is what its server said when it bound it, in a mount namespace of its own perhaps
@test "what an instance says that it listens at is not taken into Paths=" {
	write /etc/systemd/system/liar@.service <<-END
		[Service]
		User=games
		ExecStart=/usr/bin/unshare -Urm bash -c 'mount -t tmpfs none /opt && mkdir /opt/prod && exec /usr/bin/python3 $tools/at-path.py /opt/prod/current %i'
	END
	# with nothing else in the folder, which would be a reason to leave it
	inside mkdir -p /opt/prod /srv/release
	inside ln -s /srv/release /opt/prod/current
	inside systemctl daemon-reload
	inside systemctl start liar@0
	listens_at_current() { [[ $(inside ss -xlH) == */opt/prod/current* ]]; }
	wait_for 10 listens_at_current
	run inside hsctl enable liar@.service
	[[ $output != *'Path:'* ]]
	run ! inside grep -r current /etc/hotstandby/liar.conf /etc/hotstandby/liar.conf.d /etc/systemd/system/liar@.service.d
	inside systemctl restart liar@0
	[[ $(inside readlink /opt/prod/current) == /srv/release ]]
	inside systemctl stop liar@0
	inside hsctl disable liar@.service
	bystander_is_well
}

@test "a link that leads to a folder or to a file is not replaced, whoever names it" {
	own_service deploy 9872
	up deploy
	printf '[Service]\nPaths=/opt/deploy/current\n' | write /etc/hotstandby/deploy.conf
	inside systemctl reload hsd
	inside mkdir -p /opt/deploy/release
	inside touch /opt/deploy/file
	for target in release file; do
		inside ln -sfn "$target" /opt/deploy/current
		run inside hsctl adopt deploy@0.service
		[[ $output == *'/opt/deploy/current is something else than a socket, or a symbolic link to that, and is left as it is'* ]]
		[[ $(inside readlink /opt/deploy/current) == "$target" ]]
	done
	# to nowhere, as a server may leave it
	inside ln -sfn gone /opt/deploy/current
	inside hsctl adopt deploy@0.service
	[[ $(inside readlink /opt/deploy/current) == /run/hotstandby/deploy/active/opt-deploy/current ]]
	down deploy
	bystander_is_well
}
