"""Stand-ins for what cannot be had here: Redshift, as a proxy before PostgreSQL, and an S3 store, as a dictionary.

The proxy passes PostgreSQL's protocol on as it is, but for COPY ... FROM 's3://...': that it does itself, with COPY FROM STDIN, out of
the objects that the manifest names, and tells errors as Redshift does (XX000, stl_load_errors). It shows that deliverd's statements
are complete and in order. It does not show that Redshift takes them.
"""
import gzip
import http.server
import json
import re
import socket
import struct
import threading
import urllib.parse

COPY = re.compile(r"""COPY (?P<table>"[^;]*) FROM (?P<url>E?'(?:[^'\\]|''|\\\\)*') IAM_ROLE '(?P<role>[^']+)' MANIFEST REGION """
                  r"""'(?P<region>[a-z0-9-]+)'(?P<options>.*)$""", re.S)


class Store:
    """PUT /bucket/key; nothing else, and no look at signatures but that there is one."""

    def __init__(self):
        store = self
        self.objects = {}
        self.puts = 0
        self.down = False

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if store.down or "AWS4-HMAC-SHA256" not in self.headers.get("Authorization", ""):
                    answer = b"<Error><Code>ServiceUnavailable</Code><Message>down</Message></Error>"
                    self.send_response(503)
                else:
                    store.objects[urllib.parse.unquote(self.path.lstrip("/"))] = body
                    store.puts += 1
                    answer = b""
                    self.send_response(200)
                    self.send_header("ETag", '"1"')
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


def read_exactly(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise OSError("closed")
        data += more
    return data


def fields_of(body):
    return {f[:1]: f[1:].decode() for f in body.rstrip(b"\0").split(b"\0")}


class Redshift:
    def __init__(self, server, store, database="postgres"):
        """server: postgres_server.Server; database: where stl_load_errors is."""
        self.server, self.store, self.database = server, store, database
        self.copies = []  # statements, as they came
        self.cut_at = None  # a command's tag that never reaches the client
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.server.port))
            self.sockets += [near, far]
            session = {"loads": False, "pid": 0, "table": "", "missing": None}
            for target in self.from_client, self.from_server:
                threading.Thread(target=self.guard, args=(target, near, far, session), daemon=True).start()

    def guard(self, target, near, far, session):
        try:
            target(near, far, session)
        except OSError:
            pass
        for s in near, far:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def from_client(self, near, far, session):
        size = struct.unpack("!I", read_exactly(near, 4))[0]
        far.sendall(struct.pack("!I", size) + read_exactly(near, size - 4))
        while True:
            kind = read_exactly(near, 1)
            body = read_exactly(near, struct.unpack("!I", read_exactly(near, 4))[0] - 4)
            text = body[:-1].decode() if kind == b"Q" else ""
            if text.startswith("COPY "):
                self.load(text, far, session)
            else:
                far.sendall(message(kind, body))

    def load(self, text, far, session):
        self.copies.append(text)
        session.update(loads=True, missing=None)
        found = COPY.match(text)
        if found is None:
            far.sendall(message(b"Q", text.encode() + b"\0"))
            return
        session["table"] = found["table"]
        url = found["url"].removeprefix("E")[1:-1].replace("''", "'").replace("\\\\", "\\")
        try:
            manifest = json.loads(self.store.objects[url.removeprefix("s3://")])
            data = b"".join(self.store.objects[e["url"].removeprefix("s3://")] for e in manifest["entries"])
        except KeyError as e:
            session["missing"] = str(e)
            data = b""
        options = found["options"].split()
        if options and options[-1] == "GZIP":
            data = gzip.decompress(data)
            options.pop()
        if session["missing"] is not None:
            far.sendall(message(b"Q", b"select 1 / 0\0"))
            return
        way = " WITH (FORMAT csv)" if options == ["CSV"] else ""
        far.sendall(message(b"Q", f"COPY {found['table']} FROM STDIN{way}".encode() + b"\0") + message(b"d", data) + message(b"c", b""))

    def from_server(self, near, far, session):
        while True:
            kind = read_exactly(far, 1)
            body = read_exactly(far, struct.unpack("!I", read_exactly(far, 4))[0] - 4)
            if kind == b"K":
                session["pid"] = struct.unpack("!I", body[:4])[0]
            if kind == b"G":
                continue
            if kind == b"E" and session["loads"]:
                body = self.tell(fields_of(body), body, session)
            if kind == b"Z":
                session["loads"] = False
            if kind == b"C" and self.cut_at is not None and body.startswith(self.cut_at):
                return
            near.sendall(message(kind, body))

    def tell(self, fields, body, session):
        """As Redshift does: where COPY's rows are at fault, only stl_load_errors knows more."""
        if session["missing"] is not None:
            text = "S3ServiceException:The specified key does not exist.,Status 404"
        elif fields[b"C"][:2] in ("22", "23"):
            place = re.search(r", line (\d+)(?:, column ([^:]+))?", fields.get(b"W", ""))
            self.server.sql("insert into stl_load_errors values (1207, '%s', %s, %d, now())" %
                            (place[2] or "" if place else "", place[1] if place else 0, session["pid"]), self.database)
            text = "Load into table 'events' failed.  Check 'stl_load_errors' system table for details."
        else:
            return body
        return b"SERROR\0CXX000\0M" + text.encode() + b"\0\0"

    def close(self):
        self.listener.close()
        for s in self.sockets:
            s.close()
