#!/usr/bin/env bash
# sealock put, tail, journal and status against a real kmsd with a SoftHSM token and a real ingestd, each under its own uid.
# Needs root (uids, no accounts). Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: cli_records_test.sh BUILD_DIR}
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

sealock hsm init --config "$site/kmsd.yaml" >/dev/null || die_with_log /dev/null "sealock hsm init"
kmsd_start
key_id=$(sealock key create --alias alias/web --json | json_from .id)
sealock stream create web --shards 2 --key alias/web >/dev/null
sealock stream create bare >/dev/null
ingestd_start

# --- put ---

printf 'hello' >"$site/one"
run sealock put web --partition-key k1 "$site/one" --json
check "put returns shard and sequence number" '[ $code = 0 ] && json_is .record 1 && json_is .sequence 0'
run sealock put web --partition-key k1 - <"$site/one"
check "put reads stdin and says where the record is" '[ $code = 0 ] && grep -q "stored 1 record (5 B): shard [01], sequence number 1" "$out"'
head -c 300000 /dev/urandom >"$site/binary"
run sealock put bare --partition-key b "$site/binary"
check "a record of many fragments is stored" '[ $code = 0 ]'
seq 1 500 | sed 's/^/line /' >"$site/lines"
run sealock put web --lines --partition-key k1 "$site/lines"
check "put --lines stores every line" '[ $code = 0 ] && grep -q "stored 500 records" "$out"'
printf 'a\nb\nlast without newline' | run_piped sealock put bare --lines --partition-key b --json
check "a last line without a newline counts" '[ $code = 0 ] && [ "$(wc -l <"$out")" = 3 ]'
head -c 1048577 /dev/zero | run_piped sealock put bare
check "a record over 1 MiB is refused before it is sent" '[ $code = 1 ] && said "1048576"'
run sealock put nowhere "$site/one"
check "an unknown stream is refused and named" '[ $code = 1 ] && said nowhere'
run as $uid_stranger sealock put web "$site/one"
check "a stranger may not put" '[ $code = 1 ] && said "denied\|not authori\|may not"'
run as $uid_reader sealock put web "$site/one"
check "a reader may not put, and is told principal and action" '[ $code = 1 ] && said user/reader && said "kinesis:PutRecord"'

# --- tail ---

run as $uid_reader sealock tail bare --no-follow --count 1 --bare
check "a binary record comes back byte for byte" '[ $code = 0 ] && cmp -s "$out" "$site/binary"'
run as $uid_reader sealock tail web --no-follow
check "tail prints the records in order" '[ $code = 0 ] && (printf "hello\nhello\n"; cat "$site/lines") | cmp -s - "$out"'
run as $uid_reader sealock tail web --no-follow --format json --count 1
check "json has sequence, shard, key, data, epoch" '[ $code = 0 ] && json_is .sequence 0 && json_is .partition_key k1 && json_is .data hello && [ "$(json_of .epoch | tr -d "\n" | wc -c)" = 16 ]'
run as $uid_reader sealock tail bare --no-follow --format json --count 1
check "what is no text is base64" '[ $code = 0 ] && json_is .data_encoding base64 && json_of .data | base64 -d | cmp -s - "$site/binary"'
run as $uid_reader sealock tail web --no-follow --from 499 --count 2
check "tail starts at a sequence number inside a block" '[ $code = 0 ] && printf "line 498\nline 499\n" | cmp -s - "$out"'
run as $uid_reader sealock tail web --no-follow --from @-1h --count 1
check "tail starts at a time" '[ $code = 0 ] && grep -qx hello "$out"'
run as $uid_reader sealock tail web --no-follow --from LATEST
check "LATEST has nothing old" '[ $code = 0 ] && empty "$out"'
run as $uid_reader sealock tail web --no-follow --shard 7
check "a shard that is not there is refused" '[ $code = 1 ] && said "no shard 7"'
run as $uid_reader sealock tail nowhere --no-follow
check "tail names an unknown stream" '[ $code = 1 ] && empty "$out" && said nowhere'
run as $uid_auditor sealock tail web --no-follow
check "without kms:Decrypt nothing is printed but who was refused what" \
	'[ $code = 1 ] && empty "$out" && said user/auditor && said "kms:Decrypt" && said "key/$key_id"'
run as $uid_auditor sealock tail web --no-follow --json
check "the refusal in JSON has its code" '[ $code = 1 ] && empty "$out" && grep -q "\"code\":\"AccessDenied\"" "$err"'
run as $uid_outsider sealock tail web --no-follow
check "outside the group the files are closed" '[ $code = 1 ] && empty "$out" && said "$site/journal"'

(exec_as $uid_reader sealock tail web --from LATEST >"$site/followed" 2>"$site/followed.err") &
follower=$!
sleep 1
run sealock put web --partition-key k1 "$site/one"
wait_for 5 '[ -s "$site/followed" ]'
kill -INT $follower
wait $follower
code=$?
check "a follower prints what comes and ends cleanly at SIGINT" '[ $code = 0 ] && grep -qx hello "$site/followed" && empty "$site/followed.err"'

as $uid_reader sealock tail web --no-follow 2>"$err" | head -n 1 >"$out"
codes=(${PIPESTATUS[@]})
check "a reader that goes away is no failure" '[ ${codes[0]} = 0 ] && grep -qx hello "$out" && empty "$err"'
as $uid_reader sealock tail web --no-follow >/dev/full 2>"$err"
code=$?
check "a full disk is one" '[ $code = 1 ] && said "No space left"'

# --- journal ---

run as $uid_auditor sealock journal ls --json
check "journal ls needs no key" '[ $code = 0 ] && [ "$(json_of .files.0.records)" -ge 500 ]'
run as $uid_auditor sealock journal verify --json
check "verify needs no key" '[ $code = 0 ] && json_is .ok true && json_is .tags_checked 0'
run as $uid_auditor sealock journal verify --with-keys
check "verify --with-keys without the right is refused" '[ $code = 1 ] && said "kms:Decrypt"'
run as $uid_reader sealock journal verify --with-keys --json
check "verify --with-keys checks every tag" '[ $code = 0 ] && json_is .ok true && json_is .tags_unchecked 0 && [ "$(json_of .tags_checked)" -ge 3 ]'
run sealock journal ls --journal "$site/empty"
check "a journal without files is said to have none" '[ $code = 0 ] && empty "$out" && said "$site/empty"'
run sealock journal ls --journal "$site/nothing"
check "a journal that is not there is refused" '[ $code = 1 ] && empty "$out" && said "$site/nothing"'
check "no file of the journal holds a line in clear" '! grep -raqF "line 250" "$site/journal"'

ingestd_stop
copy_journal_with_a_flipped_byte "$site/journal" "$site/flipped" "$uid_ingest"
run as $uid_reader sealock journal verify --journal "$site/flipped"
check "a flipped byte is found" '[ $code = 1 ] && grep -q " at [0-9]*: " "$out"'
run as $uid_reader sealock tail web --no-follow --journal "$site/flipped"
check "tail leaves the damaged block out, says so, and prints nothing that was not sent" \
	'[ $code = 1 ] && grep -q damaged "$err" && ! grep -vxFf "$site/lines" "$out" | grep -vqx hello'

run sealock journal salvage --journal "$site/flipped" --to "$site/salvaged" --json
check "salvage names what is lost, and that is a failure" '[ $code = 1 ] && [ "$(json_of .lost_ranges)" = 1 ] && [ "$(json_of .records)" -gt 0 ]'
chmod -R a+rX "$site/salvaged"
run as $uid_reader sealock journal verify --journal "$site/salvaged"
check "the loss is a finding to whoever was not told" '[ $code = 1 ] && grep -q "this was lost" "$out"'
run as $uid_reader sealock journal verify --journal "$site/salvaged" --with-keys --salvaged
check "and nothing else is wrong" '[ $code = 0 ] && grep -q "lost: [0-9]* bytes" "$out" && grep -q "numbering and footers are right" "$out"'
run as $uid_reader sealock tail web --no-follow --journal "$site/salvaged"
check "what was salvaged opens" '[ $code = 1 ] && grep -q "could be salvaged" "$err" && [ -s "$out" ] && ! grep -vxFf "$site/lines" "$out" | grep -vqx hello'
run sealock journal salvage --journal "$site/flipped" --to "$site/salvaged"
check "nothing is salvaged into a directory with files" '[ $code = 1 ] && said "is not empty"'

# --- status ---

ingestd_start
run sealock status --json
check "status has both services" '[ $code = 0 ] && json_is .kms.hsm.state ready && [ "$(json_of .ingest.records)" = 0 ]'
run sealock status
check "status for people names token and engine" '[ $code = 0 ] && grep -q "^hsm: *ready" "$out" && grep -q "^ingestd: .*engine" "$out"'

# --- kmsd goes away ---

run sealock put web --partition-key k1 "$site/one"
kmsd_stop
run as $uid_reader sealock tail web --no-follow
check "without kmsd tail prints nothing and says why" '[ $code = 1 ] && empty "$out" && said "$site/run/kms/kms.sock"'
run sealock put web --partition-key k1 "$site/one"
check "put goes on under the key that ingestd has" '[ $code = 0 ]'
run sealock status --json
check "status says which one is away" '[ $code = 1 ] && [ -n "$(json_of .kms.error.message)" ] && [ "$(json_of .ingest.records)" = 2 ]'

finish
