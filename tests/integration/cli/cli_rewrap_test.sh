#!/usr/bin/env bash
# sealock key rewrap against a real kmsd with a SoftHSM token, on a journal that a real ingestd wrote: what was readable under
# the old key only is read under the new one only, and no lane file changes.
# Needs root (uids, no accounts). Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: cli_rewrap_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/harness.sh"

skip_all() { echo "skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }
[ "$(id -u)" = 0 ] || skip_all "this test needs root, to run programs under several uids"
for program in sealock sealock-kmsd sealock-hsm-worker sealock-ingestd; do
	[ -x "$build/bin/$program" ] || skip_all "$program was not built"
done
[ -n "$(softhsm_module)" ] || skip_all "SoftHSM is not installed"

site_make
trap site_remove EXIT

side=$site/journal/rewrap-
lane_hash() { (cd "${1:-$site/journal}" && sha256sum -- *.slj | sha256sum); }
side_files() { ls "${1:-$site/journal}" | grep -c '^rewrap-[0-9]*\.slr$'; }
audited() { grep -c "\"eventName\":\"${1#*:}\"" "$site/kms/audit.log"; }
no_key_left() { ! grep -qF "$1" "$out" "$err"; }

# --- two keys, streams, records in several epochs and files ---

sealock hsm init --config "$site/kmsd.yaml" >/dev/null || die_with_log /dev/null "sealock hsm init"
kmsd_start
old_id=$(sealock key create --alias alias/old --json | json_from .id)
new_id=$(sealock key create --alias alias/new --json | json_from .id)
new_arn=$(sealock key describe alias/new --json | json_from .arn)
old_arn=$(sealock key describe alias/old --json | json_from .arn)
sealock stream create web --shards 2 --key alias/old >/dev/null
sealock stream create bare >/dev/null
appliance_arn=$(sealock stream describe bare --json | json_from .key_arn)
kmsd_stop
# The auditor may use the new key, and not the old one.
cat >>"$site/kmsd.yaml" <<-END
	  - {effect: Allow, principals: [user/auditor], actions: ["kms:Decrypt"], resources: ["key/$new_id"]}
	  - {effect: Allow, principals: [user/auditor], actions: ["kinesis:GetRecords"], resources: ["stream/*"]}
END
kmsd_start
for round in 1 2 3; do # each start of ingestd begins a file and epochs of its own
	ingestd_start
	seq -f "round $round line %g" 1 40 >>"$site/lines"
	seq -f "round $round line %g" 1 40 | sealock put web --lines --partition-key k >/dev/null
	echo "bare $round" | sealock put bare --lines --partition-key k >/dev/null
	ingestd_stop
done
reads_all() { run as "$1" sealock tail web --no-follow "${@:2}"; [ $code = 0 ] && cmp -s "$out" "$site/lines"; }

check "under the old key the reader reads" 'reads_all $uid_reader'
run as $uid_auditor sealock tail web --no-follow
check "who has the right on the new key alone does not yet" '[ $code = 1 ] && empty "$out" && said "key/$old_id"'

# --- what hangs on a key ---

run sealock key usage alias/old --json
check "usage counts epochs, records and bytes of a key, from the files" '[ $code = 0 ] && json_is .total.epochs 3 && json_is .total.records 120 &&
	json_is .total.plain_bytes "$(json_of .alone.plain_bytes)" && json_is .alone.epochs 3 && json_is .materials.0.journal.epochs 3 && json_is .damaged 0 && [ "$(json_of .total.plain_bytes)" -gt 1000 ]'
run sealock key usage alias/new --json
check "nothing hangs on a key that wrapped nothing" '[ $code = 0 ] && json_is .total.epochs 0 && json_is .total.records 0'
SEALOCK_AUDIT=$site/kms/audit.log run sealock key usage alias/old
check "a person is told, with the uses in the log" '[ $code = 0 ] && grep -q "^stream/web *3 epochs, .* 120 records" "$out" && grep -q "kms:GenerateDataKey: 3" "$out"'
run as $uid_auditor env SEALOCK_KMS_SOCKET=/nonexistent sealock key usage "$old_id" --json
check "without kmsd the files alone tell" '[ $code = 0 ] && json_is .total.records 120 && said "left out"'
run sealock key schedule-deletion alias/old --days 7
check "who destroys the key is told what is lost" '[ $code = 0 ] && said "3 epochs of the journal" && said "120 records"'
sealock key cancel-deletion alias/old >/dev/null 2>&1; sealock key enable alias/old >/dev/null

# --- dry run, rights ---

before=$(lane_hash)
attests=$(audited sealock:Attest) # of the journal
run sealock key rewrap --from alias/old --to alias/new --dry-run --json
check "a dry run counts, and leaves nothing behind" '[ $code = 0 ] && json_is .todo 3 && json_is .without_sse 0 &&
	json_is .other_keys 3 && json_is .rewrapped 0 && [ "$(side_files)" = 0 ] && [ "$(audited sealock:Attest)" = "$attests" ]'
run sealock key rewrap --to alias/new --dry-run --json
check "streams without SSE-KMS are told apart" '[ $code = 0 ] && json_is .todo 3 && json_is .without_sse 3'
run as $uid_reader sealock key rewrap --from alias/old --to alias/new
check "who is no administrator is refused before anything is written" '[ $code = 1 ] && empty "$out" && said user/reader && [ "$(side_files)" = 0 ]'
run sealock key rewrap --from alias/old
check "without --to the usage is wrong" '[ $code = 2 ] && said "--to"'
run sealock key rewrap --from alias/old --to alias/nothing
check "an unknown key is named" '[ $code = 1 ] && said alias/nothing && [ "$(side_files)" = 0 ]'

# --- rewrap ---

run sealock key rewrap --from alias/old --to alias/new --json
check "every epoch of the old key is wrapped anew" '[ $code = 0 ] && json_is .rewrapped 3 && json_is .failed 0 &&
	json_is .files.0 rewrap-00000000000000000001.slr && json_is .from.0.key_arn "$old_arn"'
check "no lane file has changed" '[ "$(lane_hash)" = "$before" ]'
check "the side file has mode, owner and group of lane files" \
	'[ "$(stat -c "%a %u %g" "${side}00000000000000000001.slr")" = "$(stat -c "%a %u %g" "$site/journal"/*001.slj)" ]'
check "kmsd audited a ReEncrypt of each, no Decrypt, and the signature" \
	'[ "$(audited kms:ReEncrypt)" = 3 ] && [ "$(grep -c "\"purpose\":\"rewrap\"" "$site/kms/audit.log")" = 1 ] &&
	! grep "\"eventName\":\"Decrypt\"" "$site/kms/audit.log" | grep -q "arn:aws:iam::000000000000:root"'
check "who has the right on the new key alone reads every record" 'reads_all $uid_auditor'
check "who has the right on both reads them too" 'reads_all $uid_reader'
run sealock key usage alias/old --json
check "what another key wraps, too, does not hang on the old key alone" '[ $code = 0 ] && json_is .total.epochs 3 && json_is .alone.epochs 0'
run sealock key usage alias/new --json
check "nor on the new one" '[ $code = 0 ] && json_is .total.records 120 && json_is .alone.records 0'
run sealock key rewrap --from alias/old --to alias/new --json
check "a second run finds nothing to do" '[ $code = 0 ] && json_is .todo 0 && [ "$(side_files)" = 1 ]'
run sealock key rewrap --to alias/new --json
check "what is under the target already is counted as such" '[ $code = 0 ] && json_is .todo 0 && json_is .current 3 && json_is .without_sse 3 && [ "$(side_files)" = 1 ]'
run sealock key rewrap --to "$appliance_arn" --json
check "the appliance's key takes no other key's epochs" '[ $code = 0 ] && json_is .todo 0 && json_is .current 3 && json_is .other_keys 3'

# --- what operators and auditors see ---

run as $uid_auditor sealock journal ls
check "journal ls shows the side file" '[ $code = 0 ] && grep -q "^SIDE FILE" "$out" && grep -q "rewrap-0*1.slr .* intact " "$out"'
run as $uid_auditor sealock journal verify --with-keys --json
check "verify --with-keys opens every block under the new key alone" \
	'[ $code = 0 ] && json_is .ok true && json_is .tags_unchecked 0 && json_is .side_files 1 && json_is .side_keys 3'
run sealock key attestation-key
cp "$out" "$site/attest.pem"
check "the attestation key is a P-256 key in PEM" '[ $code = 0 ] && openssl pkey -pubin -in "$site/attest.pem" -text -noout | grep -q "NIST CURVE: P-256"'
run sealock key attestation-key --json
check "in JSON it has an ARN and a hash" '[ $code = 0 ] && json_is .spec ECC_NIST_P256 && [ "$(json_of .sha256 | tr -d "\n" | wc -c)" = 64 ]'
run as $uid_reader sealock key attestation-key
check "it is shown to administrators only" '[ $code = 1 ] && empty "$out" && said sealock:Attest'
python3 - "${side}00000000000000000001.slr" "$site" <<-'END'
	import hashlib, struct, sys
	data = open(sys.argv[1], "rb").read()
	end = 96 + struct.unpack_from("<Q", data, 48)[0]
	size = struct.unpack_from("<H", data, end + 4)[0]
	assert hashlib.sha256(data[:end]).digest() == data[end + 16:end + 48]
	open(sys.argv[2] + "/digest", "wb").write(data[end + 16:end + 48])
	open(sys.argv[2] + "/signature", "wb").write(data[end + 48:end + 48 + size])
END
printf 'sealock-attest-1\0rewrap\0' | cat - "$site/digest" >"$site/attested"
run openssl dgst -sha256 -verify "$site/attest.pem" -signature "$site/signature" "$site/attested"
check "OpenSSL alone confirms the signature, as docs/FORMATS.md says" '[ $code = 0 ] && grep -q "Verified OK" "$out"'
run as $uid_auditor sealock journal verify --attestation-key "$site/attest.pem" --json
check "verify with the pinned key finds it signed" '[ $code = 0 ] && json_is .ok true && json_is .side_files 1'
check "tail with the pinned key reads" 'reads_all $uid_auditor --attestation-key "$site/attest.pem"'

openssl ecparam -name prime256v1 -genkey -noout 2>/dev/null | openssl pkey -pubout -out "$site/other.pem" 2>/dev/null
run as $uid_auditor sealock journal verify --attestation-key "$site/other.pem" --json
check "verify with another key finds it untrusted" '[ $code = 1 ] && json_is .ok false && json_is .findings.0.code BadTag && json_is .side_files 0'
run as $uid_auditor sealock tail web --no-follow --attestation-key "$site/other.pem"
check "a side file that the pinned key did not sign is passed over" '[ $code = 1 ] && empty "$out" && said "passed over (untrusted)" && said "key/$old_id"'
run as $uid_reader sealock tail web --no-follow --attestation-key /dev/null
check "a file without a key is refused" '[ $code = 1 ] && empty "$out" && said "no public key"'

# --- damaged, on a copy ---

cp -a "$site/journal" "$site/copy"
python3 - "$site/copy/rewrap-00000000000000000001.slr" <<-'END'
	import sys
	with open(sys.argv[1], "r+b") as f:
	    f.seek(200)
	    byte = f.read(1)[0]
	    f.seek(200)
	    f.write(bytes([byte ^ 1]))
END
check "with a damaged side file the key blocks serve" 'reads_all $uid_reader --journal "$site/copy" && said "passed over (damaged)"'
run as $uid_auditor sealock journal verify --journal "$site/copy" --json
check "verify reports it" '[ $code = 1 ] && json_is .findings.0.file rewrap-00000000000000000001.slr'
run sealock key rewrap --to alias/new --journal "$site/copy" --json
check "a new run replaces what it held" '[ $code = 0 ] && json_is .rewrapped 3 && json_is .files.0 rewrap-00000000000000000002.slr'
check "and the new key alone reads again" 'reads_all $uid_auditor --journal "$site/copy"'

# --- kill -9 at some moment, on that copy ---

whole=0
for round in 1 2 3 4 5 6 7 8; do
	rm -f "$site/copy"/rewrap-*
	sealock key rewrap --to alias/new --journal "$site/copy" >/dev/null 2>&1 &
	victim=$!
	sleep 0.0$((round * 8 % 10))$((round % 10))
	kill -KILL $victim 2>/dev/null
	wait $victim 2>/dev/null
	run as $uid_auditor sealock journal verify --journal "$site/copy" --json
	[ $code = 0 ] && reads_all $uid_reader --journal "$site/copy" || break
	sealock key rewrap --to alias/new --journal "$site/copy" >/dev/null 2>&1 && reads_all $uid_auditor --journal "$site/copy" || break
	whole=$((whole + 1))
done
check "killed at any moment it leaves the old state or a whole file, and goes on when it is started again" '[ $whole = 8 ]'
check "nothing half-written is left" '[ ! -e "$site/copy/rewrap.new" ] && [ "$(side_files "$site/copy")" = 1 ]'

# --- beside a live writer, and rotation ---

ingestd_start
echo "live" | tee -a "$site/lines" | sealock put web --lines --partition-key k >/dev/null
run sealock key rewrap --to alias/new --json
check "beside a live writer the new epoch is wrapped anew, the others are left" '[ $code = 0 ] && json_is .rewrapped 1 && json_is .current 3'
check "it is read under the new key alone" 'reads_all $uid_auditor'
ingestd_stop

run sealock key rotate alias/new
check "the new key rotates" '[ $code = 0 ]'
if wait_for 10 'sealock key rewrap --to alias/new --dry-run --json | grep -q "\"todo\": 4"'; then
	run sealock key rewrap --to alias/new --json
	check "after a rotation all are wrapped under the new material" '[ $code = 0 ] && json_is .rewrapped 4 && json_is .from.0.key_arn "$new_arn"'
	check "and read" 'reads_all $uid_auditor'
	run as $uid_auditor sealock journal verify --attestation-key "$site/attest.pem" --json
	check "the side files are a chain" '[ $code = 0 ] && json_is .side_files 3'
	rm "${side}00000000000000000002.slr"
	run as $uid_auditor sealock journal verify --json
	check "one that was taken away is noticed" '[ $code = 1 ] && json_is .findings.0.file rewrap-00000000000000000003.slr'
else
	check "all have to be wrapped under the new material" 'false'
fi

# --- the old key goes ---

before=$(lane_hash)
run sealock key disable "$old_id"
check "the old key is disabled" '[ $code = 0 ]'
check "with the old key disabled all is read" 'reads_all $uid_reader && reads_all $uid_auditor'
rm -f "$site/copy"/rewrap-*
run as $uid_reader sealock tail web --no-follow --journal "$site/copy"
check "without side files it is not" '[ $code = 1 ] && empty "$out" && said disabled'
run sealock key rewrap --from alias/old --to alias/new --journal "$site/copy" --json
check "and cannot be wrapped anew: each key is told once" '[ $code = 1 ] && json_is .failed 3 && json_is .rewrapped 0 &&
	json_is .from.0.state Disabled && [ "$(grep -c "not wrapped anew" "$err")" = 1 ] && [ "$(side_files "$site/copy")" = 0 ]'
run sealock key schedule-deletion alias/old
check "the old key is scheduled for deletion, and its stream is counted" '[ $code = 0 ] && said "1 stream seals under this key"'
check "pending deletion all is read, too" 'reads_all $uid_reader && reads_all $uid_auditor'
check "no lane file has changed in all this" '[ "$(lane_hash)" = "$before" ]'

# --- kmsd goes away ---

kmsd_stop
run sealock key rewrap --to alias/new
check "without kmsd a sentence names its socket" '[ $code = 1 ] && empty "$out" && said "$site/run/kms/kms.sock"'
check "nothing printed in clear lies in the side files" '! grep -raqF "round 1" "$site/journal"'

finish
