#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One restart, inside the container of scripts/bench.
#
#   bench-restart.sh active SERVICE   of the instance that new connections go to
#   bench-restart.sh standby SERVICE  of the other one, twice
#   bench-restart.sh turns SERVICE    of SERVICE@0 and SERVICE@1 in turns
set -eu
turn=/run/bench-restart.$2

case $1 in
active) slot=$(hsctl status "$2" --json | jq .active) ;;
standby)
	slot=$((1 - $(hsctl status "$2" --json | jq .active)))
	systemctl restart "$2@$slot.service"
	;;
turns)
	slot=$(cat "$turn" 2>/dev/null || echo 0)
	echo $((1 - slot)) >"$turn"
	;;
*) exit 2 ;;
esac
exec systemctl restart "$2@$slot.service"
