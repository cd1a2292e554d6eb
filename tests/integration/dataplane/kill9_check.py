"""What was read back after the kills, against what was promised. usage: kill9_check.py PROMISES RECORDS_JSON SHARDS

RECORDS_JSON: `sealock tail --format json`, in order. Every run has an epoch of its own, sent "record 0", "record 1", ... and round-robin
over the shards. Prints one line per fault; ends with 0 if there is none.
"""
import json
import sys


def main():
    promises = [int(line) for line in open(sys.argv[1])]
    shards = int(sys.argv[3])
    next_sequence = [0] * shards
    runs = {}  # epoch: per shard the record numbers, in order
    faults = []
    for line in open(sys.argv[2]):
        r = json.loads(line)
        shard = r["shard"] if isinstance(r["shard"], int) else int(str(r["shard"]).rsplit("-", 1)[-1])
        if r["sequence"] != next_sequence[shard]:
            faults.append("shard %d: sequence %d after %d" % (shard, r["sequence"], next_sequence[shard] - 1))
        next_sequence[shard] = r["sequence"] + 1
        runs.setdefault(r["epoch"], [[] for _ in range(shards)])[shard].append(int(r["data"].split()[1]))
    if len(runs) != len(promises):
        faults.append("%d epochs, but %d runs" % (len(runs), len(promises)))
    for index, (epoch, by_shard) in enumerate(sorted(runs.items(), key=lambda item: int(item[0], 16))):
        for shard, numbers in enumerate(by_shard):
            if numbers != sorted(numbers):
                faults.append("run %d, shard %d: out of order" % (index, shard))
        together = sorted(n for numbers in by_shard for n in numbers)
        whole = together[: promises[index]] if index < len(promises) else []
        if whole != list(range(len(whole))) or (index < len(promises) and len(together) < promises[index]):
            faults.append("run %d: %d records were durable, but %s came back" % (index, promises[index], len(together)))
        if len(set(together)) != len(together):
            faults.append("run %d: a record is there twice" % index)
    total = sum(next_sequence)
    print("%d runs, %d records promised, %d read back" % (len(promises), sum(promises), total))
    for fault in faults[:20]:
        print("FAULT " + fault)
    sys.exit(1 if faults or sum(promises) == 0 else 0)


main()
