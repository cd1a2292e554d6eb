# A site with deliverd: tests/integration/cli/harness.sh and more. Streams are put by `sealock put`; delivered goes to directories.
. "$(dirname "${BASH_SOURCE[0]}")/../cli/harness.sh"
uid_deliver=64908
deliverd_pid= deliverd_program=sealock-deliverd

skip_all() { echo "skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }
needs() {
	local program
	[ "$(id -u)" = 0 ] || skip_all "this test needs root, to run programs under several uids"
	for program in bin/sealock bin/sealock-kmsd bin/sealock-hsm-worker bin/sealock-ingestd bin/sealock-deliverd tests/deliveryctl "$@"; do
		[ -x "$build/$program" ] || skip_all "$program was not built"
	done
	[ -n "$(softhsm_module)" ] || skip_all "SoftHSM is not installed"
}

# free_port: a TCP port of loopback that nobody uses now.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

delivery_make() {
	site_make
	trap delivery_remove EXIT
	install -d -m 0700 -o $uid_deliver -g $uid_deliver "$site/state" "$site/store"
	install -d -m 0750 -o $uid_deliver -g $gid_sealock "$site/run/deliver"
	install -m 0755 "$build/bin/sealock-deliverd" "$site/bin/sealock-deliverd"
	install -m 0755 "$build/tests/deliveryctl" "$site/bin/deliveryctl"
	[ ! -x "$build/tests/deliverd_failpoints" ] || install -m 0755 "$build/tests/deliverd_failpoints" "$site/bin/deliverd_failpoints"
	export SEALOCK_DELIVERY_SOCKET=$site/run/deliver/status.sock
	monitor_port=$(free_port)
	sed -i '/^policy:/,$d' "$site/kmsd.yaml"
	cat >>"$site/kmsd.yaml" <<-END
		deliver_user: "$uid_deliver"
		policy:
		  - {effect: Allow, principals: [root], actions: ["kms:*", "kinesis:*", "iam:*", "firehose:*", "sts:*"], resources: ["*"]}
	END
	cat >"$site/deliverd.yaml" <<-END
		kms: {socket: $site/run/kms/kms.sock}
		journal: {dir: $site/journal}
		state: {dir: $site/state}
		memory: {max_mb: 64, allow_unlocked: true}
		keys: {age_seconds: ${key_age:-2}}
		threads: 2
		monitor: {listen: "127.0.0.1:$monitor_port"}
		status: {socket: $SEALOCK_DELIVERY_SOCKET}
		times: {drain_seconds: 2}
		endpoints:
		  - {url: "https://127.0.0.1:*"}
		stores: # last: tests append theirs
		  - {bucket: "plain-*", dir: $site/store, seal: none}
		  - {bucket: "sealed-*", dir: $site/store, seal: client}
	END
	sealock hsm init --config "$site/kmsd.yaml" >/dev/null || die_with_log /dev/null "sealock hsm init"
	kmsd_start
}
delivery_remove() {
	deliverd_stop
	site_remove
}

# deliverd_start [ENVIRONMENT...]
deliverd_start() {
	(exec_as $uid_deliver env "$@" "$deliverd_program" --config "$site/deliverd.yaml" </dev/null >>"$site/deliverd.log" 2>&1) &
	deliverd_pid=$!
	wait_for 20 '! kill -0 $deliverd_pid 2>/dev/null || [ -S "$SEALOCK_DELIVERY_SOCKET" ] && deliveries >/dev/null' ||
		die_with_log "$site/deliverd.log" "deliverd is not ready after 20 s"
}
deliverd_stop() { stop "$deliverd_pid"; deliverd_pid=; }
deliverd_kill() {
	kill -KILL "$deliverd_pid" 2>/dev/null
	wait "$deliverd_pid" 2>/dev/null
	deliverd_pid=
}

# deliveries: deliverd's document. of NAME PATH: a value of one delivery stream.
deliveries() { sealock delivery status --json 2>/dev/null || [ $? = 1 ]; }
of() {
	deliveries | python3 -IS -c '
import json, sys
for s in json.load(sys.stdin)["delivery_streams"]:
    if s["name"] == sys.argv[1]:
        for part in sys.argv[2].split(".")[1:]:
            s = None if s is None else s[part]
        print(s)' "$1" "$2" 2>/dev/null
}
error_of() { of "$1" .error.message; }
code_of() { of "$1" .error.code; }

# role NAME ACTION...: a role that Firehose may assume, and what it may do on everything.
trust() { echo '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"firehose.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"'"${1:-000000000000}"'"}}}]}'; }
role() {
	local name=$1 actions
	shift
	actions=$(printf '"%s",' "$@")
	trust >"$site/trust.json"
	sealock iam role create "$name" --trust "$site/trust.json" >/dev/null || return 1
	role_may "$name" "$@"
}
role_may() {
	local name=$1 actions
	shift
	actions=$(printf '"%s",' "$@")
	echo '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":['"${actions%,}"'],"Resource":"*"}]}' |
		sealock iam role policy put "$name" delivery - >/dev/null
}

# s3_description STREAM BUCKET ROLE SECONDS [MEMBERS]: of a Kinesis source to a bucket.
s3_description() {
	cat <<-END
		{"DeliveryStreamType": "KinesisStreamAsSource",
		 "KinesisStreamSourceConfiguration": {"KinesisStreamARN": "arn:aws:kinesis:local:000000000000:stream/$1", "RoleARN": "arn:aws:iam::000000000000:role/$3"},
		 "ExtendedS3DestinationConfiguration": {"RoleARN": "arn:aws:iam::000000000000:role/$3", "BucketARN": "arn:aws:s3:::$2",
		  "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": $4}${5:+, $5}}}
	END
}
delivery_create() { # NAME DESCRIPTION...
	s3_description "${@:2}" >"$site/$1.json"
	deliveryctl create "$1" "$site/$1.json"
}
is_state() { [ "$(deliveryctl state "$1" 2>/dev/null | cut -d' ' -f1)" = "$2" ]; }

# records FROM TO: lines that are all different, of different lengths.
records() { python3 -IS -c '
import sys
for i in range(int(sys.argv[1]), int(sys.argv[2])):
    print("record %08d %s" % (i, "x" * (i * 7919 % 900)))' "$1" "$2"; }
