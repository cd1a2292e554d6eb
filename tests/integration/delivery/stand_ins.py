"""Destinations of whole-program tests: a relay that a test closes, slows down or cuts, an S3 store and an HTTP endpoint.

They are strict: a signature, header or body that the protocol does not have ends up in `wrong`. What came is kept with its mark (the
object's key, the request's id), so that a test can tell a record that came twice from one that was marked as a repetition."""
import base64
import gzip
import hashlib
import hmac
import json
import re
import socket
import struct
import threading
import time
import urllib.parse

from misbehaving import Answer, Server

JSON = {"Content-Type": "application/json"}
XML = {"Content-Type": "application/xml"}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
CHUNK = 4096


class Gate:
    """A port of this host before a server's. delay_s: for each 4 KiB; cut_after: bytes to the server, then a reset."""

    def __init__(self, target_port):
        self.target_port, self.delay_s, self.cut_after = target_port, 0.0, None
        self.lock, self.pairs = threading.Lock(), []
        self.listener = self.bound(0)
        self.port = self.listener.getsockname()[1]
        self.open()

    @staticmethod
    def bound(port):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", port))
        return s

    def open(self):
        self.listener.listen(64)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def shut(self):
        """Connections are refused; those that are there are reset. The port stays this gate's."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.listener = self.bound(self.port)
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            self.reset(pair)

    @staticmethod
    def reset(pair):
        for s in pair:
            try:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                self.reset((near,))
                continue
            with self.lock:
                self.pairs.append((near, far))
            for one, other, up in ((near, far, True), (far, near, False)):
                threading.Thread(target=self.relay, args=(one, other, up, (near, far)), daemon=True).start()

    def relay(self, one, other, up, pair):
        passed = 0
        try:
            while True:
                data = one.recv(CHUNK)
                if not data:
                    other.shutdown(socket.SHUT_WR)
                    return
                if self.delay_s:
                    time.sleep(self.delay_s)
                if up and self.cut_after is not None and passed + len(data) > self.cut_after:
                    other.sendall(data[:self.cut_after - passed])
                    self.reset(pair)
                    return
                other.sendall(data)
                passed += len(data)
        except OSError:
            self.reset(pair)


def lines_of(body):
    return body.split(b"\n")[:-1]


class Marked:
    """What came under which mark: the same mark stands for the same records, a record is under one mark."""

    def __init__(self):
        self.by_mark, self.repeated, self.faults = {}, 0, []

    def came(self, mark, records):
        records = sorted(records)
        if mark in self.by_mark:
            self.repeated += 1
            if self.by_mark[mark] != records:
                self.faults.append("%s stands for other records than before" % mark)
        self.by_mark[mark] = records

    def records(self):
        return [r for records in self.by_mark.values() for r in records]


class S3Store:
    """PUT of objects, path style. secret: what requests have to be signed with. mood(request): an Answer in place of its own."""

    def __init__(self, secret):
        self.secret, self.mood = secret, None
        self.objects, self.wrong = {}, []
        self.marked = Marked()
        self.server = Server(self.handle)

    @staticmethod
    def error(status, code, text):
        return Answer(status, ("<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>%s</Message></Error>" % (code, text)).encode(), XML)

    def signature(self, request, given):
        """SigV4, by its published description."""
        key_id, day, region, service, end = given["Credential"].split("/")
        path, _, query = request.target.partition("?")
        names = given["SignedHeaders"].split(";")
        payload = request.headers["x-amz-content-sha256"]
        canonical = "\n".join([request.method, path, "&".join(sorted(query.split("&")))] +
                              ["%s:%s" % (n, request.headers[n]) for n in names] + ["", ";".join(names), payload])
        scope = "/".join((day, region, service, end))
        text = "\n".join(["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self.secret).encode()
        for part in (day, region, service, end):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        if not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names) or service != "s3":
            self.wrong.append("signed: %s for %s" % (names, service))
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def handle(self, request):
        words = request.headers.get("authorization", "")
        given = dict(part.split("=", 1) for part in re.split(r",\s*", words.partition(" ")[2]) if "=" in part)
        try:
            right = hmac.compare_digest(self.signature(request, given), given["Signature"])
        except (KeyError, ValueError):
            return self.error(403, "AccessDenied", "no signature")
        if not right:
            return self.error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match")
        payload = request.headers["x-amz-content-sha256"]
        if payload != "UNSIGNED-PAYLOAD" and payload != hashlib.sha256(request.body).hexdigest():
            return self.error(400, "XAmzContentSHA256Mismatch", "the body is another")
        if request.method != "PUT" or "?" in request.target:
            self.wrong.append("%s %s" % (request.method, request.target))
            return self.error(405, "MethodNotAllowed", "PUT alone")
        answer = self.mood(request) if self.mood else None
        return answer or self.take(urllib.parse.unquote(request.target[1:]), request.body)

    def take(self, key, body):
        self.objects[key] = body
        plain = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        self.marked.came(key, lines_of(plain))
        if not UUID.search(key.removesuffix(".gz")) and "manifests/" not in key:
            self.wrong.append("no id in the key " + key)
        return Answer(200, b"", {"ETag": '"%s"' % hashlib.md5(body).hexdigest()})


class Endpoint:
    """Firehose's protocol for HTTP endpoints. key: of whoever may send. mood(request, records): an Answer in place of its own."""

    def __init__(self, certificate, key):
        self.key, self.mood = key, None
        self.wrong, self.refused = [], Marked()
        self.marked = Marked()
        self.lock = threading.Lock()
        self.server = Server(self.handle, certificate)

    def fault_of(self, request, body):
        h = request.headers
        if request.method != "POST" or h.get("content-type") != "application/json" or h.get("x-amz-firehose-protocol-version") != "1.0":
            return "%s %s %s" % (request.method, h.get("content-type"), h.get("x-amz-firehose-protocol-version"))
        if list(body) != ["requestId", "timestamp", "records"] or body["requestId"] != h.get("x-amz-firehose-request-id"):
            return "members %s" % list(body)
        if not UUID.match(body["requestId"]) or abs(body["timestamp"] - time.time() * 1000) > 600000:
            return "id or time: %s %s" % (body["requestId"], body["timestamp"])
        if not re.fullmatch(r"arn:aws:firehose:local:\d{12}:deliverystream/[\w.-]+", h.get("x-amz-firehose-source-arn", "")):
            return "source %s" % h.get("x-amz-firehose-source-arn")
        if any(list(r) != ["data"] for r in body["records"]):
            return "a record's members"
        return None

    def handle(self, request):
        packed = request.headers.get("content-encoding") == "gzip"
        body = json.loads(gzip.decompress(request.body) if packed else request.body)
        fault = self.fault_of(request, body)
        if fault:
            self.wrong.append(fault)
            return Answer(400, b"{}", JSON)
        records = [base64.b64decode(r["data"], validate=True) for r in body["records"]]
        if request.headers.get("x-amz-firehose-access-key") != self.key:
            return self.said(401, body, errorMessage="the access key is another")
        answer = self.mood(request, body, records) if self.mood else None
        with self.lock:
            (self.refused if answer else self.marked).came(body["requestId"], records)
        return answer or self.said(200, body)

    @staticmethod
    def said(status, body, **more):
        text = dict({"requestId": body["requestId"], "timestamp": int(time.time() * 1000)}, **more)
        return Answer(status, json.dumps(text).encode(), JSON)
