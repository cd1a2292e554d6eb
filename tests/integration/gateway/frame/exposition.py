#!/usr/bin/env python3
"""Check Prometheus' text format strictly: each family once, HELP before TYPE before its samples, names and suffixes as promtool
wants them, no sample twice. What is wrong is printed; the status is then 1."""
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"^({NAME})(?:\{{((?:{LABEL})(?:,{LABEL})*)\}})? (-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|NaN|[-+]Inf)$")
TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}
wrong = []
types, helps, seen, current = {}, set(), set(), None

for number, line in enumerate(sys.stdin.read().splitlines(), 1):
    def bad(what):
        wrong.append(f"line {number}: {what}: {line}")
    if line.startswith("# HELP "):
        name, _, text = line[7:].partition(" ")
        if name in helps or not text:
            bad("a family twice, or without a help")
        helps.add(name)
        current = name
    elif line.startswith("# TYPE "):
        name, _, kind = line[7:].partition(" ")
        if name != current or kind not in TYPES or name in types:
            bad("a type that does not follow its help")
        if (kind == "counter") != name.endswith("_total"):
            bad("counters, and they alone, end in _total")
        types[name] = kind
    elif line.startswith("#") or not line:
        bad("neither a sample nor a comment that means something")
    else:
        match = SAMPLE.match(line)
        if not match:
            bad("no sample")
            continue
        base = re.sub(r"_(bucket|sum|count)$", "", match[1]) if types.get(current) == "histogram" else match[1]
        if base != current:
            bad("a sample apart from its family")
        if (match[1], match[2]) in seen:
            bad("a sample twice")
        seen.add((match[1], match[2]))
for name in set(helps) - set(types):
    wrong.append(f"{name} has no type")
print("\n".join(wrong[:20]))
sys.exit(1 if wrong or not seen else 0)
