#!/usr/bin/env python3
"""Delivery to an HTTP endpoint: dlv_http_ops, one batch, against a server with TLS that speaks Firehose's protocol, and one that
does not.

    http_test.py BUILD_DIR

In each case: the request is the protocol's, byte for byte, and what is no proper answer is a failure with its code."""
import base64
import gzip
import json
import os
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from checks import Checks, Drive, certificate, drive  # noqa: E402
from misbehaving import Answer, Server  # noqa: E402

BUILD = sys.argv[1]
FOLDER = tempfile.mkdtemp(prefix="http_test.")
CERTIFICATE = certificate(FOLDER, "ours")
SECRET = "the-content-of-a-record"
KEY = "access-key-7f3a"
ID = "01234567-89ab-cdef-0123-456789abcdef"
JSON = {"Content-Type": "application/json"}
RECORDS = [b"", b"a", b"ab", b"abc", bytes(b for b in range(256) if b != 10), b'{"x":1}', b"y" * 49152, b"z" * 49153, b"w" * 200001]


def taken(request, **more):
    said = {"requestId": request.headers["x-amz-firehose-request-id"], "timestamp": int(time.time() * 1000)}
    return Answer(200, json.dumps(dict(said, **more)).encode(), JSON)


def endpoint(handler=taken, tls=True):
    return Server(handler, CERTIFICATE if tls else None)


def deliver(server, records, **keys):
    return drive(BUILD, "http", records, **dict({"url": server.url + "/in?token=" + SECRET, "ca": CERTIFICATE[0]}, **keys))


def ends(c, run, outcome, code="", what=""):
    c.that(run.code == 0 and run.last["outcome"] == outcome and run.last["code"] == code, "%s ends as %s %s" % (what, outcome, code),
           run.text[-400:])
    c.that(SECRET not in run.text and KEY not in run.text, "no secret is printed", run.text[-400:])


def body_of(request):
    return json.loads(gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body)


def right(c, request, records):
    h, body = request.headers, body_of(request)
    c.that(request.method == "POST" and request.target == "/in?token=" + SECRET, "POST to the URL as it is", request.target)
    c.that(h.get("x-amz-firehose-protocol-version") == "1.0" and h.get("content-type") == "application/json", "version and type")
    c.that(h.get("x-amz-firehose-request-id") == ID == body["requestId"], "the batch's id")
    c.that(h.get("x-amz-firehose-source-arn") == "arn:aws:firehose:eu-central-1:000000000000:deliverystream/drive", "the source")
    c.that(list(body) == ["requestId", "timestamp", "records"], "the body's members", list(body))
    c.that(abs(body["timestamp"] - time.time() * 1000) < 600000, "a time in milliseconds", body["timestamp"])
    c.that([list(r) for r in body["records"]] == [["data"]] * len(records), "records have data alone")
    c.that([base64.b64decode(r["data"], validate=True) for r in body["records"]] == records, "records arrive byte for byte")


def test_plain(c):
    """the protocol, with TLS: headers, body, records byte for byte"""
    server = endpoint()
    ends(c, deliver(server, RECORDS), "delivered")
    c.that(len(server.requests) == 1, "one request")
    right(c, server.requests[0], RECORDS)
    for absent in ("content-encoding", "x-amz-firehose-access-key", "x-amz-firehose-common-attributes", "authorization", "expect"):
        c.that(absent not in server.requests[0].headers, "no " + absent)
    server.stop()


def test_gzip(c):
    """the same with GZIP, large and small"""
    server = endpoint()
    ends(c, deliver(server, RECORDS, gzip="true"), "delivered")
    right(c, server.requests[0], RECORDS)
    c.that(server.requests[0].headers.get("content-encoding") == "gzip", "it says so")
    c.that(len(server.requests[0].body) < 20000, "it is small", len(server.requests[0].body))
    noise = [base64.b64encode(os.urandom(3000)) for _ in range(2500)]
    for keys in ({"gzip": "true"}, {"gzip": "false"}):
        ends(c, deliver(server, noise, **keys), "delivered")
        right(c, server.requests[-1], noise)
    ends(c, deliver(server, [b"1"], gzip="true"), "delivered")
    right(c, server.requests[-1], [b"1"])
    server.stop()


def test_headers(c):
    """access key and common attributes, as ASCII whatever is in them"""
    server = endpoint()
    run = deliver(server, [b"1"], access_key=KEY, attribute=["site=K\u00f6ln \U0001f600", 'quote"\\=a=b', "empty="])
    ends(c, run, "delivered")
    h = server.requests[0].headers
    c.that(h.get("x-amz-firehose-access-key") == KEY, "the access key")
    said = h.get("x-amz-firehose-common-attributes", "")
    c.that(said.isascii() and json.loads(said) == {"commonAttributes": {"site": "K\u00f6ln \U0001f600", 'quote"\\': "a=b", "empty": ""}},
           "the attributes", said)
    before = len(server.requests)
    for keys, words in (({"access_key": "a\tb"}, "access key"), ({"access_key": "\u00e4"}, "access key"),
                        ({"attribute": "a=" + "x" * 70000}, "64 KiB")):
        run = deliver(server, [b"1"], **keys)
        c.that(run.code == 2 and words in run.error and "\u00e4" not in run.error, words, run.text)
    c.that(len(server.requests) == before, "nothing is sent with a header that cannot be")
    server.stop()


def test_answers(c):
    """everything but the protocol's 200 is a failure, is retried under the same id, and delivers in the end"""
    good = '{"requestId":"%s","timestamp":1}' % ID
    other = '{"requestId":"11111111-89ab-cdef-0123-456789abcdef","timestamp":1}'
    said = json.dumps({"requestId": ID, "timestamp": 1, "errorMessage": 'table full, value "' + SECRET + '"'})
    invalid = "HttpEndpoint.InvalidResponseFromDestination"
    cases = [
        (Answer(200, other.encode(), JSON), "failed", invalid),
        (Answer(200, b"{}", JSON), "failed", invalid),
        (Answer(200, b"", JSON), "failed", invalid),
        (Answer(200, b"OK", JSON), "failed", invalid),
        (Answer(200, good.encode()[:-1], JSON), "failed", invalid),
        (Answer(200, good.encode(), {"Content-Type": "text/plain"}), "failed", invalid),
        (Answer(200, good.encode(), {"Content-Type": "application/jsonx"}), "failed", invalid),
        (Answer(200, good.encode(), {}), "failed", invalid),
        (Answer(200, b'{"requestId":' + b"[" * 100000, JSON), "failed", invalid),
        (Answer(200, good.encode() + b" " * (1 << 20), JSON), "failed", "HttpEndpoint.ResponseTooLarge"),
        (Answer(200, b" " * (8 << 20), JSON), "failed", "HttpEndpoint.ResponseTooLarge"),
        (Answer(201, good.encode(), JSON), "failed", "HttpEndpoint.BadAnswer"),
        (Answer(400, said.encode(), JSON), "failed", "HttpEndpoint.BadRequest"),
        (Answer(401, b"{}", JSON), "refused", "HttpEndpoint.AccessDenied"),
        (Answer(403), "refused", "HttpEndpoint.AccessDenied"),
        (Answer(404), "refused", "HttpEndpoint.NotFound"),
        (Answer(413, said.encode(), JSON), "failed", "HttpEndpoint.TooLarge"),
        (Answer(429, b"", {"Retry-After": "3"}), "failed", "HttpEndpoint.Throttled"),
        (Answer(500, said.encode(), JSON), "failed", "HttpEndpoint.ServerError"),
        (Answer(503), "failed", "HttpEndpoint.Throttled"),
        (Answer(307, b"", {"Location": "https://localhost:1/"}), "refused", "HttpEndpoint.Redirected"),
        (Answer(200, good.encode(), JSON, cut=10), "failed", "HttpEndpoint.ConnectionReset"),
        (Answer(200, good.encode(), JSON, cut=10, reset=True), "failed", "HttpEndpoint.ConnectionReset"),
        (None, "failed", "HttpEndpoint.ConnectionReset"),
    ]
    for answer, outcome, code in cases:
        left = [answer]
        server = endpoint(lambda r: left.pop() if left else taken(r))
        run, what = deliver(server, RECORDS, attempts=2), "%s %s" % (getattr(answer, "status", "reset"), code)
        first = run.attempts[0] if run.attempts else run.last
        c.that((first["outcome"], first["code"]) == (outcome, code), what, run.text[:300])
        c.that(not first["failed"], what + ": none is blamed alone")
        ends(c, run, "delivered", "", what)
        c.that(len(server.requests) == 2 and len(set(r.headers["x-amz-firehose-request-id"] for r in server.requests)) == 1 and
               server.requests[0].body == server.requests[1].body, what + ": the same request again")
        if answer and answer.body == said.encode():
            c.that("it says: table full, value" in first["text"], "the endpoint's words, without what it quotes", first["text"])
        if answer and answer.status == 429:
            c.that(first["retry_after_ms"] == 3000, "Retry-After is heard")
        server.stop()
    server = endpoint(lambda r: Answer(200, good.encode(), {"Content-Type": "Application/JSON; charset=utf-8"}))
    ends(c, deliver(server, [b"1"]), "delivered", "", "a charset")
    server.stop()


def test_tls(c):
    """certificates are verified; plain HTTP goes to this host alone"""
    other, server = certificate(FOLDER, "other"), endpoint()
    ends(c, deliver(server, [b"1"], ca=other[0]), "refused", "HttpEndpoint.Certificate")
    c.that(not server.requests, "nothing is sent to a server that is not trusted")
    server.stop()
    server = endpoint(tls=False)
    ends(c, deliver(server, [b"1"]), "delivered")
    server.stop()
    for url, words in (("http://a.example.net/in?token=" + SECRET, "plain: true"), ("https://u:" + SECRET + "@a.example.net/", "names a user")):
        run = drive(BUILD, "http", [b"1"], url=url)
        c.that(run.code == 2 and words in run.error and SECRET not in run.text, words, run.text)


def test_slow(c):
    """an endpoint that thinks for a while is waited for; what is cancelled leaves nothing behind"""
    server = endpoint(lambda r: time.sleep(2) or taken(r))
    ends(c, deliver(server, [b"1"]), "delivered")
    run = deliver(server, [b"1"], cancel_ms=200)
    c.that(run.code == 0 and run.last["outcome"] == "cancelled", "cancelled", run.text)
    server.stop()


def test_down(c):
    """an endpoint that is down is tried again until it is up"""
    server = endpoint()
    port, url = server.port, server.url
    server.stop()
    again = []
    threading.Timer(0.4, lambda: again.append(Server(taken, CERTIFICATE, port=port))).start()
    run = Drive(BUILD, "http", RECORDS, url=url + "/in?token=" + SECRET, ca=CERTIFICATE[0], attempts=300, backoff_ms=20).end()
    ends(c, run, "delivered")
    c.that(run.attempts[0]["code"] == "HttpEndpoint.Unavailable", "it was down first", run.attempts[0])
    right(c, again[0].requests[0], RECORDS)
    again[0].stop()


def test_kill(c):
    """killed in the middle, begun again: the same id, so that the endpoint knows it"""
    server = endpoint(lambda r: time.sleep(0.5) or taken(r))
    run = Drive(BUILD, "http", RECORDS, url=server.url + "/in?token=" + SECRET, ca=CERTIFICATE[0])
    threading.Thread(target=lambda: run.process.stdin.write(run.records) and run.process.stdin.close(), daemon=True).start()
    deadline = time.monotonic() + 30
    while not server.requests and time.monotonic() < deadline:
        time.sleep(0.01)
    run.process.kill()
    run.process.wait()
    run.process.stdout.close()
    run.process.stderr.close()
    ends(c, deliver(server, RECORDS), "delivered")
    c.that([r.headers["x-amz-firehose-request-id"] for r in server.requests] == [ID, ID], "one id")
    right(c, server.requests[-1], RECORDS)
    server.stop()


def main():
    checks = Checks()
    try:
        checks.run([value for name, value in globals().items() if name.startswith("test_")])
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
