#!/usr/bin/env bash
# All of it: kmsd with a SoftHSM token, ingestd, deliverd, and a real S3 store (radosgw) that is killed, refuses credentials and loses its
# bucket, while deliverd is killed, too. Every record put is found in the store, byte for byte, once. Needs root. Prints "N passed,
# N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: deliverd_s3_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/site.sh"
needs
newline='"ProcessingConfiguration": {"Enabled": true, "Processors": [{"Type": "AppendDelimiterToRecord", "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}]}]}'

# --- the store: a program that is asked by lines ---

coproc RGW { exec python3 "$here/radosgw.py" archive 2>/dev/null; }
rgw_pid=$RGW_PID rgw_out=${RGW[0]} rgw_in=${RGW[1]}
delivery_make
remove_all() {
	kill "$rgw_pid" 2>/dev/null
	wait "$rgw_pid" 2>/dev/null
	delivery_remove
}
trap remove_all EXIT
read -r -t 90 url rgw_credentials tls_url ca <&"$rgw_out" || skip_all "radosgw cannot be started"
rgw() {
	local answer
	echo "$*" >&"$rgw_in"
	read -r -t 90 answer <&"$rgw_out" || return 1
	[ "${answer#failed}" = "$answer" ] || { echo "        radosgw: $answer"; return 1; }
	echo "$answer" >"$site/rgw"
}

# credentials [SECRET]: put in the place of the file, as rotation does it.
key_id=$(sed -n 's/^aws_access_key_id = //p' "$rgw_credentials") secret=$(sed -n 's/^aws_secret_access_key = //p' "$rgw_credentials")
credentials() {
	printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$key_id" "${1:-$secret}" >"$site/credentials/new"
	chown $uid_deliver "$site/credentials/new"
	chmod 0600 "$site/credentials/new"
	mv "$site/credentials/new" "$site/credentials/s3"
}
install -d -m 0755 "$site/credentials"
install -m 0644 "$ca" "$site/credentials/ca.pem"
credentials
store() { # BUCKET SEAL
	cat >>"$site/deliverd.yaml" <<-END
		  - {bucket: "$1", url: "$tls_url", ca: $site/credentials/ca.pem, credentials: $site/credentials/s3, path_style: true, seal: $2, part_bytes: 5242880}
	END
}
store archive none
store vault client
store kms server
rgw make vault && rgw make kms || die_with_log /dev/null "buckets cannot be made"

# --- what lies there ---

# fetch BUCKET: all its objects into $site/got. lines BUCKET FILE: they hold every line of FILE, once.
fetch() {
	rm -rf "$site/got"
	mkdir "$site/got"
	rgw dump "$1" "$site/got"
}
lines() { fetch "$1" && [ "$(find "$site/got" -type f -exec cat {} + | LC_ALL=C sort | md5sum)" = "$(LC_ALL=C sort "$2" | md5sum)" ]; }
zipped() { fetch "$1" && [ "$(find "$site/got" -type f -exec zcat {} + | LC_ALL=C sort | md5sum)" = "$(LC_ALL=C sort "$2" | md5sum)" ]; }
found() { wait_for "$1" "sleep 1; ${4:-lines} $2 \"$3\""; }
held_up() { # NAME CODES WORDS...
	[[ $(code_of "$1") =~ ^($2)$ ]] || return 1
	local word
	for word in "${@:3}"; do error_of "$1" | grep -qF -- "$word" || return 1; done
}
total=0
more() { # COUNT: as many new lines, put and kept.
	records $total $((total + $1)) >"$site/more"
	total=$((total + $1))
	cat "$site/more" >>"$site/lines"
	sealock put web --lines "$site/more" >/dev/null
}

key=$(sealock key create --alias alias/web --json | json_from .arn)
sealock stream create web --key alias/web --shards 2 >/dev/null
ingestd_start
role deliver kms:Decrypt kms:GenerateDataKey
deliverd_start
run deliveries
delivery_create logs web archive deliver 1 "$newline"
encrypted="\"EncryptionConfiguration\": {\"KMSEncryptionConfig\": {\"AWSKMSKeyARN\": \"$key\"}}"
delivery_create sealed web vault deliver 1 "$newline, \"Prefix\": \"p/!{timestamp:yyyy}/\", \"ErrorOutputPrefix\": \"bad/\", \"CompressionFormat\": \"GZIP\", $encrypted"
check "delivery streams to a store begin" 'wait_for 10 "is_state logs ACTIVE && is_state sealed ACTIVE"'

# --- it works ---

more 3000
check "every record is in the bucket, byte for byte, once" 'found 20 archive "$site/lines"'
check "under Firehose's keys" '[ -z "$(cd "$site/got" && find . -type f | grep -Ev "^\./[0-9]{4}/[0-9]{2}/[0-9]{2}/[0-9]{2}/logs-1-[0-9-]{19}-[0-9a-f-]{36}$")" ]'
fetch vault
check "what is sealed here is ciphertext there" '[ "$(cat "$site/rgw")" -gt 0 ] && ! grep -rqa "record 0000" "$site/got" && ! find "$site/got" -name "*.gz" -exec zcat {} + 2>/dev/null | grep -qa "record 0000"'
open_all() {
	fetch vault || return 1
	find "$site/got" -type f ! -name '*.meta.json' | while read -r object; do sealock open "$object" --decompress || echo "FAILED $object"; done
}
as_reader() { sealock iam user show >/dev/null 2>&1; open_all >"$site/opened" 2>"$err"; [ "$(LC_ALL=C sort "$site/opened" | md5sum)" = "$(LC_ALL=C sort "$site/lines" | md5sum)" ]; }
check "and sealock open opens it" 'wait_for 20 as_reader'

# --- the store goes wrong ---

rgw kill
more 1000
check "a store that is away is told" 'wait_for 20 "held_up logs \"S3.Unreachable|S3.ConnectionClosed\" archive"'
rgw start
check "back again, everything is delivered" 'found 40 archive "$site/lines"'
credentials not-the-secret
more 500
check "credentials that are refused are told, without a secret" 'wait_for 20 "held_up logs S3.SignatureDoesNotMatch $key_id aws_secret_access_key" && ! error_of logs | grep -q not-the-secret'
run sealock delivery status logs
check "by the command, too, which fails" '[ $code = 1 ] && grep -q SignatureDoesNotMatch "$out"'
credentials
check "mended in their file, it goes on without a restart" 'found 40 archive "$site/lines"'
rgw drop archive
more 500
check "a bucket that is lost is told" 'wait_for 20 "held_up logs S3.NoSuchBucket archive \"make the bucket\""'
rgw make archive
cp "$site/more" "$site/since"
check "made again, it is delivered to" 'found 40 archive "$site/since"'

# --- rights ---

role_may deliver kms:Decrypt
sleep 2.5
more 500
cat "$site/more" >>"$site/since"
check "without kms:GenerateDataKey nothing is sealed: action, key and role are told" \
	'wait_for 20 "held_up sealed KMS.AccessDenied kms:GenerateDataKey \"$key\" deliver"'
check "who needs no data key goes on" 'found 20 archive "$site/since"'
role_may deliver kms:Decrypt kms:GenerateDataKey
check "mended, it goes on, and nothing is lost" 'wait_for 40 as_reader'
delivery_create headers web kms deliver 1 "$encrypted"
wait_for 10 "is_state headers ACTIVE"
records 900000 900010 >"$site/other"
sealock put web --lines "$site/other" >/dev/null
cat "$site/other" >>"$site/lines"
cat "$site/other" >>"$site/since"
check "SSE-KMS under a key that the store does not know is told with its name (headers)" \
	'wait_for 20 "held_up headers S3.InvalidAccessKeyId \"KMS key ${key##*/}\""'
deliveryctl delete headers

# --- deliverd is killed ---

(for i in 1 2 3 4 5 6 7 8; do more 400; sleep 0.5; done; echo $total >"$site/total") &
putter=$!
for i in 1 2 3 4 5; do
	sleep 0.8
	deliverd_kill
	deliverd_start
done
wait $putter
total=$(cat "$site/total")
tail -n 3200 "$site/lines" >>"$site/since"
check "killed again and again, it delivers every record once: a batch has one key" 'found 60 archive "$site/since"'
check "sealed ones, too" 'wait_for 30 as_reader'
check "no upload is left open" 'rgw uploads archive && [ "$(cat "$site/rgw")" = 0 ]'
check "no record, key or secret is in the log" '! grep -qF -e "record 0000" -e "$secret" -e not-the-secret "$site/deliverd.log"'
deliverd_stop
check "it stops cleanly" 'tail -n 1 "$site/deliverd.log" | grep -q "msg=stopped"'
finish
