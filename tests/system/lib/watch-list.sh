#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# watch-list.sh WANTED SECONDS: asks hsd for all services again and again until WANTED slots are ready. Prints
# "MILLISECONDS ready R down D": D is how many slots were at most said to be neither ready nor unknown in an
# answer. Whether there is an answer is not asked: hsd may be on its way.
set -u

wanted=$1 seconds=$2
begun=${EPOCHREALTIME/[.,]/} ready=0 worst=0
passed() { echo $(((${EPOCHREALTIME/[.,]/} - begun) / 1000)); }

until ((ready == wanted || $(passed) > seconds * 1000)); do
	counts=$(busctl call --system --json=short --timeout=5 org.hotstandby1 /org/hotstandby1 org.hotstandby1.Manager \
		Describe 2>/dev/null |
		jq -r '.data[0] | fromjson | [.[].slots[].state] |
			"\(map(select(. == "ready")) | length) \(map(select(. != "ready" and . != "unknown")) | length)"' \
			2>/dev/null) || continue
	read -r ready down <<<"$counts" || continue
	((down <= worst)) || worst=$down
done
echo "$(passed) ready $ready down $worst"
