#!/usr/bin/env bash
# Verifies files of an audit log, given in the order of their chain, as docs/audit.md describes the format: with openssl(1)
# and sed alone. Exit status 1, and the first bad entry, if the log is not sound.
#
#     audit_openssl.sh PUBLIC_KEY.pem FILE...
set -euo pipefail
key=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
previous= seq= heads=0

bad() { echo "bad: $file, line $number: $*"; exit 1; }
sha256() { openssl dgst -sha256 -r | cut -d' ' -f1; }
field() { printf '%s\n' "$line" | sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p"; }
point() { printf '%s\n' "$line" | sed -n "s/.*\"$1\":{\"seq\":\\([0-9]*\\),\"hash\":\"\\([0-9a-f]*\\)\"}.*/\\1 \\2/p"; }

check_head() {
	local of
	of=$(point of)
	grep -qx "$of" "$work/points" || bad "the head names another line than the one that is here"
	field signature | openssl base64 -d -A >"$work/signature"
	{
		printf 'sealock-attest-1\0audit\0'
		printf 'sealock-audit-head-1 %s\n' "$of" | openssl dgst -sha256 -binary
	} >"$work/text"
	openssl dgst -sha256 -verify "$key" -signature "$work/signature" "$work/text" >/dev/null || bad "the signature of the head does not fit"
	heads=$((heads + 1))
}

for file; do
	number=0
	while IFS= read -r line; do
		number=$((number + 1))
		covered=${line%,\"hash\":\"*}
		hash=${line##*,\"hash\":\"}
		hash=${hash%\"\}}
		if [ "$number" = 1 ]; then
			set -- $(point previous)
			[ -z "$seq" ] || [ "$seq $previous" = "$1 $2" ] || bad "the file does not go on where the one before it ended"
			seq=$1 previous=$2
		fi
		[ "$(printf '%s%s' "$previous" "$covered" | sha256)" = "$hash" ] || bad "the hash does not fit"
		[ "$number" -gt 1 ] || continue
		seq=$((seq + 1))
		[ "${covered##*,\"seq\":}" = "$seq" ] || bad "line $seq is due here"
		previous=$hash
		echo "$seq $hash" >>"$work/points"
		case $line in '{"kind":"head",'*) check_head ;; esac
	done <"$file"
	number=$((number + 1))
	[ -z "$(tail -c 1 "$file")" ] || bad "the last line has no end"
done
echo "sound up to line $seq, $heads heads"
