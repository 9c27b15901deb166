#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes report.json, report.svg and the closing table from what the demo recorded.

  report.py RECORDS-FOLDER OUTPUT-FOLDER

Exit status 1 if a planned phase lost a request under hotstandby, 2 if it has nothing to report on.
"""

import json
import os
import shutil
import sys
import textwrap

import picture
import timeline

LOSSES = ("refused", "reset", "timed_out", "wrong")


def percentile(ordered, share):
    if not ordered:
        return 0
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def longest_gap_ms(records, phase):
    """The longest time within the phase without an answer to anybody."""
    longest, last = 0.0, phase.start
    for end, _, outcome in records:
        if outcome == timeline.ANSWERED and phase.start <= end <= phase.end:
            longest = max(longest, end - last)
            last = end
    return round(max(longest, phase.end - last) * 1000, 1)


def count_losses(records, totals):
    """What one service's clients lost, by kind. wrk's own numbers say what kind a failure was; one that
    it has no number for is a connection that was closed without an answer, and counts as reset."""
    failed = max(totals["failed"], totals["refused"] + totals["reset"])
    late = sum(1 for _, duration, outcome in records
               if outcome == timeline.ANSWERED and duration > timeline.PATIENCE_US)
    return {
        "refused": totals["refused"] + totals["gone"],
        "reset": failed - totals["refused"],
        "timed_out": late + totals["given_up"],
        "wrong": sum(1 for record in records if record[2] == timeline.WRONG),
    }


def measure(folder, side, phase):
    """The figures of one phase on one side, over all services."""
    losses = dict.fromkeys(LOSSES, 0)
    durations, requests, gap = [], 0, 0.0
    for service in timeline.services_of(folder, side, phase.name):
        records = timeline.read_records(folder, side, phase.name, service)
        totals = timeline.read_totals(folder, side, phase.name, service)
        for kind, count in count_losses(records, totals).items():
            losses[kind] += count
        requests += len(records) + totals["given_up"] + totals["gone"]
        gap = max(gap, longest_gap_ms(records, phase))
        durations += [duration for _, duration, outcome in records if outcome == timeline.ANSWERED]
    durations.sort()
    return {
        "requests": requests,
        **losses,
        "p50_us": percentile(durations, 0.50),
        "p99_us": percentile(durations, 0.99),
        "max_us": durations[-1] if durations else 0,
        "longest_gap_ms": gap,
    }


def build_report(folder):
    phases = {}
    for side in timeline.SIDES:
        for phase in timeline.read_phases(folder, side):
            entry = phases.setdefault(phase.name, {
                "name": phase.name,
                "planned": phase.planned,
                "events": len(phase.events),
            })
            entry[side] = measure(folder, side, phase)
    return {"phases": list(phases.values())}


def lost(figures):
    return sum(figures[kind] for kind in LOSSES)


def format_ms(us):
    return f"{us / 1000:.1f}" if us < 100_000 else f"{us / 1000:.0f}"


# in two lines, so that the table fits into the 80 columns of a terminal
HEAD = (("", "", "", "", "timed", "", "p50", "p99", "max", "longest"),
        ("", "requests", "refused", "reset", "out", "wrong", "ms", "ms", "ms", "gap ms"))
TERMINAL = 80


def table_row(side, figures):
    return (f"  {side}", f"{figures['requests']:,}".replace(",", " "), *(str(figures[k]) for k in LOSSES),
            format_ms(figures["p50_us"]), format_ms(figures["p99_us"]), format_ms(figures["max_us"]),
            f"{figures['longest_gap_ms']:.0f}")


def table(report):
    """A line for each phase, and below it one for each side."""
    rows = list(HEAD)
    for phase in report["phases"]:
        rows.append((f"{phase['events']} × {phase['name']}",))
        rows += [table_row(side, phase[side]) for side in timeline.SIDES if side in phase]
    widths = [max(len(row[i]) for row in rows if len(row) > 1) for i in range(len(HEAD[0]))]
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= TERMINAL else " "
    lines = []
    for row in rows:
        cells = [cell.rjust(width) if i else cell.ljust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        lines.append(gap.join(cells).rstrip())
    return "\n".join(lines)


def verdict(report):
    """A sentence and whether the demo has succeeded."""
    measured = [phase for phase in report["phases"] if "hotstandby" in phase]
    if not measured:
        return "Only the baseline was measured.", True
    losing = [phase["name"] for phase in measured if phase["planned"] and lost(phase["hotstandby"])]
    if losing:
        return f"Requests were lost under hotstandby, in: {', '.join(losing)}.", False
    planned = [phase for phase in measured if phase["planned"]]
    requests = sum(phase["hotstandby"]["requests"] for phase in planned)
    sentence = (f"Under hotstandby none of {requests:,} requests was lost in "
                f"{sum(phase['events'] for phase in planned)} planned events").replace(",", " ")
    if all("baseline" in phase for phase in planned):
        count = sum(lost(phase["baseline"]) for phase in planned)
        sentence += f"; without it, {count} {'was' if count == 1 else 'were'}"
    return sentence + ".", True


def main():
    records, output = sys.argv[1:3]
    report = build_report(records)
    if not report["phases"]:
        print("nothing was recorded", file=sys.stderr)
        return 2
    sentence, good = verdict(report)
    with open(os.path.join(output, "report.json"), "w", encoding="utf-8") as file:
        json.dump(report, file, indent=2)
        file.write("\n")
    with open(os.path.join(output, "report.svg"), "w", encoding="utf-8") as file:
        file.write(picture.draw(records, report, sentence))
    print(table(report))
    print()
    print(textwrap.fill(sentence, shutil.get_terminal_size().columns) if sys.stdout.isatty() else sentence)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
