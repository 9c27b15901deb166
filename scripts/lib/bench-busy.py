#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Many services that are busy, on a machine with many listeners that are nobody's.

  bench-busy.py listen COUNT          opens so many on free ports, says "open", and ends when stdin does
  bench-busy.py ask FIRST COUNT SECONDS
                                      connects to so many ports from FIRST on by turns, 4 times a second to each
"""

import resource
import socket
import sys
import time

EACH = 0.25
REQUEST = b"GET / HTTP/1.0\r\n\r\n"


def listen(count):
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
    listeners = [socket.socket() for _ in range(count)]
    for listener in listeners:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
    print("open", flush=True)
    sys.stdin.read()


def ask(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(REQUEST)
        return connection.recv(1024).startswith(b"HTTP/1.")


def ask_all(first, count, seconds):
    begun, answered, turn = time.monotonic(), 0, 0
    while time.monotonic() < begun + seconds:
        answered += ask(first + turn % count)
        turn += 1
        time.sleep(max(0, begun + turn * EACH / count - time.monotonic()))
    print(answered, "of", turn)


if sys.argv[1] == "listen":
    listen(int(sys.argv[2]))
else:
    ask_all(*map(int, sys.argv[2:5]))
