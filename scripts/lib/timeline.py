# SPDX-License-Identifier: GPL-2.0-or-later
"""What the demo recorded, read back.

A folder holds, for each SIDE ("hotstandby", "baseline"):

  SIDE.events                     one line each: TIME KIND REST, TIME in seconds since the epoch
      TIME phase NAME PLANNED COUNT    a phase begins (PLANNED yes or no, COUNT events to come)
      TIME event                       one of its events begins
      TIME said TEXT                   what came of it
      TIME end                         the phase is over
  SIDE.PHASE.SERVICE.N            the answers that client N got (see wrk-timeline.lua)
  SIDE.PHASE.SERVICE.totals       the kinds of failures, for all clients of that service
"""

import glob
import os
import struct
from dataclasses import dataclass, field

SIDES = ("hotstandby", "baseline")
RECORD = struct.Struct("=QII")
ANSWERED, WRONG, FAILED = 0, 1, 2
# a client that waits longer for its answer has given up (as in wrk-timeline.lua)
PATIENCE_US = 2_000_000


@dataclass
class Phase:
    name: str
    planned: bool
    expected_events: int
    start: float
    end: float = 0.0
    events: list = field(default_factory=list)  # (time, text)


def parse_event_line(line, phases):
    """Adds what a line of SIDE.events says to the phases."""
    time, kind, *rest = line.rstrip("\n").split(" ", 2)
    if kind == "phase":
        name, planned, count = rest[0].split(" ")
        phases.append(Phase(name, planned == "yes", int(count), float(time)))
    elif kind == "event":
        phases[-1].events.append((float(time), ""))
    elif kind == "said":
        phases[-1].events[-1] = (phases[-1].events[-1][0], rest[0])
    elif kind == "end":
        phases[-1].end = float(time)


def read_phases(folder, side):
    phases = []
    try:
        with open(os.path.join(folder, side + ".events"), encoding="utf-8") as lines:
            for line in lines:
                parse_event_line(line, phases)
    except FileNotFoundError:
        pass
    return [phase for phase in phases if phase.end]


def parse_records(data):
    """Yields (end in seconds since the epoch, duration in us, outcome)."""
    whole = len(data) - len(data) % RECORD.size
    for end_ns, duration_us, outcome in RECORD.iter_unpack(data[:whole]):
        yield end_ns / 1e9, duration_us, outcome


def services_of(folder, side, phase):
    prefix = os.path.join(folder, f"{side}.{phase}.")
    return sorted({path[len(prefix):].split(".")[0] for path in glob.glob(prefix + "*")})


def read_records(folder, side, phase, service):
    """All clients' records of one service in one phase, in order of time."""
    records = []
    for path in glob.glob(os.path.join(folder, f"{side}.{phase}.{service}.[0-9]*")):
        with open(path, "rb") as log:
            records.extend(parse_records(log.read()))
    records.sort()
    return records


def read_totals(folder, side, phase, service):
    totals = {}
    with open(os.path.join(folder, f"{side}.{phase}.{service}.totals"), encoding="utf-8") as lines:
        for line in lines:
            name, value = line.split()
            totals[name] = int(value)
    return totals
