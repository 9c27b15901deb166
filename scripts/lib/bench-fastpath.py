#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Real pairs of programs with the fast path and without it, by turns. Runs in the container of scripts/bench, as root.

  bench-fastpath.py ROUNDS SECONDS [ROW...]
                                          prints records for bench-report.py; what is not installed is left out

Servers are slots of services, started by scripts/bench; clients run in the control group of bench-client.service,
or are pgbouncer, which is asked by a client that is on no fast path. Each round has every workload once
with From= and once without it, in alternating order, and the CPU time of all units that take part.
"""

import json
import re
import shutil
import socket
import subprocess
import sys
import time

CLIENT = "bench-client.service"
POOL = "pool@0.service"
GROUPS = "/sys/fs/cgroup"


def run(*command, **more):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **more).stdout


def group_of(unit):
    return GROUPS + run("systemctl", "show", "-P", "ControlGroup", unit).strip()


def cpu_usec(units):
    total = 0
    for unit in units:
        with open(f"{group_of(unit)}/cpu.stat", encoding="utf-8") as file:
            total += int(next(line for line in file if line.startswith("usage_usec")).split()[1])
    return total


def in_group(unit, command):
    """The command's output; it runs in the unit's control group."""
    join = f'echo $$ >"{group_of(unit)}/cgroup.procs"; exec "$@"'
    return run("sh", "-c", join, "sh", *command, stderr=subprocess.STDOUT)


def number(pattern, text):
    return float(re.search(pattern, text, re.MULTILINE).group(1))


# --- what is measured: {case: (value, unit)}, and how many requests (or bytes) there were --------------------------

def sockperf(size):
    def measure(seconds):
        text = in_group(CLIENT, ["sockperf", "ping-pong", "--tcp", "-i", "127.0.0.1", "-p", "5501", "-m", str(size),
                                 "-t", str(seconds), "--full-rtt"])
        sent = number(r"\[Valid Duration\].*SentMessages=(\d+)", text)
        return {"median": (number(r"percentile 50\.000 =\s*([\d.]+)", text), "us"),
                "p99": (number(r"percentile 99\.000 =\s*([\d.]+)", text), "us")}, sent
    return measure


def iperf(seconds):
    text = in_group(CLIENT, ["iperf3", "-4", "-c", "127.0.0.1", "-p", "5502", "-l", "64k", "-t", str(seconds), "-J"])
    end = json.loads(text)["end"]["sum_received"]
    return {"throughput": (end["bits_per_second"] / 1e9, "Gbit/s")}, end["bytes"] / 1e6


def redis(pipeline):
    def measure(seconds):
        requests = 20000 * seconds * pipeline
        text = in_group(CLIENT, ["redis-benchmark", "-p", "5503", "-t", "get", "-n", str(requests), "-c", "32", "-P",
                                 str(pipeline), "-d", "1024", "--csv"])
        row = [cell.strip('"') for cell in text.strip().split("\n")[-1].split(",")]
        return {"requests": (float(row[1]), "/s"), "median": (1000 * float(row[4]), "us"),
                "p99": (1000 * float(row[6]), "us")}, requests
    return measure


def pgbench(seconds):
    text = run("pgbench", "-h", "127.0.0.1", "-p", "5505", "-U", "postgres", "-n", "-S", "-c", "8", "-j", "1", "-T",
               str(seconds), "--log", "--log-prefix=/run/bench-pg", "postgres", cwd="/run", stderr=subprocess.STDOUT)
    done = number(r"transactions actually processed: (\d+)", text)
    files = [f"/run/{name}" for name in run("ls", "/run").split() if name.startswith("bench-pg.")]
    times = sorted(float(line.split()[2]) for name in files for line in open(name, encoding="utf-8"))
    run("rm", "-f", *files)
    return {"requests": (number(r"^tps = ([\d.]+)", text), "/s"), "median": (times[len(times) // 2], "us"),
            "p99": (times[int(len(times) * 0.99)], "us")}, done


class Workload:
    """`services` have From=; `units` are those whose CPU time counts; who is between client and service has a port."""

    def __init__(self, row, measure, services, needs, clients=(CLIENT,), port=None):
        self.row, self.measure, self.services, self.needs = row, measure, services, needs
        self.clients, self.port = clients, port
        self.units = [f"{service}@0.service" for service in services] + list(clients)


WORKLOADS = [
    Workload("fastpath-sockperf-64", sockperf(64), ["sockperf"], "sockperf"),
    Workload("fastpath-sockperf-1k", sockperf(1024), ["sockperf"], "sockperf"),
    Workload("fastpath-sockperf-8k", sockperf(8192), ["sockperf"], "sockperf"),
    Workload("fastpath-iperf3", iperf, ["iperf"], "iperf3"),
    Workload("fastpath-redis", redis(1), ["redis"], "redis-benchmark"),
    Workload("fastpath-redis-16", redis(16), ["redis"], "redis-benchmark"),
    Workload("fastpath-pgbench", pgbench, ["pg"], "pgbouncer", (POOL,), 5505),
]


def report(service):
    return json.loads(run("hsctl", "status", service, "--json")).get("fastpath")


def is_so(workload, on):
    for service in workload.services:
        state = report(service)
        if bool(state) != on or (on and not all(unit["joined"] for unit in state["units"])):
            return False
    return True


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def set_from(workload, on):
    for service in workload.services:
        with open(f"/etc/hotstandby/{service}.conf.d/fastpath.conf", "w", encoding="utf-8") as file:
            file.write(f"[FastPath]\nFrom={' '.join(workload.clients)}\n" if on else "")
    run("systemctl", "reload", "hsd")
    # connections that are kept began before
    for unit in workload.clients:
        if unit != CLIENT:
            run("systemctl", "restart", unit)
    deadline = time.monotonic() + 10
    while not is_so(workload, on) or (workload.port and not listens(workload.port)):
        if time.monotonic() > deadline:
            sys.exit(f"{workload.row}: {report(workload.services[0])}")
        time.sleep(0.05)


def sent_fast(workload):
    states = [report(service) or {} for service in workload.services]
    return sum(state.get("received_fast_bytes", 0) + state.get("sent_fast_bytes", 0) for state in states)


def measure(workload, on, seconds, samples):
    set_from(workload, on)
    fast, before = sent_fast(workload), cpu_usec(workload.units)
    values, n = workload.measure(seconds)
    values["CPU"] = ((cpu_usec(workload.units) - before) / n, "us")
    if on and sent_fast(workload) == fast:
        sys.exit(f"{workload.row}: nothing went by the fast path: {report(workload.services[0])}")
    for case, (value, unit) in values.items():
        samples.setdefault((workload.row, case, unit), {True: [], False: []})[on].append(value)


def report_samples(samples):
    for (row, case, unit), sides in samples.items():
        for on, name in ((True, "with"), (False, "without")):
            print(json.dumps({"row": row, "case": f"{case}, {name}", "unit": unit, "samples": sides[on]}))
        ratios = [a / b for a, b in zip(sides[True], sides[False])]
        print(json.dumps({"row": row, "case": f"{case}, with / without", "unit": "", "samples": ratios}), flush=True)


def main():
    rounds, seconds, rows = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    for workload in WORKLOADS:
        if rows and workload.row not in rows:
            continue
        samples = {}
        if not shutil.which(workload.needs, path="/usr/sbin:/usr/bin:/usr/local/bin"):
            print(json.dumps({"row": workload.row, "note": f"{workload.needs} is not installed"}))
            continue
        for number_of in range(rounds):
            for on in (True, False) if number_of % 2 else (False, True):
                measure(workload, on, seconds, samples)
        set_from(workload, False)
        report_samples(samples)


main()
