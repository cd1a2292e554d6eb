#!/usr/bin/env bash
# The ports of ingestd: a replayed file with every kind of wrong frame, af_packet and af_xdp over a veth, capabilities and their loss,
# a killed predecessor's XDP program, and the interfaces it must refuse. Needs root. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: ports_test.sh BUILD_DIR}
. "$(dirname "$0")/ingest.sh"
ingest_needs sealock-send
ingest_site
skipped=0
for stream in replay packet xdp closed; do
	sealock stream create $stream --key alias/test >/dev/null || die_with_log "$site/kmsd.log" "stream create"
done

# --- replay of a file ---

expected=$(python3 "$here/replay_pcap.py" "$site/wrong.pcap" 2000 100 wrong)
for ((i = 0; i < 2000; i++)); do printf 'record %08d ' $i; printf '%.0s.' {1..84}; echo; done >"$site/expected"
chmod 0644 "$site/wrong.pcap"
ingest_config "  - {name: file, type: pcap, rx_file: $site/wrong.pcap, mac: 02:00:00:00:02:02, ipv4: 10.77.0.2/24}" \
	"$(listener replay 5514 'max_record_bytes: 1300, framing: datagram, partition: {rule: fixed, shard: 0}')"
ingest_start ""
wait_for 20 'status_is .records 2000'
check "a replayed file is taken whole" 'status_is .records 2000'
dropped=$(ingest_status drops)
check "each wrong frame is counted under its reason, and nothing else" '[ "$dropped" = "$expected" ]' ||
	echo "        $dropped"
read_back replay
check "what was replayed comes back in order" '[ $code = 0 ] && cmp -s "$site/expected" "$out"'
check "no more than 256 MiB are resident" '[ "$(ingest_status .rss_bytes)" -lt $((256 << 20)) ]'
ingest_term
check "SIGTERM ends it with status 0 and a line that sums up" \
	'[ $code = 0 ] && grep -q "msg=stopped records=2000" "$site/ingestd.log"'

# --- what may not start ---

ingest_config "  - {name: file, type: pcap, rx_file: $site/nothing.pcap, ipv4: 10.77.0.2/24}" ""
ingest_refuses ""
check "a file that is not there is named" '[ $code = 1 ] && said nothing.pcap'
ingest_config "  - {name: wire, type: af_packet, interface: slknone, ipv4: 10.77.0.2/24}" ""
ingest_refuses net_raw,net_admin
check "an interface that is not there is named" '[ $code = 1 ] && said slknone'
ingest_refuses ""
check "missing capabilities are named, with a way to give them" '[ $code = 1 ] && said "CAP_NET_RAW, CAP_NET_ADMIN" && said setpriv'

wire_cases() { # TYPE CAPS STREAM
	local type=$1 caps=$2 stream=$3
	ingest_config "  - {name: wire, type: $type, interface: $vdp, ipv4: 10.77.0.2/24, ipv6: 'fd00:77::2/64'}" \
		"$(listener $stream)$(printf '\n')
$(listener closed 5515)"
	ingest_start $caps
	check "$type: starts as an ordinary user with the capabilities it needs" 'ingest_up'
	caps_left=$(awk '/^CapPrm/ {print $2}' /proc/$ingestd_pid/task/*/status | sort -u | tr '\n' ' ')
	if [ $type = af_xdp ]; then
		check "$type: afterwards only IPC_LOCK is left, and NET_ADMIN in the main thread" \
			'[ "$caps_left" = "0000000000004000 0000000000005000 " ]'
	else
		check "$type: afterwards only IPC_LOCK is left" '[ "$caps_left" = "0000000000004000 " ]'
	fi
	check "$type: answers ARP and ping" 'from_sender python3 "$here/echo_request.py" 10.77.0.2'
	check "$type: answers neighbour discovery and ping over IPv6" 'from_sender python3 "$here/echo_request.py" fd00:77::2'
	wait_for 10 'grep -q "listener takes records.*udp_port=5514" "$site/ingestd.log"'
	seq -f "$type line %.0f of a file" 1 20000 >"$site/sent"
	run from_sender sealock-send --to 10.77.0.2:5514 --framing datagram --watermark "$site/journal" "$site/sent"
	check "$type: 20,000 datagrams become durable" '[ $code = 0 ]'
	head -n 5000 "$site/sent" >"$site/sent6"
	run from_sender sealock-send --to '[fd00:77::2]:5514' --framing datagram --watermark "$site/journal" "$site/sent6"
	check "$type: so do 5,000 over IPv6" '[ $code = 0 ]'
	read_back $stream
	check "$type: all come back in order" '[ $code = 0 ] && cat "$site/sent" "$site/sent6" | cmp -s - "$out"'
	head -c 3000 /dev/zero | tr '\0' z >"$site/long"
	from_sender logger --udp --server 10.77.0.2 --port 5514 -S 3300 -f "$site/long"
	wait_for 5 'status_is .records 25001'
	check "$type: logger's syslog over UDP is taken, in a frame of 3 KiB" 'status_is .records 25001'
	run from_sender sealock-send --to 10.77.0.2:5515 --framing datagram --unpaced "$site/sent6"
	wait_for 5 '[ "$(ingest_status .drops.not_authorised)" = 5000 ]'
	check "$type: a role that may not put is refused, record by record, and counted" \
		'[ "$(ingest_status .drops.not_authorised)" = 5000 ] && grep -q "listener drops records.*closed" "$site/ingestd.log"'
}

if wire_possible; then
	wire_up
	wire_cases af_packet net_raw,net_admin packet
	ingest_term
	check "af_packet: ends with status 0" '[ $code = 0 ]'

	if python3 -c 'import socket; socket.socket(44, socket.SOCK_RAW, 0)' 2>/dev/null; then
		wire_cases af_xdp net_raw,net_admin,sys_admin xdp
		ingest_kill
		check "kill -9 leaves the XDP program behind" 'ip link show $vdp | grep -q xdp'
		ingest_start net_raw,net_admin,sys_admin
		check "the next start detaches it and goes on" \
			'ingest_up && grep -q "detached a stale XDP program" "$site/ingestd.log"'
		mkdir -p "$site/second"
		sed "s|$site/journal|$site/second|; s|$site/run/ingest|$site/second|" "$site/ingestd.yaml" >"$site/second.yaml"
		chown -R $uid_ingest "$site/second"
		first=$ingestd_pid
		mv "$site/second.yaml" "$site/ingestd.yaml"
		cp "$site/ingestd.log" "$site/first.log"
		ingest_refuses net_raw,net_admin,sys_admin
		check "a second ingestd on the interface is refused" '[ $code = 1 ] && said "another sealock-ingestd"'
		ingestd_pid=$first
		check "and the first is not disturbed" 'ip link show $vdp | grep -q xdp && ingest_up'
		ingest_term
		check "SIGTERM detaches the program" '[ $code = 0 ] && ! ip link show $vdp | grep -q xdp'
		ip link set $vdp down
		ingest_config "  - {name: wire, type: af_xdp, interface: $vdp, ipv4: 10.77.0.2/24}" ""
		ingest_refuses net_raw,net_admin,sys_admin
		check "an interface that is down is refused" '[ $code = 1 ] && said "is down; run: ip link set"'
		ip link set $vdp mtu 3500 up
		ingest_refuses net_raw,net_admin,sys_admin
		check "an MTU above 3,400 is refused" '[ $code = 1 ] && said "takes at most 3400"'
		wire_down
		wire_up 1500 2
		ingest_refuses net_raw,net_admin,sys_admin
		check "a second receive queue is refused" '[ $code = 1 ] && said "2 receive queues"'
	else
		echo "skipped: af_xdp (this kernel has no AF_XDP sockets)"
		skipped=1
	fi
else
	echo "skipped: af_packet and af_xdp (no network namespaces here)"
	skipped=2
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
