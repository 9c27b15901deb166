#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Downloads at a time, each over a connection of its own, until all have ended:

    fleet-streams.py [--count=N] [--path=PATH] [--patience=SECONDS] [--started=FILE] ADDRESS[,ADDRESS...] PORT

Hosts say in X-Host who they are. Prints one line: streams, whole, reset, cut (an end too early), silent (nothing for the
patience), gap_ms: the longest that one of those that ended whole had to wait for more; at_HOST: how many each host had,
whole_HOST: how many of these ended whole.
"""

import argparse
import asyncio
import itertools
import re
import time
from collections import Counter


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--path", default="/download/100M")
    parser.add_argument("--patience", type=float, default=20)
    parser.add_argument("--started", help="a file that is written when all have begun to receive")
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    return parser.parse_args()


class Streams:
    def __init__(self, options):
        self.options = options
        self.counts = Counter()
        self.gap = 0.0

    async def receive(self, reader, host):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        found = re.search(r"(?i)x-host: (\S+)", head)
        host.append(found.group(1) if found else "unknown")
        left = int(re.search(r"(?i)content-length: (\d+)", head).group(1))
        self.begun()
        gap, last = 0.0, time.monotonic()
        while left > 0:
            part = await asyncio.wait_for(reader.read(262144), self.options.patience)
            if not part:
                return "cut"
            left -= len(part)
            now = time.monotonic()
            gap, last = max(gap, now - last), now
        self.gap = max(self.gap, gap)
        return "whole"

    def begun(self):
        self.counts["begun"] += 1
        if self.options.started and self.counts["begun"] == self.options.count:
            open(self.options.started, "w").close()

    async def stream(self, address):
        host, writer = [], None
        try:
            reader, writer = await asyncio.open_connection(address, self.options.port)
            writer.write(f"GET {self.options.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            what = await self.receive(reader, host)
        except asyncio.TimeoutError:
            what = "silent"
        except asyncio.IncompleteReadError:
            what = "cut"
        except OSError:
            what = "reset"
        if writer:
            writer.close()
        self.counts[what] += 1
        for name in host:
            self.counts["at_" + name] += 1
            self.counts["whole_" + name] += what == "whole"

    async def run(self):
        addresses = itertools.cycle(self.options.address.split(","))
        await asyncio.gather(*(self.stream(next(addresses)) for _ in range(self.options.count)))

    def tell(self):
        words = {"streams": self.options.count}
        words.update({kind: self.counts[kind] for kind in ("whole", "reset", "cut", "silent")})
        words["gap_ms"] = round(self.gap * 1000)
        words.update({key: self.counts[key] for key in sorted(self.counts) if key.startswith(("at_", "whole_"))})
        print(" ".join(f"{key}={value}" for key, value in words.items()))


def main():
    streams = Streams(arguments())
    asyncio.run(streams.run())
    streams.tell()


main()
