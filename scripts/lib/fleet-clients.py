#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that come at a fixed rate, whatever became of those before, each with a connection of its own:

    fleet-clients.py [--rate=N] [--patience=SECONDS] [--late=SECONDS] [--body=TEXT] ADDRESS[,ADDRESS...] PORT

in turn to each address, until SIGINT or SIGTERM, or --seconds are over. Then prints one line of counts, as key=value:

    requests, lost = refused + reset + silent + cut + wrong: no listener; reset by someone; no answer within the
    patience; an end before the answer was whole; another answer than 200 with TEXT in it
    late: answered whole, but later than --late; longest_ms: of those that were answered
    bad_ms: from the first that was lost or late until the last; at_TEXT for each host that said "host=TEXT"
"""

import argparse
import asyncio
import errno
import itertools
import signal
import socket
import time
from collections import Counter

IN_FLIGHT_MAX = 4000


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--patience", type=float, default=4)
    parser.add_argument("--late", type=float, default=1)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--body", default="host=")
    parser.add_argument("--started", help="a file that is written when the first has been answered")
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    return parser.parse_args()


class Clients:
    def __init__(self, options):
        self.options = options
        self.addresses = itertools.cycle(options.address.split(","))
        self.head = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        self.counts = Counter()
        self.longest = 0.0
        self.bad = []
        self.running = set()

    async def ask(self):
        loop = asyncio.get_running_loop()
        address = next(self.addresses)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.setblocking(False)
            await loop.sock_connect(connection, (address, self.options.port))
            await loop.sock_sendall(connection, self.head)
            answer = b""
            while part := await loop.sock_recv(connection, 65536):
                answer += part
        return answer

    def judge(self, answer):
        head, end, body = answer.partition(b"\r\n\r\n")
        length = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if not end or (length and len(body) != int(length[0])):
            return "cut"
        text = body.decode(errors="replace")
        if b" 200 " not in head[:15] or self.options.body not in text:
            return "wrong"
        if text.startswith("host="):
            self.counts["at_" + text[5:].split()[0]] += 1
        return "answered"

    async def client(self):
        begun = time.monotonic()
        try:
            what = self.judge(await asyncio.wait_for(self.ask(), self.options.patience))
        except asyncio.TimeoutError:
            what = "silent"
        except ConnectionRefusedError:
            what = "refused"
        except ConnectionError:
            what = "reset"
        except OSError as error:
            what = "silent" if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT) else "reset"
        self.count(what, begun, time.monotonic() - begun)

    def count(self, what, begun, took):
        self.counts[what] += 1
        if what == "answered":
            self.longest = max(self.longest, took)
            if took > self.options.late:
                self.counts["late"] += 1
                self.bad.append(begun)
            if self.options.started and self.counts[what] == 1:
                open(self.options.started, "w").close()
        else:
            self.bad.append(begun)

    async def run(self):
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, over.set)
        due = begun = time.monotonic()
        while not over.is_set() and due - begun < self.options.seconds:
            due += 1 / self.options.rate
            try:
                await asyncio.wait_for(over.wait(), max(0, due - time.monotonic()))
            except asyncio.TimeoutError:
                pass
            if len(self.running) < IN_FLIGHT_MAX:
                task = loop.create_task(self.client())
                self.running.add(task)
                task.add_done_callback(self.running.discard)
        while self.running:
            await asyncio.wait(self.running)

    def tell(self):
        kinds = ("refused", "reset", "silent", "cut", "wrong")
        lost = sum(self.counts[kind] for kind in kinds)
        words = {"requests": lost + self.counts["answered"], "lost": lost}
        words.update({kind: self.counts[kind] for kind in kinds + ("late",)})
        words["longest_ms"] = round(self.longest * 1000)
        words["bad_ms"] = round((max(self.bad) - min(self.bad)) * 1000) if self.bad else 0
        words.update({key: self.counts[key] for key in sorted(self.counts) if key.startswith("at_")})
        print(" ".join(f"{key}={value}" for key, value in words.items()))


def main():
    clients = Clients(arguments())
    asyncio.run(clients.run())
    clients.tell()


main()
