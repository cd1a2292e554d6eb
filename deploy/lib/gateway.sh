# The quickstart's gateway: a certificate of a private CA, two users with access keys, and the AWS CLI against it.
gateway_port=18443
monitor_port=18465
gate=$root/gate
aws_dir=$root/aws
gateway_url=https://localhost:$gateway_port
gateway_lines=400

# An elliptic-curve CA for this machine alone, and a certificate for localhost. Kept while it is good for a month more.
gateway_certificate() {
	install -d -m 0750 -g sealock-gate "$gate"
	if [ -s "$gate/cert.pem" ] && openssl x509 -in "$gate/cert.pem" -noout -checkend 2592000 >/dev/null; then
		return
	fi
	(
		umask 077
		cd "$gate"
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=Sealock quickstart CA" \
			-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign -keyout ca-key.pem -out ca.pem
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" \
			-addext "subjectAltName=DNS:localhost,DNS:$(hostname),IP:127.0.0.1,IP:::1" -keyout key.pem -out request.pem
		openssl x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 365 -copy_extensions copy -out cert.pem
		rm -f request.pem ca-key.pem ca.srl # nothing else is ever signed by it
	) >"$log_dir/certificate.log" 2>&1 || die "no certificate could be made; see $log_dir/certificate.log"
	chown root:sealock-gate "$gate/key.pem" "$gate/cert.pem"
	chmod 0640 "$gate/key.pem" "$gate/cert.pem"
	install -m 0644 "$gate/ca.pem" "$root/ca.pem"
}

gateway_config() {
	cat >"$etc/gatewayd.yaml.new" <<-END
		listen:
		  - address: "127.0.0.1:$gateway_port"
		tls:
		  certificate: $gate/cert.pem
		  key: $gate/key.pem
		monitor:
		  listen: 127.0.0.1:$monitor_port
		region: $region
		account: "$account"
		kms:
		  socket: $run_dir/kms/kms.sock
		ingest:
		  port_socket: $run_dir/ingest/port.sock
		  status_socket: $run_dir/ingest/status.sock
		journal:
		  dir: $journal
	END
	mv "$etc/gatewayd.yaml.new" "$etc/gatewayd.yaml"
}

gateway_answers() { curl -fsS --max-time 2 "http://127.0.0.1:$monitor_port/healthz"; }

services_start_gateway() {
	service_start sealock-gatewayd setpriv --reuid sealock-gate --regid sealock-gate --init-groups --inh-caps=-all \
		--bounding-set=-all --no-new-privs "$bin/sealock-gatewayd" --config "$etc/gatewayd.yaml"
	service_wait sealock-gatewayd 20 "it says that it is healthy" gateway_answers
}

# gateway_user NAME ACTION...: with an access key of its own, in a profile of the AWS CLI.
gateway_user() {
	local name=$1 actions
	shift
	sealock iam user get "$name" >/dev/null 2>&1 || logged iam sealock iam user create "$name"
	actions=$(printf ',"%s"' "$@")
	printf '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[%s],"Resource":"*"}]}' "${actions#,}" >"$etc/$name.json"
	logged iam sealock iam user policy put "$name" quickstart "$etc/$name.json"
	local words=(sealock configure aws --profile "$name" --endpoint "$gateway_url" --region "$region" --ca "$root/ca.pem")
	rm -f "$aws_dir/new"
	grep -qs "^\[$name\]" "$aws_dir/credentials" || words+=(--user "$name" --out "$aws_dir/new")
	"${words[@]}" >>"$aws_dir/config" || die "no profile for $name"
	# Version 2 of the AWS CLI takes data for base64 otherwise.
	echo "cli_binary_format = raw-in-base64-out" >>"$aws_dir/config"
	[ ! -e "$aws_dir/new" ] || cat "$aws_dir/new" >>"$aws_dir/credentials"
	rm -f "$aws_dir/new"
}

gateway_users() {
	(umask 077 && mkdir -p "$aws_dir" && : >"$aws_dir/config" && touch "$aws_dir/credentials")
	gateway_user quickstart-producer kinesis:PutRecord kinesis:PutRecords kms:GenerateDataKey
	gateway_user quickstart-consumer kinesis:GetRecords kinesis:GetShardIterator kinesis:DescribeStream kinesis:ListShards \
		kms:Decrypt
	echo "export AWS_CONFIG_FILE=$aws_dir/config AWS_SHARED_CREDENTIALS_FILE=$aws_dir/credentials AWS_CA_BUNDLE=$root/ca.pem" \
		>>"$root/env"
}

# The AWS CLI of Debian 12 knows no endpoint_url in a profile.
aws_as() {
	local profile=$1
	shift
	AWS_CONFIG_FILE=$aws_dir/config AWS_SHARED_CREDENTIALS_FILE=$aws_dir/credentials AWS_CA_BUNDLE=$root/ca.pem AWS_PAGER= \
		aws --profile "$profile" --endpoint-url "$gateway_url" "$@"
}

# Lines of the logs, by put-records, and back by get-records from before them on.
show_gateway() {
	local iterator since
	# The AWS CLI takes data as text: lines of plain ASCII come back as the bytes that they were.
	LC_ALL=C awk -v count="$gateway_lines" '/^[ -~]+$/ {print; if (++n == count) exit}' "$show/lines" >"$show/gateway.sent"
	python3 - "$show/gateway.sent" >"$show/gateway.json" <<-'END'
		import json, sys
		lines = open(sys.argv[1], "rb").read().splitlines()
		print(json.dumps([{"Data": line.decode("latin-1"), "PartitionKey": "show"} for line in lines]))
	END
	# Version 2 of the AWS CLI sends whole seconds: none before may hold a record of the former steps.
	since=$(($(date +%s) + 1))
	sleep 1.2
	aws_as quickstart-producer kinesis put-records --stream-name "$log_stream" --records "file://$show/gateway.json" \
		>"$show/gateway.put" 2>"$show/gateway.err" || die "aws kinesis put-records failed: $(tail -n 1 "$show/gateway.err")"
	row "aws kinesis put-records" "$(wc -l <"$show/gateway.sent") records, $(json .FailedRecordCount <"$show/gateway.put") failed" \
		"$(verdict [ "$(json .FailedRecordCount <"$show/gateway.put")" = 0 ])"
	iterator=$(aws_as quickstart-consumer kinesis get-shard-iterator --stream-name "$log_stream" --shard-id shardId-000000000000 \
		--shard-iterator-type AT_TIMESTAMP --timestamp "$since" --query ShardIterator --output text 2>"$show/gateway.err") ||
		die "aws kinesis get-shard-iterator failed: $(tail -n 1 "$show/gateway.err")"
	aws_as quickstart-consumer kinesis get-records --shard-iterator "$iterator" >"$show/gateway.got" 2>"$show/gateway.err" ||
		die "aws kinesis get-records failed: $(tail -n 1 "$show/gateway.err")"
	python3 - "$show/gateway.got" >"$show/gateway.read" <<-'END'
		import base64, json, sys
		for record in json.load(open(sys.argv[1]))["Records"]:
		    sys.stdout.buffer.write(base64.b64decode(record["Data"]) + b"\n")
	END
	row "aws kinesis get-records" "$(wc -l <"$show/gateway.read") of $(wc -l <"$show/gateway.sent")" \
		"$(verdict cmp -s "$show/gateway.sent" "$show/gateway.read")"
	show_gateway_refused "$iterator"
}

# Who may put may not read.
show_gateway_refused() {
	if aws_as quickstart-producer kinesis get-records --shard-iterator "$1" >"$show/gateway.refused" 2>"$show/gateway.err"; then
		row "the producer reads" "was not refused" FAILED
	else
		row "the producer reads" "refused" "$(verdict grep -q 'AccessDeniedException.*kinesis:GetRecords' "$show/gateway.err")"
	fi
}
