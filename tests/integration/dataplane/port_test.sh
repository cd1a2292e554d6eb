#!/usr/bin/env bash
# The local port with libsealock's producer: several clients at once, kill -9 of ingestd in the middle (they connect again, and what was
# acknowledged is there once and at its place), kill -9 of a client (nobody else notices), back-pressure with the smallest ring, and who
# may authorise its own callers. Needs root. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: port_test.sh BUILD_DIR}
. "$(dirname "$0")/ingest.sh"
ingest_needs
[ -x "$build/tests/port_drive" ] || skip_all "port_drive was not built"
ingest_site
install -m 0755 "$build/tests/port_drive" "$site/bin/"
install -d -m 1777 "$site/notes"
kills=${KILLS:-3}
count=${RECORDS:-20000}
for stream in work closed; do
	sealock stream create $stream --shards 2 --key alias/test >/dev/null || die_with_log "$site/kmsd.log" "stream create"
done
# kmsd has no principal for this uid.
ingest_config "  - {name: loop, type: ring, ipv4: 10.77.1.2}" ""
sed -i "s|port.sock}|port.sock, trusted_user: \"$uid_stranger\"}|; s|put.sock}|put.sock, trusted_user: \"$uid_stranger\"}|" "$site/ingestd.yaml"
ingest_start ""

# --- ingestd is killed under several clients ---

drivers=()
for name in one two three; do
	port_drive work $name 10000000 "$site/notes/$name" >"$site/$name.out" 2>"$site/$name.err" &
	drivers+=($!)
done
port_drive work small 10000000 "$site/notes/small" 65536 64 >"$site/small.out" 2>"$site/small.err" &
drivers+=($!)
acked() { cat "$site/notes/"* 2>/dev/null | grep -c ^acked; }
for ((k = 1; k <= kills; k++)); do
	before=$(acked)
	wait_for 20 "[ \$(acked) -gt $((before + 2000)) ]"
	ingest_kill
	ingest_start ""
done
before=$(acked)
wait_for 20 "[ \$(acked) -gt $((before + 2000)) ]"
kill -TERM "${drivers[@]}"
failed=0
for pid in "${drivers[@]}"; do wait $pid || failed=$((failed + 1)); done
cat "$site"/{one,two,three,small}.out
check "each client got an answer to each record, over $kills deaths of ingestd" '[ $failed = 0 ]' || cat "$site"/*.err
check "they connected again" '[ "$(grep -c "connections $((kills + 1))$" "$site"/{one,two,three,small}.out | grep -c ":1$")" = 4 ]'
check "the smallest ring was full, and nothing was lost for it" '[ "$(sed "s/.*pressed \([0-9]*\).*/\1/" "$site/small.out")" -gt 0 ]'
read_back work --format json
check "the journal is read to its end" '[ $code = 0 ]'
cp "$out" "$site/records"
run python3 "$here/port_check.py" "$site/records" one="$site/notes/one" two="$site/notes/two" three="$site/notes/three" \
	small="$site/notes/small"
check "what was acknowledged is there, once and at its place, and nothing else" '[ $code = 0 ]'
cat "$out"

# --- a client is killed ---

port_drive work killed 10000000 "$site/notes/killed" >/dev/null 2>&1 &
victim=$!
port_drive work other $count "$site/notes/other" >"$site/other.out" 2>"$site/other.err" &
other=$!
wait_for 20 '[ "$(grep -c ^acked "$site/notes/killed" 2>/dev/null || true)" -gt 1000 ] 2>/dev/null'
kill -KILL $victim
wait $victim 2>/dev/null
wait $other
code=$?
check "a client that is killed disturbs nobody" '[ $code = 0 ] && grep -q "acked $count unknown 0 refused 0" "$site/other.out"'
wait_for 5 'status_is .clients 0'
check "its place is free again" 'status_is .clients 0 && status_is .client_hang_ups 0'
read_back work --format json
cp "$out" "$site/records"
run python3 "$here/port_check.py" "$site/records" killed="$site/notes/killed" other="$site/notes/other"
check "what it was told is there, too" '[ $code = 0 ]'
cat "$out"

# --- rights ---

run as $uid_reader port_drive work nobody 1 "$site/notes/nobody"
check "who may not put is told so when it attaches" '[ $code = 1 ] && said AccessDenied && said user/reader && said kinesis:PutRecord'
run as $uid_stranger port_drive work nobody 1 "$site/notes/stranger"
check "a stranger may not either" '[ $code = 1 ] && said "AccessDenied"'
run as $uid_stranger port_drive work gate 100 "$site/notes/gate" 65536 64 trusted
check "but the trusted user authorises its own callers" '[ $code = 0 ] && grep -q "acked 100 unknown 0 refused 0" "$out"'
run port_drive work nobody 1 "$site/notes/nobody" 65536 64 trusted
check "nobody else does, not even root" '[ $code = 1 ] && said AccessDenied && said trusted_user'
run port_drive nowhere nobody 1 "$site/notes/nobody"
check "a stream that is not there is named" '[ $code = 1 ] && said nowhere'
ingest_term
check "SIGTERM ends it with status 0" '[ $code = 0 ]'
run port_drive work nobody 1 "$site/notes/nobody"
check "without ingestd a producer says so at once" '[ $code = 1 ] && said "put.sock"'

finish
