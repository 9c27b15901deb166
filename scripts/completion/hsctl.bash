# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion of hsctl for bash: verbs, options, services, templates, slots, hosts. Verbs, their arguments and their
# options are read from "hsctl help", so that there is no second list of them. Nothing is looked up before it is
# needed, and nothing is waited for longer than a second.

_hsctl_help() { hsctl help ${1:+"$1"} 2>/dev/null; }

_hsctl_verbs() { _hsctl_help | sed -n '/^Options/q; s/^  \([a-z][a-z-]*\)  .*/\1/p'; }

# The long options of a verb, or those that all have; with a "=" behind what takes a value.
_hsctl_options() { _hsctl_help "$1" | sed -nE 's/^ +(-[A-Za-z], )?(--[a-z][a-z-]*=?).*/\2/p'; }

_hsctl_services() {
	hsctl list --json --timeout=1s 2>/dev/null | grep -o '"service":"[^"]*"' | cut -d'"' -f4
}

_hsctl_templates() {
	systemctl list-unit-files --no-legend --no-pager --type=service '*@.service' 2>/dev/null |
		cut -d' ' -f1
}

_hsctl_slots() {
	[[ -n $1 ]] || return
	hsctl status "$1" --json --timeout=1s 2>/dev/null | grep -o '"slot":[0-9]*' | cut -d: -f2
}

# One or several with commas: what stands before the last one is kept.
_hsctl_scenarios() {
	local before='' word
	[[ $1 != *,* ]] || before=${1%,*},
	for word in $(_hsctl_help drill | sed -n '/--scenario=/,/--all/p' | sed '/--all/d; s/.*of: //; s/,/ /g'); do
		echo "$before$word"
	done
}

# Behind "--" another command's completion goes on, where bash-completion is there to find it.
_hsctl_command() {
	local i
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == -- ]] || continue
		if declare -F _command_offset >/dev/null; then
			_command_offset $((i + 1))
		else
			mapfile -t COMPREPLY < <(compgen -c -f -- "$cur")
		fi
		return 0
	done
	return 1
}

# Whether a value follows this option: "--to 1", or "--to=1", which arrives as three words.
_hsctl_takes_value() {
	case $1 in
	-H | -M | -n) return 0 ;;
	--*) _hsctl_options "$verb" | grep -qxF -- "$1=" ;;
	*) return 1 ;;
	esac
}

# The verb and its first argument among the words before the cursor: $verb, $service, $place (how many
# arguments of the verb there are).
_hsctl_parse() {
	local i word
	verb='' service='' place=0
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == -* ]]; then
			_hsctl_takes_value "$word" || continue
			[[ ${COMP_WORDS[i + 1]} != '=' ]] || ((i++))
			((i++))
		elif [[ -z $verb ]]; then
			verb=$word
		else
			[[ -n $service ]] || service=$word
			((place++))
		fi
	done
}

# The argument at $place, by the line that says how the verb is used: "hsctl canary SERVICE SHARE%|off".
_hsctl_argument() {
	local usage what
	read -ra usage < <(_hsctl_help "$verb")
	what=${usage[place + 2]}
	case $what in
	SERVICE | '[SERVICE]' | '|' | --outdated) _hsctl_services ;;
	TEMPLATE) _hsctl_templates ;;
	SLOT) _hsctl_slots "$service" ;;
	'SHARE%|off') echo 'off 1% 5% 10% 50%' ;;
	[a-z]*'|'*) echo "${what//|/ }" ;;
	esac
}

# The value of an option; 2 when there is no such option.
_hsctl_value() {
	case $1 in
	--then) echo 'keep stop restart' ;;
	--by) echo 'connection client' ;;
	--to) _hsctl_slots "$service" ;;
	--slot)
		_hsctl_slots "$service"
		echo park
		;;
	--scenario) _hsctl_scenarios "$cur" ;;
	--probe) echo 'tcp http:/' ;;
	--repeat) echo '3 10 100' ;;
	--rate) echo '10 100 1000' ;;
	--max-lost) echo '0 1 10' ;;
	--settle | --max-gap) echo '50ms 100ms 1s 5s' ;;
	--idle | --drain | --timeout | --smoke-timeout | --hold | --probation | --ready | --deadline) echo '0 10s 30s 5min' ;;
	--canary) echo '1%,10%,50%' ;;
	--report) compgen -f -X '!*.@(json|svg|html)' -- "$cur" ;;
	--path) compgen -f -- "$cur" ;;
	--smoke) compgen -c -- "$cur" ;;
	-M | --machine) machinectl list --no-legend --no-pager 2>/dev/null | cut -d' ' -f1 ;;
	-H | --host) compgen -A hostname ;;
	-n | --lines) echo '0 10 100 1000' ;;
	--from)
		[[ $verb != enable ]] || systemctl list-units --no-legend --no-pager --plain --type=service \
			--state=active 2>/dev/null | cut -d' ' -f1
		;;
	*) return 2 ;;
	esac
}

_hsctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb service place words=''

	COMPREPLY=()
	! _hsctl_command || return 0
	[[ $cur != '=' ]] || cur=''
	[[ $prev != '=' ]] || prev=${COMP_WORDS[COMP_CWORD - 2]}
	_hsctl_parse
	words=$(_hsctl_value "$prev")
	if (($? == 2)); then
		if [[ $cur == -* ]]; then
			words=$(_hsctl_options "$verb")
		elif [[ -z $verb ]]; then
			words="$(_hsctl_verbs) help"
		elif [[ $verb == help ]]; then
			((place)) || words=$(_hsctl_verbs)
		else
			words=$(_hsctl_argument)
		fi
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	[[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace
}

complete -F _hsctl hsctl
