"""What was read back against what was acknowledged: reshard_check.py STREAM ACKS RECORDS SHARDS

RECORDS: `sealock tail STREAM --format json`; SHARDS: `sealock stream shards STREAM --json`. Every acknowledged record is there
once, where the answer said; none is twice; each key's records are in order, which parents before children makes so; each lies
in a shard that takes its key, and inside the shard's numbers; what it got (NONE, KMS) is one thing per epoch.
"""
import collections
import hashlib
import json
import sys

stream, acks_path, records_path, shards_path = sys.argv[1:]
shards = {s["number"]: s for s in json.load(open(shards_path))["shards"]}
errors = []


def wrong(text):
    errors.append(text)


acked, encryption, of_epoch = {}, {}, {}
for line in open(acks_path):
    parts = line.split()
    if parts[0] == stream:
        acked[(parts[1], int(parts[2]))] = (int(parts[3]), int(parts[4]))
        encryption[(parts[1], int(parts[2]))] = parts[5]
last_of_key, next_of_shard, seen, closed = {}, {}, {}, set()
per_shard = collections.Counter()
for line in open(records_path):
    r = json.loads(line)
    shard, sequence, text = r["shard"], r["sequence"], r["data"]
    key, n = text.rsplit(" ", 1)
    n = int(n)
    if (key, n) in seen:
        wrong(f"{text} is there twice: {seen[(key, n)]} and {(shard, sequence)}")
    seen[(key, n)] = (shard, sequence)
    if n <= last_of_key.get(key, -1):
        wrong(f"{text} comes after {last_of_key[key]}")
    last_of_key[key] = n
    got = encryption.get((key, n))
    if got is not None and of_epoch.setdefault(r["epoch"], got) != got:
        wrong(f"{text} got another encryption than its epoch has")
    if sequence < next_of_shard.get(shard, 0):
        wrong(f"shard {shard}: {sequence} comes after {next_of_shard[shard] - 1}")
    next_of_shard[shard] = sequence + 1
    per_shard[shard] += 1
    s = shards.get(shard)
    if s is None:
        wrong(f"{text} is in shard {shard}, which the catalog does not have")
        continue
    h = int.from_bytes(hashlib.md5(key.encode()).digest(), "big")
    if not int(s["starting_hash_key"]) <= h <= int(s["ending_hash_key"]):
        wrong(f"{text} does not belong into shard {shard}")
    if sequence < s["first_sequence"] or sequence >= s.get("end_sequence", 1 << 64):
        wrong(f"{text} has number {sequence} in shard {shard}: {s['first_sequence']}..{s.get('end_sequence')}")
for what, where in acked.items():
    if seen.get(what) != where:
        wrong(f"{what} was acknowledged as {where} and is {seen.get(what)}")
for s in shards.values():
    for name in ("parent", "adjacent_parent"):
        if name in s:
            p = shards.get(int(s[name].split("-")[1]))
            if p and s["first_sequence"] < p["end_sequence"]:
                wrong(f"shard {s['number']} begins below the end of its parent")
at = 0
for s in sorted((s for s in shards.values() if s["state"] == "OPEN"), key=lambda s: int(s["starting_hash_key"])):
    if int(s["starting_hash_key"]) != at:
        wrong(f"hash keys from {at} on are nobody's, or two shards'")
    at = int(s["ending_hash_key"]) + 1
if at != 1 << 128:
    wrong("the highest hash keys are nobody's")
for text in errors[:20]:
    print(text)
print(f"{stream}: {len(acked)} acknowledged, {len(seen)} read, {len(shards)} shards, {len(per_shard)} with records, "
      f"encryption {sorted(set(encryption.values()))}")
sys.exit(1 if errors or not acked else 0)
