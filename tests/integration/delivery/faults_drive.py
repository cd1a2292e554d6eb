"""The matrix of destinations and faults, in one deliverd: see cells.py for the cells, faults_test.sh for the site.

    faults_drive.py SITE

All cells run at once. Records come four times: while all is well; while every cell has its fault; while deliverd is killed and started
over and over with the faults as they are; and after they are mended. For each cell: the error is named in `sealock delivery status` and
in /metrics, nothing is lost and nothing else is there, what came twice is marked, and after the mending no error is left."""
import os
import random
import re
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cells  # noqa: E402
import deliverd  # noqa: E402
import postgres_server  # noqa: E402
from checks import Checks, certificate  # noqa: E402

SEED = int(os.environ.get("SLK_TEST_SEED", "0")) or random.randrange(1 << 32)
KILLS = 5


class Records:
    """JSON documents that are all different, of many lengths: text for tables, objects for clusters."""

    def __init__(self):
        self.count = 0

    def some(self, count):
        first, self.count = self.count, self.count + count
        return [b'{"n":%d,"text":"%s"}' % (i, b"x" * (i * 7919 % 500)) for i in range(first, self.count)]

    def poisoned(self):
        return [b'{"n":"poison %d"}' % self.count, b"the poison %d is no JSON" % self.count]

    def large(self):
        return [b'{"n":%d,"text":"%s"}' % (10000000 + self.count, b"y" * (cells.LARGE + 300000))]


class Watch:
    """Looks at status and metrics, in a thread of its own: what is given up after seconds is not shown for long."""

    def __init__(self, daemon):
        self.daemon, self.seen, self.counted, self.lagged = daemon, {}, {}, set()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.over.is_set():
            self.look()
            self.over.wait(0.3)

    def stop(self):
        self.over.set()
        self.thread.join()

    def look(self):
        for name, s in (self.daemon.status() or {}).items():
            if s.get("error"):
                self.seen.setdefault(name, {})[s["error"]["code"]] = s["error"]["message"]
            if s.get("trouble"):
                self.seen.setdefault(name, {})[s["state"]] = s["trouble"]
            if (s.get("batch") or {}).get("state") == "SENT" and s["lag"]["records"]:
                self.lagged.add(name)
        for name, codes in self.daemon.errors().items():
            self.counted.setdefault(name, set()).update(codes)
        for name in self.daemon.not_running():
            self.counted.setdefault(name, set()).add("not running")

    def named(self, cell):
        pattern, words = cell.expects
        texts = [text for code, text in list(self.seen.get(cell.name, {}).items()) if re.fullmatch(pattern, code)]
        words = [cell.world.key if w == "KEY" else w for w in words]
        return any(all(w in text for w in words) for text in texts) and any(
            re.fullmatch(pattern, code) for code in list(self.counted.get(cell.name, ())))

    def until_named(self, watched, seconds):
        """Those that have not named it."""
        left = list(watched)

        def look():
            left[:] = [c for c in left if not self.named(c)]
            return not left
        deliverd.wait(seconds, look, 0.3)
        self.stop()
        return left


def say(start, what):
    print("%6.1f s  %s" % (time.monotonic() - start, what), flush=True)


def put_all(matrix, records):
    """The same for all cells of a stream."""
    for stream, some in records.items():
        deliverd.put(stream, some)
        for cell in matrix:
            if cell.stream == stream:
                cell.put += some


def until_complete(matrix, seconds):
    left = list(matrix)

    def look():
        left[:] = [c for c in left if not c.complete()]
        return not left
    deliverd.wait(seconds, look, 0.5)
    return left


def configure(site, matrix):
    """Into deliverd.yaml: stores come last there, each entry once, and the endpoints before the one that site.sh has."""
    found = {"stores": [], "databases": [], "endpoints": []}
    for cell in matrix:
        for part, entries in cell.entries().items():
            found[part] += [e for e in entries if e not in found[part]]
    path = os.path.join(site, "deliverd.yaml")
    with open(path) as f:
        text = f.read()
    lines = {part: "".join("  - %s\n" % e for e in entries) for part, entries in found.items()}
    text = text.replace("max_mb: 64", "max_mb: 512").replace("endpoints:\n", "endpoints:\n" + lines["endpoints"])
    with open(path, "w") as f:
        f.write(text + lines["stores"] + "databases:\n" + lines["databases"])


def create_all(matrix, site):
    for cell in matrix:
        deliverd.create(site, cell.name, cell.describe())
    left = list(matrix)

    def active():
        left[:] = [c for c in left if not deliverd.state(c.name).startswith("ACTIVE")]
        return not left
    deliverd.wait(60, active)
    return left


def spoil_all(matrix, world, on):
    for cell in matrix:
        cell.spoil(on)
    if not on:
        deliverd.run("sealock", "key", "enable", world.key)
    deliverd.role_may("fired", *(["kms:GenerateDataKey"] if on else ["kms:Decrypt", "kms:GenerateDataKey"]))


def disable_key(daemon, matrix, world, records):
    """While deliverd is away: ingestd takes records until it hears of it, and deliverd finds them, and no key to open them by."""
    daemon.kill()
    put_all(matrix, {"locked": records.some(100)})
    deliverd.run("sealock", "key", "disable", world.key)
    daemon.start()


def kill_over_and_over(daemon, matrix, records, chance):
    """At moments of no meaning, while records come."""
    for _ in range(KILLS):
        put_all(matrix, {"web": records.some(60), "poison": records.some(10), "large": records.some(10)})
        time.sleep(chance.uniform(0.2, 1.5))
        daemon.kill()
        daemon.start()


def names(found):
    return " ".join(c.name for c in found)


def told(daemon, found):
    """What deliverd says of these."""
    status = daemon.status() or {}
    return ["%s: %s, %s" % (c.name, s.get("state"), s.get("error") or s.get("trouble")) for c in found for s in [status.get(c.name, {})]]


def judge(c, cell, problems):
    """The cell's part of the matrix, after all is over."""
    before = c.failed
    there, put = cell.all_records(), set(cell.put)
    for what in problems.get(cell.name, []):
        c.that(False, "%s: %s" % (cell.name, what))
    missing, more = put - set(there), set(there) - put
    c.that(not missing, "%s: nothing is lost" % cell.name, "%d of %d, %s" % (len(missing), len(put), [r[:60] for r in sorted(missing)[:2]]))
    c.that(not more, "%s: nothing else is there" % cell.name, "%d, %s" % (len(more), [r[:60] for r in sorted(more)[:2]]))
    wrong = cell.marks()
    c.that(not wrong, "%s: what came twice is marked" % cell.name, wrong[:3])
    if cell.fault in ("poison", "large"):
        bad = {r for r in put if b"poison" in r or len(r) > cells.LARGE}
        beside, codes = {r for r, _ in cell.beside()}, {code for _, code in cell.beside()}
        c.that(bad <= beside if cell.refuses else not beside, "%s: records that are refused lie in the error output" % cell.name)
        c.that(codes == cell.refuses.get(cell.fault, set()), "%s: with their code" % cell.name, codes)
        c.that(cell.kind in ("http", "redshift") or beside <= bad, "%s: good ones are delivered" % cell.name, sorted(beside - bad)[:2])
    return c.failed == before


def print_matrix(matrix, good):
    print("\n%-10s" % "" + "".join("%-12s" % f for f in cells.FAULTS))
    for kind in cells.KINDS:
        row = {cell.fault: cell for cell in matrix if cell.kind == kind.kind}
        print("%-10s" % kind.kind + "".join("%-12s" % ("-" if f not in row else "ok" if good[row[f].name] else "FAILED") for f in cells.FAULTS))
    for kind in cells.KINDS:
        for fault, why in kind.has_not.items():
            print("- %s, %s: %s" % (kind.kind, fault, why))
    print("came again under its mark: " + ", ".join("%s %d" % (kind.kind, sum(cell.repeated() for cell in matrix if cell.kind == kind.kind))
                                                    for kind in (cells.S3, cells.Search, cells.Http)))
    print(flush=True)


def run_all(c, site, world, daemon):
    start, chance, records = time.monotonic(), random.Random(SEED), Records()
    matrix = [kind(world, fault) for kind in cells.KINDS for fault in cells.FAULTS if fault not in kind.has_not]
    configure(site, matrix)
    daemon.start()
    left = create_all(matrix, site)
    c.that(not left, "all delivery streams become ACTIVE", names(left))
    say(start, "%d delivery streams" % len(matrix))
    put_all(matrix, {s: records.some(40) for s in ("web", "poison", "large", "locked")})
    left = until_complete(matrix, 30)
    c.that(not left, "while all is well, everything is delivered", told(daemon, left))
    say(start, "all deliver")

    problems = {}
    disable_key(daemon, matrix, world, records)
    watch, failing = Watch(daemon), [cell for cell in matrix if cell.expects]
    spoil_all(matrix, world, True)
    time.sleep(2)  # keys.age_seconds is 1: so long the role may yet
    lasting = [cell for cell in failing if cell.fault not in ("poison", "large")]
    put_all(matrix, {"web": records.some(300), "poison": records.some(50) + records.poisoned() + records.some(50),
                     "large": records.some(50) + records.large() + records.some(50)})
    for cell in watch.until_named(failing, 30):
        problems.setdefault(cell.name, []).append("the error is not named as %s, but %s; metrics: %s" % (
            cell.expects, watch.seen.get(cell.name), watch.counted.get(cell.name)))
    for cell in matrix:
        if cell.fault == "slow" and cell.name not in watch.lagged:
            problems.setdefault(cell.name, []).append("no lag is shown")
    held_up = set(daemon.not_ok())
    for cell in lasting:
        if cell.name not in held_up:
            problems.setdefault(cell.name, []).append("sealock_deliverd_ok is not 0")
    c.that(deliverd.status_code() == 1, "`sealock delivery status` fails while deliveries are held up")
    deliverd.promtool(c, daemon)
    say(start, "every fault is named")

    kill_over_and_over(daemon, matrix, records, chance)
    watch = Watch(daemon)
    for cell in watch.until_named(lasting, 30):
        problems.setdefault(cell.name, []).append("after a restart the error is not named, but %s; metrics: %s" % (
            watch.seen.get(cell.name), watch.counted.get(cell.name)))
    say(start, "killed %d times; every fault is named again" % daemon.kills)

    spoil_all(matrix, world, False)
    put_all(matrix, {s: records.some(20) for s in ("web", "poison", "large", "locked")})
    lost = [cell for cell in matrix if cell.name == "file-lost"]
    left = until_complete([cell for cell in matrix if cell not in lost], 90)
    c.that(not left, "mended, everything is delivered", told(daemon, left))
    daemon.kill()
    daemon.start()  # whose sandbox has the directory that was made anew
    left = until_complete(lost, 30)
    c.that(not left, "into a directory that was made anew, too, after a restart", told(daemon, left))
    say(start, "mended")
    healthy = deliverd.wait(20, lambda: (lambda s: s and all(not v.get("error") for v in s.values()) and s)(daemon.status()))
    c.that(deliverd.status_code() == 0, "and succeeds after the mending")
    for name, s in ({} if healthy else daemon.status() or {}).items():
        if s.get("error"):
            problems.setdefault(name, []).append("an error is left: %s" % s["error"])
    time.sleep(1)  # what would come a second time
    good = {cell.name: judge(c, cell, problems) for cell in matrix}
    print_matrix(matrix, good)
    lost = {n: s["lost"] for n, s in (daemon.status() or {}).items() if any(s.get("lost", {}).get(why) for why in ("retention", "damage"))}
    c.that(not lost, "nothing counts as lost", lost)
    c.that(daemon.stop(), "deliverd stops cleanly")
    said = open(daemon.log.name, "rb").read()
    c.that(b'"text":"x' not in said and cells.SECRET.encode() not in said, "no record and no password is in its log")
    say(start, "over; the seed was %d" % SEED)


def main():
    site, c = sys.argv[1], Checks()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers are stopped, file systems unmounted on the way out
    os.mkdir(os.path.join(site, "pg"))
    os.mkdir(os.path.join(site, "dirs"))
    threading.stack_size(256 * 1024)
    postgres = postgres_server.Server(os.path.join(site, "pg"))
    world = daemon = None
    try:
        postgres.start("max_connections=120", "fsync=off")
        world = cells.World(site, postgres, certificate(site, "destination"))
        world.key = open(os.path.join(site, "locked.key")).read().strip()
        daemon = deliverd.Deliverd(site)
        run_all(c, site, world, daemon)
    except Exception:
        import traceback
        c.failed += 1
        traceback.print_exc(file=sys.stdout)
    finally:
        if daemon:
            daemon.stop()
        postgres.stop()
        if world:
            world.close()
    return c.end()


if __name__ == "__main__":
    sys.exit(main())
