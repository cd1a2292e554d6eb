#!/usr/bin/env bash
# The evidence bundle of a real kmsd with a SoftHSM token: what is in it, a verification by openssl(1) and sha256sum(1) alone,
# and that a changed byte in any of its files is found. Needs root (uids, no accounts).
set -uo pipefail
build=${1:?usage: cli_evidence_test.sh BUILD_DIR}
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
export SEALOCK_AUDIT=$site/kms/audit.log
sed -i "s|^audit: .*|audit: {path: $SEALOCK_AUDIT, head_interval_s: 1}|" "$site/kmsd.yaml"
sed -i 's|actions: \["kms:\*", "kinesis:\*"\]|actions: ["kms:*", "kinesis:*", "iam:*", "firehose:*"]|' "$site/kmsd.yaml"
cat >>"$site/kmsd.yaml" <<-END
	dual_control: {approvals: 1, actions: ["kms:ScheduleKeyDeletion"]}
END
run sealock hsm init --config "$site/kmsd.yaml"
kmsd_start
sealock key create --alias alias/web >/dev/null
sealock stream create web --key alias/web >/dev/null
sealock stream create plain >/dev/null
echo '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"000000000000"},"Action":"kinesis:GetRecords","Resource":"*"}}' >"$site/stream.json"
sealock stream policy put web "$site/stream.json" >/dev/null
sealock iam user create carl >/dev/null
echo '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"firehose.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"000000000000"}}}}' >"$site/trust.json"
sealock iam role create deliver --trust "$site/trust.json" >/dev/null
sealock delivery create archive --source web --role deliver --bucket archive >/dev/null
sealock key grant create alias/web --grantee user/carl --operation Decrypt --name audit-me >/dev/null
sealock key create --alias alias/sign --spec ECC_NIST_P256 --usage SIGN_VERIFY >/dev/null
sealock key rotate alias/web >/dev/null
sealock key data-key alias/web >/dev/null
sealock key schedule-deletion alias/web >/dev/null 2>&1
wait_for 15 '[ "$(sealock key rotation alias/web --json | grep -c material_id)" -ge 2 ]'
wait_for 15 'grep -q "^{\"kind\":\"head\"" "$SEALOCK_AUDIT"'
sealock key attestation-key >"$site/pinned.pem"
bundle=$site/bundle kcv=
run sealock audit evidence --out "$bundle" --config "$site/kmsd.yaml" --json
check "a bundle is written" '[ $code = 0 ] && json_is .log_sound true && json_is .left_out 0 && [ "$(json_of .keys)" -ge 3 ]'
verify() { run bash "$here/evidence_openssl.sh" "${2:-$site/pinned.pem}" "$1"; }
verify "$bundle"
check "openssl and sha256sum alone find it sound" '[ $code = 0 ] && grep -q "^sound" "$out"'

part() { cp "$bundle/$1" "$out"; }
part keys.json
check "keys have attributes read from the token, and both check values" '[ "$(json_of .keys.0.materials.0.kcv_catalog)" = "$(json_of .keys.0.materials.0.kcv_token)" ] &&
	[ -n "$(json_of .keys.0.materials.0.kcv_token)" ] && [ "$(grep -c "\"CKA_NEVER_EXTRACTABLE\"" "$out")" -ge 4 ]'
attributes() { # of every secret or private object: what must be true, what must be false
	python3 - "$bundle/keys.json" <<-'END'
		import json, sys
		seen = 0
		for key in json.load(open(sys.argv[1]))["keys"]:
		    for material in key["materials"]:
		        for o in material["objects"]:
		            if o["class"] == "CKO_PUBLIC_KEY":
		                continue
		            seen += 1
		            assert {"CKA_SENSITIVE", "CKA_ALWAYS_SENSITIVE", "CKA_NEVER_EXTRACTABLE", "CKA_LOCAL"} <= set(o["true"]), o
		            assert "CKA_EXTRACTABLE" in o["false"], o
		assert seen >= 4, seen
	END
}
check "no key can leave the token" 'attributes'
check "the rotation history is there" 'python3 -c "
import json, sys
web = [k for k in json.load(open(sys.argv[1]))[\"keys\"] if len(k[\"materials\"]) == 2]
assert [m[\"made_by\"] for m in web[0][\"materials\"]] == [\"creation\", \"rotation on demand\"]" "$bundle/keys.json"'
part about.json
check "approved algorithm and validated module are told apart" 'json_of .validated_module | grep -q "^no: SoftHSM" && json_of .approved_algorithms | grep -q "^yes"'
check "versions and self-tests are there" 'json_is .self_test_token passed && json_is .self_test_front passed && [ -n "$(json_of .library_version)" ] && json_of .kernel | grep -q "$(uname -r)" && json_of .front_openssl | grep -q OpenSSL'
part approvals.json
check "proposals and what is under dual control" 'json_is .proposals.0.action kms:ScheduleKeyDeletion && json_is .dual_control.approvals 1'
part policies.json
check "policies of keys are there" 'grep -q "key_policies" "$out" && grep -q "2012-10-17" "$out" && [ -s "$bundle/kmsd.yaml" ]'
check "so are those of streams, and grants" 'python3 -c "
import json, sys
p = json.load(open(sys.argv[1]))
s = p[\"stream_policies\"]
assert sorted(k.split(\"/\")[1] for k in s) == [\"plain\", \"web\"], s
for arn, text in s.items():
    assert text is None if arn.endswith(\"plain\") else json.loads(text)[\"Statement\"][\"Action\"] == \"kinesis:GetRecords\"
grants = [g for key in p[\"grants\"].values() for g in key]
assert [(g[\"name\"], g[\"grantee\"].split(\":\")[-1], g[\"operations\"]) for g in grants] == [(\"audit-me\", \"user/carl\", [\"Decrypt\"])], grants
assert len(p[\"grants\"]) == 2
" "$bundle/policies.json" && grep -q "documents, 1 grants" "$bundle/answers.txt"'
check "delivery streams are there, with their roles" 'python3 -c "
import json, sys
d = json.load(open(sys.argv[1]))[\"delivery_streams\"]
assert [(s[\"name\"], s[\"destination\"], s[\"bucket\"], s[\"roles\"]) for s in d] == [(\"archive\", \"S3\", \"archive\", [\"arn:aws:iam::000000000000:role/deliver\"])], d
" "$bundle/policies.json"'
part answers.txt
check "the questions are answered" 'grep -q "No: of every secret and private key" "$out" && grep -q "kms:ScheduleKeyDeletion *needs 1 others" "$out" && grep -q "kms:DisableKey *one administrator" "$out" && grep -q "are sound" "$out"'
check "no secret is in it" '! grep -rq "$(cat "$site/hsm/pin")" "$bundle"'
check "the log has the signature of the manifest" 'grep "\"purpose\":\"evidence\"" "$SEALOCK_AUDIT" | grep -q "$(sha256sum "$bundle/MANIFEST" | cut -d" " -f1)"'

# --- changed ---

missed=0 tried=0
while read -r name; do
	rm -rf "$site/copy"
	cp -a "$bundle" "$site/copy"
	python3 - "$site/copy/$name" <<-'END'
		import sys
		with open(sys.argv[1], "r+b") as f:
		    data = f.read()
		    at = len(data) // 2
		    f.seek(at)
		    f.write(bytes([data[at] ^ 1]))
	END
	verify "$site/copy"
	tried=$((tried + 1))
	[ $code = 1 ] || { missed=$((missed + 1)); echo "        not found: $name"; }
done < <(cd "$bundle" && find . -type f -printf '%P\n')
check "a changed byte in any file is found" '[ $missed = 0 ] && [ $tried -ge 10 ]'
rm -rf "$site/copy"; cp -a "$bundle" "$site/copy"; rm "$site/copy/keys.json"
verify "$site/copy"
check "so is a file that was taken away" '[ $code = 1 ]'
rm -rf "$site/copy"; cp -a "$bundle" "$site/copy"; echo x >"$site/copy/extra"
verify "$site/copy"
check "and one that was put in" '[ $code = 1 ] && grep -q extra "$out"'
openssl ecparam -name prime256v1 -genkey -noout 2>/dev/null | openssl pkey -pubout -out "$site/other.pem" 2>/dev/null
verify "$bundle" "$site/other.pem"
check "another key signed nothing here" '[ $code = 1 ] && grep -q signature "$out"'

# --- ceremony ---

ceremony_verify() { # DIR: as docs/ceremony.md says
	(cd "$1" && { printf 'sealock-attest-1\0ceremony\0'; openssl dgst -sha256 -binary MANIFEST; } >"$site/text" &&
		openssl dgst -sha256 -verify "$site/pinned.pem" -signature MANIFEST.sig "$site/text" >/dev/null 2>&1 &&
		sha256sum --strict --quiet --check MANIFEST >/dev/null 2>&1)
}
run sealock hsm ceremony --out "$site/c0" --witness Ames
check "one witness of two is no quorum, and nothing is made" '[ $code = 1 ] && said "needs 2 witnesses" && [ ! -e "$site/c0" ] && [ "$(sealock key list --json | grep -c "\"arn\"")" = "$(grep -c "\"arn\": \"arn:aws:kms" "$bundle/keys.json")" ]'
run sealock hsm ceremony --out "$site/c1" --witness Ames --witness Boe --alias alias/ceremony --json
check "a key is made before witnesses" '[ $code = 0 ] && json_is .witnesses.1.name Boe && json_is .witnesses.1.asked false && json_is .quorum 2 && json_is .about.self_test_token passed &&
	[ -n "$(json_of .about.token_serial)" ] && [ -n "$(json_of .about.token_firmware_version)" ] && [ ${#kcv} = 0 ]'
kcv=$(json_of .kcv)
check "the protocol's signature is checked by openssl alone" 'ceremony_verify "$site/c1" && grep -q "check value *$kcv" "$site/c1/protocol.txt" && grep -q "Ames" "$site/c1/protocol.txt"'
sed -i 's/Ames/Amos/' "$site/c1/protocol.txt"
check "a changed name is found" '! ceremony_verify "$site/c1"'
printf 'Ames\nBoe\nboe\n\n%s\n%s\n' "$kcv" "$kcv" | run_piped sealock hsm ceremony --out "$site/c2" --key alias/ceremony --json
check "witnesses who are prompted type what they see; two of a name are one" '[ $code = 0 ] && json_is .witnesses.0.confirmed true && json_is .witnesses.1.confirmed true && [ "$(grep -c "\"asked\": true" "$out")" = 2 ]'
printf 'Ames\nBoe\n\n%s\n%s\n' "$kcv" 000000x | run_piped sealock hsm ceremony --out "$site/c3" --key alias/ceremony
check "who saw something else is in the protocol, and it failed" '[ $code = 1 ] && said "1 of 2 witnesses" && grep -q "Boe: DID NOT CONFIRM" "$site/c3/protocol.txt" && ceremony_verify "$site/c3"'

# --- self-tests on demand ---

run sealock status --self-test --json
check "self-tests run on demand, and tell approved and validated apart" '[ $code = 0 ] && json_is .self_test_token passed && json_is .self_test_front passed && json_of .validated_module | grep -q "^no"'
run as $uid_reader sealock status --self-test
check "for administrators" '[ $code = 1 ]'

# --- as one file ---

run sealock audit evidence --out "$site/one.tar" --config "$site/kmsd.yaml" --json
check "a tar archive holds the same, and nothing else is left" '[ $code = 0 ] && json_is .bundle "$site/one.tar" && [ ! -e "$site/one" ] && [ "$(stat -c %a "$site/one.tar")" = 600 ]'
mkdir "$site/unpacked"; tar -C "$site/unpacked" -xf "$site/one.tar"
verify "$site/unpacked/one"
check "tar(1) unpacks it, and it is sound" '[ $code = 0 ] && [ -s "$site/unpacked/one/keys.json" ] && [ -s "$site/unpacked/one/audit/000001.log" ]'
run sealock audit evidence --out "$site/one.tar" --config "$site/kmsd.yaml"
check "a file that is there stays as it is" '[ $code = 1 ] && said "one.tar" && [ ! -e "$site/one" ] && tar -tf "$site/one.tar" >/dev/null'

# --- refused ---

run sealock audit evidence --out "$bundle"
check "a directory that is there stays as it is" '[ $code = 1 ] && said "$bundle"'
run as $uid_reader sealock audit evidence --out "$site/run/none"
check "who is no administrator gets none" '[ $code = 1 ] && [ ! -e "$site/run/none" ]'
run sealock audit evidence
check "without --out the usage is wrong" '[ $code = 2 ]'
finish
