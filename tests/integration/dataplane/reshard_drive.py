"""Put into streams while they change: reshard_drive.py SOCKET ACKS STREAM...

One connection per stream with WINDOW records under way, eight keys each, until SIGTERM. A connection that breaks is made
again, and what was not answered is left alone: it may be stored or not. ACKS gets a line "STREAM KEY NUMBER SHARD SEQUENCE" per
acknowledgement, and at the end "refused STATUS COUNT SENTENCE" per kind of refusal.
"""
import collections
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

WINDOW = 8
PAUSE_S = 0.0005  # after each answer: the load shall find what is lost, not fill the disk
path, acks_path, streams = sys.argv[1], sys.argv[2], sys.argv[3:]
acks = open(acks_path, "w", buffering=1)
refused = collections.Counter()
sentences = {}
stop = threading.Event()


def put(number, name, key, data):
    return (b"SLKP" + struct.pack("<BBHQIIIHH", 1, 1, 0, number, len(data), 0, len(data), len(name), len(key)) + name + key + data)


def session(stream, counts, s):
    waiting, number = {}, 0
    while not stop.is_set() or waiting:
        while len(waiting) < WINDOW and not stop.is_set():
            key = f"{stream}-{os.getpid()}-{number % 8}"
            n = counts[key]
            counts[key] += 1
            waiting[number] = (key, n)
            s.send(put(number, stream.encode(), key.encode(), f"{key} {n}".encode()))
            number += 1
        if not waiting:
            break
        if not select.select([s], [], [], 10)[0]:
            raise OSError("no answer")
        reply = s.recv(4096)
        if not reply:
            raise OSError("closed")
        request, status, shard, sequence = struct.unpack_from("<QiIQ", reply, 8)
        key, n = waiting.pop(request)
        if status == 0:
            acks.write(f"{stream} {key} {n} {shard} {sequence}\n")
            time.sleep(PAUSE_S)
        else:
            refused[(stream, status)] += 1
            sentences[(stream, status)] = reply[40:].decode()
            time.sleep(0.002)


def drive(stream):
    counts = collections.Counter()
    while not stop.is_set():
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            s.connect(path)
            session(stream, counts, s)
        except OSError:
            time.sleep(0.02)
        s.close()


threads = [threading.Thread(target=drive, args=(stream,)) for stream in streams]
signal.signal(signal.SIGTERM, lambda *_: stop.set())
for t in threads:
    t.start()
stop.wait()
for t in threads:
    t.join()
for (stream, status), count in sorted(refused.items()):
    acks.write(f"refused {stream} {status} {count} {sentences[(stream, status)]}\n")
