"""One client of the local port that lives on: live_put.py SOCKET

Reads lines "STREAM TEXT" from stdin, puts each, and prints "ok SEQUENCE" or "STATUS SENTENCE". It keeps a stream attached until it is
refused.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../lib"))
from local_port import Port, Refused

port = Port(sys.argv[1])
handles = {}
for number, line in enumerate(sys.stdin):
    name, text = line.rstrip("\n").split(" ", 1)
    try:
        if name not in handles:
            handles[name] = port.attach(name)
        port.put(handles[name], number, b"k", text.encode())
        (_tag, status, _shard, sequence), = port.wait(1)
        if status == 0:
            print("ok %d" % sequence, flush=True)
            continue
        port.detach(handles.pop(name))
        port.attach(name)  # says why
        print("%d the stream %s is there again" % (status, name), flush=True)
    except Refused as refused:
        print(refused, flush=True)
