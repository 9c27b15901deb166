# SPDX-License-Identifier: GPL-2.0-or-later
"""SYNs to loopback from invented sources in 10.0.0.0/8: flood.py PORT PER-SECOND SECONDS [COUNT]"""
import random
import socket
import struct
import sys
import time

port, rate, seconds = (int(word) for word in sys.argv[1:4])
count = int(sys.argv[4]) if len(sys.argv) > 4 else 1 << 62
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
raw.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
target = socket.inet_aton("127.0.0.1")


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def syn():
    source = struct.pack("!BBBB", 10, random.randrange(1, 255), random.randrange(256), random.randrange(1, 255))
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, random.randrange(65536), 0, 64, socket.IPPROTO_TCP, 0, source, target)
    fields = [random.randrange(1024, 65536), port, random.randrange(1 << 32), 0, 5 << 4, 2, 64240, 0, 0]
    pseudo = source + target + struct.pack("!BBH", 0, socket.IPPROTO_TCP, 20)
    fields[7] = checksum(pseudo + struct.pack("!HHIIBBHHH", *fields))
    return ip + struct.pack("!HHIIBBHHH", *fields)


end, sent, begun = time.monotonic() + seconds, 0, time.monotonic()
while time.monotonic() < end and sent < count:
    while sent < min(count, (time.monotonic() - begun) * rate):
        raw.sendto(syn(), ("127.0.0.1", 0))
        sent += 1
    time.sleep(0.002)
print(sent)
