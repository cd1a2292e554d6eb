"""metrics_check.py http HOST:PORT PATH            the response's status on stderr, its body on stdout
   metrics_check.py format FILE                    is it Prometheus' text format, with a type and help for every family?
   metrics_check.py value FILE NAME [LABEL=VALUE]  the sum of a metric's samples with these labels
   metrics_check.py telemetry SOCKET COMMAND       DPDK's answer, JSON
"""
import re
import socket
import sys

SAMPLE = re.compile(r'^([a-z_][a-z0-9_]*)(?:\{([a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*)\})? (\S+)$')


def http(where, path):
    host, port = where.rsplit(":", 1)
    with socket.create_connection((host.strip("[]"), int(port)), 5) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode())
        data = b""
        while chunk := s.recv(65536):
            data += chunk
    head, body = data.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"Content-Length: (\d+)", head).group(1))
    if length != len(body):
        sys.exit("the body has another length than it says")
    sys.stderr.write(head.decode())
    sys.stdout.write(body.decode())


def samples(path):
    for line in open(path):
        if not line.startswith("#"):
            name, labels, value = SAMPLE.match(line.rstrip("\n")).groups()
            yield name, dict(part.split("=", 1) for part in (labels or "").replace('"', "").split(",") if part), float(value)


def check_format(path):
    faults, types, helped, seen, family = [], {}, set(), set(), None
    for line in open(path).read().splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            if family in helped:
                faults.append(f"{family} is not in one piece")
            helped.add(family)
        elif line.startswith("# TYPE "):
            types[line.split()[2]] = line.split()[3]
        else:
            match = SAMPLE.match(line)
            if match is None:
                faults.append(f"no sample: {line}")
                continue
            name, labels, value = match.groups()
            if name != family or name not in types:
                faults.append(f"{name} has no type, or is in another family's place")
            if types.get(name) == "counter" and not name.endswith("_total"):
                faults.append(f"counter {name} does not end with _total")
            if (name, labels) in seen:
                faults.append(f"{line} is there twice")
            seen.add((name, labels))
            if float(value) < 0:
                faults.append(f"negative: {line}")
    print("\n".join(faults))
    sys.exit(1 if faults or len(seen) < 50 else 0)


def telemetry(path, command):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(5)
    s.connect(path)
    s.recv(1024)
    s.send(command.encode())
    print(s.recv(65536).decode())


command, *args = sys.argv[1:]
if command == "http":
    http(*args)
elif command == "format":
    check_format(*args)
elif command == "value":
    wanted = dict(part.split("=", 1) for part in args[2:])
    print(f"{sum(v for n, l, v in samples(args[0]) if n == args[1] and wanted.items() <= l.items()):g}")
else:
    telemetry(*args)
