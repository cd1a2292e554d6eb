#!/usr/bin/env bash
# One port, two workers: a queue for each, streams that belong to either, and datagrams that come by the wrong queue and are handed over.
# Every record comes back once, in order; each lane's watermark counts its own; kill -9 in the middle, listeners that come and go, and
# SIGTERM lose and repeat nothing. Needs root. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: queues_test.sh BUILD_DIR}
. "$(dirname "$0")/ingest.sh"
ingest_needs
wire_possible || skip_all "no network namespaces here"
read -r cpu0 cpu1 < <(python3 -c 'import os; c = sorted(os.sched_getaffinity(0)); print(c[0], c[-1])')
ingest_site
wire_up 3400 2 || skip_all "no veth pairs with several queues here"
ip -n $netns neigh add 10.77.0.2 lladdr 02:00:00:00:02:02 dev $vgen nud permanent

# A stream's worker is the FNV-1a of its name, modulo the port's workers.
lane_of() {
	python3 -c 'import sys
h = 2166136261
for b in sys.argv[1].encode(): h = (h ^ b) * 16777619 & 0xffffffff
print(h % 2)' "$1"
}
declare -A shards=() lanes=()
sources=
udp=5514
listeners=
for stream in alpha beta gamma delta epsilon zeta; do
	lanes[$stream]=$(lane_of $stream)
	shards[$stream]=2
	sealock stream create $stream --shards 2 --key alias/test >/dev/null || die_with_log "$site/kmsd.log" "stream create"
	listeners+=$(listener $stream $udp 'framing: datagram, partition: {rule: round-robin}')$'\n'
	sources+=" ${lanes[$stream]}:$stream:10.77.0.2:$udp"
	udp=$((udp + 1))
done
of_lane() { local n=0 s; for s in "${!lanes[@]}"; do [ "${lanes[$s]}" = $1 ] && n=$((n + 1)); done; echo $n; }

config() { # TYPE WORKERS [LISTENERS]
	ingest_config "  - {name: wire, type: $1, interface: $vdp, ipv4: 10.77.0.2/24, workers: [$2]}" "${3:-$listeners}"
	sed -i "s/^eal: {/eal: {cores: [$cpu0, $cpu1], /" "$site/ingestd.yaml"
}
start() { # CAPS
	ingest_start $1
	wait_for 10 '[ "$(grep -c "listener takes records" "$site/ingestd.log")" = 6 ]' || die_with_log "$site/ingestd.log" "listeners"
}
drive() { run from_sender python3 "$here/workers_drive.py" "$@"; }
send_all() { drive send $1 $2 "$site/journal/watermark" "$SEALOCK_INGEST_SOCKET" "$site/notes" $sources; }
all_back() {
	local stream summaries=()
	for stream in "${!shards[@]}"; do
		read_back $stream --format json
		[ $code = 0 ] || return 1
		cp "$out" "$site/records"
		run python3 "$here/workers_drive.py" check "$site/notes" $stream ${shards[$stream]} "$site/records"
		[ $code = 0 ] || { cat "$out"; return 1; }
		cp "$out" "$site/summary-$stream"
		summaries+=("$site/summary-$stream")
	done
	run python3 "$here/workers_drive.py" promises "$site/notes" "${summaries[@]}"
	[ $code = 0 ]
}
handed() { echo $(($(ingest_status .workers.0.handed_over) + $(ingest_status .workers.1.handed_over))); }
refused() { # WORKERS SENTENCE
	config "${3:-af_packet}" "$1"
	run timeout 20 sealock-ingestd --check --config "$site/ingestd.yaml"
	[ $code = 1 ] && said "$2"
}

check "both workers have streams" '[ "$(of_lane 0)" -gt 0 ] && [ "$(of_lane 1)" -gt 0 ]'
check "a worker that is named twice is refused" 'refused "0, 0" "worker 0 is named twice"'
check "and one that is not there" 'refused "0, 2" "worker 2 is not there"'

# af_xdp's driver reads the number of queues from "combined" channels, which a veth has none of: only a NIC can show it.
caps=net_raw,net_admin
config af_packet "0, 1"
start $caps
check "one port, two queues" 'status_is .ports.0.queues 2 && [ "$(ingest_status .ports | python3 -c "import json,sys; print(len(json.load(sys.stdin)))")" = 1 ]'
send_all both 3000
check "six sources at once: all is durable, and each lane's watermark counts exactly its own" '[ $code = 0 ]'
check "each worker wrote its streams" \
	'status_is .workers.0.records $(($(of_lane 0) * 3000)) && status_is .workers.1.records $(($(of_lane 1) * 3000))'
check "what came by the other's queue was handed over ($(handed))" '[ "$(handed)" -gt 0 ]'
check "nothing was dropped ($(ingest_status drops))" '[ -z "$(ingest_status drops | tr " " "\n" | grep -Ev "^(multicast|not_our_mac|oversized)=")" ]'
check "every record comes back once, in order" all_back

# A listener more, at its worker whichever queue brings it; one less.
sed "s|^  - {udp_port: 5514,|  - {udp_port: 5599, stream: alpha, framing: datagram, partition: {rule: fixed, shard: 0}, principal: \"$role\"}\n&|" \
	"$site/ingestd.yaml" >"$site/more.yaml" && cp "$site/more.yaml" "$site/ingestd.yaml"
kill -HUP $ingestd_pid
wait_for 5 '[ "$(grep -c "listener takes records.*udp_port=5599" "$site/ingestd.log")" = 1 ]'
before=$(ingest_status .workers.${lanes[alpha]}.records)
from_sender python3 - <<-'END'
	import socket, time
	for i in range(64):
	    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	    s.sendto(b"more %d" % i, ("10.77.0.2", 5599))
	    s.close()
	    time.sleep(0.001)
END
check "a listener that comes at a reload takes records by every queue" \
	'wait_for 5 "[ \$(ingest_status .workers.${lanes[alpha]}.records) = $((before + 64)) ]"'
config af_packet "0, 1"
kill -HUP $ingestd_pid
wait_for 5 'grep -q "listener is closed.*udp_port=5599" "$site/ingestd.log"'
sleep 0.2
before=$(ingest_status .drops.udp_port)
from_sender bash -c 'for i in 1 2 3 4 5 6 7 8; do echo gone >/dev/udp/10.77.0.2/5599; done'
check "once it is gone, neither worker takes any" \
	'wait_for 5 "[ \$(ingest_status .drops.udp_port) = $((before + 8)) ]"'

missing=0
for k in 1 2; do
	drive kill kill$k 2000 "$site/journal/watermark" "$SEALOCK_INGEST_SOCKET" "$site/notes" $ingestd_pid $sources
	[ $code = 0 ] || { missing=$((missing + 1)); cat "$err"; ingest_status; tail -5 "$site/ingestd.log" "$site/kmsd.log"; }
	kill -KILL $ingestd_pid 2>/dev/null
	wait $ingestd_pid 2>/dev/null
	ingestd_pid=
	start $caps
done
check "it was killed twice in the middle" '[ $missing = 0 ]'
send_all last 1000
ingest_term
check "SIGTERM ends it with status 0" '[ $code = 0 ]'
run as $uid_reader sealock journal verify --with-keys --json
check "every tag is right, both lanes are closed" '[ $code = 0 ] && json_is .ok true && json_is .files_open 0'
finish
