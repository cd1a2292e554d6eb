"""Clients of the gateway whose every answer is held against botocore's service models."""
import base64
import configparser
import json
import os
import re

import boto3
from botocore.config import Config

SITE, PORT = os.environ["SITE"], os.environ["PORT"]
# What is newer than the models that Debian has, and what the service does against its model.
NEWER = {"KeyMaterialId", "CurrentKeyMaterialId", "SourceKeyMaterialId", "DestinationKeyMaterialId", "KeyMaterialState",
         "StreamSummaries", "NextToken", "PolicyName", "KeyId", "RotationPeriodInDays", "NextRotationDate", "OnDemandRotationStartDate", "StreamARN",
         "FileExtension", "CustomTimeZone"}
# Where the model wants hosts of AWS.
ANY_HOST = {"ClusterJDBCURL", "ClusterEndpoint"}
COMMON = {"AccessDeniedException", "ExpiredTokenException", "IncompleteSignatureException", "InvalidSignatureException",
          "MissingAuthenticationTokenException", "UnrecognizedClientException", "UnknownOperationException",
          "SerializationException", "ValidationException", "ThrottlingException", "InternalFailure",
          "InternalFailureException", "ServiceUnavailableException", "DryRunOperationException",
          "UnsupportedOperationException", "InvalidArgumentException", "RequestEntityTooLargeException"}
seen = {}
wrong = []


def check(value, shape, where):
    kind = shape.type_name
    if value is None:
        return [f"{where} is null"]
    if kind == "structure":
        if not isinstance(value, dict):
            return [f"{where} is no map"]
        faults = [f"{where}.{m} is missing" for m in shape.required_members if m not in value]
        for name, member in value.items():
            if name not in shape.members:
                faults += [] if name in NEWER else [f"{where}.{name} is not known"]
            else:
                faults += check(member, shape.members[name], f"{where}.{name}")
        return faults
    if kind == "list":
        if not isinstance(value, list):
            return [f"{where} is no list"]
        return [f for i, v in enumerate(value) for f in check(v, shape.member, f"{where}[{i}]")]
    if kind == "map":
        return [f for k, v in value.items() for f in check(v, shape.value, f"{where}[{k}]")]
    if kind == "string":
        if not isinstance(value, str):
            return [f"{where} is no string"]
        enum = shape.metadata.get("enum")
        faults = [f"{where}: {value!r} is not in {enum}"] if enum and value not in enum else []
        if "pattern" in shape.metadata:
            pattern = shape.metadata["pattern"].replace("+-=", "+=,.@:/-=")
            pattern = re.sub(r"\\p\{.\}", r"\\w ", pattern)
            if where.split(".")[-1] not in ANY_HOST and not re.search(pattern, value):
                faults.append(f"{where}: {value!r} does not match {pattern}")
        limits, size = shape.metadata, len(value)
    elif kind == "blob":
        limits, size, faults = shape.metadata, len(base64.b64decode(value, validate=True)), []
    elif kind in ("integer", "long"):
        if not isinstance(value, int) or isinstance(value, bool):
            return [f"{where} is no whole number"]
        limits, size, faults = shape.metadata, value, []
        if where.endswith("FailedRecordCount"):
            limits = {}
        if where.endswith("BufferingHints.IntervalInSeconds"):
            limits = {"max": 900}
    elif kind == "boolean":
        return [] if isinstance(value, bool) else [f"{where} is no bool"]
    elif kind == "timestamp":
        return [] if isinstance(value, (int, float)) and 1.6e9 < value < 5e9 else [f"{where}: {value!r} is no time"]
    else:
        return [f"{where}: a {kind}"]
    if not limits.get("min", size) <= size <= limits.get("max", size):
        faults.append(f"{where}: {size} is not within {limits}")
    return faults


def on_response(response_dict, operation_model=None, event_name="", model=None, **kwargs):
    operation = event_name.split(".")[-1]
    op = model.operation_model(operation)
    status, body, headers = response_dict["status_code"], response_dict["body"], response_dict["headers"]
    seen.setdefault(f"{model.service_name}.{operation}", set()).add(status)
    headers = {k.lower(): v for k, v in headers.items()}
    faults = [f"no {h}" for h in ("x-amzn-requestid", "x-amz-id-2", "date") if h not in headers]
    if headers.get("content-type") != "application/x-amz-json-1.1":
        faults.append(f"content type {headers.get('content-type')}")
    if status == 200:
        if op.output_shape is None:
            faults += ["a body where none is"] if body else []
        else:
            faults += check(json.loads(body), op.output_shape, operation)
    else:
        error = json.loads(body)
        known = {s.error_code for s in op.error_shapes} | {s.name for s in op.error_shapes} | COMMON
        if error["__type"] not in known:
            faults.append(f"{error['__type']} is no error of {operation}")
    wrong.extend(f"{operation}: {f}" for f in faults)


def session(name):
    c = configparser.ConfigParser()
    c.read(f"{SITE}/{name}.credentials")
    s = c[c.sections()[0]]
    return boto3.Session(aws_access_key_id=s["aws_access_key_id"], aws_secret_access_key=s["aws_secret_access_key"],
                         aws_session_token=s.get("aws_session_token"), region_name="local")


def client(service, who, **more):
    s = session(who) if isinstance(who, str) else who
    c = s.client(service, endpoint_url=f"https://localhost:{PORT}", verify=f"{SITE}/ca.pem",
                 config=Config(retries={"max_attempts": 0}, parameter_validation=False, **more))
    if service != "sts":
        model = c.meta.service_model
        c.meta.events.register(f"response-received.{service}",
                               lambda **kw: on_response(model=model, **kw))
    return c
