"""A stub of a search cluster: _bulk, as OpenSearch 2.19 answers it, and faults. It keeps documents as they came and understands
none of them; what only a real cluster does is shown by clusters_test.py."""
import json
import threading
import urllib.parse

from misbehaving import Answer, Server

JSON = {"Content-Type": "application/json; charset=UTF-8"}


def item(status, kind="", reason="", cause=""):
    result = {"status": status}
    if kind:
        result["error"] = {"type": kind, "reason": reason}
        if cause:
            result["error"]["caused_by"] = {"type": cause}
    return result


class BulkStub:
    """each(id, document): an item's result, or None: it is taken. whole(request): an Answer instead of all that, or None."""

    def __init__(self, each=None, whole=None, certificate=None, head=None):
        self.each, self.whole = each, whole
        self.lock = threading.Lock()
        self.documents = {}  # (index, id): document
        self.written = {}  # (index, id): how often
        self.wrong = []  # what no cluster would take
        self.server = Server(self.handle, certificate, head)
        self.url = self.server.url

    def stop(self):
        self.server.stop()

    @property
    def sizes(self):
        return [len(r.body) for r in self.server.requests]

    def counts(self):
        return [r.body.count(b'{"index":{"_id":"') for r in self.server.requests]

    def handle(self, request):
        path, _, query = request.target.partition("?")
        index, _, rest = path[1:].partition("/")
        if request.method != "POST" or rest.split("/")[-1] != "_bulk" or "filter_path=" not in query:
            self.wrong.append("%s %s" % (request.method, request.target))
        if request.headers.get("content-type") != "application/x-ndjson":
            self.wrong.append("content type %s" % request.headers.get("content-type"))
        answer = self.whole(request) if self.whole else None
        if answer is not None:
            return answer if isinstance(answer, Answer) else None
        return self.take(urllib.parse.unquote(index), request.body)

    def take(self, index, body):
        if not body.endswith(b"\n"):
            self.wrong.append("no newline at the end")
        lines = body.split(b"\n")[:-1]
        items = []
        if len(lines) % 2 or not lines:
            self.wrong.append("%d lines" % len(lines))
        names = set()
        for action, document in zip(lines[::2], lines[1::2]):
            name = json.loads(action)["index"]["_id"]
            if json.loads(action) != {"index": {"_id": name}} or name in names or not isinstance(json.loads(document), dict):
                self.wrong.append("an action or document: %s" % action)
            names.add(name)
            with self.lock:
                result = self.each(name, document) if self.each else None
                if result is None:
                    key = (index, name)
                    result = item(200 if key in self.documents else 201)
                    self.documents[key] = document
                    self.written[key] = self.written.get(key, 0) + 1
            items.append({"index": result})
        return Answer(200, json.dumps({"items": items}).encode(), JSON)
