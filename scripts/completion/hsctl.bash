# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion of hsctl for bash: verbs, options, services, templates, hosts. Nothing is looked up before it is
# needed, and nothing is waited for longer than a second.

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

# The verb and its first argument among the words before the cursor: $verb, $service, $place (how many
# arguments of the verb there are).
_hsctl_parse() {
	local i word
	verb='' service='' place=0
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-H | -M | -n | --host | --machine | --lines | --timeout | --to | --settle | --drain | --then | --from | --by | --smoke | \
			--smoke-timeout | --canary | --hold | --probation | --ready | --deadline | --scenario | --repeat | --rate | \
			--probe | --max-gap | --max-lost | --report)
			# a value follows: "--to 1", or "--to=1", which arrives as three words
			[[ ${COMP_WORDS[i + 1]} != '=' ]] || ((i++))
			((i++))
			;;
		-*) ;;
		*)
			if [[ -z $verb ]]; then
				verb=$word
			else
				[[ -n $service ]] || service=$word
				((place++))
			fi
			;;
		esac
	done
}

_hsctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb service place words=''
	local common='--json --timeout= --no-block --direct --no-color --host= --machine= --help --version'
	local -A special=(
		[status]='--watch' [connections]='--list' [events]='--follow --lines='
		[switchover]='--to= --settle= --drain= --then=' [failover]='--to=' [canary]='--to= --from= --by='
		[upgrade]='--smoke= --smoke-timeout= --canary= --hold= --probation= --ready=' [drain]='--deadline='
		[drill]='--scenario= --all --repeat= --rate= --probe= --max-gap= --max-lost= --report= --yes' [history]='--lines='
	)
	local verbs='list status connections events history doctor switchover rollback failover upgrade policy canary exec
		park release drain drill enable disable prepare adopt retire'

	COMPREPLY=()
	! _hsctl_command || return 0
	[[ $cur != '=' ]] || cur=''
	[[ $prev != '=' ]] || prev=${COMP_WORDS[COMP_CWORD - 2]}
	_hsctl_parse
	case $prev in
	--then) words='keep stop restart' ;;
	--by) words='connection client' ;;
	--from) ;;
	--to) words=$(_hsctl_slots "$service") ;;
	--settle) words='0 50ms 100ms 1s' ;;
	--canary) words='1% 5% 10% 1%,10%,50%' ;;
	--hold | --probation | --ready | --deadline | --smoke-timeout) words='10s 30s 60s 5min' ;;
	--scenario) words='switchover stop crash hang slow-start bad-build manager-crash both-down' ;;
	--drain | --timeout) words='0 10s 30s 5min' ;;
	-M | --machine) words=$(machinectl list --no-legend --no-pager 2>/dev/null | cut -d' ' -f1) ;;
	-H | --host) words=$(compgen -A hostname) ;;
	-n | --lines) words='0 10 100 1000' ;;
	*)
		if [[ $cur == -* ]]; then
			words="$common ${special[$verb]}"
		elif [[ -z $verb ]]; then
			words=$verbs
		elif ((place == 0)); then
			case $verb in
			enable) words=$(_hsctl_templates) ;;
			list | prepare | adopt | retire) ;;
			*) words=$(_hsctl_services) ;;
			esac
		elif ((place == 1)); then
			case $verb in
			policy) words='standby parity hash' ;;
			canary) words='off 1% 5% 10% 50%' ;;
			exec | drain) words=$(_hsctl_slots "$service") ;;
			esac
		fi
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	[[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace
}

complete -F _hsctl hsctl
