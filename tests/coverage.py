"""Line coverage per room from gcovr's JSON. usage: coverage.py COVERAGE_JSON

A room is a folder with code; "missed" names its files with most lines that no test ran.
"""
import json
import os
import sys

rooms = {}
for entry in json.load(open(sys.argv[1]))["files"]:
    lines = [line for line in entry["lines"] if not line.get("gcovr/noncode")]
    ran = sum(1 for line in lines if line["count"] > 0)
    rooms.setdefault(os.path.dirname(entry["file"]), []).append((len(lines) - ran, len(lines), os.path.basename(entry["file"])))

print("%-22s %7s %7s %6s  %s" % ("room", "lines", "ran", "%", "most missed"))
total = missed = 0
for room, files in sorted(rooms.items()):
    room_total, room_missed = sum(f[1] for f in files), sum(f[0] for f in files)
    total, missed = total + room_total, missed + room_missed
    worst = ", ".join("%s %d" % (f[2], f[0]) for f in sorted(files, reverse=True)[:3] if f[0] > 0)
    print("%-22s %7d %7d %6.1f  %s" % (room, room_total, room_total - room_missed, 100 - 100 * room_missed / max(room_total, 1), worst))
print("%-22s %7d %7d %6.1f" % ("all", total, total - missed, 100 - 100 * missed / max(total, 1)))
