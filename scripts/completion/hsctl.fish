# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion of hsctl for fish. What may come next is what "hsctl __complete" answers: a word a line, with a tab and what
# it is behind it; a line with ":" in front is for what the shell knows itself.

# Files, behind "--report=" as well.
function __hsctl_files
    set -l parts (string match -r -- '^(--[^=]+=)(.*)$' $argv[1])
    if test (count $parts) -eq 3
        for file in (__fish_complete_path $parts[3])
            echo $parts[2]$file
        end
    else
        __fish_complete_path $argv[1]
    end
end

function __hsctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -e words[1]
    for line in (hsctl __complete -- $words "$current" 2>/dev/null)
        switch $line
            case :files
                __hsctl_files "$current"
            case :hosts
                __fish_print_hostnames
            case :command
                __fish_complete_command
            case ':command *'
                __fish_complete_subcommand --fcs-skip=(math 1 + (string replace ':command ' '' -- $line))
            case '*'
                echo $line
        end
    end
end

complete -c hsctl -f -a '(__hsctl_complete)'
