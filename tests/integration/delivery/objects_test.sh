#!/usr/bin/env bash
# Sealed objects: made as deliverd makes them, opened by `sealock open`, by a program written from the format's page alone, and
# (SLK_TEST_LONG=1: it is fetched from PyPI) by the Amazon S3 Encryption Client itself, with the gateway as its KMS.
set -uo pipefail
build=${1:?usage: objects_test.sh BUILD_DIR}
delivery=$(cd "$(dirname "$0")" && pwd)
. "$delivery/../gateway/aws/site.sh"
aws_needs
[ -x "$build/tests/object_seal" ] || skip_all "object_seal was not built"
/usr/bin/python3 -c "import cryptography" 2>/dev/null || skip_all "python3-cryptography is not installed"
aws_site

caller alice '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}'
kmsd_stop
sed -i '/effect: Deny/d' "$site/kmsd.yaml"
kmsd_start
w=$site/work
mkdir -m 0711 "$w"
cd "$w" || exit 1
export SITE=$site PORT=$port
run sealock key create --alias alias/archive --json
arn=$(json_of .arn)
run sealock key create --alias alias/other --json

data_key() { sealock key data-key alias/archive --context aws:x-amz-cek-alg=115 --out "$1.wrapped" --plaintext-out "$1.key" >/dev/null; }
make_object() { data_key "$1" && "$build/tests/object_seal" "$1.key" "$1.wrapped" "$2" "$1" <lines; }
bend() { python3 -c 'import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2]), 0 if int(sys.argv[2]) >= 0 else 2); b = f.read(1); f.seek(-1, 1); f.write(bytes([b[0] ^ 1]))' "$1" "$2"; }
mode_of() { stat -c %a "$1"; }

python3 - >lines <<'END'
import json
for i in range(40000):
    print(json.dumps({"n": i, "path": "/api/v1/orders/%d" % (i * 7919 % 1000), "status": 200 if i % 9 else 404}))
END
for c in none gzip zstd; do
	run make_object "$c" $c
	check "an object is sealed ($c)" '[ $code = 0 ] && [ -s $c ] && [ -s $c.meta.json ]'
	cp lines $c.plain
done
zcat_of() { python3 -c 'import gzip,sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))'; }

# --- sealock open ---

umask 0022
run sealock open none
check "open gives the content" '[ $code = 0 ] && cmp -s "$out" lines && empty "$err"'
run sealock open gzip --decompress
check "open undoes GZIP" '[ $code = 0 ] && cmp -s "$out" lines'
run sealock open zstd --decompress
check "open undoes ZSTD" '[ $code = 0 ] && cmp -s "$out" lines'
run sealock open gzip
check "without --decompress it stays GZIP" '[ $code = 0 ] && zcat_of <"$out" | cmp -s - lines'
run sealock open none --out plain
check "open writes a file, its owner's alone" '[ $code = 0 ] && cmp -s plain lines && [ "$(mode_of plain)" = 600 ] && empty "$out"'
run sealock open zstd -d --out plain2 --json
check "open tells in JSON" '[ $code = 0 ] && cmp -s plain2 lines && json_is .key_arn "$arn" && json_is .bytes "$(stat -c %s lines)"'
mkdir meta && cp none.meta.json meta/m
run sealock open none --metadata meta/m
check "metadata may lie elsewhere" '[ $code = 0 ] && cmp -s "$out" lines'

refused() { [ $code = 1 ] && empty "$out" && [ ! -e not-there ] && ! ls not-there.* >/dev/null 2>&1; }
for at in 0 1000000 -1 -16 -17; do
	cp none bent && cp none.meta.json bent.meta.json && bend bent $at
	run sealock open bent --out not-there
	check "a bit at $at is found, and no file is left" 'refused && said "its tag is wrong"'
	run sealock open bent
	check "a bit at $at is found before anything goes to stdout" 'refused && said "its tag is wrong"'
done
head -c 1000000 none >short && cp none.meta.json short.meta.json
run sealock open short --out not-there
check "an object that was cut is refused" 'refused && said "its tag is wrong"'
head -c 15 none >tiny && cp none.meta.json tiny.meta.json
run sealock open tiny --out not-there
check "one without room for a tag is refused" 'refused && said "15 bytes"'
cp gzip swapped && cp none.meta.json swapped.meta.json
run sealock open swapped --out not-there
check "metadata of another object are refused" 'refused'

edit() { python3 -c 'import json,sys
m = json.load(open("none.meta.json")); exec(sys.argv[1], {"m": m["Metadata"], "top": m}); json.dump(m, open("bent.meta.json", "w"))' "$1"; cp none bent; }
edit 'm["x-amz-d"] = m["x-amz-i"]'; run sealock open bent --out not-there
check "another commitment is refused" 'refused && said "x-amz-d"'
edit 'm["x-amz-3"] = "AAAA" + m["x-amz-3"][4:]'; run sealock open bent --out not-there
check "another wrapped key is refused by the KMS" 'refused && said "x-amz-3"'
edit 'm["x-amz-t"] = "{\"aws:x-amz-cek-alg\":\"115\",\"a\":\"b\"}"'; run sealock open bent --out not-there
check "another context is refused by the KMS" 'refused && said "x-amz-t"'
edit 'm["x-amz-t"] = "{}"'; run sealock open bent --out not-there
check "a context without the suite is refused" 'refused && said "aws:x-amz-cek-alg"'
edit 'm["x-amz-c"] = "114"'; run sealock open bent --out not-there
check "another suite is refused by name" 'refused && said "x-amz-c say 114"'
edit 'del m["x-amz-i"]'; run sealock open bent --out not-there
check "what is missing is named" 'refused && said "lack x-amz-i"'
edit 'm["x-amz-key-v2"] = "AAAA"'; run sealock open bent --out not-there
check "marks of an older format are refused" 'refused && said "x-amz-key-v2"'
edit 'm["X-Amz-C"] = "115"'; run sealock open bent --out not-there
check "a pair that is there twice is refused" 'refused && said "x-amz-c"'
edit 'm.clear()'; run sealock open bent --out not-there
check "what is not sealed is said to be so" 'refused && said "not those of a sealed object"'
echo '{' >bent.meta.json; run sealock open bent --out not-there
check "metadata that are no JSON are refused" 'refused && said "bent.meta.json"'
rm bent.meta.json; run sealock open bent --out not-there
check "no metadata: the way out is named" 'refused && said "bent.meta.json" && said "[-]-metadata"'
run sealock open missing --out not-there
check "no object is named" 'refused && said "missing"'
run sealock open none --decompress --out not-there
check "what is not compressed is not decompressed" 'refused && said "neither GZIP nor ZSTD"'
head -c 3000 gzip.plain >lines.kept; cp lines lines.all
python3 - "$w" <<'END'
import gzip, sys
data = gzip.compress(open("lines.all", "rb").read())
open("cut.gz", "wb").write(data[:-3])
END
run /usr/bin/python3 "$delivery/sealed_format.py" seal alias/archive cut.gz cut
run sealock open cut --decompress --out not-there
check "GZIP data that end early are found" '[ $code = 1 ] && [ ! -e not-there ] && said "ends in the middle"'
run as $uid_reader sealock open "$w/none" --out /dev/null
check "no regular file is written over" '[ $code = 1 ] && said "no regular file"'
chmod 0644 none none.meta.json
run as $uid_stranger sealock open "$w/none"
check "who may not decrypt is told which right is missing" '[ $code = 1 ] && empty "$out" && said "kms:Decrypt"'
run as $uid_reader sealock open "$w/none"
check "who may, opens" '[ $code = 0 ] && cmp -s "$out" lines'
run sealock key disable alias/archive
run sealock open none --out not-there
check "under a disabled key nothing opens" 'refused && said "disabled"'
run sealock key enable alias/archive
run sealock open none --json
check "JSON goes with a file" '[ $code = 2 ]'
sealock open none 2>"$err" | head -c 10 >"$out"; code=${PIPESTATUS[0]}
check "a reader that has had enough is no failure" '[ $code = 0 ] && empty "$err"'

# --- a program written from the page ---

for c in none gzip; do
	run /usr/bin/python3 "$delivery/sealed_format.py" open $c
	check "a program written from the format opens $c through the gateway" '[ $code = 0 ] && { [ $c = none ] && cmp -s "$out" lines || zcat_of <"$out" | cmp -s - lines; }'
done
for bytes in 0 1 5000000; do
	head -c $bytes /dev/urandom >source
	run /usr/bin/python3 "$delivery/sealed_format.py" seal alias/archive source independent
	run sealock open independent
	check "what it seals ($bytes bytes), sealock opens" '[ $code = 0 ] && cmp -s "$out" source'
done
cp none bent && cp none.meta.json bent.meta.json && bend bent -1
run /usr/bin/python3 "$delivery/sealed_format.py" open bent
check "it refuses a bent tag" '[ $code != 0 ] && empty "$out"'

# --- AWS's own client ---

skipped=0
if [ "${SLK_TEST_LONG:-0}" = 1 ]; then
	if python3 -m venv "$site/py" && "$site/py/bin/pip" install -q amazon-s3-encryption-client-python >"$out" 2>"$err"; then
		sealock open gzip --out gzip.plain && sealock open zstd --out zstd.plain
		run timeout 120 "$site/py/bin/python" "$delivery/sealed_client.py" "$arn" none gzip zstd
		check "the client ends well" '[ $code = 0 ]'
		passed=$((passed + $(grep -c "^ok " "$out"))) failed=$((failed + $(grep -c "^FAILED" "$out")))
		grep "^FAILED" "$out"
		run sealock open theirs
		check "what the client seals, sealock opens" '[ $code = 0 ] && [ "$(stat -c %s "$out")" = 21000 ] && [ "$(sort -u "$out")" = "sealed by the client" ]'
	else
		echo "skipped: pip does not give the S3 Encryption Client: $(head -c 200 "$err")"
		skipped=1
	fi
else
	skipped=1
	echo "skipped: the Amazon S3 Encryption Client is fetched from PyPI: SLK_TEST_LONG=1"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
