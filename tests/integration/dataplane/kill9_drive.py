"""Kill ingestd in the middle of ingest, again and again, and note what its watermark promised.

usage: kill9_drive.py KILLS SEED WATERMARK LOG PROMISES -- INGESTD... -- SENDER...

Each run starts INGESTD (its stderr goes to LOG), waits until its listener is open, starts SENDER, and kills ingestd with SIGKILL once a
random number of records is durable. PROMISES gets a line per run: how many records its watermark named when it was dead.
"""
import os
import random
import signal
import struct
import subprocess
import sys
import time


def split(args):
    parts = [[]]
    for arg in args:
        if arg == "--":
            parts.append([])
        else:
            parts[-1].append(arg)
    return parts


def watermark(path):
    """(pid, records) of the first lane, or None while the page is being changed or is not there."""
    try:
        with open(path, "rb") as f:
            page = f.read(64)
    except FileNotFoundError:
        return None
    if len(page) < 64 or page[:4] != b"SLJW":
        return None
    change, _file, _position, records = struct.unpack_from("<QQQQ", page, 8)
    return None if change % 2 else (struct.unpack_from("<I", page, 56)[0], records)


def backlog_drops():
    """Datagrams that the kernel dropped before any port saw them, for want of room in a CPU's receive backlog."""
    with open("/proc/net/softnet_stat") as f:
        return sum(int(line.split()[1], 16) for line in f)


def wait(until, seconds, what, more=lambda: ""):
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            sys.exit("kill9_drive: waited %d s for %s%s" % (seconds, what, more()))
        time.sleep(0.0005)


def main():
    (kills, seed, mark, log, promises), ingestd, sender = split(sys.argv[1:])
    draw = random.Random(int(seed))
    children = []
    try:
        drive(int(kills), draw, mark, log, promises, ingestd, sender, children)
    finally:  # whatever went wrong, nothing runs on
        for child in children:
            child.kill()
            child.wait()


def drive(kills, draw, mark, log, promises, ingestd, sender, children):
    with open(promises, "w") as out:
        for run in range(kills):
            del children[:]
            dropped = backlog_drops()
            with open(log, "wb") as log_file:
                child = subprocess.Popen(ingestd, stdin=subprocess.DEVNULL, stderr=log_file)
            children.append(child)
            wait(lambda: b"listener takes records" in open(log, "rb").read() or child.poll() is not None, 20, "the listener to open")
            if child.poll() is not None:
                said = open(log, "rb").read()[-2000:].decode("utf-8", "replace")
                sys.exit("kill9_drive: ingestd ended by itself in run %d, status %d: %s" % (run, child.poll(), said))
            producer = subprocess.Popen(sender, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            children.append(producer)
            want = draw.randrange(1, 12000)
            wait(
                lambda: (watermark(mark) or (0, 0)) >= (child.pid, want),
                20,
                "%d durable records" % want,
                lambda: "; run %d, watermark (pid, records) %s, ingestd %d, sender ended: %s, backlog drops in this run: %d"
                % (run, watermark(mark), child.pid, producer.poll(), backlog_drops() - dropped),
            )
            time.sleep(draw.random() * 0.003)
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            producer.kill()
            producer.wait()
            pid, records = watermark(mark) or (0, 0)
            if pid != child.pid:  # killed within a change of the page: what was promised before it still holds
                records = want
            out.write("%d\n" % records)


main()
