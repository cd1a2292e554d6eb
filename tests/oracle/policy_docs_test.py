#!/usr/bin/env python3
"""The documents of docs/policies.md are what they are said to be, each row of its table of decisions is decided so, by
lib/policy and by policy_oracle.py, and its condition keys are those of kmsd.

    policy_docs_test.py BUILD_DIR
"""
import json
import os
import re
import sys

import policy_cases
import policy_differential_test
import policy_oracle

DOC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "policies.md")
VALUES = os.path.join(os.path.dirname(DOC), "..", "kms-hsm", "values.c")
KEY = "arn:aws:kms:local:000000000000:key/1"
CALLERS = {
    "alice": policy_cases.caller("arn:aws:iam::000000000000:user/alice"),
    "reader/s1": policy_cases.caller("arn:aws:iam::000000000000:role/reader", "arn:aws:sts::000000000000:assumed-role/reader/s1"),
    "bob": policy_cases.caller("arn:aws:iam::111111111111:user/bob"),
    "kinesis": policy_cases.caller("kinesis.amazonaws.com"),
}
ANSWERS = {"allowed": "A", "denied": "D", "denied explicitly": "X"}


def ask(build, case):
    ev = policy_differential_test.Eval(build)
    ev.send([case])
    answer = ev.answers([case])[0]
    return answer if ev.close() else "policy_eval failed"


def documents(text):
    return re.findall(r"^```json (identity|resource|trust) (refused )?([a-z-]+)\n(.*?)^```$", text, re.S | re.M)


def check_document(build, kind, refused, name, body):
    doc = json.loads(body)
    case = policy_cases.case(policy_cases.query(), **({"identity": [doc]} if kind == "identity" else {"resource": doc}))
    answer = ask(build, {**case, "trust": kind == "trust"})
    ok = answer.startswith("E ") == bool(refused)
    return ok or print("%s: %s" % (name, answer))


def check_row(build, docs, row):
    who, identity, session, boundary, resource, grant, want, _ = row
    named = lambda name: None if name == "–" else docs[name]
    context = [("aws:SourceAccount", ["000000000000"])] if who == "kinesis" else []
    case = policy_cases.case(
        policy_cases.query(CALLERS[who], resource=KEY, context=context), [d for d in [named(identity)] if d],
        [d for d in [named(session)] if d], named(boundary), named(resource), True, grant == "yes", "000000000000")
    expected = policy_oracle.answer(case)
    got = ask(build, case)
    ok = got == expected and got[0] == ANSWERS[want]
    return ok or print("%s: lib/policy %r, oracle %r" % (row, got, expected))


def check_keys(text):
    """The page's table of condition keys has those that kmsd gives values to, and no other."""
    with open(VALUES, encoding="utf-8") as f:
        given = set(re.findall(r'"((?:aws|iam|kms|sts):[A-Za-z/:]+)"', f.read()))
    table = text.split("| key | type | value comes from |")[1].split("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {re.sub(r"(?<=/)T$|(?<=:)NAME$", "", k) for c in cells for k in re.findall("`([^`]+)`", c)}
    return given == named or print("condition keys: only kmsd %s, only the page %s" % (given - named, named - given))


def main():
    build = sys.argv[1]
    text = open(DOC, encoding="utf-8").read()
    found = documents(text)
    docs = {name: json.loads(body) for _, _, name, body in found}
    rows = [[c.strip() for c in line.strip("|\n").split("|")] for line in text.splitlines()
            if re.match(r"\| (%s) \|" % "|".join(CALLERS), line)]
    results = [bool(check_document(build, *f)) for f in found] + [bool(check_row(build, docs, r)) for r in rows]
    results.append(bool(check_keys(text)))
    if len(found) != text.count("```json ") or len(rows) < 20:
        print("a document or a row of the page was not understood")
        results.append(False)
    print("%d passed, %d failed, 0 skipped" % (results.count(True), results.count(False)))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
