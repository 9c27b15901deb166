#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams through a front:

    front_udp.py serve NAME PORT ADDRESS...                 answers each by NAME, from the address that it came to
    front_udp.py ask ADDRESS PORT [--flows=N] [--seconds=S]

A flow is a socket that sends a datagram every 50 ms and waits for its answer. Prints one line: flows, sent, answered,
moved (flows that more than one has answered), at_NAME: how many datagrams each has answered.
"""

import argparse
import asyncio
import socket
import sys
import time
from collections import Counter

EVERY = 0.05


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Server(asyncio.DatagramProtocol):
    def __init__(self, name):
        self.answer = name.encode()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, client):
        self.transport.sendto(self.answer + b" " + data, client)


async def serve(name, port, addresses):
    loop = asyncio.get_running_loop()
    for address in addresses:
        await loop.create_datagram_endpoint(lambda: Server(name), local_addr=(address, port))
    await asyncio.Event().wait()


class Client(asyncio.DatagramProtocol):
    def __init__(self, counts):
        self.counts = counts
        self.names = set()

    def datagram_received(self, data, _server):
        name = data.split()[0].decode()
        self.names.add(name)
        self.counts["answered"] += 1
        self.counts["at_" + name] += 1


async def flow(options, counts):
    transport, client = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Client(counts), remote_addr=(options.address, options.port), family=family_of(options.address)
    )
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        transport.sendto(b"%d" % counts["sent"])
        counts["sent"] += 1
        await asyncio.sleep(EVERY)
    await asyncio.sleep(0.5)
    transport.close()
    counts["moved"] += len(client.names) > 1


async def ask(options):
    counts = Counter({"flows": options.flows, "sent": 0, "answered": 0, "moved": 0})
    await asyncio.gather(*(flow(options, counts) for _ in range(options.flows)))
    print(" ".join(f"{name}={n}" for name, n in counts.items()))


def main():
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(sys.argv[2], int(sys.argv[3]), sys.argv[4:]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["ask"])
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--flows", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=3)
    asyncio.run(ask(parser.parse_args()))


main()
