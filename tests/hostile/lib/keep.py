# SPDX-License-Identifier: GPL-2.0-or-later
# keep.py PORT COUNT: opens connections and keeps them, to several addresses of this machine: one has too few ports.
import signal
import socket
import sys

port, count = int(sys.argv[1]), int(sys.argv[2])
kept = [socket.create_connection((f"127.0.0.{1 + i % 4}", port)) for i in range(count)]
print("open", len(kept), flush=True)
signal.pause()
