#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Many services at once, in the container: many.sh FIRST LAST makes and starts the services m001, m002, ... of
# two slots each, on port 20000 + N. They run before hotstandby knows of them, so that their start is cheap;
# then they are enabled as hsctl does it, in one go. Settings are empty.
set -eu

first=$1 last=$2
units=/etc/systemd/system

names() { seq -f 'm%03.0f' "$1" "$2"; }

for ((i = first; i <= last; i++)); do
	printf -v name 'm%03d' "$i"
	cat >"$units/$name@.service" <<-END
		[Service]
		Type=notify
		ExecStart=/usr/lib/hotstandby/hs-example-server --slot=%i --idle-grace=0 --listen=127.0.0.1:$((20000 + i))
	END
done
systemctl daemon-reload
# in portions: systemd's own start of a thousand processes is not what is asked about
for ((i = first; i <= last; i += 50)); do
	to=$((i + 49 < last ? i + 49 : last))
	# shellcheck disable=SC2046 # a unit is one word
	systemctl start $(names $i $to | sed 's/.*/&@0 &@1/')
done

# the text of the drop-in is the same but for the name
printf -v model 'm%03d' "$first"
hsctl enable "$model@.service" >/dev/null
for name in $(names $((first + 1)) "$last"); do
	mkdir -p "$units/$name@.service.d"
	for file in "$units/$model@.service.d"/*; do
		sed "s/$model/$name/g" "$file" >"$units/$name@.service.d/${file##*/}"
	done
	: >"/etc/hotstandby/$name.conf"
done
: >"/etc/hotstandby/$model.conf"
systemctl daemon-reload
systemctl reload hsd
