#!/usr/bin/env bash
# The audit log of a real kmsd: sealock audit verify, search and tail; threats, row 24, line by line; rotation, crash, restart,
# a full disk, a wedged second sink; and the whole verified once more by openssl alone. Needs root (uids, no accounts).
set -uo pipefail
build=${1:?usage: cli_audit_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/harness.sh"

skip_all() { echo "skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }
[ "$(id -u)" = 0 ] || skip_all "this test needs root, to run programs under several uids"
for program in sealock sealock-kmsd sealock-hsm-worker; do
	[ -x "$build/bin/$program" ] || skip_all "$program was not built"
done
[ -n "$(softhsm_module)" ] || skip_all "SoftHSM is not installed"
command -v openssl >/dev/null || skip_all "openssl is not installed"

site_make
trap 'umount "$site/full" 2>/dev/null; site_remove' EXIT
log=$site/kms/audit.log second=$site/second/audit.log
export SEALOCK_AUDIT=$log
install -d -m 0700 -o $uid_kms -g $uid_kms "$site/second" "$site/full"
use_audit() { sed -i "s|^audit: .*|audit: {path: $1, head_interval_s: 1$2}|" "$site/kmsd.yaml"; }
use_audit "$log" ", second: {file: $second}"
run sealock hsm init --config "$site/kmsd.yaml"
kmsd_start
heads() { grep -c '^{"kind":"head"' "$1"; }
lines() { sealock audit verify --json | json_from .last_seq; }
data_key() { sealock key data-key "$key" >/dev/null 2>"$err"; }
verified() { run sealock audit verify --public-key "$site/pub.pem" --json "$@"; [ $code = 0 ] && json_is .sound true; }

# --- lines and heads ---

SEALOCK_CORRELATION_ID=order-4711 run sealock key create --alias alias/web --json
key=$(json_of .arn)
for i in 1 2 3 4 5; do data_key; done
run as $uid_reader sealock key create
check "a request without the right is refused" '[ $code = 1 ] && said AccessDeniedException'
check "a head is signed within its interval" 'wait_for 15 "[ \$(heads $log) -ge 1 ]"'
run sealock key attestation-key
cp "$out" "$site/pub.pem"
check "the log is sound, and signed by the appliance's key" 'verified && [ "$(json_of .heads)" -ge 1 ] && json_is .key_pinned true'
check "openssl alone says the same" 'run bash "$here/audit_openssl.sh" "$site/pub.pem" "$log"; [ $code = 0 ] && grep -q "heads" "$out"'
check "a person is told so" 'run sealock audit verify; [ $code = 0 ] && grep -q "^sound: lines 1 to" "$out" && grep -q "^head: [0-9]*:[0-9a-f]\{64\}$" "$out" && grep -q "not compared" "$out"'
check "the second sink has the same lines" 'cmp -s <(tail -n +2 "$log") <(tail -n +2 "$second") && run sealock audit verify "$second" && [ $code = 0 ]'
openssl ecparam -name prime256v1 -genkey -noout 2>/dev/null | openssl ec -pubout 2>/dev/null >"$site/other.pem"
run sealock audit verify --public-key "$site/other.pem"
check "another key signed nothing here" '[ $code = 1 ] && grep -q "another key" "$out"'

# --- search and tail ---

run sealock audit search --outcome denied --json
check "search by outcome" '[ $code = 0 ] && [ $(wc -l <"$out") = 1 ] && json_is .userIdentity.arn arn:aws:iam::000000000000:user/reader && json_is .errorCode AccessDeniedException'
run sealock audit search --request order-4711 --json
check "search by what the caller calls it" '[ $(wc -l <"$out") -ge 1 ] && json_is .eventName CreateKey && json_is .additionalEventData.correlationId order-4711'
run sealock audit search --key "${key##*/}" --action kms:GenerateDataKey* --principal root
check "search by key, action and principal" '[ $code = 0 ] && [ $(grep -c "GenerateDataKey" "$out") = 5 ] && grep -q "^TIME " "$out"'
run sealock audit search --since -1h --until -30m --json
check "search by time" '[ $code = 0 ] && empty "$out"'
material=$(sealock audit search --action 'kms:GenerateDataKey*' --count 1 --json | json_from .additionalEventData.keyMaterialId)
run sealock audit search --key "${material:32}" --json
check "search by backing key" '[ $(wc -l <"$out") -ge 5 ]'
run sealock audit search --outcome maybe
check "an outcome that does not exist is wrong usage" '[ $code = 2 ]'
run sealock audit tail -n 2
check "tail shows the last lines" '[ $code = 0 ] && [ $(grep -c "^20" "$out") = 2 ]'

# --- threats, row 24: what somebody does to the files ---

mkdir "$site/copy"
copy=$site/copy/audit.log
fresh() { rm -f "$copy"*; cp "$log" "$copy"; total=$(wc -l <"$copy"); }
bad_at() { # LINE_OF_FILE TEXT
	run sealock audit verify --public-key "$site/pub.pem" --json "$copy"
	[ $code = 1 ] && json_is .sound false && json_is .bad.line "$1" && grep -q "$2" "$out" && ! bash "$here/audit_openssl.sh" "$site/pub.pem" "$copy" >/dev/null
}
fresh
printf 'X' | dd of="$copy" bs=1 seek=$(($(head -n 3 "$copy" | wc -c) + 40)) conv=notrunc 2>/dev/null
check "a flipped byte names its line" 'bad_at 4 "changed"'
fresh
sed -i 4d "$copy"
check "a removed line is missed where it was" 'bad_at 4 "missing"'
fresh
sed -i '4{p}' "$copy"
check "a line that was put in is named" 'bad_at 5 "put in"'
fresh
sed -i '4{h;d};5{G}' "$copy"
check "moved lines are named" 'bad_at 4 "missing"'
fresh
rechained() { # everything from line $1 on, changed and chained anew, without the HSM's key
	python3 - "$copy" "$1" <<-'END'
		import hashlib, re, sys
		out, previous = [], None
		for n, line in enumerate(open(sys.argv[1]), 1):
		    body, end = line.rstrip("\n").rsplit(',"hash":"', 1)
		    if n == 1:
		        out.append(line)
		        previous = re.search(r'"previous":{"seq":\d+,"hash":"(\w+)"', line).group(1)
		        continue
		    if n == int(sys.argv[2]):
		        body = body.replace("kms.amazonaws.com", "kms.amazonaws.net")
		    previous = hashlib.sha256((previous + body).encode()).hexdigest()
		    out.append(body + ',"hash":"' + previous + '"}\n')
		open(sys.argv[1], "w").writelines(out)
	END
}
rechained 3
head_line=$(grep -n '^{"kind":"head"' "$copy" | head -n 1 | cut -d: -f1)
check "a log that was rewritten does not fit its heads" 'bad_at "$head_line" "rewritten"'
fresh
anchor=$(sealock audit verify "$copy" | sed -n 's/^head: //p')
head -n $((total - 2)) "$log" >"$copy"
run sealock audit verify --head "$anchor" "$copy"
check "lines cut off the end are missed by a head that is kept elsewhere" '[ $code = 1 ] && grep -q "cut off" "$out"'
grep '^{"kind":"head"' "$log" | tail -n 1 >"$site/kept-head"
head -n 3 "$log" >"$copy"
run sealock audit verify --head "$site/kept-head" "$copy"
check "or by the line of a signed head" '[ $code = 1 ] && grep -q "cut off" "$out"'
run sealock audit verify --head "$anchor"
check "the whole log has both" '[ $code = 0 ] && run sealock audit verify --head "$site/kept-head" && [ $code = 0 ]'
fresh
truncate -s -20 "$copy"
check "a line without its end is named" 'bad_at "$total" "no end"'

# --- rotation, restart, crash ---

mv "$log" "$log.1"
data_key
check "a renamed file is followed by one of the same chain" 'verified && run bash "$here/audit_openssl.sh" "$site/pub.pem" "$log.1" "$log" && [ $code = 0 ]'
check "and a head follows at once" 'wait_for 10 "[ \$(heads $log) -ge 1 ]"'
run sealock audit verify "$log.1" --json
check "each file can be verified by itself" '[ $code = 0 ] && run sealock audit verify "$log" && [ $code = 0 ]'
data_key
kmsd_stop
check "a clean stop signs the last line" 'verified && [ "$(json_of .signed_seq)" = "$(($(json_of .last_seq) - 1))" ]'
mv "$log" "$log.2"
kmsd_start
data_key
check "the chain goes on over a rename while nobody runs" 'verified && [ "$(head -n 1 "$log" | json_from .previous.seq)" != 0 ]'
mv "$log.1" "$site/taken"
run sealock audit verify
check "a file that is taken away is missed" '[ $code = 0 ] && ! grep -q "^sound: lines 1 " "$out"'
mv "$log.2" "$site/taken2"; mv "$site/taken" "$log.1"
run sealock audit verify
check "one between others is named" '[ $code = 1 ] && grep -q "missing" "$out"'
mv "$site/taken2" "$log.2"

# kill -9 of the front while it is used: every answer has its line.
answers=$site/answers
: >"$answers"
( for i in $(seq 400); do SEALOCK_CORRELATION_ID=kill-$i sealock key data-key "$key" >/dev/null 2>&1 && echo "kill-$i" >>"$answers"; done ) &
load=$!
for i in 1 2 3; do
	sleep 0.7
	kill -9 "$(pgrep -P "$kmsd_pid" -f -- --front)" 2>/dev/null
done
wait $load
wait_for 20 '[ "$(sealock status --json 2>/dev/null | json_from .kms.hsm.state 2>/dev/null)" = ready ]'
data_key
missing=0
for id in $(cat "$answers"); do grep -q "\"correlationId\":\"$id\"" "$log" || missing=$((missing + 1)); done
check "killed in use, no answer is without its line" '[ -s "$answers" ] && [ $missing = 0 ]'
check "and the log is sound" 'verified'
kmsd_stop
printf '{"eventVersion":"1.11","eventTime":"2026' >>"$log"
kmsd_start
check "a torn line is kept and marked, and the log is sound" 'verified && json_is .torn 1 && grep -q "eventTime\":\"2026\$" "$log"'

# --- tail -f over a rotation ---

sealock audit tail -f -n 1 --json >"$site/followed" 2>/dev/null &
tail_pid=$!
data_key; mv "$log" "$log.3"; data_key
check "tail -f goes on in the new file" 'wait_for 5 "[ \$(wc -l <$site/followed) -ge 3 ]"'
kill $tail_pid
wait $tail_pid 2>/dev/null

# --- a full disk, a wedged second sink ---

kmsd_stop
if mount -t tmpfs -o size=3m,mode=0700,uid=$uid_kms,gid=$uid_kms none "$site/full" 2>/dev/null; then
	use_audit "$site/full/audit.log" ", reserve_mb: 1"
	kmsd_start
	data_key
	dd if=/dev/zero of="$site/full/filler" bs=4k 2>/dev/null
	refused() { data_key; [ $? != 0 ] && said KMSInternalException; }
	check "on a full disk nothing is given out" 'wait_for 20 refused'
	check "and the refusals are logged, on the reserve" 'grep -q "the disk of the audit log is full" "$site/full/audit.log"'
	rm "$site/full/filler"
	check "with room again it goes on without a restart" 'wait_for 10 data_key'
	run sealock audit verify "$site/full/audit.log"
	check "and the log is sound" '[ $code = 0 ]'
	kmsd_stop
else
	echo "skipped: the full disk; no file system can be mounted here"
fi

cat >"$site/wedged.py" <<-'END'
	import os, socket, sys, time
	s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
	s.bind(sys.argv[1])
	os.chmod(sys.argv[1], 0o666)
	print(s.recv(65536).decode(), flush=True)
	time.sleep(60)
END
python3 "$site/wedged.py" "$site/run/dev-log" >"$site/syslog" 2>/dev/null &
wedged=$!
wait_for 5 '[ -S "$site/run/dev-log" ]'
use_audit "$log" ", second: {syslog: $site/run/dev-log}"
kmsd_start
for i in $(seq 30); do data_key; done
check "a second sink that takes nothing holds up nobody" 'data_key && verified'
check "what it took is a line of syslog" 'grep -q "^<86>sealock-kmsd: {" "$site/syslog"'
kill $wedged
finish
