#!/usr/bin/env bash
# sealock key encrypt, decrypt, re-encrypt, data-key, random, sign, verify and public-key against a real kmsd with a SoftHSM
# token; what leaves the HSM is checked with openssl. Needs root (uids, no accounts).
set -uo pipefail
build=${1:?usage: cli_crypt_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/harness.sh"

skip_all() { echo "skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }
[ "$(id -u)" = 0 ] || skip_all "this test needs root, to run programs under several uids"
for program in sealock sealock-kmsd sealock-hsm-worker; do
	[ -x "$build/bin/$program" ] || skip_all "$program was not built"
done
[ -n "$(softhsm_module)" ] || skip_all "SoftHSM is not installed"
command -v openssl >/dev/null || skip_all "openssl is not installed"

site_make
trap site_remove EXIT
# Root may do everything here; the reader may decrypt.
sed -i '/effect: Deny/d' "$site/kmsd.yaml"
run sealock hsm init --config "$site/kmsd.yaml"
kmsd_start
w=$site/work
mkdir -m 0711 "$w"
cd "$w" || exit 1

new_key() { # ALIAS [OPTION...]
	local alias=$1
	shift
	run sealock key create --alias "$alias" "$@" --json
}
mode_of() { stat -c %a "$1"; }
one_answer() { [ $code = 1 ] && empty "$out" && said "InvalidCiphertextException"; }

new_key alias/web
web=$(json_of .arn)
new_key alias/next
next=$(json_of .arn)
head -c 4096 /dev/urandom >plain

# --- encrypt, decrypt ---

umask 0022
run sealock key encrypt alias/web --context app=web --context k=v --in plain --out sealed
check "encrypt writes a blob and says nothing" '[ $code = 0 ] && empty "$out" && empty "$err" && [ "$(head -c 4 sealed)" = SLKB ]'
check "a ciphertext is its owner's alone" '[ "$(mode_of sealed)" = 600 ]'
touch opened
chmod 0644 opened
run sealock key decrypt --context k=v --context app=web --in sealed --out opened
check "decrypt gives the bytes back, in whatever order the context comes" '[ $code = 0 ] && cmp -s plain opened'
check "a plaintext in a file that was there is its owner's alone" '[ "$(mode_of opened)" = 600 ]'
run sealock key decrypt --context k=v --context app=web --in sealed --out /dev/full
check "a disk that is full is a failure" '[ $code = 1 ] && said "/dev/full"'
for context in "" "--context app=web" "--context app=Web --context k=v" "--context app=web --context k=v --context x=y"; do
	run sealock key decrypt $context --in sealed --out not-there
	check "wrong context '$context' is one answer and no file" 'one_answer && [ ! -e not-there ]'
done
run sealock key decrypt alias/next --context k=v --context app=web --in sealed
check "another key than the blob's is named" '[ $code = 1 ] && empty "$out" && said IncorrectKeyException'
run as $uid_reader sealock key decrypt --context k=v --context app=web <sealed
check "through pipes, for another uid with the right" '[ $code = 0 ] && cmp -s plain "$out"'
run as $uid_auditor sealock key decrypt --context k=v --context app=web <sealed
check "without the right nothing but a sentence" '[ $code = 1 ] && empty "$out" && said "user/auditor is not authorized to perform: kms:Decrypt"'
run sealock key encrypt alias/web --base64 <<<"text"
check "base64 is text" '[ $code = 0 ] && grep -qE "^[A-Za-z0-9+/=]+$" "$out"'
cp "$out" sealed.b64
run sealock key decrypt --base64 --in sealed.b64
check "base64 goes in again" '[ $code = 0 ] && [ "$(cat "$out")" = text ]'
run sealock key decrypt --base64 --in sealed
check "bytes are no base64" '[ $code = 1 ] && said "not base64"'
run sealock key encrypt alias/web --json <<<"text"
check "JSON has the ciphertext and its key" '[ $code = 0 ] && json_is .key_arn "$web" && json_is .algorithm SYMMETRIC_DEFAULT && [ "$(json_of .material_id | tr -d "\n" | wc -c)" = 64 ]'
json_of .ciphertext >sealed.b64
run sealock key decrypt --base64 --in sealed.b64 --json
check "JSON has the plaintext as base64" '[ $code = 0 ] && [ "$(json_of .plaintext | base64 -d)" = text ]'
run sealock key encrypt alias/web </dev/null
check "nothing cannot be encrypted" '[ $code = 1 ] && said "empty"'
cat plain - <<<"x" >large
run sealock key encrypt alias/web --in large
check "4098 bytes are too many" '[ $code = 1 ] && said "more than 4096 bytes"'
run sealock key encrypt alias/web --in missing
check "a missing file is named" '[ $code = 1 ] && said "missing"'
run sealock key encrypt alias/nobody --in plain
check "a missing key is named" '[ $code = 1 ] && said "alias/nobody"'

# --- damage: threats, row 4, over the real worker ---

sealock key encrypt alias/web --out small <<<"x"
size=$(stat -c %s small)
wrong=0
for ((at = 0; at < size; at += 5)); do
	python3 -c 'import sys; b = bytearray(open("small", "rb").read()); b[int(sys.argv[1])] ^= 1; open("flipped", "wb").write(b)' $at
	run sealock key decrypt --in flipped
	one_answer || wrong=$((wrong + 1))
	run sealock key decrypt --in <(head -c $at small)
	[ $code = 1 ] && empty "$out" || wrong=$((wrong + 1))
done
check "flipped bytes and truncations are refused" '[ $wrong = 0 ]'
run sealock key decrypt --in small
check "and the blob itself still opens" '[ $code = 0 ] && [ "$(cat "$out")" = x ]'
run sealock status --json
check "none of that was taken for a lost token" '[ "$(json_of .kms.hsm.recoveries)" = 0 ]'

# --- re-encrypt ---

run sealock key re-encrypt alias/next --source-context app=web --source-context k=v --context app=next --in sealed --out moved
check "re-encrypt moves a blob" '[ $code = 0 ] && empty "$out"'
run sealock key decrypt "$next" --context app=next --in moved
check "to the other key and context" '[ $code = 0 ] && cmp -s plain "$out"'
run sealock key re-encrypt alias/next --context app=next --in sealed
check "the old context is needed" 'one_answer'
run as $uid_reader sealock key re-encrypt alias/next --source-context app=web --source-context k=v <sealed
check "two rights are needed" '[ $code = 1 ] && said "kms:ReEncryptFrom"'
run sealock key re-encrypt alias/next --source-context app=web --source-context k=v --in sealed --json
check "JSON names both keys" '[ $code = 0 ] && json_is .source_key_arn "$web" && json_is .key_arn "$next"'
if [ -r "$site/kms/audit.log" ]; then
	check "the audit line names both generations" 'grep "\"eventName\":\"ReEncrypt\"" "$site/kms/audit.log" | tail -n 1 | grep -q "\"ARN\":\"$web\".*\"sourceKeyMaterialId\":"'
fi

# --- data keys and random bytes ---

run sealock key data-key alias/web --context file=7 --out key.sealed --plaintext-out key
check "a data key has 32 bytes, and is its owner's alone" '[ $code = 0 ] && [ "$(stat -c %s key)" = 32 ] && [ "$(mode_of key)" = 600 ]'
run sealock key decrypt --context file=7 --in key.sealed
check "and comes back from its wrap" '[ $code = 0 ] && cmp -s key "$out"'
run sealock key data-key alias/web --spec AES_128 --plaintext-out key --out key.sealed
check "AES_128 has 16" '[ $code = 0 ] && [ "$(stat -c %s key)" = 16 ]'
run sealock key data-key alias/web --bytes 1024 --plaintext-out - --out key.sealed
check "1024 bytes to stdout" '[ $code = 0 ] && [ "$(stat -c %s "$out")" = 1024 ]'
run sealock key data-key alias/web --json
check "without --plaintext-out there is none" '[ $code = 0 ] && ! grep -q plaintext "$out" && [ -n "$(json_of .ciphertext)" ]'
run sealock key data-key alias/web --plaintext-out -
check "two things do not go to one stdout" '[ $code = 1 ] && empty "$out" && said "stdout"'
run sealock key random 32 --base64
check "random bytes" '[ $code = 0 ] && [ "$(base64 -d "$out" | wc -c)" = 32 ]'
run as $uid_reader sealock key random 32
check "not for everybody" '[ $code = 1 ] && empty "$out" && said kms:GenerateRandom'

# --- key pairs ---

while read -r alias spec usage; do
	new_key "$alias" --spec "$spec" --usage "$usage"
	check "the token makes $spec for $usage" '[ $code = 0 ] && json_is .state Enabled && json_is .spec "$spec" && json_is .usage "$usage"'
	[ "$alias" != alias/oaep ] || oaep=$(json_of .arn)
done <<-END
	alias/rsa RSA_2048 SIGN_VERIFY
	alias/oaep RSA_2048 ENCRYPT_DECRYPT
	alias/p256 ECC_NIST_P256 SIGN_VERIFY
	alias/p384 ECC_NIST_P384 SIGN_VERIFY
	alias/p521 ECC_NIST_P521 SIGN_VERIFY
END

pss="-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"
while read -r key algorithm hash options; do
	run sealock key public-key alias/$key --out $key.pem
	check "$key: openssl reads the public key" '[ $code = 0 ] && openssl pkey -pubin -in $key.pem -noout'
	run sealock key sign alias/$key --algorithm $algorithm --in plain --out sig
	check "$algorithm: openssl verifies the signature" '[ $code = 0 ] && openssl dgst -$hash $options -verify $key.pem -signature sig plain >/dev/null'
	openssl dgst -$hash -binary large >digest
	run sealock key sign alias/$key --algorithm $algorithm --digest --in digest --out sig
	check "$algorithm: and of a digest that openssl made" '[ $code = 0 ] && openssl dgst -$hash $options -verify $key.pem -signature sig large >/dev/null'
	run sealock key verify alias/$key --algorithm $algorithm --digest --in digest --signature sig
	check "$algorithm: kmsd verifies it, too" '[ $code = 0 ] && grep -q valid "$out"'
	run sealock key verify alias/$key --algorithm $algorithm --in plain --signature sig --json
	check "$algorithm: a signature of something else is none" '[ $code = 1 ] && empty "$out" && said KMSInvalidSignatureException'
done <<-END
	rsa RSASSA_PSS_SHA_256 sha256 $pss
	rsa RSASSA_PSS_SHA_512 sha512 $pss
	rsa RSASSA_PKCS1_V1_5_SHA_384 sha384
	p256 ECDSA_SHA_256 sha256
	p384 ECDSA_SHA_384 sha384
	p521 ECDSA_SHA_512 sha512
END
run sealock key sign alias/p256 --algorithm ECDSA_SHA_384 --in plain
check "an algorithm of another key is refused as AWS does" '[ $code = 1 ] && said "Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256"'
run sealock key sign alias/web --algorithm ECDSA_SHA_256 --in plain
check "a key that encrypts does not sign" '[ $code = 1 ] && said "key usage is ENCRYPT_DECRYPT which is not valid for Sign"'
run sealock key sign alias/rsa --algorithm RSASSA_PSS_SHA_256 --digest --in plain
check "a digest has its length" '[ $code = 1 ] && said "Digest is invalid length for algorithm RSASSA_PSS_SHA_256"'
run sealock key public-key alias/web
check "a symmetric key has no public half" '[ $code = 1 ] && said UnsupportedOperationException'
run sealock key public-key alias/p256 --json
check "JSON lists the algorithms" '[ $code = 0 ] && json_is .algorithms.0 ECDSA_SHA_256 && json_is .spec ECC_NIST_P256'

head -c 214 plain >short
sealock key public-key alias/oaep --out oaep.pem
openssl pkeyutl -encrypt -pubin -inkey oaep.pem -pkeyopt rsa_padding_mode:oaep -in short -out rsa.sealed
run sealock key decrypt alias/oaep --algorithm RSAES_OAEP_SHA_1 --in rsa.sealed
check "the token decrypts what openssl encrypted" '[ $code = 0 ] && cmp -s short "$out"'
run sealock key encrypt alias/oaep --algorithm RSAES_OAEP_SHA_1 --in short --out rsa.sealed
check "and what it encrypted itself" '[ $code = 0 ] && sealock key decrypt alias/oaep --algorithm RSAES_OAEP_SHA_1 --in rsa.sealed | cmp -s short'
run sealock key encrypt alias/oaep --algorithm RSAES_OAEP_SHA_1 --in plain
check "more than fits is refused as AWS does" '[ $code = 1 ] && said "cannot encrypt data larger than 214 bytes"'
run sealock key decrypt --algorithm RSAES_OAEP_SHA_1 --in rsa.sealed
check "RSA needs to be told the key" '[ $code = 1 ] && said KeyId'
run sealock key re-encrypt alias/web --source-key alias/oaep --source-algorithm RSAES_OAEP_SHA_1 --in rsa.sealed --out aes.sealed
check "re-encrypt from RSA" '[ $code = 0 ] && sealock key decrypt --in aes.sealed | cmp -s short'
run sealock key re-encrypt alias/oaep --algorithm RSAES_OAEP_SHA_1 --in aes.sealed --out rsa.sealed --json
check "and to RSA" '[ $code = 0 ] && json_is .key_arn "$oaep" && sealock key decrypt alias/oaep --algorithm RSAES_OAEP_SHA_1 --in rsa.sealed | cmp -s short'

# SoftHSM has OAEP with SHA-1 only; others have both.
run sealock key encrypt alias/oaep --algorithm RSAES_OAEP_SHA_256 --in digest
check "what the token lacks is said" '[ $code = 0 ] || said UnsupportedOperationException'

check "no plaintext is in kmsd's log or audit" '! grep -qF "$(head -c 12 short | base64)" "$site/kmsd.log" "$site/kms/audit.log"'
finish
