#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Whoever has a socket in a group may set the program of the group.

  takeover.py serve PORT SLOT   a server of a slot, which is reported ready. SIGUSR1: a program that always chooses
                                this server's socket; SIGUSR2: none. Prints what the kernel said
  takeover.py join PORT         joins the group, and does both at once. It answers nobody
  takeover.py keep PORT         joins the group, and has all connections come here until it is ended
"""
import ctypes
import os
import select
import signal
import socket
import struct
import sys

ATTACH_CBPF, ATTACH_EBPF, DETACH = 51, 52, 68
BPF_RET = 6


def set_option(server, name, value):
    try:
        server.setsockopt(socket.SOL_SOCKET, name, value)
    except OSError as error:
        return error.strerror
    return "done"


def choose(server, index):
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", BPF_RET, 0, 0, index), 8)
    return set_option(server, ATTACH_CBPF, struct.pack("HxxxxxxQ", 1, ctypes.addressof(instruction)))


def comes_here(server):
    try:
        with socket.create_connection(("127.0.0.1", server.getsockname()[1]), 1):
            if not select.select([server], [], [], 0.2)[0]:
                return False
            server.accept()[0].close()
            return True
    except OSError:  # it was undone just then
        return False


def steal(server):
    # which number its own socket has in the group is found out by trying, unless it is undone meanwhile
    said = choose(server, 0)
    for index in range(1, 8):
        if said != "done" or comes_here(server) or choose(server, index) != "done":
            break
    print("steal:", said, flush=True)


def detach(server):
    print("detach:", set_option(server, DETACH, struct.pack("i", 0)), flush=True)


def listen(port):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    server.bind(("0.0.0.0", port))
    server.listen(512)
    return server


def ready():
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.sendto(b"READY=1", "\0" + path[1:] if path[0] == "@" else path)


def serve(port, slot):
    server = listen(port)
    signal.signal(signal.SIGUSR1, lambda *_: steal(server))
    signal.signal(signal.SIGUSR2, lambda *_: detach(server))
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    ready()
    body = f"slot={slot} pid={os.getpid()}\n"
    answer = f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    while True:
        client, _ = server.accept()
        try:
            client.settimeout(2)
            client.recv(4096)
            client.sendall(answer)
        except OSError:
            pass
        client.close()


def keep(port):
    with listen(port) as member:
        steal(member)
        while True:
            member.accept()[0].close()


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]), sys.argv[3])
elif sys.argv[1] == "keep":
    keep(int(sys.argv[2]))
else:
    with listen(int(sys.argv[2])) as member:
        steal(member)
        detach(member)
