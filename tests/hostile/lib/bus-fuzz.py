# SPDX-License-Identifier: GPL-2.0-or-later
# bus-fuzz.py SECONDS SEED wild|typed SERVICE: calls the methods of hsd that introspection shows, for so long, and on
# a busy machine until it had some hundred calls.
#   wild    every service's, with arguments of any type and size, at wrong paths, with descriptors; as root, who may
#           change something by it, SERVICE's
#   typed   the manager's and SERVICE's, with arguments of the right types
# Speaks D-Bus by itself: no library would send these. Prints how many calls there were, and what became of them.
import array
import os
import random
import re
import select
import socket
import struct
import sys
import time
import xml.etree.ElementTree

NAME = "org.hotstandby1"
PROPERTIES = "org.freedesktop.DBus.Properties"
ALIGN = {"y": 1, "b": 4, "n": 2, "q": 2, "i": 4, "u": 4, "x": 8, "t": 8, "d": 8, "s": 4, "o": 4, "g": 1, "a": 4,
         "(": 8, "{": 8, "v": 1, "h": 4}
PACK = {"y": "B", "b": "I", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d", "h": "I"}
PENDING = 16  # unanswered calls
HUGE = 1 << 20
OPEN = ("Describe", "ListServices", "GetService", "Connections", "InspectConnections", "Introspect", "Get", "GetAll",
        "LookForOutdated", "Switchover", "Rollback", "Failover", "Upgrade", "CancelUpgrade", "Drain", "CancelDrain", "Park",
        "Release", "SetCanary", "SetPolicy", "SetHash", "SetWeight", "SetPinned", "SetSlots", "Rebalance", "Table", "Where", "Exec", "Reload")  # to all: hsd asks polkit, or refuses


def split(signature):
    """The complete types of a signature."""
    types, begin, depth = [], 0, 0
    for i, c in enumerate(signature):
        depth += c in "({"
        depth -= c in ")}"
        if not depth and c != "a":
            types.append(signature[begin:i + 1])
            begin = i + 1
    return types


class Body:
    def __init__(self, values):
        self.bytes = bytearray()
        self.values = values
        self.fds = 0

    def pad(self, to):
        self.bytes += bytes(-len(self.bytes) % to)

    def text(self, value, width="I"):
        data = value.encode("utf-8", "replace")
        self.pad(struct.calcsize(width))
        self.bytes += struct.pack("<" + width, len(data)) + data + b"\0"

    def put(self, kind, depth=0):
        c = kind[0]
        self.pad(ALIGN[c])
        if c == "h":
            self.bytes += struct.pack("<I", self.fds)
            self.fds += 1
        elif c in PACK:
            self.bytes += struct.pack("<" + PACK[c], self.values.number(c))
        elif c == "s":
            self.text(self.values.string())
        elif c == "o":
            self.text(self.values.path())
        elif c == "g":
            self.text("".join(random.choices("ybnqiuxtds", k=random.randrange(20))), "B")
        elif c == "v":
            inner = "v" if depth < random.choice([1, 60]) else "y"
            self.text(inner, "B")
            self.put(inner, depth + 1)
        elif c == "a":
            self.array(kind[1:], depth)
        else:
            for part in split(kind[1:-1]):
                self.put(part, depth)

    def array(self, kind, depth):
        at = len(self.bytes)
        self.bytes += bytes(4)
        self.pad(ALIGN[kind[0]])
        begin = len(self.bytes)
        n = random.choice([0, 1, 3, 20000]) if kind in "sytoi" else random.choice([0, 1, 2])
        for _ in range(n):
            self.put(kind, depth + 1)
        struct.pack_into("<I", self.bytes, at, len(self.bytes) - begin)


class Values:
    """Of any kind."""
    def number(self, c):
        if c == "b":
            return random.choice([0, 1])
        if c == "d":
            return random.choice([0.0, -1.5, float("inf"), float("nan"), 1e308])
        bits = 8 * struct.calcsize(PACK[c])
        low, high = (0, (1 << bits) - 1) if c in "yqut" else (-(1 << bits - 1), (1 << bits - 1) - 1)
        return random.choice([low, high, max(low, -1), 0, 1, min(high, 16), random.randint(low, high)])

    def string(self):
        return random.choice([
            lambda: "", lambda: "x" * random.choice([255, 256, 4096, HUGE]), lambda: "%s%n%n" * 9, lambda: "../" * 99,
            lambda: "\n\t\x1b[2J", lambda: "\u202e\U0001f600" * 50, lambda: "app@%d.service" % random.randrange(-2, 99),
            lambda: "".join(chr(random.randrange(1, 0xd7ff)) for _ in range(random.randrange(60)))])()

    def path(self):
        return random.choice(["/", "/a", "/org/hotstandby1", "/a/b" * 500])


class TypedValues(Values):
    """Such as commands give, and somewhat wrong."""
    def __init__(self, service):
        self.strings = [f"{service}@{n}.service" for n in (0, 1, 2, 15, 16)] + [
            "", "keep", "stop", "restart", "hash", "standby", "parity", "connection", "client", "127.0.0.1",
            "10.0.0.0/8", "::1", "/bin/true", "/nonexistent", "no", "x" * 5000, f"{service}@x.service", "../x"]

    def number(self, c):
        if c in "iu":
            return random.choice([-1 if c == "i" else 1 << 32 - 1, 0, 0, 1, 1, 2, 15, 16, 99, 6553, 65536, (1 << 31) - 1])
        if c == "t":
            return random.choice([0, 1, 1000, 100000, 1000000, 1 << 40, (1 << 63), (1 << 64) - 1])
        return super().number(c)

    def string(self):
        return random.choice(self.strings)


class Bus:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect("/run/dbus/system_bus_socket")
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        self.line()
        self.socket.sendall(b"NEGOTIATE_UNIX_FD\r\n")
        self.line()
        self.socket.sendall(b"BEGIN\r\n")
        self.serial, self.input, self.pending = 0, bytearray(), set()
        self.wait(self.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "Hello"))

    def line(self):
        data = b""
        while not data.endswith(b"\r\n"):
            part = self.socket.recv(1)
            if not part:
                raise ConnectionError
            data += part

    def call(self, to, path, interface, member, signature="", body=None, fds=()):
        self.serial += 1
        fields = Body(None)
        listed = [(1, "o", path), (2, "s", interface), (3, "s", member), (6, "s", to), (8, "g", signature)]
        for code, kind, value in listed:
            if value:
                fields.pad(8)
                fields.bytes += bytes([code])
                fields.text(kind, "B")
                fields.text(value, "B" if kind == "g" else "I")
        if fds:
            fields.pad(8)
            fields.bytes += bytes([9, 1]) + b"u\0" + struct.pack("<I", len(fds))
        data = body.bytes if body else b""
        head = struct.pack("<cBBBIII", b"l", 1, 0, 1, len(data), self.serial, len(fields.bytes)) + fields.bytes
        message = head + bytes(-len(head) % 8) + data
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sent = self.socket.sendmsg([message], rights)
        self.socket.sendall(message[sent:])
        self.pending.add(self.serial)
        return self.serial

    def read(self, seconds):
        """One message: type, the serial it answers, its fields as they are, its body. None: nothing came."""
        while True:
            if len(self.input) >= 16:
                n_body, _, n_fields = struct.unpack_from("<III", self.input, 4)
                begin = 16 + n_fields + -n_fields % 8
                if len(self.input) >= begin + n_body:
                    break
            if not select.select([self.socket], [], [], seconds)[0]:
                return None
            part = self.socket.recv(1 << 18)
            if not part:
                raise ConnectionError
            self.input += part
        kind, fields = self.input[1], bytes(self.input[16:16 + n_fields])
        body = bytes(self.input[begin:begin + n_body])
        del self.input[:begin + n_body]
        found = re.search(rb"\x05\x01u\0(....)", fields, re.S)
        answered = struct.unpack("<I", found[1])[0] if found else 0
        self.pending.discard(answered)
        return kind, answered, fields, body

    def wait(self, serial, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = self.read(end - time.monotonic())
            if message and message[1] == serial:
                return message
        raise TimeoutError


def introspect(bus, path="/"):
    kind, _, _, body = bus.wait(bus.call(NAME, path, "org.freedesktop.DBus.Introspectable", "Introspect"))
    if kind != 2:
        return
    node = xml.etree.ElementTree.fromstring(body[4:-1])
    for interface in node.findall("interface"):
        for method in interface.findall("method"):
            signature = "".join(arg.get("type") for arg in method.findall("arg") if arg.get("direction") != "out")
            yield path, interface.get("name"), method.get("name"), signature
    for child in node.findall("node"):
        yield from introspect(bus, path.rstrip("/") + "/" + child.get("name"))


def any_type(depth=0):
    c = random.choice("ybnqiuxtdsogvh" + ("" if depth > 3 else "aa(("))
    if c == "a" and random.random() < 0.3:
        return "a{" + random.choice("ysui") + any_type(depth + 1) + "}"
    if c == "a":
        return "a" + any_type(depth + 1)
    if c == "(":
        return "(" + "".join(any_type(depth + 1) for _ in range(random.randint(1, 3))) + ")"
    return c


def any_signature(right):
    return random.choice([
        lambda: right, lambda: right, lambda: right + any_type(), lambda: right[:-1] if right.isalpha() else "",
        lambda: "".join(any_type() for _ in range(random.randrange(5))), lambda: "v", lambda: "a" * 31 + "y",
        lambda: "(" * 31 + "y" + ")" * 31, lambda: random.choice(["as", "ay", "at", "ao"]), lambda: "s" * 255])()


def wild(method):
    path, interface, member, signature = method
    path = random.choice([path] * 8 + ["/", "/org/hotstandby1/service/no", path + "/x", "/a" * 2000])
    interface = random.choice([interface] * 8 + [None, PROPERTIES, "a.b" * 50, "org.freedesktop.DBus.ObjectManager"])
    member = random.choice([member] * 12 + ["Get", "Set", "GetAll", "GetManagedObjects", "X" * 255])
    body = Body(Values())
    signature = any_signature(signature)
    for kind in split(signature):
        body.put(kind)
        if len(body.bytes) > 4 * HUGE:
            return None
    if random.random() < 0.01 and body.bytes:  # what the bus itself must refuse
        body.bytes[random.randrange(len(body.bytes))] ^= 1 << random.randrange(8)
    return path, interface, member, signature, body


def typed(method, values):
    body = Body(values)
    for kind in split(method[3]):
        body.put(kind)
    return *method, body


def are_enough(counts):
    return counts["calls"] > 200 and counts["answered"] > 2 and counts["refused"] > 2


def main():
    seconds, seed, mode, service = float(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    random.seed(seed)
    counts = {"calls": 0, "answered": 0, "refused": 0, "disconnected": 0, "unanswered": 0}
    bus = Bus()
    methods = [m for m in introspect(bus) if m[1] != "org.freedesktop.DBus.Peer"]
    if mode == "typed" or not os.getuid():
        methods = [m for m in methods if NAME in m[1] and (m[0] == "/org/hotstandby1" or m[0].endswith("/" + service))]
    reached = [m for m in methods if m[2] in OPEN or not os.getuid()]  # the bus keeps the rest from hsd
    values, fds, end = TypedValues(service), list(os.pipe()), time.monotonic() + seconds

    while time.monotonic() < end or (time.monotonic() < end + 50 and not are_enough(counts)):
        try:
            method = random.choice(random.choice([methods, reached, reached]))
            made = wild(method) if mode == "wild" else typed(method, values)
            if not made or made[4].fds > 16:
                continue
            given = [random.choice(fds) for _ in range(made[4].fds)]
            bus.call(NAME, *made, given)
            counts["calls"] += 1
            patience = max(end + 5 - time.monotonic(), 1)
            while len(bus.pending) >= PENDING or select.select([bus.socket], [], [], 0)[0]:
                message = bus.read(min(patience, 1))
                if not message and len(bus.pending) >= PENDING:  # some take minutes, as they may
                    counts["unanswered"] += len(bus.pending)
                    bus.pending.clear()
                counts["answered"] += bool(message) and message[0] == 2
                counts["refused"] += bool(message) and message[0] == 3
        except (ConnectionError, OSError):
            counts["disconnected"] += 1
            bus.socket.close()
            bus = Bus()
    print(f"seed {seed}, {len(methods)} methods: " + ", ".join(f"{n} {what}" for what, n in counts.items()))


main()
