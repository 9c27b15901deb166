#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Shows the demo while it runs: a few lines that repaint themselves on a terminal, plain lines elsewhere.

  live.py RECORDS-FOLDER

Ends, after a last look, when it gets SIGTERM.
"""

import glob
import os
import shutil
import signal
import sys
import time

import timeline

BIN_S = 0.1
LOOK_S = 0.15
BARS = "▁▂▃▄▅▆▇█"
RED, GREEN, BOLD, DIM, PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[1m", "\x1b[2m", "\x1b[0m"


class Tail:
    """What has been added to a file since the last look."""

    def __init__(self, path):
        self.path = path
        self.position = 0

    def read(self, unit):
        """The new bytes, in whole units of so many bytes."""
        with open(self.path, "rb") as file:
            file.seek(self.position)
            data = file.read()
        data = data[:len(data) - len(data) % unit]
        self.position += len(data)
        return data

    def read_lines(self):
        data = self.read(1)
        whole = data.rfind(b"\n") + 1
        self.position -= len(data) - whole
        return data[:whole].decode().splitlines()


class Count:
    """The answers of the phase that runs."""

    def __init__(self):
        self.requests = self.lost = self.slowest_us = 0
        self.bins = {}  # index -> [answers, lost, slowest_us]

    def add(self, end, duration_us, outcome):
        entry = self.bins.setdefault(int(end / BIN_S), [0, 0, 0])
        self.requests += 1
        if outcome == timeline.ANSWERED:
            entry[0] += 1
            entry[2] = max(entry[2], duration_us)
            self.slowest_us = max(self.slowest_us, duration_us)
        else:
            entry[1] += 1
            self.lost += 1

    def latest(self, columns):
        """The last so many whole bins."""
        last = int(time.time() / BIN_S) - 3
        return [self.bins.get(index, [0, 0, 0]) for index in range(last - columns + 1, last + 1)]


class Run:
    """Follows the files of one side."""

    def __init__(self, folder, side):
        self.folder, self.side = folder, side
        self.events = Tail(os.path.join(folder, side + ".events"))
        self.phases, self.logs, self.count = [], {}, Count()
        self.running = False

    def look(self):
        """Reads what is new. Yields each new line of the events file, with the phases as it has left them."""
        try:
            lines = self.events.read_lines()
        except FileNotFoundError:
            return
        for line in lines:
            timeline.parse_event_line(line, self.phases)
            if " phase " in line:
                self.count, self.logs, self.running = Count(), {}, True
            yield line
        self.read_logs()

    def read_logs(self):
        if not self.phases:
            return
        pattern = f"{self.side}.{self.phases[-1].name}.*.[0-9]*"
        for path in glob.glob(os.path.join(self.folder, pattern)):
            tail = self.logs.setdefault(path, Tail(path))
            for record in timeline.parse_records(tail.read(timeline.RECORD.size)):
                self.count.add(*record)


def spaced(number):
    return f"{number:,}".replace(",", " ")


def bar_line(values):
    top = max(max(values, default=0), 1)
    return "".join(BARS[min(len(BARS) - 1, value * len(BARS) // (top + 1))] if value else " " for value in values)


class Display:
    def __init__(self):
        self.live = sys.stdout.isatty()
        self.painted = 0

    def paint(self, lines):
        """Replaces what was painted last."""
        if not self.live:
            return
        back = f"\x1b[{self.painted}A\x1b[J" if self.painted else ""
        no_wrap, wrap = "\x1b[?7l", "\x1b[?7h"
        sys.stdout.write(no_wrap + back + "".join(f"{line}\n" for line in lines) + wrap)
        sys.stdout.flush()
        self.painted = len(lines)

    def say(self, line):
        """A line that stays."""
        self.paint([])
        print(line, flush=True)

    def colour(self, code, words):
        return f"{code}{words}{PLAIN}" if self.live else words


def summary(display, run):
    phase, count = run.phases[-1], run.count
    lost = display.colour(RED if count.lost else GREEN, f"{count.lost:>4} lost")
    return (f"{run.side:<11} {phase.name:<11} {len(phase.events):>3} events  {spaced(count.requests):>9} requests  "
            f"{lost}  slowest {count.slowest_us / 1000:.0f} ms")


def picture(display, run):
    phase, count = run.phases[-1], run.count
    bins = count.latest(max(20, min(70, shutil.get_terminal_size().columns - 32)))
    second = bins[-10:]
    event = next((said for _, said in reversed(phase.events) if said), "")
    lost = "".join("✗" if entry[1] else " " for entry in bins)
    return [
        "",
        f"{display.colour(BOLD, run.side)} · {phase.name} {len(phase.events)}/{phase.expected_events}",
        f"  answers    {bar_line([entry[0] for entry in bins])} {spaced(sum(e[0] for e in second))}/s",
        f"  slowest    {bar_line([entry[2] for entry in bins])} {max(e[2] for e in second) / 1000:.1f} ms",
        f"  lost       {display.colour(RED, lost)} {count.lost} of {spaced(count.requests)}",
        f"  {display.colour(DIM, event)}",
    ]


def show(display, run):
    for line in run.look():
        kind = line.split(" ", 2)[1]
        phase = run.phases[-1]
        if kind == "end":
            run.running = False
            run.read_logs()
            display.say(summary(display, run))
        elif kind == "said" and not display.live:
            display.say(f"  {run.side} {phase.name} {len(phase.events)}/{phase.expected_events}: {phase.events[-1][1]}")
    if run.running:
        display.paint(picture(display, run))


def main():
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the demo decides when it is over
    display = Display()
    runs = [Run(sys.argv[1], side) for side in timeline.SIDES]
    while True:
        stopping = bool(stop)
        for run in runs:
            show(display, run)
        if stopping:
            break
        time.sleep(LOOK_S)
    display.paint([])


if __name__ == "__main__":
    main()
