#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The interface on the bus, by clients that no one here wrote: what data/org.hotstandby1.*.xml says is what hsd has,
# methods and properties have types, and news of them is told.

load lib/rig

bus=(org.hotstandby1 /org/hotstandby1 org.hotstandby1.Manager)
shop=(org.hotstandby1 /org/hotstandby1/service/my_2dshop org.hotstandby1.Service)

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service my-shop 9841
	up my-shop
}

# interface PATH NAME: what hsd says of it, and what is installed, in the same order and without notes
interface() {
	inside busctl introspect --xml-interface org.hotstandby1 "$1" | inside python3 $tools/interface.py /dev/stdin "$2" \
		>"$BATS_TEST_TMPDIR/is"
	inside python3 $tools/interface.py "/usr/share/dbus-1/interfaces/$2.xml" "$2" >"$BATS_TEST_TMPDIR/said"
	[[ -s $BATS_TEST_TMPDIR/is ]]
	diff "$BATS_TEST_TMPDIR/said" "$BATS_TEST_TMPDIR/is"
}

@test "the interfaces are those that are installed, and each thing in them is explained" {
	interface "${bus[1]}" "${bus[2]}"
	interface "${shop[1]}" "${shop[2]}"
	inside python3 $tools/interface.py --explained /usr/share/dbus-1/interfaces/org.hotstandby1.{Manager,Service}.xml
}

@test "the bus lets everybody call what is not for root alone, and nothing else" {
	# of those that need a privilege, what hsd asks polkit about; the others are called by hooks
	local allowed expected
	allowed=$(inside sed -n 's/.*send_interface="org.hotstandby1.[A-Z][a-z]*" send_member="\([A-Za-z]*\)".*/\1/p' \
		/usr/share/dbus-1/system.d/org.hotstandby1.conf | sort)
	expected=$(inside bash -c "sed -n 's/.*<method name=\"\([A-Za-z]*\)\".*/\1/p' \
		/usr/share/dbus-1/interfaces/org.hotstandby1.*.xml | grep -vxE 'Prepare|Adopt|Retire' | sort")
	diff <(echo "$expected") <(echo "$allowed")
}

@test "busctl: methods and properties in types" {
	[[ $(inside busctl get-property "${bus[@]}" Version) == "s \"$(inside hsctl --version | cut -d' ' -f2)\"" ]]
	[[ $(inside busctl get-property "${bus[@]}" Services) == 'as 1 "my-shop"' ]]
	[[ $(inside busctl call "${bus[@]}" GetService s my-shop) == "o \"${shop[1]}\"" ]]
	run ! inside busctl call "${bus[@]}" GetService s nosuch
	[[ $output == *'nosuch is not managed by hotstandby'* ]]
	prefer my-shop 0
	[[ $(inside busctl get-property "${shop[@]}" Slots) == 'a(uss) 2 0 "active" "ready" 1 "standby" "ready"' ]]
	[[ $(inside busctl get-property "${shop[@]}" Canary CanaryShare Held Change) == $'u 255\nu 0\nb false\ns ""' ]]
	hs canary my-shop 50% >/dev/null
	[[ $(inside busctl get-property "${shop[@]}" Canary CanaryShare) == $'u 1\nu 32768' ]]
	hs canary my-shop off >/dev/null
	hs park my-shop >/dev/null
	[[ $(inside busctl get-property "${shop[@]}" Held) == 'b true' ]]
	hs release my-shop >/dev/null
}

@test "python-dbus: a client in another language reads, and changes" {
	prefer my-shop 0
	run -0 inside python3 $tools/bus_client.py my-shop
	say "$output"
	is_active my-shop 1
}

@test "GDBus hears of what changes" {
	prefer my-shop 0
	inside timeout 60 gdbus monitor --system --dest org.hotstandby1 --object-path "${shop[1]}" \
		>"$BATS_TEST_TMPDIR/news" 2>&1 3>&- &
	local job=$!
	wait_for 10 grep -q 'is owned by' "$BATS_TEST_TMPDIR/news"
	hs switchover my-shop --drain=0 >/dev/null
	wait_for 5 grep -q "PropertiesChanged.*'Active': <uint32 1>" "$BATS_TEST_TMPDIR/news"
	grep -q "'Slots': <\[(uint32 0, 'standby', 'ready'), (1, 'active', 'ready')\]>" "$BATS_TEST_TMPDIR/news"
	! grep -q "'Policy'" "$BATS_TEST_TMPDIR/news"
	# also of what nobody has asked for
	inside systemctl stop my-shop@0
	wait_for 5 grep -q "'down'" "$BATS_TEST_TMPDIR/news"
	inside systemctl start my-shop@0
	wait_for 5 is_ready my-shop
	kill $job
	wait $job || true
}
