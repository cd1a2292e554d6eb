"""Every framing with every partition rule: datagrams for ingestd, and what must come of them, worked out here again.

    framings_drive.py streams                    the names of the streams, each of SHARDS shards
    framings_drive.py listeners ROLE             the listeners, YAML
    framings_drive.py make PCAP                  the datagrams; prints "records REASON=COUNT...": what must be counted
    framings_drive.py check STREAM RECORDS_JSON  the output of `sealock tail STREAM --format json`
"""
import base64
import hashlib
import json
import struct
import sys

from replay_pcap import ether, ip4, udp

SHARDS, LIMIT, FIELD = 3, 40, 2
FRAMINGS = ["datagram", "lines", "u16", "u32"]
RULES = ["fixed", "round-robin", "source", "field"]
SOURCE = "10.77.0.1:40000"
LISTENERS = [(5600 + i, f"{f}-{r}", f, r) for i, (f, r) in enumerate((f, r) for f in FRAMINGS for r in RULES)]
WIDTH = 2**128 // SHARDS


def shard_of(key):
    return min(int.from_bytes(hashlib.md5(key.encode()).digest(), "big") // WIDTH, SHARDS - 1)


KEYS = [next(str(n) for n in range(1000) if shard_of(str(n)) == shard) for shard in range(SHARDS)]


def prefixed(form, *records):
    return b"".join(struct.pack(form, len(r)) + r for r in records)


def payloads(framing):
    """Datagrams at the edges of the framing, each with its records and its drops."""
    full, over = b"f" * LIMIT, b"o" * (LIMIT + 1)
    names = [b"key %d of %s" % (i, framing.encode()) for i in range(12)]
    if framing == "datagram":
        out = [(n, [n], []) for n in names]
        return out + [(full, [full], []), (over, [], ["record_too_large"]), (b"", [], ["record_empty"]), (b"one", [b"one"], [])]
    if framing == "lines":
        return [
            (b"\n".join(names), names, []),
            (full + b"\n" + over + b"\r\n" + full + b"\r\n", [full, full], ["record_too_large"]),
            (b"a b\n\n\r\nb \xff\n", [b"a b", b"b \xff"], ["record_empty"] * 2),
            (b"split over ", [b"split over "], []),
            (b"two datagrams\n", [b"two datagrams"], []),
            (b"", [], ["record_empty"]),
        ]
    form = "!H" if framing == "u16" else "!I"
    return [
        (prefixed(form, *names), names, []),
        (prefixed(form, full, over, full), [full, full], ["record_too_large"]),
        (prefixed(form, b"", b"a b", b""), [b"a b"], ["record_empty"] * 2),
        (prefixed(form, b"whole") + prefixed(form, b"split over two")[:-4], [b"whole"], ["record_length"]),
        (b" two", [], ["record_length"]),
        (prefixed(form, b"whole")[:1], [], ["record_length"]),
        (b"", [], ["record_empty"]),
        (prefixed(form, b"after"), [b"after"], []),
    ]


def key_of(rule, number, record):
    if rule == "fixed":
        return KEYS[1]
    if rule == "round-robin":
        return KEYS[number % SHARDS]
    parts = record.split(b" ")
    if rule == "field" and len(parts) >= FIELD and parts[FIELD - 1]:
        try:
            return parts[FIELD - 1].decode()
        except UnicodeDecodeError:
            pass
    return SOURCE


def expected(framing, rule):
    records = [r for _payload, taken, _drops in payloads(framing) for r in taken]
    keys = [key_of(rule, i, r) for i, r in enumerate(records)]
    return [(shard_of(k), k, r) for k, r in zip(keys, records)]


def listeners(role):
    more = {"fixed": ", shard: 1", "field": f", field: {FIELD}"}
    for port, name, framing, rule in LISTENERS:
        print(f'  - {{udp_port: {port}, stream: {name}, framing: {framing}, max_record_bytes: {LIMIT}, '
              f'partition: {{rule: {rule}{more.get(rule, "")}}}, principal: "{role}"}}')


def make(path):
    drops, records, fallbacks = {}, 0, 0
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for port, _name, framing, rule in LISTENERS:
            for payload, taken, dropped in payloads(framing):
                frame = ether(ip4(udp(payload, port=port)))
                out.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
                for reason in dropped:
                    drops[reason] = drops.get(reason, 0) + 1
            records += len(expected(framing, rule))
            fallbacks += sum(rule == "field" and key == SOURCE for _s, key, _r in expected(framing, rule))
    print(records, fallbacks, " ".join(f"{k}={v}" for k, v in sorted(drops.items())))


def check(name, path):
    _port, _name, framing, rule = next(l for l in LISTENERS if l[1] == name)
    want, faults, next_sequence = expected(framing, rule), [], [0] * SHARDS
    got = {}
    for line in open(path):
        r = json.loads(line)
        if r["sequence"] != next_sequence[r["shard"]]:
            faults.append(f"shard {r['shard']}: sequence {r['sequence']} instead of {next_sequence[r['shard']]}")
        next_sequence[r["shard"]] += 1
        data = base64.b64decode(r["data"]) if "data_encoding" in r else r["data"].encode()
        got.setdefault(r["shard"], []).append((r["partition_key"], data))
    for shard in range(SHARDS):
        mine = [(k, r) for s, k, r in want if s == shard]
        if got.get(shard, []) != mine:
            faults.append(f"shard {shard}: {got.get(shard)} instead of {mine}")
    print("\n".join(faults))
    sys.exit(1 if faults else 0)


command, *args = sys.argv[1:]
if command == "streams":
    print(" ".join(l[1] for l in LISTENERS))
elif command == "listeners":
    listeners(args[0])
elif command == "make":
    make(args[0])
else:
    check(*args)
