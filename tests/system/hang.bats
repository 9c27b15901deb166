#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Instances that hang: they stop accepting while connections wait.

load lib/rig

url=http://127.0.0.1:9801/

setup_file() {
	rig_up
	inside systemctl start hsd
	own_service app 9801
	up app
}

# settings of app, one a line, from stdin
settle_on() {
	{
		echo '[Service]'
		cat
	} | write /etc/hotstandby/app.conf
	inside systemctl reload hsd
}

setup() {
	rig_began=$(inside date +%s.%N)
	inside systemctl kill -s CONT app@0 app@1
	inside systemctl start app@0 app@1
	settle_on <<<FailoverHold=0
	wait_for 10 is_ready app
	prefer app 0
}

freeze() { inside systemctl kill --signal=STOP --kill-whom=all "$1"; }
thaw() { inside systemctl kill --signal=CONT --kill-whom=all "$1"; }

# events NAME KIND: their messages since the test began
events() { inside journalctl -q -o cat --since="@$rig_began" HS_SERVICE="$1" HS_EVENT="$2"; }

@test "frozen under load: what waits is answered by the standby, and it is restarted" {
	local pid
	pid=$(main_pid app@0)
	begin_load $url slot=
	freeze app@0
	wait_for 10 is_active app 1
	wait_for 20 is_new app@0 "$pid"
	wait_for 10 is_ready app
	lost_nothing
	events app hang
	[[ $(events app hang) == *'app: slot 0: it hangs: '*' waiting moved; it will be restarted' ]]
}

@test "frozen: the standby answers within Stall= and a moment" {
	local i ms times=''
	for i in 1 2 3 4 5; do
		prefer app 0
		fetch $url >/dev/null
		ms=$(inside bash -c "systemctl kill --signal=STOP --kill-whom=all app@0
			begun=\$EPOCHREALTIME
			curl -sS --max-time 10 $url >/run/answer
			echo \$(((\${EPOCHREALTIME/./} - \${begun/./}) / 1000))")
		[[ $(inside cat /run/answer) == slot=1* ]]
		times+=" $ms"
		wait_for 20 is_ready app
	done
	say "from SIGSTOP to the standby's answer, Stall=1s:$times ms"
}
