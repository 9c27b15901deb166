# SPDX-License-Identifier: GPL-2.0-or-later
"""
Exporters at 64 addresses of IPv4 and 64 of IPv6 ask a server of examples/echo all the time, by UDP and by TCP, while
things are done to its slots; and whoever answered is held against where hsd said that this client is.

  spread_events.py run SERVICE PORT SEED EVENTS DATAGRAMS CONNECTIONS
      as many events by chance, and datagrams and connections at least; prints what came of it as JSON
  spread_events.py ask PORT
      of each exporter of IPv4, from a port that is always the same: who answered one datagram: "0 2 1 ..."

Of hsd nothing is used but Where(), asked for each exporter over and over again: two answers that agree, one from before
a datagram was sent and one from behind its answer, and all between them, say where it has to be. Where they do not
agree the table has just changed, or a slot has gone, and where it has changed more than once between two of them it may
have been elsewhere meanwhile: those are counted as of such moments, and not judged. Who moves for what is judged
besides: of a slot that is restarted, killed or drained its own clients alone, and they are back behind it; for a new
slot, to it alone; and so on.
"""
import array
import bisect
import collections
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import dbus

EXPORTERS = 64
SLOTS_MAX = 6
WAIT = 30  # for anything that is done to come to rest
PATIENCE = 2  # for an answer
RECORD = struct.Struct("=qqhhi")  # sent, answered, exporter, slot: -1 = no answer; of a look, the word's generation
CLIENTS = [f"127.0.1.{i + 1}" for i in range(EXPORTERS)] + [f"fd00::1:{i + 1:x}" for i in range(EXPORTERS)]
now = time.monotonic_ns


def open_client(kind, client, port, own_port=0):
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    s = socket.socket(family, kind)
    s.settimeout(PATIENCE)
    s.bind((client, own_port))
    s.connect(("::1" if family == socket.AF_INET6 else "127.0.0.1", port))
    return s


def slot_in(answer):
    return int(answer[5:].split(b" ", 1)[0])


# ---- who asks ----


class Asking:
    """A process that asks until it has asked enough and is told that it may end; its records are in a file."""

    def __init__(self, work):
        self.file = tempfile.TemporaryFile()
        self.pid = os.fork()
        if not self.pid:
            self.ending = False
            signal.signal(signal.SIGTERM, self.on_end)
            with os.fdopen(os.dup(self.file.fileno()), "wb", buffering=1 << 16) as out:
                work(lambda *record: out.write(RECORD.pack(*(record + (0,))[:5])), lambda: self.ending)
            os._exit(0)

    def on_end(self, *_):
        self.ending = True

    def end(self):
        os.kill(self.pid, signal.SIGTERM)
        if os.waitpid(self.pid, 0)[1]:
            raise SystemExit("an exporter has failed")
        self.file.seek(0)
        return list(RECORD.iter_unpack(self.file.read()))


class Datagrams:
    """One is under way from each exporter. Which one an answer is to is told by its length, which the server says."""

    def __init__(self, port):
        self.sockets = [open_client(socket.SOCK_DGRAM, client, port) for client in CLIENTS]
        self.sent = [0] * len(CLIENTS)
        self.length = [0] * len(CLIENTS)

    def send(self, i):
        self.length[i] = self.length[i] % 200 + 1
        self.sent[i] = now()
        try:
            self.sockets[i].send(b"x" * self.length[i])
        except ConnectionRefusedError:  # told of the one before
            self.sockets[i].send(b"x" * self.length[i])

    def receive(self, i, record):
        try:
            answer = self.sockets[i].recv(512)
        except (ConnectionRefusedError, TimeoutError):
            return
        if int(answer[answer.rindex(b"=") + 1:]) == self.length[i]:
            record(self.sent[i], now(), i, slot_in(answer))
            self.send(i)

    def give_up(self, record):
        for i, sent in enumerate(self.sent):
            if now() - sent > PATIENCE * 10**9:
                record(sent, now(), i, -1)
                self.send(i)

    def ask(self, enough, record, is_ending):
        poll = select.epoll()
        number = {}
        for i, s in enumerate(self.sockets):
            number[s.fileno()] = i
            poll.register(s, select.EPOLLIN)
            self.send(i)
        n, looked = 0, now()
        while n < enough or not is_ending():
            events = poll.poll(0.2)
            n += len(events)
            for fd, _ in events:
                self.receive(number[fd], record)
            if now() - looked > 10**8:
                looked = now()
                self.give_up(record)


def connect(port, i, record):
    sent = now()
    try:
        with open_client(socket.SOCK_STREAM, CLIENTS[i], port) as s:
            s.send(b"x")
            slot = slot_in(s.recv(512) or b"slot=-1 ")
    except OSError:
        slot = -1
    record(sent, now(), i, slot)


def ask_by_tcp(port, enough, per_second, record, is_ending):
    begun, n = time.monotonic(), 0
    while n < enough or not is_ending():
        connect(port, n % len(CLIENTS), record)
        n += 1
        time.sleep(max(0, begun + n / per_second - time.monotonic()))


# ---- where they are ----


class Placement:
    """What hsd says."""

    def __init__(self, service):
        self.service = dbus.Interface(
            dbus.SystemBus(private=True).get_object("org.hotstandby1", "/org/hotstandby1/service/" + service),
            "org.hotstandby1.Service")

    def where(self, client):
        answer = json.loads(self.service.Where(client))
        return -1 if answer["slot"] is None else answer["slot"], answer["generation"]

    def all(self):
        return [self.where(client)[0] for client in CLIENTS]

    def table(self):
        return json.loads(self.service.Table())

    def members(self):
        return {slot["slot"] for slot in self.table()["slots"] if slot["in_service"]}


def look(service, record, is_ending):
    placement = Placement(service)
    while not is_ending():
        for i, client in enumerate(CLIENTS):
            asked = now()
            slot, generation = placement.where(client)
            record(asked, now(), i, slot, generation)


class Looks:
    """Of each exporter, when hsd was asked, when it had answered, and what."""

    def __init__(self, records):
        self.asked = [array.array("q") for _ in CLIENTS]
        self.answered = [array.array("q") for _ in CLIENTS]
        self.slots = [array.array("h") for _ in CLIENTS]
        self.generations = [array.array("i") for _ in CLIENTS]
        self.wrong = []
        for asked, answered, i, slot, generation in records:
            self.asked[i].append(asked)
            self.answered[i].append(answered)
            self.slots[i].append(slot)
            self.generations[i].append(generation)

    def between(self, i, begin, end):
        """What was answered from the last time that is wholly before on to the first that is wholly behind; None: there
        was no such time."""
        first = bisect.bisect_right(self.answered[i], begin) - 1
        last = bisect.bisect_left(self.asked[i], end)
        if first < 0 or last == len(self.asked[i]):
            return None
        return set(self.slots[i][first:last + 1]) | self.unseen(i, first, last)

    def unseen(self, i, first, last):
        generations = self.generations[i][first:last + 1]
        return {"elsewhere"} if any(b - a > 1 for a, b in zip(generations, generations[1:])) else set()

    def within(self, i, begin, end):
        """What was answered meanwhile."""
        return set(self.slots[i][bisect.bisect_left(self.asked[i], begin):bisect.bisect_right(self.answered[i], end)])

    def told(self, i, begin, end):
        """For people: when, counted from the beginning in ms, it was said to be where."""
        first = bisect.bisect_right(self.answered[i], begin) - 1
        last = bisect.bisect_left(self.asked[i], end)
        said = [(round((self.asked[i][n] - begin) / 1e6, 1), self.slots[i][n]) for n in range(max(first, 0), last + 1)]
        return [one for n, one in enumerate(said) if not n or said[n - 1][1] != one[1]]

    def judge(self, records, earlier=0):
        verdicts = collections.Counter()
        for sent, answered, i, slot, _ in records:
            said = self.between(i, sent - earlier, answered - earlier)
            if slot < 0:
                verdicts["lost"] += 1
            elif not said:
                verdicts["unseen"] += 1
            elif len(said) > 1:
                verdicts["changing"] += 1
            else:
                verdicts["right" if slot in said else "wrong"] += 1
                if slot not in said and not earlier:
                    self.wrong.append((sent, answered, CLIENTS[i], slot, self.told(i, sent - 10**8, answered + 10**8)))
        return verdicts


# ---- what is done ----


def run(*command, refused=False):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    if done.returncode and not (refused and done.returncode == 3):
        raise SystemExit(f"{' '.join(command)}: {done.returncode}: {done.stdout}")
    return not done.returncode


class Events:
    def __init__(self, service):
        self.service, self.placement = service, Placement(service)
        self.slots = 4
        self.weights = [100] * SLOTS_MAX
        run("hsctl", "scale", service, str(SLOTS_MAX))
        for slot in range(SLOTS_MAX):
            run("hsctl", "weight", service, str(slot), "100%")
        run("hsctl", "scale", service, str(self.slots))
        self.log = []  # begin, end, what, slot, who was where before

    def unit(self, slot):
        return f"{self.service}@{slot}.service"

    # each returns who may move, as a function of where one was and is

    def scale(self, slot):
        wanted = random.choice([n for n in range(2, SLOTS_MAX + 1) if n != self.slots])
        before = self.slots
        if run("hsctl", "scale", self.service, str(wanted), refused=True):
            self.slots = wanted
        return lambda _, was, now_at: now_at >= before if wanted > before else was >= wanted

    def restart(self, slot):
        run("systemctl", "restart", self.unit(slot))
        return lambda *_: False

    def main_pid(self, slot):
        return subprocess.check_output(["systemctl", "show", "-P", "MainPID", self.unit(slot)], text=True).strip()

    def kill(self, slot):
        before = self.main_pid(slot)
        run("systemctl", "kill", "--signal=KILL", self.unit(slot))
        # hsd starts it again
        until = time.monotonic() + WAIT
        while self.main_pid(slot) in ("0", before) and time.monotonic() < until:
            time.sleep(0.02)
        return lambda *_: False

    def drain(self, slot):
        # the last one that has a weight keeps its clients until there is another
        run("hsctl", "drain", "--deadline=5s", self.service, str(slot), refused=True)
        time.sleep(random.random() / 2)
        run("hsctl", "adopt", self.unit(slot))
        return lambda *_: False

    def weigh(self, slot):
        weight = random.choice([0, 10, 50, 100, 100, 200, 400])
        if run("hsctl", "weight", self.service, str(slot), f"{weight}%", refused=True):
            self.weights[slot] = weight
        return lambda _, was, now_at: slot in (was, now_at)

    def pin(self, slot):
        one = random.randrange(len(CLIENTS))
        run("hsctl", "pin", self.service, CLIENTS[one], str(slot), refused=True)
        # long enough to be seen by who asks where everybody is
        time.sleep(0.3)
        run("hsctl", "pin", self.service, CLIENTS[one], "none", refused=True)
        return lambda *_: False

    def upgrade(self, _):
        run("hsctl", "upgrade", self.service, "--probation=0")
        return lambda *_: False

    def expected(self):
        return {slot for slot in range(self.slots) if self.weights[slot]}

    def rest(self):
        until = time.monotonic() + WAIT
        while self.placement.members() != self.expected():
            if time.monotonic() > until:
                raise SystemExit(f"slots {self.placement.members()} are in service and not {self.expected()}; "
                                 + json.dumps(self.log[-2:]))
            time.sleep(0.02)

    def one(self, number):
        kinds = [self.scale, self.restart, self.kill, self.drain, self.weigh, self.pin, self.upgrade]
        # each once in so many, in an order by chance
        if number % len(kinds) == 0:
            self.order = random.sample(kinds, len(kinds))
        kind, slot = self.order[number % len(kinds)], random.randrange(self.slots)
        before = self.placement.all()
        begun = now()
        may_move = kind(slot)
        self.rest()
        after = self.placement.all()
        strange = [CLIENTS[i] for i, (a, b) in enumerate(zip(before, after)) if a != b and not may_move(i, a, b)]
        self.log.append({"what": kind.__name__, "slot": slot, "slots": self.slots, "began": begun, "ended": now(),
                         "before": before, "moved": sum(a != b for a, b in zip(before, after)), "strange": strange})


def strangers(log, looks):
    """Who is of no slot that something was done to, and was elsewhere meanwhile."""
    found = []
    for event in log:
        if event["what"] not in ("restart", "kill", "drain"):
            continue
        for i, was in enumerate(event["before"]):
            if was != event["slot"] and looks.within(i, event["began"], event["ended"]) - {was}:
                found.append((event["what"], event["slot"], CLIENTS[i], was, looks.told(i, event["began"], event["ended"])))
    return found


def lost_in(log, records):
    """How many were lost by kind of event; of none: in none of them."""
    begins = [event["began"] for event in log]
    lost = collections.Counter()
    for sent, _, _, slot, _ in records:
        if slot < 0:
            # what lay in the buffer of one that is killed was sent before
            event = bisect.bisect_right(begins, sent + 10**8) - 1
            lost[log[event]["what"] if event >= 0 else "none"] += 1
    return dict(lost)


def run_all(service, port, seed, n_events, n_datagrams, n_connections):
    random.seed(seed)
    looking = Asking(lambda *how: look(service, *how))
    datagrams = Asking(lambda *how: Datagrams(port).ask(n_datagrams, *how))
    # as many as there is time for, so that they fall into all events
    connections = Asking(lambda *how: ask_by_tcp(port, n_connections, 100, *how))
    events = Events(service)
    try:
        for number in range(n_events):
            events.one(number)
    except BaseException:
        for asking in (looking, datagrams, connections):
            os.kill(asking.pid, signal.SIGKILL)
        raise
    udp, tcp = datagrams.end(), connections.end()
    time.sleep(0.5)
    looks = Looks(looking.end())
    moved = collections.defaultdict(list)
    for event in events.log:
        moved[event["what"]].append(event["moved"])
    print(json.dumps({
        "udp": looks.judge(udp), "tcp": looks.judge(tcp), "looks": sum(map(len, looks.slots)),
        "wrong_by_what_was_2_s_before": looks.judge(udp, 2 * 10**9)["wrong"],
        "udp_lost_in": lost_in(events.log, udp), "tcp_lost_in": lost_in(events.log, tcp),
        "wrong": [(round((sent - events.log[0]["began"]) / 1e6, 1), round((answered - sent) / 1e6, 1), *more)
                  for sent, answered, *more in looks.wrong[:20]],
        "log": [(e["what"], e["slot"], round((e["began"] - events.log[0]["began"]) / 1e6, 1)) for e in events.log],
        "events": {what: len(n) for what, n in moved.items()},
        "strange": [e for e in events.log if e["strange"]], "strangers": strangers(events.log, looks)}))


def ask_once(port):
    answers = []
    for i, client in enumerate(CLIENTS[:EXPORTERS]):
        with open_client(socket.SOCK_DGRAM, client, port, 6000 + i) as s:
            s.send(b"x")
            answers.append(slot_in(s.recv(512).replace(b"\n", b" ")))
    print(*answers)


if sys.argv[1] == "run":
    run_all(sys.argv[2], *map(int, sys.argv[3:]))
else:
    ask_once(int(sys.argv[2]))
