"""An HTTP server on a port of this host whose answers a test writes: a thread for each connection.

A handler gets a Request and returns an Answer, or None: the connection is reset. What came is in `requests`."""
import socket
import ssl
import struct
import threading
import time


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body


class Answer:
    def __init__(self, status=200, body=b"", headers=None, cut=None, each_s=0.0, reset=False):
        """cut: bytes of the body that are sent; each_s: seconds between pieces of it; reset: instead of an end."""
        self.status, self.body, self.headers = status, body, headers or {}
        self.cut, self.each_s, self.reset = cut, each_s, reset


class EarlyAnswer(Exception):
    """Raised by head(): the answer is sent before the body was read, and the connection is closed."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer


class Server:
    def __init__(self, handler, certificate=None, head=None, port=0):
        self.handler, self.head = handler, head
        self.requests, self.connections = [], 0
        self.lock = threading.Lock()
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", port))
        self.socket.listen(64)
        self.port = self.socket.getsockname()[1]
        self.url = "%s://localhost:%d" % ("https" if certificate else "http", self.port)
        self.open = True
        threading.Thread(target=self.accept, daemon=True).start()

    def stop(self):
        self.open = False
        # accept() does not end when another thread closes its socket
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def accept(self):
        while self.open:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            connection.settimeout(30)
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            stream = connection.makefile("rb")
            while self.one(connection, stream):
                pass
        except (OSError, ValueError):
            pass
        finally:
            connection.close()

    def one(self, connection, stream):
        line = stream.readline(65536).decode("latin-1").split()
        if len(line) != 3:
            return False
        headers = {}
        while True:
            text = stream.readline(131072).decode("latin-1").rstrip("\r\n")
            if not text:
                break
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        request = Request(line[0], line[1], headers, b"")
        if self.head:
            try:
                self.head(request)
            except EarlyAnswer as early:
                self.send(connection, early.answer)
                return False
        size = int(headers.get("content-length", "0"))
        request.body = stream.read(size)
        if len(request.body) < size:
            return False
        with self.lock:
            self.requests.append(request)
        answer = self.handler(request)
        if answer is None:
            self.reset(connection)
            return False
        return self.send(connection, answer)

    def reset(self, connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def send(self, connection, answer):
        head = "HTTP/1.1 %d Said\r\n" % answer.status
        headers = {"Content-Length": str(len(answer.body))}
        headers.update(answer.headers)
        head += "".join("%s: %s\r\n" % h for h in headers.items()) + "\r\n"
        connection.sendall(head.encode())
        body = answer.body if answer.cut is None else answer.body[:answer.cut]
        if answer.each_s:
            for i in range(0, len(body), 64):
                connection.sendall(body[i:i + 64])
                time.sleep(answer.each_s)
        else:
            connection.sendall(body)
        if answer.reset:
            self.reset(connection)
        return answer.cut is None and not answer.reset
