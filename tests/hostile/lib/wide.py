#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A server with many addresses: wide.py SLOT PORT COUNT answers "slot=N" on COUNT ports from PORT on."""
import selectors
import signal
import socket
import sys

slot, port, count = (int(word) for word in sys.argv[1:4])


def listener(at):
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(('0.0.0.0', at))
    made.listen(128)
    made.setblocking(False)
    return made


def answer(connection):
    body = f'slot={slot} \n'.encode()
    connection.settimeout(1)
    with connection:
        connection.recv(4096)
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' %
                           (len(body), body))


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ready = selectors.DefaultSelector()
for number in range(count):
    ready.register(listener(port + number), selectors.EVENT_READ)
while True:
    for key, _ in ready.select():
        try:
            answer(key.fileobj.accept()[0])
        except OSError:
            pass
