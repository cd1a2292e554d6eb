"""Producers and a consumer by boto3 while what they talk to is killed: nothing that was acknowledged may be lost.

Each producer puts batches of its own records until told to stop and writes down what was acknowledged; boto3 repeats by itself what
fails for a while. A consumer follows the shards all the time. At the end everything acknowledged has to have been read.
"""
import os
import sys
import threading
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import checked
from checked import session

STREAM, PRODUCERS, BATCH = "restart", 3, 40
stop = f"{checked.SITE}/stop"
acked, given_up, read = [set() for _ in range(PRODUCERS)], [0] * PRODUCERS, set()
order_broken = []


def client(who):
    return session(who).client("kinesis", endpoint_url=f"https://localhost:{checked.PORT}", verify=f"{checked.SITE}/ca.pem",
                               config=Config(retries={"max_attempts": 8, "mode": "standard"}, connect_timeout=2, read_timeout=10))


def produce(index):
    k, turn = client("producer"), 0
    while not os.path.exists(stop):
        turn += 1
        names = [f"{index}-{turn}-{i}" for i in range(BATCH)]
        left = names
        try:
            r = k.put_records(StreamName=STREAM, Records=[{"Data": n.encode(), "PartitionKey": n} for n in left])
            for name, one in zip(left, r["Records"]):
                if "SequenceNumber" in one:
                    acked[index].add(name)
        except (ClientError, BotoCoreError):
            given_up[index] += 1
            time.sleep(0.1)


def consume(shard, until):
    k, it, last = client("consumer"), None, None
    while time.time() < until[0]:
        try:
            if it is None:
                how = {"ShardIteratorType": "TRIM_HORIZON"} if last is None else \
                      {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": last}
                it = k.get_shard_iterator(StreamName=STREAM, ShardId=shard, **how)["ShardIterator"]
            r = k.get_records(ShardIterator=it)
        except ClientError as e:
            if e.response["Error"]["Code"] in ("ExpiredIteratorException", "InvalidArgumentException"):
                it = None  # the gateway was replaced: as KCL does
            time.sleep(0.1)
            continue
        except BotoCoreError:
            time.sleep(0.1)
            continue
        for record in r["Records"]:
            if last is not None and int(record["SequenceNumber"]) <= int(last):
                order_broken.append((last, record["SequenceNumber"]))
            last = record["SequenceNumber"]
            read.add(record["Data"].decode())
        it = r["NextShardIterator"]
        if not r["Records"]:
            time.sleep(0.05)


until = [time.time() + 120]
threads = [threading.Thread(target=produce, args=(i,)) for i in range(PRODUCERS)]
readers = [threading.Thread(target=consume, args=(f"shardId-{n:012d}", until)) for n in range(2)]
for t in threads + readers:
    t.start()
for t in threads:
    t.join()
everything = set().union(*acked)
end = time.time() + 20
while time.time() < end and not everything <= read:
    time.sleep(0.1)
until[0] = 0
for t in readers:
    t.join()
lost = everything - read
print(f"acknowledged {len(everything)} lost {len(lost)} disorder {len(order_broken)} given-up {sum(given_up)}")
sys.exit(1 if lost or order_broken or not everything else 0)
