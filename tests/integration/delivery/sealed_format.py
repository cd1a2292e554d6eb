"""The format of sealed objects, written from docs/delivery-objects.md alone: opens one, or seals one, with the gateway's KMS by boto3.

    sealed_format.py open FILE            content to stdout
    sealed_format.py seal KEY FILE OUT    OUT and OUT.meta.json
"""
import base64
import configparser
import json
import os
import secrets
import sys

import boto3
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SUITE = b"\x00\x73"
NONCE = b"\x01" * 12
CONTEXT = {"aws:x-amz-cek-alg": "115"}


def kms():
    config = configparser.ConfigParser()
    config.read(f"{os.environ['SITE']}/alice.credentials")
    keys = config[config.sections()[0]]
    return boto3.client("kms", region_name="local", endpoint_url=f"https://localhost:{os.environ['PORT']}",
                        verify=f"{os.environ['SITE']}/ca.pem", aws_access_key_id=keys["aws_access_key_id"],
                        aws_secret_access_key=keys["aws_secret_access_key"])


def derive(data_key, message_id, label, length):
    return HKDF(algorithm=hashes.SHA512(), length=length, salt=message_id, info=SUITE + label).derive(data_key)


def open_object(name):
    with open(name, "rb") as f:
        body = f.read()
    with open(f"{name}.meta.json", encoding="utf-8") as f:
        meta = json.load(f)["Metadata"]
    assert meta["x-amz-c"] == "115" and meta["x-amz-w"] == "12", meta
    context = json.loads(meta["x-amz-t"])
    assert context == CONTEXT, context
    data_key = kms().decrypt(CiphertextBlob=base64.b64decode(meta["x-amz-3"], validate=True), EncryptionContext=context)["Plaintext"]
    message_id = base64.b64decode(meta["x-amz-i"], validate=True)
    assert len(message_id) == 28
    assert bytes_eq(derive(data_key, message_id, b"COMMITKEY", 28), base64.b64decode(meta["x-amz-d"], validate=True)), "commitment"
    return AESGCM(derive(data_key, message_id, b"DERIVEKEY", 32)).decrypt(NONCE, body, SUITE)


def seal_object(key, source, name):
    with open(source, "rb") as f:
        content = f.read()
    made = kms().generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=CONTEXT)
    message_id = secrets.token_bytes(28)
    body = AESGCM(derive(made["Plaintext"], message_id, b"DERIVEKEY", 32)).encrypt(NONCE, content, SUITE)
    b64 = lambda b: base64.b64encode(b).decode()
    meta = {"x-amz-c": "115", "x-amz-w": "12", "x-amz-3": b64(made["CiphertextBlob"]), "x-amz-t": json.dumps(CONTEXT),
            "x-amz-d": b64(derive(made["Plaintext"], message_id, b"COMMITKEY", 28)), "x-amz-i": b64(message_id)}
    with open(name, "wb") as f:
        f.write(body)
    with open(f"{name}.meta.json", "w", encoding="utf-8") as f:
        json.dump({"Metadata": meta, "ContentLength": len(body), "ETag": "\"x\""}, f, indent=2)


if __name__ == "__main__":
    if sys.argv[1] == "open":
        sys.stdout.buffer.write(open_object(sys.argv[2]))
    else:
        seal_object(*sys.argv[2:5])
