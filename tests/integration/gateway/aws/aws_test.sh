#!/usr/bin/env bash
# The gateway's services by real clients over TLS with a private CA: boto3 and awscli against a real kmsd on SoftHSM, a real ingestd and
# its journal. Every answer is held against botocore's service models. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: aws_test.sh BUILD_DIR [PART...]}
shift
only=$*
. "$(dirname "$0")/site.sh"
aws_needs
aws_site
all='{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["kms:*","kinesis:*","firehose:*","sts:*","iam:PassRole"],"Resource":"*"}}'
caller alice "$all"
caller nobody '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}}'
caller producer '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kinesis:PutRecord","kinesis:PutRecords"],"Resource":"*"},
	{"Effect":"Allow","Action":"kms:GenerateDataKey","Resource":"*"}]}'
caller consumer '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kinesis:GetRecords","kinesis:GetShardIterator",
	"kinesis:DescribeStream"],"Resource":"*"},{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}]}'
caller plain '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["kinesis:PutRecord","kinesis:GetRecords","kinesis:GetShardIterator"],"Resource":"*"}}'
caller putter '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["firehose:PutRecord","firehose:PutRecordBatch"],"Resource":"*"}}'
cat >"$site/firehose.json" <<-END
	{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"firehose.amazonaws.com"},
	"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"000000000000"}}}}
END
sealock iam role create deliver --trust "$site/firehose.json" >/dev/null || die_with_log "$site/kmsd.log" "role create"
cat >"$site/trust.json" <<-END
	{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:user/alice"},
	"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"agreed"}}}}
END
sealock iam role create worker --trust "$site/trust.json" >/dev/null || die_with_log "$site/kmsd.log" "role create"

result=$(SITE=$site PORT=$port SETTLE="setpriv --reuid $uid_deliver --regid $uid_deliver --groups $gid_sealock $build/tests/gateway_settle" timeout 250 /usr/bin/python3 "$here/aws_drive.py" "$@" 2>"$err")
echo "$result" | sed '$d'
cat "$err"
set -- $(echo "$result" | tail -n 1)
passed=$((passed + ${1:-0})) failed=$((failed + ${2:-1}))
# --- the AWS CLI, and curl over HTTP/2 ---

# Version 2 of the AWS CLI takes data for base64 otherwise, version 1 as it is.
printf '[default]\ncli_binary_format = raw-in-base64-out\n' >"$site/aws.config"
export AWS_CA_BUNDLE=$site/ca.pem AWS_DEFAULT_REGION=local AWS_SHARED_CREDENTIALS_FILE=$site/alice.credentials AWS_CONFIG_FILE=$site/aws.config
settle() { run setpriv --reuid $uid_deliver --regid $uid_deliver --groups $gid_sealock "$build/tests/gateway_settle" "$@"; }
as_cli() { run timeout 30 aws --endpoint-url "https://localhost:$port" --output json "$@"; }
if [ -z "$only" ]; then
	as_cli sts get-caller-identity
	check "aws sts get-caller-identity" '[ $code = 0 ] && json_is .Arn arn:aws:iam::000000000000:user/alice'
	as_cli kinesis put-records --stream-name orders --records Data=hello,PartitionKey=cli Data=world,PartitionKey=cli
	check "aws kinesis put-records" '[ $code = 0 ] && json_is .FailedRecordCount 0'
	shard=$(json_of .Records.0.ShardId) number=$(json_of .Records.0.SequenceNumber)
	as_cli kinesis get-shard-iterator --stream-name orders --shard-id "$shard" --shard-iterator-type AT_SEQUENCE_NUMBER \
		--starting-sequence-number "$number"
	as_cli kinesis get-records --shard-iterator "$(json_of .ShardIterator)"
	check "aws kinesis get-records gives them back" '[ $code = 0 ] && json_is .Records.1.Data d29ybGQ='
	as_cli kms list-keys
	check "aws kms list-keys" '[ $code = 0 ] && json_of .Keys.0.KeyArn | grep -q ^arn:aws:kms:local:'
	AWS_SHARED_CREDENTIALS_FILE=$site/nobody.credentials as_cli kms create-key
	check "aws says who may not do what" '[ $code != 0 ] && said "user/nobody is not authorized to perform: kms:CreateKey"'
	# What is remembered of a caller goes when it changes, not a minute later.
	put_as() { AWS_SHARED_CREDENTIALS_FILE=$site/$1.credentials as_cli kinesis put-record --stream-name orders --partition-key a --data x; }
	caller brief "$all"
	put_as brief
	check "a caller may put" '[ $code = 0 ]'
	echo '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"kinesis:PutRecord","Resource":"*"}}' >"$site/deny.json"
	sealock iam user policy put brief p "$site/deny.json" >/dev/null
	put_as brief
	check "until its policy changes" '[ $code != 0 ] && said "AccessDeniedException" && said "kinesis:PutRecord"'
	sealock iam user policy put brief p "$site/brief.json" >/dev/null
	put_as brief
	check "and again when it changes back" '[ $code = 0 ]'
	sealock iam access-key disable brief "$(sed -n "s/^aws_access_key_id *= *//p" "$site/brief.credentials")" >/dev/null
	put_as brief
	check "until its key is disabled" '[ $code != 0 ] && said UnrecognizedClientException'
	description='{"RoleARN":"arn:aws:iam::000000000000:role/deliver","BucketARN":"arn:aws:s3:::archive"}'
	as_cli firehose create-delivery-stream --delivery-stream-name by-cli --extended-s3-destination-configuration "$description"
	check "aws firehose create-delivery-stream" \
		'[ $code = 0 ] && json_is .DeliveryStreamARN arn:aws:firehose:local:000000000000:deliverystream/by-cli'
	settle by-cli ACTIVE
	as_cli firehose put-record-batch --delivery-stream-name by-cli --records Data=hello Data=world
	check "aws firehose put-record-batch" '[ $code = 0 ] && json_is .FailedPutCount 0'
	as_cli firehose describe-delivery-stream --delivery-stream-name by-cli
	check "aws firehose describe-delivery-stream" \
		'[ $code = 0 ] && json_is .DeliveryStreamDescription.Destinations.0.ExtendedS3DestinationDescription.BucketARN arn:aws:s3:::archive'
	AWS_SHARED_CREDENTIALS_FILE=$site/nobody.credentials as_cli firehose put-record --delivery-stream-name by-cli --record Data=x
	check "and who may not" '[ $code != 0 ] && said "user/nobody is not authorized to perform: firehose:PutRecord"'
	key_id=$(sed -n "s/^aws_access_key_id *= *//p" "$site/alice.credentials") secret=$(sed -n "s/^aws_secret_access_key *= *//p" "$site/alice.credentials")
	run curl -sS --http2 --cacert "$site/ca.pem" --aws-sigv4 aws:amz:local:kms -K <(echo "user = \"$key_id:$secret\"") -w '\n%{http_version}' \
		-H 'X-Amz-Target: TrentService.ListKeys' -H 'Content-Type: application/x-amz-json-1.1' -d '{}' "https://localhost:$port/"
	check "HTTP/2" '[ $code = 0 ] && [ "$(tail -n 1 "$out")" = 2 ] && json_is .Truncated false'
fi

# --- shard iterators outlive the process that gave them ---

if [ -z "$only" ]; then
	as_cli kinesis put-record --stream-name orders --partition-key stays --data stays
	shard=$(json_of .ShardId) number=$(json_of .SequenceNumber)
	as_cli kinesis get-shard-iterator --stream-name orders --shard-id "$shard" --shard-iterator-type AT_SEQUENCE_NUMBER \
		--starting-sequence-number "$number"
	iterator=$(json_of .ShardIterator)
	gateway_stop
	gateway_start
	as_cli kinesis get-records --shard-iterator "$iterator"
	check "an iterator from before a restart" '[ $code = 0 ] && json_is .Records.0.Data c3RheXM='
	as_cli kinesis get-records --shard-iterator "$(echo "$iterator" | sed "s/^\(.\{40\}\)./\1$([ "${iterator:40:1}" = A ] && echo B || echo A)/")"
	check "but no changed one" '[ $code != 0 ] && said InvalidArgumentException'
	gateway_stop
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" -keyout "$site/server.key" -out "$site/server.csr" 2>/dev/null
	openssl x509 -req -in "$site/server.csr" -CA "$site/ca.pem" -CAkey "$site/ca.key" -CAcreateserial -days 2 \
		-extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1") -out "$site/server.pem" 2>/dev/null
	chmod 0644 "$site/server.key"
	gateway_start
	as_cli kinesis get-records --shard-iterator "$iterator"
	check "nor one of a gateway with another key" '[ $code != 0 ] && said InvalidArgumentException'
fi

# --- programs of this host, by their uid ---

peer() { # UID TARGET BODY
	run as "$1" curl -m 20 -sS --unix-socket "$site/gateway/api.sock" -H "Content-Type: application/x-amz-json-1.1" \
		-H "X-Amz-Target: $2" -d "$3" http://localhost/
}
if [ -z "$only" ]; then
	summary=Kinesis_20131202.DescribeStream
	peer $uid_reader $summary '{"StreamName":"orders"}'
	check "who does not sign is refused on a unix socket, too" 'json_is .__type MissingAuthenticationTokenException'
	gateway_stop
	gateway_peers=on
	gateway_start
	peer $uid_reader $summary '{"StreamName":"orders"}'
	check "and by its uid, as long as kmsd does not allow it" 'json_is .__type AccessDeniedException && grep -q gateway_peers "$out"'
	kmsd_stop
	sed -i "s|^gateway_user:.*|&\ngateway_peers: on|" "$site/kmsd.yaml"
	kmsd_start
	peer $uid_reader $summary '{"StreamName":"orders"}'
	check "then it is whom kmsd knows" '[ "$(json_of .StreamDescription.StreamName)" = orders ]'
	peer $uid_reader TrentService.CreateKey '{}'
	check "with the rights that it has" 'json_is .__type AccessDeniedException && grep -q "user/reader is not authorized to perform: kms:CreateKey" "$out"'
	peer $uid_outsider Kinesis_20131202.PutRecord '{"StreamName":"orders","Data":"eA==","PartitionKey":"a"}'
	check "and each its own" 'json_is .__type AccessDeniedException && grep -q "user/outsider is not authorized to perform: kinesis:PutRecord" "$out"'
	peer 64999 $summary '{"StreamName":"orders"}'
	check "a uid that kmsd does not know is refused" 'json_is .__type AccessDeniedException && grep -q "uid 64999 is no user and no role" "$out"'
	peer 0 TrentService.ListKeys '{}'
	check "and so is root" 'json_is .__type AccessDeniedException && grep -q "uid 0 is no user and no role" "$out"'
	run as $uid_reader curl -m 20 -sS --unix-socket "$site/gateway/api.sock" -H "Content-Type: application/x-amz-json-1.1" \
		-H "X-Amz-Target: $summary" -H "Authorization: AWS4-HMAC-SHA256 Credential=x" -d '{}' http://localhost/
	check "a signature that is there has to be right" 'json_is .__type IncompleteSignatureException'
	run curl -sS --cacert "$site/ca.pem" -H "Content-Type: application/x-amz-json-1.1" -H "X-Amz-Target: $summary" -d '{}' "https://localhost:$port/"
	check "and over TLS there has to be one" 'json_is .__type MissingAuthenticationTokenException'
fi

# --- what shards take and give, where it is configured ---

if [ -z "$only" ]; then
	gateway_stop
	gateway_limits="provisioned: on"
	gateway_start
	result=$(SITE=$site PORT=$port SETTLE="setpriv --reuid $uid_deliver --regid $uid_deliver --groups $gid_sealock $build/tests/gateway_settle" timeout 60 /usr/bin/python3 "$here/aws_drive.py" provisioned 2>"$err")
	echo "$result" | sed '$d'
	cat "$err"
	set -- $(echo "$result" | tail -n 1)
	passed=$((passed + ${1:-0})) failed=$((failed + ${2:-1}))
	run curl -sS "http://127.0.0.1:$((port + 1))/metrics"
	check "what was refused is counted" 'grep -Eq "^sealock_gatewayd_aws_throttled_total [1-9]" "$out"'
fi

# --- what the daemon tells about itself ---

run curl -sS "http://127.0.0.1:$((port + 1))/metrics"
check "metrics are well formed" 'python3 "$here/../frame/exposition.py" <"$out"'
if command -v promtool >/dev/null; then
	check "and promtool finds nothing to say" '[ -z "$(promtool check metrics <"$out" 2>&1)" ]'
else
	skip "promtool is not installed (package prometheus)"
fi
check "and count what was served" 'grep -Eq "^sealock_gatewayd_sent_total [1-9]" "$out" && grep -q "^sealock_gatewayd_aws_" "$out"'
gateway_stop
check "it ends in order" 'grep -q msg=stopped "$site/gateway.log"'
[ -n "$only" ] || check "the access log has each request by its operation and caller" \
	'grep "\"operation\":\"PutRecords\"" "$site/gateway/access.log" | grep "user/producer" | grep -q "\"request_id\":\"[0-9a-f-]*\""'
check "and no secret" '! grep -qE "Signature=|X-Amz-|Credential=|$(sed -n "s/^aws_secret_access_key = //p" "$site/alice.credentials" | sed "s/[+\/]/./g")" "$site/gateway/access.log"'

check "a destination's password is in no file as it was said" '! grep -rqs "t0p-secret" "$site"'

[ "$failed" = 0 ] || tail -n 30 "$site/gateway.log" "$site/ingestd.log" "$site/kmsd.log"

finish
