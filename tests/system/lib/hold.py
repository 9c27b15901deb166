#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that keep their connections: hold.py HOST PORT COUNT [PATH]

Opens COUNT connections, asks once on each for PATH (default /) and prints the slots that answered on one
line. Each line on stdin asks again on the same connections; "x" stands for one that has ended. Ends, and
closes them, with stdin.
"""

import http.client
import sys


def ask(connection, path):
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException):
        return "x"
    if answer.status != 200:
        return "x"
    return text.split()[0].removeprefix("slot=")


def main():
    host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    path = sys.argv[4] if len(sys.argv) > 4 else "/"
    connections = [http.client.HTTPConnection(host, port, timeout=20) for _ in range(count)]
    for connection in connections:
        connection.connect()
        # a lost connection is to be seen, not opened anew
        connection.auto_open = 0
    print(*(ask(connection, path) for connection in connections), flush=True)
    for _ in sys.stdin:
        print(*(ask(connection, path) for connection in connections), flush=True)


main()
