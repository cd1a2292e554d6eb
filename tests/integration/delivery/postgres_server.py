"""A PostgreSQL server of a test's own: in a directory that is removed, on a free port, with TLS by a CA of its own.

From a shell:  postgres_server.py make|start|kill|stop|sql DIR [STATEMENTS]    make prints the port; DIR is there, and empty
"""
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def binaries():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    return os.path.dirname(found[-1]) if found else None


def certificates(directory):
    """ca.pem; server.crt and server.key for localhost and 127.0.0.1; other.pem, a CA that signed nothing."""
    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    for name in "ca", "other":
        openssl("req", "-x509", *curve, "-subj", "/CN=" + name, "-keyout", name + ".key", "-out", name + ".pem")
    openssl("req", *curve, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr")
    with open(os.path.join(directory, "san"), "w") as f:
        f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "san", "-out", "server.crt")


class Server:
    """owner: "postgres" if this runs as root, whom PostgreSQL refuses; else whoever runs this."""

    def __init__(self, directory, port=None):
        """port: of a server that was made there before."""
        self.dir = directory
        self.data = os.path.join(directory, "data")
        self.port = port or free_port()
        self.bin = binaries()
        self.process = None
        self.uid = pwd.getpwnam("postgres").pw_uid if os.getuid() == 0 else os.getuid()
        self.gid = pwd.getpwnam("postgres").pw_gid if os.getuid() == 0 else os.getgid()
        self.log = open(os.path.join(directory, "log"), "ab")
        if port is None:
            self.make(directory)

    def make(self, directory):
        os.chmod(directory, 0o755)
        os.mkdir(self.data, 0o700)
        os.chown(self.data, self.uid, self.gid)
        certificates(directory)
        for name in "server.crt", "server.key":
            os.chown(os.path.join(directory, name), self.uid, self.gid)
        os.chmod(os.path.join(directory, "server.key"), 0o600)
        subprocess.run([self.bin + "/initdb", "-D", self.data, "-U", "admin", "-A", "trust", "-N", "--no-instructions", "-E", "UTF8",
                        "--locale=C.UTF-8"], check=True, stdout=self.log, stderr=self.log, **self.as_owner())
        with open(self.data + "/pg_hba.conf", "w") as f:
            f.write("local all admin trust\nhostnossl all +plain 127.0.0.0/8 scram-sha-256\nhostssl all all 127.0.0.0/8 scram-sha-256\n")

    def as_owner(self):
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if os.getuid() == 0 else {}

    def start(self, *options, tls=True):
        settings = {"port": self.port, "listen_addresses": "127.0.0.1,127.0.0.2", "unix_socket_directories": self.data, "shared_buffers": "32MB",
                    "ssl": "on" if tls else "off", "ssl_cert_file": self.dir + "/server.crt", "ssl_key_file": self.dir + "/server.key",
                    "log_min_messages": "info", "log_statement": "all", "max_connections": 20, "fsync": "on",
                    "max_wal_size": "256MB"}
        args = [x for k, v in settings.items() for x in ("-c", f"{k}={v}")] + [x for o in options for x in ("-c", o)]
        deadline = time.monotonic() + 60
        self.process = None
        while time.monotonic() < deadline:
            # After a kill a session of the one before may still be there for a moment, and forbids it.
            if self.process is None or self.process.poll() is not None:
                self.process = subprocess.Popen([self.bin + "/postgres", "-D", self.data, *args], stdout=self.log, stderr=self.log,
                                                stdin=subprocess.DEVNULL, start_new_session=True, **self.as_owner())
            time.sleep(0.05)
            if self.sql("select 1", check=False) == "1":
                return
        raise RuntimeError("PostgreSQL did not start; its log is %s/log" % self.dir)

    def psql(self, text, database="postgres", **more):
        return subprocess.run([self.bin + "/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.data, "-p", str(self.port), "-U",
                               "admin", "-d", database], input=text.encode(), capture_output=True, timeout=120, **more)

    def sql(self, text, database="postgres", check=True):
        done = self.psql(text, database)
        if check and done.returncode != 0:
            raise RuntimeError("psql: " + done.stderr.decode())
        return done.stdout.decode().rstrip("\n")

    def kill(self, pid=None):
        """As if the machine lost its power, but for the disk: all processes at once, no shutdown."""
        pid = pid or self.process.pid
        pids = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True).stdout.split()
        for one in [pid, *pids]:
            try:
                os.kill(int(one), signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process is not None:
            self.process.wait()
        time.sleep(0.1)

    def stop(self, how=signal.SIGINT):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def close(self):
        self.stop()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def main():
    command, directory = sys.argv[1:3]
    if command == "make":
        server = Server(directory)
        with open(directory + "/port", "w") as f:
            f.write(str(server.port))
        print(server.port)
        return 0
    with open(directory + "/port") as f:
        server = Server(directory, int(f.read()))
    if command == "start":
        server.start()
    elif command == "sql":
        print(server.sql(sys.argv[3]))
    else:
        with open(server.data + "/postmaster.pid") as f:
            pid = int(f.readline())
        if command == "kill":
            server.kill(pid)
        else:
            os.kill(pid, signal.SIGINT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
