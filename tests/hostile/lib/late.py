#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""late.py PORT SECONDS: listens with SO_REUSEPORT when that time has passed, and accepts what comes."""
import socket
import sys
import time

time.sleep(float(sys.argv[2]))
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
listener.bind(("0.0.0.0", int(sys.argv[1])))
listener.listen()
while True:
    listener.accept()[0].close()
