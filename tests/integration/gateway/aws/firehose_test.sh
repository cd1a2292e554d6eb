#!/usr/bin/env bash
# From boto3's put to a file: delivery streams made by Firehose's API, records put through the gateway, delivered by sealock-deliverd to a
# directory, with ingestd killed on the way. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: firehose_test.sh BUILD_DIR}
. "$(dirname "$0")/site.sh"
aws_needs
[ -x "$build/bin/sealock-deliverd" ] || skip_all "sealock-deliverd was not built"
aws_site
deliverd_pid=
trap 'stop "$deliverd_pid"; aws_site_remove' EXIT
caller alice '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["kms:*","kinesis:*","firehose:*","iam:PassRole"],"Resource":"*"}}'
cat >"$site/trust.json" <<-END
	{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"firehose.amazonaws.com"},
	"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"000000000000"}}}}
END
sealock iam role create deliver --trust "$site/trust.json" >/dev/null &&
	echo '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey","kinesis:*"],"Resource":"*"}}' |
	sealock iam role policy put deliver p - >/dev/null || die_with_log "$site/kmsd.log" "role deliver"

# --- deliverd, with a directory for each bucket ---

install -d -m 0700 -o $uid_deliver -g $uid_deliver "$site/state" "$site/store"
install -d -m 0750 -o $uid_deliver -g $gid_sealock "$site/run/deliver"
install -m 0755 "$build/bin/sealock-deliverd" "$site/bin/sealock-deliverd"
export SEALOCK_DELIVERY_SOCKET=$site/run/deliver/status.sock
cat >"$site/deliverd.yaml" <<-END
	kms: {socket: $SEALOCK_KMS_SOCKET}
	journal: {dir: $SEALOCK_JOURNAL}
	state: {dir: $site/state}
	memory: {max_mb: 64, allow_unlocked: true}
	threads: 2
	status: {socket: $SEALOCK_DELIVERY_SOCKET}
	stores: [{bucket: "*", dir: $site/store, seal: none}]
END
(exec_as $uid_deliver sealock-deliverd --config "$site/deliverd.yaml" </dev/null >>"$site/deliverd.log" 2>&1) &
deliverd_pid=$!
wait_for 20 '! kill -0 $deliverd_pid 2>/dev/null || [ -S "$SEALOCK_DELIVERY_SOCKET" ]'
kill -0 $deliverd_pid 2>/dev/null || die_with_log "$site/deliverd.log" "deliverd does not start"

# --- records by boto3; ingestd dies in the middle of them ---

(SITE=$site PORT=$port timeout 200 /usr/bin/python3 "$here/firehose_deliver.py" >"$site/result" 2>"$site/driver.err") &
driver=$!
wait_for 60 '[ -e "$site/putting" ] || ! kill -0 $driver 2>/dev/null'
sleep 0.5
check "ingestd dies while records are put" '[ ! -e "$site/put" ]'
kill -KILL "$ingestd_pid" 2>/dev/null
wait "$ingestd_pid" 2>/dev/null
ingestd_start
wait "$driver"
sed '$d' "$site/result"
cat "$site/driver.err"
set -- $(tail -n 1 "$site/result")
passed=$((passed + ${1:-0})) failed=$((failed + ${2:-1}))
[ "$failed" = 0 ] || tail -n 30 "$site/gateway.log" "$site/ingestd.log" "$site/kmsd.log" "$site/deliverd.log"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
