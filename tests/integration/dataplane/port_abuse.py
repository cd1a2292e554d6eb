"""Clients of the local port that misbehave in every way there is, beside a good one that must not notice: port_abuse.py SOCKET STREAM"""
import os
import random
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../lib"))
from local_port import ATTACH, ATTACHED, BELL, COMPLETED, DETACH, HELLO, PAGE, Port, READ, Refused, SUBMITTED, TAKEN, WELCOME, message

path, stream = sys.argv[1:]
good = Port(path)
good_handle = good.attach(stream)
count = 0


def good_works(records=20):
    global count
    for i in range(records):
        assert good.put(good_handle, count + i, b"k", b"good %d" % (count + i))
    done = good.wait(records)
    assert sorted(d[0] for d in done) == list(range(count, count + records)), done
    assert all(d[1] == 0 for d in done), done
    count += records


def loses_its_ring(port, what):
    port.bell()
    assert port.closed(), "not hung up on: %s" % what
    port.close()


silent = Port(path, hello=False)  # connects, and says nothing

# --- messages ---

for bad in (
    b"x",
    b"SLKQ" + bytes(28),
    message(HELLO, 1, bytes(7)),
    message(HELLO, 1, bytes(9)),
    b"SLKQ\2" + message(HELLO, 1, bytes(8))[5:],
    message(ATTACH, 1, bytes(4) + b"web"),  # before HELLO
    message(DETACH, 1, bytes(8)),
    message(WELCOME, 1, bytes(16)),
    message(7, 1),
):
    port = Port(path, hello=False)
    port.socket.send(bad)
    assert port.closed(), bad
for bad in (
    message(HELLO, 1, struct.pack("<II", 1 << 16, 64)),  # again
    message(DETACH, 0, struct.pack("<II", 12345, 0)),
    message(ATTACH, 1, struct.pack("<I", 2) + b"web"),
    message(ATTACH, 1, struct.pack("<I", 0) + b"w\0b"),
    message(ATTACHED, 1, bytes(24)),
):
    port = Port(path)
    port.socket.send(bad)
    loses_its_ring(port, bad)
for ring, completions in ((1, 64), (1 << 15, 64), (3 << 16, 64), (1 << 27, 64), (1 << 16, 32), (1 << 16, 100), (1 << 16, 1 << 17)):
    try:
        Port(path, ring, completions)
        sys.exit("%d, %d were taken" % (ring, completions))
    except Refused as refused:
        assert refused.status == -1, refused
try:
    Port(path).attach(stream, 1)
    sys.exit("anybody is trusted")
except Refused as refused:
    assert refused.status == -6, refused
try:
    Port(path).attach("nowhere")
    sys.exit("a stream that is not there was attached")
except Refused as refused:
    assert refused.status == -4 and "nowhere" in refused.sentence, refused
good_works()

# --- positions ---

for at, values in ((SUBMITTED, (1, 7, 1 << 20 | 8, 1 << 63, (1 << 64) - 8)), (READ, (1, 1 << 63, (1 << 64) - 1))):
    for value in values:
        port = Port(path)
        handle = port.attach(stream)
        if at == READ:
            port.write(port.record(handle, 1, b"k", b"data"))
        port.write_number(at, value)
        if at == READ:
            port.submit(64)
        loses_its_ring(port, "position %d at %d" % (value, at))
port = Port(path)  # goes back behind what was taken
handle = port.attach(stream)
assert port.put(handle, 1, b"k", b"data")
port.wait(1)
port.write_number(SUBMITTED, 8)
loses_its_ring(port, "a position that goes back")
for at in (TAKEN, COMPLETED):  # ingestd's own: it does not believe what stands there
    port = Port(path)
    handle = port.attach(stream)
    port.write_number(at, 1 << 40)
    assert port.put(handle, 1, b"k", b"data") or at == TAKEN
    port.close()
good_works()

# --- entries ---

whole = Port.record(0, 1, b"key", b"data")
fields = [(at, size) for at, size in ((0, 4), (4, 1), (5, 1), (6, 2), (20, 4))]
for at, size in fields:
    for value in (0, 1, 2, 7, 8, 39, 41, 255, 1025, 1 << 15, 1 << 20, (1 << 31) - 1, (1 << 32) - 8, (1 << 32) - 1):
        entry = bytearray(whole)
        entry[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, "little")
        size_of, key_len, data_len = struct.unpack_from("<I", entry)[0], *struct.unpack_from("<H", entry, 6), *struct.unpack_from("<I", entry, 20)
        if entry[4:6] == whole[4:6] and key_len > 0 and size_of == (40 + key_len + data_len + 7) // 8 * 8:
            continue  # another record, but one
        port = Port(path)
        port.write(bytes(entry))
        port.submit(len(entry))
        loses_its_ring(port, "entry with %d at %d" % (value, at))
port = Port(path)  # a pad that does not end where the ring does
port.write(struct.pack("<IBBH", 16, 2, 0, 0))
port.submit(16)
loses_its_ring(port, "a pad in the middle")
for handle in (0, 12345, (1 << 32) - 1):  # nobody's: each record is answered
    port = Port(path)
    assert port.put(handle, 9, b"k", b"data")
    assert port.wait(1)[0][:2] == (9, -4)
    port.close()
port = Port(path)  # given back
handle = port.attach(stream)
port.detach(handle)
assert port.attach(stream) != handle  # answered, and so behind the detach, which is not
assert port.put(handle, 9, b"k", b"data")
assert port.wait(1)[0][:2] == (9, -4)
draw = random.Random(1)
for _ in range(30):  # noise everywhere, and then a submission
    port = Port(path, 1 << 16, 64)
    handle = port.attach(stream)
    port.memory[128:PAGE] = draw.randbytes(PAGE - 128)
    port.memory[PAGE:] = draw.randbytes(len(port.memory) - PAGE)
    loses_its_ring(port, "noise")
good_works()

# --- the slow and the dead ---

deaf = Port(path)  # takes no completion: at some point nothing more is taken of it
handle = deaf.attach(stream)
sent, end = 0, time.monotonic() + 10
while time.monotonic() < end and sent < 3 * deaf.completions:
    sent += deaf.put(handle, sent, b"k", b"deaf")
while time.monotonic() < end and deaf.number(COMPLETED) < deaf.completions:
    time.sleep(0.01)
time.sleep(0.2)
assert deaf.number(COMPLETED) == deaf.completions, deaf.number(COMPLETED)
assert deaf.number(TAKEN) < deaf.submitted
mute = Port(path)  # asks, and never reads an answer
mute.socket.setblocking(False)
try:
    for i in range(100000):
        mute.socket.send(message(ATTACH, i, bytes(4) + b"nowhere"))
    sys.exit("ingestd keeps answers without a bound")
except BlockingIOError:
    pass
ringer = Port(path)  # rings and rings
ringer.socket.setblocking(False)
try:
    for i in range(20000):
        ringer.socket.send(message(BELL))
except BlockingIOError:
    pass
for _ in range(20):  # die with records under way
    gone = Port(path)
    handle = gone.attach(stream)
    for i in range(100):
        gone.put(handle, i, b"k", b"gone", bell=i % 7 == 0)
    gone.close()
good_works()
large = os.urandom(1000000)
big = Port(path, 4 << 20, 64)
handle = big.attach(stream)
for tag in range(4):
    while not big.put(handle, tag, b"k", large):
        time.sleep(0.001)
assert sorted(d[:2] for d in big.wait(4)) == [(tag, 0) for tag in range(4)]
many = []  # one user cannot have all places
try:
    for _ in range(300):
        many.append(Port(path, 1 << 16, 64))
    sys.exit("there is no end of clients")
except (ConnectionResetError, BrokenPipeError, struct.error):
    pass
for port in many:
    port.close()
assert silent.closed(15), "one that says nothing keeps its place"
good_works(500)
print("fine: %d records of the good one" % count)
