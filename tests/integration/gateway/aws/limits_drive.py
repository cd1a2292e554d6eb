"""What a request's members have to be, by botocore's models: each limit at the limit and one beyond, broken patterns, wrong types,
required members left out; and what shards take and give. case and the others are aws_drive's."""
import base64
import copy
import http.client
import json
import re
import ssl
import time

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

import checked
from checked import client, session

ACCOUNT, NONE = "000000000000", "nothere"
STREAM = f"arn:aws:kinesis:local:{ACCOUNT}:stream/{NONE}"
KEY = f"arn:aws:kms:local:{ACCOUNT}:key/00000000-0000-4000-8000-000000000000"
TARGETS = {"kinesis": "Kinesis_20131202.", "kms": "TrentService.", "firehose": "Firehose_20150804."}
SERVED = {
    "kinesis": """AddTagsToStream CreateStream DecreaseStreamRetentionPeriod DeleteStream DescribeLimits DescribeStream DescribeStreamSummary
        GetRecords GetShardIterator IncreaseStreamRetentionPeriod ListShards ListStreams ListTagsForStream MergeShards PutRecord PutRecords
        RemoveTagsFromStream SplitShard StartStreamEncryption StopStreamEncryption UpdateShardCount UpdateStreamMode""".split(),
    "kms": """CancelKeyDeletion CreateAlias CreateGrant CreateKey Decrypt DeleteAlias DescribeKey DisableKey DisableKeyRotation EnableKey
        EnableKeyRotation Encrypt GenerateDataKey GenerateDataKeyWithoutPlaintext GenerateRandom GetKeyPolicy GetKeyRotationStatus GetPublicKey
        ListAliases ListGrants ListKeyPolicies ListKeys ListResourceTags ListRetirableGrants PutKeyPolicy ReEncrypt RetireGrant RevokeGrant
        ScheduleKeyDeletion Sign TagResource UntagResource UpdateAlias UpdateKeyDescription Verify""".split(),
    "firehose": """CreateDeliveryStream DeleteDeliveryStream DescribeDeliveryStream ListDeliveryStreams ListTagsForDeliveryStream PutRecord
        PutRecordBatch StartDeliveryStreamEncryption StopDeliveryStreamEncryption TagDeliveryStream UntagDeliveryStream
        UpdateDestination""".split()}
SAMPLES = {"StreamName": NONE, "StreamARN": STREAM, "ShardId": "shardId-000000000000", "HashKey": "0", "SequenceNumber": "0", "KeyIdType": KEY,
           "AliasNameType": "alias/" + NONE, "PrincipalIdType": f"arn:aws:iam::{ACCOUNT}:user/alice", "PolicyType": "{}", "PolicyNameType": "default",
           "ResourceARN": STREAM, "ArnType": KEY, "DeliveryStreamName": NONE, "DeliveryStreamVersionId": "1",
           "DestinationId": "destinationId-000000000001"}
# Where the present service differs from the models that Debian has: (service, member).
OTHER = {("kinesis", "StreamName"), ("kinesis", "Data"), ("kinesis", "Tags"), ("kms", "Policy"), ("kms", "BypassPolicyLockoutSafetyCheck"),
         ("firehose", "DeliveryStreamType")}
# Required in the models that Debian has, and no more.
OPTIONAL_NOW = {"GranteePrincipal", "PolicyName", "RetiringPrincipal"}
# What AWS adds to from year to year is told by what keys there are here.
UNSUPPORTED = {("CreateKey", m) for m in ("KeyUsage", "CustomerMasterKeySpec", "KeySpec", "Origin", "XksKeyId")}
BEYOND = 65536  # what is longer would be a test of the body's limit
TYPES = {"string": {}, "integer": "x", "long": "x", "list": "x", "map": "x", "structure": "x", "blob": 5, "boolean": "x", "timestamp": "x"}


class Wire:
    """One connection; what is asked goes out as it is."""

    def __init__(self):
        self.context = ssl.create_default_context(cafile=f"{checked.SITE}/ca.pem")
        self.credentials = session("alice").get_credentials()
        self.connection = None

    def ask(self, service, operation, body):
        url = f"https://localhost:{checked.PORT}/"
        request = AWSRequest("POST", url, headers={"Content-Type": "application/x-amz-json-1.1", "Host": f"localhost:{checked.PORT}",
                                                   "X-Amz-Target": TARGETS[service] + operation}, data=json.dumps(body).encode())
        SigV4Auth(self.credentials, service, "local").add_auth(request)
        if self.connection is None:
            self.connection = http.client.HTTPSConnection("localhost", int(checked.PORT), timeout=30, context=self.context)
        self.connection.request("POST", "/", body=request.data, headers=dict(request.headers.items()))
        r = self.connection.getresponse()
        text = r.read()
        said = json.loads(text) if text else {}
        return r.status, said.get("__type", ""), said.get("message", said.get("Message", ""))


def of_length(n, shape):
    sample = SAMPLES.get(shape.name, "a")
    return (sample + "a" * n)[:n] if len(sample) <= n else sample[:n]


def sample(shape):
    kind, m = shape.type_name, shape.metadata
    if kind == "structure":
        return {name: sample(shape.members[name]) for name in shape.required_members}
    if kind == "list":
        return [sample(shape.member)] * max(m.get("min", 1), 1)
    if kind == "map":
        return {sample(shape.key): sample(shape.value)}
    if kind == "string":
        return m["enum"][0] if "enum" in m else SAMPLES.get(shape.name, "a" * max(m.get("min", 1), 1))
    if kind == "blob":
        return base64.b64encode(b"a" * max(m.get("min", 1), 1)).decode()
    return {"integer": max(m.get("min", 1), 1), "long": 1, "timestamp": 1600000000, "boolean": False}[kind]


def sized(shape, n):
    """A value of the shape whose size is n, or None."""
    kind = shape.type_name
    if kind == "string":
        return of_length(n, shape) if 0 <= n <= BEYOND and "enum" not in shape.metadata else None
    if kind == "blob":
        return base64.b64encode(b"a" * n).decode() if 0 <= n <= BEYOND else None
    if kind in ("integer", "long"):
        return n if abs(n) < 2**31 - 1 else None
    if kind == "list" and 0 <= n <= 1000:
        return [sample(shape.member)] * n
    return None


def fits(shape, value):
    """Nothing else than its size could be wrong with it."""
    pattern = shape.metadata.get("pattern")
    return shape.type_name != "string" or pattern is None or re.fullmatch(pattern.replace(r"\p{L}\p{Z}\p{N}", r"\w "), value) is not None


def variants(shape, name):
    """(what, value, error or None: not this one)"""
    kind, m = shape.type_name, shape.metadata
    yield "of a wrong type", TYPES[kind], "SerializationException"
    for edge, step in (("min", -1), ("max", 1)):
        if edge not in m:
            continue
        at, off = sized(shape, m[edge]), sized(shape, m[edge] + step)
        if at is not None and fits(shape, at):
            yield f"at its {edge} {m[edge]}", at, None
        if off is not None:
            yield f"beyond its {edge} {m[edge]}", off, "ValidationException"
    if "enum" in m and kind == "string":
        yield "outside its set", "NO_SUCH_VALUE", "ValidationException"
    if "pattern" in m and kind == "string" and r"\p{" not in m["pattern"]:  # classes of Unicode are not looked at
        for broken in ("a b%", "\u2028\u2603", "-"):
            if re.fullmatch(m["pattern"], broken) is None and m.get("min", 0) <= len(broken) <= m.get("max", BEYOND):
                yield "against its pattern", broken, "ValidationException"
                break


def places(shape, service):
    """(path, member) of an input, and one step into the lists of structures."""
    for name, member in shape.members.items():
        if (service, name) in OTHER:
            continue
        yield [name], member
        if member.type_name == "list" and member.member.type_name == "structure":
            for inner, of in member.member.members.items():
                if (service, inner) not in OTHER:
                    yield [name, 0, inner], of


def put(body, path, value):
    body = copy.deepcopy(body)
    at = body
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return body


def judge(case, wire, service, operation, path, what, body, wanted):
    name = ".".join(str(p) for p in path)
    status, kind, text = wire.ask(service, operation, body)
    lower = path[-1][0].lower() + path[-1][1:] if isinstance(path[-1], str) else path[-1]
    if wanted is None:
        good = not (kind in ("ValidationException", "SerializationException") and f"'{lower}'" in text) and status < 600 and kind != "SerializationException"
    else:
        good = status == 400 and (kind == wanted or (kind == "UnsupportedOperationException" and (operation, path[-1]) in UNSUPPORTED))
    case(f"{service} {operation}: {name} {what}", good, f"{status} {kind} {text[:200]}")


def model(case):
    wire = Wire()
    loader = botocore.session.get_session()
    for service, operations in SERVED.items():
        of_service = loader.get_service_model(service)
        for operation in operations:
            shape = of_service.operation_model(operation).input_shape
            if shape is None:
                continue
            base = sample(shape)
            if "StreamName" in shape.members:
                base["StreamName"] = NONE
            for name in shape.required_members:
                if (service, name) not in OTHER and name != "StreamARN" and name not in OPTIONAL_NOW:
                    without = {k: v for k, v in base.items() if k != name}
                    judge(case, wire, service, operation, [name], "left out", without, "ValidationException")
            for path, member in places(shape, service):
                around = base if len(path) == 1 else put(base, path[:1], [sample(shape.members[path[0]].member)])
                for what, value, wanted in variants(member, path[-1]):
                    judge(case, wire, service, operation, path, what, put(around, path, value), wanted)


# --- what shards take and give ---

def text_of(shard):
    return f"Rate exceeded for shard shardId-{shard:012d} in stream slow under account {ACCOUNT}."


def provisioned(case, does, refused):
    k = client("kinesis", "alice")
    k.create_stream(StreamName="slow", ShardCount=1)
    for _ in range(100):
        if k.describe_stream_summary(StreamName="slow")["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE":
            break
        time.sleep(0.05)
    # Of one call, which comes at one time however slow the machine is.
    much = [{"Data": b"x" * 9999, "PartitionKey": "a"}] * 500
    got = does("PutRecords", lambda: k.put_records(StreamName="slow", Records=much))
    failures = [r for r in got["Records"] if "ErrorCode" in r]
    case("a mebibyte of it goes, and no more", 500 - len(failures) == (1 << 20) // 10000, len(failures))
    case("each that does not says why", {(r["ErrorCode"], r["ErrorMessage"]) for r in failures} ==
         {("ProvisionedThroughputExceededException", text_of(0))}, failures[:1])
    case("and is counted", got["FailedRecordCount"] == len(failures), got["FailedRecordCount"])
    for _ in range(4):
        time.sleep(1.1)
        got = k.put_records(StreamName="slow", Records=much)
        case("a second later as much", got["FailedRecordCount"] == len(failures), got["FailedRecordCount"])
    refused("one record, likewise", lambda: [k.put_record(StreamName="slow", Data=b"x" * 1000000, PartitionKey="a") for _ in range(10)],
            "ProvisionedThroughputExceededException", text_of(0))
    # 5 MiB are read at once; then the shard is shut until it has given no more than 2 MiB a second.
    it = k.get_shard_iterator(StreamName="slow", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    case("a read of more than a second's is given", len(k.get_records(ShardIterator=it)["Records"]) >= 500)
    refused("and is the last for a while", lambda: [k.get_records(ShardIterator=it) for _ in range(10)],
            "ProvisionedThroughputExceededException", text_of(0))
    k.update_stream_mode(StreamARN=f"arn:aws:kinesis:local:{ACCOUNT}:stream/slow", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    for _ in range(100):
        if k.describe_stream_summary(StreamName="slow")["StreamDescriptionSummary"]["StreamModeDetails"]["StreamMode"] == "ON_DEMAND":
            break
        time.sleep(0.05)
    for _ in range(20):
        if k.put_records(StreamName="slow", Records=much)["FailedRecordCount"] == 0:
            break
        time.sleep(0.3)
    else:
        case("on demand there is no limit", False)
