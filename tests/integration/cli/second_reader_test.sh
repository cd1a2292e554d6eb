#!/usr/bin/env bash
# A reader in Python that was written from docs/FORMATS.md alone, beside the product: the same files, findings and records.
# Needs root (uids, no accounts). Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: second_reader_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/harness.sh"

skip_all() { echo "skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }
[ "$(id -u)" = 0 ] || skip_all "this test needs root, to run programs under several uids"
for program in sealock sealock-kmsd sealock-hsm-worker sealock-ingestd; do
	[ -x "$build/bin/$program" ] || skip_all "$program was not built"
done
[ -n "$(softhsm_module)" ] || skip_all "SoftHSM is not installed"
python=
for candidate in /usr/bin/python3 python3; do
	[ -n "$python" ] || ! "$candidate" -c "import cryptography" 2>/dev/null || python=$candidate
done
[ -n "$python" ] || skip_all "python3-cryptography is not installed"

site_make
trap site_remove EXIT
install -m 0644 "$here/second_reader.py" "$site/second_reader.py"
second() { run as $uid_reader "$python" "$site/second_reader.py" "$@"; }
cat >"$site/bin/unwrap" <<'END'
#!/bin/sh
exec sealock key decrypt --context "$1"
END
chmod 0755 "$site/bin/unwrap"

sealock hsm init --config "$site/kmsd.yaml" >/dev/null || die_with_log /dev/null "sealock hsm init"
kmsd_start
sealock key create --alias alias/web >/dev/null
sealock stream create web --shards 3 --key alias/web >/dev/null
sealock stream create other >/dev/null
sealock key attestation-key >"$site/attest.pem"
# Every stream has a policy and a key of its own: the other one must not be asked for.
arn=$(sealock stream describe web --json | json_from .arn)
ingestd_start

head -c 40000 /dev/urandom >"$site/binary"
seq 1 300 | sed 's/^/line /' >"$site/lines"
for i in 1 2 3 4; do
	sealock put web --lines --partition-key "key $i" "$site/lines" >/dev/null || die_with_log "$site/ingestd.log" "put"
	sealock put web --partition-key "$i" "$site/binary" >/dev/null
	printf 'ünïcode %s' "$i" | sealock put other --partition-key x >/dev/null
done
ingestd_stop # closed, and a second opening with files of its own
ingestd_start
sealock put web --lines --partition-key "key 5" "$site/lines" >/dev/null

# same: what the first says and the second says, both as JSON lines in an order of their own, are the same.
same() { "$python" -IS -c '
import json, sys
def load(path, names):
    return [{k: v for k, v in json.loads(line).items() if k in names} for line in open(path)]
names = ("sequence", "shard", "epoch", "partition_key", "data", "data_encoding")
a, b = load(sys.argv[1], names), load(sys.argv[2], names)
sys.exit(0 if a == b and len(a) > 0 else 1)' "$1" "$2"; }

as $uid_reader sealock tail web --no-follow --format json >"$site/first" 2>"$err"
second "$site/journal" read "$arn" "$site/bin/unwrap"
cp "$out" "$site/second"
check "it reads the same records, in the same order, beside a live writer" \
	'[ $code = 0 ] && same "$site/first" "$site/second" && [ "$(wc -l <"$site/second")" = 1504 ]'

ingestd_stop
as $uid_reader sealock tail web --no-follow --format json >"$site/first" 2>"$err"
second "$site/journal" read "$arn" "$site/bin/unwrap"
cp "$out" "$site/second"
check "and of closed files" '[ $code = 0 ] && same "$site/first" "$site/second"'

as $uid_reader sealock journal ls --json >"$site/first" 2>"$err"
second "$site/journal" list
check "it lists the same files" '[ $code = 0 ] && "$python" -IS -c "
import json, sys
a = json.load(open(sys.argv[1]))[\"files\"]; b = json.load(open(sys.argv[2]))[\"files\"]
names = list(b[0])
sys.exit(0 if len(b) >= 2 and [{k: f[k] for k in names} for f in a] == b else 1)" "$site/first" "$out"'

second "$site/journal" verify "$site/attest.pem"
records=$(json_of .records)
run as $uid_reader sealock journal verify --public-key "$site/attest.pem" --json
check "both find the journal right, signed by the appliance to its end" \
	'[ $code = 0 ] && [ "$(json_of .records)" = "$records" ] && [ "$records" -gt 1500 ] && [ "$(json_of .files_unsigned)" = 0 ]'
second "$site/journal" verify "$site/attest.pem"
check "with as many bytes signed" '[ $code = 0 ] && [ "$(json_of .bytes_signed)" -gt 200000 ]'

openssl ecparam -name prime256v1 -genkey -noout 2>/dev/null | openssl ec -pubout >"$site/other.pem" 2>/dev/null
second "$site/journal" verify "$site/other.pem"
check "another key is not the appliance's" '[ $code = 1 ] && grep -q "not signed by the appliance" "$out"'

copy_journal_with_a_flipped_byte "$site/journal" "$site/flipped" "$uid_ingest"
second "$site/flipped" verify "$site/attest.pem"
at=$(json_of .findings.0.offset) file=$(json_of .findings.0.file)
run as $uid_reader sealock journal verify --journal "$site/flipped" --public-key "$site/attest.pem" --json
check "both name the same place of a flipped bit" '[ $code = 1 ] && [ "$(json_of .findings.0.offset)" = "$at" ] && [ "$(json_of .findings.0.file)" = "$file" ]'

echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
