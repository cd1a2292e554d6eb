#!/usr/bin/env bash
# deliverd whole, to a PostgreSQL server with TLS: every record once, though deliverd and the server are killed over and over; a wrong
# password named and mended by an update. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: deliverd_postgres_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/site.sh"
needs tests/deliverd_failpoints
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || skip_all "PostgreSQL is not installed"
delivery_make
pg() { python3 -I "$here/postgres_server.py" "$1" "$site/pg" "${@:2}"; }
sql() { pg sql "$1" 2>>"$site/pg/errors"; }
trap 'pg kill 2>/dev/null; delivery_remove' EXIT
mkdir "$site/pg"
port=$(pg make) && pg start || die_with_log "$site/pg/log" "PostgreSQL does not start"
cat >>"$site/deliverd.yaml" <<-END
	databases:
	  - {host: localhost, ca: $site/pg/ca.pem, connect_ms: 2000, lock_ms: 2000}
END
password='of-the-database'
sql "create role sealock login password '$password'; grant create on database postgres to sealock;
	create table lines (line text); grant insert on lines to sealock" >/dev/null

sealock key create --alias alias/web --json >/dev/null
sealock stream create web --key alias/web --shards 2 >/dev/null
ingestd_start
role deliver kms:Decrypt kms:GenerateDataKey

# description PASSWORD: whole lines into one column.
description() {
	cat >"$site/rows.json" <<-END
		{"DeliveryStreamType": "KinesisStreamAsSource",
		 "KinesisStreamSourceConfiguration": {"KinesisStreamARN": "arn:aws:kinesis:local:000000000000:stream/web", "RoleARN": "arn:aws:iam::000000000000:role/deliver"},
		 "RedshiftDestinationConfiguration": {"RoleARN": "arn:aws:iam::000000000000:role/deliver",
		  "ClusterJDBCURL": "jdbc:postgresql://localhost:$port/postgres", "Username": "sealock", "Password": "$1",
		  "CopyCommand": {"DataTableName": "lines", "CopyOptions": "csv quote E'\\\\x01' delimiter E'\\\\x02'"},
		  "S3Configuration": {"RoleARN": "arn:aws:iam::000000000000:role/deliver", "BucketARN": "arn:aws:s3:::plain-errors",
		   "ErrorOutputPrefix": "failed/", "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}}}}
	END
}
put() { sealock put web --lines "$1" >/dev/null; }
rows() { sql 'select count(*) from lines'; }
checksum() { sql "select md5(string_agg(line, e'\n' order by line collate \"C\") || e'\n') from lines"; }
found() { [ "$(checksum)" = "$(LC_ALL=C sort "$1" | md5sum | cut -d' ' -f1)" ]; }

# --- a wrong password ---

deliverd_start
description not-the-password
run sealock delivery create rows --file "$site/rows.json" --wait
check "a description from a file; it becomes ACTIVE" '[ $code = 0 ] && is_state rows ACTIVE'
records 0 2000 >"$site/lines"
put "$site/lines"
check "a wrong password is named" 'wait_for 20 "[ \"\$(code_of rows)\" = Postgres.28P01 ]" && error_of rows | grep -q "password authentication failed"'
check "and nothing is delivered" '[ "$(rows)" = 0 ]'
description "$password"
python3 -IS - "$site/rows.json" <<-'END'
	import json, sys
	d = json.load(open(sys.argv[1]))["RedshiftDestinationConfiguration"]
	d["S3Update"] = d.pop("S3Configuration")
	json.dump({"RedshiftDestinationUpdate": d}, open(sys.argv[1], "w"))
END
run sealock delivery update rows --file "$site/rows.json"
check "the right one" '[ $code = 0 ]'
check "every record is there, once" 'wait_for 40 "found \"$site/lines\""'
check "by batches of the delivery table" '[ "$(sql "select sum(rows) from sealock.delivery")" = 2000 ]'

# --- deliverd and the server killed, over and over ---

(
	for i in $(seq 25); do
		records $((10000 + i * 500)) $((10500 + i * 500)) >"$site/part"
		cat "$site/part" >>"$site/lines"
		sealock put web --lines "$site/part" >/dev/null || echo "put $i" >>"$site/put-failed"
		sleep 0.2
	done
) &
putting=$!
kills=0
while kill -0 $putting 2>/dev/null; do
	sleep 0.$((RANDOM % 9 + 1))
	deliverd_kill
	kills=$((kills + 1))
	if [ $((kills % 3)) = 0 ]; then
		pg kill
		sleep 0.3
		pg start
	fi
	deliverd_start
	sleep 0.$((RANDOM % 9 + 1))
done
wait $putting
echo "        (deliverd was killed $kills times, PostgreSQL $((kills / 3)) times)"
check "all records were put" '[ ! -e "$site/put-failed" ]'
check "deliverd killed while it delivers, the server, too: every record is there, once" 'wait_for 60 "found \"$site/lines\""'
check "by their number, too" '[ "$(rows)" = "$(wc -l <"$site/lines")" ]'

# Killed at each point of a batch's life; at "done" it is committed, and the checkpoint does not say so.
died() { case $(ps -o stat= -p "$deliverd_pid") in "" | Z*) true ;; *) false ;; esac; }
n=30000 reached=0
deliverd_program=$site/bin/deliverd_failpoints
for point in plan-before plan-after sent done end-before end-after; do
	deliverd_kill
	deliverd_start DELIVERD_FAILPOINT=$point:1
	records $n $((n + 300)) >"$site/more"
	n=$((n + 300))
	cat "$site/more" >>"$site/lines"
	put "$site/more"
	wait_for 10 died && reached=$((reached + 1))
done
deliverd_kill
deliverd_program=sealock-deliverd
deliverd_start
check "killed at each of six points ($reached reached): every record is there, once" '[ $reached -ge 5 ] && wait_for 40 "found \"$site/lines\""'
check "no id is in the delivery table twice, no number is missing" \
	'[ "$(sql "select count(*) = count(distinct batch) and count(*) = max(batch) from sealock.delivery")" = t ]'

# --- secrets ---

check "no password and no record is in the logs or the status" \
	'! grep -q -e "$password" -e not-the-password -e "record 0000" "$site/deliverd.log" && ! deliveries | grep -q "$password"'
deliverd_stop
check "it stops cleanly" 'tail -n 1 "$site/deliverd.log" | grep -q "msg=stopped"'
finish
