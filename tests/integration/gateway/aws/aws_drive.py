"""KMS, STS, Kinesis and Firehose by boto3 against a real kmsd, ingestd and gateway: each line is one test case."""
import hashlib
import json
import sys
import time

from botocore.exceptions import ClientError

import checked
from checked import client, session

ACCOUNT = "000000000000"
passed = failed = 0


def case(name, good, said=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED  {name}: {said}")


def refused(name, call, code, *texts):
    try:
        got = call()
        case(name, False, f"was taken: {str(got)[:300]}")
    except ClientError as e:
        error = e.response["Error"]
        case(name, error["Code"] == code and all(t in error.get("Message", "") for t in texts), f"{error}")
        return e.response
    except Exception as e:
        case(name, False, repr(e))


def does(name, call):
    try:
        got = call()
        case(name, True)
        return got
    except Exception as e:
        case(name, False, repr(e))
        return {}


def kms_part():
    kms = client("kms", "alice")
    key = does("CreateKey", lambda: kms.create_key(Description="of a test", Tags=[{"TagKey": "a", "TagValue": "b"}]))["KeyMetadata"]
    arn, key_id = key["Arn"], key["KeyId"]
    case("a key is described", key["KeyState"] == "Enabled" and key["EncryptionAlgorithms"] == ["SYMMETRIC_DEFAULT"], key)
    does("CreateAlias", lambda: kms.create_alias(AliasName="alias/aws-test", TargetKeyId=key_id))
    case("DescribeKey by alias", does("DescribeKey", lambda: kms.describe_key(KeyId="alias/aws-test"))["KeyMetadata"]["Arn"] == arn)
    case("ListKeys", key_id in [k["KeyId"] for k in does("ListKeys", lambda: kms.list_keys())["Keys"]])
    case("ListAliases", "alias/aws-test" in [a["AliasName"] for a in does("ListAliases", kms.list_aliases)["Aliases"]])
    case("ListResourceTags", does("ListResourceTags", lambda: kms.list_resource_tags(KeyId=key_id))["Tags"] == [{"TagKey": "a", "TagValue": "b"}])
    does("TagResource", lambda: kms.tag_resource(KeyId=key_id, Tags=[{"TagKey": "c", "TagValue": ""}]))
    does("UntagResource", lambda: kms.untag_resource(KeyId=key_id, TagKeys=["a"]))
    does("UpdateKeyDescription", lambda: kms.update_key_description(KeyId=key_id, Description="another"))

    context = {"a": "b", "purpose": "test"}
    sealed = does("Encrypt", lambda: kms.encrypt(KeyId=key_id, Plaintext=b"secret", EncryptionContext=context))
    case("Encrypt names the key's ARN", sealed["KeyId"] == arn)
    opened = does("Decrypt", lambda: kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context))
    case("Decrypt gives it back", opened["Plaintext"] == b"secret" and opened["KeyId"] == arn)
    said = refused("a wrong context", lambda: kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext={"a": "c"}),
                   "InvalidCiphertextException")
    case("says nothing more", said["Error"].get("Message", "") == "", said)
    refused("a broken blob", lambda: kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"][:-1] + b"x", EncryptionContext=context),
            "InvalidCiphertextException")
    again = does("ReEncrypt", lambda: kms.re_encrypt(CiphertextBlob=sealed["CiphertextBlob"], SourceEncryptionContext=context,
                                                     DestinationKeyId="alias/aws-test", DestinationEncryptionContext={}))
    case("ReEncrypt keeps the plaintext", does("Decrypt of it", lambda: kms.decrypt(CiphertextBlob=again["CiphertextBlob"]))["Plaintext"] == b"secret")
    data = does("GenerateDataKey", lambda: kms.generate_data_key(KeyId=key_id, KeySpec="AES_256"))
    case("a data key has 32 bytes", len(data["Plaintext"]) == 32)
    case("AES_128 has 16", len(does("AES_128", lambda: kms.generate_data_key(KeyId=key_id, KeySpec="AES_128"))["Plaintext"]) == 16)
    case("64 bytes are 64", len(does("64", lambda: kms.generate_data_key(KeyId=key_id, NumberOfBytes=64))["Plaintext"]) == 64)
    case("without plaintext", "Plaintext" not in does("GenerateDataKeyWithoutPlaintext",
         lambda: kms.generate_data_key_without_plaintext(KeyId=key_id, KeySpec="AES_256")))
    refused("both sizes", lambda: kms.generate_data_key(KeyId=key_id, KeySpec="AES_256", NumberOfBytes=1), "ValidationException")
    refused("no size", lambda: kms.generate_data_key(KeyId=key_id), "ValidationException")
    case("GenerateRandom", len(does("GenerateRandom", lambda: kms.generate_random(NumberOfBytes=1024))["Plaintext"]) == 1024)
    refused("1,025 random bytes", lambda: kms.generate_random(NumberOfBytes=1025), "ValidationException", "less than or equal to 1024")
    does("4,096 bytes", lambda: kms.encrypt(KeyId=key_id, Plaintext=b"x" * 4096))
    said = refused("4,097 bytes", lambda: kms.encrypt(KeyId=key_id, Plaintext=b"x" * 4097), "ValidationException",
                   "Value at 'plaintext'", "less than or equal to 4096")

    pair = does("CreateKey RSA", lambda: kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY"))["KeyMetadata"]
    signature = does("Sign", lambda: kms.sign(KeyId=pair["KeyId"], Message=b"m", SigningAlgorithm="RSASSA_PSS_SHA_256"))
    does("Verify", lambda: kms.verify(KeyId=pair["KeyId"], Message=b"m", Signature=signature["Signature"],
                                      SigningAlgorithm="RSASSA_PSS_SHA_256"))
    refused("Verify of another message", lambda: kms.verify(KeyId=pair["KeyId"], Message=b"n", Signature=signature["Signature"],
            SigningAlgorithm="RSASSA_PSS_SHA_256"), "KMSInvalidSignatureException")
    does("GetPublicKey", lambda: kms.get_public_key(KeyId=pair["KeyId"]))

    policy = json.loads(does("GetKeyPolicy", lambda: kms.get_key_policy(KeyId=key_id, PolicyName="default"))["Policy"])
    case("ListKeyPolicies", does("ListKeyPolicies", lambda: kms.list_key_policies(KeyId=key_id))["PolicyNames"] == ["default"])
    does("PutKeyPolicy", lambda: kms.put_key_policy(KeyId=key_id, PolicyName="default", Policy=json.dumps(policy)))
    refused("a policy that is none", lambda: kms.put_key_policy(KeyId=key_id, PolicyName="default", Policy="{"),
            "MalformedPolicyDocumentException")
    grant = does("CreateGrant", lambda: kms.create_grant(KeyId=key_id, GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:user/nobody",
                 Operations=["Encrypt"], Constraints={"EncryptionContextSubset": {"a": "b"}}))
    nobody = client("kms", "nobody")
    does("a grant is a right", lambda: nobody.encrypt(KeyId=key_id, Plaintext=b"x", EncryptionContext={"a": "b"}))
    refused("within its constraint", lambda: nobody.encrypt(KeyId=key_id, Plaintext=b"x"), "AccessDeniedException",
            f"arn:aws:iam::{ACCOUNT}:user/nobody", "kms:Encrypt", arn)
    case("ListGrants", [g["GrantId"] for g in does("ListGrants", lambda: kms.list_grants(KeyId=key_id))["Grants"]] == [grant["GrantId"]])
    does("ListRetirableGrants", lambda: kms.list_retirable_grants(RetiringPrincipal=f"arn:aws:iam::{ACCOUNT}:user/alice"))
    does("RevokeGrant", lambda: kms.revoke_grant(KeyId=key_id, GrantId=grant["GrantId"]))
    refused("which ends it", lambda: nobody.encrypt(KeyId=key_id, Plaintext=b"x", EncryptionContext={"a": "b"}), "AccessDeniedException")
    token = does("CreateGrant again", lambda: kms.create_grant(KeyId=key_id, GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:user/nobody",
                 RetiringPrincipal=f"arn:aws:iam::{ACCOUNT}:user/alice", Name="n", Operations=["Encrypt"]))
    does("RetireGrant", lambda: kms.retire_grant(KeyId=arn, GrantId=token["GrantId"]))

    does("EnableKeyRotation", lambda: kms.enable_key_rotation(KeyId=key_id))
    case("GetKeyRotationStatus", does("GetKeyRotationStatus", lambda: kms.get_key_rotation_status(KeyId=key_id))["KeyRotationEnabled"])
    does("DisableKeyRotation", lambda: kms.disable_key_rotation(KeyId=key_id))
    does("DisableKey", lambda: kms.disable_key(KeyId=key_id))
    refused("a disabled key", lambda: kms.encrypt(KeyId=key_id, Plaintext=b"x"), "DisabledException", f"{arn} is disabled.")
    does("EnableKey", lambda: kms.enable_key(KeyId=key_id))
    gone = does("ScheduleKeyDeletion", lambda: kms.schedule_key_deletion(KeyId=pair["KeyId"], PendingWindowInDays=7))
    case("names the ARN", gone.get("KeyId") == pair["Arn"])
    does("CancelKeyDeletion", lambda: kms.cancel_key_deletion(KeyId=pair["KeyId"]))
    refused("6 days", lambda: kms.schedule_key_deletion(KeyId=pair["KeyId"], PendingWindowInDays=6), "ValidationException")
    does("UpdateAlias", lambda: kms.update_alias(AliasName="alias/aws-test", TargetKeyId=key_id))
    does("DeleteAlias", lambda: kms.delete_alias(AliasName="alias/aws-test"))
    refused("no such key", lambda: kms.describe_key(KeyId="alias/none"), "NotFoundException")
    case("DescribeCustomKeyStores", does("DescribeCustomKeyStores", kms.describe_custom_key_stores)["CustomKeyStores"] == [])
    refused("an operation that is not served", lambda: kms.generate_mac(KeyId=key_id, Message=b"x", MacAlgorithm="HMAC_SHA_256"),
            "UnsupportedOperationException")
    refused("who may nothing", lambda: nobody.create_key(), "AccessDeniedException", "kms:CreateKey", "user/nobody")


def sts_part():
    sts = client("sts", "alice")
    who = does("GetCallerIdentity", sts.get_caller_identity)
    case("says who", who.get("Arn") == f"arn:aws:iam::{ACCOUNT}:user/alice" and who.get("Account") == ACCOUNT, who)
    does("who may nothing may ask that", client("sts", "nobody").get_caller_identity)
    temporary = does("GetSessionToken", lambda: sts.get_session_token(DurationSeconds=900))["Credentials"]
    import boto3
    s = boto3.Session(temporary["AccessKeyId"], temporary["SecretAccessKey"], temporary["SessionToken"], region_name="local")
    case("which is alice", does("its identity", client("sts", s).get_caller_identity).get("Arn", "").endswith("user/alice"))
    does("and may what she may", lambda: client("kms", s).list_keys())
    bare = boto3.Session(temporary["AccessKeyId"], temporary["SecretAccessKey"], region_name="local")
    refused("without its token", lambda: client("kms", bare).list_keys(), "UnrecognizedClientException")
    role = does("AssumeRole", lambda: sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/worker", RoleSessionName="s1", ExternalId="agreed"))
    c = role["Credentials"]
    assumed = boto3.Session(c["AccessKeyId"], c["SecretAccessKey"], c["SessionToken"], region_name="local")
    case("is the role's session", does("its identity", client("sts", assumed).get_caller_identity).get("Arn") ==
         f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/s1")
    refused("without the external id", lambda: sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/worker", RoleSessionName="s1"),
            "AccessDenied", "sts:AssumeRole", "role/worker")
    refused("an operation that is not served", lambda: sts.get_access_key_info(AccessKeyId="AKIAAAAAAAAAAAAAAAAA"), "InvalidAction")
    bad = boto3.Session("AKIAAAAAAAAAAAAAAAAA", "x" * 40, region_name="local")
    refused("a key that is none", client("sts", bad).get_caller_identity, "InvalidClientTokenId")
    refused("the same of kms", client("kms", bad).list_keys, "UnrecognizedClientException",
            "The security token included in the request is invalid.")
    real = session("alice").get_credentials()
    forged = boto3.Session(real.access_key, "x" * 40, region_name="local")
    refused("a wrong secret", client("kms", forged).list_keys, "InvalidSignatureException", "does not match")
    refused("a wrong secret, query", client("sts", forged).get_caller_identity, "SignatureDoesNotMatch")
    url = client("sts", "alice").generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    import ssl
    import urllib.request
    tls = ssl.create_default_context(cafile=f"{checked.SITE}/ca.pem")
    with urllib.request.urlopen(url, context=tls) as r:
        case("a presigned GetCallerIdentity", b"user/alice" in r.read())


def kinesis_streams_part():
    k = client("kinesis", "alice")
    does("CreateStream", lambda: k.create_stream(StreamName="orders", ShardCount=2))
    for _ in range(100):
        d = does("DescribeStream", lambda: k.describe_stream(StreamName="orders"))["StreamDescription"]
        if d["StreamStatus"] == "ACTIVE":
            break
        time.sleep(0.1)
    case("is active", d["StreamStatus"] == "ACTIVE", d)
    case("has two shards over the whole range", [s["HashKeyRange"] for s in d["Shards"]] == [
        {"StartingHashKey": "0", "EndingHashKey": str(2**127 - 1)},
        {"StartingHashKey": str(2**127), "EndingHashKey": str(2**128 - 1)}], d)
    refused("the same again", lambda: k.create_stream(StreamName="orders", ShardCount=1), "ResourceInUseException", "already exists")
    arn = d["StreamARN"]
    s = does("DescribeStreamSummary", lambda: k.describe_stream_summary(StreamName="orders"))["StreamDescriptionSummary"]
    case("summary", s["OpenShardCount"] == 2 and s["ConsumerCount"] == 0)
    case("ListStreams", "orders" in does("ListStreams", k.list_streams)["StreamNames"])
    shards = does("ListShards", lambda: k.list_shards(StreamName="orders", MaxResults=1))
    case("ListShards pages", len(shards["Shards"]) == 1 and "NextToken" in shards, shards)
    rest = does("ListShards by token", lambda: k.list_shards(NextToken=shards["NextToken"]))
    case("to the end", len(rest["Shards"]) == 1 and "NextToken" not in rest, rest)
    refused("a token that is none", lambda: k.list_shards(NextToken="AAAA"), "ExpiredNextTokenException")
    refused("token and name", lambda: k.list_shards(StreamName="orders", NextToken=shards["NextToken"]), "InvalidArgumentException")
    does("AddTagsToStream", lambda: k.add_tags_to_stream(StreamName="orders", Tags={"a": "b"}))
    case("ListTagsForStream", does("ListTagsForStream", lambda: k.list_tags_for_stream(StreamName="orders"))["Tags"] == [{"Key": "a", "Value": "b"}])
    does("RemoveTagsFromStream", lambda: k.remove_tags_from_stream(StreamName="orders", TagKeys=["a"]))
    does("IncreaseStreamRetentionPeriod to what it is", lambda: k.increase_stream_retention_period(StreamName="orders", RetentionPeriodHours=24))
    does("IncreaseStreamRetentionPeriod", lambda: k.increase_stream_retention_period(StreamName="orders", RetentionPeriodHours=48))
    does("DecreaseStreamRetentionPeriod", lambda: k.decrease_stream_retention_period(StreamName="orders", RetentionPeriodHours=24))
    refused("23 hours", lambda: k.decrease_stream_retention_period(StreamName="orders", RetentionPeriodHours=23), "InvalidArgumentException",
            "too short")
    case("DescribeLimits", does("DescribeLimits", k.describe_limits)["OpenShardCount"] >= 2)
    refused("no stream", lambda: k.describe_stream(StreamName="none"), "ResourceNotFoundException",
            f"Stream none under account {ACCOUNT} not found.")
    refused("neither name nor ARN", lambda: k.describe_stream(), "InvalidArgumentException")
    refused("who may nothing", lambda: client("kinesis", "nobody").describe_stream_summary(StreamName="orders"), "AccessDeniedException",
            "kinesis:DescribeStreamSummary", arn, "user/nobody")
    refused("a bad name", lambda: k.create_stream(StreamName="a b", ShardCount=1), "ValidationException", "[a-zA-Z0-9_.-]+")
    refused("an operation that is not served", lambda: k.register_stream_consumer(StreamARN=arn, ConsumerName="c"), "UnknownOperationException")


def seq_ok(numbers):
    return all(len(n) == 56 for n in numbers) and [int(n) for n in numbers] == sorted(int(n) for n in numbers)


def read_all(k, stream, shard, **how):
    it = k.get_shard_iterator(StreamName=stream, ShardId=shard, **how)["ShardIterator"]
    got, end = [], time.time() + 10
    while time.time() < end:
        r = k.get_records(ShardIterator=it)
        got += r["Records"]
        it = r.get("NextShardIterator")
        if it is None or (not r["Records"] and r["MillisBehindLatest"] == 0):
            return got, r
    return got, {}


def kinesis_records_part():
    k, producer, consumer = client("kinesis", "alice"), client("kinesis", "producer"), client("kinesis", "consumer")
    one = does("PutRecord", lambda: producer.put_record(StreamName="orders", Data=b"hello", PartitionKey="a"))
    shard = "shardId-%012d" % (int(hashlib.md5(b"a").hexdigest(), 16) >> 127)
    case("goes where MD5 says", one.get("ShardId") == shard, one)
    case("with 56 digits", len(one.get("SequenceNumber", "")) == 56, one)
    got, last = read_all(consumer, "orders", shard, ShardIteratorType="TRIM_HORIZON")
    case("comes back", [(r["Data"], r["PartitionKey"], r["SequenceNumber"]) for r in got] == [(b"hello", "a", one["SequenceNumber"])], got)
    case("the tip is told", last.get("MillisBehindLatest") == 0 and "NextShardIterator" in last and "ChildShards" not in last)

    latest = does("LATEST", lambda: consumer.get_shard_iterator(StreamName="orders", ShardId="shardId-000000000001", ShardIteratorType="LATEST"))
    records = [{"Data": b"x" * i, "PartitionKey": f"key-{i}", "ExplicitHashKey": str(2**128 - 1)} for i in range(500)]
    many = does("PutRecords of 500", lambda: producer.put_records(StreamName="orders", Records=records))
    case("all stored", many.get("FailedRecordCount") == 0 and len(many["Records"]) == 500)
    case("by explicit hash key", {r.get("ShardId") for r in many["Records"]} == {"shardId-000000000001"})
    case("in order", seq_ok([r["SequenceNumber"] for r in many["Records"]]))
    r = does("GetRecords from LATEST", lambda: consumer.get_records(ShardIterator=latest["ShardIterator"]))
    case("gives all of them", [x["Data"] for x in r["Records"]] == [x["Data"] for x in records], len(r["Records"]))
    case("with their numbers", [x["SequenceNumber"] for x in r["Records"]] == [x["SequenceNumber"] for x in many["Records"]])
    tenth = many["Records"][10]["SequenceNumber"]
    at, _ = read_all(consumer, "orders", "shardId-000000000001", ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=tenth)
    case("AT_SEQUENCE_NUMBER", at and at[0]["SequenceNumber"] == tenth and len(at) == 490)
    after, _ = read_all(consumer, "orders", "shardId-000000000001", ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=tenth)
    case("AFTER_SEQUENCE_NUMBER", len(after) == 489 and after[0]["SequenceNumber"] == many["Records"][11]["SequenceNumber"])
    start = k.describe_stream(StreamName="orders")["StreamDescription"]["Shards"][1]["SequenceNumberRange"]["StartingSequenceNumber"]
    case("the start is below", int(start) < int(many["Records"][0]["SequenceNumber"]))
    all_, _ = read_all(consumer, "orders", "1", ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=start)
    case("AFTER the start", len(all_) == 500, len(all_))
    stamp = r["Records"][0]["ApproximateArrivalTimestamp"]
    timed, _ = read_all(consumer, "orders", "shardId-000000000001", ShardIteratorType="AT_TIMESTAMP", Timestamp=stamp)
    case("AT_TIMESTAMP", len(timed) == 500, len(timed))
    page = consumer.get_shard_iterator(StreamName="orders", ShardId="shardId-000000000001", ShardIteratorType="TRIM_HORIZON")
    page = does("GetRecords with a limit", lambda: consumer.get_records(ShardIterator=page["ShardIterator"], Limit=7))
    case("is limited", len(page["Records"]) == 7)
    page2 = does("goes on", lambda: consumer.get_records(ShardIterator=page["NextShardIterator"], Limit=7))
    case("behind it", page2["Records"][0]["SequenceNumber"] == many["Records"][7]["SequenceNumber"])
    empty = does("empty data", lambda: producer.put_record(StreamName="orders", Data=b"", PartitionKey="\u00e9\U0001f600" * 100))
    case("is stored", "SequenceNumber" in empty)

    refused("future", lambda: consumer.get_shard_iterator(StreamName="orders", ShardId="0", ShardIteratorType="AT_TIMESTAMP", Timestamp=time.time() + 100),
            "InvalidArgumentException", "cannot be greater than the currentTimestampInMillis")
    refused("no number", lambda: consumer.get_shard_iterator(StreamName="orders", ShardId="0", ShardIteratorType="AT_SEQUENCE_NUMBER"),
            "InvalidArgumentException", "Must either specify")
    refused("number of another shard", lambda: consumer.get_shard_iterator(StreamName="orders", ShardId="0", ShardIteratorType="AT_SEQUENCE_NUMBER",
            StartingSequenceNumber=tenth), "InvalidArgumentException", "It encodes shardId-000000000001")
    refused("number of nowhere", lambda: consumer.get_shard_iterator(StreamName="orders", ShardId="0", ShardIteratorType="AT_SEQUENCE_NUMBER",
            StartingSequenceNumber="12"), "InvalidArgumentException", "is invalid")
    refused("no shard", lambda: consumer.get_shard_iterator(StreamName="orders", ShardId="shardId-000000000009", ShardIteratorType="LATEST"),
            "ResourceNotFoundException", "does not exist")
    refused("a forged iterator", lambda: consumer.get_records(ShardIterator="AAAAAAAAAAE" + "A" * 100), "InvalidArgumentException", "Invalid ShardIterator.")
    flipped = page["NextShardIterator"][:-5] + ("A" if page["NextShardIterator"][-5] != "A" else "B") + page["NextShardIterator"][-4:]
    refused("a changed one", lambda: consumer.get_records(ShardIterator=flipped), "InvalidArgumentException", "Invalid ShardIterator.")
    does("quotes are taken off", lambda: consumer.get_records(ShardIterator='"' + page["NextShardIterator"] + '"'))
    refused("10,001 records", lambda: consumer.get_records(ShardIterator=page["NextShardIterator"], Limit=10001), "ValidationException")

    does("1 MiB with its key", lambda: producer.put_record(StreamName="orders", Data=b"x" * (2**20 - 1), PartitionKey="a"))
    refused("one more", lambda: producer.put_record(StreamName="orders", Data=b"x" * 2**20, PartitionKey="a"), "ValidationException")
    does("256 characters", lambda: producer.put_record(StreamName="orders", Data=b"x", PartitionKey="k" * 256))
    refused("257", lambda: producer.put_record(StreamName="orders", Data=b"x", PartitionKey="k" * 257), "ValidationException", "256")
    refused("no key", lambda: producer.put_record(StreamName="orders", Data=b"x", PartitionKey=""), "ValidationException")
    refused("501 records", lambda: producer.put_records(StreamName="orders", Records=records + [records[0]]), "ValidationException", "500")
    refused("2^128", lambda: producer.put_record(StreamName="orders", Data=b"x", PartitionKey="a", ExplicitHashKey=str(2**128)),
            "InvalidArgumentException", "ExplicitHashKey must be in the range: [0, 2^128-1]")
    big = [{"Data": b"x" * (2**20 - 1), "PartitionKey": "a"}] * 10
    case("10 MiB of 10", does("10 MiB", lambda: producer.put_records(StreamName="orders", Records=big)).get("FailedRecordCount") == 0)
    refused("a byte more", lambda: producer.put_records(StreamName="orders", Records=big + [{"Data": b"", "PartitionKey": "a"}]),
            "InvalidArgumentException")
    refused("no stream", lambda: k.put_record(StreamName="none", Data=b"x", PartitionKey="a"), "ResourceNotFoundException")
    refused("who may not put", lambda: consumer.put_record(StreamName="orders", Data=b"x", PartitionKey="a"), "AccessDeniedException",
            "kinesis:PutRecord", "user/consumer", f"arn:aws:kinesis:local:{ACCOUNT}:stream/orders")
    refused("who may not read", lambda: producer.get_records(ShardIterator=page["NextShardIterator"]), "AccessDeniedException",
            "kinesis:GetRecords", "user/producer")


def raw(service, target, body, who="alice", headers=None, method="POST", path="/", sign=True, spoil=None):
    """One request as it is said, signed by botocore: status, headers, body."""
    import http.client
    import ssl
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    said = {"Content-Type": "application/x-amz-json-1.1", "Host": f"localhost:{checked.PORT}"}
    if target:
        said["X-Amz-Target"] = target
    said.update(headers or {})
    request = AWSRequest(method, f"https://localhost:{checked.PORT}{path}", headers=said, data=body)
    if sign:
        SigV4Auth(session(who).get_credentials(), service, "local").add_auth(request)
    out = dict(request.headers.items())
    out.update(spoil or {})
    c = http.client.HTTPSConnection("localhost", int(checked.PORT), timeout=30,
                                    context=ssl.create_default_context(cafile=f"{checked.SITE}/ca.pem"))
    try:
        c.request(method, path, body=body, headers=out)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the answer came before the body's end
    r = c.getresponse()
    return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()


def says(name, got, status, body):
    case(name, got[0] == status and (got[2] == body if isinstance(body, bytes) else body(got[2])), got)


def error(kind, *texts):
    return lambda b: json.loads(b).get("__type") == kind and all(t in json.loads(b).get("message", json.loads(b).get("Message", "")) for t in texts)


def hostile_part():
    put, kms = "Kinesis_20131202.PutRecord", "TrentService.ListKeys"
    says("nothing at all", raw("kms", None, b"", method="GET", sign=False), 403,
         b"<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized</Message>\n</AccessDeniedException>\n")
    says("no target", raw("kms", None, b"{}"), 403, lambda b: b"Unable to determine" in b)
    says("a wrong content type", raw("kms", kms, b"{}", headers={"Content-Type": "text/plain"}), 404, b"<UnknownOperationException/>\n")
    says("an unknown operation", raw("kms", "TrentService.Nothing", b"{}"), 400, b'{"__type":"UnknownOperationException"}')
    says("an unknown service", raw("kms", "DynamoDB_20120810.PutItem", b"{}"), 400, b'{"__type":"UnknownOperationException"}')
    says("no signature", raw("kms", kms, b"{}", sign=False), 400, error("MissingAuthenticationTokenException", "Missing Authentication Token"))
    says("broken JSON", raw("kms", kms, b"{"), 400, b'{"__type":"SerializationException"}')
    says("broken JSON without a signature is not looked at", raw("kms", kms, b"{", sign=False), 400, error("MissingAuthenticationTokenException"))
    says("an empty body", raw("kms", kms, b""), 400, b'{"__type":"SerializationException"}')
    says("a list", raw("kms", kms, b"[]"), 400, error("SerializationException", "Start of list found where not expected"))
    says("a key twice", raw("kms", kms, b'{"Limit":1,"Limit":2}'), 400, b'{"__type":"SerializationException"}')
    says("10 MiB of [", raw("kinesis", put, b"[" * (10 << 20)), 400, b'{"__type":"SerializationException"}')
    says("deep maps", raw("kinesis", put, b'{"a":' * 100000), 400, b'{"__type":"SerializationException"}')
    says("a million empty lists", raw("kinesis", put, b"[" + b"[]," * 1000000 + b"[]]"), 400, b'{"__type":"SerializationException"}')
    says("more than 16 MiB", raw("kinesis", put, b" " * ((16 << 20) + 1)), 413, error("RequestEntityTooLargeException"))
    says("16 MiB of blanks", raw("kinesis", put, b" " * (16 << 20)), 400, b'{"__type":"SerializationException"}')
    says("more than 1 MiB for KMS", raw("kms", kms, b" " * ((1 << 20) + 1)), 413, error("RequestEntityTooLargeException"))
    says("a type that is wrong", raw("kinesis", put, b'{"StreamName":1,"Data":"","PartitionKey":"a"}'), 400,
         error("SerializationException", "TruncatingBigNumber can not be converted to a String"))
    says("base64 that is none", raw("kinesis", put, b'{"StreamName":"orders","Data":"*","PartitionKey":"a"}'), 400, error("SerializationException"))
    says("another target than was signed", raw("kms", kms, b"{}", spoil={"X-Amz-Target": "TrentService.CreateKey"}), 400,
         error("InvalidSignatureException", "does not match"))
    says("an old date", raw("kms", kms, b"{}", spoil={"X-Amz-Date": "20200101T000000Z"}), 400, error("InvalidSignatureException"))
    says("another service's scope", raw("kinesis", kms, b"{}"), 400, error("InvalidSignatureException", "scoped to correct service: 'kms'. "))
    says("a header that is not signed", raw("kms", kms, b"{}", spoil={"X-Amz-Extra": "1"}), 400,
         error("InvalidSignatureException", "x-amz-extra"))
    says("a payload that is not hashed", raw("kms", kms, b"{}", headers={"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}), 400,
         error("InvalidSignatureException"))
    arn = f"arn:aws:kinesis:local:{ACCOUNT}:stream/orders"
    where = lambda **m: raw("kinesis", "Kinesis_20131202.DescribeStreamSummary", json.dumps(m).encode())
    says("a stream by its ARN", where(StreamARN=arn), 200, lambda b: json.loads(b)["StreamDescriptionSummary"]["StreamName"] == "orders")
    says("by both", where(StreamARN=arn, StreamName="orders"), 200, lambda b: True)
    says("that disagree", where(StreamARN=arn, StreamName="other"), 400, error("InvalidArgumentException"))
    says("of another account", where(StreamARN=arn.replace(ACCOUNT, "1" * 12)), 400, error("ResourceNotFoundException"))
    says("an ARN that is none", where(StreamARN="orders"), 400, error("ValidationException"))
    says("the query protocol without an action", raw("sts", None, b"Version=2011-06-15",
         headers={"Content-Type": "application/x-www-form-urlencoded"}), 400, lambda b: b"<Code>InvalidAction</Code>" in b)
    says("an action twice", raw("sts", None, b"Action=GetCallerIdentity&Action=AssumeRole&Version=2011-06-15",
         headers={"Content-Type": "application/x-www-form-urlencoded"}), 400, lambda b: b"<Code>InvalidAction</Code>" in b)


def wait_active(k, name):
    for _ in range(100):
        d = k.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        if d["StreamStatus"] == "ACTIVE":
            return d
        time.sleep(0.05)
    return d


def kinesis_encryption_part():
    k, producer, consumer = client("kinesis", "alice"), client("kinesis", "producer"), client("kinesis", "consumer")
    kms = client("kms", "alice")
    key = kms.create_key(Description="of a stream")["KeyMetadata"]["Arn"]
    does("StartStreamEncryption", lambda: k.start_stream_encryption(StreamName="orders", EncryptionType="KMS", KeyId=key))
    d = wait_active(k, "orders")
    case("is KMS", d.get("EncryptionType") == "KMS" and d.get("KeyId") == key, d)
    said = None
    for _ in range(100):
        said = does("PutRecord under KMS", lambda: producer.put_record(StreamName="orders", Data=b"sealed", PartitionKey="a"))
        if said.get("EncryptionType") == "KMS":
            break
        time.sleep(0.1)
    case("says KMS", said.get("EncryptionType") == "KMS", said)
    got, _ = read_all(consumer, "orders", said["ShardId"], ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=said["SequenceNumber"])
    case("and comes back", [(r["Data"], r.get("EncryptionType")) for r in got] == [(b"sealed", "KMS")], got)
    refused("who lacks GenerateDataKey", lambda: client("kinesis", "plain").put_record(StreamName="orders", Data=b"x", PartitionKey="a"),
            "KMSAccessDeniedException", "kms:GenerateDataKey", "user/plain", key)
    it = client("kinesis", "plain").get_shard_iterator(StreamName="orders", ShardId=said["ShardId"], ShardIteratorType="AT_SEQUENCE_NUMBER",
                                                        StartingSequenceNumber=said["SequenceNumber"])["ShardIterator"]
    refused("who lacks Decrypt", lambda: client("kinesis", "plain").get_records(ShardIterator=it), "KMSAccessDeniedException", "kms:Decrypt",
            "user/plain", key)
    does("StopStreamEncryption", lambda: k.stop_stream_encryption(StreamName="orders", EncryptionType="KMS", KeyId=key))
    case("is NONE", wait_active(k, "orders").get("EncryptionType") == "NONE")
    for _ in range(100):
        after = does("PutRecord under NONE", lambda: producer.put_record(StreamName="orders", Data=b"plain", PartitionKey="a"))
        if after.get("EncryptionType") != "KMS":
            break
        time.sleep(0.1)
    got, _ = read_all(consumer, "orders", said["ShardId"], ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=said["SequenceNumber"])
    kinds = [r.get("EncryptionType") for r in got]
    case("each record says what it got, not its stream", kinds[0] == "KMS" and kinds[-1] is None and got[-1]["Data"] == b"plain", kinds)


def kinesis_reshard_part():
    k, producer, consumer = client("kinesis", "alice"), client("kinesis", "producer"), client("kinesis", "consumer")
    k.create_stream(StreamName="split", ShardCount=1)
    wait_active(k, "split")
    before = does("PutRecord before", lambda: producer.put_record(StreamName="split", Data=b"1", PartitionKey="a"))
    does("SplitShard", lambda: k.split_shard(StreamName="split", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127)))
    case("two are open", wait_active(k, "split").get("OpenShardCount") == 2)
    after = does("PutRecord after", lambda: producer.put_record(StreamName="split", Data=b"2", PartitionKey="a"))
    case("goes to a child", after.get("ShardId") in ("shardId-000000000001", "shardId-000000000002"), after)
    case("with a greater number", int(after["SequenceNumber"]) > int(before["SequenceNumber"]))
    got, last = read_all(consumer, "split", "shardId-000000000000", ShardIteratorType="TRIM_HORIZON")
    case("the parent ends", [r["Data"] for r in got] == [b"1"] and "NextShardIterator" not in last, last)
    case("and names its children", sorted((c["ShardId"], tuple(c["ParentShards"])) for c in last.get("ChildShards", [])) ==
         [("shardId-000000000001", ("shardId-000000000000",)), ("shardId-000000000002", ("shardId-000000000000",))], last)
    shards = does("ListShards", lambda: k.list_shards(StreamName="split"))["Shards"]
    case("lineage", [s.get("ParentShardId") for s in shards] == [None, "shardId-000000000000", "shardId-000000000000"], shards)
    case("the parent has an end", "EndingSequenceNumber" in shards[0]["SequenceNumberRange"])
    does("MergeShards", lambda: k.merge_shards(StreamName="split", ShardToMerge="shardId-000000000001", AdjacentShardToMerge="shardId-000000000002"))
    case("one is open", wait_active(k, "split").get("OpenShardCount") == 1)
    _, last = read_all(consumer, "split", "shardId-000000000001", ShardIteratorType="TRIM_HORIZON")
    case("both parents are named", [(c["ShardId"], c["ParentShards"]) for c in last.get("ChildShards", [])] ==
         [("shardId-000000000003", ["shardId-000000000001", "shardId-000000000002"])], last)
    r = does("UpdateShardCount", lambda: k.update_shard_count(StreamName="split", TargetShardCount=2, ScalingType="UNIFORM_SCALING"))
    case("counts", (r.get("CurrentShardCount"), r.get("TargetShardCount")) == (1, 2), r)
    wait_active(k, "split")
    does("DeleteStream", lambda: k.delete_stream(StreamName="split"))
    for _ in range(100):
        try:
            k.describe_stream_summary(StreamName="split")
            time.sleep(0.05)
        except ClientError as e:
            case("is gone", e.response["Error"]["Code"] == "ResourceNotFoundException")
            break


import firehose_drive
import limits_drive
firehose_drive.case, firehose_drive.does, firehose_drive.refused, firehose_drive.raw = case, does, refused, raw
PARTS = {"firehose": firehose_drive.streams, "firehose_puts": firehose_drive.puts, "firehose_source": firehose_drive.source,
         "firehose_list": firehose_drive.listed, "kms": kms_part, "sts": sts_part, "streams": kinesis_streams_part,
         "records": kinesis_records_part, "encryption": kinesis_encryption_part, "reshard": kinesis_reshard_part, "hostile": hostile_part,
         "model": lambda: limits_drive.model(case),
         "provisioned": lambda: (limits_drive.provisioned(case, does, refused), firehose_drive.provisioned())}
for part in sys.argv[1:] or [p for p in PARTS if p != "provisioned"]:  # that wants a gateway of its own
    try:
        PARTS[part]()
    except Exception as e:
        import traceback
        traceback.print_exc()
        case(part, False, repr(e))
case("every answer fits its model", not checked.wrong, "\n    ".join(sorted(set(checked.wrong))[:30]))
print(f"{passed} {failed}")
