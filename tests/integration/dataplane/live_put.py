"""One connection to the put socket that lives on: live_put.py SOCKET

Reads lines "STREAM TEXT" from stdin, puts each, and prints "ok SEQUENCE" or "STATUS SENTENCE".
"""
import socket
import struct
import sys

s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(10)
s.connect(sys.argv[1])
for number, line in enumerate(sys.stdin):
    name, data = (part.encode() for part in line.rstrip("\n").split(" ", 1))
    s.send(b"SLKP" + struct.pack("<BBHQIIIHH", 1, 1, 0, number, len(data), 0, len(data), len(name), 1) + name + b"k" + data)
    reply = s.recv(4096)
    _number, status, _shard, sequence = struct.unpack_from("<QiIQ", reply, 8)
    print(f"ok {sequence}" if status == 0 else f"{status} {reply[40:].decode()}", flush=True)
