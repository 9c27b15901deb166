# SPDX-License-Identifier: GPL-2.0-or-later
"""lock.py PID PORT: borrows the listening socket of a process, and asks for its lock.

Prints "locked" when it has had it. It does not come back while the owner of the socket holds the lock.
"""
import ctypes
import os
import socket
import sys

PIDFD_OPEN, PIDFD_GETFD = 434, 438
libc = ctypes.CDLL(None, use_errno=True)


def sockets(pid):
    for name in os.listdir(f'/proc/{pid}/fd'):
        try:
            if os.readlink(f'/proc/{pid}/fd/{name}').startswith('socket:'):
                yield int(name)
        except OSError:
            pass


def main():
    pid, port = int(sys.argv[1]), int(sys.argv[2])
    pidfd = libc.syscall(PIDFD_OPEN, pid, 0)
    for number in sockets(pid):
        fd = libc.syscall(PIDFD_GETFD, pidfd, number, 0)
        borrowed = socket.socket(fileno=fd)
        # what is asked here needs no lock
        if borrowed.family == socket.AF_INET6 and borrowed.getsockname()[1] == port:
            borrowed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            print('locked', flush=True)
            return


main()
