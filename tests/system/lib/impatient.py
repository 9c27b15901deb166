#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that lose patience: impatient.py PORT SECONDS close|reset

Connects again and again, asks for something, and after 50 ms in vain closes or resets the connection.
"""

import socket
import struct
import sys
import time


def main():
    end = time.monotonic() + float(sys.argv[2])
    n = 0
    while time.monotonic() < end:
        client = socket.socket()
        client.settimeout(0.05)
        try:
            client.connect(("127.0.0.1", int(sys.argv[1])))
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            client.recv(1)
        except OSError:
            pass
        if sys.argv[3] == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        n += 1
    print(n)


main()
