#!/usr/bin/env python3
"""A naive second opinion on IAM policies, written from AWS's documentation and from the headers of lib/policy, never
from its code. It is slow and says what it means; lib/policy has to agree with it (policy_differential_test.py).

A case is a dictionary: identity and session (lists of documents), boundary and resource (a document or None), is_key,
granted, resource_account (or None), and query: principal, is_service, session (or None), account, action, resource,
context (a list of [key, [values]]). Documents are parsed JSON. What is unlike AWS is marked "Ours:".

Run by hand it reads one case per line and prints one answer per line:
    A|X|D (allowed, denied explicitly, denied by default), then a match per document: identity, session, boundary, resource
"""
import base64
import datetime
import ipaddress
import json
import re
import sys

NONE, ACCOUNT, ALLOW, ALLOW_SESSION, DENY = range(5)  # enum pol_match, weakest first


def listed(x):
    return x if isinstance(x, list) else [x]


def glob(pattern, text):
    """pattern: a list of characters; ("*",) and ("?",) are the wildcards, which reach over / and : alike."""
    if not pattern:
        return not text
    if pattern[0] == ("*",):
        return glob(pattern[1:], text) or (text != "" and glob(pattern, text[1:]))
    if not text:
        return False
    return (pattern[0] == ("?",) or pattern[0] == text[0]) and glob(pattern[1:], text[1:])


def wild(text):
    return [("*",) if c == "*" else ("?",) if c == "?" else c for c in text]


class Unresolved(Exception):
    """A policy variable without a value: the key is absent, or has not exactly one value."""


def values_of(query, key):
    """All values of a condition key, whose name ignores case, and whether it is there at all."""
    found = [values for name, values in query["context"] if name.lower() == key.lower()]
    return [v for values in found for v in values], bool(found)


def expand(text, query, variables):
    """Policy variables, Version 2012-10-17 only; what comes out of a variable is literal, so its * is no wildcard."""
    if not variables:
        return wild(text)
    out = []
    while (m := re.search(r"\$\{([^}]*)\}", text)):
        out += wild(text[: m.start()])
        text, inside = text[m.end():], m.group(1)
        if inside in ("*", "?", "$"):
            out.append(inside)
            continue
        d = re.fullmatch(r"(.*?)\s*,\s*'(.*)'\s*", inside)
        values, _ = values_of(query, d.group(1) if d else inside)
        if len(values) == 1:
            out += list(values[0])
        elif d:
            out += list(d.group(2))
        else:
            raise Unresolved(inside)
    return out + wild(text)


def plain(pattern):
    return "".join(p if isinstance(p, str) else p[0] for p in pattern)


# Conditions. Each fits(value of the request, value of the policy); a value that is not of the type fits nothing.
def number(s):
    if not re.fullmatch(r"[+-]?\d+(\.\d+)?", s):
        raise ValueError(s)
    return float(s)


def date(s):
    if re.fullmatch(r"\d+", s):
        return datetime.datetime.fromtimestamp(int(s), datetime.timezone.utc)
    t = datetime.datetime.fromisoformat(s.replace("Z", "+00:00"))
    return t if t.tzinfo else t.replace(tzinfo=datetime.timezone.utc)


def address(s):
    a = ipaddress.ip_address(s)  # Ours: an IPv4 caller of a dual-stack socket is an IPv4 address
    return getattr(a, "ipv4_mapped", None) or a


def arn_fits(value, pattern):
    """The six parts one by one: a wildcard does not reach over the first five colons."""
    parts, at = [[]], 0
    for p in pattern:
        if p == ":" and at < 5:
            parts.append([])
            at += 1
        else:
            parts[-1].append(p)
    have = value.split(":", 5)
    return len(have) == 6 and len(parts) == 6 and all(glob(p, h) for p, h in zip(parts, have))


def compared(parse):
    relations = {
        "Equals": lambda a, b: a == b,
        "LessThan": lambda a, b: a < b,
        "LessThanEquals": lambda a, b: a <= b,
        "GreaterThan": lambda a, b: a > b,
        "GreaterThanEquals": lambda a, b: a >= b,
    }
    return {name: (lambda v, p, r=r: r(parse(v), parse(plain(p)))) for name, r in relations.items()}


FITS = {
    "StringEquals": lambda v, p: v == plain(p),
    "StringEqualsIgnoreCase": lambda v, p: v.lower() == plain(p).lower(),
    "StringLike": lambda v, p: glob(p, v),
    "ArnEquals": arn_fits,
    "ArnLike": arn_fits,
    "Bool": lambda v, p: v == plain(p),
    "BinaryEquals": lambda v, p: base64.b64decode(v, validate=True) == base64.b64decode(plain(p), validate=True),
    "IpAddress": lambda v, p: address(v) in ipaddress.ip_network(plain(p), strict=False),
}
FITS.update({"Numeric" + name: f for name, f in compared(number).items()})
FITS.update({"Date" + name: f for name, f in compared(date).items()})
NEGATED = {
    "StringNotEquals": "StringEquals", "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike", "ArnNotEquals": "ArnEquals", "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals", "DateNotEquals": "DateEquals", "NotIpAddress": "IpAddress",
}


def text_of(value):
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def condition_holds(operator, key, wanted, query, variables, deny):
    values, there = values_of(query, key)
    wanted = [text_of(w) for w in listed(wanted)]
    if operator == "Null":  # "the key exists and its value is not null": a key without values is null
        return text_of(not values) in wanted
    how, _, name = operator.rpartition(":")
    if name.endswith("IfExists"):
        name = name[: -len("IfExists")]
        if not there:
            return True
    negated = name in NEGATED
    base = NEGATED.get(name, name)
    takes_variables = variables and base.startswith(("String", "Arn"))

    def fits_some(value):
        unresolved = False
        for w in wanted:
            try:
                if FITS[base](value, expand(w, query, takes_variables)):
                    return True
            except Unresolved:
                unresolved = True
            except ValueError:
                pass
        # Ours: AWS calls such a statement invalid. It never allows, and it denies wherever it may.
        return unresolved and negated and not deny

    if how == "ForAllValues":
        return all(fits_some(v) != negated for v in values)
    if how == "ForAnyValue":
        return any(fits_some(v) != negated for v in values)
    # Ours, like the last: a negated operator on an absent key holds without a look at its values.
    return any(fits_some(v) for v in values) != negated


# Statements and documents.
def action_fits(statement, query):
    given = "Action" if "Action" in statement else "NotAction"
    hit = any(glob(wild(a.lower()), query["action"].lower()) for a in listed(statement[given]))
    return hit == (given == "Action")


def resource_fits(statement, query, variables):
    if "Resource" not in statement and "NotResource" not in statement:
        return True  # a trust policy
    given = "Resource" if "Resource" in statement else "NotResource"
    hit = False
    for r in listed(statement[given]):
        try:
            hit = hit or glob(expand(r, query, variables), query["resource"])
        except Unresolved:  # Ours: as in conditions
            hit = hit or (given == "NotResource" and statement["Effect"] == "Allow")
    return hit == (given == "Resource")


def principal_match(principal, query):
    """The strongest of what the element says of the caller."""
    if principal == "*":
        return ALLOW
    best = NONE
    for kind, names in principal.items():
        for name in listed(names):
            if kind == "Service":
                match = ALLOW if query["is_service"] and name == query["principal"] else NONE
            elif name == "*":
                match = ALLOW
            elif query["is_service"]:
                match = NONE
            elif query["session"] and name == query["session"]:
                match = ALLOW_SESSION
            elif name == query["principal"]:
                match = ALLOW
            elif name in (query["account"], "arn:aws:iam::%s:root" % query["account"]):
                # An account's number is short for its root, who needs no policy of the account.
                match = ALLOW if query["principal"].endswith(":root") else ACCOUNT
            else:
                match = NONE
            best = max(best, match)
    return best


def statement_match(statement, query, variables):
    deny = statement["Effect"] == "Deny"
    match = principal_match(statement["Principal"], query) if "Principal" in statement else ALLOW
    if match == NONE or not action_fits(statement, query) or not resource_fits(statement, query, variables):
        return NONE
    for operator, keys in statement.get("Condition", {}).items():
        for key, wanted in keys.items():
            if not condition_holds(operator, key, wanted, query, variables, deny):
                return NONE
    return DENY if deny else match


def document_match(document, query):
    variables = document["Version"] == "2012-10-17"
    return max(statement_match(s, query, variables) for s in listed(document["Statement"]))


# The decision.
def decide(case):
    q = case["query"]
    identity = [document_match(d, q) for d in case["identity"]]
    session = [document_match(d, q) for d in case["session"]]
    boundary = [document_match(d, q) for d in [case["boundary"]] if d]
    resource = [document_match(d, q) for d in [case["resource"]] if d]
    matches = identity + session + boundary + resource
    if DENY in matches:
        return "X", matches
    r = resource[0] if resource else NONE
    within_limits = ALLOW in (boundary or [ALLOW]) and ALLOW in (session or [ALLOW])
    other_account = case["resource_account"] not in (None, q["account"]) and not q["is_service"]
    if other_account:  # both sides; what the other side says does not lift this side's limits
        ok = ALLOW in identity and within_limits and (r != NONE or case["granted"])
    elif r == ALLOW_SESSION:
        ok = True
    elif case["is_key"]:
        ok = within_limits and (r == ALLOW or (r == ACCOUNT and ALLOW in identity) or case["granted"])
    else:
        ok = within_limits and (r == ALLOW or ALLOW in identity)
    return ("A" if ok else "D"), matches


def answer(case):
    verdict, matches = decide(case)
    return " ".join([verdict] + [str(m) for m in matches])


if __name__ == "__main__":
    for line in sys.stdin:
        print(answer(json.loads(line)))
