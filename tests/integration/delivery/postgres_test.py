#!/usr/bin/env python3
"""The PostgreSQL destination against a PostgreSQL server with TLS: bytes, refusals, records that are refused, and a server that is
killed, full, slow or locked; each batch once."""
import hashlib
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import postgres_server

PASSWORD = "s3cret-Pa55-%20'\"\\x"
BUILD = sys.argv[1] if len(sys.argv) > 1 else "build/dev"
counts = {"passed": 0, "failed": 0, "skipped": 0}
WHOLE = "csv quote E'\\x01' delimiter E'\\x02'"  # one column, whatever is in the record


def check(what, ok, detail=""):
    counts["passed" if ok else "failed"] += 1
    print(("ok      " if ok else "FAILED  ") + what + ("" if ok else f": {detail}"), flush=True)


def skip(what, why):
    counts["skipped"] += 1
    print(f"skipped {what}: {why}", flush=True)


class Drive:
    """database_drive with its settings; deliver() gives what done said."""

    def __init__(self, work, server, **settings):
        self.work = work
        settings = {"host": "localhost", "port": server.port, "database": "postgres", "user": "sealock", "table": "events",
                    "password_file": work + "/password", "ca": server.dir + "/ca.pem", **settings}
        self.args = [f"{k}={v}" for k, v in settings.items() if v is not None]
        self.process = subprocess.Popen([BUILD + "/tests/database_drive", *self.args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env={"PATH": os.environ["PATH"]})

    def send(self, number, records, cancel_ms=0):
        path = f"{self.work}/batch-{number}"
        with open(path, "wb") as f:
            for r in records:
                f.write(len(r).to_bytes(4, "little") + r)
        self.process.stdin.write(f"deliver {number} {path} {cancel_ms}\n".encode())
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"outcome": "no answer", "code": "", "error": self.process.stderr.read().decode()}

    def deliver(self, number, records, cancel_ms=0):
        self.send(number, records, cancel_ms)
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        errors = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = None
        if code not in (0, -signal.SIGKILL):
            check("database_drive ends well", False, (code, errors[-3000:]))


class Proxy:
    """Between client and server: cuts, or slows down, what goes by."""

    def __init__(self, port):
        self.to = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.cut_at = None  # bytes from the server that end the connection, and are not passed on
        self.bytes_per_second = None
        self.pairs = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            self.pairs.append((near, far))
            threading.Thread(target=self.pump, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(far, near, True), daemon=True).start()

    def pump(self, source, sink, from_server):
        try:
            while data := source.recv(16384):
                if from_server and self.cut_at is not None and self.cut_at in data:
                    break
                if not from_server and self.bytes_per_second:
                    time.sleep(len(data) / self.bytes_per_second)
                sink.sendall(data)
        except OSError:
            pass
        for s in source, sink:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
        for pair in self.pairs:
            for s in pair:
                s.close()


def outcome(answer):
    return answer["outcome"], answer["code"]


def table(server, columns, name="events"):
    server.sql(f"drop table if exists {name} cascade; create table {name} ({columns}); grant all on {name} to sealock, plain")


def count(server, name="events"):
    return int(server.sql(f"select count(*) from {name}"))


def checksum(server, column="line", name="events"):
    return server.sql(f"select md5(string_agg(md5({column}), '' order by {column} collate \"C\")) from {name}")


def checksum_of(lines):
    return hashlib.md5("".join(hashlib.md5(x).hexdigest() for x in sorted(lines)).encode()).hexdigest()


# --- bytes ---

def bytes_come_as_they_were(server, work):
    rng = random.Random(7)
    alphabet = [chr(c) for c in range(0x20, 0x7f)] + ["\t", "\\", "\\", "\"", "'", "é", "漢", "😀", "\\n", "\\N"]
    records = ["".join(rng.choice(alphabet) for _ in range(rng.randrange(1, 300))).replace("\\.", "\\:").encode() for _ in range(5000)]
    records += [b"{\"a\": \"b\\nc\\\"d\"}", b"\\N", b" ", b"a" * 1000000]
    table(server, "n int generated always as identity, line text")
    with Drive(work, server, options=WHOLE, columns="line") as drive:
        a = drive.deliver(1, [r + (b"\n" if i % 3 == 0 else b"\r\n" if i % 3 == 1 else b"") for i, r in enumerate(records)])
        check("records of all kinds are delivered", outcome(a) == ("delivered", ""), a)
    check("each byte for byte", checksum(server) == checksum_of(records), count(server))
    check("in their order", server.sql("select md5(line) from events where n = 4712") ==
          hashlib.md5(records[4711]).hexdigest())
    row = server.sql("select id, stream, batch, version, rows, refused is null, delivered_at > now() - interval '1 min' from sealock.delivery")
    check("the delivery table has its row", row == "00000000-0000-4000-8000-000000000001|arn:aws:firehose:us-east-1:000000000000:"
          "deliverystream/drive|1|1|5004|t|t", row)
    server.sql("truncate sealock.delivery")

    table(server, "id int, v text")
    texts = [b"1\ta\\tb", b"2\t\\\\", b"3\t\\N", b"4\tx\\\ny", b"5\t\xc3\xa9\n6\tsix"]
    with Drive(work, server, options="null '\\N'") as drive:
        a = drive.deliver(2, texts)
        check("the format text: escapes, NULL, a record of two rows", outcome(a) == ("delivered", ""), a)
    rows = server.sql("select id, coalesce(encode(convert_to(v, 'UTF8'), 'hex'), 'null') from events order by id").split("\n")
    check("as they were meant", rows == ["1|610962", "2|5c", "3|null", "4|780a79", "5|c3a9", "6|736978"], rows)

    server.sql("drop table if exists \"Odd \"\"name; --\"; create table \"Odd \"\"name; --\" (\"A b\" int, c text);"
               "grant all on \"Odd \"\"name; --\" to sealock")
    with Drive(work, server, table="\"Odd \"\"name; --\"", columns="c, \"A b\"", options="delimiter '|' csv force_null (c)") as drive:
        a = drive.deliver(3, [b"x|1", b"\"\"|2"])
        check("odd names, columns and options", outcome(a) == ("delivered", ""), a)
    check("are those that were meant", server.sql("select \"A b\", c is null from \"Odd \"\"name; --\" order by 1") == "1|f\n2|t")
    with Drive(work, server) as drive:
        a = drive.deliver(4, [])
        check("an empty batch is a row of the delivery table", outcome(a) == ("delivered", "") and
              server.sql("select rows from sealock.delivery where batch = 4") == "0", a)


# --- what the operator has to mend ---

def refusals(server, work):
    table(server, "line text")
    with open(work + "/wrong", "w") as f:
        f.write("not the password")
    cases = [("a wrong password", {"password_file": work + "/wrong"}, ("refused", "Postgres.28P01")),
             ("a user that is not there", {"user": "nobody"}, ("refused", "Postgres.28P01")),
             ("a database that is not there", {"database": "nowhere"}, ("refused", "Postgres.3D000")),
             ("a table that is not there", {"table": "missing"}, ("refused", "Postgres.42P01")),
             ("a column that is not there", {"columns": "nothing"}, ("refused", "Postgres.42703")),
             ("no right on the table", {"table": "secret"}, ("refused", "Postgres.42501")),
             ("a certificate of another CA", {"ca": server.dir + "/other.pem"}, ("refused", "Postgres.Tls")),
             ("no CA at all", {"ca": "/nonexistent"}, ("refused", "Postgres.Tls")),
             ("an address that is not the certificate's", {"host": "127.0.0.2"}, ("refused", "Postgres.Tls")),
             ("a port without a server", {"port": postgres_server.free_port()}, ("failed", "Postgres.Unreachable")),
             ("a host without an address", {"host": "nowhere.invalid"}, ("failed", "Postgres.Unreachable")),
             ("no TLS where the server wants it", {"sslmode": "disable", "ca": None}, ("refused", "Postgres.28000"))]
    server.sql("drop table if exists secret; create table secret (line text)")
    for what, settings, wanted in cases:
        with Drive(work, server, options=WHOLE, **settings) as drive:
            a = drive.deliver(10, [b"row"])
            check(what, outcome(a) == wanted and len(a["error"]) > 40, a)
    check("nothing came of any of them", count(server) == 0)
    with Drive(work, server, options=WHOLE, host="127.0.0.2", sslmode="verify-ca") as drive:
        a = drive.deliver(14, [b"row"])
        check("which verify-ca does not look at", outcome(a) == ("delivered", ""), a)
    other = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=lambda: other.accept()[0].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), daemon=True).start()
    with Drive(work, server, options=WHOLE, port=other.getsockname()[1]) as drive:
        a = drive.deliver(15, [b"row"])
        check("a server of another kind", a["outcome"] in ("failed", "refused") and len(a["error"]) > 40, a)
    other.close()
    with Drive(work, server, options="header", ca=None) as drive:
        a = drive.answer()
        check("HEADER is refused when the destination is opened", "first record" in a["error"], a)
    with Drive(work, server, user="plain", sslmode="disable", ca=None, options=WHOLE) as drive:
        a = drive.deliver(11, [b"row"])
        check("sslmode disable: a session without TLS, where both sides want it so", outcome(a) == ("delivered", ""), a)
    with Drive(work, server, host="127.0.0.1", ca=None, options=WHOLE) as drive:
        a = drive.deliver(12, [b"row"])
        check("loopback without an entry: TLS all the same if the server offers it", outcome(a) == ("delivered", ""), a)
    server.stop()
    server.start(tls=False)
    with Drive(work, server, options=WHOLE) as drive:
        a = drive.deliver(13, [b"row"])
        check("a server without TLS", outcome(a) == ("refused", "Postgres.Tls"), a)
    server.stop()
    server.start()


def the_delivery_table(server, work):
    table(server, "line text")
    server.sql("drop schema if exists sealock cascade; revoke create on database postgres from sealock")
    with Drive(work, server, options=WHOLE) as drive:
        a = drive.deliver(20, [b"a"])
        check("a role that may not make the delivery table", outcome(a) == ("refused", "Postgres.42501") and "CREATE SCHEMA" in a["error"], a)
        check("delivers nothing", count(server) == 0)
        server.sql("create schema sealock authorization sealock")
        a = drive.deliver(20, [b"a"])
        check("the same session's next try, the schema being there", outcome(a) == ("delivered", ""), a)
    server.sql("alter table sealock.delivery owner to admin; alter schema sealock owner to admin")
    with Drive(work, server, options=WHOLE) as drive:
        a = drive.deliver(21, [b"b"])
        check("a delivery table that it may not read", outcome(a) == ("refused", "Postgres.42501"), a)
        server.sql("grant usage on schema sealock to sealock; grant select, insert on sealock.delivery to sealock")
        a = drive.deliver(21, [b"b"])
        check("SELECT and INSERT are enough", outcome(a) == ("delivered", ""), a)
        server.sql("update sealock.delivery set refused = 'x' where batch = 21")
        a = drive.deliver(21, [b"b"])
        check("a row of it that somebody wrote over", outcome(a) == ("refused", "Postgres.BadDeliveryTable"), a)
        a = drive.deliver(20, [b"a"])
        check("a batch that is there already is not delivered again", outcome(a) == ("delivered", "") and count(server) == 2, a)
    server.sql("grant create on database postgres to sealock")


# --- records that are refused ---

def poisoned(server, work):
    table(server, "id int primary key, n smallint check (n < 1000), v varchar(10) not null, d date")
    server.sql("create function odd() returns trigger language plpgsql as $$ begin if new.v = 'raise' then raise exception 'no %', "
               "new.v; end if; return new; end $$; create trigger odd before insert on events for each row execute function odd()")
    good = [f"{i}\t{i % 1000}\tv{i}\t2026-01-01".encode() for i in range(1000)]
    bad = {3: (b"x\t1\tv\t2026-01-01", "22P02"), 100: (b"5\t1\tv\t2026-01-01", "23505"), 101: (b"20001\t1000\tv\t2026-01-01", "23514"),
           102: (b"20002\t1\t\\N\t2026-01-01", "23502"), 500: (b"20003\t1\tv", "22P04"), 501: (b"20004\t1\tv\t2026-01-01\t5", "22P04"),
           502: (b"20005\t1\t\xff\xfe\t2026-01-01", "22021"), 503: (b"20006\t1\tv\x00\t2026-01-01", "22021"),
           504: (b"20007\t1\t01234567890\t2026-01-01", "22001"), 505: (b"20008\t1\tv\t2026-13-01", "22008"),
           506: (b"20009\t99999\tv\t2026-01-01", "22003"), 507: (b"\\.", "22P04"), 508: (b"20010\t1\tv\\", "22P04"),
           509: (b"20011\t1\tsecret-data\rx\t2026-01-01", "22P04"), 700: (b"20012\t1\traise\t2026-01-01", "P0001"),
           701: (b"", "22P02"), 702: (b"20013\t1\tv\t2026-01-01\nx\t1\tv\t2026-01-01", "22P02"), 999: (b"\\N\t1\tv\t2026-01-01", "23502")}
    records = [bad[i][0] if i in bad else r for i, r in enumerate(good)]
    with Drive(work, server) as drive:
        a = drive.deliver(30, records)
        check("18 poisoned records of 1,000: the rest is delivered", a["outcome"] == "rest", a)
        wanted = [[i, "Postgres." + bad[i][1]] for i in sorted(bad)]
        check("they are named by index and SQLSTATE", [f[:2] for f in a["failed"]] == wanted, [f[:2] for f in a["failed"]])
        check("no data of theirs is in any message", not any("secret" in f[2] or "raise " in f[2] or "x" == f[2] for f in a["failed"]) and
              "secret" not in a["error"], a)
        check("columns and constraints are", any("column \"id\"" in f[2] for f in a["failed"]) and
              any("events_n_check" in f[2] for f in a["failed"]), a["failed"])
        check("all good rows, once", count(server) == 1000 - len(bad), count(server))
        again = drive.deliver(30, records)
        check("asked again: the same records are refused", [f[:2] for f in again["failed"]] == wanted, again)
        check("and nothing is there twice", count(server) == 1000 - len(bad))
    row = server.sql("select rows, refused from sealock.delivery where batch = 30")
    check("the delivery table has both", row.startswith("982|3:22P02,100:23505,"), row)
    server.sql("truncate events")
    rng = random.Random(5)
    records = [f"{i}\t1\tv\t2026-01-01".encode() if rng.random() < 0.5 else b"?" for i in range(4000)]
    start = time.monotonic()
    with Drive(work, server) as drive:
        a = drive.deliver(31, records)
    check("half of 4,000 records poisoned", a["outcome"] == "rest" and [f[0] for f in a["failed"]] ==
          [i for i, r in enumerate(records) if r == b"?"] and count(server) == 4000 - len(a["failed"]), (a["outcome"], len(a["failed"])))
    print(f"        ({len(a['failed'])} of them in {time.monotonic() - start:.1f} s)")
    with Drive(work, server) as drive:
        a = drive.deliver(32, [b"?"] * 50)
        check("all of them poisoned", a["outcome"] == "rest" and len(a["failed"]) == 50, a["outcome"])

    table(server, "id int primary key")
    table(server, "id int references events (id) deferrable initially deferred", "children")
    server.sql("insert into events values (1), (2)")
    with Drive(work, server, table="children") as drive:
        a = drive.deliver(33, [b"1", b"7", b"2"])
        check("a deferred constraint is checked where the row can be told", [f[:2] for f in a["failed"]] == [[1, "Postgres.23503"]], a)
        check("the others are there", server.sql("select string_agg(id::text, ',') from children") == "1,2")

    table(server, "a text, b text")
    with Drive(work, server, options="csv") as drive:
        a = drive.deliver(34, [b"1,a", b"2,\"open", b"3,\"x\",", b"\\.", b"4,\"two\nlines\"", b"5,e"])
        check("csv: an open quote swallows nothing, an end mark ends nothing", [f[:2] for f in a["failed"]] ==
              [[1, "Postgres.22P04"], [2, "Postgres.22P04"], [3, "Postgres.22P04"]], a)
        check("what was behind them is there", server.sql("select string_agg(a, ',' order by a) from events") == "1,4,5")


# --- faults ---

def killed_in_copy(server, work):
    table(server, "line text")
    server.sql("create function slow() returns trigger language plpgsql as $$ begin if new.line like '%00' then perform pg_sleep(0.02); "
               "end if; return new; end $$; create trigger slow before insert on events for each row execute function slow()")
    records = [f"{i:06}".encode() for i in range(10000)]
    with Drive(work, server, options=WHOLE) as drive:
        for number, how in (40, "kill"), (41, "stop"), (42, "terminate"):
            drive.send(number, records)
            deadline = time.monotonic() + 20
            while server.sql("select count(*) from pg_stat_activity where query like '%COPY%' and usename = 'sealock' and state = "
                             "'active'") != "1" and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(0.2)
            if how == "kill":
                server.kill()
            elif how == "stop":
                server.stop()
            else:
                server.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'sealock'")
            a = drive.answer()
            check(f"the server goes in the middle of COPY ({how}): try again", a["outcome"] == "failed", a)
            if how != "terminate":
                b = drive.deliver(number, records)
                check("while it is away: try again", b["outcome"] == "failed", b)
                server.start()
            check("nothing of the batch is there", count(server) == 0, count(server))
            a = drive.deliver(number, records)
            check("the same batch, the server being back", outcome(a) == ("delivered", ""), a)
            check("each row once", count(server) == 10000 and checksum(server) == checksum_of(records), count(server))
            server.sql("truncate events")


def killed_at_commit(server, work):
    """A commit that waits for a standby which never comes is on the disk, and its answer never sent."""
    table(server, "line text")
    records = [f"{i:06}".encode() for i in range(5000)]
    with Drive(work, server, options=WHOLE) as drive:
        drive.deliver(50, [])  # makes the delivery table
    server.sql("alter system set synchronous_standby_names = 'nobody'")
    server.sql("select pg_reload_conf()")

    def wait_for_commit():
        deadline = time.monotonic() + 20
        while server.sql("select count(*) from pg_stat_activity where wait_event = 'SyncRep' and usename = 'sealock'") != "1":
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    with Drive(work, server, options=WHOLE, lock_ms=500) as drive:
        drive.send(51, records)
        check("a commit is on the disk and not answered", wait_for_commit())
        server.kill()
        a = drive.answer()
        check("the server is killed at COMMIT: nobody knows", outcome(a) == ("failed", "Postgres.CommitUnknown"), a)
        server.start("synchronous_standby_names=")
        check("it was committed", count(server) == 5000, count(server))
        a = drive.deliver(51, records)
        check("asked again under the same id: it is delivered", outcome(a) == ("delivered", ""), a)
        check("once", count(server) == 5000 and checksum(server) == checksum_of(records), count(server))
        check("by one row of the delivery table", server.sql("select count(*) from sealock.delivery where batch = 51") == "1")
    server.stop()
    server.start()

    with Drive(work, server, options=WHOLE, lock_ms=500) as drive:
        drive.send(52, records)
        check("another commit waits", wait_for_commit())
        drive.process.kill()  # as deliverd might be
    with Drive(work, server, options=WHOLE, lock_ms=500) as drive:
        a = drive.deliver(52, records)
        check("the client killed at COMMIT: its transaction is waited for", outcome(a) == ("failed", "Postgres.55P03"), a)
        server.sql("alter system reset synchronous_standby_names")
        server.sql("select pg_reload_conf()")
        a = drive.deliver(52, records)
        for _ in range(20):
            if a["outcome"] == "delivered":
                break
            a = drive.deliver(52, records)
        check("and recognised when it is done", outcome(a) == ("delivered", ""), a)
    check("each row once", count(server) == 10000, count(server))

    proxy = Proxy(server.port)
    with Drive(work, server, port=proxy.port, user="plain", sslmode="disable", ca=None, options=WHOLE) as drive:
        proxy.cut_at = b"COMMIT\0"
        a = drive.deliver(53, records)
        check("the answer to COMMIT is lost on its way", outcome(a) == ("failed", "Postgres.CommitUnknown"), a)
        proxy.cut_at = b"BEGIN\0"
        a = drive.deliver(53, records)
        check("the next one, too", a["outcome"] == "failed", a)
        proxy.cut_at = None
        a = drive.deliver(53, records)
        check("then it is recognised", outcome(a) == ("delivered", "") and count(server) == 15000, (a, count(server)))
    proxy.close()


def cancelled(server, work):
    table(server, "line text")
    rng = random.Random(3)
    cancels = 0
    lines = []
    with Drive(work, server, options=WHOLE) as drive:
        for i in range(25):
            records = [f"{i:03}-{n:06}".encode() for n in range(20000)]
            lines += records
            a = drive.deliver(60 + i, records, rng.randrange(1, 60))
            cancels += a["outcome"] == "cancelled"
            if a["outcome"] != "delivered":
                a = drive.deliver(60 + i, records)
            if a["outcome"] != "delivered":
                check("after a cancelled delivery", False, a)
    print(f"        ({cancels} of 25 were cancelled)")
    check("deliveries that were cancelled at any time and begun again: each row once", count(server) == 500000 and
          checksum(server) == checksum_of(lines), count(server))


def sessions(server, work):
    table(server, "line text")
    with Drive(work, server, options=WHOLE) as drive:
        a = drive.deliver(90, [b"a"])
        pids = server.sql("select count(*) from pg_stat_activity where usename = 'sealock'")
        check("the session is kept", outcome(a) == ("delivered", "") and pids == "1", (a, pids))
        b = server.sql("select ssl, version from pg_stat_ssl join pg_stat_activity using (pid) where usename = 'sealock'")
        check("by TLS 1.3", b == "t|TLSv1.3", b)
        server.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'sealock'")
        time.sleep(0.2)
        a = drive.deliver(91, [b"b"])
        check("its end between two batches is no failure", outcome(a) == ("delivered", ""), a)
        server.stop()
        server.start()
        a = drive.deliver(92, [b"c"])
        check("a restart between two batches, neither", outcome(a) == ("delivered", ""), a)
        server.sql("alter role sealock set default_transaction_read_only = on; alter role sealock set synchronous_commit = off")
        server.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'sealock'")
        a = drive.deliver(93, [b"d"])
        check("defaults of the role do not matter", outcome(a) == ("delivered", ""), a)
        server.sql("alter role sealock reset all")
        check("nor is anything there twice", count(server) == 4)


def locked_and_slow(server, work):
    table(server, "line text")
    holder = subprocess.Popen([server.bin + "/psql", "-XAtq", "-h", server.data, "-p", str(server.port), "-U", "admin", "-d", "postgres"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdin.write(b"begin; lock table events in access exclusive mode; select 'locked';\n")
    holder.stdin.flush()
    holder.stdout.readline()
    with Drive(work, server, options=WHOLE, lock_ms=300) as drive:
        start = time.monotonic()
        a = drive.deliver(100, [b"a"])
        check("a locked table: try again, after the time that was set", outcome(a) == ("failed", "Postgres.55P03") and
              time.monotonic() - start < 10, a)
        holder.stdin.close()
        holder.wait()
        a = drive.deliver(100, [b"a"])
        check("the lock being gone", outcome(a) == ("delivered", "") and count(server) == 1, a)
    server.sql("create function sleep() returns trigger language plpgsql as $$ begin perform pg_sleep(30); return new; end $$; "
               "create trigger sleep before insert on events for each row execute function sleep()")
    with Drive(work, server, options=WHOLE, statement_ms=500) as drive:
        a = drive.deliver(101, [b"a"])
        check("a statement that takes too long is ended by the server", outcome(a) == ("failed", "Postgres.57014"), a)
    server.sql("drop function sleep cascade")
    silent = socket.create_server(("127.0.0.1", 0))
    with Drive(work, server, port=silent.getsockname()[1], options=WHOLE, connect_ms=500) as drive:
        start = time.monotonic()
        a = drive.deliver(102, [b"a"])
        check("a server that says nothing", outcome(a) == ("failed", "Postgres.Unreachable") and time.monotonic() - start < 5, a)
    silent.close()
    proxy = Proxy(server.port)
    with Drive(work, server, port=proxy.port, options=WHOLE, statement_ms=300) as drive:
        a = drive.deliver(103, [b"a"])
        check("a first batch by a proxy", outcome(a) == ("delivered", ""), a)
        pid = int(server.sql("select pid from pg_stat_activity where usename = 'sealock'"))
        os.kill(pid, signal.SIGSTOP)
        start = time.monotonic()
        a = drive.deliver(104, [b"b"])
        check("a session that hangs is given up for another one", outcome(a) == ("delivered", "") and
              5 < time.monotonic() - start < 15, (a, time.monotonic() - start))
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.5)
        check("and has done nothing when it goes on", count(server) == 3, count(server))
    with Drive(work, server, port=proxy.port, options=WHOLE) as drive:
        proxy.bytes_per_second = 400000
        records = [b"x" * 999 for _ in range(800)]
        start = time.monotonic()
        a = drive.deliver(105, records)
        check("a slow way there is slow, and no failure", outcome(a) == ("delivered", "") and time.monotonic() - start > 1.5 and
              count(server) == 803, (a, time.monotonic() - start))
        memory = subprocess.run(["ps", "-o", "rss=", "-p", str(drive.process.pid)], capture_output=True).stdout
        proxy.bytes_per_second = 4000000
        drive.send(106, [b"y" * 999999] * 16)
        highest = 0
        while not select.select([drive.process.stdout], [], [], 0.05)[0]:
            highest = max(highest, int(subprocess.run(["ps", "-o", "rss=", "-p", str(drive.process.pid)], capture_output=True).stdout))
        a = drive.answer()
        check("what waits to be sent is in the batch, and not in libpq once more", outcome(a) == ("delivered", "") and
              15000 < highest - int(memory) < 28000, (a, highest, memory))
    proxy.close()


def disk_full(server, work):
    mount = work + "/small"
    os.mkdir(mount)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0777", "tmpfs", mount], capture_output=True)
    if done.returncode != 0:
        skip("a full disk", "no right to mount: " + done.stderr.decode().strip())
        return
    try:
        os.mkdir(mount + "/space", 0o700)
        os.chown(mount + "/space", server.uid, server.gid)
        server.sql(f"create tablespace small location '{mount}/space'")
        table(server, "line text")
        server.sql("alter table events set tablespace small")
        records = [random.Random(i).randbytes(500).hex().encode() for i in range(10000)]
        with Drive(work, server, options=WHOLE) as drive:
            a = drive.deliver(110, records)
            check("a full disk: try again", outcome(a) == ("failed", "Postgres.53100"), a)
            check("nothing is there", count(server) == 0)
            subprocess.run(["mount", "-o", "remount,size=60m", mount], check=True)
            a = drive.deliver(110, records)
            check("with room again", outcome(a) == ("delivered", "") and count(server) == 10000, a)
        server.sql("drop table events; drop tablespace small")
    finally:
        subprocess.run(["umount", "-l", mount])


def no_secret_anywhere(server, work):
    with open(server.dir + "/log", "rb") as f:
        log = f.read()
    check("the password is in no log of the server", PASSWORD.encode() not in log and b"s3cret" not in log)
    with Drive(work, server, password_file=work + "/password", port=postgres_server.free_port()) as drive:
        a = drive.deliver(120, [b"row-of-data"])
        pid = drive.process.pid
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            seen = f.read()
        drive.process.stdin.close()
        out = drive.process.stdout.read()
        check("nor in arguments, answers or errors", b"s3cret" not in out + seen and "s3cret" not in json.dumps(a), a)


def main():
    if postgres_server.binaries() is None:
        print("PostgreSQL is not installed\n0 passed, 0 failed, 1 skipped")
        return 77
    work = tempfile.mkdtemp(prefix="sealock-pg-")
    os.chmod(work, 0o755)
    server = None
    try:
        os.mkdir(work + "/server")
        server = postgres_server.Server(work + "/server")
        server.start()
        with open(work + "/password", "w") as f:
            f.write(PASSWORD)
        os.chmod(work + "/password", 0o600)
        # The server's log is to be free of it: the verifier is made here, once, and statements are not logged then.
        quoted = PASSWORD.replace("'", "''")
        server.sql(f"set log_statement = none; set standard_conforming_strings = on; create role sealock login password '{quoted}'; "
                   f"create role plain login password '{quoted}' in role sealock; grant create on database postgres to sealock, plain")
        tests = [bytes_come_as_they_were, refusals, the_delivery_table, poisoned, killed_in_copy, killed_at_commit, cancelled, sessions,
                 locked_and_slow, disk_full, no_secret_anywhere]
        for test in tests:
            if len(sys.argv) > 2 and test.__name__ not in sys.argv[2:]:
                continue
            server.sql("drop schema if exists sealock cascade")
            try:
                test(server, work)
            except Exception as e:  # the others shall still run
                check(test.__name__, False, repr(e))
                if server.process.poll() is not None:
                    server.start()
    finally:
        if server is not None:
            server.close()
        shutil.rmtree(work, ignore_errors=True)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


sys.exit(main())
