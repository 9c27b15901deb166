#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A UDP socket with SO_REUSEADDR on a port of others.

  bind.py once PORT          prints "bound" or what the kernel said
  bind.py again PORT FILE    tries again and again until it is told to end (SIGTERM), then writes to FILE how often
                             it tried and how often it was let in: "4711 0"
"""
import signal
import socket
import sys


def bind(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            thief.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror
    return "bound"


def bind_again(port, path):
    tried = bound = 0
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    while not ended:
        tried += 1
        bound += bind(port) == "bound"
    with open(path, "w") as result:
        print(tried, bound, file=result)


if sys.argv[1] == "once":
    print(bind(int(sys.argv[2])))
else:
    bind_again(int(sys.argv[2]), sys.argv[3])
