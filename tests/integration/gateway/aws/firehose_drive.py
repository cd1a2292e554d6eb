"""Firehose by boto3: delivery streams, puts, encryption, tags. What deliverd would say of them, SETTLE says."""
import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from checked import client

ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/deliver"
S3 = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::archive"}
case = does = refused = raw = None  # aws_drive.py's


def settle(name, state="ACTIVE"):
    done = subprocess.run(os.environ["SETTLE"].split() + [name, state], capture_output=True, text=True)
    case(f"{name} is {state}", done.returncode == 0, done.stderr)


def described(f, name):
    return does("DescribeDeliveryStream", lambda: f.describe_delivery_stream(DeliveryStreamName=name))["DeliveryStreamDescription"]


def wait_encryption(f, name, status):
    for _ in range(100):
        d = f.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
        if d["DeliveryStreamEncryptionConfiguration"]["Status"] == status:
            return d["DeliveryStreamEncryptionConfiguration"]
        time.sleep(0.1)
    return {}


def zoned(f):
    """What is newer than the models here, as it is said on the wire."""
    def create(**more):
        to = {**S3, "Prefix": "a/!{timestamp:yyyy}/", "ErrorOutputPrefix": "b/!{firehose:error-output-type}/", "CustomTimeZone": "Asia/Tokyo",
              "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}, "FileExtension": ".log", "CompressionFormat": "ZSTD", **more}
        return raw("firehose", "Firehose_20150804.CreateDeliveryStream",
                   json.dumps({"DeliveryStreamName": "zoned", "ExtendedS3DestinationConfiguration": to}).encode())
    for what, more, said in (("a time zone that is none", {"CustomTimeZone": "Nowhere/None"}, b"CustomTimeZone"),
                             ("an expression that is none", {"Prefix": "!{nothing}/"}, b"!{nothing}"),
                             ("a compression that is not served", {"CompressionFormat": "Snappy"}, b"Snappy is not supported")):
        got = create(**more)
        case(what, got[0] == 400 and b"InvalidArgumentException" in got[2] and said in got[2], got)
    got = create()
    case("a time zone", got[0] == 200, got)
    got = raw("firehose", "Firehose_20150804.DescribeDeliveryStream", b'{"DeliveryStreamName":"zoned"}')
    case("is described", got[0] == 200 and all(t in got[2] for t in (b"Asia/Tokyo", b'"IntervalInSeconds":0', b'".log"', b"ZSTD")), got)
    settle("zoned")
    does("and goes", lambda: f.delete_delivery_stream(DeliveryStreamName="zoned"))
    settle("zoned", "DELETING")
    got = raw("firehose", "Firehose_20150804.CreateDeliveryStream", b" " * 65537)
    case("a description beyond its limit", got[0] == 400 and b"InvalidArgumentException" in got[2], got)
    got = raw("firehose", "Firehose_20150804.PutRecordBatch", b" " * (6 << 20))
    case("6 MiB are looked at", got[0] == 400 and b"SerializationException" in got[2], got)
    got = raw("firehose", "Firehose_20150804.PutRecordBatch", b" " * ((6 << 20) + 1))
    case("and one byte more is not", got[0] == 413, got)
    got = raw("kinesis", "Firehose_20150804.PutRecord", b"{}")
    case("a scope of another service", got[0] == 400 and b"Credential should be scoped to correct service: 'firehose'" in got[2], got)


def streams():
    f, nobody = client("firehose", "alice"), client("firehose", "nobody")
    arn = f"arn:aws:firehose:local:{ACCOUNT}:deliverystream/logs"
    made = does("CreateDeliveryStream", lambda: f.create_delivery_stream(
        DeliveryStreamName="logs", ExtendedS3DestinationConfiguration={
            **S3, "Prefix": "in/", "CompressionFormat": "GZIP", "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60}},
        Tags=[{"Key": "a", "Value": "b"}]))
    case("has its ARN", made.get("DeliveryStreamARN") == arn, made)
    d = described(f, "logs")
    case("is CREATING", (d["DeliveryStreamStatus"], d["VersionId"], d["DeliveryStreamType"]) == ("CREATING", "1", "DirectPut"), d)
    refused("a put before it is ACTIVE", lambda: f.put_record(DeliveryStreamName="logs", Record={"Data": b"x"}), "ResourceNotFoundException",
            "Firehose logs under account 000000000000 not found.")
    settle("logs")
    d = described(f, "logs")
    to = d["Destinations"][0]["ExtendedS3DestinationDescription"]
    case("is ACTIVE as described", d["DeliveryStreamStatus"] == "ACTIVE" and to["Prefix"] == "in/" and to["CompressionFormat"] == "GZIP" and
         to["BufferingHints"] == {"SizeInMBs": 1, "IntervalInSeconds": 60} and
         d["DeliveryStreamEncryptionConfiguration"] == {"Status": "DISABLED"} and "Source" not in d, d)
    refused("twice", lambda: f.create_delivery_stream(DeliveryStreamName="logs", S3DestinationConfiguration=S3), "ResourceInUseException",
            "Firehose logs under accountId 000000000000 already exists")
    refused("no destination", lambda: f.create_delivery_stream(DeliveryStreamName="none"), "InvalidArgumentException", "Exactly one")
    refused("two of them", lambda: f.create_delivery_stream(DeliveryStreamName="two", S3DestinationConfiguration=S3,
            ExtendedS3DestinationConfiguration=S3), "InvalidArgumentException", "Exactly one")
    refused("one that is not served", lambda: f.create_delivery_stream(DeliveryStreamName="s", SplunkDestinationConfiguration={}),
            "InvalidArgumentException", "SplunkDestinationConfiguration is not supported")
    for mib, seconds, said in ((129, 60, "128"), (0, 60, "1"), (1, 901, "900")):
        refused("a buffer beyond its limit", lambda: f.create_delivery_stream(DeliveryStreamName="b", ExtendedS3DestinationConfiguration={
            **S3, "BufferingHints": {"SizeInMBs": mib, "IntervalInSeconds": seconds}}), "ValidationException", "bufferingHints", said)
    zoned(f)
    refused("a name that is too long", lambda: f.create_delivery_stream(DeliveryStreamName="x" * 65, S3DestinationConfiguration=S3),
            "ValidationException", "less than or equal to 64")
    refused("a name that is none", lambda: f.create_delivery_stream(DeliveryStreamName="a/b", S3DestinationConfiguration=S3),
            "ValidationException", "[a-zA-Z0-9_.-]+")
    refused("who may not", lambda: nobody.create_delivery_stream(DeliveryStreamName="n", S3DestinationConfiguration=S3),
            "AccessDeniedException", "user/nobody is not authorized to perform: firehose:CreateDeliveryStream")
    said = refused("a password that is too short", lambda: f.create_delivery_stream(
        DeliveryStreamName="r", RedshiftDestinationConfiguration={
            "RoleARN": ROLE, "ClusterJDBCURL": "jdbc:redshift://h:1/d", "CopyCommand": {"DataTableName": "t"}, "Username": "u",
            "Password": "pq!x", "S3Configuration": S3}), "ValidationException", "password")
    case("and its error does not have it", "pq!x" not in str(said), said)

    f.create_delivery_stream(DeliveryStreamName="red", RedshiftDestinationConfiguration={
        "RoleARN": ROLE, "ClusterJDBCURL": "jdbc:redshift://h:5439/d", "CopyCommand": {"DataTableName": "t"}, "Username": "u",
        "Password": "t0p-secret", "S3Configuration": S3})
    d = described(f, "red")
    case("a password is not described", "t0p-secret" not in str(d) and d["Destinations"][0]["RedshiftDestinationDescription"]["Username"] == "u", d)
    refused("CREATING cannot be deleted", lambda: f.delete_delivery_stream(DeliveryStreamName="red"), "ResourceInUseException")
    settle("red", "CREATING_FAILED")
    d = described(f, "red")
    case("why it failed", d["FailureDescription"] == {"Type": "KMS_ACCESS_DENIED", "Details": "the role may not decrypt"}, d)

    names = does("ListDeliveryStreams", f.list_delivery_streams)
    case("lists", (names["DeliveryStreamNames"], names["HasMoreDeliveryStreams"]) == (["logs", "red"], False), names)
    one = does("of one", lambda: f.list_delivery_streams(Limit=1))
    case("one at a time", (one["DeliveryStreamNames"], one["HasMoreDeliveryStreams"]) == (["logs"], True), one)
    rest = does("and after it", lambda: f.list_delivery_streams(ExclusiveStartDeliveryStreamName="logs", Limit=10000))
    case("the rest", (rest["DeliveryStreamNames"], rest["HasMoreDeliveryStreams"]) == (["red"], False), rest)
    case("by type", does("of streams", lambda: f.list_delivery_streams(DeliveryStreamType="KinesisStreamAsSource"))["DeliveryStreamNames"] == [])
    refused("a limit of 0", lambda: f.list_delivery_streams(Limit=0), "ValidationException")

    does("UpdateDestination", lambda: f.update_destination(DeliveryStreamName="logs", CurrentDeliveryStreamVersionId="1",
         DestinationId="destinationId-000000000001", ExtendedS3DestinationUpdate={"Prefix": "other/"}))
    d = described(f, "logs")
    to = d["Destinations"][0]["ExtendedS3DestinationDescription"]
    case("merges", (d["VersionId"], to["Prefix"], to["CompressionFormat"]) == ("2", "other/", "GZIP") and "LastUpdateTimestamp" in d, d)
    refused("a stale version", lambda: f.update_destination(DeliveryStreamName="logs", CurrentDeliveryStreamVersionId="1",
            DestinationId="destinationId-000000000001", ExtendedS3DestinationUpdate={}), "ConcurrentModificationException",
            "Cannot update firehose: logs since the current version id: 2 and specified version id: 1 do not match")
    refused("another destination", lambda: f.update_destination(DeliveryStreamName="logs", CurrentDeliveryStreamVersionId="2",
            DestinationId="destinationId-000000000002", ExtendedS3DestinationUpdate={}), "InvalidArgumentException")

    does("TagDeliveryStream", lambda: f.tag_delivery_stream(DeliveryStreamName="logs", Tags=[{"Key": "c", "Value": ""}, {"Key": "d"}]))
    tags = does("ListTagsForDeliveryStream", lambda: f.list_tags_for_delivery_stream(DeliveryStreamName="logs"))
    case("has tags", [t["Key"] for t in tags["Tags"]] == ["a", "c", "d"] and not tags["HasMoreTags"], tags)
    tags = does("one tag", lambda: f.list_tags_for_delivery_stream(DeliveryStreamName="logs", ExclusiveStartTagKey="a", Limit=1))
    case("has more", [t["Key"] for t in tags["Tags"]] == ["c"] and tags["HasMoreTags"], tags)
    does("UntagDeliveryStream", lambda: f.untag_delivery_stream(DeliveryStreamName="logs", TagKeys=["a", "c"]))
    case("one is left", [t["Key"] for t in does("tags", lambda: f.list_tags_for_delivery_stream(DeliveryStreamName="logs"))["Tags"]] == ["d"])
    refused("a tag of AWS", lambda: f.tag_delivery_stream(DeliveryStreamName="logs", Tags=[{"Key": "aws:x", "Value": ""}]), "ValidationException")
    refused("51 tags", lambda: f.tag_delivery_stream(DeliveryStreamName="logs", Tags=[{"Key": str(i)} for i in range(51)]), "ValidationException")
    refused("50 more", lambda: f.tag_delivery_stream(DeliveryStreamName="logs", Tags=[{"Key": str(i)} for i in range(50)]), "LimitExceededException")
    refused("no such one", lambda: f.describe_delivery_stream(DeliveryStreamName="none"), "ResourceNotFoundException",
            "Firehose none under account 000000000000 not found.")
    does("DeleteDeliveryStream", lambda: f.delete_delivery_stream(DeliveryStreamName="red"))


def puts():
    f, putter = client("firehose", "alice"), client("firehose", "putter")
    f.create_delivery_stream(DeliveryStreamName="in", S3DestinationConfiguration=S3)
    settle("in")
    got = does("PutRecord", lambda: putter.put_record(DeliveryStreamName="in", Record={"Data": b"one"}))
    case("has an id", got.get("RecordId") and got.get("Encrypted") is False, got)
    does("nothing is a record", lambda: putter.put_record(DeliveryStreamName="in", Record={"Data": b""}))
    does("1,024,000 bytes", lambda: putter.put_record(DeliveryStreamName="in", Record={"Data": os.urandom(1024000)}))
    refused("and one more", lambda: putter.put_record(DeliveryStreamName="in", Record={"Data": os.urandom(1024001)}),
            "ValidationException", "Value at 'record.data'", "less than or equal to 1024000")
    got = does("PutRecordBatch of 500", lambda: putter.put_record_batch(DeliveryStreamName="in", Records=[{"Data": str(i).encode()} for i in range(500)]))
    ids = [r.get("RecordId") for r in got.get("RequestResponses", [])]
    case("each has an id of its own", got.get("FailedPutCount") == 0 and len(ids) == 500 and len(set(ids)) == 500 and all(ids), got.get("FailedPutCount"))
    refused("501", lambda: putter.put_record_batch(DeliveryStreamName="in", Records=[{"Data": b""}] * 501), "ValidationException", "500")
    refused("none", lambda: putter.put_record_batch(DeliveryStreamName="in", Records=[]), "ValidationException")
    full = [{"Data": b"x" * 1024000}] * 4 + [{"Data": b"x" * (4 * 1048576 - 4 * 1024000)}]
    got = does("4 MiB", lambda: putter.put_record_batch(DeliveryStreamName="in", Records=full))
    case("are stored", got.get("FailedPutCount") == 0 and len(got["RequestResponses"]) == 5, got)
    full[4] = {"Data": full[4]["Data"] + b"x"}
    refused("and a byte", lambda: putter.put_record_batch(DeliveryStreamName="in", Records=full), "InvalidArgumentException", "4 MB")
    refused("no such one", lambda: f.put_record(DeliveryStreamName="none", Record={"Data": b"x"}), "ResourceNotFoundException", "none")
    refused("who may not", lambda: client("firehose", "nobody").put_record(DeliveryStreamName="in", Record={"Data": b"x"}),
            "AccessDeniedException", "user/nobody is not authorized to perform: firehose:PutRecord",
            f"arn:aws:firehose:local:{ACCOUNT}:deliverystream/in")
    refused("Kinesis does not show it", lambda: client("kinesis", "alice").describe_stream(StreamName="deliverystream/in"), "ValidationException")
    case("nor lists it", not [n for n in client("kinesis", "alice").list_streams()["StreamNames"] if "in" == n or "deliverystream" in n])

    does("StartDeliveryStreamEncryption", lambda: f.start_delivery_stream_encryption(DeliveryStreamName="in"))
    case("with a key of the service", wait_encryption(f, "in", "ENABLED") == {"KeyType": "AWS_OWNED_CMK", "Status": "ENABLED"})
    got = does("PutRecord", lambda: putter.put_record(DeliveryStreamName="in", Record={"Data": b"two"}))
    case("says Encrypted", got.get("Encrypted") is True, got)
    key = client("kms", "alice").create_key()["KeyMetadata"]["Arn"]
    refused("a key that is not named", lambda: f.start_delivery_stream_encryption(DeliveryStreamName="in",
            DeliveryStreamEncryptionConfigurationInput={"KeyType": "CUSTOMER_MANAGED_CMK"}), "InvalidArgumentException", "KeyARN")
    does("with a key of one's own", lambda: f.start_delivery_stream_encryption(DeliveryStreamName="in",
         DeliveryStreamEncryptionConfigurationInput={"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": key}))
    case("is ENABLED", wait_encryption(f, "in", "ENABLED") == {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": key, "Status": "ENABLED"})
    said = refused("who may not use the key", lambda: putter.put_record(DeliveryStreamName="in", Record={"Data": b"x"}), "InvalidKMSResourceException")
    case("has KMS's exception as its code", said and said.get("code") == "AccessDeniedException", said)
    got = does("who may", lambda: f.put_record_batch(DeliveryStreamName="in", Records=[{"Data": b"three"}]))
    case("puts under it", got.get("Encrypted") is True and got.get("FailedPutCount") == 0, got)
    said = refused("a key that is not there", lambda: f.start_delivery_stream_encryption(DeliveryStreamName="in",
                   DeliveryStreamEncryptionConfigurationInput={"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": key[:-4] + "0000"}),
                   "InvalidKMSResourceException")
    case("code", said and said.get("code") == "NotFoundException", said)
    does("StopDeliveryStreamEncryption", lambda: f.stop_delivery_stream_encryption(DeliveryStreamName="in"))
    case("is DISABLED", wait_encryption(f, "in", "DISABLED") == {"Status": "DISABLED"})
    for _ in range(50):
        got = putter.put_record(DeliveryStreamName="in", Record={"Data": b"four"})
        if not got["Encrypted"]:
            break
        time.sleep(0.1)
    case("Encrypted no more", got["Encrypted"] is False, got)

    does("DeleteDeliveryStream", lambda: f.delete_delivery_stream(DeliveryStreamName="in"))
    settle("in", "DELETING")
    refused("is gone", lambda: f.describe_delivery_stream(DeliveryStreamName="in"), "ResourceNotFoundException")
    refused("for puts, too", lambda: putter.put_record(DeliveryStreamName="in", Record={"Data": b"x"}), "ResourceNotFoundException")


def source():
    f, k = client("firehose", "alice"), client("kinesis", "alice")
    k.create_stream(StreamName="feed", ShardCount=1)
    stream = f"arn:aws:kinesis:local:{ACCOUNT}:stream/feed"
    does("KinesisStreamAsSource", lambda: f.create_delivery_stream(
        DeliveryStreamName="of-feed", DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": stream, "RoleARN": ROLE}, ExtendedS3DestinationConfiguration=S3))
    settle("of-feed")
    d = described(f, "of-feed")
    case("names its source", d["Source"]["KinesisStreamSourceDescription"]["KinesisStreamARN"] == stream, d)
    case("is listed by type", does("ListDeliveryStreams", lambda: f.list_delivery_streams(
        DeliveryStreamType="KinesisStreamAsSource"))["DeliveryStreamNames"] == ["of-feed"])
    not_permitted = "This operation is not permitted on KinesisStreamAsSource delivery stream type."
    refused("takes no puts", lambda: f.put_record(DeliveryStreamName="of-feed", Record={"Data": b"x"}), "InvalidArgumentException", not_permitted)
    refused("nor batches", lambda: f.put_record_batch(DeliveryStreamName="of-feed", Records=[{"Data": b"x"}]), "InvalidArgumentException",
            not_permitted)
    refused("nor a key", lambda: f.start_delivery_stream_encryption(DeliveryStreamName="of-feed"), "InvalidArgumentException", not_permitted)
    refused("a source that is not there", lambda: f.create_delivery_stream(
        DeliveryStreamName="of-none", DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": stream + "-not", "RoleARN": ROLE}, ExtendedS3DestinationConfiguration=S3),
            "InvalidArgumentException", "KinesisStreamARN")
    refused("a source of another kind", lambda: f.create_delivery_stream(
        DeliveryStreamName="of-msk", DeliveryStreamType="MSKAsSource", ExtendedS3DestinationConfiguration=S3),
            "InvalidArgumentException", "MSKAsSource")
    does("DeleteDeliveryStream", lambda: f.delete_delivery_stream(DeliveryStreamName="of-feed"))
    settle("of-feed", "DELETING")


def listed():
    """More delivery streams than any page has: none is left out, none is there twice, and whoever asks knows when there are no more."""
    f = client("firehose", "alice")
    names = set(f.list_delivery_streams(Limit=10000)["DeliveryStreamNames"]) | {f"list-{i:03d}" for i in range(130)}
    for name in sorted(names, reverse=True):
        if name.startswith("list-"):
            f.create_delivery_stream(DeliveryStreamName=name, S3DestinationConfiguration=S3)
    names = sorted(names)

    def page(after=None, **more):
        return does("ListDeliveryStreams", lambda: f.list_delivery_streams(**({"ExclusiveStartDeliveryStreamName": after} if after else {}), **more))

    for limit in (None, 7, 50, 51, 127, len(names) - 1, len(names), len(names) + 1, 10000):
        found, after, sizes = [], None, []
        for _ in range(100):
            got = page(after, **({"Limit": limit} if limit else {}))
            found += got["DeliveryStreamNames"]
            sizes.append(len(got["DeliveryStreamNames"]))
            if not got["HasMoreDeliveryStreams"]:
                break
            after = found[-1]
        case(f"pages of {limit}: all, in order, once", found == names, (len(found), sizes))
        case(f"pages of {limit}: as large as they are to be", sizes == [limit or 10] * (len(names) // (limit or 10)) + (
            [len(names) % (limit or 10)] if len(names) % (limit or 10) else []), sizes)
    got = page(names[-1])
    case("after the last there is none", (got["DeliveryStreamNames"], got["HasMoreDeliveryStreams"]) == ([], False), got)
    got = page("list-0645", Limit=2)
    case("after a name that is none", (got["DeliveryStreamNames"], got["HasMoreDeliveryStreams"]) == (["list-065", "list-066"], True), got)
    got = page("list-100", Limit=10000, DeliveryStreamType="DirectPut")
    case("a type beyond a page", got["DeliveryStreamNames"][:29] == [f"list-{i}" for i in range(101, 130)], got)
    got = page(Limit=10000, DeliveryStreamType="KinesisStreamAsSource")
    case("and another", not any(n.startswith("list-") for n in got["DeliveryStreamNames"]) and not got["HasMoreDeliveryStreams"], got)
    for limit in (0, -1, 10001):
        refused(f"a limit of {limit}", lambda limit=limit: f.list_delivery_streams(Limit=limit), "ValidationException")


def provisioned():
    """Where limits are configured: 5 MiB a second, and then what is beyond is told apart."""
    f = client("firehose", "alice")
    f.create_delivery_stream(DeliveryStreamName="slow", S3DestinationConfiguration=S3)
    settle("slow")
    batch = [{"Data": b"x" * 1000000}] * 4
    got, failures = [], []
    for _ in range(10):  # as fast as this machine is
        with ThreadPoolExecutor(4) as pool:
            got += pool.map(lambda _: client("firehose", "alice").put_record_batch(DeliveryStreamName="slow", Records=batch), range(4))
        failures = [r for g in got for r in g["RequestResponses"] if "ErrorCode" in r]
        if failures:
            break
    case("what is beyond is told to slow down", {(r["ErrorCode"], r["ErrorMessage"]) for r in failures} ==
         {("ServiceUnavailableException", "Slow down.")}, failures[:2])
    case("and counted", [g["FailedPutCount"] for g in got] == [sum("ErrorCode" in r for r in g["RequestResponses"]) for g in got])
    case("the rest is stored", any("RecordId" in r for g in got for r in g["RequestResponses"]))
    time.sleep(1.1)
    does("a second later", lambda: f.put_record(DeliveryStreamName="slow", Record={"Data": b"x"}))
