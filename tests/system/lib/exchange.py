#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of servers that wrk does not speak with: exchange.py HOST PORT SEND TEXT [CLIENTS]

Each client opens a connection, sends SEND (with escapes such as \\r\\n and \\x00), reads until TEXT is in the
answer, closes, rests for LOAD_PAUSE_MS (from the environment), and begins anew, until SIGINT. Then one line: requests=… lost=… refused=… reset=… hung=…
wrong=…, as tests/system/lib/load.lua has it.
"""

import codecs
import os
import signal
import socket
import sys
import threading
import time

counts = {"requests": 0, "lost": 0, "refused": 0, "reset": 0, "hung": 0, "wrong": 0}
lock = threading.Lock()
pause_s = int(os.environ.get("LOAD_PAUSE_MS", "0")) / 1000
over = []  # no Event: its set() in a handler waits for itself when a second signal comes


def exchange(host, port, send, text):
    """What came of one connection: a key of `counts`."""
    try:
        client = socket.create_connection((host, port), timeout=5)
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "hung"
    except OSError:
        return "reset"
    answer = b""
    with client:
        try:
            client.sendall(send)
            while text not in answer:
                piece = client.recv(4096)
                if not piece:
                    return "wrong" if answer else "reset"
                answer += piece
        except TimeoutError:
            return "hung"
        except OSError:
            return "reset"
    return "requests"


def run(*arguments):
    while not over:
        outcome = exchange(*arguments)
        with lock:
            counts["requests"] += 1
            if outcome != "requests":
                counts[outcome] += 1
            counts["lost"] += outcome in ("refused", "reset")
        time.sleep(pause_s)


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    send, text = (codecs.escape_decode(word.encode())[0] for word in sys.argv[3:5])
    n = int(sys.argv[5]) if len(sys.argv) > 5 else 4
    signal.signal(signal.SIGINT, lambda *_: over.append(True))
    clients = [threading.Thread(target=run, args=(host, port, send, text)) for _ in range(n)]
    for client in clients:
        client.start()
    for client in clients:
        while client.is_alive():
            client.join(0.1)
    print(*(f"{key}={value}" for key, value in counts.items()))


main()
