"""Records put by boto3 through the gateway are found at a search cluster and at an HTTP endpoint, byte for byte, whatever goes wrong.

    deliverd_web_drive.py BUILD_DIR SITE

Four delivery streams: direct puts under a CMK and a Kinesis stream, each to a cluster and to an endpoint. While records come, the way to
each destination and the destination itself go wrong at random; deliverd is killed at random, and then at each point of a batch's life.
With SLK_TEST_LONG=1 the first cluster is a real OpenSearch, which is killed and blocks its index meanwhile."""
import base64
import http.client
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "gateway", "aws")]
import clusters_test  # noqa: E402
import deliverd  # noqa: E402
import stand_ins  # noqa: E402
from bulk_stub import BulkStub, item  # noqa: E402
from checked import client  # noqa: E402
from checks import Checks, certificate  # noqa: E402
from misbehaving import Answer, Server  # noqa: E402
from stand_ins import Gate  # noqa: E402

SEED = int(os.environ.get("SLK_TEST_SEED", "0")) or random.randrange(1 << 32)
LONG = os.environ.get("SLK_TEST_LONG", "0") == "1"
ROLE = deliverd.arn("iam", "role/deliver")
SECRET = "of-the-destination-only"
KILLS, ROUND_S = (10, 3.0) if LONG else (6, 1.5)
POINTS = ["plan-before", "plan-after", "sent", "retry", "done", "end-before", "end-after", "seek"]


class Way:
    """To one destination: a gate, and what goes wrong there. codes: what deliverd may call it."""
    codes, kind = r"", ""

    def __init__(self, name, chance):
        self.name, self.chance, self.put, self.fault = name, chance, [], ""
        self.seen, self.is_shut = set(), False
        self.make()

    def go_wrong(self, fault=None):
        self.mend()
        self.fault = fault or self.chance.choice(["well", "down", "slow", "cut"] + self.faults)
        if self.fault == "down":
            self.gate.shut()
            self.is_shut = True
        elif self.fault == "slow":
            self.gate.delay_s = 0.1
        elif self.fault == "cut":
            self.gate.cut_after = self.chance.randrange(2000, 60000)

    def mend(self):
        self.fault, self.gate.delay_s, self.gate.cut_after = "well", 0.0, None
        if self.is_shut:
            self.gate.open()
            self.is_shut = False

    def bucket(self):
        return {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::plain-errors", "ErrorOutputPrefix": self.name + "/",
                "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60}}

    def errors(self, site):
        found = []
        for folder, _, names in os.walk(os.path.join(site, "store", "plain-errors", self.name)):
            for name in names:
                if not name.startswith("."):
                    with open(os.path.join(folder, name), "rb") as f:
                        found += [json.loads(line) for line in f]
        return found


class SearchWay(Way):
    kind = "search"
    codes = r"Search\.(Unavailable|Timeout|ConnectionReset|Throttled|ServerError|BadAnswer|AccessDenied|IndexRefused|DocumentsRefused)"
    faults = ["busy", "busy items", "no password", "no index", "half an answer", "errors"]

    def make(self):
        self.stub = BulkStub(each=self.each, whole=self.whole, certificate=CERTIFICATE)
        self.gate = Gate(self.stub.server.port)

    def whole(self, request):
        lawful = "Basic " + base64.b64encode(("sealock:" + SECRET).encode()).decode()
        if self.fault == "no password" or request.headers.get("authorization") != lawful:
            return Answer(401, b"{}", {"Content-Type": "application/json"})
        if self.fault == "busy":
            return Answer(429, b"", {"Retry-After": "1"})
        if self.fault == "half an answer":
            answer = self.stub.take("logs", request.body)
            answer.cut, answer.reset = len(answer.body) // 2, True
            return answer
        return None

    def each(self, name, document):
        if b'"n":"poison' in document:
            return item(400, "mapper_parsing_exception", "failed to parse field [n] of type [long]")
        if self.fault in ("busy items", "errors") and random.random() < 0.5:
            return item(429 if self.fault == "busy items" else 503, "es_rejected_execution_exception", "rejected execution")
        return item(404, "index_not_found_exception", "no such index [logs]") if self.fault == "no index" else None

    def entry(self, site):
        path = os.path.join(site, "search.credentials")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write("sealock:%s\n" % SECRET)
        os.chown(path, deliverd.UID, deliverd.UID)
        return '{url: "https://127.0.0.1:%d", ca: %s, auth: basic, credentials: %s}' % (self.gate.port, CERTIFICATE[0], path)

    def url(self):
        return "https://127.0.0.1:%d" % self.gate.port

    def destination(self):
        return {"AmazonopensearchserviceDestinationConfiguration": {
            "RoleARN": ROLE, "ClusterEndpoint": self.url(), "IndexName": "logs", "IndexRotationPeriod": "NoRotation",
            "RetryOptions": {"DurationInSeconds": 7200}, "S3BackupMode": "FailedDocumentsOnly",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}, "S3Configuration": self.bucket()}}

    def poison(self, i):
        return [b'{"n":"poison %d"}' % i, b"poison %d is no document" % i]

    def found(self):
        return list(self.stub.documents.values())

    def wrong(self):
        return self.stub.wrong

    def twice(self):
        """A record that is there twice has an id once."""
        return len(self.stub.documents) - len(set(self.stub.documents.values()))

    def repeated(self):
        return sum(n - 1 for n in self.stub.written.values())


class EndpointWay(Way):
    kind = "http"
    codes = r"HttpEndpoint\.(Unavailable|Timeout|ConnectionReset|Throttled|ServerError|InvalidResponseFromDestination|AccessDenied|NotFound)"
    faults = ["busy", "broken", "no key", "gone", "another's answer", "an answer too late"]

    def make(self):
        self.endpoint = stand_ins.Endpoint(CERTIFICATE, SECRET)
        self.endpoint.mood = self.mood
        self.gate = Gate(self.endpoint.server.port)

    def mood(self, request, body, records):
        if self.fault == "an answer too late":  # taken, and nobody hears of it
            self.endpoint.marked.came(body["requestId"], records)
            answer = stand_ins.Endpoint.said(200, body)
            answer.cut, answer.reset = 10, True
            return answer
        if self.fault == "another's answer":
            return stand_ins.Endpoint.said(200, {"requestId": "11111111-89ab-4def-8123-456789abcdef"})
        status = {"busy": 429, "broken": 500, "no key": 401, "gone": 404}.get(self.fault)
        return Answer(status, b"", {"Retry-After": "1"}) if status else None

    def entry(self, site):
        return '{url: "https://127.0.0.1:%d", ca: %s}' % (self.gate.port, CERTIFICATE[0])

    def destination(self):
        return {"HttpEndpointDestinationConfiguration": {
            "EndpointConfiguration": {"Url": "https://127.0.0.1:%d/in" % self.gate.port, "AccessKey": SECRET}, "RoleARN": ROLE,
            "RequestConfiguration": {"ContentEncoding": "GZIP", "CommonAttributes": [{"AttributeName": "site", "AttributeValue": "K\u00f6ln"}]},
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}, "RetryOptions": {"DurationInSeconds": 7200},
            "S3BackupMode": "FailedDataOnly", "S3Configuration": self.bucket()}}

    def poison(self, i):
        return [bytes(range(256)) + b"%d" % i]  # nothing is poison to an endpoint

    def found(self):
        return self.endpoint.marked.records()

    def wrong(self):
        return self.endpoint.wrong + self.endpoint.marked.faults

    def twice(self):
        return len(self.found()) - len(set(self.found()))

    def repeated(self):
        return self.endpoint.marked.repeated


class ClusterWay(SearchWay):
    """A real OpenSearch, behind what ends TLS for it."""
    codes = r"Search\.(Unavailable|Timeout|ConnectionReset|Throttled|ServerError|IndexRefused|DocumentsRefused)"
    faults = ["killed", "blocked", "full"]
    cluster, restart, kills = None, None, 2

    def make(self):
        self.server = Server(self.forward, CERTIFICATE)
        self.gate = Gate(self.server.port)

    def forward(self, request):
        connection = http.client.HTTPConnection("127.0.0.1", self.cluster.port, timeout=60)
        try:
            headers = {n: v for n, v in request.headers.items() if n not in ("host", "content-length", "authorization")}
            connection.request(request.method, request.target, request.body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), {"Content-Type": answer.getheader("content-type", "")})
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def block(self, value):
        name = {"blocked": "write", "full": "read_only_allow_delete"}[self.fault]
        self.cluster.call("PUT", "/logs/_settings", {"index.blocks." + name: value})

    def go_wrong(self, fault=None):
        super().go_wrong(fault)
        if self.fault == "killed" and self.kills > 0:  # it takes its time to come back
            self.kills -= 1
            self.cluster.kill()
            self.restart = threading.Thread(target=self.cluster.start)
            self.restart.start()
        elif self.fault in ("blocked", "full"):
            self.block(True)

    def mend(self):
        if self.restart:
            self.restart.join()
            self.restart = None
        if self.fault in ("blocked", "full"):
            self.block(None)
        super().mend()

    def found(self):
        return [json.dumps(source, separators=(",", ":")).encode() for _, source in self.cluster.documents("logs")]

    def twice(self):
        found = self.found()
        return len(found) - len(set(found))

    def wrong(self):
        return []

    def repeated(self):
        return sum(r.target.startswith("/logs/_bulk") for r in self.server.requests)


def real_cluster(c, folder):
    """OpenSearch, running; None: it is not to be had."""
    if not LONG:
        c.skip("a real OpenSearch: SLK_TEST_LONG=1")
        return None
    if not shutil.which("mvn") or not shutil.which("unzip") or not clusters_test.java_home():
        c.skip("a real OpenSearch: mvn, unzip or Java 17 is not installed")
        return None
    kind = clusters_test.CLUSTERS["opensearch-2.19"]
    home = clusters_test.fetch(kind, folder)
    if not home:
        c.skip("a real OpenSearch: it is not served")
        return None
    cluster = clusters_test.Cluster(kind, folder, home)
    cluster.start()
    cluster.call("PUT", "/logs")
    return cluster


def watch(ways, daemon, over):
    """What deliverd says meanwhile, in status and metrics."""
    while not over.is_set():
        try:
            for name, s in (daemon.status() or {}).items():
                if name in ways and s.get("error"):
                    ways[name].seen.add((s["error"]["code"], s["error"]["message"]))
            for name, codes in daemon.errors().items():
                if name in ways:
                    ways[name].seen |= {(code, "") for code in codes}
        except (OSError, ValueError):
            pass  # it was just killed
        over.wait(0.4)


def put_all(c, firehose, kinesis, ways, records):
    for way in ways.values():
        some = records(way)
        for first in range(0, len(some), 200):
            piece = some[first:first + 200]
            if way.name.startswith("direct"):
                answer = firehose.put_record_batch(DeliveryStreamName=way.name, Records=[{"Data": r} for r in piece])
                failed = answer["FailedPutCount"]
            else:
                answer = kinesis.put_records(StreamName=way.name, Records=[{"Data": r, "PartitionKey": str(hash(r))} for r in piece])
                failed = answer["FailedRecordCount"]
            if c.that(failed == 0, "%s takes records" % way.name, answer):
                way.put += piece


class Numbers:
    def __init__(self, chance):
        self.next, self.chance = 0, chance

    def some(self, count, poison=False):
        def make(way):
            first, self.next = self.next, self.next + count
            made = [b'{"n":%d,"text":"%s"}' % (i, b"x" * self.chance.randrange(0, 2000)) for i in range(first, self.next)]
            return made + (way.poison(first) if poison else [])
        return make


def complete(way, site):
    try:
        there = set(way.found())
    except OSError:
        return False  # a cluster that recovers
    there |= {base64.b64decode(e["rawData"]) for e in way.errors(site)}
    return there >= set(way.put)


def wait_complete(ways, site, seconds):
    left = list(ways.values())

    def look():
        left[:] = [w for w in left if not complete(w, site)]
        return not left
    deliverd.wait(seconds, look, 0.5)
    return [w.name for w in left]


def random_faults(c, daemon, ways, put, numbers, chance):
    for way in ways.values():
        way.go_wrong("down")
    put(numbers.some(20, poison=True))
    said = deliverd.wait(20, lambda: all(way.seen for way in ways.values()))
    c.that(said, "a destination that is away is told", [w.name for w in ways.values() if not w.seen])
    for _ in range(KILLS):
        for way in ways.values():
            way.go_wrong()
        put(numbers.some(150, poison=chance.random() < 0.5))
        time.sleep(chance.uniform(0.3, ROUND_S))
        daemon.kill()
        daemon.start()
        time.sleep(chance.uniform(0.1, ROUND_S))
    for way in ways.values():
        way.mend()


def each_point(daemon, ways, put, numbers):
    """How many of them were reached; "retry" takes a destination that is away."""
    reached = 0
    for point in POINTS:
        for way in ways.values():
            way.mend()
            if point == "retry":
                way.gate.shut()
                way.is_shut = True
        daemon.kill()
        daemon.program = "deliverd_failpoints"
        try:
            daemon.start(DELIVERD_FAILPOINT=point + ":1")
        except RuntimeError:
            pass  # it was there before it was up
        put(numbers.some(40))
        reached += bool(deliverd.wait(8, lambda: daemon.process.poll() is not None, 0.1))
    for way in ways.values():
        way.mend()
    daemon.program = "sealock-deliverd"
    daemon.kill()
    daemon.start()
    return reached


def judge(c, site, way):
    there, put = way.found(), set(way.put)
    errors = {base64.b64decode(e["rawData"]): e for e in way.errors(site)}
    missing, more = put - set(there) - set(errors), set(there) - put
    c.that(not missing, "%s: every record is there, byte for byte" % way.name, [r[:60] for r in sorted(missing)[:3]])
    c.that(not more and set(errors) <= put, "%s: nothing else is there" % way.name, [r[:60] for r in sorted(more)[:3]])
    c.that(not way.twice(), "%s: no record has two ids" % way.name, way.twice())
    c.that(not way.wrong(), "%s: every request is the protocol's" % way.name, way.wrong()[:3])
    bad = {r for r in put if b"poison" in r}
    c.that(set(errors) == bad, "%s: poisoned records, and no others, are in the bucket" % way.name, [r[:60] for r in set(errors) ^ bad][:3])
    c.that(all(e["errorCode"] and stand_ins.UUID.match(e["deliveryId"]) and e["shardId"] for e in errors.values()),
           "%s: with their code and place" % way.name, list(errors.values())[:1])
    strange = [code for code, _ in way.seen if not re.fullmatch(way.codes, code)]
    c.that(not strange, "%s: errors are named by what they are" % way.name, strange)
    c.that(not any(SECRET in text or '"n":' in text for _, text in way.seen), "%s: without secrets and records" % way.name)


def create(firehose, kinesis, ways):
    key = client("kms", "alice").create_key()["KeyMetadata"]["Arn"]
    for way in ways.values():
        more = {"DeliveryStreamEncryptionConfigurationInput": {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": key}}
        if not way.name.startswith("direct"):
            kinesis.create_stream(StreamName=way.name, ShardCount=3)
            more = {"DeliveryStreamType": "KinesisStreamAsSource", "KinesisStreamSourceConfiguration": {
                "KinesisStreamARN": deliverd.arn("kinesis", "stream/" + way.name), "RoleARN": ROLE}}
        firehose.create_delivery_stream(DeliveryStreamName=way.name, **way.destination(), **more)


def run_all(c, site, ways, daemon):
    chance, start = random.Random(SEED), time.monotonic()
    firehose, kinesis = client("firehose", "alice"), client("kinesis", "alice")
    numbers = Numbers(chance)

    def put(records):
        put_all(c, firehose, kinesis, ways, records)

    with open(os.path.join(site, "deliverd.yaml"), "a") as f:
        f.write("".join("  - %s\n" % way.entry(site) for way in ways.values()))
    daemon.start()
    create(firehose, kinesis, ways)
    ok = deliverd.wait(30, lambda: all(firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"][
        "DeliveryStreamStatus"] == "ACTIVE" for name in ways))
    c.that(ok, "delivery streams by boto3 become ACTIVE")
    put(numbers.some(200))
    left = wait_complete(ways, site, 30)
    c.that(not left, "records are delivered while all is well", left)
    over = threading.Event()
    watcher = threading.Thread(target=watch, args=(ways, daemon, over))
    watcher.start()
    try:
        random_faults(c, daemon, ways, put, numbers, chance)
        print("%6.1f s  killed %d times amid faults" % (time.monotonic() - start, daemon.kills), flush=True)
        reached = each_point(daemon, ways, put, numbers)
        c.that(reached >= len(POINTS) - 1, "deliverd dies at the points of a batch's life", "%d of %d" % (reached, len(POINTS)))
        put(numbers.some(50))
        left = wait_complete(ways, site, 90)
        c.that(not left, "in the end everything is delivered", left)
    finally:
        over.set()
        watcher.join()
    healthy = deliverd.wait(20, lambda: all(not s.get("error") for s in (daemon.status() or {"": {"error": 1}}).values()))
    c.that(healthy, "and no error is left", daemon.status())
    for way in ways.values():
        judge(c, site, way)
    deliverd.promtool(c, daemon)
    c.that(daemon.stop(), "deliverd stops cleanly")
    for way in ways.values():
        print("        %s: %d records, %d came again; %s" % (way.name, len(way.put), way.repeated(), " ".join(sorted({code for code, _ in way.seen}))))
    print("%6.1f s  over; the seed was %d" % (time.monotonic() - start, SEED), flush=True)


def main():
    global CERTIFICATE
    site, c = sys.argv[2], Checks()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers are stopped on the way out
    CERTIFICATE = certificate(site, "destination")
    daemon, cluster, folder = deliverd.Deliverd(site), None, tempfile.mkdtemp(prefix="deliverd_web_test.")
    try:
        chance = random.Random(SEED + 1)
        ways = [SearchWay("direct-search", chance), SearchWay("feed-search", chance), EndpointWay("direct-endpoint", chance),
                EndpointWay("feed-endpoint", chance)]
        cluster = ClusterWay.cluster = real_cluster(c, folder)
        if cluster:
            ways.append(ClusterWay("direct-opensearch", chance))
        run_all(c, site, {way.name: way for way in ways}, daemon)
    except Exception:
        import traceback
        c.failed += 1
        traceback.print_exc(file=sys.stdout)
    finally:
        daemon.stop()
        if cluster:
            cluster.kill()
        shutil.rmtree(folder, ignore_errors=True)
    return c.end()


if __name__ == "__main__":
    sys.exit(main())
