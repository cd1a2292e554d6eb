#!/usr/bin/env bash
# sealock-ingestd against a real kmsd with a SoftHSM token: frames of a pcap file in, records out by `sealock tail`, drop
# counters, a KMS that comes late and goes, bad configurations, SIGTERM, and kill -9 in the middle of ingest.
# Needs root (uids, no accounts). KILLS (default 50) is how often it is killed.
set -uo pipefail
build=${1:?usage: ingestd_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../cli/harness.sh"
kills=${KILLS:-50}

skip_all() { echo "skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }
[ "$(id -u)" = 0 ] || skip_all "this test needs root, to run programs under several uids"
[ -n "$(softhsm_module)" ] || skip_all "SoftHSM is not installed"

# The pid that is kept must be ingestd's own: it gets signals.
ingestd_run() {
	exec setpriv --reuid $uid_ingest --regid $uid_ingest --groups $gid_sealock,$gid_read --inh-caps=-all \
		--bounding-set=-all "$site/bin/sealock-ingestd" --config "$site/ingestd.yaml" </dev/null >>"$site/ingestd.log" 2>&1
}
ingestd_start() {
	ingestd_run &
	ingestd_pid=$!
	wait_for 20 '[ -n "$(status .ingest.uptime_s)" ]' || die_with_log "$site/ingestd.log" "ingestd is not ready after 20 s"
}
status() { sealock status --json 2>/dev/null | json_from "$1" 2>/dev/null; }
tail_all() { as $uid_reader sealock tail feed --no-follow; }

config() { # PORT_KEYS [MORE...]: ingestd.yaml with one port
	cat >"$site/ingestd.yaml" <<-END
		eal: {hugepages: off, memory_mb: 64, buffers: 4096}
		ports:
		  - {name: wire, ipv4: 10.77.0.2/24, mac: "02:00:00:00:02:02", $1}
		listeners:
		  - {udp_port: 5514, stream: feed, framing: datagram, principal: "arn:aws:iam::000000000000:role/feed"}
		journal: {dir: $site/journal, file_mb: 4}
		kms: {socket: $site/run/kms/kms.sock, timeout_ms: 1000}
		put: {socket: $site/run/ingest/put.sock}
		status: {socket: $site/run/ingest/status.sock}
		keys: {renewal_seconds: 2}
		allow_unlocked_memory: true
		${2:-}
	END
}

site_make
trap site_remove EXIT
cat >>"$site/kmsd.yaml" <<-END
	  - {effect: Allow, principals: [role/feed], actions: ["kinesis:PutRecord", "kms:GenerateDataKey"], resources: ["stream/*", "key/*"]}
	roles: [role/feed]
END
sealock hsm init --config "$site/kmsd.yaml" >/dev/null || die_with_log /dev/null "sealock hsm init"
kmsd_start
sealock key create --alias alias/feed >/dev/null
sealock stream create feed --key alias/feed >/dev/null
kmsd_stop

# --- a file of frames; the KMS comes only after ingestd ---

seq 1 3000 | sed 's/^/record number /' >"$site/lines"
"$build/tests/dataplane_frames" "$site/in.pcap" <"$site/lines" >"$site/counts"
chmod 644 "$site/in.pcap"
config "type: pcap, rx_file: $site/in.pcap"
ingestd_run &
ingestd_pid=$!
wait_for 10 'grep -qs "listener drops records" "$site/ingestd.log"'
sleep 0.3
kill -0 $ingestd_pid
code=$?
check "ingestd lives while there is no KMS" '[ $code = 0 ] && grep -q "listener drops records" "$site/ingestd.log"'
kmsd_start
wait_for 20 '[ "$(status .ingest.records)" = 3000 ]'
check "once the KMS is there every record of the file is taken" '[ "$(status .ingest.records)" = 3000 ]'
while read -r kind count; do
	[ "$kind" = lines ] && continue
	seen=$(status ".ingest.drops.$kind")
	check "frames of kind $kind are counted, each once" '[ "$seen" = "$count" ]'
done <"$site/counts"
drops=$(sealock status --json | python3 -c 'import json,sys; print(sum(json.load(sys.stdin)["ingest"]["drops"].values()))')
check "nothing else was dropped" '[ "$drops" = $((9 * 300)) ]'
wait_for 10 '[ "$(tail_all 2>/dev/null | wc -l)" = 3000 ]'
run tail_all
check "all records are read back in order" '[ $code = 0 ] && cmp -s "$out" "$site/lines"'
check "no file of the journal holds a record in clear" '! grep -raqF "record number" "$site/journal"'

# --- stop ---

ingestd_stop
code=$?
check "SIGTERM ends it with status 0 and a line that sums up" \
	'[ $code = 0 ] && tail -n 3 "$site/ingestd.log" | grep -q "msg=stopped records=3000"'
check "its sockets are gone" '[ ! -e "$site/run/ingest/put.sock" ] && [ ! -e "$site/run/ingest/status.sock" ]'
run as $uid_auditor sealock journal verify --json
check "the files are closed and right" '[ $code = 0 ] && json_is .ok true && json_is .files_open 0'

# --- keys are renewed; the KMS goes away and comes back ---

config "type: ring"
ingestd_start
for i in 1 2 3 4 5 6; do
	printf 'renewal %s' "$i" | sealock put feed --partition-key k >/dev/null && echo "renewal $i" >>"$site/lines"
	sleep 0.6
done
check "data keys are renewed while the stream is in use" '[ "$(status .ingest.keys)" -ge 2 ]'
check "every put was taken meanwhile" '[ "$(tail -n 6 "$site/lines" | grep -c renewal)" = 6 ]'
kmsd_stop
sleep 2.5
printf late >"$site/late"
run sealock put feed --partition-key k "$site/late"
check "without a KMS and a key a put is refused and says why" '[ $code = 1 ] && said "kms.sock\|KMS\|kmsd"'
kmsd_start
for i in $(seq 1 40); do
	run sealock put feed --partition-key k "$site/late"
	[ $code = 0 ] && break
	sleep 0.1
done
check "once it is back puts go on without anybody's help" '[ $code = 0 ]'
echo late >>"$site/lines"
ingestd_stop

# --- bad configurations ---

refused() { # WORDS...: ingestd ends with a sentence
	run timeout 20 setpriv --reuid $uid_ingest --regid $uid_ingest --groups $gid_sealock,$gid_read --bounding-set=-all \
		--inh-caps=-all "$site/bin/sealock-ingestd" --config "$site/ingestd.yaml" </dev/null
}
config "type: ring" "colour: red"
refused
check "an unknown key is refused with file and line" '[ $code = 1 ] && said "ingestd.yaml.*line: 12.*colour"'
config "type: ring, mtu: many"
refused
check "a wrong type is refused" '[ $code = 1 ] && said "ingestd.yaml.*mtu.*line: 3"'
config "type: ring, vlan: 5000"
refused
check "a value out of range is refused with its limits" '[ $code = 1 ] && said "line: 3.*vlan is 5000.*0 to 4094"'
config "type: af_packet, interface: lo"
refused
check "a port without its capabilities is refused and names them" '[ $code = 1 ] && said "CAP_NET_RAW"'
config "type: ring"
chown 0 "$site/journal"
refused
check "a journal directory of another's is refused and named" '[ $code = 1 ] && said "$site/journal"'
chown $uid_ingest "$site/journal"

# --- kill -9 in the middle of ingest ---

# Records are numbered per run: what was answered must be there, and what is there must be a run's first records, in order.
before=$(wc -l <"$site/lines")
answered=0 missing=0
for ((k = 1; k <= kills; k++)); do
	ingestd_start
	seq -f "kill $k record %.0f" 1 20000 >"$site/flood"
	: >"$site/answers" # not those of the run before
	sealock put feed --partition-key k --lines --json "$site/flood" >"$site/answers" 2>/dev/null &
	putter=$!
	# An answer is a record with its number: an error alone fills the file, too.
	wait_for 5 'grep -q "\"record\":" "$site/answers"' || missing=$((missing + 1))
	sleep 0.0$((RANDOM % 9 + 1))
	kill -KILL $ingestd_pid
	wait $ingestd_pid 2>/dev/null
	ingestd_pid=
	wait $putter 2>/dev/null
	grep -o '"record":[0-9]*' "$site/answers" | cut -d: -f2 | sed "s/^/kill $k record /" >>"$site/acknowledged"
done
check "records were answered in each of $kills runs before the kill" '[ $missing = 0 ]'
ingestd_start
# One that has nothing under way when ingestd goes, and more to send: it must give up by itself.
mkfifo "$site/slow"
sealock put feed --partition-key k --lines --json "$site/slow" >"$site/slow.out" 2>"$site/slow.err" &
putter=$!
exec 9>"$site/slow"
echo "before it went" >&9
wait_for 10 'grep -q "\"record\":" "$site/slow.out"'
ingestd_stop
for i in 1 2 3; do echo "after it went $i" >&9; done
exec 9>&-
run tail_all
check "the journal is read to its end" '[ $code = 0 ]'
tail -n +$((before + 1)) "$out" | grep "^kill " >"$site/killed"
sort "$site/killed" >"$site/killed.sorted"
sort "$site/acknowledged" | comm -23 - "$site/killed.sorted" >"$site/lost"
check "none of $(wc -l <"$site/acknowledged") acknowledged records is lost" '[ ! -s "$site/lost" ]'
check "none is there twice" '[ -z "$(uniq -d "$site/killed.sorted")" ]'
gaps=$(awk '{ if ($2 != k) { k = $2; n = 0 } if ($4 != ++n) bad++ } END { print bad + 0 }' "$site/killed")
check "each run's records are there from the first, in order, without a gap" '[ "$gaps" = 0 ]'
run as $uid_reader sealock tail feed --no-follow --format json
check "sequence numbers go up by one over all kills" \
	'python3 -c "import json,sys; s=[json.loads(l)[\"sequence\"] for l in open(sys.argv[1])]; sys.exit(s != list(range(len(s))))" "$out"'
run as $uid_reader sealock journal verify --with-keys --json
check "every tag is right, torn tails are kept aside" '[ $code = 0 ] && json_is .ok true && json_is .tags_unchecked 0'
sealock key attestation-key >"$site/attest.pem"
run as $uid_reader sealock journal verify --public-key "$site/attest.pem" --json
check "every file is signed to its end, and needs no key to say so" '[ $code = 0 ] && json_is .ok true && json_is .files_unsigned 0 && json_is .tags_checked 0'
# A run that goes on with an epoch of the one before would repeat its nonces: each epoch belongs to one run alone.
run as $uid_reader sealock tail feed --no-follow --format json
cat >"$site/epochs.py" <<-'END'
	import json, re, sys
	runs = {}
	for line in open(sys.argv[1]):
	    record = json.loads(line)
	    match = re.match(r"kill (\d+) record ", record["data"])
	    if match:
	        runs.setdefault(record["epoch"], set()).add(int(match.group(1)))
	shared = sum(1 for r in runs.values() if len(r) > 1)
	print(len(set().union(*runs.values())) if runs else 0, shared)
END
read -r runs_seen shared < <(python3 "$site/epochs.py" "$out")
check "every one of $kills runs left records" '[ "${runs_seen:-0}" = "$kills" ]'
check "no epoch is shared by two runs" '[ "${shared:-1}" = 0 ]'
check "a put whose ingestd is gone for good ends by itself" 'wait_for 40 "! kill -0 $putter 2>/dev/null"'
wait $putter 2>/dev/null
put_code=$?
check "it fails, says how many records were stored, and what to look at" \
	'[ $put_code != 0 ] && grep -q "1 record was stored" "$site/slow.err" && grep -Eq "sealock status|ingestd" "$site/slow.err"'
finish
