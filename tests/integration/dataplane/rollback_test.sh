#!/usr/bin/env bash
# A journal that was put back to an older copy: kmsd remembers how far it had come, and ingestd does not write on in it.
# Needs root (uids, no accounts). Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: rollback_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/ingest.sh"

ingest_needs
ingest_site
ingest_config "  - {name: loop, type: ring, ipv4: 10.77.1.2}" "" "allow_unlocked_memory: true"
sealock stream create web --key alias/test >/dev/null

put() { seq "$1" "$2" | sealock put web --lines --partition-key k >/dev/null; }

ingest_start ""
put 1 100
ingest_term
cp -a "$site/journal" "$site/old"
check "the first opening ends well" '[ $code = 0 ]'

ingest_start ""
put 101 200
ingest_kill # what was signed since is at most ten seconds old: nothing, here
check "a crash is no rollback" 'ingest_start "" && put 201 250'
ingest_term
check "and the opening after it ends well" '[ $code = 0 ]'

mv "$site/journal" "$site/newest"
cp -a "$site/old" "$site/journal"
ingest_refuses ""
check "an older copy is refused with a sentence" \
	'[ $code = 1 ] && said "was put back to an older state" && said "records that were acknowledged are gone" && said OPERATIONS.md'
check "and nothing of it was signed or written on" '[ "$(ls "$site/journal"/*.slp | wc -l)" = "$(ls "$site/old"/*.slp | wc -l)" ]'
check "the refusal is in the audit log" 'grep -q "\"eventName\":\"Attest\".*KMSInvalidStateException" "$site/kms/audit.log"'

kmsd_stop
kmsd_start
ingest_refuses ""
check "kmsd remembers over a restart" '[ $code = 1 ] && said "was put back to an older state"'

rm -rf "$site/journal"
mv "$site/newest" "$site/journal"
ingest_start ""
put 251 260
ingest_term
read_back web
check "the newest state is taken again, with all its records" '[ $code = 0 ] && seq 1 260 | cmp -s - "$out"'

echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
