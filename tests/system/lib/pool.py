#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A server with so many workers, each of which serves one connection to its end: pool.py PORT SLOT WORKERS

GET /slow[?SECONDS]   a byte every 0.1 s
GET /compute?SECONDS  computes for so long, then answers
GET /work?SECONDS     uses so much CPU time, then answers
GET /wait?SECONDS     reads, waits for somebody else, then answers
GET /deadlock         takes the lock that each worker needs before it reads a request, for good
anything else         answers
Who says nothing holds a worker for 60 s. Of a request the first 4 kB are read at once, and the rest before the answer.

SIGUSR1: a pause of the runtime, in which all threads sleep for 5 s; SIGUSR2: in which one computes.
"""

import ctypes
import signal
import socket
import sys
import threading
import time


def respond(connection, body):
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode() + body)


def read_rest(connection, request):
    head, _, body = request.partition("\r\n\r\n")
    length = [int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length:")]
    left = (length or [0])[0] - len(body)
    while left > 0 and (part := connection.recv(min(left, 65536))):
        left -= len(part)


def drip(connection, seconds):
    count = int(seconds * 10)
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {count}\r\nConnection: close\r\n\r\n".encode())
    for _ in range(count):
        connection.sendall(b".")
        time.sleep(0.1)


def compute(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def work_for(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def sleep_all(*_):
    # all other threads wait for the interpreter meanwhile
    ctypes.PyDLL(None).sleep(5)


def compute_alone(*_):
    sys.setswitchinterval(100)
    compute(5)
    sys.setswitchinterval(0.005)


class Pool:
    def __init__(self, port, slot, workers):
        self.lock = threading.Lock()
        self.text = f"slot={slot} \n".encode()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("", port))
        self.listener.listen(512)
        for _ in range(workers):
            threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        while True:
            connection, _ = self.listener.accept()
            with connection:
                try:
                    self.serve(connection)
                except OSError:
                    pass

    def serve(self, connection):
        connection.settimeout(60)
        with self.lock:
            pass
        request = connection.recv(4096).decode()
        if not request:
            return
        path, _, number = request.split(" ")[1].partition("?")
        if path == "/deadlock":
            self.lock.acquire()
            threading.Event().wait()
        elif path == "/slow":
            drip(connection, float(number or 60))
        else:
            if path == "/compute":
                compute(float(number))
            elif path == "/work":
                work_for(float(number))
            elif path == "/wait":
                time.sleep(float(number))
            read_rest(connection, request)
            respond(connection, self.text)


signal.signal(signal.SIGUSR1, sleep_all)
signal.signal(signal.SIGUSR2, compute_alone)
Pool(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
threading.Event().wait()
