#!/usr/bin/env bash
# SDKs that no package of Debian brings, unchanged, against the gateway: AWS SDK for JavaScript v3 (npm; Kinesis over HTTP/2), the AWS
# Encryption SDK (PyPI). Installs them into a directory of its own, so
# only with SLK_TEST_LONG=1. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: sdk_test.sh BUILD_DIR}
. "$(dirname "$0")/site.sh"
aws_needs
[ "${SLK_TEST_LONG:-0}" = 1 ] || skip_all "SDKs are fetched from npm and PyPI: SLK_TEST_LONG=1"
command -v npm >/dev/null || skip_all "npm is not installed"
aws_site
all='{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["kms:*","kinesis:*","sts:*"],"Resource":"*"}}'
caller alice "$all"
sealock stream create js >/dev/null || die_with_log "$site/kmsd.log" "stream create"
mkdir "$site/js"
(cd "$site/js" && npm install --silent --no-fund --no-audit @aws-sdk/client-kinesis @aws-sdk/client-kms) >"$out" 2>"$err" ||
	skip_all "npm does not give the AWS SDK: $(head -c 200 "$err")"
python3 -m venv "$site/py" && "$site/py/bin/pip" install -q boto3 aws-encryption-sdk >"$out" 2>"$err" ||
	skip_all "pip does not give the Encryption SDK: $(head -c 200 "$err")"
cp "$here/sdk_drive.mjs" "$site/js/"

tally() { # NAME COMMAND...: a case for each line that says ok or FAILED
	local name=$1
	shift
	run "$@"
	check "$name ends well" '[ $code = 0 ]'
	passed=$((passed + $(grep -c "^ok " "$out"))) failed=$((failed + $(grep -c "^FAILED" "$out")))
	grep "^FAILED" "$out"
}
export SITE=$site PORT=$port
NODE_EXTRA_CA_CERTS=$site/ca.pem tally "JavaScript" timeout 120 node "$site/js/sdk_drive.mjs"
tally "Encryption SDK" timeout 120 "$site/py/bin/python" "$here/sdk_encryption.py"

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
