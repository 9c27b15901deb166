#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams for the tests.

  dgram.py serve PORT SLOT    answers "slot=SLOT" to each, on 0.0.0.0 and on [::]; tells systemd when it is ready
  dgram.py ask ADDRESS PORT COUNT
                              asks so often, each time from a new socket, and prints how many answers of each kind
                              there were: "100 slot=1"; "none" is one that did not come in 5 s
"""
import collections
import os
import select
import socket
import sys


def open_socket(family, address, port):
    server = socket.socket(family, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind((address, port))
    return server


def tell_ready():
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", "\0" + path[1:] if path[0] == "@" else path)


def serve(port, slot):
    servers = [open_socket(socket.AF_INET, "0.0.0.0", port), open_socket(socket.AF_INET6, "::", port)]
    tell_ready()
    while True:
        for server in select.select(servers, [], [])[0]:
            sender = server.recvfrom(4096)[1]
            server.sendto(b"slot=%d\n" % slot, sender)


def ask_once(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(b"?\n", (address, port))
        try:
            return client.recv(64).decode().strip()
        except TimeoutError:
            return "none"


def ask(address, port, count):
    answers = collections.Counter(ask_once(address, port) for _ in range(count))
    print(" ".join(f"{n} {answer}" for answer, n in sorted(answers.items())))


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]), int(sys.argv[3]))
else:
    ask(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
