#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that ask one after the other and wait as long as it takes: clients.py KIND PORT CLIENTS REQUESTS PATH

KIND: http (a connection for each request), post (with a body of 300 kB), fcgi (PATH is SCRIPT?QUERY).
Prints "answered=N cut=N": answers that have "slot=" in them, and all else.
"""

import socket
import struct
import sys
import threading


def receive_all(connection):
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(90)
    return connection


def ask_http(port, path, body=b""):
    with connect(port) as connection:
        verb = "POST" if body else "GET"
        head = f"{verb} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return receive_all(connection)


def record(kind, content):
    return struct.pack("!BBHHBx", 1, kind, 1, len(content), 0) + content


def ask_fcgi(port, path):
    script, _, query = path.partition("?")
    parameters = {"SCRIPT_FILENAME": script, "REQUEST_METHOD": "GET", "QUERY_STRING": query}
    pairs = b"".join(bytes([len(k), len(v)]) + k.encode() + v.encode() for k, v in parameters.items())
    with connect(port) as connection:
        connection.sendall(record(1, struct.pack("!HB5x", 1, 0)) + record(4, pairs) + record(4, b"") + record(5, b""))
        return receive_all(connection)


def ask(kind, port, path):
    if kind == "fcgi":
        return ask_fcgi(port, path)
    return ask_http(port, path, b"x" * 300000 if kind == "post" else b"")


def main():
    kind, port, clients, requests, path = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    results = []

    def client():
        for _ in range(requests):
            try:
                results.append(b"slot=" in ask(kind, port, path))
            except OSError:
                results.append(False)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"answered={results.count(True)} cut={results.count(False)}")


main()
