"""Send one ICMP or ICMPv6 echo request and wait for its reply: there may be no ping here. usage: echo_request.py ADDRESS"""
import os
import socket
import struct
import sys

address = sys.argv[1]
six = ":" in address
ident, data = os.getpid() & 0xFFFF, b"is anybody there?"
kind, reply_kind = (128, 129) if six else (8, 0)
if six:
    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
else:
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
s.settimeout(3)
message = struct.pack("!BBHHH", kind, 0, 0, ident, 1) + data + b"\0"
if not six:  # the kernel fills in the checksum of ICMPv6 only
    total = sum(struct.unpack("!%dH" % (len(message) // 2), message))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    message = message[:2] + struct.pack("!H", ~total & 0xFFFF) + message[4:]
s.sendto(message, (address, 0))
while True:
    answer, _ = s.recvfrom(2048)
    if not six:
        answer = answer[(answer[0] & 15) * 4 :]
    if answer[0] == reply_kind and answer[4:] == message[4:]:
        sys.exit(0)
