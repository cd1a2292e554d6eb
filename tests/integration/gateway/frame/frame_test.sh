#!/bin/bash
# The frame of sealock-gatewayd, around an app for tests: configuration, privileges, monitoring, access log, signals.
set -u
build=$1
here=$(cd "$(dirname "$0")" && pwd)
daemon=$build/tests/gatewayd_echo
work=$(mktemp -d)
pid=
trap '[ -n "$pid" ] && kill -9 "$pid" 2>/dev/null; rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0
export NO_PROXY='*'
# The sanitizer looks for leaks with calls that the filter refuses; other tests of the same code let it.
export ASAN_OPTIONS=detect_leaks=0

ok() { passed=$((passed + 1)); }
not_ok() { failed=$((failed + 1)); echo "FAILED: $*" >&2; }
skip() { skipped=$((skipped + 1)); echo "skipped: $*" >&2; }
check() { # WHAT COMMAND...
	local what=$1
	shift
	if "$@"; then ok; else not_ok "$what"; fi
}
is() { [ "$1" = "$2" ] || { echo "is \"$1\", expected \"$2\"" >&2; return 1; }; }
has() { case $1 in *"$2"*) ;; *) echo "no \"$2\" in \"$1\"" >&2; return 1 ;; esac; }
lacks() { case $1 in *"$2"*) echo "\"$2\" in \"$1\"" >&2; return 1 ;; esac; }
wait_for() { # COMMAND...: within ten seconds
	for _ in $(seq 200); do "$@" >/dev/null 2>&1 && return 0; sleep 0.05; done
	return 1
}

# --- a CA and two certificates ---
cd "$work" || exit 1
chmod 755 .
mkdir tls log
certificate() { # NAME
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls/key.new -out req -subj "/CN=$1" 2>/dev/null &&
		printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >ext &&
		openssl x509 -req -in req -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile ext -out tls/cert.new 2>/dev/null &&
		chmod 644 tls/key.new && mv tls/key.new tls/key.pem && mv tls/cert.new tls/cert.pem
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 30 -subj '/CN=CA' \
	-addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
certificate first

# --- configuration ---
refused() { # SENTENCE, the file on standard input
	cat >bad.yaml
	local said
	said=$("$daemon" --check --config bad.yaml 2>&1) && { echo "it was taken" >&2; return 1; }
	has "$said" "$1"
}
tls="tls: {certificate: $work/tls/cert.pem, key: $work/tls/key.pem}"
check "no file" has "$("$daemon" --check --config none.yaml 2>&1)" none.yaml
check "unknown key" refused "unknown" <<<"listen: [{address: '127.0.0.1:0', tls: off}]
unknown: 1"
check "nothing to listen on" refused listen <<<"threads: 1"
check "plain beyond this host" refused "in the clear" <<<"listen: [{address: '0.0.0.0:0', tls: off}]"
check "TLS without a certificate" refused "tls.certificate" <<<"listen: [{address: '127.0.0.1:0'}]"
check "both kinds" refused "either address or unix" <<<"listen: [{address: '127.0.0.1:0', unix: /x}]"
check "a name" refused "not looked up" <<<"listen: [{address: 'localhost:1', tls: off}]"
check "a port" refused "no port" <<<"listen: [{address: '127.0.0.1:65536', tls: off}]"
check "a mode" refused "octal" <<<"listen: [{unix: /x, mode: '0999'}]"
check "tls of a unix socket" refused "unix socket" <<<"listen: [{unix: /x, tls: on}]"
check "a word for a switch" refused "" <<<"listen: [{address: '127.0.0.1:0', tls: perhaps}]"
check "an account" refused "twelve digits" <<<"listen: [{unix: /x}]
account: '12'"
check "a region" refused "region" <<<"listen: [{unix: /x}]
region: 'EU West'"
check "a limit" refused "limits.headers_kb is 16 to 1024, not 1" <<<"listen: [{unix: /x}]
limits: {headers_kb: 1}"
check "a key of another certificate" refused "does not belong" <<<"listen: [{address: '127.0.0.1:0'}]
tls: {certificate: $work/tls/cert.pem, key: $work/ca.key}"
check "a missing certificate" refused "nowhere.pem: No such file" <<<"listen: [{address: '127.0.0.1:0'}]
tls: {certificate: $work/nowhere.pem, key: $work/tls/key.pem}"
check "an unknown user" refused "" <<<"listen: [{unix: }]"

user=
[ "$(id -u)" = 0 ] && user="user: nobody" && chown nobody log .
cat >good.yaml <<YAML
listen:
  - {address: '127.0.0.1:0'}
  - {unix: $work/api.sock, mode: '0600'}
$tls
monitor: {listen: '127.0.0.1:0'}
$user
region: eu-west-9
account: '123456789012'
access_log: $work/log/access.log
threads: 2
ingest: {port_socket: /nowhere/put.sock}
limits: {connections: 100}
times: {drain_seconds: 60}
YAML
check "a sound one" "$daemon" --check --config good.yaml >/dev/null
if [ "$(id -u)" = 0 ]; then
	sed '/^user/d' good.yaml >root.yaml
	check "root is refused" has "$("$daemon" --config root.yaml 2>&1)" "does not run as root"
	sed 's/^user.*/user: nosuchuser/' good.yaml >root.yaml
	check "a user who is not there" has "$("$daemon" --config root.yaml 2>&1)" "no user nosuchuser"
else
	skip "users: not root"
fi

# --- it runs ---
"$daemon" --config good.yaml 2>daemon.log &
pid=$!
check "it starts" wait_for grep -q 'sealock-gatewayd runs' daemon.log || { cat daemon.log >&2; exit 1; }
ports=$(sed -n 's/.*msg=listening .*port=\([0-9]*\).*/\1/p' daemon.log)
api=https://localhost:$(sed -n 1p <<<"$ports")
mon=http://127.0.0.1:$(sed -n 3p <<<"$ports")
C="curl -sS --max-time 10 --cacert ca.pem"
config=$($C "$api/config")
check "the app gets its configuration" has "$config" "eu-west-9 123456789012 /run/sealock/kms/kms.sock /nowhere/put.sock - "
[ "$(id -u)" = 0 ] && check "it is not root any more" has "$config" "uid=$(id -u nobody)"
check "bodies by TLS" is "$($C --data-binary hello "$api/?X-Amz-Signature=cafe")" hello
check "by HTTP/1.1" is "$($C --http1.1 --data-binary hello "$api/")" hello
check "by the unix socket" is "$(curl -sS --unix-socket api.sock --data-binary hi http://local/)" hi
check "which has its mode" is "$(stat -c %a api.sock)" 600
check "health" is "$(curl -sS "$mon/healthz")" ok
check "nothing else there" is "$(curl -sS -o /dev/null -w '%{http_code}' "$mon/")" 404
check "GET only" is "$(curl -sS -o /dev/null -w '%{http_code}' -d x "$mon/metrics")" 405
curl -sS -D head "$mon/metrics" >metrics
check "their type" has "$(cat head)" "text/plain; version=0.0.4"
check "metrics are well formed" python3 "$here/exposition.py" <metrics
if command -v promtool >/dev/null; then
	check "promtool finds nothing" is "$(promtool check metrics <metrics 2>&1)" ""
else
	skip "promtool is not installed"
fi
check "what the app counts" has "$(cat metrics)" "sealock_gatewayd_echoes_total 4"
check "what the server counts" has "$(cat metrics)" 'sealock_gatewayd_refused_total{reason="bad_host"} 0'
check "how long the certificate lasts" grep -Eq '^sealock_gatewayd_certificate_remaining_seconds (2505600|2592000)$' metrics

# --- confined ---
status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status"; }
check "no capabilities" is "$(status CapEff)$(status CapPrm)" 00000000000000000000000000000000
check "no new privileges" is "$(status NoNewPrivs)" 1
check "a filter of system calls" is "$(status Seccomp)" 2
check "its memory is its own" has "$(stat -c %U "/proc/$pid/environ")" root
check "it said so" grep -q 'msg=hardening' daemon.log

# --- the access log ---
lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }
check "lines come" wait_for lines log/access.log 4
check "each is JSON, with what was noted" python3 - log/access.log <<'PY'
import json, sys
lines = [json.loads(l) for l in open(sys.argv[1])]
first = lines[1]
assert first["operation"] == 'Echo"\n\x7f', first
assert first["principal"].endswith("user/tester") and first["path"] == "/" and first["status"] == 200, first
assert first["in"] == 5 and first["out"] == 5 and first["outcome"] == "sent" and first["protocol"] == "HTTP/2", first
assert lines[3]["via"] == "unix" and lines[3]["client"].startswith("uid:"), lines[3]
assert all("secret" not in l and l["time"].endswith("Z") for l in lines)
PY
check "no signature" lacks "$(cat log/access.log)" cafe
check "not for all eyes" is "$(stat -c %a log/access.log)" 600

# --- SIGHUP ---
serial() { openssl s_client -connect "${api#https://}" </dev/null 2>/dev/null | openssl x509 -noout -subject; }
check "the first certificate" has "$(serial)" first
certificate second
mv log/access.log log/access.log.1
kill -HUP "$pid"
check "it says that it reloaded" wait_for grep -q 'certificate is reloaded' daemon.log
check "the second certificate" has "$(serial)" second
$C --data-binary hello "$api/" >/dev/null
check "a new log" wait_for lines log/access.log 1
rm tls/cert.pem
kill -HUP "$pid"
check "it says what is wrong" wait_for grep -q 'certificate is not reloaded' daemon.log
check "and keeps what it has" is "$($C --data-binary again "$api/")" again

# --- the end ---
$C "$api/never" >/dev/null 2>&1 &
client=$!
check "a request waits" wait_for sh -c "curl -sS $mon/metrics | grep -q '^sealock_gatewayd_exchanges [2-9]'"
kill -TERM "$pid"
check "health says that it drains" wait_for sh -c "curl -sS $mon/healthz | grep -q draining"
check "no new connections" sh -c "! curl -sS --max-time 2 -k $api/config >/dev/null 2>&1"
check "it still waits" kill -0 "$pid"
kill -TERM "$pid"
wait "$pid"
check "its status" is $? 0
pid=
wait "$client"
check "it says what it cut off" grep -q 'cut off.* connections=1' daemon.log
check "no error besides" is "$(grep -c 'level=error' daemon.log)" 1

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
