"""Write a pcap file of UDP datagrams to 10.77.0.2:5514, some of them wrong in a known way.

usage: replay_pcap.py FILE COUNT [PAYLOAD_BYTES [wrong]]

Record i is "record %08d " filled up to the payload's size. With "wrong", one frame of each kind below is put after every tenth good
one, and the counts by drop reason are printed, "reason=count" in order of name: what ingestd must have counted, no more and no less.
"""
import struct
import sys

OURS, PEER = bytes.fromhex("020000000202"), bytes.fromhex("020000000101")
IP_OURS, IP_PEER = bytes([10, 77, 0, 2]), bytes([10, 77, 0, 1])


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp(payload, port=5514, wrong_sum=False, length=None):
    length = 8 + len(payload) if length is None else length
    head = struct.pack("!HHHH", 40000, port, length, 0)
    pseudo = IP_PEER + IP_OURS + struct.pack("!BBH", 0, 17, length)
    value = checksum(pseudo + head + payload) or 0xFFFF
    return head[:6] + struct.pack("!H", value ^ (0x55 if wrong_sum else 0)) + payload


def ip4(body, to=IP_OURS, fragment=0, protocol=17, wrong_sum=False, words=5, total=None):
    total = words * 4 + len(body) if total is None else total
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, total, 1, fragment, 64, protocol, 0, IP_PEER, to) + b"\x01" * (words * 4 - 20)
    value = checksum(head) ^ (0x55 if wrong_sum else 0)
    return head[:10] + struct.pack("!H", value) + head[12:] + body


def ether(body, to=OURS, kind=0x0800):
    return to + PEER + struct.pack("!H", kind) + body


def wrong_frames():
    good = udp(b"never")
    return {
        "runt": ether(b"")[:13],
        "vlan": ether(struct.pack("!HH", 7, 0x0800) + ip4(good), kind=0x8100),
        "not_our_mac": ether(ip4(good), to=bytes.fromhex("020000000303")),
        "ethertype": ether(ip4(good), kind=0x88B5),
        "truncated": ether(ip4(good))[:-3],
        "ip4_options": ether(ip4(good, words=6)),
        "ip4_checksum": ether(ip4(good, wrong_sum=True)),
        "fragment": ether(ip4(good, fragment=0x2000)),
        "not_our_ip": ether(ip4(good, to=bytes([10, 77, 0, 3]))),
        "ip_protocol": ether(ip4(good, protocol=6)),
        "udp_length": ether(ip4(udp(b"never", length=7))),
        "udp_port": ether(ip4(udp(b"never", port=5515))),
        "udp_checksum": ether(ip4(udp(b"never", wrong_sum=True))),
        "oversized": ether(ip4(udp(b"x" * 1600))),
        "record_empty": ether(ip4(udp(b""))),
        "record_too_large": ether(ip4(udp(b"y" * 1301))),
    }


def main():
    path, count = sys.argv[1], int(sys.argv[2])
    size = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    wrong = wrong_frames() if len(sys.argv) > 4 else {}
    rounds = 0
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))

        def write(frame):
            out.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)

        for i in range(count):
            write(ether(ip4(udp((b"record %08d " % i).ljust(size, b".")))))
            if wrong and i % 10 == 9:
                rounds += 1
                for frame in wrong.values():
                    write(frame)
    print(" ".join(f"{name}={rounds}" for name in sorted(wrong)))


if __name__ == "__main__":
    main()
