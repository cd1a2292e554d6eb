#!/usr/bin/env bash
# Delivery streams by the command line, against a real kmsd with a SoftHSM token and a real ingestd: made, changed, tagged,
# encrypted, deleted; what is put into one is sealed; Kinesis does not show it. The word of deliverd is a small program's.
# Needs root (uids, no accounts). Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: cli_delivery_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/harness.sh"

skip_all() { echo "skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }
[ "$(id -u)" = 0 ] || skip_all "this test needs root, to run programs under several uids"
for program in sealock sealock-kmsd sealock-hsm-worker sealock-ingestd; do
	[ -x "$build/bin/$program" ] || skip_all "$program was not built"
done
[ -x "$build/tests/delivery_word" ] || skip_all "delivery_word was not built"
[ -n "$(softhsm_module)" ] || skip_all "SoftHSM is not installed"
uid_deliver=64908

site_make
trap site_remove EXIT
install -m 0755 "$build/tests/delivery_word" "$site/bin/delivery_word"
sed -i '/^policy:/,$d' "$site/kmsd.yaml"
cat >>"$site/kmsd.yaml" <<-END
	deliver_user: "$uid_deliver"
	policy:
	  - {effect: Allow, principals: [root], actions: ["*"], resources: ["*"]}
	  - {effect: Allow, principals: [user/reader], actions: ["firehose:PutRecord"], resources: ["deliverystream/clicks"]}
END
sealock hsm init --config "$site/kmsd.yaml" >/dev/null || die_with_log /dev/null "sealock hsm init"
kmsd_start
key=$(sealock key create --alias alias/clicks --json | json_from .arn)
sealock stream create web >/dev/null
ingestd_start
arn=arn:aws:firehose:local:000000000000:deliverystream
role=arn:aws:iam::000000000000:role/deliver

refused() { [ $code = 1 ] && empty "$out" && said "$1"; }
wrong_usage() { [ $code = 2 ] && empty "$out" && said --help; }
trust() {
	echo '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Service": "firehose.amazonaws.com"},'
	echo "\"Action\": \"sts:AssumeRole\", \"Condition\": {\"StringEquals\": {\"sts:ExternalId\": \"$1\"}}}}"
}
deliverd() { as $uid_deliver delivery_word "$@" >"$out" 2>"$err"; code=$?; }
status_of() { sealock delivery describe "$1" --json 2>/dev/null | json_from .status 2>/dev/null; }

# --- making ---

trust 111111111111 >"$site/trust.json"
sealock iam role create deliver --trust "$site/trust.json" >/dev/null
run sealock delivery create clicks --role deliver --bucket clicks
check "a role of another account is refused with the reason" 'refused InvalidArgumentException && said "unable to assume role $role" && said "sts:ExternalId of its trust policy"'
trust 000000000000 | sealock iam role trust deliver - >/dev/null
explained() { sealock policy explain --principal firehose.amazonaws.com --action sts:AssumeRole --resource role/deliver --value sts:ExternalId=$1 >"$out" 2>"$err"; code=$?; }
explained 111111111111
check "explain says that Firehose may not with another account" '[ $code = 1 ]'
explained 000000000000
check "and may with this one" '[ $code = 0 ]'
run sealock delivery create clicks --role deliver --bucket clicks --prefix 'in/' --gzip --buffer-mb 64 --key alias/clicks --tag team=web --json
check "the right one passes" '[ $code = 0 ] && json_is .status CREATING && json_is .arn $arn/clicks && json_is .version 1 && json_is .source DirectPut'
check "what was said is in its description" 'json_is .description.ExtendedS3DestinationConfiguration.RoleARN $role && json_is .description.ExtendedS3DestinationConfiguration.BucketARN arn:aws:s3:::clicks && json_is .description.ExtendedS3DestinationConfiguration.BufferingHints.SizeInMBs 64'
check "and its key" 'json_is .encryption ENABLED && json_is .key_type CUSTOMER_MANAGED_CMK && json_is .key_arn $key'
run sealock delivery create clicks --role deliver --bucket clicks
check "a name is given once" 'refused ResourceInUseException'
for words in "x" "x --role r" "x --role r --bucket b --gzip --zstd" "x --role r --bucket b --buffer-mb 0" "x --file /dev/null --role r" "--role r --bucket b"; do
	run sealock delivery create $words
	check "wrong usage: $words" wrong_usage
done
run sealock delivery create bad --role deliver --bucket clicks --prefix '!{timestamp:QQQQQQQ}/'
check "an expression that makes no name is refused before kmsd is asked" 'refused Exception'
echo '{"ExtendedS3DestinationConfiguration": {}' >"$site/bad.json"
run sealock delivery create bad --file "$site/bad.json"
check "what is no JSON is refused" 'refused SerializationException'
cat >"$site/rows.json" <<-END
	{"DeliveryStreamName": "rows", "DeliveryStreamType": "KinesisStreamAsSource", "KinesisStreamSourceConfiguration":
	 {"KinesisStreamARN": "arn:aws:kinesis:local:000000000000:stream/web", "RoleARN": "$role"},
	 "RedshiftDestinationConfiguration": {"RoleARN": "$role", "ClusterJDBCURL": "jdbc:postgresql://127.0.0.1:5432/logs",
	 "CopyCommand": {"DataTableName": "t"}, "Username": "loader", "Password": "Tr0ub4dor-and-3",
	 "S3Configuration": {"RoleARN": "$role", "BucketARN": "arn:aws:s3:::rows"}}}
END
run sealock delivery create rows --file - --json <"$site/rows.json"
check "the file that the AWS CLI takes makes one, too" '[ $code = 0 ] && json_is .source KinesisStreamAsSource && json_is .stream_arn arn:aws:kinesis:local:000000000000:stream/web'
check "its password is not shown" '! grep -q Tr0ub4dor "$out" && json_is .description.RedshiftDestinationConfiguration.Password "********"'
run sealock delivery describe rows
check "nor is it to people" '[ $code = 0 ] && grep -q "^status:  *CREATING" "$out" && grep -q loader "$out" && ! grep -q Tr0ub4dor "$out"'
check "nor does it lie in the catalog or in the audit log" '! grep -qra Tr0ub4dor "$site/kms"'
run sealock delivery list --json
check "both are listed, by name" '[ $code = 0 ] && json_is .delivery_streams.0.name clicks && json_is .delivery_streams.1.name rows'
run sealock delivery list
check "for people, too" '[ $code = 0 ] && grep -q "^DELIVERY " "$out" && grep -q "^clicks  *CREATING" "$out"'
run sealock stream list --json
check "Kinesis shows its own streams only" '[ $code = 0 ] && ! grep -q clicks "$out" && json_is .streams.0.name web'
run sealock stream describe $arn/clicks
check "and does not know a delivery stream's ARN" 'refused ValidationException'

# --- direct puts ---

echo record >"$site/record"
chmod 644 "$site/record"
run as $uid_reader sealock put $arn/clicks "$site/record"
check "nothing is put before it is ACTIVE" '[ $code = 1 ] && said "clicks"'
deliverd active clicks 1
check "deliverd takes it up" '[ $code = 0 ] && [ "$(status_of clicks)" = ACTIVE ]'
run as $uid_reader sealock put $arn/clicks "$site/record"
check "without a right to the key nothing is put" '[ $code = 1 ] && said kms:GenerateDataKey'
cat >"$site/use.json" <<-END
	{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": "*",
	 "Condition": {"StringEquals": {"kms:ViaService": "firehose.local.amazonaws.com", "kms:EncryptionContext:aws:firehose:arn": "$arn/clicks"}}}}
END
sealock iam user create reader >/dev/null
sealock iam user policy put reader use "$site/use.json" >/dev/null
put_works() { as $uid_reader sealock put $arn/clicks "$site/record" >"$out" 2>"$err"; code=$?; return $code; }
wait_for 10 put_works
check "with it, by Firehose and for this delivery stream, it is put" '[ $code = 0 ]'
run as $uid_reader sealock put $arn/rows "$site/record"
check "nothing is put where a stream is the source" '[ $code = 1 ]'
run as $uid_reader sealock put web "$site/record"
check "the right is to delivery streams, not to streams" '[ $code = 1 ] && said kinesis:PutRecord'
for name in web arn:aws:kinesis:local:000000000000:stream/web; do
	run sealock put $name "$site/record"
	check "a stream of Kinesis is named by its name or its ARN: $name" '[ $code = 0 ]'
done
run sealock status --json
check "and has one place in ingestd, as the delivery stream has" '[ $code = 0 ] && [ "$(grep -o "\"name\": *\"web\"" "$out" | wc -l)" -le 1 ]'
run sealock journal ls --json
check "the record is sealed" '[ $code = 0 ] && grep -q "deliverystream/clicks" "$out"'
check "and nowhere to be read" '! grep -qa "^record$" "$site"/journal/*.slj'

# --- changes ---

run sealock delivery update clicks --zstd --buffer-seconds 60 --json
check "an update is the next version" '[ $code = 0 ] && json_is .version 2 && json_is .description.ExtendedS3DestinationConfiguration.CompressionFormat ZSTD && json_is .description.ExtendedS3DestinationConfiguration.Prefix in/'
run sealock delivery update clicks --gzip --version 1
check "a stale version is refused" 'refused ConcurrentModificationException'
run sealock delivery encrypt clicks --wait --json
check "the appliance's own key takes over between two blocks" '[ $code = 0 ] && json_is .encryption ENABLED && json_is .key_type AWS_OWNED_CMK && json_is .key_arn ""'
run sealock delivery unencrypt clicks --wait --json
check "and can be called no encryption" '[ $code = 0 ] && json_is .encryption DISABLED && json_is .key_type ""'
run sealock delivery encrypt clicks alias/clicks --wait --json
check "a master key takes over" '[ $code = 0 ] && json_is .encryption ENABLED && json_is .key_arn $key'
wait_for 10 put_works
check "puts go on under it" '[ $code = 0 ]'
run sealock delivery encrypt rows alias/clicks
check "a stream that is the source has its own" 'refused "not permitted on KinesisStreamAsSource"'
run sealock delivery tag clicks cost=7 --json
check "tags" '[ $code = 0 ] && [ "$(sealock delivery tags clicks --json | json_from .tags.team)" = web ]'
sealock delivery untag clicks cost nothing >/dev/null
run sealock delivery tags clicks
check "and untagged" '[ $code = 0 ] && grep -qx team=web "$out" && ! grep -q cost "$out"'
run as $uid_reader sealock delivery list
check "who has no right sees none" 'refused AccessDeniedException && said firehose:ListDeliveryStreams'

# --- deletion ---

run sealock iam role delete deliver
check "a role that is needed stays" 'refused DeleteConflictException && said clicks'
run sealock delivery delete rows
check "one that is CREATING is not deleted" 'refused ResourceInUseException'
run sealock delivery delete rows --force
check "but by force" '[ $code = 0 ] && [ -z "$(status_of rows)" ]'
run sealock delivery delete clicks
check "deletion waits for deliverd" '[ $code = 0 ] && [ "$(status_of clicks)" = DELETING ]'
# ingestd hears of it by its watch.
put_refused() { run as $uid_reader sealock put $arn/clicks "$site/record"; [ $code = 1 ]; }
check "nothing is put any more" 'wait_for 5 put_refused'
deliverd gone clicks 2
check "and ends with its word" '[ $code = 0 ] && [ -z "$(status_of clicks)" ]'
create_again() { sealock delivery create clicks --role deliver --bucket clicks >"$out" 2>"$err"; code=$?; return $code; }
wait_for 20 create_again
check "the name is free once ingestd has let go" '[ $code = 0 ]'
kmsd_stop
kmsd_start
check "all of it outlasts a restart" '[ "$(status_of clicks)" = CREATING ]'
run sealock audit verify "$site/kms/audit.log"
check "the audit log is whole" '[ $code = 0 ]'
check "and names what was done" 'grep -q "\"eventSource\":\"firehose.amazonaws.com\",\"eventName\":\"UpdateDestination\"" "$site/kms/audit.log"'
finish
