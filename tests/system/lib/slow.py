#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A server that is slow but accepts: slow.py PORT SLOT PAUSE BACKLOG SOCKETS

Accepts one connection, from one of its sockets after the other, answers it and pauses for so many seconds.
With PAUSE 0 it is as fast as this gets.
"""

import select
import socket
import sys
import time


def listen(port, backlog):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", port))
    listener.listen(backlog)
    return listener


def answer(listener, text):
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(0.2)
        try:
            connection.recv(65536)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode() + text)
        except OSError:
            pass


def main():
    port, slot, pause = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    backlog, count = int(sys.argv[4]), int(sys.argv[5])
    listeners = [listen(port, backlog) for _ in range(count)]
    turn = 0
    while True:
        ready, _, _ = select.select(listeners, [], [])
        # the next one that has something: each gets its turn
        while listeners[turn % count] not in ready:
            turn += 1
        answer(listeners[turn % count], f"slot={slot} \n".encode())
        turn += 1
        time.sleep(pause)


main()
