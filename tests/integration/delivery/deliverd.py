"""A sealock-deliverd of a site that site.sh made, as a Python program runs it: started, killed, asked."""
import json
import os
import re
import subprocess
import sys
import time
import urllib.request

UID = int(os.environ.get("DELIVER_UID", "64908"))  # of site.sh
GROUPS = "64911,64912"  # sealock and read
ACCOUNT = "000000000000"


def arn(service, name):
    return "arn:aws:%s:%s:%s:%s" % (service, "" if service == "iam" else "local", ACCOUNT, name)


def run(*args, text=None, seconds=60):
    """A command that has to succeed; what it says."""
    done = subprocess.run(args, input=text.encode() if text is not None else None, capture_output=True, timeout=seconds)
    if done.returncode:
        raise RuntimeError("%s: %s" % (" ".join(args[:4]), (done.stdout + done.stderr).decode()[-500:]))
    return done.stdout.decode()


def wait(seconds, what, every_s=0.2):
    """What what() says in the end: true as soon as it is."""
    end = time.monotonic() + seconds
    while True:
        said = what()
        if said or time.monotonic() > end:
            return said
        time.sleep(every_s)


class Deliverd:
    def __init__(self, site, program="sealock-deliverd"):
        self.site, self.program, self.process = site, program, None
        with open(os.path.join(site, "deliverd.yaml")) as f:
            self.port = re.search(r'listen: "127.0.0.1:(\d+)"', f.read()).group(1)
        self.log = open(os.path.join(site, "deliverd.log"), "ab")
        self.kills = 0

    def start(self, **environment):
        self.process = subprocess.Popen(
            ["setpriv", "--reuid", str(UID), "--regid", str(UID), "--groups", GROUPS, "--inh-caps=-all", "--bounding-set=-all",
             "--pdeathsig", "TERM", self.program, "--config", os.path.join(self.site, "deliverd.yaml")],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=dict(os.environ, **environment))
        if not wait(30, lambda: self.process.poll() is not None or self.status() is not None, 0.1) or self.process.poll() is not None:
            raise RuntimeError("deliverd does not start; the end of its log: " + self.words())

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                return False
        return self.process is not None and self.process.returncode == 0

    def words(self):
        with open(self.log.name, errors="replace") as f:
            return f.read()[-2000:]

    def status(self):
        """Delivery streams by name, as `sealock delivery status` has them; None: it does not answer."""
        done = subprocess.run(["sealock", "delivery", "status", "--json"], capture_output=True, timeout=30)
        if done.returncode not in (0, 1):
            return None
        try:
            return {s["name"]: s for s in json.loads(done.stdout)["delivery_streams"]}
        except ValueError:
            return None

    def metrics(self):
        try:
            with urllib.request.urlopen("http://127.0.0.1:%s/metrics" % self.port, timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def errors(self):
        """Codes of sealock_deliverd_errors_total by delivery stream."""
        found = {}
        for name, code in re.findall(r'^sealock_deliverd_errors_total\{delivery_stream="([^"]+)",code="([^"]+)"\} [1-9]', self.metrics(), re.M):
            found.setdefault(name, set()).add(code)
        return found

    def not_ok(self):
        return re.findall(r'^sealock_deliverd_ok\{delivery_stream="([^"]+)",destination="[^"]+"\} 0$', self.metrics(), re.M)

    def not_running(self):
        """Delivery streams that could not begin: sealock_deliverd_ok is 0, and they have no destination yet."""
        return re.findall(r'^sealock_deliverd_ok\{delivery_stream="([^"]+)",destination="none"\} 0$', self.metrics(), re.M)


def status_code():
    return subprocess.run(["sealock", "delivery", "status"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30).returncode


def create(site, name, description):
    path = os.path.join(site, name + ".json")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        json.dump(description, f)
    run("deliveryctl", "create", name, path)


def state(name):
    done = subprocess.run(["deliveryctl", "state", name], capture_output=True, timeout=30)
    return done.stdout.decode().strip()


def put(stream, records):
    run("sealock", "put", stream, "--lines", text="".join(r.decode() + "\n" for r in records))


def role_may(name, *actions):
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}
    run("sealock", "iam", "role", "policy", "put", name, "delivery", "-", text=json.dumps(policy))


def promtool(checks, deliverd):
    """What Prometheus' own tool says of the metrics: nothing."""
    try:
        done = subprocess.run(["promtool", "check", "metrics"], input=deliverd.metrics().encode(), capture_output=True, timeout=30)
    except FileNotFoundError:
        checks.skip("promtool is not installed to look at the metrics")
        return
    checks.that(done.returncode == 0 and not done.stdout + done.stderr, "promtool finds nothing to say of the metrics",
                (done.stdout + done.stderr).decode()[:500])


if __name__ == "__main__":
    sys.exit("a module of tests")
