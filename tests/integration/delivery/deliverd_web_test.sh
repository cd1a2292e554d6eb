#!/usr/bin/env bash
# The whole appliance to a search cluster and to an HTTP endpoint: boto3 puts through the gateway, ingestd seals, deliverd delivers, over
# destinations that go wrong at random, while it is killed at random and at each point of a batch's life: deliverd_web_drive.py. With
# SLK_TEST_LONG=1 to a real OpenSearch, too. Needs root. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: deliverd_web_test.sh BUILD_DIR}
drive=$(cd "$(dirname "$0")" && pwd)/deliverd_web_drive.py
. "$(dirname "$0")/../gateway/aws/site.sh"
aws_needs
for program in bin/sealock-deliverd tests/deliverd_failpoints; do
	[ -x "$build/$program" ] || skip_all "$program was not built"
done
aws_site
remove_all() {
	stop "${driver:-}"
	aws_site_remove
}
trap remove_all EXIT
caller alice '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["kms:*","kinesis:*","firehose:*","iam:PassRole"],"Resource":"*"}}'
cat >"$site/trust.json" <<-END
	{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"firehose.amazonaws.com"},
	"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"000000000000"}}}}
END
sealock iam role create deliver --trust "$site/trust.json" >/dev/null &&
	echo '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey","kinesis:*"],"Resource":"*"}}' |
	sealock iam role policy put deliver p - >/dev/null || die_with_log "$site/kmsd.log" "role deliver"

install -d -m 0700 -o $uid_deliver -g $uid_deliver "$site/state" "$site/store"
install -d -m 0750 -o $uid_deliver -g $gid_sealock "$site/run/deliver"
install -m 0755 "$build/bin/sealock-deliverd" "$build/tests/deliverd_failpoints" "$site/bin/"
export SEALOCK_DELIVERY_SOCKET=$site/run/deliver/status.sock
monitor_port=$(two_free_ports)
cat >"$site/deliverd.yaml" <<-END
	kms: {socket: $SEALOCK_KMS_SOCKET}
	journal: {dir: $SEALOCK_JOURNAL}
	state: {dir: $site/state}
	memory: {max_mb: 64, allow_unlocked: true}
	threads: 2
	monitor: {listen: "127.0.0.1:$monitor_port"}
	status: {socket: $SEALOCK_DELIVERY_SOCKET}
	stores: [{bucket: "plain-*", dir: $site/store, seal: none}]
	endpoints: # last: the test appends its own
END
SITE=$site PORT=$port DELIVER_UID=$uid_deliver /usr/bin/python3 "$drive" "$build" "$site" &
driver=$!
wait "$driver"
code=$?
driver=
[ $code = 0 ] || tail -n 20 "$site/deliverd.log" "$site/gateway.log" "$site/kmsd.log" "$site/ingestd.log"
exit $code
