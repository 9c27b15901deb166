#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A server that is told its role by signals, for tests of OnDemote= and OnPromote=.

roles.py SLOT PORT [late]

Answers with "slot=N ROLE", where ROLE is what it was told last, and adds a line "SLOT SIGNAL PID" to
/run/roles for each USR1 (promote), USR2 (demote) and RTMIN+1. "late": it handles them only half a second
after it has reported ready; "never": not at all; "deaf": it accepts no connection while it is demoted.
"""
import os
import signal
import socket
import sys
import threading

slot, port, mode = sys.argv[1], int(sys.argv[2]), (sys.argv + ['', ''])[3]
role = 'standby'
accepting = threading.Event()
accepting.set()


def on_signal(number, _):
    global role
    role = 'active' if number == signal.SIGUSR1 else 'standby'
    if mode == 'deaf':
        accepting.set() if role == 'active' else accepting.clear()
    name = signal.Signals(number).name if number < signal.SIGRTMIN else f'SIGRTMIN+{number - signal.SIGRTMIN}'
    log = os.open('/run/roles', os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(log, f'{slot} {name} {os.getpid()}\n'.encode())
    os.close(log)


# Python runs handlers late, those of lower numbers first. SIGTERM's default action would not wait for one that tells
# of a signal which came before it.
def on_term(*_):
    os._exit(0)


def handle(*_):
    for number in signal.SIGUSR1, signal.SIGUSR2, signal.SIGRTMIN + 1:
        signal.signal(number, on_signal)


def notify():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        address = os.environ['NOTIFY_SOCKET']
        sender.sendto(b'READY=1', '\0' + address[1:] if address[0] == '@' else address)


def serve(listener):
    listener.settimeout(0.01)
    while accepting.wait():
        try:
            connection = listener.accept()[0]
        except TimeoutError:
            continue
        connection.settimeout(10)
        with connection:
            connection.recv(4096)
            body = f'slot={slot} {role}\n'.encode()
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' %
                               (len(body), body))


def main():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(('0.0.0.0', port))
    listener.listen(4096)
    signal.signal(signal.SIGTERM, on_term)
    if mode in ('', 'deaf'):
        handle()
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    if mode == 'late':
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
    # handlers run in this thread, but the kernel may give the signal to another, and it may come just before a wait
    told, tell = socket.socketpair()
    tell.setblocking(False)
    signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
    notify()
    while True:
        told.recv(64)


main()
