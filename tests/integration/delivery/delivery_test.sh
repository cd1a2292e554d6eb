#!/usr/bin/env bash
# kmsd with a SoftHSM token, ingestd and deliverd, to directories: every record is found, whatever is refused or changed meanwhile,
# and what is in the way is named. Needs root (uids, no accounts). Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: delivery_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/site.sh"
needs
delivery_make
newline='"ProcessingConfiguration": {"Enabled": true, "Processors": [{"Type": "AppendDelimiterToRecord", "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}]}]}'

key=$(sealock key create --alias alias/web --json | json_from .arn)
sealock stream create web --key alias/web --shards 2 >/dev/null
ingestd_start
role deliver kms:Decrypt kms:GenerateDataKey

# delivered BUCKET: all lines of its objects, in order. found BUCKET FILE: it holds every line of FILE, once.
delivered() { find "$site/store/$1" -type f ! -name '.*' -exec cat {} + 2>/dev/null | LC_ALL=C sort; }
found() { [ "$(delivered "$1" | md5sum)" = "$(LC_ALL=C sort "$2" | md5sum)" ]; }
# held_up NAME CODE WORDS...: the error of the delivery stream, in status and metrics.
metrics() { curl -fsS "http://127.0.0.1:$monitor_port/metrics"; }
held_up() {
	local word
	[ "$(code_of "$1")" = "$2" ] || return 1
	for word in "${@:3}"; do
		error_of "$1" | grep -qF -- "$word" || return 1
	done
}
put() { sealock put "$1" --lines "$2" >/dev/null; }

# --- a delivery stream comes, delivers, goes ---

deliverd_start
run deliveries
check "without delivery streams there is a document" '[ $code = 0 ] && [ "$(deliveries | json_from .kms.up)" = true ]'
delivery_create logs web plain-logs deliver 1 "$newline"
check "it becomes ACTIVE" 'wait_for 10 "is_state logs ACTIVE"'
records 0 3000 >"$site/lines"
put web "$site/lines"
check "every record is delivered, byte for byte, once" 'wait_for 20 "found plain-logs \"$site/lines\""'
check "its state is told" 'wait_for 5 "[ \"$(of logs .lag.records)\" = 0 ]" && [ "$(of logs .state)" = delivering ] && [ "$(of logs .records)" = 3000 ]'
run sealock delivery status logs
check "for people, too" '[ $code = 0 ] && grep -q "3000 records" "$out" && grep -q "^state:.*ACTIVE, delivering" "$out"'
metrics >"$site/metrics"
check "and to Prometheus" 'grep -q "^sealock_deliverd_records_total{delivery_stream=\"logs\",destination=\"s3\"} 3000" "$site/metrics"'
if command -v promtool >/dev/null; then
	check "whose own tool finds nothing to say" '[ -z "$(promtool check metrics <"$site/metrics" 2>&1)" ]'
else
	skip "promtool is not installed (package prometheus)"
fi
check "it is healthy" '[ "$(curl -fsS http://127.0.0.1:$monitor_port/healthz)" = ok ]'
check "checkpoints are the user's alone" '[ "$(stat -c %a "$site"/state/logs.*.checkpoint)" = 600 ]'

# --- restarts ---

deliverd_stop
records 3000 4000 >>"$site/lines"
tail -n 1000 "$site/lines" >"$site/more"
put web "$site/more"
deliverd_start
check "after a restart it goes on where it was" 'wait_for 20 "found plain-logs \"$site/lines\""'

# --- rights ---

sealock key disable "$key" >/dev/null
sleep 2.5 # keys.age_seconds
records 4000 4500 >"$site/more"
cat "$site/more" >>"$site/lines"
put web "$site/more" # under the epoch's key, which ingestd has
check "while the key is disabled nothing is opened" 'wait_for 15 "held_up logs KMS.Disabled \"$key\""'
sealock key enable "$key" >/dev/null
found_all() { [ "$(delivered "$1" | sort -u | md5sum)" = "$(LC_ALL=C sort -u "$2" | md5sum)" ]; }
check "enabled again, delivery goes on by itself" 'wait_for 30 "found_all plain-logs \"$site/lines\""'
check "and says so" 'wait_for 10 "[ \"$(code_of logs)\" = None ]"'

trust 111111111111 | sealock iam role trust deliver - >/dev/null
deliverd_stop
records 5500 6000 >"$site/more"
cat "$site/more" >>"$site/lines"
put web "$site/more"
deliverd_start
check "a role that trusts another account is not assumed" 'wait_for 15 "held_up logs KMS.AccessDenied sts:AssumeRole role/deliver"'
trust | sealock iam role trust deliver - >/dev/null
check "one that trusts this one is" 'wait_for 30 "found_all plain-logs \"$site/lines\""'

# --- resharding ---

(for i in 1 2 3 4 5 6; do records $((6000 + i * 200)) $((6200 + i * 200)); sleep 0.3; done) | tee -a "$site/lines" | sealock put web --lines >/dev/null &
sleep 0.5
sealock stream reshard web 4 >/dev/null
wait $!
records 8000 8200 >"$site/more"
cat "$site/more" >>"$site/lines"
put web "$site/more"
check "new shards join by themselves" 'wait_for 30 "found_all plain-logs \"$site/lines\""'

# --- another version ---

s3_description web plain-moved deliver 1 "$newline" >"$site/logs.json"
python3 -IS - "$site/logs.json" <<-'END'
	import json, sys
	d = json.load(open(sys.argv[1]))
	json.dump({"ExtendedS3DestinationUpdate": d["ExtendedS3DestinationConfiguration"]}, open(sys.argv[1], "w"))
END
run deliveryctl update logs "$site/logs.json"
check "a destination is changed" '[ $code = 0 ] && wait_for 10 "[ \"\$(of logs .version)\" = 2 ]"'
records 9000 9500 >"$site/more"
put web "$site/more"
check "what comes then goes there" 'wait_for 20 "found plain-moved \"$site/more\""'

# --- direct puts, plain and under a key, sealed ---

run sealock delivery create direct --role deliver --bucket plain-direct --buffer-seconds 1 --delimiter --wait
check "a delivery stream of direct puts begins" '[ $code = 0 ] && is_state direct ACTIVE'
run sealock delivery create direct-sealed --role deliver --bucket sealed-direct --object-key alias/web --key alias/web --buffer-seconds 1 --delimiter --wait
check "one under a key, too" '[ $code = 0 ] && is_state direct-sealed ACTIVE'
for name in direct direct-sealed; do put arn:aws:firehose:local:000000000000:deliverystream/$name "$site/more"; done
check "what is put is delivered" 'wait_for 20 "found plain-direct \"$site/more\""'
opened() { find "$site/store/sealed-direct" -type f ! -name '*.json' ! -name '.*' -exec sealock open {} \; | LC_ALL=C sort | cmp -s - <(LC_ALL=C sort "$site/more"); }
check "and opened by sealock open, where it is sealed" 'wait_for 20 opened && ! grep -rq "record 0000" "$site/store/sealed-direct"'

# --- a destination that hangs ---

hang_port=$(free_port)
python3 -IS -c '
import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(8)
held = []
while True: held.append(s.accept())' "$hang_port" 2>/dev/null &
hang_pid=$!
cat >"$site/hangs.json" <<-END
	{"DeliveryStreamType": "KinesisStreamAsSource",
	 "KinesisStreamSourceConfiguration": {"KinesisStreamARN": "arn:aws:kinesis:local:000000000000:stream/web", "RoleARN": "arn:aws:iam::000000000000:role/deliver"},
	 "HttpEndpointDestinationConfiguration": {"EndpointConfiguration": {"Url": "https://127.0.0.1:$hang_port/in"}, "RoleARN": "arn:aws:iam::000000000000:role/deliver",
	  "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}, "S3BackupMode": "FailedDataOnly",
	  "S3Configuration": {"RoleARN": "arn:aws:iam::000000000000:role/deliver", "BucketARN": "arn:aws:s3:::plain-hangs"}}}
END
run deliveryctl create hangs "$site/hangs.json"
check "an endpoint that hangs is a destination" '[ $code = 0 ] && wait_for 10 "is_state hangs ACTIVE"'
records 9500 9900 >"$site/hung"
cat "$site/hung" >>"$site/more"
put web "$site/hung"
check "its batch is under way" 'wait_for 10 "of hangs .batch.state | grep -q \"SENT\\|RETRY\"" && [ "$(of hangs .lag.records)" -gt 0 ]'
check "and others deliver meanwhile" 'wait_for 20 "cat \"$site/more\" | LC_ALL=C sort | cmp -s - <(delivered plain-moved)"'
run deliveryctl delete hangs
check "it is deleted although it hangs" '[ $code = 0 ] && wait_for 15 "! deliveryctl state hangs >/dev/null 2>&1"'
kill "$hang_pid" 2>/dev/null
wait "$hang_pid" 2>/dev/null

# --- what cannot begin ---

delivery_create nowhere web unknown-bucket deliver 1
check "a bucket that deliverd.yaml does not have fails its delivery stream, with the reason" \
	'wait_for 10 "is_state nowhere CREATING_FAILED" && deliveryctl state nowhere | grep -q unknown-bucket'
check "and no other" 'is_state logs ACTIVE'

# --- deletion ---

run deliveryctl delete logs
check "a delivery stream is deleted" '[ $code = 0 ] && wait_for 10 "! deliveryctl state logs >/dev/null 2>&1"'
check "with its checkpoint" '[ -z "$(ls "$site"/state/logs.* 2>/dev/null)" ] && [ -z "$(of logs .state)" ]'
check "nothing of a record or a key is in the log" '! grep -q "record 0000" "$site/deliverd.log"'
deliverd_stop
check "it stops cleanly" 'tail -n 1 "$site/deliverd.log" | grep -q "msg=stopped"'
finish
