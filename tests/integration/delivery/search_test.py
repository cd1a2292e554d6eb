#!/usr/bin/env python3
"""Delivery to a search cluster: dlv_search_ops, one batch, against a stub of _bulk (bulk_stub.py) that misbehaves in every way.

    search_test.py BUILD_DIR

In each case: no document is lost, none is there twice, and the outcome has its code."""
import json
import os
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bulk_stub import JSON, BulkStub, item  # noqa: E402
from checks import Checks, Drive, certificate, drive  # noqa: E402
from misbehaving import Answer, EarlyAnswer  # noqa: E402

BUILD = sys.argv[1]
FOLDER = tempfile.mkdtemp(prefix="search_test.")
SECRET = "the-content-of-a-record"
ID = "01234567-89ab-cdef-0123-456789abcdef"


def documents(count, size=50):
    return [b'{"n":%d,"text":"%s"}' % (i, b"x" * size) for i in range(count)]


def deliver(stub, records, **keys):
    return drive(BUILD, "search", records, **dict({"url": stub.url, "index": "logs"}, **keys))


def all_there(c, stub, records, index="logs"):
    got = sorted(stub.documents.values())
    c.that(got == sorted(records), "all documents are there, byte for byte", "%d of %d" % (len(got), len(records)))
    c.that(all(key[0] == index for key in stub.documents), "they are in index %s" % index, set(k[0] for k in stub.documents))
    c.that(not stub.wrong, "the cluster understands every request", stub.wrong[:3])


def ends(c, run, outcome, code=""):
    c.that(run.code == 0 and run.last["outcome"] == outcome and run.last["code"] == code, "ends as %s %s" % (outcome, code),
           run.text[-400:])


def test_plain(c):
    """documents arrive byte for byte; what is delivered again overwrites itself"""
    stub, records = BulkStub(), documents(1500)
    ends(c, deliver(stub, records), "delivered")
    all_there(c, stub, records)
    c.that(len(stub.server.requests) == 1, "one request")
    c.that(("logs", ID + "-2-1002") in stub.documents, "ids are made of batch, shard and sequence number")
    ends(c, deliver(stub, records), "delivered")
    all_there(c, stub, records)
    c.that(set(stub.written.values()) == {2}, "each was written twice under one id")
    ends(c, deliver(stub, [], index="empty"), "delivered")
    c.that(len(stub.server.requests) == 2, "nothing is sent for nothing")
    stub.stop()


def test_path(c):
    """index, rotation and type are in the path"""
    for keys, path in (({"rotation": "OneHour"}, "/logs-2016-02-25-13/_bulk"), ({"rotation": "OneDay"}, "/logs-2016-02-25/_bulk"),
                       ({"rotation": "OneWeek"}, "/logs-2016-w09/_bulk"), ({"rotation": "OneMonth"}, "/logs-2016-02/_bulk"),
                       ({"rotation": "NoRotation"}, "/logs/_bulk"), ({"type": "doc"}, "/logs/doc/_bulk")):
        stub = BulkStub()
        ends(c, deliver(stub, documents(3), oldest_s=1456405200, **keys), "delivered")
        c.that(stub.server.requests[0].target.startswith(path + "?"), path, stub.server.requests[0].target)
        stub.stop()


def test_records_that_are_none(c):
    """a record that is no JSON object is refused alone, before it is sent, without a word of its content"""
    stub, good = BulkStub(), documents(5)
    bad = [b"", b"text " + SECRET.encode(), b"[1]", b'{"a":', b'{"a":"\xff"}', b'{"a":1}{"b":2}', b'{"a":' * 600 + b"1" + b"}" * 600,
           b'{"a":"\x00"}']
    run = deliver(stub, good[:2] + bad + good[2:])
    ends(c, run, "rest", "Search.DocumentsRefused")
    all_there(c, stub, good)
    c.that([f[0] for f in run.last["failed"]] == list(range(2, 2 + len(bad))), "they are named", run.last["failed"])
    c.that(all(f[2] == "Search.NoDocument" for f in run.last["failed"]), "by a code")
    c.that(SECRET not in run.text, "without content")
    stub.documents.clear()
    run = deliver(stub, bad)
    ends(c, run, "rest", "Search.DocumentsRefused")
    c.that(not stub.documents and len(run.last["failed"]) == len(bad), "a batch of nothing else sends nothing")
    stub.stop()


def test_refused_items(c):
    """a document that the cluster refuses for good is named with type and reason; what the reason quotes is left out"""
    reason = ("failed to parse field [text] of type [long] in document with id '%s'. Preview of field's value: '" + SECRET + "'")
    stub = BulkStub(each=lambda name, doc: item(400, "mapper_parsing_exception", reason % name, "illegal_argument_exception")
                    if b'"n":7,' in doc else item(409, "version_conflict_engine_exception", "there") if b'"n":8,' in doc else None)
    records = documents(20)
    run = deliver(stub, records)
    ends(c, run, "rest", "Search.DocumentsRefused")
    all_there(c, stub, records[:7] + records[9:])
    c.that(run.last["failed"] == [[7, 400, "mapper_parsing_exception", "failed to parse field [text] of type [long] in document with id '"
                                   + ID + "-1-1007'; illegal_argument_exception"]], "the document is named", run.last["failed"])
    c.that(SECRET not in run.text and "Preview" not in run.text, "without content")
    stub.stop()


def test_busy_items(c):
    """items that the cluster is too busy for are sent again, and no others"""
    for status in (429, 500, 503):
        seen = set()

        def each(name, doc, status=status):
            if int(name.split("-")[-1]) % 3 or name in seen:
                return None
            seen.add(name)
            return item(status, "es_rejected_execution_exception", "rejected execution of org.example [" + SECRET + "]")
        stub, records = BulkStub(each=each), documents(300)
        run = deliver(stub, records, attempts=3)
        ends(c, run, "delivered")
        first = run.attempts[0]
        c.that(first["outcome"] == "failed" and first["code"] == "Search.Throttled", "it waits first", first)
        c.that(len(first["failed"]) == 100 and len(run.attempts) == 2, "what is missing is named", len(first["failed"]))
        c.that(stub.counts() == [300, 100], "only what was missing is sent again", stub.counts())
        c.that(set(stub.written.values()) == {1}, "nothing is written twice")
        c.that(SECRET not in run.text, "without content")
        all_there(c, stub, records)
        stub.stop()


def test_blocked_index(c):
    """an index that takes nothing is the operator's to mend: no document is blamed"""
    for status, kind in ((403, "cluster_block_exception"), (404, "index_not_found_exception"), (400, "index_closed_exception"),
                         (400, "invalid_index_name_exception"), (400, "validation_exception"), (403, "security_exception")):
        state = {"mended": False}
        stub = BulkStub(each=lambda name, doc: None if state["mended"] else item(status, kind, "no"))
        records = documents(10)
        run = Drive(BUILD, "search", records, url=stub.url, index="logs", attempts=100, backoff_ms=50)
        threading.Timer(0.3, state.update, kwargs={"mended": True}).start()
        run.end()
        ends(c, run, "delivered")
        c.that(run.attempts[0]["outcome"] == "refused" and run.attempts[0]["code"] == "Search.IndexRefused" and
               kind in run.attempts[0]["text"] and not run.attempts[0]["failed"], kind + " is refused until it is mended", run.attempts[0])
        all_there(c, stub, records)
        stub.stop()


def test_pieces(c):
    """requests stay below the limit of deliverd.yaml, and below what the cluster takes"""
    records = documents(400, 1000)
    stub = BulkStub()
    ends(c, deliver(stub, records, request_bytes=20000), "delivered")
    all_there(c, stub, records)
    c.that(max(stub.sizes) <= 20000 and len(stub.sizes) > 20, "in pieces", stub.sizes[:5])
    stub.stop()
    stub = BulkStub(whole=lambda r: Answer(413) if len(r.body) > 30000 else None)
    ends(c, deliver(stub, records), "delivered")
    all_there(c, stub, records)
    c.that(set(stub.written.values()) == {1}, "nothing is written twice")
    c.that(sum(size > 30000 for size in stub.sizes) <= 5, "a cluster that says 413 is believed", stub.sizes)
    stub.stop()


def test_a_document_too_large(c):
    """a document that no request can hold is refused alone"""
    records = documents(10) + [b'{"large":"%s"}' % (b"y" * 50000)] + documents(10, 60)
    stub = BulkStub(whole=lambda r: Answer(413) if len(r.body) > 10000 else None)
    run = deliver(stub, records)
    ends(c, run, "rest", "Search.DocumentsRefused")
    c.that([f[:3] for f in run.last["failed"]] == [[10, 413, "Search.DocumentTooLarge"]], "it is named", run.last["failed"])
    all_there(c, stub, records[:10] + records[11:])
    stub.stop()


def test_413_before_the_body(c):
    """a proxy that says 413 without reading, and closes: smaller requests follow"""
    def head(request):
        if int(request.headers["content-length"]) > 100000:
            raise EarlyAnswer(Answer(413, b"too large"))
    records = documents(2000, 1000)
    stub = BulkStub(head=head)
    run = deliver(stub, records, attempts=20, backoff_ms=10)
    ends(c, run, "delivered")
    all_there(c, stub, records)
    c.that(set(stub.written.values()) == {1}, "nothing is written twice")
    stub.stop()


def test_whole_answers(c):
    """a request that is refused, put off or answered with nonsense: the code says so, and what waits is sent again"""
    said = json.dumps({"error": {"root_cause": [], "type": "illegal_argument_exception",
                                 "reason": "unknown parameter [_type]: '" + SECRET + "'"}, "status": 400}).encode()
    cases = [
        (Answer(429, b"{}", {"Retry-After": "7"}), "failed", "Search.Throttled"),
        (Answer(503, b"<html>", {}), "failed", "Search.Throttled"),
        (Answer(500), "failed", "Search.ServerError"),
        (Answer(502, b"x" * 3000000), "failed", "Search.ServerError"),
        (Answer(400, said, JSON), "refused", "Search.BadRequest"),
        (Answer(401), "refused", "Search.AccessDenied"),
        (Answer(403, b"{}", JSON), "refused", "Search.AccessDenied"),
        (Answer(404, b"no"), "refused", "Search.NotFound"),
        (Answer(302, b"", {"Location": "http://localhost:1/"}), "refused", "Search.Redirected"),
        (Answer(201, b'{"items":[]}', JSON), "failed", "Search.BadAnswer"),
        (Answer(200, b"<html>200</html>"), "failed", "Search.BadAnswer"),
        (Answer(200, b""), "failed", "Search.BadAnswer"),
        (Answer(200, b"{}", JSON), "failed", "Search.BadAnswer"),
        (Answer(200, b'{"errors":false,"items":[]}', JSON), "failed", "Search.BadAnswer"),
        (Answer(200, b'{"items":[{"index":{"status":201}}]}', JSON), "failed", "Search.BadAnswer"),
        (Answer(200, b'{"items":[' + b",".join([b'{"index":{"status":201}}'] * 21) + b"]}", JSON), "failed", "Search.BadAnswer"),
        (Answer(200, b'{"items":[{"index":{"status":201}},', JSON), "failed", "Search.BadAnswer"),
        (Answer(200, b'{"items":[' + b'{"a":' * 100000, JSON), "failed", "Search.BadAnswer"),
        (Answer(200, b'{"items":[' + b"[" * 3000000, JSON), "failed", "Search.BadAnswer"),
        (Answer(200, b'{"items":[{"index":{"status":201}}]}', JSON, cut=20), "failed", "Search.ConnectionReset"),
        (Answer(200, b'{"items":[{"index":{"status":201}}]}', JSON, cut=20, reset=True), "failed", "Search.ConnectionReset"),
        (False, "failed", "Search.ConnectionReset"),
    ]
    for answer, outcome, code in cases:
        left = [answer]
        stub, records = BulkStub(whole=lambda r: left.pop() if left else None), documents(20)
        run = deliver(stub, records, attempts=2)
        first, what = run.attempts[0] if run.attempts else run.last, "%s %s" % (code, getattr(answer, "status", "reset"))
        c.that((first["outcome"], first["code"]) == (outcome, code), what, run.text[:300])
        c.that(not first["failed"], what + ": nothing is there", first["failed"])
        ends(c, run, "delivered")
        all_there(c, stub, records)
        c.that(set(stub.written.values()) == {1}, what + ": no document of a doubtful answer is taken for delivered")
        if code == "Search.Throttled" and answer.status == 429:
            c.that(first["retry_after_ms"] == 7000, "Retry-After is heard", first)
        if answer and answer.body == said:
            c.that("illegal_argument_exception: unknown parameter" in first["text"] and SECRET not in run.text, "the cluster's words", first)
        stub.stop()


def test_slow_answer(c):
    """a slow answer is waited for"""
    stub, records = BulkStub(), documents(40)
    take = stub.take

    def slowly(index, body):
        answer = take(index, body)
        answer.each_s = 0.05
        return answer
    stub.take = slowly
    ends(c, deliver(stub, records), "delivered")
    all_there(c, stub, records)
    stub.stop()


def test_answer_that_is_cut(c):
    """an answer longer than is kept still settles the documents that it came to"""
    records = documents(200)
    stub = BulkStub(each=lambda name, doc: item(400, "mapper_parsing_exception", "x" * 20000) if b'1,' in doc else None)
    run = deliver(stub, records)
    ends(c, run, "rest", "Search.DocumentsRefused")
    refused = [r for r in records if b"1," in r]
    all_there(c, stub, [r for r in records if b"1," not in r])
    c.that([f[0] for f in run.last["failed"]] == [records.index(r) for r in refused], "each refused one is named once")
    c.that(len(stub.counts()) > 1, "in several requests", stub.counts())
    stub.stop()


def test_half_a_batch(c):
    """when the cluster goes away between two pieces, only the rest is missing, and only that is sent again"""
    state = {"pieces": 0}

    def whole(request):
        state["pieces"] += 1
        # Twice: libcurl itself goes to another connection when a kept one ends without a word.
        return False if state["pieces"] in (3, 4) else None
    records, stub = documents(100, 500), BulkStub(whole=whole)
    run = deliver(stub, records, request_bytes=20000, attempts=5)
    ends(c, run, "delivered")
    all_there(c, stub, records)
    first = run.attempts[0]
    c.that(first["code"] == "Search.ConnectionReset" and 0 < len(first["failed"]) < 100, "the rest is named", first["code"])
    c.that(all("closed the connection" in f[3] for f in first["failed"]), "with the reason")
    c.that(set(stub.written.values()) == {1}, "nothing is written twice")
    stub.stop()


def test_nobody_there(c):
    """a cluster that is down is tried again; when it is there, all is delivered"""
    stub = BulkStub()
    url = stub.url
    stub.stop()
    run = drive(BUILD, "search", documents(3), url=url, index="logs", attempts=3, backoff_ms=20)
    ends(c, run, "failed", "Search.Unavailable")
    c.that(len(run.attempts) == 3, "each attempt is one")


def write_credentials(text, mode=0o600):
    path = os.path.join(FOLDER, "credentials")
    with open(path + ".new", "w") as f:
        os.chmod(path + ".new", mode)
        f.write(text)
    os.rename(path + ".new", path)
    return path


def test_basic(c):
    """a password in force without a restart; none in any text"""
    good, path = "Basic YWRtaW46bmV3OnBhc3N3b3Jk", write_credentials("admin:old-password\n")
    stub = BulkStub(whole=lambda r: None if r.headers.get("authorization") == good else Answer(401))
    run = Drive(BUILD, "search", documents(5), url=stub.url, index="logs", auth="basic", credentials=path, attempts=200, backoff_ms=20)
    threading.Timer(0.3, write_credentials, args=("admin:new:password\n",)).start()
    run.end()
    ends(c, run, "delivered")
    c.that(run.attempts[0]["code"] == "Search.AccessDenied", "the old one is refused")
    c.that("password" not in run.text.replace("deliverd.yaml", "") and "YWRt" not in run.text, "no password is printed")
    before = len(stub.server.requests)
    for text, mode, words in (("admin:new:password\n", 0o644, "readable by nobody else"), ("nobody\n", 0o600, "user:password"),
                              ("a:b\nc:d\n", 0o600, "user:password"), (":b\n", 0o600, "user:password"), ("", 0o600, "user:password"),
                              ("a:" + "x" * 2000, 0o600, "user:password")):
        run = deliver(stub, documents(1), auth="basic", credentials=write_credentials(text, mode))
        ends(c, run, "refused", "Search.Credentials")
        c.that(words in run.last["text"] and path in run.last["text"], words, run.last["text"])
    os.unlink(path)
    run = deliver(stub, documents(1), auth="basic", credentials=path)
    ends(c, run, "refused", "Search.Credentials")
    c.that(len(stub.server.requests) == before, "nothing is sent without credentials")
    stub.stop()


def test_sigv4(c):
    """a signature that botocore computes, too"""
    try:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
    except ImportError:
        c.skip("botocore is not there to compute signatures")
        return
    import datetime
    import re
    from unittest import mock
    path = write_credentials("[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = secret/key+1\n"
                             "aws_session_token = a/session+token==\n")
    stub = BulkStub()
    ends(c, deliver(stub, documents(50), auth="aws", credentials=path, region="eu-central-1", type="doc", rotation="OneDay"), "delivered")
    got = stub.server.requests[0]
    at = datetime.datetime.strptime(got.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    signed = re.search("SignedHeaders=([^,]+)", got.headers["authorization"]).group(1).split(";")
    request = AWSRequest("POST", "http://%s%s" % (got.headers["host"], got.target), data=got.body,
                         headers={n: got.headers[n] for n in signed if n not in ("x-amz-date", "host", "x-amz-security-token")})
    with mock.patch("botocore.auth.datetime") as clock:
        clock.datetime.utcnow.return_value = at
        SigV4Auth(Credentials("AKIAEXAMPLE", "secret/key+1", "a/session+token=="), "es", "eu-central-1").add_auth(request)
    c.that(request.headers["Authorization"] == got.headers["authorization"], "the same signature",
           (request.headers["Authorization"], got.headers["authorization"]))
    c.that({"content-type", "host", "x-amz-date", "x-amz-security-token"} <= set(signed), "what must be signed is", signed)
    run = deliver(stub, documents(1), auth="aws", credentials=path, region="eu-central-1", index="a b")
    c.that(run.code == 2 and "auth: aws" in run.error, "an index that cannot be signed is refused", run.text)
    stub.stop()


def test_tls(c):
    """certificates are verified, against the CA of deliverd.yaml alone"""
    ours, other = certificate(FOLDER, "ours"), certificate(FOLDER, "other")
    stub, records = BulkStub(certificate=ours), documents(10)
    ends(c, deliver(stub, records, ca=ours[0]), "delivered")
    all_there(c, stub, records)
    before = len(stub.server.requests)
    for keys in ({"ca": other[0]}, {}, {"ca": os.path.join(FOLDER, "none.pem")}):
        ends(c, deliver(stub, records, **keys), "refused", "Search.Certificate")
    c.that(len(stub.server.requests) == before, "nothing is sent to a server that is not trusted")
    stub.stop()


def test_what_deliverd_yaml_allows(c):
    """servers that it does not name, and plain HTTP to others, are refused before anything is sent"""
    for keys, words in (({"url": "https://a.example.net", "pattern": "https://b.example.net"}, "endpoints"),
                        ({"url": "http://a.example.net"}, "plain: true"), ({"url": "https://u:p@a.example.net"}, "names a user"),
                        ({"url": "ftp://a.example.net"}, "https://"), ({"url": "https://a", "index": "x" * 250, "rotation": "OneHour"}, "too long"),
                        ({"url": "https://a", "auth": "basic"}, "needs credentials"),
                        ({"url": "https://a", "auth": "aws", "credentials": "/x/y"}, "needs a region")):
        run = drive(BUILD, "search", documents(1), **keys)
        c.that(run.code == 2 and words in run.error and not run.attempts, words, run.text)


def test_cancel(c):
    """what is cancelled stops, and leaves no memory behind"""
    stub = BulkStub(whole=lambda r: time.sleep(3))
    run = deliver(stub, documents(10), cancel_ms=300)
    c.that(run.code == 0 and run.last["outcome"] == "cancelled", "cancelled", run.text)
    run = deliver(stub, documents(10), cancel_ms=1)
    c.that(run.code == 0 and run.last["outcome"] == "cancelled", "cancelled before the answer", run.text)
    stub.stop()


def test_memory(c):
    """a batch that the pool cannot hold is refused while it is gathered, with what is there intact"""
    stub = BulkStub()
    run = deliver(stub, documents(4000, 1000), pool_mb=2)
    c.that(run.code == 2 and ("no memory" in run.error or "limit" in run.error), "refused", run.text)
    c.that(not stub.server.requests, "nothing is sent")
    stub.stop()


def test_kill(c):
    """killed in the middle, begun again: every document once"""
    records = documents(3000, 300)
    stub = BulkStub(whole=lambda r: time.sleep(0.02))
    for n in (1, 5, 20):
        run = Drive(BUILD, "search", records, url=stub.url, index="logs", request_bytes=20000)
        threading.Thread(target=lambda: run.process.stdin.write(run.records) and run.process.stdin.close(), daemon=True).start()
        deadline, start = time.monotonic() + 30, len(stub.server.requests)
        while len(stub.server.requests) < start + n and time.monotonic() < deadline:
            time.sleep(0.005)
        run.process.kill()
        run.process.wait()
        run.process.stdout.close()
        run.process.stderr.close()
    ends(c, deliver(stub, records, request_bytes=20000), "delivered")
    all_there(c, stub, records)
    stub.stop()


def main():
    checks = Checks()
    try:
        checks.run([value for name, value in globals().items() if name.startswith("test_")])
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
