"""A real S3 store for tests: Ceph's radosgw over one monitor and one OSD in memory, all on loopback, in a directory of its own.

    with Radosgw(folder) as s3: s3.url, s3.tls_url, s3.ca, s3.key_id, s3.secret
    radosgw.py BUCKET: one that anybody may write to; prints URL, file of credentials, URL with TLS and CA, and lives until its
                       input ends; each line of it is a command (class Commands), answered by one line

Needs root and the packages ceph-mon, ceph-osd, radosgw and ceph-common. Its SSE-KMS has two keys of its own, testkey-1 and
testkey-2: what it shows of SSE-KMS is that the requests' headers are right. Every wait is bounded."""
import base64
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

PROGRAMS = ["ceph", "ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "monmaptool", "ceph-authtool"]

CONF = """[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon2},v1:127.0.0.1:{mon1}]
mon initial members = a
keyring = {dir}/keyring
public addr = 127.0.0.1
run dir = {dir}/run
admin socket = {dir}/run/$name.asok
log file = {dir}/log/$name.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 2000
[mon]
mon data = {dir}/mon
mon data avail warn = 1
mon data avail crit = 1
auth allow insecure global id reclaim = true
[osd]
osd data = {dir}/osd
osd objectstore = memstore
memstore device bytes = 3221225472
[client.rgw.a]
rgw data = {dir}/rgw
rgw frontends = beast endpoint=127.0.0.1:{plain} ssl_endpoint=127.0.0.1:{tls} ssl_certificate={dir}/cert.pem ssl_private_key={dir}/cert.key
rgw thread pool size = 16
rgw gc obj min wait = 5
rgw gc processor period = 10
rgw gc processor max time = 10
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = testkey-1={key1} testkey-2={key2}
"""


LIBC = ctypes.CDLL(None)


def die_with_parent():
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def missing():
    """Why it cannot be started here, or None."""
    if os.geteuid() != 0:
        return "it needs root"
    absent = [p for p in PROGRAMS if shutil.which(p) is None]
    return "there is no " + ", ".join(absent) if absent else None


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def certificates(folder):
    """ca.pem, and cert.pem with cert.key for localhost."""
    def openssl(*args):
        subprocess.run(("openssl",) + args, check=True, cwd=folder, timeout=30, capture_output=True)

    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *ec, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test CA",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", *ec, "-keyout", "cert.key", "-out", "cert.req", "-subj", "/CN=localhost")
    with open(os.path.join(folder, "cert.ext"), "w") as f:
        f.write("basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"
                "subjectAltName=DNS:localhost,DNS:*.localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "cert.req", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "cert.ext", "-out", "cert.pem")


class Radosgw:
    def __init__(self, folder):
        self.dir = os.path.join(folder, "ceph")
        self.processes = {}
        self.key_id, self.secret = "AKSEALOCKTEST", base64.b64encode(os.urandom(24)).decode()

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    # --- processes ---

    def run(self, *args, seconds=10):
        return subprocess.run(args, check=True, env=self.env, timeout=seconds, capture_output=True, text=True).stdout

    def spawn(self, name, *args):
        log = open(os.path.join(self.dir, "log", name + ".out"), "ab")
        self.processes[name] = subprocess.Popen(args, env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                                preexec_fn=die_with_parent)
        log.close()

    def wait(self, what, holds, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if holds():
                    return
            except (OSError, subprocess.SubprocessError):
                pass
            time.sleep(0.2)
        raise RuntimeError("radosgw: no %s within %d s; see %s/log" % (what, seconds, self.dir))

    def accepts(self, port):
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True

    # --- life ---

    def start(self):
        for name in ("mon", "osd", "rgw", "run", "log"):
            os.makedirs(os.path.join(self.dir, name))
        self.env = dict(os.environ, CEPH_CONF=self.dir + "/ceph.conf", CEPH_ARGS="-c %s/ceph.conf" % self.dir)
        certificates(self.dir)
        self.ca = self.dir + "/ca.pem"
        mon2, mon1, self.plain, self.tls = free_ports(4)
        self.url, self.tls_url = "http://localhost:%d" % self.plain, "https://localhost:%d" % self.tls
        keys = [base64.b64encode(os.urandom(32)).decode() for _ in range(2)]
        fsid = str(uuid.uuid4())
        with open(self.dir + "/ceph.conf", "w") as f:
            f.write(CONF.format(fsid=fsid, dir=self.dir, mon1=mon1, mon2=mon2, plain=self.plain, tls=self.tls,
                                key1=keys[0], key2=keys[1]))
        self.start_monitor(fsid, mon1, mon2)
        self.start_osd()
        self.start_gateway()
        self.run("radosgw-admin", "user", "create", "--uid=test", "--display-name=test", "--access-key=" + self.key_id,
                 "--secret=" + self.secret, seconds=30)

    def start_monitor(self, fsid, mon1, mon2):
        ring, monmap = self.dir + "/keyring", self.dir + "/monmap"
        self.run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", "[v2:127.0.0.1:%d,v1:127.0.0.1:%d]" % (mon2, mon1),
                 monmap)
        self.run("ceph-authtool", "--create-keyring", ring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        for name in ("client.admin", "client.rgw.a"):
            self.run("ceph-authtool", ring, "--gen-key", "-n", name, "--cap", "mon", "allow *", "--cap", "osd", "allow *")
        self.run("ceph-authtool", ring, "--gen-key", "-n", "osd.0", "--cap", "mon", "allow profile osd", "--cap", "osd", "allow *")
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", ring, seconds=30)
        self.spawn("mon", "ceph-mon", "-f", "-i", "a")
        self.wait("monitor", lambda: self.run("ceph", "-s", seconds=5))

    def start_osd(self):
        osd = str(uuid.uuid4())
        self.run("ceph", "osd", "new", osd, seconds=30)
        self.run("ceph", "auth", "add", "osd.0", "-i", self.dir + "/keyring", seconds=30)
        self.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd, seconds=30)
        self.spawn("osd", "ceph-osd", "-f", "-i", "0")
        self.wait("OSD", lambda: "1 up" in self.run("ceph", "osd", "stat", seconds=5))

    def start_gateway(self):
        self.spawn("rgw", "radosgw", "-f", "-n", "client.rgw.a")
        self.wait("gateway", lambda: self.accepts(self.plain) and self.accepts(self.tls))

    def kill_gateway(self):
        process = self.processes.pop("rgw")
        process.kill()
        process.wait(timeout=10)

    def stop(self):
        for name in ("rgw", "osd", "mon"):
            process = self.processes.pop(name, None)
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)

    # --- for clients ---

    def credentials(self, path, secret=None):
        """A file as deliverd wants it."""
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n" % (self.key_id, secret or self.secret))
        return path

    def client(self):
        """boto3's, over the plain port."""
        import boto3
        from botocore.config import Config
        return boto3.client("s3", endpoint_url=self.url, aws_access_key_id=self.key_id, aws_secret_access_key=self.secret,
                            region_name="us-east-1", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}))


class Commands:
    """What a script may ask for. Each returns what is printed."""

    def __init__(self, s3):
        self.s3, self.client = s3, s3.client()

    def kill(self):
        self.s3.kill_gateway()
        return "ok"

    def start(self):
        self.s3.start_gateway()
        return "ok"

    def make(self, bucket):
        self.client.create_bucket(Bucket=bucket)
        return "ok"

    def drop(self, bucket):
        self.s3.run("radosgw-admin", "bucket", "rm", "--bucket=" + bucket, "--purge-objects", seconds=60)
        return "ok"

    def secret(self, secret):
        self.s3.run("radosgw-admin", "key", "create", "--uid=test", "--key-type=s3", "--access-key=" + self.s3.key_id,
                    "--secret=" + secret, seconds=30)
        return "ok"

    def dump(self, bucket, folder):
        """Every object to its place in the folder, and beside one with metadata what head-object says."""
        keys = [o["Key"] for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
                for o in page.get("Contents", [])]
        for key in keys:
            path = os.path.join(folder, key)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            got = self.client.get_object(Bucket=bucket, Key=key)
            with open(path, "wb") as f:
                f.write(got["Body"].read())
            if got["Metadata"]:
                with open(path + ".meta.json", "w") as f:
                    json.dump({"Metadata": got["Metadata"]}, f)
        return len(keys)

    def uploads(self, bucket):
        return len(self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []))

    def run(self, line):
        name, *args = line.split()
        return getattr(self, name)(*args)


def serve(s3):
    commands = Commands(s3)
    for line in sys.stdin:
        try:
            print(commands.run(line), flush=True)
        except Exception as e:
            print("failed: %s" % str(e).replace("\n", " "), flush=True)


def main():
    why = missing()
    if why is not None:
        print("radosgw cannot be started: " + why, file=sys.stderr)
        return 77
    folder = tempfile.mkdtemp(prefix="radosgw.")

    def ended(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would end the cleaning up
        sys.exit(1)

    signal.signal(signal.SIGTERM, ended)
    try:
        with Radosgw(folder) as s3:
            os.chmod(folder, 0o755)
            s3.client().create_bucket(Bucket=sys.argv[1], ACL="public-read-write")
            print(s3.url, s3.credentials(os.path.join(folder, "credentials")), s3.tls_url, s3.ca, flush=True)
            serve(s3)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
