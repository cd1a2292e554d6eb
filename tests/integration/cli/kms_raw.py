#!/usr/bin/env python3
"""One request to kmsd without the project's own client, for scripts: kms_raw.py OPERATION KEY.

Prints nothing on success; otherwise exception and message, and exits 1. Fields of lib/kmsclient/kms.proto by hand.
"""
import os
import socket
import sys

FIELDS = {"enable": 81, "disable": 82, "cancel-deletion": 84, "schedule-deletion": 83, "rotate": 92}


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def read_varint(data, at):
    n = shift = 0
    while True:
        n |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return n, at
        shift += 7


def fields(data):
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        if tag & 7 == 0:
            value, at = read_varint(data, at)
        elif tag & 7 == 2:
            size, at = read_varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            sys.exit("an answer with other fields than expected")
        yield tag >> 3, value


key = sys.argv[2].encode()
call = varint(1 << 3 | 2) + varint(len(key)) + key
request = b"\x08\x01\x10\x01" + varint(FIELDS[sys.argv[1]] << 3 | 2) + varint(len(call)) + call
sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
sock.settimeout(10)
sock.connect(os.environ["SEALOCK_KMS_SOCKET"])
sock.send(request)
reply = dict(fields(sock.recv(65536)))
if reply.get(3, 0) != 0:
    print(reply.get(4, b"").decode(), reply.get(5, b"").decode(), file=sys.stderr)
    sys.exit(1)
