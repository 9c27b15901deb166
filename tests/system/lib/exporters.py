# SPDX-License-Identifier: GPL-2.0-or-later
"""
Exporters of NetFlow v9 and IPFIX at many addresses, made of what a real one has said.

  exporters.py record FILE PORT
      writes the datagrams that come to 127.0.0.1:PORT to FILE, until SIGINT or SIGTERM
  exporters.py send FILE TO PORT FIRST N RATE SECONDS TEMPLATES
      N exporters at the addresses from FIRST on send the datagrams of FILE, in turn and over again, RATE of them in a
      second in all, for SECONDS, to TO. Each sends the templates with its first datagram and TEMPLATES seconds after it
      has sent them. Sequence numbers go on, and source ids are those of FILE. At the end it prints

      datagrams=900 flows=26100
      192.0.2.1 datagrams=150 flows=4350
      ...
"""
import ipaddress
import signal
import socket
import struct
import sys
import time


class Datagram:
    """What a real exporter has said, taken apart: the sets of templates, those of flows, and how many flows."""

    def __init__(self, data):
        self.version = struct.unpack(">H", data[:2])[0]
        self.head = data[: self.head_size()]
        self.templates, self.rest = b"", b""
        self.records = {}
        at = len(self.head)
        while at + 4 <= len(data):
            kind, size = struct.unpack(">HH", data[at : at + 4])
            if size < 4:
                break
            if kind < 256:
                self.templates += data[at : at + size]
            else:
                self.rest += data[at : at + size]
            at += size

    def head_size(self):
        return 20 if self.version == 9 else 16

    def flows(self, sizes):
        """By the sizes of records that the templates of the whole recording tell."""
        at, flows = 0, 0
        while at + 4 <= len(self.rest):
            kind, size = struct.unpack(">HH", self.rest[at : at + 4])
            flows += (size - 4) // sizes[kind] if sizes.get(kind) else 0
            at += size
        return flows

    def made(self, sequence, templates):
        body = (templates or b"") + self.rest
        if self.version == 9:
            # count, uptime, seconds, sequence, source id; the count is what no collector goes by
            head = self.head[:12] + struct.pack(">I", sequence & 0xFFFFFFFF) + self.head[16:20]
        else:
            head = struct.pack(">HH", 10, 16 + len(body)) + self.head[4:8]
            head += struct.pack(">I", sequence & 0xFFFFFFFF) + self.head[12:16]
        return head + body


def options_too(kind):
    return kind in (1, 3)


def record_sizes(templates):
    """Sizes of the records of data, by template; none for options, which are no flows."""
    sizes, at = {}, 0
    while at + 4 <= len(templates):
        kind, size = struct.unpack(">HH", templates[at : at + 4])
        pos = at + 4
        while not options_too(kind) and pos + 4 <= at + size:
            number, fields = struct.unpack(">HH", templates[pos : pos + 4])
            pos += 4
            if number < 256:
                break
            total = 0
            for _ in range(fields):
                field, length = struct.unpack(">HH", templates[pos : pos + 4])
                total += length
                pos += 8 if kind == 2 and field & 0x8000 else 4
            sizes[number] = total
        at += size
    return sizes


def record(path, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    s.bind(("127.0.0.1", port))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    with open(path, "wb", buffering=0) as out:
        while True:
            data = s.recv(65535)
            out.write(struct.pack(">I", len(data)) + data)


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    at, datagrams = 0, []
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        datagrams.append(Datagram(data[at + 4 : at + 4 + size]))
        at += 4 + size
    return datagrams


class Exporter:
    def __init__(self, address, to, every):
        self.address, self.every = str(address), every
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 0))
        self.socket.connect(to)
        self.sequence = self.datagrams = self.flows = self.lost = 0
        self.told = None

    def send(self, datagram, templates, flows):
        now = time.monotonic()
        due = self.told is None or now - self.told >= self.every
        if due:
            self.told = now
        data = datagram.made(self.sequence, templates if due else None)
        try:
            self.socket.send(data)
        except ConnectionRefusedError:
            # told of the one before; this one is sent all the same
            self.socket.send(data)
        self.sequence += 1 if datagram.version == 9 else flows
        self.datagrams += 1
        self.flows += flows


def send(path, to, port, first, n, rate, seconds, every):
    datagrams = read(path)
    templates = next(d.templates for d in datagrams if d.templates)
    sizes = record_sizes(templates)
    data = [(d, d.flows(sizes)) for d in datagrams if d.flows(sizes)]
    first = ipaddress.ip_address(first)
    exporters = [Exporter(first + i, (to, port), every) for i in range(n)]
    begun, sent = time.monotonic(), 0
    ending = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.append(1))
    while not ending and time.monotonic() - begun < seconds:
        datagram, flows = data[sent // n % len(data)]
        exporters[sent % n].send(datagram, templates, flows)
        sent += 1
        ahead = begun + sent / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    print(f"datagrams={sum(e.datagrams for e in exporters)} flows={sum(e.flows for e in exporters)}")
    for e in exporters:
        print(f"{e.address} datagrams={e.datagrams} flows={e.flows}")


def main():
    verb, *rest = sys.argv[1:]
    if verb == "record":
        record(rest[0], int(rest[1]))
    else:
        path, to, port, first, n, rate, seconds, every = rest
        send(path, to, int(port), first, int(n), float(rate), float(seconds), float(every))


main()
