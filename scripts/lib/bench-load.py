#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the clients saw during the events of one case, from what httperf has printed.

  bench-load.py CASE EVENTS FILE

FILE has one report of httperf or several. Prints one line of JSON for bench-report.py. A request that got
neither an answer nor an error was closed before its answer came, and counts as reset.
"""

import json
import re
import sys


def total(text, pattern):
    return sum(int(number) for number in re.findall(pattern, text))


def main():
    name, events, path = sys.argv[1:4]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    # the client's own limits: never sent, so never lost
    not_sent = sum(total(text, rf" {kind} (\d+)") for kind in ("fd-unavail", "addrunavail", "ftab-full"))
    requests = total(text, r"Total: connections (\d+)")
    if not requests:
        sys.exit("httperf has reported nothing")
    answered = total(text, r" 2xx=(\d+)")
    wrong = total(text, r" [1345]xx=(\d+)")
    refused = total(text, r" connrefused (\d+)")
    timed_out = total(text, r" client-timo (\d+)") + total(text, r" socket-timo (\d+)")
    print(json.dumps({
        "row": "loss", "case": name, "events": int(events), "requests": requests,
        "refused": refused, "reset": max(0, requests - answered - wrong - refused - timed_out),
        "timed_out": timed_out, "wrong": wrong, "not_sent": not_sent,
    }))


if __name__ == "__main__":
    main()
