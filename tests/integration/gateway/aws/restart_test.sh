#!/usr/bin/env bash
# The gateway, ingestd and kmsd are killed, one after the other, while boto3's producers and consumers are at work: no acknowledged
# record is lost, and the clients go on by themselves. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: restart_test.sh BUILD_DIR}
. "$(dirname "$0")/site.sh"
aws_needs
aws_site
caller producer '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["kinesis:PutRecord","kinesis:PutRecords"],"Resource":"*"}}'
caller consumer '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["kinesis:GetRecords","kinesis:GetShardIterator"],"Resource":"*"}}'
sealock stream create restart --shards 2 >/dev/null || die_with_log "$site/kmsd.log" "stream create"
SITE=$site PORT=$port timeout 200 /usr/bin/python3 "$here/restart_drive.py" >"$out" 2>"$err" &
load=$!
sleep 1.5
kill -KILL "$gateway_pid"; wait "$gateway_pid" 2>/dev/null
sleep 0.3
gateway_start
sleep 1.5
kill -KILL "$ingestd_pid"; wait "$ingestd_pid" 2>/dev/null
sleep 0.3
ingestd_start
sleep 1.5
kmsd_stop
sleep 0.5
kmsd_start
sleep 1.5
touch "$site/stop"
wait "$load"
code=$?
check "nothing that was acknowledged is lost, and shards stay in order" '[ $code = 0 ]'
check "records went on being taken" '[ "$(cut -d" " -f2 "$out")" -gt 500 ]'
grep . "$out"

# --- a peer that is away: an error that SDKs repeat, and nothing half-stored ---

# Version 2 of the AWS CLI takes data for base64 otherwise, version 1 as it is.
printf '[default]\ncli_binary_format = raw-in-base64-out\n' >"$site/aws.config"
export AWS_CA_BUNDLE=$site/ca.pem AWS_DEFAULT_REGION=local AWS_CONFIG_FILE=$site/aws.config AWS_MAX_ATTEMPTS=1
as_cli() { # CALLER ARGUMENT...
	AWS_SHARED_CREDENTIALS_FILE=$site/$1.credentials run timeout 30 aws --endpoint-url "https://localhost:$port" --output json "${@:2}"
}
ingestd_stop
as_cli producer kinesis put-record --stream-name restart --partition-key a --data away
check "without ingestd a put fails so that it is repeated" '[ $code != 0 ] && said InternalFailure'
ingestd_start
as_cli producer kinesis put-record --stream-name restart --partition-key a --data back
check "and goes when ingestd is back" '[ $code = 0 ] && json_of .SequenceNumber | grep -qE "^[0-9]{56}$"'
kmsd_stop
as_cli consumer kinesis get-shard-iterator --stream-name restart --shard-id 0 --shard-iterator-type LATEST
check "without kmsd so does what it has to decide" '[ $code != 0 ] && said ServiceUnavailableException'
as_cli producer sts get-caller-identity
check "also of STS" '[ $code != 0 ] && said ServiceUnavailable'
kmsd_start
as_cli consumer kinesis get-shard-iterator --stream-name restart --shard-id 0 --shard-iterator-type LATEST
check "and goes when kmsd is back" '[ $code = 0 ] && [ -n "$(json_of .ShardIterator)" ]'
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
