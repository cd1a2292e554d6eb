#!/bin/bash
# bench appliance: against a running kmsd, as a user who may, as one who may not, and where nothing runs.
set -u
build=$1
. "$(dirname "$0")/../cli/harness.sh"
[ "$(id -u)" -eq 0 ] || { echo "skipped: needs root for users of its own" >&2; exit 77; }
[ -n "$(softhsm_module)" ] || { echo "skipped: needs SoftHSM" >&2; exit 77; }
site_make
trap site_remove EXIT
install -m 0755 "$build/bench/bench_appliance" "$site/bin/bench_appliance"
sealock hsm init --config "$site/kmsd.yaml" >"$site/init.log" 2>&1 || die_with_log "$site/init.log" "no token"

unset SEALOCK_BENCH_KEY
run bench_appliance --quick
check "without a key nothing is measured" '[ $code = 0 ] && grep -q "not measured: set SEALOCK_BENCH_KEY" "$out"'
export SEALOCK_BENCH_KEY=alias/bench
run bench_appliance --quick
check "no kmsd: it fails and says so" '[ $code = 1 ] && said "bench appliance: "'

kmsd_start
sealock key create --alias alias/bench >/dev/null
run bench_appliance --quick --json "$site/figures.json"
check "a user who may: figures of four depths" \
	'[ $code = 0 ] && [ "$(grep -c "\"label\": \".* in flight\"" "$site/figures.json")" = 4 ]'
check "they name the token" 'grep -q "\"token\": \"sealock-cli-test\"" "$site/figures.json"'
run as $uid_auditor bench_appliance --quick
check "a user who may not: no figures" '[ $code = 1 ] && said "may this user call GenerateDataKey" && ! grep -q "in flight" "$out"'
finish
