#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A server that may run only once: it keeps its count in a SQLite file that it locks.

once.py SLOT PORT DATABASE

Each request but /healthz is counted in the file and answered with "slot=N version=V count=C". What it is like is
read from /opt/once/SLOT, as a version that is installed for this slot:

  version   what it calls itself
  fault     a word; none is no fault:
            start   it ends with a failure     silent  it never reports ready
            ill     /healthz says 503          slow    it becomes healthy after a second

/run/once/ill-SLOT makes the running one ill from now on.
"""
import os
import signal
import socket
import socketserver
import sqlite3
import sys
import threading
import time

slot, port, database = sys.argv[1], int(sys.argv[2]), sys.argv[3]
began = time.monotonic()


def installed(name):
    try:
        with open(f'/opt/once/{slot}/{name}') as file:
            return file.read().strip()
    except FileNotFoundError:
        return ''


def open_database():
    db = sqlite3.connect(database, timeout=0, check_same_thread=False, isolation_level=None)
    db.execute('PRAGMA locking_mode=EXCLUSIVE')
    db.execute('PRAGMA synchronous=OFF')
    db.execute('CREATE TABLE IF NOT EXISTS counts (number INTEGER)')
    # from here on nobody else gets in
    db.execute('BEGIN EXCLUSIVE')
    if not db.execute('SELECT count(*) FROM counts').fetchone()[0]:
        db.execute('INSERT INTO counts VALUES (0)')
    db.execute('COMMIT')
    return db


def tell_systemd(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(text.encode(), os.environ['NOTIFY_SOCKET'].replace('@', '\0', 1))


version, fault = installed('version'), installed('fault')
lock = threading.Lock()


def count():
    with lock:
        db.execute('UPDATE counts SET number = number + 1')
        return db.execute('SELECT number FROM counts').fetchone()[0]


def is_well():
    if os.path.exists(f'/run/once/ill-{slot}') or fault == 'ill':
        return False
    return fault != 'slow' or time.monotonic() - began > 1


class Handler(socketserver.StreamRequestHandler):
    timeout = 5

    def handle(self):
        request = self.rfile.readline().split()
        while self.rfile.readline().strip():
            pass
        if not request:
            return
        status, body = '200 OK', 'well\n'
        if request[1] != b'/healthz':
            body = f'slot={slot} version={version} count={count()}\n'
        elif not is_well():
            status, body = '503 Service Unavailable', 'ill\n'
        self.wfile.write(f'HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}'.encode())


class Server(socketserver.ThreadingTCPServer):
    request_queue_size = 1024

    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()


if fault == 'start':
    sys.exit(f'version {version} cannot start')
try:
    db = open_database()
except sqlite3.OperationalError as e:
    print(f'another one runs: {e}', file=sys.stderr)
    sys.exit(75)
server = Server(('0.0.0.0', port), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
if fault != 'silent':
    tell_systemd('READY=1')
server.serve_forever(poll_interval=0.05)
# what was accepted is answered
server.server_close()
db.close()
