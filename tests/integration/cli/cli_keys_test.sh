#!/usr/bin/env bash
# sealock hsm init, key, stream and status against a real kmsd with a SoftHSM token, each under its own uid.
# Needs root (uids, no accounts). Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: cli_keys_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/harness.sh"

skip_all() { echo "skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }
[ "$(id -u)" = 0 ] || skip_all "this test needs root, to run programs under several uids"
for program in sealock sealock-kmsd sealock-hsm-worker; do
	[ -x "$build/bin/$program" ] || skip_all "$program was not built"
done
[ -n "$(softhsm_module)" ] || skip_all "SoftHSM is not installed"

site_make
trap site_remove EXIT

# --- the token, and kmsd not there yet ---

run sealock hsm init --config "$site/kmsd.yaml" --json
check "hsm init makes the token" '[ $code = 0 ] && json_is .token made'
check "the PIN file is the worker's alone" '[ "$(stat -c "%a %u" "$site/hsm/pin")" = "400 $uid_hsm" ]'
check "nothing printed is the PIN" '! grep -qF "$(cat "$site/hsm/pin")" "$out" "$err"'
run sealock hsm init --config "$site/kmsd.yaml" --json
check "a token that is there is kept" '[ $code = 0 ] && json_is .token kept'

run sealock key list
check "without kmsd a sentence names its socket" '[ $code = 1 ] && empty "$out" && said "$site/run/kms/kms.sock"'
run sealock status
check "status without services fails and says which" '[ $code = 1 ] && grep -q "^kmsd:" "$out" && grep -q "^ingestd:" "$out"'

kmsd_start

# --- keys ---

run sealock key create --alias alias/web --description "access logs" --json
check "key create gives an enabled key with its alias" '[ $code = 0 ] && json_is .state Enabled && json_is .aliases.0 alias/web'
key_id=$(json_of .id)
key_arn=$(json_of .arn)
for name in "$key_id" "$key_arn" alias/web; do
	run sealock key describe "$name" --json
	check "key describe by ${name%%/*}" '[ $code = 0 ] && json_is .id "$key_id" && json_is .description "access logs"'
done
run sealock key describe alias/web --json
check "approved algorithms and a validated module are told apart" 'json_is .approved_algorithms true && json_is .validated_module false'
run sealock key describe alias/web
check "in words, too" 'grep -q "^approved: *all its algorithms" "$out" && grep -q "^module: *not validated" "$out"'
run sealock key describe alias/nothing
check "an unknown alias is refused and named" '[ $code = 1 ] && empty "$out" && said "alias/nothing"'
run sealock key create --alias alias/web
check "an alias in use is refused, and the key that was made is named" '[ $code = 1 ] && said "alias/web" && said "was created"'
run sealock key list
check "key list has a title and the alias" '[ $code = 0 ] && head -n 1 "$out" | grep -q "^KEY" && grep -q alias/web "$out"'

# --- streams ---

run sealock stream create web --shards 2 --key alias/web --json
check "stream create binds the key" '[ $code = 0 ] && json_is .encryption KMS && json_is .key_arn "$key_arn" && json_is .shards 2'
run sealock stream create web
check "a stream that exists is refused" '[ $code = 1 ] && said "web"'
run sealock stream create bare --json
check "without a key a stream has encryption NONE" '[ $code = 0 ] && json_is .encryption NONE'
run sealock stream list --json
check "stream list has both" '[ $code = 0 ] && [ "$(json_of .streams | grep -o "stream/[a-z]*" | sort -u | wc -l)" = 2 ]'
run sealock stream create short --key alias/web
run sealock stream delete short
check "stream delete says so" '[ $code = 0 ] && grep -q "deleted stream short" "$out"'
run sealock stream describe short --json
check "a deleted stream is DELETING until ingestd has let go of it" '[ $code = 0 ] && json_is .status DELETING'
run as $uid_stranger sealock key list
check "a stranger is denied" '[ $code = 1 ] && empty "$out" && said "denied\|not authori\|may not"'

finish
