#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A server of the old school: prefork.py PORT SLOT WORKERS

One listening socket, opened by the parent and inherited by the workers that accept on it. The parent lives
on and ends with its workers.
"""

import os
import signal
import socket
import sys


def serve(listener, text):
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode() + text)


def main():
    port, slot, workers = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", port))
    listener.listen(512)
    for _ in range(workers):
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            serve(listener, f"slot={slot} pid={os.getpid()}\n".encode())
    for _ in range(workers):
        os.wait()


main()
