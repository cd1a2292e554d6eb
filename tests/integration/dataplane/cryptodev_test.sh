#!/usr/bin/env bash
# ingestd seals by a crypto device of DPDK: the software drivers stand for hardware. Records of all sizes come back by a reader that knows
# nothing of it, also after kill -9; a device that is not there is refused. Needs root. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: cryptodev_test.sh BUILD_DIR}
. "$(dirname "$0")/ingest.sh"
ingest_needs
ingest_site
sealock stream create boxed --key alias/test >/dev/null || die_with_log "$site/kmsd.log" "stream create"

puts() { # NAME: small ones, and one above what an operation takes
	local size
	for size in 1 17 1000 40000 65535 65536 200000 1000000; do
		{ printf '%s %s ' "$1" "$size"; head -c "$size" /dev/zero | tr '\0' "${1:0:1}"; } >"$site/record"
		sealock put boxed --partition-key k <"$site/record" >/dev/null || return 1
		{ cat "$site/record"; echo; } >>"$site/sent"
	done
}
same() { read_back boxed; [ $code = 0 ] && cmp -s "$site/sent" "$out"; }

: >"$site/sent"
for device in crypto_aesni_gcm0 crypto_openssl0; do
	ingest_config "  - {name: none, type: ring, ipv4: 10.77.0.2}" "" "engine: cryptodev:$device"
	ingest_start ""
	check "$device: the status names the engine" '[ "$(ingest_status .engine)" = $device ]'
	check "$device: records of all sizes are taken" 'puts $device'
	check "$device: and come back" same
	ingest_kill
	ingest_start ""
	check "$device: after kill -9 it goes on" 'puts again-$device'
	check "$device: and all come back" same
	kill -TERM "$ingestd_pid"
	wait "$ingestd_pid"
	check "$device: it stops with status 0" '[ $? = 0 ]'
done
run sealock journal verify --journal "$site/journal"
check "the journal is whole" '[ $code = 0 ]'

ingest_config "  - {name: none, type: ring, ipv4: 10.77.0.2}" "" "engine: cryptodev:0000:3d:01.0_qat_sym"
ingest_spawn ""
wait "$ingestd_pid"
status=$?
check "a device that is not there is refused" '[ $status != 0 ]'
check "by name" 'grep -q "knows no crypto device 0000:3d:01.0_qat_sym" "$site/ingestd.log"'
ingestd_pid=
finish
