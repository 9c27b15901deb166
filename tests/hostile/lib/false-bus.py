# SPDX-License-Identifier: GPL-2.0-or-later
# false-bus.py PATH RECORD: listens where no bus is, and writes down who comes.
import os
import socket
import struct
import sys

path, record = sys.argv[1:3]
server = socket.socket(socket.AF_UNIX)
server.bind(path)
os.chmod(path, 0o777)
server.listen()
while True:
    client, _ = server.accept()
    pid, uid, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    with open(record, "a") as out:
        out.write(f"uid {uid} came to the false bus, process {pid}\n")
    client.close()
