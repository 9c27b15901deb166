# SPDX-License-Identifier: GPL-2.0-or-later
"""
flows_pcap.py FILE FLOWS: a capture of so many flows of UDP of one packet each, 10.x.y.z:PORT -> 192.0.2.53:53, a
millisecond apart, for the exporters that read captures.
"""
import struct
import sys


def packet(number):
    payload = b"x" * 32
    source = struct.pack(">I", (10 << 24) + 1 + number // 1000)
    udp = struct.pack(">HHHH", 10000 + number % 1000, 53, 8 + len(payload), 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), number & 0xFFFF, 0, 64, 17, 0, source, bytes((192, 0, 2, 53)))
    return b"\x02" * 12 + b"\x08\x00" + ip + udp


def main():
    begin = 1700000000
    with open(sys.argv[1], "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number in range(int(sys.argv[2])):
            data = packet(number)
            out.write(struct.pack("<IIII", begin + number // 1000, number % 1000 * 1000, len(data), len(data)) + data)


main()
