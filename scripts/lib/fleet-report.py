#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What clients saw in scripts/demo front, as a table and as JSON: fleet-report.py RECORDS JSON MODE SWITCHOVERS

Ends with 1 if a front lost a connection, or had a download cut, in what was planned.
"""

import json
import pathlib
import statistics
import sys

EVENTS = {
    "switchover": "{} switchovers of hosts",
    "drain": "a host is drained",
    "reboot": "a host is rebooted",
    "host_killed": "a host loses its power",
    "entry_killed": "what is before them does",
}
SIDES = {"front": "two fronts, {}", "haproxy": "two HAProxy, TCP", "none": "nobody"}
PLANNED = ("switchover", "drain", "reboot")


def words(path):
    text = path.read_text() if path.exists() else ""
    return {key: value if key == "host" else int(value) for key, value in (w.split("=") for w in text.split())}


def read(records, side, event):
    if (records / f"{side}.{event}.none").exists():
        return None
    clients = words(records / f"{side}.{event}.clients")
    streams = words(records / f"{side}.{event}.streams")
    return {"clients": clients, "downloads": streams} if clients and streams else None


def cell(seen):
    if not seen:
        return "-"
    clients, downloads = seen["clients"], seen["downloads"]
    text = f"{clients['lost']} of {clients['requests']} lost"
    if clients["late"]:
        text += f", {clients['late']} late"
    if clients["bad_ms"]:
        text += f", for {clients['bad_ms'] / 1000:.1f} s"
    return text + f"; {downloads['whole']} of {downloads['streams']} downloads whole, gap {downloads['gap_ms'] / 1000:.1f} s"


def read_rates(records):
    rates = {}
    for line in (records / "rates").read_text().splitlines():
        way, rate = line.split()
        rates.setdefault(way, []).append(float(rate))
    direct, front, haproxy = rates.values()
    return {
        "connections_per_second": {"direct": direct, "front": front, "haproxy": haproxy},
        "front_to_direct": round(statistics.median(f / d for f, d in zip(front, direct)), 2),
        "front_to_haproxy": round(statistics.median(f / h for f, h in zip(front, haproxy)), 2),
    }


def main():
    records, target, mode, switchovers = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    seen = {event: {side: read(records, side, event) for side in SIDES} for event in EVENTS}
    rates = read_rates(records)
    heads = [head.format(mode) for head in SIDES.values()]
    told = [event for event in EVENTS if any(seen[event].values())]
    if told:
        print("| before three hosts | " + " | ".join(heads) + " |")
        print("|---" * (len(heads) + 1) + "|")
    for event in told:
        text = EVENTS[event]
        print("| " + " | ".join([text.format(switchovers)] + [cell(seen[event][side]) for side in SIDES]) + " |")
    print(f"New connections a second by the front: {rates['front_to_direct']} of those without,"
          f" {rates['front_to_haproxy']} times those by HAProxy (medians).")
    with open(target, "w") as file:
        json.dump({"mode": mode, "switchovers": int(switchovers), "events": seen, "rates": rates}, file, indent=1)
    fronts = [seen[event]["front"] for event in PLANNED if seen[event]["front"]]
    bad = [s for s in fronts if s["clients"]["lost"] or s["downloads"]["whole"] < s["downloads"]["streams"]]
    sys.exit(1 if bad else 0)


main()
