#!/usr/bin/env python3
"""Make shapes_kinesis.c, shapes_kms.c and shapes_firehose.c from the published service models (botocore's data directory).

    make_shapes.py BOTOCORE_DATA_DIRECTORY [SERVICE...]

Written are the input shapes of the operations named below: names, types, required members and limits. The tables are checked in,
so that a build needs no models.
"""
import json, os, re, sys, gzip, glob

KINESIS = """AddTagsToStream CreateStream DecreaseStreamRetentionPeriod DeleteStream DescribeLimits DescribeStream
DescribeStreamSummary GetRecords GetShardIterator IncreaseStreamRetentionPeriod ListShards ListStreams ListTagsForStream
MergeShards PutRecord PutRecords RemoveTagsFromStream SplitShard StartStreamEncryption StopStreamEncryption UpdateShardCount
UpdateStreamMode PutResourcePolicy GetResourcePolicy DeleteResourcePolicy""".split()
KMS = """CancelKeyDeletion CreateAlias CreateGrant CreateKey Decrypt DeleteAlias DescribeKey DisableKey DisableKeyRotation
EnableKey EnableKeyRotation Encrypt GenerateDataKey GenerateDataKeyWithoutPlaintext GenerateRandom GetKeyPolicy
GetKeyRotationStatus GetPublicKey ListAliases ListGrants ListKeyPolicies ListKeyRotations ListKeys ListResourceTags
ListRetirableGrants PutKeyPolicy ReEncrypt RetireGrant RevokeGrant RotateKeyOnDemand ScheduleKeyDeletion Sign TagResource
UntagResource UpdateAlias UpdateKeyDescription Verify DescribeCustomKeyStores""".split()
FIREHOSE = """CreateDeliveryStream DeleteDeliveryStream DescribeDeliveryStream ListDeliveryStreams ListTagsForDeliveryStream
PutRecord PutRecordBatch StartDeliveryStreamEncryption StopDeliveryStreamEncryption TagDeliveryStream UntagDeliveryStream
UpdateDestination""".split()

PATTERNS = {
    r'[a-zA-Z0-9_.-]+': 'stream_name', r'arn:aws.*:kinesis:.*:\d{12}:stream/\S+': 'stream_arn',
    r'^(0|([1-9]\d{0,38}))$': 'hash_key', r'0|([1-9]\d{0,38})': 'hash_key',
    r'^(0|([1-9]\d{0,128}))$': 'sequence', r'0|([1-9]\d{0,128})': 'sequence',
    r'^[a-zA-Z0-9:/_-]+$': 'alias', r'[\w]+': 'word', r'[\u0020-\u00FF]*': 'latin',
    r'^(?!aws:)[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*$': 'tag_key', r'^[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*$': 'tag_value',
    r'arn:.*': 'arn', r'[0-9]+': 'digits', r'[a-zA-Z0-9-]+': 'destination_id',
    r'[\u0009\u000A\u000D\u0020-\u00FF]+': 'policy', r'^[\w+=,.@:/-]+$': 'principal', r'^[\w+-=,.@:/]+$': 'principal',
}
# Said by the reference's text, not by the model, or needed here whatever the model leaves open.
REQUIRED = {('PutRecordInput', 'PartitionKey'), ('PutRecordInput', 'Data'), ('PutRecordsRequestEntry', 'PartitionKey')}
# Enumerations are checked where the value is used: a token may have less than the model lists.
NO_ENUM = {'CustomerMasterKeySpec', 'KeySpec', 'SigningAlgorithmSpec', 'EncryptionAlgorithmSpec', 'KeyUsageType', 'OriginType'}
# Descriptions of delivery streams: lib/delivery reads and checks them, wherever they come from.
OPAQUE = re.compile(r'.*Destination(Configuration|Update)|KinesisStreamSourceConfiguration')
# Newer than the model: sources that are refused by their name.
NO_ENUM |= {'DeliveryStreamType'}
KINDS = {'string': 'STRING', 'integer': 'INT', 'long': 'LONG', 'boolean': 'BOOL', 'blob': 'BLOB', 'timestamp': 'TIME',
         'list': 'LIST', 'map': 'MAP', 'structure': 'STRUCT'}


def load(data, service):
    path = sorted(glob.glob(f'{data}/{service}/*/service-2.json*'))[-1]
    with (gzip.open if path.endswith('.gz') else open)(path) as f:
        return json.load(f)


class Writer:
    def __init__(self, model, prefix):
        self.model, self.prefix, self.done, self.out = model, prefix, set(), []

    def name(self, shape):
        return f's_{shape}'

    def shape(self, name):
        if name in self.done:
            return
        self.done.add(name)
        s = self.model['shapes'][name]
        kind = s['type']
        fields = [f'.kind = GW_KIND_{KINDS[kind]}']
        lo, hi = s.get('min'), s.get('max')
        if kind in ('boolean', 'timestamp', 'structure'):
            lo = hi = None
        fields += [f'.min = {lo if lo is not None else "GW_ANY"}', f'.max = {hi if hi is not None else "GW_ANY"}']
        if s.get('sensitive') or name == 'Data':
            fields.append('.sensitive = true')
        if s.get('pattern') in PATTERNS:
            fields.append(f'.pattern = &gw_pattern_{PATTERNS[s["pattern"]]}')
        if 'enum' in s and name not in NO_ENUM:
            values = ', '.join(f'"{v}"' for v in s['enum'])
            self.out.append(f'static const char *const e_{name}[] = {{{values}, NULL}};')
            fields.append(f'.values = e_{name}')
        if kind == 'structure':
            members = []
            required = set(s.get('required', [])) | {m for n, m in REQUIRED if n == name}
            for member, ref in ({} if OPAQUE.fullmatch(name) else s.get('members', {})).items():
                self.shape(ref['shape'])
                members.append(f'\t{{"{member}", &{self.name(ref["shape"])}, {str(member in required).lower()}}},')
            self.out.append(f'static const struct gw_member m_{name}[] = {{\n' + ''.join(m + '\n' for m in members) + '\t{NULL, NULL, false}};')
            fields.append(f'.members = m_{name}')
        elif kind == 'list':
            self.shape(s['member']['shape'])
            fields.append(f'.item = &{self.name(s["member"]["shape"])}')
        elif kind == 'map':
            self.shape(s['key']['shape'])
            self.shape(s['value']['shape'])
            fields += [f'.item = &{self.name(s["value"]["shape"])}', f'.key = &{self.name(s["key"]["shape"])}']
        self.out.append(f'static const struct gw_shape {self.name(name)} = {{{", ".join(fields)}}};')

    def run(self, operations):
        table = []
        for op in sorted(operations):
            ref = self.model['operations'][op].get('input')
            if ref is None:
                raise SystemExit(f'{op} has no input')
            self.shape(ref['shape'])
            table.append(f'\t{{"{op}", &{self.name(ref["shape"])}, {str("output" in self.model["operations"][op]).lower()}}},')
        body = '\n'.join(self.out)
        return f'''/* Made by make_shapes.py from the published service model. Not to be edited. */
#include "aws/shapes.h"

/* clang-format off */
{body}

static const struct gw_input inputs[] = {{
{chr(10).join(table)}
\t{{NULL, NULL, false}},
}};
/* clang-format on */

const struct gw_input *const gw_inputs_{self.prefix} = inputs;
'''


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    here = os.path.dirname(os.path.abspath(__file__))
    for service, operations in (('kinesis', KINESIS), ('kms', KMS), ('firehose', FIREHOSE)):
        if len(sys.argv) > 2 and service not in sys.argv[2:]:
            continue
        text = Writer(load(sys.argv[1], service), service).run(operations)
        with open(f'{here}/shapes_{service}.c', 'w') as f:
            f.write(text)


main()
