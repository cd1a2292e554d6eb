#!/usr/bin/env bash
# Two workers: a port and several listeners each, puts beside them, streams with several shards. Every record comes back once, in order,
# and at the place that its put was told; each lane's watermark counts its own records exactly; SIGTERM, kill -9 in the middle, ports that
# change their worker, one worker fewer, and two workers on one CPU lose and repeat nothing. Needs root.
# Prints "N passed, N failed, N skipped" at the end. KILLS (default 4) is how often it is killed.
set -uo pipefail
build=${1:?usage: workers_test.sh BUILD_DIR}
. "$(dirname "$0")/ingest.sh"
kills=${KILLS:-4}
ingest_needs
[ -x "$build/tests/noncescan" ] || skip_all "noncescan was not built"
wire_possible || skip_all "no network namespaces here"
read -r cpu0 cpu1 < <(python3 -c 'import os; c = sorted(os.sched_getaffinity(0)); print(c[0], c[-1])')

vdp2=slkD$$ vgen2=slkG$$
second_wire() {
	ip link add $vdp2 mtu 3400 numtxqueues 1 numrxqueues 1 type veth peer name $vgen2 netns $netns mtu 3400 numtxqueues 1 numrxqueues 1 || return 1
	ip link set $vdp2 address 02:00:00:00:02:03
	ip netns exec $netns ethtool -K $vgen2 tx off gso off tso off >/dev/null 2>&1
	ethtool -K $vdp2 gro off gso off tso off tx off rx off >/dev/null 2>&1
	ip -n $netns addr add 10.78.0.1/24 dev $vgen2
	ip -n $netns link set $vgen2 up
	ip link set $vdp2 up
	# While the kernel asks for a neighbour it keeps datagrams in a queue, which later ones overtake.
	ip -n $netns neigh add 10.77.0.2 lladdr 02:00:00:00:02:02 dev $vgen nud permanent
	ip -n $netns neigh add 10.78.0.2 lladdr 02:00:00:00:02:03 dev $vgen2 nud permanent
}
workers_test_remove() {
	ip link delete $vdp2 2>/dev/null
	ingest_site_remove
}

ingest_site
trap workers_test_remove EXIT
wire_up && second_wire || skip_all "no veth pairs here"
# A device of each kind, where the kernel has both.
type2=af_packet caps=net_raw,net_admin
if python3 -c 'import socket; socket.socket(44, socket.SOCK_RAW, 0)' 2>/dev/null; then
	type2=af_xdp caps=net_raw,net_admin,sys_admin
fi
declare -A shards=([north]=3 [fields]=2 [south]=3 [single]=1 [puts]=2 [puts2]=2)
for stream in north fields south single puts puts2; do # puts and puts2 have no listener; one is each worker's
	sealock stream create $stream --shards ${shards[$stream]} --key alias/test >/dev/null || die_with_log "$site/kmsd.log" "stream create"
done

config() { # CORES WORKER_OF_PORT_1 WORKER_OF_PORT_2
	local robin='framing: datagram, partition: {rule: round-robin}'
	ingest_config "  - {name: one, type: af_packet, interface: $vdp, ipv4: 10.77.0.2/24, worker: $2}
  - {name: two, type: $type2, interface: $vdp2, ipv4: 10.78.0.2/24, worker: $3}" \
		"$(listener north 5514 "port: one, $robin")
$(listener fields 5515 'port: one, framing: datagram, partition: {rule: field, field: 2}')
$(listener south 5514 "port: two, $robin")
$(listener single 5516 'port: two, framing: datagram, partition: {rule: fixed, shard: 0}')"
	sed -i "s/^eal: {/eal: {cores: [$1], /" "$site/ingestd.yaml"
}
start() {
	ingest_start $caps
	wait_for 10 '[ "$(grep -c "listener takes records" "$site/ingestd.log")" = 4 ]' || die_with_log "$site/ingestd.log" "listeners"
}
drive() { run from_sender python3 "$here/workers_drive.py" "$@"; }
sources() { # LANE_OF_PORT_1 LANE_OF_PORT_2 LANE_OF_PUTS LANE_OF_PUTS2
	echo "$1:north:10.77.0.2:5514 $1:fields:10.77.0.2:5515 $2:south:10.78.0.2:5514 $2:single:10.78.0.2:5516 $2:south:put $1:north:put
		$3:puts:put $4:puts2:put"
}
send_all() { # RUN COUNT LANES...
	drive send $1 $2 "$site/journal/watermark" "$SEALOCK_INGEST_SOCKET" "$site/notes" $(sources "${@:3}")
}
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
of_worker() { ingest_status ".workers.$1.records"; }

# --- two workers, two ports ---

config $cpu0,$cpu1 0 1
sed 's/port: two, //' "$site/ingestd.yaml" >"$site/bad.yaml"
run timeout 20 sealock-ingestd --check --config "$site/bad.yaml"
check "a listener on the ports of two workers is refused: say which port" '[ $code = 1 ] && said "say which port UDP 5514"'
sed 's/stream: south/stream: north/' "$site/ingestd.yaml" >"$site/bad.yaml"
run timeout 20 sealock-ingestd --check --config "$site/bad.yaml"
check "a stream that two workers would write is refused" '[ $code = 1 ] && said "stream north would be written by two workers"'

start
# A stream without a listener goes to the worker that its id names.
lane_of() { sealock stream describe $1 --json | python3 -c 'import json,sys; print(int(json.load(sys.stdin)["id"]) % 2)'; }
lane_puts=$(lane_of puts) lane_puts2=$(lane_of puts2)
check "streams without a listener are spread over the workers" '[ "$lane_puts" != "$lane_puts2" ]'
send_all both 4000 0 1 $lane_puts $lane_puts2
check "eight sources at once: all is durable, and each lane's watermark counts exactly its own records" '[ $code = 0 ]'
check "each worker wrote its half" '[ "$(of_worker 0)" = 16000 ] && [ "$(of_worker 1)" = 16000 ]'
check "nothing was dropped" '[ -z "$(ingest_status drops | tr " " "\n" | grep -v ^multicast=)" ]'
check "every record comes back once, in order, where its put was told" all_back
# A listener that comes at a reload cannot take a stream from the worker that writes it.
other=$([ "$lane_puts" = 0 ] && echo two || echo one)
python3 - "$site/ingestd.yaml" "$(listener puts 5599 "port: $other, framing: datagram, partition: {rule: fixed, shard: 0}")" <<-'END'
	import sys
	text = open(sys.argv[1]).read()
	open(sys.argv[1], "w").write(text.replace("listeners:\n", "listeners:\n" + sys.argv[2] + "\n", 1))
END
kill -HUP $ingestd_pid
wait_for 5 'grep -q "listener drops records.*udp_port=5599.*writes stream puts" "$site/ingestd.log"'
check "a new listener for a stream of the other worker is refused until a restart, and says so" \
	'grep -q "listener drops records.*udp_port=5599.*writes stream puts" "$site/ingestd.log"'
config $cpu0,$cpu1 0 1
ingest_term
check "SIGTERM ends it with status 0 and one sum" '[ $code = 0 ] && grep -q "msg=stopped records=32000" "$site/ingestd.log"'
run as $uid_auditor sealock journal verify --json
check "the files of both lanes are closed and right" '[ $code = 0 ] && json_is .ok true && json_is .files_open 0'

# --- kill -9 in the middle ---

missing=0
for ((k = 1; k <= kills; k++)); do
	start
	drive kill kill$k 3000 "$site/journal/watermark" "$SEALOCK_INGEST_SOCKET" "$site/notes" $ingestd_pid \
		$(sources 0 1 $lane_puts $lane_puts2)
	[ $code = 0 ] || { missing=$((missing + 1)); cat "$err"; }
	kill -KILL $ingestd_pid 2>/dev/null
	wait $ingestd_pid 2>/dev/null
	ingestd_pid=
done
check "it was killed $kills times in the middle" '[ $missing = 0 ]'

# --- the ports change their workers, a worker goes, two workers share a CPU ---

config $cpu0,$cpu1 1 0
start
send_all swapped 1000 1 0 $lane_puts $lane_puts2
check "with the ports swapped each lane counts its own" '[ $code = 0 ]'
ingest_term
config $cpu1 0 0
start
send_all alone 1000 0 0 0 0
check "one worker alone takes all" '[ $code = 0 ]'
ingest_term
config $cpu0,$cpu0 0 1
start
send_all shared 1000 0 1 $lane_puts $lane_puts2
check "two workers on one CPU work, slower" '[ $code = 0 ] && [ "$(of_worker 0)" = 4000 ] && [ "$(of_worker 1)" = 4000 ]'
ingest_term
check "it ends with status 0" '[ $code = 0 ]'
check "over all of it every shard's numbers go up by one, and every record is there once" all_back
run as $uid_reader sealock journal verify --with-keys --json
check "every tag is right" '[ $code = 0 ] && json_is .ok true && json_is .tags_unchecked 0'
install -m 0755 "$build/tests/noncescan" "$site/bin/"
run as $uid_reader noncescan "$SEALOCK_KMS_SOCKET" "$site/journal"
check "no key and nonce seal two blocks" '[ $code = 0 ] && grep -q " repeats=0" "$out"'
cat "$out"

finish
