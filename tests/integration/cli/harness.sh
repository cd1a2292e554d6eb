# A site of its own in a temporary directory: kmsd (front and worker), ingestd without a NIC, and callers by uid.
uid_kms=64901 uid_hsm=64902 uid_ingest=64903 uid_reader=64904 uid_auditor=64905 uid_stranger=64906 uid_outsider=64907
gid_sealock=64911 gid_read=64912
passed=0 failed=0 skipped=0

softhsm_module() {
	local path
	for path in /usr/lib/softhsm/libsofthsm2.so "/usr/lib/$(uname -m)-linux-gnu/softhsm/libsofthsm2.so"; do
		[ ! -e "$path" ] || { echo "$path"; return; }
	done
}

site_make() {
	site=$(mktemp -d /tmp/sealock-cli.XXXXXX)
	out=$site/out err=$site/err
	chmod 0755 "$site"
	install -d -m 0755 "$site/run" "$site/bin" "$site/empty"
	install -d -m 2750 -o $uid_kms -g $gid_sealock "$site/run/kms"
	install -d -m 2750 -o $uid_ingest -g $gid_sealock "$site/run/ingest"
	install -d -m 0700 -o $uid_kms -g $uid_kms "$site/kms"
	install -d -m 0700 -o $uid_hsm -g $uid_hsm "$site/hsm"
	install -d -m 2750 -o $uid_ingest -g $gid_read "$site/journal"
	local program
	for program in sealock sealock-kmsd sealock-hsm-worker sealock-ingestd; do # the build tree may be closed to other users
		[ ! -x "$build/bin/$program" ] || install -m 0755 "$build/bin/$program" "$site/bin/$program"
	done
	export PATH=$site/bin:$PATH SEALOCK_KMS_SOCKET=$site/run/kms/kms.sock SEALOCK_INGEST_SOCKET=$site/run/ingest/put.sock
	export SEALOCK_STATUS_SOCKET=$site/run/ingest/status.sock SEALOCK_JOURNAL=$site/journal XDG_RUNTIME_DIR=$site/run/ingest
	cat >"$site/kmsd.yaml" <<-END
		front_user: "$uid_kms"
		socket: {path: $site/run/kms/kms.sock, mode: 0660}
		catalog: {path: $site/kms/catalog.db}
		audit: {path: $site/kms/audit.log, deadline_ms: 10000} # other tests write to the same disk
		hsm:
		  profile: softhsm
		  module: $(softhsm_module)
		  token_label: sealock-cli-test
		  pin_file: $site/hsm/pin
		  softhsm_conf: $site/hsm/softhsm2.conf
		  worker_user: "$uid_hsm"
		  worker_program: $site/bin/sealock-hsm-worker
		ingest_user: "$uid_ingest"
		admins: [root]
		principals:
		  - {user: "$uid_reader", arn: user/reader}
		  - {user: "$uid_auditor", arn: user/auditor}
		  - {user: "$uid_outsider", arn: user/outsider}
		policy:
		  - {effect: Allow, principals: ["arn:aws:iam::000000000000:root"], actions: ["kms:*", "kinesis:*"], resources: ["*"]}
		  - {effect: Deny, principals: ["arn:aws:iam::000000000000:root"], actions: ["kms:Decrypt"], resources: ["*"]}
		  - {effect: Allow, principals: [user/*], actions: ["kinesis:DescribeStream"], resources: ["stream/*"]}
		  - {effect: Allow, principals: [user/reader, user/outsider], actions: ["kms:Decrypt"], resources: ["key/*"]}
		  - {effect: Allow, principals: [user/reader], actions: ["kinesis:GetRecords"], resources: ["stream/*"]}
	END
	cat >"$site/ingestd.yaml" <<-END
		eal: {hugepages: off, memory_mb: 64}
		ports:
		  - {name: loop, type: ring, ipv4: 10.77.1.2}
		journal: {dir: $site/journal, file_mb: 16}
		kms: {socket: $site/run/kms/kms.sock}
		put: {socket: $site/run/ingest/put.sock}
		status: {socket: $site/run/ingest/status.sock}
		allow_unlocked_memory: true
	END
}

site_remove() {
	ingestd_stop
	kmsd_stop
	tail_remove
	rm -rf "$site"
}
# What a killed ingestd leaves in /dev/shm, named by the journal's uuid, which each of its files has at 24.
tail_remove() {
	local file uuid
	for file in "$site"/journal*/*.slj; do
		[ -e "$file" ] || continue
		uuid=$(od -An -tx1 -j24 -N16 "$file" | tr -d ' \n')
		[ ${#uuid} = 32 ] && rm -f "/dev/shm/sealock-$uuid-"*
		break
	done
}

# as UID COMMAND...: callers may use the sockets; all but the outsider may read the journal's files. It replaces the shell
# in `(exec_as UID COMMAND...) &`, so that $! is the program, which ends with this script whatever happens to it.
exec_as() {
	local uid=$1 groups=$gid_sealock
	shift
	[ "$uid" = $uid_outsider ] || groups+=,$gid_read
	exec setpriv --reuid "$uid" --regid "$uid" --groups "$groups" --inh-caps=-all --bounding-set=-all --pdeathsig TERM "$@"
}
as() { (exec_as "$@"); }

# run COMMAND...: output in $out and $err, exit status in $code.
run() { "$@" >"$out" 2>"$err" </dev/stdin; code=$?; }
run_piped() { "$@" >"$out" 2>"$err"; echo $? >"$site/code"; }

empty() { [ ! -s "$1" ]; }
said() { grep -q -- "$1" "$err"; }

# json_from PATH: a value of the JSON on stdin (of its first line, if there are several); .a.b.0 walks maps and arrays.
json_from() {
	python3 -IS -c '
import json, sys
value, _ = json.JSONDecoder().raw_decode(sys.stdin.read())
for part in sys.argv[1].split(".")[1:]:
    value = value[int(part)] if isinstance(value, list) else value[part]
print(value if not isinstance(value, bool) else str(value).lower())' "$1"
}
json_of() { json_from "$1" <"$out" 2>/dev/null; }
json_is() { [ "$(json_of "$1")" = "$2" ]; }

# check SENTENCE EXPRESSION: one test case.
check() {
	[ ! -e "$site/code" ] || { code=$(cat "$site/code"); rm -f "$site/code"; }
	if eval "$2"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED  $1"
		echo "        exit status $code; stdout: $(head -c 300 "$out" | tr -c '[:print:]' ' ')"
		echo "        stderr: $(head -c 2500 "$err" | tr -c '[:print:]' ' ')"
	fi
}

# skip WHY: one test case that cannot be looked at here.
skip() {
	skipped=$((skipped + 1))
	echo "skipped  $1"
}

wait_for() { # SECONDS EXPRESSION
	local tries
	for ((tries = $1 * 20; tries > 0; tries--)); do
		eval "$2" && return 0
		sleep 0.05
	done
	return 1
}

kmsd_pid= ingestd_pid=
die_with_log() {
	tail -n 20 "$1" >&2
	echo "FAILED  $2"
	echo "$passed passed, $((failed + 1)) failed, $skipped skipped"
	exit 1
}
kmsd_start() {
	setpriv --pdeathsig TERM sealock-kmsd --config "$site/kmsd.yaml" </dev/null >>"$site/kmsd.log" 2>&1 &
	kmsd_pid=$!
	# Not by the exit status, which is 1 while ingestd is not there.
	wait_for 20 '[ "$(sealock status --json 2>/dev/null | json_from .kms.hsm.state 2>/dev/null)" = ready ]' ||
		die_with_log "$site/kmsd.log" "kmsd is not ready after 20 s"
}
ingestd_start() {
	(exec_as $uid_ingest sealock-ingestd --config "$site/ingestd.yaml" </dev/null >>"$site/ingestd.log" 2>&1) &
	ingestd_pid=$!
	wait_for 20 '! kill -0 $ingestd_pid 2>/dev/null || sealock status --json >/dev/null 2>&1' &&
		kill -0 $ingestd_pid 2>/dev/null || die_with_log "$site/ingestd.log" "ingestd is not ready after 20 s"
}
stop() {
	[ -n "$1" ] || return 0
	kill -TERM "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}
kmsd_stop() { stop "$kmsd_pid"; kmsd_pid=; }
ingestd_stop() { stop "$ingestd_pid"; ingestd_pid=; }

# copy_journal_with_a_flipped_byte FROM TO: one bit in the last stretch that looks like ciphertext (no padding, no header).
copy_journal_with_a_flipped_byte() {
	cp -a "$1" "$2"
	python3 - "$2" <<-'END'
		import glob, sys
		for name in sorted(glob.glob(sys.argv[1] + "/[0-9]*.slj"), reverse=True):
		    data = open(name, "rb").read().rstrip(b"\0")
		    for at in range(len(data) // 64 * 64 - 64, 8192, -64):
		        if len(set(data[at:at + 64])) > 48:
		            with open(name, "r+b") as f:
		                f.seek(at + 32)
		                f.write(bytes([data[at + 32] ^ 1]))
		            sys.exit(0)
		sys.exit("no ciphertext found")
	END
}

finish() {
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ] && exit 0 || exit 1
}
