#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion for bash offers all that the command takes. Needs no container: "hsctl help" is all that it asks, and
# services are made up here.
# Thorough: each word of each verb, one completion after the other.

bats_require_minimum_version 1.5.0

top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

setup() {
	PATH=$BATS_TEST_TMPDIR:$PATH
	cat >"$BATS_TEST_TMPDIR/hsctl" <<-END
		#!/bin/bash
		case "\$*" in
		list*) echo '[{"service":"app","slots":2},{"service":"web","slots":2}]' ;;
		'status web'*) echo '{"service":"web","slots":[{"slot":0},{"slot":1}]}' ;;
		*) exec "$top/${BUILD:-build}/hsctl" "\$@" ;;
		esac
	END
	chmod +x "$BATS_TEST_TMPDIR/hsctl"
	compopt() { :; } # there is no completion under way here
	source "$top/scripts/completion/hsctl.bash"
}

# offers WORD...: what is offered for the last of them, as one line; "--to=1" is three words, as in bash
offers() {
	COMP_WORDS=(hsctl "$@") COMP_CWORD=$#
	_hsctl
	echo "${COMPREPLY[*]}"
}

fail() { echo "$*" >&2 && return 1; }

is() { [[ "$1" == "$2" ]] || { echo "offered: $1" >&2 && return 1; }; }

@test "every verb is offered" {
	local verb offered
	offered=" $(offers '') "
	while read -r verb; do
		[[ $offered == *" $verb "* ]] || { echo "$verb is not among: $offered" >&2 && return 1; }
	done < <(sed -nE 's/^\t\t\.name = "([a-z]+)",$/\1/p' "$top/manager/hsctl/verbs.c")
	is "$(offers drai)" drain
}

@test "every option that the command takes is offered with some verb" {
	local verb option offered=' '
	for verb in $(_hsctl_verbs); do
		offered+="$(offers "$verb" --) "
	done
	while read -r option; do
		[[ $offered =~ \ --$option=?\  ]] || { echo "--$option is not offered" >&2 && return 1; }
	done < <(sed -nE 's/^\t\{"([a-z-]+)", [a-z_]+, NULL, .*/\1/p' "$top/manager/hsctl/arguments.c")
}

# takes VERB OPTION: the command itself says so; two hosts at a time are refused behind that, so it does nothing
takes() {
	local value='' said
	case $2 in
	--then=) value=keep ;;
	*=) value=1 ;;
	esac
	said=$("$top/${BUILD:-build}/hsctl" "$1" -H a -M b "$2$value" 2>&1 || true)
	[[ $said == *'exclude each other'* || $said == *'too few arguments'* ]] && return 0
	[[ $said == *' takes no '* ]] || echo "# hsctl $1 $2$value: $said" >&3
	return 1
}

@test "every option is offered with each verb that takes it, and with no other" {
	local verb option offered options
	options=$(sed -nE 's/^\t\{"([a-z-]+)", (required)?[a-z_]*, NULL, .*/--\1 \2/p' "$top/manager/hsctl/arguments.c" |
		sed 's/ required/=/; s/ $//' | grep -vE -- '^--(help|version)$')
	for verb in $(_hsctl_verbs); do
		offered=" $(offers "$verb" --) "
		for option in $options; do
			if takes "$verb" "$option"; then
				[[ $offered == *" $option "* ]] || fail "$verb: $option is not offered" || return 1
			else
				[[ $offered != *" $option "* ]] || fail "$verb: $option is offered" || return 1
			fi
		done
	done
}

@test "every option that takes a value has a case of its own" {
	local verb option prev service='' cur=''
	for verb in $(_hsctl_verbs); do
		for option in $(_hsctl_options "$verb" | grep =); do
			run _hsctl_value "${option%=}"
			((status != 2)) || { echo "$verb $option" >&2 && return 1; }
		done
	done
}

@test "arguments and values" {
	is "$(offers status '')" 'app web'
	is "$(offers drill w)" web
	is "$(offers exec web '')" '0 1'
	is "$(offers drain web '')" '0 1'
	is "$(offers policy web '')" 'standby parity hash'
	is "$(offers canary web o)" off
	is "$(offers canary web 5% --to = '')" '0 1'
	is "$(offers --timeout 3s canary web --by = c)" 'connection client'
	is "$(offers canary --from 10.0.0.0/8 w)" web
	is "$(offers switchover web --then = r)" restart
	is "$(offers drill web --scenario = cra)" crash
	is "$(offers drill web --scenario = crash,ha)" crash,hang
	is "$(offers drill web --scenario = '' | wc -w)" 8
	is "$(offers retire '')" ''
	is "$(offers help drai)" drain
	[[ $(offers exec web 1 -- ech) == *echo* ]]
}
