#!/usr/bin/env bash
# Verifies an evidence bundle as docs/evidence.md describes it, with openssl(1) and sha256sum(1) alone: the signature of the
# manifest by the key that the auditor has, every file, that there is no other file, and the audit log's chain.
# Exit status 1, and what is wrong, if it is not sound.
#
#     evidence_openssl.sh PUBLIC_KEY.pem BUNDLE_DIR
set -uo pipefail
key=$(realpath "$1") here=$(cd "$(dirname "$0")" && pwd)
cd "$2" || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad() { echo "bad: $*"; exit 1; }

{
	printf 'sealock-attest-1\0evidence\0'
	openssl dgst -sha256 -binary MANIFEST
} >"$work/text" || bad "no MANIFEST"
openssl dgst -sha256 -verify "$key" -signature MANIFEST.sig "$work/text" >/dev/null 2>&1 || bad "the signature of MANIFEST does not fit"
sha256sum --strict --quiet --check MANIFEST >"$work/sums" 2>&1 || bad "$(head -1 "$work/sums")"
{
	sed 's/^[0-9a-f]\{64\}  //' MANIFEST
	printf 'MANIFEST\nMANIFEST.sig\n'
} | sort >"$work/named"
find . -type f -printf '%P\n' | sort >"$work/there"
cmp -s "$work/named" "$work/there" || bad "files that MANIFEST does not name: $(comm -13 "$work/named" "$work/there" | tr '\n' ' ')"
[ -z "$(find . ! -type f ! -type d)" ] || bad "something that is no file"
if [ -d audit ]; then
	bash "$here/audit_openssl.sh" "$key" audit/*.log >"$work/log" || bad "the audit log: $(tail -1 "$work/log")"
fi
echo "sound: $(wc -l <MANIFEST) files"
