#!/usr/bin/env python3
"""Delivery to real clusters, OpenSearch 2.19 and Elasticsearch 6.8, 7.17 and 8.19: dlv_search_ops, one batch, and what a stub only
claims: mappings, blocks, limits, restarts.

    clusters_test.py BUILD_DIR [NAME...]

Only with SLK_TEST_LONG=1: the servers are fetched from Maven Central (55 to 97 MB each; but for 6.8 these are the servers without
plugins). 8.19 has TLS and users, the others have neither. Needs mvn, unzip and Java 17."""
import base64
import json
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from checks import DRIVE_SECONDS, Checks, Drive, drive  # noqa: E402

BUILD = sys.argv[1]
ELASTIC = "org.elasticsearch.distribution.integ-test-zip:elasticsearch"
# type: of documents, where there are types. full: what an index says on a disk that is full. parsing: of a field that is another type.
CLUSTERS = {
    "opensearch-2.19": {"artifact": "org.opensearch.distribution.integ-test-zip:opensearch", "version": "2.19.6", "full": "Throttled"},
    "elasticsearch-6.8": {"artifact": "org.elasticsearch.distribution.zip:elasticsearch-oss", "version": "6.8.23", "type": "doc",
                          "full": "IndexRefused"},
    "elasticsearch-7.17": {"artifact": ELASTIC, "version": "7.17.29", "full": "Throttled", "may_have_types": True},
    "elasticsearch-8.19": {"artifact": ELASTIC, "version": "8.19.0", "full": "Throttled", "parsing": "document_parsing_exception",
                           "secure": True},
}
LIMIT = 1 << 20  # http.max_content_length
SECRET = "the-content-of-a-record"


def skip(why):
    print("skipped: %s\n0 passed, 0 failed, 1 skipped" % why)
    sys.exit(77)


def java_home():
    for name in ("java-17-openjdk-amd64", "java-17-openjdk-arm64", "java-11-openjdk-amd64"):
        path = os.path.join("/usr/lib/jvm", name)
        if os.path.exists(os.path.join(path, "bin", "java")):
            return path
    return None


def fetch(cluster, folder):
    """The server's directory, or None: it is not served."""
    artifact = "%s:%s:zip" % (cluster["artifact"], cluster["version"])
    done = subprocess.run(["mvn", "-q", "-B", "dependency:copy", "-DoutputDirectory=" + folder, "-Dartifact=" + artifact], timeout=300,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    archives = [n for n in os.listdir(folder) if n.endswith(".zip")]
    if done.returncode or not archives:
        print("Maven Central does not serve %s: %s" % (artifact, done.stdout.decode()[-300:]))
        return None
    subprocess.run(["unzip", "-q", os.path.join(folder, archives[0]), "-d", folder], check=True, timeout=120)
    return os.path.join(folder, [n for n in os.listdir(folder) if os.path.isdir(os.path.join(folder, n, "bin"))][0])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Cluster:
    """It refuses to run as root: nobody runs it then."""

    def __init__(self, kind, folder, home):
        self.kind, self.home = kind, home
        self.port, self.transport, self.process = free_port(), free_port(), None
        self.url = "%s://localhost:%d" % ("https" if kind.get("secure") else "http", self.port)
        self.ca, self.password = os.path.join(home, "config", "certs", "http_ca.crt"), base64.b32encode(os.urandom(10)).decode()
        self.credentials = os.path.join(folder, "credentials")
        with open(os.open(self.credentials, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write("elastic:%s\n" % self.password)
        self.log = open(os.path.join(folder, "log"), "ab")
        self.user = None
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chmod(folder, 0o755)
            for path, folders, files in os.walk(self.home):
                for name in [path] + [os.path.join(path, n) for n in files]:
                    os.chown(name, nobody.pw_uid, nobody.pw_gid)
            self.user = "nobody"
        if kind.get("secure"):
            self.run_tool("elasticsearch-keystore", "create")
            self.run_tool("elasticsearch-keystore", "add", "-x", "bootstrap.password", text=self.password)

    def environment(self):
        memory = "-Xms512m -Xmx512m"
        return dict(os.environ, JAVA_HOME=java_home(), ES_JAVA_HOME=java_home(), OPENSEARCH_JAVA_OPTS=memory, ES_JAVA_OPTS=memory,
                    HOME="/tmp")

    def run_tool(self, name, *args, text=""):
        subprocess.run([os.path.join(self.home, "bin", name)] + list(args), input=text.encode(), check=True, timeout=120,
                       env=self.environment(), stdout=self.log, stderr=self.log, user=self.user,
                       extra_groups=[] if self.user else None)

    def keys(self):
        """How delivery_drive reaches it."""
        keys = {"url": self.url, "type": self.kind.get("type", "")}
        if self.kind.get("secure"):
            keys.update(ca=self.ca, auth="basic", credentials=self.credentials)
        return keys

    def start(self):
        options = {"discovery.type": "single-node", "network.host": "127.0.0.1", "http.port": self.port, "transport.port": self.transport,
                   "cluster.routing.allocation.disk.threshold_enabled": "false", "http.max_content_length": "%db" % LIMIT}
        name = "opensearch" if "opensearch" in self.kind["artifact"] else "elasticsearch"
        command = [os.path.join(self.home, "bin", name)] + ["-E%s=%s" % o for o in options.items()]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=self.environment(), user=self.user,
                                        extra_groups=[] if self.user else None, start_new_session=True)
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return self.call("GET", "/_cluster/health?wait_for_status=yellow&timeout=60s")
            except OSError:
                time.sleep(0.2)
        raise RuntimeError("the server does not start: " + self.last_words())

    def last_words(self):
        with open(self.log.name) as f:
            return f.read()[-2000:]

    def kill(self):
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        tls = None
        if self.kind.get("secure"):
            tls = ssl.create_default_context(cafile=self.ca)
            request.add_header("Authorization", "Basic " + base64.b64encode(("elastic:" + self.password).encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=60, context=tls) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as e:
            raise OSError("%s %s answers %d: %s" % (method, path, e.code, e.read(500))) from e

    def documents(self, index):
        self.call("POST", "/%s/_refresh" % index)
        found, after = [], None
        while True:
            query = {"size": 1000, "sort": ["_doc"], "query": {"match_all": {}}}
            if after is None:
                page = self.call("POST", "/%s/_search?scroll=1m" % index, query)
            else:
                page = self.call("POST", "/_search/scroll", {"scroll": "1m", "scroll_id": after})
            after = page["_scroll_id"]
            if not page["hits"]["hits"]:
                return found
            found += [(h["_id"], h["_source"]) for h in page["hits"]["hits"]]


def documents(count, size=100):
    return [json.dumps({"n": i, "text": "x" * size, "inner": {"a": [i, None], "b": "\u00e4"}}).encode() for i in range(count)]


def deliver(server, records, index, **keys):
    return drive(BUILD, "search", records, **dict(server.keys(), index=index, **keys))


def ends(c, run, outcome, code=""):
    c.that(run.code == 0 and run.last["outcome"] == outcome and run.last["code"] == code, "ends as %s %s" % (outcome, code),
           run.text[-500:])
    c.that(SECRET not in run.text, "no content of records is printed", run.text[-500:])


def there(c, server, index, records):
    found = server.documents(index)
    key = lambda document: json.dumps(document, sort_keys=True)  # noqa: E731
    c.that(sorted(key(d) for _, d in found) == sorted(key(json.loads(r)) for r in records), "all documents are there, and no other",
           "%d of %d" % (len(found), len(records)))
    c.that(len(set(i for i, _ in found)) == len(found), "each once")


def test_plain(c, server):
    """documents arrive; delivered again they overwrite themselves; an index for each time"""
    records = documents(3000)
    ends(c, deliver(server, records, "plain", rotation="OneWeek", oldest_s=1456405200), "delivered")
    there(c, server, "plain-2016-w09", records)
    ends(c, deliver(server, records, "plain", rotation="OneWeek", oldest_s=1456405200), "delivered")
    there(c, server, "plain-2016-w09", records)


def test_refused_documents(c, server):
    """what the cluster refuses is named; the rest is there"""
    good = documents(50)
    bad = [b'{"n":"%s"}' % SECRET.encode(), b'{"n":1,"n":2}', b'{"inner":"%s"}' % SECRET.encode(), b'{"d":' * 30 + b"1" + b"}" * 30,
           b'{"n":123456789012345678901234567890}', b'{"":1}', b"no JSON"]
    run = deliver(server, good + bad, "refused")
    ends(c, run, "rest", "Search.DocumentsRefused")
    there(c, server, "refused", good)
    c.that([f[0] for f in run.last["failed"]] == list(range(50, 50 + len(bad))), "each is named", run.last["failed"])
    first = run.last["failed"][0]
    c.that(first[1:3] == [400, server.kind.get("parsing", "mapper_parsing_exception")], "with its type", first)
    c.that("failed to parse field [n] of type [long]" in first[3], "with its field", first)


def test_limit(c, server):
    """a cluster that says 413: smaller requests; a document that is too large alone"""
    records = documents(4000, 1000)
    ends(c, deliver(server, records, "limit", attempts=20, backoff_ms=50), "delivered")
    there(c, server, "limit", records)
    large = documents(10) + [b'{"text":"%s"}' % (b"y " * LIMIT)] + documents(10, 200)
    run = deliver(server, large, "large", attempts=20, backoff_ms=50)
    ends(c, run, "rest", "Search.DocumentsRefused")
    c.that([f[:3] for f in run.last["failed"]] == [[10, 413, "Search.DocumentTooLarge"]], "it is named", run.last["failed"])
    there(c, server, "large", large[:10] + large[11:])


def mended(c, server, index, break_it, mend, outcome, code, word):
    records = documents(20)
    break_it()
    run = Drive(BUILD, "search", records, index=index, **server.keys(), attempts=200, backoff_ms=50)
    threading.Timer(0.5, mend).start()
    run.end()
    c.that(run.attempts[0]["outcome"] == outcome and run.attempts[0]["code"] == code and word in run.attempts[0]["text"], word,
           run.attempts[0])
    ends(c, run, "delivered")
    there(c, server, index, records)


def test_blocks(c, server):
    """an index that is blocked, closed, absent or full takes nothing until it is mended; then all of it"""
    def settings(index, **values):
        return lambda: server.call("PUT", "/%s/_settings" % index, values)

    def auto_create(value):
        return lambda: server.call("PUT", "/_cluster/settings", {"persistent": {"action.auto_create_index": value}})
    for index in ("blocked", "closed", "full"):
        server.call("PUT", "/" + index)
    mended(c, server, "blocked", settings("blocked", **{"index.blocks.write": True}), settings("blocked", **{"index.blocks.write": None}),
           "refused", "Search.IndexRefused", "cluster_block_exception")
    mended(c, server, "closed", lambda: server.call("POST", "/closed/_close"), lambda: server.call("POST", "/closed/_open"),
           "refused", "Search.IndexRefused", "index_closed_exception")
    mended(c, server, "absent", auto_create("false"), auto_create(None), "refused", "Search.IndexRefused", "index_not_found_exception")
    mended(c, server, "full", settings("full", **{"index.blocks.read_only_allow_delete": True}),
           settings("full", **{"index.blocks.read_only_allow_delete": None}),
           "failed" if server.kind["full"] == "Throttled" else "refused", "Search." + server.kind["full"], "cluster_block_exception")
    run = deliver(server, documents(1), "Upper")
    ends(c, run, "refused", "Search.IndexRefused")
    c.that("invalid_index_name_exception" in run.last["text"], "a name that cannot be", run.last["text"])


def test_types(c, server):
    """a type where there are none, and none where there are, is refused with the cluster's words"""
    keys = dict(server.keys(), index="typed", type="" if "type" in server.kind else "doc")
    run = drive(BUILD, "search", documents(1), **keys)
    if server.kind.get("may_have_types"):
        ends(c, run, "delivered")
    else:
        c.that(run.last["outcome"] == "refused" and run.last["code"] == "Search.BadRequest" and "exception" in run.last["text"], "refused",
               run.text)


def test_credentials(c, server):
    """users and TLS: a wrong password, a user without rights, a CA that is another's"""
    if not server.kind.get("secure"):
        return
    path = server.credentials + ".other"

    def write(text):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(text)
    write("elastic:wrong-password")
    keys = dict(server.keys(), index="secure", credentials=path)
    run = drive(BUILD, "search", documents(1), **keys)
    ends(c, run, "refused", "Search.AccessDenied")
    c.that("security_exception" in run.last["text"] and "wrong-password" not in run.text, "the cluster's word", run.text)
    server.call("PUT", "/_security/role/other", {"indices": [{"names": ["other*"], "privileges": ["all"]}]})
    server.call("PUT", "/_security/user/writer", {"password": "another-password", "roles": ["other"]})
    write("writer:another-password")
    run = drive(BUILD, "search", documents(5), **keys)
    ends(c, run, "refused", "Search.IndexRefused")
    c.that("security_exception" in run.last["text"], "a right is missing", run.text)
    records = documents(5)
    ends(c, drive(BUILD, "search", records, **dict(keys, index="other")), "delivered")
    there(c, server, "other", records)
    run = drive(BUILD, "search", records, **dict(keys, ca="/etc/ssl/certs/ca-certificates.crt"))
    ends(c, run, "refused", "Search.Certificate")


def test_restart(c, server):
    """the server is killed in the middle and started again: every document, once"""
    records = documents(20000, 200)
    run = Drive(BUILD, "search", records, index="restart", **server.keys(), request_bytes=100000, attempts=600, backoff_ms=100)
    done = threading.Thread(target=run.end, daemon=True)
    done.start()
    time.sleep(0.5)
    server.kill()
    server.start()
    done.join(DRIVE_SECONDS)
    c.that(not done.is_alive() and len(run.attempts) > 1, "it went away in between", len(run.attempts))
    ends(c, run, "delivered")
    there(c, server, "restart", records)


def test_kill(c, server):
    """the sender is killed in the middle and begins again: every document, once"""
    records = documents(20000, 200)
    run = Drive(BUILD, "search", records, index="kill", **server.keys(), request_bytes=100000)
    threading.Thread(target=lambda: run.process.stdin.write(run.records) and run.process.stdin.close(), daemon=True).start()
    time.sleep(0.4)
    run.process.kill()
    run.process.wait()
    run.process.stdout.close()
    run.process.stderr.close()
    ends(c, deliver(server, records, "kill", request_bytes=200000), "delivered")
    there(c, server, "kill", records)


def run_one(checks, name):
    folder, server = tempfile.mkdtemp(prefix="clusters_test."), None
    try:
        home = fetch(CLUSTERS[name], folder)
        if not home:
            checks.skip(name)
            return
        server = Cluster(CLUSTERS[name], folder, home)
        server.start()
        print("--- %s" % list(server.call("GET", "/_nodes/_local")["nodes"].values())[0]["version"])
        for test in [value for key, value in globals().items() if key.startswith("test_")]:
            wrapped = lambda c, test=test: test(c, server)  # noqa: E731
            wrapped.__doc__ = "%s: %s" % (name, test.__doc__)
            checks.run([wrapped])
    finally:
        if server:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    if os.environ.get("SLK_TEST_LONG", "0") != "1":
        skip("the servers are fetched from Maven Central: SLK_TEST_LONG=1")
    for tool in ("mvn", "unzip"):
        if not shutil.which(tool):
            skip("%s is not installed" % tool)
    if not java_home():
        skip("Java 17 is not installed")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers are stopped on the way out
    checks = Checks()
    for name in sys.argv[2:] or CLUSTERS:
        try:
            run_one(checks, name)
        except Exception as e:
            checks.that(False, "%s runs" % name, e)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
