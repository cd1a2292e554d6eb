"""Is what was acknowledged there, once and at its place, and nothing that was not put? port_check.py RECORDS_JSON NAME=NOTES..."""
import json
import sys

records, *sources = sys.argv[1:]
there, faults, total = {}, [], 0
for line in open(records):
    r = json.loads(line)
    name, number = r["data"].split()
    place = (r["shard"] if isinstance(r["shard"], int) else int(str(r["shard"]).rsplit("-", 1)[-1]), r["sequence"])
    total += 1
    if (name, int(number)) in there:
        faults.append("%s %s is there twice" % (name, number))
    there[name, int(number)] = place
known = set()
acked = unknown = stored = 0
for source in sources:
    name, path = source.split("=")
    for line in open(path):
        words = line.split()
        if line[-1] != "\n":
            continue  # its writer was killed
        record = (name, int(words[1]))
        known.add(record)
        if words[0] == "acked":
            acked += 1
            if there.get(record) != (int(words[2]), int(words[3])):
                faults.append("%s %d was acknowledged at %s, and is at %s" % (*record, words[2:], there.get(record)))
        else:
            unknown += 1
            stored += record in there
names = {name.split("=")[0] for name in sources}
faults += ["%s %d was never answered" % r for r in there if r not in known and r[0] in names and r[0] != "killed"]
print("%d there, %d acknowledged, %d unknown of which %d are there, %d faults" % (total, acked, unknown, stored, len(faults)))
print(*faults[:20], sep="\n")
sys.exit(1 if faults or acked == 0 else 0)
