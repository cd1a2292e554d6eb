"""Cells of the matrix of faults_test.sh: one delivery stream each, to one kind of destination, with one fault.

A kind says what each fault is to it, in `faults`: a pattern of the error's code and words of its sentence (None: no error, delivery takes
its time), and a method fault_NAME(on) that brings it about and takes it away. A fault that a kind does not have is in `has_not`, with the
reason. found() is what lies at the destination; beside() what lies in the error output."""
import base64
import collections
import json
import os
import shutil
import subprocess

import deliverd
import stand_ins
from bulk_stub import BulkStub, item
from misbehaving import Answer
from redshift_stand_in import Redshift
from stand_ins import Gate, S3Store

FAULTS = ["down", "slow", "credentials", "reset", "inside", "lost", "full", "poison", "large", "key", "role", "kill"]
STREAMS = {"poison": "poison", "large": "large", "key": "locked"}  # of the others: web
LARGE = 500000  # bytes of a record that destinations of the column "large" do not take
DELIMITER = {"Enabled": True, "Processors": [{"Type": "AppendDelimiterToRecord", "Parameters": [
    {"ParameterName": "Delimiter", "ParameterValue": "\\n"}]}]}
SECRET = "of-the-destination-only"


class Cell:
    kind, faults, has_not = "", {}, {}
    refuses = {}  # codes in the error output of what is refused, by column; none: it is taken
    anywhere = {"key": (r"KMS\.Disabled", ["KEY"]), "role": (r"KMS\.AccessDenied", ["kms:Decrypt", "role/fired"]), "kill": None, "slow": None}

    def __init__(self, world, fault):
        self.world, self.fault = world, fault
        self.name = "%s-%s" % (self.kind, fault)
        self.stream = STREAMS.get(fault, "web")
        self.role = deliverd.arn("iam", "role/fired" if fault == "role" else "role/deliver")
        self.expects = self.faults.get(fault, self.anywhere.get(fault))
        self.put, self.gate, self.without_id = [], None, []
        self.make()

    def spoil(self, on):
        """The fault begins, or ends."""
        getattr(self, "fault_" + self.fault, lambda on: None)(on)

    # What all servers have in common: a gate before them.

    def fault_down(self, on):
        if on:
            self.gate.shut()
        else:
            self.gate.open()

    def fault_slow(self, on):
        self.gate.delay_s = 0.15 if on else 0.0

    def fault_kill(self, on):
        """So that it dies while a batch is under way."""
        self.gate.delay_s = 0.05 if on else 0.0

    def fault_reset(self, on):
        self.gate.cut_after = 30000 if on else None

    def bucket(self, name):
        return {"RoleARN": self.role, "BucketARN": "arn:aws:s3:::" + name, "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}}

    def errors(self):
        return dict(self.bucket("plain-errors"), ErrorOutputPrefix=self.name + "/")

    def retry(self):
        return {"DurationInSeconds": 3 if self.fault in ("poison", "large") else 600}

    def describe(self):
        return dict({"DeliveryStreamType": "KinesisStreamAsSource", "KinesisStreamSourceConfiguration": {
            "KinesisStreamARN": deliverd.arn("kinesis", "stream/" + self.stream), "RoleARN": self.role}}, **self.description())

    def beside(self):
        """Records of the error output: (record, its code)."""
        found, top = [], os.path.join(self.world.site, "store", "plain-errors", self.name)
        for folder, _, names in os.walk(top):
            for name in names:
                if not name.startswith("."):
                    with open(os.path.join(folder, name), "rb") as f:
                        found += [json.loads(line) for line in f]
        self.without_id = [e for e in found if not stand_ins.UUID.match(e["deliveryId"]) or not e["shardId"] or not e["sequenceNumber"]]
        return [(base64.b64decode(e["rawData"], validate=True), e["errorCode"]) for e in found]

    def all_records(self):
        return collections.Counter(self.found()) + collections.Counter(r for r, _ in self.beside())

    def complete(self):
        return set(self.all_records()) == set(self.put)

    def marks(self):
        """What is wrong with records that came twice, or with what the protocol wants."""
        twice = [r[:40] for r, n in self.all_records().items() if n > 1]
        strange = ["without id or place in the error output: %s" % e for e in self.without_id[:1]]
        return strange + (["%d records are there twice: %s" % (len(twice), twice[:2])] if twice else [])

    def repeated(self):
        """How often something came again under its mark."""
        return 0

    def entries(self):
        """Of deliverd.yaml: {"stores": [...], "databases": [...], "endpoints": [...]}."""
        return {}


class File(Cell):
    kind = "file"
    faults = {"down": (r"File\.ReadOnly", ["Read-only file system"]), "credentials": (r"File\.AccessDenied|not running", ["Permission denied"]),
              "lost": (r"File\.Io|not running", ["No such file or directory"]), "full": (r"File\.DiskFull", ["No space left on device"]),
              "poison": None, "large": None}
    has_not = {"slow": "its time is the disk's", "reset": "a write that ends half-way is the full disk's", "inside": "no answer but the system's"}

    def make(self):
        self.root = os.path.join(self.world.site, "dirs", self.fault)
        os.makedirs(self.root)
        if self.fault in ("down", "full"):
            self.world.mount(self.root)
        os.chown(self.root, deliverd.UID, deliverd.UID)

    def entries(self):
        return {"stores": ['{bucket: "%s", dir: %s, seal: none}' % (self.name, self.root)]}

    def description(self):
        return {"ExtendedS3DestinationConfiguration": dict(self.bucket(self.name), ProcessingConfiguration=DELIMITER)}

    def fault_down(self, on):
        deliverd.run("mount", "-o", "remount,%s" % ("ro" if on else "rw"), self.root)

    def fault_credentials(self, on):
        os.chown(self.root, 0 if on else deliverd.UID, -1)
        os.chmod(self.root, 0o700)

    def fault_lost(self, on):
        """A directory that is made again is another one."""
        if on:
            self.put.clear()  # what lay there went with it
            shutil.rmtree(self.root)
        else:
            os.mkdir(self.root, 0o700)
            os.chown(self.root, deliverd.UID, deliverd.UID)

    def fault_full(self, on):
        self.world.fill(os.path.join(self.root, "fill"), on)

    def fault_kill(self, on):
        pass

    def found(self):
        lines = []
        for folder, _, names in os.walk(self.root):
            for name in names:
                if name != "fill" and not name.startswith("."):
                    with open(os.path.join(folder, name), "rb") as f:
                        lines += stand_ins.lines_of(f.read())
        return lines

    def marks(self):
        left = [n for _, _, names in os.walk(self.root) for n in names if n.startswith(".")]
        return super().marks() + (["unfinished files are left: %s" % left[:2]] if left else [])


class S3(Cell):
    kind = "s3"
    faults = {"down": (r"S3\.(Unreachable|ConnectionClosed)", ["s3-down"]), "reset": (r"S3\.ConnectionClosed", ["s3-reset"]),
              "credentials": (r"S3\.SignatureDoesNotMatch", ["AKIAEXAMPLE", "aws_secret_access_key"]),
              "inside": (r"S3\.(BadAnswer|InternalError)", ["s3-inside"]), "lost": (r"S3\.NoSuchBucket", ["make the bucket"]),
              "full": (r"S3\.QuotaExceeded", ["over quota"]), "poison": None, "large": None}

    def make(self):
        self.store = S3Store(SECRET)
        self.gate = Gate(self.store.server.port)

    def entries(self):
        return {"stores": ['{bucket: "%s", url: "http://127.0.0.1:%d", credentials: %s, path_style: true, seal: none}' %
                           (self.name, self.gate.port, self.world.aws_credentials)]}

    def description(self):
        return {"ExtendedS3DestinationConfiguration": dict(self.bucket(self.name), CompressionFormat="GZIP" if self.fault == "kill" else
                                                           "UNCOMPRESSED", ProcessingConfiguration=DELIMITER)}

    def fault_credentials(self, on):
        self.store.secret = "another" if on else SECRET

    def mood(self, on, *error):
        self.store.mood = (lambda request: S3Store.error(*error)) if on else None

    def fault_inside(self, on):
        self.mood(on, 200, "InternalError", "We encountered an internal error. Please try again.")

    def fault_lost(self, on):
        self.mood(on, 404, "NoSuchBucket", "The specified bucket does not exist")

    def fault_full(self, on):
        self.mood(on, 403, "QuotaExceeded", "quota")

    def found(self):
        return self.store.marked.records()

    def marks(self):
        return super().marks() + self.store.marked.faults + self.store.wrong

    def repeated(self):
        return self.store.marked.repeated


class Database(Cell):
    where, prefix = "", ""

    def make(self):
        self.role_name, self.table = self.prefix + self.fault, "t_" + self.fault
        self.sql("""create role %s login password '%s' in role plain;
            create table %s (line varchar(%d) check (line not like '%%poison%%')) %s;
            grant select, insert on %s to %s""" % (self.role_name, SECRET, self.table, LARGE,
                                                  "tablespace roomy" if self.fault == "full" else "", self.table, self.role_name))
        self.gate = Gate(self.port())

    def port(self):
        return self.world.postgres.port

    def sql(self, text):
        return self.world.postgres.sql(text, self.where)

    def end_sessions(self):
        self.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = '%s'" % self.role_name)

    def fault_credentials(self, on):
        self.sql("alter role %s password '%s'" % (self.role_name, "another" if on else SECRET))
        self.end_sessions()

    def fault_inside(self, on):
        """COPY begins, rows are taken, and then the server thinks otherwise."""
        if on:
            self.sql("create trigger inside after insert on %s execute function conflict()" % self.table)
        else:
            self.sql("drop trigger inside on " + self.table)

    def fault_lost(self, on):
        self.sql("alter table %s rename to %s" % ((self.table, "away") if on else ("away", self.table)))

    def fault_full(self, on):
        self.world.fill_tablespace(on)

    def found(self):
        # One line of text for each row: records of these tests have neither backslashes nor tabs.
        return [line.encode() for line in self.sql("select line from " + self.table).split("\n") if line]


class Postgres(Database):
    kind, where, prefix = "postgres", "postgres", "p_"
    lost = r"Postgres\.(ConnectionLost|Unreachable|CommitUnknown)"
    faults = {"down": (lost, []), "reset": (lost, []), "credentials": (r"Postgres\.28P01", ["password authentication failed"]),
              "inside": (r"Postgres\.40001", []), "lost": (r"Postgres\.42P01", ["t_lost"]), "full": (r"Postgres\.53100", []),
              "poison": None, "large": None}
    refuses = {"poison": {"Postgres.23514"}, "large": {"Postgres.22001"}}

    def entries(self):
        return {"databases": ['{host: localhost, ca: %s/pg/ca.pem, connect_ms: 4000, lock_ms: 4000}' % self.world.site]}

    def description(self):
        return {"RedshiftDestinationConfiguration": {
            "RoleARN": self.role, "ClusterJDBCURL": "jdbc:postgresql://localhost:%d/postgres" % self.gate.port, "Username": self.role_name,
            "Password": SECRET, "CopyCommand": {"DataTableName": self.table, "CopyOptions": "csv quote E'\\x01' delimiter E'\\x02'"},
            "RetryOptions": {"DurationInSeconds": 600}, "S3Configuration": self.errors()}}


class ToRedshift(Database):
    kind, where, prefix = "redshift", "warehouse", "r_"
    lost = r"Redshift\.(ConnectionLost|Unreachable|CommitUnknown)"
    faults = {"down": (lost, []), "reset": (lost, []), "credentials": (r"Redshift\.28P01", ["password authentication failed"]),
              "inside": (r"Redshift\.40001", []), "lost": (r"Redshift\.42P01", ["t_lost"]), "full": (r"Redshift\.53100", []),
              "poison": (r"Redshift\.1207", []), "large": (r"Redshift\.1207", [])}
    refuses = {"poison": {"manifest"}, "large": {"manifest"}}

    def port(self):
        self.proxy = Redshift(self.world.postgres, self.world.landing, self.where)
        return self.proxy.port

    def entries(self):
        return {"stores": ['{bucket: landing, url: "http://127.0.0.1:%d", credentials: %s, path_style: true, seal: none}' %
                           (self.world.landing.server.port, self.world.aws_credentials)],
                "databases": ['{host: 127.0.0.1, sslmode: disable, connect_ms: 4000, lock_ms: 4000, iam_role: "arn:aws:iam::123456789012:role/copy"}']}

    def description(self):
        return {"RedshiftDestinationConfiguration": {
            "RoleARN": self.role, "ClusterJDBCURL": "jdbc:redshift://127.0.0.1:%d/warehouse" % self.gate.port, "Username": self.role_name,
            "Password": SECRET, "CopyCommand": {"DataTableName": self.table}, "RetryOptions": self.retry(),
            "ProcessingConfiguration": DELIMITER, "S3Configuration": dict(
                self.bucket("landing"), Prefix=self.name + "/", CompressionFormat="GZIP" if self.fault == "kill" else "UNCOMPRESSED")}}

    def fault_reset(self, on):
        """The rows are loaded, and nobody says so."""
        self.proxy.cut_at = b"COPY" if on else None

    def beside(self):
        """What is to be loaded by hand: objects that manifests under errors/ name."""
        objects, found = self.world.landing.objects, []
        for key in [k for k in list(objects) if k.startswith("landing/errors/manifests/%s/" % self.name)]:
            for entry in json.loads(objects[key])["entries"]:
                found += [(line, "manifest") for line in stand_ins.lines_of(objects[entry["url"].removeprefix("s3://")])]
        return found


class Search(Cell):
    kind = "search"
    refuses = {"poison": {"Search.NoDocument", "mapper_parsing_exception"}, "large": {"Search.DocumentTooLarge"}}
    faults = {"down": (r"Search\.Unavailable", []), "reset": (r"Search\.ConnectionReset", []),
              "credentials": (r"Search\.AccessDenied", []), "inside": (r"Search\.Throttled", ["es_rejected_execution_exception"]),
              "lost": (r"Search\.IndexRefused", ["index_not_found_exception"]), "full": (r"Search\.Throttled", ["cluster_block_exception"]),
              "poison": None, "large": None}

    def make(self):
        self.lawful = "Basic " + base64.b64encode(("sealock:" + SECRET).encode()).decode()
        self.turn, self.lasting, self.came = 0, None, 0
        self.stub = BulkStub(each=self.each, whole=self.whole, certificate=self.world.certificate)
        self.gate = Gate(self.stub.server.port)

    def whole(self, request):
        if request.headers.get("authorization") != self.lawful:
            return Answer(401, b"{}", {"Content-Type": "application/json"})
        return Answer(413) if self.fault == "large" and len(request.body) > LARGE else None

    def each(self, name, document):
        if b'"n":"poison' in document:
            return item(400, "mapper_parsing_exception", "failed to parse field [n] of type [long]")
        return self.lasting() if self.lasting else None

    def entries(self):
        return {"endpoints": ['{url: "https://127.0.0.1:%d", ca: %s, auth: basic, credentials: %s}' %
                              (self.gate.port, self.world.certificate[0], self.world.search_credentials)]}

    def description(self):
        return {"AmazonopensearchserviceDestinationConfiguration": {
            "RoleARN": self.role, "ClusterEndpoint": "https://127.0.0.1:%d" % self.gate.port, "IndexName": "logs",
            "IndexRotationPeriod": "NoRotation", "RetryOptions": self.retry(), "S3BackupMode": "FailedDocumentsOnly",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}, "S3Configuration": self.errors()}}

    def fault_credentials(self, on):
        self.lawful = self.lawful[::-1]

    def fault_inside(self, on):
        def third():
            self.turn += 1
            return item(429, "es_rejected_execution_exception", "rejected execution of coordinating operation") if self.turn % 3 else None
        self.lasting = third if on else None

    def fault_lost(self, on):
        self.lasting = (lambda: item(404, "index_not_found_exception", "no such index [logs]")) if on else None

    def fault_full(self, on):
        self.lasting = (lambda: item(429, "cluster_block_exception", "index [logs] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded "
                                     "flood-stage watermark, index has read-only-allow-delete block]")) if on else None

    def found(self):
        return list(self.stub.documents.values())

    def marks(self):
        strange = [i for _, i in self.stub.documents if not stand_ins.UUID.match(i[:36])]
        return super().marks() + self.stub.wrong + (["ids without a batch's: %s" % strange[:2]] if strange else [])

    def repeated(self):
        return sum(n - 1 for n in self.stub.written.values())


class Http(Cell):
    kind = "http"
    refuses = {"poison": {"HttpEndpoint.BadRequest"}, "large": {"HttpEndpoint.TooLarge"}}
    faults = {"down": (r"HttpEndpoint\.Unavailable", []), "reset": (r"HttpEndpoint\.ConnectionReset", []),
              "credentials": (r"HttpEndpoint\.AccessDenied", []), "inside": (r"HttpEndpoint\.InvalidResponseFromDestination", []),
              "lost": (r"HttpEndpoint\.NotFound", []), "full": (r"HttpEndpoint\.Throttled", []),
              "poison": (r"HttpEndpoint\.BadRequest", ["cannot be parsed"]), "large": (r"HttpEndpoint\.TooLarge", [])}

    def make(self):
        self.endpoint = stand_ins.Endpoint(self.world.certificate, SECRET)
        self.endpoint.mood = {"poison": self.poisoned, "large": self.too_large}.get(self.fault)
        self.gate = Gate(self.endpoint.server.port)

    def entries(self):
        return {"endpoints": ['{url: "https://127.0.0.1:%d", ca: %s}' % (self.gate.port, self.world.certificate[0])]}

    def description(self):
        return {"HttpEndpointDestinationConfiguration": {
            "EndpointConfiguration": {"Url": "https://127.0.0.1:%d/in" % self.gate.port, "AccessKey": SECRET}, "RoleARN": self.role,
            "RequestConfiguration": {"ContentEncoding": "GZIP" if self.fault == "kill" else "NONE"},
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}, "RetryOptions": self.retry(), "S3BackupMode": "FailedDataOnly",
            "S3Configuration": self.errors()}}

    @staticmethod
    def poisoned(request, body, records):
        return stand_ins.Endpoint.said(400, body, errorMessage="a record cannot be parsed") if any(b"poison" in r for r in records) else None

    @staticmethod
    def too_large(request, body, records):
        return stand_ins.Endpoint.said(413, body) if any(len(r) > LARGE for r in records) else None

    def fault_credentials(self, on):
        self.endpoint.key = "another" if on else SECRET

    def fault_inside(self, on):
        other = {"requestId": "11111111-89ab-4def-8123-456789abcdef"}
        self.endpoint.mood = (lambda request, body, records: stand_ins.Endpoint.said(200, other)) if on else None

    def fault_lost(self, on):
        self.endpoint.mood = (lambda *_: Answer(404)) if on else None

    def fault_full(self, on):
        self.endpoint.mood = (lambda *_: Answer(429, b"", {"Retry-After": "1"})) if on else None

    def found(self):
        return self.endpoint.marked.records()

    def marks(self):
        # What it refused at first and took later is the same batch.
        taken, refused = self.endpoint.marked, self.endpoint.refused
        others = [m for m, records in refused.by_mark.items() if taken.by_mark.get(m, records) != records]
        return super().marks() + taken.faults + refused.faults + self.endpoint.wrong + ["%s is another batch later" % m for m in others]

    def repeated(self):
        return self.endpoint.marked.repeated


KINDS = [File, S3, Postgres, ToRedshift, Search, Http]


class World:
    """What cells share: folders, certificates, PostgreSQL, the bucket that Redshift loads from; and mounts, which have to go."""

    def __init__(self, site, postgres, certificate):
        self.site, self.postgres, self.certificate = site, postgres, certificate
        self.mounts, self.filled = [], False
        self.landing = S3Store(SECRET)
        self.aws_credentials = self.secret_file("aws", "[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = %s\n" % SECRET)
        self.search_credentials = self.secret_file("search", "sealock:%s\n" % SECRET)
        self.room = os.path.join(site, "room")
        os.mkdir(self.room)
        self.mount(self.room)
        os.chown(self.room, postgres.uid, postgres.gid)
        postgres.sql("create tablespace roomy location '%s'" % self.room)
        postgres.sql("create database warehouse")
        postgres.sql("create role plain")
        tables = ("id uuid primary key, stream text not null, batch bigint not null, version bigint not null, rows bigint not null, refused text, "
                  "delivered_at timestamptz not null default now()",
                  "id varchar(36) not null, stream varchar(512) not null, batch bigint not null, version bigint not null, rows bigint not null, "
                  "delivered_at timestamp not null")
        for database, columns in zip(("postgres", "warehouse"), tables):
            postgres.sql("""create schema sealock; create table sealock.delivery (%s); grant usage on schema sealock to plain;
                grant all on sealock.delivery to plain; create function conflict() returns trigger language plpgsql as
                $$ begin raise exception using errcode = '40001', message = 'could not serialize access'; end $$;
                create table stl_load_errors (err_code int, colname char(127), line_number bigint, session int, starttime timestamptz);
                grant select on stl_load_errors to plain""" % columns, database)

    def secret_file(self, name, text):
        path = os.path.join(self.site, name + ".credentials")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write(text)
        os.chown(path, deliverd.UID, deliverd.UID)
        return path

    def mount(self, path):
        deliverd.run("mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "none", path)
        self.mounts.append(path)

    @staticmethod
    def fill(path, on):
        if not on:
            os.unlink(path)
            return
        with open(path, "wb", buffering=0) as f:
            for size in (1 << 20, 4096):
                try:
                    while f.write(b"x" * size) == size:
                        pass
                except OSError:
                    pass

    def fill_tablespace(self, on):
        if on != self.filled:
            self.filled = on
            self.fill(os.path.join(self.room, "fill"), on)

    def close(self):
        for path in reversed(self.mounts):
            subprocess.run(["umount", "-l", path], stderr=subprocess.DEVNULL)
