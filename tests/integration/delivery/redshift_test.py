#!/usr/bin/env python3
"""The Redshift destination against stand-ins (redshift_stand_in.py): objects, manifests, statements, transactions. That Redshift and
S3 themselves take them is not shown here."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import postgres_server
import redshift_stand_in
from checks import Checks

BUILD = sys.argv[1] if len(sys.argv) > 1 else "build/dev"
ROLE = "arn:aws:iam::123456789012:role/copy"


class Drive:
    def __init__(self, site, **settings):
        self.site = site
        settings = {"kind": "redshift", "host": "127.0.0.1", "port": site.redshift.port, "database": "postgres", "user": "plain",
                    "password_file": site.work + "/password", "table": "events", "options": "csv", "sslmode": "disable",
                    "iam_role": ROLE, "bucket": "landing", "url": site.store.url, "credentials": site.work + "/credentials",
                    "prefix": "in/", **settings}
        self.process = subprocess.Popen([BUILD + "/tests/database_drive", *[f"{k}={v}" for k, v in settings.items() if v is not None]],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def deliver(self, number, records, word="deliver"):
        path = f"{self.site.work}/batch-{number}"
        with open(path, "wb") as f:
            for r in records:
                f.write(len(r).to_bytes(4, "little") + r)
        self.process.stdin.write(f"{word} {number} {path}\n".encode())
        self.process.stdin.flush()
        return self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"outcome": "no answer", "code": "", "error": self.process.stderr.read().decode()}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        errors = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        checks.that(self.process.wait(30) == 0, "database_drive ends well", errors[-3000:])


class Site:
    def __init__(self):
        self.work = tempfile.mkdtemp(prefix="sealock-rs-")
        os.chmod(self.work, 0o755)
        os.mkdir(self.work + "/server")
        self.server = postgres_server.Server(self.work + "/server")
        self.server.start()
        self.server.sql("create role plain login password 'secret-pw'; grant create on database postgres to plain; create table "
                        "stl_load_errors (err_code int, colname char(127), line_number bigint, session int, starttime timestamptz); "
                        "grant select on stl_load_errors to plain")
        for name, text in ("password", "secret-pw"), ("credentials", "[default]\naws_access_key_id = AKIAEXAMPLE\n"
                                                      "aws_secret_access_key = example\n"):
            with open(f"{self.work}/{name}", "w") as f:
                f.write(text)
            os.chmod(f"{self.work}/{name}", 0o600)
        self.store = redshift_stand_in.Store()
        self.redshift = redshift_stand_in.Redshift(self.server, self.store)

    def table(self):
        self.server.sql("drop table if exists events; create table events (id int, v text); grant all on events to plain")

    def rows(self):
        return self.server.sql("select id || ':' || v from events order by id").split()

    def close(self):
        self.redshift.close()
        self.store.close()
        self.server.close()
        shutil.rmtree(self.work, ignore_errors=True)


def outcome(answer):
    return answer["outcome"], answer["code"]


def loads(c):
    """an object, a manifest, COPY, and the delivery table's row"""
    site.table()
    with Drive(site) as drive:
        a = drive.deliver(1, [b"1,a\n", b"2,b\n"])
        c.that(outcome(a) == ("delivered", ""), "delivered", a)
        c.that(site.rows() == ["1:a", "2:b"], "the rows are there", site.rows())
        keys = sorted(site.store.objects)
        c.that(len(keys) == 2 and keys[0].startswith("landing/in/1970/") and keys[1] == "landing/manifests/" + keys[0][8:],
               "an object and its manifest", keys)
        c.that(site.store.objects[keys[0]] == b"1,a\n2,b\n", "records joined")
        c.that(json.loads(site.store.objects[keys[1]]) == {"entries": [{"url": "s3://" + keys[0], "mandatory": True}]},
               "the manifest names the object", site.store.objects[keys[1]])
        c.that(site.redshift.copies == [f"COPY \"events\"  FROM 's3://{keys[1]}' IAM_ROLE '{ROLE}' MANIFEST REGION 'us-east-1' CSV"],
               "the statement", site.redshift.copies)
        row = site.server.sql("select id, batch, version, rows from sealock.delivery")
        c.that(row == "00000000-0000-4000-8000-000000000001|1|1|2", "the delivery table", row)
        puts = site.store.puts
        a = drive.deliver(1, [b"1,a\n", b"2,b\n"])
        c.that(outcome(a) == ("delivered", "") and len(site.rows()) == 2 and len(site.redshift.copies) == 1,
               "asked again: recognised, not loaded", a)
        c.that(site.store.puts == puts + 1, "and its object not put again")
    with Drive(site, gzip=1, options="csv gzip", columns="v, id", table="public.events", prefix="it's/") as drive:
        a = drive.deliver(2, [b"c,3\n"])
        c.that(outcome(a) == ("delivered", "") and site.rows()[-1] == "3:c", "compressed, columns, a prefix with a quote", a)
        c.that("FROM 's3://landing/manifests/it''s/" in site.redshift.copies[-1] and site.redshift.copies[-1].endswith(" CSV GZIP") and
               "COPY \"public\".\"events\" (\"v\", \"id\")" in site.redshift.copies[-1], "quoted", site.redshift.copies[-1])


def errors(c):
    """what cannot be loaded is tried again, and said"""
    site.table()
    with Drive(site) as drive:
        a = drive.deliver(10, [b"1,a\n", b"secret,b\n"])
        c.that(outcome(a) == ("failed", "Redshift.1207"), "a bad row: code of stl_load_errors", a)
        c.that("column \"id\", line 2" in a["error"] and "secret" not in a["error"], "column and line, no data", a)
        c.that(site.rows() == [] and site.server.sql("select count(*) from sealock.delivery where batch = 10") == "0",
               "nothing of the batch is there")
        site.server.sql("alter table events alter id type text")
        a = drive.deliver(10, [b"1,a\n", b"secret,b\n"])
        c.that(outcome(a) == ("delivered", "") and len(site.rows()) == 2, "the table being mended", a)
    site.table()
    for what, settings, wanted in (("no table", {"table": "missing"}, ("refused", "Redshift.42P01")),
                                   ("no database", {"database": "nowhere"}, ("refused", "Redshift.3D000")),
                                   ("no server", {"port": postgres_server.free_port()}, ("failed", "Redshift.Unreachable")),
                                   ("a wrong password", {"password_file": site.work + "/credentials"}, ("refused", "Redshift.28P01"))):
        with Drive(site, **settings) as drive:
            a = drive.deliver(11, [b"1,a\n"])
            c.that(outcome(a) == wanted, what, a)
    c.that(site.rows() == [], "nothing came of these")


def stores(c):
    """a store that is down, a bucket that lost the object"""
    site.table()
    with Drive(site) as drive:
        site.store.down = True
        a = drive.deliver(20, [b"1,a\n"])
        c.that(a["outcome"] == "failed" and a["code"].startswith("S3."), "the store is down: its own error", a)
        c.that(site.rows() == [], "no row")
        site.store.down = False
        a = drive.deliver(20, [b"1,a\n"])
        c.that(outcome(a) == ("delivered", ""), "up again", a)
        real = dict(site.store.objects)
        a = drive.deliver(21, [b"2,b\n"], "give_up")
        new = sorted(set(site.store.objects) - set(real))
        c.that(outcome(a) == ("delivered", "") and len(new) == 2 and new[0].startswith("landing/errors/manifests/in/") and
               new[1].startswith("landing/in/"), "given up: the object, and its manifest under errors/", new)
        c.that(site.rows() == ["1:a"], "and no row")
        get = site.store.objects.__class__.__getitem__

        class Forgetful(dict):
            def __getitem__(self, key):
                if key.startswith("landing/in/"):
                    raise KeyError(key)
                return get(self, key)

        site.store.objects = Forgetful(site.store.objects)
        a = drive.deliver(22, [b"3,c\n"])
        c.that(a["outcome"] == "failed" and "does not exist" in a["error"], "an object that is gone", a)
        site.store.objects = dict(site.store.objects)


def commits(c):
    """the answer to COMMIT is lost on its way"""
    site.table()
    with Drive(site) as drive:
        site.redshift.cut_at = b"COMMIT"
        a = drive.deliver(30, [b"1,a\n"])
        c.that(outcome(a) == ("failed", "Redshift.CommitUnknown"), "nobody knows", a)
        site.redshift.cut_at = b"COPY"
        b = drive.deliver(31, [b"2,b\n"])
        c.that(outcome(b) == ("failed", "Redshift.ConnectionLost"), "and one lost in COPY", b)
        site.redshift.cut_at = None
        a, b = drive.deliver(30, [b"1,a\n"]), drive.deliver(31, [b"2,b\n"])
        c.that(outcome(a) == outcome(b) == ("delivered", ""), "asked again: one is recognised, one is loaded", (a, b))
        c.that(site.rows() == ["1:a", "2:b"], "each row once", site.rows())
        site.server.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'plain'")
        a = drive.deliver(32, [b"3,c\n"])
        c.that(outcome(a) == ("delivered", ""), "a session that ended between two batches is no failure", a)


def configuration(c):
    """what deliverd.yaml lacks is said when the destination is opened"""
    for settings, words in (({"iam_role": None}, "iam_role"), ({"dir": "/tmp", "url": None, "credentials": None}, "directory"),
                            ({"seal": 1}, "cannot open objects"), ({"options": "manifest"}, "MANIFEST"),
                            ({"options": "csv gzip"}, "CompressionFormat"), ({"table": "a b"}, "DataTableName")):
        with Drive(site, **settings) as drive:
            a = drive.answer()
            c.that(a["outcome"] == "not opened" and words in a["error"], words, a)


if postgres_server.binaries() is None:
    print("PostgreSQL is not installed\n0 passed, 0 failed, 1 skipped")
    sys.exit(77)
checks = Checks()
site = Site()
try:
    checks.run([loads, errors, stores, commits, configuration])
finally:
    site.close()
sys.exit(checks.end())
