#!/usr/bin/env bash
# An idle worker sleeps, unless it is told to be busy: CPU time of both, by the kernel's count, and what comes after idle times: the first
# datagram is not lost and durable within a bound, and so is a burst. The bounds are wide, for machines that do other work as well.
# Needs root. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: idle_test.sh BUILD_DIR}
. "$(dirname "$0")/ingest.sh"
ingest_needs sealock-send
wire_possible || skip_all "no network namespaces here"
ingest_site
wire_up || skip_all "no veth pairs here"
ip -n $netns neigh add 10.77.0.2 lladdr 02:00:00:00:02:02 dev $vgen nud permanent
sealock stream create quiet --key alias/test >/dev/null || die_with_log "$site/kmsd.log" "stream create"

config() { # IDLE
	ingest_config "  - {name: wire, type: af_packet, interface: $vdp, ipv4: 10.77.0.2/24}" "$(listener quiet)"
	sed -i "s/^eal: {/eal: {idle: $1, /" "$site/ingestd.yaml"
	ingest_start net_raw,net_admin
	wait_for 10 'grep -q "listener takes records" "$site/ingestd.log"'
}
# CPU milliseconds of all threads over two seconds.
cpu_ticks() { awk '{sum += $14 + $15} END {print sum}' /proc/$ingestd_pid/stat; }
cpu_ms() {
	local before
	before=$(cpu_ticks)
	sleep 2
	echo $((($(cpu_ticks) - before) * 1000 / $(getconf CLK_TCK)))
}
one_after_idle() { # NUMBER: milliseconds until it is durable
	local before
	echo "after idle $1" >>"$site/sent"
	echo "after idle $1" >"$site/one"
	before=$(date +%s%N)
	run from_sender sealock-send --to 10.77.0.2:5514 --framing datagram --watermark "$site/journal" "$site/one"
	[ $code = 0 ] || return 1
	echo $((($(date +%s%N) - before) / 1000000))
}

config adaptive
one_after_idle first >/dev/null
sleep 3
slept=$(ingest_status .workers.0.sleeps)
quiet_ms=$(cpu_ms)
check "an idle ingestd uses less than 15 % of one core ($quiet_ms ms in 2 s)" '[ $quiet_ms -lt 300 ]'
check "because its worker sleeps" '[ "$(ingest_status .workers.0.sleeps)" -gt "$slept" ]'
slowest=0
for number in 1 2 3; do
	sleep 2.5
	ms=$(one_after_idle $number) || ms=100000
	[ $ms -gt $slowest ] && slowest=$ms
done
check "the first datagram after an idle time is durable within 500 ms, program starts included ($slowest ms)" '[ $slowest -lt 500 ]'
sleep 2.5
seq -f "burst %.0f" 1 1000 | tee -a "$site/sent" >"$site/burst"
run from_sender sealock-send --to 10.77.0.2:5514 --framing datagram --watermark "$site/journal" "$site/burst"
check "a burst after an idle time is durable, all of it" '[ $code = 0 ]'
printf 'a put' | sealock put quiet --partition-key k >/dev/null && echo "a put" >>"$site/sent"
check "nothing was dropped" '[ -z "$(ingest_status drops | tr " " "\n" | grep -v ^multicast=)" ]'
read_back quiet
check "every record comes back, once and in order" '[ $code = 0 ] && cmp -s "$site/sent" "$out"'
ingest_term
echo "cpu $quiet_ms ms in 2 s, slowest $slowest ms"
check "SIGTERM finds a sleeping worker: status 0" '[ $code = 0 ]'

config busy
sleep 1
busy_ms=$(cpu_ms)
check "told to be busy, it is ($busy_ms ms in 2 s)" '[ $busy_ms -gt $((quiet_ms * 2)) ]'
check "and its worker never sleeps" 'status_is .workers.0.sleeps 0'
ingest_term
check "it ends with status 0" '[ $code = 0 ]'
finish
