#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a child of PID 1 is between fork(2) and exec(2): it is in the control group of a unit, and still holds
PID 1's descriptors.

  alien.py PORT PID SECONDS    takes a copy of each socket of PID 1's that listens on PORT over IPv4, prints how many
                               there are, and stays that long in the control group that PID is in
"""
import ctypes
import os
import socket
import sys
import time

PIDFD_GETFD = 438


def copy_of(target, number):
    fd = ctypes.CDLL(None).syscall(PIDFD_GETFD, target, number, 0)
    try:
        return socket.socket(fileno=fd) if fd >= 0 else None
    except OSError:
        os.close(fd)
        return None


def listens_on(copy, port):
    return (
        copy is not None
        and copy.family == socket.AF_INET
        and copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        and copy.getsockname()[1] == port
    )


def group_of(pid):
    with open(f"/proc/{pid}/cgroup") as groups:
        return next(line.strip()[3:] for line in groups if line.startswith("0::"))


def tree():
    with open("/proc/mounts") as mounts:
        return next(line.split()[1] for line in mounts if line.split()[2] == "cgroup2")


port, pid, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
manager = os.pidfd_open(1)
copies = [copy_of(manager, int(name)) for name in os.listdir("/proc/1/fd")]
copies = [copy for copy in copies if listens_on(copy, port)]
with open(tree() + group_of(pid) + "/cgroup.procs", "w") as procs:
    procs.write(str(os.getpid()))
print(len(copies), flush=True)
time.sleep(seconds)
