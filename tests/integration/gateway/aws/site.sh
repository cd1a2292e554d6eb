# What the tests of the gateway's services share: the site of the CLI's tests with a gateway behind TLS, and callers with access keys.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../cli/harness.sh"
uid_gateway=64908 uid_deliver=64909

skip_all() { echo "skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }

aws_needs() {
	[ "$(id -u)" = 0 ] || skip_all "this test needs root, to run programs under several uids"
	local program
	for program in sealock sealock-kmsd sealock-hsm-worker sealock-ingestd sealock-gatewayd; do
		[ -x "$build/bin/$program" ] || skip_all "$program was not built"
	done
	[ -n "$(softhsm_module)" ] || skip_all "SoftHSM is not installed"
	/usr/bin/python3 -c "import boto3" 2>/dev/null || skip_all "python3-boto3 is not installed"
	command -v aws >/dev/null || skip_all "awscli is not installed"
}

# The first of two side by side that nobody has, below those that connections are given.
two_free_ports() {
	/usr/bin/python3 -IS -c '
import random, socket
for port in random.sample(range(12000, 32000, 2), 1000):
    try:
        with socket.socket() as a, socket.socket() as b:
            a.bind(("127.0.0.1", port)), b.bind(("127.0.0.1", port + 1))
    except OSError:
        continue
    print(port)
    break'
}

# A site with kmsd and ingestd, which know the gateway; root may make identities.
aws_site() {
	site_make
	code=0
	: >"$out" >"$err"
	trap aws_site_remove EXIT
	install -m 0755 "$build/bin/sealock-gatewayd" "$site/bin/sealock-gatewayd"
	sed -i "s|^admins:|gateway_user: \"$uid_gateway\"\ndeliver_user: \"$uid_deliver\"\nadmins:|; s|\"kinesis:\*\"\], resources|\"kinesis:*\", \"iam:*\", \"sts:*\"], resources|" "$site/kmsd.yaml"
	sed -i "s|^put: {socket: \(.*\)}|put: {socket: \1, trusted_user: \"$uid_gateway\"}|" "$site/ingestd.yaml"
	sealock hsm init --config "$site/kmsd.yaml" >/dev/null || die_with_log /dev/null "sealock hsm init"
	kmsd_start
	ingestd_start
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=Sealock test CA" \
		-addext basicConstraints=critical,CA:TRUE -keyout "$site/ca.key" -out "$site/ca.pem" 2>/dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" \
		-keyout "$site/server.key" -out "$site/server.csr" 2>/dev/null
	openssl x509 -req -in "$site/server.csr" -CA "$site/ca.pem" -CAkey "$site/ca.key" -CAcreateserial -days 2 \
		-extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1") -out "$site/server.pem" 2>/dev/null
	chmod 0644 "$site/server.key" "$site/ca.pem" "$site/server.pem"
	port=$(two_free_ports)
	gateway_start
}

gateway_pid=
gateway_start() {
	install -d -o $uid_gateway "$site/gateway"
	cat >"$site/gatewayd.yaml" <<-END
		listen: [{address: '127.0.0.1:$port'}, {unix: $site/gateway/api.sock, mode: '0666', peer_credentials: ${gateway_peers:-off}}]
		tls: {certificate: $site/server.pem, key: $site/server.key}
		kms: {socket: $SEALOCK_KMS_SOCKET}
		ingest: {port_socket: $SEALOCK_INGEST_SOCKET, status_socket: $SEALOCK_STATUS_SOCKET}
		journal: {dir: $SEALOCK_JOURNAL}
		access_log: $site/gateway/access.log
		monitor: {listen: '127.0.0.1:$((port + 1))'}
		threads: 2
		limits: {connections: 200${gateway_limits:+, $gateway_limits}}
	END
	chmod 0644 "$site/gatewayd.yaml"
	: >"$site/gateway.log"
	(ASAN_OPTIONS=detect_leaks=0 exec_as $uid_gateway sealock-gatewayd --config "$site/gatewayd.yaml" </dev/null 2>>"$site/gateway.log") &
	gateway_pid=$!
	wait_for 10 'grep -q "sealock-gatewayd runs" "$site/gateway.log" || ! kill -0 $gateway_pid 2>/dev/null'
	grep -q "sealock-gatewayd runs" "$site/gateway.log" || die_with_log "$site/gateway.log" "the gateway does not start"
}
gateway_stop() { stop "$gateway_pid"; gateway_pid=; }

aws_site_remove() {
	gateway_stop
	site_remove
}

# caller NAME POLICY: a user with an access key, in $site/NAME.credentials; POLICY is its inline policy.
caller() {
	sealock iam user create "$1" >/dev/null && echo "$2" >"$site/$1.json" &&
		sealock iam user policy put "$1" p "$site/$1.json" >/dev/null &&
		sealock iam access-key create "$1" --out "$site/$1.credentials" >/dev/null ||
		die_with_log "$site/kmsd.log" "caller $1"
}
