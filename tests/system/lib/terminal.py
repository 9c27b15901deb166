# SPDX-License-Identifier: GPL-2.0-or-later
# terminal.py PASSWORD CMD...: runs it on a terminal of its own, and gives the password each time that it is asked for.
# Prints what is to be read there; its exit status is the command's.
import os
import pty
import sys
import termios
import time

password, command = sys.argv[1], sys.argv[2:]
pid, fd = pty.fork()
if not pid:
    os.execvp(command[0], command)
seen = b""


def wait_for_no_echo():
    """What is typed before is thrown away, as the echo is turned off."""
    end = time.monotonic() + 20
    while termios.tcgetattr(fd)[3] & termios.ECHO and time.monotonic() < end:
        time.sleep(0.01)


while True:
    try:
        part = os.read(fd, 4096)
    except OSError:  # the last one at the terminal has left
        break
    if not part:
        break
    sys.stdout.buffer.write(part)
    sys.stdout.flush()
    seen += part
    if b"assword:" in seen:
        seen = b""
        wait_for_no_echo()
        os.write(fd, password.encode() + b"\n")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
