#!/usr/bin/env python3
"""Decide the same cases by lib/policy and by policy_oracle.py, and name the first that differ.

    policy_differential_test.py BUILD_DIR [--random N] [--seed N]

All small cases, then random ones: 40,000, with SLK_TEST_LONG=1 a million. The seed of a failure is printed; a case that
differs is printed as the line that both programs read.
"""
import argparse
import itertools
import json
import os
import random
import subprocess
import sys

import policy_cases
import policy_oracle

CHUNK = 2000  # cases, so that the answers fit into a pipe
SHOWN = 5


def text_of(case):
    """As policy_eval reads it: documents are texts."""
    def texts(d):
        return None if d is None else [json.dumps(x) for x in d] if isinstance(d, list) else json.dumps(d)

    return json.dumps({**case, **{k: texts(case[k]) for k in ("identity", "session", "boundary", "resource")}})


class Eval:
    def __init__(self, build):
        self.p = subprocess.Popen([os.path.join(build, "tests", "policy_eval")], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)

    def send(self, cases):
        self.p.stdin.write("".join(text_of(c) + "\n" for c in cases) + "\n")
        self.p.stdin.flush()

    def answers(self, cases):
        return [self.p.stdout.readline().rstrip("\n") for _ in cases]

    def close(self):
        self.p.stdin.close()
        return self.p.wait() == 0


def compare(name, build, cases):
    """The number of cases, and how many answers of each kind; exits at a disagreement."""
    ev, seen, differ, count = Eval(build), {}, 0, 0
    while chunk := list(itertools.islice(cases, CHUNK)):
        ev.send(chunk)
        expected = [policy_oracle.answer(c) for c in chunk]
        for c, want, got in zip(chunk, expected, ev.answers(chunk)):
            seen[want[0]] = seen.get(want[0], 0) + 1
            if want != got:
                differ += 1
                if differ <= SHOWN:
                    print("differs: oracle says %r, lib/policy %r\n  %s" % (want, got, json.dumps(c)))
        count += len(chunk)
    ended = ev.close()
    print("%s: %d cases, %s, %d differ" % (name, count, dict(sorted(seen.items())), differ))
    # A generator that allows or refuses nothing would compare nothing.
    return differ == 0 and ended and count > 0 and all(seen.get(k, 0) * 50 > count for k in "ADX")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--random", type=int, default=1000000 if os.environ.get("SLK_TEST_LONG") else 40000)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    made = policy_cases.Random(random.Random(args.seed))
    passed = [
        compare("all small cases", args.build, policy_cases.small()),
        compare("random cases, seed %d" % args.seed, args.build, (made.case() for _ in range(args.random))),
    ]
    print("%d passed, %d failed, 0 skipped" % (passed.count(True), passed.count(False)))
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
