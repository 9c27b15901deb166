#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command and does something as soon as it tells of a step: at_step.py [--terminal] STEP DEED COMMAND...

Prints what the command prints, and ends as it does (128 and more: by a signal). DEED is for the shell,
with $PID of the command; "hangup" takes the command's terminal away. With --terminal its output is a
terminal of its own.
"""
import os
import pty
import subprocess
import sys

arguments = sys.argv[1:]
terminal = arguments[0] == '--terminal'
step, deed, *command = arguments[terminal:]


def start():
    if not terminal:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return child.pid, child.stdout.fileno()
    pid, fd = pty.fork()
    if not pid:
        os.execvp(command[0], command)
    return pid, fd


def read(fd):
    try:
        return os.read(fd, 4096)
    except OSError:  # the terminal's other side is gone
        return b''


def act(pid, fd):
    if deed == 'hangup':
        os.close(fd)
        return False
    subprocess.run(deed, shell=True, env={**os.environ, 'PID': str(pid)}, check=True)
    return True


pid, fd = start()
seen, done, more = b'', False, True
while more and (part := read(fd)):
    os.write(1, part)
    seen += part
    lines = seen.replace(b'\r\x1b[K', b'\n').split(b'\n')
    if not done and any(line.startswith(step.encode() + b':') for line in lines):
        done = True
        more = act(pid, fd)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
if not done:
    print(f'at_step.py: there was no step "{step}"')
    status = 99
sys.exit(status if status >= 0 else 128 - status)
