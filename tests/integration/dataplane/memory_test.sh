#!/usr/bin/env bash
# The memory of ingestd: started as root it becomes run_as, every page that may hold a record is locked and out of dumps; the same with
# 2 MiB hugepages, which really hold the buffers, also those that a second port takes later, and which come back after kill -9.
# Reserves hugepages and gives them back. Needs root. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: memory_test.sh BUILD_DIR}
. "$(dirname "$0")/ingest.sh"
ingest_needs sealock-send
wire_possible || skip_all "no network namespaces here"
user=nobody # run_as takes a name, and the test makes no accounts
uid_ingest=$(id -u $user) && gid_sealock=$(id -g $user) || skip_all "there is no user $user"
pages_dir=/sys/kernel/mm/hugepages/hugepages-2048kB
pages_before=$(cat $pages_dir/nr_hugepages 2>/dev/null)
skipped=0

memory_test_remove() {
	ingest_site_remove
	[ -z "$pages_before" ] || echo "$pages_before" >$pages_dir/nr_hugepages 2>/dev/null
}
free_pages() { cat $pages_dir/free_hugepages; }
hugepages() { sed -i "s/^eal: .*/eal: {hugepages: $1, $2}/" "$site/ingestd.yaml"; }

# As root with every capability, as an init system without users would.
root_start() {
	: >"$site/ingestd.log"
	sealock-ingestd --config "$site/ingestd.yaml" </dev/null >>"$site/ingestd.log" 2>&1 &
	ingestd_pid=$!
	wait_for 20 'ingest_up || ! kill -0 $ingestd_pid 2>/dev/null'
	ingest_up || die_with_log "$site/ingestd.log" "ingestd does not start as root"
}
is_unprivileged() {
	[ "$(awk '/^Uid:/ {print $2, $3, $4, $5}' /proc/$ingestd_pid/task/*/status | tr ' ' '\n' | sort -u)" = "$uid_ingest" ] &&
		[ "$(awk '/^CapPrm/ {print $2}' /proc/$ingestd_pid/task/*/status | sort -u)" = 0000000000004000 ]
}
# Of the mappings that DPDK holds buffers in (huge: hugepages): how many, and how many of them a dump would show.
mappings() { # huge | small
	awk -v want="$1" '/^[0-9a-f]+-/ {name = $6} /^VmFlags:/ {
		huge = / ht( |$)/
		if (want == "huge" ? huge : !huge && name ~ /memfd:/) { n++; if (!/ dd( |$)/) shown++ }
	} END {print n + 0, shown + 0}' /proc/$ingestd_pid/smaps
}
send_and_read() { # STREAM
	seq -f "$1 line %.0f" 1 5000 >"$site/sent"
	wait_for 10 'grep -q "listener takes records.*udp_port=5514" "$site/ingestd.log"'
	run from_sender sealock-send --to 10.77.0.2:5514 --framing datagram --watermark "$site/journal" "$site/sent"
	[ $code = 0 ] || return 1
	printf 'put' | sealock put "$1" >/dev/null && echo put >>"$site/sent"
	read_back "$1"
	[ $code = 0 ] && sort "$out" | cmp -s - <(sort "$site/sent")
}

ingest_site
trap memory_test_remove EXIT
wire_up
ip -n $netns neigh add 10.77.0.2 lladdr 02:00:00:00:02:02 dev $vgen nud permanent
for stream in small root plain; do
	sealock stream create $stream --key alias/test >/dev/null || die_with_log "$site/kmsd.log" "stream create"
done
wire="  - {name: wire, type: af_packet, interface: $vdp, ipv4: 10.77.0.2/24}"

# --- as root, without hugepages ---

ingest_config "$wire" "$(listener small)" "run_as: $user"
sed -i '/^run_as/d' "$site/ingestd.yaml"
run timeout 20 sealock-ingestd --config "$site/ingestd.yaml"
check "root without run_as is refused" '[ $code = 1 ] && said "run_as"'
echo "run_as: sealock-nobody-has-this-name" >>"$site/ingestd.yaml"
run timeout 20 sealock-ingestd --config "$site/ingestd.yaml"
check "a run_as that is no user is refused and named" '[ $code = 1 ] && said "sealock-nobody-has-this-name"'
sed -i "s/^run_as:.*/run_as: $user/" "$site/ingestd.yaml"
root_start
check "started as root, every thread is $user's and keeps IPC_LOCK alone" is_unprivileged
check "it holds no more than 256 MiB" '[ "$(ingest_status .rss_bytes)" -lt $((256 << 20)) ]'
read -r count shown < <(mappings small)
check "no mapping of DPDK's would be in a dump" '[ "$count" -gt 0 ] && [ "$shown" = 0 ]'
check "records come back" 'send_and_read small'
ingest_term
check "SIGTERM ends it with status 0" '[ $code = 0 ]'

# --- with hugepages ---

if [ "$pages_before" = 0 ]; then
	hugepages on "memory_mb: 64"
	run timeout 20 sealock-ingestd --config "$site/ingestd.yaml"
	check "hugepages that are not there are asked for, by number" '[ $code = 1 ] && said "32 hugepages.*0 are free.*vm.nr_hugepages"'
fi
[ -z "$pages_before" ] || echo $((pages_before + 96)) >$pages_dir/nr_hugepages 2>/dev/null
if [ -z "$pages_before" ] || [ "$(free_pages)" -lt 96 ]; then
	echo "skipped: hugepages (this kernel reserves no 96 pages of 2 MiB)"
	skipped=1
	echo "$passed passed, $failed failed, $skipped skipped"
	exit $((failed > 0))
fi
free=$(free_pages)

ingest_config "$wire" "$(listener root)" "run_as: $user"
hugepages on "memory_mb: 64"
root_start
used=$((free - $(free_pages)))
read -r count shown < <(mappings huge)
check "as root: hugepages hold the buffers" \
	'[ $used -ge 32 ] && [ "$count" = $used ] && grep -q "runs.*hugepages=true" "$site/ingestd.log"'
check "as root: none of them would be in a dump" '[ "$shown" = 0 ]'
check "as root: every thread is $user's and keeps IPC_LOCK alone" is_unprivileged
check "as root: records come back" 'send_and_read root'
ingest_term
check "as root: SIGTERM gives every page back" '[ $code = 0 ] && wait_for 5 "[ \$(free_pages) = $free ]"'

# Two ports take more than memory_mb: what DPDK adds later must be kept out of dumps, too.
ingest_config "$wire
  - {name: loop, type: ring, ipv4: 10.77.1.2}" "$(listener plain 5514 'port: wire, framing: datagram, partition: {rule: fixed, shard: 0}')"
hugepages auto "memory_mb: 32"
ingest_start net_raw,net_admin
used=$((free - $(free_pages)))
read -r count shown < <(mappings huge)
check "unprivileged: hugepages are found free and taken, more than memory_mb for two ports" '[ $used -gt 16 ] && [ "$count" = $used ]'
check "unprivileged: none of them would be in a dump" '[ "$shown" = 0 ]'
check "unprivileged: afterwards only IPC_LOCK is left" is_unprivileged
check "unprivileged: records come back" 'send_and_read plain'
ingest_kill
check "kill -9 gives every page back" 'wait_for 5 "[ \$(free_pages) = $free ]"'
ingest_start net_raw,net_admin
read_back plain
check "the next start has its hugepages, and all records" \
	'[ $((free - $(free_pages))) = $used ] && sort "$out" | cmp -s - <(sort "$site/sent")'
ingest_term
check "it ends with status 0" '[ $code = 0 ]'

if python3 -c 'import socket; socket.socket(44, socket.SOCK_RAW, 0)' 2>/dev/null; then
	sealock stream create xdp --key alias/test >/dev/null
	ingest_config "${wire/af_packet/af_xdp}" "$(listener xdp)"
	hugepages on "memory_mb: 64"
	ingest_start net_raw,net_admin,sys_admin
	check "af_xdp: records come back through hugepages that the kernel writes to" '[ $(free_pages) -lt $free ] && send_and_read xdp'
	ingest_term
	check "af_xdp: SIGTERM gives every page back" '[ $code = 0 ] && wait_for 5 "[ \$(free_pages) = $free ]"'
else
	echo "skipped: af_xdp with hugepages (this kernel has no AF_XDP sockets)"
	skipped=1
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
