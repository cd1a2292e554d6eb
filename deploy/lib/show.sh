# What the quickstart shows: real lines in, the same lines out, and what nobody else can have.
show=$root/show
show_passes=8
show_lines_min=60000 # in all passes, so that a rate says something
logger_lines=300
logger_tag=sealock-show
rows=() failures=0

# row LABEL VALUE [ok|FAILED]: a line of the table.
row() {
	rows+=("$1"$'\t'"$2"$'\t'"${3:-}")
	[ "${3:-}" != FAILED ] || failures=$((failures + 1))
}

verdict() { if "$@"; then echo ok; else echo FAILED; fi; }

thousands() { sed -E ':a; s/^([0-9]+)([0-9]{3})/\1,\2/; ta' <<<"$1"; }

# The lines of the log files that this machine has; text that every Debian has where logs are short.
show_collect() {
	local file sources=()
	for file in /var/log/dpkg.log /var/log/apt/history.log /var/log/apt/term.log /var/log/bootstrap.log \
		/var/log/alternatives.log /var/log/fontconfig.log; do
		[ ! -s "$file" ] || sources+=("$file")
	done
	show_lines_of "${sources[@]}"
	if [ "$(wc -l <"$show/lines")" -lt 2000 ]; then
		sources+=(/usr/share/common-licenses/*)
		show_lines_of "${sources[@]}"
	fi
	[ "$(wc -l <"$show/lines")" -ge 100 ] || die "this machine has no text to send: neither logs nor /usr/share/common-licenses"
	local count repeat
	count=$(wc -l <"$show/lines")
	repeat=$(((show_lines_min / show_passes + count - 1) / count))
	: >"$show/pass"
	while [ $((repeat--)) -gt 0 ]; do cat "$show/lines" >>"$show/pass"; done
	say "$(thousands "$count") lines of ${sources[*]}"
}

# A line is a record, and a record one datagram: no empty ones, and none that does not fit.
show_lines_of() {
	LC_ALL=C cat "$@" /dev/null | LC_ALL=C tr -d '\000\r' | LC_ALL=C awk 'length > 0 && length <= 1200' >"$show/lines"
}

show_send() {
	local pass seconds=0
	show_since=$(date +%s.%N)
	: >"$show/sent"
	for ((pass = 1; pass <= show_passes; pass++)); do
		sender <"$show/pass" >"$show/send.json" 2>"$log_dir/send.log" ||
			die "sealock-send failed: $(tail -n 1 "$log_dir/send.log")"
		[ "$(json .durable <"$show/send.json")" = true ] || die "sealock-send says that not every record became durable"
		seconds=$(python3 -c 'import sys; print(float(sys.argv[1]) + float(sys.argv[2]))' "$seconds" \
			"$(json .seconds <"$show/send.json")")
		cat "$show/pass" >>"$show/sent"
		[ "$pass" = "$show_passes" ] || sleep 0.8 # so that keys are renewed on the way
	done
	sent_count=$(wc -l <"$show/sent")
	rate=$(python3 -c 'import sys; print(round(int(sys.argv[1]) / float(sys.argv[2])))' "$sent_count" "$seconds")
	say "$(thousands "$sent_count") records in $show_passes passes"
}

# In the namespace, as a user who may read the watermark (group sealock-read).
sender() {
	in_netns setpriv --reuid sealock-reader --regid sealock-reader --init-groups --bounding-set=-all \
		"$bin/sealock-send" --to "$wire_ip:$log_port" --watermark "$journal" --json -
}

show_logger() {
	head -n 5000 "$show/lines" | LC_ALL=C awk 'length <= 800' | tail -n "$logger_lines" >"$show/logger.sent"
	in_netns logger --udp --server "$wire_ip" --port "$syslog_port" --rfc3164 --tag "$logger_tag" --file "$show/logger.sent"
	say "$(wc -l <"$show/logger.sent") messages"
}

read_stream() { as_user sealock-reader sealock tail "$1" --from "@$show_since" --no-follow "${@:2}"; }

show_read_back() {
	local tries
	read_stream "$log_stream" >"$show/read" || die "reading $log_stream back failed"
	for ((tries = 50; tries > 0; tries--)); do
		read_stream "$syslog_stream" >"$show/syslog.read" || die "reading $syslog_stream back failed"
		[ "$(wc -l <"$show/syslog.read")" -lt "$(wc -l <"$show/logger.sent")" ] || break
		sleep 0.1
	done
	# logger puts a header in front of each message: compare the texts.
	LC_ALL=C awk -v tag="$logger_tag: " '{print substr($0, index($0, tag) + length(tag))}' "$show/syslog.read" >"$show/logger.read"
	epochs=$(read_stream "$log_stream" --format json |
		python3 -c 'import json, sys; print(len({json.loads(line)["epoch"] for line in sys.stdin}))')

	row "records in" "$(thousands "$sent_count") ($(thousands "$(stat -c %s "$show/sent")") bytes)"
	row "records read back" "$(thousands "$(wc -l <"$show/read")")" "$(verdict cmp -s "$show/sent" "$show/read")"
	row "SHA-256 of what was sent" "$(sha256sum <"$show/sent" | cut -c 1-64)"
	row "SHA-256 of what came back" "$(sha256sum <"$show/read" | cut -c 1-64)" "$(verdict cmp -s "$show/sent" "$show/read")"
	row "logger --udp, message texts" "$(wc -l <"$show/logger.read") of $(wc -l <"$show/logger.sent")" \
		"$(verdict cmp -s "$show/logger.sent" "$show/logger.read")"
	row "key renewals seen" "$((epochs - 1)) (every $renewal_seconds s for the show, 5 min otherwise)" "$(verdict [ "$epochs" -ge 2 ])"
}

show_refused() {
	local code=0
	as_user sealock-auditor sealock tail "$log_stream" --from "@$show_since" --no-follow \
		>"$show/refused.out" 2>"$show/refused.err" || code=$?
	if [ "$code" = 1 ] && [ ! -s "$show/refused.out" ] && grep -q 'kms:Decrypt' "$show/refused.err"; then
		row "reader without kms:Decrypt" "refused" ok
	else
		row "reader without kms:Decrypt" "exit status $code, $(wc -c <"$show/refused.out") bytes of output" FAILED
	fi
	refusal=$(head -n 1 "$show/refused.err")
}

# The same search finds the line in what was sent, so that it can fail.
show_search() {
	local line found control code=0
	line=$(LC_ALL=C awk 'length >= 60 {print; exit}' "$show/lines")
	control=$(LC_ALL=C grep -acF -- "$line" "$show/sent" || true)
	LC_ALL=C grep -rabF -- "$line" "$journal" >"$show/found" || code=$?
	[ "$code" -le 1 ] || die "the journal in $journal cannot be searched"
	found=$(wc -l <"$show/found")
	[ "$control" -gt 0 ] || die "the search for a known line finds nothing even where it is: '$line'"
	row "a known line, searched in the journal" "$found found ($(thousands "$control") in what was sent)" "$(verdict [ "$found" = 0 ])"
}

resident_mib() { # PID...
	local pid
	for pid in "$@"; do cat "/proc/$pid/status"; done | awk '/^VmRSS/ {kib += $2} END {printf "%.0f", kib / 1024}'
}

# The monitor, and its children: front and HSM worker.
kmsd_pids() {
	local monitor
	monitor=$(service_pid sealock-kmsd)
	echo "$monitor" $(pgrep -P "$monitor")
}

show_figures() {
	local status
	status=$(sealock status --json) || die "sealock status failed"
	row "records/s while sending" "$(thousands "$rate"), paced so that nothing is lost"
	row "sealing added per record" "p50 $(json .ingest.seal_ns.p50 <<<"$status") ns, p99 $(json .ingest.seal_ns.p99 <<<"$status") ns"
	row "resident memory" "ingestd $(resident_mib "$(service_pid sealock-ingestd)") MiB; kmsd $(resident_mib $(kmsd_pids)) MiB in $(kmsd_pids | wc -w) processes; gatewayd $(resident_mib "$(service_pid sealock-gatewayd)") MiB; deliverd $(resident_mib "$(service_pid sealock-deliverd)") MiB"
	row "port" "$port_sentence"
}

show_table() {
	local entry label value mark
	printf '\n'
	for entry in "${rows[@]}"; do
		IFS=$'\t' read -r label value mark <<<"$entry"
		printf '  %-40s %s%s\n' "$label" "$value" "${mark:+  [$mark]}"
	done
	printf '\n  The refused reader was told:\n    %s\n\n' "$refusal"
	[ "$failures" = 0 ] || die "$failures of the checks above failed; logs are in $log_dir, and what was sent and read in $show"
	cat <<-END
		All of it is right, after $1 s. The services go on running. Next:

		    . $root/env
		    echo hello | sealock put $log_stream --lines
		    runuser -u sealock-reader -- sealock tail $log_stream --from @-1m
		    sealock status --watch
		    sealock journal verify

		and, as any program with an AWS SDK would:

		    aws --profile quickstart-producer --endpoint-url $gateway_url kinesis put-record \\
		        --stream-name $log_stream --partition-key me --data 'hello from the AWS CLI'
		    aws --profile quickstart-consumer --endpoint-url $gateway_url kinesis get-shard-iterator \\
		        --stream-name $log_stream --shard-id shardId-000000000000 --shard-iterator-type TRIM_HORIZON
		    aws --profile quickstart-consumer --endpoint-url $gateway_url kinesis get-records --shard-iterator ...

		What was delivered is sealed; whoever may kms:Decrypt opens it:

		    sealock delivery status $delivery_name
		    runuser -u sealock-reader -- sealock open $delivery_object --decompress | head
		    sealock delivery create mine --source $log_stream --role $delivery_role --bucket local-mine --object-key $key_alias --wait

		deploy/quickstart --status says what runs; deploy/quickstart --down stops and removes it.
	END
}
