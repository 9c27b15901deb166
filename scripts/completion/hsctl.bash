# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion of hsctl for bash. What may come next is what "hsctl __complete" answers: a word a line, with a tab and what
# it is behind it; a line with ":" in front is for what the shell knows itself.

# Behind "--" another command's completion goes on, where bash-completion is there to find it.
_hsctl_command() {
	local i
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == -- ]] || continue
		if declare -F _command_offset >/dev/null; then
			_command_offset $((i + 1))
			return
		fi
		break
	done
	mapfile -t COMPREPLY < <(compgen -c -f -- "$1")
}

# The words up to the cursor in $words, as they were written: bash cuts "--to=1", "http:/" and "app@.service" up.
_hsctl_words() {
	local i word joins=0
	words=()
	for ((i = 1; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if ((${#words[@]})) && { ((joins)) || [[ $word == [=:@]* ]]; }; then
			words[-1]+=$word
		else
			words+=("$word")
		fi
		joins=0
		[[ $word != *[=:@] ]] || joins=1
	done
}

_hsctl() {
	local words last cur=${COMP_WORDS[COMP_CWORD]} line before
	COMPREPLY=()
	_hsctl_words
	last=${words[-1]}
	# what bash takes to be written already
	[[ $cur != [=:@] ]] || cur=''
	before=${last%"$cur"}
	while IFS= read -r line; do
		case $line in
		:files) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur") ;;
		:hosts) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -A hostname -- "$cur") ;;
		:command*) _hsctl_command "$cur" ;;
		*) COMPREPLY+=("${line%%$'\t'*}") && COMPREPLY[-1]=${COMPREPLY[-1]#"$before"} ;;
		esac
	done < <(hsctl __complete -- "${words[@]}" 2>/dev/null)
	[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
}

complete -F _hsctl hsctl
