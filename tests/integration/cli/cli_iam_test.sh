#!/usr/bin/env bash
# Users, roles, policies, grants and explain by the command line, against a real kmsd with a SoftHSM token and a real ingestd:
# what a producer and a consumer need, what is said without it, and that every change is in force at the next call.
# Needs root (uids, no accounts). Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: cli_iam_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/harness.sh"

skip_all() { echo "skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }
[ "$(id -u)" = 0 ] || skip_all "this test needs root, to run programs under several uids"
for program in sealock sealock-kmsd sealock-hsm-worker sealock-ingestd; do
	[ -x "$build/bin/$program" ] || skip_all "$program was not built"
done
[ -n "$(softhsm_module)" ] || skip_all "SoftHSM is not installed"

site_make
trap site_remove EXIT
# The configuration lets root administrate and nobody else do anything: all other rights are given by commands.
sed -i '/^policy:/,$d' "$site/kmsd.yaml"
cat >>"$site/kmsd.yaml" <<-END
	policy:
	  - {effect: Allow, principals: [root], actions: ["kms:*", "kinesis:*", "iam:*"], resources: ["*"]}
END
sealock hsm init --config "$site/kmsd.yaml" >/dev/null || die_with_log /dev/null "sealock hsm init"
kmsd_start
arn=$(sealock key create --alias alias/web --json | json_from .arn)
id=${arn#*key/}
sealock stream create web --key alias/web >/dev/null
ingestd_start
stream=arn:aws:kinesis:local:000000000000:stream/web
user=arn:aws:iam::000000000000:user

refused() { [ $code = 1 ] && empty "$out" && said "$1"; }
wrong_usage() { [ $code = 2 ] && empty "$out" && said --help; }
document() { echo "{\"Version\": \"2012-10-17\", \"Statement\": $1}"; } # of the statements
allow() { document "{\"Effect\": \"Allow\", \"Action\": \"$1\", \"Resource\": \"$2\"}"; }
may_not() { refused "AccessDeniedException" && said "user/$1" && said "is not authorized to perform: $2" && said "on resource: $3"; }
explained() { sealock policy explain "$@" --json >"$out" 2>"$err"; code=$?; }
decrypts() { as $uid_reader sealock key decrypt --context a=b --in "$site/sealed" >"$out" 2>"$err"; code=$?; return $code; }
data_key() { as $uid_reader sealock key data-key "$id" --out "$site/reader/wrapped" --plaintext-out "$site/reader/key" >"$out" 2>"$err"; code=$?; }
sealock key encrypt alias/web --context a=b --out "$site/sealed" <<<secret
chmod 644 "$site/sealed"
install -d -m 0700 -o $uid_reader "$site/reader"

# --- users and roles ---

run sealock iam user create reader --tag team=web --json
check "a user is made" '[ $code = 0 ] && json_is .name reader && json_is .arn $user/reader && json_is .tags.team web && json_is .boundary None'
run sealock iam user create Reader
check "a name is given once, in upper or lower case" 'refused EntityAlreadyExistsException'
run sealock iam user create "a b"
check "not every name is one" 'refused "ValidationException: a name is 1 to 64"'
sealock iam user create auditor >/dev/null
document '{"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}' >"$site/trust.json"
run sealock iam role create worker --trust "$site/trust.json" --description "works" --max-session 7200 --json
check "so is a role, with its trust policy" '[ $code = 0 ] && json_is .trust_policy.Statement.Action sts:AssumeRole && json_is .max_session_seconds 7200'
allow sts:AssumeRole '*' >"$site/bad.json"
run sealock iam role trust worker "$site/bad.json"
check "what is no trust policy is refused with its place" 'refused "bad.json:1:"'
run sealock iam role trust worker
check "and leaves the one before it" '[ $code = 0 ] && cmp -s "$out" "$site/trust.json"'
sed 's/000000000000/111111111111/' "$site/trust.json" | run_piped sealock iam role trust worker - --json
check "another one takes its place" '[ $code = 0 ] && [ "$(sealock iam role get worker --json | json_from .trust_policy.Statement.Principal.AWS)" = 111111111111 ]'
run sealock iam role tag worker a=1 b=2
check "roles are tagged" '[ $code = 0 ] && [ "$(sealock iam role get worker --json | json_from .tags.b)" = 2 ]'
sealock iam role untag worker a nothing >/dev/null
run sealock iam role get worker
check "and untagged" '[ $code = 0 ] && grep -q "^tags:  *b=2$" "$out" && ! grep -q a=1 "$out"'
run as $uid_reader sealock iam user list
check "only administrators may look" 'refused AccessDeniedException'

# --- a producer and a consumer ---

echo record >"$site/record"
run as $uid_reader sealock put web "$site/record"
check "without a right nothing is put: action, stream and principal are named" '[ $code = 1 ] && said user/reader && said kinesis:PutRecord && said stream/web'
data_key
check "nor is a data key made" 'may_not reader kms:GenerateDataKey "$arn"'
allow kinesis:PutRecord $stream | run_piped sealock iam user policy put auditor put -
check "a policy from stdin" '[ $code = 0 ] && grep -qx "user auditor has the inline policy put" "$out"'
run as $uid_auditor sealock put web "$site/record"
check "putting to an encrypted stream needs the key as well: the KMS error names it" '[ $code = 1 ] && said user/auditor && said kms:GenerateDataKey && said "$arn"'
document "[{\"Effect\": \"Allow\", \"Action\": \"kinesis:PutRecord\", \"Resource\": \"$stream\"},
 {\"Effect\": \"Allow\", \"Action\": \"kms:GenerateDataKey\", \"Resource\": \"$arn\"}]" >"$site/producer.json"
sealock iam policy create producer "$site/producer.json" >/dev/null
run sealock iam policy attach producer --user reader --json
check "a managed policy is attached" '[ $code = 0 ] && json_is .policy producer && json_is .user reader && json_is .attached true'
data_key
check "and is in force at the next call" '[ $code = 0 ]'
wait_for 5 'as $uid_reader sealock put web "$site/record" >"$out" 2>"$err"'
check "now the producer puts" 'grep -q "stored 1 record" "$out"'
sealock iam policy detach producer --user reader >/dev/null
wait_for 5 '! as $uid_reader sealock put web "$site/record" >"$out" 2>"$err"'
check "without it ingestd takes nothing more, long before its five minutes" 'said user/reader && said kinesis:PutRecord'
sealock iam policy attach producer --user reader >/dev/null
wait_for 5 'as $uid_reader sealock put web "$site/record" >"$out" 2>"$err"'
check "and with it again" 'grep -q "stored 1 record" "$out"'
decrypts
check "a producer may not read" 'may_not reader kms:Decrypt "$arn"'
allow kms:Decrypt "$arn" >"$site/consumer.json"
run sealock iam user policy put reader consumer "$site/consumer.json" --json
check "a consumer needs kms:Decrypt" '[ $code = 0 ] && json_is .document.Statement.Action kms:Decrypt && decrypts && grep -qx secret "$out"'

# --- changes ---

document '{"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"}' >"$site/deny.json"
sealock iam policy create limits "$site/deny.json" >/dev/null
sealock iam policy attach limits --user reader >/dev/null
decrypts
check "a Deny wins, at the next call" 'may_not reader kms:Decrypt "$arn" && said "explicit deny"'
allow kms:Decrypt '*' | run_piped sealock iam policy update limits - --json
check "the policy is changed" '[ $code = 0 ] && json_is .name limits && decrypts'
printf '{\n "Version": "2012-10-17",\n "Statement": {"Effect": "Alow"}\n}\n' >"$site/bad.json"
run sealock iam policy update limits "$site/bad.json"
check "a malformed document is refused with line and column" 'refused "bad.json:3:26: Effect is"'
run sealock iam policy get limits --document
check "the one before it stays" '[ $code = 0 ] && allow kms:Decrypt "*" | cmp -s - "$out" && decrypts'
document "[$(seq 1 900 | sed 's/.*/{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"},/')
 {\"Effect\": \"Deny\", \"Action\": \"*\", \"Resource\": \"*\"}]" >"$site/long.json"
run sealock iam policy update limits "$site/long.json"
check "so it does when kmsd refuses one" 'refused "32768 bytes" && decrypts'
run sealock iam user policy put reader consumer "$site/bad.json" --json
check "as JSON the place is in the message" '[ $code = 1 ] && empty "$out" && json_from .error.message <"$err" | grep -q "bad.json:3:26" && decrypts'
run sealock iam policy holders limits --json
check "who holds it" '[ $code = 0 ] && json_is .holders.0.name reader && json_is .holders.0.kind user'
run sealock iam user policy list reader
check "what a user holds" '[ $code = 0 ] && printf "inline   consumer\nmanaged  limits\nmanaged  producer\n" | cmp -s - "$out"'
run sealock iam policy delete limits
check "what is held is not deleted" 'refused DeleteConflictException'
run sealock iam user delete reader
check "nor is who holds something" 'refused DeleteConflictException'
sealock iam user boundary put reader producer >/dev/null
decrypts
check "a boundary bounds" 'may_not reader kms:Decrypt "$arn" && said "permissions boundary"'
run sealock iam user get reader
check "and is shown" '[ $code = 0 ] && grep -q "^boundary:  *arn:aws:iam::000000000000:policy/producer$" "$out"'
sealock iam user boundary delete reader >/dev/null
check "until it is taken away" 'decrypts'
sealock iam policy detach limits --user reader >/dev/null && sealock iam policy delete limits >/dev/null
run sealock iam user policy delete reader consumer
check "rights end with the policy" '[ $code = 0 ] && ! decrypts && may_not reader kms:Decrypt "$arn"'

# --- policies of keys and of streams ---

run sealock key policy get alias/web --json
check "a key has AWS's default" '[ $code = 0 ] && json_is .key "$id" && json_is .policy.Statement.0.Principal.AWS arn:aws:iam::000000000000:root'
document "[{\"Effect\": \"Allow\", \"Principal\": {\"AWS\": \"arn:aws:iam::000000000000:root\"}, \"Action\": \"kms:*\", \"Resource\": \"*\"},
 {\"Sid\": \"Reader\", \"Effect\": \"Allow\", \"Principal\": {\"AWS\": \"$user/reader\"}, \"Action\": \"kms:Decrypt\", \"Resource\": \"*\"}]" >"$site/key.json"
run sealock key policy put alias/web "$site/key.json"
check "its policy allows a user" '[ $code = 0 ] && grep -qx "key $id has a new policy" "$out" && decrypts'
run sealock key policy get "$id"
check "and comes back as it was put" '[ $code = 0 ] && cmp -s "$out" "$site/key.json"'
document "{\"Effect\": \"Allow\", \"Principal\": {\"AWS\": \"$user/auditor\"}, \"Action\": \"kms:*\", \"Resource\": \"*\"}" >"$site/lockout.json"
run sealock key policy put alias/web "$site/lockout.json"
check "one that would lock its author out is refused, and the one before it stays" 'refused "will not allow you to update the key policy" && decrypts'
run sealock key create --policy "$site/lockout.json"
check "nor is a key made with one" 'refused "will not allow you to update the key policy"'
run sealock key create --policy "$site/key.json" --json
check "a key is made with a policy of its own" '[ $code = 0 ] && sealock key policy get "$(json_of .id)" | cmp -s - "$site/key.json"'
run sealock key policy list alias/web
check "it is called default" '[ $code = 0 ] && grep -qx default "$out"'
run sealock stream policy get web
check "a stream has none" '[ $code = 0 ] && empty "$out" && said "has no policy"'
document "{\"Effect\": \"Allow\", \"Principal\": {\"AWS\": \"$user/auditor\"}, \"Action\": \"kinesis:GetRecords\", \"Resource\": \"$stream\"}" >"$site/stream.json"
run sealock stream policy put web "$site/stream.json" --json
check "until it gets one" '[ $code = 0 ] && json_is .stream web && sealock stream policy get web | cmp -s - "$site/stream.json"'
explained --principal user/auditor --action kinesis:GetRecords --resource stream/web
check "which allows" '[ $code = 0 ] && json_is .allowed true && json_is .reason AllowedByResourcePolicy'
sealock stream policy delete web >/dev/null
run sealock stream policy delete web
check "and is taken away once" 'refused ResourceNotFoundException'

# --- explain ---

explained --principal user/reader --action kms:Decrypt --resource alias/web
check "explain names the statement that allows" '[ $code = 0 ] && json_is .allowed true && json_is .resource "$arn" && json_is .reason AllowedByResourcePolicy'
run sealock policy explain --principal user/reader --action kms:Decrypt --resource alias/web
check "and marks it" '[ $code = 0 ] && grep -q "^answer:  *allowed" "$out" && grep -q "statement 2, line 2, Allow \"Reader\": decided" "$out"'
run sealock policy explain --uid $uid_auditor --action kms:Decrypt --resource alias/web
check "for a denial it says what did not match" '[ $code = 1 ] && grep -q "^answer:  *denied" "$out" && grep -q "is not authorized to perform: kms:Decrypt" "$out" && grep -q "Allow \"Reader\": does not match, by its Principal" "$out"'
sealock iam user policy put auditor via - >/dev/null <<-END
	{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "$arn",
	 "Condition": {"StringEquals": {"kms:ViaService": "kinesis.local.amazonaws.com"}}}}
END
run sealock policy explain --principal user/auditor --action kms:Decrypt --resource "$arn"
check "and which condition" '[ $code = 1 ] && grep -q "does not match, by its Condition StringEquals on kms:ViaService" "$out"'
explained --principal user/auditor --action kms:Decrypt --resource "$id" --value kms:ViaService=kinesis.local.amazonaws.com
check "with the value it would be allowed" '[ $code = 0 ] && json_is .allowed true'
explained --principal user/nobody --action kms:Decrypt --resource alias/web
check "somebody unknown may nothing" '[ $code = 1 ] && json_is .allowed false'
run sealock policy explain --principal user/reader --action Decrypt --resource alias/web
check "what is no action is refused" 'refused "an action is of the form"'
run sealock policy explain --principal user/reader --action kms:Decrypt --resource alias/none
check "so is a key that is not there" 'refused "alias/none is not found"'

# --- grants ---

sealock key policy put alias/web - >/dev/null <<<"$(document '{"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "kms:*", "Resource": "*"}')"
decrypts
check "the key's policy is the default again" 'may_not reader kms:Decrypt "$arn"'
run sealock key grant create alias/web --grantee user/reader --operation Decrypt --context a=b --json
check "a grant is made" '[ $code = 0 ] && [ "$(json_of .id | tr -d "\n" | wc -c)" = 64 ] && json_is .key "$id"'
grant=$(json_of .id)
check "and allows at the next call" 'decrypts && grep -qx secret "$out"'
explained --principal user/reader --action kms:Decrypt --resource alias/web --context a=b
check "explain knows it" '[ $code = 0 ] && json_is .allowed true && json_is .reason AllowedByGrant && json_of .sentence | grep -q "a grant allows it"'
explained --principal user/reader --action kms:Decrypt --resource alias/web --context a=c
check "and its constraint" '[ $code = 1 ] && json_is .allowed false'
run sealock key grant list alias/web --json
check "it is listed with its constraint" '[ $code = 0 ] && json_is .grants.0.id $grant && json_is .grants.0.grantee $user/reader && json_is .grants.0.constraints.context_subset.a b && json_is .grants.0.operations.0 Decrypt'
run sealock key grant list alias/web --grantee user/auditor
check "by who has it" '[ $code = 0 ] && empty "$out"'
run sealock key grant revoke alias/web $grant
check "it is revoked" '[ $code = 0 ] && grep -qx "grant $grant is revoked" "$out"'
decrypts
check "and gone at the next call" 'may_not reader kms:Decrypt "$arn"'
run sealock key grant revoke alias/web $grant
check "once" 'refused NotFoundException'
run sealock key grant create alias/web --grantee $user/reader --operation Decrypt --context-equals a=c --retiring user/auditor --name n --json
token=$(json_of .token)
decrypts
check "a grant for another context does not allow" 'may_not reader kms:Decrypt "$arn"'
run sealock key grant list --retiring $user/auditor
check "who may retire it finds it" '[ $code = 0 ] && grep -q "^only with:  *a=c$" "$out"'
run as $uid_reader sealock key grant retire --token $token
check "somebody else may not" 'refused AccessDeniedException'
run as $uid_auditor sealock key grant retire --token $token --json
check "and gives it back" '[ $code = 0 ] && json_is .retired true && [ "$(sealock key grant list alias/web --json | json_from .grants)" = "[]" ]'
run sealock key grant create alias/web --grantee user/reader --operation Fly
check "an operation that does not exist is named" 'refused "no operation of a grant is called Fly"'

# --- access keys ---

run sealock iam access-key create auditor --json
check "an access key is made, with its secret" '[ $code = 0 ] && json_of .id | grep -q "^AKIA" && [ "$(json_of .secret | tr -d "\n" | wc -c)" = 40 ]'
access=$(json_of .id)
run sealock iam access-key create auditor --out "$site/credentials"
check "a second one goes to a file that is its owner's alone" '[ $code = 0 ] && [ "$(stat -c %a "$site/credentials")" = 600 ] && grep -Eq "^aws_secret_access_key = .{40}$" "$site/credentials" && ! grep -qF "$(sed -n "s/aws_secret_access_key = //p" "$site/credentials")" "$out"'
run sealock iam access-key create auditor
check "a third one is too many" 'refused LimitExceededException'
sealock iam access-key disable auditor $access >/dev/null
run sealock iam access-key list auditor
check "one is disabled" '[ $code = 0 ] && grep -q "^$access  disabled " "$out" && [ "$(grep -c active "$out")" = 1 ]'
run sealock iam access-key delete auditor $access --json
check "and deleted" '[ $code = 0 ] && json_is .state deleted && [ "$(sealock iam access-key list auditor --json | grep -c "\"id\"")" = 1 ]'
run sealock configure aws --user auditor --profile there --endpoint https://appliance:8443 --out "$site/profile"
check "a profile comes with an access key, in a file of its owner" '[ $code = 0 ] && grep -qx "\[profile there\]" "$out" && grep -qx "endpoint_url = https://appliance:8443" "$out" && grep -qx "\[there\]" "$site/profile" && [ "$(stat -c %a "$site/profile")" = 600 ] && ! grep -q secret "$out"'
run sealock configure aws --user auditor --profile there
check "no third one either" 'refused LimitExceededException'
run sealock iam access-key delete auditor "$(sed -n "s/aws_access_key_id = //p" "$site/profile")"
run sealock configure aws --user auditor --json
check "or is shown" '[ $code = 0 ] && json_is .profile sealock && json_of .access_key_id | grep -q "^AKIA" && [ "$(json_of .secret_access_key | tr -d "\n" | wc -c)" = 40 ]'

# --- sessions of a role ---

run as $uid_reader sealock iam role assume worker --session s1
check "a role of a wrong account is not assumed" 'refused "AccessDenied" && said user/reader && said sts:AssumeRole && said role/worker'
document "{\"Effect\": \"Allow\", \"Principal\": {\"AWS\": \"$user/reader\"}, \"Action\": \"sts:AssumeRole\",
 \"Condition\": {\"StringEquals\": {\"sts:ExternalId\": \"agreed-on\"}}}" | run_piped sealock iam role trust worker -
check "its trust policy is changed" '[ $code = 0 ]'
explained --principal user/reader --action sts:AssumeRole --resource role/worker --value sts:ExternalId=guessed
check "why a wrong external id is refused is explained" '[ $code = 1 ] && json_is .allowed false && grep -q "\"trust\"" "$out" && grep -q "sts:ExternalId" "$out"'
explained --principal user/reader --action sts:AssumeRole --resource role/worker --value sts:ExternalId=agreed-on
check "and that the right one is accepted" '[ $code = 0 ] && json_is .allowed true'
run as $uid_reader sealock iam role assume worker --session s1 --external-id guessed
check "nor is one with a wrong external id" 'refused "AccessDenied"'
run as $uid_reader sealock iam role assume worker --session s1 --external-id agreed-on --json
check "with the right one it is" '[ $code = 0 ] && json_is .arn arn:aws:sts::000000000000:assumed-role/worker/s1 && json_of .access_key_id | grep -q "^ASIA" && [ -n "$(json_of .session_token)" ]'
run sealock policy explain --principal arn:aws:sts::000000000000:assumed-role/worker/s1 --action kms:Decrypt --resource alias/web
check "and may what the role may: nothing yet" '[ $code = 1 ] && grep -q "assumed-role/worker/s1 is not authorized" "$out"'

# --- many ---

seq -f "many-%.0f" 1 53 | xargs -P 4 -I{} sealock iam user create {} >/dev/null
run sealock iam user list
check "users beyond a page, each once" '[ $code = 0 ] && [ "$(tail -n +2 "$out" | cut -d" " -f1 | sort -u | wc -l)" = 55 ]'
kmsd_stop
kmsd_start
run sealock iam user get reader --json
check "all of it outlives kmsd" '[ $code = 0 ] && json_is .tags.team web && [ "$(sealock iam user policy list auditor | wc -l)" = 2 ]'
finish
