# SPDX-License-Identifier: GPL-2.0-or-later
"""
Routers that send flows by UDP and open sessions of BMP by TCP, and whether both come to the same collector.

  pairs.py send TO PORT BMP-PORT FIRST N RATE SECONDS
      N routers at the addresses from FIRST on; in turn each sends a datagram of NetFlow v9 with its template and one flow,
      and at once opens a session, names itself, and closes it a second later. The number of the pair is in both: the
      flow's destination is 10.0.0.0 plus it, the router's name "pair-" and it.
  pairs.py judge FOLDER...
      by what each collector wrote to flows-*.json and bmp.json of its folder; prints as JSON how many pairs there were,
      and those of which the two parts came to different ones
"""
import collections
import glob
import ipaddress
import json
import re
import socket
import struct
import sys
import time

TEMPLATE, SOURCE_ID = 300, 7
# source and destination, ports, protocol, bytes, packets, begin and end
FIELDS = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (1, 4), (2, 4), (22, 4), (21, 4))


def fact(kind, text):
    return struct.pack(">HH", kind, len(text)) + text.encode()


def initiation(number):
    body = fact(1, "router") + fact(2, f"pair-{number}.")
    return struct.pack(">BIB", 3, 6 + len(body), 4) + body


def netflow(number):
    template = struct.pack(">HH", TEMPLATE, len(FIELDS)) + b"".join(struct.pack(">HH", *f) for f in FIELDS)
    flow = struct.pack(">IIHHBIIII", 0xC6336401, 0x0A000000 + number, 1000, 2000, 17, 100, 1, 1000, 2000)
    flow += bytes(-len(flow) % 4)
    head = struct.pack(">HHIIII", 9, 2, 5000, int(time.time()), number, SOURCE_ID)
    return (head + struct.pack(">HH", 0, 4 + len(template)) + template
            + struct.pack(">HH", TEMPLATE, 4 + len(flow)) + flow)


class Router:
    def __init__(self, address, to, port, bmp_port):
        self.address, self.bmp = str(address), (to, bmp_port)
        self.family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        self.udp = socket.socket(self.family, socket.SOCK_DGRAM)
        self.udp.bind((self.address, 0))
        self.udp.connect((to, port))

    def pair(self, number):
        session = socket.socket(self.family, socket.SOCK_STREAM)
        session.settimeout(10)
        session.bind((self.address, 0))
        try:
            self.udp.send(netflow(number))
        except ConnectionRefusedError:  # told of the one before
            self.udp.send(netflow(number))
        try:
            session.connect(self.bmp)
            session.send(initiation(number))
        except OSError as error:
            print(f"pair {number}: {error}", file=sys.stderr)
        return session


def send(to, port, bmp_port, first, n, rate, seconds):
    first = ipaddress.ip_address(first)
    routers = [Router(first + i, to, int(port), int(bmp_port)) for i in range(int(n))]
    sessions = collections.deque()
    for number in range(int(float(rate) * float(seconds))):
        sessions.append(routers[number % len(routers)].pair(number))
        if len(sessions) > float(rate):
            sessions.popleft().close()
        time.sleep(1 / float(rate))


def flows_in(folder):
    for name in glob.glob(folder + "/flows-*.json"):
        with open(name, encoding="utf-8") as file:
            for line in file:
                address = ipaddress.ip_address(json.loads(line)["ip_dst"])
                if address in ipaddress.ip_network("10.0.0.0/8"):
                    yield int(address) - 0x0A000000


def sessions_in(folder):
    with open(folder + "/bmp.json", encoding="utf-8", errors="replace") as file:
        return map(int, re.findall(r"pair-(\d+)\.", file.read()))


def judge(folders):
    flows, sessions = {}, {}
    for slot, folder in enumerate(folders):
        flows.update((number, slot) for number in flows_in(folder))
        sessions.update((number, slot) for number in sessions_in(folder))
    both = sorted(flows.keys() & sessions.keys())
    apart = [(number, flows[number], sessions[number]) for number in both if flows[number] != sessions[number]]
    print(json.dumps({"flows": len(flows), "sessions": len(sessions), "pairs": len(both), "apart": apart,
                      "slots": dict(collections.Counter(flows.values()))}))


if sys.argv[1] == "send":
    send(*sys.argv[2:])
else:
    judge(sys.argv[2:])
