# What the ingestd tests share: the site of the CLI's tests (kmsd with a SoftHSM token, callers by uid), a role for listeners, a
# wire (a veth pair with the sender in a network namespace of its own), and looks at the status document.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../cli/harness.sh"

skip_all() { echo "skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }

ingest_needs() { # PROGRAM...
	[ "$(id -u)" = 0 ] || skip_all "this test needs root, to run programs under several uids"
	local program
	for program in sealock sealock-kmsd sealock-hsm-worker sealock-ingestd "$@"; do
		[ -x "$build/bin/$program" ] || skip_all "$program was not built"
	done
	[ -n "$(softhsm_module)" ] || skip_all "SoftHSM is not installed"
}

role=arn:aws:iam::000000000000:role/listener

# ingest_site: a site with a running kmsd, and a policy that lets the listener's role put into every stream but "closed".
ingest_site() {
	site_make
	code=0
	: >"$out" >"$err"
	trap ingest_site_remove EXIT
	sed -i "s|^principals:|roles: [role/listener]\nprincipals:|" "$site/kmsd.yaml"
	cat >>"$site/kmsd.yaml" <<-END
		  - {effect: Allow, principals: [role/listener], actions: ["kinesis:PutRecord"], resources: ["stream/*"]}
		  - {effect: Allow, principals: [role/listener], actions: ["kms:GenerateDataKey"], resources: ["key/*"]}
		  - {effect: Deny, principals: [role/listener], actions: ["kinesis:PutRecord"], resources: ["stream/closed"]}
	END
	[ ! -x "$build/bin/sealock-send" ] || install -m 0755 "$build/bin/sealock-send" "$site/bin/sealock-send"
	sealock hsm init --config "$site/kmsd.yaml" >/dev/null || die_with_log /dev/null "sealock hsm init"
	kmsd_start
	sealock key create --alias alias/test --json >/dev/null || die_with_log "$site/kmsd.log" "key create"
}

ingest_site_remove() {
	wire_down
	umount "$site/journal" 2>/dev/null
	site_remove
}

# ingest_config PORTS LISTENERS [OTHER]: YAML of each section, without its heading.
ingest_config() {
	{
		echo "eal: {hugepages: off, memory_mb: ${memory_mb:-128}}"
		printf 'ports:\n%s\n' "$1"
		[ -z "$2" ] || printf 'listeners:\n%s\n' "$2"
		cat <<-END
			journal: {dir: $site/journal, file_mb: 8, ${journal_more:-reserve_mb: 16}}
			kms: {socket: $site/run/kms/kms.sock}
			put: {socket: $site/run/ingest/put.sock}
			status: {socket: $site/run/ingest/status.sock}
		END
		[ -z "${3:-}" ] || echo "$3"
	} >"$site/ingestd.yaml"
	chmod 0644 "$site/ingestd.yaml"
}

# listener STREAM [PORT] [MORE]: one listener with datagrams on one shard.
listener() {
	echo "  - {udp_port: ${2:-5514}, stream: $1, ${3:-framing: datagram, partition: {rule: fixed, shard: 0\}}, principal: \"$role\"}"
}

# ingest_spawn CAPS: as ingestd's uid with these capabilities (net_raw,...; "" for none), in the background.
ingest_spawn() {
	local caps=+ipc_lock
	[ -z "$1" ] || caps=+${1//,/,+},+ipc_lock
	: >"$site/ingestd.log"
	setpriv --reuid $uid_ingest --regid $uid_ingest --groups $gid_sealock,$gid_read --inh-caps=-all,$caps \
		--ambient-caps=-all,$caps --bounding-set=-all,$caps sealock-ingestd --config "$site/ingestd.yaml" \
		</dev/null >>"$site/ingestd.log" 2>&1 &
	ingestd_pid=$!
}
ingest_start() {
	ingest_spawn "$1"
	wait_for 20 'ingest_up || ! kill -0 $ingestd_pid 2>/dev/null'
	ingest_up || die_with_log "$site/ingestd.log" "ingestd does not start"
}
ingest_up() { ingest_status >/dev/null; }
ingest_kill() {
	kill -KILL "$ingestd_pid"
	wait "$ingestd_pid" 2>/dev/null
	ingestd_pid=
}
# Stops it and keeps its exit status in $code.
ingest_term() {
	kill -TERM "$ingestd_pid"
	wait "$ingestd_pid"
	code=$?
	ingestd_pid=
}
# It is expected to end by itself, with a sentence.
ingest_refuses() { # CAPS
	ingest_spawn "$1"
	wait "$ingestd_pid"
	code=$?
	ingestd_pid=
	cp "$site/ingestd.log" "$err"
	: >"$out"
}

# ingest_status [PATH]: the status document, or a value of it.
ingest_status() {
	python3 - "$site/run/ingest/status.sock" "${1:-}" <<-'END' 2>/dev/null
		import json, socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		s.settimeout(5)
		s.connect(sys.argv[1])
		value = json.loads(s.recv(1 << 20))
		if sys.argv[2] == "drops":
		    print(" ".join(f"{k}={v}" for k, v in sorted(value["drops"].items()) if v))
		    sys.exit(0)
		for part in sys.argv[2].split(".")[1:]:
		    value = value[int(part)] if isinstance(value, list) else value[part]
		print(json.dumps(value) if isinstance(value, (dict, list)) else value)
	END
}
status_is() { [ "$(ingest_status "$1")" = "$2" ]; }

# read_back STREAM [MORE...]: what a reader with kms:Decrypt gets, in $out.
read_back() { run as $uid_reader sealock tail "$1" --no-follow "${@:2}"; }

# --- the wire: vdp is ours, vgen is the sender's ---

netns=slk-gen-$$
vdp=slkd$$ vgen=slkg$$
wire_up() { # [MTU] [RECEIVE QUEUES]
	ip netns add $netns || return 1
	ip link add $vdp mtu "${1:-3400}" numtxqueues "${2:-1}" numrxqueues "${2:-1}" type veth \
		peer name $vgen netns $netns mtu "${1:-3400}" numtxqueues 1 numrxqueues 1 || return 1
	ip link set $vdp address 02:00:00:00:02:02
	ip netns exec $netns ethtool -K $vgen tx off gso off tso off >/dev/null 2>&1
	ethtool -K $vdp gro off gso off tso off tx off rx off >/dev/null 2>&1
	sysctl -q -w net.ipv6.conf.$vdp.disable_ipv6=1 2>/dev/null
	ip -n $netns addr add 10.77.0.1/24 dev $vgen
	ip -n $netns addr add fd00:77::1/64 dev $vgen nodad
	ip -n $netns link set $vgen up
	ip link set $vdp up
}
wire_down() {
	ip link delete $vdp 2>/dev/null
	ip netns delete $netns 2>/dev/null
	return 0
}
# On one CPU: on its way through two, the kernel may change the order of datagrams.
from_sender() { ip netns exec $netns taskset -c 0 "$@"; }
wire_possible() { ip netns add $netns 2>/dev/null && ip netns delete $netns; }
