"""A client of ingestd's local port, written from docs/FORMATS.md alone. It polls, and can write anything anywhere into its memory."""
import hashlib
import mmap
import os
import socket
import struct
import time

PAGE, SUBMITTED, READ, TAKEN, COMPLETED, SLEEPS = 4096, 128, 136, 256, 264, 320
HELLO, WELCOME, ATTACH, ATTACHED, DETACH, BELL = 1, 2, 3, 4, 5, 6


def message(kind, request=0, body=b""):
    return b"SLKQ" + struct.pack("<BBHQ", 1, kind, 0, request) + body


class Refused(Exception):
    def __init__(self, status, sentence):
        super().__init__("%d %s" % (status, sentence))
        self.status, self.sentence = status, sentence


class Port:
    def __init__(self, path, ring=1 << 20, completions=1024, hello=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(10)
        self.socket.connect(path)
        self.requests = self.submitted = self.read = 0
        self.memory = None
        if hello:
            self.hello(ring, completions)

    def hello(self, ring, completions):
        self.socket.send(message(HELLO, 1, struct.pack("<II", ring, completions)))
        data, fds, _flags, _address = socket.recv_fds(self.socket, 4096, 4)
        status, self.ring, self.completions, self.data_max = struct.unpack_from("<iIII", data, 16)
        if status != 0:
            raise Refused(status, data[32:].decode())
        self.memory = mmap.mmap(fds[0], PAGE + self.ring + 64 * self.completions)
        os.close(fds[0])

    def receive(self):
        """The next message that is no BELL; None at the end."""
        while True:
            try:
                data = self.socket.recv(4096)
            except ConnectionResetError:
                return None
            if not data or data[5] != BELL:
                return data or None

    def attach(self, name, flags=0):
        self.requests += 1
        self.socket.send(message(ATTACH, 100 + self.requests, struct.pack("<I", flags) + name.encode()))
        answer = self.receive()
        if answer is None:
            raise Refused(0, "hung up")
        status, handle, _stream, self.encryption = struct.unpack_from("<iIQB", answer, 16)
        if status != 0:
            raise Refused(status, answer[40:].decode())
        return handle

    def detach(self, handle):
        self.socket.send(message(DETACH, 0, struct.pack("<II", handle, 0)))

    def number(self, at):
        return struct.unpack_from("<Q", self.memory, at)[0]

    def write_number(self, at, value):
        self.memory[at : at + 8] = struct.pack("<Q", value % (1 << 64))

    def bell(self):
        if self.memory[SLEEPS] != 0:
            try:
                self.socket.send(message(BELL), socket.MSG_DONTWAIT)
            except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                pass

    def write(self, data):
        """Bytes behind what was submitted, as they are."""
        at = PAGE + self.submitted % self.ring
        self.memory[at : at + len(data)] = data

    def submit(self, size):
        self.submitted += size
        self.write_number(SUBMITTED, self.submitted)

    @staticmethod
    def record(handle, tag, key, data):
        entry = struct.pack("<BBHQII", 1, 0, len(key), tag, handle, len(data)) + hashlib.md5(key).digest() + key + data
        size = (4 + len(entry) + 7) // 8 * 8
        return (struct.pack("<I", size) + entry).ljust(size, b"\0")

    def put(self, handle, tag, key, data, bell=True):
        """False: there is no room now."""
        entry = self.record(handle, tag, key, data)
        left = self.ring - self.submitted % self.ring
        pad = left if len(entry) > left else 0
        if self.submitted + pad + len(entry) - self.number(TAKEN) > self.ring:
            return False
        if pad:
            self.write(struct.pack("<IBBH", pad, 2, 0, 0))
            self.submitted += pad
        self.write(entry)
        self.submit(len(entry))
        if bell:
            self.bell()
        return True

    def poll(self):
        """(tag, status, shard, sequence) of each completion that has come."""
        done, end = [], self.number(COMPLETED)
        while self.read < end:
            at = PAGE + self.ring + self.read % self.completions * 64
            tag, status, shard, sequence = struct.unpack_from("<QiIQ", self.memory, at)
            done.append((tag, status, shard, sequence))
            self.read += 1
        self.write_number(READ, self.read)
        return done

    def wait(self, count, seconds=10):
        done, end = [], time.monotonic() + seconds
        while len(done) < count:
            done += self.poll()
            if time.monotonic() > end:
                raise TimeoutError("%d of %d completions came" % (len(done), count))
            time.sleep(0.0005)
        return done

    def closed(self, seconds=8):
        """Did ingestd hang up?"""
        self.socket.settimeout(seconds)
        try:
            while True:
                if self.socket.recv(4096) == b"":
                    return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def close(self):
        self.socket.close()
        if self.memory is not None:
            self.memory.close()
