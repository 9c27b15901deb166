#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion in bash, zsh and fish offers all that the command takes. Needs no container: services and slots are looked
# at in settings.bats, and the essential of all this in words.bats.
# Built: by make, of this tree
# Thorough: each word of each verb, one completion after the other, and real shells at a terminal.

bats_require_minimum_version 1.5.0

top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

setup() {
	PATH=$top/${BUILD:-build}:$PATH
	compopt() { :; } # there is no completion under way here
	source "$top/scripts/completion/hsctl.bash"
}

# offers WORD...: what may come in place of the last of them, as one line
offers() { hsctl __complete -- "$@" | cut -f1 | paste -sd' '; }

# in_bash WORD...: what bash makes of that; "--to=1" is three words there
in_bash() {
	COMP_WORDS=(hsctl "$@") COMP_CWORD=$#
	_hsctl
	echo "${COMPREPLY[*]}"
}

fail() { echo "$*" >&2 && return 1; }

is() { [[ "$1" == "$2" ]] || fail "offered: $1"; }

@test "every verb is offered" {
	is "$(offers '')" "$(hsctl --list-verbs | paste -sd' ') help"
	is "$(hsctl --list-verbs | sort)" "$(sed -nE 's/^\t\t\.name = "([a-z]+)",$/\1/p' "$top/manager/hsctl/verb_table.c" | sort)"
}

# options: all that there are, "--to=" with a value
options() {
	awk -F '"' 'function tell() { if (name != "") print "--" name value; value = "" }
		/^\t\t\.name = "/ { tell(); name = $2 }
		/^\t\t\.value = OPTION_VALUE,/ { value = "=" }
		END { tell() }' "$top/manager/hsctl/options.c"
}

# takes VERB OPTION: the command itself says so; two hosts at a time are refused behind that, so it does nothing
takes() {
	local value='' said
	case $2 in
	--then=) value=keep ;;
	*=) value=1 ;;
	esac
	said=$(hsctl "$1" -H a -M b "$2$value" 2>&1 || true)
	[[ $said == *'exclude each other'* || $said == *'too few arguments'* ]] && return 0
	[[ $said == *' takes no '* ]] || echo "# hsctl $1 $2$value: $said" >&3
	return 1
}

@test "every option is offered with each verb that takes it, and with no other" {
	local verb option offered all
	all=$(options | grep -vE -- '^--(help|version|list-verbs|host=|machine=)$')
	((${#all} > 300))
	for verb in $(hsctl --list-verbs); do
		offered=" $(offers "$verb" --) "
		for option in $all; do
			if takes "$verb" "$option"; then
				[[ $offered == *" $option "* ]] || fail "$verb: $option is not offered" || return 1
			else
				[[ $offered != *" $option "* ]] || fail "$verb: $option is offered" || return 1
			fi
		done
	done
}

@test "every option is explained, and those with a value have one offered, but for what only people know" {
	local verb option line
	while IFS= read -r line; do
		[[ $line == *$'\t'?* ]] || fail "not explained: $line" || return 1
	done < <(for verb in $(hsctl --list-verbs); do hsctl __complete -- "$verb" --; done)
	(($(options | wc -l) > 40))
	for option in $(options | grep = | grep -vxE -- '--(slot|to|machine|from)='); do
		for verb in $(hsctl --list-verbs); do
			[[ " $(offers "$verb" "$option") " != '  ' ]] || fail "$verb $option" || return 1
		done
	done
}

@test "what was given is not offered again" {
	[[ " $(offers switchover --)" == *' --to='* ]]
	[[ " $(offers switchover --to=1 --)" != *' --to='* ]]
	[[ " $(offers switchover --to 1 --)" != *' --to='* ]]
	[[ " $(offers -H web --)" != *' --host='* ]]
}

@test "arguments and values" {
	is "$(offers policy web '')" 'standby parity hash'
	is "$(offers canary web o)" off
	is "$(offers policy web hash --by=)" '--by=connection --by=client'
	is "$(offers weight web 1 '')" '0% 25% 50% 100% 200%'
	is "$(offers pin web 192.0.2.0/24 n)" none
	is "$(offers where web '')" ''
	is "$(offers --timeout 3s canary web --by=)" '--by=connection --by=client'
	is "$(offers switchover web --then=r)" --then=restart
	is "$(offers switchover web --then r)" restart
	is "$(offers drill web --scenario=cra)" --scenario=crash
	is "$(offers drill web --scenario=crash,ha)" --scenario=crash,hang
	is "$(offers drill web --scenario '' | wc -w)" 8
	is "$(offers retire '')" ''
	is "$(offers help drai)" drain
	is "$(offers help drain '')" ''
	is "$(offers exec web 1 -- ech)" ':command 4'
	is "$(offers exec web 1 ech)" ':command 3'
	is "$(offers exec web 1 --must-connect -- curl '')" ':command 5'
	is "$(offers upgrade web --smoke=cu)" ':command'
	is "$(offers drill web --report=)" ':files'
	is "$(offers config check '')" ':files'
	is "$(offers -H '')" ':hosts'
	is "$(offers frobnicate '')" ''
	# nothing is known of another machine's services
	is "$(offers -H web status '')" ''
}

@test "bash: words that it cuts up" {
	is "$(in_bash drai)" drain
	is "$(in_bash switchover web --then = r)" restart
	is "$(in_bash switchover web --then = '')" 'keep stop restart'
	is "$(in_bash drill web --scenario = crash,ha)" crash,hang
	is "$(in_bash drill web --probe = http : /)" /
	is "$(in_bash switchover --the)" --then=
	[[ $(in_bash exec web 1 -- ech) == *echo* ]]
	cd "$BATS_TEST_TMPDIR"
	touch picture.svg
	is "$(in_bash drill web --report = pict)" picture.svg
}

# tab SHELL LINE WORD...
tab() { python3 "$top/tests/system/lib/tab.py" "$@" || fail "that is what was shown of: $2"; }

@test "bash at a terminal" {
	printf '%s\n' "PS1='ready> '" "source '$top/scripts/completion/hsctl.bash'" "bind 'set show-all-if-ambiguous on'" \
		"bind 'set enable-bracketed-paste off'" >"$BATS_TEST_TMPDIR/bashrc"
	local shell="bash --rcfile $BATS_TEST_TMPDIR/bashrc -i"
	tab "$shell" 'hsctl switcho' 'ver '
	tab "$shell" 'hsctl policy web ' standby parity hash
	tab "$shell" 'hsctl switchover web --then=re' 'start '
	tab "$shell" 'hsctl exec web 1 -- ec' ho
}

@test "zsh at a terminal" {
	mkdir "$BATS_TEST_TMPDIR/functions"
	cp "$top/scripts/completion/hsctl.zsh" "$BATS_TEST_TMPDIR/functions/_hsctl"
	printf '%s\n' "PS1='ready> '" "fpath=($BATS_TEST_TMPDIR/functions \$fpath)" 'autoload -Uz compinit' 'compinit -u -D' \
		"zstyle ':completion:*' menu no" 'unsetopt auto_menu' >"$BATS_TEST_TMPDIR/.zshrc"
	touch "$BATS_TEST_TMPDIR/picture.svg"
	export ZDOTDIR=$BATS_TEST_TMPDIR
	tab 'zsh -d -i' 'hsctl switcho' 'ver '
	tab 'zsh -d -i' 'hsctl policy web ' standby parity hash
	tab 'zsh -d -i' 'hsctl switchover web --the' 'n='
	tab 'zsh -d -i' 'hsctl switchover web --then=re' 'start '
	tab 'zsh -d -i' 'hsctl dr' 'take a slot out of service' 'harm the service'
	tab 'zsh -d -i' "hsctl drill web --report=$BATS_TEST_TMPDIR/pict" ure.svg
	tab 'zsh -d -i' 'hsctl exec web 1 -- ec' ho
}

# in_fish LINE: what it offers, as one line
in_fish() {
	fish --no-config -c "source '$top/scripts/completion/hsctl.fish'; complete -C '$1'" | cut -f1 | paste -sd' '
}

@test "fish" {
	is "$(in_fish 'hsctl switcho')" switchover
	is "$(in_fish 'hsctl policy web ')" 'hash parity standby'
	is "$(in_fish 'hsctl switchover web --the')" --then=
	is "$(in_fish 'hsctl switchover web --then=re')" --then=restart
	[[ $(fish --no-config -c "source '$top/scripts/completion/hsctl.fish'; complete -C 'hsctl dr'") == *'harm the service'* ]]
	touch "$BATS_TEST_TMPDIR/picture.svg"
	is "$(in_fish "hsctl drill web --report=$BATS_TEST_TMPDIR/pict")" "--report=$BATS_TEST_TMPDIR/picture.svg"
	[[ " $(in_fish 'hsctl exec web 1 -- ec') " == *' echo '* ]]
}
