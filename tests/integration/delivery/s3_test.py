#!/usr/bin/env python3
"""Delivery to a real S3 store, Ceph's radosgw: what the S3 destination puts with, driven by s3_drive.

    s3_test.py BUILD_DIR

Every object that is said to be delivered is there, byte for byte; whatever is not delivered has its name and a sentence. The cases
of SSE-KMS are a test of headers: the keys are radosgw's own."""
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from checks import Checks, certificate  # noqa: E402
from radosgw import Radosgw, missing  # noqa: E402

BUILD = sys.argv[1]
FOLDER = tempfile.mkdtemp(prefix="s3_test.")
MIB = 1 << 20
KMS_CONTEXT = '{"aws:firehose:arn":"arn:aws:firehose:us-east-1:000000000000:deliverystream/web"}'
store, client, credentials = None, None, None


class Put:
    def __init__(self, **keys):
        given = dict({"url": store.url, "ca": store.ca, "credentials": credentials, "path_style": "true", "bucket": "archive",
                      "part_mb": 5}, **keys)
        args = [os.path.join(BUILD, "tests", "s3_drive")] + ["%s=%s" % pair for pair in given.items()]
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self):
        out, err = self.process.communicate(timeout=60)
        self.text = (out + err).decode("utf-8", "replace")
        self.attempts = [json.loads(line) for line in out.splitlines()]
        self.last = self.attempts[-1] if self.attempts else {"outcome": "none", "code": "", "text": self.text}
        return self


def put(**keys):
    return Put(**keys).end()


def file_of(size):
    path = os.path.join(FOLDER, "body-%d" % size)
    if not os.path.exists(path):
        with open(path, "wb") as f:
            f.write(os.urandom(size))
    return path


def body_of(key, bucket="archive"):
    return client.get_object(Bucket=bucket, Key=key)["Body"].read()


def is_there(key, bucket="archive"):
    return any(o["Key"] == key for o in client.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", []))


def same(c, key, size, what):
    with open(file_of(size), "rb") as f:
        c.that(hashlib.sha256(body_of(key)).digest() == hashlib.sha256(f.read()).digest(), what)


def ends(c, run, outcome, code, *words):
    c.that(run.last["outcome"] == outcome and run.last["code"] == code, "ends as %s %s" % (outcome, code), run.text[-600:])
    for word in words:
        c.that(word in run.last["text"], "the sentence says %s" % word, run.last["text"])
    c.that(store.secret not in run.text, "no secret is told")


# --- what goes well ---

def test_keys(c):
    """objects of any key arrive byte for byte, over TLS and without"""
    for url, sign in ((store.url, "false"), (store.tls_url, "false"), (store.tls_url, "true")):
        for number, key in enumerate(["plain", "a/b=1:2@3+4 é/~x-y_z.gz", "a//b/../c/./d", "!*'();&$,?#[]%20", "x" * 990]):
            key = "%s/%d/%s" % (url[:5].rstrip(":") + sign, number, key)
            size = [0, 1, 1000, 70000, 3 * MIB][number]
            ends(c, put(url=url, key=key, file=file_of(size), sign_payload=sign), "delivered", "")
            same(c, key, size, "%s is as it was put" % key[:40])


def test_headers(c):
    """content encoding and metadata are kept"""
    ends(c, put(key="meta", file=file_of(1000), content_encoding="gzip", metadata='x-amz-matdesc={"a":"b c"}'), "delivered", "")
    head = client.head_object(Bucket="archive", Key="meta")
    c.that(head["ContentEncoding"] == "gzip" and head["ContentType"] == "application/octet-stream", "encoding and type", head)
    c.that(head["Metadata"] == {"x-amz-matdesc": '{"a":"b c"}'}, "metadata", head)


def test_parts(c):
    """a large object is put in parts"""
    size = 32 * MIB + 12345
    ends(c, put(url=store.tls_url, key="large", file=file_of(size)), "delivered", "")
    c.that(client.head_object(Bucket="archive", Key="large")["ETag"].endswith('-7"'), "in seven parts")
    same(c, "large", size, "it is as it was put")
    c.that(not client.list_multipart_uploads(Bucket="archive").get("Uploads"), "no upload is left open")


def test_kms_headers(c):
    """SSE-KMS, a test of headers: both of the store's keys, in one request and in parts"""
    for number, key in enumerate(("testkey-1", "testkey-2")):
        for size in (1000, 11 * MIB):
            name = "kms/%s/%d" % (key, size)
            ends(c, put(key=name, file=file_of(size), sse="aws:kms", kms_key=key, kms_context=KMS_CONTEXT,
                        bucket_key="true" if number else "false"), "delivered", "")
            head = client.head_object(Bucket="archive", Key=name)
            c.that(head.get("ServerSideEncryption") == "aws:kms" and head.get("SSEKMSKeyId") == key, "%s is under %s" % (name, key), head)
            same(c, name, size, "%s is as it was put" % name)
    run = put(key="kms/unknown", file=file_of(1000), sse="aws:kms", kms_key="no-such-key")
    ends(c, run, "refused", "S3.InvalidAccessKeyId", "KMS key no-such-key", "answered 403")
    c.that(not is_there("kms/unknown"), "nothing is there of it")


def test_not_encrypted(c):
    """a store that does not know SSE-S3 and says nothing of it gets no byte"""
    head = client.put_object(Bucket="archive", Key="probe", Body=b"", ServerSideEncryption="AES256")
    if head.get("ServerSideEncryption") == "AES256":
        c.skip("this radosgw knows SSE-S3")
        return
    ends(c, put(key="sse-s3", file=file_of(1000), sse="AES256"), "refused", "S3.NotEncrypted", "seal")
    c.that(not is_there("sse-s3"), "nothing is there of it")
    c.that(not client.list_multipart_uploads(Bucket="archive").get("Uploads"), "no upload is left open")


# --- what is refused ---

def test_refusals(c):
    """credentials, buckets and certificates that are wrong are refused by name"""
    wrong = store.credentials(os.path.join(FOLDER, "wrong"), secret="not-the-secret")
    ends(c, put(key="r", credentials=wrong), "refused", "S3.SignatureDoesNotMatch", "aws_secret_access_key")
    with open(wrong, "w") as f:
        f.write("[default]\naws_access_key_id = NOBODY\naws_secret_access_key = x\n")
    ends(c, put(key="r", credentials=wrong), "refused", "S3.InvalidAccessKeyId", "NOBODY")
    os.chmod(wrong, 0o644)
    ends(c, put(key="r", credentials=wrong), "refused", "S3.Credentials", "0600")
    ends(c, put(key="r", bucket="no-such-bucket"), "refused", "S3.NoSuchBucket", "no-such-bucket", "make the bucket")
    ends(c, put(key="r", file=file_of(11 * MIB), bucket="no-such-bucket"), "refused", "S3.NoSuchBucket")
    other = certificate(FOLDER, "other")[0]
    ends(c, put(key="r", url=store.tls_url, ca=other), "refused", "S3.Certificate")
    c.that(not is_there("r"), "nothing is there of it")


def test_denied(c):
    """a bucket of somebody else is refused"""
    import boto3
    from botocore.config import Config
    store.run("radosgw-admin", "user", "create", "--uid=other", "--display-name=other", "--access-key=OTHER", "--secret=other",
              seconds=30)
    boto3.client("s3", endpoint_url=store.url, aws_access_key_id="OTHER", aws_secret_access_key="other", region_name="us-east-1",
                 config=Config(s3={"addressing_style": "path"})).create_bucket(Bucket="others")
    ends(c, put(key="r", bucket="others"), "refused", "S3.AccessDenied", "s3:PutObject", store.key_id)


def test_full(c):
    """a bucket over its quota is told, and delivered to once there is room"""
    client.create_bucket(Bucket="small")
    quota = ("radosgw-admin", "quota", "set", "--quota-scope=bucket", "--bucket=small")
    store.run(*quota, "--max-objects=1", seconds=30)
    store.run("radosgw-admin", "quota", "enable", "--quota-scope=bucket", "--bucket=small", seconds=30)
    client.put_object(Bucket="small", Key="first", Body=b"x")
    run = put(bucket="small", key="second", file=file_of(1000))
    ends(c, run, "failed", "S3.QuotaExceeded", "quota")
    store.run("radosgw-admin", "quota", "disable", "--quota-scope=bucket", "--bucket=small", seconds=30)
    ends(c, put(bucket="small", key="second", file=file_of(1000), attempts=10, backoff_ms=500), "delivered", "")


# --- what gets better ---

class Proxy:
    """Passes bytes on to the store; change(count, bytes) may change what the client sent."""

    def __init__(self, change):
        self.change, self.count = change, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://localhost:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                inner, _ = self.listener.accept()
            except OSError:
                return
            try:
                outer = socket.create_connection(("127.0.0.1", store.plain), timeout=10)
            except OSError:
                inner.close()
                continue
            threading.Thread(target=self.pump, args=(inner, outer, self.change), daemon=True).start()
            threading.Thread(target=self.pump, args=(outer, inner, None), daemon=True).start()

    def pump(self, source, sink, change):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if change is not None:
                    self.count += len(data)
                    data = change(self.count, data)
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.listener.close()


def test_changed_on_the_way(c):
    """bytes that were changed on their way are refused by the store, and not there"""
    def change(count, data):  # the last byte of what is not a head
        return data[:-1] + bytes([data[-1] ^ 1]) if count > 60000 else data

    proxy = Proxy(change)
    # The Host that is signed is the proxy's, as the client sees it.
    run = put(url=proxy.url, key="changed", file=file_of(70000))
    proxy.stop()
    ends(c, run, "failed", "S3.XAmzContentSHA256Mismatch", "changed on their way")
    c.that(not is_there("changed"), "nothing is there of it")
    ends(c, put(key="changed", file=file_of(70000)), "delivered", "")


def test_gateway_killed(c):
    """the gateway is killed in the middle of an object and started again: the next attempt delivers it whole"""
    size, passed = 32 * MIB + 12345, threading.Event()

    def change(count, data):
        if count > 12 * MIB:
            passed.set()
        return data

    proxy = Proxy(change)
    run = Put(url=proxy.url, key="survivor", file=file_of(size), attempts=60, backoff_ms=500)
    c.that(passed.wait(20), "the object is on its way")
    store.kill_gateway()
    time.sleep(0.5)
    store.start_gateway()
    run.end()
    proxy.stop()
    ends(c, run, "delivered", "")
    c.that(len(run.attempts) > 1, "more than one attempt was made", run.text)
    c.that(all(a["outcome"] == "failed" and a["text"] for a in run.attempts[:-1]), "each failure has a sentence", run.text[-800:])
    same(c, "survivor", size, "it is as it was put")


def test_credentials_mended(c):
    """credentials that are mended are read again without a restart"""
    path = store.credentials(os.path.join(FOLDER, "mended"), secret="not-the-secret")
    run = Put(key="mended", file=file_of(1000), credentials=path, attempts=60, backoff_ms=200)
    time.sleep(1)
    os.rename(store.credentials(path + ".new"), path)
    run.end()
    ends(c, run, "delivered", "")
    c.that(run.attempts[0]["code"] == "S3.SignatureDoesNotMatch", "they were refused first", run.text)


def test_stopped(c):
    """a gateway that is stopped without a word is given up in time, and delivered to when it goes on"""
    os.kill(store.processes["rgw"].pid, signal.SIGSTOP)
    try:
        run = Put(key="stopped", file=file_of(1000), attempts=3, backoff_ms=100)
        time.sleep(2)
        c.that(run.process.poll() is None, "it waits")
    finally:
        os.kill(store.processes["rgw"].pid, signal.SIGCONT)
    ends(c, run.end(), "delivered", "")
    same(c, "stopped", 1000, "it is as it was put")


def test_directory(c):
    """the same to a directory"""
    folder = os.path.join(FOLDER, "dir")
    os.mkdir(folder)
    args = [os.path.join(BUILD, "tests", "s3_drive"), "dir=" + folder, "key=2026/11/24/x", "file=" + file_of(3 * MIB)]
    out = json.loads(subprocess.run(args, capture_output=True, timeout=30, check=True).stdout)
    c.that(out["outcome"] == "delivered", "delivered", out)
    c.that(open(folder + "/2026/11/24/x", "rb").read() == open(file_of(3 * MIB), "rb").read(), "it is as it was put")


def main():
    global store, client, credentials
    why = missing()
    if why is not None:
        print("radosgw cannot be started: %s\n0 passed, 0 failed, 1 skipped" % why)
        return 77
    checks = Checks()
    with Radosgw(FOLDER) as store:
        credentials = store.credentials(os.path.join(FOLDER, "credentials"))
        client = store.client()
        client.create_bucket(Bucket="archive")
        checks.run([test_keys, test_headers, test_parts, test_kms_headers, test_not_encrypted, test_refusals, test_denied, test_full,
                    test_changed_on_the_way, test_gateway_killed, test_credentials_mended, test_stopped,
                    test_directory])
    return checks.end()


try:
    sys.exit(main())
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
