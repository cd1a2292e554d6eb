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
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
