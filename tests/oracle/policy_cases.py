"""Cases for policy_oracle.py: all of small alphabets, and random ones."""
import itertools

R = "arn:aws:kms:local:111111111111:key/"
USER = "arn:aws:iam::111111111111:user/u"
OTHER = "arn:aws:iam::111111111111:user/o"
ROOT = "arn:aws:iam::111111111111:root"
ROLE = "arn:aws:iam::111111111111:role/r"
SESSION = "arn:aws:sts::111111111111:assumed-role/r/s"
FOREIGN = "arn:aws:iam::222222222222:user/f"
SERVICE = "kinesis.amazonaws.com"


def caller(principal, session=None):
    service = not principal.startswith("arn:")
    return {"principal": principal, "is_service": service, "session": session,
            "account": "" if service else principal.split(":")[4]}


CALLERS = [caller(USER), caller(ROLE, SESSION), caller(ROOT), caller(SERVICE), caller(FOREIGN)]


def query(who=CALLERS[0], action="kms:Decrypt", resource=R + "a", context=()):
    return {**who, "action": action, "resource": resource, "context": [list(c) for c in context]}


def case(q, identity=(), session=(), boundary=None, resource=None, is_key=False, granted=False, account=None):
    return {"identity": list(identity), "session": list(session), "boundary": boundary, "resource": resource,
            "is_key": is_key, "granted": granted, "resource_account": account, "query": q}


def document(*statements, version="2012-10-17"):
    return {"Version": version, "Statement": list(statements)}


def statement(effect="Allow", **more):
    s = {"Effect": effect, "Action": "kms:*", "Resource": "*"}
    if "NotAction" in more:
        del s["Action"]
    if "NotResource" in more:
        del s["Resource"]
    s.update(more)
    return s


def one_or_two(alphabet):
    yield from ((s,) for s in alphabet)
    yield from itertools.product(alphabet, repeat=2)


def small_statements():
    """One identity policy of up to two statements: effect, action, resource, condition, each with its Not form."""
    alphabet = [
        statement(effect, **a, **r, **c)
        for effect in ("Allow", "Deny")
        for a in ({"Action": "kms:Decrypt"}, {"Action": ["KMS:d*"]}, {"NotAction": "kms:Decrypt"})
        for r in ({"Resource": "*"}, {"Resource": R + "a"}, {"NotResource": R + "a"})
        for c in ({}, {"Condition": {"StringEquals": {"kms:x": "1"}}}, {"Condition": {"StringNotEquals": {"KMS:X": "1"}}})
    ]
    queries = [
        query(action=a, resource=R + r, context=c)
        for a in ("kms:Decrypt", "kms:Encrypt") for r in "ab"
        for c in ((), [("kms:x", ["1"])], [("kms:x", ["2"])])
    ]
    for statements in one_or_two(alphabet):
        for q in queries:
            yield case(q, identity=[document(*statements)])


def small_principals():
    """A resource's policy of up to two statements: whom it names, for each kind of caller, at home and abroad."""
    names = ["*", {"AWS": "*"}, {"AWS": "111111111111"}, {"AWS": ROOT}, {"AWS": USER}, {"AWS": ROLE}, {"AWS": SESSION},
             {"AWS": [OTHER, "222222222222"]}, {"Service": SERVICE}, {"Service": "kms.amazonaws.com", "AWS": FOREIGN}]
    alphabet = [statement(e, Principal=p) for e in ("Allow", "Deny") for p in names]
    yes = document(statement())
    for statements in one_or_two(alphabet):
        for who in CALLERS:
            for identity, is_key, account in itertools.product(([], [yes]), (False, True), (None, "111111111111")):
                if not (who["is_service"] and identity):
                    yield case(query(who), identity, resource=document(*statements), is_key=is_key, account=account)


def small_decisions():
    """Every combination of what the documents can say, a grant, a key or not, at home or abroad."""
    says = {"none": document(statement(Action="kms:Encrypt")), "allow": document(statement()), "deny": document(statement("Deny"))}

    def resources(who):
        named = "Service" if who["is_service"] else "AWS"
        yield None
        yield document(statement(Action="kms:Encrypt", Principal="*"))
        yield document(statement(Principal={named: who["principal"]}))
        yield document(statement("Deny", Principal={named: who["principal"]}))
        if not who["is_service"]:
            yield document(statement(Principal={"AWS": who["account"]}))
        if who["session"]:
            yield document(statement(Principal={"AWS": who["session"]}))
            yield document(statement(Principal={"AWS": who["session"]}), statement(Principal={"AWS": who["principal"]}))

    for who in CALLERS:
        limits = [None] if who["is_service"] else [None, *says.values()]
        for i, s, b, r, is_key, granted, account in itertools.product(
                limits, limits, limits, resources(who), (False, True), (False, True),
                (None, "111111111111", "333333333333")):
            if is_key or not granted:  # grants are on keys
                yield case(query(who), [i] if i else [], [s] if s else [], b, r, is_key, granted, account)


SAMPLES = {
    "String": (["a", "A", "a*", "?", ""], ["a", "b", "A", "a*", ""]),
    "Arn": (["arn:aws:iam::1:user/a", "arn:aws:iam::*:user/*", "arn:aws:*:x:user/a", "arn:aws:s?s::1:a:b"],
            ["arn:aws:iam::1:user/a", "arn:aws:iam:y:x:user/a", "arn:aws:sts::1:a:b", "arn:aws:iam::1:user/a/b:c", "no"]),
    "Numeric": (["1", "2.5", "-3", 7], ["1", "1.0", "2.5", "2", "-3", "x", ""]),
    "Date": (["2026-11-24T10:00:00Z", "2026-11-24", "1795514400"],
             ["2026-11-24T10:00:00Z", "2026-11-24T11:00:00+01:00", "1795514400", "2026-11-25T00:00:00Z", "soon"]),
    "Bool": (["true", "false", True], ["true", "false", "yes"]),
    "Binary": (["YWI=", "YWJj"], ["YWI=", "YWJj", "!"]),
    "IpAddress": (["10.0.0.0/8", "10.1.2.3", "10.1.2.3/0", "2001:db8::/33", "::1"],
                  ["10.1.2.3", "11.1.2.3", "2001:db8:7fff::1", "2001:db8:8000::1", "::1", "x", "::ffff:10.1.2.3"]),
}
OPERATORS = (
    ["String" + n for n in ("Equals", "NotEquals", "EqualsIgnoreCase", "NotEqualsIgnoreCase", "Like", "NotLike")]
    + ["Arn" + n for n in ("Equals", "NotEquals", "Like", "NotLike")]
    + [t + n for t in ("Numeric", "Date") for n in
       ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")]
    + ["Bool", "BinaryEquals", "IpAddress", "NotIpAddress"])


def samples(operator):
    return next(v for k, v in SAMPLES.items() if operator.removeprefix("Not").startswith(k))


def small_conditions():
    """Every operator in every form on a key that is absent, empty, or has up to two values."""
    for operator in OPERATORS:
        wanted, given = samples(operator)
        lists = [*[[w] for w in wanted], wanted[:2]]
        contexts = [None, [], *[[g] for g in given], given[:2], [given[1], given[-1]], [given[-1], given[-1]]]
        for how, exists in itertools.product(("", "ForAllValues:", "ForAnyValue:"), ("", "IfExists")):
            for w, g, effect in itertools.product(lists, contexts, ("Allow", "Deny")):
                s = statement(effect, Condition={how + operator + exists: {"kms:K": w}})
                yield case(query(context=[] if g is None else [("KMS:k", g)]), identity=[document(s)])
    for w, g in itertools.product(("true", "false", True, False), (None, [], ["x"], ["x", "y"])):
        s = statement(Condition={"Null": {"kms:K": w}})
        yield case(query(context=[] if g is None else [("kms:K", g)]), identity=[document(s)])


def small_wildcards():
    """All short patterns against all short texts, as a resource, an action and a condition's value."""
    texts = ["".join(t) for n in range(4) for t in itertools.product("a/:", repeat=n)]
    for pattern in ("".join(p) for n in range(5) for p in itertools.product("a*?/:", repeat=n)):
        like = document(statement(Condition={"StringLike": {"kms:K": pattern}}))
        at = document(statement(Resource=R + pattern))
        for t in texts:
            yield case(query(context=[("kms:K", [t])]), identity=[like])
            if len(pattern) < 4:
                yield case(query(resource=R + t), identity=[at])
    for pattern in ("".join(p) for n in range(1, 5) for p in itertools.product("aB*?", repeat=n)):
        for t in ("a", "A", "ab", "aB", "bA", "aab", "abab"):
            yield case(query(action="kms:" + t), identity=[document(statement(Action="kms:" + pattern))])


def small():
    for part in (small_statements, small_principals, small_decisions, small_conditions, small_wildcards):
        yield from part()


class Random:
    """Cases of random shape, from small pools so that things meet."""

    KEYS = ["aws:username", "kms:ViaService", "kms:EncryptionContext:a", "kms:EncryptionContext:A", "kms:EncryptionContextKeys",
            "aws:PrincipalTag/t", "aws:SourceArn", "kms:CallerAccount"]

    def __init__(self, random):
        self.r = random

    def some(self, pool, most=3):
        return [self.r.choice(pool) for _ in range(self.r.randint(1, most))]

    def one_or_list(self, pool, most=3):
        chosen = self.some(pool, most)
        return chosen[0] if len(chosen) == 1 and self.r.random() < 0.5 else chosen

    def text(self, p):
        return self.r.choice(["a", "b", "u", "A", "a/b", "a:b", "*", "", "x1"][: p])

    def variable(self):
        key = self.r.choice(self.KEYS[:6])
        if self.r.random() < 0.3:
            key = key.swapcase()
        return "${" + key + self.r.choice(["", "", ", 'u'", ",'*'"]) + "}"

    def value(self, operator):
        if not operator.startswith(("String", "Arn")):
            return self.r.choice(samples(operator)[0])
        v = self.r.choice([self.text(9), self.text(5) + "*", "?", self.variable(), self.variable() + "*", "${*}", "${$}{a}", "*${?}"])
        return "arn:aws:iam::" + self.r.choice(["1", "*", "?"]) + ":" + v if operator.startswith("Arn") else v

    def condition(self):
        out = {}
        for _ in range(self.r.choice([0, 0, 1, 1, 2])):
            name = self.r.choice(OPERATORS[:10] if self.r.random() < 0.8 else OPERATORS)
            full = self.r.choice(["", "", "ForAllValues:", "ForAnyValue:"]) + name + self.r.choice(["", "", "IfExists"])
            keys = out.setdefault(full, {})
            keys[self.r.choice(self.KEYS)] = self.r.choice([self.value(name), [self.value(name) for _ in range(2)]])
        if self.r.random() < 0.1:
            out["Null"] = {self.r.choice(self.KEYS): self.r.choice(["true", "false"])}
        return {"Condition": out} if out else {}

    def principal(self):
        names = ["*", ROOT, "111111111111", USER, ROLE, SESSION, FOREIGN, "222222222222"]
        p = self.r.choice([{"AWS": self.one_or_list(names)}, {"AWS": self.one_or_list(names)}, "*", {"Service": SERVICE},
                           {"AWS": self.one_or_list(names), "Service": [SERVICE]}])
        return {"Principal": p}

    def statement(self, kind):
        actions = ["kms:Decrypt", "kms:*", "KMS:decrypt", "kms:De*t", "kms:?ncrypt", "*", "sts:AssumeRole", "kms:Encrypt"]
        resources = ["*", R + "a", R + "*", R + "a*", R + "?", R + "a/b", "arn:aws:kms:*:111111111111:key/a",
                     R + self.variable(), R + "*" + self.variable(), R + "${*}", "arn:aws:*"]
        s = {"Effect": self.r.choice(["Allow", "Allow", "Deny"]), **self.condition()}
        s[self.r.choice(["Action", "Action", "NotAction"])] = self.one_or_list(actions)
        if kind != "trust":
            s[self.r.choice(["Resource", "Resource", "NotResource"])] = self.one_or_list(resources)
        if kind != "identity":
            s.update(self.principal())
        items = list(s.items())
        self.r.shuffle(items)
        return dict(items)

    def document(self, kind):
        statements = [self.statement(kind) for _ in range(self.r.randint(1, 4))]
        if len(statements) == 1 and self.r.random() < 0.5:
            statements = statements[0]
        return {"Version": self.r.choice(["2012-10-17", "2012-10-17", "2012-10-17", "2008-10-17"]), "Statement": statements}

    def documents(self, most):
        return [self.document("identity") for _ in range(self.r.randint(0, most))]

    def context(self):
        out = []
        for _ in range(self.r.randint(0, 4)):
            key = self.r.choice(self.KEYS)
            key = self.r.choice([key, key, key.lower(), key.upper()])
            pool = [self.text(9), self.text(4), "arn:aws:iam::1:" + self.text(6), "10.1.2.3", "1", "true", "2026-11-24T10:00:00Z"]
            out.append([key, [self.r.choice(pool) for _ in range(self.r.choice([0, 1, 1, 1, 2]))]])
        return out

    def case(self):
        who = self.r.choice(CALLERS)
        service, trust = who["is_service"], self.r.random() < 0.1
        q = query(who, self.r.choice(["kms:Decrypt", "kms:Encrypt", "KMS:DECRYPT", "sts:AssumeRole"]),
                  self.r.choice([R + "a", R + "b", R + "a/b", R + "u", R + "*", "*"]), self.context())
        is_key = not trust and self.r.random() < 0.6
        c = case(q, [] if service else self.documents(3), [] if service or self.r.random() < 0.6 else self.documents(2),
                 None if service or self.r.random() < 0.7 else self.document("identity"),
                 None if self.r.random() < 0.2 else self.document("trust" if trust else "resource"), is_key,
                 is_key and self.r.random() < 0.2, self.r.choice([None, None, "111111111111", "222222222222"]))
        return {**c, "trust": trust}
