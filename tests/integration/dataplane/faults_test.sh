#!/usr/bin/env bash
# What ingestd does when something is wrong around it: no stream, a kmsd that hangs, a full disk, a disk that fails, a directory that is
# not writable or taken, clients of the local port that misbehave, and SIGTERM in the middle of a burst. Needs root.
# Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: faults_test.sh BUILD_DIR}
. "$(dirname "$0")/ingest.sh"
ingest_needs sealock-send
wire_possible || skip_all "no network namespaces here"
ingest_site
wire_up
skipped=0
wire="  - {name: wire, type: af_packet, interface: $vdp, ipv4: 10.77.0.2/24}"
caps=net_raw,net_admin
drops() { ingest_status .drops.$1; }
fresh_journal() {
	rm -rf "${site:?}/journal"
	install -d -m 2750 -o $uid_ingest -g $gid_read "$site/journal"
}

# --- a stream that does not exist yet ---

ingest_config "$wire" "$(listener later)"
ingest_start $caps
wait_for 5 'grep -q "listener drops records.*later" "$site/ingestd.log"'
seq -f 'early %.0f' 1 100 >"$site/early"
run from_sender sealock-send --to 10.77.0.2:5514 --framing datagram --unpaced "$site/early"
wait_for 5 '[ "$(drops unknown_stream)" = 100 ]'
check "records for a stream that is not there are counted" '[ "$(drops unknown_stream)" = 100 ] && ingest_up'
sealock stream create later --key alias/test >/dev/null
wait_for 8 'grep -q "listener takes records.*later" "$site/ingestd.log"'
seq -f 'line %.0f' 1 500 >"$site/lines"
run from_sender sealock-send --to 10.77.0.2:5514 --framing datagram --watermark "$site/journal" "$site/lines"
check "once it is made its records are taken" '[ $code = 0 ]'
read_back later
check "and only these come back" '[ $code = 0 ] && cmp -s "$out" "$site/lines"'

# --- clients of the local port ---

run python3 "$here/port_abuse.py" "$SEALOCK_INGEST_SOCKET" later
check "clients that break the format, write garbage anywhere, stall, read nothing or die lose their own ring only" '[ $code = 0 ]'
check "ingestd says whom it hung up on, counts them, and lives" 'grep -q "hung up on a client" "$site/ingestd.log" && [ "$(ingest_status .client_hang_ups)" -ge 40 ]'

# --- SIGTERM in the middle of a burst ---

before=$(ingest_status .records)
seq -f 'burst %.0f' 1 30000 >"$site/burst"
from_sender sealock-send --to 10.77.0.2:5514 --framing datagram --unpaced "$site/burst" >/dev/null 2>&1 &
burst=$!
wait_for 5 '[ "$(ingest_status .records)" -gt "$before" ]'
ingest_term
wait $burst
stopped=$(sed -n 's/.*msg=stopped records=\([0-9]*\).*/\1/p' "$site/ingestd.log")
check "SIGTERM in the middle of a burst ends it with status 0" '[ $code = 0 ]'
read_back later --format json
check "all it received is durable: as many records come back as it sums up" \
	'[ $code = 0 ] && [ "$stopped" -gt "$before" ] && [ "$(wc -l <"$out")" = "$stopped" ]'

# --- a kmsd that hangs ---

fresh_journal
sealock stream create hang --key alias/test >/dev/null
ingest_config "$wire" "$(listener hang)" "keys: {renewal_seconds: 2}"
sed -i 's|kms.sock}|kms.sock, timeout_ms: 300}|' "$site/ingestd.yaml"
ingest_start $caps
wait_for 5 'grep -q "listener takes records.*hang" "$site/ingestd.log"'
run from_sender sealock-send --to 10.77.0.2:5514 --framing datagram --watermark "$site/journal" "$site/lines"
check "records are taken while kmsd answers" '[ $code = 0 ]'
kmsd_family=$(pgrep -P "$kmsd_pid" | tr '\n' ' ')
kill -STOP $kmsd_pid $kmsd_family
sleep 3 # the interval, and a little
printf hello >"$site/one"
run timeout 10 sealock put hang "$site/one"
check "without a key a put is refused, not kept waiting" '[ $code = 1 ] && said "not answer\|kmsd"'
run from_sender sealock-send --to 10.77.0.2:5514 --framing datagram --unpaced "$site/early"
wait_for 5 '[ "$(drops kms_unavailable)" -ge 100 ]'
check "the role's right has run out, too: records are counted as kms_unavailable" '[ "$(drops kms_unavailable)" -ge 100 ]'
check "the status document says that kmsd is away" 'status_is .kms.up False && ingest_up'
check "the change was logged once" '[ "$(grep -c "kmsd does not answer" "$site/ingestd.log")" = 1 ]'
kill -CONT $kmsd_pid $kmsd_family
wait_for 8 'status_is .kms.up True'
for i in $(seq 1 40); do
	run sealock put hang "$site/one"
	[ $code = 0 ] && break
	sleep 0.1
done
check "it goes on by itself when kmsd does" '[ $code = 0 ]'
ingest_term

# --- a full disk ---

fresh_journal
if mount -t tmpfs -o size=72m,mode=2750,uid=$uid_ingest,gid=$gid_read tmpfs "$site/journal" 2>/dev/null; then
	sealock stream create full --key alias/test >/dev/null
	ingest_config "$wire" "$(listener full)"
	ingest_start $caps
	wait_for 5 'grep -q "listener takes records.*full" "$site/ingestd.log"'
	head -c 120000000 /dev/zero | tr '\0' 'f' | fold -w 1199 >"$site/flood"
	run from_sender sealock-send --to 10.77.0.2:5514 --framing datagram --unpaced "$site/flood"
	wait_for 20 '[ "$(drops disk_full)" -gt 0 ]'
	check "on a full disk records are dropped under that name" '[ "$(drops disk_full)" -gt 0 ]'
	run sealock put full "$site/one"
	check "a put is told so" '[ $code = 1 ] && said "full\|space"'
	check "ingestd lives, and says DiskFull" 'ingest_up && status_is .workers.0.disk DiskFull'
	mount -o remount,size=200m "$site/journal"
	for i in $(seq 1 100); do
		run sealock put full "$site/one"
		[ $code = 0 ] && break
		sleep 0.1
	done
	check "when there is room it goes on by itself" '[ $code = 0 ]'
	records=$(ingest_status .records)
	ingest_term
	read_back full --format json
	check "what it took is there" '[ $code = 0 ] && [ "$(wc -l <"$out")" = "$records" ]'
	umount "$site/journal"
else
	echo "skipped: a full disk (no tmpfs can be mounted here)"
	skipped=1
fi

# --- directories ---

fresh_journal
sealock stream create disk --key alias/test >/dev/null
ingest_config "$wire" "$(listener disk)"
chmod 0500 "$site/journal"
ingest_refuses $caps
check "a directory that is not writable is refused and named" '[ $code = 1 ] && said "$site/journal"'
chmod 2750 "$site/journal"
ingest_start $caps
first=$ingestd_pid
cp "$site/ingestd.yaml" "$site/first.yaml"
mkdir -p "$site/second" && chown $uid_ingest "$site/second"
ingest_config "  - {name: loop, type: ring, ipv4: 10.77.1.2}" ""
sed -i "s|$site/run/ingest|$site/second|" "$site/ingestd.yaml"
ingest_refuses ""
check "a directory that another ingestd holds is refused" '[ $code = 1 ] && said "$site/journal"'
ingestd_pid=$first
cp "$site/first.yaml" "$site/ingestd.yaml"
check "and the other goes on" 'ingest_up'
ingest_term

# --- a flush that fails ---

if command -v strace >/dev/null && strace -f -o /dev/null true 2>/dev/null; then
	journal_more='reserve_mb: 16, io: sync, direct: false'
	fresh_journal
	ingest_config "$wire" "$(listener disk)"
	: >"$site/ingestd.log"
	strace -f -o /dev/null -e trace=fdatasync -e inject=fdatasync:error=EIO:when=12+ \
		setpriv --reuid $uid_ingest --regid $uid_ingest --groups $gid_sealock,$gid_read --inh-caps=-all,+net_raw,+net_admin,+ipc_lock \
		--ambient-caps=-all,+net_raw,+net_admin,+ipc_lock --bounding-set=-all,+net_raw,+net_admin,+ipc_lock \
		sealock-ingestd --config "$site/ingestd.yaml" </dev/null >>"$site/ingestd.log" 2>&1 &
	ingestd_pid=$!
	wait_for 20 'ingest_up'
	for ((i = 0; i < 200; i++)); do
		printf 'answered %d' $i >"$site/record"
		sealock put disk "$site/record" >/dev/null 2>"$err" || break
		printf 'answered %d\n' $i
	done >"$site/answered"
	check "puts fail once a flush failed" '[ $i -lt 200 ] && [ $i -gt 0 ]'
	wait $ingestd_pid
	code=$?
	ingestd_pid=
	cp "$site/ingestd.log" "$err"
	check "ingestd ends with status 1 and a sentence that names the directory" '[ $code = 1 ] && said "DiskFailed" && said "$site/journal"'
	journal_more='reserve_mb: 16'
	ingest_config "$wire" "$(listener disk)"
	ingest_start $caps
	ingest_term
	read_back disk
	check "after a restart everything that was answered is there" '[ $code = 0 ] && [ -s "$site/answered" ] &&
		[ -z "$(comm -23 <(sort "$site/answered") <(sort "$out"))" ]'
else
	echo "skipped: a flush that fails (no strace)"
	skipped=$((skipped + 1))
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
