# SPDX-License-Identifier: GPL-2.0-or-later
#
#   tab.py SHELL LINE WORD...    types LINE and the tabulator into an interactive shell, twice, and waits until it has
#                                shown each WORD; SHELL is a command line. Its prompt has to be "ready> ".
# Fails, and prints what was shown, when that does not happen.
import os
import pty
import re
import select
import shlex
import sys
import time

shell, line, *words = sys.argv[1:]
patience = 30

child, terminal = pty.fork()
if child == 0:
    os.environ["TERM"] = "xterm"
    os.environ["COLUMNS"] = "200"
    os.execvp(shlex.split(shell)[0], shlex.split(shell))

shown = ""


def wait_for(what):
    """Reads on until that can be seen."""
    global shown
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                return False
            shown += re.sub(r"\x1b(\[[0-9;?]*[a-zA-Z]|[=>]|\][^\a]*\a)", "", data.decode(errors="replace"))
        if what(shown):
            return True
    return False


ok = wait_for(lambda text: "ready> " in text)
if ok:
    os.write(terminal, line.encode())
    ok = wait_for(lambda text: text.rstrip().endswith(line.rstrip()[-8:]))
    shown = ""
    os.write(terminal, b"\t\t")
    ok = ok and wait_for(lambda text: all(word in text for word in words))
if not ok:
    print(shown)
os.close(terminal)
os.waitpid(child, 0)
sys.exit(0 if ok else 1)
