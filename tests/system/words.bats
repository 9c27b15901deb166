#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the command says of itself is what its manuals say. Needs no container.
# Built: by make, of this tree

bats_require_minimum_version 1.5.0

top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
hsctl=$top/${BUILD:-build}/hsctl

@test "every setting is in the manual with its default, its bounds and its words, and no other is" {
	"$hsctl" config --schema | python3 "$top/tests/system/lib/manual_keys.py" "$top/man/hotstandby.conf.5"
}

@test "that comparison sees what differs" {
	local edit
	for edit in 's/^At most 10min/At most 9min/' 's/^Default: 65536/Default: 6/' 's/^.It Va Text=/.It Va Texts=/' \
		's/^.It Cm forced/.It Cm forcibly/'; do
		sed "$edit" "$top/man/hotstandby.conf.5" >"$BATS_TEST_TMPDIR/manual"
		! "$hsctl" config --schema | python3 "$top/tests/system/lib/manual_keys.py" "$BATS_TEST_TMPDIR/manual" ||
			return 1
	done
}

# offers WORD...: what may come in place of the last of them, as one line
offers() { "$hsctl" __complete -- "$@" | cut -f1 | paste -sd' '; }

# in_shell COMMAND...: with the command in $PATH
in_shell() { env PATH="$(dirname "$hsctl"):$PATH" "$@" | cut -f1 | paste -sd' '; }

@test "completion, in bash, zsh and fish; completion.bats has all of it" {
	[[ $(offers '') == "$("$hsctl" --list-verbs | paste -sd' ') help" ]]
	[[ $(offers switchover app --the) == --then= ]]
	[[ $(offers policy app '') == 'standby parity hash' ]]
	[[ $(in_shell fish --no-config -c "source '$top/scripts/completion/hsctl.fish'; complete -C 'hsctl policy app '") \
		== 'hash parity standby' ]]
	# shellcheck disable=SC2016 # for that bash
	[[ $(in_shell bash -c "source '$top/scripts/completion/hsctl.bash'"';
		COMP_WORDS=(hsctl switchover app --then = r) COMP_CWORD=5; _hsctl; echo "${COMPREPLY[@]}"') == restart ]]
	zsh -n "$top/scripts/completion/hsctl.zsh"
}

@test "version" {
	[[ $("$hsctl" version) == "$("$hsctl" --version)" ]]
	[[ $("$hsctl" version --json | jq -r .version) == "$("$hsctl" --version | cut -d' ' -f2)" ]]
}
