#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How long clients go without an answer, inside the container of scripts/bench.

  bench-outage.py ROW CASE TIMES PORT SIGNAL READY-COMMAND UNIT-COMMAND

Each time: waits until READY-COMMAND succeeds, sends SIGNAL to all processes of the unit that UNIT-COMMAND
prints, and asks again and again with new connections. Prints the times from the signal to the first answer, in
milliseconds; a client waits for one for GIVE_UP seconds.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

GIVE_UP = 5


def output(command):
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout.strip()


def wait_ready(command):
    end = time.monotonic() + 30
    while subprocess.run(command, shell=True, check=False).returncode:
        if time.monotonic() > end:
            sys.exit(f"in vain: {command}")
        time.sleep(0.05)


def ask(port, patience):
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return client.recv(12).startswith(b"HTTP/1.1 200")


def first_answer(port, begun):
    while True:
        left = begun + GIVE_UP - time.monotonic()
        if left <= 0:
            return GIVE_UP
        try:
            if ask(port, left):
                return time.monotonic() - begun
        except OSError:
            time.sleep(0.0002)


def processes_of(unit):
    group = output(f"systemctl show -P ControlGroup {unit}")
    with open(f"/sys/fs/cgroup{group}/cgroup.procs", encoding="ascii") as file:
        return [int(line) for line in file]


def measure(port, number, unit):
    pids = processes_of(unit)
    ask(port, GIVE_UP)
    begun = time.monotonic()
    for pid in pids:
        # systemd, which sees the first one die, ends the others as well
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    seconds = first_answer(port, begun)
    if number == signal.SIGSTOP and seconds >= GIVE_UP:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    return 1000 * seconds


def main():
    row, case, times, port, name, ready, unit = sys.argv[1:]
    samples = []
    for _ in range(int(times)):
        wait_ready(ready)
        samples.append(measure(int(port), getattr(signal, name), output(unit)))
    print(json.dumps({"row": row, "case": case, "unit": "ms", "samples": [round(s, 3) for s in samples]}))


main()
