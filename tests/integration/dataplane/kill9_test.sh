#!/usr/bin/env bash
# kill -9 of ingestd in the middle of ingest from the wire, KILLS times (default 50): everything below the watermark is read back, in
# order, without a gap per shard, and no (key, nonce) pair is found twice, torn tails included. A build with a planted fault, which goes
# on with the old epoch after a restart, makes that scan fail. Needs root. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: kill9_test.sh BUILD_DIR}
. "$(dirname "$0")/ingest.sh"
kills=${KILLS:-50}
ingest_needs sealock-send
for program in noncescan ingestd_planted; do
	[ -x "$build/tests/$program" ] || skip_all "$program was not built"
done
wire_possible || skip_all "no network namespaces here"
ingest_site
wire_up
# While the kernel asks for a neighbour it keeps datagrams in a queue, which later ones overtake.
ip -n $netns neigh add 10.77.0.2 lladdr 02:00:00:00:02:02 dev $vgen nud permanent
install -m 0755 "$build/tests/noncescan" "$build/tests/ingestd_planted" "$site/bin/"
sealock stream create runs --shards 2 --key alias/test >/dev/null || die_with_log "$site/kmsd.log" "stream create"
seq -f 'record %.0f' 0 19999 >"$site/lines"
round_robin='framing: datagram, partition: {rule: round-robin}'
journal_more='reserve_mb: 16' # small files, so that some kills meet a roll
ingest_config "  - {name: wire, type: af_packet, interface: $vdp, ipv4: 10.77.0.2/24}" "$(listener runs 5514 "$round_robin")"
caps=+net_raw,+net_admin,+ipc_lock

# The sender stays on one CPU: on its way through two, the kernel may change the order of datagrams.
drive() { # KILLS SEED PROGRAM
	run python3 "$here/kill9_drive.py" "$1" "$2" "$site/journal/watermark" "$site/ingestd.log" "$site/promises" -- \
		setpriv --reuid $uid_ingest --regid $uid_ingest --groups $gid_sealock,$gid_read --inh-caps=-all,$caps \
		--ambient-caps=-all,$caps --bounding-set=-all,$caps "$3" --config "$site/ingestd.yaml" -- \
		ip netns exec $netns taskset -c 0 sealock-send --to 10.77.0.2:5514 --framing datagram --watermark "$site/journal" "$site/lines"
}
scan() { run as $uid_reader noncescan "$SEALOCK_KMS_SOCKET" "$site/journal"; }

seed=${SEED:-$RANDOM}
echo "seed $seed (SEED=$seed draws the same numbers)"
drive "$kills" "$seed" sealock-ingestd
check "ingestd comes back after each of $kills kills" '[ $code = 0 ]'
ingest_start net_raw,net_admin
ingest_term
check "and once more, to be stopped in peace" '[ $code = 0 ]'
read_back runs --format json
check "the journal is read to its end, nothing is damaged" '[ $code = 0 ]'
cp "$out" "$site/records"
run python3 "$here/kill9_check.py" "$site/promises" "$site/records" 2
check "all below the watermark is there, in order, without a gap per shard, and nothing twice" '[ $code = 0 ]'
cat "$out"
run as $uid_reader sealock journal verify --with-keys --json
check "every tag is right" '[ $code = 0 ] && json_is .ok true && json_is .tags_unchecked 0'
scan
check "no key and nonce seal two blocks, torn tails included" '[ $code = 0 ] && grep -q " repeats=0" "$out"'
cat "$out"

# --- the planted fault: the scan must see it ---

rm -rf "${site:?}/journal"
install -d -m 2750 -o $uid_ingest -g $gid_read "$site/journal"
drive 3 "$seed" ingestd_planted
check "the planted build runs, too" '[ $code = 0 ]'
scan
check "a restart that goes on with the old epoch is found" '[ $code = 1 ] && ! grep -q " repeats=0" "$out"'
cat "$out"

finish
