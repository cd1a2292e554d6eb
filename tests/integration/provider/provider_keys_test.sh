#!/usr/bin/env bash
# Unmodified programs (openssl, nginx, curl, Python) with sealock.so and keys in SoftHSM behind a real kmsd. What the HSM
# signed is checked without the provider. Needs root (uids, no accounts).
set -uo pipefail
build=${1:?usage: provider_keys_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../cli/harness.sh"

skip_all() { echo "skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }
[ "$(id -u)" = 0 ] || skip_all "this test needs root, to run programs under several uids"
for file in bin/sealock bin/sealock-kmsd bin/sealock-hsm-worker provider/sealock.so; do
	[ -e "$build/$file" ] || skip_all "$file was not built"
done
[ -n "$(softhsm_module)" ] || skip_all "SoftHSM is not installed"
nm -D "$build/provider/sealock.so" 2>/dev/null | grep -q __asan && skip_all "programs without ASan cannot load an instrumented provider"

site_make
children=
end() {
	local pid
	for pid in $children; do kill "$pid" 2>/dev/null; done
	wait $children 2>/dev/null
	site_remove
}
trap end EXIT
sed -i '/effect: Deny/d' "$site/kmsd.yaml"
cat >>"$site/kmsd.yaml" <<-END
	  - {effect: Allow, principals: [user/reader], actions: ["kms:GetPublicKey", "kms:Sign"], resources: ["key/*"]}
END
uid_postgres=$(id -u postgres 2>/dev/null) # the account of Debian's package, which initdb wants to see
[ -z "$uid_postgres" ] || sed -i "s|^principals:|&\n  - {user: \"$uid_postgres\", arn: user/reader}|" "$site/kmsd.yaml"
run sealock hsm init --config "$site/kmsd.yaml"
kmsd_start
w=$site/work
install -d -m 0777 "$w"
cd "$w" || exit 1

install -m 0755 "$build/provider/sealock.so" "$site/sealock.so"
cat >"$site/openssl.cnf" <<-END
	openssl_conf = init
	[init]
	providers = providers
	alg_section = algorithms
	[algorithms]
	default_properties = ?sealock.cipher=yes
	[providers]
	default = default_provider
	sealock = sealock_provider
	[default_provider]
	activate = 1
	[sealock_provider]
	module = $site/sealock.so
	activate = 1
	ciphers = always
	kms_socket = $site/run/kms/kms.sock
	data_keys = $site/data-keys
	[req]
	distinguished_name = name
	[name]
END
chmod 0644 "$site/openssl.cnf"
ours() { OPENSSL_CONF=$site/openssl.cnf "$@"; } # with the provider
plain() { OPENSSL_CONF=/dev/null "$@"; }
start() { "$@" >>"$site/servers.log" 2>&1 & last=$!; children+=" $last"; }
start_ours() { OPENSSL_CONF=$site/openssl.cnf "$@" >>"$site/servers.log" 2>&1 & last=$!; children+=" $last"; }
listening() { wait_for 10 "(exec 3<>/dev/tcp/127.0.0.1/$1) 2>/dev/null"; }
id_of() { sealock key describe "$1" --json | json_from .id; }

for key in p256:ECC_NIST_P256:SIGN_VERIFY p384:ECC_NIST_P384:SIGN_VERIFY p521:ECC_NIST_P521:SIGN_VERIFY \
	rsa:RSA_2048:SIGN_VERIFY box:RSA_2048:ENCRYPT_DECRYPT; do
	IFS=: read -r name spec usage <<<"$key"
	run sealock key create --alias "alias/$name" --spec "$spec" --usage "$usage"
done
echo "a message" >message
head -c 20000000 /dev/urandom >large

# --- the provider itself ---

run ours openssl list -providers -verbose
check "it loads beside the default provider" '[ $code = 0 ] && grep -q "Sealock provider" "$out"'
run sh -c "nm -D --defined-only '$build/provider/sealock.so' | grep -v ' OSSL_provider_init'"
check "it exports nothing but its entry" 'empty "$out"'
sed '/^ciphers/d' "$site/openssl.cnf" >"$site/auto.cnf"
run env SEALOCK_PROVIDER_CODE=sse OPENSSL_CONF="$site/auto.cnf" openssl list -providers -verbose
check "by itself it steps aside where its code is not faster" '[ $code = 0 ] && grep -q "left to OpenSSL" "$out"'
cp "$(command -v openssl)" "$w/sealock-kmsd"
run ours "$w/sealock-kmsd" list -providers
check "kmsd's own processes cannot load it" '! grep -q Sealock "$out"'
cp "$(command -v openssl)" "$w/sealock-hsm-worker"
run ours "$w/sealock-hsm-worker" list -providers
check "nor can the worker" '! grep -q Sealock "$out"'

# --- keys by URI ---

for name in p256 p384 p521 rsa; do
	run ours openssl pkey -in "sealock:alias/$name" -pubout -out $name.pub
	check "$name: the public half" '[ $code = 0 ] && plain openssl pkey -pubin -in $name.pub -noout'
	sealock key public-key "alias/$name" --out same.pub
	check "$name: it is kmsd's" 'cmp -s $name.pub same.pub'
	for digest in sha256 sha384 sha512; do
		run ours openssl dgst -$digest -sign "sealock:alias/$name" -out signature message
		check "$name signs with $digest" '[ $code = 0 ]'
		run plain openssl dgst -$digest -verify $name.pub -signature signature message
		check "$name, $digest: OpenSSL alone verifies it" '[ $code = 0 ]'
		run ours openssl dgst -$digest -prverify "sealock:alias/$name" -signature signature message
		check "$name, $digest: so does the provider" '[ $code = 0 ]'
	done
	run ours openssl req -x509 -new -key "sealock:alias/$name" -subj /CN=localhost -addext subjectAltName=DNS:localhost -out $name.crt
	check "$name: a certificate of its own" '[ $code = 0 ]'
	run plain openssl verify -CAfile $name.crt $name.crt
	check "$name: which OpenSSL alone verifies" '[ $code = 0 ]'
	plain openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout under.key -subj /CN=under -out under.csr 2>/dev/null
	ours openssl req -x509 -new -key "sealock:alias/$name" -subj /CN=ca -addext basicConstraints=critical,CA:TRUE -out ca.crt
	run ours openssl x509 -req -in under.csr -CA ca.crt -CAkey "sealock:alias/$name" -CAcreateserial -out under.crt
	check "$name: issues a certificate (x509)" '[ $code = 0 ]'
	run plain openssl verify -CAfile ca.crt under.crt
	check "$name: which OpenSSL alone verifies" '[ $code = 0 ]'
	run ours openssl cms -sign -in message -text -signer $name.crt -inkey "sealock:alias/$name" -out message.cms
	check "$name: a signed message (CMS)" '[ $code = 0 ]'
	run plain openssl cms -verify -in message.cms -text -CAfile $name.crt -purpose any
	check "$name: which OpenSSL alone verifies, too" '[ $code = 0 ] && grep -q "a message" "$out"'
done
echo "another" >other
run ours openssl dgst -sha256 -prverify sealock:alias/rsa -signature signature other
check "a signature of something else is refused" '[ $code != 0 ]'
run ours openssl pkey -in "sealock:key/$(id_of alias/p256)" -pubout
check "a key by its id" '[ $code = 0 ] && cmp -s "$out" p256.pub'
run ours openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sign sealock:alias/rsa -out signature message
check "RSA signs with PSS" '[ $code = 0 ]'
run plain openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -verify rsa.pub -signature signature message
check "with a salt as long as the digest" '[ $code = 0 ]'
run ours openssl req -x509 -new -key sealock:alias/rsa -sigopt rsa_padding_mode:pss -subj /CN=pss -out pss.crt
run plain openssl verify -CAfile pss.crt pss.crt
check "a certificate with PSS" '[ $code = 0 ]'
run ours openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max -sign sealock:alias/rsa -out not message
check "a salt that KMS does not have is refused by name" '[ $code != 0 ] && said "salt"'
run ours openssl dgst -sha1 -sign sealock:alias/rsa -out not message
check "so is SHA-1" '[ $code != 0 ] && said "SHA1"'
run ours openssl pkey -in sealock:alias/box -pubout -out box.pub
plain openssl pkeyutl -encrypt -pubin -inkey box.pub -pkeyopt rsa_padding_mode:oaep -in message -out boxed
run ours openssl pkeyutl -decrypt -inkey sealock:alias/box -pkeyopt rsa_padding_mode:oaep -in boxed
check "RSA opens what OpenSSL sealed (OAEP)" '[ $code = 0 ] && cmp -s message "$out"'
run ours openssl pkeyutl -encrypt -inkey sealock:alias/box -pkeyopt rsa_padding_mode:oaep -in message -out boxed
run ours openssl pkeyutl -decrypt -inkey sealock:alias/box -pkeyopt rsa_padding_mode:oaep -in boxed
check "and what it sealed itself" '[ $code = 0 ] && cmp -s message "$out"'
run ours openssl pkeyutl -decrypt -inkey sealock:alias/box -in boxed
check "PKCS#1 v1.5 is refused by name" '[ $code != 0 ] && said OAEP && empty "$out"'

# --- no private half leaves ---

run ours openssl pkey -in sealock:alias/rsa -out leak.pem
check "a private half is not exported as PEM" '[ $code != 0 ] && ! [ -s leak.pem ]'
run ours openssl pkey -in sealock:alias/p256 -outform DER -out leak.der
check "nor as DER" '[ $code != 0 ] && ! [ -s leak.der ]'

# --- refusals ---

run ours openssl pkey -in sealock:alias/none -pubout
check "a key that is not there is kmsd's sentence" '[ $code != 0 ] && said "alias/none is not found"'
run ours openssl pkey -in sealock:nonsense -pubout
check "a URI of ours that names no key says what is wanted" '[ $code != 0 ] && said "sealock:key/ID"'
run ours as $uid_reader openssl dgst -sha256 -sign sealock:alias/p256 -out "$w/signature.reader" message
check "another uid with the right" '[ $code = 0 ]'
run ours as $uid_auditor openssl dgst -sha256 -sign sealock:alias/p256 message
check "and one without: named with the action" '[ $code != 0 ] && empty "$out" && said "user/auditor is not authorized to perform: kms:GetPublicKey"'
run sealock key disable alias/p384
run ours openssl dgst -sha256 -sign sealock:alias/p384 -out not message
check "a disabled key signs nothing" '[ $code != 0 ] && said DisabledException && ! [ -s not ]'
run sealock key enable alias/p384
kmsd_stop
began=$(date +%s%N)
run ours openssl dgst -sha256 -sign sealock:alias/p256 -out not message
took=$((($(date +%s%N) - began) / 1000000))
check "without kmsd: a sentence, at once, nothing in software instead" '[ $code != 0 ] && said "is sealock-kmsd running" && [ $took -lt 2000 ] && ! [ -s not ]'
run ours openssl enc -aes-256-ctr -k x -pbkdf2 -in message
check "without kmsd everything else goes on" '[ $code = 0 ]'
kmsd_start
run ours openssl dgst -sha256 -sign sealock:alias/p256 -out signature message
check "and with it signing, too" '[ $code = 0 ]'

# --- PEM references ---

for name in p256 rsa; do
	run sealock key reference "alias/$name" --out $name.ref
	check "$name: a reference" '[ $code = 0 ] && head -n 1 $name.ref | grep -q "SEALOCK KEY REFERENCE" && ! grep -q PRIVATE $name.ref'
done
run sealock key create --alias alias/symmetric
run sealock key reference alias/symmetric
check "a symmetric key has no reference" '[ $code = 1 ] && empty "$out" && said Unsupported'
run sealock key reference "$(id_of alias/rsa)" --json
check "a reference by id, in JSON" '[ $code = 0 ] && json_of .reference | sed -n 2p | base64 -d | grep -q "^RSA sealock:key/"'

# --- the engine ---

engine=$build/engine/sealock.so
if [ -e "$engine" ]; then
	run sh -c "nm -D --defined-only '$engine' | grep -v -e ' bind_engine' -e ' v_check'"
	check "the engine exports nothing but its entries" 'empty "$out"'
	by_engine() { # without any configuration of providers
		OPENSSL_CONF=/dev/null OPENSSL_ENGINES=$build/engine "$@"
	}
	for name in p256 rsa; do
		run by_engine openssl dgst -sha256 -engine sealock -keyform engine -sign "alias/$name" -out signature message
		check "$name signs by the engine" '[ $code = 0 ]'
		run plain openssl dgst -sha256 -verify $name.pub -signature signature message
		check "$name: OpenSSL alone verifies it" '[ $code = 0 ]'
	done
	run by_engine openssl dgst -sha256 -engine sealock -keyform engine -sign alias/none -out not message
	check "a key that is not there is kmsd's sentence by the engine, too" '[ $code != 0 ] && said "alias/none is not found"'
fi

# --- data keys by name, with a program that knows nothing of them ---

install -d -m 0755 "$site/data-keys"
run sealock key data create backup --key alias/symmetric --dir "$site/data-keys"
handle=$(cat "$out")
check "a data key has a handle" '[ $code = 0 ] && [[ $handle =~ ^534c4b444b455931[0-9a-f]{48}$ ]]'
run sealock key data create backup --key alias/symmetric --dir "$site/data-keys"
check "a name is given once" '[ $code = 1 ] && empty "$out" && said "$handle"'
run sealock key data create ../x --key alias/symmetric --dir "$site/data-keys"
check "a name is no path" '[ $code = 2 ]'
run sealock key data list --dir "$site/data-keys" --json
check "the list has it" '[ $code = 0 ] && json_is .0.name backup && json_is .0.handle $handle'
enc() { ours openssl enc -sealock-aes-256-gcm -K "$@"; }
bad=0
for length in 0 1 15 16 17 32 33 8191 8192 8193 100000; do
	head -c $length large >part
	enc $handle -in part -out part.sealed && [ "$(stat -c %s part.sealed)" = $((length + 32)) ] &&
		enc $handle -d -in part.sealed -out part.opened && cmp -s part part.opened || bad=$((bad + 1))
done
check "openssl enc seals and opens at every length" '[ $bad = 0 ]'
enc $handle -in part -out part.again
check "no two are the same" '! cmp -s part.sealed part.again'
bad=0
for at in 0 15 16 5000 100015 100016 100031; do
	cp part.sealed forged
	printf "\\x$(printf %02x $((0x$(od -An -tx1 -j $at -N 1 forged | tr -d " ") ^ 1)))" | dd of=forged bs=1 seek=$at conv=notrunc 2>/dev/null
	run enc $handle -d -in forged -out not
	[ $code != 0 ] && said "the tag does not fit" || bad=$((bad + 1))
done
check "a flipped bit in salt, data or tag is found" '[ $bad = 0 ]'
for length in 0 15 31 100031; do
	head -c $length part.sealed >short
	run enc $handle -d -in short -out not
	[ $code != 0 ] || bad=$((bad + 1))
done
check "so is a cut" '[ $bad = 0 ]'
run enc 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff -in part -out not
check "a key is no handle" '[ $code != 0 ] && said "no handle of a data key"'
run enc ${handle%?}$([ "${handle: -1}" = 0 ] && echo 1 || echo 0) -in part -out not
check "nor is a mistyped handle" '[ $code != 0 ] && said "no handle of a data key"'
run ours as $uid_reader openssl enc -sealock-aes-256-gcm -d -K $handle -in "$w/part.sealed"
check "another uid with kms:Decrypt opens it" '[ $code = 0 ] && cmp -s part "$out"'
run ours as $uid_auditor openssl enc -sealock-aes-256-gcm -d -K $handle -in "$w/part.sealed"
check "one without is refused by name" '[ $code != 0 ] && empty "$out" && said "user/auditor is not authorized to perform: kms:Decrypt"'
kmsd_stop
run enc $handle -in part -out not
check "without kmsd nothing is sealed" '[ $code != 0 ] && said "is sealock-kmsd running" && ! [ -s not ]'
kmsd_start

# --- TLS ---

get() { # curl options: one page, with the protocol and cipher that were agreed on
	run plain curl -sS --max-time 10 --noproxy '*' "$@"
}
for name in p256 rsa p384 p521; do
	for version in tls1_2 tls1_3; do
		start_ours openssl s_server -accept 127.0.0.1:18433 -key "sealock:alias/$name" -cert $name.crt -www -$version
		listening 18433
		run sh -c "echo | OPENSSL_CONF=/dev/null openssl s_client -connect 127.0.0.1:18433 -CAfile $name.crt -verify_return_error"
		check "s_server with $name, $version" '[ $code = 0 ] && grep -q "Verify return code: 0" "$out" && grep -q "GCM\|CHACHA" "$out"'
		kill $last
		wait $last 2>/dev/null
	done
done
start_ours openssl s_server -accept 127.0.0.1:18434 -key sealock:alias/p256 -cert p256.crt -WWW
listening 18434
for version in 2 3; do
	get --tlsv1.$version --tls-max 1.$version --cacert p256.crt -o got --http0.9 https://localhost:18434/large
	check "20 MB by TLS 1.$version, sealed by ours and opened by OpenSSL's" 'tail -c 20000000 got | cmp -s - large'
done
plain openssl req -x509 -newkey rsa:2048 -nodes -keyout leaf.key -subj /CN=localhost -addext subjectAltName=DNS:localhost -out leaf.crt 2>/dev/null
OPENSSL_CONF=/dev/null start openssl s_server -accept 127.0.0.1:18435 -key leaf.key -cert leaf.crt -WWW
listening 18435
for version in 2 3; do
	run ours curl -sS --max-time 20 --noproxy '*' --tlsv1.$version --tls-max 1.$version --cacert leaf.crt -o got --http0.9 https://localhost:18435/large
	check "20 MB by TLS 1.$version, sealed by OpenSSL's and opened by ours in curl" 'tail -c 20000000 got | cmp -s - large'
done

python=/usr/bin/python3
cat >server.py <<-'END'
	import http.server, ssl, sys
	class Handler(http.server.BaseHTTPRequestHandler):
	    def do_GET(self):
	        self.send_response(200); self.send_header("Content-Length", "12"); self.end_headers(); self.wfile.write(b"from python\n")
	    def log_message(self, *args): pass
	context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	context.load_cert_chain(sys.argv[1], sys.argv[2])
	server = http.server.HTTPServer(("127.0.0.1", 18436), Handler)
	server.socket = context.wrap_socket(server.socket, server_side=True)
	server.serve_forever()
END
start_ours $python server.py rsa.crt rsa.ref
listening 18436
get --cacert rsa.crt https://localhost:18436/
check "Python's ssl with a reference" '[ $code = 0 ] && grep -q "from python" "$out"'

# The examples of deploy/openssl, with this site's paths in them.
example() { # FILE: to stdout
	sed -e "s|/etc/sealock/web|$w/p256|g; s|/etc/sealock|$w|g; s|/var/log/nginx|$w|g; s|/run/nginx.pid|$w/example.pid|" \
		-e 's|8443|18439|; s|8444|18440|' "$here/../../../deploy/openssl/$1.example"
}
example openssl.cnf | sed -e "s|^activate = 1\$|&|; s|^# kms_socket = .*|kms_socket = $site/run/kms/kms.sock\nmodule = $site/sealock.so|" >openssl.cnf
cp p256.ref p256.key.pem
haproxy=$(command -v haproxy || echo /usr/sbin/haproxy)
if [ -x "$haproxy" ]; then
	cat p256.crt p256.key.pem >p256.pem
	example haproxy.cfg >haproxy.cfg
	OPENSSL_CONF=$w/openssl.cnf start "$haproxy" -db -f "$w/haproxy.cfg"
	listening 18440
	for version in 2 3; do
		get --tlsv1.$version --tls-max 1.$version --cacert p256.crt https://localhost:18440/
		check "haproxy by its example, TLS 1.$version" '[ $code = 0 ] && grep -q "it works" "$out"'
	done
else
	echo "haproxy is not installed: its cases are left out"
fi

# sealock-gatewayd's server with its key in the HSM: by URI and by reference; both versions of HTTP.
if [ -e "$build/tests/gatewayd_echo" ]; then
	install -m 0644 p256.ref gateway.ref
	for key in "sealock:alias/p256 18451" "$w/gateway.ref 18452"; do
		cat >gateway.yaml <<-END
			listen: [{address: '127.0.0.1:${key#* }'}]
			tls: {certificate: $w/p256.crt, key: '${key% *}'}
			limits: {connections: 100}
		END
		chmod 0644 gateway.yaml
		start_ours as $uid_reader "$build/tests/gatewayd_echo" --config "$w/gateway.yaml"
		listening "${key#* }"
		for version in 1.1 2; do
			get "--http$version" --data-binary sealed --cacert p256.crt "https://localhost:${key#* }/"
			check "the gateway's server with ${key% *}, HTTP/$version" '[ $code = 0 ] && [ "$(cat "$out")" = sealed ]'
		done
	done
else
	echo "the gateway's frame was not built: its cases are left out"
fi

nginx=$(command -v nginx || echo /usr/sbin/nginx)
if [ -x "$nginx" ]; then
	mkdir -m 0777 nginx
	cat >nginx.conf <<-END
		daemon off;
		worker_processes 2;
		user root;
		pid $w/nginx/pid;
		error_log stderr notice;
		env OPENSSL_CONF;
		events {}
		http {
			access_log off;
			client_body_temp_path $w/nginx; proxy_temp_path $w/nginx; fastcgi_temp_path $w/nginx;
			uwsgi_temp_path $w/nginx; scgi_temp_path $w/nginx;
			server {
				listen 127.0.0.1:18437 ssl;
				ssl_protocols TLSv1.2 TLSv1.3;
				ssl_certificate $w/p256.crt;
				ssl_certificate_key $w/p256.ref;
				ssl_certificate $w/rsa.crt;
				ssl_certificate_key $w/rsa.ref;
				location / { return 200 "from nginx\n"; }
			}
		}
	END
	if [ -e "$engine" ]; then
		mkdir -m 0777 nginx-engine
		sed -e "s|$w/nginx|$w/nginx-engine|g; s|18437|18438|; s|$w/p256.ref|engine:sealock:alias/p256|; s|$w/rsa.ref|engine:sealock:alias/rsa|" \
			-e 's|^events|env SEALOCK_KMS_SOCKET; events|' nginx.conf >nginx-engine.conf
		cat >engine.cnf <<-END
			openssl_conf = init
			[init]
			engines = engines
			[engines]
			sealock = sealock_engine
			[sealock_engine]
			dynamic_path = $engine
			init = 1
		END
		OPENSSL_CONF=$w/engine.cnf start "$nginx" -c "$w/nginx-engine.conf"
		listening 18438
		get --tlsv1.3 --cacert p256.crt https://localhost:18438/
		check "nginx by the engine, ECDSA" '[ $code = 0 ] && grep -q "from nginx" "$out"'
		get --tls-max 1.2 --ciphers ECDHE-RSA-AES128-GCM-SHA256 --cacert rsa.crt https://localhost:18438/
		check "nginx by the engine, RSA" '[ $code = 0 ] && grep -q "from nginx" "$out"'
	fi
	example nginx.conf >example.conf
	OPENSSL_CONF=$w/openssl.cnf start "$nginx" -g "daemon off; user root;" -c "$w/example.conf"
	listening 18439
	get --tlsv1.3 --cacert p256.crt https://localhost:18439/
	check "nginx by its example" '[ $code = 0 ] && grep -q "it works" "$out"'
	start_ours "$nginx" -c "$w/nginx.conf"
	nginx_pid=$last
	listening 18437
	for version in 2 3; do
		get --tlsv1.$version --tls-max 1.$version --cacert p256.crt https://localhost:18437/
		check "nginx, TLS 1.$version, ECDSA" '[ $code = 0 ] && grep -q "from nginx" "$out"'
	done
	get --tls-max 1.2 --ciphers ECDHE-RSA-AES128-GCM-SHA256 --cacert rsa.crt https://localhost:18437/
	check "nginx, TLS 1.2, RSA" '[ $code = 0 ] && grep -q "from nginx" "$out"'

	# A load of handshakes; in its middle kmsd goes away and comes back. Those in between may fail, none may hang, and
	# afterwards all succeed.
	handshakes() { # COUNT: how many succeeded
		local good=0 i
		for ((i = 0; i < $1; i++)); do
			plain curl -sS --max-time 5 --noproxy '*' --cacert p256.crt https://localhost:18437/ >/dev/null 2>&1 && good=$((good + 1))
		done
		echo $good
	}
	check "20 handshakes" '[ "$(handshakes 20)" = 20 ]'
	handshakes 40 >during &
	load=$!
	sleep 0.3
	kmsd_stop
	kmsd_start
	wait $load
	check "a restart of kmsd in their middle: nginx goes on" 'kill -0 $nginx_pid && [ "$(cat during)" -gt 0 ]'
	check "and all handshakes after it succeed" '[ "$(handshakes 20)" = 20 ]'
	run sealock key disable alias/p256
	get --tlsv1.3 --cacert p256.crt https://localhost:18437/
	check "a key disabled while it serves: no handshake" '[ $code != 0 ]'
	run sealock key enable alias/p256
	get --tlsv1.3 --cacert p256.crt https://localhost:18437/
	check "enabled again: handshakes again" '[ $code = 0 ]'
else
	echo "nginx is not installed: its cases are left out"
fi

# --- PostgreSQL: a process for each connection, a client with its key in the HSM, too ---

postgres=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)
if [ -n "$uid_postgres" ] && [ -x "$postgres/initdb" ]; then
	ours openssl req -x509 -new -key sealock:alias/rsa -subj /CN=keeper -out keeper.crt
	install -m 0600 -o postgres p256.ref p256.key.pem
	install -m 0600 rsa.ref keeper.key.pem
	db=$w/db
	install -d -m 0700 -o postgres "$db"
	run as $uid_postgres "$postgres/initdb" -D "$db" -U keeper --no-sync --auth=reject --no-locale -E UTF8
	check "PostgreSQL's initdb" '[ $code = 0 ]'
	echo "hostssl all keeper 127.0.0.1/32 cert" >"$db/pg_hba.conf"
	{
		example postgresql.conf
		echo "ssl_ca_file = '$w/keeper.crt'
			unix_socket_directories = ''
			listen_addresses = '127.0.0.1'
			port = 18441"
	} >"$db/postgresql.conf"
	OPENSSL_CONF=$w/openssl.cnf start exec_as $uid_postgres "$postgres/postgres" -D "$db" -c fsync=off
	postgres_pid=$last
	listening 18441
	sql() { # by whichever OpenSSL: ours or plain
		run "$1" timeout 10 psql -XAtw -c "$2" "host=localhost hostaddr=127.0.0.1 port=18441 dbname=postgres user=keeper \
			sslmode=verify-full sslrootcert=$w/p256.crt sslcert=$w/keeper.crt sslkey=$w/keeper.key.pem ${3-}"
	}
	for version in 1.2 1.3; do
		sql ours "select version || ' ' || client_dn from pg_stat_ssl where pid = pg_backend_pid()" ssl_max_protocol_version=TLSv$version
		check "PostgreSQL by its example and psql, TLS $version" '[ "$(cat "$out")" = "TLSv$version /CN=keeper" ]'
	done
	sql plain "select 1"
	check "without the provider psql has no key" '[ $code != 0 ] && empty "$out"'
	sql ours "select string_agg(md5(i::text), '') from generate_series(1, 100000) i"
	check "3 MB out of it" '[ $code = 0 ] && [ "$(stat -c %s "$out")" = 3200001 ]'
	run sealock key disable alias/p256
	sql ours "select 1"
	check "a disabled key: no connection" '[ $code != 0 ] && empty "$out"'
	run sealock key enable alias/p256
	kmsd_stop
	kmsd_start
	sql ours "select 1"
	check "kmsd restarted: connections again" '[ "$(cat "$out")" = 1 ]'
	kill -INT $postgres_pid
	wait $postgres_pid
else
	echo "PostgreSQL is not installed: its cases are left out"
fi

finish
