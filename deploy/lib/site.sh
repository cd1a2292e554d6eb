# The quickstart's own installation: users, directories, programs, configuration, token, key and streams.
root=/var/lib/sealock-quickstart
run_dir=/run/sealock-quickstart
log_dir=$root/log
bin=$root/bin
etc=$root/etc
journal=$root/journal

account=000000000000
region=local
key_alias=alias/quickstart
log_stream=quickstart-logs
syslog_stream=quickstart-syslog
log_port=9000
syslog_port=9514
renewal_seconds=2 # the show's; the default is 300

site_log_start() {
	install -d -m 0755 "$root" "$log_dir"
	install -d -m 0755 "$run_dir"
}

site_build() {
	cmake --preset release -DBUILD_TESTING=OFF && cmake --build build/release -j"$(nproc)"
}

site_user() { # NAME GROUP [MORE GROUPS]
	getent passwd "$1" >/dev/null ||
		useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$1"
	[ -z "${2:-}" ] || usermod -a -G "$2" "$1"
}

site_users() {
	local group
	for group in sealock sealock-read; do
		getent group "$group" >/dev/null || groupadd --system "$group"
	done
	site_user sealock-kms sealock
	site_user sealock-hsm
	site_user sealock-ingest sealock,sealock-read
	site_user sealock-gate sealock,sealock-read
	site_user sealock-deliver sealock,sealock-read
	site_user sealock-reader sealock,sealock-read
	site_user sealock-auditor sealock,sealock-read
}

site_directories() {
	install -d -m 0755 "$bin" "$etc"
	install -d -m 0700 -o sealock-kms -g sealock-kms "$root/kms"
	install -d -m 0700 -o sealock-hsm -g sealock-hsm "$root/hsm"
	install -d -m 2750 -o sealock-ingest -g sealock-read "$journal"
	install -d -m 0750 -o sealock-kms -g sealock "$run_dir/kms"
	install -d -m 0750 -o sealock-ingest -g sealock "$run_dir/ingest"
	install -d -m 0750 -g sealock-reader "$root/show" # the sender runs as that user
}

# The programs are copied to where other users may run them; a source tree below /root is closed to them.
site_programs() {
	local program
	for program in sealock sealock-kmsd sealock-hsm-worker sealock-ingestd sealock-gatewayd sealock-deliverd sealock-send; do
		[ -x "$source_dir/build/release/bin/$program" ] ||
			die "build/release/bin/$program is not there: run without --no-build"
		install -m 0755 "$source_dir/build/release/bin/$program" "$bin/$program"
	done
	cat >"$root/env" <<-END
		export PATH=$bin:\$PATH
		export SEALOCK_KMS_SOCKET=$run_dir/kms/kms.sock
		export SEALOCK_INGEST_SOCKET=$run_dir/ingest/port.sock
		export SEALOCK_STATUS_SOCKET=$run_dir/ingest/status.sock
		export SEALOCK_JOURNAL=$journal
	END
	. "$root/env"
}

uid_of() { id -u "$1"; }

# Who may do what: root makes keys and streams and may put, but cannot read; sealock-reader may read; sealock-auditor may
# see the files and describe streams, and gets no key.
site_config() {
	cat >"$etc/kmsd.yaml.new" <<-END
		account: "$account"
		region: $region
		front_user: sealock-kms
		socket:
		  path: $run_dir/kms/kms.sock
		  mode: 0660
		  group: sealock
		catalog:
		  path: $root/kms/catalog.db
		audit:
		  path: $root/kms/audit.log
		hsm:
		  profile: softhsm
		  module: $(site_module)
		  token_label: sealock-quickstart
		  pin_file: $root/hsm/pin
		  softhsm_conf: $root/hsm/softhsm2.conf
		  worker_user: sealock-hsm
		  worker_program: $bin/sealock-hsm-worker
		ingest_user: sealock-ingest
		gateway_user: sealock-gate
		deliver_user: sealock-deliver
		admins: [root]
		principals:
		  - user: sealock-reader
		    arn: user/reader
		  - user: sealock-auditor
		    arn: user/auditor
		roles: [role/feed]
		policy:
		  - sid: operator
		    effect: Allow
		    principals: ["arn:aws:iam::$account:root"]
		    actions: ["kms:CreateKey", "kms:DescribeKey", "kms:ListKeys", "kms:*Alias*", "kms:GenerateDataKey", "kms:*KeyPolic*", "kms:*Grant*", "kinesis:*", "firehose:*", "iam:*"]
		    resources: ["*"]
		  - sid: feed
		    effect: Allow
		    principals: [role/feed]
		    actions: ["kinesis:PutRecord", "kms:GenerateDataKey"]
		    resources: ["stream/quickstart-*", "key/*"]
		  - sid: look
		    effect: Allow
		    principals: [user/reader, user/auditor]
		    actions: ["kinesis:DescribeStream", "kinesis:GetRecords"]
		    resources: ["stream/*"]
		  - sid: read
		    effect: Allow
		    principals: [user/reader]
		    actions: ["kms:Decrypt"]
		    resources: ["key/*"]
	END
	cat >"$etc/ingestd.yaml.new" <<-END
		eal:
		  hugepages: off
		  memory_mb: 128
		ports:
		  - name: wire
		    type: $port_type
		    interface: $wire
		    ipv4: $wire_ip
		    mtu: $wire_mtu
		listeners:
		  - udp_port: $log_port
		    stream: $log_stream
		    framing: datagram
		    principal: arn:aws:iam::$account:role/feed
		  - udp_port: $syslog_port
		    stream: $syslog_stream
		    framing: datagram
		    principal: arn:aws:iam::$account:role/feed
		journal:
		  dir: $journal
		kms:
		  socket: $run_dir/kms/kms.sock
		put:
		  socket: $run_dir/ingest/port.sock
		  group: sealock
		  trusted_user: sealock-gate
		status:
		  socket: $run_dir/ingest/status.sock
		  group: sealock
		keys:
		  renewal_seconds: $renewal_seconds
	END
	mv "$etc/kmsd.yaml.new" "$etc/kmsd.yaml"
	mv "$etc/ingestd.yaml.new" "$etc/ingestd.yaml"
}

site_module() {
	local path
	for path in /usr/lib/softhsm/libsofthsm2.so "/usr/lib/$(uname -m)-linux-gnu/softhsm/libsofthsm2.so"; do
		[ ! -e "$path" ] || { echo "$path"; return; }
	done
	die "SoftHSM's module is not there: deploy/packages install run"
}

# A token of its own with a random PIN in a file that only the worker's user may read. One that is there is kept: what was
# sealed under it can be read only with it.
site_token() {
	logged hsm-init sealock hsm init --config "$etc/kmsd.yaml"
	say "$(grep '^was:' "$log_dir/hsm-init.log" | sed 's/^was: *//'), PIN in $root/hsm/pin: $(stat -c '%A %U' "$root/hsm/pin")"
}

site_key_and_streams() {
	local stream
	if ! sealock key describe "$key_alias" >/dev/null 2>&1; then
		logged key sealock key create --alias "$key_alias" --description "made by deploy/quickstart"
	fi
	for stream in "$log_stream" "$syslog_stream"; do
		sealock stream describe "$stream" >/dev/null 2>&1 ||
			logged stream sealock stream create "$stream" --key "$key_alias"
	done
	say "master key $key_alias, streams $log_stream and $syslog_stream"
}
