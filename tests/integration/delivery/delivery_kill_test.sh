#!/usr/bin/env bash
# deliverd is killed at each point of a batch's life, many times, while records come and shards change: nothing is lost, a batch goes
# under the same id again, and whoever takes objects by key has every record once. Needs root. "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: delivery_kill_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/site.sh"
needs tests/deliverd_failpoints
key_age=300
delivery_make
deliverd_program=$site/bin/deliverd_failpoints
newline='"ProcessingConfiguration": {"Enabled": true, "Processors": [{"Type": "AppendDelimiterToRecord", "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}]}]}'

sealock key create --alias alias/web >/dev/null
sealock stream create web --key alias/web --shards 3 >/dev/null
ingestd_start
role deliver kms:Decrypt kms:GenerateDataKey
deliverd_start
delivery_create one web plain-one deliver 1 "$newline"
delivery_create two web plain-two deliver 1 "$newline, \"CompressionFormat\": \"GZIP\""
wait_for 10 "is_state two ACTIVE" || die_with_log "$site/deliverd.log" "no delivery stream"

lines_of() { find "$site/store/$1" -type f ! -name '.*' | LC_ALL=C sort | while read -r f; do case $f in *.gz) zcat "$f" ;; *) cat "$f" ;; esac; done; }
found_once() { [ "$(lines_of "$1" | LC_ALL=C sort | md5sum)" = "$(LC_ALL=C sort "$site/lines" | md5sum)" ]; }
n=0
some() { # the next COUNT records
	records $n $((n + $1)) >"$site/more"
	n=$((n + $1))
	cat "$site/more" >>"$site/lines"
	sealock put web --lines "$site/more" >/dev/null
}
: >"$site/lines"
died() { case $(ps -o stat= -p "$deliverd_pid") in "" | Z*) true ;; *) false ;; esac; } # a zombie, until it is waited for
code=0

# Rounds: a point, and which time it is passed. A batch per delivery stream and second.
rounds=0 reached=0
for point in plan-before plan-after sent done end-before end-after seek; do
	for nth in 1 2; do
		deliverd_kill
		deliverd_start DELIVERD_FAILPOINT=$point:$nth
		some 150
		wait_for 5 died && reached=$((reached + 1))
		rounds=$((rounds + 1))
		[ $rounds != 6 ] || sealock stream reshard web 5 >/dev/null
	done
done
check "the points were passed ($reached of $rounds), and it died there" '[ $reached -ge 12 ]'

# Killed at moments of no meaning.
for i in 1 2 3 4 5 6; do
	deliverd_kill
	deliverd_start
	some 200
	sleep 0.$((i * 3 % 10))
done
deliverd_kill
deliverd_start
check "nothing is lost, and by keys of objects nothing is twice" 'wait_for 30 "found_once plain-one"'
check "compressed, too" 'wait_for 10 "found_once plain-two"'
check "no checkpoint was spoiled" '! grep -q "damaged or no checkpoint" "$site/deliverd.log"'
check "and nothing counts as lost" '[ "$(of one .lost.retention) $(of one .lost.damage)" = "0 0" ]'

# A checkpoint that is damaged, or another's, stops its delivery stream and no other.
deliverd_stop
checkpoint=$(ls "$site"/state/one.*.checkpoint)
cp "$checkpoint" "$site/good"
printf '\377' | dd of="$checkpoint" bs=1 seek=30 conv=notrunc 2>/dev/null
cp "$checkpoint" "$site/bad"
deliverd_start
some 100
check "a damaged checkpoint is named" 'wait_for 10 "error_of one | grep -q \"$(basename "$checkpoint") is damaged\""'
check "it is left as it is, and others go on" 'wait_for 15 "found_once plain-two" && cmp -s "$checkpoint" "$site/bad"'
install -m 0600 -o $uid_deliver "$site/good" "$checkpoint"
check "put right, it goes on by itself" 'wait_for 90 "found_once plain-one"'
finish
