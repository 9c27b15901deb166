#compdef hsctl
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion of hsctl for zsh. What may come next is what "hsctl __complete" answers: a word a line, with a tab and what
# it is behind it; a line with ":" in front is for what the shell knows itself.

local -a before plain assigned
local line word

before=("${(@Q)words[2,CURRENT-1]}")
for line in "${(@f)$(_call_program offers hsctl __complete -- "${(@qq)before}" "${(qq)${(Q)PREFIX}}")}"; do
	case $line in
	'') ;;
	:files)
		compset -P '--[^=]#='
		_files
		;;
	:hosts)
		compset -P '--[^=]#='
		compset -P '*@'
		_hosts
		;;
	:command)
		compset -P '--[^=]#='
		_command_names -e
		;;
	:command\ *)
		shift ${line#* } words
		shift words
		((CURRENT -= ${line#* } + 1))
		_normal
		;;
	*)
		word=${${line%%$'\t'*}//:/\\:}
		[[ $line != *$'\t'* ]] || word+=:${line#*$'\t'}
		if [[ ${line%%$'\t'*} == *= ]]; then
			assigned+=("$word")
		else
			plain+=("$word")
		fi
		;;
	esac
done
((! $#plain)) || _describe hsctl plain
((! $#assigned)) || _describe hsctl assigned -S ''
