#!/usr/bin/env bash
# The life of keys by the command line, against a real kmsd with a SoftHSM token: each verb of sealock key and sealock alias
# that changes a key, what describe shows after it, and what is refused, by name.
# Needs root (uids, no accounts). Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: cli_life_test.sh BUILD_DIR}
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
# Root may do everything here; the reader may look, and is no administrator.
sed -i '/effect: Deny/d' "$site/kmsd.yaml"
# No head of the audit log within this test: the key that signs it would be one more on the token.
sed -i 's/^audit: {\(.*\)}/audit: {\1, head_interval_s: 86400}/' "$site/kmsd.yaml"
cat >>"$site/kmsd.yaml" <<-END
	  - {effect: Allow, principals: [user/reader], actions: ["kms:*"], resources: ["*"]}
	  - {effect: Deny, principals: [user/reader], actions: ["kms:ListKeyRotations"], resources: ["*"]}
END
sealock hsm init --config "$site/kmsd.yaml" >/dev/null || die_with_log /dev/null "sealock hsm init"
kmsd_start

refused() { [ $code = 1 ] && empty "$out" && said "$1"; }
wrong_usage() { [ $code = 2 ] && empty "$out" && said --help; }
# shows KEY PATH VALUE: what describe says now.
shows() { [ "$(sealock key describe "$1" --json | json_from "$2" 2>/dev/null)" = "$3" ]; }
repeat() { printf "%$2s" "" | sed "s/ /$1/g"; }

# --- create ---

run sealock key create --alias alias/web --description "access logs" --tag team=web --tag note=a=b --json
check "create makes a symmetric key" '[ $code = 0 ] && json_is .spec SYMMETRIC_DEFAULT && json_is .usage ENCRYPT_DECRYPT && json_is .aliases.0 alias/web'
id=$(json_of .id) arn=$(json_of .arn)
check "that has material, no stream and no end" '[ "$(json_of .backing_id | tr -d "\n" | wc -c)" = 32 ] && json_is .streams 0 && json_is .deletion None'
run sealock key create --alias alias/pair --spec ECC_NIST_P256 --usage SIGN_VERIFY --json
check "create makes a pair" '[ $code = 0 ] && json_is .spec ECC_NIST_P256 && json_is .algorithms.0 ECDSA_SHA_256 && json_is .material_id ""'
pair=$(json_of .id)
run sealock key create --spec RSA_2048
check "a pair has to be told its usage" 'refused "You must specify a KeyUsage value"'
run sealock key create --spec ECC_NIST_P256 --usage ENCRYPT_DECRYPT
check "and one that it can have" 'refused "KeyUsage ENCRYPT_DECRYPT is not compatible with KeySpec ECC_NIST_P256"'
run sealock key create --spec DES
check "what nobody should make is refused" 'refused UnsupportedOperationException'
run sealock key create --tag "aws:x=y"
check "tags of aws: are reserved" 'refused "TagException: Tags beginning with aws: are reserved"'
run sealock key create --tag a=1 --tag a=2
check "a tag is set once" 'refused "TagException: Duplicate tag keys"'
run sealock key list --json
check "none of these left a key" '[ "$(json_of .keys | grep -o arn:aws | wc -l)" = 2 ]'

# --- description, enable, disable ---

run sealock key update alias/web --description "of the web" --json
check "update says what it is for" '[ $code = 0 ] && json_is .key "$id" && shows "$id" .description "of the web"'
run sealock key update "$arn" --description ""
check "or nothing, by ARN" '[ $code = 0 ] && shows "$id" .description ""'
run sealock key update "$id" --description "$(repeat 🔑 8192)"
check "8192 characters of four bytes fit" '[ $code = 0 ] && [ "$(sealock key describe "$id" --json | json_from .description | tr -d "\n" | wc -c)" = 32768 ]'
run sealock key update "$id" --description "$(repeat d 8193)"
check "8193 do not" 'refused "ValidationException: a description is UTF-8 text of at most 8192 characters"'
run sealock key disable alias/web --json
check "disable says so" '[ $code = 0 ] && json_is .key "$id" && json_is .state Disabled && shows "$id" .state Disabled'
run sealock key encrypt alias/web <<<secret
check "a disabled key encrypts nothing" 'refused "DisabledException: $arn is disabled"'
run sealock key rotate alias/web
check "nor does it rotate" 'refused "DisabledException: $arn is disabled"'
run sealock key disable alias/web
check "disabling it twice is no mistake" '[ $code = 0 ] && grep -qx "key $id is disabled" "$out"'
run sealock key enable alias/web
check "enable lets it go on" '[ $code = 0 ] && grep -qx "key $id is enabled" "$out" && shows "$id" .state Enabled'
sealock key encrypt alias/web --out "$site/sealed" <<<secret
check "and encrypt" '[ "$(sealock key decrypt --in "$site/sealed")" = secret ]'
run sealock key enable alias/nothing
check "an alias that leads nowhere is named" 'refused "NotFoundException: Alias arn:aws:kms:local:000000000000:alias/nothing is not found"'
run sealock key enable web
check "a word that is no key is named" "refused \"NotFoundException: Invalid keyId 'web'\""
run sealock key enable 00000000-0000-4000-8000-000000000000
check "so is an id that nobody has" 'refused "NotFoundException: Key .*00000000-0000-4000-8000-000000000000. does not exist"'

# --- tags ---

run sealock key tags alias/web --json
check "the tags that it was made with" '[ $code = 0 ] && json_is .key "$id" && json_is .tags.team web && json_is .tags.note a=b'
run sealock key tag alias/web team=infra cost-center=4711 empty= --json
check "tag sets and replaces" '[ $code = 0 ] && json_is .tags.team infra && [ "$(sealock key tags alias/web | tr "\n" " ")" = "cost-center=4711 empty= note=a=b team=infra " ]'
run sealock key untag alias/web note nothing --json
check "untag takes away" '[ $code = 0 ] && json_is .untagged.0 note && [ "$(sealock key tags alias/web | wc -l)" = 3 ]'
run sealock key tag alias/web AWS:x=y
check "tags of AWS: are reserved" 'refused "TagException: Tags beginning with aws: are reserved"'
run sealock key tag alias/web "$(repeat k 129)=v"
check "a name of 129 characters is too long" 'refused "tags.1.member.tagKey"'
run sealock key tag alias/web "k=$(repeat ü 257)"
check "so is a value of 257" 'refused "tags.1.member.tagValue"'
run sealock key tag alias/web $(seq -f "t%.0f=" 1 47)
check "50 tags fit a key" '[ $code = 0 ] && [ "$(sealock key tags alias/web --json | json_from .tags | grep -o "t[0-9][0-9]*" | wc -l)" = 47 ]'
run sealock key tag alias/web one-more=
check "51 are above the limit" 'refused "TagException: Too many tags" && [ "$(sealock key tags alias/web | wc -l)" = 50 ]'
tag_of=$(repeat 🔑 124) value=$(repeat 🔑 256)
run sealock key tag alias/pair $(seq -f "$tag_of%.0f=$value" 1001 1050)
check "50 full tags of four bytes a character go at once" '[ $code = 0 ]'
run sealock key tags alias/pair
check "and come back page by page" '[ $code = 0 ] && [ "$(sort -u "$out" | wc -l)" = 50 ] && [ "$(wc -c <"$out")" = $((50 * (4 * 124 + 4 + 1 + 1024 + 1))) ]'
run sealock key untag alias/pair $(sealock key tags alias/pair | cut -d= -f1)
check "all go at once" '[ $code = 0 ] && [ -z "$(sealock key tags alias/pair)" ]'

# --- rotation ---

run sealock key rotation alias/web --json
check "a key does not rotate by itself until it is told" '[ $code = 0 ] && json_is .key_arn "$arn" && json_is .enabled false && json_is .next None'
check "and has the material that it was made with" '[ "$(json_of .materials.0.made_by)" = creation ] && json_is .materials.0.current true'
first=$(json_of .materials.0.backing_id)
run sealock key rotation alias/web --enable --days 90 --json
check "by period from now on" '[ $code = 0 ] && json_is .enabled true && json_is .period_days 90'
check "next in 90 days" '[ "$(json_of .next | cut -c1-10)" = "$(date -u -d "90 days" +%F)" ]'
run sealock key rotation alias/web --enable
check "in 365, if nothing is said" '[ $code = 0 ] && grep -q "^by period:  *every 365 days, next at $(date -u -d "365 days" +%F)T" "$out"'
run sealock key rotation alias/web --disable
check "and not any more" '[ $code = 0 ] && grep -q "^by period:  *off" "$out"'
run sealock key rotate alias/web --json
check "rotate gives new material at once" '[ $code = 0 ] && json_is .key_arn "$arn" && json_is .enabled false'
run sealock key rotation alias/web --json
check "which wraps from now on" 'json_is .materials.0.current false && json_is .materials.1.current true && json_is .materials.1.made_by demand && shows "$id" .backing_id "$(json_of .materials.1.backing_id)" && [ "$first" = "$(json_of .materials.0.backing_id)" ]'
check "what was wrapped before is still readable" '[ "$(sealock key decrypt --in "$site/sealed")" = secret ]'
run as $uid_reader sealock key rotation alias/web --json
check "without the right to them, the materials are left out" '[ $code = 0 ] && json_is .enabled false && ! grep -q materials "$out" && said kms:ListKeyRotations'
run sealock key rotate alias/pair
check "a pair does not rotate" 'refused "only symmetric keys rotate: UnsupportedOperationException"'
run sealock key rotation alias/pair --enable
check "nor by period" 'refused "only symmetric keys rotate"'
run sealock key rotation alias/pair --json
check "and says so" '[ $code = 0 ] && json_is .enabled false'

# --- aliases ---

run sealock alias create alias/orders alias/web --json
check "a second name" '[ $code = 0 ] && json_is .alias alias/orders && json_is .key "$id" && shows alias/orders .id "$id"'
run sealock alias create alias/orders "$id"
check "a name is given once" 'refused "AlreadyExistsException: An alias with the name arn:aws:kms:local:000000000000:alias/orders already exists"'
run sealock alias create alias/aws/kinesis "$id"
check "alias/aws/ is reserved" 'refused "ValidationException: .*alias/aws/ is reserved"'
run sealock alias create "alias/a b" "$id"
check "not every character is a name" 'refused "ValidationException: an alias is alias/"'
run sealock alias create "alias/$(repeat n 251)" "$id"
check "257 characters are too many" 'refused ValidationException'
run sealock alias create orders "$id"
check "a word that is no alias is wrong usage" 'wrong_usage && said alias/orders'
run sealock alias update alias/orders alias/pair
check "an alias is not led to a key of another kind" 'refused "an alias may only be led to a key of the same kind"'
other=$(sealock key create --json | json_from .id)
run sealock alias update alias/orders "$other"
check "to one of the same kind it is" '[ $code = 0 ] && grep -qx "alias/orders leads to key $other" "$out" && shows alias/orders .id "$other"'
run sealock alias update alias/none "$other"
check "one that is not there is not" 'refused "NotFoundException: Alias arn:aws:kms:local:000000000000:alias/none is not found"'
for i in $(seq 1 52); do echo "alias/many-$i"; done | xargs -P 4 -I{} sealock alias create {} "$other" >/dev/null
run sealock alias list "$other" --json
check "aliases of a key, beyond a page" '[ $code = 0 ] && [ "$(grep -c "\"name\"" "$out")" = 53 ]'
run sealock alias list
check "aliases of all, each once" '[ $code = 0 ] && [ "$(tail -n +2 "$out" | sort -u | wc -l)" = 55 ] && grep -q "^$pair  *alias/pair$" "$out"'
run sealock alias delete alias/orders --json
check "an alias is deleted" '[ $code = 0 ] && json_is .deleted alias/orders && shows "$other" .state Enabled'
run sealock key describe alias/orders
check "and leads nowhere" 'refused "alias/orders is not found"'
run sealock alias delete alias/orders
check "once" 'refused "NotFoundException: Alias"'

# --- deletion ---

sealock stream create web --key alias/web >/dev/null
run sealock key schedule-deletion alias/web --days 7 --json
check "an end is set" '[ $code = 0 ] && json_is .id "$id" && json_is .state PendingDeletion && json_is .streams 1'
week=$(date -u -d "7 days" +%F)
check "in seven days" '[ "$(json_of .deletion | cut -c1-10)" = "$week" ]'
check "with a warning: when, and for how many streams" 'said "key $id will be destroyed at ${week}T..:..:..Z or later" && said "1 stream seals under this key"'
run sealock key describe alias/web
check "describe shows it" '[ $code = 0 ] && grep -q "^state:  *PendingDeletion" "$out" && grep -q "^destroyed:  *at ${week}T" "$out"'
for verb in "encrypt" "enable" "disable" "rotate" "rotation --enable" "update -dx" "tag x=y" "schedule-deletion"; do
	set -- $verb
	run sealock key "$1" "$id" "${@:2}" <<<secret
	check "pending deletion: $verb is refused" 'refused "KMSInvalidStateException: $arn is pending deletion"'
done
run sealock alias create alias/late "$id"
check "so is a new name" 'refused "KMSInvalidStateException: $arn is pending deletion"'
run sealock key cancel-deletion alias/web
check "it is taken back, and disabled" '[ $code = 0 ] && said "sealock key enable $id" && shows "$id" .state Disabled && shows "$id" .deletion None'
run sealock key cancel-deletion "$id"
check "once" 'refused "KMSInvalidStateException: $arn is not pending deletion"'
sealock key enable "$id" >/dev/null
check "enabled again it opens what it sealed" '[ "$(sealock key decrypt --in "$site/sealed")" = secret ]'
run sealock key schedule-deletion "$other"
check "30 days if nothing is said, and no word of streams" '[ $code = 0 ] && said "at $(date -u -d "30 days" +%F)T" && ! said stream'
for days in 0 6 31; do
	run sealock key schedule-deletion "$pair" --days $days
	check "$days days are wrong usage" 'wrong_usage && said "7 to 30"'
done
check "and change nothing" 'shows "$pair" .state Enabled'

# --- who may not ---

for verb in "create" "disable $id" "schedule-deletion $id" "tag $id a=b" "rotate $id" "orphans"; do
	run as $uid_reader sealock key $verb
	check "no administrator: ${verb%% *} is refused" 'refused AccessDeniedException'
done
run as $uid_reader sealock alias delete alias/web --json
check "as JSON, too" '[ $code = 1 ] && empty "$out" && json_from .error.code <"$err" | grep -qx AccessDenied'
run as $uid_outsider sealock key enable alias/web
check "to whom an alias may not be shown it is not" 'refused "user/outsider is not authorized to perform: kms:DescribeKey"'

# --- orphans: a catalog that was put back from a backup does not know the newest keys, a new one knows none ---

run sealock key orphans --json
check "every object has a key" '[ $code = 0 ] && json_is .orphans "[]"'
{
	sealock key rotation "$id" --json
	sealock key rotation "$other" --json
} | sed -n 's/.*"backing_id": "\(.*\)".*/\1  AES key/p' >"$site/materials"
sealock key rotation "$pair" --json | sed -n 's/.*"backing_id": "\(.*\)".*/\1  key pair/p' >>"$site/materials"
kmsd_stop
rm "$site"/kms/catalog.db*
kmsd_start
run sealock key list --json
check "the new catalog has no key" '[ $code = 0 ] && json_is .keys "[]"'
run sealock key orphans
check "and finds an orphan for each material of the old one" '[ $code = 0 ] && [ "$(wc -l <"$out")" = 4 ] && diff <(sort "$out") <(sort "$site/materials")'
run sealock key orphans --json
check "in JSON, too" '[ $code = 0 ] && [ "$(grep -c backing_id "$out")" = 4 ]'

kmsd_stop
run sealock key enable alias/web
check "without kmsd a sentence names its socket" 'refused "$site/run/kms/kms.sock"'
finish
