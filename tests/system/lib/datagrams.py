#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A UDP server that answers every datagram with its slot, and its client.
#
#   datagrams.py SLOT [--port=PORT] [--delay=SECONDS] [--deaf] [--env] [--ask-from=PORT] [--tcp=PORT]
#                      [--connected]      with a socket for each client, as servers of DTLS have them
#   datagrams.py ask PORT [SOURCE-PORT [PAYLOAD-IN-HEX]]     prints the answer
#   datagrams.py send PORT COUNT                             asks, and does not listen
import os
import select
import signal
import socket
import sys
import time


def options(arguments):
    return dict(a[2:].partition("=")[::2] for a in arguments if a.startswith("--"))


def notify(text):
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(text, "\0" + path[1:] if path[0] == "@" else path)


def open_server(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("0.0.0.0", port))
    return s


def open_listener(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("0.0.0.0", port))
    s.listen()
    return s


def serve_each(slot, s):
    """A client's datagrams come by a socket of its own, once there is one."""
    clients = {}
    while True:
        for ready in select.select([s, *clients.values()], [], [])[0]:
            _, peer = ready.recvfrom(2048)
            if peer not in clients:
                clients[peer] = open_server(s.getsockname()[1])
                clients[peer].connect(peer)
            clients[peer].send(slot.encode())


def serve(slot, o):
    listener = open_listener(int(o["tcp"])) if "tcp" in o else None
    time.sleep(float(o.get("delay", 0)))
    s = open_server(int(o["port"])) if "port" in o else socket.socket(fileno=3)
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if "ask-from" in o:
        asking.bind(("0.0.0.0", int(o["ask-from"]) + int(slot)))
    if "env" in o:
        slot = os.environ["HOTSTANDBY_SLOT"]
    notify(b"READY=1")
    while "deaf" in o:
        signal.pause()
    if "connected" in o:
        serve_each(slot, s)
    while listener is None or listener.fileno() >= 0:
        _, peer = s.recvfrom(2048)
        s.sendto(slot.encode(), peer)


def open_client(arguments):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    if len(arguments) > 1:
        s.bind(("127.0.0.1", int(arguments[1])))
    s.connect(("127.0.0.1", int(arguments[0])))
    return s


def ask(arguments):
    s = open_client(arguments)
    s.send(bytes.fromhex(arguments[2]) if len(arguments) > 2 else b"?")
    print(s.recv(64).decode())


def send(arguments):
    s = open_client(arguments[:1])
    for _ in range(int(arguments[1])):
        s.send(b"?" * 100)


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        ask(sys.argv[2:])
    elif sys.argv[1] == "send":
        send(sys.argv[2:])
    else:
        serve(sys.argv[1], options(sys.argv[2:]))
