"""Feed several listeners and the local port at once, each lane no faster than its watermark, and check what was read back.

    workers_drive.py send RUN COUNT WATERMARK PUT_SOCKET NOTES SOURCE...
    workers_drive.py kill RUN COUNT WATERMARK PUT_SOCKET NOTES PID SOURCE...
    workers_drive.py check NOTES STREAM SHARDS RECORDS_JSON

A SOURCE is LANE:STREAM:ADDRESS:PORT, or LANE:STREAM:put for records through the local port. Each sends "RUN/STREAM/KIND NUMBER", 0 to
COUNT - 1. `send` ends when all of it is durable, on its lane, and not one record more. `kill` ends PID with SIGKILL in the middle. Both
append a line of JSON to NOTES: what was promised. `check` reads NOTES and the output of `sealock tail STREAM --format json`.
"""
import json
import os
import random
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../lib"))
from local_port import Port

WINDOW = 400


def durable(path, lane):
    """Records durable on the lane since its writer opened the journal."""
    end = time.monotonic() + 2
    while True:
        with open(path, "rb") as f:
            f.seek(lane * 4096)
            page = f.read(64)
        change, _file, _position, records = struct.unpack_from("<QQQQ", page, 8)
        if page[:4] == b"SLJW" and change % 2 == 0:
            return records
        if time.monotonic() > end:  # killed within a change: what it promised before is not known any more
            return None


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Wire:
    def __init__(self, run, lane, stream, address, port):
        self.lane, self.stream, self.kind, self.sent = lane, stream, "wire", 0
        self.prefix = "%s/%s/wire" % (run, stream)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((address, int(port)))

    def send(self):
        self.socket.send(b"%s %d" % (self.prefix.encode(), self.sent))
        self.sent += 1

    def answers(self):
        return {}


class Put:
    def __init__(self, run, lane, stream, path):
        self.lane, self.stream, self.kind, self.sent = lane, stream, "put", 0
        self.prefix = "%s/%s/put" % (run, stream)
        self.answered = {}
        self.port = Port(path)
        self.handle = self.port.attach(stream)

    def send(self):
        data = b"%s %d" % (self.prefix.encode(), self.sent)
        if self.port.put(self.handle, self.sent, b"key %d" % (self.sent % 16), data):
            self.sent += 1
        self.take()

    def take(self):
        for number, status, shard, sequence in self.port.poll():
            if status != 0:
                sys.exit("a put of %s was refused: %d" % (self.stream, status))
            self.answered[number] = [shard, sequence]

    def answers(self):
        self.take()
        return self.answered


def make(run, put_socket, spec):
    lane, stream, rest = spec.split(":", 2)
    if rest == "put":
        return Put(run, int(lane), stream, put_socket)
    return Wire(run, int(lane), stream, *rest.split(":"))


def feed(mode, run, count, mark, put_socket, notes, args):
    pid = int(args.pop(0)) if mode == "kill" else 0
    sources = [make(run, put_socket, spec) for spec in args]
    lanes = sorted({s.lane for s in sources})
    before = {lane: durable(mark, lane) for lane in lanes}
    of_lane = {lane: [s for s in sources if s.lane == lane] for lane in lanes}
    done = lambda lane: durable(mark, lane) - before[lane]
    sent = lambda lane: sum(s.sent for s in of_lane[lane])
    kill_at = random.randrange(1, count * len(of_lane[lanes[0]])) if mode == "kill" else None
    moved, last = time.monotonic(), 0
    while True:
        now = {lane: done(lane) for lane in lanes}
        if kill_at is not None and now[lanes[0]] >= kill_at:
            break
        if all(now[lane] >= count * len(of_lane[lane]) for lane in lanes):
            break
        if sum(now.values()) != last:
            moved, last = time.monotonic(), sum(now.values())
        if time.monotonic() - moved > 10:
            sys.exit("nothing became durable for 10 s: sent %s, durable %s" % ({n: sent(n) for n in lanes}, now))
        for lane in lanes:
            for s in of_lane[lane]:
                for _ in range(32):
                    if s.sent < count and sent(lane) - now[lane] < WINDOW * len(of_lane[lane]):
                        s.send()
    if mode == "kill":
        os.kill(pid, signal.SIGKILL)
        while alive(pid):
            time.sleep(0.0005)
    else:
        end = time.monotonic() + 5
        while any(len(s.answers()) < count for s in sources if s.kind == "put"):
            if time.monotonic() > end:
                sys.exit("a put has no answer")
    wrong = [lane for lane in lanes if mode == "send" and done(lane) != count * len(of_lane[lane])]
    promised = {lane: durable(mark, lane) for lane in lanes}
    with open(notes, "a") as f:
        note = {
            "run": run,
            "whole": mode == "send",
            "count": count,
            "lanes": {lane: {"streams": sorted({s.stream for s in of_lane[lane]}),
                             "promised": None if promised[lane] is None else promised[lane] - before[lane]} for lane in lanes},
            "sources": {s.prefix: {"stream": s.stream, "answers": s.answers()} for s in sources},
        }
        f.write(json.dumps(note) + "\n")
    sys.exit("lanes %s say that more is durable than was sent" % wrong if wrong else 0)


def check(notes, stream, shards, records):
    runs = [json.loads(line) for line in open(notes)]
    faults, by_source, last, total = [], {}, {}, 0
    next_sequence = [0] * shards
    for line in open(records):
        r = json.loads(line)
        shard = r["shard"] if isinstance(r["shard"], int) else int(str(r["shard"]).rsplit("-", 1)[-1])
        source, number = r["data"].split()
        number, total = int(number), total + 1
        if r["sequence"] != next_sequence[shard]:
            faults.append("shard %d: sequence %d after %d" % (shard, r["sequence"], next_sequence[shard] - 1))
        next_sequence[shard] = r["sequence"] + 1
        if last.get((source, shard), -1) >= number:
            faults.append("%s, shard %d: %d after %d" % (source, shard, number, last[(source, shard)]))
        last[(source, shard)] = number
        if number in by_source.setdefault(source, {}):
            faults.append("%s %d is there twice" % (source, number))
        by_source[source][number] = [shard, r["sequence"]]
    back = {}
    for run in runs:
        for source, said in run["sources"].items():
            if said["stream"] != stream:
                continue
            got = by_source.get(source, {})
            back[source] = len(got)
            if run["whole"] and sorted(got) != list(range(run["count"])):
                faults.append("%s: %d of %d came back" % (source, len(got), run["count"]))
            for number, place in said["answers"].items():
                if got.get(int(number)) != place:
                    faults.append("%s %s was answered with %s, but read back at %s" % (source, number, place, got.get(int(number))))
    print(json.dumps({"stream": stream, "total": total, "back": back, "faults": len(faults)}))
    for fault in faults[:20]:
        print("FAULT " + fault)
    sys.exit(1 if faults or total == 0 else 0)


def promises(notes, summaries):
    """Per run and lane: as many records as its watermark promised came back, over all its streams."""
    back = {}
    for path in summaries:
        back.update(json.loads(open(path).readline())["back"])
    faults = []
    for line in open(notes):
        run = json.loads(line)
        for lane, said in run["lanes"].items():
            got = sum(n for source, n in back.items() if source.split("/")[0] == run["run"] and source.split("/")[1] in said["streams"])
            if said["promised"] is not None and got < said["promised"]:
                faults.append("run %s, lane %s: %d durable, %d came back" % (run["run"], lane, said["promised"], got))
    print("%d faults" % len(faults), *faults[:20], sep="\n")
    sys.exit(1 if faults else 0)


mode, *args = sys.argv[1:]
if mode == "check":
    check(args[0], args[1], int(args[2]), args[3])
elif mode == "promises":
    promises(args[0], args[1:])
else:
    feed(mode, args[0], int(args[1]), args[2], args[3], args[4], args[5:])
