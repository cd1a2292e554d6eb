"""The AWS Encryption SDK with its master keys here: a message for two keys, opened with one; a changed one is refused."""
import configparser
import logging
import os

import aws_encryption_sdk
import boto3
from aws_encryption_sdk.identifiers import CommitmentPolicy

logging.disable(logging.CRITICAL)
site = os.environ["SITE"]
c = configparser.ConfigParser()
c.read(f"{site}/alice.credentials")
s = c[c.sections()[0]]
os.environ.update(AWS_ACCESS_KEY_ID=s["aws_access_key_id"], AWS_SECRET_ACCESS_KEY=s["aws_secret_access_key"],
                  AWS_DEFAULT_REGION="local", AWS_CA_BUNDLE=f"{site}/ca.pem",
                  AWS_ENDPOINT_URL=f"https://localhost:{os.environ['PORT']}")
kms = boto3.client("kms")
first, second = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
both = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[first, second])
one = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[second])
sealed, _ = client.encrypt(source=b"hello" * 1000, key_provider=both, encryption_context={"purpose": "test"})
opened, header = client.decrypt(source=sealed, key_provider=one)
good = opened == b"hello" * 1000 and header.encryption_context["purpose"] == "test"
print("ok " if good else "FAILED ", "Encryption SDK: two keys, one opens")
try:
    client.decrypt(source=sealed[:-1] + bytes([sealed[-1] ^ 1]), key_provider=both)
    print("FAILED  Encryption SDK: a changed message was taken")
except Exception:
    print("ok  Encryption SDK: a changed message is refused")
