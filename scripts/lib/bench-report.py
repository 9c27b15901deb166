#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes report.json and the tables of scripts/bench from what was measured.

  bench-report.py RECORDS REPORT

RECORDS has lines of JSON: {"row", "case", "unit", "samples": [...]}; for losses {"row", "case", "events",
"requests", "refused", "reset", "timed_out", ...}; for a row that could not be measured {"row", "note"}.
"""

import json
import os
import platform
import statistics
import sys

LOSSES = ("refused", "reset", "timed_out", "wrong")
# what users do; the other cases of the row are there to compare with
LOSSLESS = ("hotstandby, flip, settle, close", "hsctl switchover", "systemctl restart with hotstandby",
            "systemctl restart, the only instance, parked")

# settling is 50 ms unless the settings say otherwise
UPGRADE, SETTLE_MS = "upgrade, less two restarts and settling", 50


class Row:
    """One line of the closing table: what was to be reached, and the cases that were measured."""

    def __init__(self, name, what, target, value_of):
        self.name, self.what = name, what
        self.relation, self.limit, self.unit = target
        self.value_of = value_of
        self.cases, self.notes = [], []

    def value(self):
        try:
            return self.value_of(self)
        except LookupError:
            return None

    def met(self):
        value = self.value()
        if value is None:
            return None
        return value >= self.limit if self.relation == ">=" else value <= self.limit

    def samples(self, case):
        return next(c for c in self.cases if c["case"] == case)["samples"]

    def median(self, case):
        for known in self.cases:
            if known["case"] == case and known["samples"]:
                return statistics.median(known["samples"])
        raise LookupError(case)

    def add_case(self, case, unit, samples):
        self.cases.append({"case": case, "unit": unit, "samples": samples})


def lost(case):
    return sum(case.get(kind, 0) for kind in LOSSES)


def total_lost(row):
    judged = [case for case in row.cases if case["case"] in LOSSLESS]
    if not judged:
        raise LookupError("nothing to judge")
    return sum(lost(case) for case in judged)


def median_of(case):
    return lambda row: row.median(case)


def ratio_of(case, base):
    return lambda row: row.median(case) / row.median(base)


def worst(row):
    return max(sample for case in row.cases for sample in case["samples"]) if row.cases else None


def slowest(row):
    return max(row.median(f"hsctl {verb}") for verb in ("scale", "weight", "pin"))


def enable_beyond(row):
    """systemd reads all its units again; what hsctl and hsd add to that."""
    beyond = [row.median(f"hsctl enable, {which}") - row.median(f"systemctl daemon-reload until it answers, {which}")
              for which in ("the first", "the 500th")]
    return beyond[1] - beyond[0]


def make_rows():
    return [
        Row("selector", "selector, per call", ("<=", 70, "ns"), median_of("standby, 1 shard")),
        Row("udp", "selector for UDP, per datagram, flow known", ("<=", 100, "ns"), median_of("connection")),
        Row("datagrams", "UDP answers per second, with the selector / plain SO_REUSEPORT", (">=", 0.95, ""),
            median_of("selector / plain")),
        Row("connect", "new connections per second, with the selector / plain SO_REUSEPORT", (">=", 0.97, ""),
            median_of("selector alone / plain")),
        Row("accounting", "the same with selector and accounting / plain", (">=", 0.97, ""),
            median_of("selector and accounting / plain")),
        Row("front", "front, per frame of a known flow, dsr", ("<=", 120, "ns"), median_of("dsr")),
        Row("front-ipip", "front, the same, ipip: as dsr, and what single runs take longer", ("<=", 180, "ns"),
            median_of("dsr, and the difference")),
        Row("front-nat", "front, the same, nat", ("<=", 200, "ns"), median_of("nat")),
        Row("command", "hsctl switchover, whole command", ("<=", 10, "ms"), median_of("switchover")),
        Row("flip", "flip itself, inside hsd", ("<=", 1000, "ns"), median_of("inside hsd")),
        Row("upgrade", "hsctl upgrade, beyond two restarts and settling", ("<=", 200, "ms"), median_of(UPGRADE)),
        Row("spread-moves", "policy hash: clients that move, 4 to 5 slots", ("<=", 22, "%"),
            median_of("clients that move, 4 to 5 slots")),
        Row("spread-more", "policy hash: clients that move, 8 to 9 slots", ("<=", 13, "%"),
            median_of("clients that move, 8 to 9 slots")),
        Row("spread-others", "policy hash: clients of the others that move when one dies", ("<=", 0, "%"),
            median_of("clients of the others that move when one of 4 dies")),
        Row("spread-command", "hsctl scale, weight, pin, whole command, the slowest", ("<=", 20, "ms"), slowest),
        Row("spread-flows", "datagrams for a CPU second of nfacctd, slots / one alone", (">=", 0.95, ""),
            lambda row: min(row.median("two slots / one alone"), row.median("four slots / one alone"))),
        Row("health", "CPU of hsd, probing two slots by HTTP once a second", ("<=", 5, "%"),
            median_of("two slots, by HTTP, Interval=1s")),
        Row("adopt", "adoption of a slot with 4 sockets, the first time", ("<=", 10, "ms"),
            median_of("1 address, first")),
        Row("counts", "live connection count, cost with 50000 / with 50", ("<=", 1.2, ""),
            ratio_of("whole service, 50000 connections", "whole service, 50 connections")),
        Row("census", "what 50000 connections are doing, looked at", ("<=", 200, "ms"), median_of("50000 connections")),
        Row("park", "4000 that wait, handed over to a slot that has come", ("<=", 10, "ms"),
            median_of("4000 wait, handed over")),
        Row("prober", "CPU time of a drill's prober at 100 connections a second", ("<=", 2, "%"),
            median_of("100 connections a second")),
        Row("crash", "no answer after kill -9 of the active instance", ("<=", 50, "ms"), median_of("hotstandby")),
        Row("hang", "no answer after SIGSTOP of the active instance, with Stall=1s", ("<=", 1050, "ms"),
            median_of("hotstandby, Stall=1s")),
        Row("felt", "p99 of a saturated service, hsd runs / is halted", ("<=", 1.05, ""),
            median_of("hsd runs / is halted, p99")),
        Row("hsd-cpu", "CPU of hsd, one saturated service", ("<=", 0.5, "%"), median_of("one saturated service")),
        Row("fastpath-sockperf-64", "fast path: round trip of 64 bytes (sockperf), with / without", ("<=", 1.05, ""),
            median_of("median, with / without")),
        Row("fastpath-sockperf-1k", "fast path: round trip of 1 KB (sockperf), with / without", ("<=", 1.05, ""),
            median_of("median, with / without")),
        Row("fastpath-sockperf-8k", "fast path: round trip of 8 KB (sockperf), with / without", ("<=", 1.05, ""),
            median_of("median, with / without")),
        # it is not for that, and hotstandby(7) says so
        Row("fastpath-iperf3", "fast path: bulk data (iperf3), with / without", (">=", 0.4, ""),
            median_of("throughput, with / without")),
        Row("fastpath-redis", "fast path: redis-benchmark, requests, with / without", (">=", 0.95, ""),
            median_of("requests, with / without")),
        Row("fastpath-redis-16", "fast path: the same, 16 requests at a time, with / without", (">=", 0.95, ""),
            median_of("requests, with / without")),
        Row("fastpath-pgbench", "fast path: pgbench through pgbouncer, with / without", (">=", 0.95, ""),
            median_of("requests, with / without")),
        Row("busy-cpu", "CPU of hsd, 50 busy services beside 5000 listeners of others", ("<=", 3, "%"),
            lambda row: row.cases[0]["samples"][0]),
        Row("loss", "lost requests in switchovers and restarts", ("<=", 0, ""), total_lost),
        Row("memory", "hsd, resident, with 50 services", ("<=", 20, "MB"), median_of("resident (RSS)")),
        Row("idle", "wake-ups of hsd when idle", ("<=", 0, ""), lambda row: row.cases[0]["samples"][0]),
        Row("ready", "500 services: all slots ready after a restart of hsd", ("<=", 5000, "ms"), worst),
        Row("wrong", "500 services: slots called down wrongly meanwhile", ("<=", 0, ""), worst),
        Row("each", "500 services: hsd, resident, for each", ("<=", 0.25, "MB"), worst),
        Row("list", "500 services: hsctl list", ("<=", 100, "ms"), median_of("hsctl list")),
        Row("switchover-of-many", "hsctl switchover, one of 500 services / alone", ("<=", 1.2, ""),
            ratio_of("one of 500", "alone")),
        Row("enable", "hsctl enable beyond systemd's reload, the 500th less the first", ("<=", 50, "ms"),
            enable_beyond),
        Row("rest", "500 services: wake-ups of hsd when idle", ("<=", 0, ""), worst),
    ]


def read(path, rows):
    by_name = {row.name: row for row in rows}
    with open(path, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            row = by_name[record.pop("row")]
            if "note" in record:
                row.notes.append(record["note"])
            else:
                row.cases.append(record)


def derive_upgrade(row):
    """What was measured in turns, as one case each; and the difference, round by round."""
    sides = [[s for c in row.cases if c["case"].endswith(side) for s in c["samples"]]
             for side in ("hsctl upgrade", "two restarts")]
    row.cases = []
    if sides[0]:
        row.add_case("hsctl upgrade, probation=0", "ms", sides[0])
        row.add_case("two restarts of a standby", "ms", sides[1])
        row.add_case("hsctl upgrade / two restarts", "", [a / b for a, b in zip(*sides)])
        row.add_case(UPGRADE, "ms", [a - b - SETTLE_MS for a, b in zip(*sides)])


def derive_spread(row):
    for slots in ("two slots", "four slots", "four with SO_REUSEPORT, without hotstandby") if row.cases else ():
        pairs = zip(row.samples(slots), row.samples("one nfacctd without hotstandby"))
        row.add_case(f"{slots} / one alone", "", [a / b for a, b in pairs])
    if row.cases:
        pairs = zip(row.samples("four slots"), row.samples("four with SO_REUSEPORT, without hotstandby"))
        row.add_case("four slots / four with SO_REUSEPORT", "", [a / b for a, b in pairs])


def derive_selector(row):
    """What a table adds to a word that names the slot, and what of it the client's address is."""
    for case, base in (("table, by client", "standby, 1 shard"), ("bare select, address", "bare select")):
        if row.cases:
            pairs = zip(row.samples(case), row.samples(base))
            row.add_case(f"{case}, less {base}", "ns", [a - b for a, b in pairs])


def derive_front(front, ipip):
    """What ipip puts around a frame makes it another one: only single runs tell, and what they all take more."""
    if not front.cases:
        return
    runs = zip(front.samples("dsr"), ipip.samples("ipip, alone"), front.samples("dsr, alone"))
    ipip.add_case("dsr, and the difference", "ns", [dsr + alone - dsr_alone for dsr, alone, dsr_alone in runs])


def derive(rows):
    """Cases that follow from others: differences and ratios, round by round."""
    by_name = {row.name: row for row in rows}
    derive_upgrade(by_name["upgrade"])
    derive_spread(by_name["spread-flows"])
    derive_selector(by_name["selector"])
    derive_front(by_name["front"], by_name["front-ipip"])
    connect, datagrams = by_name["connect"], by_name["datagrams"]
    for row, case in ((by_name["selector"], "standby, 1 shard"), (by_name["udp"], "connection")):
        for base in ("empty program", "bare select") if row.cases else ():
            pairs = zip(row.samples(case), row.samples(base))
            row.add_case(f"{case}, less the {base}", "ns", [a - b for a, b in pairs])
    for suffix in ("", ", per CPU second") if datagrams.cases else ():
        pairs = zip(datagrams.samples(f"selector{suffix}"), datagrams.samples(f"plain SO_REUSEPORT{suffix}"))
        datagrams.add_case(f"selector / plain{suffix}", "", [a / b for a, b in pairs])
    if not connect.cases:
        return
    for suffix in ("", ", per CPU second"):
        plain = connect.samples(f"plain SO_REUSEPORT{suffix}")
        for name, row in (("selector alone", connect), ("selector and accounting", by_name["accounting"])):
            ratios = [a / b for a, b in zip(connect.samples(f"{name}{suffix}"), plain)]
            row.add_case(f"{name} / plain{suffix}", "", ratios)


def figures(samples):
    ordered = sorted(samples)
    n = len(ordered)
    if not n:
        return {"median": None, "p99": None, "max": None, "runs": 0}
    return {"median": statistics.median(ordered), "p99": ordered[min(n - 1, int(n * 0.99))], "max": ordered[-1],
            "runs": n}


def summary(case):
    if "samples" in case:
        return {"case": case["case"], "unit": case["unit"], **figures(case["samples"])}
    return {**case, "lost": lost(case), "lost_per_1000_events": round(1000 * lost(case) / case["events"], 1)}


def machine():
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"kernel": platform.release(), "cpus": os.cpu_count(), "memory_mb": memory >> 20,
            "load": round(os.getloadavg()[0], 2)}


def make_report(rows):
    return {
        "machine": machine(),
        "rows": [{
            "name": row.name, "what": row.what,
            "target": {"relation": row.relation, "value": row.limit, "unit": row.unit},
            "value": row.value(), "met": row.met(), "notes": row.notes,
            "cases": [summary(case) for case in row.cases],
        } for row in rows if row.cases or row.notes],
    }


# --- for people ---------------------------------------------------------------------------------------

def number(value):
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(head, lines, left):
    """The first `left` columns are text."""
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) if i < left else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
                     for line in [head, *lines])


def timings_table(rows):
    lines = [(f"{row['name']}: {case['case']}", case["unit"],
              *(number(case[key]) for key in ("median", "p99", "max", "runs")))
             for row in rows for case in row["cases"] if "median" in case]
    return table(("measured", "", "median", "p99", "max", "runs"), lines, 2)


def losses_table(rows):
    keys = ("events", "requests", "refused", "reset", "timed_out", "lost_per_1000_events")
    lines = [(case["case"], *(number(case[key]) for key in keys))
             for row in rows for case in row["cases"] if "events" in case]
    return table(("what clients lost", "events", "requests", "refused", "reset", "timed out", "lost per 1000"),
                 lines, 1) if lines else ""


def closing_table(rows):
    lines = []
    for row in rows:
        target = row["target"]
        goal = f"{target['relation'].replace('<=', '≤').replace('>=', '≥')} {number(target['value'])} {target['unit']}"
        met = {True: "yes", False: "NO", None: "not measured"}[row["met"]]
        lines.append((row["what"], goal.replace("≤ 0 ", "0").strip(), met,
                      f"{number(row['value'])} {target['unit']}".strip()))
    return table(("what", "to reach", "reached", "measured"), lines, 3)


def main():
    records, path = sys.argv[1:3]
    rows = make_rows()
    read(records, rows)
    derive(rows)
    report = make_report(rows)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
        file.write("\n")
    for text in (timings_table(report["rows"]), losses_table(report["rows"]), closing_table(report["rows"])):
        if text:
            print(f"\n{text}")
    for row in report["rows"]:
        for note in row["notes"]:
            print(f"{row['what']}: {note}")
    info = report["machine"]
    print(f"\nLinux {info['kernel']}, {info['cpus']} CPUs, {info['memory_mb']} MB; load average {info['load']}.")


if __name__ == "__main__":
    main()
