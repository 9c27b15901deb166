# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A fleet: machines, each a container of container.sh that can be rebooted, joined by a switch. To be sourced, as root.
#
#   fleet_begin                  makes the switch; once, before all else
#   fleet_machine NAME NUMBER    boots a machine that is plugged in as 10.0.0.NUMBER and fd00::NUMBER; install=yes has
#                                hotstandby on it. Several at a time: `fleet_machine a 1 & fleet_machine b 2 & wait`
#   fleet_host NAME NUMBER       one that serves: nginx at port 80 as app@0 and app@1, which says the host's name, with
#                                hotstandby, its agent and its unit that leaves first, as an operator would set it up
#   fleet_behind NAME ADDRESS... a host has these addresses as well, on its loopback device, and answers no ARP for them
#   fleet_front NAME NUMBER      one that runs hsd, with the settings on stdin as those of the service web, a key for them in
#                                /etc/hotstandby/web.key, and keepalived, with units/examples/keepalived-front.conf
#   fleet_reboot NAME            systemctl reboot; returns at once
#   fleet_kill NAME              its power fails; fleet_power NAME boots it again
#   fleet_cut NAME               pulls its plug; fleet_mend NAME puts it in again
#   fleet_is_up NAME [BOOT]      whether it has booted, and not only as BOOT, which container_boots has said
#
# Commands on a machine: container_run. All of it is in network namespaces of its own; the kernel ends them with the
# shell that sourced this first.
#
# What passes a veth is whole only if the sender does not leave checksums to a device that there is not, and XDP sends by
# one only if its other end asks for packets by NAPI: so the former is switched off, and GRO on.

_fleet_lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/container.sh
source "$_fleet_lib/container.sh"
# a machine's own takes longer than this, and clients that ask meanwhile get no answer
export CONTAINER_FIRMWARE_SECONDS=${CONTAINER_FIRMWARE_SECONDS:-5}
_fleet_state=/run/hotstandby-rig/$CONTAINER_OWNER.fleet

fleet_begin() {
	container_possible && _fleet_build || return 1
	mkdir -p "$_fleet_state"
	# the switch is there as long as this process, and this as long as we
	unshare --net tail --pid="$CONTAINER_OWNER" --sleep-interval=1 -f /dev/null </dev/null >/dev/null 2>&1 3>&- &
	echo $! >"$_fleet_state/switch"
	wait_until 10 _fleet_apart "$!" || return 1
	_fleet_switch ip link add br0 type bridge mcast_snooping 0 &&
		_fleet_switch ip link set br0 up
}

# Machines are installed at the same time, each by make: what is still to be made for that is made before, by one.
_fleet_build() {
	local folder
	[[ -z ${INSTALLED:-} ]] || return 0
	folder=$(mktemp -d) || return 1
	make -s -C "$_container_top" install DESTDIR="$folder" BUILD="${BUILD:-build}" >/dev/null || return 1
	rm -rf "$folder"
}

_fleet_apart() { [[ $(readlink "/proc/$1/ns/net") != "$(readlink /proc/self/ns/net)" ]]; }

fleet_end() {
	container_stop_all
	[[ ! -e $_fleet_state/switch ]] || kill "$(<"$_fleet_state/switch")" 2>/dev/null || true
	rm -rf "$_fleet_state"
}

_fleet_switch() { nsenter --net="/proc/$(<"$_fleet_state/switch")/ns/net" "$@"; }

_fleet_plug() {
	local name=$1 leader
	leader=$(container_boots "$name") || return 1
	_fleet_switch ip link add "port-$name" type veth peer name eth0 netns "$leader" &&
		_fleet_switch ethtool -K "port-$name" tx off gro on >/dev/null &&
		_fleet_switch ip link set "port-$name" master br0 up &&
		nsenter --net="/proc/$leader/ns/net" ethtool -K eth0 tx off gro on >/dev/null
}

# As a machine's network: it is there before what wants it starts, and goes after that has stopped.
_fleet_network() {
	local root=$1 number=$2
	cat >"$root/etc/systemd/system/eth0.service" <<-END
		[Unit]
		Before=network.target network-online.target
		Wants=network.target network-online.target
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=ip link set eth0 up
		ExecStart=ip address replace 10.0.0.$number/24 dev eth0
		ExecStart=ip address replace fd00::$number/64 dev eth0 nodad
		ExecStop=ip link set eth0 down
		[Install]
		WantedBy=multi-user.target
	END
}

# INSTALLED=: as for system tests in general, see tests/system/lib/rig.bash
_fleet_install() {
	case ${INSTALLED:-} in
	'') container_install "$1" BUILD="${BUILD:-build}" ;;
	yes) ;;
	*)
		cp "$INSTALLED" "$(container_root "$1")/root/hotstandby.deb" &&
			container_run "$1" dpkg --no-triggers --install /root/hotstandby.deb &&
			container_run "$1" systemctl --quiet disable --now hsd
		;;
	esac
}

fleet_machine() {
	local name=$1 number=$2 root
	CONTAINER_MACHINE=yes container_start "$name" && root=$(container_root "$name") || return 1
	_fleet_network "$root" "$number"
	[[ ${install:-no} != yes ]] || _fleet_install "$name" || return 1
	_fleet_plug "$name" && container_run "$name" systemctl --quiet enable --now eth0.service
}

# ---- what hosts serve ----

# /download/100M?rate=10m takes 10 s.
_fleet_nginx() {
	local root=$1 name=$2
	mkdir -p "$root/srv/download"
	truncate -s 100M "$root/srv/download/100M"
	cat >"$root/etc/nginx/app.conf" <<-END
		user www-data;
		worker_processes 1;
		error_log /var/log/nginx/error.log;
		events { worker_connections 4096; }
		http {
			access_log off;
			default_type text/plain;
			server {
				listen 80 reuseport backlog=4096;
				listen [::]:80 reuseport backlog=4096;
				location / { return 200 "host=$name\n"; }
				location /download/ { root /srv; limit_rate \$arg_rate; add_header X-Host $name; }
			}
		}
	END
}

fleet_host() {
	local name=$1 number=$2 root
	install=yes fleet_machine "$name" "$number" && root=$(container_root "$name") || return 1
	_fleet_nginx "$root" "$name"
	sed 's,hotstandby-example.conf,app.conf,' "$root/usr/share/hotstandby/examples/nginx@.service" \
		>"$root/etc/systemd/system/app@.service"
	# shellcheck disable=SC2016 # for the shell inside
	container_run "$name" bash -ec '
		systemctl daemon-reload
		systemctl --quiet enable --now hsd
		hsctl enable app@.service >/dev/null
		systemctl --quiet enable --now app@0 app@1 hotstandby-agent@app.socket hotstandby-leave@app.service'
}

fleet_behind() {
	local name=$1 root address
	shift
	root=$(container_root "$name") || return 1
	{
		cat <<-'END'
			[Unit]
			Before=eth0.service
			[Service]
			Type=oneshot
			RemainAfterExit=yes
			ExecStart=sysctl -q -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
		END
		for address; do
			echo "ExecStart=ip address replace $address dev lo"
		done
		printf '[Install]\nWantedBy=multi-user.target\n'
	} >"$root/etc/systemd/system/addresses.service"
	container_run "$name" systemctl --quiet daemon-reload &&
		container_run "$name" systemctl --quiet enable --now addresses.service
}

# ---- fronts ----

fleet_front() {
	local name=$1 number=$2 root
	install=yes fleet_machine "$name" "$number" && root=$(container_root "$name") || return 1
	mkdir -p "$root/etc/hotstandby"
	cat >"$root/etc/hotstandby/web.conf"
	(umask 077 && echo 'all fronts have this one' >"$root/etc/hotstandby/web.key")
	# the second one yields to the first
	sed "s/priority 150/priority $((150 - number))/" "$_fleet_lib/../../units/examples/keepalived-front.conf" \
		>"$root/etc/keepalived/keepalived.conf"
	container_run "$name" systemctl --quiet daemon-reload &&
		container_run "$name" systemctl --quiet enable --now hsd keepalived
}

# ---- what befalls machines ----

# logind, which would be asked first, is not there
fleet_reboot() { container_run "$1" systemctl reboot 2>/dev/null; }

fleet_is_up() {
	local boot
	boot=$(container_boots "$1") && [[ $boot != "${2:-}" ]]
}

# what fails says no more good-bye by the network either
fleet_kill() { fleet_cut "$1" && container_kill "$1"; }

fleet_power() { fleet_mend "$1" && container_power "$1"; }

fleet_cut() { _fleet_switch ip link set "port-$1" down; }
fleet_mend() { _fleet_switch ip link set "port-$1" up; }
