#!/usr/bin/env python3
"""Sum test cases over result folders and print one closing line.

Each folder holds ctest.xml (ctest's JUnit) and NAME-GROUP.xml for every cmocka program. A cmocka program counts with its
cases; a script with its closing line "N passed, N failed, N skipped"; anything else as one case. A program that died
before it wrote its results counts as one failure.
"""
import glob
import os
import re
import sys
import xml.etree.ElementTree as ET

CLOSING = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$", re.M)


def cmocka_cases(path):
    """(passed, failed, skipped, lines that name what failed or was skipped)"""
    passed = failed = skipped = 0
    lines = []
    for case in ET.parse(path).getroot().iter("testcase"):
        name = case.get("name")
        failure = case.find("failure")
        if failure is None:
            failure = case.find("error")
        if failure is not None:
            failed += 1
            lines.append(f"    FAILED  {name}: {(failure.text or '').strip()}")
        elif case.find("skipped") is not None:
            skipped += 1
            lines.append(f"    skipped {name}")
        else:
            passed += 1
    return passed, failed, skipped, lines


def ctest_case(folder, case):
    name = case.get("name")
    status = case.get("status")
    output = case.findtext("system-out") or ""
    program = name.split("/", 1)[-1]
    counts = [0, 0, 0]
    lines = []
    files = sorted(glob.glob(os.path.join(folder, program + "-*.xml")))
    for path in files:
        try:
            *sums, more = cmocka_cases(path)
        except ET.ParseError:
            counts[1] += 1
            lines.append(f"    FAILED  {os.path.basename(path)} is not complete: the program died")
            continue
        counts = [a + b for a, b in zip(counts, sums)]
        lines += more
    closing = CLOSING.findall(output) if not files else []
    if closing:
        counts = [int(x or 0) for x in closing[-1]]
    if not files and not closing:
        counts = {"run": [1, 0, 0], "disabled": [0, 0, 1], "notrun": [0, 0, 1]}.get(status, [0, 1, 0])
        if case.find("skipped") is not None:
            counts = [0, 0, 1]
    if status == "fail" and counts[1] == 0:
        counts[1] = 1
        lines.append("    FAILED  the program ended with an error")
    if counts[1] or counts[2]:
        print(f"{name}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped")
        print("\n".join(lines))
        if counts[1] or (counts[2] and not files):
            print("\n".join("    | " + line for line in output.strip().splitlines()[-25:]))
    return counts


def main(folders):
    total = [0, 0, 0]
    for folder in folders:
        path = os.path.join(folder, "ctest.xml")
        if not os.path.exists(path):
            print(f"{path} is missing: ctest did not end")
            total[1] += 1
            continue
        for case in ET.parse(path).getroot().iter("testcase"):
            total = [a + b for a, b in zip(total, ctest_case(folder, case))]
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 0 if total[1] == 0 and total[0] > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
