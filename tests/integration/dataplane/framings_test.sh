#!/usr/bin/env bash
# Every framing of a plain listener with every partition rule, at its edges: records of the limit and one byte over it, empty ones, halves
# in two datagrams, prefixes that lie, fields that are missing. What comes back, with its shard and partition key, is compared with what
# a second implementation (framings_drive.py) makes of the same datagrams. Needs root. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: framings_test.sh BUILD_DIR}
. "$(dirname "$0")/ingest.sh"
ingest_needs
ingest_site
drive() { python3 "$here/framings_drive.py" "$@"; }
streams=$(drive streams)
for stream in $streams; do
	sealock stream create $stream --shards 3 --key alias/test >/dev/null || die_with_log "$site/kmsd.log" "stream create"
done
read -r records fallbacks drops < <(drive make "$site/in.pcap")
chmod 0644 "$site/in.pcap"
ingest_config "  - {name: file, type: pcap, rx_file: $site/in.pcap, mac: 02:00:00:00:02:02, ipv4: 10.77.0.2/24}" "$(drive listeners "$role")"
ingest_start ""
wait_for 20 'status_is .records $records'
check "every record of the datagrams is taken, and not one more" 'status_is .records $records'
seen=$(ingest_status drops)
check "each record that is not taken is counted under its reason" '[ "$seen" = "$drops" ]' || echo "        $seen, not $drops"
check "records without their field are counted" 'status_is .workers.0.field_fallbacks $fallbacks'
for stream in $streams; do
	read_back $stream --format json
	cp "$out" "$site/records"
	run drive check $stream "$site/records"
	check "$stream: each record comes back in its shard, in order, under its key" '[ $code = 0 ]'
done
ingest_term
check "it ends with status 0" '[ $code = 0 ]'
finish
