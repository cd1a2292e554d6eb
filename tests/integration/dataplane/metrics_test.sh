#!/usr/bin/env bash
# Counters for others: Prometheus' text over HTTP, which agrees with the status and which promtool accepts where it is installed, and
# ingestd's commands on DPDK's telemetry socket; clients that send nothing, too much or something else; and neither of both unless told.
# Needs root. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: metrics_test.sh BUILD_DIR}
. "$(dirname "$0")/ingest.sh"
ingest_needs
ingest_site
skipped=0
ask() { python3 "$here/metrics_check.py" "$@"; }
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
for stream in web idle; do sealock stream create $stream --key alias/test >/dev/null || die_with_log "$site/kmsd.log" "stream create"; done

ingest_config "  - {name: loop, type: ring, ipv4: 10.77.1.2}" "$(listener closed 5514)"
ingest_start ""
check "without being told ingestd serves no metrics" '! ask http 127.0.0.1:$port /metrics >/dev/null 2>&1'
check "nor DPDK's telemetry" '[ -z "$(find "$site/run" -name "dpdk_telemetry*")" ]'
ingest_term

ingest_config "  - {name: loop, type: ring, ipv4: 10.77.1.2}" "$(listener closed 5514)" "metrics: {listen: '127.0.0.1:$port'}"
sed -i "s/^eal: {/eal: {telemetry: true, /" "$site/ingestd.yaml"
ingest_start ""
seq 1 100 | sed 's/^/record /' >"$site/lines"
run sealock put web --partition-key k --lines "$site/lines"
check "a hundred records are put" '[ $code = 0 ]'
metrics() { run ask http 127.0.0.1:$port /metrics && cp "$out" "$site/metrics"; }
value() { ask value "$site/metrics" "sealock_ingestd_$1" "${@:2}"; }
metrics
check "metrics are there" '[ $code = 0 ] && said "200 OK" && said "version=0.0.4"'
run ask format "$site/metrics"
check "in the text format: every family in one piece with help and type, every sample once" '[ $code = 0 ]'
check "records are counted, by worker and by stream" \
	'[ "$(value records_total worker=0)" = 100 ] && [ "$(value stream_records_total stream=web)" = 100 ] && [ "$(value puts_total)" = 100 ]'
check "the local port has its own" '[ -n "$(value local_port_clients)" ] && [ "$(value local_port_hang_ups_total)" = 0 ] && [ "$(value puts_refused_total)" = 0 ]'
check "as the status has them" '[ "$(value blocks_total)" = "$(ingest_status .blocks)" ] && [ "$(value data_keys_total)" = "$(ingest_status .keys)" ]'
check "all that was appended is durable: the watermark" \
	'[ "$(value durable_bytes_total)" = "$(value appended_bytes_total)" ] && [ "$(value durable_bytes_total)" != 0 ]'
check "a stream with a key has its age, one without has none" \
	'grep -q "^sealock_ingestd_stream_key_age_seconds{stream=\"web\"}" "$site/metrics" && ! grep -q "key_age.*idle" "$site/metrics"'
check "every reason of a drop is there, also with 0" '[ "$(grep -c "^sealock_ingestd_drops_total" "$site/metrics")" = "$(ingest_status .drops | tr , "\n" | wc -l)" ]'
check "no record, key or principal is in it" '! grep -q "record 1\|arn:" "$site/metrics"'
if command -v promtool >/dev/null; then
	run_piped promtool check metrics <"$site/metrics"
	check "promtool has nothing to say" '[ $code = 0 ] && empty "$out" && empty "$err"'
else
	echo "skipped: promtool is not installed (package prometheus)"
	skipped=$((skipped + 1))
fi

# --- bad clients ---

run ask http 127.0.0.1:$port /
check "another path is 404" 'said "404 Not Found"'
run ask http 127.0.0.1:$port /metricsandmore
check "also one that begins alike" 'said "404 Not Found"'
exec 8<>/dev/tcp/127.0.0.1/$port # sends nothing
metrics
check "a client that sends nothing delays the next one by two seconds at most" '[ $code = 0 ] && said "200 OK"'
exec 8<&-
run python3 -c 'import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
try:
    s.sendall(b"x" * 100000)
    print(len(s.recv(100)))
except OSError:
    print(0)' $port
check "a request without an end is hung up on" '[ "$(cat "$out")" = 0 ]'
metrics
check "and the next one is served" '[ $code = 0 ]'

# --- DPDK ---

telemetry=$(find "$site/run" -name "dpdk_telemetry.v2*" | head -n 1)
run ask telemetry "$telemetry" /sealock/workers
check "DPDK's telemetry has the workers" '[ $code = 0 ] && grep -q "\"worker0_records\": *100" "$out"'
run ask telemetry "$telemetry" /sealock/drops,0
check "and their drops" '[ $code = 0 ] && grep -q "\"backpressure\": *0" "$out" && grep -q "\"udp_port\": *0" "$out"'
run ask telemetry "$telemetry" /sealock/drops,7
check "a worker that is not there is answered with nothing" '! grep -q backpressure "$out"'
ingest_term
check "it ends with status 0" '[ $code = 0 ]'
ingest_config "  - {name: loop, type: ring, ipv4: 10.77.1.2}" "" "metrics: {listen: 'localhost:9'}"
run timeout 20 sealock-ingestd --check --config "$site/ingestd.yaml"
check "an address that is no number is refused" '[ $code = 1 ] && said "listen is .localhost:9."'
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
