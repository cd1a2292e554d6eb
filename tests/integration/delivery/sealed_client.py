"""The Amazon S3 Encryption Client for Python, unchanged and with its defaults, with our gateway as its KMS and a small store of the
test as its S3: opens what deliverd seals, and seals what `sealock open` has to open. Each line is one case.

    sealed_client.py KEY FILE...          FILE and FILE.meta.json; FILE.plain is its content
"""
import configparser
import http.server
import json
import os
import sys
import threading
import urllib.parse

import boto3
from botocore.config import Config
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.materials.kms_keyring import KmsKeyring

objects = {}


class Store(http.server.BaseHTTPRequestHandler):
    """GET and PUT of /bucket/key; metadata as they come."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, code, headers, body=b""):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def name(self):
        return urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).split("/", 2)[2]

    def do_GET(self):
        if self.name() not in objects:
            self.answer(404, {}, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        body, meta = objects[self.name()]
        self.answer(200, {f"x-amz-meta-{k}": v for k, v in meta.items()} | {"ETag": "\"x\""}, body)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        meta = {k[11:].lower(): v for k, v in self.headers.items() if k.lower().startswith("x-amz-meta-")}
        objects[self.name()] = (body, meta)
        self.answer(200, {"ETag": "\"x\""})


def case(name, good, said=""):
    print("ok " + name if good else f"FAILED  {name}: {said}")


def main():
    site = os.environ["SITE"]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = configparser.ConfigParser()
    config.read(f"{site}/alice.credentials")
    keys = config[config.sections()[0]]
    common = {"region_name": "local", "aws_access_key_id": keys["aws_access_key_id"],
              "aws_secret_access_key": keys["aws_secret_access_key"]}
    kms = boto3.client("kms", endpoint_url=f"https://localhost:{os.environ['PORT']}", verify=f"{site}/ca.pem", **common)
    s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{server.server_address[1]}",
                      config=Config(s3={"addressing_style": "path", "payload_signing_enabled": False},
                                    request_checksum_calculation="when_required"), **common)
    client = S3EncryptionClient(s3, S3EncryptionClientConfig(keyring=KmsKeyring(kms, sys.argv[1])))
    for name in sys.argv[2:]:
        with open(name, "rb") as f:
            body = f.read()
        with open(f"{name}.meta.json", encoding="utf-8") as f:
            meta = json.load(f)["Metadata"]
        with open(f"{name}.plain", "rb") as f:
            plain = f.read()
        objects[name] = (body, meta)
        try:
            got = client.get_object(Bucket="bucket", Key=name)["Body"].read()
            case(f"the client opens {name} with its defaults", got == plain, f"{len(got)} bytes")
        except Exception as e:
            case(f"the client opens {name} with its defaults", False, repr(e))
        objects["bent"] = (body[:-1] + bytes([body[-1] ^ 1]), meta)
        try:
            client.get_object(Bucket="bucket", Key="bent")["Body"].read()
            case(f"the client refuses {name} with a bent tag", False, "opened")
        except Exception as e:
            case(f"the client refuses {name} with a bent tag", "Failed to decrypt Object" in repr(e), repr(e))
    client.put_object(Bucket="bucket", Key="theirs", Body=b"sealed by the client\n" * 1000)
    body, meta = objects["theirs"]
    with open("theirs", "wb") as f:
        f.write(body)
    with open("theirs.meta.json", "w", encoding="utf-8") as f:
        json.dump({"Metadata": meta}, f)
    case("the client seals", meta.get("x-amz-c") == "115", meta)
    server.shutdown()


main()
