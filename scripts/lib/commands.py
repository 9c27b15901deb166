#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# commands.py FILE...: the commands that these shell scripts call, a line each: "COMMAND FILE:LINE". Functions of one of
# the files, builtins, and what comes out of a variable are left out.
import re
import sys

BUILTINS = set('''. : [ alias bg break builtin caller cd command compgen complete compopt continue coproc declare disown
echo enable eval exec exit export false fg getopts hash help history jobs kill let local logout mapfile popd printf
pushd pwd read readarray readonly return select set shift shopt source suspend test time times trap true type typeset
ulimit umask unalias unset until wait'''.split())
BEFORE_COMMANDS = set('if then elif else while until do ! { time && ||'.split())
CLOSING = set('fi done esac }'.split())
# commands that run the command that is named behind them: which options have a word of their own, and how many words
# stand before the command. Ours, too.
RUNNERS = {
    'env': ('-u -C -S', 0), 'exec': ('-a', 0), 'command': ('', 0), 'timeout': ('-s -k', 1), 'nice': ('-n', 0),
    'xargs': ('-n -I -P -d -L', 0), 'setpriv': ('--pdeathsig', 0), 'nsenter': ('-t -S -G', 0), 'chroot': ('', 1), 'unshare': ('--propagation', 0),
    'setsid': ('', 0), 'nohup': ('', 0), 'stdbuf': ('-o -e -i', 0), 'time': ('-f -o', 0), 'systemd-run': ('-p -u -M', 0),
    'inside': ('', 0), 'run': ('-', 0), 'as_nobody': ('', 0), 'wait_for': ('', 1), 'container_run': ('', 1), 'try': ('', 1),
    'run_tap': ('', 1), 'as_tap': ('', 0), 'prlimit': ('', 0), 'flock': ('-w', 1),
}
NAME = re.compile(r'^[A-Za-z_][A-Za-z0-9_.+-]*$')
OPERATORS = re.compile(r'\|\||&&|;;&|;;|;&|\|&|[;|&\n]')
REDIRECTION = re.compile(r'[0-9]*(<<<|&>>|&>|>&|<&|>>|>\||<>|<|>)')


class Shell:
    """One text of shell. What is in quotes behind -c is one, too."""

    def __init__(self, text, line, found, functions):
        self.text, self.at, self.first_line = text, 0, line
        self.found, self.functions, self.heredocs = found, functions, []

    def line(self):
        return self.first_line + self.text.count('\n', 0, self.at)

    def inner(self, text):
        Shell(text, self.line(), self.found, self.functions).commands(None)

    def skip_blanks(self):
        while self.at < len(self.text):
            if self.text.startswith('\\\n', self.at):
                self.at += 2
            elif self.text[self.at] in ' \t':
                self.at += 1
            elif self.text[self.at] == '#':
                end = self.text.find('\n', self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                return

    def balanced(self, opening, closing):
        """Behind the opening one: on to behind its partner."""
        depth = 1
        while self.at < len(self.text) and depth:
            if not self.quoted():
                depth += {opening: 1, closing: -1}.get(self.text[self.at], 0)
                self.at += 1

    def double_quotes(self):
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] != '"':
            if self.text[self.at] == '\\':
                self.at += 2
            elif not self.expansion():
                self.at += 1
        self.at += 1

    def expansion(self):
        text = self.text
        if text.startswith('$((', self.at):
            self.at += 2
            self.balanced('(', ')')
        elif text.startswith('$(', self.at):
            self.at += 2
            self.commands(')')
        elif text.startswith('${', self.at):
            self.at += 2
            self.balanced('{', '}')
        elif text[self.at] == '`':
            self.at += 1
            self.commands('`')
        else:
            return False
        return True

    def quoted(self):
        char = self.text[self.at]
        if char == '\\':
            self.at += 2
        elif char == "'":
            end = self.text.find("'", self.at + 1)
            if self.text[self.at - 1] == '$':
                while end > 0 and self.text[end - 1] == '\\':
                    end = self.text.find("'", end + 1)
            self.at = len(self.text) if end < 0 else end + 1
        elif char == '"':
            self.double_quotes()
        else:
            return self.expansion()
        return True

    def word(self):
        """The next word as it is written; '' where none is."""
        begin = self.at
        while self.at < len(self.text) and self.text[self.at] not in ' \t\n;|&()<>':
            if not self.quoted():
                self.at += 1
            if self.text[self.at:self.at + 1] == '(' and self.text[self.at - 1] in '=?*+@!' and self.at > begin:
                self.at += 1
                self.balanced('(', ')')
        return self.text[begin:self.at]

    def redirection(self):
        """True: there was one, and it is behind us."""
        if self.text[self.at] in '<>' and self.text[self.at + 1:self.at + 2] == '(':
            self.at += 2
            self.commands(')')
            return True
        match = REDIRECTION.match(self.text, self.at)
        if not match:
            return False
        here = match.group(1) == '<' and self.text.startswith('<<', match.start(1))
        self.at = match.end() + (1 if here else 0)
        if here and self.text[self.at:self.at + 1] == '-':
            self.at += 1
        self.skip_blanks()
        if self.text[self.at:self.at + 1] in ('<', '>'):
            return self.redirection()
        target = self.word()
        if here:
            self.heredocs.append(target.strip('\'"').replace('\\', ''))
        return True

    def newline(self):
        self.at += 1
        for end in self.heredocs:
            match = re.compile(r'^\t*' + re.escape(end) + r'$', re.M).search(self.text, self.at)
            self.at = min(match.end() + 1, len(self.text)) if match else len(self.text)
        self.heredocs = []

    def words(self, command=''):
        """What is left of a simple command."""
        words, shells = [], ('sh', 'bash', '/bin/sh', '/bin/bash')
        while True:
            self.skip_blanks()
            if self.at >= len(self.text):
                return words
            if self.redirection():
                continue
            if self.text[self.at] in '\n;|&)':
                return words
            if self.text[self.at] == '(':
                self.at += 1
                self.balanced('(', ')')
                continue
            word = self.word()
            if not word:
                self.at += 1
            if word[:1] in ('"', "'") and words and re.match(r'^-[a-z]*c$', words[-1]):
                if next((w for w in reversed(words) if not w.startswith('-')), command) in shells:
                    self.inner(word[1:-1])
            words.append(word)

    def note(self, name, line):
        name = name.strip('\'"')
        if name.startswith('/') and not name.startswith('/tmp'):
            name = name.rsplit('/', 1)[1]
        if NAME.match(name):
            self.found.append((name, line))

    def run(self, command, words, line):
        self.note(command, line)
        if command not in RUNNERS:
            return
        with_word, skipped = RUNNERS[command]
        while words:
            word = words.pop(0)
            if word in with_word.split():
                words[:1] = []
            elif word == '-v' and command == 'command':
                return
            elif word.startswith('-') or word == '!' or re.match(r'^\w+=', word):
                continue
            elif skipped:
                skipped -= 1
            else:
                return self.run(word, words, line)

    def case(self):
        """Behind `case`: on to behind `esac`."""
        self.words_until_in()
        while self.at < len(self.text):
            self.skip_blanks()
            if self.text.startswith('esac', self.at):
                self.at += 4
                return
            if self.text[self.at:self.at + 1] in ('\n', '('):
                self.at += 1
                continue
            while self.at < len(self.text) and self.text[self.at] != ')':
                if not self.quoted():
                    self.at += 1
            self.at += 1
            self.commands(';;')

    def words_until_in(self):
        while self.at < len(self.text):
            self.skip_blanks()
            if self.word() == 'in':
                return

    def compound(self, word):
        """What begins with this word and is no simple command; False: nothing of that kind."""
        if word == 'case':
            self.case()
        elif word in ('for', 'select'):
            self.words()
        elif word == 'function':
            self.skip_blanks()
            self.functions.add(self.word())
        elif word == '[[':
            while self.at < len(self.text) and not re.match(r'\s\]\]', self.text[self.at:self.at + 3]):
                if not self.quoted():
                    self.at += 1
            self.at += 3
        elif word == '@test':
            self.skip_blanks()
            self.word()
        elif word not in BEFORE_COMMANDS and word not in CLOSING:
            return False
        return True

    def simple(self):
        line = self.line()
        word = self.word()
        if self.text.startswith('()', self.at):
            self.functions.add(word)
            self.at += 2
        elif re.match(r'^\w+(\[[^]]*\])?\+?=', word):
            pass
        elif not word:
            self.at += 1
        elif not self.compound(word):
            self.run(word, self.words(word), line)

    def commands(self, closing):
        """Up to behind `closing`, or the end."""
        while self.at < len(self.text):
            self.skip_blanks()
            if self.at >= len(self.text):
                return
            if closing == ';;' and self.text.startswith('esac', self.at):
                return
            operator = OPERATORS.match(self.text, self.at)
            if self.text[self.at] == closing:
                self.at += 1
                return
            if self.text[self.at] == '\n':
                self.newline()
            elif operator and not REDIRECTION.match(self.text, self.at):
                self.at = operator.end()
                if closing == ';;' and operator.group().startswith((';;', ';&')):
                    return
            elif self.text.startswith('((', self.at):
                self.at += 1
                self.balanced('(', ')')
            elif self.text[self.at] == '(':
                self.at += 1
                self.commands(')')
            elif not self.redirection():
                self.simple()


def main():
    functions, everywhere = set(), []
    for path in sys.argv[1:]:
        with open(path, encoding='utf-8') as file:
            text = file.read()
        found = []
        Shell(text, 1, found, functions).commands(None)
        everywhere += [(name, path, line) for name, line in found]
    for name, path, line in everywhere:
        if name not in functions and name not in BUILTINS:
            print(f'{name} {path}:{line}')


main()
