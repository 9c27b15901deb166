#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""edges.py PORT FILE: listens, accepts nothing, and writes a byte to FILE each time that it is woken."""
import select
import socket
import sys

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
listener.bind(("0.0.0.0", int(sys.argv[1])))
listener.listen(64)
epoll = select.epoll()
epoll.register(listener, select.EPOLLIN | select.EPOLLET)
with open(sys.argv[2], "wb", buffering=0) as out:
    while True:
        epoll.poll()
        out.write(b".")
