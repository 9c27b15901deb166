#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Exporters of NetFlow v9: bench-flows.py PORT RATE COUNT

64 of them, at 127.0.2.1 and behind, send COUNT datagrams to 127.0.0.1 in turn, RATE in a second, each of FLOWS flows of
one packet; the first of each has the template, too. No two flows are alike.
"""
import socket
import struct
import sys
import time

EXPORTERS, FLOWS, TEMPLATE = 64, 24, 300
# source and destination, ports, protocol, bytes, packets
FIELDS = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (1, 4), (2, 4))


def padded(data):
    return data + bytes(-len(data) % 4)


def template():
    body = struct.pack(">HH", TEMPLATE, len(FIELDS)) + b"".join(struct.pack(">HH", *field) for field in FIELDS)
    return struct.pack(">HH", 0, 4 + len(body)) + body


def flows(number):
    body = padded(b"".join(struct.pack(">IIHHBII", 0x0A000000 + number, 0xC0000200 + i, 1000, 2000, 17, 100, 1)
                           for i in range(FLOWS)))
    return struct.pack(">HH", TEMPLATE, 4 + len(body)) + body


def exporter(i, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((f"127.0.2.{i + 1}", 0))
    s.connect(("127.0.0.1", port))
    return s


def main():
    port, rate, count = map(int, sys.argv[1:])
    exporters = [exporter(i, port) for i in range(EXPORTERS)]
    begun = time.monotonic()
    for number in range(count):
        body = (template() if number < EXPORTERS else b"") + flows(number)
        head = struct.pack(">HHIIII", 9, FLOWS + 1, 1000, int(time.time()), number // EXPORTERS, 1)
        exporters[number % EXPORTERS].send(head + body)
        ahead = begun + number / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    print(count * FLOWS)


main()
