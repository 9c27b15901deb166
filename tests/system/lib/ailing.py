#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A server whose answers to /healthz are as bad as a file says, for tests of probes.

ailing.py SLOT PORT [TLS-PORT CERTIFICATE]

All other paths are answered with "slot=N", whatever the file says. /run/ailing/SLOT has one word, read
anew for each connection; no file is "ok":

  ok            200 and "all is well"           NUMBER   this status
  redirect      302 to /elsewhere               host     200 if the Host is good.example, else 421
  hang          no answer                       drip     an answer byte by byte, without end
  big           200 and 10 MB                   garbage  bytes that are not HTTP
  close         ended after the request         cut      less than Content-Length says
  chunks        chunks without end
  header        a header without end            sni      200 if TLS was asked for good.example, else 421
  slam          each connection is ended at once
  reset         the same, by a reset                    crash    the server dies of the next connection,
                                                        and the file is gone
  deaf          accepts one connection and no more      flaky    200, and at each third request 500

/run/ailing/SLOT.log gets a line for each request: its path and Host.
"""
import itertools
import os
import socket
import ssl
import struct
import sys
import threading
import time

slot, port = sys.argv[1], int(sys.argv[2])
folder = '/run/ailing/'
requests = itertools.count()
big = b'x' * 1024 * 1024


def mode():
    try:
        with open(folder + slot) as file:
            return file.read().strip() or 'ok'
    except FileNotFoundError:
        return 'ok'


def head(status, length, more=''):
    return (f'HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n').encode()


def whole(status, body=b'', more=''):
    return head(status, len(body), more) + body


def judge(good):
    return whole('200 OK', b'all is well\n') if good else whole('421 Misdirected Request')


def drip(connection):
    connection.sendall(head('200 OK', 1000000))
    while True:
        connection.sendall(b'.')
        time.sleep(0.05)


def endless_chunks(connection):
    connection.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    while True:
        connection.sendall(b'4000\r\n' + b'x' * 0x4000 + b'\r\n')


def endless_header(connection):
    connection.sendall(b'HTTP/1.1 200 OK\r\n')
    while True:
        connection.sendall(b'X-Filler: ' + b'x' * 1000 + b'\r\n')


def answer(connection, how, host, sni):
    if how == 'flaky':
        how = 'ok' if next(requests) % 3 else '500'
    words = {
        'ok': whole('200 OK', b'all is well\n'),
        'redirect': whole('302 Found', b'', 'Location: http://127.0.0.1:1/elsewhere\r\n'),
        'garbage': bytes(range(128, 256)) * 8 + b'\r\n\r\n',
        'cut': head('200 OK', 100) + b'all is',
        'close': b'',
        'host': judge(host == 'good.example'),
        'sni': judge(sni == 'good.example'),
        'big': head('200 OK', 10 * len(big)),
    }
    if how == 'hang':
        time.sleep(60)
    elif how == 'drip':
        drip(connection)
    elif how == 'chunks':
        endless_chunks(connection)
    elif how == 'header':
        endless_header(connection)
    elif how.isdigit():
        connection.sendall(whole(f'{how} Some Words', b'all is well\n'))
    else:
        connection.sendall(words.get(how, words['ok']))
    if how == 'big':
        for _ in range(10):
            connection.sendall(big)


def read_request(connection):
    request = b''
    while b'\r\n\r\n' not in request:
        more = connection.recv(65536)
        if not more:
            return None, None
        request += more
    lines = request.decode('latin-1').split('\r\n')
    hosts = [line[6:] for line in lines if line.lower().startswith('host: ')]
    return lines[0].split(' ')[1], hosts[0] if hosts else ''


def serve(connection, context):
    sni = None
    try:
        how = mode()
        if how == 'crash':
            os.remove(folder + slot)
            os._exit(1)
        if how == 'reset':
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        if how in ('slam', 'reset'):
            connection.close()
            return
        if context:
            connection = context.wrap_socket(connection, server_side=True)
            sni = getattr(connection, 'asked_for', None)
        path, host = read_request(connection)
        if path is None:
            return
        with open(f'{folder}{slot}.log', 'a') as log:
            log.write(f'{path} {host}\n')
        if path == '/healthz':
            answer(connection, how, host, sni)
        else:
            connection.sendall(whole('200 OK', f'slot={slot} \n'.encode()))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    except OSError:
        pass
    finally:
        connection.close()


def listen(number, context=None):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(('0.0.0.0', number))
    listener.listen(1024)

    def accept():
        while True:
            connection, _ = listener.accept()
            while mode() == 'deaf':
                time.sleep(0.1)
            threading.Thread(target=serve, args=(connection, context), daemon=True).start()
    return threading.Thread(target=accept)


def note_sni(connection, name, _context):
    connection.asked_for = name


threads = [listen(port)]
if len(sys.argv) > 4:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[4])
    tls.sni_callback = note_sni
    threads.append(listen(int(sys.argv[3]), tls))
for thread in threads:
    thread.start()
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.connect(os.environ['NOTIFY_SOCKET'])
    notify.send(b'READY=1')
