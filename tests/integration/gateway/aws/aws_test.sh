#!/usr/bin/env bash
# The gateway's services by real clients over TLS with a private CA: boto3 and awscli against a real kmsd on SoftHSM, a real ingestd and
# its journal. Every answer is held against botocore's service models. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: aws_test.sh BUILD_DIR [PART...]}
shift
. "$(dirname "$0")/site.sh"
aws_needs
aws_site
all='{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["kms:*","kinesis:*","sts:*"],"Resource":"*"}}'
caller alice "$all"
caller nobody '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}}'
caller producer '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kinesis:PutRecord","kinesis:PutRecords"],"Resource":"*"},
	{"Effect":"Allow","Action":"kms:GenerateDataKey","Resource":"*"}]}'
caller consumer '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kinesis:GetRecords","kinesis:GetShardIterator",
	"kinesis:DescribeStream"],"Resource":"*"},{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}]}'
caller plain '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["kinesis:PutRecord","kinesis:GetRecords","kinesis:GetShardIterator"],"Resource":"*"}}'
cat >"$site/trust.json" <<-END
	{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:user/alice"},
	"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"agreed"}}}}
END
sealock iam role create worker --trust "$site/trust.json" >/dev/null || die_with_log "$site/kmsd.log" "role create"

result=$(SITE=$site PORT=$port timeout 250 /usr/bin/python3 "$here/aws_drive.py" "$@" 2>"$err")
echo "$result" | sed '$d'
cat "$err"
set -- $(echo "$result" | tail -n 1)
passed=$((passed + ${1:-0})) failed=$((failed + ${2:-1}))
[ "$failed" = 0 ] || tail -n 30 "$site/gateway.log" "$site/ingestd.log" "$site/kmsd.log"

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
