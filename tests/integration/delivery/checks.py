"""What the scripts of this folder share: checks that are counted, certificates, runs of delivery_drive."""
import json
import os
import subprocess
import sys
import traceback

DRIVE_SECONDS = 120


class Checks:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, 0, 0

    def that(self, holds, what, detail=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print("FAILED: %s%s" % (what, ": %s" % (detail,) if detail != "" else ""))
        return bool(holds)

    def skip(self, what):
        self.skipped += 1
        print("skipped: %s" % what)

    def run(self, tests):
        """Each test is a function of one argument; its document string says what it shows."""
        for test in tests:
            before = self.failed
            try:
                test(self)
            except Exception:
                self.failed += 1
                traceback.print_exc(file=sys.stdout)
            print("%s %s" % ("ok    " if self.failed == before else "NOT OK", test.__doc__))

    def end(self):
        print("%d passed, %d failed, %d skipped" % (self.passed, self.failed, self.skipped))
        return 1 if self.failed else 0


def certificate(folder, name, host="localhost"):
    """A self-signed certificate: (certificate's file, key's file)."""
    cert, key = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=" + host, "-addext", "subjectAltName=DNS:%s,IP:127.0.0.1" % host, "-keyout", key, "-out", cert],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30)
    return cert, key


class Drive:
    """delivery_drive in the background: attempts as it prints them."""

    def __init__(self, build, kind, records, **keys):
        args = [os.path.join(build, "tests", "delivery_drive"), kind]
        for key, value in keys.items():
            for one in value if isinstance(value, list) else [value]:
                args.append("%s=%s" % (key, one))
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.records = b"".join(r + b"\n" for r in records)

    def end(self):
        out, err = self.process.communicate(self.records, timeout=DRIVE_SECONDS)
        self.text = (out + err).decode("utf-8", "replace")
        self.error = err.decode()
        self.code = self.process.returncode
        self.attempts = [json.loads(line) for line in out.splitlines()]
        return self

    def kill(self):
        self.process.kill()
        self.process.communicate()

    @property
    def last(self):
        return self.attempts[-1] if self.attempts else {"outcome": "none", "code": "", "text": self.error, "failed": []}


def drive(build, kind, records, **keys):
    return Drive(build, kind, records, **keys).end()
