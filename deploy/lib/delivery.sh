# The quickstart's deliveries: sealock-deliverd, a role for it, and a sealed object in a directory that is opened again.
delivery_monitor_port=18466
delivered=$root/delivered
delivery_name=quickstart-archive
delivery_bucket=local-archive
delivery_role=quickstart-deliver
delivery_lines=1000

delivery_directories() {
	install -d -m 0700 -o sealock-deliver -g sealock-deliver "$root/deliver"
	# What is delivered is for the group that may read the journal; it is sealed.
	install -d -m 2750 -o sealock-deliver -g sealock-read "$delivered"
	install -d -m 0750 -o sealock-deliver -g sealock "$run_dir/deliver"
	echo "export SEALOCK_DELIVERY_SOCKET=$run_dir/deliver/status.sock" >>"$root/env"
	. "$root/env"
}

delivery_config() {
	local unlocked=false
	# Without the right to lock 96 MiB (a container, often) the show goes on, and says so.
	if [ "$(ulimit -H -l)" != unlimited ] && [ "$(ulimit -H -l)" -lt 98304 ]; then
		unlocked=true
		warn "memory.allow_unlocked: this session may lock $(ulimit -H -l) KiB only, so batches might be swapped out"
	fi
	cat >"$etc/deliverd.yaml.new" <<-END
		region: $region
		account: "$account"
		kms:
		  socket: $run_dir/kms/kms.sock
		journal:
		  dir: $journal
		state:
		  dir: $root/deliver
		memory:
		  max_mb: 64
		  allow_unlocked: $unlocked
		monitor:
		  listen: 127.0.0.1:$delivery_monitor_port
		status:
		  socket: $run_dir/deliver/status.sock
		stores:
		  - bucket: "local-*"
		    dir: $delivered
		    seal: client
	END
	mv "$etc/deliverd.yaml.new" "$etc/deliverd.yaml"
}

delivery_answers() { curl -fsS --max-time 2 "http://127.0.0.1:$delivery_monitor_port/healthz"; }

services_start_delivery() {
	delivery_directories
	delivery_config
	service_start sealock-deliverd setpriv --reuid sealock-deliver --regid sealock-deliver --init-groups --inh-caps=-all \
		--bounding-set=-all --no-new-privs "$bin/sealock-deliverd" --config "$etc/deliverd.yaml"
	service_wait sealock-deliverd 20 "it says that it is healthy" delivery_answers
}

# A role that Firehose may assume for this account, which may read the streams and use the key.
delivery_make_role() {
	cat >"$etc/trust.json" <<-END
		{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "firehose.amazonaws.com"},
		 "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"sts:ExternalId": "$account"}}}]}
	END
	cat >"$etc/deliver.json" <<-END
		{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["kinesis:DescribeStream", "kinesis:GetShardIterator",
		 "kinesis:GetRecords", "kinesis:ListShards", "kms:Decrypt", "kms:GenerateDataKey"], "Resource": "*"}]}
	END
	sealock iam role get "$delivery_role" >/dev/null 2>&1 ||
		logged iam sealock iam role create "$delivery_role" --trust "$etc/trust.json"
	logged iam sealock iam role policy put "$delivery_role" deliver "$etc/deliver.json"
}

delivery_make() {
	delivery_make_role
	sealock delivery describe "$delivery_name" >/dev/null 2>&1 ||
		logged delivery sealock delivery create "$delivery_name" --source "$log_stream" --role "$delivery_role" \
			--bucket "$delivery_bucket" --object-key "$key_alias" --delimiter --gzip --buffer-seconds 2 --wait
}

# Objects that came since the mark, oldest first.
delivery_objects() { find "$delivered/$delivery_bucket" -type f -newer "$show/delivery.mark" -name '*.gz' 2>/dev/null | LC_ALL=C sort; }

delivery_open_all() {
	local object
	for object in $(delivery_objects); do
		as_user sealock-reader sealock open "$object" --decompress || return 1
	done
}

# What a former run left for it is delivered.
delivery_is_idle() {
	sealock delivery status "$delivery_name" --json 2>/dev/null | python3 -c '
import json, sys
for s in json.load(sys.stdin)["delivery_streams"]:
    if s["name"] == sys.argv[1]:
        sys.exit(s["state"] != "delivering" or s["lag"]["records"] != 0 or s["lag"]["seconds"] != 0)
sys.exit(1)' "$delivery_name"
}

show_delivery() {
	local tries line found object
	for ((tries = 150; tries > 0; tries--)); do
		! delivery_is_idle || break
		sleep 0.1
	done
	head -n "$delivery_lines" "$show/lines" >"$show/delivery.sent"
	touch "$show/delivery.mark"
	sleep 0.05
	sealock put "$log_stream" --lines "$show/delivery.sent" >/dev/null || die "sealock put failed"
	for ((tries = 150; tries > 0; tries--)); do
		delivery_open_all >"$show/delivery.opened" 2>"$show/delivery.err" || true
		[ "$(wc -l <"$show/delivery.opened")" -lt "$delivery_lines" ] || break
		sleep 0.1
	done
	delivery_object=$(delivery_objects | head -n 1)
	[ -n "$delivery_object" ] || die "nothing was delivered: $(sealock delivery status "$delivery_name" 2>&1 | grep -E 'error|trouble' || true)"
	LC_ALL=C sort "$show/delivery.sent" >"$show/delivery.want"
	row "delivered, opened by sealock open" "$(wc -l <"$show/delivery.opened") of $(wc -l <"$show/delivery.sent") lines in $(delivery_objects | wc -l) objects" \
		"$(LC_ALL=C sort "$show/delivery.opened" | verdict cmp -s - "$show/delivery.want")"
	line=$(LC_ALL=C awk 'length >= 60 {print; exit}' "$show/delivery.sent")
	found=$({ delivery_objects | xargs -r cat; delivery_objects | xargs -r zcat -f 2>/dev/null; } | LC_ALL=C grep -acF -- "$line" || true)
	row "the same line, searched in the objects" "$found found" "$(verdict [ "$found" = 0 ])"
	object=$delivery_object
	if as_user sealock-auditor sealock open "$object" >"$show/delivery.refused" 2>"$show/delivery.err"; then
		row "who lacks kms:Decrypt opens" "was not refused" FAILED
	else
		row "who lacks kms:Decrypt opens" "refused" "$(verdict test ! -s "$show/delivery.refused")"
	fi
}
