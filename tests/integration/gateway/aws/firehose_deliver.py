"""Delivery streams by boto3 against a whole appliance: what was acknowledged is found in files, whatever happens to ingestd."""
import glob
import os
import time

from botocore.exceptions import ClientError

import checked
from checked import client

SITE = os.environ["SITE"]
ROLE = "arn:aws:iam::000000000000:role/deliver"
passed = failed = 0


def case(name, good, said=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print(f"FAILED  {name}: {str(said)[:600]}")


def s3(bucket, **more):
    return {"RoleARN": ROLE, "BucketARN": f"arn:aws:s3:::{bucket}", "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
            "ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "AppendDelimiterToRecord"}]}, **more}


def wait(f, name, what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        d = f.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
        if what(d):
            return d
        time.sleep(0.1)
    return d


def lines(bucket):
    found = []
    for path in glob.glob(f"{SITE}/store/{bucket}/**", recursive=True):
        if os.path.isfile(path):
            with open(path, "rb") as o:
                found += o.read().split(b"\n")[:-1]
    return found


def delivered(name, bucket, put, seconds=60):
    """At least once: all of them, nothing else, copies only of what an answer was lost for."""
    end, missing = time.monotonic() + seconds, put
    while missing and time.monotonic() < end:
        time.sleep(0.2)
        missing = put - set(lines(bucket))
    case(f"{name}: what was acknowledged is in files", not missing, sorted(missing)[:3])
    return lines(bucket)


def put_through(f, name, records):
    """Batches, each repeated as a client does: the records that were acknowledged."""
    acknowledged = set()
    for first in range(0, len(records), 100):
        left = records[first:first + 100]
        end = time.monotonic() + 60
        while left and time.monotonic() < end:
            try:
                got = f.put_record_batch(DeliveryStreamName=name, Records=[{"Data": d} for d in left])
            except ClientError as e:
                case(f"{name}: a call fails as one to be repeated", e.response["ResponseMetadata"]["HTTPStatusCode"] >= 500, e)
                time.sleep(0.3)
                continue
            results = got["RequestResponses"]
            acknowledged |= {d for d, r in zip(left, results) if "RecordId" in r}
            case(f"{name}: what failed is counted", got["FailedPutCount"] == sum("ErrorCode" in r for r in results), got["FailedPutCount"])
            left = [d for d, r in zip(left, results) if "RecordId" not in r]
        if first == 1000:
            open(f"{SITE}/putting", "w").close()
        if first > 1000:
            time.sleep(0.05)
    open(f"{SITE}/put", "w").close()
    return acknowledged


def main():
    f, k = client("firehose", "alice"), client("kinesis", "alice")
    key = client("kms", "alice").create_key()["KeyMetadata"]["Arn"]
    k.create_stream(StreamName="feed", ShardCount=2)
    f.create_delivery_stream(DeliveryStreamName="plain", ExtendedS3DestinationConfiguration=s3("plain", Prefix="in/"))
    f.create_delivery_stream(DeliveryStreamName="keyed", ExtendedS3DestinationConfiguration=s3("keyed"),
                             DeliveryStreamEncryptionConfigurationInput={"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": key})
    f.create_delivery_stream(DeliveryStreamName="of-feed", DeliveryStreamType="KinesisStreamAsSource",
                             KinesisStreamSourceConfiguration={"KinesisStreamARN": "arn:aws:kinesis:local:000000000000:stream/feed", "RoleARN": ROLE},
                             ExtendedS3DestinationConfiguration=s3("feed", CompressionFormat="UNCOMPRESSED"))
    for name in ("plain", "keyed", "of-feed"):
        d = wait(f, name, lambda d: d["DeliveryStreamStatus"] == "ACTIVE")
        case(f"{name} is taken up", d["DeliveryStreamStatus"] == "ACTIVE", d)

    few = {b"one", b"two", b"three"}
    got = f.put_record_batch(DeliveryStreamName="keyed", Records=[{"Data": d} for d in sorted(few)])
    case("keyed: puts are Encrypted", got["Encrypted"] is True and got["FailedPutCount"] == 0, got)
    case("keyed: nothing more", sorted(delivered("keyed", "keyed", few)) == sorted(few))
    k.put_records(StreamName="feed", Records=[{"Data": d, "PartitionKey": d.decode()} for d in sorted(few)])
    case("of-feed: nothing more", sorted(delivered("of-feed", "feed", few)) == sorted(few))

    records = [b"%08d %s" % (i, b"x" * (i * 7919 % 400)) for i in range(6000)]
    acknowledged = put_through(f, "plain", records)
    case("plain: every record was acknowledged in the end", len(acknowledged) == len(records), len(acknowledged))
    there = delivered("plain", "plain", acknowledged, 90)
    case("plain: nothing else is there", set(there) <= set(records), sorted(set(there) - set(records))[:3])
    case("plain: under its prefix", os.listdir(f"{SITE}/store/plain")[0].startswith("in"), os.listdir(f"{SITE}/store/plain"))

    f.update_destination(DeliveryStreamName="plain", CurrentDeliveryStreamVersionId="1", DestinationId="destinationId-000000000001",
                         ExtendedS3DestinationUpdate={"BucketARN": "arn:aws:s3:::other"})
    # Not at once: what is put meanwhile may go to the old place.
    after = set()
    for i in range(100):
        if lines("other"):
            break
        after.add(b"after %d" % i)
        f.put_record(DeliveryStreamName="plain", Record={"Data": b"after %d" % i})
        time.sleep(0.3)
    case("updated: records go to the new place", lines("other"))
    for _ in range(100):
        if after <= set(lines("plain") + lines("other")):
            break
        time.sleep(0.1)
    case("updated: none is lost on the way", after <= set(lines("plain") + lines("other")))
    f.delete_delivery_stream(DeliveryStreamName="plain")
    gone = None
    for _ in range(300):
        try:
            f.describe_delivery_stream(DeliveryStreamName="plain")
            time.sleep(0.1)
        except ClientError as e:
            gone = e.response["Error"]["Code"]
            break
    case("plain: is gone", gone == "ResourceNotFoundException", gone)


try:
    main()
except Exception as e:
    import traceback
    traceback.print_exc()
    case("the run", False, repr(e))
case("every answer fits its model", not checked.wrong, "\n    ".join(sorted(set(checked.wrong))[:30]))
print(f"{passed} {failed}")
