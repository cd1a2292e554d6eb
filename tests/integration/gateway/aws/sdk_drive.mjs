// AWS SDK for JavaScript v3: Kinesis over HTTP/2, which it demands, and KMS over HTTP/1.1. Prints a line for each case.
import { KinesisClient, PutRecordsCommand, GetShardIteratorCommand, GetRecordsCommand, DescribeStreamSummaryCommand, ListShardsCommand, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { KMSClient, EncryptCommand, DecryptCommand, CreateKeyCommand } from "@aws-sdk/client-kms";
import fs from "fs";
const cred = Object.fromEntries(fs.readFileSync(process.env.SITE + "/alice.credentials", "utf8").split("\n").filter(l => l.includes("=")).map(l => l.split("=").map(s => s.trim())).map(([k, ...v]) => [k, v.join("=")]));
const credentials = { accessKeyId: cred.aws_access_key_id, secretAccessKey: cred.aws_secret_access_key };
const base = { endpoint: "https://localhost:" + process.env.PORT, region: "local", credentials, maxAttempts: 1 };
const k = new KinesisClient(base);
const check = (n, ok, s) => { console.log(ok ? "ok " : "FAILED ", n, ok ? "" : JSON.stringify(s)); if (!ok) process.exitCode = 1; };
try {
  const put = await k.send(new PutRecordsCommand({ StreamName: "js", Records: Array.from({ length: 500 }, (_, i) => ({ Data: new TextEncoder().encode("r" + i), PartitionKey: "k" + i })) }));
  check("PutRecords", put.FailedRecordCount === 0 && put.Records.length === 500, put.FailedRecordCount);
  const s = await k.send(new DescribeStreamSummaryCommand({ StreamARN: "arn:aws:kinesis:local:000000000000:stream/js" }));
  check("DescribeStreamSummary by ARN", s.StreamDescriptionSummary.OpenShardCount === 1, s);
  const l = await k.send(new ListShardsCommand({ StreamName: "js", ShardFilter: { Type: "AT_LATEST" } }));
  check("ListShards", l.Shards.length === 1, l);
  let it = (await k.send(new GetShardIteratorCommand({ StreamName: "js", ShardId: "shardId-000000000000", ShardIteratorType: "TRIM_HORIZON" }))).ShardIterator;
  const g = await k.send(new GetRecordsCommand({ ShardIterator: it, StreamARN: "arn:aws:kinesis:local:000000000000:stream/js" }));
  check("GetRecords", g.Records.length === 500 && new TextDecoder().decode(g.Records[499].Data) === "r499" && g.Records[0].ApproximateArrivalTimestamp > new Date(1.6e12), g.Records.length);
  await Promise.all(Array.from({ length: 200 }, (_, i) => k.send(new PutRecordCommand({ StreamName: "js", Data: new Uint8Array(1000), PartitionKey: "p" + i }))));
  check("200 PutRecord at once", true);
  try { await k.send(new PutRecordCommand({ StreamName: "none", Data: new Uint8Array(1), PartitionKey: "p" })); check("no stream", false); } catch (e) { check("no stream", e.name === "ResourceNotFoundException", e.name); }
  const kms = new KMSClient(base);
  const key = (await kms.send(new CreateKeyCommand({}))).KeyMetadata.KeyId;
  const e = await kms.send(new EncryptCommand({ KeyId: key, Plaintext: new TextEncoder().encode("x"), EncryptionContext: { a: "b" } }));
  const d = await kms.send(new DecryptCommand({ CiphertextBlob: e.CiphertextBlob, EncryptionContext: { a: "b" } }));
  check("KMS", new TextDecoder().decode(d.Plaintext) === "x", d);
} catch (e) { check("exception", false, { n: e.name, m: e.message, md: e.$metadata, s: String(e.stack).slice(0, 400) }); }
