# SPDX-License-Identifier: GPL-2.0-or-later
#
# Whatever is in a message, hsd answers or refuses it, and is the same process afterwards, no bigger than before. Each
# run has another seed, which is shown; with HS_FUZZ_SEED it is that one again, and HS_FUZZ_SECONDS makes it longer.

load lib/bystander.bash

victim=(/org/hotstandby1/service/victim org.hotstandby1.Service)
export BATS_TEST_TIMEOUT=$((${HS_FUZZ_SECONDS:-12} + 240))

setup_file() {
	hostile_up
	own_service victim 9731
	up victim
}

set_up() {
	seed=${HS_FUZZ_SEED:-$EPOCHSECONDS$RANDOM}
	seconds=${HS_FUZZ_SECONDS:-12}
}

# hsd_has FIELD: kilobytes, of its /proc/PID/status
hsd_has() { inside awk -v field="$1:" '$1 == field { print $2 }' "/proc/$(main_pid hsd)/status"; }
hsd_descriptors() { inside ls "/proc/$(main_pid hsd)/fd" | wc -l; }

# fuzz USER-COMMAND SECONDS MODE
fuzz() {
	run -0 "$1" timeout $(($2 + 60)) python3 $tools/bus-fuzz.py "$2" "$seed" "$3" victim
	say "$output"
	[[ $output =~ ([0-9]+)\ calls,\ ([0-9]+)\ answered,\ ([0-9]+)\ refused ]]
	((BASH_REMATCH[1] > 100 && BASH_REMATCH[2] > 0 && BASH_REMATCH[3] > 0))
}

# is_repaired: what people have for it puts it right again
is_repaired() {
	inside busctl call org.hotstandby1 "${victim[@]}" CancelUpgrade || true
	inside busctl call org.hotstandby1 "${victim[@]}" Release || true
	inside systemctl restart victim@0 victim@1
	wait_for 30 is_ready victim
	[[ $(fetch http://127.0.0.1:9731/) == 'slot='* ]]
}

# hsd_is_no_bigger PID RSS DESCRIPTORS: than it was; it is the same process
hsd_is_no_bigger() {
	is_the_same "$1" || return 1
	say "hsd: $2 kB before, $(hsd_has VmRSS) kB after; $3 descriptors before, $(hsd_descriptors) after"
	wait_for 10 eval "((\$(hsd_has VmRSS) <= $2 + 12288 && \$(hsd_descriptors) <= $3 + 2))"
}

# is_the_same PID: and has not crashed on the way
is_the_same() {
	[[ $(main_pid hsd) == "$1" ]] || fail "hsd is another process; seed $seed" || return 1
	[[ $(inside systemctl show -P NRestarts hsd) == 0 ]]
}

@test "anything at all, by a user who is nobody" {
	local pid before rss fds
	pid=$(main_pid hsd)
	before=$(status victim '[.active, .generation, .policy, .canary]')
	# what hsd has at its first large messages it keeps
	fuzz as_nobody 3 wild
	rss=$(hsd_has VmRSS) fds=$(hsd_descriptors)
	seed+=1
	fuzz as_nobody "$seconds" wild
	hsd_is_no_bigger "$pid" "$rss" "$fds"
	[[ $(status victim '[.active, .generation, .policy, .canary]') == "$before" ]]
	bystander_is_well
}

@test "anything at all, by root" {
	local pid
	pid=$(main_pid hsd)
	fuzz inside "$seconds" wild
	is_the_same "$pid"
	bystander_is_well
	is_repaired
	is_the_same "$pid"
}

@test "arguments of the right types and wrong values, by root" {
	local pid rss fds
	pid=$(main_pid hsd)
	fuzz inside 3 typed
	is_repaired
	rss=$(hsd_has VmRSS) fds=$(hsd_descriptors)
	seed+=1
	fuzz inside "$seconds" typed
	is_the_same "$pid"
	bystander_is_well
	is_repaired
	hsd_is_no_bigger "$pid" "$rss" "$fds"
}
